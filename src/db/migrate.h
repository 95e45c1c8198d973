/* Numbered, forward-only steps that make a database's tables. */
#pragma once
#include "db/db.h"

typedef struct Migration {
    int number;            /* 1, 2, 3 ... */
    const char *sql;       /* statements, each ended by ";\n"; the words of words.c stand for what differs */
    const char *on_server; /* NULL: the same. A file has one writer, a server's tables have many: what keeps
                              those apart is there alone */
    const char *on_sqlserver; /* NULL: as on_server */
} Migration;

/* Brings the tables of one part (such as "write") up to its last step, in one transaction that no two runners
 * are in at once. A file of SQLite holds one part; a server's database may hold several. Refuses (ERR_CONFIG)
 * a database that is newer, or somebody else's.
 *
 * Of a connection that is read_only nothing is changed: true where the tables are as this program wants them,
 * ERR_CONFIG where they are newer, ERR_DB_DOWN where steps lack. */
bool migrate(Db *db, const char *part, const Migration *steps, size_t count, Err *err);
