/* relay_lanes.c - the relay's source on a server, where others may work beside it (store/outbox/lanes.h).
 *
 * Usually a relay takes the lanes of what it has just numbered and publishes it from memory. Events that wait
 * in a lane, because another relay has it or had it when it died, or because the topic was down, are looked
 * for: at the start, after a failure, and while others are at work every 100 ms. What is published is noted
 * with the next numbering, which is tried at once: a round trip and a commit less for each batch. Where a note is
 * lost, the events go out once more. */
#include "app/relay/relay_source.h"

#include "base/cleaner.h"
#include "store/retention.h"

enum { LOOK_US = 100000 };

static bool load(RelaySource *s, Err *err) {
    s->look_us = 0;
    return numbers_load(s->numbers, &s->state, err);
}

static bool fill(RelaySource *s, RelayBatch *batch, const LaneRows *rows, Err *err) {
    for (size_t i = 0; i < rows->count; i++)
        if (!relay_batch_add(batch, &rows->at[i], s->state.last, err)) return false;
    return relay_batch_place(batch, err);
}

static bool note_marks(RelaySource *s, Err *err) {
    if (s->unmarked && !lanes_published(s->outbox, s->owner, s->marks, err)) return false;
    s->unmarked = false;
    return true;
}

/* *found: something has been waiting, and is in the batch. */
static bool look(RelaySource *s, RelayBatch *batch, LaneRows *rows, int64_t now_us, bool *found, Err *err) {
    bool elsewhere;
    if (!note_marks(s, err)) return false; /* or it would be found as waiting */
    if (!lanes_claim(s->numbers, s->owner, rows, &elsewhere, err)) return false;
    *found = rows->count > 0;
    s->look_us = *found ? now_us : elsewhere ? now_us + LOOK_US : RELAY_NEVER;
    /* what another relay has numbered may be above what is known here */
    if (*found && rows->at[rows->count - 1].sequence > s->state.last)
        s->state.last = rows->at[rows->count - 1].sequence;
    return fill(s, batch, rows, err);
}

static bool next(RelaySource *s, RelayBatch *batch, int64_t now_us, bool *more, Err *err) {
    LaneRow room[RELAY_BATCH];
    LaneRows rows = {.at = room, .most = RELAY_BATCH, .arena = batch->arena};
    if (now_us >= s->look_us && !look(s, batch, &rows, now_us, more, err)) return false;
    if (*more) return true;
    if (!lanes_number(s->numbers, s->owner, s->unmarked ? s->marks : NULL, &s->state, &rows, err))
        return false;
    s->unmarked = false;
    if (rows.count < rows.given && s->look_us == RELAY_NEVER) s->look_us = now_us + LOOK_US;
    *more = rows.given == RELAY_BATCH;
    return fill(s, batch, &rows, err);
}

static bool read_again(RelaySource *s, RelayBatch *batch, int64_t from, int64_t to, Err *err) {
    LaneRow room[RELAY_BATCH];
    LaneRows rows = {.at = room, .most = RELAY_BATCH, .arena = batch->arena};
    return lanes_read(s->outbox, from, to, &rows, err) && fill(s, batch, &rows, err);
}

/* Where all is sent the next numbering notes it; what the topic does not have gives its lanes back at once. */
static bool published(RelaySource *s, const RelayBatch *batch, int64_t now_us, Err *err) {
    bool waits[OUTBOX_LANES] = {false}; /* from the first that the topic does not have */
    if (!batch->count) return true;
    memset(s->marks, 0, sizeof s->marks); /* what they were is noted: this batch came after that */
    s->unmarked = true;
    bool all = true;
    for (size_t i = 0; i < batch->count; i++) {
        int lane = batch->lanes[i];
        if (!batch->sent[i]) waits[lane] = true, all = false;
        if (!waits[lane]) s->marks[lane] = batch->numbers[i];
    }
    if (all) return true;
    s->look_us = now_us;
    return note_marks(s, err);
}

static bool store(RelaySource *s, Err *err) {
    return note_marks(s, err);
}

static bool clean(RelaySource *s, int64_t held, int64_t before_us, bool *more, Err *err) {
    size_t gone;
    if (!retain_outbox_server(s->outbox, held, before_us, CLEANER_ROWS, &gone, err)) return false;
    *more = gone == CLEANER_ROWS;
    return true;
}

const RelaySourceKind RELAY_LANES = {
    .load = load, .next = next, .read = read_again, .published = published, .store = store, .clean = clean};
