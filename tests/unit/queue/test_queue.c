#include "unit/queue/posts.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* A claim on a server looks into some lanes only, so that others have theirs. */
static size_t claim_all(QueueReceiver *r) {
    QueueMessage *m;
    size_t total = 0, count;
    while ((count = claim(r, 10000, &m))) total += count;
    return total;
}

static size_t commits;
static void count_commit(void *user) {
    (void)user, commits++;
}

static void verdicts(void) {
    const char *home = new_table_queue();
    AUTO(QueueSender) sender = open_sender(home);
    queue_on_commit(sender, count_commit, NULL);
    static Post posts[4];
    fill(&posts[0], "one", "k", "body");
    fill(&posts[1], "one", "k", "body");
    fill(&posts[2], "one", "k", "other");
    fill(&posts[3], "two", "k", "body");
    commits = 0;
    send_all(sender, posts, 4); /* doubles within one batch, or of neighbouring ones */
    static const QueueVerdict WANT[] = {QUEUE_ACCEPTED, QUEUE_REPEATED, QUEUE_CONFLICT, QUEUE_ACCEPTED};
    for (size_t i = 0; i < 4; i++) CHECK(posts[i].send.verdict == WANT[i]);
    CHECK(strcmp(posts[1].send.correlation_id, "corr-one-body") == 0);
    CHECK(commits >= 1 && commits <= 4);
    fill(&posts[0], "one", "k", "body");
    snprintf(posts[0].correlation, sizeof posts[0].correlation, "later");
    fill(&posts[1], "one", "k", "other");
    fill(&posts[2], "one", "k", "body");
    posts[2].send.issued_by = SPAN("somebody else"); /* ids of others do not count */
    send_all(sender, posts, 3);
    CHECK(posts[0].send.verdict == QUEUE_REPEATED);
    CHECK(strcmp(posts[0].send.correlation_id, "corr-one-body") == 0);
    CHECK(posts[1].send.verdict == QUEUE_CONFLICT);
    CHECK(posts[2].send.verdict == QUEUE_ACCEPTED);
}

static bool depth_is(QueueReceiver *r, int64_t waiting, int64_t dead) {
    QueueDepth depth = {-1, -1};
    Err err = {0};
    CHECK_OK(queue_depth(r, &depth, &err), &err);
    if (depth.waiting == waiting && depth.dead == dead) return true;
    printf("\n    depth %lld, dead %lld", (long long)depth.waiting, (long long)depth.dead);
    return false;
}

/* Locked and delayed ones wait, too; repeats do not. */
static void depth(void) {
    const char *home = new_table_queue();
    Err err = {0};
    QueueMessage *m;
    queue_sender_free(open_sender(home)); /* makes the file */
    AUTO(QueueReceiver) r = open_receiver(home);
    CHECK(depth_is(r, 0, 0));
    fill_queue(home, "a:k b:k c:k d:k");
    fill_queue(home, "a:k b:k e:k");
    CHECK(depth_is(r, 5, 0));
    CHECK(claim(r, 3, &m) == 3);
    int64_t ids[3] = {m[0].queue_id, m[1].queue_id, m[2].queue_id};
    CHECK(depth_is(r, 5, 0));
    complete(r, ids[1]);
    CHECK(depth_is(r, 4, 0));
    CHECK_OK(queue_dead_letter(r, ids[0], "poison", &err), &err);
    CHECK(depth_is(r, 3, 1));
    CHECK_OK(queue_release(r, ids[2], 60000, true, &err), &err);
    CHECK(depth_is(r, 3, 1));
    r = queue_receiver_free(r);
    r = open_receiver(home);
    claim(r, 1, &m);
    CHECK(depth_is(r, 3, 1));
}

static void batches_of_all_sizes(void) {
    const char *home = new_table_queue();
    static Post posts[700];
    static const size_t SIZES[] = {1, 7, 8, 9, 31, 32, 33, 64, 255, 260};
    AUTO(QueueSender) sender = open_sender(home);
    size_t total = 0;
    for (size_t s = 0; s < COUNT(SIZES); s++) {
        for (size_t i = 0; i < SIZES[s]; i++) {
            char id[32];
            snprintf(id, sizeof id, "%zu-%zu", s, i);
            fill(&posts[i], id, id, id);
        }
        send_all(sender, posts, SIZES[s]);
        for (size_t i = 0; i < SIZES[s]; i++) CHECK(posts[i].send.verdict == QUEUE_ACCEPTED);
        send_all(sender, posts, SIZES[s]); /* all of them again */
        for (size_t i = 0; i < SIZES[s]; i++) CHECK(posts[i].send.verdict == QUEUE_REPEATED);
        total += SIZES[s];
    }
    AUTO(QueueReceiver) r = open_receiver(home);
    CHECK(claim_all(r) == total);
}

