/* event.c - the masked view is made by the first reader that needs it: most installations have none. Two loops may make
 * it at the same time; the second one throws its work away. */
#include "gateway/event.h"

#include "base/arena.h"
#include "gateway/mask.h"
#include "wire/envelope.h"
#include <stdlib.h>

enum { TAG_EVENTS = 0x0a, LENGTH_MAX = 10 };

struct Event {
    atomic_uint refs;
    EventKind kind;
    int64_t sequence;
    Blob *entry;
    _Atomic(Blob *) masked;
    Span tenant, type, subject, issued_by; /* in texts */
    char texts[];
};

static size_t put_varint(char *to, uint64_t value) {
    size_t len = 0;
    for (; value > 127; value >>= 7) to[len++] = (char)(value | 0x80);
    to[len++] = (char)value;
    return len;
}

static Blob *encode_entry(const Events__V1__Envelope *envelope) {
    char head[1 + LENGTH_MAX] = {TAG_EVENTS};
    size_t body = events__v1__envelope__get_packed_size(envelope);
    size_t len = 1 + put_varint(head + 1, body);
    Blob *blob = blob_new(len + body);
    if (!blob) return NULL;
    memcpy(blob->bytes, head, len);
    events__v1__envelope__pack(envelope, (uint8_t *)blob->bytes + len);
    return blob;
}

static EventKind kind_of(const char *type) {
    if (!strcmp(type, "CommandRejected")) return EVENT_REJECTED;
    return strcmp(type, "EventSkipped") ? EVENT_PLAIN : EVENT_SKIPPED;
}

static Span keep(char **at, const char *text) {
    Span kept = {*at, strlen(text)};
    memcpy(*at, text, kept.len + 1);
    *at += kept.len + 1;
    return kept;
}

Event *event_new(const Events__V1__Envelope *e) {
    size_t texts = strlen(e->tenant_id) + strlen(e->event_type) + strlen(e->subject) + strlen(e->issued_by) + 4;
    AUTO(Blob) entry = encode_entry(e);
    Event *event = entry ? calloc(1, sizeof *event + texts) : NULL;
    if (!event) return NULL;
    atomic_init(&event->refs, 1);
    event->kind = kind_of(e->event_type);
    event->sequence = e->sequence;
    event->entry = blob_ref(entry);
    char *at = event->texts;
    event->tenant = keep(&at, e->tenant_id);
    event->type = keep(&at, e->event_type);
    event->subject = keep(&at, e->subject);
    event->issued_by = keep(&at, e->issued_by);
    return event;
}

Event *event_unpack(Span packed) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope *envelope = envelope_unpack(packed, arena);
    return envelope ? event_new(envelope) : NULL;
}

Event *event_ref(Event *event) {
    atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    return event;
}

Event *event_unref(Event *event) {
    if (!event || atomic_fetch_sub(&event->refs, 1) != 1) return NULL;
    blob_unref(event->entry);
    blob_unref(atomic_load(&event->masked));
    free(event);
    return NULL;
}

EventKind event_kind(const Event *event) { return event->kind; }
int64_t event_sequence(const Event *event) { return event->sequence; }
Span event_tenant(const Event *event) { return event->tenant; }
Span event_type(const Event *event) { return event->type; }
Span event_subject(const Event *event) { return event->subject; }
Span event_issued_by(const Event *event) { return event->issued_by; }
size_t event_size(const Event *event) { return sizeof *event + 128 + event->entry->len; }

static Blob *make_masked(const Event *event) {
    AUTO(Arena) arena = arena_new(0);
    size_t head = 1; /* tag, then the length */
    while (event->entry->bytes[head++] & 0x80) continue;
    Events__V1__Envelope *e = envelope_unpack((Span){event->entry->bytes + head, event->entry->len - head}, arena);
    if (!e) return NULL;
    mask_envelope(e, arena);
    return encode_entry(e);
}

const Blob *event_entry(Event *event, bool personal) {
    if (personal) return event->entry;
    Blob *masked = atomic_load(&event->masked), *nothing = NULL;
    if (masked || !(masked = make_masked(event))) return masked;
    if (atomic_compare_exchange_strong(&event->masked, &nothing, masked)) return masked;
    blob_unref(masked);
    return nothing;
}
