/* projector.c - the read side's one transaction.
 *
 * Promise:   an event changes the read model, the outcomes and the replay log exactly once and in the order
 *            of the numbers, in the transaction that moves the prefix; whatever has been answered 200 is
 *            durable.
 * Early:     an event above a hole is stored as waiting and applied in the transaction that closes the
 *            hole.
 * Numbers:   the number is what tells a duplicate; it never expires. The inbox keeps event ids besides, for
 *            events that were requeued under a new number: those move the prefix and change nothing.
 * Bad:       an event that nobody can read or apply goes to the dead letter table and gives its number
 *            away, so that it stops neither the others of its delivery nor the later ones.
 * Failure:   the transaction is rolled back and memory is thrown away: the tables are the truth, and the
 *            next call reads them again.
 * Newer:     an event of a type that this version does not know is kept and passed on like any other: it is
 * in the log, its number and its subject's version count, and it changes nothing but its command's outcome.
 * Epoch:     numbers of another epoch say nothing about ours; they are refused. */
#include "app/projection/projector.h"

#include "app/event_trace.h"
#include "app/projection/projection_rows.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "domain/prefix.h"
#include "observe/metric.h"
#include "store/read/inbox.h"
#include "store/read/outcomes.h"
#include "store/read/read_model.h"
#include "store/read/replay_log.h"
#include "wire/envelope.h"
#include "wire/message.h"

typedef Events__V1__Envelope Envelope;
enum { ALERT_US = 60000000, PENDING_MAX = 512 };

/* Applied in the order of numbers, but not written yet. */
typedef struct Pending {
    const Envelope *event;
    Span body;
} Pending;

struct Projector {
    Db *db;
    Prefix *prefix; /* NULL: must be read again */
    ReplayHead head;
    Arena *arena;
    bool mismatch;
    int64_t now_us, wall_us, alerted_us;
    Envelope **sorted;
    size_t sorted_size;
    Pending pending[PENDING_MAX];
    size_t pending_count;
    Map *known;              /* event ids applied before, for the pending ones */
    ProjectionRows rows;     /* of the model that serves */
    Rows *prospects[MODELS]; /* of each */
    Rows *inbox, *log, *waiting;
    size_t applied, early, duplicates, dead, newer; /* of this transaction */
    TraceGroup traces;                              /* likewise */
    Span newer_type;                                /* the first of them */
    Metric *metric_applied, *metric_early, *metric_duplicates, *metric_dead, *metric_held, *metric_last;
    Metric *metric_newer, *metric_unknown;
};

int64_t projector_held(const Projector *p) {
    return p->head.head;
}
const char *projector_epoch(const Projector *p) {
    return p->head.epoch;
}
bool projector_healthy(const Projector *p) {
    return !p->mismatch;
}

/* ---- stored state ---- */

static void offer_waiting(void *user, int64_t sequence) {
    Projector *p = user;
    prefix_offer(p->prefix, sequence, p->now_us);
}

static bool load(Projector *p, Err *err) {
    ReplayHead head; /* what cannot be read must not be told as "nothing is held" */
    if (p->prefix) return true;
    if (!replay_log_head(p->db, &head, err)) return false;
    p->head = head;
    p->rows.prospects = p->prospects[head.model];
    p->prefix = prefix_new(p->head.head);
    if (waiting_each(p->db, offer_waiting, p, err)) return true;
    p->prefix = prefix_free(p->prefix);
    return false;
}

/* `head` is what it was before the transaction. */
static bool forget(Projector *p, const ReplayHead *head) {
    db_rollback(p->db);
    rows_clear(p->rows.prospects), rows_clear(p->rows.outcomes);
    rows_clear(p->inbox), rows_clear(p->log), rows_clear(p->waiting);
    p->head = *head;
    p->prefix = prefix_free(p->prefix);
    return false;
}