static void receiving(void) {
    const char *home = new_table_queue();
    fill_queue(home, "1:a 2:b 3:a 4:c");
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    QueueMessage *m;
    REQUIRE(claim(r, 2, &m) == 2);
    CHECK(m[0].deliveries == 1 && m[0].queue_id == 1 && m[0].accepted_at > 0);
    CHECK(m[0].body_hash == hash_stable(SPAN("1")));
    CHECK_SPAN(m[0].key, "t\na");
    expect(r, 10, "4"); /* 3 stands behind 1 */
    complete(r, 1);
    expect(r, 10, "3");
    CHECK(queue_next_due_ms(r) == -1);
    CHECK_OK(queue_release(r, 3, 200, true, &err), &err);
    CHECK(queue_next_due_ms(r) > 0 && queue_next_due_ms(r) <= 200);
    expect(r, 10, "");
    CHECK_OK(queue_release(r, 4, 0, false, &err), &err);
    REQUIRE(claim(r, 10, &m) == 1);
    CHECK(m[0].queue_id == 4 && m[0].deliveries == 1); /* was no try */
    clock_sleep_ms(210);
    REQUIRE(claim(r, 10, &m) == 1);
    CHECK(m[0].queue_id == 3 && m[0].deliveries == 2);
    complete(r, 2), complete(r, 3), complete(r, 4);
    expect(r, 10, "");
    fill_queue(home, "5:a");
    expect(r, 10, "5");
}

/* There what was locked until its lease ran out may have killed its handler: it comes alone. */
static void leases_by_the_servers_clock(QueueReceiver *r) {
    QueueMessage *m;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(r, 10, 200, &m, &count, &err), &err));
    CHECK(count == 2);
    expect(r, 10, "");
    clock_sleep_ms(250);
    expect(r, 10, "1");
    complete(r, 1);
    expect(r, 10, "2");
}

static void leases(void) {
    const char *home = new_table_queue();
    fill_queue(home, "1:a 2:a");
    AUTO(QueueReceiver) r = open_receiver(home);
    if (test_engine() != DB_SQLITE) {
        leases_by_the_servers_clock(r);
        return;
    }
    clock_fake(1000000000000000);
    expect(r, 10, "12");
    clock_fake(1000000000000000 + 29000000);
    expect(r, 10, "");
    clock_fake(1000000000000000 + 30000000);
    expect(r, 10, "12");
    clock_fake(-1);
}

/* What was locked when the process ended comes again, alone and with its count; what was settled does not. */
static void restart(void) {
    const char *home = new_table_queue();
    fill_queue(home, "1:a 2:b 3:c 4:d 5:e 6:f");
    Err err = {0};
    QueueReceiver *r = open_receiver(home);
    expect(r, 5, "12345");
    complete(r, 1), complete(r, 3);
    CHECK_OK(queue_dead_letter(r, 4, "bad_body", &err), &err);
    CHECK_OK(queue_release(r, 5, 100000, true, &err), &err);
    queue_receiver_free(r);
    r = open_receiver(home);
    QueueMessage *m;
    REQUIRE(claim(r, 10, &m) == 1);
    CHECK(m[0].queue_id == 2 && m[0].deliveries == 2);
    bool waits = test_engine() != DB_SQLITE; /* a server's clock goes on, so 5 still waits */
    REQUIRE(claim(r, 10, &m) == (waits ? 1 : 2));
    if (!waits) CHECK(m[0].queue_id == 5 && m[0].deliveries == 2);
    CHECK(m[!waits].queue_id == 6 && m[!waits].deliveries == 1);
    const int64_t ids[] = {2, 6, 5};
    CHECK_OK(queue_complete(r, ids, waits ? 2 : 3, &err), &err);
    queue_receiver_free(r);
    r = open_receiver(home);
    expect(r, 10, "");
    queue_receiver_free(r);
}

