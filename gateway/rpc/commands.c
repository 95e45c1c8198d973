/* commands.c - every command of the contract, by what its request looks like: nothing here knows one by name.
 *
 * Without `wait` the answer is "pending" once the queue has the command on disk. With it, the call is kept
 * until the outcome can be read: waiting.h says when to look, and a slow clock looks too, for what no event
 * tells (a dead letter) and for what got lost. However the call ends: what was accepted stays accepted. */
#include "base/clock.h"
#include "events/v1/rest.pb-c.h"
#include "events/v1/services.pb-c.h"
#include "gateway/read_job.h"
#include "gateway/rest/request.h"
#include "gateway/rpc/call.h"
#include "gateway/rpc/waiting.h"
#include "gateway/submission.h"
#include "wire/proto_scan.h"
#include <stdlib.h>

enum { ARENA_BYTES = 16 << 20, KEY_MAX = 128, LOOK_FIRST_MS = 1000, LOOK_MOST_MS = 5000 };

typedef struct Sending {
    Call *call; /* NULL: answered, and only the queue or a reader still holds this */
    Worker *worker;
    Submission *submission; /* NULL once the queue has answered */
    Claims claims;
    char command_id[UUID_TEXT], correlation_id[CALL_CORRELATION];
    CallForm form;
    bool wait, reading, again; /* again: something has come to light while it was being read */
    Waiter waiter;
    Timer look;
    int64_t look_ms;
    ReadJob read;
    /* What the reader has found. */
    CallBody body; /* of a command that has succeeded */
    RpcStatus status;
    FieldFaults faults;
    bool pending;
} Sending;

/* What has been answered and is held by nobody. */
static void release(Sending *s) {
    if (s->call || s->submission || s->reading) return;
    free(s);
}

static void forget_call(Sending *s) {
    s->call = NULL;
    waiting_remove(rpc_waiting(s->worker), &s->waiter);
    if (s->look.slot) loop_timer_stop(s->worker->loop, &s->look);
}

/* The command's id, for whom the call has left in doubt, in memory that the answer can use. */
static void name_command(Sending *s, Call *c, RpcStatus *status) {
    char *id = http_alloc(c->x, sizeof s->command_id);
    if (!id) return;
    memcpy(id, s->command_id, sizeof s->command_id);
    status->command_id = id;
}

static void stopped(void *user, RpcStatus *status) {
    Sending *s = user;
    status->reason = rpc_code_connect(status->code);
    name_command(s, s->call, status);
    status->correlation_id = call_correlation(s->call);
    forget_call(s);
    release(s);
}

static void fail(Sending *s, const RpcStatus *status) {
    Call *c = s->call;
    RpcStatus full = *status;
    name_command(s, c, &full);
    forget_call(s);
    call_fail(c, &full);
}

/* --- the outcome --- */

static RpcStatus rejected(const Events__V1__CommandOutcome *o, FieldFaults *faults) {
    for (size_t i = 0; i < o->n_errors; i++) field_fault(faults, o->errors[i]->field, o->errors[i]->code);
    const char *reason = *o->code ? o->code : "rejected";
    return (RpcStatus){.code = rpc_code_of_rejection(reason),
                       .message = "the command was rejected",
                       .reason = reason,
                       .faults = faults};
}

/* On a reader thread. */
static bool read_outcome(ReadJob *job, Queries *queries, Db *db, Err *err) {
    (void)db;
    Sending *s = CONTAINER(job, Sending, read);
    Events__V1__CommandOutcome *o;
    if (!queries_outcome(queries, span_of(s->claims.tenant_id), span_of(s->claims.user_id),
                         span_of(s->command_id), job->arena, &o, err))
        return false;
    s->status = (RpcStatus){.code = RPC_OK};
    s->faults.count = 0;
    s->pending = o->status == EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_PENDING;
    if (o->status == EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_REJECTED)
        s->status = rejected(o, &s->faults);
    else if (o->status == EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_FAILED)
        s->status = (RpcStatus){.code = RPC_INTERNAL,
                                .message = "the command could not be handled and lies among the dead letters",
                                .reason = "failed"};
    else if (!s->pending && !call_pack(&s->form, &o->base, &s->body))
        return err_set(err, &ERR_INTERNAL, "the outcome does not fit");
    return true;
}

static void look(Sending *s);

static void look_later(Sending *s) {
    s->look_ms = s->look_ms ? s->look_ms * 2 : LOOK_FIRST_MS;
    if (s->look_ms > LOOK_MOST_MS) s->look_ms = LOOK_MOST_MS;
    loop_timer_set(s->worker->loop, &s->look, s->look_ms);
}

static void answer_outcome(Sending *s) {
    Call *c = s->call;
    if (s->status.code != RPC_OK) {
        fail(s, &s->status);
        return;
    }
    forget_call(s);
    call_send(c, &s->body, NULL);
}

/* Where it cannot be read just now, that may pass: the deadline is the caller's. */
static void read_done(ReadJob *job) {
    Sending *s = CONTAINER(job, Sending, read);
    bool again = s->again;
    s->reading = s->again = false;
    if (s->call && !job->err.kind && !s->pending) answer_outcome(s);
    buf_free(&s->body.bytes);
    read_job_clear(job);
    if (s->call && again)
        look(s);
    else if (s->call)
        look_later(s);
    release(s);
}

static void look(Sending *s) {
    s->again = s->reading;
    if (s->reading) return;
    s->reading = true;
    s->pending = true;
    s->read = (ReadJob){.worker = s->worker, .read = read_outcome, .done = read_done};
    read_job_start(&s->read);
}

static void look_told(Waiter *waiter) {
    look(CONTAINER(waiter, Sending, waiter));
}

static void look_by_clock(Timer *timer) {
    look(CONTAINER(timer, Sending, look));
}

