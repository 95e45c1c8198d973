/* What each broker is told, as bytes that a peer of our own has read: no socket, no thread, and no Service Bus. */
#include "queue/amqp_form.h"

#include "kit/test.h"
#include "queue/queue.h"
#include <proton/connection_driver.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <stdio.h>

enum { LANE = 7, MESSAGES = 4 };
static const AmqpUrl RABBITMQ = {.queue = "identity-commands"};
static const AmqpUrl SERVICE_BUS = {.queue = "identity-commands", .service_bus = true};

/* Two engines and the bytes between them. */
typedef struct Wire {
    pn_connection_driver_t ours, theirs;
    pn_session_t *session;
    pn_link_t *sender, *receiver;
} Wire;

static size_t move(pn_connection_driver_t *from, pn_connection_driver_t *to) {
    pn_bytes_t out = pn_connection_driver_write_buffer(from);
    pn_rwbytes_t in = pn_connection_driver_read_buffer(to);
    size_t size = out.size < in.size ? out.size : in.size;
    if (!size) return 0;
    memcpy(in.start, out.start, size);
    pn_connection_driver_read_done(to, size);
    pn_connection_driver_write_done(from, size);
    return size;
}

static void drop_events(pn_connection_driver_t *d) {
    while (pn_connection_driver_next_event(d)) continue;
}

static void pump(Wire *w) {
    for (size_t moved = 1, turns = 0; moved && turns < 1000; turns++) {
        drop_events(&w->ours), drop_events(&w->theirs);
        moved = move(&w->ours, &w->theirs) + move(&w->theirs, &w->ours);
    }
}

/* Both links have been asked for; the broker has not answered. */
static Wire *wire_new(const AmqpUrl *url) {
    Wire *w = must(calloc(1, sizeof *w));
    REQUIRE(!pn_connection_driver_init(&w->ours, NULL, NULL) &&
            !pn_connection_driver_init(&w->theirs, NULL, NULL));
    pn_transport_set_server(w->theirs.transport);
    pn_connection_open(w->ours.connection), pn_connection_open(w->theirs.connection);
    w->session = pn_session(w->ours.connection);
    pn_session_open(w->session);
    w->sender = pn_sender(w->session, "send");
    w->receiver = pn_receiver(w->session, "receive");
    amqp_form_sender(url, LANE, w->sender);
    amqp_form_receiver(url, LANE, w->receiver);
    pn_link_open(w->sender), pn_link_open(w->receiver);
    pump(w);
    return w;
}

static Wire *wire_free(Wire *w) {
    pn_connection_driver_destroy(&w->ours), pn_connection_driver_destroy(&w->theirs);
    free(w);
    return NULL;
}
AUTO_FREE(Wire, wire_free)

/* The broker's end of our receiver, or of our sender. */
static pn_link_t *their_link(const Wire *w, bool receiver) {
    pn_link_t *link = pn_link_head(w->theirs.connection, 0);
    while (link && pn_link_is_sender(link) != receiver) link = pn_link_next(link, 0);
    REQUIRE(link);
    return link;
}

static void text_is(pn_bytes_t got, const char *want) {
    CHECK_SPAN(span_bytes(got.start, got.size), want);
}

static void addresses(void) {
    static const struct {
        const AmqpUrl *url;
        const char *address;
        pn_rcv_settle_mode_t settles;
    } CASES[] = {{&RABBITMQ, "/amq/queue/identity-commands.07", PN_RCV_FIRST},
                 {&SERVICE_BUS, "identity-commands", PN_RCV_SECOND}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Wire) w = wire_new(CASES[i].url);
        pn_link_t *to = their_link(w, false), *from = their_link(w, true);
        CHECK_SPAN(span_of(pn_terminus_get_address(pn_link_remote_target(to))), CASES[i].address);
        CHECK_SPAN(span_of(pn_terminus_get_address(pn_link_remote_source(from))), CASES[i].address);
        CHECK(pn_link_remote_snd_settle_mode(to) == PN_SND_UNSETTLED);
        CHECK(pn_link_remote_snd_settle_mode(from) == PN_SND_UNSETTLED);
        CHECK(pn_link_remote_rcv_settle_mode(from) == CASES[i].settles);
    }
}