static void finding(void) {
    const char *home = new_table_queue();
    Err err = {0};
    fill_queue(home, "1:a 2:b");
    QueueReader *reader = NULL;
    REQUIRE(CHECK_OK(queue_reader_open(url, home, &reader, &err), &err));
    QueueState state;
    char correlation[160];
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("1"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_PENDING && strcmp(correlation, "corr-1-1") == 0);
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("v"), SPAN("1"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_UNKNOWN);
    AUTO(QueueReceiver) r = open_receiver(home);
    expect(r, 10, "12");
    CHECK_OK(queue_dead_letter(r, 2, "unknown_type", &err), &err);
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("2"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_DEAD);
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("1"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_PENDING);
    queue_reader_free(reader);
}

/* queue.db is lost and made anew, its marks are not: ids that count as settled are given to new commands. */
static void a_new_queue_is_not_settled_by_old_marks(void) {
    if (test_engine() != DB_SQLITE) return; /* there both are in one database */
    const char *home = new_table_queue();
    fill_queue(home, "1:a 2:b 3:c");
    AUTO(QueueReceiver) r = open_receiver(home);
    expect(r, 10, "123");
    Err err = {0};
    CHECK_OK(queue_complete(r, (int64_t[]){1, 2, 3}, 3, &err), &err);
    static const char *const FILES[] = {"queue.db", "queue.db-wal", "queue.db-shm"};
    for (size_t i = 0; i < COUNT(FILES); i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/db/%s", home, FILES[i]);
        CHECK(unlink(path) == 0 || i > 0);
    }
    fill_queue(home, "4:a 5:b");
    expect(r, 10, "45"); /* while it runs */
    r = queue_receiver_free(r);
    r = open_receiver(home); /* and after a restart, where they were locked and so come one by one */
    expect(r, 10, "4");
    complete(r, 1);
    expect(r, 10, "5");
    complete(r, 2);
    r = queue_receiver_free(r);
    r = open_receiver(home);
    expect(r, 10, "");
}

/* A requeue in files that was cut between its two steps: the receiver's start ends it. */
static void a_letter_without_its_command_is_forgotten(void) {
    if (test_engine() != DB_SQLITE) return;
    const char *home = new_table_queue();
    Err err = {0};
    fill_queue(home, "1:a 2:b 3:c");
    QueueReceiver *r = open_receiver(home);
    expect(r, 10, "123");
    complete(r, 1);
    CHECK_OK(queue_dead_letter(r, 2, "poison", &err), &err);
    CHECK_OK(queue_dead_letter(r, 3, "poison", &err), &err);
    queue_receiver_free(r);
    char file[256];
    snprintf(file, sizeof file, "sqlite:%s/db/queue.db", home);
    AUTO(Db) db = test_db_open(file, (DbOptions){0});
    test_db_run(db, "UPDATE command_queue SET queue_id = 4 WHERE queue_id = 2");
    r = open_receiver(home);
    CHECK(depth_is(r, 1, 1));
    expect(r, 10, "2");
    queue_receiver_free(r);
}

static void refusals(void) {
    static const char *const URLS[] = {"amqp://x",     "mqtt://x", "sql:postgresql://x",
                                       "sql:nonsense", "",         "sql:sqlite:"};
    const char *home = new_table_queue();
    for (size_t i = 0; i < COUNT(URLS); i++) {
        QueueSender *sender = NULL;
        Err err = {0};
        CHECK(!queue_sender_open(URLS[i], home, &sender, &err));
        CHECK(err_is(&err, &ERR_CONFIG));
    }
    if (test_engine() != DB_SQLITE) return; /* there the first who comes makes the tables */
    Err err = {0};
    QueueReceiver *r = NULL;
    CHECK(!queue_receiver_open("sql:", home, &r, &err) && err_is(&err, &ERR_DB_DOWN)); /* no queue.db yet */
}

static const SqlText FILL = {
    .sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
              " INSERT INTO command_queue SELECT i, 't', 'u', 'c' || i, i, 'k' || (i % 5000), 0,"
              " x'0102', 'corr', 1, 0 FROM n",
    .postgresql = "INSERT INTO command_queue SELECT i, 't', 'u', 'c' || i, i, 'k' || (i % 5000), i % 8,"
                  " '\\x0102', 'corr', 1, 0 FROM generate_series(1, 100000) i"};

