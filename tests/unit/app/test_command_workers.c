/* Several workers on one write model: who loses a race is repeated with what is there then, and the queue's
 * lanes keep the commands of a key in order. */
#include "app/commands/command_workers.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "events/v1/envelope.pb-c.h"
#include "events/v1/prospect.pb-c.h"
#include "kit/engine.h"
#include "queue/queue_driver.h"
#include "store/write/migrations_write.h"
#include "wire/message.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static void pack(const char *id, const ProtobufCMessage *message, Buf *body) {
    AUTO_BUF data = {0};
    message_pack(message, &data);
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    e.command_id = (char *)id;
    e.command_type = (char *)message_type_of(message->descriptor)->name;
    e.tenant_id = (char *)"t";
    e.issued_by = (char *)"u";
    e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    message_pack(&e.base, body);
}

static void pack_create(const char *id, const char *email, Buf *body) {
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = c.last_name = (char *)"Ada";
    c.email = (char *)email;
    pack(id, &c.base, body);
}

static void pack_update(const char *id, int64_t prospect, const char *email, Buf *body) {
    Events__V1__UpdateProspect c = EVENTS__V1__UPDATE_PROSPECT__INIT;
    c.prospect_id = prospect;
    c.expected_version = -1;
    c.first_name = c.last_name = (char *)"Ada";
    c.email = (char *)email;
    pack(id, &c.base, body);
}

/* ---- races ---- */

enum { RACERS = 3, EACH = 24, ROUNDS = 12 };

typedef struct Racer {
    Db *db;
    int number;
    bool updates;
    size_t done, events;
    pthread_t thread;
} Racer;

static const char *url;
static pthread_barrier_t line;

/* All racers want the same things in a round, each in an order of its own. */
static void fill(const Racer *r, int round, int i, Buf *body) {
    char id[48], email[48];
    int thing = r->number == 1 ? EACH - 1 - i : (i * (r->number + 1) * 5) % EACH;
    snprintf(id, sizeof id, "%d-%d-%d", r->number, round, i);
    snprintf(email, sizeof email, "%d.%d@example.org", r->updates ? r->number : round, thing);
    if (r->updates)
        pack_update(id, thing % 5 + 1, email, body);
    else
        pack_create(id, email, body);
}

static void *race(void *user) {
    Racer *r = user;
    Handlers *h = handlers_new(r->db);
    for (int round = 0; round < ROUNDS; round++) {
        Buf bodies[EACH] = {0};
        QueueMessage messages[EACH] = {0};
        Handled results[EACH];
        for (int i = 0; i < EACH; i++) {
            fill(r, round, i, &bodies[i]);
            messages[i] = (QueueMessage){.queue_id = i, .deliveries = 1, .body = buf_view(&bodies[i])};
        }
        Err err = {0};
        pthread_barrier_wait(&line);
        if (!handlers_run(h, messages, EACH, results, &err)) fprintf(stderr, "%s\n", err.why);
        for (int i = 0; !err.kind && i < EACH; i++) {
            r->done += results[i].as == HANDLED_DONE;
            r->events += results[i].events;
            buf_free(&bodies[i]);
        }
    }
    handlers_free(h);
    return NULL;
}

static void run_race(bool updates, Racer racers[RACERS]) {
    pthread_barrier_init(&line, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] =
            (Racer){.db = test_db_open(url, (DbOptions){.busy_ms = 30000}), .number = i, .updates = updates};
        REQUIRE(pthread_create(&racers[i].thread, NULL, race, &racers[i]) == 0);
    }
    for (int i = 0; i < RACERS; i++) pthread_join(racers[i].thread, NULL);
    for (int i = 0; i < RACERS; i++) racers[i].db = db_free(racers[i].db);
    pthread_barrier_destroy(&line);
}

static Db *open_model(void) {
    Err err = {0};
    log_start("test", LOG_ERROR + 1);
    url = test_database_with(write_migrate);
    Db *db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(write_migrate(db, &err), &err));
    return db;
}

/* Whoever is first has the address; the others' commands are rejected, as if they had come later. */
static void race_for_emails(void) {
    Racer racers[RACERS];
    AUTO(Db) db = open_model();
    run_race(false, racers);
    for (int i = 0; i < RACERS; i++) {
        CHECK(racers[i].done == EACH * ROUNDS);
        CHECK(racers[i].events == EACH * ROUNDS);
    }
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect") == EACH * ROUNDS);
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_email") == EACH * ROUNDS);
    CHECK(test_db_number(db, "SELECT count(*) FROM command_done") == RACERS * EACH * ROUNDS);
    CHECK(test_db_number(db, "SELECT count(*) FROM outbox WHERE subject_version = 0") ==
          (RACERS - 1) * EACH * ROUNDS);
}