static void a_lane_is_a_session(void) {
    AUTO(Wire) w = wire_new(&SERVICE_BUS);
    pn_data_t *filter = pn_terminus_filter(pn_link_remote_source(their_link(w, true)));
    pn_data_rewind(filter);
    REQUIRE(pn_data_next(filter) && pn_data_type(filter) == PN_MAP && pn_data_get_map(filter) == 2);
    REQUIRE(pn_data_enter(filter) && pn_data_next(filter) && pn_data_type(filter) == PN_SYMBOL);
    text_is(pn_data_get_symbol(filter), "com.microsoft:session-filter");
    REQUIRE(pn_data_next(filter) && pn_data_type(filter) == PN_DESCRIBED && pn_data_enter(filter));
    REQUIRE(pn_data_next(filter) && pn_data_type(filter) == PN_ULONG);
    CHECK(pn_data_get_ulong(filter) == UINT64_C(0x137000000C));
    REQUIRE(pn_data_next(filter) && pn_data_type(filter) == PN_STRING);
    text_is(pn_data_get_string(filter), "lane-07");
    AUTO(Wire) other = wire_new(&RABBITMQ);
    CHECK(pn_data_size(pn_terminus_filter(pn_link_remote_source(their_link(other, true)))) == 0);
}

/* The broker tells which session it has given: another one, or none, is not ours. */
static void only_the_session_asked_for_will_do(void) {
    static const struct {
        const char *name, *session; /* NULL: no such member */
        bool described, granted;
    } CASES[] = {{"com.microsoft:session-filter", "lane-07", false, true},
                 {"com.microsoft:session-filter", "lane-07", true, true},
                 {"com.microsoft:session-filter", "lane-08", false, false},
                 {"com.microsoft:session-filter", "lane-08", true, false},
                 {"com.microsoft:other-filter", "lane-07", false, false},
                 {NULL, NULL, false, false}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Wire) w = wire_new(&SERVICE_BUS);
        pn_link_t *link = their_link(w, true);
        pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
        pn_data_t *filter = pn_terminus_filter(pn_link_source(link));
        pn_data_clear(filter);
        if (CASES[i].name) {
            pn_data_put_map(filter), pn_data_enter(filter);
            pn_data_put_symbol(filter, pn_bytes(strlen(CASES[i].name), CASES[i].name));
            if (CASES[i].described) {
                pn_data_put_described(filter), pn_data_enter(filter);
                pn_data_put_ulong(filter, UINT64_C(0x137000000C));
            }
            pn_data_put_string(filter, pn_bytes(strlen(CASES[i].session), CASES[i].session));
        }
        pn_session_open(pn_link_session(link));
        pn_link_open(link);
        pump(w);
        CHECK(amqp_form_granted(&SERVICE_BUS, LANE, w->receiver) == CASES[i].granted);
        CHECK(amqp_form_granted(&RABBITMQ, LANE, w->receiver));
    }
}

/* The broker has sent so many messages, which are here, one after the other. */
static void deliver(Wire *w, pn_delivery_t *sent[MESSAGES], pn_delivery_t *got[MESSAGES]) {
    pn_link_t *link = their_link(w, true);
    pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
    pn_session_open(pn_link_session(link));
    pn_link_open(link);
    pn_link_flow(w->receiver, MESSAGES);
    pump(w);
    for (int i = 0; i < MESSAGES; i++) {
        sent[i] = pn_delivery(link, pn_dtag((const char[]){(char)('a' + i)}, 1));
        pn_link_send(link, "x", 1);
        pn_link_advance(link);
    }
    pump(w);
    for (int i = 0; i < MESSAGES; i++) {
        got[i] = pn_link_current(w->receiver);
        REQUIRE(got[i] && pn_delivery_readable(got[i]));
        pn_link_advance(w->receiver);
    }
}

