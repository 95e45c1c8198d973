/* sqlite.c - SQLite by libsqliteodbc.
 *
 * libsqliteodbc gives HY000 for nearly everything, so errors are told by the native code (the low byte of
 * SQLite's result code), and a violated unique constraint by the fixed words in front of the column names.
 * The texts may hold values of the row; only names are taken out of them. */
#include "db/dialect.h"

#include <errno.h>
#include <unistd.h>

enum { DEFAULT_BUSY_MS = 2000 };

/* What may pass by itself, or by an operator's hand, is BUSY or DOWN: it must never be taken for a fault of
 * the command or event that happened to meet it. A file that is read-only shows itself only at the first
 * write, because BEGIN IMMEDIATE succeeds there. */
static const struct {
    int code;
    const ErrKind *kind;
    const char *words;
} CODES[] = {
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

static size_t code_of(const Diagnosis *d) {
    size_t i = 0;
    while (i < COUNT(CODES) && CODES[i].code != (d->native & 0xff)) i++;
    return i;
}

static const ErrKind *classify(const Diagnosis *d) {
    size_t i = code_of(d);
    if (i < COUNT(CODES)) return CODES[i].kind;
    bool unique = strstr(d->text, "UNIQUE constraint failed") || strstr(d->text, "PRIMARY KEY");
    if ((d->native & 0xff) == 19 && unique)
        return &ERR_DUPLICATE; /* NOT NULL and CHECK are our own mistakes */
    return strncmp(d->state, "08", 2) == 0 ? &ERR_DB_DOWN : &ERR_INTERNAL;
}

static const char *explain(const Diagnosis *d) {
    size_t i = code_of(d);
    return i < COUNT(CODES) ? CODES[i].words : "";
}

static Span constraint(const Diagnosis *d) {
    static const char MARK[] = "constraint failed: ";
    const char *at = strstr(d->text, MARK);
    if (!at) return SPAN_NONE;
    at += sizeof MARK - 1;
    return span_bytes(at, strcspn(at, "("));
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

static bool connection(const char *url, const DbOptions *options, Buf *out, Err *err) {
    const char *path;
    if (!dialect_sqlite_path(url, &path, err)) return false;
    /* the driver would make an empty file, which the owner's program has yet to fill */
    if (options->read_only && access(path, R_OK) != 0)
        return err_set_errno(err, &ERR_DB_DOWN, errno, "database file");
    if (!dialect_driver("libsqlite3odbc.so", out, err)) return false;
    /* Timeout bounds the driver's own retry loop too (100 s otherwise); SyncPragma's default is NORMAL */
    buf_printf(out, "Database=%s;Timeout=%lld;", path,
               (long long)(options->busy_ms ? options->busy_ms : DEFAULT_BUSY_MS));
    if (!options->read_only)
        buf_printf(out, "JournalMode=WAL;SyncPragma=%s;", options->relaxed ? "NORMAL" : "FULL");
    return true;
}

const Dialect DIALECT_SQLITE = {.id = DB_SQLITE,
                                .begin = "BEGIN IMMEDIATE",
                                .begin_read = "BEGIN",
                                .probe = "SELECT count(*) FROM sqlite_schema",
                                .count_table =
                                    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
                                .blobs_are_hex = true,
                                .classify = classify,
                                .explain = explain,
                                .constraint = constraint,
                                .connection = connection};
