/* queue_amqp_receiver.c - peek-lock over a broker's lanes.
 *
 * Promise:   every accepted command is delivered until it is settled, at least once, in order within its key.
 *            "Settled" is told to the broker without waiting for its answer: what it misses comes again, and
 *            command_done knows it.
 * Order:     amqp_inbox.c brings lanes in order, queue_lines.c lets no message pass an earlier one of its
 *            key. Ids are given here, in order of arrival; they mean nothing to anybody else.
 * Tries:     a message that is to be tried again waits here, locked at the broker: nothing is sent, no count
 *            of the broker's goes up, so that an engine's outage is nobody's try. The counts are
 *            amqp_tries.c's. What was being handled when the process died is a suspect and comes alone, so
 *            that one that kills its handler reaches the dead letter after its tries and takes no neighbour
 *            with it.
 * Dead:      first written into a table (queue_dead.c), then accepted (on Service Bus rejected, with its reason). A crash in between delivers it again,
 *            and its tries_exhausted takes it there again.
 * Faults:    a connection that ends voids everything that is here; the same comes again by the next one,
 *            counts and waiting times are kept. While there is none a claim finds nothing, and is no error:
 *            there is nothing to do, and the arrival of messages is announced. */
#include "queue/queue_driver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "queue/amqp_inbox.h"
#include "queue/amqp_tries.h"
#include "queue/queue_dead.h"
#include "queue/queue_lines.h"
#include <stdio.h>

enum { ID_MOST = 128 };

typedef struct AmqpReceiver {
    QueueReceiver base;
    AmqpUrl url;
    AmqpInbox *inbox;
    AmqpTries *tries;
    Db *dead;
    Lines *lines;
    Map *arrivals; /* by queue_id: AmqpArrival that is not settled */
    uint64_t connection;
    AmqpArrival *spent; /* settled: their bodies live until the next claim */
    QueueMessage *messages;
    size_t size, taken;
    bool suspect;         /* the claim holds one, and nothing else may join it */
    bool dead_broken;     /* a statement has failed: look at the connection first */
    bool tries_unwritten; /* the log has told */
} AmqpReceiver;

static Span key_of(const int64_t *queue_id) {
    return span_bytes(queue_id, sizeof *queue_id);
}

/* Somebody else's message may have any id, or none: then its body stands for it. */
static Span id_of(const AmqpCommand *c, char room[40]) {
    bool fine = c->message_id.len > 0 && c->message_id.len <= ID_MOST;
    for (size_t i = 0; fine && i < c->message_id.len; i++)
        fine = c->message_id.at[i] > ' ' && c->message_id.at[i] <= '~';
    if (fine) return c->message_id;
    snprintf(room, 40, "body-%016llx", (unsigned long long)hash_stable(c->body));
    return span_of(room);
}

/* --- what comes --- */

static void free_arrivals(AmqpReceiver *r) {
    void *one;
    for (size_t at = 0; map_next(r->arrivals, &at, NULL, &one);) free(one);
    map_free(r->arrivals);
    r->arrivals = map_new();
}

static void drop_spent(AmqpReceiver *r) {
    for (AmqpArrival *a = r->spent, *next; a; a = next) next = a->next, free(a);
    r->spent = NULL;
}

/* Everything will come again by the new connection. */
static void begin_anew(AmqpReceiver *r, uint64_t connection) {
    int64_t last = lines_last(r->lines);
    free_arrivals(r);
    lines_free(r->lines);
    r->lines = lines_new(last);
    amqp_tries_unlock(r->tries);
    r->connection = connection;
}

static void add_arrival(AmqpReceiver *r, AmqpArrival *a, int64_t now) {
    char room[40];
    int64_t queue_id = lines_last(r->lines) + 1;
    const Try *before = amqp_tries_find(r->tries, id_of(&a->command, room));
    Ticket *t = lines_add(r->lines, queue_id, a->key,
                          before ? before->deliveries : amqp_form_tries(&r->url, &a->command),
                          before && before->suspect);
    if (before && before->due > now) lines_wait(r->lines, t, before->due);
    map_put(r->arrivals, key_of(&queue_id), a);
}

