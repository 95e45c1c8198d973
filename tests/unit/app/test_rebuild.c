/* The read model made anew from the log: equal to the one before, whatever goes on meanwhile. */
#include "app/projection/rebuild.h"

#include "app/projection/projector.h"
#include "base/buf.h"
#include "base/clock.h"
#include "events/v1/prospect.pb-c.h"
#include "kit/engine.h"
#include "store/read/migrations_read.h"
#include "store/read/prospect_queries.h"
#include "store/read/replay_log.h"
#include "wire/envelope.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* So many that the rebuild takes several pages; each prospect has several events, far from one another. */
enum { EVENTS = 1700, PROSPECTS = 400, DELIVERY = 400 };

typedef struct World {
    const char *url;
    Db *db, *own; /* the projection's connection, and the rebuild's */
    Projector *projector;
    int64_t last;
    /* what a step does */
    struct World *live; /* gets further events, as the other one does */
    int steps, stop_at, more_events;
    bool kill;
} World;

static World *world_new(void) {
    World *w = must(calloc(1, sizeof *w));
    Err err = {0};
    w->url = test_database_with(read_migrate);
    w->db = test_db_open(w->url, (DbOptions){.relaxed = true});
    REQUIRE(CHECK_OK(read_migrate(w->db, &err), &err));
    REQUIRE(CHECK_OK(projector_open(w->db, 0, &w->projector, &err), &err));
    w->own = test_db_open(w->url, (DbOptions){.relaxed = true});
    return w;
}

static World *world_free(World *w) {
    if (!w) return NULL;
    projector_free(w->projector);
    db_free(w->db), db_free(w->own);
    free(w);
    return NULL;
}
AUTO_FREE(World, world_free)

/* ---- events ---- */

static void fill_updated(Events__V1__Envelope *e, int64_t p, int64_t v, Arena *arena) {
    Events__V1__ProspectUpdated data = EVENTS__V1__PROSPECT_UPDATED__INIT;
    data.prospect_id = p, data.version = v;
    data.first_name = arena_printf(arena, "First%lld", (long long)v);
    data.last_name = arena_printf(arena, "Last%lld-%lld", (long long)p, (long long)v);
    data.email = arena_printf(arena, "p%lld.v%lld@example.org", (long long)p, (long long)v);
    e->event_type = (char *)(v == 1 ? "ProspectCreated" : "ProspectUpdated"); /* the same fields */
    e->data.len = events__v1__prospect_updated__pack(&data, e->data.data);
}

static void fill_merged(Events__V1__Envelope *e, int64_t p, int64_t v) {
    Events__V1__ProspectMerged data = EVENTS__V1__PROSPECT_MERGED__INIT;
    data.prospect_id = p, data.merged_into = 1, data.version = v;
    e->event_type = (char *)"ProspectMerged";
    e->data.len = events__v1__prospect_merged__pack(&data, e->data.data);
}

/* Version by version for each prospect in turn; some prospects end merged, some events are skipped, unknown,
 * or such that nobody can read them. */
static Events__V1__Envelope *event_new(int64_t n, Arena *arena) {
    int64_t p = 1 + (n - 1) % PROSPECTS, v = 1 + (n - 1) / PROSPECTS;
    Events__V1__Envelope *e = must(arena_alloc(arena, sizeof *e));
    *e = (Events__V1__Envelope)EVENTS__V1__ENVELOPE__INIT;
    e->event_id = arena_printf(arena, "event-%lld", (long long)n);
    e->tenant_id = (char *)(p % 5 ? "demo" : "other");
    e->issued_by = (char *)"u";
    e->causation_id = arena_printf(arena, "command-%lld", (long long)n);
    e->subject = arena_printf(arena, "prospect/%lld", (long long)p);
    e->subject_version = v;
    e->sequence = n;
    e->occurred_at = timestamp_new(arena, 1700000000000000 + n * 1000);
    e->data.data = must(arena_alloc(arena, 400));
    if (v == 4 && p % 10 == 3)
        fill_merged(e, p, v);
    else
        fill_updated(e, p, v, arena);
    if (v == 2 && p % 7 == 2) e->event_type = (char *)"EventSkipped";
    if (v == 3 && p % 50 == 4) e->event_type = (char *)"SomethingNew";
    if (v == 3 && p % 50 == 5) e->data.len = 3;
    return e;
}

static void deliver(World *w, int64_t upto) {
    while (w->last < upto) {
        AUTO(Arena) arena = arena_new(0);
        Events__V1__Envelope *events[DELIVERY];
        ProjectorItem item = {.events = events}, *items[] = {&item};
        Err err = {0};
        while (item.count < DELIVERY && w->last < upto) events[item.count++] = event_new(++w->last, arena);
        /* after a switch the first try finds another model, as main/projection.c has it */
        if (!projector_apply(w->projector, items, 1, 0, &err)) {
            CHECK(err_is(&err, &ERR_CONFLICT));
            err_clear(&err);
            REQUIRE(CHECK_OK(projector_apply(w->projector, items, 1, 0, &err), &err));
        }
        CHECK(item.status == 200);
    }
}

