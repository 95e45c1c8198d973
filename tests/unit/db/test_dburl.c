#include "db/dialect.h"
#include "kit/test.h"

static const struct {
    const char *url;
    const char *user, *password, *host, *port, *name; /* user NULL: refused */
    const char *first_option;                         /* "key=value" */
} CASES[] = {
    {"postgresql://ada:secret@db.example.org:5433/events", "ada", "secret", "db.example.org", "5433",
     "events", ""},
    {"postgresql://db/events?sslmode=verify-full", "", "", "db", "", "events", "sslmode=verify-full"},
    {"postgresql:///events?host=%2Frun%2Fpg&sslmode=disable", "", "", "", "", "events", "host=/run/pg"},
    {"postgres://ada@[::1]:5432/e", "ada", "", "::1", "5432", "e", ""},
    {"postgres://ada@[::1]/e", "ada", "", "::1", "", "e", ""},
    {"postgresql://a%40b:p%3A%2F%3Fq@h/%7Bn%7D", "a@b", "p:/?q", "h", "", "{n}", ""},
    {"postgresql://a:p@ss:w@h/n", "a", "p@ss:w", "h", "", "n", ""},
    {"postgresql://", "", "", "", "", "", ""},
    {"postgresql:events", NULL},
    {"postgresql://a:%zz@h/n", NULL},
    {"postgresql://a:%4", NULL},
    {"postgresql://a:%00@h/n", NULL},
    {"postgresql://h:0/n", NULL},
    {"postgresql://h:65536/n", NULL},
    {"postgresql://h:x/n", NULL},
    {"postgresql://[::1/n", NULL},
    {"postgresql://[::1]x/n", NULL},
    {"postgresql://h/n?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9", NULL},
};

static void urls(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        DbUrl got;
        Err err = {0};
        bool ok = dburl_parse(CASES[i].url, &got, &err);
        CHECK(ok == (CASES[i].user != NULL));
        if (!ok) CHECK(err_is(&err, &ERR_CONFIG));
        if (!ok || !CASES[i].user) continue;
        CHECK_SPAN(span_of(got.user), CASES[i].user);
        CHECK_SPAN(span_of(got.password), CASES[i].password);
        CHECK_SPAN(span_of(got.host), CASES[i].host);
        CHECK_SPAN(span_of(got.port), CASES[i].port);
        CHECK_SPAN(span_of(got.name), CASES[i].name);
        AUTO_BUF option = {0};
        if (got.option_count) buf_printf(&option, "%s=%s", got.options[0].key, got.options[0].value);
        CHECK_SPAN(buf_view(&option), CASES[i].first_option);
    }
}

/* Which engine, what is in the connection string, and what is refused. */
static const struct {
    const char *url;
    DbDialect dialect;
    const char *part; /* NULL: refused */
} STRINGS[] = {
    {"sqlite:/tmp/a.db", DB_SQLITE, "Database=/tmp/a.db;Timeout=2000;JournalMode=WAL;SyncPragma=FULL;"},
    {"postgresql://ada:a}b;c@h/n", DB_POSTGRESQL, "Pwd={a}}b;c};"},
    {"postgresql://h/n?sslmode=require", DB_POSTGRESQL, "pqopt={sslmode='require' application_name='"},
    {"postgresql://h/n?host=%2Frun%2Fpg", DB_POSTGRESQL, "Servername=/run/pg;"},
    {"Driver=/x/libsqlite3odbc.so;Database=/tmp/a.db", DB_SQLITE,
     "Driver=/x/libsqlite3odbc.so;Database=/tmp/a.db"},
    {"DRIVER={PostgreSQL Unicode};Server=h", DB_POSTGRESQL, "{PostgreSQL Unicode};Server=h;Protocol=7.4-0;"},
    {"Driver={ODBC Driver 18 for SQL Server};Server=h", DB_SQLSERVER, "Server=h"},
    {"postgresql://h/", DB_POSTGRESQL, NULL},
    {"postgresql://h/%7Bn%7D", DB_POSTGRESQL, NULL},
    {"postgresql://h/n?nonsense=1", DB_POSTGRESQL, NULL},
    {"mysql://h/n", DB_SQLITE, NULL},
    {"DSN=events", DB_SQLITE, NULL},
    {"Driver=/x/libmyodbc.so;Server=h", DB_SQLITE, NULL},
    {"", DB_SQLITE, NULL},
};

