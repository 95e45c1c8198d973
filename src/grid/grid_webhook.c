/* grid_webhook.c - what Event Grid asks of a webhook, told apart by method and aeg-event-type.
 *
 * The secret comes first, for handshakes too: who does not know it learns nothing but which methods there
 * are. Then a delivery is either readable (and belongs to the receiver) or refused for good: Event Grid never
 * retries 400 and 413, so these are kept for bodies that no later try could make better. */
#include "grid/grid_webhook.h"

#include "base/uuid.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/json/json.h"
#include "wire/problem.h"

enum { ARENA_MAX = 64 << 20, FIRST_ROOM = 64 };

struct GridWebhook {
    GridWebhookOptions options;
};

/* While the body is read: what the visitor has gathered. */
typedef struct Reading {
    GridDelivery *delivery;
    size_t room, bad_room;
    const char *validation_code;
    bool failed; /* no memory */
} Reading;

GridWebhook *grid_webhook_new(const GridWebhookOptions *options) {
    GridWebhook *w = must(calloc(1, sizeof *w));
    w->options = *options;
    return w;
}

GridWebhook *grid_webhook_free(GridWebhook *w) {
    free(w);
    return NULL;
}

static void answer_empty(HttpExchange *x, int status) {
    http_respond(x, &(HttpAnswer){.status = status});
}

static void answer_json(HttpExchange *x, int status, const char *type, Span body) {
    const HttpField fields[] = {{"content-type", span_of(type)},
                                {"cache-control", SPAN("no-store")},
                                {"x-content-type-options", SPAN("nosniff")},
                                {"allow", SPAN("OPTIONS, POST")}};
    size_t count = COUNT(fields) - (status == 405 ? 0 : 1);
    http_respond(x, &(HttpAnswer){.status = status, .fields = fields, .field_count = count, .body = body});
}

/* Event Grid sends no id of its own that would lead from its log to ours. */
static void answer_problem(HttpExchange *x, const ErrKind *kind, const char *detail) {
    AUTO_BUF body = {0};
    char id[UUID_TEXT];
    Uuid uuid = uuid_v7();
    uuid_format(&uuid, id);
    problem_write(&body, kind->code, kind->http, detail, id, NULL);
    answer_json(x, kind->http, "application/problem+json", buf_view(&body));
}

enum { STRANGER_BODY = 16 << 10 }; /* read before they get their 401 */

static bool knows_secret(const GridWebhook *w, HttpExchange *x) {
    Span given = http_header(x, "x-events-webhook-secret");
    if (!given.at && !http_query_value(x, "secret", &given)) return false;
    return grid_secret_matches(w->options.secrets, given);
}

/* CloudEvents' abuse protection (HTTP 1.1 Web Hooks for Event Delivery, section 4): consent is in the fields,
 * not in the status. */
static void shake_hands(HttpExchange *x) {
    Span origin = http_header(x, "webhook-request-origin");
    if (!origin.at) origin = http_header(x, "origin");
    if (!origin.len) {
        answer_problem(x, &ERR_INVALID, "WebHook-Request-Origin is missing");
        return;
    }
    const HttpField fields[] = {{"webhook-allowed-origin", origin},
                                {"webhook-allowed-rate", SPAN("*")},
                                {"allow", SPAN("OPTIONS, POST")}};
    http_respond(x, &(HttpAnswer){.status = 200, .fields = fields, .field_count = COUNT(fields)});
}

/* The array, or a copy of twice its room in the same arena; NULL where that is full. */
static void *with_room(Arena *arena, void *array, size_t count, size_t *room, size_t size) {
    if (count < *room) return array;
    *room = *room ? *room * 2 : FIRST_ROOM;
    void *larger = arena_alloc(arena, *room * size);
    if (larger && count) memcpy(larger, array, count * size);
    return larger;
}

static void on_event(void *user, Events__V1__Envelope *envelope) {
    Reading *r = user;
    GridDelivery *d = r->delivery;
    if (r->failed) return;
    void *events = with_room(d->arena, d->events, d->count, &r->room, sizeof *d->events);
    r->failed = !events;
    if (r->failed) return;
    d->events = events;
    d->events[d->count++] = envelope;
}

static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    Reading *r = user;
    GridDelivery *d = r->delivery;
    if (r->failed) return;
    void *bad = with_room(d->arena, d->bad, d->bad_count, &r->bad_room, sizeof *d->bad);
    char *copy = arena_copy(d->arena, span_of(reason));
    r->failed = !bad || !copy;
    if (r->failed) return;
    d->bad = bad;
    d->bad[d->bad_count++] = (GridBadEvent){index, bytes, copy};
}

static void on_validation(void *user, const char *code) {
    Reading *r = user;
    r->validation_code = code;
}

static void free_delivery(GridDelivery *d) {
    Arena *arena = d->arena;
    arena_free(arena); /* d itself lies in it */
}