/* ---- comparing ---- */

static int model_of(World *w) {
    ReplayHead head;
    Err err = {0};
    REQUIRE(CHECK_OK(replay_log_head(w->own, &head, &err), &err));
    return head.model;
}

static Buf dump_of(World *w) {
    Buf out = {0};
    Err err = {0};
    const char *const SELECT[] = {
        "SELECT prospect_id, version, created_at, updated_at, merged_into, tenant_id, first_name, last_name,"
        " email, last_name_key, email_key, search FROM prospect_summary ORDER BY prospect_id",
        "SELECT prospect_id, version, created_at, updated_at, merged_into, tenant_id, first_name, last_name,"
        " email, last_name_key, email_key, search FROM prospect_summary_1 ORDER BY prospect_id"};
    Stmt *s = db_statement(w->own, SELECT[model_of(w)]);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    while (stmt_row(s, &err)) {
        for (int i = 0; i < 5; i++) buf_printf(&out, "%lld|", (long long)stmt_int(s, i));
        for (int i = 5; i < 12; i++) buf_span(&out, stmt_text(s, i)), buf_byte(&out, '|');
        buf_byte(&out, '\n');
    }
    CHECK(!err.kind);
    return out;
}

static void check_same(const Buf *before, World *w) {
    AUTO_BUF after = dump_of(w);
    CHECK(before->len > 10000 && span_equal(buf_view(before), buf_view(&after)));
}

/* What no event says, so that only a rebuild takes it away. */
static void spoil(World *w) {
    bool first = !model_of(w);
    test_db_run(w->db,
                first ? "UPDATE prospect_summary SET first_name = 'spoilt', search = ' spoilt', version = 99"
                        " WHERE prospect_id % 3 = 0"
                      : "UPDATE prospect_summary_1 SET first_name = 'spoilt', search = ' spoilt'"
                        " WHERE prospect_id % 3 = 0");
    test_db_run(w->db, first ? "DELETE FROM prospect_summary WHERE prospect_id % 3 = 1"
                             : "DELETE FROM prospect_summary_1 WHERE prospect_id % 3 = 1");
}

static size_t found(World *w, const char *word) {
    AUTO(Arena) arena = arena_new(0);
    ProspectQuery q = {
        .tenant_id = SPAN("demo"), .model = model_of(w), .limit = 200, .words = {span_of(word)}};
    ProspectRow *rows;
    size_t count = 0;
    bool more;
    Err err = {0};
    q.word_count = 1;
    CHECK_OK(prospect_page(w->own, &q, arena, &rows, &count, &more, &err), &err);
    return count;
}

/* ---- running ---- */

static bool on_step(void *user, int64_t position, int64_t head) {
    World *w = user;
    (void)position, (void)head;
    w->steps++;
    if (w->kill && w->steps == w->stop_at) raise(SIGKILL);
    if (w->more_events && w->live->last < EVENTS + w->more_events) deliver(w->live, w->live->last + 30);
    return w->steps != w->stop_at;
}

static bool rebuild(World *w, int64_t from, RebuildResult *result, Err *err) {
    const RebuildOptions options = {.from = from, .step = on_step, .user = w};
    w->steps = 0;
    return rebuild_read_model(w->own, &options, result, err);
}

static void must_rebuild(World *w, int64_t from) {
    RebuildResult result;
    Err err = {0};
    int before = model_of(w);
    REQUIRE(CHECK_OK(rebuild(w, from, &result, &err), &err));
    CHECK(model_of(w) != before && result.upto <= projector_held(w->projector) && result.upto >= EVENTS);
}

static void equals_the_model_before(void) {
    AUTO(World) w = world_new();
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    for (int round = 0; round < 3; round++) { /* there and back, and there again */
        spoil(w);
        CHECK(found(w, "spoilt") > 0);
        must_rebuild(w, (int64_t)round % 2);
        check_same(&before, w);
        CHECK(found(w, "spoilt") == 0 && found(w, "last7-5") == 1 && found(w, "p7.v5@") == 1);
    }
    CHECK(test_db_number(w->db, "SELECT count(*) FROM prospect_summary") == 0); /* nobody needs two */
    CHECK(test_db_number(w->db, "SELECT count(*) FROM command_outcome") > EVENTS / 2);
}

