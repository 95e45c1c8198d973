/* handlers.c - from a queue message to one effect.
 *
 * Promise:   entities, e-mail keys, command_done and outbox rows commit together or not at all, once per
 *            command however often it is delivered. Every command that can be read gets at least one event,
 *            a rejection included, so that its sender learns the outcome.
 * Two of one: a command may change another entity than the one that orders it (MergeProspects). Workers of
 * other lanes are kept out by the version that each write expects, not by the order: the later one meets
 *            ERR_CONFLICT, is undone whole and tried again with what is there then.
 * Halves:    a batch is one transaction. Where a command fails by itself all of it is undone and repeated in
 *            halves, down to the command alone: a savepoint around each would cost most of the speed on a
 *            server, and failures are rare.
 * Order:     messages are handled in the order given. After a failed one the later ones of its key are left
 *            alone: they go back to the queue and come again behind it.
 * Faults:    an error that may pass by itself (ErrKind.retry: the file is locked, the disk is full) ends
 *            the batch; what of it is not committed goes back and is nobody's try. Any other error belongs to
 * the command that met it. Crash:     after the commit and before the queue was told, the batch is delivered
 * again and found in command_done. */
#include "app/handlers.h"

#include "app/event_trace.h"
#include "app/prospect_commands.h"
#include "base/clock.h"
#include "base/log.h"
#include "events/v1/contract_lists.h"
#include "store/command_done.h"

enum { COMMAND_MEMORY = 4 << 20 };

struct Handlers {
    Db *db;
    Arena *arena;      /* of one command */
    TraceGroup traces; /* of this transaction */
};

static const struct {
    const char *command;
    CommandHandler *handle;
} HANDLERS[] = {
#define HANDLER(name, snake) {#name, on_##snake},
    COMMANDS_OF_ProspectService(HANDLER)
#undef HANDLER
};

Handlers *handlers_new(Db *db) {
    Handlers *h = must(calloc(1, sizeof *h));
    *h = (Handlers){.db = db, .arena = arena_new(COMMAND_MEMORY)};
    return h;
}

Handlers *handlers_free(Handlers *h) {
    if (!h) return NULL;
    arena_free(h->arena);
    free(h);
    return NULL;
}

static CommandHandler *handler_of(const char *command) {
    for (size_t i = 0; i < COUNT(HANDLERS); i++)
        if (strcmp(HANDLERS[i].command, command) == 0) return HANDLERS[i].handle;
    return NULL;
}

/* --- one command --- */

static bool hopeless(Handled *result, const char *reason) {
    *result = (Handled){.as = HANDLED_HOPELESS, .reason = reason};
    return true;
}

/* The id is taken by another body: the first outcome stands, and this sender is told. Queues that can be
 * searched refuse such a command before it gets here. */
static bool tell_conflict(Command *c, Handled *result, Err *err) {
    result->events = 1;
    Rejection why = {.code = "idempotency_conflict",
                     .message = "this command id was used for another command"};
    return command_reject(c, &why, err);
}

static bool perform(Command *c, CommandHandler *handle, const CommandKey *key, uint64_t body_hash, Err *err) {
    FieldFaults faults = {0};
    bool valid = message_validate((ProtobufCMessage *)c->message, c->arena, &faults);
    return (valid ? handle(c, err) : command_reject_invalid(c, &faults, err)) &&
           command_done_add(c->db, key, body_hash, span_of(c->event_id), c->now, err);
}

/* True: *result tells. False: err tells what failed. */
static bool handle_one(Handlers *h, const QueueMessage *m, Handled *result, Err *err) {
    *result = (Handled){.as = HANDLED_DONE};
    if (m->deliveries > QUEUE_TRIES) return hopeless(result, "tries_exhausted");
    const Events__V1__CommandEnvelope *envelope =
        (const void *)message_unpack(message_type(SPAN("CommandEnvelope")), m->body, h->arena);
    if (!envelope || !*envelope->command_id || !*envelope->tenant_id)
        return hopeless(result, "undecodable_envelope");
    const MessageType *type = message_type(span_of(envelope->command_type));
    CommandHandler *handle = handler_of(envelope->command_type);
    if (!type || !handle) return hopeless(result, "unknown_command_type");
    Command c = {.db = h->db, .arena = h->arena, .envelope = envelope, .now = clock_now_us()};
    c.message = message_unpack(type, span_bytes(envelope->data.data, envelope->data.len), h->arena);
    if (!c.message) return hopeless(result, "undecodable_command");
    CommandKey key = {span_of(envelope->tenant_id), span_of(envelope->issued_by),
                      span_of(envelope->command_id)};
    bool done;
    uint64_t done_hash = 0;
    if (!command_done_find(h->db, &key, &done, &done_hash, err)) return false;
    if (done) return done_hash == m->body_hash || tell_conflict(&c, result, err);
    TraceSpan room, *span = command_trace(&room, envelope, m->deliveries);
    bool ok = perform(&c, handle, &key, m->body_hash, err);
    if (!ok) trace_err(span, err);
    trace_group_add(&h->traces, span);
    trace_end(span);
    result->events = c.events;
    const char *fault = ok || !err->kind ? "" : err->kind->code;
    log_debug("command handled", LOG_TEXT("command", type->name), LOG_TEXT("error", fault),
              LOG_INT("queue_id", m->queue_id));
    return ok;
}

/* --- the batch --- */

static bool engine_failed(const Err *fault) {
    return fault->kind->retry && !err_is(fault, &ERR_CONFLICT);
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

static bool run_all(Handlers *h, const Batch *b, Err *err) {
    for (size_t i = b->from; i < b->to; i++) {
        arena_reset(h->arena);
        if (stands_behind(b, i))
            b->results[i] = (Handled){.as = HANDLED_BEHIND};
        else if (!handle_one(h, &b->messages[i], &b->results[i], err))
            return false;
    }
    return true;
}

static bool run_transaction(Handlers *h, const Batch *b, Err *err) {
    h->traces.count = 0;
    if (!db_begin(h->db, err)) return false;
    if (run_all(h, b, err)) return commit_traced(h->db, &h->traces, err);
    db_rollback(h->db);
    return false;
}

/* Until all is handled, or the engine fails: then b->from tells what is not. */
static bool run_parts(Handlers *h, Batch *b, Err *err) {
    for (size_t end = b->to, size = end - b->from; b->from < end;) {
        Err fault = {0};
        b->to = size < end - b->from ? b->from + size : end;
        bool done = run_transaction(h, b, &fault);
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
