/* What fails, and what dies: nothing is lost, nothing happens twice, and others go on. */
#include "commands_kit.h"

#include "base/clock.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The crash between write.db's commit and the queue's marks: the batch comes again and has no second effect.
 */
static void crash_before_settling(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "King", "ADA@example.org");
    world_open_service(&w);
    QueueMessage *m;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(w.receiver, 10, 30000, &m, &count, &err), &err));
    REQUIRE(count == 2);
    AUTO(Handlers) h = handlers_new(w.db);
    Handled results[2];
    CHECK_OK(handlers_run(h, m, count, results, &err), &err);
    CHECK(results[0].as == HANDLED_DONE && results[0].events == 1 && results[1].as == HANDLED_DONE &&
          results[1].events == 1);
    h = handlers_free(h);
    world_close_service(&w); /* nothing was completed */
    world_open_service(&w);
    while (world_turn(&w)) continue;
    CHECK(w.events == 0);
    world_expect_history(
        &w,
        "ProspectCreated prospect/1 1; CommandRejected command/c2 0 duplicate_email email:duplicate_email; ");
    world_close_service(&w);
    world_open_service(&w);
    CHECK(world_turn(&w) == 0);
    world_close(&w);
}

/* A command that fails by itself: undone whole, tried five times within two seconds, then dead; others go on.
 */
static void failing_command(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_create(&w, "c2", "Poison", "poison@example.org");
    world_create(&w, "c3", "Byron", "byron@example.org");
    world_open_service(&w);
    world_poison(&w);
    int64_t start = clock_mono_us();
    CHECK(world_turn(&w) == 3);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ProspectCreated prospect/2 1; ");
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect") == 2);
    int tries = 1;
    int64_t waited_ms = 0; /* the machine's own slowness is not the queue's */
    while (clock_mono_us() - start < 30000000) {
        int64_t wait;
        bool only_wait;
        size_t handled = command_loop_turn(w.loop, &wait, &only_wait);
        if (handled)
            tries++;
        else if (wait < 0)
            break;
        else
            clock_sleep_ms(wait = wait > 0 ? wait : 1), waited_ms += wait;
    }
    CHECK(tries == QUEUE_TRIES);
    CHECK(waited_ms < 2000);
    QueueReader *reader = NULL;
    Err err = {0};
    QueueState state;
    char correlation[160];
    REQUIRE(CHECK_OK(queue_reader_open(w.queue_url, w.home, &reader, &err), &err));
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("c2"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_DEAD);
    queue_reader_free(reader);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == 2);
    world_close(&w);
}

/* One of 256 that no engine takes: it alone fails, and what is behind it by its key is left. */
static void poison_in_a_batch(void) {
    enum { COMMANDS = 256, BAD = 100, BEHIND = 101 };
    World w = world_open();
    REQUIRE(db_begin(w.queue, NULL));
    for (int i = 0; i < COMMANDS; i++) {
        char id[16], email[48];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(email, sizeof email, "%s.%d@example.org", i == BAD ? "poison" : "person", i);
        world_create(&w, id, "Lovelace", email);
    }
    REQUIRE(db_commit(w.queue, NULL));
    world_open_service(&w);
    world_poison(&w);
    QueueMessage *m;
    Err err = {0};
    REQUIRE(world_claim_all(&w, &m) == COMMANDS);
    m[BEHIND].key = m[BAD].key;
    static Handled results[COMMANDS];
    AUTO(Handlers) h = handlers_new(w.db);
    for (int again = 0; again < 2; again++) {
        CHECK_OK(handlers_run(h, m, COMMANDS, results, &err), &err);
        size_t done = 0;
        for (int i = 0; i < COMMANDS; i++)
            done += results[i].as == HANDLED_DONE && results[i].events == !again;
        CHECK(done == COMMANDS - 2);
        CHECK(results[BAD].as == HANDLED_FAILED && results[BEHIND].as == HANDLED_BEHIND);
    }
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect") == COMMANDS - 2);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM outbox") == COMMANDS - 2);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == COMMANDS - 2);
    h = handlers_free(h);
    world_close(&w);
}

