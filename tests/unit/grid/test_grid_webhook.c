#include "kit/test.h"
#include "kit/web.h"

#include "grid/grid_publish.h"
#include "grid/grid_webhook.h"
#include "net/http_client.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdatomic.h>
#include <stdio.h>

#define SECRETS "first-secret,second-secret"
#define EVENT                                                                                                \
    "{\"specversion\":\"1.0\",\"id\":\"0198c0de-0000-7000-8000-000000000001\",\"source\":\"/services/S\","   \
    "\"type\":\"EventSkipped\",\"time\":\"2026-01-01T00:00:00Z\",\"subject\":\"prospect/"                    \
    "1\",\"tenantid\":\"demo\","                                                                             \
    "\"schemaversion\":\"1.0\",\"sequence\":\"0000000000000000007\",\"watermark\":\"0000000000000000009\","  \
    "\"subjectversion\":\"3\",\"correlationid\":\"c\",\"causationid\":\"a\",\"datacontenttype\":"            \
    "\"application/json\","                                                                                  \
    "\"data\":{\"eventId\":\"e\",\"reason\":\"r\"}}"
#define VALIDATION                                                                                           \
    "[{\"id\":\"1\",\"topic\":\"t\",\"subject\":\"\",\"eventType\":\"Microsoft.EventGrid."                   \
    "SubscriptionValidationEvent\","                                                                         \
    "\"eventTime\":\"2026-01-01T00:00:00Z\",\"metadataVersion\":\"1\",\"dataVersion\":\"1\","                \
    "\"data\":{\"validationCode\":\"512d38b6\",\"validationUrl\":\"https://x.example/\"}}]"

typedef struct Receiver {
    GridWebhook *webhook;
    atomic_size_t events, bad, deliveries;
    atomic_llong sequence;
    int answer;
} Receiver;

static void on_delivery(void *user, GridDelivery *d) {
    Receiver *r = user;
    atomic_fetch_add(&r->deliveries, 1);
    atomic_fetch_add(&r->events, d->count);
    atomic_fetch_add(&r->bad, d->bad_count);
    if (d->count) atomic_store(&r->sequence, d->events[d->count - 1]->sequence);
    grid_delivery_answer(d, r->answer);
}

static void on_request(void *user, HttpExchange *x) {
    Receiver *r = user;
    if (!grid_webhook_handle(r->webhook, x)) test_web_answer(x, 404, "");
}

typedef struct Case {
    const char *method, *path, *secret, *field, *type, *body;
    int status;
    size_t events, bad;
} Case;

#define HOOK  "/api/events/webhook"
#define CE    "application/cloudevents+json; charset=utf-8"
#define BATCH "application/cloudevents-batch+json; charset=utf-8"
#define NONE  "X-None: 1"
/* one more line of the head at a time is all a case has, so these come glued together */
#define BINARY                                                                                               \
    "ce-specversion: 1.0\r\nce-id: i\r\nce-source: /services/S\r\nce-type: EventSkipped\r\nce-sequence: "    \
    "7\r\n"                                                                                                  \
    "ce-subject: prospect%2F1"

