/* rebuild.c - from the log into the table that does not serve, then one commit that lets it serve.
 *
 * Live:      the projection appends to the log and writes the serving table. The rebuild follows the log by
 *            pages until it has nearly caught up; then it holds the projection's head, applies what is left,
 *            and switches. The projection's next commit finds another model, starts again from its tables,
 *            and writes the new one.
 * Readers:   they read which table serves and its rows in one view of the data.
 * Files:     SQLite serves two writers unfairly, so each transaction is short, and followed by a pause as
 *            long as itself.
 * Crash:     the table that does not serve is emptied first, whatever it holds.
 * Retention: the log never loses a subject's first and last event, also not while it is read here: what has
 *            gone before it was read has a later one behind it. */
#include "app/projection/rebuild.h"

#include "app/projection/projection_rows.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "store/read/outcomes.h"
#include "store/read/read_model.h"
#include "store/read/replay_log.h"
#include "wire/envelope.h"

enum {
    PAGE = 500,
    CHUNK = 1000,            /* rows emptied or copied in one transaction */
    ARENA_BYTES = 512 << 20, /* of a page: events have at most 1 MiB */
    TRIES = 40,              /* of a step, while the database is busy or away */
    TRY_AGAIN_MS = 250,
};

typedef struct Rebuild {
    Db *db;
    const RebuildOptions *options;
    char run[UUID_TEXT];
    int from_model, to_model; /* which served at the beginning, and the other one */
    int serving;
    int64_t position, head;
    int64_t after; /* the last row emptied or copied */
    size_t read;   /* events of the last page */
    ProjectionRows rows;
    Arena *arena;
    RebuildResult result;
    int64_t unusable; /* of the step that has not been committed yet */
    Err fault;        /* of a page's event */
} Rebuild;

static Rebuild *rebuild_free(Rebuild *r) {
    if (!r) return NULL;
    rows_free(r->rows.prospects), rows_free(r->rows.outcomes);
    arena_free(r->arena);
    free(r);
    return NULL;
}
AUTO_FREE(Rebuild, rebuild_free)

/* ---- a page of events ---- */

static bool add_event(void *user, const ReplayRow *row) {
    Rebuild *r = user;
    Err why = {0};
    char *body = arena_copy(r->arena, row->body); /* the rows borrow from it */
    Events__V1__Envelope *e = body ? envelope_unpack(span_bytes(body, row->body.len), r->arena) : NULL;
    r->read++;
    r->position = row->sequence;
    if (e && projection_apply(&r->rows, e, r->arena, &why)) return true;
    if (body && (!e || err_is(&why, &ERR_INVALID)))
        return ++r->unusable; /* nor could the projection apply it */
    return err_set(&r->fault, &ERR_TOO_LARGE, "a page of events does not fit in memory");
}

/* Reads the next events up to `head` and writes what they change. */
static bool apply_page(Rebuild *r, Err *err) {
    ReplayVisitor visitor = {add_event, r};
    arena_reset(r->arena);
    r->read = 0;
    if (!replay_log_read(r->db, r->position, r->head, PAGE, &visitor, err)) return false;
    if (r->fault.kind) return err_set(err, r->fault.kind, "%s", r->fault.why);
    rows_clear(r->rows.outcomes); /* outcomes are no part of the model */
    return rows_flush(r->rows.prospects, r->db, err);
}

/* ---- steps: a transaction each ---- */

typedef bool Step(Rebuild *r, bool *done, Err *err);

static bool read_head(Rebuild *r, Err *err) {
    ReplayHead head;
    if (!replay_log_head(r->db, &head, err)) return false;
    r->serving = head.model;
    r->head = head.head;
    return true;
}

static bool clear_step(Rebuild *r, bool *done, Err *err) {
    if (!read_head(r, err)) return false;
    if (r->serving == r->to_model) return err_set(err, &ERR_CONFLICT, "the model that serves is not emptied");
    return read_model_clear(r->db, r->to_model, &r->after, CHUNK, done, err);
}

static bool copy_step(Rebuild *r, bool *done, Err *err) {
    return read_model_copy(r->db, r->from_model, &r->after, CHUNK, done, err);
}

