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

/* Room for the body comes behind the head, whose length is returned. */
static Blob *entry_new(size_t body, size_t *head_len) {
    char head[1 + LENGTH_MAX] = {TAG_EVENTS};
    *head_len = 1 + put_varint(head + 1, body);
    Blob *blob = blob_new(*head_len + body);
    if (blob) memcpy(blob->bytes, head, *head_len);
    return blob;
}

static Blob *encode_entry(const Events__V1__Envelope *envelope) {
    size_t head, body = events__v1__envelope__get_packed_size(envelope);
    Blob *blob = entry_new(body, &head);
    if (blob) events__v1__envelope__pack(envelope, (uint8_t *)blob->bytes + head);
    return blob;
}

static Blob *copy_entry(Span packed) {
    size_t head;
    Blob *blob = entry_new(packed.len, &head);
    if (blob && packed.len) memcpy(blob->bytes + head, packed.at, packed.len);
    return blob;
}

static EventKind kind_of(Span type) {
    if (span_is(type, "CommandRejected")) return EVENT_REJECTED;
    return span_is(type, "EventSkipped") ? EVENT_SKIPPED : EVENT_PLAIN;
}

static Span keep(char **at, Span text) {
    Span kept = {*at, text.len};
    if (text.len) memcpy(*at, text.at, text.len);
    *at += text.len;
    return kept;
}

/* parts: what is needed to decide who gets it. Takes the entry's reference. */
static Event *make(const ReplayRow *parts, Blob *entry) {
    size_t texts = parts->tenant_id.len + parts->event_type.len + parts->subject.len + parts->issued_by.len;
    Event *event = entry ? calloc(1, sizeof *event + texts) : NULL;
    if (!event) {
        blob_unref(entry);
        return NULL;
    }
    atomic_init(&event->refs, 1);
    event->kind = kind_of(parts->event_type);
    event->sequence = parts->sequence;
    event->version = parts->subject_version;
    event->subject_hash = hash_stable(parts->subject) ^ hash_stable(parts->tenant_id) * 31;
    event->entry = entry;
    char *at = event->texts;
    event->tenant = keep(&at, parts->tenant_id);
    event->type = keep(&at, parts->event_type);
    event->subject = keep(&at, parts->subject);
    event->issued_by = keep(&at, parts->issued_by);
    return event;
}

Event *event_new(const Events__V1__Envelope *e) {
    ReplayRow parts = {.sequence = e->sequence, .subject_version = e->subject_version};
    parts.tenant_id = span_of(e->tenant_id);
    parts.event_type = span_of(e->event_type);
    parts.subject = span_of(e->subject);
    parts.issued_by = span_of(e->issued_by);
    return make(&parts, encode_entry(e));
}

Event *event_of_row(const ReplayRow *row) {
    return make(row, copy_entry(row->body));
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
    return sizeof *event + 128 + event->entry->len;
}

/* The entry is tag, length and envelope. */
Span event_envelope(const Event *event) {
    const Blob *entry = event->entry;
    size_t head = 1;
    while (head < entry->len && entry->bytes[head++] & 0x80) continue;
    return (Span){entry->bytes + head, entry->len - head};
}

static Blob *make_masked(const Event *event) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope *e = envelope_unpack(event_envelope(event), arena);
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
