#include "db/db.h"
#include "kit/test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "db/migrate.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static Db *open_file(const char *folder, const char *file, DbOptions options) {
    char url[256];
    snprintf(url, sizeof url, "sqlite:%s/%s", folder, file);
    Db *db = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(db_open(url, options, &db, &err), &err));
    return db;
}

static Db *open_new(void) {
    return open_file(test_folder(), "a.db", (DbOptions){0});
}

static void run(Db *db, const char *sql) {
    Err err = {0};
    REQUIRE(CHECK_OK(db_execute(db, sql, &err), &err));
}

static int64_t number(Db *db, const char *sql) {
    Err err = {0};
    Stmt *s = db_statement(db, sql);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    return stmt_row(s, &err) ? stmt_int(s, 0) : -1;
}

static void settings(void) {
    const char *folder = test_folder();
    static const struct {
        DbOptions options;
        int64_t synchronous, query_only;
    } CASES[] = {{{0}, 2, 0}, {{.relaxed = true}, 1, 0}, {{.read_only = true}, -1, 1}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Db) db = open_file(folder, "a.db", CASES[i].options);
        if (i == 0) run(db, "CREATE TABLE t (a INTEGER)");
        if (CASES[i].synchronous >= 0) CHECK(number(db, "PRAGMA synchronous") == CASES[i].synchronous);
        CHECK(number(db, "PRAGMA query_only") == CASES[i].query_only);
        Stmt *s = db_statement(db, "PRAGMA journal_mode");
        Err err = {0};
        REQUIRE(stmt_run(s, NULL, &err) && stmt_row(s, &err));
        CHECK_SPAN(stmt_text(s, 0), "wal");
    }
    AUTO(Db) reader = open_file(folder, "a.db", (DbOptions){.read_only = true});
    Err err = {0};
    CHECK(!db_execute(reader, "INSERT INTO t VALUES (1)", &err));
}

static void values_round_trip(void) {
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE v (id INTEGER PRIMARY KEY, n BIGINT, t TEXT, b BLOB)");
    static const int64_t NUMBERS[] = {0, -1, 1, INT64_MAX, INT64_MIN, 9007199254740993};
    static const char *const TEXTS[] = {"",  "a",   "X'41'", "x'4142'", "\xf0\x9f\x98\x80 \xc3\xa9",
                                        "0", "it's"};
    AUTO_BUF large = {0};
    for (int i = 0; i < 300000; i++) buf_byte(&large, (char)(i * 7));
    const Span blobs[] = {span_bytes("", 0),         span_bytes("\0\1\xff\0", 4), SPAN("X'41'"),
                          buf_view(&large),          span_bytes(large.at, 2047),  span_bytes(large.at, 2048),
                          span_bytes(large.at, 2049)};
    for (size_t i = 0; i < 7; i++) {
        Err err = {0};
        Stmt *s = db_statement(db, "INSERT INTO v (n, t, b) VALUES (?, ?, ?)");
        stmt_bind_int(s, 1, NUMBERS[i % COUNT(NUMBERS)]);
        stmt_bind_text(s, 2, span_of(TEXTS[i]));
        stmt_bind_blob(s, 3, blobs[i]);
        int64_t changed = 0;
        REQUIRE(CHECK_OK(stmt_run(s, &changed, &err), &err));
        CHECK(changed == 1);
    }
    Err err = {0};
    Stmt *s = db_statement(db, "SELECT n, t, b, n + 0, length(b), typeof(b) FROM v ORDER BY id");
    REQUIRE(stmt_run(s, NULL, &err));
    size_t i = 0;
    for (; stmt_row(s, &err); i++) {
        CHECK(stmt_int(s, 0) == NUMBERS[i % COUNT(NUMBERS)]);
        CHECK_SPAN(stmt_text(s, 1), TEXTS[i]);
        Span blob = stmt_blob(s, 2);
        CHECK(blob.at != NULL);
        CHECK(span_equal(blob, blobs[i]));
        CHECK(stmt_int(s, 3) == NUMBERS[i % COUNT(NUMBERS)]);
        CHECK(stmt_int(s, 4) == (int64_t)blobs[i].len);
        CHECK_SPAN(stmt_text(s, 5), "blob");
    }
    CHECK(i == 7 && !err.kind);
}

