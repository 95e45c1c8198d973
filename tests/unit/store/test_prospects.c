#include "kit/engine.h"
#include "store/write/migrations_write.h"
#include "store/write/write_model.h"

static Db *open_write(void) {
    Db *db = test_db_open(test_database_with(write_migrate), (DbOptions){0});
    Err err = {0};
    REQUIRE(CHECK_OK(write_migrate(db, &err), &err));
    return db;
}

static Prospect ada(int64_t id, const char *tenant) {
    return (Prospect){.prospect_id = id,
                      .version = 1,
                      .tenant_id = tenant,
                      .first_name = "Ada",
                      .last_name = "King",
                      .email = "Ada@example.org",
                      .phone = "",
                      .notes = "a\nb",
                      .created_at = 10,
                      .updated_at = 20};
}

enum { COMMANDS = 4 }; /* of a transaction: so many ids of a server's sequence it fetches at a time */

/* A write model and the arena of its transaction. */
typedef struct Model {
    Db *db;
    Arena *arena;
    WriteModel *model;
    Prospects *prospects;
    Err err;
} Model;

static Model model_open(void) {
    Model m = {.db = open_write(), .arena = arena_new(0)};
    m.model = write_model_new(m.db);
    m.prospects = m.model->prospects;
    write_model_begin(m.model, m.arena, COMMANDS);
    return m;
}

/* Writes all, and forgets what was in memory. */
static bool model_write(Model *m) {
    err_clear(&m->err);
    bool ok = write_model_write(m->model, &m->err);
    arena_reset(m->arena);
    write_model_begin(m->model, m->arena, COMMANDS);
    return ok;
}

static void model_close(Model *m) {
    write_model_free(m->model);
    arena_free(m->arena);
    db_free(m->db);
}

static int64_t owner_of(Model *m, const char *tenant, const char *key) {
    int64_t owner = -1;
    CHECK_OK(prospects_email_owner(m->prospects, span_of(tenant), span_of(key), &owner, &m->err), &m->err);
    return owner;
}

static void insert_and_load(void) {
    Model m = model_open();
    int64_t id = 0;
    CHECK_OK(prospects_next_id(m.prospects, &id, &m.err), &m.err);
    CHECK(id == 1);
    Prospect p = ada(id, "t"), got;
    CHECK_OK(prospects_insert(m.prospects, &p, SPAN("ada@example.org"), &m.err), &m.err);
    CHECK(owner_of(&m, "t", "ada@example.org") == 1); /* seen before it is written */
    CHECK_OK(model_write(&m), &m.err);
    CHECK_OK(prospects_next_id(m.prospects, &id, &m.err), &m.err);
    CHECK(id == (test_engine() == DB_SQLITE ? 2 : 1 + COMMANDS));
    bool found = false;
    prospects_want(m.prospects, 1);
    prospects_want(m.prospects, 1);
    prospects_want(m.prospects, 2);
    prospects_want_email(m.prospects, SPAN("t"), SPAN("ada@example.org"));
    CHECK_OK(prospects_read(m.prospects, &m.err), &m.err);
    CHECK_OK(prospects_load(m.prospects, 1, &got, &found, &m.err), &m.err);
    REQUIRE(found);
    CHECK(strcmp(got.email, p.email) == 0 && strcmp(got.notes, p.notes) == 0 &&
          strcmp(got.tenant_id, "t") == 0);
    CHECK(strcmp(got.first_name, "Ada") == 0 && strcmp(got.phone, "") == 0);
    CHECK(got.version == 1 && got.created_at == 10 && got.updated_at == 20);
    CHECK_OK(prospects_load(m.prospects, 2, &got, &found, &m.err), &m.err);
    CHECK(!found);
    static const struct {
        const char *tenant, *key;
        int64_t want;
    } OWNERS[] = {{"t", "ada@example.org", 1}, {"t", "bob@example.org", 0}, {"u", "ada@example.org", 0}};
    for (size_t i = 0; i < COUNT(OWNERS); i++)
        CHECK(owner_of(&m, OWNERS[i].tenant, OWNERS[i].key) == OWNERS[i].want);
    p = ada(2, "t");
    CHECK(!prospects_insert(m.prospects, &p, SPAN("ada@example.org"), &m.err) &&
          err_is(&m.err, &ERR_DUPLICATE));
    model_close(&m);
}

