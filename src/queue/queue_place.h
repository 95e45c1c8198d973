/* Where the queue's tables are: in two files of SQLite, each with one writer, or all together on a server. */
#pragma once
#include "db/db.h"

typedef struct QueuePlace {
    bool server;
    char queue[600], marks[600]; /* urls; of a server only the first */
} QueuePlace;

/* url "sql:", "sql:sqlite:PATH" or "sql:" and a server's url. Makes the folder <home>/db where it lacks. */
bool queue_place(const char *url, const char *home, QueuePlace *ret, Err *err);
bool queue_migrate(Db *queue, Err *err);
bool queue_marks_migrate(Db *marks, Err *err);

/* Files: queue_mark.state */
enum { MARK_LOCKED, MARK_SETTLED, MARK_DEAD, MARK_RELEASED };
