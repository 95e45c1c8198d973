#include "bench/pipeline.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/uuid.h"
#include "events/v1/prospect.pb-c.h"
#include "store/outbox/migrations_relay.h"
#include "store/read/migrations_read.h"
#include "store/write/migrations_write.h"
#include "store/write/write_model.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum { IN_FLIGHT = 1024, BATCH = 256, DELIVERIES = 64, QUIET_US = 10000000 };

/* ---- opening ---- */

static void events_written(void *user, size_t events) {
    Pipeline *p = user;
    int64_t now = clock_mono_us();
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; p->commit_us && i < events && p->noted < p->options.commands; i++)
        p->commit_us[p->noted++] = now;
    p->committed += events;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void handled(void *user, size_t commands) {
    Pipeline *p = user;
    p->handled += commands;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static Delivery *delivery_new(const Span *packed, size_t count) {
    Delivery *d = must(calloc(1, sizeof *d));
    *d = (Delivery){.arena = arena_new(256 << 20), .count = count};
    d->events = must(arena_alloc(d->arena, count * sizeof(void *)));
    for (size_t i = 0; i < count; i++) d->events[i] = must(envelope_unpack(packed[i], d->arena));
    return d;
}

/* In the place of Event Grid. */
static GridAnswer take_request(void *user, const Span *packed, size_t count) {
    Pipeline *p = user;
    int64_t now = clock_mono_us();
    Delivery *d = delivery_new(packed, count);
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; p->publish_us && i < count; i++) {
        size_t at = p->published + i - (p->sent - p->options.commands);
        if (at < p->options.commands) p->publish_us[at] = now;
    }
    p->published += count;
    if (p->last)
        p->last->next = d;
    else
        p->first = d;
    p->last = d;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return (GridAnswer){.outcome = GRID_PUBLISHED, .taken = count, .status = 200};
}

static void publish(void *user, GridRequest *requests, size_t count) {
    for (size_t i = 0; i < count; i++)
        requests[i].answer = take_request(user, requests[i].packed, requests[i].count);
}

static void no_ring(void *user, const char *ring) {
    (void)user, (void)ring;
}

static void name_engines(Pipeline *p) {
    const PipelineOptions *o = &p->options;
    snprintf(p->queue_url, sizeof p->queue_url, "sql:%s", o->server ? o->server : "");
    if (o->server) {
        snprintf(p->write_url, sizeof p->write_url, "%s", o->server);
        snprintf(p->relay_url, sizeof p->relay_url, "%s", o->server);
        snprintf(p->read_url, sizeof p->read_url, "%s", o->server_read);
        return;
    }
    snprintf(p->write_url, sizeof p->write_url, "sqlite:%s/db/write.db", o->home);
    snprintf(p->relay_url, sizeof p->relay_url, "sqlite:%s/db/relay.db", o->home);
    snprintf(p->read_url, sizeof p->read_url, "sqlite:%s/db/read.db", o->home);
}

static bool make_tables(const Pipeline *p, Err *err) {
    AUTO(Db) db = NULL;
    return db_open(p->write_url, (DbOptions){0}, &db, err) && write_migrate(db, err);
}

bool pipeline_open(Pipeline *p, const PipelineOptions *options, Err *err) {
    *p = (Pipeline){.options = *options};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    name_engines(p);
    bool file = !options->server;
    if (!queue_sender_open(p->queue_url, options->home, &p->sender, err) || !make_tables(p, err) ||
        !db_open(p->relay_url, (DbOptions){0}, &p->numbers, err) || !relay_migrate(p->numbers, err) ||
        !db_open(p->write_url, (DbOptions){.read_only = file, .relaxed = !file}, &p->outbox, err) ||
        !db_open(p->read_url, (DbOptions){0}, &p->read, err) || !read_migrate(p->read, err))
        return false;
    const RelayOptions relay = {.numbers = p->numbers,
                                .outbox = p->outbox,
                                .owner = "bench",
                                .publish = publish,
                                .ring = no_ring,
                                .user = p};
    int64_t long_ago = clock_mono_us() - QUIET_US; /* so that it does not wait for a projection's word */
    return relay_open(&relay, long_ago, &p->relay, err) &&
           projector_open(p->read, clock_mono_us(), &p->projector, err);
}

void pipeline_close(Pipeline *p) {
    command_workers_free(p->workers);
    queue_sender_free(p->sender);
    relay_free(p->relay);
    projector_free(p->projector);
    db_free(p->numbers);
    db_free(p->outbox);
    db_free(p->read);
}

/* ---- enqueueing ---- */

