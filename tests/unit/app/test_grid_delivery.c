/* events-grid's inside, whole: a topic behind a real HTTP server, the journal on a real database, senders,
 * and webhooks that fail in the ways that webhooks do. */
#include "kit/test.h"
#include "kit/web.h"

#include "app/grid/grid_journal.h"
#include "app/grid/grid_sender.h"
#include "base/clock.h"
#include "net/http_client.h"
#include "store/grid/grid_log.h"
#include <pthread.h>
#include <stdio.h>

#define KEY   "key-of-the-topic"
#define EVENT "{\"id\":\"%d\",\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\",\"data\":{\"n\":%d}}"

/* --- a webhook that notes the numbers of what it takes --- */

enum { HOOK_MOST = 70000 };
typedef struct Hook {
    pthread_mutex_t lock;
    int answers[40]; /* statuses of the first deliveries; then 200 */
    size_t posts, handshakes;
    int poison; /* a batch with this number is answered poison_status */
    int poison_status;
    int seen[HOOK_MOST];
    size_t count;
    int64_t last_at_us;
    TestWeb *web;
} Hook;

/* The numbers of the batch behind those already seen; returns whether the poison is among them. */
static bool note_numbers(Hook *hook, Span body, size_t *count) {
    bool poisoned = false;
    const char mark[] = "\"n\":";
    const char *at = body.at, *end = body.at + body.len;
    for (*count = 0; (at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)); ++*count) {
        at += sizeof mark - 1;
        int n = atoi(at);
        poisoned |= hook->poison && n == hook->poison;
        if (hook->count + *count < HOOK_MOST) hook->seen[hook->count + *count] = n;
    }
    return poisoned;
}

static int take_delivery(Hook *hook, HttpExchange *x) {
    size_t count;
    bool poisoned = note_numbers(hook, http_body(x), &count);
    size_t post = hook->posts++;
    int status = post < COUNT(hook->answers) && hook->answers[post] ? hook->answers[post] : 200;
    if (poisoned) status = hook->poison_status;
    if (status == 200) hook->count += count;
    hook->last_at_us = clock_mono_us();
    return status;
}

static void on_hook(void *user, HttpExchange *x) {
    Hook *hook = user;
    pthread_mutex_lock(&hook->lock);
    bool handshake = span_is(http_method(x), "OPTIONS");
    hook->handshakes += handshake;
    int status = handshake ? 200 : take_delivery(hook, x);
    pthread_mutex_unlock(&hook->lock);
    const HttpField field = {"webhook-allowed-origin", SPAN("*")};
    http_respond(x, &(HttpAnswer){.status = status, .fields = &field, .field_count = handshake});
}

static Hook *start_hook(void) {
    Hook *hook = must(calloc(1, sizeof *hook));
    pthread_mutex_init(&hook->lock, NULL);
    hook->web = test_web_start(on_hook, hook);
    return hook;
}

static void stop_hook(Hook *hook) {
    if (hook->web) test_web_stop(hook->web);
    pthread_mutex_destroy(&hook->lock);
    free(hook);
}

static size_t hook_count(Hook *hook) {
    pthread_mutex_lock(&hook->lock);
    size_t count = hook->count;
    pthread_mutex_unlock(&hook->lock);
    return count;
}

static bool hook_gets(Hook *hook, size_t count) {
    for (int i = 0; i < 4000 && hook_count(hook) < count; i++) clock_sleep_ms(5);
    return hook_count(hook) >= count;
}

/* first, first + 1, ...: nothing lost, nothing twice, in order */
static bool in_order(const Hook *hook, int first) {
    for (size_t i = 0; i < hook->count; i++)
        if (hook->seen[i] != first + (int)i) return false;
    return true;
}

/* --- the grid --- */

typedef struct Grid {
    TestWeb *web;
    GridTopic *topic;
    GridJournal *journal;
    Loop *loop;
    GridSender *sender;
    char url[128], hook_url[64];
} Grid;

static const char *const NAMES[] = {"projection"};

static void on_request(void *user, HttpExchange *x) {
    Grid *g = user;
    grid_topic_handle(g->topic, x);
}

static void on_publication(void *user, GridPublication *p) {
    Grid *g = user;
    grid_journal_publish(g->journal, p);
}

