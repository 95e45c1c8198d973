/* Every statement of this room that a server gets, in the dialects of servers (kit/texts.h). What files get needs
 * two of them, which the other tests of the room have. A statement that is new belongs into a function below. */
#include "kit/texts.h"

#include "queue/queue_dead.h"
#include "queue/queue_driver.h"
#include "queue/queue_letters_driver.h"
#include <stdio.h>

#define SAID(call) test_texts_said(call, &err)

static QueuePlace place_of(DbDialect dialect) {
    QueuePlace place = {.server = true};
    snprintf(place.queue, sizeof place.queue, "%s", test_texts_url(dialect));
    snprintf(place.dead, sizeof place.dead, "%s", test_texts_url(dialect));
    return place;
}

/* A repeat is among them, so that what was not added is looked for, too. */
static void say_sender(DbDialect dialect) {
    enum { SENDS = 2 };
    static QueueSend sends[SENDS];
    QueueSend *all[SENDS];
    QueuePlace place = place_of(dialect);
    QueueSendEngine *engine = NULL;
    Err err = {0};
    bool more;
    for (int i = 0; i < SENDS; i++) {
        sends[i] = (QueueSend){.tenant_id = SPAN("a"),
                               .issued_by = SPAN("u"),
                               .command_id = SPAN("c"),
                               .ordering_key = SPAN("k"),
                               .body = SPAN("b"),
                               .correlation_id = "r"};
        all[i] = &sends[i];
    }
    REQUIRE(CHECK_OK(queue_tables_sender_open(&place, &engine, &err), &err));
    engine->driver->store(engine, all, SENDS);
    CHECK(!strstr(sends[0].err.why, "parameter"));
    SAID(engine->driver->clean(engine, 100, &more, &err));
    engine->driver->free(engine);
}

static void say_receiver(DbDialect dialect) {
    QueuePlace place = place_of(dialect);
    QueueReceiver *r = NULL;
    QueueMessage *messages;
    QueueDepth depth;
    Err err = {0};
    size_t count = 0;
    const int64_t id = 0; /* as every row's */
    REQUIRE(CHECK_OK(queue_tables_receiver_open(&place, "owner", &r, &err), &err));
    for (int i = 0; i < 3; i++) {
        SAID(r->driver->claim(r, 8, 1000, &messages, &count, &err));
        CHECK(count == 1);
        if (i == 0) SAID(r->driver->complete(r, &id, 1, &err));
        if (i == 1) SAID(r->driver->release(r, id, 50, true, &err));
        if (i == 2) SAID(r->driver->dead_letter(r, id, "refused", &err));
    }
    SAID(r->driver->depth(r, &depth, &err));
    r->driver->free(r);
}

static void each_letter(void *user, const QueueLetter *letter) {
    (void)user, (void)letter;
}

static void say_letters(QueueLetters *letters, bool requeue) {
    AUTO(Arena) arena = arena_new(0);
    QueueLetter letter;
    Err err = {0};
    SAID(letters->driver->list(letters, 0, 10, each_letter, NULL, &err));
    SAID(letters->driver->get(letters, 1, arena, &letter, &err));
    if (requeue) SAID(letters->driver->requeue(letters, 1, &err));
    SAID(letters->driver->discard(letters, 1, &err));
    letters->driver->free(letters);
}

/* A broker's letters go back to a broker. */
static void say_dead(DbDialect dialect) {
    QueuePlace place = place_of(dialect);
    QueueLetters *letters = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_letters_tables_open(&place, &letters, &err), &err));
    say_letters(letters, true);
    REQUIRE(CHECK_OK(queue_letters_broker_open(&place, &letters, &err), &err));
    say_letters(letters, false);
    AUTO(Db) db = test_texts_open(dialect);
    const AmqpCommand command = {.message_id = SPAN("m")};
    char correlation_id[160];
    int64_t count;
    bool found;
    SAID(queue_dead_add(db, &command, 5, "refused", &err));
    SAID(queue_dead_find(db, SPAN("a"), SPAN("u"), SPAN("c"), &found, correlation_id, &err));
    SAID(queue_dead_count(db, &count, &err));
}

static void say_reader(DbDialect dialect) {
    AUTO(QueueReader) reader = NULL;
    QueueState state;
    Err err = {0};
    char url[700], correlation_id[160];
    snprintf(url, sizeof url, "sql:%s", test_texts_url(dialect));
    test_texts_answer(TEXT_ONES); /* the table is there */
    SAID(queue_reader_open(url, "/", &reader, &err));
    REQUIRE(reader != NULL);
    SAID(queue_find(reader, SPAN("a"), SPAN("u"), SPAN("c"), &state, correlation_id, &err));
}

static void (*const PARTS[])(DbDialect dialect) = {say_sender, say_receiver, say_dead, say_reader};

static void say_all(DbDialect dialect) {
    for (size_t i = 0; i < COUNT(PARTS); i++) {
        test_texts_begin();
        PARTS[i](dialect);
        CHECK(test_texts_count() > 2);
        test_texts_check(dialect);
    }
    test_texts_begin();
}

static void postgresql(void) {
    say_all(DB_POSTGRESQL);
}
static void sqlserver(void) {
    say_all(DB_SQLSERVER);
}

SUITE("texts of the queue", TEST(postgresql), TEST(sqlserver));
