#include "store/outbox/outbox.h"

#include "base/map.h"
#include "store/given.h"

struct Outbox {
    Db *db;
    Given *rows;
    Arena *arena;
};

/* On a server the row is also written down as one without a number. */
static const GivenShape IN_FILE = {
    .sql.sqlite =
        "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at) {given}",
    .columns = "tttibi"};
static const GivenShape ON_SERVER = {
    .sql.sqlite = "WITH added AS (INSERT INTO outbox"
                  " (event_id, tenant_id, subject, subject_version, body, created_at, lane) {given}"
                  " RETURNING outbox_id) INSERT INTO outbox_fresh (outbox_id) SELECT outbox_id FROM added",
    .sql.sqlserver = "INSERT INTO outbox"
                     " (event_id, tenant_id, subject, subject_version, body, created_at, lane)"
                     " OUTPUT inserted.outbox_id INTO outbox_fresh (outbox_id) {given} ORDER BY nth",
    .columns = "tttibii"};

int outbox_lane(Span subject) {
    return (int)(hash_stable(subject) % OUTBOX_LANES);
}

Outbox *outbox_new(Db *db) {
    Outbox *o = must(calloc(1, sizeof *o));
    o->db = db;
    o->rows = given_new(db, db_dialect(db) == DB_SQLITE ? &IN_FILE : &ON_SERVER);
    return o;
}

Outbox *outbox_free(Outbox *o) {
    if (!o) return NULL;
    given_free(o->rows);
    free(o);
    return NULL;
}

void outbox_begin(Outbox *o, Arena *arena) {
    given_clear(o->rows);
    o->arena = arena;
}

bool outbox_add(Outbox *o, const Events__V1__Envelope *envelope, int64_t created_at, Err *err) {
    size_t size = events__v1__envelope__get_packed_size(envelope);
    uint8_t *body = arena_alloc(o->arena, size + 1);
    if (!body) return err_set(err, &ERR_TOO_LARGE, "an event of %zu bytes", size);
    events__v1__envelope__pack(envelope, body);
    Span subject = span_of(envelope->subject);
    given_text(o->rows, span_of(envelope->event_id));
    given_text(o->rows, span_of(envelope->tenant_id));
    given_text(o->rows, subject);
    given_int(o->rows, envelope->subject_version);
    given_blob(o->rows, span_bytes(body, size));
    given_int(o->rows, created_at);
    if (db_dialect(o->db) != DB_SQLITE) given_int(o->rows, outbox_lane(subject));
    return true;
}

bool outbox_write(Outbox *o, Err *err) {
    return given_run(o->rows, NULL, err);
}

bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err) {
    AUTO(Outbox) outbox = outbox_new(db);
    AUTO(Arena) arena = arena_new(0);
    outbox_begin(outbox, arena);
    return outbox_add(outbox, envelope, created_at, err) && outbox_write(outbox, err);
}