static void long_texts(void) {
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE v (id INTEGER PRIMARY KEY, t TEXT)");
    AUTO_BUF large = {0};
    for (int i = 0; i < 100000; i++) buf_text(&large, "\xc3\xa9z");
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
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE v (a BIGINT, b TEXT, c BLOB)");
    Err err = {0};
    Stmt *s = db_statement(db, "INSERT INTO v VALUES (?, ?, ?)");
    stmt_bind_null(s, 1);
    stmt_bind_text(s, 2, SPAN_NONE);
    stmt_bind_blob(s, 3, SPAN_NONE);
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    s = db_statement(db, "INSERT INTO v VALUES (?, ?, ?)"); /* the same text: an int where a NULL was */
    stmt_bind_int(s, 1, 5);
    stmt_bind_text(s, 2, SPAN(""));
    stmt_bind_blob(s, 3, span_bytes("", 0));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
    s = db_statement(db, "SELECT a, b, c FROM v ORDER BY rowid");
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
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c TEXT NOT NULL)");
    run(db, "INSERT INTO t VALUES (1, 'secret', 'x')");
    static const struct {
        const char *sql;
        const ErrKind *kind;
        const char *why; /* part of it */
    } CASES[] = {
        {"INSERT INTO t VALUES (1, 'other', 'x')", &ERR_DUPLICATE, "t.a"},
        {"INSERT INTO t VALUES (2, 'secret', 'x')", &ERR_DUPLICATE, "t.b"},
        {"INSERT INTO t VALUES (2, 'other', NULL)", &ERR_INTERNAL, "t.c"},
        {"SELECT * FROM absent", &ERR_INTERNAL, "absent"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        Stmt *s = db_statement(db, CASES[i].sql);
        CHECK(!stmt_run(s, NULL, &err));
        CHECK(err.kind == CASES[i].kind);
        CHECK(strstr(err.why, CASES[i].why) != NULL);
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
    err_clear(&err);
    Db *none = NULL;
    CHECK(!db_open("sqlite:/nowhere/at/all.db", (DbOptions){0}, &none, &err));
    CHECK(err_is(&err, &ERR_DB_DOWN));
    err_clear(&err);
    CHECK(!db_open("sqlite:/tmp/a;Timeout=1", (DbOptions){0}, &none, &err) && err_is(&err, &ERR_CONFIG));
}

static void prepared_before_the_table(void) {
    AUTO(Db) db = open_new();
    Err err = {0};
    CHECK(!stmt_run(db_statement(db, "SELECT count(*) FROM later"), NULL, &err));
    run(db, "CREATE TABLE later (a INTEGER)");
    CHECK(number(db, "SELECT count(*) FROM later") == 0);
    run(db, "ALTER TABLE later ADD COLUMN b TEXT");
    run(db, "INSERT INTO later VALUES (1, 'x')");
    CHECK(number(db, "SELECT count(*) FROM later") == 1);
}

static void changed_rows(void) {
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    run(db, "INSERT INTO t VALUES (1), (2), (3)");
    static const struct {
        const char *sql;
        int64_t want;
    } CASES[] = {
        {"UPDATE t SET a = a + 10 WHERE a < 3", 2},
        {"UPDATE t SET a = 1 WHERE a = 99", 0},
        {"INSERT INTO t VALUES (3) ON CONFLICT DO NOTHING", 0},
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

static void transactions(void) {
    const char *folder = test_folder();
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){0});
    AUTO(Db) other = open_file(folder, "a.db", (DbOptions){.busy_ms = 100});
    run(db, "CREATE TABLE t (a INTEGER)");
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin(db, &err), &err));
    run(db, "INSERT INTO t VALUES (1)");
    CHECK(number(other, "SELECT count(*) FROM t") == 0); /* readers see what is committed, and do not wait */
    CHECK(!db_begin(other, &err) && err_is(&err, &ERR_DB_BUSY));
    err_clear(&err);
    CHECK_OK(db_commit(db, &err), &err);
    CHECK(number(other, "SELECT count(*) FROM t") == 1);
    REQUIRE(db_begin(other, &err));
    run(other, "DELETE FROM t");
    db_rollback(other);
    db_rollback(other);
    CHECK(!db_in_transaction(other));
    CHECK(number(db, "SELECT count(*) FROM t") == 1);
    CHECK(!db_commit(db, &err));
}

