/* db.c - connections and transactions.
 *
 * Promise:   one connection, one thread at a time; a transaction is opened and ended by statements of our
 *            own, with the driver's autocommit left on. libsqliteodbc's manual mode begins deferred
 *            transactions, and a read that turns into a write there waits in a sleep loop for a lock that
 *            it can never get.
 * Faults:    db_fault() is the one place where a driver's error becomes an Err. It takes the class,
 *            SQLSTATE, native code and the constraint's name, and the start of the SQL text (which is ours
 *            and holds no data).
 * Recovery:  after DB_DOWN the connection is thrown away and made anew by db_recover(), with what was
 *            attached. So is one whose file has been replaced under its path: SQLite would go on reading
 *            the file that has no name any more. */
#include "db/inside.h"

#include "base/clock.h"
#include "base/uuid.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LOGIN_SECONDS = 5, PAUSE_FIRST_US = 50000, PAUSE_MOST_US = 5000000 };

static SQLHENV environment;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void make_environment(void) {
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment))) abort();
    SQLSetEnvAttr(environment, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
}

bool db_fault(const Db *db, SQLSMALLINT handle_type, SQLHANDLE handle, const char *sql, Err *err) {
    SQLCHAR state[6] = "HY000", text[1024] = "";
    SQLINTEGER native = 0;
    SQLSMALLINT len;
    SQLGetDiagRec(handle_type, handle, 1, state, &native, text, sizeof text, &len);
    Diagnosis d = {.native = (int)native, .text = (const char *)text};
    memcpy(d.state, state, sizeof d.state);
    Span name = span_trim(db->dialect->constraint(&d));
    const char *words = db->dialect->explain(&d);
    int part = sql ? (int)strcspn(sql, "\n") : 0;
    return err_set(err, db->dialect->classify(&d), "database: %s%s%s/%d%s%.*s%s%.*s", words,
                   *words ? ", " : "", d.state, d.native, name.len ? ", constraint " : "", SPAN_ARGS(name),
                   sql ? ", at " : "", part > 60 ? 60 : part, sql ? sql : "");
}

bool db_statement_fault(Db *db, SQLHANDLE handle, const char *sql, Err *err) {
    if (db->in_transaction && db->dialect->spoils) db->spoiled = true;
    return db_fault(db, SQL_HANDLE_STMT, handle, sql, err);
}

static bool attach(Db *db, const Attached *a, Err *err) {
    const char *path;
    if (!dialect_sqlite_path(a->url, &path, err)) return false;
    if (access(path, R_OK) != 0)
        return err_set(err, &ERR_DB_DOWN, "the database file to attach is not there");
    AUTO_BUF sql = {0};
    buf_text(&sql, "ATTACH DATABASE 'file:");
    for (const char *c = path; *c; c++) {
        if (strchr("%?#'", *c))
            buf_printf(&sql, "%%%02x", (unsigned char)*c);
        else
            buf_byte(&sql, *c);
    }
    /* Read-only, because BEGIN IMMEDIATE takes the write lock of every attached file that it may write to. */
    buf_printf(&sql, "?mode=ro' AS %s", a->name);
    buf_byte(&sql, 0);
    return db_execute(db, sql.at, err);
}

static bool set_up(Db *db, Err *err) {
    if (db->dialect->set_up && !db_execute(db, db->dialect->set_up, err)) return false;
    if (db->dialect->id != DB_SQLITE) return true;
    if (db->options.read_only && !db_execute(db, "PRAGMA query_only=ON", err)) return false;
    for (size_t i = 0; i < db->attached_count; i++)
        if (!attach(db, &db->attached[i], err)) return false;
    return true;
}

/* Zeros where the engine has no file, or the file is not there. */
static FileId file_of(const Db *db) {
    struct stat file;
    const char *path;
    Err none = {0};
    if (db->dialect->id != DB_SQLITE || !dialect_sqlite_path(db->url, &path, &none) || stat(path, &file))
        return (FileId){0};
    return (FileId){.device = file.st_dev, .number = file.st_ino};
}