static bool page_step(Rebuild *r, bool *done, Err *err) {
    if (!read_head(r, err) || !apply_page(r, err)) return false;
    *done = r->read < PAGE;
    return true;
}

static bool last_step(Rebuild *r, bool *done, Err *err) {
    if (!rebuild_lock_head(r->db, err) || !read_head(r, err)) return false;
    do {
        if (!apply_page(r, err)) return false;
        r->result.events += (int64_t)r->read;
    } while (r->read == PAGE);
    r->read = 0;
    *done = true;
    return rebuild_switch(r->db, r->to_model, err);
}

static bool take_step(Rebuild *r, Step *step, bool *done, Err *err) {
    int64_t position = r->position, after = r->after, events = r->result.events;
    r->read = 0, r->unusable = 0;
    if (rebuild_begin(r->db, r->run, err) && step(r, done, err) && db_commit(r->db, err)) {
        r->result.events += (int64_t)r->read;
        r->result.unusable += r->unusable;
        return true;
    }
    db_rollback(r->db);
    rows_clear(r->rows.prospects), rows_clear(r->rows.outcomes);
    r->position = position, r->after = after, r->result.events = events;
    err_clear(&r->fault);
    return false;
}

/* A lock that could not be had, or a server that restarts, ends nothing. */
static bool take_step_patiently(Rebuild *r, Step *step, bool *done, Err *err) {
    for (int tries = 1;; tries++) {
        Err why = {0}, down = {0};
        int64_t began = clock_mono_us();
        *done = false;
        if (take_step(r, step, done, &why)) {
            if (db_dialect(r->db) == DB_SQLITE) clock_sleep_ms((clock_mono_us() - began) / 1000 + 1);
            return true;
        }
        if (!why.kind->retry || err_is(&why, &ERR_CONFLICT) || tries == TRIES)
            return err_set(err, why.kind, "%s", why.why);
        clock_sleep_ms(TRY_AGAIN_MS);
        db_recover(r->db, &down);
    }
}

static bool take_steps(Rebuild *r, Step *step, Err *err) {
    r->after = 0;
    for (bool done = false; !done;) {
        if (!take_step_patiently(r, step, &done, err)) return false;
        if (r->options->step && !r->options->step(r->options->user, r->position, r->head))
            return err_set(err, &ERR_UNAVAILABLE, "the replay was interrupted; the model is as it was");
    }
    return true;
}

/* ---- all of it ---- */

static bool begin(Rebuild *r, Err *err) {
    Uuid run = uuid_v7();
    uuid_format(&run, r->run);
    if (!rebuild_take(r->db, r->run, err) || !read_head(r, err)) return false;
    if (r->options->from > r->head + 1)
        return err_set(err, &ERR_INVALID, "the log ends at %lld", (long long)r->head);
    r->from_model = r->serving;
    r->to_model = !r->from_model;
    r->position = r->options->from > 1 ? r->options->from - 1 : 0;
    const RowShape *shape = r->options->from > 1 ? PROSPECT_ROWS_AGAIN : PROSPECT_ROWS;
    r->rows =
        (ProjectionRows){.prospects = rows_new(&shape[r->to_model]), .outcomes = rows_new(&OUTCOME_ROWS)};
    r->arena = arena_new(ARENA_BYTES);
    return true;
}

bool rebuild_read_model(Db *db, const RebuildOptions *options, RebuildResult *ret, Err *err) {
    AUTO(Rebuild) r = must(calloc(1, sizeof *r));
    r->db = db;
    r->options = options;
    if (!begin(r, err) || !take_steps(r, clear_step, err)) return false;
    if (options->from > 1 && !take_steps(r, copy_step, err)) return false;
    if (!take_steps(r, page_step, err) || !take_steps(r, last_step, err)) return false;
    r->result.upto = r->head;
    *ret = r->result;
    /* the old one has served; what cannot be removed now is removed by the next run */
    Err ignored = {0};
    r->to_model = r->from_model;
    take_steps(r, clear_step, &ignored);
    return true;
}
