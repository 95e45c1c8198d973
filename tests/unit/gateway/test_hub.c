/* Order of release, duplicates, holes, the ring's lower end, another epoch; filters and masks. */
#include "base/clock.h"
#include "events/v1/prospect.pb-c.h"
#include "gateway/feed/hub.h"
#include "gateway/stream/filter.h"
#include "gateway/stream/mask.h"
#include "gateway/stream/socket.h"
#include "kit/test.h"
#include "wire/envelope.h"
#include <stdio.h>
#include <time.h>

static unsigned repairs;
static void repair_needed(void *user) {
    (void)user;
    repairs++;
}

static Events__V1__Envelope envelope(int64_t sequence, const char *type, const char *subject) {
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"0190163d-8694-739b-aea5-966c26f8ad91";
    e.event_type = (char *)type;
    e.subject = (char *)subject;
    e.tenant_id = (char *)"demo";
    e.issued_by = (char *)"ada";
    e.sequence = sequence;
    return e;
}

static bool offer(Hub *hub, int64_t sequence) {
    Events__V1__Envelope e = envelope(sequence, "ProspectCreated", "prospect/1");
    return hub_offer(hub, &e);
}

/* What a loop at `after` gets, as text: "3 4 5 " */
static HubTake take(Hub *hub, unsigned generation, int64_t after, size_t most, Buf *text) {
    Event *events[64];
    size_t count;
    buf_clear(text);
    HubTake outcome = hub_take(hub, generation, after, most, 1 << 20, events, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(text, "%lld ", (long long)event_sequence(events[i]));
        event_unref(events[i]);
    }
    return outcome;
}

static void release_order(void) {
    static const struct {
        const char *name;
        int64_t offered[8]; /* 0 ends */
        const char *released;
    } CASES[] = {
        {"in order", {11, 12, 13}, "11 12 13 "},
        {"reversed", {13, 12, 11}, "11 12 13 "},
        {"a hole", {11, 13, 14}, "11 "},
        {"a hole that fills", {11, 13, 14, 12}, "11 12 13 14 "},
        {"doubled", {11, 11, 12, 11, 12}, "11 12 "},
        {"early doubled", {13, 13, 11, 12}, "11 12 13 "},
        {"old ones", {9, 10, 11}, "11 "},
        {"far beyond the array", {11, 10 + 3 * RING_EVENTS, 12}, "11 12 "},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
        AUTO_BUF text = {0};
        CHECK(!offer(hub, 11)); /* not started: it must come again */
        hub_start(hub, &(ReplayHead){.epoch = "e", .head = 10});
        for (size_t k = 0; CASES[i].offered[k]; k++) CHECK(offer(hub, CASES[i].offered[k]));
        CHECK(take(hub, 1, 10, 64, &text) == HUB_TAKEN);
        CHECK_SPAN(buf_view(&text), CASES[i].released);
    }
}