static void connection_strings(void) {
    for (size_t i = 0; i < COUNT(STRINGS); i++) {
        AUTO_BUF got = {0};
        Err err = {0};
        const Dialect *dialect = NULL;
        bool ok = dialect_connection(STRINGS[i].url, &(DbOptions){0}, &dialect, &got, &err);
        buf_byte(&got, 0);
        CHECK(ok == (STRINGS[i].part != NULL));
        if (!ok) {
            CHECK(err_is(&err, &ERR_CONFIG) && !strstr(err.why, "secret"));
            continue;
        }
        CHECK(dialect->id == STRINGS[i].dialect);
        if (STRINGS[i].part && !strstr(got.at, STRINGS[i].part)) printf("\n    %s", got.at);
        CHECK(STRINGS[i].part && strstr(got.at, STRINGS[i].part));
    }
}

static const struct {
    DbDialect dialect;
    const char *sql, *want;
} TEXTS[] = {
    {DB_SQLITE, "SELECT 1", "SELECT 1"},
    {DB_SQLITE, "CREATE TABLE t (a {id}, b {text}){keyed}",
     "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT) WITHOUT ROWID"},
    {DB_POSTGRESQL, "SELECT a FROM t{skipped} ORDER BY a {limit}{free}",
     "SELECT a FROM t ORDER BY a LIMIT ? FOR UPDATE SKIP LOCKED"},
    {DB_SQLSERVER, "SELECT a FROM t{locked} ORDER BY a {limit}{lock}",
     "SELECT a FROM t WITH (UPDLOCK, ROWLOCK) ORDER BY a OFFSET 0 ROWS FETCH NEXT ? ROWS ONLY"},
    {DB_POSTGRESQL, "DELETE FROM t WHERE a {among}", "DELETE FROM t WHERE a = ANY(CAST(? AS BIGINT[]))"},
    {DB_SQLSERVER, "DELETE FROM t WHERE a {among}",
     "DELETE FROM t WHERE a IN (SELECT CAST(value AS BIGINT) FROM string_split(?, ',') WHERE value <> '')"},
    {DB_POSTGRESQL, "FROM t {apply} (SELECT 1) u", "FROM t CROSS JOIN LATERAL (SELECT 1) u"},
    {DB_SQLSERVER, "FROM t {apply} (SELECT 1) u", "FROM t CROSS APPLY (SELECT 1) u"},
    {DB_SQLITE, "{idx}", NULL},
    {DB_SQLITE, "'{\"a\":{}}' {id {limit}", "'{\"a\":{}}' {id LIMIT ?"},
};

static void words(void) {
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        AUTO_BUF got = {0};
        Err err = {0};
        bool ok = words_expand(TEXTS[i].dialect, TEXTS[i].sql, &got, &err);
        CHECK(ok == (TEXTS[i].want != NULL));
        if (ok && TEXTS[i].want) CHECK_SPAN(span_of(got.at), TEXTS[i].want);
    }
}

/* The errors of SQL Server can only be held against its documentation here. */
static const struct {
    const Dialect *dialect;
    Diagnosis diagnosis;
    const ErrKind *kind;
    const char *constraint;
} ERRORS[] = {
    {&DIALECT_POSTGRESQL,
     {"23505", 1, "violates unique constraint \"t_pkey\"; Key (a)=(x)"},
     &ERR_DUPLICATE,
     "t_pkey"},
    {&DIALECT_POSTGRESQL, {"40P01", 1, ""}, &ERR_DB_BUSY, ""},
    {&DIALECT_POSTGRESQL, {"57P01", 1, ""}, &ERR_DB_DOWN, ""},
    {&DIALECT_POSTGRESQL, {"53100", 1, ""}, &ERR_DB_DOWN, ""},
    {&DIALECT_POSTGRESQL, {"HY000", 1, "server closed the connection unexpectedly"}, &ERR_DB_DOWN, ""},
    {&DIALECT_POSTGRESQL, {"42601", 1, ""}, &ERR_INTERNAL, ""},
    {&DIALECT_SQLSERVER,
     {"23000", 2627, "Violation of PRIMARY KEY constraint 'PK_t'. The duplicate key value is (x)."},
     &ERR_DUPLICATE,
     "PK_t"},
    {&DIALECT_SQLSERVER, {"40001", 1205, ""}, &ERR_DB_BUSY, ""},
    {&DIALECT_SQLSERVER, {"HY000", 40613, ""}, &ERR_DB_DOWN, ""},
    {&DIALECT_SQLSERVER, {"42000", 102, ""}, &ERR_INTERNAL, ""},
};

static void errors(void) {
    for (size_t i = 0; i < COUNT(ERRORS); i++) {
        CHECK(ERRORS[i].dialect->classify(&ERRORS[i].diagnosis) == ERRORS[i].kind);
        CHECK_SPAN(ERRORS[i].dialect->constraint(&ERRORS[i].diagnosis), ERRORS[i].constraint);
    }
}

SUITE("dialects", TEST(urls), TEST(connection_strings), TEST(words), TEST(errors));
