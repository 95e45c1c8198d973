#include "store/write/command_done.h"

#include "base/buf.h"
#include "base/map.h"
#include "store/given.h"

struct CommandsDone {
    Given *wanted, *added;
    Map *hashes; /* key -> uint64_t of the arena */
    Arena *arena;
    Buf key;
    bool failed; /* a row that was read did not fit in memory */
};

static const GivenShape READ = {
    .sql.sqlite =
        "WITH k(tenant_id, issued_by, command_id) AS ({given})"
        " SELECT d.tenant_id, d.issued_by, d.command_id, d.body_hash FROM k CROSS JOIN command_done d"
        " WHERE d.tenant_id = k.tenant_id AND d.issued_by = k.issued_by AND d.command_id = k.command_id",
    .columns = "kkk"};
static const GivenShape INSERT = {
    .sql.sqlite = "INSERT INTO command_done (tenant_id, issued_by, command_id, body_hash, event_id, done_at)"
                  " {given}",
    .columns = "kkkiki"};

CommandsDone *commands_done_new(Db *db) {
    CommandsDone *d = must(calloc(1, sizeof *d));
    *d = (CommandsDone){.wanted = given_new(db, &READ), .added = given_new(db, &INSERT), .hashes = map_new()};
    return d;
}

CommandsDone *commands_done_free(CommandsDone *d) {
    if (!d) return NULL;
    given_free(d->wanted);
    given_free(d->added);
    map_free(d->hashes);
    buf_free(&d->key);
    free(d);
    return NULL;
}

void commands_done_begin(CommandsDone *d, Arena *arena) {
    given_clear(d->wanted);
    given_clear(d->added);
    map_free(d->hashes);
    d->hashes = map_new();
    d->arena = arena;
    d->failed = false;
}

static Span text_of(Buf *buf, Span tenant_id, Span issued_by, Span command_id) {
    buf_clear(buf);
    buf_append(buf, &tenant_id.len, sizeof tenant_id.len);
    buf_append(buf, &issued_by.len, sizeof issued_by.len);
    buf_span(buf, tenant_id);
    buf_span(buf, issued_by);
    buf_span(buf, command_id);
    return buf_view(buf);
}

static bool keep(CommandsDone *d, Span key, uint64_t hash) {
    uint64_t *kept = arena_alloc(d->arena, sizeof *kept);
    if (!kept) return false;
    *kept = hash;
    map_put(d->hashes, key, kept);
    return true;
}

void commands_done_want(CommandsDone *d, const CommandKey *key) {
    given_text(d->wanted, key->tenant_id);
    given_text(d->wanted, key->issued_by);
    given_text(d->wanted, key->command_id);
}

static void take_row(void *user, Stmt *s) {
    CommandsDone *d = user;
    Span tenant_id = stmt_text(s, 0), issued_by = stmt_text(s, 1), command_id = stmt_text(s, 2);
    Span key = text_of(&d->key, tenant_id, issued_by, command_id);
    if (!keep(d, key, (uint64_t)stmt_int(s, 3))) d->failed = true;
}

bool commands_done_read(CommandsDone *d, Err *err) {
    if (!given_read(d->wanted, take_row, d, err)) return false;
    return !d->failed || err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
}

bool commands_done_find(const CommandsDone *d, const CommandKey *key, uint64_t *body_hash) {
    AUTO_BUF text = {0};
    const uint64_t *kept =
        map_get(d->hashes, text_of(&text, key->tenant_id, key->issued_by, key->command_id));
    if (kept) *body_hash = *kept;
    return kept != NULL;
}

bool commands_done_add(CommandsDone *d, const CommandKey *key, uint64_t body_hash, Span event_id,
                       int64_t done_at) {
    given_text(d->added, key->tenant_id);
    given_text(d->added, key->issued_by);
    given_text(d->added, key->command_id);
    given_int(d->added, (int64_t)body_hash);
    given_text(d->added, event_id);
    given_int(d->added, done_at);
    return keep(d, text_of(&d->key, key->tenant_id, key->issued_by, key->command_id), body_hash);
}

bool commands_done_write(CommandsDone *d, Err *err) {
    return given_run(d->added, NULL, err);
}
