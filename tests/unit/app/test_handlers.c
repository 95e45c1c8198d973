#include "commands_kit.h"

#include "events/v1/prospect.pb-c.h"
#include "wire/message.h"
#include <stdio.h>

static void one_batch(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", " Ada@Example.org ");
    world_create(&w, "c2", "King", "ada@example.ORG");
    world_update(&w, "c3", 1, 1, "ada@example.org");
    world_update(&w, "c4", 1, 1, "ada@example.org");
    world_update(&w, "c5", 9, 1, "x@example.org");
    world_update_in(&w, "other", "c6", 1, -1, "x@example.org");
    world_create(&w, "c7", "", "not an address");
    world_create(&w, "c8", "Byron", "byron@example.org");
    world_update(&w, "c9", 2, -1, "ADA@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 9);
    CHECK(world_turn(&w) == 0);
    CHECK(w.events == 9);
    world_expect_history(
        &w,
        "ProspectCreated prospect/1 1; CommandRejected command/c2 0 duplicate_email email:duplicate_email; "
        "ProspectUpdated prospect/1 2; CommandRejected command/c4 0 version_conflict; "
        "CommandRejected command/c5 0 not_found; CommandRejected command/c6 0 not_found; "
        "CommandRejected command/c7 0 invalid lastName:required email:invalid_email; "
        "ProspectCreated prospect/2 1; "
        "CommandRejected command/c9 0 duplicate_email email:duplicate_email; ");
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == 9);
    CHECK(test_db_number(
              w.db, "SELECT count(*) FROM prospect WHERE email = 'ada@example.org' AND version = 2") == 1);
    world_close(&w);
}

/* What can never be handled goes to the dead letter at once, and the rest of the batch goes on. */
static void hopeless(void) {
    World w = world_open();
    world_put_raw(&w, "bad1", "k", SPAN("\xff\xff\xff"), 1);
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    static const struct {
        const char *id, *type, *tenant, *data;
    } CASES[] = {{"bad2", "DropTables", "t", ""},
                 {"bad3", "ProspectCreated", "t", ""},
                 {"bad4", "CreateProspect", "t", "\x0a\x7fx"},
                 {"bad5", "CreateProspect", "", ""}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF body = {0};
        e.command_id = (char *)CASES[i].id;
        e.command_type = (char *)CASES[i].type;
        e.tenant_id = (char *)CASES[i].tenant;
        e.data = (ProtobufCBinaryData){strlen(CASES[i].data), (uint8_t *)CASES[i].data};
        message_pack(&e.base, &body);
        world_put_raw(&w, CASES[i].id, "k", buf_view(&body), 1);
    }
    world_create(&w, "good", "Lovelace", "ada@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 6);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ");
    char url[256];
    bool file = test_engine() == DB_SQLITE;
    snprintf(url, sizeof url, "sqlite:%s/db/queue-marks.db", w.home);
    Err err = {0};
    AUTO(Db) marks = test_db_open(file ? url : w.write_url, (DbOptions){.read_only = true});
    static const char *const REASONS[] = {"undecodable_envelope", "unknown_command_type",
                                          "unknown_command_type", "undecodable_command",
                                          "undecodable_envelope"};
    Stmt *s = db_statement(marks, file ? "SELECT reason FROM queue_mark WHERE state = 2 ORDER BY queue_id"
                                       : "SELECT reason FROM queue_dead ORDER BY queue_id");
    REQUIRE(stmt_run(s, NULL, &err));
    size_t i = 0;
    for (; stmt_row(s, &err); i++) CHECK_SPAN(stmt_text(s, 0), i < COUNT(REASONS) ? REASONS[i] : "");
    CHECK(i == COUNT(REASONS));
    world_close(&w);
}

static void same_id_other_body(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 1);
    /* as a queue would deliver it that cannot look for ids: the key of the row differs, the command's id does
     * not */
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = c.last_name = (char *)"Other";
    c.email = (char *)"other@example.org";
    REQUIRE(
        db_execute(w.queue, "UPDATE command_queue SET command_id = 'moved' WHERE command_id = 'c1'", NULL));
    world_put(&w, "c1", "CreateProspect", "t", &c.base);
    CHECK(world_turn(&w) == 1);
    world_expect_history(&w,
                         "ProspectCreated prospect/1 1; CommandRejected command/c1 0 idempotency_conflict; ");
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == 1);
    world_close(&w);
}