bool db_is_current(const Db *db) {
    FileId file = file_of(db);
    return file.device == db->file.device && file.number == db->file.number;
}

static bool connect_again(Db *db, Err *err) {
    AUTO_BUF string = {0};
    if (!dialect_connection(db->url, &db->options, &db->dialect, &string, err)) return false;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, environment, &db->connection)))
        return err_set(err, &ERR_DB_DOWN, "no ODBC connection handle");
    SQLSetConnectAttr(db->connection, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)(uintptr_t)LOGIN_SECONDS, 0);
    buf_byte(&string, 0); /* psqlodbc looks for it, whatever length is told */
    SQLRETURN rc = SQLDriverConnect(db->connection, NULL, (SQLCHAR *)string.at, SQL_NTS, NULL, 0, NULL,
                                    SQL_DRIVER_NOPROMPT);
    if (!SQL_SUCCEEDED(rc)) {
        Err fault = {0};
        db_fault(db, SQL_HANDLE_DBC, db->connection, NULL, &fault);
        return err_set(err, &ERR_DB_DOWN, "cannot connect: %.150s", fault.why);
    }
    db->connected = true;
    db->file = file_of(db);
    return set_up(db, err);
}

static void disconnect(Db *db) {
    Span key;
    void *value;
    for (size_t at = 0; map_next(db->statements, &at, &key, &value);) stmt_free(value);
    map_free(db->statements);
    db->statements = map_new();
    if (db->connected) SQLDisconnect(db->connection);
    if (db->connection) SQLFreeHandle(SQL_HANDLE_DBC, db->connection);
    db->connection = NULL;
    db->connected = db->in_transaction = db->spoiled = false;
}

/* Full jitter: anything up to a bound that doubles. */
static int64_t pause_us(unsigned failures) {
    int64_t bound = PAUSE_FIRST_US;
    for (unsigned i = 1; i < failures && bound < PAUSE_MOST_US; i++) bound *= 2;
    uint32_t random;
    random_bytes(&random, sizeof random);
    return 1 + random % (bound < PAUSE_MOST_US ? bound : PAUSE_MOST_US);
}

bool db_open(const char *url, DbOptions options, Db **ret, Err *err) {
    pthread_once(&environment_once, make_environment);
    AUTO(Db) db = must(calloc(1, sizeof *db));
    db->url = must(strdup(url));
    db->options = options;
    db->statements = map_new();
    if (!connect_again(db, err)) return false;
    *ret = db;
    db = NULL;
    return true;
}

bool db_open_patiently(const char *url, DbOptions options, int64_t wait_ms, bool (*stop)(void *user),
                       void *user, Db **ret, Err *err) {
    int64_t end = clock_mono_us() + wait_ms * 1000;
    for (unsigned failures = 1;; failures++) {
        err_clear(err);
        if (db_open(url, options, ret, err)) return true;
        if (!err->kind->retry || clock_mono_us() >= end || (stop && stop(user))) return false;
        clock_sleep_ms(pause_us(failures) / 1000 + 1);
    }
}

Db *db_free(Db *db) {
    if (!db) return NULL;
    if (db->connected) db_rollback(db);
    disconnect(db);
    map_free(db->statements);
    for (size_t i = 0; i < db->attached_count; i++) free(db->attached[i].url), free(db->attached[i].name);
    free(db->url);
    free(db);
    return NULL;
}

DbDialect db_dialect(const Db *db) {
    return db->dialect->id;
}

const char *db_text(const Db *db, const SqlText *text) {
    const char *const forms[] = {
        [DB_SQLITE] = text->sqlite, [DB_POSTGRESQL] = text->postgresql, [DB_SQLSERVER] = text->sqlserver};
    const char *form = forms[db->dialect->id];
    return form ? form : text->sqlite;
}

