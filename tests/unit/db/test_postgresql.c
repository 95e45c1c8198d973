#include "db/db.h"
#include "kit/engine.h"

#include "base/clock.h"
#include <stdio.h>

static void a_session_has_its_limits(void) {
    static const struct {
        DbOptions options;
        const char *name, *want;
    } CASES[] = {
        {{0}, "lock_timeout", "5s"},
        {{.busy_ms = 300}, "lock_timeout", "300ms"},
        {{0}, "statement_timeout", "30s"},
        {{0}, "idle_in_transaction_session_timeout", "1min"},
        {{0}, "synchronous_commit", "on"},
        {{.relaxed = true}, "synchronous_commit", "off"},
        {{.read_only = true}, "default_transaction_read_only", "on"},
        {{0}, "default_transaction_isolation", "read committed"},
        {{0}, "application_name", "unit_db"},
        {{0}, "client_encoding", "UTF8"},
    };
    const char *url = test_database();
    char sql[64];
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Db) db = test_db_open(url, CASES[i].options);
        Err err = {0};
        snprintf(sql, sizeof sql, "SHOW %s", CASES[i].name);
        Stmt *s = db_statement(db, sql);
        REQUIRE(stmt_run(s, NULL, &err) && stmt_row(s, &err));
        CHECK_SPAN(stmt_text(s, 0), CASES[i].want);
    }
}

/* A password may hold what the syntax of urls, of connection strings and of libpq is made of. */
static void odd_passwords(void) {
    static const struct {
        const char *encoded, *literal; /* for the url; for SQL, where braces would be words of ours */
    } CASES[] = {
        {"plain", "plain"},
        {"p%7D%7B%3B%3D%27%20%5C%22%26%3F%2F%40%3A%25%2B_", "p\\x7d\\x7b;=\\' \\\\\"&?/@:%+_"},
        {"%7Ball%7D", "\\x7ball\\x7d"},
        {"%C3%A9", "\xc3\xa9"},
    };
    AUTO(Db) admin = test_db_open(test_database(), (DbOptions){0});
    test_db_run(admin, "CREATE ROLE checked LOGIN");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char sql[128], url[256];
        Err err = {0};
        AUTO(Db) db = NULL;
        snprintf(sql, sizeof sql, "ALTER ROLE checked PASSWORD E'%s'", CASES[i].literal);
        test_db_run(admin, sql);
        test_postgres_url(test_postgresql(), "checked", CASES[i].encoded, url, sizeof url);
        CHECK_OK(db_open(url, (DbOptions){0}, &db, &err), &err);
        db = db_free(db);
        test_postgres_url(test_postgresql(), "checked", "wrong%20secret", url, sizeof url);
        CHECK(!db_open(url, (DbOptions){0}, &db, &err) && err_is(&err, &ERR_DB_DOWN));
        CHECK(!strstr(err.why, "secret") && strstr(err.why, "the password is refused"));
    }
}

/* A statement that goes on for ever is ended by the server. */
static void a_slow_statement_ends(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    test_db_run(db, "SET statement_timeout = 100");
    int64_t start = clock_mono_us();
    CHECK(!db_execute(db, "SELECT pg_sleep(20)", &err) && err_is(&err, &ERR_DB_BUSY));
    CHECK(clock_mono_us() - start < 5000000);
    CHECK(test_db_number(db, "SELECT 1") == 1);
}

/* The server goes away in the middle of a transaction, and comes back. */
static void an_outage(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    test_db_run(db, "INSERT INTO t VALUES (1)");
    REQUIRE(CHECK_OK(db_begin(db, &err), &err));
    test_db_run(db, "INSERT INTO t VALUES (2)");
    test_postgres_stop(test_postgresql());
    CHECK(!db_execute(db, "INSERT INTO t VALUES (3)", &err) && err_is(&err, &ERR_DB_DOWN));
    err_clear(&err);
    CHECK(!db_commit(db, &err) && !db_in_transaction(db));
    err_clear(&err);
    CHECK(!stmt_run(db_statement(db, "SELECT count(*) FROM t"), NULL, &err) && err_is(&err, &ERR_DB_DOWN));
    for (int i = 0; i < 20; i++) {
        err_clear(&err);
        CHECK(!db_recover(db, &err) && err_is(&err, &ERR_DB_DOWN));
    }
    CHECK(strstr(err.why, "the next try is due soon")); /* a server that is down is not knocked at 20 times */
    test_postgres_again(test_postgresql());
    err_clear(&err);
    for (int i = 0; i < 100 && !db_recover(db, &err); i++) err_clear(&err), clock_sleep_ms(100);
    CHECK(test_db_number(db, "SELECT count(*) FROM t") == 1);
}

/* Only this connection is ended, as an administrator or a balancer would. */
static void a_killed_session(void) {
    const char *url = test_database();
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    AUTO(Db) other = test_db_open(url, (DbOptions){0});
    Err err = {0};
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)",
             (long long)test_db_number(db, "SELECT pg_backend_pid()"));
    test_db_run(other, sql);
    CHECK(!stmt_run(db_statement(db, "SELECT 1"), NULL, &err) && err_is(&err, &ERR_DB_DOWN));
    err_clear(&err);
    CHECK_OK(db_recover(db, &err), &err); /* the server is there: no pause */
    CHECK(test_db_number(db, "SELECT 1") == 1);
}

static void a_start_before_the_server(void) {
    char url[128];
    Db *db = NULL;
    Err err = {0};
    snprintf(url, sizeof url, "%s", test_database());
    test_postgres_stop(test_postgresql());
    int64_t start = clock_mono_us();
    CHECK(!db_open_patiently(url, (DbOptions){0}, 300, NULL, NULL, &db, &err) && err_is(&err, &ERR_DB_DOWN));
    CHECK(clock_mono_us() - start >= 300000);
    test_postgres_again(test_postgresql());
    err_clear(&err);
    CHECK_OK(db_open_patiently(url, (DbOptions){0}, 20000, NULL, NULL, &db, &err), &err);
    db_free(db);
    start = clock_mono_us(); /* what will not pass by itself is not waited for */
    CHECK(!db_open_patiently("postgresql://h/", (DbOptions){0}, 20000, NULL, NULL, &db, &err));
    CHECK(clock_mono_us() - start < 5000000);
}

SUITE_ON_POSTGRESQL("sessions", TEST(a_session_has_its_limits), TEST(odd_passwords),
                    TEST(a_slow_statement_ends), TEST(an_outage), TEST(a_killed_session),
                    TEST(a_start_before_the_server));
