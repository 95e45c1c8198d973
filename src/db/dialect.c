/* dialect.c - SQLite by libsqliteodbc, PostgreSQL by psqlodbc.
 *
 * libsqliteodbc gives HY000 for nearly everything, so SQLite's errors are told by the native code (the low
 * byte of SQLite's result code), and a violated unique constraint by the fixed words in front of the column
 * names. PostgreSQL gives true SQLSTATEs. Both drivers' texts may hold values of the row; only names are
 * taken out of them. */
#include "db/dialect.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

enum { DEFAULT_BUSY_MS = 2000 };

/* What may pass by itself, or by an operator's hand, is BUSY or DOWN: it must never be taken for a fault of
 * the command or event that happened to meet it. A file that is read-only shows itself only at the first
 * write, because BEGIN IMMEDIATE succeeds there. */
static const struct {
    int code;
    const ErrKind *kind;
    const char *words;
} SQLITE_CODES[] = {
    {3, &ERR_DB_DOWN, "access denied"},
    {5, &ERR_DB_BUSY, "locked by another process"},
    {6, &ERR_DB_BUSY, "locked"},
    {7, &ERR_DB_DOWN, "out of memory"},
    {8, &ERR_DB_DOWN, "read-only"},
    {10, &ERR_DB_DOWN, "input/output error"},
    {11, &ERR_DB_DOWN, "the file is damaged"},
    {13, &ERR_DB_DOWN, "the disk is full"},
    {14, &ERR_DB_DOWN, "the file cannot be opened"},
    {15, &ERR_DB_BUSY, "locked by another process"},
    {18, &ERR_TOO_LARGE, "too large"},
    {26, &ERR_DB_DOWN, "the file is no database"},
};

static size_t sqlite_code(const Diagnosis *d) {
    size_t i = 0;
    while (i < COUNT(SQLITE_CODES) && SQLITE_CODES[i].code != (d->native & 0xff)) i++;
    return i;
}

static const ErrKind *sqlite_classify(const Diagnosis *d) {
    size_t i = sqlite_code(d);
    if (i < COUNT(SQLITE_CODES)) return SQLITE_CODES[i].kind;
    bool unique = strstr(d->text, "UNIQUE constraint failed") || strstr(d->text, "PRIMARY KEY");
    if ((d->native & 0xff) == 19 && unique)
        return &ERR_DUPLICATE; /* NOT NULL and CHECK are our own mistakes */
    return strncmp(d->state, "08", 2) == 0 ? &ERR_DB_DOWN : &ERR_INTERNAL;
}

static const char *sqlite_explain(const Diagnosis *d) {
    size_t i = sqlite_code(d);
    return i < COUNT(SQLITE_CODES) ? SQLITE_CODES[i].words : "";
}

static Span sqlite_constraint(const Diagnosis *d) {
    static const char MARK[] = "constraint failed: ";
    const char *at = strstr(d->text, MARK);
    if (!at) return SPAN_NONE;
    at += sizeof MARK - 1;
    return span_bytes(at, strcspn(at, "("));
}

