/* queue_place.c - queue.db has one writer, the gateway, and queue-marks.db one, the prospect service: two
 * writers of one SQLite file are served unfairly. Commands stay in command_queue after they are handled: it
 * is also the record of what was accepted. A mark exists only for a message that is locked, waiting, settled
 * above the floor, or dead; everything else at or below the floor is settled, everything above it is new. */
#include "queue/queue_place.h"

#include "db/migrate.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define COMMANDS                                                                                             \
    "CREATE TABLE command_queue ("                                                                           \
    " queue_id {id},"                                                                                        \
    " tenant_id {name} NOT NULL,"                                                                            \
    " issued_by {name} NOT NULL,"                                                                            \
    " command_id {name} NOT NULL,"                                                                           \
    " body_hash BIGINT NOT NULL,"                                                                            \
    " ordering_key {name} NOT NULL,"                                                                         \
    " lane INTEGER NOT NULL,"                                                                                \
    " body {bytes} NOT NULL,"                                                                                \
    " correlation_id {name} NOT NULL,"                                                                       \
    " accepted_at BIGINT NOT NULL,"                                                                          \
    " UNIQUE (tenant_id, issued_by, command_id));\n"
#define EIGHT "(VALUES (0), (1), (2), (3), (4), (5), (6), (7))"

/* On a server a command that is not settled stands in queue_ready, in the lane of its key. locked: somebody
 * has it; delayed: it failed and waits; both until visible_at, by the server's clock. queue_lane: who works
 * in a lane. */
static const Migration QUEUE_STEPS[] = {
    {1, COMMANDS,
     COMMANDS
     "CREATE TABLE queue_ready (queue_id {key}, lane SMALLINT NOT NULL, ordering_key {name} NOT NULL,"
     " deliveries SMALLINT NOT NULL, locked SMALLINT NOT NULL, delayed SMALLINT NOT NULL,"
     " visible_at BIGINT NOT NULL){busy};\n"
     "CREATE INDEX queue_ready_lane ON queue_ready (lane, queue_id);\n"
     "CREATE INDEX queue_ready_delayed ON queue_ready (lane, ordering_key, queue_id) WHERE delayed = 1;\n"
     "CREATE TABLE queue_dead (queue_id {key}, deliveries SMALLINT NOT NULL, reason {text} NOT NULL,"
     " dead_at BIGINT NOT NULL);\n"
     "CREATE TABLE queue_lane (lane SMALLINT PRIMARY KEY, owner {name} NOT NULL, leased_until BIGINT NOT "
     "NULL)"
     "{busy};\n"
     "INSERT INTO queue_lane SELECT a.n * 8 + b.n, '', 0 FROM " EIGHT " AS a(n) CROSS JOIN " EIGHT
     " AS b(n);\n"},
    {2, "ALTER TABLE command_queue ADD requeues INTEGER NOT NULL DEFAULT 0;\n"},
};

static const Migration MARKS_STEPS[] = {
    {1, "CREATE TABLE queue_mark ("
        " queue_id INTEGER PRIMARY KEY,"
        " state INTEGER NOT NULL," /* 0 locked, 1 settled, 2 dead, 3 released */
        " deliveries INTEGER NOT NULL,"
        " locked_until BIGINT NOT NULL," /* of the writer's monotonic clock: only he can read it */
        " reason TEXT NOT NULL DEFAULT '');\n"
        "CREATE INDEX queue_mark_dead ON queue_mark (queue_id) WHERE state = 2;\n"
        "CREATE TABLE queue_floor (id INTEGER PRIMARY KEY CHECK (id = 1), floor BIGINT NOT NULL);\n"
        "INSERT INTO queue_floor (id, floor) VALUES (1, 0);\n"},
    {2, "ALTER TABLE queue_mark ADD dead_at BIGINT NOT NULL DEFAULT 0;\n"},
};

bool queue_migrate(Db *queue, Err *err) {
    return migrate(queue, "queue", QUEUE_STEPS, COUNT(QUEUE_STEPS), err);
}
bool queue_marks_migrate(Db *marks, Err *err) {
    return migrate(marks, "marks", MARKS_STEPS, COUNT(MARKS_STEPS), err);
}

static bool make_folder(const char *home, char folder[512], Err *err) {
    int len = snprintf(folder, 512, "%s/db", home);
    if (len < 0 || len > 512 - 40) return err_set(err, &ERR_CONFIG, "the home's path is too long");
    return mkdir(folder, 0700) == 0 || errno == EEXIST || err_set_errno(err, &ERR_CONFIG, errno, "folder db");
}

static bool in_home(const char *home, QueuePlace *ret, Err *err) {
    char folder[512];
    if (!make_folder(home, folder, err)) return false;
    snprintf(ret->queue, sizeof ret->queue, "sqlite:%.480s/queue.db", folder);
    snprintf(ret->marks, sizeof ret->marks, "sqlite:%.480s/queue-marks.db", folder);
    return true;
}

static bool on_server(const char *db, QueuePlace *ret, Err *err) {
    if (strlen(db) >= sizeof ret->queue)
        return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: the url is too long");
    snprintf(ret->queue, sizeof ret->queue, "%s", db);
    return ret->server = true;
}

static bool on_broker(const char *url, const char *home, QueuePlace *ret, Err *err) {
    char folder[512];
    if (!amqp_url_parse(url, &ret->amqp, err) || !make_folder(home, folder, err)) return false;
    if (*ret->amqp.subscription) return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: commands are no topic's");
    snprintf(ret->tries, sizeof ret->tries, "%.480s/queue-tries", folder);
    if (*ret->amqp.dead)
        snprintf(ret->dead, sizeof ret->dead, "%s", ret->amqp.dead);
    else
        snprintf(ret->dead, sizeof ret->dead, "sqlite:%.480s/queue-dead.db", folder);
    return ret->broker = true;
}

bool queue_place(const char *url, const char *home, QueuePlace *ret, Err *err) {
    *ret = (QueuePlace){0};
    if (amqp_url_is(url)) return on_broker(url, home, ret, err);
    if (strncmp(url, "sql:", 4) != 0)
        return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: this engine is not built in");
    const char *db = url + 4;
    if (!*db) return in_home(home, ret, err);
    if (strncmp(db, "sqlite:", 7) != 0) return on_server(db, ret, err);
    size_t stem = strlen(db) - (span_ends(span_of(db), SPAN(".db")) ? 3 : 0);
    if (stem > sizeof ret->marks - 16) return err_set(err, &ERR_CONFIG, "EVENTS_QUEUE: the path is too long");
    snprintf(ret->queue, sizeof ret->queue, "%s", db);
    snprintf(ret->marks, sizeof ret->marks, "%.*s-marks.db", (int)stem, db);
    return true;
}
