/* What differs between the engines behind ODBC: how to connect, how a writer's transaction begins, and what
 * an error means. Inside db/ only. */
#pragma once
#include "base/buf.h"
#include "db/db.h"

typedef struct Diagnosis {
    char state[6]; /* SQLSTATE */
    int native;
    const char *text; /* the driver's words: may quote data, so only dialect.c reads it */
} Diagnosis;

typedef struct Dialect {
    DbDialect id;
    const char *begin; /* takes the write lock at once where the engine has one */
    const char *probe; /* fails where the connection or the file is lost */
    const ErrKind *(*classify)(const Diagnosis *d);
    const char *(*explain)(const Diagnosis *d); /* a few plain words; "" where the codes say enough */
    /* The constraint's name, without the row's values; empty where none is told. */
    Span (*constraint)(const Diagnosis *d);
} Dialect;

extern const Dialect DIALECT_SQLITE, DIALECT_POSTGRESQL;

/* Appends the ODBC connection string that belongs to a url and tells the dialect. */
bool dialect_connection(const char *url, const DbOptions *options, const Dialect **dialect, Buf *out,
                        Err *err);
/* The path of "sqlite:PATH"; ERR_CONFIG where the url is another engine's or the path cannot be passed on. */
bool dialect_sqlite_path(const char *url, const char **path, Err *err);