static void answer_validation(HttpExchange *x, const char *code) {
    AUTO_BUF body = {0};
    JsonWriter w = json_writer(&body);
    json_object(&w);
    json_name(&w, "validationResponse");
    json_text(&w, code);
    json_object_end(&w);
    answer_json(x, 200, "application/json", buf_view(&body));
}

enum { STRUCTURED = 2, ALL_TYPES = 3 };

/* One of the first `count`, of which those of CloudEvents itself come first. */
static bool known_media_type(Span type, size_t count) {
    static const char *const KNOWN[] = {"application/cloudevents+json", "application/cloudevents-batch+json",
                                        "application/json"};
    Span parameters, name = span_trim(span_split(type, ';', &parameters));
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(name, span_of(KNOWN[i]))) return true;
    return false;
}

static Span field(const void *exchange, const char *lower_name) {
    return http_header(exchange, lower_name);
}

/* The media types say structured or batched mode and win; Event Grid's own schema has one that the data of
 * binary mode may have, too. */
static bool read_body(HttpExchange *x, Arena *arena, const CloudEventVisitor *visitor, Err *err) {
    const CloudEventFields fields = {field, x};
    Span type = http_header(x, "content-type");
    bool binary = !known_media_type(type, STRUCTURED) && cloudevent_is_binary(&fields);
    return binary ? cloudevent_read_binary(&fields, http_body(x), arena, visitor, err)
                  : cloudevent_read(type, http_body(x), arena, visitor, err);
}

static void read_delivery(const GridWebhook *w, HttpExchange *x) {
    Arena *arena = arena_new(ARENA_MAX);
    GridDelivery *d = arena ? arena_alloc(arena, sizeof *d) : NULL;
    if (!d) {
        arena_free(arena);
        answer_problem(x, &ERR_UNAVAILABLE, "out of memory");
        return;
    }
    *d = (GridDelivery){.exchange = x, .arena = arena};
    Reading reading = {.delivery = d};
    Err err = {0};
    const CloudEventVisitor visitor = {.event = on_event,
                                       .bad = on_bad,
                                       .validation = on_validation,
                                       .user = &reading,
                                       .unknown_members = &d->unknown_members};
    bool readable = read_body(x, arena, &visitor, &err);
    if (readable && !reading.failed && (d->count || d->bad_count)) {
        w->options.deliver(w->options.user, d);
        return;
    }
    if (!readable)
        answer_problem(x, err.kind, err.why);
    else if (reading.failed)
        answer_problem(x, &ERR_TOO_LARGE, "the events take more memory than a delivery may");
    else if (reading.validation_code)
        answer_validation(x, reading.validation_code);
    else
        answer_empty(x, 200); /* an empty batch is valid */
    free_delivery(d);
}

static void take_post(const GridWebhook *w, HttpExchange *x) {
    /* a subscription that ends says so by an event of its own, which is no event of the topic */
    Span kind = http_header(x, "aeg-event-type");
    if (span_equal_nocase(kind, SPAN("SubscriptionDeletion"))) {
        answer_empty(x, 200);
        return;
    }
    if (!known_media_type(http_header(x, "content-type"), ALL_TYPES) &&
        !cloudevent_is_binary(&(CloudEventFields){field, x})) {
        answer_problem(
            x, &ERR_UNSUPPORTED,
            "CloudEvents (structured, batched or binary) or Event Grid's schema in JSON is expected");
        return;
    }
    if (http_header(x, "content-encoding").len) {
        answer_problem(x, &ERR_UNSUPPORTED, "deliveries come without a content coding");
        return;
    }
    if (http_body(x).len > GRID_WEBHOOK_BODY) {
        answer_problem(x, &ERR_TOO_LARGE, "a delivery has at most 2 MiB");
        return;
    }
    read_delivery(w, x);
}

size_t grid_webhook_body_limit(const GridWebhook *w, HttpExchange *x) {
    return knows_secret(w, x) ? GRID_WEBHOOK_BODY : STRANGER_BODY;
}

bool grid_webhook_handle(GridWebhook *w, HttpExchange *x) {
    if (!span_is(http_path(x), GRID_WEBHOOK_PATH)) return false;
    bool handshake = span_is(http_method(x), "OPTIONS");
    if (!handshake && !span_is(http_method(x), "POST"))
        answer_problem(x, &ERR_METHOD_NOT_ALLOWED, "POST or OPTIONS is expected");
    else if (!knows_secret(w, x))
        answer_problem(x, &ERR_UNAUTHENTICATED, "the webhook's secret is missing or wrong");
    else if (handshake)
        shake_hands(x);
    else
        take_post(w, x);
    return true;
}

void grid_delivery_answer(GridDelivery *d, int status) {
    if (status == 200)
        answer_empty(d->exchange, 200);
    else
        answer_problem(d->exchange, &ERR_UNAVAILABLE, "the events could not be stored now");
    free_delivery(d);
}
