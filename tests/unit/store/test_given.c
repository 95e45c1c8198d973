#include "store/given.h"

#include "base/buf.h"
#include "kit/engine.h"
#include <stdio.h>

static const GivenShape INSERT = {.sql.sqlite = "INSERT INTO t (n, word, body) {given}", .columns = "itb"};
static const GivenShape READ = {
    .sql.sqlite = "WITH k(word) AS ({given}) SELECT t.n, t.body FROM k CROSS JOIN t WHERE t.word = k.word",
    .columns = "t"};
static const GivenShape UPDATE = {
    .sql = {.sqlite = "UPDATE t SET n = k.column2 FROM ({given}) AS k WHERE t.word = k.column1",
            .postgresql = "UPDATE t SET n = k.n FROM ({given}) AS k(word, n) WHERE t.word = k.word"},
    .columns = "ti"};
static const GivenShape DELETE = {
    .sql.sqlite = "DELETE FROM t WHERE (word, n) IN (SELECT k.* FROM ({given}) AS k)", .columns = "ti"};

static Db *open_table(void) {
    Db *db = test_db_open(test_database(), (DbOptions){0});
    test_db_run(
        db, "CREATE TABLE t (n BIGINT NOT NULL, word {name} NOT NULL PRIMARY KEY, body {bytes} NOT NULL)");
    return db;
}

static void sum(void *user, Stmt *s) {
    *(int64_t *)user += stmt_int(s, 0);
}

/* Counts around those that statements are made for. */
static void counts(void) {
    static const int64_t COUNTS[] = {0, 1, 2, 8, 9, 127, 128, 129, 300, 1000};
    AUTO(Db) db = open_table();
    AUTO(Given) insert = given_new(db, &INSERT);
    AUTO(Given) read = given_new(db, &READ);
    AUTO(Given) update = given_new(db, &UPDATE);
    AUTO(Given) gone = given_new(db, &DELETE);
    for (size_t c = 0; c < COUNT(COUNTS); c++) {
        static char words[1000][8];
        int64_t changed = -1, total = 0, n = COUNTS[c];
        Err err = {0};
        for (int64_t i = 0; i < n; i++) {
            snprintf(words[i], sizeof words[i], "w%d", (int)i);
            given_int(insert, i), given_text(insert, span_of(words[i])), given_blob(insert, SPAN("\0"));
            given_text(read, span_of(words[i]));
            given_text(update, span_of(words[i])), given_int(update, -i);
            given_text(gone, span_of(words[i])), given_int(gone, i == 5 ? 0 : -i); /* 5 is another number's */
        }
        CHECK(given_count(insert) == (size_t)n);
        CHECK_OK(given_run(insert, &changed, &err), &err);
        CHECK(changed == n && given_count(insert) == 0);
        given_text(read, SPAN("nobody"));
        CHECK_OK(given_read(read, sum, &total, &err), &err);
        CHECK(total == n * (n - 1) / 2);
        CHECK_OK(given_run(update, &changed, &err), &err);
        CHECK(changed == n);
        CHECK_OK(given_run(gone, &changed, &err), &err);
        CHECK(changed == n - (n > 5));
        test_db_run(db, "DELETE FROM t");
    }
}

typedef struct Got {
    int64_t n;
    char body[300];
    size_t len;
} Got;

static void keep(void *user, Stmt *s) {
    Got *got = user;
    got->n = stmt_int(s, 0);
    Span body = stmt_blob(s, 1);
    got->len = body.len;
    memcpy(got->body, body.at, body.len);
}

/* Every word and every byte comes back as it was. */
static void cells(void) {
    static const char *const WORDS[] = {"",        " ",    "\"",   "\\",   "a\"b\\\"c", "{}",
                                        "{a,b}",   ",",    "'",    "NULL", "null",      "\\x41",
                                        "\n",      "a\tb", "\\\\", "%s",   "$1 ?",      "\u00e9\U0001f600",
                                        "{given}", "\"\"", "x\\"};
    AUTO(Db) db = open_table();
    AUTO(Given) insert = given_new(db, &INSERT);
    AUTO(Given) read = given_new(db, &READ);
    Err err = {0};
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        given_int(insert, i ? -(int64_t)i : INT64_MIN);
        given_text(insert, span_of(WORDS[i]));
        given_blob(insert, span_bytes(bytes, i ? 256 - i : 0));
    }
    CHECK_OK(given_run(insert, NULL, &err), &err);
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        Got got = {.n = 1};
        given_text(read, span_of(WORDS[i]));
        CHECK_OK(given_read(read, keep, &got, &err), &err);
        CHECK(got.n == (i ? -(int64_t)i : INT64_MIN) && got.len == (i ? 256 - i : 0));
        CHECK(memcmp(got.body, bytes, got.len) == 0);
    }
}

/* What fails leaves nothing behind for the next run, and an abandoned row neither. */
static void failures(void) {
    AUTO(Db) db = open_table();
    AUTO(Given) insert = given_new(db, &INSERT);
    Err err = {0};
    CHECK_OK(db_begin(db, &err), &err);
    for (int i = 0; i < 2; i++)
        given_int(insert, 1), given_text(insert, SPAN("a")), given_blob(insert, SPAN("b"));
    CHECK(!given_run(insert, NULL, &err) && err_is(&err, &ERR_DUPLICATE));
    db_rollback(db);
    err_clear(&err);
    given_int(insert, 1), given_text(insert, SPAN("a\0b")), given_blob(insert, SPAN(""));
    CHECK(!given_run(insert, NULL, &err) && err_is(&err, &ERR_INVALID));
    err_clear(&err);
    given_int(insert, 9), given_text(insert, SPAN("half a row"));
    given_clear(insert);
    given_int(insert, 2), given_text(insert, SPAN("a")), given_blob(insert, SPAN_NONE);
    CHECK_OK(given_run(insert, NULL, &err), &err);
    CHECK(test_db_number(db, "SELECT sum(n) FROM t") == 2);
}

SUITE_ON_ENGINES("given rows", TEST(counts), TEST(cells), TEST(failures));