/* Behind a hole only what would overtake an event of its own subject waits. */
static void ahead_of_a_hole(void) {
    static const struct {
        const char *name;
        struct {
            int64_t number;
            char subject;
            int64_t version;
        } offered[6]; /* number 0 ends */
        const char *ahead, *released;
    } CASES[] = {
        {"the first of a subject", {{12, 'a', 1}, {13, 'b', 1}}, "12 13 ", ""},
        {"a subject's only event", {{12, 'a', 0}}, "12 ", ""},
        {"its previous version has gone in its turn", {{11, 'a', 4}, {13, 'a', 5}}, "13 ", "11 "},
        {"... or ahead of it", {{12, 'a', 1}, {13, 'a', 2}}, "12 13 ", ""},
        {"its previous version may be the hole", {{12, 'a', 2}}, "", ""},
        {"or behind it", {{13, 'a', 3}, {12, 'a', 1}}, "12 ", ""},
        {"nothing is known of the subject", {{11, 'b', 4}, {13, 'a', 5}}, "", "11 "},
        {"an old version under a new number", {{11, 'a', 4}, {13, 'a', 2}}, "13 ", "11 "},
        {"doubled", {{12, 'a', 1}, {12, 'a', 1}}, "12 ", ""},
        {"its turn has come", {{12, 'a', 1}, {11, 'b', 1}}, "", "11 12 "},
        {"one of two holes fills",
         {{12, 'b', 2}, {14, 'a', 2}, {13, 'c', 1}, {11, 'a', 1}},
         "",
         "11 12 13 14 "},
        {"behind the second hole", {{15, 'a', 2}, {12, 'b', 1}, {11, 'a', 1}}, "15 ", "11 12 "},
        {"behind one that goes ahead", {{14, 'a', 3}, {13, 'a', 2}, {12, 'a', 1}}, "12 13 14 ", ""},
        {"several subjects behind a hole that fills",
         {{15, 'b', 3}, {16, 'a', 3}, {13, 'a', 2}, {12, 'b', 2}, {11, 'b', 1}},
         "15 16 ",
         "11 12 13 "},
        {"no room", {{10 + RING_EVENTS + 1, 'a', 1}}, "", ""},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
        AUTO_BUF text = {0}, ahead = {0};
        Event *events[8];
        uint64_t after = 0;
        hub_start(hub, &(ReplayHead){.epoch = "e", .head = 10});
        for (size_t k = 0; k < COUNT(CASES[i].offered) && CASES[i].offered[k].number; k++) {
            char subject[] = "prospect/a";
            subject[sizeof subject - 2] = CASES[i].offered[k].subject;
            Events__V1__Envelope e = envelope(CASES[i].offered[k].number, "ProspectUpdated", subject);
            e.subject_version = CASES[i].offered[k].version;
            CHECK(hub_offer(hub, &e));
        }
        CHECK(take(hub, 1, 10, 64, &text) == HUB_TAKEN);
        CHECK_SPAN(buf_view(&text), CASES[i].released);
        int64_t position = hub_position(hub, NULL).head;
        CHECK(hub_take_ahead(hub, 1, position - 1, &after, 8, events) == 0); /* first come the others */
        CHECK(hub_take_ahead(hub, 2, position, &after, 8, events) == 0);
        size_t count;
        while ((count = hub_take_ahead(hub, 1, position, &after, 1, events))) {
            buf_printf(&ahead, "%lld ", (long long)event_sequence(events[0]));
            event_unref(events[0]);
        }
        CHECK_SPAN(buf_view(&ahead), CASES[i].ahead);
    }
}

static int64_t processor_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void offer_version(Hub *hub, int64_t number, int64_t version) {
    char subject[32];
    snprintf(subject, sizeof subject, "prospect/%lld", (long long)number);
    Events__V1__Envelope e = envelope(number, "ProspectUpdated", subject);
    e.subject_version = version;
    REQUIRE(hub_offer(hub, &e));
}

/* However many wait behind a hole, or went ahead of it: what fills it costs each number the same. */
static void filling_a_hole(void) {
    enum { MANY = 8000, HOLES = 4000, DEARER = 15 };
    static const struct {
        const char *name;
        int64_t version; /* of those that wait: 1 goes ahead, 2 does not */
        int64_t step;    /* 2: every other number is missing */
        int64_t fill;
    } CASES[] = {
        {"held back", 2, 1, MANY},
        {"gone ahead", 1, 1, MANY},
        {"held back between holes", 2, 2, HOLES},
        {"gone ahead between holes", 1, 2, HOLES},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t took[2], first = CASES[i].step == 1 ? MANY + 1 : 2;
        for (size_t waiting = 0; waiting < 2; waiting++) {
            AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
            hub_start(hub, &(ReplayHead){.epoch = "e", .head = 0});
            for (int64_t n = 0; n < CASES[i].fill && waiting; n++)
                offer_version(hub, first + n * CASES[i].step, CASES[i].version);
            int64_t began = processor_us();
            for (int64_t n = 0; n < CASES[i].fill; n++)
                offer_version(hub, 1 + n * (waiting ? CASES[i].step : 1), 1);
            took[waiting] = processor_us() - began;
            CHECK(hub_position(hub, NULL).head == (waiting ? 2 : 1) * CASES[i].fill);
        }
        if (took[1] > DEARER * took[0])
            printf("\n    %s: %lld us instead of %lld", CASES[i].name, (long long)took[1],
                   (long long)took[0]);
        CHECK(took[1] <= DEARER * took[0]);
    }
}