bool db_has_table(Db *db, const char *name, Err *err) {
    Stmt *s = db_statement(db, db->dialect->count_table);
    stmt_bind_text(s, 1, span_of(name));
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    bool there = stmt_int(s, 0) > 0;
    stmt_done(s);
    return there || err_set(err, &ERR_DB_DOWN, "the table %s has not been made yet", name);
}

bool db_attach(Db *db, const char *url, const char *name, Err *err) {
    if (db->attached_count == ATTACHED_MAX) return err_set(err, &ERR_INTERNAL, "too many attached databases");
    Attached a = {must(strdup(url)), must(strdup(name))};
    if (!attach(db, &a, err)) {
        free(a.url), free(a.name);
        return false;
    }
    db->attached[db->attached_count++] = a;
    return true;
}

bool db_execute(Db *db, const char *sql, Err *err) {
    AUTO_BUF expanded = {0};
    if (!db->connected) return err_set(err, &ERR_DB_DOWN, "database: not connected");
    if (!words_expand(db->dialect->id, sql, &expanded, err)) return false;
    SQLHSTMT handle;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, db->connection, &handle)))
        return db_fault(db, SQL_HANDLE_DBC, db->connection, sql, err);
    SQLRETURN rc = SQLExecDirect(handle, (SQLCHAR *)expanded.at, SQL_NTS);
    bool ok = SQL_SUCCEEDED(rc) || rc == SQL_NO_DATA || db_statement_fault(db, handle, sql, err);
    SQLFreeHandle(SQL_HANDLE_STMT, handle);
    if (ok) db_unspoil(db, sql);
    return ok;
}

static bool run(Db *db, const char *sql, Err *err) {
    return db->dialect->prepares_procedures ? db_execute(db, sql, err)
                                            : stmt_run(db_statement(db, sql), NULL, err);
}

static bool begin(Db *db, const char *sql, Err *err) {
    if (db->in_transaction) return err_set(err, &ERR_INTERNAL, "database: a transaction is open already");
    if (!run(db, sql, err)) return false;
    db->spoiled = false;
    return db->in_transaction = true;
}

bool db_begin(Db *db, Err *err) {
    return begin(db, db->dialect->begin, err);
}
bool db_begin_read(Db *db, Err *err) {
    return begin(db, db->dialect->begin_read, err);
}

bool db_commit(Db *db, Err *err) {
    if (!db->in_transaction) return err_set(err, &ERR_INTERNAL, "database: no transaction is open");
    if (db->spoiled)
        err_set(err, &ERR_INTERNAL, "database: a statement of the transaction had failed");
    else if (run(db, "COMMIT", err)) {
        db->in_transaction = false;
        return true;
    }
    db_rollback(db);
    return false;
}

void db_rollback(Db *db) {
    if (!db->in_transaction) return;
    /* fails where the engine has rolled back by itself (full disk, I/O error): the end is the same */
    Err ignored = {0};
    run(db, db->dialect->rollback ? db->dialect->rollback : "ROLLBACK", &ignored);
    db->in_transaction = false;
}

bool db_in_transaction(const Db *db) {
    return db->in_transaction;
}

bool db_recover(Db *db, Err *err) {
    if (db->connected) {
        db_rollback(db);
        Err fault = {0};
        bool answers =
            stmt_run(db_statement(db, db->dialect->probe), NULL, &fault) || !err_is(&fault, &ERR_DB_DOWN);
        if (answers && db_is_current(db)) return true;
    }
    disconnect(db);
    int64_t now = clock_mono_us();
    if (now < db->retry_us)
        return err_set(err, &ERR_DB_DOWN, "database: not connected, the next try is due soon");
    bool done = connect_again(db, err);
    db->failures = done || !db->dialect->remote ? 0 : db->failures + 1;
    db->retry_us = db->failures ? now + pause_us(db->failures) : 0;
    if (!done) disconnect(db); /* half-made; statements report DB_DOWN until a later call succeeds */
    return done;
}
