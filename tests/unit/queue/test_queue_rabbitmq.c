/* What only a broker does. Not under the thread sanitizer: proton is not instrumented. */
#ifndef __SANITIZE_THREAD__
#include "unit/queue/claims.h"

#include "base/clock.h"
#include "queue/amqp_inbox.h"
#include <stdlib.h>

/* A broker that drops what it has seen must not take a second life, or another tenant's command, for a
 * repeat. */
static void message_ids_differ(void) {
    char ids[4][37];
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 0, ids[0]);
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 1, ids[1]);
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 2, ids[2]);
    amqp_message_id(SPAN("other"), SPAN("u"), SPAN("c"), 0, ids[3]);
    for (size_t i = 0; i < COUNT(ids); i++)
        for (size_t k = 0; k < i; k++) CHECK(strcmp(ids[i], ids[k]) != 0);
}

static int64_t now_ms(void) {
    return clock_mono_us() / 1000;
}

/* Whoever came first has the lanes; when he is gone, the other one gets what he had. */
static void the_second_takes_over(void) {
    const char *home = new_queue();
    QueueReceiver *first = open_receiver(home);
    AUTO(QueueReceiver) second = open_receiver(test_folder());
    fill_queue(home, "1:a 2:a 3:b 4:c 5:d 6:e 7:f 8:a");
    gather(first, 8);
    expect_nothing(second);
    queue_receiver_free(first);
    gather_and_complete(second, 8);
    CHECK(find("1") < find("2") && find("2") < find("8"));
}

/* The workers of one process have all lanes between them, and each key comes to one of them; another process gets
 * nothing until they have gone. */
static void workers_share_the_lanes(void) {
    enum { WORKERS = 3, KEYS = 40, EACH = 5 };
    static Post posts[KEYS * EACH];
    const char *home = new_queue();
    QueueReceiver *r[WORKERS];
    for (unsigned k = 0; k < WORKERS; k++) r[k] = open_worker(home, k, WORKERS);
    AUTO(QueueReceiver) other = open_receiver(test_folder());
    AUTO(QueueSender) sender = open_sender(home);
    for (int i = 0; i < KEYS * EACH; i++) {
        char id[16], key[16];
        snprintf(id, sizeof id, "%d", i), snprintf(key, sizeof key, "k%d", i % KEYS);
        fill(&posts[i], id, key, id);
    }
    send_all(sender, posts, KEYS * EACH);
    int next[KEYS] = {0}, whose[KEYS] = {0}, done = 0;
    size_t by[WORKERS] = {0};
    for (int64_t end = now_ms() + PATIENCE_MS; done < KEYS * EACH && now_ms() < end; clock_sleep_ms(2))
        for (int k = 0; k < WORKERS; k++) {
            got_count = 0;
            claim_once(r[k], 7);
            drop_late_ones(r[k]);
            for (size_t i = 0; i < got_count; i++, done++, by[k]++) {
                int number = atoi(got[i].body), key = number % KEYS;
                CHECK(number == key + KEYS * next[key]++);
                CHECK(!whose[key] || whose[key] == k + 1);
                whose[key] = k + 1;
            }
            complete_all(r[k]);
        }
    CHECK(done == KEYS * EACH);
    for (int k = 0; k < WORKERS; k++) CHECK(by[k] > 0);
    expect_nothing(other);
    for (int k = 0; k < WORKERS; k++) queue_receiver_free(r[k]);
    fill_queue(home, "a:a b:b c:c");
    gather_and_complete(other, 3);
}

/* What has been tried stays tried, whichever worker has its lane after the next start. */
static void other_workers_know_the_tries(void) {
    enum { WORKERS = 3 };
    const char *home = new_queue();
    Err err = {0};
    QueueReceiver *r[WORKERS], *only = open_receiver(home);
    fill_queue(home, "1:a 2:b 3:c 4:d 5:e 6:f");
    gather(only, 6);
    for (size_t i = 0; i < got_count; i++) CHECK_OK(queue_release(only, got[i].id, 0, true, &err), &err);
    queue_receiver_free(only);
    for (unsigned k = 0; k < WORKERS; k++) r[k] = open_worker(home, k, WORKERS);
    size_t done = 0;
    for (int64_t end = now_ms() + PATIENCE_MS; done < 6 && now_ms() < end; clock_sleep_ms(2))
        for (int k = 0; k < WORKERS; k++) {
            got_count = 0;
            claim_once(r[k], 6);
            for (size_t i = 0; i < got_count; i++, done++) CHECK(got[i].deliveries == 2);
            complete_all(r[k]);
        }
    CHECK(done == 6);
    for (int k = 0; k < WORKERS; k++) queue_receiver_free(r[k]);
}

