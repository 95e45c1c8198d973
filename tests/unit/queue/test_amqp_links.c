/* The sending and receiving links of amqp/, with a real broker: this program has one. Not under the thread sanitizer:
 * proton is not instrumented. */
#ifndef __SANITIZE_THREAD__
#include "amqp/amqp_event.h"
#include "amqp/amqp_receiver.h"
#include "amqp/amqp_sender.h"
#include "broker.h"
#include "kit/test.h"

#include "base/clock.h"
#include <pthread.h>
#include <stdio.h>

enum { PATIENCE_MS = 20000, EVENTS = 300, QUEUE_WINDOW = 8 };
#define EXCHANGE "/exchange/prospect-events/events"
#define QUEUE    "/amq/queue/identity-commands.63"

/* What a receiver has got; of one that keeps, the messages. */
typedef struct Got {
    pthread_mutex_t lock;
    bool attached, keeps;
    size_t count;
    int last;
    bool in_order;
    AmqpMessage *kept;
    AmqpCoder *coder;
    AmqpReceiver *receiver;
} Got;

static void on_attached(void *user) {
    Got *g = user;
    pthread_mutex_lock(&g->lock);
    g->attached = true;
    pthread_mutex_unlock(&g->lock);
}

static bool on_message(void *user, AmqpMessage *message) {
    Got *g = user;
    AmqpEvent event = {0};
    pthread_mutex_lock(&g->lock);
    bool read = amqp_event_decode(g->coder, message->bytes, &event);
    int number = read ? atoi(event.json.at) : -1; /* its text ends with a bracket */
    g->in_order = g->in_order && number == g->last + 1;
    g->last = number;
    g->count++;
    bool keeps = g->keeps;
    if (keeps) message->next = g->kept, g->kept = message;
    pthread_mutex_unlock(&g->lock);
    return !keeps;
}

static bool has(Got *g, size_t count) {
    pthread_mutex_lock(&g->lock);
    bool has = g->attached && g->count >= count;
    pthread_mutex_unlock(&g->lock);
    return has;
}

static bool waits_for(Got *g, size_t count) {
    for (int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000); !has(g, count);) {
        if (clock_mono_us() > end) return false;
        clock_sleep_ms(5);
    }
    return true;
}

static AmqpUrl broker_url(void) {
    char text[200];
    AmqpUrl url;
    Err err = {0};
    test_rabbitmq_url(queue_test_broker(), false, NULL, text, sizeof text);
    CHECK_OK(amqp_url_parse(text, &url, &err), &err);
    return url;
}

static void receive(Got *g, const char *address, bool keeps) {
    const AmqpUrl url = broker_url();
    Err err = {0};
    *g = (Got){.keeps = keeps, .in_order = true};
    pthread_mutex_init(&g->lock, NULL);
    g->coder = amqp_coder_new();
    const AmqpReceiverOptions options = {.name = "test-receive",
                                         .address = address,
                                         .durable = keeps,
                                         .settled = !keeps,
                                         .window = QUEUE_WINDOW,
                                         .attached = on_attached,
                                         .message = on_message,
                                         .user = g};
    CHECK_OK(amqp_receiver_open(&url, &options, &g->receiver, &err), &err);
    CHECK(waits_for(g, 0));
}

static void end_receiving(Got *g) {
    amqp_receiver_free(g->receiver);
    for (AmqpMessage *m = g->kept, *next; m; m = next) next = m->next, free(m);
    amqp_coder_free(g->coder);
    pthread_mutex_destroy(&g->lock);
}

/* Numbers as events, from 1. */
static AmqpSent send_numbers(AmqpSender *sender, int from, size_t count, int64_t ms) {
    AUTO(AmqpCoder) coder = amqp_coder_new();
    AUTO_BUF bytes = {0};
    size_t ends[EVENTS];
    Span messages[EVENTS];
    for (size_t i = 0; i < count; i++) {
        char text[16];
        Err err = {0};
        snprintf(text, sizeof text, "%d]", from + (int)i);
        CHECK_OK(amqp_event_encode(coder, span_of(text), span_of(text), &bytes, &err), &err);
        ends[i] = bytes.len;
    }
    for (size_t i = 0, at = 0; i < count; at = ends[i++])
        messages[i] = span_bytes(bytes.at + at, ends[i] - at);
    return amqp_sender_send(sender, messages, count, ms);
}

static AmqpSender *open_sender(const char *address) {
    const AmqpUrl url = broker_url();
    AmqpSender *sender = NULL;
    Err err = {0};
    CHECK_OK(amqp_sender_open(&url, "test-send", address, &sender, &err), &err);
    return sender;
}

