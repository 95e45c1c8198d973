/* queue_tables_receiver.c - peek-lock over the tables of a server, where several receivers may work.
 *
 * Order:     a receiver leases lanes (of keys, by hash), and takes the messages of its lanes in their order;
 *            a key with an earlier message that waits, or that it holds already, is passed over. Lanes go
 *            back as soon as nothing of them is held, and those longest without a lease come first.
 * Cost:      a claim looks at the heads of a few lanes by an index: the same with a backlog of any size.
 * Crash:     a message that is still locked when its lease has run out was being handled when a process died:
 *            it is a suspect and comes alone, so that one that kills its handler takes no other with it. A
 *            receiver that starts again ends its former leases; its owner's name is the same.
 * Outage:    commits are not synced: a mark that is lost means a delivery more, which command_done absorbs.
 *            What could not be written because the server was gone is kept and written before the next claim,
 *            so that an outage is nobody's try and no lease has to run out. */
#include "queue/queue_driver.h"

#include "base/buf.h"
#include "base/clock.h"

enum {
    BODIES_LIMIT = 64 << 20,
    LANES_AT_ONCE = 16,
    LATE_MS = 5, /* the server counts a delay from when it was told, which is a little later than here */
    TAKEN_US = 1000000, /* what is not here so long after its time has been claimed by another receiver */
};

/* A message that was claimed and is not settled. */
typedef struct Held {
    int64_t queue_id, until; /* of the lease, monotonic */
    int lane;
    Span key; /* owned */
} Held;

/* A settle that has to be written. */
typedef enum Settle { SETTLE_COMPLETE, SETTLE_RELEASE, SETTLE_DEAD } Settle;
typedef struct Todo {
    Settle settle;
    int64_t queue_id, visible_us; /* monotonic; 0: at once */
    bool counts;
    char reason[48];
} Todo;

/* What was released here with a delay, until it is claimed again. */
typedef struct Due {
    int64_t queue_id, at; /* monotonic */
} Due;

typedef struct TablesReceiver {
    QueueReceiver base;
    Db *db;
    char owner[128];
    Arena *bodies;
    QueueMessage *messages;
    size_t size, taken; /* room; of the claim that is made */
    int64_t until;      /* of its lease, monotonic */
    Held *held;
    size_t held_count, held_size, earlier; /* earlier: of other claims than the one that is made */
    Todo *todo;
    size_t todo_count, todo_size;
    Due *due;
    size_t due_count, due_size;
    bool broken; /* a statement has failed: look at the connection first */
} TablesReceiver;

#define GROW(array, count, size)                                                                             \
    if ((count) == (size)) {                                                                                 \
        (size) = (size) ? 2 * (size) : 64;                                                                   \
        (array) = must(realloc((array), (size) * sizeof *(array)));                                          \
    }

/* A list of numbers as the word {among} takes it: "{1,2,3}", in T-SQL without its braces. */
static void list_add(Buf *list, int64_t number) {
    buf_printf(list, "%c%lld", list->len ? ',' : '{', (long long)number);
}
static Span list_end(const TablesReceiver *r, Buf *list) {
    if (db_dialect(r->db) == DB_SQLSERVER)
        return list->len ? span_bytes(list->at + 1, list->len - 1) : SPAN("");
    buf_text(list, list->len ? "}" : "{}");
    return buf_view(list);
}

/* --- what is held --- */

static void drop_held(TablesReceiver *r, size_t at) {
    free((void *)r->held[at].key.at);
    r->held[at] = r->held[--r->held_count];
}

static void forget(TablesReceiver *r, int64_t queue_id) {
    for (size_t i = 0; i < r->held_count; i++)
        if (r->held[i].queue_id == queue_id) {
            drop_held(r, i);
            return;
        }
}

/* By an earlier claim; within one, messages of a key may follow each other. */
static bool key_is_held(const TablesReceiver *r, Span key) {
    for (size_t i = 0; i < r->earlier; i++)
        if (span_equal(r->held[i].key, key)) return true;
    return false;
}

static void drop_lapsed(TablesReceiver *r, int64_t now) {
    for (size_t i = r->held_count; i-- > 0;)
        if (r->held[i].until <= now) drop_held(r, i);
    for (size_t i = r->due_count; i-- > 0;)
        if (r->due[i].at + TAKEN_US <= now) r->due[i] = r->due[--r->due_count];
}

