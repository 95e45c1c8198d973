/* The two SQLite files of the queue and their tables. Inside queue/ only. */
#pragma once
#include "db/db.h"

typedef struct QueueFiles {
    char queue[512], marks[512]; /* urls: "sqlite:PATH" */
} QueueFiles;

/* url "sql:" or "sql:sqlite:PATH". Makes the folder <home>/db where it lacks. */
bool queue_files(const char *url, const char *home, QueueFiles *ret, Err *err);
bool queue_migrate(Db *queue, Err *err);
bool queue_marks_migrate(Db *marks, Err *err);
/* Are the tables there? ERR_DB_DOWN where their owner has not made them yet. */
bool queue_has_table(Db *db, const char *table, Err *err);

/* queue_mark.state */
enum { MARK_LOCKED, MARK_SETTLED, MARK_DEAD, MARK_RELEASED };