static void stop_for_drain(Sending *s) {
    call_stop(s->call, RPC_UNAVAILABLE,
              "the server stops; the command is accepted, its outcome can be asked for");
}

static void drained(Waiter *waiter) {
    Sending *s = CONTAINER(waiter, Sending, waiter);
    if (!s->submission) stop_for_drain(s); /* else accepted() will */
}

/* --- into the queue --- */

static void answer_pending(Sending *s, const char *correlation_id) {
    Events__V1__CommandOutcome o = EVENTS__V1__COMMAND_OUTCOME__INIT;
    Call *c = s->call;
    o.status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_PENDING;
    o.command_id = s->command_id;
    o.correlation_id = message_text(correlation_id);
    forget_call(s);
    call_reply(c, &o.base);
}

static void accepted(Sending *s, const QueueSend *send) {
    bool repeated = send->verdict == QUEUE_REPEATED;
    if (!s->wait)
        answer_pending(s, repeated ? send->first_correlation_id : s->correlation_id);
    else if (http_draining(s->call->x))
        stop_for_drain(s);
    else if (repeated)
        look(s); /* its events may have passed long ago */
    else if (!s->reading)
        look_later(s);
}

static void sent(Submission *submission) {
    Sending *s = submission->user;
    QueueSend *send = &submission->send;
    s->submission = NULL;
    if (s->call && send->verdict == QUEUE_CONFLICT) {
        fail(s, &(RpcStatus){.code = (RpcCode)ERR_IDEMPOTENCY.grpc,
                             .message = "this command id or key was used for another command",
                             .reason = ERR_IDEMPOTENCY.code});
    } else if (s->call && send->verdict == QUEUE_FAILED) {
        Call *c = s->call;
        forget_call(s);
        call_fail_err(c, &send->err);
    } else if (s->call) {
        accepted(s, send);
    }
    submission_free(submission);
    release(s);
}

static Sending *sending_new(Call *c, Submission *submission, bool wait) {
    Sending *s = must(calloc(1, sizeof *s));
    *s = (Sending){.call = c, .worker = c->worker, .claims = c->claims, .form = c->form, .wait = wait};
    s->submission = submission;
    s->waiter.look = look_told;
    s->waiter.drain = drained;
    s->look.expired = look_by_clock;
    memcpy(s->command_id, submission->command.command_id, sizeof s->command_id);
    memcpy(s->waiter.command_id, s->command_id, sizeof s->command_id);
    memcpy(s->correlation_id, call_correlation(c), sizeof s->correlation_id);
    return s;
}

/* Takes the submission over. */
static void send(Call *c, Submission *submission, bool wait) {
    Sending *s = sending_new(c, submission, wait);
    Err err = {0};
    submission->done = sent;
    submission->user = s;
    if (wait && !waiting_add(rpc_waiting(c->worker), &s->waiter))
        err_set(&err, &ERR_RATE_LIMITED, "too many calls wait for outcomes");
    if (!err.kind && submission_send(submission, c->worker, &s->claims, s->correlation_id, &err)) {
        call_keep(c, stopped, s);
        return;
    }
    forget_call(s);
    s->submission = submission_free(submission);
    release(s);
    call_fail_err(c, &err);
}

/* --- from the request --- */

static bool build(Call *c, Submission *s, const CommandInput *given, ProtobufCMessage *message) {
    CommandInput in = *given;
    FieldFaults faults = {0};
    Err err = {0};
    in.idempotency_key = http_header(c->x, "idempotency-key");
    in.correlation_id = call_correlation(c);
    in.traceparent = call_traceparent(c);
    in.claims = &c->claims;
    if (in.idempotency_key.at && !is_visible_ascii(in.idempotency_key, KEY_MAX)) {
        field_fault(&faults, "idempotency-key", "out_of_range");
        call_fail_faults(c, "a value in the metadata is wrong", &faults);
        return false;
    }
    bool built = message ? command_build_message(&in, message, s->arena, &s->command, &faults, &err)
                         : command_build(&in, s->arena, &s->command, &faults, &err);
    if (built) return true;
    if (faults.count)
        call_fail_faults(c, "the command breaks the rules of its fields", &faults);
    else
        call_fail_err(c, &err);
    return false;
}

static void *at(const ProtobufCMessage *message, size_t offset) {
    return (char *)(uintptr_t)message + offset;
}

void call_command(Call *c) {
    AUTO(Submission) s = submission_new(ARENA_BYTES);
    ProtobufCMessage *request = call_message(c, s->arena, true);
    if (!request) return;
    const RpcMethod *m = c->method;
    ProtobufCMessage *command = *(ProtobufCMessage **)at(request, m->command_at);
    CommandInput in = {.type = message_type_of(m->command)};
    if (!command) command = message_new(in.type, s->arena); /* an empty one: its rules say what it lacks */
    if (!build(c, s, &in, command)) return;
    Submission *mine = s;
    s = NULL;
    send(c, mine, *(protobuf_c_boolean *)at(request, m->wait_at));
}

/* Any command, by name. */
void on_events_v1_commands_send(Call *c) {
    AUTO(Submission) s = submission_new(ARENA_BYTES);
    Events__V1__SendRequest *request = (Events__V1__SendRequest *)call_message(c, s->arena, true);
    if (!request) return;
    CommandInput in = {.type = message_type(span_of(request->command_type)), .protobuf = true};
    in.body = span_bytes(request->command.data, request->command.len);
    if (!in.type || in.type->kind != MESSAGE_COMMAND) {
        call_fail_with(c, RPC_NOT_FOUND, "there is no such command");
        return;
    }
    if (!build(c, s, &in, NULL)) return;
    Submission *mine = s;
    s = NULL;
    send(c, mine, request->wait);
}