static const ErrKind *postgresql_classify(const Diagnosis *d) {
    static const struct {
        const char *start; /* of the SQLSTATE */
        const ErrKind *kind;
    } KINDS[] = {
        {"23505", &ERR_DUPLICATE}, {"40", &ERR_DB_BUSY},   {"55P03", &ERR_DB_BUSY}, {"57014", &ERR_DB_BUSY},
        {"HYT", &ERR_DB_BUSY},     {"08", &ERR_DB_DOWN},   {"53", &ERR_DB_DOWN},    {"57", &ERR_DB_DOWN},
        {"58", &ERR_DB_DOWN},      {"54", &ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (strncmp(d->state, KINDS[i].start, strlen(KINDS[i].start)) == 0) return KINDS[i].kind;
    return &ERR_INTERNAL;
}

static Span postgresql_constraint(const Diagnosis *d) {
    static const char MARK[] = "constraint \"";
    const char *at = strstr(d->text, MARK);
    if (!at) return SPAN_NONE;
    at += sizeof MARK - 1;
    return span_bytes(at, strcspn(at, "\""));
}

/* SQLSTATEs speak for themselves. */
static const char *postgresql_explain(const Diagnosis *d) {
    (void)d;
    return "";
}

const Dialect DIALECT_SQLITE = {.id = DB_SQLITE,
                                .begin = "BEGIN IMMEDIATE",
                                .probe = "SELECT count(*) FROM sqlite_schema",
                                .classify = sqlite_classify,
                                .explain = sqlite_explain,
                                .constraint = sqlite_constraint};
const Dialect DIALECT_POSTGRESQL = {.id = DB_POSTGRESQL,
                                    .begin = "BEGIN",
                                    .probe = "SELECT 1",
                                    .classify = postgresql_classify,
                                    .explain = postgresql_explain,
                                    .constraint = postgresql_constraint};

/* Drivers are named by path, so that no odbcinst.ini of the machine has a say. */
static bool find_driver(const char *file, Buf *out, Err *err) {
    static const char *const FOLDERS[] = {"/usr/lib/*/odbc/", "/usr/lib/odbc/", "/usr/lib64/",
                                          "/usr/local/lib/"};
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        char pattern[128];
        snprintf(pattern, sizeof pattern, "%s%s", FOLDERS[i], file);
        glob_t found;
        if (glob(pattern, 0, NULL, &found) != 0) continue;
        buf_text(out, found.gl_pathv[0]);
        globfree(&found);
        return true;
    }
    return err_set(err, &ERR_CONFIG, "the ODBC driver %s is not installed", file);
}

bool dialect_sqlite_path(const char *url, const char **path, Err *err) {
    static const char SCHEME[] = "sqlite:";
    if (strncmp(url, SCHEME, sizeof SCHEME - 1) != 0)
        return err_set(err, &ERR_CONFIG, "not a sqlite: database");
    *path = url + sizeof SCHEME - 1;
    if (!**path) return err_set(err, &ERR_CONFIG, "sqlite: needs a path");
    /* ; and {} are syntax of connection strings, the driver knows no escape for them */
    if (strpbrk(*path, ";{}")) return err_set(err, &ERR_CONFIG, "a database path must not contain ; { or }");
    return true;
}

static bool sqlite_connection(const char *url, const DbOptions *options, Buf *out, Err *err) {
    const char *path;
    if (!dialect_sqlite_path(url, &path, err)) return false;
    /* the driver would make an empty file, which the owner's program has yet to fill */
    if (options->read_only && access(path, R_OK) != 0)
        return err_set_errno(err, &ERR_DB_DOWN, errno, "database file");
    buf_text(out, "Driver=");
    if (!find_driver("libsqlite3odbc.so", out, err)) return false;
    /* Timeout bounds the driver's own retry loop too (100 s otherwise); SyncPragma's default is NORMAL */
    buf_printf(out, ";Database=%s;Timeout=%lld;", path,
               (long long)(options->busy_ms ? options->busy_ms : DEFAULT_BUSY_MS));
    if (!options->read_only)
        buf_printf(out, "JournalMode=WAL;SyncPragma=%s;", options->relaxed ? "NORMAL" : "FULL");
    return true;
}

bool dialect_connection(const char *url, const DbOptions *options, const Dialect **dialect, Buf *out,
                        Err *err) {
    if (strncmp(url, "sqlite:", 7) == 0) {
        *dialect = &DIALECT_SQLITE;
        return sqlite_connection(url, options, out, err);
    }
    if (!strchr(url, '='))
        return err_set(err, &ERR_CONFIG, "a database is sqlite:PATH or an ODBC connection string");
    *dialect = strstr(url, "sqlite") ? &DIALECT_SQLITE : &DIALECT_POSTGRESQL;
    buf_text(out, url);
    return true;
}
