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
    Map *statements; /* SQL text -> Stmt */
    Attached attached[ATTACHED_MAX];
    size_t attached_count;
};

/* Reads the diagnosis of a handle into err; sql (may be NULL) tells which statement it was. Always false. */
bool db_fault(const Db *db, SQLSMALLINT handle_type, SQLHANDLE handle, const char *sql, Err *err);
Stmt *stmt_free(Stmt *s);
