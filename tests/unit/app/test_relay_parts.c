/* How a batch is cut into the requests that are in flight together: no subject in two of them, each one's
 * events in order, and neighbours together. */
#include "app/relay/relay_parts.h"

#include "kit/test.h"
#include "wire/envelope.h"
#include <stdio.h>

static const struct {
    int events, subjects; /* event i is of subject i % subjects */
    size_t least, parts;
} CUTS[] = {
    {1, 1, 250, 1},     {249, 249, 250, 1},   {499, 499, 250, 1},  {500, 500, 250, 2},
    {750, 750, 250, 3}, {1000, 1000, 250, 4}, {1000, 37, 250, 4},  {1000, 1, 250, 4},
    {9, 9, 2, 4},       {3, 2, 1, 3},         {1000, 600, 100, 4},
};

static void add(RelayBatch *batch, int number, int subject) {
    char name[32];
    uint8_t bytes[200];
    Err err = {0};
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    snprintf(name, sizeof name, "prospect/%d", subject);
    e.event_id = (char *)"e";
    e.subject = name;
    size_t len = events__v1__envelope__pack(&e, bytes);
    LaneRow row = {.sequence = number, .body = span_bytes(bytes, len)};
    REQUIRE(relay_batch_add(batch, &row, number, &err));
}

static RelayBatch *batch_of(int events, int subjects) {
    Err err = {0};
    RelayBatch *batch = relay_batch_new();
    for (int i = 0; i < events; i++) add(batch, i + 1, i % subjects);
    REQUIRE(relay_batch_place(batch, &err));
    return batch;
}

/* Every event in one part, ascending there; *part_of[i]: in which. */
static void check_parts(const RelayParts *parts, const RelayBatch *batch, size_t *part_of) {
    size_t at = 0;
    bool seen[RELAY_BATCH] = {false};
    for (size_t part = 0; part < parts->count; part++) {
        CHECK(parts->at[part].first == at && !parts->at[part].done && !parts->at[part].limit);
        for (size_t k = 0; k < parts->at[part].count; k++, at++) {
            size_t i = parts->index[at];
            REQUIRE(i < batch->count && !seen[i]);
            seen[i] = true;
            part_of[i] = part;
            CHECK(parts->packed[at].at == batch->packed[i].at);
            CHECK(!k || parts->index[at - 1] < i);
        }
    }
    CHECK(at == batch->count);
}

static void no_subject_is_in_two_requests(void) {
    static RelayParts parts;
    for (size_t c = 0; c < COUNT(CUTS); c++) {
        size_t part_of[RELAY_BATCH], subjects = (size_t)CUTS[c].subjects;
        RelayBatch *batch = batch_of(CUTS[c].events, CUTS[c].subjects);
        relay_parts_cut(&parts, batch, CUTS[c].least);
        CHECK(parts.count == CUTS[c].parts);
        check_parts(&parts, batch, part_of);
        for (size_t i = subjects; i < batch->count; i++) CHECK(part_of[i] == part_of[i - subjects]);
        for (size_t i = 1; i < batch->count && i < subjects; i++) CHECK(part_of[i] >= part_of[i - 1]);
        relay_batch_free(batch);
    }
}

/* What no one can read has no subject either; the topic will say so. */
static void unreadable_events_stay_together(void) {
    static RelayParts parts;
    Err err = {0};
    size_t part_of[RELAY_BATCH];
    RelayBatch *batch = relay_batch_new();
    for (int i = 0; i < 4; i++) {
        LaneRow row = {.sequence = i + 1, .body = SPAN("\xff\xff")};
        REQUIRE(relay_batch_add(batch, &row, 4, &err));
    }
    REQUIRE(relay_batch_place(batch, &err));
    relay_parts_cut(&parts, batch, 1);
    check_parts(&parts, batch, part_of);
    for (size_t i = 1; i < 4; i++) CHECK(part_of[i] == part_of[0]);
    relay_batch_free(batch);
}

SUITE("relay_parts", TEST(no_subject_is_in_two_requests), TEST(unreadable_events_stay_together));