/* --- settling --- */

#define REMOVE "DELETE FROM queue_ready WHERE queue_id {among}"
#define GIVE_LANES_BACK                                                                                      \
    "UPDATE queue_lane SET leased_until = {now} WHERE owner = ? AND leased_until > {now} AND NOT lane "      \
    "{among}"

/* From its parameter `at` on. Lanes of which nothing is held go back. */
static bool run_give_back(TablesReceiver *r, Stmt *s, int at, Err *err) {
    AUTO_BUF kept = {0};
    for (size_t i = 0; i < r->held_count; i++) list_add(&kept, r->held[i].lane);
    stmt_bind_text(s, at, span_of(r->owner));
    stmt_bind_text(s, at + 1, list_end(r, &kept));
    return stmt_run(s, NULL, err);
}

static bool give_lanes_back(TablesReceiver *r, Err *err) {
    return run_give_back(r, db_statement(r->db, GIVE_LANES_BACK), 1, err);
}

static bool write_release(TablesReceiver *r, const Todo *todo, Err *err) {
    int64_t delay = todo->visible_us ? todo->visible_us - clock_mono_us() : 0;
    Stmt *s = db_statement(r->db, "UPDATE queue_ready SET locked = 0, delayed = ?, visible_at = {now} + ?,"
                                  " deliveries = deliveries - ? WHERE queue_id = ? AND locked = 1");
    stmt_bind_int(s, 1, delay > 0);
    stmt_bind_int(s, 2, delay > 0 ? delay : 0);
    stmt_bind_int(s, 3, !todo->counts);
    stmt_bind_int(s, 4, todo->queue_id);
    return stmt_run(s, NULL, err);
}

static bool write_dead(TablesReceiver *r, const Todo *todo, Err *err) {
    Stmt *s =
        db_statement(r->db, "INSERT INTO queue_dead (queue_id, deliveries, reason, dead_at)"
                            " SELECT queue_id, deliveries, ?, {now} FROM queue_ready WHERE queue_id = ?");
    stmt_bind_text(s, 1, span_of(todo->reason));
    stmt_bind_int(s, 2, todo->queue_id);
    if (!stmt_run(s, NULL, err)) return false;
    s = db_statement(r->db, "DELETE FROM queue_ready WHERE queue_id = ?");
    stmt_bind_int(s, 1, todo->queue_id);
    return stmt_run(s, NULL, err);
}

static bool remove_done(TablesReceiver *r, Buf *done, Err *err) {
    if (!done->len) return true;
    Stmt *s = db_statement(r->db, REMOVE);
    stmt_bind_text(s, 1, list_end(r, done));
    return stmt_run(s, NULL, err);
}

static bool write_todo(TablesReceiver *r, Err *err) {
    AUTO_BUF done = {0};
    for (size_t i = 0; i < r->todo_count; i++) {
        const Todo *todo = &r->todo[i];
        if (todo->settle == SETTLE_COMPLETE) list_add(&done, todo->queue_id);
        if (todo->settle == SETTLE_RELEASE && !write_release(r, todo, err)) return false;
        if (todo->settle == SETTLE_DEAD && !write_dead(r, todo, err)) return false;
    }
    return remove_done(r, &done, err) && give_lanes_back(r, err);
}

static bool write_in_transaction(TablesReceiver *r, Err *err) {
    if (!db_begin(r->db, err)) return false;
    if (write_todo(r, err) && db_commit(r->db, err)) return true;
    db_rollback(r->db);
    return false;
}

/* What nearly always is all there is to write: one statement is its own transaction, and three round trips less. */
static bool write_completed(TablesReceiver *r, Err *err) {
    AUTO_BUF done = {0};
    for (size_t i = 0; i < r->todo_count; i++) list_add(&done, r->todo[i].queue_id);
    Stmt *s = db_statement(r->db, "WITH done AS (" REMOVE ") " GIVE_LANES_BACK);
    stmt_bind_text(s, 1, list_end(r, &done));
    return run_give_back(r, s, 2, err);
}

static bool all_completed(const TablesReceiver *r) {
    size_t i = 0;
    while (i < r->todo_count && r->todo[i].settle == SETTLE_COMPLETE) i++;
    return i == r->todo_count;
}

