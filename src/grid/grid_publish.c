/* grid_publish.c - each request is made of the first events that fit.
 *
 * What an answer means is a table, so that the relay needs to know nothing of HTTP. 400 and 413 are about the
 * events: halving finds the guilty one in a few steps. 401, 403, 404 and redirections are about our settings:
 * somebody must look, nothing is lost meanwhile. All else may pass by itself, also statuses that nobody has
 * heard of. */
#include "grid/grid_publish.h"

#include "net/http_client.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include <stdio.h>
#include <unistd.h>

enum { URL_MAX = 512, KEY_MAX = 1024 };
static const char PATH[] = "/api/events", VERSION[] = "?api-version=2018-01-01";

struct GridPublisher {
    HttpClient *client;
    Arena *arena;
    Buf bodies[GRID_REQUESTS];
    char url[URL_MAX], key_line[KEY_MAX];
};
_Static_assert(GRID_REQUESTS <= (int)HTTP_CALLS, "all of them are made at once");

static const struct {
    int status;
    GridOutcome outcome;
} OUTCOMES[] = {
    {200, GRID_PUBLISHED}, {201, GRID_PUBLISHED}, {202, GRID_PUBLISHED}, {203, GRID_PUBLISHED},
    {204, GRID_PUBLISHED}, {301, GRID_REFUSED},   {302, GRID_REFUSED},   {303, GRID_REFUSED},
    {307, GRID_REFUSED},   {308, GRID_REFUSED},   {400, GRID_SPLIT},     {401, GRID_REFUSED},
    {403, GRID_REFUSED},   {404, GRID_REFUSED},   {405, GRID_REFUSED},   {413, GRID_SPLIT},
    {415, GRID_REFUSED},
};

GridOutcome grid_publish_outcome(int status, size_t taken) {
    for (size_t i = 0; i < COUNT(OUTCOMES); i++)
        if (OUTCOMES[i].status == status)
            return OUTCOMES[i].outcome == GRID_SPLIT && taken == 1 ? GRID_BAD : OUTCOMES[i].outcome;
    return GRID_RETRY;
}

static bool make_url(GridPublisher *p, const char *endpoint, Err *err) {
    Span base = span_of(endpoint);
    while (base.len && base.at[base.len - 1] == '/') base.len--;
    bool whole = span_ends(base, span_of(PATH));
    int len = snprintf(p->url, sizeof p->url, "%.*s%s%s", SPAN_ARGS(base), whole ? "" : PATH, VERSION);
    bool http = span_starts(base, SPAN("http://")) || span_starts(base, SPAN("https://"));
    if (!http || len >= (int)sizeof p->url)
        return err_set(err, &ERR_CONFIG, "EVENTS_GRID_ENDPOINT is not an http or https address");
    return true;
}

bool grid_publisher_open(const GridPublisherOptions *o, GridPublisher **ret, Err *err) {
    AUTO(GridPublisher) p = must(calloc(1, sizeof *p));
    if (!make_url(p, o->endpoint, err)) return false;
    if (snprintf(p->key_line, sizeof p->key_line, "aeg-sas-key: %s", o->key) >= (int)sizeof p->key_line ||
        strpbrk(o->key, "\r\n"))
        return err_set(err, &ERR_CONFIG, "EVENTS_GRID_KEY is too long or has a line break");
    p->arena = must(arena_new(0));
    for (size_t i = 0; i < GRID_REQUESTS; i++) p->bodies[i].limit = 8 << 20;
    const HttpClientOptions client = {.ca_file = o->ca_file, .multiplex = true};
    if (!http_client_open(&client, &p->client, err)) return false;
    *ret = p;
    p = NULL;
    return true;
}

