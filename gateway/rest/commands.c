/* commands.c - commands in: checked, stamped, handed to the queue; 202 only once the queue has them on
 * disk. */
#include "events/v1/rest.pb-c.h"
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"
#include "gateway/submission.h"

enum { ARENA_BYTES = 2 << 20, KEY_MAX = 128 };

static void answer_accepted(Request *r, const Submission *s, const char *correlation_id) {
    char location[64 + UUID_TEXT] = "/api/commands/";
    Events__V1__CommandAccepted accepted = EVENTS__V1__COMMAND_ACCEPTED__INIT;
    accepted.command_id = (char *)s->command.command_id;
    accepted.correlation_id = (char *)correlation_id;
    strcat(location, s->command.command_id);
    Answer a = {.status = 202};
    answer_message(r, &a, &accepted.base);
    answer_field(&a, "location", span_of(location));
    answer_send(r, &a);
}

static void sent(Submission *sent) {
    AUTO(Submission) s = sent;
    Request *r = s->user;
    switch (s->send.verdict) {
    case QUEUE_ACCEPTED: answer_accepted(r, s, r->correlation_id); break;
    case QUEUE_REPEATED: answer_accepted(r, s, s->send.first_correlation_id); break;
    case QUEUE_CONFLICT:
        answer_problem(r, &ERR_IDEMPOTENCY, "this command id or key was used for another command");
        break;
    case QUEUE_FAILED: answer_err(r, &s->send.err); break;
    }
}

static void submit(Submission *s) {
    Request *r = s->user;
    Err err = {0};
    if (submission_send(s, r->worker, &r->claims, r->correlation_id, &err)) return;
    answer_err(r, &err);
    submission_free(s);
}

static void accept_command(Request *r, CommandInput *in) {
    Submission *s = submission_new(ARENA_BYTES);
    s->user = r;
    s->done = sent;
    FieldFaults faults = {0};
    Err err = {0};
    in->body = http_body(r->x);
    in->protobuf = request_is_protobuf(r);
    in->idempotency_key = http_header(r->x, "idempotency-key");
    in->correlation_id = r->correlation_id;
    in->traceparent = request_traceparent(r);
    in->claims = &r->claims;
    if (in->idempotency_key.at && !is_visible_ascii(in->idempotency_key, KEY_MAX)) {
        answer_bad_field(r, "Idempotency-Key", "out_of_range");
    } else if (command_build(in, s->arena, &s->command, &faults, &err)) {
        submit(s);
        return;
    } else if (faults.count) {
        answer_faults(r, 400, "invalid", "the command breaks the rules of its fields", &faults);
    } else {
        answer_err(r, &err);
    }
    submission_free(s);
}

void rest_create_prospect(Request *r) {
    CommandInput in = {.type = message_type(SPAN("CreateProspect"))};
    accept_command(r, &in);
}

void rest_update_prospect(Request *r) {
    CommandInput in = {.type = message_type(SPAN("UpdateProspect"))};
    Span if_match = http_header(r->x, "if-match");
    if (!request_prospect_id(r, &in.prospect_id)) return;
    if (!if_match.at)
        answer_problem(r, &ERR_PRECONDITION_REQUIRED, "If-Match names the version to change, or * for any");
    else if (!if_match_read(if_match, &in.expected_version))
        answer_bad_field(r, "If-Match", "out_of_range");
    else
        accept_command(r, &in);
}

void rest_command(Request *r) {
    CommandInput in = {.type = message_type(r->param)};
    if (!in.type || in.type->kind != MESSAGE_COMMAND)
        answer_problem(r, &ERR_NOT_FOUND, "no such command");
    else
        accept_command(r, &in);
}
