/* eventsctl_events.c - `events tail`: pages of GET /api/events, each event a line of JSON. Where there is
 * nothing new it asks the gateway to wait for the next number (X-Events-Min-Position), so that quiet hours
 * cost a call every two seconds and a new event is printed at once. */
#include "base/clock.h"
#include "main/eventsctl_session.h"
#include "wire/json/json.h"
#include <ctype.h>
#include <stdio.h>

enum { PAGE = 200, QUIET_MS = 500 };

/* The CloudEvent's attribute `sequence`; the object has been read up to its JSON_OBJECT. Ends behind it. */
static bool read_event(JsonReader *r, uint64_t *sequence) {
    for (;;) {
        JsonToken token = json_next(r);
        if (token == JSON_OBJECT_END) return true;
        if (token != JSON_NAME) return false;
        bool wanted = span_is(r->text, "sequence");
        token = json_next(r);
        if (wanted && token == JSON_STRING)
            span_to_u64(r->text, INT64_MAX, sequence);
        else if (!json_skip(r, token))
            return false;
    }
}

static bool print_page(Span body, Arena *arena, uint64_t *after, size_t *count, Err *err) {
    JsonReader r = json_reader(body, arena);
    JsonToken token = json_next(&r);
    *count = 0;
    if (token == JSON_ARRAY) token = json_next(&r);
    for (; token == JSON_OBJECT; token = json_next(&r), ++*count) {
        size_t start = r.at - 1;
        if (!read_event(&r, after)) break;
        printf("%.*s\n", SPAN_ARGS(((Span){body.at + start, r.at - start})));
    }
    return token == JSON_ARRAY_END ||
           err_set(err, &ERR_UNAVAILABLE, "the gateway's answer is no list of events");
}

static bool tail_once(Session *session, const char *types, Arena *arena, uint64_t *after, Err *err) {
    const HttpReply *reply;
    size_t count;
    arena_reset(arena);
    const char *path =
        must(arena_printf(arena, "/api/events?after=%llu&limit=%d%s%s", (unsigned long long)*after, PAGE,
                          types ? "&types=" : "", types ? types : ""));
    const char *wait =
        must(arena_printf(arena, "X-Events-Min-Position: %llu", (unsigned long long)*after + 1));
    if (!session_get(session, path, wait, &reply, err)) return false;
    if (reply->status != 200)
        return err_set(err, &ERR_UNAVAILABLE, "the gateway answered HTTP %d", reply->status);
    if (!print_page(buf_view(&reply->body), arena, after, &count, err)) return false;
    fflush(stdout);
    if (!count) clock_sleep_ms(QUIET_MS);
    return true;
}

/* Names go into the query as they are, so only letters, digits and commas may stand there. */
static bool types_are_names(const char *types) {
    for (; types && *types; types++)
        if (!isalnum((unsigned char)*types) && *types != ',') return false;
    return true;
}

bool ctl_events_tail(Ctl *ctl, Err *err) {
    AUTO(Session) session = NULL;
    AUTO(Arena) arena = must(arena_new(0));
    const char *text = ctl_option(ctl, "after"), *types = ctl_option(ctl, "types");
    uint64_t after = 0;
    if (text && !span_to_u64(span_of(text), INT64_MAX - 1, &after))
        return err_set(err, &ERR_INVALID, "--after is a position: 0 or a positive number");
    if (!types_are_names(types))
        return err_set(err, &ERR_INVALID, "--types is a list of event types, a comma between");
    if (!session_open(ctl, &session, err)) return false;
    while (!ferror(stdout))
        if (!tail_once(session, types, arena, &after, err)) return false;
    return true;
}
