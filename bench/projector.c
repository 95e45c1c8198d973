/* How many events a second does the projection write, and what does one cost? Deliveries of a given size, a
 * transaction each, into an empty read database: creations, and every third event an update. */
#include "app/projection/projector.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "events/v1/prospect.pb-c.h"
#include "store/read/migrations_read.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdio.h>
#include <time.h>

static const char HELP[] = "usage: bench-projector URL [EVENTS [BATCH]]\n\n"
                           "  URL     of an empty read database: sqlite:PATH or postgresql://...\n"
                           "  EVENTS  [100000]\n"
                           "  BATCH   events in a delivery [256]\n";
enum { BATCH_MAX = 10000 };

typedef Events__V1__Envelope Envelope;

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of three events the third changes what the first has made. */
static void fill_data(Envelope *e, int64_t sequence, Arena *arena) {
    static const char *const NAMES[] = {"Ada",      "Grace", "Edsger", "Alan", "Barbara",
                                        "Dennis",   "Radia", "Donald", "Ken",  "Frances",
                                        "Margaret", "Tim",   "Leslie"};
    bool update = sequence % 3 == 0;
    int64_t id = update ? sequence - 2 : sequence;
    Events__V1__ProspectUpdated data = EVENTS__V1__PROSPECT_UPDATED__INIT;
    data.prospect_id = id;
    data.version = e->subject_version = update ? 2 : 1;
    data.first_name = arena_printf(arena, "%s", NAMES[sequence % 13]);
    data.last_name = arena_printf(arena, "%s-%llx", NAMES[sequence % 11], (long long)id * 2654435761 % 99991);
    data.email = arena_printf(arena, "%s.%lld@mail%lld.example.org", NAMES[id % 7], (long long)id,
                              (long long)id % 100);
    data.phone = (char *)"+49 30 123456";
    data.notes = (char *)"met at the fair, wants to be called back in spring";
    e->event_type = (char *)(update ? "ProspectUpdated" : "ProspectCreated"); /* fields 1 to 7 are the same */
    e->subject = arena_printf(arena, "prospect/%lld", (long long)id);
    AUTO_BUF packed = {0};
    message_pack(&data.base, &packed);
    e->data.data = (uint8_t *)arena_copy(arena, buf_view(&packed));
    e->data.len = packed.len;
}

static Envelope *event_new(int64_t sequence, Arena *arena) {
    Envelope *e = must(arena_alloc(arena, sizeof *e));
    char *ids[2];
    events__v1__envelope__init(e);
    for (size_t i = 0; i < COUNT(ids); i++) {
        Uuid uuid = uuid_v7();
        uuid_format(&uuid, ids[i] = must(arena_alloc(arena, UUID_TEXT)));
    }
    e->event_id = ids[0];
    e->causation_id = e->correlation_id = ids[1];
    e->tenant_id = (char *)"demo";
    e->issued_by = (char *)"7f2c1d9e-0000-7000-8000-000000000001";
    e->producer = (char *)"ProspectService";
    e->schema_version = (char *)"1.0";
    e->occurred_at = timestamp_new(arena, clock_now_us());
    e->sequence = e->watermark = sequence;
    fill_data(e, sequence, arena);
    return e;
}

static bool deliver(Projector *p, int64_t first, size_t count, double *spent, Err *err) {
    static Envelope *events[BATCH_MAX];
    AUTO(Arena) arena = must(arena_new(256 << 20));
    for (size_t i = 0; i < count; i++) events[i] = event_new(first + (int64_t)i, arena);
    ProjectorItem item = {.events = events, .count = count}, *items[] = {&item};
    double began = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    bool ok = projector_apply(p, items, 1, clock_mono_us(), err);
    spent[0] += seconds_of(CLOCK_MONOTONIC) - began;
    spent[1] += seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return ok;
}

static bool run(const char *url, int64_t events, int64_t batch, Err *err) {
    AUTO(Db) db = NULL;
    AUTO(Projector) projector = NULL;
    double spent[2] = {0};
    if (!db_open(url, (DbOptions){0}, &db, err) || !read_migrate(db, err) ||
        !projector_open(db, clock_mono_us(), &projector, err))
        return false;
    if (projector_held(projector)) return err_set(err, &ERR_INVALID, "the database is not empty");
    for (int64_t at = 1; at <= events; at += batch)
        if (!deliver(projector, at, (size_t)(events - at + 1 < batch ? events - at + 1 : batch), spent, err))
            return false;
    printf("%lld events, %lld a transaction: %.0f a second, %.1f us of this processor each\n",
           (long long)events, (long long)batch, (double)events / spent[0], spent[1] * 1e6 / (double)events);
    printf("{\"bench\":\"projector\",\"events\":%lld,\"batch\":%lld,\"per_second\":%.0f,\"cpu_us\":%.2f}\n",
           (long long)events, (long long)batch, (double)events / spent[0], spent[1] * 1e6 / (double)events);
    return true;
}

int main(int argc, char **argv) {
    uint64_t events = 100000, batch = 256;
    Err err = {0};
    log_start("bench-projector", LOG_WARN);
    if (argc < 2 || (argc > 2 && !span_to_u64(span_of(argv[2]), 100000000, &events)) ||
        (argc > 3 && !span_to_u64(span_of(argv[3]), BATCH_MAX, &batch)) || !batch) {
        fputs(HELP, stderr);
        return 64;
    }
    if (run(argv[1], (int64_t)events, (int64_t)batch, &err)) return 0;
    fprintf(stderr, "bench-projector: %s\n", err.why);
    return 69;
}
