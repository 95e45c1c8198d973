/* relay_files.c - the relay's source in two files: it reads write.db and alone writes relay.db.
 *
 * Rows appear in the order of their ids (write.db has one writer), so the ones without a number are those
 * behind the last one numbered. That an event has been published is stored with the next numbering, or when
 * it has become quiet. A relay.db that is gone, or a write.db that is older than the numbers, publishes
 * nothing. */
#include "app/relay/relay_source.h"

#include "base/cleaner.h"
#include "store/retention.h"

/* Rows that are new but have ids which were numbered before would never be seen: so it is said. */
static bool check_outbox(RelaySource *s, const NumbersState *state, Err *err) {
    if (!outbox_last_id(s->outbox, &s->outbox_last, err)) return false;
    return s->outbox_last >= state->last_outbox_id ||
           err_set(err, &ERR_CONFIG,
                   "write.db is older than relay.db: its outbox ends at row %lld, and rows up to %lld have "
                   "numbers",
                   (long long)s->outbox_last, (long long)state->last_outbox_id);
}

static bool load(RelaySource *s, Err *err) {
    NumbersState stored;
    if (!numbers_load(s->numbers, &stored, err) || !check_outbox(s, &stored, err)) return false;
    s->stored = stored.published;
    if (s->state.published > stored.published) stored.published = s->state.published;
    s->state = stored;
    return true;
}

static const OutboxRow *find_row(const OutboxRow *rows, size_t count, int64_t outbox_id) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle].outbox_id < outbox_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && rows[low].outbox_id == outbox_id ? &rows[low] : NULL;
}

static bool read_again(RelaySource *s, RelayBatch *batch, int64_t from, int64_t to, Err *err) {
    NumberedRow numbered[RELAY_BATCH];
    OutboxRow *rows;
    size_t count, row_count;
    if (!numbers_read(s->numbers, from, to, numbered, RELAY_BATCH, &count, err)) return false;
    if (!count) return true;
    if (!outbox_read(s->outbox, numbered[0].outbox_id - 1, numbered[count - 1].outbox_id, RELAY_BATCH,
                     batch->arena, &rows, &row_count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const OutboxRow *row = find_row(rows, row_count, numbered[i].outbox_id);
        if (!row) continue;
        LaneRow event = {.sequence = numbered[i].sequence, .skipped = numbered[i].skipped, .body = row->body};
        if (!relay_batch_add(batch, &event, s->state.last, err)) return false;
    }
    return relay_batch_place(batch, err);
}

/* Of what was never published nothing may be missing. */
static bool read_unpublished(RelaySource *s, RelayBatch *batch, Err *err) {
    int64_t from = s->state.published + 1;
    if (!read_again(s, batch, from, s->state.last, err)) return false;
    for (size_t i = 0; i < batch->count || !i; i++)
        if (!batch->count || batch->numbers[i] != from + (int64_t)i)
            return err_set(err, &ERR_INTERNAL, "relay: the event of number %lld is not in the outbox",
                           (long long)from + (long long)i);
    return true;
}

static bool number_new(RelaySource *s, RelayBatch *batch, bool *more, Err *err) {
    OutboxRow *rows;
    size_t count;
    int64_t ids[RELAY_BATCH], first = s->state.last + 1;
    if (!outbox_read(s->outbox, s->state.last_outbox_id, INT64_MAX, RELAY_BATCH, batch->arena, &rows, &count,
                     err))
        return false;
    for (size_t i = 0; i < count; i++) ids[i] = rows[i].outbox_id;
    if (!numbers_give(s->numbers, &s->state, ids, count, err)) return false;
    if (count) s->stored = s->state.published;
    for (size_t i = 0; i < count; i++) {
        LaneRow event = {.sequence = first + (int64_t)i, .body = rows[i].body};
        if (!relay_batch_add(batch, &event, s->state.last, err)) return false;
    }
    *more = count == RELAY_BATCH;
    return relay_batch_place(batch, err);
}

/* Numbered earlier, but not published: after a start, and after the topic was down. */
static bool next(RelaySource *s, RelayBatch *batch, int64_t now_us, bool *more, Err *err) {
    (void)now_us;
    s->look_us = RELAY_NEVER;
    *more = s->state.published < s->state.last;
    return *more ? read_unpublished(s, batch, err) : number_new(s, batch, more, err);
}

static bool published(RelaySource *s, const RelayBatch *batch, int64_t now_us, Err *err) {
    (void)err;
    size_t done = relay_batch_done(batch);
    if (done && batch->numbers[done - 1] > s->state.published) s->state.published = batch->numbers[done - 1];
    if (s->state.published < s->state.last) s->look_us = now_us;
    return true;
}

static bool store(RelaySource *s, Err *err) {
    if (s->stored == s->state.published) return true;
    if (!numbers_mark(s->numbers, &s->state, err)) return false;
    s->stored = s->state.published;
    return true;
}

/* The rows themselves are the prospect service's to delete (prospect_cleaner.c); their numbers follow. */
static bool clean(RelaySource *s, int64_t held, int64_t before_us, bool *more, Err *err) {
    (void)before_us;
    int64_t first, upto = held < s->state.published ? held : s->state.published;
    size_t gone;
    if (!retain_set_disposable(s->numbers, upto, err) || !outbox_first_id(s->outbox, &first, err) ||
        !retain_numbers_file(s->numbers, first, CLEANER_ROWS, &gone, err))
        return false;
    *more = gone == CLEANER_ROWS;
    return true;
}

const RelaySourceKind RELAY_FILES = {
    .load = load, .next = next, .read = read_again, .published = published, .store = store, .clean = clean};

bool relay_source_open(Db *numbers, Db *outbox, const char *owner, RelaySource *ret, Err *err) {
    *ret = (RelaySource){.numbers = numbers, .outbox = outbox, .owner = owner ? owner : ""};
    ret->kind = db_dialect(numbers) == DB_SQLITE ? &RELAY_FILES : &RELAY_LANES;
    ret->look_us = 0;
    return ret->kind->load(ret, err);
}
