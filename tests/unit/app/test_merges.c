#include "commands_kit.h"

/* Two prospects become one: both events in their order, in one transaction; the address of the one that goes
 * is free, and nobody changes it any more. */
static void merges(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "King", "king@example.org");
    world_merge(&w, "m1", 1, 2, 2, 0);  /* not this version */
    world_merge(&w, "m2", 1, 1, 2, 9);  /* nor that one of the other */
    world_merge(&w, "m3", 1, 1, 1, 0);  /* into itself */
    world_merge(&w, "m4", 1, 1, 77, 0); /* with nobody */
    world_merge(&w, "m5", 77, 1, 1, 0);
    world_merge(&w, "m6", 1, 1, 2, 1);
    world_merge(&w, "m7", 1, 2, 2, 0);  /* it has gone already */
    world_merge(&w, "m8", 2, -1, 1, 0); /* and takes nobody in */
    world_update(&w, "u1", 2, -1, "x@example.org");
    world_create(&w, "c3", "Byron", "KING@example.org"); /* the address is free */
    world_update(&w, "u2", 1, 2, "ada@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 13);
    CHECK(w.events == 14);
    world_expect_history(
        &w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
            "CommandRejected command/m1 0 version_conflict expectedVersion:version_conflict; "
            "CommandRejected command/m2 0 version_conflict mergedExpectedVersion:version_conflict; "
            "CommandRejected command/m3 0 invalid mergedProspectId:invalid_id; "
            "CommandRejected command/m4 0 not_found mergedProspectId:not_found; "
            "CommandRejected command/m5 0 not_found prospectId:not_found; "
            "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; "
            "CommandRejected command/m7 0 not_found mergedProspectId:not_found; "
            "CommandRejected command/m8 0 not_found prospectId:not_found; "
            "CommandRejected command/u1 0 not_found; "
            "ProspectCreated prospect/3 1; ProspectUpdated prospect/1 3; ");
    CHECK(test_db_number(w.db, "SELECT merged_into FROM prospect WHERE prospect_id = 2 AND email = ''") == 1);
    CHECK(test_db_number(w.db,
                         "SELECT prospect_id FROM prospect_email WHERE email_key = 'king@example.org'") == 3);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == 13);
    world_close(&w);
}

/* Where a merge fails halfway, nothing of it stays: neither a tombstone nor the first of its events. */
static void merge_is_one_thing(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "King", "king@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 2);
    world_make_trigger(&w, "INSERT ON outbox", "NEW.subject = 'prospect/1'", true);
    world_merge(&w, "m1", 1, 1, 2, 1);
    CHECK(world_turn(&w) == 1);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect WHERE version = 1 AND merged_into = 0") == 2);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM outbox") == 2);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect_email") == 2);
    world_drop_trigger(&w, "outbox");
    CHECK(world_turn_when_due(&w) == 1);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                             "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    world_close(&w);
}

/* A worker of another lane has changed one of the two between this command's reading and its writing, so that
 * its write finds no row of that version (a trigger does that here): all of the merge is undone, and it is
 * tried again. */
static void merge_meets_another_lane(void) {
    static const char *const LANES[] = {"NEW.prospect_id = 1", "NEW.prospect_id = 2"};
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "King", "king@example.org");
    world_open_service(&w);
    CHECK(world_turn(&w) == 2);
    world_merge(&w, "m1", 1, 1, 2, 1);
    for (size_t i = 0; i < COUNT(LANES); i++) {
        world_make_trigger(&w, "UPDATE ON prospect", LANES[i], false);
        CHECK(world_turn_when_due(&w) == 1);
        CHECK(test_db_number(w.db, "SELECT count(*) FROM outbox") == 2); /* neither event of the merge */
        CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect WHERE version = 1 AND merged_into = 0") ==
              2);
        CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect_email") == 2);
        world_drop_trigger(&w, "prospect");
    }
    CHECK(world_turn_when_due(&w) == 1);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                             "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    world_close(&w);
}

/* The same command twice, and once more after everything has come to pass. */
static void merge_once(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "King", "king@example.org");
    world_merge(&w, "m1", 1, 1, 2, 1);
    world_open_service(&w);
    QueueMessage *m;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w.receiver, 10, 30000, &m, &count, &err), &err));
    REQUIRE(count == 3);
    AUTO(Handlers) h = handlers_new(w.db);
    Handled results[3];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(handlers_run(h, m, count, results, &err), &err);
        CHECK(results[2].as == HANDLED_DONE && results[2].events == (i ? 0 : 2));
    }
    world_expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; "
                             "ProspectMerged prospect/2 2; ProspectUpdated prospect/1 2; ");
    h = handlers_free(h);
    world_close(&w);
}

SUITE_ON_ENGINES("merges", TEST(merges), TEST(merge_is_one_thing), TEST(merge_meets_another_lane),
                 TEST(merge_once));