/* Each in memory and once more when it is stored. */
static void updates(void) {
    for (int stored = 0; stored < 2; stored++) {
        Model m = model_open();
        Prospect p = ada(1, "t"), q = ada(2, "t"), got;
        bool found;
        CHECK_OK(prospects_insert(m.prospects, &p, SPAN("a"), &m.err), &m.err);
        CHECK_OK(prospects_insert(m.prospects, &q, SPAN("b"), &m.err), &m.err);
        if (stored) CHECK_OK(model_write(&m), &m.err);
        CHECK_OK(prospects_load(m.prospects, 1, &got, &found, &m.err), &m.err);
        p.version = 2;
        p.email = "C";
        CHECK_OK(prospects_update(m.prospects, &p, SPAN("a"), SPAN("c"), &m.err), &m.err);
        if (stored) CHECK_OK(model_write(&m), &m.err);
        CHECK(owner_of(&m, "t", "a") == 0 && owner_of(&m, "t", "b") == 2 && owner_of(&m, "t", "c") == 1);
        CHECK_OK(prospects_load(m.prospects, 1, &got, &found, &m.err), &m.err);
        CHECK(!prospects_update(m.prospects, &p, SPAN("c"), SPAN("c"), &m.err) &&
              err_is(&m.err, &ERR_CONFLICT));
        err_clear(&m.err);
        CHECK_OK(prospects_load(m.prospects, 2, &got, &found, &m.err), &m.err);
        q.version = 2; /* takes what the first gave back, and is gone */
        CHECK_OK(prospects_update(m.prospects, &q, SPAN("b"), SPAN("a"), &m.err), &m.err);
        q.version = 3;
        CHECK_OK(prospects_end(m.prospects, &q, SPAN("a"), &m.err), &m.err);
        p.version = 3;
        CHECK_OK(prospects_update(m.prospects, &p, SPAN("c"), SPAN("a"), &m.err), &m.err);
        CHECK_OK(model_write(&m), &m.err);
        CHECK(owner_of(&m, "t", "a") == 1 && owner_of(&m, "t", "b") == 0 && owner_of(&m, "t", "c") == 0);
        CHECK(test_db_number(m.db, "SELECT count(*) FROM prospect WHERE version = 3") == 2);
        CHECK(test_db_number(m.db, "SELECT count(*) FROM prospect_email") == 1);
        model_close(&m);
    }
}

/* Somebody else has been here between the read and the write: nothing of it is done over his change. */
static void lost_races(void) {
    static const struct {
        const char *between;
        const ErrKind *want;
    } CASES[] = {
        {"SELECT 1", NULL},
        {"UPDATE prospect SET version = 7 WHERE prospect_id = 2", &ERR_CONFLICT},
        {"DELETE FROM prospect WHERE prospect_id = 1", &ERR_CONFLICT},
        {"INSERT INTO prospect_email (tenant_id, email_key, prospect_id) VALUES ('t', 'c', 9)",
         &ERR_DUPLICATE},
        {"INSERT INTO command_done (tenant_id, issued_by, command_id, body_hash, event_id, done_at)"
         " VALUES ('t', 'u', 'x', 1, 'e', 1)",
         &ERR_DUPLICATE},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Model m = model_open();
        Prospect p = ada(1, "t"), q = ada(2, "t"), got;
        bool found;
        CHECK_OK(prospects_insert(m.prospects, &p, SPAN("a"), &m.err), &m.err);
        CHECK_OK(prospects_insert(m.prospects, &q, SPAN("b"), &m.err), &m.err);
        CHECK_OK(model_write(&m), &m.err);
        CHECK_OK(prospects_load(m.prospects, 1, &got, &found, &m.err), &m.err);
        CHECK_OK(prospects_load(m.prospects, 2, &got, &found, &m.err), &m.err);
        CHECK(owner_of(&m, "t", "c") == 0);
        test_db_run(m.db, CASES[i].between);
        p.version = q.version = 2;
        CHECK_OK(prospects_update(m.prospects, &p, SPAN("a"), SPAN("c"), &m.err), &m.err);
        CHECK_OK(prospects_update(m.prospects, &q, SPAN("b"), SPAN("b"), &m.err), &m.err);
        CommandKey key = {SPAN("t"), SPAN("u"), SPAN("x")};
        CHECK(commands_done_add(m.model->done, &key, 1, SPAN("e"), 1));
        bool written = model_write(&m);
        CHECK(written == !CASES[i].want && m.err.kind == CASES[i].want);
        model_close(&m);
    }
}

