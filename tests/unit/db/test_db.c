#include "db/db.h"
#include "kit/engine.h"

#include "base/buf.h"
#include "base/clock.h"
#include "db/migrate.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void values_round_trip(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE v (id {id}, n BIGINT, t {text}, b {bytes})");
    static const int64_t NUMBERS[] = {0, -1, 1, INT64_MAX, INT64_MIN, 9007199254740993};
    static const char *const TEXTS[] = {"",  "a",   "X'41'", "x'4142'", "\xf0\x9f\x98\x80 \xc3\xa9",
                                        "0", "it's"};
    AUTO_BUF large = {0};
    for (int i = 0; i < 300000; i++) buf_byte(&large, (char)(i * 7));
    AUTO_BUF no_nul = {0};
    for (int i = 0; i < 300000; i++) buf_byte(&no_nul, (char)(1 + i % 255));
    const Span blobs[] = {
        span_bytes("", 0),          span_bytes("\0\1\xff\0", 4), SPAN("X'41'"),
        buf_view(&large),           span_bytes(large.at, 2047),  span_bytes(large.at, 2048),
        span_bytes(large.at, 2049), SPAN("\xff\x80\xc3"),        SPAN("x'41'"),
        buf_view(&no_nul),          span_bytes(no_nul.at, 2047), span_bytes(no_nul.at, 2048)};
    for (size_t i = 0; i < COUNT(blobs); i++) {
        Err err = {0};
        Stmt *s = db_statement(db, "INSERT INTO v (n, t, b) VALUES (?, ?, ?)");
        stmt_bind_int(s, 1, NUMBERS[i % COUNT(NUMBERS)]);
        stmt_bind_text(s, 2, span_of(TEXTS[i % COUNT(TEXTS)]));
        stmt_bind_blob(s, 3, blobs[i]);
        int64_t changed = 0;
        REQUIRE(CHECK_OK(stmt_run(s, &changed, &err), &err));
        CHECK(changed == 1);
    }
    Err err = {0};
    Stmt *s = db_statement(db, "SELECT n, t, b, n + 0, length(CAST(b AS {bytes})) FROM v ORDER BY id");
    REQUIRE(stmt_run(s, NULL, &err));
    size_t i = 0;
    for (; stmt_row(s, &err); i++) {
        CHECK(stmt_int(s, 0) == NUMBERS[i % COUNT(NUMBERS)]);
        CHECK_SPAN(stmt_text(s, 1), TEXTS[i % COUNT(TEXTS)]);
        Span blob = stmt_blob(s, 2);
        CHECK(blob.at != NULL);
        CHECK(span_equal(blob, blobs[i]));
        CHECK(stmt_int(s, 3) == NUMBERS[i % COUNT(NUMBERS)]);
        CHECK(stmt_int(s, 4) == (int64_t)blobs[i].len);
    }
    CHECK(i == COUNT(blobs) && !err.kind);
}

static void long_texts(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE v (id {key}, t {text})");
    AUTO_BUF large = {0};
    for (int i = 0; i < 1000; i++) buf_text(&large, "\xc3\xa9");
    for (int i = 0; i < 300000; i++) buf_byte(&large, (char)('a' + i % 26));
    static const size_t LENGTHS[] = {2046, 2047, 2048, 2049, 4096, 300000};
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        Err err = {0};
        Stmt *s = db_statement(db, "INSERT INTO v (id, t) VALUES (?, ?)");
        stmt_bind_int(s, 1, (int64_t)LENGTHS[i]);
        stmt_bind_text(s, 2, span_bytes(large.at, LENGTHS[i]));
        REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    }
    Err err = {0};
    Stmt *s = db_statement(db, "SELECT id, t, t FROM v ORDER BY id");
    REQUIRE(stmt_run(s, NULL, &err));
    while (stmt_row(s, &err)) {
        int64_t len = stmt_int(s, 0);
        Span first = stmt_text(s, 1);
        CHECK(span_equal(first, span_bytes(large.at, (size_t)len)));
        CHECK(span_equal(stmt_text(s, 2), first));
    }
    CHECK(!err.kind);
}