static const Case CASES[] = {
    /* who */
    {"POST", HOOK, "first-secret", NONE, CE, EVENT, 200, 1, 0},
    {"POST", HOOK, "second-secret", NONE, CE, EVENT, 200, 1, 0},
    {"POST", HOOK "?secret=first-secret", NULL, NONE, CE, EVENT, 200, 1, 0},
    {"POST", HOOK "?a=b&secret=second%2Dsecret", NULL, NONE, CE, EVENT, 200, 1, 0},
    {"POST", HOOK, "third-secret", NONE, CE, EVENT, 401, 0, 0},
    {"POST", HOOK, NULL, NONE, CE, EVENT, 401, 0, 0},
    {"POST", HOOK, "", NONE, CE, EVENT, 401, 0, 0},
    {"POST", HOOK, SECRETS, NONE, CE, EVENT, 401, 0, 0},
    {"OPTIONS", HOOK, NULL, "WebHook-Request-Origin: eventgrid.azure.net", CE, "", 401, 0, 0},
    {"OPTIONS", HOOK, "nope", "WebHook-Request-Origin: eventgrid.azure.net", CE, "", 401, 0, 0},
    {"POST", HOOK, NULL, "aeg-event-type: SubscriptionValidation", "application/json", VALIDATION, 401, 0, 0},
    /* handshakes */
    {"OPTIONS", HOOK, "first-secret", "WebHook-Request-Origin: eventgrid.azure.net", CE, "", 200, 0, 0},
    {"OPTIONS", HOOK, "first-secret", NONE, CE, "", 400, 0, 0},
    {"POST", HOOK, "first-secret", "aeg-event-type: SubscriptionValidation", "application/json", VALIDATION,
     200, 0, 0},
    {"POST", HOOK, "first-secret", "aeg-event-type: SubscriptionDeletion", "application/json", "[]", 200, 0,
     0},
    /* bodies */
    {"POST", HOOK, "first-secret", NONE, BATCH, "[" EVENT "," EVENT "]", 200, 2, 0},
    {"POST", HOOK, "first-secret", NONE, BATCH, "[" EVENT ",{\"id\":\"x\"}," EVENT "]", 200, 2, 1},
    {"POST", HOOK, "first-secret", NONE, BATCH, "[]", 200, 0, 0},
    {"POST", HOOK, "first-secret", NONE, BATCH, "[" EVENT, 400, 0, 0},
    {"POST", HOOK, "first-secret", NONE, CE, "", 400, 0, 0},
    {"POST", HOOK, "first-secret", NONE, "text/plain", EVENT, 415, 0, 0},
    {"POST", HOOK, "first-secret", NONE, "", EVENT, 415, 0, 0},
    {"POST", HOOK, "first-secret", BINARY, "application/json", "{\"eventId\":\"e\"}", 200, 1, 0},
    {"POST", HOOK, "first-secret", BINARY, "application/x-protobuf", "\x0a\x01x", 200, 1, 0},
    {"POST", HOOK, "first-secret", BINARY, "text/plain", "x", 200, 0, 1},
    {"POST", HOOK, "first-secret", BINARY "\r\nce-time: never", "application/json", "{}", 200, 0, 1},
    {"POST", HOOK, "first-secret", BINARY, CE, EVENT, 200, 1, 0}, /* the media type wins */
    {"POST", HOOK, "nope", BINARY, "application/json", "{}", 401, 0, 0},
    {"GET", HOOK, "first-secret", NONE, CE, "", 405, 0, 0},
    {"POST", "/api/events", "first-secret", NONE, CE, EVENT, 404, 0, 0},
};

static const HttpReply *send_case(HttpClient *client, TestWeb *web, const Case *c) {
    char secret[128], type[128];
    snprintf(type, sizeof type, "Content-Type:%s%s", *c->type ? " " : "", c->type);
    snprintf(secret, sizeof secret, "X-Events-Webhook-Secret%s %s", c->secret && *c->secret ? ":" : ";",
             c->secret ? c->secret : "");
    const char *const headers[] = {c->field, type, c->secret ? secret : NULL, NULL};
    const HttpReply *reply = NULL;
    Err err = {0};
    const char *url = test_web_url(web, c->path);
    CHECK_OK(http_client_call(client, c->method, url, headers, span_of(c->body), &reply, &err), &err);
    return reply;
}

static void tells_requests_apart(void) {
    Receiver r = {.answer = 200};
    r.webhook =
        grid_webhook_new(&(GridWebhookOptions){.secrets = SECRETS, .deliver = on_delivery, .user = &r});
    TestWeb *web = test_web_start(on_request, &r);
    AUTO(HttpClient) client = NULL;
    Err err = {0};
    REQUIRE(http_client_open(&(HttpClientOptions){0}, &client, &err));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const Case *c = &CASES[i];
        size_t events = atomic_load(&r.events), bad = atomic_load(&r.bad);
        const HttpReply *reply = send_case(client, web, c);
        if (!reply) continue;
        bool right = reply->status == c->status && atomic_load(&r.events) - events == c->events &&
                     atomic_load(&r.bad) - bad == c->bad;
        CHECK(right);
        if (!right) printf("\n    case %zu: %d %.*s", i, reply->status, SPAN_ARGS(buf_view(&reply->body)));
        if (reply->status >= 400 && reply->status != 404)
            CHECK_SPAN(span_of(reply->content_type), "application/problem+json");
        if (!strcmp(c->method, "OPTIONS") && reply->status == 200)
            CHECK_SPAN(span_of(reply->allowed_origin), "eventgrid.azure.net");
        if (!strcmp(c->body, VALIDATION) && reply->status == 200)
            CHECK_SPAN(buf_view(&reply->body), "{\"validationResponse\":\"512d38b6\"}");
    }
    CHECK(atomic_load(&r.sequence) == 7);
    r.answer = 503;
    const HttpReply *reply = send_case(client, web, &CASES[0]);
    CHECK(reply && reply->status == 503);
    test_web_stop(web);
    grid_webhook_free(r.webhook);
}

