/* Messages of the event boundary. The first byte chooses the media type, or binary mode: then lines
 * "name:value" up to an empty one are the header fields. An event that is accepted can be written as a
 * CloudEvent, and that one is read as the same event. */
#include "fuzz.h"

#include "wire/cloudevents/cloudevent.h"
#include "wire/message.h"

static const Span TYPES[] = {
    {"application/cloudevents+json", 28},
    {"application/cloudevents-batch+json", 34},
    {"application/json; charset=utf-8", 31},
    {"application/x-protobuf", 22},
};

typedef struct Seen {
    Arena *arena;
    Buf first; /* the event written once, while it is read a second time */
    size_t events, bad;
} Seen;

static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    Seen *seen = user;
    (void)index, (void)bytes;
    PROMISE(reason && *reason, "a bad event has a reason");
    seen->bad++;
}

static void on_same(void *user, Events__V1__Envelope *e) {
    Seen *seen = user;
    AUTO_BUF again = {0};
    seen->events++;
    PROMISE(cloudevent_write(e, &again, NULL), "written once is written again");
    PROMISE(span_equal(buf_view(&seen->first), buf_view(&again)), "an event survives being written and read");
}

static void on_event(void *user, Events__V1__Envelope *e) {
    Seen *seen = user;
    seen->events++;
    Seen second = {0};
    if (cloudevent_write(e, &second.first, NULL)) {
        AUTO(Arena) arena = arena_new(0);
        const CloudEventVisitor visitor = {.event = on_same, .bad = on_bad, .user = &second};
        PROMISE(cloudevent_read(TYPES[0], buf_view(&second.first), arena, &visitor, NULL),
                "ours is readable");
        PROMISE(second.events == 1 && !second.bad, "ours is one good event");
    }
    buf_free(&second.first);
}

/* The value of a line of `of`, which ends before the empty line. */
static Span field(const void *of, const char *lower_name) {
    for (Span rest = *(const Span *)of; rest.at;) {
        Span value, line = span_split(rest, '\n', &rest);
        if (span_is(span_split(line, ':', &value), lower_name) && value.at) return value;
    }
    return SPAN_NONE;
}

static bool read_binary(Span in, Arena *arena, const CloudEventVisitor *visitor, Err *err) {
    const char *end = in.len ? memmem(in.at, in.len, "\n\n", 2) : NULL;
    Span head = {in.at, end ? (size_t)(end - in.at) : in.len};
    Span body = end ? (Span){end + 2, in.len - head.len - 2} : SPAN_NONE;
    const CloudEventFields fields = {field, &head};
    cloudevent_is_binary(&fields);
    return cloudevent_read_binary(&fields, body, arena, visitor, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    AUTO(Arena) arena = arena_new(8 << 20);
    size_t unknown = 0;
    Err err = {0};
    Seen seen = {.arena = arena};
    const CloudEventVisitor visitor = {
        .event = on_event, .bad = on_bad, .user = &seen, .unknown_members = &unknown};
    Span in = span_bytes(data + 1, size - 1);
    size_t kind = data[0] % (COUNT(TYPES) + 1);
    bool ok = kind < COUNT(TYPES) ? cloudevent_read(TYPES[kind], in, arena, &visitor, &err)
                                  : read_binary(in, arena, &visitor, &err);
    PROMISE(ok || *err.why, "a refusal says why");
    return 0;
}
