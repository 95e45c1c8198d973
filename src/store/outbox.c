#include "store/outbox.h"

#include "base/buf.h"
#include "base/map.h"

/* On a server the row is also written down as one without a number. T-SQL: OUTPUT inserted.outbox_id INTO. */
#define INSERT                                                                                               \
    "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at, lane)"             \
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
static const SqlText INSERT_ROW = {
    .sqlite = "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at)"
              " VALUES (?, ?, ?, ?, ?, ?)",
    .postgresql = "WITH added AS (" INSERT " RETURNING outbox_id)"
                  " INSERT INTO outbox_fresh (outbox_id) SELECT outbox_id FROM added"};

int outbox_lane(Span subject) {
    return (int)(hash_stable(subject) % OUTBOX_LANES);
}

bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err) {
    AUTO_BUF body = {0};
    size_t size = events__v1__envelope__get_packed_size(envelope);
    char *at = buf_reserve(&body, size);
    if (!at) return err_set(err, &ERR_TOO_LARGE, "an event of %zu bytes", size);
    body.len = events__v1__envelope__pack(envelope, (uint8_t *)at);
    Span subject = span_of(envelope->subject);
    Stmt *s = db_statement(db, db_text(db, &INSERT_ROW));
    stmt_bind_text(s, 1, span_of(envelope->event_id));
    stmt_bind_text(s, 2, span_of(envelope->tenant_id));
    stmt_bind_text(s, 3, subject);
    stmt_bind_int(s, 4, envelope->subject_version);
    stmt_bind_blob(s, 5, buf_view(&body));
    stmt_bind_int(s, 6, created_at);
    if (db_dialect(db) != DB_SQLITE) stmt_bind_int(s, 7, outbox_lane(subject));
    return stmt_run(s, NULL, err);
}
