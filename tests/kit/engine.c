#include "kit/engine.h"

#include <stdio.h>

enum { URLS_MAX = 512, NAMES_MAX = 64, TEMPLATES_MAX = 8 };
static char urls[URLS_MAX][128];
static size_t url_count;
static DbDialect engine = DB_SQLITE;
static TestPostgres *postgres; /* started by the first suite that runs on it */

static int use_sqlite(void) {
    engine = DB_SQLITE;
    return 0;
}

static int use_postgresql(void) {
    engine = DB_POSTGRESQL;
    if (!postgres) postgres = test_postgres_start();
    return 0;
}

enum { SQLITE, POSTGRESQL };
static const struct {
    const char *name;
    int (*use)(void);
} ENGINES[] = {[SQLITE] = {"sqlite", use_sqlite}, [POSTGRESQL] = {"postgresql", use_postgresql}};

/* Drivers and libpq are not instrumented, so the thread sanitizer has nothing to say about a second engine.
 */
#ifdef __SANITIZE_THREAD__
static const size_t ENGINE_COUNT = 1;
#else
static const size_t ENGINE_COUNT = COUNT(ENGINES);
#endif

/* Names live here, not on the heap: a part of a program forgets the suites that are not its own. */
static void on_engine(size_t i, const char *name, CU_TestInfo *tests) {
    static char names[NAMES_MAX][96];
    static size_t count;
    if (i >= ENGINE_COUNT) return;
    if (count == NAMES_MAX) abort();
    char *full = names[count++];
    snprintf(full, sizeof names[0], "%s on %s", name, ENGINES[i].name);
    test_suite_between(full, tests, ENGINES[i].use, use_sqlite);
}

void test_suite_on_engines(const char *name, CU_TestInfo *tests) {
    for (size_t i = 0; i < COUNT(ENGINES); i++) on_engine(i, name, tests);
}

void test_suite_on_postgresql(const char *name, CU_TestInfo *tests) {
    on_engine(POSTGRESQL, name, tests);
}

TestPostgres *test_postgresql(void) {
    return postgres;
}

DbDialect test_engine(void) {
    return engine;
}

/* like: NULL, or the url of a database of PostgreSQL. */
static const char *new_database(const char *like) {
    if (url_count == URLS_MAX) abort();
    char *url = urls[url_count++];
    if (engine == DB_POSTGRESQL)
        test_postgres_database(postgres, like, url, sizeof urls[0]);
    else
        snprintf(url, sizeof urls[0], "sqlite:%s/a.db", test_folder());
    return url;
}

const char *test_database(void) {
    return new_database(NULL);
}

static void make_tables(const char *url, bool (*migrate)(Db *db, Err *err)) {
    Err err = {0};
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    REQUIRE(CHECK_OK(migrate(db, &err), &err));
}

const char *test_database_with(bool (*migrate)(Db *db, Err *err)) {
    static struct {
        bool (*migrate)(Db *db, Err *err);
        const char *url;
    } made[TEMPLATES_MAX];
    size_t i = 0;
    if (engine == DB_SQLITE) return new_database(NULL);
    while (i < TEMPLATES_MAX && made[i].migrate && made[i].migrate != migrate) i++;
    if (i == TEMPLATES_MAX) abort();
    if (!made[i].migrate) {
        made[i].url = new_database(NULL);
        make_tables(made[i].url, migrate);
        made[i].migrate = migrate;
    }
    return new_database(made[i].url);
}

Db *test_db_open(const char *url, DbOptions options) {
    Db *db = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(db_open(url, options, &db, &err), &err));
    return db;
}

void test_db_run(Db *db, const char *sql) {
    Err err = {0};
    REQUIRE(CHECK_OK(db_execute(db, sql, &err), &err));
}

int64_t test_db_number(Db *db, const char *sql) {
    Err err = {0};
    Stmt *s = db_statement(db, sql);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    int64_t n = stmt_row(s, &err) ? stmt_int(s, 0) : -1;
    stmt_done(s);
    return n;
}
