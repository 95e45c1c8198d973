/* health.c - grpc.health.v1.Health. All services are as well as the gateway is. */
#include "gateway/rpc/health.h"

#include "gateway/rpc/call.h"
#include "grpc/health/v1/health.pb-c.h"
#include <stdlib.h>

typedef Grpc__Health__V1__HealthCheckResponse Response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus Status;

enum { REQUEST_ARENA = 16 << 10 };
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static bool is_service(const char *name) {
    size_t count;
    const char *const *services = rpc_services(&count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(services[i], name)) return true;
    return !*name; /* the server as a whole */
}

static Status status_now(const Worker *worker) {
    return atomic_load(&worker->gateway->ready) ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* In the room, as a rule: then such a call takes nothing of the heap. NULL: it has been answered. */
static Grpc__Health__V1__HealthCheckRequest *read_request(Call *c, Arena *arena) {
    return (Grpc__Health__V1__HealthCheckRequest *)call_message(c, arena, false);
}

void on_grpc_health_v1_health_check(Call *c) {
    ArenaRoom room;
    AUTO(Arena) arena = arena_within(&room, REQUEST_ARENA);
    const Grpc__Health__V1__HealthCheckRequest *request = read_request(c, arena);
    if (!request) return;
    if (!is_service(request->service)) {
        call_fail_with(c, RPC_NOT_FOUND, "there is no such service");
        return;
    }
    Response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = status_now(c->worker);
    call_reply(c, &response.base);
}

void on_grpc_health_v1_health_list(Call *c) {
    typedef Grpc__Health__V1__HealthListResponse__StatusesEntry Entry;
    AUTO(Arena) arena = arena_new(REQUEST_ARENA);
    if (!call_message(c, arena, false)) return;
    Response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse list = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    size_t count;
    const char *const *services = rpc_services(&count);
    Entry *entries = must(arena_alloc(arena, (count + 1) * sizeof *entries));
    list.statuses = must(arena_alloc(arena, (count + 1) * sizeof *list.statuses));
    response.status = status_now(c->worker);
    for (size_t i = 0; i <= count; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        entries[i].key = message_text(i < count ? services[i] : "");
        entries[i].value = &response;
        list.statuses[list.n_statuses++] = &entries[i];
    }
    call_reply(c, &list.base);
}

/* --- watching --- */

typedef struct Watcher Watcher;
struct Watcher {
    Call *call;
    Watcher *next, **at;
    bool known; /* is there such a service? */
    Status told;
};

struct HealthWatchers {
    Watcher *first;
};

HealthWatchers *health_watchers_new(void) {
    return must(calloc(1, sizeof(HealthWatchers)));
}

HealthWatchers *health_watchers_free(HealthWatchers *watchers) {
    free(watchers);
    return NULL;
}

static void tell(Watcher *w, Status status) {
    Response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    w->told = response.status = status;
    call_write_message(w->call, &response.base);
}

static void gone(Call *c) {
    Watcher *w = c->user;
    *w->at = w->next;
    if (w->next) w->next->at = w->at;
    free(w);
}

void on_grpc_health_v1_health_watch(Call *c) {
    static const CallEvents EVENTS = {.gone = gone};
    ArenaRoom room;
    AUTO(Arena) arena = arena_within(&room, REQUEST_ARENA);
    const Grpc__Health__V1__HealthCheckRequest *request = read_request(c, arena);
    if (!request) return;
    HealthWatchers *all = rpc_watchers(c->worker);
    Watcher *w = must(calloc(1, sizeof *w));
    *w = (Watcher){.call = c, .next = all->first, .at = &all->first, .known = is_service(request->service)};
    if (w->next) w->next->at = &w->next;
    all->first = w;
    call_stream(c, &EVENTS, w);
    tell(w, w->known ? status_now(c->worker) : STATUS(SERVICE_UNKNOWN));
}

void health_changed(HealthWatchers *all, const Worker *worker) {
    Status now = status_now(worker);
    for (Watcher *w = all->first, *next; w; w = next) {
        next = w->next;
        if (w->known && w->told != now) tell(w, now);
    }
}

void health_drain(HealthWatchers *all) {
    for (Watcher *w = all->first, *next; w; w = next) {
        next = w->next;
        if (w->known && w->told != STATUS(NOT_SERVING)) tell(w, STATUS(NOT_SERVING));
        call_end_with(w->call, RPC_UNAVAILABLE, "the server stops");
    }
}
