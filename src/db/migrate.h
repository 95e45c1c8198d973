/* Numbered, forward-only steps that make a database's tables. */
#pragma once
#include "db/db.h"

typedef struct Migration {
    int number;      /* 1, 2, 3 ... */
    const char *sql; /* statements, each ended by ";\n" */
} Migration;

/* Brings the database up to the last step, in one transaction. Refuses (ERR_CONFIG) a database that is newer,
 * or somebody else's. */
bool migrate(Db *db, const Migration *steps, size_t count, Err *err);