static void settle_modes(void) {
    static const uint64_t STATES[MESSAGES] = {[AMQP_ACCEPT] = PN_ACCEPTED,
                                              [AMQP_RELEASE] = PN_RELEASED,
                                              [AMQP_MODIFY] = PN_MODIFIED,
                                              [AMQP_REJECT] = PN_REJECTED};
    static const AmqpUrl *const URLS[] = {&RABBITMQ, &SERVICE_BUS};
    for (size_t u = 0; u < COUNT(URLS); u++) {
        AUTO(Wire) w = wire_new(URLS[u]);
        pn_delivery_t *sent[MESSAGES], *got[MESSAGES];
        bool waits = URLS[u]->service_bus;
        deliver(w, sent, got);
        for (int i = 0; i < MESSAGES; i++)
            CHECK(amqp_form_settle(URLS[u], got[i], (AmqpSettle)i,
                                   i == AMQP_REJECT ? "unknown_command_type" : NULL) == !waits);
        pump(w);
        for (int i = 0; i < MESSAGES; i++) {
            CHECK(pn_delivery_remote_state(sent[i]) ==
                  (i == AMQP_MODIFY && !URLS[u]->service_bus ? (uint64_t)PN_RELEASED : STATES[i]));
            CHECK(pn_delivery_settled(sent[i]) == !waits);
        }
        CHECK(pn_disposition_is_failed(pn_delivery_remote(sent[AMQP_MODIFY])) == URLS[u]->service_bus);
        CHECK(!pn_disposition_is_undeliverable(pn_delivery_remote(sent[AMQP_MODIFY])));
        pn_condition_t *why = pn_disposition_condition(pn_delivery_remote(sent[AMQP_REJECT]));
        CHECK_SPAN(span_of(pn_condition_get_name(why)), "com.microsoft:dead-letter");
        pn_data_t *info = pn_condition_info(why);
        pn_data_rewind(info);
        REQUIRE(pn_data_next(info) && pn_data_type(info) == PN_MAP && pn_data_enter(info) &&
                pn_data_next(info));
        text_is(pn_data_get_symbol(info), "DeadLetterReason");
        REQUIRE(pn_data_next(info));
        text_is(pn_data_get_string(info), "unknown_command_type");
        for (int i = 0; waits && i < MESSAGES; i++) { /* its word */
            pn_delivery_update(sent[i], STATES[i]);
            pn_delivery_settle(sent[i]);
        }
        pump(w);
        for (int i = 0; waits && i < MESSAGES; i++) CHECK(pn_delivery_settled(got[i]));
    }
}

static void a_message_names_its_session(void) {
    AUTO(AmqpCoder) coder = amqp_coder_new();
    AUTO_BUF bytes = {0};
    Err err = {0};
    const AmqpCommand command = {
        .body = SPAN("body"), .message_id = SPAN("an-id"), .tenant_id = SPAN("t"), .lane = LANE};
    REQUIRE(CHECK_OK(amqp_encode(coder, &command, &bytes, &err), &err));
    pn_message_t *m = pn_message();
    REQUIRE(!pn_message_decode(m, bytes.at, bytes.len));
    CHECK_SPAN(span_of(pn_message_get_group_id(m)), "lane-07");
    text_is(pn_data_get_string(
                (pn_data_rewind(pn_message_id(m)), pn_data_next(pn_message_id(m)), pn_message_id(m))),
            "an-id");
    pn_message_set_delivery_count(m, 3); /* as the broker does with what has come back */
    char again[1024];
    size_t len = sizeof again;
    REQUIRE(!pn_message_encode(m, again, &len));
    pn_message_free(m);
    AmqpCommand got;
    REQUIRE(amqp_decode(coder, span_bytes(again, len), &got));
    CHECK(amqp_form_tries(&SERVICE_BUS, &got) == 3 && amqp_form_tries(&RABBITMQ, &got) == 0);
}

SUITE("amqp form", TEST(addresses), TEST(a_lane_is_a_session), TEST(only_the_session_asked_for_will_do),
      TEST(settle_modes), TEST(a_message_names_its_session));