static void nulls(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE v (id {id}, a BIGINT, b {text}, c {bytes})");
    Err err = {0};
    Stmt *s = db_statement(db, "INSERT INTO v (a, b, c) VALUES (?, ?, ?)");
    stmt_bind_null(s, 1);
    stmt_bind_text(s, 2, SPAN_NONE);
    stmt_bind_blob(s, 3, SPAN_NONE);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    s = db_statement(db,
                     "INSERT INTO v (a, b, c) VALUES (?, ?, ?)"); /* the same text: an int where a NULL was */
    stmt_bind_int(s, 1, 5);
    stmt_bind_text(s, 2, SPAN(""));
    stmt_bind_blob(s, 3, span_bytes("", 0));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    s = db_statement(db, "SELECT a, b, c FROM v ORDER BY id");
    REQUIRE(stmt_run(s, NULL, &err) && stmt_row(s, &err));
    CHECK(stmt_is_null(s, 0) && stmt_int(s, 0) == 0);
    CHECK(stmt_text(s, 1).at == NULL);
    CHECK(stmt_blob(s, 2).at == NULL);
    REQUIRE(stmt_row(s, &err));
    CHECK(!stmt_is_null(s, 0) && stmt_int(s, 0) == 5);
    CHECK(stmt_text(s, 1).at != NULL);
    CHECK(!stmt_row(s, &err) && !err.kind);
}

static void faults(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c TEXT NOT NULL)");
    test_db_run(db, "INSERT INTO t VALUES (1, 'secret', 'x')");
    static const struct {
        const char *sql;
        const ErrKind *kind;
        const char *sqlite, *postgresql; /* part of why */
    } CASES[] = {
        {"INSERT INTO t VALUES (1, 'other', 'x')", &ERR_DUPLICATE, "t.a", "23505/1, constraint t_pkey"},
        {"INSERT INTO t VALUES (2, 'secret', 'x')", &ERR_DUPLICATE, "t.b", "constraint t_b_key"},
        {"INSERT INTO t VALUES (2, 'other', NULL)", &ERR_INTERNAL, "t.c", "23502"},
        {"SELECT * FROM absent", &ERR_INTERNAL, "absent", "42P01"},
        {"SELECT {nonsense}", &ERR_INTERNAL, "unknown word", "unknown word"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        Stmt *s = db_statement(db, CASES[i].sql);
        CHECK(!stmt_run(s, NULL, &err));
        CHECK(err.kind == CASES[i].kind);
        const char *why = test_engine() == DB_SQLITE ? CASES[i].sqlite : CASES[i].postgresql;
        if (!strstr(err.why, why)) printf("\n    %s: %s", CASES[i].sql, err.why);
        CHECK(strstr(err.why, why) != NULL);
        CHECK(strstr(err.why, "other") == NULL || strstr(err.why, "at INSERT") != NULL);
        err_clear(&err);
        CHECK(!stmt_run(s, NULL, &err)); /* remembered */
    }
    Err err = {0};
    Stmt *s = db_statement(db, "INSERT INTO t VALUES (?, ?, ?)");
    stmt_bind_int(s, 1, 9);
    stmt_bind_text(s, 2, span_bytes("a\0b", 3));
    stmt_bind_text(s, 3, SPAN("c"));
    CHECK(!stmt_run(s, NULL, &err) && err_is(&err, &ERR_INVALID));
    err_clear(&err);
    s = db_statement(db, "INSERT INTO t VALUES (?, ?, ?)"); /* usable again, with values of its own */
    stmt_bind_int(s, 1, 9);
    stmt_bind_text(s, 2, SPAN("secret"));
    stmt_bind_text(s, 3, SPAN("c"));
    CHECK(!stmt_run(s, NULL, &err) && err_is(&err, &ERR_DUPLICATE));
    CHECK(strstr(err.why, "secret") == NULL);
    err_clear(&err);
    stmt_bind_int(s, 7, 1);
    CHECK(!stmt_run(s, NULL, &err));
}

static void prepared_before_the_table(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    CHECK(!stmt_run(db_statement(db, "SELECT count(*) FROM later"), NULL, &err));
    test_db_run(db, "CREATE TABLE later (a INTEGER)");
    CHECK(test_db_number(db, "SELECT count(*) FROM later") == 0);
    test_db_run(db, "ALTER TABLE later ADD COLUMN b TEXT");
    test_db_run(db, "INSERT INTO later VALUES (1, 'x')");
    CHECK(test_db_number(db, "SELECT count(*) FROM later") == 1);
}

