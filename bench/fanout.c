/* bench-fanout - many subscribers of one server and a publisher: a client of bench/fanout.mjs, and of the test of slow
 * readers. Every subscriber checks that it sees each number in its order.
 *
 *     bench-fanout NAME=VALUE ...
 *
 * wire=events|nats|mqtt|nchan|ws, at= and publish= HOST:PORT, n= subscribers, modes= such as
 * rate:100,window:64:32,window:64:1, pids= of the server. Further: seconds=, warm= (ms), payload= (bytes), others=
 * (subscribers of something else), token=, masked_token=, masked_every=, secret= (of the webhook), filter=1, tls=1,
 * after= (a number: they subscribe from there, all at once, until they have caught up; no modes), slow= (of n) with slow_rate= (bytes a second) and receive_buffer=.
 *
 * One JSON line for each mode. Where there are slow ones, one more when they too have everything. */
#include "bench/fanout_load.h"

#include "base/log.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static const Wire *const WIRES[] = {&WIRE_EVENTS, &WIRE_NATS, &WIRE_MQTT, &WIRE_NCHAN, &WIRE_WS};

static bool parse_address(Span text, struct sockaddr_in *to) {
    Span port, host = span_split(text, ':', &port);
    char name[INET_ADDRSTRLEN];
    uint64_t number;
    if (!span_copy(host, name, sizeof name) || !span_to_u64(port, 65535, &number)) return false;
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    return inet_pton(AF_INET, name, &to->sin_addr) == 1;
}

static bool set_number(Plan *p, Span name, Span value) {
    uint64_t filter = 0, tls = 0, found = 0, after = UINT64_MAX;
    const struct {
        const char *name;
        uint64_t *to;
    } NUMBERS[] = {{"n", &p->subscribers},
                   {"others", &p->others},
                   {"slow", &p->slow},
                   {"slow_rate", &p->slow_rate},
                   {"receive_buffer", &p->receive_buffer},
                   {"payload", &p->payload},
                   {"seconds", &p->seconds},
                   {"warm", &p->warm_ms},
                   {"masked_every", &p->masked_every},
                   {"filter", &filter},
                   {"tls", &tls},
                   {"after", &after}};
    for (size_t i = 0; i < COUNT(NUMBERS) && !found; i++)
        if (span_is(name, NUMBERS[i].name)) found = span_to_u64(value, 10000000, NUMBERS[i].to);
    if (filter) p->filter = true;
    if (after != UINT64_MAX) p->after = after, p->resumes = true;
    if (tls) p->tls = must(SSL_CTX_new(TLS_client_method())); /* nobody's certificate is checked */
    return found;
}

static bool set(Plan *p, char *operand) {
    Span value, name = span_split(span_of(operand), '=', &value);
    const struct {
        const char *name, **to;
    } TEXTS[] = {{"token", &p->token},
                 {"masked_token", &p->masked_token},
                 {"secret", &p->secret},
                 {"modes", &p->modes},
                 {"pids", &p->pids}};
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        if (!span_is(name, TEXTS[i].name)) continue;
        *TEXTS[i].to = value.at;
        return value.at;
    }
    if (span_is(name, "wire"))
        for (size_t i = 0; i < COUNT(WIRES); i++)
            if (span_is(value, WIRES[i]->name)) p->wire = WIRES[i];
    if (span_is(name, "at")) p->host = value.at;
    if (span_is(name, "wire")) return p->wire;
    if (span_is(name, "at")) return parse_address(value, &p->at);
    if (span_is(name, "publish")) return parse_address(value, &p->publish_at);
    return set_number(p, name, value);
}

static bool parse_mode(Span text, Mode *mode) {
    Span rest, kind = span_split(text, ':', &rest), chunk, window = span_split(rest, ':', &chunk);
    *mode = (Mode){.text = strndup(text.at, text.len)};
    if (span_is(kind, "rate")) return span_to_u64(rest, 100000, &mode->rate) && mode->rate;
    return span_is(kind, "window") && span_to_u64(window, IN_FLIGHT / 2, &mode->window) &&
           span_to_u64(chunk, mode->window, &mode->chunk) && mode->chunk;
}

