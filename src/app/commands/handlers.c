/* handlers.c - from queue messages to their effects.
 *
 * Promise:   entities, e-mail keys, command_done and outbox rows commit together or not at all, once per
 *            command however often it is delivered. Every command that can be read gets at least one event, a
 *            rejection included, so that its sender learns the outcome.
 * Set:       a batch is one transaction: what its commands will look at is read together, then they are
 *            decided on in memory, one after the other, each seeing what those before it have done, and then
 *            everything is written together (store/write/write_model.h).
 * Halves:    where that fails all of it is undone and repeated in halves, down to the command alone: a
 *            savepoint around each would cost most of the speed on a server, and failures are rare.
 * Races:     workers of other lanes are kept out by the version that each write expects and by the unique key
 *            of an e-mail address, not by the order: a command may change another entity than the one that
 *            orders it (MergeProspects). Who comes second meets ERR_CONFLICT or ERR_DUPLICATE, is undone
 *            whole and is repeated at once with what is there now; that may be a rejection then.
 * Order:     messages are handled in the order given. After a failed one the later ones of its key are left
 *            alone: they go back to the queue and come again behind it.
 * Faults:    an error that may pass by itself (ErrKind.retry: the file is locked, the disk is full) ends the
 *            batch; what of it is not committed goes back and is nobody's try. Any other error belongs to the
 *            command that met it.
 * Crash:     after the commit and before the queue was told, the batch is delivered again and found in
 *            command_done. */
#include "app/commands/handlers.h"

#include "app/commands/command.h"
#include "app/event_trace.h"
#include "base/clock.h"
#include "base/log.h"

enum { BATCH_MEMORY = 64 << 20 };

struct Handlers {
    Db *db;
    WriteModel *model;
    Arena *arena;      /* of one transaction */
    TraceGroup traces; /* likewise */
    Command *commands; /* likewise, one for each message; without envelope: not to be handled */
    size_t size;
};

Handlers *handlers_new(Db *db) {
    Handlers *h = must(calloc(1, sizeof *h));
    *h = (Handlers){.db = db, .model = write_model_new(db), .arena = arena_new(BATCH_MEMORY)};
    return h;
}

Handlers *handlers_free(Handlers *h) {
    if (!h) return NULL;
    write_model_free(h->model);
    arena_free(h->arena);
    free(h->commands);
    free(h);
    return NULL;
}

/* A batch, of which a part is worked off: messages[from..to). */
typedef struct Batch {
    const QueueMessage *messages;
    Handled *results;
    size_t from, to;
    bool failed; /* somebody has: nearly always nobody, then nobody needs to be looked for */
} Batch;

static bool stands_behind(const Batch *b, size_t at) {
    for (size_t i = 0; b->failed && i < at; i++)
        if (b->results[i].as == HANDLED_FAILED && span_equal(b->messages[i].key, b->messages[at].key))
            return true;
    return false;
}

/* --- one command --- */

/* The id is taken by another body: the first outcome stands, and this sender is told. Queues that can be
 * searched refuse such a command before it gets here. */
static bool tell_conflict(Command *c, Err *err) {
    Rejection why = {.code = "idempotency_conflict",
                     .message = "this command id was used for another command"};
    return command_reject(c, &why, err);
}

static bool perform(Command *c, const CommandKey *key, uint64_t body_hash, Err *err) {
    if (!command_handle(c, err)) return false;
    return commands_done_add(c->model->done, key, body_hash, span_of(c->event_id), c->now) ||
           err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
}

/* True: *result tells. False: err tells what failed. */
static bool decide_one(Handlers *h, Command *c, const QueueMessage *m, Handled *result, Err *err) {
    CommandKey key = command_key(c);
    uint64_t done_hash;
    c->now = clock_now_us();
    if (commands_done_find(h->model->done, &key, &done_hash)) {
        bool told = done_hash == m->body_hash || tell_conflict(c, err);
        result->events = c->events;
        return told;
    }
    TraceSpan room, *span = command_trace(&room, c->envelope, m->deliveries);
    bool ok = perform(c, &key, m->body_hash, err);
    if (!ok) trace_err(span, err);
    trace_group_add(&h->traces, span);
    trace_end(span);
    result->events = c->events;
    const char *fault = ok || !err->kind ? "" : err->kind->code;
    log_debug("command handled", LOG_TEXT("command", c->type->name), LOG_TEXT("error", fault),
              LOG_INT("queue_id", m->queue_id));
    return ok;
}