static void start_sender(Grid *g, const char *url) {
    Err err = {0};
    snprintf(g->hook_url, sizeof g->hook_url, "%s", url);
    const GridSenderOptions sender = {
        .journal = g->journal, .index = 0, .name = NAMES[0], .url = g->hook_url, .secret = "s"};
    REQUIRE(CHECK_OK(grid_sender_open(&sender, &g->sender, &err), &err));
}

static Grid *start_grid(const char *folder, const char *hook_url) {
    Grid *g = must(calloc(1, sizeof *g));
    Err err = {0};
    snprintf(g->url, sizeof g->url, "sqlite:%s/grid.db", folder);
    g->topic = grid_topic_new(&(GridTopicOptions){.keys = KEY, .publish = on_publication, .user = g});
    g->web = test_web_start(on_request, g);
    const GridJournalOptions journal = {
        .url = g->url, .home = test_web_loop(g->web), .subscriptions = NAMES, .count = 1};
    REQUIRE(CHECK_OK(grid_journal_open(&journal, &g->journal, &err), &err));
    start_sender(g, hook_url);
    return g;
}

static void stop_grid(Grid *g) {
    grid_sender_free(g->sender);
    grid_journal_stop(g->journal);
    test_web_stop(g->web);
    grid_journal_free(g->journal);
    grid_topic_free(g->topic);
    free(g);
}

static int publish(Grid *g, HttpClient *client, int first, int count) {
    const char *const headers[] = {"Content-Type: application/cloudevents-batch+json; charset=utf-8",
                                   "aeg-sas-key: " KEY, NULL};
    AUTO_BUF body = {0};
    Err err = {0};
    const HttpReply *reply;
    for (int n = first; n < first + count; n++) {
        buf_byte(&body, n == first ? '[' : ',');
        buf_printf(&body, EVENT, n, n);
    }
    buf_byte(&body, ']');
    if (!http_client_call(client, "POST", test_web_url(g->web, "/api/events?api-version=2018-01-01"), headers,
                          buf_view(&body), &reply, &err))
        return 0;
    return reply->status;
}

static HttpClient *open_client(void) {
    HttpClient *client = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(http_client_open(&(HttpClientOptions){0}, &client, &err), &err));
    return client;
}

static int64_t dead_letters(const Grid *g) {
    AUTO(GridLog) log = NULL;
    Err err = {0};
    int64_t count = -1;
    CHECK_OK(grid_log_open_reader(g->url, &log, &err) && grid_log_buried(log, &count, &err), &err);
    return count;
}

/* 503 pauses the cursor for half a minute; the receiver's "up" ends the pause. */
static void outages_lose_nothing(void) {
    Hook *hook = start_hook();
    const int answers[] = {503, 500, 503};
    memcpy(hook->answers, answers, sizeof answers);
    Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
    AUTO(HttpClient) client = open_client();
    for (int i = 0; i < 10; i++) CHECK(publish(g, client, 1 + i * 10, 10) == 200);
    clock_sleep_ms(100);
    CHECK(hook_count(hook) == 0);
    for (int i = 0; i < 200 && hook_count(hook) < 100; i++) {
        grid_sender_up(g->sender);
        clock_sleep_ms(10);
    }
    CHECK(hook_gets(hook, 100) && in_order(hook, 1) && hook->count == 100);
    CHECK(hook->posts >= 4 && hook->handshakes == 1);
    CHECK(dead_letters(g) == 0);
    stop_grid(g);
    stop_hook(hook);
}

static void damage(const Grid *g, const char *sql) {
    AUTO(Db) db = NULL;
    Err err = {0};
    CHECK_OK(db_open(g->url, (DbOptions){0}, &db, &err) && db_execute(db, sql, &err), &err);
}

/* What cannot be stored is 503, so that the relay keeps it; nothing of it is delivered, and afterwards all
 * goes on. */