static bool open_all(Load *load, const Plan *plan, size_t from, size_t to, Err *err) {
    for (size_t i = from; i < to; i++)
        if (!subscriber_ask(plan, &load->subscribers[i], err)) return false;
    for (size_t i = from; i < to; i++) {
        Subscriber *s = &load->subscribers[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
        if (!subscriber_open(plan, s, err)) return false;
        if (!s->slow && epoll_ctl(load->epoll, EPOLL_CTL_ADD, s->fd, &event))
            return err_set(err, &ERR_INTERNAL, "epoll");
    }
    return true;
}

static bool open_subscribers(Load *load, const Plan *plan, Err *err) {
    for (size_t i = 0; i < load->count; i++) {
        Subscriber *s = &load->subscribers[i];
        *s = (Subscriber){.fd = -1, .index = i, .load = load};
        s->other = i >= plan->subscribers;
        s->slow = i < plan->slow;
    }
    size_t at_once = plan->wire->at_once ? plan->wire->at_once : 1;
    for (size_t from = 0, to; from < load->count; from = to) {
        to = from + at_once < load->count ? from + at_once : load->count;
        if (!open_all(load, plan, from, to, err)) return false;
    }
    return true;
}

static bool begin(Load *load, Plan *plan, Err *err) {
    struct epoll_event event = {.events = EPOLLIN};
    if (!load_subscribe(load, err)) return false;
    for (size_t i = 0; i < load->count; i++)
        if (load->subscribers[i].last > plan->base) plan->base = load->subscribers[i].last;
    if (!publisher_open(plan, &load->publisher, err)) return false;
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->publisher, &event);
    load->published = load->completed = plan->base;
    return true;
}

static bool run(Load *load, Plan *plan, Err *err) {
    if (!open_subscribers(load, plan, err)) return false;
    if (plan->resumes) {
        load->mode.text = "resume";
        return load_resume(load, err);
    }
    if (!begin(load, plan, err)) return false;
    for (Span rest = span_of(plan->modes), text; rest.at;) {
        text = span_split(rest, ',', &rest);
        if (!parse_mode(text, &load->mode))
            return err_set(err, &ERR_INVALID, "no mode: %.*s", SPAN_ARGS(text));
        bool ok = load_run(load, err);
        if (ok && plan->slow && !rest.at) ok = load_drain(load, true, err);
        free((char *)load->mode.text);
        if (!ok) return false;
    }
    uint64_t lagged = 0;
    for (size_t i = 0; i < load->count; i++) lagged += load->subscribers[i].lagged;
    if (plan->slow) printf("{\"consistent\":%zu,\"lagged\":%llu}\n", load->count, (unsigned long long)lagged);
    return true;
}

int main(int argc, char **argv) {
    Plan plan = {
        .subscribers = 1000, .payload = 220, .seconds = 3, .warm_ms = 500, .pids = "", .modes = "rate:100"};
    Err err = {0};
    log_start("bench-fanout", LOG_WARN);
    for (int i = 1; i < argc; i++) {
        if (set(&plan, argv[i])) continue;
        fprintf(stderr, "bench-fanout: %s is not understood; see bench/fanout.c\n", argv[i]);
        return 64;
    }
    if (!plan.wire || !plan.at.sin_port || !plan.publish_at.sin_port) return 64;
    Load *load = must(calloc(1, sizeof *load));
    load->plan = &plan;
    load->fast = plan.subscribers - plan.slow;
    load->count = plan.subscribers + plan.others;
    load->subscribers = must(calloc(load->count, sizeof *load->subscribers));
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    bool ok = run(load, &plan, &err);
    if (!ok) fprintf(stderr, "bench-fanout: %s\n", err.why);
    if (!ok && load->fault)
        fprintf(stderr, "bench-fanout: number %lld came out of order\n", (long long)load->fault);
    for (size_t i = 0; i < load->count; i++) subscriber_close(&load->subscribers[i]);
    buf_free(&load->out);
    buf_free(&load->answer);
    free(load->subscribers);
    free(load);
    if (plan.tls) SSL_CTX_free(plan.tls);
    return ok ? 0 : 1;
}
