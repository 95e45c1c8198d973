/* rpc.c - from an exchange to its handler. The tables are made by codegen/: a call whose function is missing
 * does not link. */
#include "gateway/rpc/rpc.h"

#include "gateway/rpc/call.h"
#include "gateway/rpc/health.h"
#include "gateway/rpc/waiting.h"
#include <stdlib.h>

static CallHandler *const HANDLERS[] = {
#define X(name) [CALL_##name] = on_##name,
    CONTRACT_CALLS(X)
#undef X
};

/* A path of a call has a dot in its service's name; most of REST has none. */
static const RpcMethod *method_of(const HttpExchange *x) {
    Span path = http_path(x);
    return path.len && memchr(path.at, '.', path.len) ? rpc_method(path) : NULL;
}

bool rpc_concerns(const HttpExchange *x) {
    return method_of(x) ||
           (span_is(http_method(x), "POST") && rpc_media_is_grpc(http_header(x, "content-type")));
}

static void run(Call *c) {
    if (c->method->command)
        call_command(c);
    else
        HANDLERS[c->method->call](c);
}

void rpc_head(Worker *worker, HttpExchange *x) {
    if (span_is(http_method(x), "OPTIONS")) {
        call_preflight(worker, x);
        return;
    }
    Call *c = http_alloc(x, sizeof *c);
    if (!c) {
        http_respond(x, &(HttpAnswer){.status = 503});
        return;
    }
    *c = (Call){.x = x, .worker = worker, .method = method_of(x)};
    if (!call_begin(c)) return;
    c->match.call = c;
    http_set_user(x, &c->match);
    bool exempt = span_starts(http_path(x), SPAN("/grpc.health."));
    if (!exempt && memory_is_short(worker->gateway->memory, worker->loop)) {
        memory_shed(worker->gateway->memory);
        call_fail_with(c, RPC_RESOURCE_EXHAUSTED, "the gateway is short of memory; try again");
    } else if (c->method->client_streaming) {
        run(c);
    }
}

/* The message may have come long after its head: what was taken back in between holds. */
void rpc_request(Call *c) {
    if (call_admit(c)) run(c);
}

bool rpc_refuse(Call *c, int status) {
    if (c->streams) return false;
    if (status == 413)
        call_fail_with(c, RPC_RESOURCE_EXHAUSTED, "a message is larger than 4 MiB");
    else if (status == 503)
        call_fail_with(c, RPC_UNAVAILABLE, "too much is being received just now; try again");
    else if (status == 408)
        call_fail_with(c, RPC_CANCELLED, "the request took too long to arrive");
    else
        return false;
    return true;
}

/* --- what others tell --- */

struct Rpc {
    Waiting *waiting;
    HealthWatchers *watchers;
};

Rpc *rpc_new(void) {
    Rpc *rpc = must(calloc(1, sizeof *rpc));
    call_counters();
    rpc->waiting = waiting_new();
    rpc->watchers = health_watchers_new();
    return rpc;
}

Rpc *rpc_free(Rpc *rpc) {
    if (!rpc) return NULL;
    waiting_free(rpc->waiting);
    health_watchers_free(rpc->watchers);
    free(rpc);
    return NULL;
}

Waiting *rpc_waiting(const Worker *worker) {
    return worker->rpc->waiting;
}
HealthWatchers *rpc_watchers(const Worker *worker) {
    return worker->rpc->watchers;
}

void rpc_event(Worker *worker, Event *event) {
    waiting_event(worker->rpc->waiting, event);
}
void rpc_held(Worker *worker, int64_t position) {
    waiting_held(worker->rpc->waiting, position);
}
void rpc_ready(Worker *worker) {
    health_changed(worker->rpc->watchers, worker);
}
void rpc_drain(Worker *worker) {
    waiting_drain(worker->rpc->waiting);
    health_drain(worker->rpc->watchers);
}
