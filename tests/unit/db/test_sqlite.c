#include "db/db.h"
#include "kit/engine.h"

#include "base/clock.h"
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

static void settings(void) {
    const char *folder = test_folder();
    static const struct {
        DbOptions options;
        int64_t synchronous, query_only;
    } CASES[] = {{{0}, 2, 0}, {{.relaxed = true}, 1, 0}, {{.read_only = true}, -1, 1}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Db) db = open_file(folder, "a.db", CASES[i].options);
        if (i == 0) test_db_run(db, "CREATE TABLE t (a INTEGER)");
        if (CASES[i].synchronous >= 0)
            CHECK(test_db_number(db, "PRAGMA synchronous") == CASES[i].synchronous);
        CHECK(test_db_number(db, "PRAGMA query_only") == CASES[i].query_only);
        Stmt *s = db_statement(db, "PRAGMA journal_mode");
        Err err = {0};
        REQUIRE(stmt_run(s, NULL, &err) && stmt_row(s, &err));
        CHECK_SPAN(stmt_text(s, 0), "wal");
    }
    AUTO(Db) reader = open_file(folder, "a.db", (DbOptions){.read_only = true});
    Err err = {0};
    CHECK(!db_execute(reader, "INSERT INTO t VALUES (1)", &err));
}

static void transactions(void) {
    const char *folder = test_folder();
    AUTO(Db) db = open_file(folder, "a.db", (DbOptions){0});
    AUTO(Db) other = open_file(folder, "a.db", (DbOptions){.busy_ms = 100});
    test_db_run(db, "CREATE TABLE t (a INTEGER)");
    Err err = {0};
    REQUIRE(CHECK_OK(db_begin(db, &err), &err));
    test_db_run(db, "INSERT INTO t VALUES (1)");
    CHECK(test_db_number(other, "SELECT count(*) FROM t") ==
          0); /* readers see what is committed, and do not wait */
    CHECK(!db_begin(other, &err) && err_is(&err, &ERR_DB_BUSY));
    err_clear(&err);
    CHECK_OK(db_commit(db, &err), &err);
    CHECK(test_db_number(other, "SELECT count(*) FROM t") == 1);
    REQUIRE(db_begin(other, &err));
    test_db_run(other, "DELETE FROM t");
    db_rollback(other);
    db_rollback(other);
    CHECK(!db_in_transaction(other));
    CHECK(test_db_number(db, "SELECT count(*) FROM t") == 1);
    CHECK(!db_commit(db, &err));
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
    test_db_run(other, "CREATE TABLE t (a INTEGER)");
    test_db_run(other, "INSERT INTO t VALUES (7)");
    other = db_free(other); /* its log goes into the file */
    CHECK(db_is_current(db));
    REQUIRE(rename(new, old) == 0);
    CHECK(!db_is_current(db));
    CHECK_OK(db_recover(db, &err), &err);
    CHECK(db_is_current(db));
    CHECK(test_db_number(db, "SELECT a FROM t") == 7);
    REQUIRE(unlink(old) == 0);
    CHECK(!db_is_current(db));
    CHECK(!db_recover(db, &err) && err_is(&err, &ERR_DB_DOWN));
}

static void attached(void) {
    const char *folder = test_folder();
    AUTO(Db) a = open_file(folder, "it's a.db", (DbOptions){0});
    test_db_run(a, "CREATE TABLE t (a INTEGER)");
    test_db_run(a, "INSERT INTO t VALUES (7)");
    AUTO(Db) b = open_file(folder, "b.db", (DbOptions){0});
    char url[256];
    snprintf(url, sizeof url, "sqlite:%s/it's a.db", folder);
    Err err = {0};
    REQUIRE(CHECK_OK(db_attach(b, url, "other", &err), &err));
    CHECK(test_db_number(b, "SELECT a FROM other.t") == 7);
    CHECK(!db_attach(b, "sqlite:/nowhere/x.db", "none", &err));
    err_clear(&err);
    CHECK_OK(db_recover(b, &err), &err);
    CHECK(test_db_number(b, "SELECT a FROM other.t") == 7);
    /* the attached file keeps its own writer: our transaction takes no lock there, and we cannot write to it
     */
    test_db_run(b, "CREATE TABLE u (a INTEGER)");
    REQUIRE(CHECK_OK(db_begin(b, &err), &err));
    test_db_run(a, "INSERT INTO t VALUES (8)");
    test_db_run(b, "INSERT INTO u SELECT a FROM other.t");
    CHECK(!db_execute(b, "DELETE FROM other.t", &err));
    err_clear(&err);
    CHECK_OK(db_commit(b, &err), &err);
    CHECK(test_db_number(b, "SELECT sum(a) FROM other.t") == 15);
    a = db_free(a); /* the last writer takes the -wal file with it */
    AUTO(Db) c = open_file(folder, "c.db", (DbOptions){0});
    REQUIRE(CHECK_OK(db_attach(c, url, "other", &err), &err));
    CHECK(test_db_number(c, "SELECT sum(a) FROM other.t") == 15);
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
    test_db_run(db, "CREATE TABLE t (a INTEGER PRIMARY KEY)");
    pid_t one = start_writer(folder, 300, 1), two = start_writer(folder, 300, 100001);
    int status = -1;
    CHECK(waitpid(one, &status, 0) == one && status == 0);
    CHECK(waitpid(two, &status, 0) == two && status == 0);
    CHECK(test_db_number(db, "SELECT count(*) FROM t") == 600);
}

static void bad_paths(void) {
    Err err = {0};
    Db *none = NULL;
    CHECK(!db_open("sqlite:/nowhere/at/all.db", (DbOptions){0}, &none, &err));
    CHECK(err_is(&err, &ERR_DB_DOWN));
    err_clear(&err);
    CHECK(!db_open("sqlite:/tmp/a;Timeout=1", (DbOptions){0}, &none, &err) && err_is(&err, &ERR_CONFIG));
}

SUITE("sqlite", TEST(settings), TEST(bad_paths), TEST(transactions), TEST(attached), TEST(two_processes),
      TEST(a_read_only_file_is_an_outage), TEST(a_replaced_file_is_noticed));