/* Everything that is to be written; what fails is tried again before the next claim. */
static bool settle_all(TablesReceiver *r, Err *err) {
    if (!r->todo_count) return true;
    if (r->broken && !db_recover(r->db, err)) return false;
    r->broken = true;
    bool at_once = db_dialect(r->db) == DB_POSTGRESQL && all_completed(r);
    if (!(at_once ? write_completed(r, err) : write_in_transaction(r, err))) return false;
    r->todo_count = 0;
    r->broken = false;
    return true;
}

static Todo *add_todo(TablesReceiver *r, Settle settle, int64_t queue_id) {
    GROW(r->todo, r->todo_count, r->todo_size);
    Todo *todo = &r->todo[r->todo_count++];
    *todo = (Todo){.settle = settle, .queue_id = queue_id};
    forget(r, queue_id);
    return todo;
}

static bool complete(void *receiver, const int64_t *queue_ids, size_t count, Err *err) {
    TablesReceiver *r = receiver;
    for (size_t i = 0; i < count; i++) add_todo(r, SETTLE_COMPLETE, queue_ids[i]);
    return settle_all(r, err);
}

/* Those of a batch come one by one, and are written together: with the next claim, or with what is completed.
 */
static bool release(void *receiver, int64_t queue_id, int64_t delay_ms, bool counts, Err *err) {
    TablesReceiver *r = receiver;
    (void)err;
    Todo *todo = add_todo(r, SETTLE_RELEASE, queue_id);
    todo->counts = counts;
    todo->visible_us = delay_ms > 0 ? clock_mono_us() + delay_ms * 1000 : 0;
    if (delay_ms <= 0) return true;
    GROW(r->due, r->due_count, r->due_size);
    r->due[r->due_count++] = (Due){queue_id, todo->visible_us};
    return true;
}

static bool dead_letter(void *receiver, int64_t queue_id, const char *reason, Err *err) {
    TablesReceiver *r = receiver;
    Todo *todo = add_todo(r, SETTLE_DEAD, queue_id);
    strncat(todo->reason, reason, sizeof todo->reason - 1);
    return settle_all(r, err);
}

static int64_t next_due_ms(void *receiver) {
    TablesReceiver *r = receiver;
    int64_t due = INT64_MAX, now = clock_mono_us();
    for (size_t i = 0; i < r->due_count; i++)
        if (r->due[i].at < due) due = r->due[i].at;
    if (due == INT64_MAX) return -1;
    return due > now ? (due - now + 999) / 1000 : LATE_MS;
}

/* --- claiming --- */

#define FREE_LANES_OF(more)                                                                                  \
    "SELECT l.lane FROM queue_lane l{skipped} WHERE" more                                                    \
    " (l.leased_until <= {now} OR l.owner = ?) AND EXISTS"                                                   \
    " (SELECT 1 FROM queue_ready r WHERE r.lane = l.lane AND r.visible_at <= {now})"                         \
    " ORDER BY l.leased_until, l.lane {limit}{free}"
/* PostgreSQL goes from one lane that has messages to the next by the index, since nearly always there are few: a
 * look into each lane is the dearest part of a claim of one message. */
static const SqlText FREE_LANES = {
    .sqlite = FREE_LANES_OF(""),
    .postgresql = "WITH RECURSIVE line(lane) AS (SELECT min(lane) FROM queue_ready UNION ALL SELECT (SELECT"
                  " min(r.lane) FROM queue_ready r WHERE r.lane > line.lane) FROM line WHERE line.lane IS NOT"
                  " NULL) " FREE_LANES_OF(" l.lane IN (SELECT lane FROM line) AND")};

/* Of each lane the first ones, of these the lowest ids, and only then the bodies. One time for all: by a later one a
 * delayed message would no longer be in the way of the next of its key, and not be taken itself either. */
static const char HEADS[] =
    "SELECT h.queue_id, h.lane, h.ordering_key, h.deliveries, h.locked, c.body, c.body_hash, c.accepted_at"
    " FROM (SELECT f.* FROM (SELECT lane, {now} AS moment FROM queue_lane WHERE lane {among}) l {apply}"
    " (SELECT r.queue_id, r.lane, r.ordering_key, r.deliveries, r.locked FROM queue_ready r"
    " WHERE r.lane = l.lane AND r.visible_at <= l.moment AND NOT EXISTS"
    " (SELECT 1 FROM queue_ready d WHERE d.lane = r.lane AND d.ordering_key = r.ordering_key"
    " AND d.queue_id < r.queue_id AND d.delayed = 1 AND d.visible_at > l.moment)"
    " ORDER BY r.queue_id {limit}) f ORDER BY f.queue_id {limit}) h"
    " JOIN command_queue c ON c.queue_id = h.queue_id ORDER BY h.queue_id";

