/* What db.c and stmt.c share. Inside db/ only. */
#pragma once
#include "base/map.h"
#include "db/dialect.h"

#include <sql.h>
#include <sqlext.h>
#include <sys/types.h>

enum { ATTACHED_MAX = 4 };

typedef struct Attached {
    char *url, *name;
} Attached;

/* Which file a path has led to. */
typedef struct FileId {
    dev_t device;
    ino_t number;
} FileId;

struct Db {
    const Dialect *dialect;
    char *url;
    DbOptions options;
    SQLHDBC connection;
    bool connected;
    FileId file; /* of SQLite, as it was when the connection was made */
    bool in_transaction;
    bool spoiled;      /* a statement of it has failed, on an engine where COMMIT would now roll back */
    unsigned failures; /* of connecting to a server, in a row */
    int64_t retry_us;  /* monotonic; no try before */
    Map *statements;   /* SQL text -> Stmt */
    Attached attached[ATTACHED_MAX];
    size_t attached_count;
};

/* Reads the diagnosis of a handle into err; sql (may be NULL) tells which statement it was. Always false. */
bool db_fault(const Db *db, SQLSMALLINT handle_type, SQLHANDLE handle, const char *sql, Err *err);
/* The same for a statement: in a transaction it may be the end of that. */
bool db_statement_fault(Db *db, SQLHANDLE handle, const char *sql, Err *err);
/* A statement that has succeeded all the same: the way back to a savepoint mends the transaction. */
static inline void db_unspoil(Db *db, const char *sql) {
    if (strncmp(sql, "ROLLBACK TO", 11) == 0) db->spoiled = false;
}
Stmt *stmt_free(Stmt *s);