/* No change is lost, whoever writes: as many versions as events. */
static void race_for_entities(void) {
    Racer racers[RACERS];
    AUTO(Db) db = open_model();
    for (int i = 1; i <= 5; i++) {
        char sql[240];
        snprintf(sql, sizeof sql,
                 "INSERT INTO prospect (tenant_id, first_name, last_name, email, phone, notes, version,"
                 " created_at, updated_at) VALUES ('t', 'a', 'b', '%d@x.org', '', '', 1, 1, 1)",
                 i);
        test_db_run(db, sql);
    }
    test_db_run(db, "INSERT INTO prospect_email (tenant_id, email_key, prospect_id)"
                    " SELECT 't', email, prospect_id FROM prospect");
    run_race(true, racers);
    for (int i = 0; i < RACERS; i++) CHECK(racers[i].done == EACH * ROUNDS);
    CHECK(test_db_number(db, "SELECT sum(version) - 5 FROM prospect") ==
          test_db_number(db, "SELECT count(*) FROM outbox WHERE subject_version > 0"));
    CHECK(test_db_number(db, "SELECT count(*) FROM (SELECT DISTINCT subject, subject_version FROM outbox"
                             " WHERE subject_version > 0) v") ==
          test_db_number(db, "SELECT count(*) FROM outbox WHERE subject_version > 0"));
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect_email") == 5);
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect p JOIN prospect_email e"
                             " ON e.prospect_id = p.prospect_id AND e.email_key = p.email") == 5);
}

/* ---- workers ---- */

static atomic_size_t handled_count, events_count;

static void count_events(void *user, size_t events) {
    (void)user;
    events_count += events;
}
static void count_handled(void *user, size_t commands) {
    (void)user;
    handled_count += commands;
}

/* As the gateway's sender would. */
static void put(Db *queue, const char *id, const char *key, Span body) {
    Err err = {0};
    Stmt *s = db_statement(queue, "INSERT INTO command_queue (tenant_id, issued_by, command_id, body_hash,"
                                  " ordering_key, lane, body, correlation_id, accepted_at)"
                                  " VALUES ('t', 'u', ?, 1, ?, ?, ?, 'corr', 1)");
    stmt_bind_text(s, 1, span_of(id));
    stmt_bind_text(s, 2, span_of(key));
    stmt_bind_int(s, 3, (int64_t)(hash_stable(span_of(key)) % QUEUE_LANES));
    stmt_bind_blob(s, 4, body);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    if (test_engine() == DB_SQLITE) return;
    s = db_statement(queue, "INSERT INTO queue_ready SELECT queue_id, lane, ordering_key, 0, 0, 0, 0"
                            " FROM command_queue WHERE command_id = ?");
    stmt_bind_text(s, 1, span_of(id));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
}

static void put_all(Db *queue, int from, int to) {
    REQUIRE(db_begin(queue, NULL));
    for (int i = from; i < to; i++) {
        char id[32], key[32], email[48];
        AUTO_BUF body = {0};
        snprintf(id, sizeof id, "c%d", i);
        snprintf(key, sizeof key, "k%d", i % 40);
        snprintf(email, sizeof email, "%d@example.org", i);
        pack_create(id, email, &body);
        put(queue, id, key, buf_view(&body));
    }
    REQUIRE(db_commit(queue, NULL));
}

static void add_worker(CommandWorkers *workers, const char *queue_url, const char *home, unsigned number) {
    Err err = {0};
    QueueReceiver *receiver = NULL;
    Db *db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(queue_receiver_open_worker(queue_url, home, number, 3, &receiver, &err), &err));
    REQUIRE(CHECK_OK(command_workers_add(workers, db, receiver, &err), &err));
}

static bool reaches(size_t count) {
    for (int i = 0; i < 3000 && handled_count < count; i++) clock_sleep_ms(10);
    return handled_count == count;
}

