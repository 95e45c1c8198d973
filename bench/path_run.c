/* path_run.c - two threads. The main one posts over HTTP/1.1 by libcurl's multi interface at the planned
 * times, whatever the answers do (an open loop: a stall of the system does not slow down what is asked of it,
 * and is measured in full). The other one reads the WebSocket and notes when each command's event came. Both
 * write into the same rows, but into fields of their own; they are read when both are done. */
#include "bench/path_run.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/uuid.h"
#include "bench/ws_client.h"
#include "events/v1/stream.pb-c.h"
#include "wire/message.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { SUBSCRIPTION = 1, READ_MS = 50, CONNECTIONS_MAX = 64 };

typedef struct Row {
    char command_id[UUID_TEXT];
    int64_t intended_us, accepted_us; /* the main thread's; 0: not yet */
    int status;
    _Atomic int64_t seen_us; /* the reader's */
    char body[256];
    CURL *easy;
} Row;

typedef struct Run {
    const PathPlan *plan;
    Row *rows;
    Map *by_command;
    WsClient *ws;
    CURLM *multi;
    struct curl_slist *headers;
    size_t begun, answered;
    atomic_size_t seen;
    atomic_bool stop;
    Err reader_err;
} Run;

/* ---- the WebSocket ---- */

static void note_event(Run *run, const Events__V1__Envelope *event, int64_t now) {
    Row *row = map_get(run->by_command, span_of(event->causation_id));
    if (!row || row->seen_us) return;
    row->seen_us = now;
    run->seen++;
}

static void take_message(Run *run, Span message, Arena *arena) {
    int64_t now = clock_mono_us();
    arena_reset(arena);
    Events__V1__ServerFrame *frame =
        events__v1__server_frame__unpack(arena_protobuf(arena), message.len, (const uint8_t *)message.at);
    if (!frame || frame->frame_case != EVENTS__V1__SERVER_FRAME__FRAME_EVENTS) return;
    for (size_t i = 0; i < frame->events->n_events; i++) note_event(run, frame->events->events[i], now);
}

static void *reader(void *user) {
    Run *run = user;
    AUTO(Arena) arena = must(arena_new(64 << 20));
    Span message;
    while (!run->stop && !run->reader_err.kind)
        if (ws_client_receive(run->ws, READ_MS, &message, &run->reader_err))
            take_message(run, message, arena);
    return NULL;
}

/* Subscribes, and waits for the server's word that the events come from here on. */
static bool subscribe(Run *run, Err *err) {
    AUTO(Arena) arena = must(arena_new(0));
    Events__V1__Subscribe subscribe = EVENTS__V1__SUBSCRIBE__INIT;
    Events__V1__ClientFrame frame = EVENTS__V1__CLIENT_FRAME__INIT;
    subscribe.id = SUBSCRIPTION;
    frame.frame_case = EVENTS__V1__CLIENT_FRAME__FRAME_SUBSCRIBE;
    frame.subscribe = &subscribe;
    AUTO_BUF bytes = {0};
    message_pack(&frame.base, &bytes);
    if (!ws_client_send(run->ws, buf_view(&bytes), err)) return false;
    for (Span message; ws_client_receive(run->ws, 5000, &message, err);) {
        Events__V1__ServerFrame *got =
            events__v1__server_frame__unpack(arena_protobuf(arena), message.len, (const uint8_t *)message.at);
        if (got && got->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED &&
            got->subscribed->caught_up)
            return true;
    }
    return err_set(err, &ERR_UNAVAILABLE, "the gateway did not confirm the subscription");
}

/* ---- the posts ---- */

static size_t drop_answer(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes, (void)user;
    return size * count;
}

