/* What is settled and old is forgotten; what waits, and what is dead, is not. */
#include "unit/queue/posts.h"

#include "base/buf.h"
#include "base/clock.h"
#include "queue/queue_memory.h"
#include <stdio.h>

static Db *open_table(const char *home) {
    char file[256];
    snprintf(file, sizeof file, "sqlite:%s/db/queue.db", home);
    return test_db_open(test_engine() == DB_SQLITE ? file : url + 4, (DbOptions){0});
}

/* A round; how many pieces it had. */
static size_t forget(QueueMemory *memory, Db *db, int64_t before_us) {
    bool more = true;
    size_t pieces = 0;
    Err err = {0};
    for (; more && pieces < 100; pieces++)
        REQUIRE(CHECK_OK(queue_memory_clean(memory, db, before_us, &more, &err), &err));
    return pieces;
}

/* The commands that are remembered, joined. */
static void expect_rows(Db *db, const char *want) {
    AUTO_BUF got = {0};
    Err err = {0};
    Stmt *s = db_statement(db, "SELECT command_id FROM command_queue ORDER BY queue_id");
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    while (stmt_row(s, &err)) buf_span(&got, stmt_text(s, 0));
    CHECK_SPAN(buf_view(&got), want);
}

static void what_is_settled_and_old_is_forgotten(void) {
    const char *home = new_table_queue();
    QueueMemory memory = {0};
    Err err = {0};
    fill_queue(home, "1:a 2:b 3:c 4:d 5:e");
    REQUIRE(CHECK_OK(queue_place(url, home, &memory.place, &err), &err));
    AUTO(Db) db = open_table(home);
    int64_t now = clock_now_us() + 1000000;
    forget(&memory, db, now); /* nobody has ever received */
    AUTO(QueueReceiver) r = open_receiver(home);
    expect(r, 10, "12345");
    complete(r, 1), complete(r, 2);
    CHECK_OK(queue_dead_letter(r, 3, "bad_body", &err), &err);
    forget(&memory, db, now); /* just now settled: their outcomes may be on their way */
    expect_rows(db, "12345");
    forget(&memory, db, now - 3600000000);
    expect_rows(db, "12345"); /* young */
    forget(&memory, db, now);
    expect_rows(db, "345"); /* a dead one stays for its operator */
    CHECK_OK(queue_release(r, 4, 0, true, &err), &err);
    complete(r, 5);
    forget(&memory, db, now), forget(&memory, db, now);
    expect_rows(db, "345"); /* 4 waits */
    expect(r, 10, "4");
    complete(r, 4);
    forget(&memory, db, now), forget(&memory, db, now);
    expect_rows(db, "3");
    AUTO(QueueSender) sender = open_sender(home);
    static Post posts[3];
    fill(&posts[0], "1", "a", "1"), fill(&posts[1], "3", "c", "3"), fill(&posts[2], "3", "c", "other");
    send_all(sender, posts, 3);
    static const QueueVerdict WANT[] = {QUEUE_ACCEPTED, QUEUE_REPEATED, QUEUE_CONFLICT};
    for (size_t i = 0; i < COUNT(WANT); i++) CHECK(posts[i].send.verdict == WANT[i]);
    expect(r, 10, "1");
    forget(&memory, db, now + 1000000), forget(&memory, db, now + 1000000);
    expect_rows(db, "31");
    r = queue_receiver_free(r);
    r = open_receiver(home);
    expect(r, 10, "1"); /* locked when it ended */
}

static void a_long_memory_goes_in_pieces(void) {
    enum { ROWS = 1300 };
    const char *home = new_table_queue();
    static Post posts[ROWS];
    static int64_t ids[ROWS];
    QueueMemory memory = {0};
    Err err = {0};
    AUTO(QueueSender) sender = open_sender(home);
    for (int i = 0; i < ROWS; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        fill(&posts[i], id, id, id);
    }
    send_all(sender, posts, ROWS);
    REQUIRE(CHECK_OK(queue_place(url, home, &memory.place, &err), &err));
    AUTO(QueueReceiver) r = open_receiver(home);
    AUTO(Db) db = open_table(home);
    QueueMessage *m;
    for (size_t count; (count = claim(r, ROWS, &m));) {
        for (size_t i = 0; i < count; i++) ids[i] = m[i].queue_id;
        for (size_t i = 0; i < count; i++) /* a page of dead ones must not end the round */
            if (ids[i] <= 600) CHECK_OK(queue_dead_letter(r, ids[i], "bad_body", &err), &err);
        CHECK_OK(queue_complete(r, ids, count, &err), &err);
    }
    int64_t now = clock_now_us() + 1000000;
    CHECK(forget(&memory, db, now) == 1);
    CHECK(forget(&memory, db, now) == 3);
    CHECK(test_db_number(db, "SELECT count(*) FROM command_queue") == 600);
    CHECK(forget(&memory, db, now) == 2);
}

/* By the sender itself, after work. */
static void a_sender_forgets(void) {
    const char *home = new_table_queue();
    AUTO(QueueSender) sender = open_sender(home);
    static Post post;
    queue_keep(sender, 1);
    AUTO(QueueReceiver) r = open_receiver(home);
    AUTO(Db) db = open_table(home);
    int64_t end = clock_mono_us() + 30000000, first = 1;
    for (int i = 0; first == 1 && clock_mono_us() < end; i++, clock_sleep_ms(300)) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        fill(&post, id, "k", id);
        send_all(sender, &post, 1);
        CHECK(post.send.verdict == QUEUE_ACCEPTED);
        QueueMessage *m;
        if (claim(r, 1, &m)) complete(r, m->queue_id);
        first = test_db_number(db, "SELECT min(queue_id) FROM command_queue");
    }
    CHECK(first > 1);
}

SUITE_ON_ENGINES("queue memory", TEST(what_is_settled_and_old_is_forgotten),
                 TEST(a_long_memory_goes_in_pieces), TEST(a_sender_forgets));