static void take_arrivals(AmqpReceiver *r, int64_t now) {
    uint64_t connection;
    AmqpArrival *a = amqp_inbox_take(r->inbox, &connection), *next;
    if (connection != r->connection) begin_anew(r, connection);
    for (; a; a = next) {
        next = a->next;
        if (a->connection == connection)
            add_arrival(r, a, now);
        else
            free(a);
    }
}

/* --- claiming --- */

static void take(AmqpReceiver *r, Ticket *t, int64_t now, int64_t until) {
    char room[40];
    AmqpArrival *a = map_get(r->arrivals, key_of(&t->queue_id));
    Try *one = amqp_tries_put(r->tries, id_of(&a->command, room), a->lane, now);
    lines_lock(r->lines, t, until);
    r->suspect = t->suspect;
    one->deliveries = ++t->deliveries;
    one->locked = true;
    one->due = 0;
    r->messages[r->taken++] = (QueueMessage){.queue_id = t->queue_id,
                                             .deliveries = t->deliveries,
                                             .body = a->command.body,
                                             .body_hash = a->command.body_hash,
                                             .accepted_at = a->command.accepted_at,
                                             .key = a->key};
}

static void write_tries(AmqpReceiver *r, int64_t now) {
    Err err = {0};
    bool written = amqp_tries_write(r->tries, now, &err);
    if (!written && !r->tries_unwritten) log_warn("tries of commands not written", LOG_ERR(&err));
    r->tries_unwritten = !written;
}

static bool claim(void *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                  Err *err) {
    AmqpReceiver *r = receiver;
    int64_t now = clock_mono_us();
    (void)err;
    drop_spent(r);
    if (r->size < most) r->messages = must(realloc(r->messages, (r->size = most) * sizeof *r->messages));
    r->taken = 0;
    r->suspect = false;
    take_arrivals(r, now);
    lines_begin(r->lines, now);
    for (Ticket *t; r->taken < most && (t = lines_next(r->lines));) {
        if (r->taken && (r->suspect || t->suspect)) break; /* joins nobody, and nobody joins it */
        take(r, t, now, now + lease_ms * 1000);
    }
    if (r->taken) write_tries(r, now);
    *ret = r->messages;
    *count = r->taken;
    return true;
}

/* --- settling --- */

static void settle(AmqpReceiver *r, Ticket *t, AmqpSettle how, const char *reason) {
    char room[40];
    AmqpArrival *a = map_remove(r->arrivals, key_of(&t->queue_id));
    amqp_tries_drop(r->tries, id_of(&a->command, room));
    amqp_inbox_settle(r->inbox, a, how, reason);
    a->next = r->spent;
    r->spent = a;
    lines_settle(r->lines, t);
}

static bool complete(void *receiver, const int64_t *queue_ids, size_t count, Err *err) {
    AmqpReceiver *r = receiver;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        Ticket *t = lines_find(r->lines, queue_ids[i]);
        if (t) settle(r, t, AMQP_ACCEPT, NULL);
    }
    if (count) amqp_inbox_flush(r->inbox);
    return true;
}

static bool release(void *receiver, int64_t queue_id, int64_t delay_ms, bool counts, Err *err) {
    AmqpReceiver *r = receiver;
    char room[40];
    (void)err;
    Ticket *t = lines_find(r->lines, queue_id);
    if (!t) return true;
    const AmqpArrival *a = map_get(r->arrivals, key_of(&queue_id));
    int64_t now = clock_mono_us();
    if (!counts) {
        t->deliveries--;
        t->suspect = false;
    }
    Span id = id_of(&a->command, room);
    Try *one = amqp_tries_put(r->tries, id, a->lane, now);
    one->deliveries = t->deliveries;
    one->locked = false;
    one->suspect = t->suspect;
    one->due = delay_ms > 0 ? now + delay_ms * 1000 : 0;
    lines_wait(r->lines, t, one->due);
    if (!one->deliveries) amqp_tries_drop(r->tries, id);
    return true;
}

