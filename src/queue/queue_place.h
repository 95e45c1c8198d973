/* Where the queue is: tables in two files of SQLite, each with one writer, or all together on a server; or a
 * broker, and beside it tables for its dead letters. */
#pragma once
#include "amqp/amqp_url.h"
#include "db/db.h"

typedef struct QueuePlace {
    bool server, broker;
    char queue[600], marks[600]; /* urls; of a server only the first */
    AmqpUrl amqp;                /* of a broker */
    char dead[600], tries[600];  /* of a broker: url of the dead letters' tables, path of the tries' file */
} QueuePlace;

/* url "sql:", "sql:sqlite:PATH" or "sql:" and a server's url, or "amqp://..." (amqp_url.h). Makes the folder
 * <home>/db where it lacks. */
bool queue_place(const char *url, const char *home, QueuePlace *ret, Err *err);
bool queue_migrate(Db *queue, Err *err);
bool queue_marks_migrate(Db *marks, Err *err);

/* Files: queue_mark.state */
enum { MARK_LOCKED, MARK_SETTLED, MARK_DEAD, MARK_RELEASED };