static AmqpArrival *arrival(AmqpInbox *inbox, const char *body, uint64_t *connection) {
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end; clock_sleep_ms(2)) {
        AmqpArrival *found = NULL;
        for (AmqpArrival *a = amqp_inbox_take(inbox, connection), *next; a; a = next) {
            next = a->next;
            if (!found && span_is(a->command.body, body))
                found = a;
            else
                free(a);
        }
        if (found) return found;
    }
    CHECK(!"it has come");
    return NULL;
}

/* What RabbitMQ makes of each outcome: released it brings again (which modified is made of), accepted and rejected it forgets (its
 * lanes have no dead letter exchange). */
static void settle_modes(void) {
    static const struct {
        AmqpSettle how;
        bool again;
    } MODES[] = {{AMQP_RELEASE, true}, {AMQP_MODIFY, true}, {AMQP_REJECT, false}, {AMQP_ACCEPT, false}};
    const char *home = new_queue();
    AmqpUrl where;
    Err err = {0};
    uint64_t first = 0;
    AUTO(AmqpInbox) inbox = NULL;
    REQUIRE(CHECK_OK(amqp_url_parse(url, &where, &err) && amqp_inbox_open(&where, 0, 1, &inbox, &err), &err));
    for (size_t i = 0; i < COUNT(MODES); i++) {
        char words[16], body[2] = {(char)('p' + i), 0};
        snprintf(words, sizeof words, "%s:k", body);
        fill_queue(home, words);
        for (int times = 0; times <= MODES[i].again; times++) {
            uint64_t connection;
            AmqpArrival *a = arrival(inbox, body, &connection);
            if (!a) return;
            if (!first) first = connection;
            CHECK(connection == first); /* no outcome costs it */
            AmqpSettle how = times ? AMQP_ACCEPT : MODES[i].how;
            amqp_inbox_settle(inbox, a, how, how == AMQP_REJECT ? "a_reason" : NULL);
            amqp_inbox_flush(inbox);
            free(a);
        }
    }
    inbox = amqp_inbox_free(inbox);
    AUTO(QueueReceiver) r = open_receiver(home);
    expect_nothing_new(r);
    for (size_t i = 0; i < got_count; i++)
        CHECK(!strcmp(got[i].body, "s")); /* of the last one it may not have heard */
}

static void send_during_outage(QueueSender *sender) {
    static Post posts[20];
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "out-%d", i);
        fill(&posts[i], id, id, id);
    }
    int64_t began = now_ms();
    send_all(sender, posts, 20);
    CHECK(now_ms() - began < 10000);
    for (int i = 0; i < 20; i++)
        CHECK(posts[i].send.verdict == QUEUE_FAILED && err_is(&posts[i].send.err, &ERR_UNAVAILABLE));
}

static bool sends_one(QueueSender *sender, const char *id) {
    static Post post;
    fill(&post, id, id, id);
    send_all(sender, &post, 1);
    return post.send.verdict == QUEUE_ACCEPTED;
}

/* The broker is killed while messages are held: an outage is nobody's try, senders are told, all goes on
 * after. It takes long to start again; tests/e2e/36_amqp.test.mjs has the short form. */
