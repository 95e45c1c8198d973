/* Pages of the log: read once for all who stand within one, never given to who stands in another place. */
#include "gateway/stream/log_pages.h"

#include "kit/engine.h"
#include "observe/metric.h"
#include "store/read/migrations_read.h"
#include <stdio.h>

#define EPOCH "0190163d-8694-739b-aea5-966c26f8ad91"
enum { LAST = 2 * PAGE_EVENTS + 10, FOREIGN = 7 /* every seventh is another tenant's */, READERS = 2 };

typedef struct Bench {
    const char *url, *home;
    Gateway gateway;
    Worker worker;
    LogPages *pages;
    Metric *read;
} Bench;

static void make_log(const char *url) {
    Err err = {0};
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(read_migrate(db, &err), &err));
    AUTO(Rows) rows = rows_new(&REPLAY_ROWS);
    static char body[LAST + 1][128]; /* until they are written */
    for (int64_t i = 1; i <= LAST; i++) {
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        e.event_type = (char *)"ProspectCreated", e.tenant_id = (char *)(i % FOREIGN ? "t" : "u");
        e.subject = (char *)"prospect/1", e.sequence = i;
        size_t len = events__v1__envelope__pack(&e, (uint8_t *)body[i]);
        ReplayRow row = {.sequence = i,
                         .tenant_id = span_of(e.tenant_id),
                         .subject = SPAN("prospect/1"),
                         .event_type = SPAN("ProspectCreated"),
                         .issued_by = SPAN(""),
                         .body = span_bytes(body[i], len)};
        replay_log_append(rows, &row);
    }
    REQUIRE(CHECK_OK(rows_flush(rows, db, &err), &err));
    char sql[160];
    snprintf(sql, sizeof sql, "UPDATE projection_state SET prefix = %d, epoch = '%s'", LAST, EPOCH);
    test_db_run(db, sql);
}

static void *open_queries(void *user) {
    return queries_new(user);
}

static void close_queries(void *context) {
    queries_free(context);
}

static void begin(Bench *b, QueriesOptions *options) {
    Err err = {0};
    *b = (Bench){.url = test_database_with(read_migrate), .home = test_folder()};
    make_log(b->url);
    *options = (QueriesOptions){b->url, "sql:", b->home};
    PoolOptions readers = {"reader", READERS, 100, 0, open_queries, close_queries, options};
    REQUIRE(CHECK_OK(pool_open(&readers, &b->gateway.readers, &err), &err));
    REQUIRE(CHECK_OK(loop_open(&b->worker.loop, &err), &err));
    b->worker.gateway = &b->gateway;
    b->pages = log_pages_new(&b->worker);
    b->read = metric_counter("events_gateway_log_pages_total", "");
}

static void end(Bench *b) {
    b->gateway.readers = pool_free(b->gateway.readers);
    b->worker.loop = loop_free(b->worker.loop);
    CHECK(b->worker.in_flight == 0);
    b->pages = log_pages_free(b->pages);
}

typedef struct Guest {
    LogWaiter waiter;
    Bench *bench;
    PageOutcome outcome;
    int64_t after, upto;
    size_t count;
    bool came;
} Guest;

/* The last job that is out ends the loop. */
static void come(LogWaiter *waiter, const LogPage *page) {
    Guest *g = CONTAINER(waiter, Guest, waiter);
    CHECK(!g->came);
    g->came = true;
    g->outcome = page->outcome;
    g->after = page->after, g->upto = page->upto, g->count = page->count;
    if (!g->bench->worker.in_flight) loop_stop(g->bench->worker.loop);
}

static const LogPage *ask(Bench *b, Guest *g, const LogPlace *place) {
    Err err = {0};
    *g = (Guest){.waiter.come = come, .bench = b};
    const LogPage *page = log_pages_ask(b->pages, place, &g->waiter, &err);
    CHECK_OK(!err.kind, &err);
    return page;
}

/* All of the tenant's events behind `after`, and nobody else's. */
static void check_page(const LogPage *page) {
    int64_t number = page->after;
    for (size_t i = 0; i < page->count; i++) {
        number += (number + 1) % FOREIGN ? 1 : 2;
        CHECK(event_sequence(page->events[i]) == number);
    }
    CHECK(page->upto ==
          (page->count == PAGE_EVENTS ? number : LAST)); /* behind a full one there may be more */
}

static void a_page_is_read_once_for_all_within_it(void) {
    Bench b;
    QueriesOptions options;
    Guest guests[4];
    static const int64_t PLACES[] = {0, 0, 5, PAGE_EVENTS - 1};
    begin(&b, &options);
    int64_t before = metric_value(b.read);
    for (size_t i = 0; i < COUNT(guests); i++)
        CHECK(!ask(&b, &guests[i], &(LogPlace){"t", EPOCH, PLACES[i], false}));
    log_waiter_stop(&guests[1].waiter); /* it has gone */
    loop_run(b.worker.loop);
    CHECK(metric_value(b.read) - before == 1);
    for (size_t i = 0; i < COUNT(guests); i++) {
        CHECK(guests[i].came == (i != 1));
        if (i != 1)
            CHECK(guests[i].outcome == PAGE_READ && guests[i].count == PAGE_EVENTS && guests[i].after == 0);
    }
    const LogPage *kept = ask(&b, &guests[1], &(LogPlace){"t", EPOCH, 100, false});
    REQUIRE(kept);
    check_page(kept);
    CHECK(metric_value(b.read) - before == 2); /* the one behind it, ahead */
    CHECK(!ask(&b, &guests[0], &(LogPlace){"t", EPOCH, kept->upto, false}));
    CHECK(metric_value(b.read) - before == 2);
    log_pages_forget(b.pages);
    CHECK(!ask(&b, &guests[1], &(LogPlace){"t", EPOCH, 100, false}));
    CHECK(metric_value(b.read) - before == 3);
    end(&b);
    CHECK(guests[0].came && guests[1].came);
}

static void who_stands_elsewhere_is_read_for(void) {
    static const struct {
        const char *name;
        LogPlace place;
        PageOutcome outcome;
        int64_t upto;
    } CASES[] = {
        {"another tenant", {"u", EPOCH, 0, false}, PAGE_READ, LAST},
        {"the same from the oldest event", {"t", EPOCH, 0, true}, PAGE_READ, 0},
        {"another log", {"t", "another", 0, false}, PAGE_OTHER_EPOCH, 0},
        {"at the end", {"t", EPOCH, LAST, false}, PAGE_READ, LAST},
    };
    Bench b;
    QueriesOptions options;
    Guest first;
    begin(&b, &options);
    CHECK(!ask(&b, &first, &(LogPlace){"t", EPOCH, 0, false}));
    loop_run(b.worker.loop);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Guest g;
        b.worker.loop = loop_free(b.worker.loop); /* it has been stopped */
        REQUIRE(loop_open(&b.worker.loop, NULL));
        REQUIRE(!ask(&b, &g, &CASES[i].place));
        loop_run(b.worker.loop);
        bool ok = g.came && g.outcome == CASES[i].outcome && (!CASES[i].upto || g.upto == CASES[i].upto);
        if (!ok) printf("\n    %s: outcome %d up to %lld", CASES[i].name, g.outcome, (long long)g.upto);
        CHECK(ok);
    }
    end(&b);
}

SUITE_ON_ENGINES("log pages", TEST(a_page_is_read_once_for_all_within_it),
                 TEST(who_stands_elsewhere_is_read_for));