static void live_events_keep_flowing(void) {
    AUTO(World) w = world_new();
    AUTO(World) plain = world_new();
    deliver(w, EVENTS);
    spoil(w);
    w->live = w;
    w->more_events = 600;
    must_rebuild(w, 0);
    CHECK(w->last > EVENTS);
    deliver(w, EVENTS + 700); /* and after the switch */
    deliver(plain, EVENTS + 700);
    AUTO_BUF want = dump_of(plain);
    check_same(&want, w);
    CHECK(projector_held(w->projector) == EVENTS + 700);
}

/* By the rule of replay_log_trim(), with a retention of nothing at all: it runs between the pages, too. */
static bool trim_step(void *user, int64_t position, int64_t head) {
    World *w = user;
    size_t seen = 0;
    Err err = {0};
    (void)position, (void)head;
    CHECK_OK(db_begin(w->db, &err) && replay_log_trim(w->db, INT64_MAX, 300, &seen, &err) &&
                 db_commit(w->db, &err),
             &err);
    return true;
}

static void a_trimmed_log_is_enough(void) {
    AUTO(World) w = world_new();
    RebuildResult result;
    Err err = {0};
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    spoil(w);
    REQUIRE(CHECK_OK(
        rebuild_read_model(w->own, &(RebuildOptions){.step = trim_step, .user = w}, &result, &err), &err));
    check_same(&before, w);
    for (int i = 0; i < 10; i++) trim_step(w, 0, 0);
    CHECK(test_db_number(w->db, "SELECT count(*) FROM replay_log") <= 2 * PROSPECTS + 100);
    spoil(w);
    must_rebuild(w, 0);
    check_same(&before, w);
}

/* The rest of the rows is taken over as it is. */
static void from_a_number(void) {
    AUTO(World) w = world_new();
    Err err = {0};
    RebuildResult result;
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    test_db_run(w->db, "UPDATE prospect_summary SET first_name = 'spoilt' WHERE prospect_id > 300");
    must_rebuild(w, 1301); /* version 4 of the prospects from 101 on, and version 5 of the first hundred */
    check_same(&before, w);
    test_db_run(w->db, "UPDATE prospect_summary_1 SET first_name = 'spoilt' WHERE prospect_id = 7");
    must_rebuild(w, EVENTS);
    CHECK(test_db_number(w->db, "SELECT count(*) FROM prospect_summary WHERE first_name = 'spoilt'") == 1);
    must_rebuild(w, EVENTS + 1);
    CHECK(!rebuild(w, EVENTS + 2, &result, &err) && err_is(&err, &ERR_INVALID));
}

/* kill -9 before every step in turn: the old model serves on, and the next run has the whole. */
static void killed_anywhere(void) {
    AUTO(World) w = world_new();
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    for (int stop_at = 1; stop_at <= 6; stop_at++) {
        pid_t child = fork();
        if (!child) {
            World mine = {
                .own = test_db_open(w->url, (DbOptions){.relaxed = true}), .kill = true, .stop_at = stop_at};
            RebuildResult result;
            Err err = {0};
            rebuild(&mine, 0, &result, &err);
            _exit(1);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFSIGNALED(status)) break; /* that many steps it does not have */
        check_same(&before, w);
        CHECK(stop_at > 4 || !model_of(w));
    }
    deliver(w, EVENTS + 50);
    AUTO_BUF now = dump_of(w);
    must_rebuild(w, 0);
    check_same(&now, w);
}

static bool begin_another(void *user, int64_t position, int64_t head) {
    World *w = user;
    RebuildResult result;
    Err err = {0};
    (void)position, (void)head;
    if (w->steps++ == 2) CHECK_OK(rebuild_read_model(w->db, &(RebuildOptions){0}, &result, &err), &err);
    return true;
}

static void the_later_of_two_goes_on(void) {
    AUTO(World) w = world_new();
    RebuildResult result;
    Err err = {0};
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    CHECK(!rebuild_read_model(w->own, &(RebuildOptions){.step = begin_another, .user = w}, &result, &err));
    CHECK(err_is(&err, &ERR_CONFLICT) && model_of(w) == 1);
    check_same(&before, w);
}

static void interrupted_and_begun_again(void) {
    AUTO(World) w = world_new();
    RebuildResult result;
    Err err = {0};
    deliver(w, EVENTS);
    AUTO_BUF before = dump_of(w);
    w->stop_at = 3;
    CHECK(!rebuild(w, 0, &result, &err) && err_is(&err, &ERR_UNAVAILABLE) && model_of(w) == 0);
    w->stop_at = 0;
    must_rebuild(w, 0);
    check_same(&before, w);
}

SUITE_ON_ENGINES("rebuild", TEST(equals_the_model_before), TEST(live_events_keep_flowing),
                 TEST(a_trimmed_log_is_enough), TEST(from_a_number), TEST(killed_anywhere),
                 TEST(the_later_of_two_goes_on), TEST(interrupted_and_begun_again));