typedef struct Sending {
    QueueSend send;
    struct Sender *sender;
    char id[UUID_TEXT], key[24];
    Buf body;
} Sending;

typedef struct Sender {
    Pipeline *pipeline;
    Loop *loop;
    Timer tick;
    Sending *at;
    size_t first, upto, begun, done;
    double rate;
    int64_t since;
    bool failed;
} Sender;

static void pack_command(Sending *s, size_t number) {
    char email[48], last_name[48];
    AUTO_BUF data = {0};
    Uuid id = uuid_v7();
    uuid_format(&id, s->id);
    snprintf(email, sizeof email, "person.%zu@example.org", number);
    snprintf(last_name, sizeof last_name, "Lovelace-%zu", number);
    snprintf(s->key, sizeof s->key, "%016llx", (unsigned long long)hash_stable(span_of(email)));
    Events__V1__CreateProspect c = EVENTS__V1__CREATE_PROSPECT__INIT;
    c.first_name = (char *)"Ada";
    c.last_name = last_name;
    c.email = email;
    c.phone = (char *)"+44 20 7946 0000";
    message_pack(&c.base, &data);
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    e.command_id = e.correlation_id = s->id;
    e.command_type = (char *)"CreateProspect";
    e.tenant_id = (char *)"bench";
    e.issued_by = (char *)"0193a1b2-0000-7000-8000-000000000001";
    e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    message_pack(&e.base, &s->body);
    s->send = (QueueSend){.tenant_id = span_of(e.tenant_id),
                          .issued_by = span_of(e.issued_by),
                          .command_id = span_of(s->id),
                          .ordering_key = span_of(s->key),
                          .body = buf_view(&s->body),
                          .body_hash = hash_stable(buf_view(&data)),
                          .correlation_id = s->id};
}

static void begin(Sender *s);

static void send_done(QueueSend *send) {
    Sending *sending = CONTAINER(send, Sending, send);
    Sender *s = sending->sender;
    s->failed = s->failed || send->verdict != QUEUE_ACCEPTED;
    if (++s->done == s->upto - s->first)
        loop_stop(s->loop);
    else if (!s->rate)
        begin(s);
}

static void begin(Sender *s) {
    Err err = {0};
    if (s->begun == s->upto - s->first) return;
    Sending *sending = &s->at[s->begun++];
    sending->sender = s;
    sending->send.done = send_done;
    if (queue_send(s->pipeline->sender, s->loop, &sending->send, &err)) return;
    s->failed = true;
    loop_stop(s->loop);
}

static void tick(Timer *timer) {
    Sender *s = CONTAINER(timer, Sender, tick);
    double due = (double)(clock_mono_us() - s->since) / 1e6 * s->rate;
    while (s->begun < s->upto - s->first && (double)s->begun < due) begin(s);
    if (s->begun < s->upto - s->first) loop_timer_set(s->loop, timer, 1);
}

static void call_workers(void *user) {
    Pipeline *p = user;
    if (p->workers) command_workers_ring(p->workers);
}

bool pipeline_send(Pipeline *p, size_t upto, double rate, Err *err) {
    Sender s = {.pipeline = p, .first = p->sent, .upto = upto, .rate = rate, .tick.expired = tick};
    size_t count = upto - p->sent;
    AUTO(Loop) loop = NULL;
    if (!loop_open(&loop, err)) return false;
    s.loop = loop;
    s.at = must(calloc(count, sizeof *s.at));
    for (size_t i = 0; i < count; i++) pack_command(&s.at[i], p->sent + i);
    p->sent = upto;
    queue_on_commit(p->sender, call_workers, p);
    s.since = clock_mono_us();
    if (rate)
        loop_timer_soon(loop, &s.tick);
    else
        for (size_t i = 0; i < IN_FLIGHT; i++) begin(&s);
    loop_run(loop);
    for (size_t i = 0; i < count; i++) buf_free(&s.at[i].body);
    free(s.at);
    return !s.failed || err_set(err, &ERR_UNAVAILABLE, "a command was not accepted");
}

/* ---- the service ---- */

static bool add_worker(Pipeline *p, unsigned number, Err *err) {
    Db *db = NULL;
    QueueReceiver *receiver = NULL;
    if (!db_open(p->write_url, (DbOptions){0}, &db, err)) return false;
    if (queue_receiver_open_worker(p->queue_url, p->options.home, number, 1, &receiver, err))
        return command_workers_add(p->workers, db, receiver, err);
    db_free(db);
    return false;
}

