/* relay_batch.c - the bytes stay as the handler packed them: fields may be appended to a packed message, so
 * that numbering costs a copy and a few bytes, and unknown fields of newer writers pass untouched. */
#include "app/relay/relay_batch.h"

#include "base/uuid.h"
#include "wire/envelope.h"

RelayBatch *relay_batch_new(void) {
    RelayBatch *batch = must(calloc(1, sizeof *batch));
    batch->arena = arena_new(64 << 20);
    batch->bytes.limit = 64 << 20;
    return batch;
}

RelayBatch *relay_batch_free(RelayBatch *batch) {
    if (!batch) return NULL;
    arena_free(batch->arena);
    buf_free(&batch->bytes);
    free(batch);
    return NULL;
}

void relay_batch_clear(RelayBatch *batch) {
    batch->count = 0;
    buf_clear(&batch->bytes);
    arena_reset(batch->arena);
}

size_t relay_batch_done(const RelayBatch *batch) {
    size_t done = 0;
    while (done < batch->count && batch->sent[done]) done++;
    return done;
}

static bool too_large(Err *err) {
    return err_set(err, &ERR_TOO_LARGE, "relay: a batch does not fit in memory");
}

/* Spans into a growing buffer: lengths first, places at the end. */
bool relay_batch_place(RelayBatch *batch, Err *err) {
    if (batch->bytes.failed) return too_large(err);
    const char *at = batch->bytes.at;
    for (size_t i = 0; i < batch->count; at += batch->packed[i++].len) batch->packed[i].at = at;
    return true;
}

/* ---- skipped events ---- */

static char *skipped_id(Arena *arena, Span event_id) {
    Span parts[] = {SPAN("skipped"), event_id};
    Uuid id = uuid_v5(&UUID_COMMANDS, parts, COUNT(parts));
    char *text = arena_alloc(arena, UUID_TEXT);
    if (text) uuid_format(&id, text);
    return text;
}

static bool skipped_data(Arena *arena, char *event_id, ProtobufCBinaryData *ret) {
    Events__V1__EventSkipped skipped = EVENTS__V1__EVENT_SKIPPED__INIT;
    skipped.event_id = event_id;
    skipped.reason = (char *)"refused by the topic";
    ret->data = arena_alloc(arena, events__v1__event_skipped__get_packed_size(&skipped) + 1);
    if (!ret->data) return false;
    ret->len = events__v1__event_skipped__pack(&skipped, ret->data);
    return true;
}

/* What cannot even be read has an id made of its bytes, and nothing that anybody could wait for. */
static Events__V1__Envelope *original_of(Span body, Arena *arena) {
    Events__V1__Envelope *original = envelope_unpack(body, arena);
    if (original && original->event_id[0]) return original;
    original = arena_alloc(arena, sizeof *original);
    if (!original) return NULL;
    *original = (Events__V1__Envelope)EVENTS__V1__ENVELOPE__INIT;
    original->event_id = skipped_id(arena, body);
    original->occurred_at = timestamp_new(arena, 0);
    return original;
}

static bool skipped_body(Arena *arena, Span body, Span *ret, Err *err) {
    Events__V1__Envelope *event = original_of(body, arena);
    if (!event || !skipped_data(arena, event->event_id, &event->data)) return too_large(err);
    event->event_id = skipped_id(arena, span_of(event->event_id));
    event->event_type = (char *)"EventSkipped";
    event->schema_version = (char *)"1.0";
    event->producer = (char *)"Relay";
    event->sequence = event->watermark = 0;
    uint8_t *packed = arena_alloc(arena, events__v1__envelope__get_packed_size(event) + 1);
    if (!packed || !event->event_id) return too_large(err);
    *ret = span_bytes(packed, events__v1__envelope__pack(event, packed));
    return true;
}

bool relay_batch_skip(RelayBatch *batch, size_t index, int64_t watermark, Err *err) {
    Span body;
    if (!skipped_body(batch->arena, batch->packed[index], &body, err)) return false;
    AUTO_BUF with_numbers = {0};
    buf_span(&with_numbers, body);
    envelope_append_numbers(&with_numbers, batch->numbers[index], watermark);
    char *copy = with_numbers.failed ? NULL : arena_copy(batch->arena, buf_view(&with_numbers));
    if (!copy) return too_large(err);
    batch->packed[index] = (Span){copy, with_numbers.len};
    return true;
}

bool relay_batch_add(RelayBatch *batch, const LaneRow *row, int64_t watermark, Err *err) {
    Span body = row->body;
    size_t before = batch->bytes.len, at = batch->count++;
    if (row->skipped && !skipped_body(batch->arena, body, &body, err)) return false;
    buf_span(&batch->bytes, body);
    envelope_append_numbers(&batch->bytes, row->sequence, watermark);
    batch->numbers[at] = row->sequence;
    batch->lanes[at] = row->lane;
    batch->sent[at] = false;
    batch->packed[at] = (Span){NULL, batch->bytes.len - before};
    return true;
}