static void what_is_not_stored_is_503(void) {
    Hook *hook = start_hook();
    Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
    AUTO(HttpClient) client = open_client();
    CHECK(publish(g, client, 1, 5) == 200);
    damage(g, "CREATE TRIGGER broken BEFORE INSERT ON grid_event WHEN NEW.position = 8"
              " BEGIN SELECT RAISE(FAIL, 'the disk is full'); END");
    CHECK(publish(g, client, 6, 5) == 503);
    CHECK(publish(g, client, 6, 5) == 503);
    damage(g, "DROP TRIGGER broken");
    CHECK(publish(g, client, 6, 5) == 200);
    CHECK(hook_gets(hook, 10) && in_order(hook, 1));
    stop_grid(g);
    stop_hook(hook);
}

/* What was delivered before a restart does not come again; what was not comes from the database. */
static void restarts_keep_the_cursor(void) {
    const char *folder = test_folder();
    Hook *hook = start_hook();
    AUTO(HttpClient) client = open_client();
    Grid *g = start_grid(folder, test_web_url(hook->web, "/hook"));
    CHECK(publish(g, client, 1, 300) == 200);
    CHECK(hook_gets(hook, 300));
    clock_sleep_ms(
        200); /* the answer is on its way to the sender: without it the batch would rightly come again */
    stop_grid(g);
    g = start_grid(folder, "http://127.0.0.1:1/nobody");
    for (int i = 0; i < 4; i++) CHECK(publish(g, client, 301 + i * 1000, 1000) == 200);
    stop_grid(g);
    g = start_grid(folder, test_web_url(hook->web, "/hook"));
    CHECK(publish(g, client, 4301, 5) == 200);
    CHECK(hook_gets(hook, 4305) && in_order(hook, 1));
    clock_sleep_ms(50);
    CHECK(hook_count(hook) == 4305);
    stop_grid(g);
    stop_hook(hook);
}

/* A batch that is refused for good is halved until the guilty event is alone. */
static void the_guilty_event_is_buried(void) {
    static const int STATUSES[] = {400, 413, 403};
    for (size_t i = 0; i < COUNT(STATUSES); i++) {
        Hook *hook = start_hook();
        hook->poison = 77;
        hook->poison_status = STATUSES[i];
        Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
        AUTO(HttpClient) client = open_client();
        CHECK(publish(g, client, 1, 200) == 200);
        CHECK(hook_gets(hook, 199));
        CHECK(dead_letters(g) == 1);
        bool right = hook->count == 199;
        for (size_t k = 0; k < hook->count; k++) right &= hook->seen[k] == (int)k + (k < 76 ? 1 : 2);
        CHECK(right);
        stop_grid(g);
        stop_hook(hook);
    }
}

/* A receiver that is away is asked again by handshakes; its restart under the same port is found. */
static void the_receiver_may_be_away(void) {
    Hook *hook = start_hook();
    unsigned port = test_web_port(hook->web);
    Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
    AUTO(HttpClient) client = open_client();
    CHECK(publish(g, client, 1, 10) == 200 && hook_gets(hook, 10));
    test_web_stop(hook->web);
    hook->web = NULL;
    CHECK(publish(g, client, 11, 10) == 200);
    clock_sleep_ms(100);
    hook->web = test_web_start_at(port, on_hook, hook);
    for (int i = 0; i < 200 && hook_count(hook) < 20; i++) {
        grid_sender_up(g->sender);
        clock_sleep_ms(10);
    }
    CHECK(hook_count(hook) == 20 && in_order(hook, 1));
    CHECK(hook->handshakes >= 2);
    stop_grid(g);
    stop_hook(hook);
}

static int64_t stored_first(const Grid *g) {
    AUTO(GridLog) log = NULL;
    Err err = {0};
    int64_t first = -1;
    CHECK_OK(grid_log_open_reader(g->url, &log, &err) && grid_log_first(log, &first, &err), &err);
    return first;
}

/* After a second of quiet the cursor is saved and the delivered rows are gone. */
static void delivered_rows_are_deleted(void) {
    Hook *hook = start_hook();
    Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
    AUTO(HttpClient) client = open_client();
    for (int i = 0; i < 3; i++) CHECK(publish(g, client, 1 + i * 3000, 3000) == 200);
    CHECK(hook_gets(hook, 9000));
    for (int i = 0; i < 500 && stored_first(g) != INT64_MAX; i++) clock_sleep_ms(10);
    CHECK(stored_first(g) == INT64_MAX);
    CHECK(publish(g, client, 9001, 1) == 200);
    CHECK(hook_gets(hook, 9001) && in_order(hook, 1));
    stop_grid(g);
    stop_hook(hook);
}

