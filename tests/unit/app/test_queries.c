/* What is known of a command, while its traces move from the queue to the read model, and while either is
 * away. */
#include "app/queries.h"
#include "base/clock.h"
#include "kit/test.h"
#include "store/read/migrations_read.h"
#include "store/read/outcomes.h"
#include <stdio.h>
#include <unistd.h>

enum { PENDING = 1, SUCCEEDED, REJECTED, FAILED, UNKNOWN };

static char home[256], read_path[300], read_url[320];
static Loop *loop;

static void use_folder(void) {
    snprintf(home, sizeof home, "%s", test_folder());
    snprintf(read_path, sizeof read_path, "%s/read.db", home);
    snprintf(read_url, sizeof read_url, "sqlite:%s", read_path);
}

static void on_sent(QueueSend *send) {
    CHECK(send->verdict == QUEUE_ACCEPTED);
    loop_stop(loop);
}

static void accept_command(QueueSender *sender, const char *id) {
    Err err = {0};
    QueueSend send = {.tenant_id = SPAN("t"),
                      .issued_by = SPAN("u"),
                      .command_id = span_of(id),
                      .ordering_key = span_of(id),
                      .body = SPAN("body"),
                      .correlation_id = "correlation",
                      .done = on_sent};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    REQUIRE(CHECK_OK(queue_send(sender, loop, &send, &err), &err));
    loop_run(loop);
    loop = loop_free(loop);
}

/* The first of the waiting commands goes to the dead letter, the others are settled. */
static void work_off(void) {
    AUTO(QueueReceiver) receiver = NULL;
    QueueMessage *messages;
    size_t count;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_receiver_open("sql:", home, &receiver, &err), &err));
    REQUIRE(CHECK_OK(queue_claim(receiver, 10, 30000, &messages, &count, &err) && count, &err));
    for (size_t i = 1; i < count; i++)
        CHECK_OK(queue_complete(receiver, &messages[i].queue_id, 1, &err), &err);
    CHECK_OK(queue_dead_letter(receiver, messages[0].queue_id, "a reason", &err), &err);
}

static void project(const char *id, int status) {
    AUTO(Db) db = NULL;
    AUTO(Rows) rows = rows_new(&OUTCOME_ROWS);
    Err err = {0};
    REQUIRE(CHECK_OK(db_open(read_url, (DbOptions){0}, &db, &err) && read_migrate(db, &err), &err));
    if (!id) return;
    outcome_add(rows, &(OutcomeRow){.tenant_id = SPAN("t"),
                                    .issued_by = SPAN("u"),
                                    .command_id = span_of(id),
                                    .status = status,
                                    .subject = SPAN("prospect/1"),
                                    .event_id = SPAN(""),
                                    .code = SPAN(""),
                                    .errors = SPAN(""),
                                    .correlation_id = SPAN("correlation")});
    CHECK_OK(rows_flush(rows, db, &err), &err);
}

static int ask_as(Queries *q, const char *tenant, const char *user, const char *id) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__CommandOutcome *outcome;
    Err err = {0};
    if (!queries_outcome(q, span_of(tenant), span_of(user), span_of(id), arena, &outcome, &err))
        return err_is(&err, &ERR_NOT_FOUND) ? UNKNOWN : -1;
    CHECK_SPAN(span_of(outcome->command_id), id);
    CHECK_SPAN(span_of(outcome->correlation_id), "correlation");
    return (int)outcome->status;
}

static int ask(Queries *q, const char *id) {
    return ask_as(q, "t", "u", id);
}

static void from_the_queue_to_the_read_model(void) {
    use_folder();
    const QueriesOptions options = {read_url, "sql:", home};
    AUTO(Queries) q = queries_new(&options);
    CHECK(ask(q, "one") == -1); /* neither is there */
    AUTO(QueueSender) sender = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_sender_open("sql:", home, &sender, &err), &err));
    accept_command(sender, "one");
    accept_command(sender, "two");
    CHECK(ask(q, "one") == PENDING && ask(q, "two") == PENDING); /* from the moment of the 202 */
    CHECK(ask(q, "three") == UNKNOWN);
    CHECK(ask_as(q, "t", "somebody", "one") == UNKNOWN && ask_as(q, "u", "u", "one") == UNKNOWN);
    work_off();
    CHECK(ask(q, "one") == FAILED && ask(q, "two") == PENDING); /* settled, but not to be seen yet */
    project("two", REJECTED);
    clock_sleep_ms(300); /* a read model that lacks is looked for four times a second */
    CHECK(ask(q, "one") == FAILED && ask(q, "two") == REJECTED);
    CHECK(ask_as(q, "t", "somebody", "two") == UNKNOWN);
    project("one", SUCCEEDED); /* requeued */
    CHECK(ask(q, "one") == SUCCEEDED);
}

/* A read model that goes and comes is read again; meanwhile the queue tells what it knows. */
static void the_read_model_is_replaced(void) {
    use_folder();
    const QueriesOptions options = {read_url, "sql:", home};
    AUTO(Queries) q = queries_new(&options);
    AUTO(QueueSender) sender = NULL;
    Err err = {0};
    Db *db;
    REQUIRE(CHECK_OK(queue_sender_open("sql:", home, &sender, &err), &err));
    accept_command(sender, "one");
    project("one", SUCCEEDED);
    CHECK(ask(q, "one") == SUCCEEDED);
    CHECK(!unlink(read_path));
    CHECK(ask(q, "one") == PENDING);
    CHECK(!queries_db(q, &db, &err) && err_is(&err, &ERR_UNAVAILABLE));
    CHECK(access(read_path, F_OK)); /* and nobody has made an empty one */
    project("one", REJECTED);
    clock_sleep_ms(300);
    CHECK(ask(q, "one") == REJECTED);
}

SUITE("queries", TEST(from_the_queue_to_the_read_model), TEST(the_read_model_is_replaced));