static void an_outage(void) {
    if (!getenv("EVENTS_LONG")) return;
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    CHECK(sends_one(sender, "1") && sends_one(sender, "2") && sends_one(sender, "3"));
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    gather(r, 3);
    CHECK_OK(queue_release(r, find("3")->id, 0, true, &err), &err);
    test_rabbitmq_stop(broker);
    complete(r, find("1")->id);
    CHECK_OK(queue_release(r, find("2")->id, 0, false, &err), &err);
    send_during_outage(sender);
    expect_nothing(r);
    test_rabbitmq_again(broker);
    int64_t end = now_ms() + PATIENCE_MS;
    while (!sends_one(sender, "4") && now_ms() < end) clock_sleep_ms(100);
    bool one_again = false; /* whether the broker has heard that it is done, who knows */
    for (got_count = 0; now_ms() < end + PATIENCE_MS && got_count < 3U + one_again; clock_sleep_ms(2)) {
        claim_once(r, 10);
        drop_late_ones(r);
        for (size_t i = 0; i < got_count; i++) one_again = one_again || !strcmp(got[i].body, "1");
    }
    CHECK(find("2")->deliveries == 1 && find("3")->deliveries == 2 && find("4")->deliveries == 1);
    complete_all(r);
}

/* It is there and does not answer: no loop waits for ever. */
static void a_broker_that_hangs(void) {
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    CHECK(sends_one(sender, "1"));
    test_rabbitmq_hang(broker, true);
    send_during_outage(sender);
    test_rabbitmq_hang(broker, false);
    int64_t end = now_ms() + PATIENCE_MS;
    bool sent = false;
    while (!(sent = sends_one(sender, "2")) && now_ms() < end) clock_sleep_ms(100);
    CHECK(sent);
    AUTO(QueueReceiver) r = open_receiver(home);
    gather_and_complete(r, 2);
}

static void refused(const char *text, const ErrKind *kind, const char *why) {
    QueueReceiver *r = NULL;
    Err err = {0};
    int64_t began = now_ms();
    CHECK(!queue_receiver_open(text, test_folder(), &r, &err));
    CHECK(err_is(&err, kind));
    if (!strstr(err.why, why)) CHECK_SPAN(span_of(err.why), why);
    CHECK(!strstr(err.why, "secret") && now_ms() - began < 10000);
}

static void refusals(void) {
    char text[200];
    test_rabbitmq_url(broker, false, "wrong-secret", text, sizeof text);
    refused(text, &ERR_CONFIG, "Authentication failed");
    test_rabbitmq_url(broker, false, NULL, text, sizeof text);
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, ".others");
    refused(text, &ERR_CONFIG, "not-found");
    snprintf(text + len, sizeof text - len, "-of-others");
    refused(text, &ERR_CONFIG, "ACCESS_REFUSED");
    refused("amqp://u:secret@127.0.0.1:1/q", &ERR_UNAVAILABLE, "refused");
}

static void over_tls(void) {
    char good[300], text[160];
    const char *home = new_queue();
    test_rabbitmq_url(broker, true, NULL, text, sizeof text);
    refused(text, &ERR_UNAVAILABLE, "certificate verify failed"); /* the system does not know who signed it */
    snprintf(good, sizeof good, "%s?ca=%s", text, queue_test_ca());
    char *host = strstr(text, "localhost");
    char other[300];
    snprintf(other, sizeof other, "%.*s127.0.0.1%s?ca=%s", (int)(host - text), text,
             host + strlen("localhost"), queue_test_ca());
    refused(other, &ERR_UNAVAILABLE, "certificate verify failed"); /* it is another's name */
    strcat(text, "?ca=/nowhere.pem");
    refused(text, &ERR_CONFIG, "certificates");
    snprintf(url, sizeof url, "%s", good);
    fill_queue(home, "1:a 2:b");
    AUTO(QueueReceiver) r = open_receiver(home);
    gather(r, 2);
    complete_all(r);
}

static CU_TestInfo tests[] = {TEST(message_ids_differ),
                              TEST(the_second_takes_over),
                              TEST(workers_share_the_lanes),
                              TEST(other_workers_know_the_tries),
                              TEST(settle_modes),
                              TEST(refusals),
                              TEST(over_tls),
                              TEST(a_broker_that_hangs),
                              TEST(an_outage),
                              CU_TEST_INFO_NULL};
__attribute__((constructor)) static void register_rabbitmq(void) {
    test_suite_between("queue on rabbitmq", tests, use_rabbitmq, leave_rabbitmq);
}
#endif