static void make_metrics(Projector *p) {
    p->metric_applied = metric_counter("events_projection_applied_total", "Events applied to the read model");
    p->metric_early =
        metric_counter("events_projection_early_total", "Events that came before their predecessors");
    p->metric_duplicates =
        metric_counter("events_projection_duplicates_total", "Events that had come before");
    p->metric_dead = metric_counter("events_projection_dead_total", "Events that nobody can read or apply");
    p->metric_newer =
        metric_counter("events_projection_unknown_type_total", "Events of a type of a newer version");
    p->metric_unknown =
        metric_counter("events_projection_unknown_members_total", "JSON members of a newer version");
    p->metric_held = metric_gauge("events_projection_held", "All events up to this number are applied");
    p->metric_last = metric_gauge("events_projection_known_last", "Highest number known to exist");
}

bool projector_open(Db *db, int64_t now_us, Projector **ret, Err *err) {
    AUTO(Projector) p = must(calloc(1, sizeof *p));
    p->db = db;
    p->now_us = now_us;
    p->arena = arena_new(512u << 20);
    for (int i = 0; i < MODELS; i++) p->prospects[i] = rows_new(&PROSPECT_ROWS[i]);
    p->rows = (ProjectionRows){.prospects = p->prospects[0], .outcomes = rows_new(&OUTCOME_ROWS)};
    p->inbox = rows_new(&INBOX_ROWS);
    p->log = rows_new(&REPLAY_ROWS);
    p->waiting = rows_new(&WAITING_ROWS);
    make_metrics(p);
    if (!load(p, err)) return false;
    *ret = p;
    p = NULL;
    return true;
}

Projector *projector_free(Projector *p) {
    if (!p) return NULL;
    prefix_free(p->prefix);
    arena_free(p->arena);
    for (int i = 0; i < MODELS; i++) rows_free(p->prospects[i]);
    rows_free(p->rows.outcomes);
    rows_free(p->inbox), rows_free(p->log), rows_free(p->waiting);
    map_free(p->known);
    free(p->sorted);
    free(p);
    return NULL;
}

/* ---- one event ---- */

/* A delivery may hold thousands of bad events; the log names the first, count_up() says how many followed. */
static bool bury(Projector *p, const DeadEvent *dead, Err *err) {
    if (!p->dead++)
        log_error("event went to the dead letters", LOG_INT("sequence", dead->sequence),
                  LOG_ID("eventId", dead->event_id), LOG_TEXT("reason", dead->reason));
    return dead_event_add(p->db, dead, p->wall_us, err);
}

static bool bury_event(Projector *p, const Envelope *e, Span body, const char *reason, Err *err) {
    DeadEvent dead = {.sequence = e->sequence,
                      .event_id = span_of(e->event_id),
                      .event_type = span_of(e->event_type),
                      .body = body,
                      .reason = reason};
    return bury(p, &dead, err);
}

static bool pack(Projector *p, const Envelope *e, Span *ret, Err *err) {
    uint8_t *bytes = arena_alloc(p->arena, events__v1__envelope__get_packed_size(e) + 1);
    if (!bytes) return err_set(err, &ERR_UNAVAILABLE, "projection: deliveries do not fit in memory");
    *ret = span_bytes(bytes, events__v1__envelope__pack(e, bytes));
    return true;
}

static void append_to_log(Projector *p, const Envelope *e, Span body) {
    ReplayRow row = {.sequence = e->sequence,
                     .subject_version = e->subject_version,
                     .occurred_at = timestamp_us(e->occurred_at),
                     .tenant_id = span_of(e->tenant_id),
                     .subject = span_of(e->subject),
                     .event_type = span_of(e->event_type),
                     .issued_by = span_of(e->issued_by),
                     .body = body};
    replay_log_append(p->log, &row);
}