static void changed_rows(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    test_db_run(db, "INSERT INTO t VALUES (1), (2), (3)");
    static const struct {
        const char *sql;
        int64_t want;
    } CASES[] = {
        {"UPDATE t SET a = a + 10 WHERE a < 3", 2},
        {"UPDATE t SET a = 1 WHERE a = 99", 0},
        {"INSERT INTO t VALUES (3) ON CONFLICT (a) DO NOTHING", 0},
        {"DELETE FROM t WHERE a > 0", 3},
        {"DELETE FROM t WHERE a > 0", 0},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        int64_t changed = -1;
        CHECK_OK(stmt_run(db_statement(db, CASES[i].sql), &changed, &err), &err);
        CHECK(changed == CASES[i].want);
    }
}

static void savepoints(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    Err err = {0};
    REQUIRE(db_begin(db, &err));
    test_db_run(db, "SAVEPOINT one");
    test_db_run(db, "INSERT INTO t VALUES (1)");
    test_db_run(db, "RELEASE one");
    test_db_run(db, "SAVEPOINT one");
    test_db_run(db, "INSERT INTO t VALUES (2)");
    CHECK(!db_execute(db, "INSERT INTO t VALUES (2)", &err));
    test_db_run(db, "ROLLBACK TO one");
    test_db_run(db, "RELEASE one");
    err_clear(&err);
    CHECK_OK(db_commit(db, &err), &err);
    CHECK(test_db_number(db, "SELECT sum(a) FROM t") == 1);
}

/* A lock that is freed in time is waited for; one that is not gives DB_BUSY after the time set. */
static void busy_is_bounded(void) {
    const char *url = test_database();
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    AUTO(Db) waiting = test_db_open(url, (DbOptions){.busy_ms = 300});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    test_db_run(db, "INSERT INTO t VALUES (1)");
    Err err = {0};
    REQUIRE(db_begin(db, &err));
    test_db_run(db, "UPDATE t SET a = 2");
    int64_t start = clock_mono_us();
    bool done = db_begin(waiting, &err) && db_execute(waiting, "UPDATE t SET a = 3", &err);
    CHECK(!done && err_is(&err, &ERR_DB_BUSY));
    db_rollback(waiting);
    int64_t took = clock_mono_us() - start;
    CHECK(took > 200000 && took < 3000000);
    db_rollback(db);
    err_clear(&err);
    CHECK_OK(db_begin(waiting, &err) && db_execute(waiting, "UPDATE t SET a = 3", &err), &err);
}

/* On an engine where one failed statement spoils the transaction COMMIT would roll back and say that all is
 * well. */
static void a_transaction_with_a_failed_statement(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin(db, &err), &err));
    test_db_run(db, "INSERT INTO t VALUES (1)");
    CHECK(!db_execute(db, "INSERT INTO t VALUES (1)", &err) && err_is(&err, &ERR_DUPLICATE));
    err_clear(&err);
    bool spoils = test_engine() == DB_POSTGRESQL;
    CHECK(db_commit(db, &err) == !spoils);
    CHECK(!db_in_transaction(db));
    CHECK(test_db_number(db, "SELECT count(*) FROM t") == !spoils);
}

/* What a reader's transaction sees is one state, whatever others commit meanwhile. */
static void reading_one_state(void) {
    const char *url = test_database();
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    AUTO(Db) reader = test_db_open(url, (DbOptions){.read_only = true});
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin_read(reader, &err), &err));
    CHECK(test_db_number(reader, "SELECT count(*) FROM t") == 0);
    test_db_run(db, "INSERT INTO t VALUES (1)");
    CHECK(test_db_number(reader, "SELECT count(*) FROM t") == 0);
    CHECK_OK(db_commit(reader, &err), &err);
    CHECK(test_db_number(reader, "SELECT count(*) FROM t") == 1);
    CHECK(!db_execute(reader, "INSERT INTO t VALUES (2)", &err) && err_is(&err, &ERR_DB_DOWN));
}

static void tables_are_found(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    CHECK(!db_has_table(db, "t", &err) && err_is(&err, &ERR_DB_DOWN));
    err_clear(&err);
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    CHECK_OK(db_has_table(db, "t", &err), &err);
}