/* A backlog, then single commands that only a ring can tell of, so seldom do they look. */
static void workers(void) {
    enum { BACKLOG = 900, SINGLE = 20 };
    AUTO(Db) db = open_model();
    char queue_url[160];
    const char *home = test_folder();
    snprintf(queue_url, sizeof queue_url, "sql:%s", test_engine() == DB_SQLITE ? "" : url);
    Err err = {0};
    QueuePlace place;
    AUTO(Db) queue = NULL;
    REQUIRE(CHECK_OK(queue_place(queue_url, home, &place, &err) &&
                         db_open(place.queue, (DbOptions){.relaxed = true}, &queue, &err) &&
                         queue_migrate(queue, &err),
                     &err));
    handled_count = events_count = 0;
    put_all(queue, 0, BACKLOG);
    AUTO(CommandWorkers) all = command_workers_new(&(CommandWorkersOptions){
        .poll_ms = 600000, .events_written = count_events, .handled = count_handled});
    for (unsigned i = 0; i < (test_engine() == DB_SQLITE ? 1 : 3); i++) add_worker(all, queue_url, home, i);
    CHECK(reaches(BACKLOG));
    for (int i = 0; i < SINGLE; i++) {
        put_all(queue, BACKLOG + i, BACKLOG + i + 1);
        command_workers_ring(all);
        command_workers_insist(all);
        CHECK(reaches(BACKLOG + (size_t)i + 1));
    }
    all = command_workers_free(all);
    CHECK(events_count == BACKLOG + SINGLE);
    CHECK(test_db_number(db, "SELECT count(*) FROM prospect") == BACKLOG + SINGLE);
    /* of a key, nobody overtakes another one */
    if (test_engine() == DB_SQLITE) return;
    CHECK(test_db_number(db, "SELECT count(*) FROM command_queue a JOIN command_done d"
                             " ON d.command_id = a.command_id JOIN command_queue b"
                             " ON b.ordering_key = a.ordering_key AND b.queue_id > a.queue_id"
                             " JOIN command_done e ON e.command_id = b.command_id"
                             " WHERE e.done_at < d.done_at") == 0);
}

/* ---- a broker, which brings each worker its own messages ---- */

typedef struct Fake {
    QueueReceiver base;
    atomic_size_t claims;
    void (*arrived)(void *user);
    void *user;
} Fake;

static bool claim_nothing(void *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                          Err *err) {
    (void)most, (void)lease_ms, (void)ret, (void)err;
    ((Fake *)receiver)->claims++;
    *count = 0;
    return true;
}
static bool settle_nothing(void *receiver, const int64_t *queue_ids, size_t count, Err *err) {
    (void)receiver, (void)queue_ids, (void)count, (void)err;
    return true;
}
static int64_t nothing_is_due(void *receiver) {
    (void)receiver;
    return -1;
}
static void keep_arrived(void *receiver, void (*arrived)(void *user), void *user) {
    Fake *f = receiver;
    f->arrived = arrived, f->user = user;
}
static void *free_nothing(void *receiver) {
    (void)receiver;
    return NULL;
}
static const QueueDriver FAKE = {.free = free_nothing,
                                 .claim = claim_nothing,
                                 .complete = settle_nothing,
                                 .next_due_ms = nothing_is_due,
                                 .on_arrival = keep_arrived};

static bool claims_reach(const Fake *f, size_t want) {
    for (int i = 0; i < 3000 && f->claims < want; i++) clock_sleep_ms(10);
    return f->claims >= want;
}

static void what_arrives_wakes_its_own_worker(void) {
    enum { WORKERS = 3, TIMES = 20 };
    AUTO(Db) model = open_model();
    static Fake fakes[WORKERS];
    Err err = {0};
    CommandWorkers *all = command_workers_new(&(CommandWorkersOptions){
        .poll_ms = 600000, .events_written = count_events, .handled = count_handled});
    for (int i = 0; i < WORKERS; i++) {
        fakes[i] = (Fake){.base.driver = &FAKE};
        Db *db = test_db_open(url, (DbOptions){0});
        REQUIRE(CHECK_OK(command_workers_add(all, db, &fakes[i].base, &err), &err));
    }
    for (int i = 0; i < WORKERS; i++) CHECK(claims_reach(&fakes[i], 1));
    clock_sleep_ms(50); /* they rest */
    for (int i = 0; i < TIMES; i++) {
        Fake *f = &fakes[i % WORKERS];
        size_t before = f->claims;
        f->arrived(f->user);
        CHECK(claims_reach(f, before + 1));
    }
    size_t total = 0;
    for (int i = 0; i < WORKERS; i++) total += fakes[i].claims;
    CHECK(total <= WORKERS + TIMES + WORKERS); /* whom it did not concern has rested on */
    command_workers_free(all);
}

SUITE_ON_ENGINES("command workers", TEST(what_arrives_wakes_its_own_worker), TEST(race_for_emails),
                 TEST(race_for_entities), TEST(workers));