static bool dead_letter(void *receiver, int64_t queue_id, const char *reason, Err *err) {
    AmqpReceiver *r = receiver;
    char room[40];
    Ticket *t = lines_find(r->lines, queue_id);
    if (!t) return true;
    AmqpCommand c = ((AmqpArrival *)map_get(r->arrivals, key_of(&queue_id)))->command;
    c.message_id = id_of(&c, room);
    bool written = (!r->dead_broken || db_recover(r->dead, err)) &&
                   queue_dead_add(r->dead, &c, t->deliveries, reason, err);
    r->dead_broken = !written;
    if (!written) { /* its reason must not be lost: try again later */
        lines_wait(r->lines, t, clock_mono_us() + 1000000);
        return false;
    }
    settle(r, t, r->url.service_bus ? AMQP_REJECT : AMQP_ACCEPT, reason);
    amqp_inbox_flush(r->inbox);
    return true;
}

static int64_t next_due_ms(void *receiver) {
    AmqpReceiver *r = receiver;
    int64_t due = lines_next_due(r->lines), now = clock_mono_us();
    if (due < 0) return -1;
    return due > now ? (due - now + 999) / 1000 : 0;
}

/* What waits at the broker it does not tell. */
static bool depth(void *receiver, QueueDepth *ret, Err *err) {
    AmqpReceiver *r = receiver;
    if (r->dead_broken) return err_set(err, &ERR_DB_DOWN, "dead letters: out at the moment");
    ret->waiting = -1;
    r->dead_broken = !queue_dead_count(r->dead, &ret->dead, err);
    return !r->dead_broken;
}

static void on_arrival(void *receiver, void (*arrived)(void *user), void *user) {
    AmqpReceiver *r = receiver;
    amqp_inbox_on_arrival(r->inbox, arrived, user);
}

/* --- opening --- */

/* Service Bus is told what was a try, for who gets it next; RabbitMQ brings all of it again, in order, when the
 * connection ends. */
static void give_back(AmqpReceiver *r) {
    void *one;
    for (size_t at = 0; map_next(r->arrivals, &at, NULL, &one);) {
        char room[40];
        const AmqpArrival *a = one;
        const Try *tries = amqp_tries_find(r->tries, id_of(&a->command, room));
        amqp_inbox_settle(r->inbox, a, tries && tries->deliveries ? AMQP_MODIFY : AMQP_RELEASE, NULL);
    }
}

static void *free_amqp(void *receiver) {
    AmqpReceiver *r = receiver;
    if (r->inbox && r->url.service_bus) give_back(r);
    if (r->tries) {
        amqp_tries_unlock(r->tries);
        write_tries(r, clock_mono_us());
    }
    amqp_inbox_free(r->inbox);
    amqp_tries_free(r->tries);
    db_free(r->dead);
    lines_free(r->lines);
    free_arrivals(r);
    map_free(r->arrivals);
    drop_spent(r);
    free(r->messages);
    free(r);
    return NULL;
}

static const QueueDriver AMQP = {.free = free_amqp,
                                 .claim = claim,
                                 .complete = complete,
                                 .release = release,
                                 .dead_letter = dead_letter,
                                 .next_due_ms = next_due_ms,
                                 .depth = depth,
                                 .on_arrival = on_arrival};

bool queue_amqp_receiver_open(const QueuePlace *place, unsigned worker, unsigned workers, QueueReceiver **ret,
                              Err *err) {
    AmqpReceiver *r = must(calloc(1, sizeof *r));
    r->base.driver = &AMQP;
    r->url = place->amqp;
    r->lines = lines_new(0);
    r->arrivals = map_new();
    *ret = &r->base; /* freed by the caller, whole or not */
    if (!db_open(place->dead, (DbOptions){0}, &r->dead, err) || !queue_dead_migrate(r->dead, err))
        return false;
    r->tries = amqp_tries_open(place->tries, worker, workers);
    return amqp_inbox_open(&place->amqp, worker, workers, &r->inbox, err);
}