/* 100,000 waiting commands: a claim must not look at those behind it. */
static void backlog(void) {
    const char *home = new_table_queue();
    queue_sender_free(open_sender(home));
    char file[256];
    snprintf(file, sizeof file, "sqlite:%s/db/queue.db", home);
    AUTO(Db) db = test_db_open(test_engine() == DB_SQLITE ? file : url + 4, (DbOptions){0});
    Err err = {0};
    test_db_run(db, db_text(db, &FILL));
    if (test_engine() != DB_SQLITE)
        test_db_run(db,
                    "INSERT INTO queue_ready SELECT queue_id, lane, tenant_id || chr(10) || ordering_key, 0,"
                    " 0, 0, 0 FROM command_queue");
    AUTO(QueueReceiver) r = open_receiver(home);
    int64_t start = clock_mono_us(), ids[256], done = 0;
    for (int round = 0; round < 40; round++) {
        QueueMessage *m;
        size_t count = claim(r, 256, &m);
        CHECK(count == 256);
        for (size_t i = 0; i < count; i++) ids[i] = m[i].queue_id, done += m[i].queue_id == done + 1;
        CHECK_OK(queue_complete(r, ids, count, &err), &err);
    }
    CHECK(done == 40 * 256);
    printf("\n    claim + complete, batches of 256: %.1f us a message",
           (double)(clock_mono_us() - start) / (40 * 256));
}

/* kill -9 of the sender at a random moment: whatever it had been told is accepted is there. */
static void sender_killed(void) {
    const char *home = new_table_queue();
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        AUTO(QueueSender) sender = open_sender(home);
        static Post posts[20];
        for (int round = 0;; round++) {
            for (int i = 0; i < 20; i++) {
                char id[32];
                snprintf(id, sizeof id, "%d", round * 20 + i);
                fill(&posts[i], id, "k", id);
            }
            send_all(sender, posts, 20);
            int accepted = (round + 1) * 20;
            if (write(pipes[1], &accepted, sizeof accepted) < 0) _exit(1);
        }
    }
    close(pipes[1]);
    struct pollfd first = {.fd = pipes[0], .events = POLLIN};
    CHECK(poll(&first, 1, 20000) == 1);
    clock_sleep_ms(100);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    int accepted = 0;
    while (read(pipes[0], &accepted, sizeof accepted) == sizeof accepted) continue;
    close(pipes[0]);
    CHECK(accepted > 0);
    AUTO(QueueReceiver) r = open_receiver(home);
    QueueMessage *m;
    CHECK(claim(r, 60000, &m) >= (size_t)accepted);
}

/* What waits is announced until it has come, also where the server's clock shows it a little later than ours:
 * else it would come with the fall-back poll. */
static void a_delayed_message_stays_announced(void) {
    if (test_engine() == DB_SQLITE) return; /* one clock */
    const char *home = new_table_queue();
    fill_queue(home, "1:a");
    AUTO(QueueReceiver) r = open_receiver(home);
    AUTO(Db) db = test_db_open(url + 4, (DbOptions){0});
    QueueMessage *m;
    Err err = {0};
    size_t count = 0;
    REQUIRE(claim(r, 10, &m) == 1);
    CHECK_OK(queue_release(r, 1, 20, true, &err), &err);
    CHECK_OK(queue_complete(r, NULL, 0, &err), &err);
    test_db_run(db, "UPDATE queue_ready SET visible_at = visible_at + 200000");
    int64_t end = clock_mono_us() + 5000000;
    for (; !(count = claim(r, 10, &m)) && clock_mono_us() < end; clock_sleep_ms(5))
        CHECK(queue_next_due_ms(r) >= 0);
    REQUIRE(count == 1);
    CHECK(m[0].deliveries == 2);
    CHECK(queue_next_due_ms(r) == -1);
}

/* --- where several receivers work --- */

