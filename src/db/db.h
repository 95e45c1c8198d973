/* SQL over ODBC: one connection, used by one thread at a time. The only room that includes sql.h.
 *
 * Three dialects: SQLite (WAL, synchronous=FULL, one writer a file), PostgreSQL, and T-SQL, which is written
 * down (sqlserver.c says what it lacks). Autocommit is on and transactions are statements of our own.
 * Statements are prepared once per connection and text. A Stmt remembers its first failure: binds become
 * no-ops and stmt_run() reports it. Values never reach an error message: only SQLSTATE, native code and the
 * constraint's name. Every call ends within the time-outs of the connection: a lock is waited for 2 s
 * (SQLite) or 5 s, a statement may take 30 s, a silent server is given up after 10 s. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct Db Db;
typedef struct Stmt Stmt;

typedef enum DbDialect { DB_SQLITE, DB_POSTGRESQL, DB_SQLSERVER } DbDialect;
typedef struct DbOptions {
    bool read_only;
    bool relaxed;    /* commits are not synced: only for what may be lost or redone after a power cut */
    int64_t busy_ms; /* how long a lock is waited for; 0: 2000 (SQLite), 5000 */
} DbOptions;

/* url: "sqlite:PATH" (the folder must exist; the file is made), "postgresql://user:password@host:port/name"
 * (options: sslmode, sslrootcert, sslcert, sslkey; host for the folder of a Unix socket), "sqlserver://...",
 * or a raw ODBC connection string with Driver=. */
bool db_open(const char *url, DbOptions options, Db **ret, Err *err);
/* The same again and again, with longer and longer pauses, while the engine cannot be reached: until wait_ms
 * are over, or stop() (may be NULL) says so. */
bool db_open_patiently(const char *url, DbOptions options, int64_t wait_ms, bool (*stop)(void *user),
                       void *user, Db **ret, Err *err);
Db *db_free(Db *db);
AUTO_FREE(Db, db_free)
DbDialect db_dialect(const Db *db);
/* Makes the tables of another SQLite file readable (only) as `name.table`; db_begin() takes no lock of that
 * file. ERR_DB_DOWN where the file is not there yet. */
bool db_attach(Db *db, const char *url, const char *name, Err *err);

/* A whole statement that differs between the engines; of one that is NULL the first form serves. */
typedef struct SqlText {
    const char *sqlite, *postgresql, *sqlserver;
} SqlText;
const char *db_text(const Db *db, const SqlText *text);
/* Adds those rows (VALUES ..., or a query) whose key, one of the columns, is not there yet. T-SQL knows no ON CONFLICT:
 * there the key is looked for under a lock of its range, which keeps others from adding it meanwhile. */
#define SQL_ADD_NEW(table, key, columns, rows)                                                               \
    {                                                                                                        \
        .sqlite = "INSERT INTO " table " (" columns ") " rows " ON CONFLICT (" key ") DO NOTHING",           \
        .sqlserver = "INSERT INTO " table " (" columns ") SELECT " columns " FROM (SELECT *, row_number()"   \
                     " OVER (PARTITION BY " key " ORDER BY " key ") AS turn FROM (" rows ") AS r(" columns   \
                     ")) AS n WHERE turn = 1 AND NOT EXISTS (SELECT 1 FROM " table                           \
                     " AS t WITH (UPDLOCK, HOLDLOCK) WHERE t." key " = n." key ")"                           \
    }
/* Is there a table of this name, made by whom ever? ERR_DB_DOWN where its owner has not made it yet. */
bool db_has_table(Db *db, const char *name, Err *err);

/* SQL texts everywhere may hold words in braces that stand for each engine's own (words.c). */
bool db_execute(Db *db, const char *sql, Err *err); /* no parameters, no rows; not for hot paths */
bool db_begin(Db *db, Err *err);                    /* a writer's transaction: takes the write lock at once */
bool db_begin_read(Db *db, Err *err);               /* a reader's: one state of the data until it ends */
/* A failed commit has rolled back, or nobody knows: where the connection broke in the middle of it. */
bool db_commit(Db *db, Err *err);
void db_rollback(Db *db); /* no transaction open: no effect */
bool db_in_transaction(const Db *db);
/* After an error that may have broken the connection, and where it is not current: opens it again if needed.
 * A server that is down is not knocked at each time: in between the answer is ERR_DB_DOWN at once. */
bool db_recover(Db *db, Err *err);
/* False where SQLite's file has been replaced or removed since it was opened (a restored backup): reads would
 * go on seeing the old one. Costs one stat(). */
bool db_is_current(const Db *db);

/* The prepared statement for this text, ready for binds: cached by the connection, never freed by the caller,
 * valid until the next db_statement() with the same text. */
Stmt *db_statement(Db *db, const char *sql);
/* Parameters count from 1. Spans must live until stmt_run() has returned. at == NULL binds NULL. */
void stmt_bind_int(Stmt *s, int index, int64_t value);
void stmt_bind_text(Stmt *s, int index, Span value); /* UTF-8; a NUL inside is ERR_INVALID */
/* Bytes are for keeping and not for comparing: those without a NUL are a text to SQLite's own functions. */
void stmt_bind_blob(Stmt *s, int index, Span value);
void stmt_bind_null(Stmt *s, int index);
/* Executes. *changed (may be NULL) gets the rows inserted, updated or deleted. A violated unique constraint
 * is ERR_DUPLICATE, a lock that could not be had ERR_DB_BUSY, a lost connection ERR_DB_DOWN. */
bool stmt_run(Stmt *s, int64_t *changed, Err *err);
/* After stmt_run(): moves to the next row; false at the end or on an error (look at err->kind). */
bool stmt_row(Stmt *s, Err *err);
/* Columns count from 0; read them in ascending order. Spans live until the next stmt_row() or db_statement().
 */
int64_t stmt_int(Stmt *s, int column);
Span stmt_text(Stmt *s, int column);
Span stmt_blob(Stmt *s, int column);
bool stmt_is_null(Stmt *s, int column);
void stmt_done(Stmt *s); /* closes the cursor early; db_statement() does it too */