static int call(Grid *g, HttpClient *client, const char *path, const char *const *headers, const char *body) {
    const HttpReply *reply = NULL;
    Err err = {0};
    if (!CHECK_OK(http_client_call(client, "POST", test_web_url(g->web, path), headers, span_of(body), &reply,
                                   &err),
                  &err))
        return 0;
    Span text = buf_view(&reply->body);
    CHECK(reply->status == 200 ? !text.len : span_starts(text, SPAN("{\"error\":{\"code\":\"")));
    return reply->status;
}

static void the_topic_checks_requests(void) {
#define ONE    "{\"id\":\"1\",\"source\":\"/s\",\"specversion\":\"1.0\",\"type\":\"T\",\"data\":{\"n\":1}}"
#define EVENTS "/api/events?api-version=2018-01-01"
    static const struct {
        const char *path, *auth, *type, *body;
        int status;
    } CASES[] = {
        {EVENTS, "aeg-sas-key: " KEY, "application/cloudevents-batch+json; charset=utf-8", "[" ONE "]", 200},
        {EVENTS, "aeg-sas-key: " KEY, "Application/CloudEvents+JSON", ONE, 200},
        {EVENTS "&aeg-sas-key=" KEY, "x: y", "application/cloudevents+json", ONE, 200},
        {EVENTS, "aeg-sas-key: " KEY, "application/cloudevents-batch+json", "[]", 200},
        {EVENTS, "aeg-sas-key: wrong", "application/cloudevents+json", ONE, 401},
        {EVENTS, "x: y", "application/cloudevents+json", ONE, 401},
        {EVENTS, "aeg-sas-token: r=a&e=b&s=c", "application/cloudevents+json", ONE, 401},
        {EVENTS, "Authorization: SharedAccessSignature r=a&e=b&s=c", "application/cloudevents+json", ONE,
         401},
        {"/api/events", "aeg-sas-key: " KEY, "application/cloudevents+json", ONE, 400},
        {"/api/events?api-version=2020", "aeg-sas-key: " KEY, "application/cloudevents+json", ONE, 400},
        {EVENTS, "aeg-sas-key: " KEY, "application/json", "[]", 400},
        {EVENTS, "aeg-sas-key: " KEY, "text/plain", ONE, 415},
        {EVENTS, "aeg-sas-key: " KEY, "application/cloudevents-batch+json", ONE, 400},
        {EVENTS, "aeg-sas-key: " KEY, "application/cloudevents+json", "{\"id\":\"1\"}", 400},
        {"/other", "aeg-sas-key: " KEY, "application/cloudevents+json", ONE, 404},
    };
    Hook *hook = start_hook();
    Grid *g = start_grid(test_folder(), test_web_url(hook->web, "/hook"));
    AUTO(HttpClient) client = open_client();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char type[96];
        snprintf(type, sizeof type, "Content-Type: %s", CASES[i].type);
        const char *const headers[] = {CASES[i].auth, type, NULL};
        int status = call(g, client, CASES[i].path, headers, CASES[i].body);
        CHECK(status == CASES[i].status);
        if (status != CASES[i].status) printf("\n    case %zu: %d", i, status);
    }
    AUTO_BUF large = {0};
    buf_text(&large, "[" ONE "]");
    while (large.len <= 1 << 20) buf_byte(&large, ' ');
    buf_byte(&large, 0);
    const char *const headers[] = {"aeg-sas-key: " KEY, "Content-Type: application/cloudevents-batch+json",
                                   NULL};
    CHECK(call(g, client, EVENTS, headers, large.at) == 413);
    CHECK(hook_gets(hook, 3));
    stop_grid(g);
    stop_hook(hook);
}

SUITE("grid_delivery", TEST(outages_lose_nothing), TEST(what_is_not_stored_is_503),
      TEST(restarts_keep_the_cursor), TEST(the_guilty_event_is_buried), TEST(the_receiver_may_be_away),
      TEST(delivered_rows_are_deleted), TEST(the_topic_checks_requests));