static void ring_end(void) {
    AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
    AUTO_BUF text = {0};
    hub_start(hub, &(ReplayHead){.epoch = "e", .head = 0});
    for (int64_t n = 1; n <= RING_EVENTS + 5; n++) REQUIRE(offer(hub, n));
    CHECK(take(hub, 1, 0, 2, &text) == HUB_TOO_OLD);
    CHECK(take(hub, 1, 4, 2, &text) == HUB_TOO_OLD);
    CHECK(take(hub, 1, 5, 2, &text) == HUB_TAKEN);
    CHECK_SPAN(buf_view(&text), "6 7 ");
    CHECK(take(hub, 1, RING_EVENTS + 5, 2, &text) == HUB_TAKEN);
    CHECK_SPAN(buf_view(&text), "");
    CHECK(take(hub, 1, INT64_MAX, 2, &text) == HUB_TAKEN); /* a client may name any position */
    CHECK_SPAN(buf_view(&text), "");
    CHECK(hub_position(hub, NULL).head == RING_EVENTS + 5);
}

static void holes(void) {
    AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
    int64_t from, to, start = 1000000000;
    clock_fake(start);
    hub_start(hub, &(ReplayHead){.epoch = "e", .head = 0});
    CHECK(hub_next_due_us(hub) == INT64_MAX);
    repairs = 0;
    offer(hub, 1);
    offer(hub, 4);
    CHECK(repairs == 1 && !hub_due_repair(hub, &from, &to));
    clock_fake(start + 1100000);
    REQUIRE(hub_due_repair(hub, &from, &to));
    CHECK(from == 2 && to == 3);
    offer(hub, 2);
    offer(hub, 3);
    CHECK(hub_position(hub, NULL).head == 4 && hub_next_due_us(hub) == INT64_MAX);
    CHECK(!hub_held(hub, SPAN("other"), 9));
    CHECK(hub_held(hub, SPAN("e"), 6)); /* the tail: nothing follows that would show the loss */
    clock_fake(start + 2300000);
    REQUIRE(hub_due_repair(hub, &from, &to));
    CHECK(from == 5 && to == 6);
    clock_fake(-1);
}

/* What both lack, the projection gets first (from the relay); then nobody waits for a back-off that has grown. */
static void what_the_log_has_at_last_is_asked_for_at_once(void) {
    AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
    int64_t from, to, now = 1000000000;
    clock_fake(now);
    hub_start(hub, &(ReplayHead){.epoch = "e", .head = 0});
    offer(hub, 4);
    for (size_t asked = 0; asked < 8; asked++) {
        clock_fake(now = hub_next_due_us(hub));
        REQUIRE(hub_due_repair(hub, &from, &to));
    }
    clock_fake(now += 1000000);
    CHECK(!hub_due_repair(hub, &from, &to));
    CHECK(hub_held(hub, SPAN("e"), 2) && hub_next_due_us(hub) <= now);
    REQUIRE(hub_due_repair(hub, &from, &to));
    CHECK(from == 1 && to == 3);
    CHECK(hub_held(hub, SPAN("e"), 2) &&
          hub_next_due_us(hub) > now); /* said again: asked again in its time */
    offer(hub, 1);
    offer(hub, 2);
    CHECK(hub_held(hub, SPAN("e"), 3) && hub_due_repair(hub, &from, &to));
    CHECK(from == 3 && to == 3);
    clock_fake(-1);
}

static void another_log(void) {
    AUTO(Hub) hub = hub_new(&HUB_LIMITS, repair_needed, NULL);
    AUTO_BUF text = {0};
    hub_start(hub, &(ReplayHead){.epoch = "e", .head = 5});
    offer(hub, 6);
    hub_start(hub, &(ReplayHead){.epoch = "e", .head = 3}); /* the same log: no effect */
    CHECK(hub_position(hub, NULL).head == 6);
    hub_start(hub, &(ReplayHead){.epoch = "f", .head = 3});
    CHECK(take(hub, 1, 5, 9, &text) == HUB_RESTARTED);
    CHECK(hub_position(hub, NULL).head == 3);
    CHECK(offer(hub, 4));
    CHECK(take(hub, 2, 3, 9, &text) == HUB_TAKEN);
    CHECK_SPAN(buf_view(&text), "4 ");
}

/* --- filters --- */

static const char *fault_of(char **types, size_t type_count, char **subjects, size_t subject_count,
                            unsigned scopes) {
    Events__V1__Subscribe s = EVENTS__V1__SUBSCRIBE__INIT;
    Claims claims = {.scope_bits = scopes};
    const char *code;
    s.event_types = types, s.n_event_types = type_count;
    s.subjects = subjects, s.n_subjects = subject_count;
    AUTO(Filter) filter = filter_new(&s, &claims, &code);
    return filter ? "" : code;
}