/* --- the transaction --- */

static bool open_one(Handlers *h, const Batch *b, size_t at, Err *err) {
    Command *c = &h->commands[at - b->from];
    const char *reason = NULL;
    *c = (Command){.model = h->model, .arena = h->arena};
    if (stands_behind(b, at)) {
        b->results[at] = (Handled){.as = HANDLED_BEHIND};
        return true;
    }
    b->results[at] = (Handled){.as = HANDLED_DONE};
    if (command_open(c, &b->messages[at], &reason, err)) return command_want(c, err);
    c->envelope = NULL;
    if (reason) b->results[at] = (Handled){.as = HANDLED_HOPELESS, .reason = reason};
    return reason != NULL;
}

static bool read_all(Handlers *h, const Batch *b, Err *err) {
    size_t count = b->to - b->from;
    if (count > h->size) h->commands = must(realloc(h->commands, (h->size = count) * sizeof *h->commands));
    write_model_begin(h->model, h->arena, count);
    for (size_t i = b->from; i < b->to; i++)
        if (!open_one(h, b, i, err)) return false;
    return write_model_read(h->model, err);
}

static bool decide_all(Handlers *h, const Batch *b, Err *err) {
    for (size_t i = b->from; i < b->to; i++) {
        Command *c = &h->commands[i - b->from];
        if (c->envelope && !decide_one(h, c, &b->messages[i], &b->results[i], err)) return false;
    }
    return true;
}

static bool run_transaction(Handlers *h, const Batch *b, Err *err) {
    arena_reset(h->arena);
    h->traces.count = 0;
    if (!db_begin(h->db, err)) return false;
    if (read_all(h, b, err) && decide_all(h, b, err) && write_model_write(h->model, err))
        return commit_traced(h->db, &h->traces, err);
    db_rollback(h->db);
    return false;
}

/* --- the batch --- */

static bool engine_failed(const Err *fault) {
    return fault->kind->retry && !err_is(fault, &ERR_CONFLICT);
}

static bool lost_a_race(const Err *fault) {
    return err_is(fault, &ERR_CONFLICT) || err_is(fault, &ERR_DUPLICATE);
}

/* Who has lost a race reads what the other one has written, and decides anew. */
static bool run_part(Handlers *h, const Batch *b, Err *err) {
    if (run_transaction(h, b, err)) return true;
    if (!lost_a_race(err)) return false;
    err_clear(err);
    return run_transaction(h, b, err);
}

/* Until all is handled, or the engine fails: then b->from tells what is not. */
static bool run_parts(Handlers *h, Batch *b, Err *err) {
    for (size_t end = b->to, size = end - b->from; b->from < end;) {
        Err fault = {0};
        b->to = size < end - b->from ? b->from + size : end;
        bool done = run_part(h, b, &fault);
        if (!done && engine_failed(&fault)) return err_set(err, fault.kind, "%s", fault.why);
        if (!done && b->to - b->from > 1) {
            size = (b->to - b->from) / 2;
            continue;
        }
        if (!done) {
            b->results[b->from] = (Handled){.as = HANDLED_FAILED, .reason = fault.kind->code, .why = fault};
            b->failed = true;
        }
        b->from = b->to;
        size *= 2; /* the rest may be sound */
    }
    return true;
}

bool handlers_run(Handlers *h, const QueueMessage *messages, size_t count, Handled *results, Err *err) {
    Batch b = {.messages = messages, .results = results, .to = count};
    if (run_parts(h, &b, err)) return true;
    if (!b.from) return false;
    /* what came before is committed; the rest has not been tried and goes back */
    err_clear(err);
    for (size_t i = b.from; i < count; i++) results[i] = (Handled){.as = HANDLED_BEHIND};
    return true;
}