static bool find_lanes(TablesReceiver *r, Buf *lanes, size_t *count, Err *err) {
    Stmt *s = db_statement(r->db, db_text(r->db, &FREE_LANES));
    stmt_bind_text(s, 1, span_of(r->owner));
    stmt_bind_int(s, 2, LANES_AT_ONCE);
    if (!stmt_run(s, NULL, err)) return false;
    for (*count = 0; stmt_row(s, err); ++*count) list_add(lanes, stmt_int(s, 0));
    return !err->kind;
}

static void no_longer_due(TablesReceiver *r, int64_t queue_id) {
    for (size_t i = r->due_count; i-- > 0;)
        if (r->due[i].queue_id == queue_id) r->due[i] = r->due[--r->due_count];
}

/* One candidate. False ends the claim. */
static bool take(TablesReceiver *r, Stmt *s) {
    QueueMessage m = {.queue_id = stmt_int(s, 0)};
    int lane = (int)stmt_int(s, 1);
    Span key = stmt_text(s, 2);
    if (key_is_held(r, key)) return true;
    m.deliveries = (int)stmt_int(s, 3) + 1;
    bool suspect = stmt_int(s, 4) != 0;
    if (suspect && r->taken) return false;
    Span body = stmt_blob(s, 5);
    const char *copy = arena_copy(r->bodies, body), *key_copy = arena_copy(r->bodies, key);
    if (!copy || !key_copy) return false;
    m.body = span_bytes(copy, body.len);
    m.key = span_bytes(key_copy, key.len);
    m.body_hash = (uint64_t)stmt_int(s, 6);
    m.accepted_at = stmt_int(s, 7);
    r->messages[r->taken++] = m;
    no_longer_due(r, m.queue_id);
    GROW(r->held, r->held_count, r->held_size);
    char *kept = must(malloc(key.len + 1));
    memcpy(kept, key.at, key.len);
    r->held[r->held_count++] = (Held){m.queue_id, r->until, lane, span_bytes(kept, key.len)};
    return !suspect;
}

/* each: at most of one lane. */
static bool take_heads(TablesReceiver *r, Buf *lanes, size_t each, size_t most, Err *err) {
    Stmt *s = db_statement(r->db, HEADS);
    stmt_bind_text(s, 1, list_end(r, lanes));
    stmt_bind_int(s, 2, (int64_t)each);
    stmt_bind_int(s, 3, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, err) && take(r, s)) continue;
    stmt_done(s);
    return !err->kind;
}

#define LOCK                                                                                                 \
    "UPDATE queue_ready SET deliveries = deliveries + 1, locked = 1, delayed = 0, visible_at = {now} + ?"    \
    " WHERE queue_id {among}"
#define LEASE "UPDATE queue_lane SET owner = ?, leased_until = {now} + ? WHERE lane {among}"
static const SqlText LOCK_AND_LEASE = {.postgresql = "WITH locked AS (" LOCK ") " LEASE,
                                       .sqlserver = "SET NOCOUNT ON; " LOCK "; " LEASE};

static bool lock_taken(TablesReceiver *r, int64_t lease_us, Err *err) {
    AUTO_BUF ids = {0}, lanes = {0};
    for (size_t i = r->earlier; i < r->held_count; i++) {
        list_add(&ids, r->held[i].queue_id);
        list_add(&lanes, r->held[i].lane);
    }
    Stmt *s = db_statement(r->db, db_text(r->db, &LOCK_AND_LEASE));
    stmt_bind_int(s, 1, lease_us);
    stmt_bind_text(s, 2, list_end(r, &ids));
    stmt_bind_text(s, 3, span_of(r->owner));
    stmt_bind_int(s, 4, lease_us);
    stmt_bind_text(s, 5, list_end(r, &lanes));
    return stmt_run(s, NULL, err);
}