bool grid_publisher_open_by(const Config *config, GridPublisher **ret, Err *err) {
    char local[300];
    const char *key, *endpoint = config_text(config, "EVENTS_GRID_ENDPOINT");
    const char *certificate = config_path(config, "tls.crt");
    snprintf(local, sizeof local, "http://%s", config_text(config, "EVENTS_GRID_LISTEN_PLAIN"));
    if (!config_secret(config, "EVENTS_GRID_KEY", "grid-key", &key, err)) return false;
    const GridPublisherOptions options = {.endpoint = *endpoint ? endpoint : local,
                                          .key = key,
                                          .ca_file = access(certificate, R_OK) ? NULL : certificate};
    return grid_publisher_open(&options, ret, err);
}

GridPublisher *grid_publisher_free(GridPublisher *p) {
    if (!p) return NULL;
    http_client_free(p->client);
    arena_free(p->arena);
    for (size_t i = 0; i < GRID_REQUESTS; i++) buf_free(&p->bodies[i]);
    free(p);
    return NULL;
}

void grid_publisher_interrupt(GridPublisher *p) {
    http_client_interrupt(p->client);
}

/* Appends one event, in 1 MB at most; false (and nothing appended) where it can never be published. */
static bool append_event(Arena *arena, Buf *body, Span packed, Err *err) {
    size_t before = body->len;
    arena_reset(arena);
    const Events__V1__Envelope *envelope = envelope_unpack(packed, arena);
    bool ok = envelope ? cloudevent_write(envelope, body, err)
                       : err_set(err, &ERR_INVALID, "the stored event cannot be read");
    if (ok && (body->failed || body->len - before > GRID_EVENT_BYTES - 2))
        ok = err_set(err, &ERR_TOO_LARGE, "the event is larger than 1 MB");
    if (!ok) body->len = before, body->failed = false;
    return ok;
}

/* Fills the body with the events that fit, and tells how many; 0 (and why) where the very first is hopeless.
 * A hopeless one further behind ends the batch before it, so that it comes first next time. */
static size_t fill_body(Arena *arena, Buf *body, const GridRequest *request, Err *why) {
    buf_clear(body);
    buf_byte(body, '[');
    size_t taken = 0;
    while (taken < request->count && taken < GRID_BATCH_EVENTS) {
        size_t before = body->len;
        if (taken) buf_byte(body, ',');
        bool ok = append_event(arena, body, request->packed[taken], why);
        if (!ok || (taken && body->len >= GRID_BATCH_BYTES)) {
            body->len = before;
            break;
        }
        taken++;
    }
    if (taken) err_clear(why);
    buf_byte(body, ']');
    return taken;
}

static void take_reply(const HttpCall *call, GridAnswer *answer) {
    const HttpReply *reply = call->reply;
    answer->status = reply ? reply->status : 0;
    answer->outcome = grid_publish_outcome(answer->status, answer->taken);
    answer->why = call->why;
    if (!reply) return;
    answer->retry_after_ms = reply->retry_after_ms;
    if (answer->outcome != GRID_PUBLISHED)
        err_set(&answer->why, &ERR_UNAVAILABLE, "the topic answered %d", answer->status);
}

void grid_publish(GridPublisher *p, GridRequest *requests, size_t count) {
    const char *const headers[] = {"Content-Type: application/cloudevents-batch+json; charset=utf-8",
                                   p->key_line, NULL};
    HttpCall calls[GRID_REQUESTS];
    GridRequest *asked[GRID_REQUESTS];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        Buf *body = &p->bodies[n];
        GridAnswer *answer = &requests[i].answer;
        *answer = (GridAnswer){.taken = 1, .outcome = GRID_BAD};
        size_t taken = fill_body(p->arena, body, &requests[i], &answer->why);
        if (!taken) continue;
        answer->taken = taken;
        asked[n] = &requests[i];
        calls[n++] = (HttpCall){.method = "POST", .url = p->url, .headers = headers, .body = buf_view(body)};
    }
    http_client_calls(p->client, calls, n);
    for (size_t i = 0; i < n; i++) take_reply(&calls[i], &asked[i]->answer);
}