/* Two have never the same message, nor a later one of a key that the other one holds. */
static void two_receivers(void) {
    if (test_engine() == DB_SQLITE) return;
    const char *home = new_table_queue();
    AUTO(QueueSender) sender = open_sender(home);
    static Post posts[400];
    enum { COUNT_OF = 400, KEYS = 40 };
    for (int i = 0; i < COUNT_OF; i++) {
        char id[16], key[16];
        snprintf(id, sizeof id, "%d", i), snprintf(key, sizeof key, "k%d", i % KEYS);
        fill(&posts[i], id, key, id);
    }
    send_all(sender, posts, COUNT_OF);
    QueueReceiver *r[2] = {open_worker(home, 0, 2), open_worker(home, 1, 2)};
    int next[KEYS] = {0}, seen = 0, by[2] = {0};
    for (int round = 0; round < 200 && seen < COUNT_OF; round++) {
        QueueMessage *m[2];
        size_t count[2];
        bool holds[2][KEYS] = {{false}};
        for (int k = 0; k < 2; k++) {
            count[k] = claim(r[k], 20, &m[k]);
            for (size_t i = 0; i < count[k]; i++) {
                int number = atoi(m[k][i].body.at), key = number % KEYS;
                CHECK(number == key + KEYS * next[key]++);
                holds[k][key] = true;
                seen++, by[k]++;
            }
        }
        for (int i = 0; i < KEYS; i++) CHECK(!holds[0][i] || !holds[1][i]);
        for (int k = 0; k < 2; k++)
            for (size_t i = 0; i < count[k]; i++) complete(r[k], m[k][i].queue_id);
    }
    CHECK(seen == COUNT_OF && by[0] > 40 && by[1] > 40);
    for (int k = 0; k < 2; k++) queue_receiver_free(r[k]);
}

/* The server goes away while messages are held: what was done stays done, what was not is nobody's try. */
static void an_outage_is_no_try(void) {
    if (test_engine() == DB_SQLITE) return;
    const char *home = new_table_queue();
    fill_queue(home, "1:a 2:b 3:c");
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    QueueMessage *m;
    REQUIRE(claim(r, 10, &m) == 3);
    clock_sleep_ms(700); /* the marks are on disk by then */
    test_postgres_stop(test_postgresql());
    CHECK(!queue_complete(r, (int64_t[]){1}, 1, &err));
    CHECK(queue_release(r, 2, 0, false, &err));
    CHECK(queue_release(r, 3, 0, true, &err));
    size_t count;
    err_clear(&err);
    CHECK(!queue_claim(r, 10, 30000, &m, &count, &err) && count == 0 && err_is(&err, &ERR_DB_DOWN));
    test_postgres_again(test_postgresql());
    for (int i = 0; i < 200; i++) {
        err_clear(&err);
        if (queue_claim(r, 10, 30000, &m, &count, &err)) break;
        clock_sleep_ms(50);
    }
    REQUIRE(count == 2);
    CHECK(m[0].queue_id == 2 && m[0].deliveries == 1);
    CHECK(m[1].queue_id == 3 && m[1].deliveries == 2);
}

/* Doubles that are sent by gateways at the same moment: one is accepted, the others are told the first. */
static void many_senders(void) {
    if (test_engine() == DB_SQLITE) return;
    const char *home = new_table_queue();
    enum { COUNT_OF = 100 };
    queue_sender_free(open_sender(home));
    pid_t pids[3];
    for (int k = 0; k < 3; k++) {
        if ((pids[k] = fork())) continue;
        static Post posts[COUNT_OF];
        AUTO(QueueSender) sender = open_sender(home);
        int accepted = 0;
        for (int i = 0; i < COUNT_OF; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d", k == 1 ? COUNT_OF - i : i);
            fill(&posts[i], id, id, "same");
        }
        send_all(sender, posts, COUNT_OF);
        for (int i = 0; i < COUNT_OF; i++) {
            if (posts[i].send.verdict > QUEUE_REPEATED) _exit(255);
            accepted += posts[i].send.verdict == QUEUE_ACCEPTED;
        }
        _exit(accepted);
    }
    int accepted = 0;
    for (int k = 0; k < 3; k++) {
        int status = 0;
        CHECK(waitpid(pids[k], &status, 0) == pids[k] && WIFEXITED(status) &&
              WEXITSTATUS(status) <= COUNT_OF);
        accepted += WEXITSTATUS(status);
    }
    CHECK(accepted == COUNT_OF + 1);
    AUTO(QueueReceiver) r = open_receiver(home);
    CHECK(claim_all(r) == COUNT_OF + 1);
}

SUITE_ON_ENGINES("queue", TEST(verdicts), TEST(depth), TEST(batches_of_all_sizes), TEST(receiving),
                 TEST(leases), TEST(restart), TEST(finding), TEST(a_new_queue_is_not_settled_by_old_marks),
                 TEST(a_letter_without_its_command_is_forgotten), TEST(refusals), TEST(backlog),
                 TEST(sender_killed), TEST(a_delayed_message_stays_announced), TEST(two_receivers),
                 TEST(many_senders), TEST(an_outage_is_no_try));