/* --- the publisher, against a webhook as its topic --- */

static void pack_event(Buf *out, int64_t sequence, size_t reason_len) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__EventSkipped skipped = EVENTS__V1__EVENT_SKIPPED__INIT;
    char *reason = arena_alloc(arena, reason_len + 1);
    memset(reason, 'x', reason_len);
    skipped.event_id = (char *)"e";
    skipped.reason = reason;
    AUTO_BUF data = {0}, packed = {0};
    message_pack(&skipped.base, &data);
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"0198c0de-0000-7000-8000-000000000001";
    e.event_type = (char *)"EventSkipped";
    e.schema_version = (char *)"1.0";
    e.producer = (char *)"ProspectService";
    e.subject = (char *)"prospect/1";
    e.tenant_id = (char *)"demo";
    e.occurred_at = timestamp_new(arena, 1700000000000000);
    e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    message_pack(&e.base, &packed);
    buf_span(out, buf_view(&packed));
    envelope_append_numbers(out, sequence, sequence);
}

typedef struct Topic {
    Receiver receiver;
    atomic_int status; /* to answer; 0: as the receiver does */
    atomic_bool key_seen;
    char path[64];
} Topic;

static void on_topic(void *user, HttpExchange *x) {
    Topic *t = user;
    atomic_store(&t->key_seen, span_is(http_header(x, "aeg-sas-key"), "the-key"));
    span_copy(http_path(x), t->path, sizeof t->path);
    test_web_answer(x, atomic_load(&t->status), "");
}

static GridAnswer publish_one(GridPublisher *publisher, const Span *packed, size_t count) {
    GridRequest request = {.packed = packed, .count = count};
    grid_publish(publisher, &request, 1);
    return request.answer;
}

static void publishes_what_fits(void) {
    static const struct {
        const char *endpoint;
        int status;
        size_t count, large; /* large: bytes of each event */
        GridOutcome outcome;
        size_t taken;
    } CASES_OF_PUBLISH[] = {
        {"", 200, 10, 10, GRID_PUBLISHED, 10},   {"/api/events", 200, 1, 10, GRID_PUBLISHED, 1},
        {"/", 503, 10, 10, GRID_RETRY, 10},      {"", 413, 10, 10, GRID_SPLIT, 10},
        {"", 400, 1, 10, GRID_BAD, 1},           {"", 401, 3, 10, GRID_REFUSED, 3},
        {"", 200, 5, 300000, GRID_PUBLISHED, 3}, {"", 200, 2, 1040000, GRID_PUBLISHED, 1},
        {"", 200, 2, 1100000, GRID_BAD, 1},
    };
    Topic topic = {0};
    TestWeb *web = test_web_start(on_topic, &topic);
    for (size_t i = 0; i < COUNT(CASES_OF_PUBLISH); i++) {
        AUTO(GridPublisher) publisher = NULL;
        AUTO_BUF packed = {0};
        Err err = {0};
        Span events[10];
        atomic_store(&topic.status, CASES_OF_PUBLISH[i].status);
        const GridPublisherOptions options = {.endpoint = test_web_url(web, CASES_OF_PUBLISH[i].endpoint),
                                              .key = "the-key"};
        REQUIRE(CHECK_OK(grid_publisher_open(&options, &publisher, &err), &err));
        pack_event(&packed, 1, CASES_OF_PUBLISH[i].large);
        for (size_t k = 0; k < COUNT(events); k++) events[k] = buf_view(&packed);
        GridAnswer answer = publish_one(publisher, events, CASES_OF_PUBLISH[i].count);
        bool right =
            answer.outcome == CASES_OF_PUBLISH[i].outcome && answer.taken == CASES_OF_PUBLISH[i].taken;
        CHECK(right);
        if (!right)
            printf("\n    case %zu: %d taken %zu: %s", i, answer.outcome, answer.taken, answer.why.why);
        CHECK((answer.outcome == GRID_PUBLISHED) == !answer.why.kind);
        CHECK_SPAN(span_of(topic.path), "/api/events");
        CHECK(atomic_load(&topic.key_seen));
    }
    test_web_stop(web);
}

