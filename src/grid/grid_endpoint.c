#include "grid/grid_endpoint.h"

#include "net/http_client.h"
#include <ctype.h>
#include <stdio.h>

#define ORIGIN "eventgrid.azure.net"
enum { LINE_MAX_BYTES = 1200, ANSWER_MS = 30000 };

struct GridEndpoint {
    HttpClient *client;
    char *url;
    char secret_line[LINE_MAX_BYTES], name_line[128];
};

GridVerdict grid_verdict(int status, size_t events) {
    static const int NEVER[] = {400, 401, 403, 413};
    if (status >= 200 && status <= 204) return GRID_DELIVERED;
    for (size_t i = 0; i < COUNT(NEVER); i++)
        if (status == NEVER[i]) return events > 1 ? GRID_HALVE : GRID_GIVE_UP;
    return GRID_LATER;
}

/* Where nobody answers at all (status 0), a try costs next to nothing: the pause stays short, so that a
 * receiver whose "up" was lost does not wait for hours. */
static const int64_t STEPS_MS[] = {10000,   30000,   60000,    300000,   600000,
                                   1800000, 3600000, 10800000, 21600000, 43200000};
static const struct {
    int status;
    int64_t least_ms, most_ms;
} BOUNDS[] = {
    {0, 5000, 5000},         {408, 120000, 43200000}, {503, 30000, 43200000},
    {401, 300000, 43200000}, {403, 300000, 43200000}, {404, 300000, 43200000},
};

int64_t grid_retry_wait_ms(unsigned attempt, int status, uint32_t random) {
    size_t step = attempt > COUNT(STEPS_MS) ? COUNT(STEPS_MS) - 1 : attempt ? attempt - 1 : 0;
    int64_t wait = STEPS_MS[step];
    for (size_t i = 0; i < COUNT(BOUNDS); i++) {
        if (BOUNDS[i].status != status) continue;
        wait = wait < BOUNDS[i].least_ms  ? BOUNDS[i].least_ms
               : wait > BOUNDS[i].most_ms ? BOUNDS[i].most_ms
                                          : wait;
    }
    return wait + wait / 10 * (int64_t)(random >> 16) / 65536;
}

static bool fill_lines(GridEndpoint *e, const GridEndpointOptions *o, Err *err) {
    int secret = snprintf(e->secret_line, sizeof e->secret_line, "X-Events-Webhook-Secret: %s", o->secret);
    int name = snprintf(e->name_line, sizeof e->name_line, "aeg-subscription-name: %s", o->name);
    if (secret >= (int)sizeof e->secret_line || name >= (int)sizeof e->name_line ||
        strpbrk(o->secret, "\r\n"))
        return err_set(err, &ERR_CONFIG, "EVENTS_WEBHOOK_SECRET is too long or has a line break");
    for (char *c = strchr(e->name_line, ':'); *c; c++) *c = (char)toupper((unsigned char)*c);
    return true;
}

bool grid_endpoint_open(const GridEndpointOptions *o, GridEndpoint **ret, Err *err) {
    AUTO(GridEndpoint) e = must(calloc(1, sizeof *e));
    e->url = must(strdup(o->url));
    if (!fill_lines(e, o, err)) return false;
    const HttpClientOptions client = {.ca_file = o->ca_file, .total_ms = ANSWER_MS, .answer_limit = 64 << 10};
    if (!http_client_open(&client, &e->client, err)) return false;
    *ret = e;
    e = NULL;
    return true;
}

GridEndpoint *grid_endpoint_free(GridEndpoint *e) {
    if (!e) return NULL;
    http_client_free(e->client);
    free(e->url);
    free(e);
    return NULL;
}

void grid_endpoint_interrupt(GridEndpoint *e) {
    http_client_interrupt(e->client);
}

/* The status alone is no consent (HTTP 1.1 Web Hooks for Event Delivery, section 4.2). */
bool grid_endpoint_handshake(GridEndpoint *e, int *status, Err *err) {
    const char *const headers[] = {"WebHook-Request-Origin: " ORIGIN, "WebHook-Request-Rate: 6000",
                                   e->secret_line, e->name_line, NULL};
    const HttpReply *reply = NULL;
    *status = 0;
    if (!http_client_call(e->client, "OPTIONS", e->url, headers, SPAN_NONE, &reply, err)) return false;
    *status = reply->status;
    bool consent = !strcmp(reply->allowed_origin, ORIGIN) || !strcmp(reply->allowed_origin, "*");
    if (grid_verdict(reply->status, 1) != GRID_DELIVERED || !consent)
        return err_set(err, &ERR_FORBIDDEN, "the webhook answered %d and does not consent", reply->status);
    return true;
}

int grid_endpoint_post(GridEndpoint *e, Span batch, unsigned attempts) {
    char count_line[48];
    snprintf(count_line, sizeof count_line, "aeg-delivery-count: %u", attempts);
    const char *const headers[] = {"Content-Type: application/cloudevents-batch+json; charset=utf-8",
                                   "aeg-event-type: Notification",
                                   "aeg-metadata-version: 1.0",
                                   "Origin: " ORIGIN,
                                   count_line,
                                   e->name_line,
                                   e->secret_line,
                                   NULL};
    const HttpReply *reply = NULL;
    Err ignored = {0};
    return http_client_call(e->client, "POST", e->url, headers, batch, &reply, &ignored) ? reply->status : 0;
}