static void savepoints(void) {
    AUTO(Db) db = open_new();
    run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    Err err = {0};
    REQUIRE(db_begin(db, &err));
    run(db, "SAVEPOINT one");
    run(db, "INSERT INTO t VALUES (1)");
    run(db, "RELEASE one");
    run(db, "SAVEPOINT one");
    run(db, "INSERT INTO t VALUES (2)");
    CHECK(!db_execute(db, "INSERT INTO t VALUES (2)", &err));
    run(db, "ROLLBACK TO one");
    run(db, "RELEASE one");
    err_clear(&err);
    CHECK_OK(db_commit(db, &err), &err);
    CHECK(number(db, "SELECT sum(a) FROM t") == 1);
}

/* Nobody's command is at fault where the file cannot be written; and BEGIN does not notice it. */
static void a_read_only_file_is_an_outage(void) {
    const char *folder = test_folder();
    db_free(open_file(folder, "a.db", (DbOptions){0}));
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){.read_only = true});
    Err err = {0};
    CHECK(!db_execute(db, "CREATE TABLE t (a INTEGER)", &err));
    CHECK(err_is(&err, &ERR_DB_DOWN) && strstr(err.why, "read-only"));
}

static void a_replaced_file_is_noticed(void) {
    const char *folder = test_folder();
    char old[256], new[256];
    Err err = {0};
    snprintf(old, sizeof old, "%s/a.db", folder), snprintf(new, sizeof new, "%s/b.db", folder);
    db_free(open_file(folder, "a.db", (DbOptions){0}));
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){.read_only = true});
    Db *other = open_file(folder, "b.db", (DbOptions){0});
    run(other, "CREATE TABLE t (a INTEGER)");
    run(other, "INSERT INTO t VALUES (7)");
    other = db_free(other); /* its log goes into the file */
    CHECK(db_is_current(db));
    REQUIRE(rename(new, old) == 0);
    CHECK(!db_is_current(db));
    CHECK_OK(db_recover(db, &err), &err);
    CHECK(db_is_current(db));
    CHECK(number(db, "SELECT a FROM t") == 7);
    REQUIRE(unlink(old) == 0);
    CHECK(!db_is_current(db));
    CHECK(!db_recover(db, &err) && err_is(&err, &ERR_DB_DOWN));
}

static void attached(void) {
    const char *folder = test_folder();
    AUTO(Db) a = open_file(folder, "it's a.db", (DbOptions){0});
    run(a, "CREATE TABLE t (a INTEGER)");
    run(a, "INSERT INTO t VALUES (7)");
    AUTO(Db) b = open_file(folder, "b.db", (DbOptions){0});
    char url[256];
    snprintf(url, sizeof url, "sqlite:%s/it's a.db", folder);
    Err err = {0};
    REQUIRE(CHECK_OK(db_attach(b, url, "other", &err), &err));
    CHECK(number(b, "SELECT a FROM other.t") == 7);
    CHECK(!db_attach(b, "sqlite:/nowhere/x.db", "none", &err));
    err_clear(&err);
    CHECK_OK(db_recover(b, &err), &err);
    CHECK(number(b, "SELECT a FROM other.t") == 7);
    /* the attached file keeps its own writer: our transaction takes no lock there, and we cannot write to it
     */
    run(b, "CREATE TABLE u (a INTEGER)");
    REQUIRE(CHECK_OK(db_begin(b, &err), &err));
    run(a, "INSERT INTO t VALUES (8)");
    run(b, "INSERT INTO u SELECT a FROM other.t");
    CHECK(!db_execute(b, "DELETE FROM other.t", &err));
    err_clear(&err);
    CHECK_OK(db_commit(b, &err), &err);
    CHECK(number(b, "SELECT sum(a) FROM other.t") == 15);
    a = db_free(a); /* the last writer takes the -wal file with it */
    AUTO(Db) c = open_file(folder, "c.db", (DbOptions){0});
    REQUIRE(CHECK_OK(db_attach(c, url, "other", &err), &err));
    CHECK(number(c, "SELECT sum(a) FROM other.t") == 15);
}