static bool claim_in_transaction(TablesReceiver *r, size_t most, int64_t lease_us, Err *err) {
    AUTO_BUF lanes = {0};
    size_t count;
    if (!find_lanes(r, &lanes, &count, err)) return false;
    size_t each = count > 1 ? 2 * most / count + 1 : most;
    return (!count ||
            (take_heads(r, &lanes, each, most, err) && (!r->taken || lock_taken(r, lease_us, err)))) &&
           db_commit(r->db, err);
}

/* A claim that has failed holds nothing; and should its commit have been carried out all the same, it is
 * undone. */
static void give_up(TablesReceiver *r) {
    db_rollback(r->db);
    r->broken = true;
    while (r->held_count > r->earlier) add_todo(r, SETTLE_RELEASE, r->held[r->held_count - 1].queue_id);
}

static bool claim(void *receiver, size_t most, int64_t lease_ms, QueueMessage **ret, size_t *count,
                  Err *err) {
    TablesReceiver *r = receiver;
    int64_t now = clock_mono_us();
    *count = 0;
    drop_lapsed(r, now);
    if ((r->broken && !db_recover(r->db, err)) || !settle_all(r, err)) return false;
    r->broken = false;
    arena_reset(r->bodies);
    if (r->size < most) r->messages = must(realloc(r->messages, (r->size = most) * sizeof *r->messages));
    r->earlier = r->held_count;
    if (!db_begin(r->db, err)) return r->broken = true, false;
    r->taken = 0;
    r->until = now + lease_ms * 1000;
    if (!claim_in_transaction(r, most, lease_ms * 1000, err)) return give_up(r), false;
    *ret = r->messages;
    *count = r->taken;
    return true;
}

static bool depth(void *receiver, QueueDepth *ret, Err *err) {
    TablesReceiver *r = receiver;
    if (r->broken) return err_set(err, &ERR_DB_DOWN, "queue: out at the moment");
    Stmt *s =
        db_statement(r->db, "SELECT (SELECT count(*) FROM queue_ready), (SELECT count(*) FROM queue_dead)");
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return r->broken = true, false;
    *ret = (QueueDepth){stmt_int(s, 0), stmt_int(s, 1)};
    stmt_done(s);
    return true;
}

/* --- opening --- */

/* What this owner had when it ended: its messages are suspects, its lanes free. Claimed messages are among
 * the first of their lanes. */
static bool end_former_leases(TablesReceiver *r, Err *err) {
    Stmt *s = db_statement(
        r->db, "UPDATE queue_ready SET visible_at = 0 WHERE locked = 1 AND queue_id IN"
               " (SELECT h.queue_id FROM queue_lane l {apply}"
               " (SELECT queue_id FROM queue_ready WHERE lane = l.lane ORDER BY queue_id {limit}) h"
               " WHERE l.owner = ? AND l.leased_until > {now})");
    stmt_bind_int(s, 1, 1000);
    stmt_bind_text(s, 2, span_of(r->owner));
    return stmt_run(s, NULL, err) && give_lanes_back(r, err);
}

static void *free_tables(void *receiver) {
    TablesReceiver *r = receiver;
    Err ignored = {0};
    if (r->db) settle_all(r, &ignored); /* else the next start does it */
    db_free(r->db);
    arena_free(r->bodies);
    while (r->held_count) drop_held(r, r->held_count - 1);
    free(r->held);
    free(r->todo);
    free(r->due);
    free(r->messages);
    free(r);
    return NULL;
}

static const QueueDriver TABLES = {.free = free_tables,
                                   .claim = claim,
                                   .complete = complete,
                                   .release = release,
                                   .dead_letter = dead_letter,
                                   .next_due_ms = next_due_ms,
                                   .depth = depth};

bool queue_tables_receiver_open(const QueuePlace *place, const char *owner, QueueReceiver **ret, Err *err) {
    TablesReceiver *r = must(calloc(1, sizeof *r));
    r->base.driver = &TABLES;
    r->bodies = arena_new(BODIES_LIMIT);
    *ret = &r->base; /* freed by the caller, whole or not */
    span_copy(span_of(owner), r->owner, sizeof r->owner);
    return db_open(place->queue, (DbOptions){.relaxed = true}, &r->db, err) && queue_migrate(r->db, err) &&
           end_former_leases(r, err);
}