/* Commands of one key keep their order although the first needs more than one try. */
static void order_behind_a_failing_one(void) {
    World w = world_open();
    world_create(&w, "c1", "Poison", "poison@example.org");
    world_create(&w, "c2", "Lovelace", "ada@example.org");
    world_create(&w, "c3", "Byron", "byron@example.org");
    REQUIRE(db_execute(w.queue, "UPDATE command_queue SET ordering_key = 'same' WHERE queue_id < 3", NULL));
    if (test_engine() != DB_SQLITE)
        test_db_run(w.queue, "UPDATE queue_ready SET ordering_key = 'same' WHERE queue_id < 3");
    world_open_service(&w);
    world_poison(&w);
    CHECK(world_turn(&w) == 3);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ");
    world_turn(&w); /* whether the next try of c1 is due already or not */
    world_expect_history(&w, "ProspectCreated prospect/1 1; ");
    world_drop_trigger(&w, "prospect_email");
    for (int i = 0; i < 5 && test_db_number(w.db, "SELECT count(*) FROM prospect") < 3; i++)
        world_turn_when_due(&w);
    static const char PLACE[] = "SELECT count(*) FROM prospect WHERE prospect_id <="
                                " (SELECT prospect_id FROM prospect WHERE email LIKE '%s%%')";
    char sql[160];
    snprintf(sql, sizeof sql, PLACE, "poison");
    CHECK(test_db_number(w.db, sql) == 2);
    snprintf(sql, sizeof sql, PLACE, "ada");
    CHECK(test_db_number(w.db, sql) == 3);
    world_close(&w);
}

/* The database is out: nothing is tried, nothing is lost, and no try is counted however long it takes. */
static void outage(void) {
    World w = world_open();
    world_create(&w, "c1", "Lovelace", "ada@example.org");
    world_open_service(&w);
    AUTO(Db) other = test_db_open(w.write_url, (DbOptions){0});
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin(other, &err), &err));
    if (test_engine() != DB_SQLITE) test_db_run(other, "LOCK TABLE prospect_email IN ACCESS EXCLUSIVE MODE");
    for (int i = 0; i < QUEUE_TRIES + 2; i++) {
        int64_t wait = -1;
        bool only_wait = false;
        CHECK(command_loop_turn(w.loop, &wait, &only_wait) == 0);
        CHECK(only_wait && wait > 0 && wait <= 5000);
    }
    db_rollback(other);
    CHECK(world_turn(&w) == 1);
    world_expect_history(&w, "ProspectCreated prospect/1 1; ");
    world_close(&w);
}

/* kill -9 at any moment, again and again: every command has exactly one effect. */
static void killed(void) {
    enum { MOST = 3000, KILLS = 8 };
    World w = world_open();
    const int COMMANDS = test_engine() == DB_SQLITE ? MOST : MOST / 5; /* each a few round trips */
    REQUIRE(db_begin(w.queue, NULL));
    for (int i = 0; i < COMMANDS; i++) {
        char id[48], email[48];
        snprintf(id, sizeof id, "c%d", i);
        snprintf(email, sizeof email, "person.%d@example.org", i);
        world_create(&w, id, "Lovelace", email);
    }
    REQUIRE(db_commit(w.queue, NULL));
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            world_open_service(&w);
            while (world_turn(&w)) continue;
            pause();
        }
        clock_sleep_ms(15 + i * 7 % 40);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    world_open_service(&w);
    while (world_turn(&w)) continue;
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect") == COMMANDS);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM prospect_email") == COMMANDS);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM command_done") == COMMANDS);
    CHECK(test_db_number(w.db, "SELECT count(DISTINCT subject) FROM outbox WHERE subject_version = 1") ==
          COMMANDS);
    CHECK(test_db_number(w.db, "SELECT count(*) FROM outbox") == COMMANDS);
    world_close(&w);
}

SUITE_ON_ENGINES("handlers_faults", TEST(crash_before_settling), TEST(failing_command),
                 TEST(poison_in_a_batch), TEST(order_behind_a_failing_one), TEST(outage), TEST(killed));
