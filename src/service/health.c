#include "service/health.h"

#include "base/buf.h"
#include "net/http_server.h"
#include "observe/metric.h"
#include "service/documents.h"
#include "service/ring_wire.h"
#include <pthread.h>
#include <unistd.h>

struct Health {
    Loop *loop;
    HttpServer *server;
    const char *program;
    const atomic_bool *ready;
    pthread_mutex_t lock; /* of the bell */
    Doorbell *bell;
    const char *secrets;
    pthread_t thread;
    bool started;
};

static void answer(HttpExchange *x, int status, const char *type, Span body, const char *allow) {
    const HttpField fields[] = {
        {"content-type", span_of(type)}, {"cache-control", SPAN("no-store")}, {"allow", span_of(allow)}};
    http_respond(
        x, &(HttpAnswer){.status = status, .fields = fields, .field_count = allow ? 3 : 2, .body = body});
}

/* RFC 9457. The few problems of this address are constant, so they need no writer. */
static void answer_problem(HttpExchange *x, const ErrKind *kind, const char *title, const char *allow) {
    AUTO_BUF body = {0};
    buf_printf(&body, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d}", kind->code, title,
               kind->http);
    answer(x, kind->http, "application/problem+json", buf_view(&body), allow);
}

/* The process id tells a supervisor whether it is his process that has this address. */
static void answer_status(HttpExchange *x, const char *status) {
    AUTO_BUF body = {0};
    buf_printf(&body, "{\"status\":\"%s\",\"pid\":%d}", status, (int)getpid());
    answer(x, 200, "application/json", buf_view(&body), NULL);
}

static void get_live(Health *h, HttpExchange *x) {
    (void)h;
    answer_status(x, "live");
}

static void get_ready(Health *h, HttpExchange *x) {
    if (!atomic_load(h->ready)) {
        answer_problem(x, &ERR_UNAVAILABLE, "Not ready", NULL);
        return;
    }
    answer_status(x, "ready");
}

static void get_metrics(Health *h, HttpExchange *x) {
    AUTO_BUF body = {0};
    buf_printf(&body,
               "# HELP events_program_ready Whether the program works\n# TYPE events_program_ready gauge\n"
               "events_program_ready{program=\"%s\"} %d\n",
               h->program, atomic_load(h->ready));
    metrics_write(&body);
    answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&body), NULL);
}

static void get_document(Health *h, HttpExchange *x) {
    (void)h;
    const Document *d = document_find(http_path(x));
    if (d)
        answer(x, 200, "application/json", (Span){d->bytes, d->len}, NULL);
    else
        answer_problem(x, &ERR_NOT_FOUND, "Not found", NULL);
}

static const struct {
    const char *path;
    void (*get)(Health *h, HttpExchange *x);
} ROUTES[] = {{"/health/live", get_live},
              {"/health/ready", get_ready},
              {"/metrics", get_metrics},
              {"/openapi.json", get_document},
              {"/asyncapi.json", get_document}};

/* ---- rings of other machines ---- */

static bool ring(Health *h, HttpExchange *x, Err *err) {
    char text[RING_TEXT];
    if (!h->bell) return err_set(err, &ERR_UNAVAILABLE, "there is no bell yet");
    if (!ring_authorized(h->secrets, http_header(x, "authorization")))
        return err_set(err, &ERR_UNAUTHENTICATED, "the internal secret is missing or wrong");
    return ring_of_request(h->program, http_path(x), http_body(x), text, err) &&
           (doorbell_ring_self(h->bell, text) || err_set(err, &ERR_UNAVAILABLE, "too many rings wait"));
}

static void take_ring(Health *h, HttpExchange *x) {
    Err err = {0};
    if (!span_is(http_method(x), "POST")) {
        answer_problem(x, &ERR_METHOD_NOT_ALLOWED, "Method not allowed", "POST");
        return;
    }
    pthread_mutex_lock(&h->lock);
    bool rung = ring(h, x, &err);
    pthread_mutex_unlock(&h->lock);
    if (rung)
        http_respond(x, &(HttpAnswer){.status = 204});
    else
        answer_problem(x, err.kind, err.why,
                       NULL); /* constant texts: nothing of the request stands in them */
}

void health_bell(Health *h, Doorbell *bell, const char *secrets) {
    pthread_mutex_lock(&h->lock);
    h->bell = bell;
    h->secrets = secrets;
    pthread_mutex_unlock(&h->lock);
}

static void on_request(void *user, HttpExchange *x) {
    if (span_is(http_path(x), "/doorbell") || span_is(http_path(x), "/repair")) {
        take_ring(user, x);
        return;
    }
    for (size_t i = 0; i < COUNT(ROUTES); i++) {
        if (!span_is(http_path(x), ROUTES[i].path)) continue;
        bool reads = span_is(http_method(x), "GET") || span_is(http_method(x), "HEAD");
        if (reads)
            ROUTES[i].get(user, x);
        else
            answer_problem(x, &ERR_METHOD_NOT_ALLOWED, "Method not allowed", "GET, HEAD");
        return;
    }
    answer_problem(x, &ERR_NOT_FOUND, "Not found", NULL);
}

static void *admin_thread(void *user) {
    Health *h = user;
    loop_run(h->loop);
    h->server = http_server_free(h->server);
    return NULL;
}

bool health_open(const char *address, const char *program, const atomic_bool *ready, Health **ret, Err *err) {
    AUTO(Health) h = must(calloc(1, sizeof *h));
    h->program = program;
    h->ready = ready;
    pthread_mutex_init(&h->lock, NULL);
    const HttpServerOptions options = {
        .on_request = on_request, .user = h, .body_limit = 64 << 10, .connections_max = 64, .idle_ms = 30000};
    if (!loop_open(&h->loop, err) ||
        !http_server_open(h->loop, address, HTTP_ALONE, &options, &h->server, err))
        return false;
    int failed = pthread_create(&h->thread, NULL, admin_thread, h);
    if (failed) return err_set_errno(err, &ERR_UNAVAILABLE, failed, "admin thread");
    h->started = true;
    pthread_setname_np(h->thread, "admin");
    *ret = h;
    h = NULL;
    return true;
}

Health *health_free(Health *h) {
    if (!h) return NULL;
    if (h->started) {
        loop_stop(h->loop);
        pthread_join(h->thread, NULL);
    }
    http_server_free(h->server);
    loop_free(h->loop);
    pthread_mutex_destroy(&h->lock);
    free(h);
    return NULL;
}

unsigned health_port(const Health *h) {
    return http_server_port(h->server);
}