/* In a file ids of a transaction that was given up are given again; on a server those of a transaction go with it. */
static void ids(void) {
    Model m = model_open();
    int64_t a, b, c;
    CHECK_OK(prospects_next_id(m.prospects, &a, &m.err), &m.err);
    CHECK_OK(prospects_next_id(m.prospects, &b, &m.err), &m.err);
    CHECK(b == a + 1);
    write_model_begin(m.model, m.arena, COMMANDS);
    CHECK_OK(prospects_next_id(m.prospects, &c, &m.err), &m.err);
    CHECK(c == (test_engine() == DB_SQLITE ? a : a + COMMANDS));
    Prospect p = ada(c, "t");
    CHECK_OK(prospects_insert(m.prospects, &p, SPAN("a"), &m.err), &m.err);
    CHECK_OK(model_write(&m), &m.err);
    for (int64_t i = 1; i < 20; i++) {
        CHECK_OK(prospects_next_id(m.prospects, &b, &m.err), &m.err);
        CHECK(b == c + i + (test_engine() == DB_SQLITE ? 0 : COMMANDS - 1));
    }
    model_close(&m);
}

static void done_commands(void) {
    Model m = model_open();
    CommandsDone *done = m.model->done;
    CommandKey key = {SPAN("t"), SPAN("u"), SPAN("c")};
    uint64_t hash = 0;
    commands_done_want(done, &key);
    CHECK_OK(commands_done_read(done, &m.err), &m.err);
    CHECK(!commands_done_find(done, &key, &hash));
    CHECK(commands_done_add(done, &key, UINT64_MAX - 5, SPAN("e"), 1));
    CHECK(commands_done_find(done, &key, &hash) && hash == UINT64_MAX - 5);
    CHECK_OK(model_write(&m), &m.err);
    CHECK(!commands_done_find(done, &key, &hash)); /* only what was asked for is known */
    static const CommandKey OTHERS[] = {{SPAN("t"), SPAN("v"), SPAN("c")},
                                        {SPAN("tu"), SPAN(""), SPAN("c")},
                                        {SPAN("t"), SPAN("u"), SPAN("cc")}};
    for (size_t i = 0; i < COUNT(OTHERS); i++) commands_done_want(done, &OTHERS[i]);
    commands_done_want(done, &key);
    CHECK_OK(commands_done_read(done, &m.err), &m.err);
    hash = 0;
    CHECK(commands_done_find(done, &key, &hash) && hash == UINT64_MAX - 5);
    for (size_t i = 0; i < COUNT(OTHERS); i++) CHECK(!commands_done_find(done, &OTHERS[i], &hash));
    model_close(&m);
}

static void outbox(void) {
    AUTO(Db) db = open_write();
    Err err = {0};
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"id";
    e.tenant_id = (char *)"t";
    e.subject = (char *)"prospect/1";
    e.subject_version = 4;
    e.data = (ProtobufCBinaryData){3, (uint8_t *)"\0\1\2"};
    CHECK_OK(outbox_append(db, &e, 77, &err), &err);
    Stmt *s =
        db_statement(db, "SELECT outbox_id, event_id, tenant_id, subject, subject_version, body, created_at"
                         " FROM outbox");
    REQUIRE(stmt_run(s, NULL, &err) && stmt_row(s, &err));
    CHECK(stmt_int(s, 0) == 1);
    CHECK_SPAN(stmt_text(s, 1), "id");
    CHECK_SPAN(stmt_text(s, 3), "prospect/1");
    CHECK(stmt_int(s, 4) == 4);
    Span body = stmt_blob(s, 5);
    Events__V1__Envelope *back = events__v1__envelope__unpack(NULL, body.len, (const uint8_t *)body.at);
    REQUIRE(back != NULL);
    CHECK(back->data.len == 3 && back->subject_version == 4 && back->sequence == 0);
    events__v1__envelope__free_unpacked(back, NULL);
    CHECK(stmt_int(s, 6) == 77);
}

SUITE_ON_ENGINES("prospects", TEST(insert_and_load), TEST(updates), TEST(lost_races), TEST(ids),
                 TEST(done_commands), TEST(outbox));