static bool apply_rules(Projector *p, const Envelope *e, Span body, Err *err) {
    Err why = {0};
    if (projection_apply(&p->rows, e, p->arena, &why)) return true;
    if (err_is(&why, &ERR_INVALID) || err_is(&why, &ERR_TOO_LARGE))
        return bury_event(p, e, body, why.why, err);
    return err_set(err, why.kind, "%s", why.why);
}

static void note_known(void *user, Span event_id) {
    Projector *p = user;
    map_put(p->known, event_id, p);
}

static bool find_known(Projector *p, Err *err) {
    Span ids[PENDING_MAX];
    for (size_t i = 0; i < p->pending_count; i++) ids[i] = span_of(p->pending[i].event->event_id);
    map_free(p->known);
    p->known = map_new();
    return inbox_known(p->db, ids, p->pending_count, note_known, p, err);
}

static bool apply_traced(Projector *p, const Pending *pending, Err *err) {
    int64_t began_us = trace_on() ? clock_now_us() : 0;
    bool ok = apply_rules(p, pending->event, pending->body, err);
    if (!trace_on()) return ok;
    const EventStep step = {.kind = TRACE_CONSUMER,
                            .verb = "process",
                            .type = "process",
                            .system = "eventgrid",
                            .destination = TRACE_TOPIC,
                            .subscription = "projection",
                            .fault = ok ? NULL : err->kind->code,
                            .began_us = began_us,
                            .ended_us = clock_now_us(),
                            .group = &p->traces};
    event_step_unpacked(&step, pending->event);
    return ok;
}

static bool write_event(Projector *p, const Pending *pending, Err *err) {
    const Envelope *e = pending->event;
    append_to_log(p, e, pending->body);
    if (map_put(p->known, span_of(e->event_id), p))
        return true; /* it has a new number, and nothing else is new */
    inbox_add(p->inbox, span_of(e->event_id), e->sequence, p->wall_us);
    return apply_traced(p, pending, err);
}

static bool write_pending(Projector *p, Err *err) {
    if (!p->pending_count) return true;
    if (!find_known(p, err)) return false;
    for (size_t i = 0; i < p->pending_count; i++)
        if (!write_event(p, &p->pending[i], err)) return false;
    p->pending_count = 0;
    return rows_flush(p->inbox, p->db, err) && rows_flush(p->rows.prospects, p->db, err) &&
           rows_flush(p->rows.outcomes, p->db, err) && rows_flush(p->log, p->db, err);
}

/* The event whose turn it is: its number is the head's next one. */
static bool apply_event(Projector *p, const Envelope *e, Span body, Err *err) {
    if (!message_type(span_of(e->event_type)) && !p->newer++) p->newer_type = span_of(e->event_type);
    p->pending[p->pending_count++] = (Pending){e, body};
    p->head.head = e->sequence;
    p->applied++;
    return p->pending_count < PENDING_MAX || write_pending(p, err);
}

static bool apply_page(Projector *p, int64_t from, int64_t to, Err *err) {
    Span bodies[PENDING_MAX];
    if (!waiting_read(p->db, from, to, p->arena, bodies, err)) return false;
    for (int64_t i = from; i <= to; i++) {
        Span body = bodies[i - from];
        Envelope *e = body.at ? envelope_unpack(body, p->arena) : NULL;
        if (!e) return err_set(err, &ERR_INTERNAL, "waiting event %lld is missing or broken", (long long)i);
        if (!apply_event(p, e, body, err)) return false;
    }
    return true;
}

/* A hole has closed: what waited behind it follows, up to the next hole. All of it stands in the table
 * already: events are taken in the order of their numbers, so that what is early in this transaction stays
 * early to its end. */
static bool apply_waiting(Projector *p, Err *err) {
    int64_t first = p->head.head + 1, held = prefix_held(p->prefix);
    while (p->head.head < held) {
        int64_t from = p->head.head + 1;
        if (!apply_page(p, from, held - from < PENDING_MAX ? held : from + PENDING_MAX - 1, err))
            return false;
    }
    return first > held || waiting_remove(p->db, first, held, err);
}