static void filter_faults(void) {
    char *fine[] = {(char *)"prospect/1", (char *)"prospect/*"}, *star[] = {(char *)"*"},
         *half[] = {(char *)"prospect/1*"};
    char *deep[] = {(char *)"prospect/1/2"}, *bare[] = {(char *)"prospect"},
         *types[] = {(char *)"ProspectCreated"};
    char *rejected[] = {(char *)"CommandRejected"}, *many[FILTER_SUBJECTS_MAX + 1];
    for (size_t i = 0; i < COUNT(many); i++) many[i] = fine[0];
    CHECK_SPAN(span_of(fault_of(types, 1, fine, 2, SCOPE_READ)), "");
    CHECK_SPAN(span_of(fault_of(NULL, 0, star, 1, SCOPE_READ)), "invalid_subject");
    CHECK_SPAN(span_of(fault_of(NULL, 0, half, 1, SCOPE_READ)), "invalid_subject");
    CHECK_SPAN(span_of(fault_of(NULL, 0, deep, 1, SCOPE_READ)), "invalid_subject");
    CHECK_SPAN(span_of(fault_of(NULL, 0, bare, 1, SCOPE_READ)), "invalid_subject");
    CHECK_SPAN(span_of(fault_of(NULL, 0, many, COUNT(many) - 1, SCOPE_READ)), "");
    CHECK_SPAN(span_of(fault_of(NULL, 0, many, COUNT(many), SCOPE_READ)), "too_many");
    CHECK_SPAN(span_of(fault_of(types, 1, NULL, 0, SCOPE_WRITE)), "forbidden");
    CHECK_SPAN(span_of(fault_of(rejected, 1, NULL, 0, SCOPE_WRITE)), "");
    CHECK_SPAN(span_of(fault_of(NULL, 0, NULL, 0, 0)), "");
}

