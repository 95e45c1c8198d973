/* Frames as server-sent events, and the ids that come back. */
#include "base/arena.h"
#include "events/v1/prospect.pb-c.h"
#include "events/v1/stream.pb-c.h"
#include "gateway/stream/session_frames.h"
#include "gateway/stream/sse_text.h"
#include "kit/test.h"
#include "wire/envelope_json.h"

static const FrameForm FORM = {sse_text, "e-1"};

static void frames(void) {
    AUTO(Blob) welcome = frame_welcome(FORM, "c-1", 9, "e-1", 20);
    CHECK_SPAN(blob_view(welcome), "retry: 2000\n: connection c-1\n\n");
    AUTO(Blob) subscribed = frame_subscribed(FORM, 1, 7, true);
    CHECK_SPAN(blob_view(subscribed), "id: e-1.7\nevent: Subscribed\n"
                                      "data: {\"position\":\"7\",\"epoch\":\"e-1\",\"caughtUp\":true}\n\n");
    AUTO(Blob) resync = frame_resync(FORM, 1, 12, "too_old"); /* no id: what the client has stored stays */
    CHECK_SPAN(blob_view(resync), "event: ResyncRequired\n"
                                  "data: {\"reason\":\"too_old\",\"position\":\"12\",\"epoch\":\"e-1\"}\n\n");
    AUTO(Blob) reconnect = frame_reconnect(FORM, 250, "shutdown");
    CHECK_SPAN(blob_view(reconnect),
               "retry: 250\nevent: Reconnect\ndata: {\"retryAfterMs\":250,\"reason\":\"shutdown\"}\n\n");
    AUTO(Blob) quiet = frame_batch(FORM, &(BatchParts){.position = 40});
    CHECK_SPAN(blob_view(quiet), "id: e-1.40\n\n");
    AUTO(Blob) last = sse_closed(4401, "the token has expired");
    CHECK_SPAN(blob_view(last),
               "event: Closed\ndata: {\"code\":4401,\"reason\":\"the token has expired\"}\n\n");
    CHECK(sse_text(SPAN("\xff\xff"), "e-1") == NULL);
}

static Event *make_event(int64_t sequence, const char *notes) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__ProspectCreated data = EVENTS__V1__PROSPECT_CREATED__INIT;
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    data.prospect_id = 3;
    data.notes = (char *)notes;
    e.event_id = (char *)"id-1", e.event_type = (char *)"ProspectCreated", e.subject = (char *)"prospect/3";
    e.tenant_id = (char *)"t", e.sequence = sequence;
    REQUIRE(envelope_set_data(&e, &data.base, arena));
    return event_new(&e);
}

static size_t count(Span text, const char *part) {
    size_t found = 0, len = strlen(part);
    for (size_t i = 0; i + len <= text.len; i++) found += !memcmp(text.at + i, part, len);
    return found;
}

static void presence(void) {
    char *users[] = {(char *)"ada", (char *)"b\n\"b\""};
    Events__V1__PresenceChanged changed = EVENTS__V1__PRESENCE_CHANGED__INIT;
    Events__V1__ServerFrame frame = EVENTS__V1__SERVER_FRAME__INIT;
    changed.subject = (char *)"prospect/7", changed.users = users, changed.n_users = COUNT(users);
    frame.frame_case = EVENTS__V1__SERVER_FRAME__FRAME_PRESENCE_CHANGED;
    frame.presence_changed = &changed;
    uint8_t packed[128];
    AUTO(Blob) text = sse_text(span_bytes(packed, events__v1__server_frame__pack(&frame, packed)), "e-1");
    CHECK_SPAN(
        blob_view(text),
        "event: PresenceChanged\n"
        "data: {\"subject\":\"prospect/7\",\"users\":[\"ada\",\"b\\n\\\"b\\\"\"],\"complete\":false}\n\n");
}

/* One line of data for each event, whatever its text holds; the id never passes what is still to be sent. */
static void events(void) {
    static const struct {
        int64_t position;
        const char *ids[2];
    } CASES[] = {
        {9, {"id: e-1.5\ndata: {", "id: e-1.7\ndata: {"}}, /* live: all up to 9 has been sent */
        {7, {"id: e-1.5\ndata: {", "id: e-1.7\ndata: {"}},
        {3, {"id: e-1.3\ndata: {", "id: e-1.3\ndata: {"}}, /* they overtake what a stream catches up with */
    };
    AUTO(Event) first = make_event(5, "one\ntwo\r\nthree\r\n\nid: 1");
    AUTO(Event) second = make_event(7, "");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        BatchParts parts = {(Event *[]){first, second}, 2, true, CASES[i].position, NULL};
        AUTO(Blob) blob = frame_batch(FORM, &parts);
        REQUIRE(blob != NULL);
        Span text = blob_view(blob);
        CHECK(count(text, "\n") == 6 && count(text, "\r") == 0 && count(text, "\n\n") == 2);
        CHECK(span_starts(text, span_of(CASES[i].ids[0])) && count(text, CASES[i].ids[1]) >= 1);
        CHECK(count(text, "\"eventType\":\"ProspectCreated\"") == 2 && span_ends(text, SPAN("}\n\n")));
    }
}

static void ids(void) {
    static const struct {
        const char *text, *epoch;
        int64_t position; /* -1: refused */
    } CASES[] = {
        {"e-1.7", "e-1", 7},
        {"7", "", 7},
        {"a.b.7", "a.b", 7},
        {"0", "", 0},
        {"e.9223372036854775807", "e", INT64_MAX},
        {"e.9223372036854775808", "", -1},
        {"", "", -1},
        {"e.", "", -1},
        {".7", "", -1},
        {"e", "", -1},
        {"e.-1", "", -1},
        {"e. 7", "", -1},
        {"e.7 ", "", -1},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span epoch;
        int64_t position;
        bool ok = sse_id_read(span_of(CASES[i].text), &epoch, &position);
        CHECK(ok == (CASES[i].position >= 0));
        if (!ok || CASES[i].position < 0) continue;
        CHECK(position == CASES[i].position);
        CHECK_SPAN(epoch, CASES[i].epoch);
    }
}

SUITE("sse", TEST(frames), TEST(presence), TEST(events), TEST(ids));
