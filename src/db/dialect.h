/* What differs between the engines behind ODBC: how to connect, how transactions begin, what an error means,
 * and the words that stand in our texts for each engine's own (words.c). Inside db/ only. */
#pragma once
#include "base/buf.h"
#include "db/db.h"

typedef struct Diagnosis {
    char state[6]; /* SQLSTATE */
    int native;
    const char *text; /* the driver's words: may quote data, so only the dialects read it */
} Diagnosis;

typedef struct Dialect {
    DbDialect id;
    const char *begin;          /* takes the write lock at once where the engine has one */
    const char *begin_read;     /* all reads until the end see one state */
    const char *rollback;       /* NULL: ROLLBACK */
    const char *probe;          /* fails where the connection or the file is lost */
    const char *set_up;         /* for each new connection; NULL: nothing */
    const char *count_table;    /* how many tables have the name of the one parameter? */
    const char *migration_lock; /* statements that wait until no other runner is in its transaction; NULL:
                                   begin does it */
    bool remote;                /* a server: connecting to one that is down wants pauses */
    bool blobs_are_hex;         /* the driver has a blob as text: X'0A1B' */
    bool wide_texts;            /* parameters of text are sent as UTF-16, which is lossless everywhere */
    bool prepares_procedures;   /* a prepared statement is one: it cannot begin or end a transaction */
    bool spoils;                /* one failed statement makes its whole transaction fail */
    const ErrKind *(*classify)(const Diagnosis *d);
    const char *(*explain)(const Diagnosis *d); /* a few plain words; "" where the codes say enough */
    /* The constraint's name, without the row's values; empty where none is told. */
    Span (*constraint)(const Diagnosis *d);
    /* Appends the ODBC connection string of a url. */
    bool (*connection)(const char *url, const DbOptions *options, Buf *out, Err *err);
} Dialect;

extern const Dialect DIALECT_SQLITE, DIALECT_POSTGRESQL, DIALECT_SQLSERVER;

/* Appends the ODBC connection string that belongs to a url and tells the dialect. */
bool dialect_connection(const char *url, const DbOptions *options, const Dialect **dialect, Buf *out,
                        Err *err);
/* Appends "Driver=PATH;" of the driver with this file name. */
bool dialect_driver(const char *file, Buf *out, Err *err);
/* The path of "sqlite:PATH"; ERR_CONFIG where the url is another engine's or the path cannot be passed on. */
bool dialect_sqlite_path(const char *url, const char **path, Err *err);
/* Appends a text with {words} in this dialect's own; NUL-terminated. An unknown word is a defect. */
bool words_expand(DbDialect dialect, const char *sql, Buf *out, Err *err);

/* The first rule whose start fits the SQLSTATE; `otherwise` where none does. */
typedef struct StateKind {
    const char *start;
    const ErrKind *kind;
} StateKind;
const ErrKind *dialect_by_state(const StateKind *kinds, size_t count, const char *state,
                                const ErrKind *otherwise);

/* "scheme://user:password@host:port/name?key=value&..." taken apart, percent-decoded. */
enum { URL_OPTIONS_MAX = 8 };
typedef struct DbUrl {
    char user[128], password[256], host[256], port[8], name[128];
    struct {
        char key[32], value[256];
    } options[URL_OPTIONS_MAX];
    size_t option_count;
} DbUrl;
/* ERR_CONFIG, which names no part of the url but the option at fault. */
bool dburl_parse(const char *url, DbUrl *ret, Err *err);
/* Appends "Name=value;", nothing where the value is empty. Drivers take braces off only where they expect
 * them: psqlodbc from the password and pqopt. The other values must do without ; { and } (else ERR_CONFIG).
 */
bool dburl_plain(Buf *out, const char *name, const char *value, Err *err);
void dburl_braced(Buf *out, const char *name, const char *value);
