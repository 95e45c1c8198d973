#include "gateway/stream/sse_text.h"

#include "base/arena.h"
#include "events/v1/stream.pb-c.h"
#include "wire/envelope_json.h"
#include <stdio.h>

enum { ARENA_BYTES = 16 << 20, RETRY_MS = 2000 };

static void write_id(Buf *out, const char *epoch, int64_t position) {
    buf_printf(out, "id: %s.%lld\n", epoch, (long long)position);
}

/* --- events --- */

/* What may be stored once this event has come: its number, unless something below it is still to be sent (an
 * outcome overtakes a stream that catches up). */
static int64_t safe_position(const Events__V1__EventBatch *batch, const Events__V1__Envelope *event) {
    return event->sequence < batch->position ? event->sequence : batch->position;
}

static void write_events(Buf *out, const Events__V1__EventBatch *batch, const char *epoch) {
    for (size_t i = 0; i < batch->n_events; i++) {
        JsonWriter w = json_writer(out);
        write_id(out, epoch, safe_position(batch, batch->events[i]));
        buf_text(out, "data: ");
        events_v1_envelope_to_json(&batch->events[i]->base,
                                   &w); /* one line: JSON escapes what would break it */
        buf_text(out, "\n\n");
    }
    if (batch->n_events) return;
    write_id(out, epoch, batch->position); /* no data: it moves what is stored and is no message */
    buf_byte(out, '\n');
}

/* --- the stream about itself --- */

static JsonWriter begin(Buf *out, const char *type) {
    buf_printf(out, "event: %s\ndata: ", type);
    JsonWriter w = json_writer(out);
    json_object(&w);
    return w;
}

static void member_text(JsonWriter *w, const char *name, const char *text) {
    json_name(w, name);
    json_text(w, text);
}

static void member_position(JsonWriter *w, int64_t position) {
    char text[24];
    json_name(w, "position");
    json_string(w, (Span){text, (size_t)snprintf(text, sizeof text, "%lld", (long long)position)});
}

static void end(Buf *out, JsonWriter *w) {
    json_object_end(w);
    buf_text(out, "\n\n");
}

static void write_subscribed(Buf *out, const Events__V1__Subscribed *s, const char *epoch) {
    write_id(out, epoch, s->position);
    JsonWriter w = begin(out, "Subscribed");
    member_position(&w, s->position);
    member_text(&w, "epoch", epoch);
    json_name(&w, "caughtUp");
    json_bool(&w, s->caught_up);
    end(out, &w);
}

static void write_resync(Buf *out, const Events__V1__ResyncRequired *r, const char *epoch) {
    JsonWriter w = begin(out, "ResyncRequired");
    member_text(&w, "reason", r->reason);
    member_position(&w, r->position);
    member_text(&w, "epoch", epoch);
    end(out, &w);
}

static void write_reconnect(Buf *out, const Events__V1__Reconnect *r) {
    buf_printf(out, "retry: %u\n", r->retry_after_ms);
    JsonWriter w = begin(out, "Reconnect");
    json_name(&w, "retryAfterMs");
    json_int(&w, r->retry_after_ms);
    member_text(&w, "reason", r->reason);
    end(out, &w);
}

static void write_presence(Buf *out, const Events__V1__PresenceChanged *p) {
    JsonWriter w = begin(out, "PresenceChanged");
    member_text(&w, "subject", p->subject);
    json_name(&w, "users");
    json_array(&w);
    for (size_t i = 0; i < p->n_users; i++) json_text(&w, p->users[i]);
    json_array_end(&w);
    json_name(&w, "complete");
    json_bool(&w, p->complete);
    end(out, &w);
}

static void write_frame(Buf *out, const Events__V1__ServerFrame *f, const char *epoch) {
    switch (f->frame_case) {
    case EVENTS__V1__SERVER_FRAME__FRAME_EVENTS: write_events(out, f->events, epoch); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED: write_subscribed(out, f->subscribed, epoch); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED: write_resync(out, f->resync_required, epoch); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_RECONNECT: write_reconnect(out, f->reconnect); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_PRESENCE_CHANGED: write_presence(out, f->presence_changed); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_WELCOME:
        buf_printf(out, "retry: %d\n: connection %s\n\n", RETRY_MS, f->welcome->connection_id);
        break;
    default: buf_text(out, ":\n\n"); /* for clients that speak */
    }
}

static Blob *to_blob(const Buf *text) {
    return text->failed ? NULL : blob_copy(buf_view(text));
}

Blob *sse_text(Span message, const char *epoch) {
    AUTO(Arena) arena = arena_new(ARENA_BYTES);
    AUTO_BUF text = {0};
    Events__V1__ServerFrame *frame =
        events__v1__server_frame__unpack(arena_protobuf(arena), message.len, (const uint8_t *)message.at);
    if (!frame) return NULL;
    write_frame(&text, frame, epoch);
    return to_blob(&text);
}

Blob *sse_closed(int code, const char *reason) {
    AUTO_BUF text = {0};
    JsonWriter w = begin(&text, "Closed");
    json_name(&w, "code");
    json_int(&w, code);
    member_text(&w, "reason", reason);
    end(&text, &w);
    return to_blob(&text);
}

bool sse_id_read(Span text, Span *epoch, int64_t *position) {
    size_t number = text.len;
    uint64_t value;
    while (number && text.at[number - 1] != '.') number--;
    if (!span_to_u64((Span){text.at + number, text.len - number}, INT64_MAX, &value)) return false;
    *epoch = (Span){text.at, number ? number - 1 : 0};
    *position = (int64_t)value;
    return !number || epoch->len;
}