static void everybody_gets_all_in_order(void) {
    Got two[2];
    for (int i = 0; i < 2; i++) receive(&two[i], EXCHANGE, false);
    AUTO(AmqpSender) sender = open_sender(EXCHANGE);
    for (int round = 0; round < 2; round++) {
        AmqpSent sent = send_numbers(sender, 1 + round * EVENTS, EVENTS, PATIENCE_MS);
        CHECK(sent.accepted == EVENTS && !sent.why.kind);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(waits_for(&two[i], 2 * EVENTS));
        CHECK(two[i].count == 2 * EVENTS && two[i].in_order);
        end_receiving(&two[i]);
    }
}

/* Nothing more than the window comes; what was not given back comes again, to the next one. */
static void what_is_not_done_comes_again(void) {
    enum { ALL = 3 * QUEUE_WINDOW };
    Got got;
    AUTO(AmqpSender) sender = open_sender(QUEUE);
    CHECK(send_numbers(sender, 1, ALL, PATIENCE_MS).accepted == ALL);
    receive(&got, QUEUE, true);
    CHECK(waits_for(&got, QUEUE_WINDOW));
    clock_sleep_ms(100);
    CHECK(got.count == QUEUE_WINDOW);
    end_receiving(&got);
    receive(&got, QUEUE, true);
    for (size_t done = 0; done < ALL && waits_for(&got, done + 1);) {
        pthread_mutex_lock(&got.lock);
        AmqpMessage *m = got.kept;
        got.kept = NULL;
        pthread_mutex_unlock(&got.lock);
        for (AmqpMessage *next; m; m = next, done++) {
            next = m->next;
            amqp_receiver_done(got.receiver, m);
        }
    }
    CHECK(got.count == ALL && got.in_order);
    end_receiving(&got);
    receive(&got, QUEUE, true);
    clock_sleep_ms(200);
    CHECK(got.count == 0);
    end_receiving(&got);
}

/* It is there and does not answer; afterwards the same events go again, and all of them are there. */
static void a_broker_that_hangs(void) {
    Got got;
    receive(&got, EXCHANGE, false);
    AUTO(AmqpSender) sender = open_sender(EXCHANGE);
    CHECK(send_numbers(sender, 1, 1, PATIENCE_MS).accepted == 1);
    test_rabbitmq_hang(queue_test_broker(), true);
    AmqpSent sent = send_numbers(sender, 2, 10, 300);
    CHECK(sent.accepted == 0 && err_is(&sent.why, &ERR_UNAVAILABLE));
    test_rabbitmq_hang(queue_test_broker(), false);
    CHECK(send_numbers(sender, 2, 10, PATIENCE_MS).accepted == 10);
    CHECK(waits_for(&got, 11));
    end_receiving(&got);
}

static void *interrupt_soon(void *sender) {
    clock_sleep_ms(50);
    amqp_sender_interrupt(sender);
    return NULL;
}

static void nobody_there(void) {
    AmqpUrl url;
    Err err = {0};
    AUTO(AmqpSender) sender = NULL;
    pthread_t thread;
    CHECK_OK(amqp_url_parse("amqp://u:p@127.0.0.1:1/x", &url, &err), &err);
    CHECK_OK(amqp_sender_open(&url, "test-send", EXCHANGE, &sender, &err), &err);
    AmqpSent sent = send_numbers(sender, 1, 2, 100);
    CHECK(sent.accepted == 0 && err_is(&sent.why, &ERR_UNAVAILABLE));
    CHECK(!pthread_create(&thread, NULL, interrupt_soon, sender));
    int64_t began = clock_mono_us();
    CHECK(send_numbers(sender, 1, 2, 60000).accepted == 0);
    CHECK(clock_mono_us() - began < 30000000);
    pthread_join(thread, NULL);
}

/* An address that the broker lacks costs the connection, again and again, and nothing else. */
static void no_such_exchange(void) {
    AUTO(AmqpSender) sender = open_sender("/exchange/prospect-events-of-others/events");
    AmqpSent sent = send_numbers(sender, 1, 1, 1000);
    CHECK(sent.accepted == 0 && err_is(&sent.why, &ERR_UNAVAILABLE));
}

SUITE("amqp links", TEST(everybody_gets_all_in_order), TEST(what_is_not_done_comes_again),
      TEST(a_broker_that_hangs), TEST(nobody_there), TEST(no_such_exchange));
#endif