/* A child that writes `count` rows, one transaction each, and tells by its exit code whether all of them went
 * in. */
static pid_t start_writer(const char *folder, int count, int first) {
    pid_t pid = fork();
    if (pid) return pid;
    char url[256];
    snprintf(url, sizeof url, "sqlite:%s/a.db", folder);
    Db *db = NULL;
    Err err = {0};
    bool ok = db_open(url, (DbOptions){.busy_ms = 10000}, &db, &err);
    for (int i = 0; ok && i < count; i++) {
        Stmt *s = db_statement(db, "INSERT INTO t VALUES (?)");
        stmt_bind_int(s, 1, first + i);
        ok = db_begin(db, &err) && stmt_run(db_statement(db, "SELECT max(a) FROM t"), NULL, &err) &&
             stmt_run(s, NULL, &err) && db_commit(db, &err);
    }
    if (!ok) fprintf(stderr, "writer: %s\n", err.why);
    db_free(db);
    _exit(ok ? 0 : 1);
}

static void two_processes(void) {
    const char *folder = test_folder();
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){0});
    run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    pid_t one = start_writer(folder, 300, 1), two = start_writer(folder, 300, 100001);
    int status = -1;
    CHECK(waitpid(one, &status, 0) == one && status == 0);
    CHECK(waitpid(two, &status, 0) == two && status == 0);
    CHECK(number(db, "SELECT count(*) FROM t") == 600);
}

/* A lock that is freed in time is waited for; one that is not gives DB_BUSY after the time set, not after 100
 * s. */
static void busy_is_bounded(void) {
    const char *folder = test_folder();
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){0});
    AUTO(Db) waiting = open_file(folder, "a.db", (DbOptions){.busy_ms = 300});
    run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    Err err = {0};
    REQUIRE(db_begin(db, &err));
    int64_t start = clock_mono_us();
    CHECK(!db_begin(waiting, &err) && err_is(&err, &ERR_DB_BUSY));
    int64_t took = clock_mono_us() - start;
    CHECK(took > 200000 && took < 3000000);
    db_rollback(db);
    err_clear(&err);
    CHECK_OK(db_begin(waiting, &err), &err);
}

static const Migration STEPS[] = {
    {1, "CREATE TABLE a (x INTEGER);\nCREATE INDEX a_x ON a (x);\n"},
    {2, "ALTER TABLE a ADD COLUMN y TEXT;\n"},
    {3, "CREATE TABLE b (x INTEGER);\nCREATE TABLE a (x INTEGER);\n"}, /* fails: a is there */
};

static void migrations(void) {
    AUTO(Db) db = open_new();
    Err err = {0};
    CHECK_OK(migrate(db, STEPS, 1, &err), &err);
    CHECK_OK(migrate(db, STEPS, 2, &err), &err);
    CHECK_OK(migrate(db, STEPS, 2, &err), &err);
    run(db, "INSERT INTO a (x, y) VALUES (1, 'z')");
    CHECK(number(db, "SELECT max(number) FROM schema_step") == 2);
    CHECK(!migrate(db, STEPS, 3, &err));
    CHECK(!db_in_transaction(db));
    CHECK(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'") ==
          0); /* all of a run or nothing */
    err_clear(&err);
    CHECK(!migrate(db, STEPS, 1, &err) && err_is(&err, &ERR_CONFIG));
}

static void a_foreign_database_is_left_alone(void) {
    AUTO(Db) db = open_new();
    Err err = {0};
    run(db, "CREATE TABLE theirs (x INTEGER)");
    CHECK(!migrate(db, STEPS, 1, &err) && err_is(&err, &ERR_CONFIG));
    CHECK(!db_in_transaction(db));
    CHECK(number(db, "SELECT count(*) FROM sqlite_schema") == 1);
}

SUITE("db", TEST(settings), TEST(values_round_trip), TEST(long_texts), TEST(nulls), TEST(faults),
      TEST(prepared_before_the_table), TEST(changed_rows), TEST(transactions), TEST(savepoints),
      TEST(attached), TEST(two_processes), TEST(busy_is_bounded), TEST(migrations),
      TEST(a_foreign_database_is_left_alone), TEST(a_read_only_file_is_an_outage),
      TEST(a_replaced_file_is_noticed));