bool pipeline_work(Pipeline *p, unsigned workers, Err *err) {
    command_workers_free(p->workers);
    p->workers = command_workers_new(&(CommandWorkersOptions){
        .poll_ms = 5000, .events_written = events_written, .handled = handled, .user = p});
    if (!p->options.server) workers = 1;
    for (unsigned i = 0; i < workers; i++)
        if (!add_worker(p, i, err)) return false;
    return true;
}

static void wait_changed(Pipeline *p, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

void pipeline_wait_handled(Pipeline *p, size_t upto) {
    pthread_mutex_lock(&p->lock);
    while (p->handled < upto) wait_changed(p, 5);
    pthread_mutex_unlock(&p->lock);
}

/* ---- relay and projection ---- */

bool pipeline_relay(Pipeline *p, size_t upto, Err *err) {
    while (p->published < upto) {
        size_t before = p->committed;
        bool more;
        if (!relay_turn(p->relay, clock_mono_us(), &more, err)) return false;
        if (more) continue;
        pthread_mutex_lock(&p->lock);
        if (p->committed == before && p->published < upto) wait_changed(p, 100);
        pthread_mutex_unlock(&p->lock);
    }
    return true;
}

static size_t take_deliveries(Pipeline *p, Delivery *taken[DELIVERIES]) {
    size_t count = 0;
    pthread_mutex_lock(&p->lock);
    if (!p->first) wait_changed(p, 5);
    for (; p->first && count < DELIVERIES; p->first = p->first->next) taken[count++] = p->first;
    if (!p->first) p->last = NULL;
    pthread_mutex_unlock(&p->lock);
    return count;
}

bool pipeline_project(Pipeline *p, size_t upto, Err *err) {
    Delivery *taken[DELIVERIES];
    ProjectorItem items[DELIVERIES], *at[DELIVERIES];
    while (p->applied < upto) {
        size_t count = take_deliveries(p, taken), events = 0;
        for (size_t i = 0; i < count; i++) {
            items[i] = (ProjectorItem){.events = taken[i]->events, .count = taken[i]->count};
            at[i] = &items[i];
            events += taken[i]->count;
        }
        bool ok = !count || projector_apply(p->projector, at, count, clock_mono_us(), err);
        for (size_t i = 0; i < count; i++) arena_free(taken[i]->arena), free(taken[i]);
        if (!ok) return false;
        p->applied += events;
    }
    return true;
}

/* ---- the engine's own limit ---- */

static bool write_rows(WriteModel *m, Arena *arena, size_t number, Err *err) {
    char *email = arena_printf(arena, "limit.%zu@example.org", number), *id = arena_alloc(arena, UUID_TEXT);
    Uuid uuid = uuid_v7();
    uuid_format(&uuid, id);
    Prospect p = {.version = 1, .tenant_id = "limit", .first_name = "Ada", .last_name = "Lovelace"};
    p.email = email;
    p.phone = "+44 20 7946 0000";
    p.notes = "";
    p.created_at = p.updated_at = clock_now_us();
    if (!prospects_next_id(m->prospects, &p.prospect_id, err)) return false;
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    uint8_t data[200] = {0};
    e.event_id = e.causation_id = e.correlation_id = id;
    e.tenant_id = (char *)"limit";
    e.subject = arena_printf(arena, "prospect/%lld", (long long)p.prospect_id);
    e.subject_version = 1;
    e.data = (ProtobufCBinaryData){sizeof data, data};
    CommandKey key = {SPAN("limit"), SPAN("user"), span_of(id)};
    return prospects_insert(m->prospects, &p, span_of(email), err) &&
           commands_done_add(m->done, &key, number, span_of(id), p.created_at) &&
           outbox_add(m->outbox, &e, p.created_at, err);
}

static bool write_batch(Db *db, WriteModel *m, Arena *arena, size_t from, Err *err) {
    arena_reset(arena);
    write_model_begin(m, arena, BATCH);
    if (!db_begin(db, err)) return false;
    for (size_t i = 0; i < BATCH; i++)
        if (!write_rows(m, arena, from + i, err)) return false;
    return write_model_write(m, err) && db_commit(db, err);
}

bool pipeline_limit(Pipeline *p, size_t commands, Err *err) {
    AUTO(Db) db = NULL;
    AUTO(Arena) arena = arena_new(64 << 20);
    if (!db_open(p->write_url, (DbOptions){0}, &db, err)) return false;
    AUTO(WriteModel) m = write_model_new(db);
    for (size_t at = 0; at < commands; at += BATCH)
        if (!write_batch(db, m, arena, at, err)) return false;
    return true;
}