static bool take_event(Projector *p, const Envelope *e, Err *err) {
    Span body;
    switch (prefix_offer(p->prefix, e->sequence, p->now_us)) {
    case PREFIX_NEXT: return pack(p, e, &body, err) && apply_event(p, e, body, err) && apply_waiting(p, err);
    case PREFIX_EARLY:
        p->early++;
        if (!pack(p, e, &body, err)) return false;
        waiting_add(p->waiting, e->sequence, body, p->wall_us);
        return true;
    case PREFIX_DUPLICATE: p->duplicates++; return true;
    case PREFIX_FULL:
        /* Not kept, yet answered 200: a refusal would make the topic hold back what closes the holes. The
         * relay goes on announcing its last number, so this one will be asked for. */
        return true;
    }
    return true;
}

static const char *fault_of(const Envelope *e) {
    if (e->sequence < 1) return "no sequence";
    if (!e->event_id[0]) return "no id";
    return NULL;
}

/* ---- one transaction ---- */

static int by_sequence(const void *a, const void *b) {
    const Envelope *x = *(Envelope *const *)a, *y = *(Envelope *const *)b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Sorted, what arrives in disorder within one transaction needs no waiting row. */
static size_t sort_events(Projector *p, ProjectorItem **items, size_t count) {
    size_t total = 0, at = 0;
    for (size_t i = 0; i < count; i++) total += items[i]->count;
    if (total > p->sorted_size) {
        p->sorted = must(realloc(p->sorted, total * sizeof *p->sorted));
        p->sorted_size = total;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < items[i]->count; k++) p->sorted[at++] = items[i]->events[k];
    if (total) qsort(p->sorted, total, sizeof *p->sorted, by_sequence);
    return total;
}

static bool take_events(Projector *p, size_t total, Err *err) {
    for (size_t i = 0; i < total; i++) {
        const Envelope *e = p->sorted[i];
        const char *fault = fault_of(e);
        Span body;
        if (!fault ? !take_event(p, e, err) : !pack(p, e, &body, err) || !bury_event(p, e, body, fault, err))
            return false;
    }
    return true;
}

static bool take_bad(Projector *p, const ProjectorItem *item, Err *err) {
    for (size_t i = 0; i < item->bad_count; i++) {
        DeadEvent dead = {.event_id = SPAN(""),
                          .body = item->bad[i].bytes,
                          .reason = item->bad[i].reason,
                          .index = item->bad[i].index};
        if (!bury(p, &dead, err)) return false;
    }
    return true;
}

static bool transact(Projector *p, ProjectorItem **items, size_t count, Err *err) {
    int64_t before = p->head.head;
    size_t total = sort_events(p, items, count);
    if (!db_begin(p->db, err) || !take_events(p, total, err)) return false;
    for (size_t i = 0; i < count; i++)
        if (!take_bad(p, items[i], err)) return false;
    if (!write_pending(p, err) || !rows_flush(p->waiting, p->db, err)) return false;
    if (p->applied && !replay_log_set_head(p->db, &p->head, before, err)) return false;
    return commit_traced(p->db, &p->traces, err);
}

static void count_newer(const Projector *p, ProjectorItem *const *items, size_t count) {
    size_t unknown = 0;
    for (size_t i = 0; i < count; i++) unknown += items[i]->unknown_members;
    metric_add(p->metric_newer, (int64_t)p->newer);
    metric_add(p->metric_unknown, (int64_t)unknown);
    if (p->newer || unknown)
        log_warn("events of a newer version", LOG_INT("ofUnknownType", p->newer),
                 LOG_SPAN("firstType", p->newer_type), LOG_INT("unknownMembers", unknown));
}

static void count_up(Projector *p) {
    if (p->dead > 1) log_error("more events went to the dead letters", LOG_INT("events", p->dead - 1));
    metric_add(p->metric_applied, (int64_t)p->applied);
    metric_add(p->metric_early, (int64_t)p->early);
    metric_add(p->metric_duplicates, (int64_t)p->duplicates);
    metric_add(p->metric_dead, (int64_t)p->dead);
    metric_set(p->metric_held, p->head.head);
    metric_set(p->metric_last, prefix_last(p->prefix));
}

/* Now, for this call. False where the stored state cannot be had. */
static bool begin(Projector *p, int64_t now_us, Err *err) {
    p->now_us = now_us;
    p->wall_us = clock_now_us();
    p->pending_count = 0;
    p->traces.count = 0;
    p->applied = p->early = p->duplicates = p->dead = p->newer = 0;
    p->newer_type = SPAN("");
    arena_reset(p->arena);
    return load(p, err);
}

bool projector_apply(Projector *p, ProjectorItem **items, size_t count, int64_t now_us, Err *err) {
    for (size_t i = 0; i < count; i++) items[i]->status = 503;
    if (p->mismatch) return err_set(err, &ERR_UNAVAILABLE, "projection: the relay's epoch is another one");
    if (!begin(p, now_us, err)) return false;
    ReplayHead before = p->head;
    if (!transact(p, items, count, err)) return forget(p, &before);
    for (size_t i = 0; i < count; i++) items[i]->status = 200;
    count_up(p);
    count_newer(p, items, count);
    log_debug("events applied", LOG_INT("head", p->head.head), LOG_INT("applied", p->applied),
              LOG_INT("early", p->early), LOG_INT("duplicates", p->duplicates));
    return true;
}

/* ---- the relay's announcements, and asking for what is missing ---- */

static bool judge_epoch(Projector *p, Span epoch, Err *err) {
    bool differs = p->head.epoch[0] && !span_is(epoch, p->head.epoch);
    if (differs && !p->mismatch)
        log_error("epoch mismatch: nothing is applied until an operator has decided",
                  LOG_TEXT("epoch", p->head.epoch), LOG_SPAN("relayEpoch", epoch));
    p->mismatch = differs;
    if (differs || p->head.epoch[0]) return true;
    ReplayHead head = p->head;
    if (!epoch.len || !span_copy(epoch, head.epoch, sizeof head.epoch))
        return err_set(err, &ERR_INVALID, "announcement: bad epoch");
    if (!replay_log_set_head(p->db, &head, head.head, err)) return forget(p, &p->head);
    log_info("epoch learnt", LOG_TEXT("epoch", head.epoch));
    p->head = head;
    return true;
}

bool projector_announced(Projector *p, Span epoch, int64_t last, int64_t now_us, Err *err) {
    if (!begin(p, now_us, err) || !judge_epoch(p, epoch, err)) return false;
    if (p->mismatch) return true;
    prefix_known_last(p->prefix, last, now_us);
    metric_set(p->metric_last, prefix_last(p->prefix));
    return true;
}

static void alert(Projector *p, int64_t now_us) {
    int64_t from, to, since;
    if (!prefix_hole(p->prefix, 0, &from, &to, &since) || now_us - since < ALERT_US) return;
    if (p->alerted_us && now_us - p->alerted_us < ALERT_US) return;
    p->alerted_us = now_us;
    log_error("events are missing, and asking again has not helped", LOG_INT("from", from), LOG_INT("to", to),
              LOG_INT("seconds", (now_us - since) / 1000000));
}

bool projector_due_repair(Projector *p, int64_t now_us, int64_t *from, int64_t *to) {
    if (!p->prefix || p->mismatch || !prefix_due_repair(p->prefix, now_us, from, to)) return false;
    alert(p, now_us);
    return true;
}

int64_t projector_due_us(const Projector *p) {
    return p->prefix && !p->mismatch ? prefix_next_due_us(p->prefix) : INT64_MAX;
}