/* The same delivery twice in one batch, and another body under its id. */
static void doubles_in_a_batch(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_open_service(&w);
    QueueMessage *m;
    Err err = {0};
    REQUIRE(world_claim_all(&w, &m) == 1);
    QueueMessage batch[] = {m[0], m[0], m[0], m[0]};
    batch[2].body_hash++;
    Handled results[COUNT(batch)];
    AUTO(Handlers) h = handlers_new(w.db);
    CHECK_OK(handlers_run(h, batch, COUNT(batch), results, &err), &err);
    static const size_t EVENTS[] = {1, 0, 1, 0};
    for (size_t i = 0; i < COUNT(batch); i++)
        CHECK(results[i].as == HANDLED_DONE && results[i].events == EVENTS[i]);
    world_expect_history(&w,
                         "ProspectCreated prospect/1 1; CommandRejected command/c1 0 idempotency_conflict; ");
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == 1);
    h = handlers_free(h);
    world_close(&w);
}

/* One id of two tenants, and of two users of one: four commands, four effects, whenever they come again. */
static void one_id_of_several_people(void) {
    static const struct {
        const char *tenant, *user;
    } PEOPLE[] = {{"t", "u"}, {"other", "u"}, {"t", "v"}, {"tu", ""}};
    World w = world_open();
    world_open_service(&w);
    QueueMessage batch[COUNT(PEOPLE)] = {0};
    Buf bodies[COUNT(PEOPLE)] = {0};
    for (size_t i = 0; i < COUNT(PEOPLE); i++) {
        AUTO_BUF data = {0};
        char email[32];
        snprintf(email, sizeof email, "%zu@example.org", i);
        Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
        c.first_name = c.last_name = (char *)"Ada";
        c.email = email;
        message_pack(&c.base, &data);
        Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
        e.command_id = (char *)"c1";
        e.command_type = (char *)"CreateProspect";
        e.tenant_id = (char *)PEOPLE[i].tenant;
        e.issued_by = (char *)PEOPLE[i].user;
        e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
        message_pack(&e.base, &bodies[i]);
        batch[i] =
            (QueueMessage){.queue_id = 1, .deliveries = 1, .body = buf_view(&bodies[i]), .body_hash = i};
    }
    AUTO(Handlers) h = handlers_new(w.db);
    for (size_t again = 0; again < 2; again++) {
        Handled results[COUNT(PEOPLE)];
        Err err = {0};
        CHECK_OK(handlers_run(h, batch, COUNT(PEOPLE), results, &err), &err);
        for (size_t i = 0; i < COUNT(PEOPLE); i++)
            CHECK(results[i].as == HANDLED_DONE && results[i].events == !again);
    }
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done WHERE command_id = 'c1'") == COUNT(PEOPLE));
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect") == COUNT(PEOPLE));
    for (size_t i = 0; i < COUNT(PEOPLE); i++) buf_free(&bodies[i]);
    h = handlers_free(h);
    world_close(&w);
}

/* Each command sees what those before it in the batch have done, and is written as if it had been alone. */
static void commands_of_one_entity(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "a@example.org");
    world_update(&w, "u1", 1, 1, "b@example.org");
    world_create(&w, "c2", "Byron", "A@example.org"); /* the address has just become free */
    world_update(&w, "u2", 1, 2, "a@EXAMPLE.org");    /* and is not any more */
    world_update(&w, "u3", 1, -1, "c@example.org");
    world_update(&w, "u4", 2, 1, "b@example.org");
    world_update(&w, "u5", 2, 2, "a@example.org"); /* back again */
    world_merge(&w, "m1", 2, 3, 1, 3);
    world_create(&w, "c3", "King", "c@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 9);
    world_expect_history(
        &w,
        "ProspectCreated prospect/1 1; ProspectUpdated prospect/1 2; ProspectCreated prospect/2 1; "
        "CommandRejected command/u2 0 duplicate_email email:duplicate_email; ProspectUpdated prospect/1 3; "
        "ProspectUpdated prospect/2 2; ProspectUpdated prospect/2 3; ProspectMerged prospect/1 4; "
        "ProspectUpdated prospect/2 4; ProspectCreated prospect/3 1; ");
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    CHECK(test_db_number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'a@example.org'") ==
          2);
    CHECK(test_db_number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'c@example.org'") ==
          3);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect WHERE version = 4") == 2);
    world_update(&w, "u6", 2, 4, "d@example.org"); /* and now over what is stored */
    world_update(&w, "u7", 2, 5, "a@example.org");
    world_update(&w, "u8", 3, 1, "d@example.org");
    CHECK(world_turn(&w) == 3);
    CHECK(test_db_number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'a@example.org'") ==
          2);
    CHECK(test_db_number(w.db, "SELECT prospect_id FROM prospect_email WHERE email_key = 'd@example.org'") ==
          3);
    CHECK(test_db_number(w.db, "SELECT version FROM prospect WHERE prospect_id = 2") == 6);
    world_close(&w);
}

SUITE_ON_ENGINES("handlers", TEST(one_batch), TEST(hopeless), TEST(same_id_other_body),
                 TEST(doubles_in_a_batch), TEST(one_id_of_several_people), TEST(commands_of_one_entity));
