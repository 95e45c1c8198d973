/* fanout_events.c - our own kind: protobuf frames, and events by the webhook as Event Grid delivers them. */
#include "bench/fanout.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "events/v1/prospect.pb-c.h"
#include "events/v1/stream.pb-c.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include "wire/proto_scan.h"

enum { EVENTS = 2, SUBSCRIBED = 3, RESYNC = 4 }; /* fields of ServerFrame */
enum { SEQUENCE = 11, TAG_ENTRY = 1 << 3 | 2, ENVELOPE_LEAST = 220 };

static void hello(const Plan *plan, const Subscriber *s, Buf *out) {
    char *types[] = {(char *)"ProspectCreated", (char *)"ProspectUpdated"};
    char *subjects[] = {(char *)(s->other ? "prospect/1" : "prospect/*")};
    Events__V1__Subscribe subscription = EVENTS__V1__SUBSCRIBE__INIT;
    Events__V1__ClientFrame frame = EVENTS__V1__CLIENT_FRAME__INIT;
    subscription.id = 1;
    if (s->other || plan->filter) {
        subscription.subjects = subjects;
        subscription.n_subjects = COUNT(subjects);
    }
    if (plan->filter) {
        subscription.event_types = types;
        subscription.n_event_types = COUNT(types);
    }
    if (plan->resumes) {
        subscription.resume_case = EVENTS__V1__SUBSCRIBE__RESUME_AFTER;
        subscription.after = (int64_t)plan->after;
    }
    frame.frame_case = EVENTS__V1__CLIENT_FRAME__FRAME_SUBSCRIBE;
    frame.subscribe = &subscription;
    message_pack(&frame.base, out);
}

/* Subjects differ, as those of prospects do. Of the personal data there is as much as makes the event weigh what was
 * asked for. */
static void write_event(const Plan *plan, int64_t number, Arena *arena, Buf *out) {
    Events__V1__ProspectCreated data = EVENTS__V1__PROSPECT_CREATED__INIT;
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    AUTO_BUF packed = {0}, notes = {0};
    char id[UUID_TEXT];
    Uuid uuid = uuid_v7();
    Err err = {0};
    uuid_format(&uuid, id);
    for (size_t i = ENVELOPE_LEAST; i < plan->payload; i++) buf_byte(&notes, 'x');
    buf_byte(&notes, 0);
    data.prospect_id = number + 1000;
    data.version = 1;
    data.first_name = (char *)"Ada";
    data.last_name = (char *)"Lovelace";
    data.email = (char *)"ada@example.org";
    data.notes = notes.at;
    message_pack(&data.base, &packed);
    e.event_id = e.causation_id = e.correlation_id = id;
    e.event_type = (char *)"ProspectCreated";
    e.schema_version = (char *)"1.0";
    e.producer = (char *)"ProspectService";
    e.occurred_at = timestamp_new(arena, clock_now_us());
    e.subject = arena_printf(arena, "prospect/%lld", (long long)number + 1000);
    e.subject_version = 1;
    e.tenant_id = (char *)"demo";
    e.sequence = e.watermark = number;
    e.data.data = (uint8_t *)packed.at;
    e.data.len = packed.len;
    if (!cloudevent_write(&e, out, &err)) out->failed = true;
}

static void publish(const Plan *plan, int64_t first, size_t count, Buf *out) {
    AUTO_BUF body = {0};
    AUTO(Arena) arena = must(arena_new(1 << 20));
    for (size_t i = 0; i < count; i++) {
        buf_byte(&body, i ? ',' : '[');
        write_event(plan, first + (int64_t)i, arena, &body);
    }
    buf_byte(&body, ']');
    buf_printf(
        out,
        "POST /api/events/webhook HTTP/1.1\r\nHost: %s\r\nX-Events-Webhook-Secret: %s\r\n"
        "Content-Type: application/cloudevents-batch+json; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
        plan->host, plan->secret, body.len);
    buf_span(out, buf_view(&body));
}

/* The next field; false at the end, or where it is none. A number comes in *value, bytes in *bytes. */
static bool next_field(Span message, size_t *at, uint64_t *tag, uint64_t *value, Span *bytes) {
    if (*at >= message.len || !proto_varint(message, at, tag) || !proto_varint(message, at, value))
        return false;
    if ((*tag & 7) == 0) return true;
    if ((*tag & 7) != 2 || *value > message.len - *at) return false;
    *bytes = (Span){message.at + *at, (size_t)*value};
    *at += *value;
    return true;
}

static int64_t number_in(Span message, uint64_t field) {
    uint64_t tag, value;
    Span bytes;
    for (size_t at = 0; next_field(message, &at, &tag, &value, &bytes);)
        if (tag == field << 3) return (int64_t)value;
    return -1;
}

static bool take_batch(Subscriber *s, Span batch) {
    uint64_t tag, value;
    Span bytes;
    for (size_t at = 0; next_field(batch, &at, &tag, &value, &bytes);)
        if (tag == TAG_ENTRY && !load_seen(s, number_in(bytes, SEQUENCE))) return false;
    return true;
}

static size_t take(Subscriber *s, Span payload) {
    uint64_t tag, length;
    size_t at = 0;
    Span bytes;
    if (!next_field(payload, &at, &tag, &length, &bytes)) return SIZE_MAX;
    switch (tag >> 3) {
    case EVENTS: return take_batch(s, bytes) ? payload.len : SIZE_MAX;
    case SUBSCRIBED:
        if (!s->ready) s->last = number_in(bytes, 2) < 0 ? 0 : number_in(bytes, 2);
        s->ready = true;
        s->caught_up = number_in(bytes, 3) == 1;
        break;
    case RESYNC: s->lagged++; break;
    default: break;
    }
    return payload.len;
}

const Wire WIRE_EVENTS = {.name = "events",
                          .path = "/ws/events",
                          .protocol = "events.v1.protobuf",
                          .hello = hello,
                          .publish = publish,
                          .take = take,
                          .answers = true};