/* A topic that answers nobody until all are there. */
typedef struct Crowd {
    HttpExchange *waiting[GRID_REQUESTS];
    size_t count;
} Crowd;

static void on_crowd(void *user, HttpExchange *x) {
    Crowd *c = user;
    c->waiting[c->count++] = x;
    if (c->count < GRID_REQUESTS) return;
    for (size_t i = GRID_REQUESTS; i-- > 0;) { /* in any order */
        bool second = http_body(c->waiting[i]).len > 250000;
        test_web_answer(c->waiting[i], second ? 429 : 200, "");
    }
    c->count = 0;
}

static void requests_are_in_flight_together(void) {
    AUTO(GridPublisher) publisher = NULL;
    Buf packed[GRID_REQUESTS] = {{0}};
    Span events[GRID_REQUESTS];
    GridRequest requests[GRID_REQUESTS];
    Crowd crowd = {0};
    Err err = {0};
    TestWeb *web = test_web_start(on_crowd, &crowd);
    const GridPublisherOptions options = {.endpoint = test_web_url(web, ""), .key = "k"};
    REQUIRE(CHECK_OK(grid_publisher_open(&options, &publisher, &err), &err));
    for (size_t i = 0; i < GRID_REQUESTS; i++) {
        pack_event(&packed[i], (int64_t)i + 1, i == 1 ? 250000 : 200000); /* more than a window */
        events[i] = buf_view(&packed[i]);
        requests[i] = (GridRequest){.packed = &events[i], .count = 1};
    }
    for (int round = 0; round < 3; round++) {
        grid_publish(publisher, requests, GRID_REQUESTS);
        for (size_t i = 0; i < GRID_REQUESTS; i++) {
            CHECK(requests[i].answer.outcome == (i == 1 ? GRID_RETRY : GRID_PUBLISHED));
            CHECK(requests[i].answer.status == (i == 1 ? 429 : 200) && requests[i].answer.taken == 1);
        }
    }
    for (size_t i = 0; i < GRID_REQUESTS; i++) buf_free(&packed[i]);
    test_web_stop(web);
}

static void unreadable_events_are_bad(void) {
    AUTO(GridPublisher) publisher = NULL;
    AUTO_BUF packed = {0};
    Err err = {0};
    REQUIRE(grid_publisher_open(&(GridPublisherOptions){.endpoint = "http://127.0.0.1:1", .key = "k"},
                                &publisher, &err));
    pack_event(&packed, 1, 10);
    const Span bad_first[] = {SPAN("\xff\xff"), buf_view(&packed)},
               bad_later[] = {buf_view(&packed), SPAN("\xff\xff")};
    GridAnswer answer = publish_one(publisher, bad_first, 2);
    CHECK(answer.outcome == GRID_BAD && answer.taken == 1);
    answer = publish_one(publisher, bad_later, 2);
    CHECK(answer.outcome == GRID_RETRY && answer.taken == 1 && answer.status == 0);
    GridPublisher *other = NULL;
    CHECK(!grid_publisher_open(&(GridPublisherOptions){.endpoint = "nowhere", .key = "k"}, &other, &err));
    CHECK(err.kind == &ERR_CONFIG);
}

SUITE("grid_webhook", TEST(tells_requests_apart), TEST(publishes_what_fits),
      TEST(requests_are_in_flight_together), TEST(unreadable_events_are_bad));