static const Migration STEPS[] = {
    {1, "CREATE TABLE a (x INTEGER);\nCREATE INDEX a_x ON a (x);\n"},
    {2, "ALTER TABLE a ADD COLUMN y TEXT;\n"},
    {3, "CREATE TABLE b (x INTEGER);\nCREATE TABLE a (x INTEGER);\n"}, /* fails: a is there */
};

static void migrations(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    CHECK_OK(migrate(db, "test", STEPS, 1, &err), &err);
    CHECK_OK(migrate(db, "test", STEPS, 2, &err), &err);
    CHECK_OK(migrate(db, "test", STEPS, 2, &err), &err);
    test_db_run(db, "INSERT INTO a (x, y) VALUES (1, 'z')");
    CHECK(test_db_number(db, "SELECT max(number) FROM schema_step") == 2);
    CHECK(!migrate(db, "test", STEPS, 3, &err));
    CHECK(!db_in_transaction(db));
    Err none = {0};
    CHECK(!db_has_table(db, "b", &none)); /* all of a run or nothing */
    err_clear(&err);
    CHECK(!migrate(db, "test", STEPS, 1, &err) && err_is(&err, &ERR_CONFIG));
}

/* Who only reads is told how the tables stand, and changes nothing. */
static void tables_compared(void) {
    static const struct {
        size_t taken, known;
        const ErrKind *kind; /* NULL: all is well */
    } CASES[] = {{0, 2, &ERR_DB_DOWN}, {1, 2, &ERR_DB_DOWN}, {2, 2, NULL}, {2, 1, &ERR_CONFIG}};
    const char *url = test_database();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Db) db = test_db_open(url, (DbOptions){0});
        AUTO(Db) reader = NULL;
        Err err = {0};
        if (CASES[i].taken) CHECK_OK(migrate(db, "test", STEPS, CASES[i].taken, &err), &err);
        REQUIRE(CHECK_OK(db_open(url, (DbOptions){.read_only = true}, &reader, &err), &err));
        CHECK(migrate(reader, "test", STEPS, CASES[i].known, &err) == !CASES[i].kind);
        CHECK(err.kind == CASES[i].kind);
        if (CASES[i].taken)
            CHECK(test_db_number(db, "SELECT max(number) FROM schema_step") == (int64_t)CASES[i].taken);
    }
}

static void a_foreign_database_is_left_alone(void) {
    AUTO(Db) db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    test_db_run(db, "CREATE TABLE theirs (x INTEGER)");
    CHECK(!migrate(db, "test", STEPS, 1, &err) && err_is(&err, &ERR_CONFIG));
    CHECK(!db_in_transaction(db));
    err_clear(&err);
    CHECK(!db_has_table(db, "schema_step", &err));
}

/* Programs that start together: each step is taken once, and all of them find the tables. */
static void migrations_by_many_at_once(void) {
    enum { RUNNERS = 6 };
    const char *url = test_database();
    pid_t pids[RUNNERS];
    for (int i = 0; i < RUNNERS; i++) {
        if ((pids[i] = fork())) continue;
        Db *db = NULL;
        Err err = {0};
        bool ok = db_open(url, (DbOptions){.busy_ms = 20000}, &db, &err) &&
                  migrate(db, "test", STEPS, 2, &err) &&
                  db_execute(db, "INSERT INTO a (x, y) VALUES (1, 'z')", &err);
        if (!ok) fprintf(stderr, "runner: %s\n", err.why);
        db_free(db);
        _exit(!ok);
    }
    for (int i = 0; i < RUNNERS; i++) {
        int status = -1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    AUTO(Db) db = test_db_open(url, (DbOptions){0});
    CHECK(test_db_number(db, "SELECT count(*) FROM a") == RUNNERS);
    CHECK(test_db_number(db, "SELECT count(*) FROM schema_step") == 2);
}

SUITE_ON_ENGINES("db", TEST(values_round_trip), TEST(long_texts), TEST(nulls), TEST(faults),
                 TEST(prepared_before_the_table), TEST(changed_rows), TEST(savepoints), TEST(busy_is_bounded),
                 TEST(a_transaction_with_a_failed_statement), TEST(reading_one_state), TEST(tables_are_found),
                 TEST(migrations), TEST(tables_compared), TEST(migrations_by_many_at_once),
                 TEST(a_foreign_database_is_left_alone));
