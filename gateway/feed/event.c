/* event.c - the masked view is made by the first reader that needs it: most installations have none. Two
 * loops may make it at the same time; the second one throws its work away. */
#include "gateway/feed/event.h"

#include "base/arena.h"
#include "base/map.h"
#include "gateway/stream/mask.h"
#include "wire/envelope.h"
#include <stdlib.h>

enum { TAG_EVENTS = 0x0a, LENGTH_MAX = 10 };

struct Event {
    atomic_uint refs;
    EventKind kind;
    int64_t sequence, version;
    uint64_t subject_hash;
    _Atomic(Blob *) masked;
    Span tenant, type, subject, issued_by; /* in the envelope */
    Span envelope;                         /* in the entry, to its end */
    char entry[];
};

static size_t put_varint(char *to, uint64_t value) {
    size_t len = 0;
    for (; value > 127; value >>= 7) to[len++] = (char)(value | 0x80);
    to[len++] = (char)value;
    return len;
}

/* What an entry has in front of an envelope of that size. */
static size_t put_head(char *to, size_t body) {
    *to = TAG_EVENTS;
    return 1 + put_varint(to + 1, body);
}

/* With room for the envelope. */
static Event *alloc(size_t body) {
    char head[1 + LENGTH_MAX];
    size_t len = put_head(head, body);
    Event *event = malloc(sizeof *event + len + body);
    if (!event) return NULL;
    memset(event, 0, sizeof *event);
    atomic_init(&event->refs, 1);
    memcpy(event->entry, head, len);
    event->envelope = (Span){event->entry + len, body};
    return event;
}

static EventKind kind_of(Span type) {
    if (span_is(type, "CommandRejected")) return EVENT_REJECTED;
    return span_is(type, "EventSkipped") ? EVENT_SKIPPED : EVENT_PLAIN;
}

/* The same text of the event's own envelope. */
static Span own(const Event *event, Span text, Span body) {
    return (Span){event->envelope.at + (text.len ? text.at - body.at : 0), text.len};
}

/* row: what is needed to decide who gets it; its texts lie in its body, which is the envelope or a copy of it. */
static Event *describe(Event *event, const ReplayRow *row) {
    event->kind = kind_of(row->event_type);
    event->sequence = row->sequence;
    event->version = row->subject_version;
    event->subject_hash = hash_stable(row->subject) ^ hash_stable(row->tenant_id) * 31;
    event->tenant = own(event, row->tenant_id, row->body);
    event->type = own(event, row->event_type, row->body);
    event->subject = own(event, row->subject, row->body);
    event->issued_by = own(event, row->issued_by, row->body);
    return event;
}

Event *event_new(const Events__V1__Envelope *e) {
    EnvelopePeek p;
    Event *event = alloc(events__v1__envelope__get_packed_size(e));
    if (!event) return NULL;
    events__v1__envelope__pack(e, (uint8_t *)event->envelope.at);
    if (!envelope_peek(event->envelope, &p)) abort(); /* what protobuf-c has packed */
    return describe(event, &(ReplayRow){.sequence = p.sequence,
                                        .subject_version = p.subject_version,
                                        .tenant_id = p.tenant_id,
                                        .subject = p.subject,
                                        .event_type = p.event_type,
                                        .issued_by = p.issued_by,
                                        .body = event->envelope});
}

Event *event_of_row(const ReplayRow *row) {
    Event *event = alloc(row->body.len);
    if (!event) return NULL;
    memcpy((char *)event->envelope.at, row->body.at, row->body.len);
    return describe(event, row);
}

Event *event_ref(Event *event) {
    atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    return event;
}

Event *event_unref(Event *event) {
    if (!event || atomic_fetch_sub(&event->refs, 1) != 1) return NULL;
    blob_unref(atomic_load(&event->masked));
    free(event);
    return NULL;
}

EventKind event_kind(const Event *event) {
    return event->kind;
}
int64_t event_sequence(const Event *event) {
    return event->sequence;
}
int64_t event_version(const Event *event) {
    return event->version;
}
uint64_t event_subject_hash(const Event *event) {
    return event->subject_hash;
}
Span event_tenant(const Event *event) {
    return event->tenant;
}
Span event_type(const Event *event) {
    return event->type;
}
Span event_subject(const Event *event) {
    return event->subject;
}
Span event_issued_by(const Event *event) {
    return event->issued_by;
}
size_t event_size(const Event *event) {
    return sizeof *event + event->envelope.len;
}

Span event_envelope(const Event *event) {
    return event->envelope;
}

static Blob *encode_entry(const Events__V1__Envelope *envelope) {
    char head[1 + LENGTH_MAX];
    size_t body = events__v1__envelope__get_packed_size(envelope), len = put_head(head, body);
    Blob *blob = blob_new(len + body);
    if (!blob) return NULL;
    memcpy(blob->bytes, head, len);
    events__v1__envelope__pack(envelope, (uint8_t *)blob->bytes + len);
    return blob;
}

static Blob *make_masked(const Event *event) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope *e = envelope_unpack(event->envelope, arena);
    if (!e) return NULL;
    mask_envelope(e, arena);
    return encode_entry(e);
}

static const Blob *masked_entry(Event *event) {
    Blob *masked = atomic_load(&event->masked), *nothing = NULL;
    if (masked || !(masked = make_masked(event))) return masked;
    if (atomic_compare_exchange_strong(&event->masked, &nothing, masked)) return masked;
    blob_unref(masked);
    return nothing;
}

Span event_entry(Event *event, bool personal) {
    Span whole = {event->entry, (size_t)(event->envelope.at - event->entry) + event->envelope.len};
    const Blob *masked = personal ? NULL : masked_entry(event);
    return personal ? whole : masked ? blob_view(masked) : SPAN_NONE;
}
