#include "kit/engine.h"
#include "store/command_done.h"
#include "store/migrations_write.h"
#include "store/outbox.h"
#include "store/prospects.h"

static Db *open_write(void) {
    Db *db = test_db_open(test_database(), (DbOptions){0});
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

static void insert_and_load(void) {
    AUTO(Db) db = open_write();
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    int64_t id = 0, owner = -1;
    CHECK_OK(prospects_next_id(db, &id, &err), &err);
    CHECK(id == 1);
    Prospect p = ada(id, "t"), got;
    CHECK_OK(prospects_insert(db, &p, SPAN("ada@example.org"), &err), &err);
    CHECK_OK(prospects_next_id(db, &id, &err), &err);
    CHECK(id == 2);
    bool found = false;
    CHECK_OK(prospects_load(db, 1, arena, &got, &found, &err), &err);
    REQUIRE(found);
    CHECK(strcmp(got.email, p.email) == 0 && strcmp(got.notes, p.notes) == 0 &&
          strcmp(got.tenant_id, "t") == 0);
    CHECK(strcmp(got.first_name, "Ada") == 0 && strcmp(got.phone, "") == 0);
    CHECK(got.version == 1 && got.created_at == 10 && got.updated_at == 20);
    CHECK_OK(prospects_load(db, 2, arena, &got, &found, &err), &err);
    CHECK(!found);
    static const struct {
        Span tenant, key;
        int64_t want;
    } OWNERS[] = {{SPAN("t"), SPAN("ada@example.org"), 1},
                  {SPAN("t"), SPAN("bob@example.org"), 0},
                  {SPAN("u"), SPAN("ada@example.org"), 0}};
    for (size_t i = 0; i < COUNT(OWNERS); i++) {
        CHECK_OK(prospects_email_owner(db, OWNERS[i].tenant, OWNERS[i].key, &owner, &err), &err);
        CHECK(owner == OWNERS[i].want);
    }
    p = ada(2, "t"); /* the key table is the last line of defence */
    CHECK(!prospects_insert(db, &p, SPAN("ada@example.org"), &err) && err_is(&err, &ERR_DUPLICATE));
}

static void updates(void) {
    AUTO(Db) db = open_write();
    Err err = {0};
    Prospect p = ada(1, "t"), q = ada(2, "t");
    CHECK_OK(prospects_insert(db, &p, SPAN("a"), &err), &err);
    CHECK_OK(prospects_insert(db, &q, SPAN("b"), &err), &err);
    p.version = 2;
    p.email = "C";
    CHECK_OK(prospects_update(db, &p, SPAN("a"), SPAN("c"), &err), &err);
    int64_t owner;
    CHECK_OK(prospects_email_owner(db, SPAN("t"), SPAN("a"), &owner, &err), &err);
    CHECK(owner == 0);
    CHECK_OK(prospects_email_owner(db, SPAN("t"), SPAN("c"), &owner, &err), &err);
    CHECK(owner == 1);
    CHECK(!prospects_update(db, &p, SPAN("c"), SPAN("c"), &err) && err_is(&err, &ERR_CONFLICT));
    err_clear(&err);
    p.version = 3;
    CHECK(!prospects_update(db, &p, SPAN("c"), SPAN("b"), &err) && err_is(&err, &ERR_DUPLICATE));
}

static void done_commands(void) {
    AUTO(Db) db = open_write();
    Err err = {0};
    CommandKey key = {SPAN("t"), SPAN("u"), SPAN("c")};
    bool found = true;
    uint64_t hash = 0;
    CHECK_OK(command_done_find(db, &key, &found, &hash, &err), &err);
    CHECK(!found);
    CHECK_OK(command_done_add(db, &key, UINT64_MAX - 5, SPAN("e"), 1, &err), &err);
    CHECK_OK(command_done_find(db, &key, &found, &hash, &err), &err);
    CHECK(found && hash == UINT64_MAX - 5);
    CHECK(!command_done_add(db, &key, 1, SPAN("e"), 1, &err) && err_is(&err, &ERR_DUPLICATE));
    CommandKey other = {SPAN("t"), SPAN("v"), SPAN("c")};
    CHECK_OK(command_done_find(db, &other, &found, &hash, &err), &err);
    CHECK(!found);
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

SUITE_ON_ENGINES("prospects", TEST(insert_and_load), TEST(updates), TEST(done_commands), TEST(outbox));