static void filter_matching(void) {
    static const struct {
        const char *type, *subject, *wanted_type, *wanted_subject, *tenant, *user;
        unsigned scopes;
        bool match;
    } CASES[] = {
        {"ProspectCreated", "prospect/1", NULL, NULL, "demo", "bob", SCOPE_READ, true},
        {"ProspectCreated", "prospect/1", NULL, NULL, "other", "ada", SCOPE_READ, false},
        {"ProspectCreated", "prospect/1", NULL, NULL, "demo", "bob", SCOPE_WRITE, false},
        {"ProspectCreated", "prospect/1", "ProspectUpdated", NULL, "demo", "bob", SCOPE_READ, false},
        {"ProspectCreated", "prospect/1", "ProspectCreated", "prospect/1", "demo", "bob", SCOPE_READ, true},
        {"ProspectCreated", "prospect/12", NULL, "prospect/1", "demo", "bob", SCOPE_READ, false},
        {"ProspectCreated", "prospect/12", NULL, "prospect/*", "demo", "bob", SCOPE_READ, true},
        {"ProspectCreated", "prospects/12", NULL, "prospect/*", "demo", "bob", SCOPE_READ, false},
        {"CommandRejected", "command/9", "ProspectCreated", "prospect/1", "demo", "ada", 0, true},
        {"CommandRejected", "command/9", NULL, NULL, "demo", "bob", SCOPE_READ, false},
        {"CommandRejected", "command/9", NULL, NULL, "other", "ada", SCOPE_READ, false},
        {"EventSkipped", "prospect/1", NULL, NULL, "demo", "ada", SCOPE_READ, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Events__V1__Envelope e = envelope(1, CASES[i].type, CASES[i].subject);
        AUTO(Event) event = event_new(&e);
        Events__V1__Subscribe s = EVENTS__V1__SUBSCRIBE__INIT;
        char *type = (char *)CASES[i].wanted_type, *subject = (char *)CASES[i].wanted_subject;
        Claims claims = {.scope_bits = CASES[i].scopes};
        const char *code;
        span_copy(span_of(CASES[i].tenant), claims.tenant_id, sizeof claims.tenant_id);
        span_copy(span_of(CASES[i].user), claims.user_id, sizeof claims.user_id);
        if (type) s.event_types = &type, s.n_event_types = 1;
        if (subject) s.subjects = &subject, s.n_subjects = 1;
        Claims asking = claims;
        asking.scope_bits |= SCOPE_READ; /* a later token may have less than the one that subscribed */
        AUTO(Filter) filter = filter_new(&s, &asking, &code);
        REQUIRE(filter && event);
        CHECK(filter_matches(filter, event, &claims) == CASES[i].match);
    }
}

/* --- what leaves --- */

static Event *created(int64_t sequence) {
    Events__V1__ProspectCreated p = EVENTS__V1__PROSPECT_CREATED__INIT;
    uint8_t data[256];
    p.prospect_id = 7;
    p.first_name = (char *)"Ada";
    p.email = (char *)"ada@example.org";
    p.version = 1;
    Events__V1__Envelope e = envelope(sequence, "ProspectCreated", "prospect/7");
    e.data = (ProtobufCBinaryData){events__v1__prospect_created__pack(&p, data), data};
    return event_new(&e);
}

static void batch(bool personal, const char *first_name, const char *email) {
    AUTO(Event) a = created(3);
    AUTO(Event) b = created(4);
    AUTO(Arena) arena = arena_new(0);
    uint32_t id = 300;
    AUTO(Blob) frame =
        frame_batch((FrameForm){socket_frame, "e"}, &(BatchParts){(Event *[]){a, b}, 2, personal, 4, &id});
    REQUIRE(frame && frame->len > 4);
    size_t head = (frame->bytes[1] & 127) == 126 ? 4 : 2; /* of the WebSocket frame */
    Events__V1__ServerFrame *f = events__v1__server_frame__unpack(arena_protobuf(arena), frame->len - head,
                                                                  (const uint8_t *)frame->bytes + head);
    REQUIRE(f && f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_EVENTS);
    CHECK(f->events->n_events == 2 && f->events->position == 4 && f->events->n_ids == 1 &&
          f->events->ids[0] == 300);
    CHECK(f->events->events[1]->sequence == 4);
    ProtobufCBinaryData data = f->events->events[0]->data;
    Events__V1__ProspectCreated *p =
        events__v1__prospect_created__unpack(arena_protobuf(arena), data.len, data.data);
    REQUIRE(p);
    CHECK(p->prospect_id == 7 && p->version == 1);
    CHECK_SPAN(span_of(p->first_name), first_name);
    CHECK_SPAN(span_of(p->email), email);
}

static void batches(void) {
    batch(true, "Ada", "ada@example.org");
    batch(false, "", "");
}

static void client_frames(void) {
    static const struct {
        const char *name, *bytes;
        size_t len;
        FrameFault fault;
        const char *where; /* of what cannot be decoded */
    } CASES[] = {
        {"ping", "\x22\x02\x08\x05", 4, FRAME_GOOD},
        {"empty", "", 0, FRAME_UNKNOWN},
        {"a frame of the future", "\x4a\x00", 2, FRAME_UNKNOWN},
        {"two frames", "\x22\x00\x12\x00", 4, FRAME_UNKNOWN},
        {"a frame and one of the future", "\x22\x00\x4a\x00", 4, FRAME_UNKNOWN},
        {"cut off", "\x22\x05\x08", 3, FRAME_UNDECODABLE, " invalid_encoding"},
        {"text that is not UTF-8", "\x0a\x05\x12\x03\xff\xff\xff", 7, FRAME_UNDECODABLE,
         "subscribe.subjects[0] invalid_encoding"},
        {"NUL in the second text", "\x0a\x07\x12\x01\x61\x12\x02\x62\x00", 9, FRAME_UNDECODABLE,
         "subscribe.subjects[1] invalid_characters"},
        {"noise", "\xff\xff\xff\xff", 4, FRAME_UNDECODABLE, " invalid_encoding"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        Events__V1__ClientFrame *frame;
        FieldFaults faults = {0};
        FrameFault fault = frame_read((Span){CASES[i].bytes, CASES[i].len}, arena, &frame, &faults);
        if (fault != CASES[i].fault) printf("\n    %s", CASES[i].name);
        CHECK(fault == CASES[i].fault && (faults.count > 0) == (CASES[i].where != NULL));
        char where[80] = "";
        if (faults.count) snprintf(where, sizeof where, "%s %s", faults.at[0].field, faults.at[0].code);
        CHECK_SPAN(span_of(where), CASES[i].where ? CASES[i].where : "");
    }
}

SUITE("hub", TEST(release_order), TEST(ahead_of_a_hole), TEST(filling_a_hole), TEST(ring_end), TEST(holes),
      TEST(what_the_log_has_at_last_is_asked_for_at_once), TEST(another_log), TEST(filter_faults),
      TEST(filter_matching), TEST(batches), TEST(client_frames));