static void post(Run *run, Row *row) {
    char url[512];
    snprintf(url, sizeof url, "%s/api/prospects", run->plan->url);
    row->easy = must(curl_easy_init());
    curl_easy_setopt(row->easy, CURLOPT_URL, url);
    curl_easy_setopt(row->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(row->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(row->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(row->easy, CURLOPT_HTTPHEADER, run->headers);
    curl_easy_setopt(row->easy, CURLOPT_POSTFIELDS, row->body);
    curl_easy_setopt(row->easy, CURLOPT_WRITEFUNCTION, drop_answer);
    curl_easy_setopt(row->easy, CURLOPT_PRIVATE, row);
    curl_multi_add_handle(run->multi, row->easy);
}

static void note_answers(Run *run) {
    CURLMsg *message;
    for (int left; (message = curl_multi_info_read(run->multi, &left));) {
        if (message->msg != CURLMSG_DONE) continue;
        Row *row;
        long status = 0;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&row);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        row->accepted_us = clock_mono_us();
        row->status = (int)status;
        run->answered++;
        curl_multi_remove_handle(run->multi, row->easy);
        curl_easy_cleanup(row->easy);
        row->easy = NULL;
    }
}

static void begin_due(Run *run, int64_t now) {
    while (run->begun < run->plan->commands && run->rows[run->begun].intended_us <= now)
        post(run, &run->rows[run->begun++]);
}

/* Until the next planned post or something happens on a connection; to the tenth of a millisecond. */
static void wait_turn(Run *run) {
    int64_t wait_us = 20000;
    if (run->begun < run->plan->commands) wait_us = run->rows[run->begun].intended_us - clock_mono_us();
    if (wait_us <= 0) return;
    if (wait_us >= 1000 || run->answered < run->begun)
        curl_multi_poll(run->multi, NULL, 0, wait_us >= 1000 ? (int)(wait_us / 1000) : 1, NULL);
    else
        usleep((useconds_t)wait_us);
}

static void send_all(Run *run) {
    size_t count = run->plan->commands;
    int64_t end = run->rows[count - 1].intended_us + run->plan->patience_ms * 1000;
    int running;
    while ((run->answered < count || run->seen < count) && clock_mono_us() < end && !run->reader_err.kind) {
        begin_due(run, clock_mono_us());
        curl_multi_perform(run->multi, &running);
        note_answers(run);
        if (run->answered < count)
            wait_turn(run);
        else
            clock_sleep_ms(1);
    }
}

/* ---- before and after ---- */

/* A connection that is open and warm: what is measured is the path, not the handshake. */
static void warm_up(Run *run) {
    CURL *easy = must(curl_easy_init());
    char url[512];
    int running = 1;
    snprintf(url, sizeof url, "%s/health/live", run->plan->url);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_answer);
    curl_multi_add_handle(run->multi, easy);
    while (running && curl_multi_perform(run->multi, &running) == CURLM_OK)
        if (running) curl_multi_poll(run->multi, NULL, 0, 100, NULL);
    for (int left; curl_multi_info_read(run->multi, &left);) continue;
    curl_multi_remove_handle(run->multi, easy);
    curl_easy_cleanup(easy);
}

static void plan_rows(Run *run, int64_t begin_us) {
    for (size_t i = 0; i < run->plan->commands; i++) {
        Row *row = &run->rows[i];
        Uuid id = uuid_v7();
        uuid_format(&id, row->command_id);
        row->intended_us =
            begin_us + (run->plan->rate > 0 ? (int64_t)((double)i * 1e6 / run->plan->rate) : 0);
        snprintf(row->body, sizeof row->body,
                 "{\"commandId\":\"%s\",\"firstName\":\"Bench\",\"lastName\":\"%s\",\"email\":\"%s@bench."
                 "example\"}",
                 row->command_id, run->plan->name, row->command_id);
        map_put(run->by_command, span_of(row->command_id), row);
    }
}

typedef struct Moment {
    int64_t at_us;
    int change; /* +1 a command begins, -1 its event came */
} Moment;

static int by_time(const void *a, const void *b) {
    const Moment *left = a, *right = b;
    return left->at_us != right->at_us ? (left->at_us < right->at_us ? -1 : 1) : right->change - left->change;
}

static double worst_stall_ms(const Run *run) {
    size_t count = 0;
    Moment *moments = must(calloc(2 * run->plan->commands, sizeof *moments));
    for (size_t i = 0; i < run->plan->commands; i++) {
        if (!run->rows[i].seen_us) continue;
        moments[count++] = (Moment){run->rows[i].intended_us, 1};
        moments[count++] = (Moment){run->rows[i].seen_us, -1};
    }
    qsort(moments, count, sizeof *moments, by_time);
    int64_t worst = 0, since = 0;
    for (size_t i = 0, busy = 0; i < count; i++) {
        if (moments[i].change > 0) {
            if (!busy++) since = moments[i].at_us;
            continue;
        }
        busy--;
        if (moments[i].at_us - since > worst) worst = moments[i].at_us - since;
        since = moments[i].at_us;
    }
    free(moments);
    return (double)worst / 1000;
}

static void sum_up(Run *run, PathResult *ret) {
    size_t count = run->plan->commands, seen = 0, accepted = 0;
    int64_t *path = must(calloc(count, sizeof *path)), *accept = must(calloc(count, sizeof *accept)),
            last = 0;
    for (size_t i = 0; i < count; i++) {
        const Row *row = &run->rows[i];
        if (row->seen_us) path[seen++] = row->seen_us - row->intended_us;
        if (row->status == 202) accept[accepted++] = row->accepted_us - row->intended_us;
        if (row->seen_us > last) last = row->seen_us;
    }
    *ret = (PathResult){.path = figures_of(path, seen),
                        .accept = figures_of(accept, accepted),
                        .seconds = seen ? (double)(last - run->rows[0].intended_us) / 1e6 : 0,
                        .worst_stall_ms = worst_stall_ms(run),
                        .lost = count - seen,
                        .refused = count - accepted};
    free(path);
    free(accept);
}

static void run_close(Run *run) {
    for (size_t i = 0; i < run->plan->commands; i++) {
        if (!run->rows[i].easy) continue;
        curl_multi_remove_handle(run->multi, run->rows[i].easy);
        curl_easy_cleanup(run->rows[i].easy);
    }
    curl_multi_cleanup(run->multi);
    curl_slist_free_all(run->headers);
    ws_client_free(run->ws);
    map_free(run->by_command);
    free(run->rows);
}

static bool run_phase(Run *run, PathResult *ret, Err *err) {
    const PathPlan *plan = run->plan;
    pthread_t thread;
    if (!ws_client_open(plan->address, "/ws/events", "events.v1.protobuf", plan->token, &run->ws, err) ||
        !subscribe(run, err))
        return false;
    warm_up(run);
    plan_rows(run, clock_mono_us() + 100000);
    if (pthread_create(&thread, NULL, reader, run)) return err_set(err, &ERR_INTERNAL, "no thread");
    send_all(run);
    run->stop = true;
    pthread_join(thread, NULL);
    if (run->reader_err.kind) return err_set(err, run->reader_err.kind, "%s", run->reader_err.why);
    sum_up(run, ret);
    return true;
}

bool path_run(const PathPlan *plan, PathResult *ret, Err *err) {
    AUTO_BUF authorization = {0};
    buf_printf(&authorization, "Authorization: Bearer %s", plan->token);
    buf_byte(&authorization, 0);
    Run run = {.plan = plan,
               .rows = must(calloc(plan->commands, sizeof(Row))),
               .by_command = must(map_new()),
               .multi = must(curl_multi_init()),
               .headers = curl_slist_append(curl_slist_append(NULL, authorization.at),
                                            "Content-Type: application/json")};
    curl_multi_setopt(run.multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_MAX);
    bool ok = run_phase(&run, ret, err);
    run_close(&run);
    return ok;
}
