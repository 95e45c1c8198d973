/* What this room itself says to an engine: transactions, migrations, its look for tables. */
#include "kit/texts.h"

#include "db/migrate.h"
#include <stdio.h>

static const Migration STEPS[] = {
    {1, "CREATE TABLE a (b {id}, c {name} NOT NULL, d {text}, e {bytes}, PRIMARY KEY (b)){keyed}"},
    {2, "", "CREATE TABLE f (g {key}){busy};\n", "CREATE TABLE f (g {key});\nUPDATE f SET g = {now}"},
};

static void say(DbDialect dialect) {
    AUTO(Db) db = test_texts_open(dialect);
    Err err = {0};
    test_texts_said(db_begin(db, &err) && db_commit(db, &err), &err);
    test_texts_said(db_begin(db, &err), &err);
    db_rollback(db);
    test_texts_said(db_begin_read(db, &err), &err);
    db_rollback(db);
    test_texts_said(db_has_table(db, "a", &err), &err);
    CHECK_OK(migrate(db, "part", STEPS, COUNT(STEPS), &err), &err);
}

/* How each dialect begins and ends what it does, and what it must not say. */
static const struct {
    DbDialect dialect;
    const char *says[6], *never[3];
} WANTED[] = {
    {DB_SQLITE,
     {"BEGIN IMMEDIATE", "ROLLBACK", "COMMIT", "PRIMARY KEY AUTOINCREMENT", "WITHOUT ROWID"},
     {"CREATE TABLE f", "COLLATE"}},
    {DB_POSTGRESQL,
     {"REPEATABLE READ READ ONLY", "pg_advisory_xact_lock", "TEXT COLLATE \"C\"", "fillfactor", "BYTEA"},
     {"WITHOUT ROWID", "NVARCHAR"}},
    /* a level of isolation outlives its transaction there: each says its own, and the read's is taken back */
    {DB_SQLSERVER,
     {"LEVEL READ COMMITTED; BEGIN TRANSACTION", "LEVEL SNAPSHOT; BEGIN TRANSACTION",
      "ROLLBACK; SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "sp_getapplock",
      "NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL", "DATEDIFF_BIG"},
     {"pg_advisory", "fillfactor", "_UTF8"}},
};

static void each_dialect(void) {
    for (size_t i = 0; i < COUNT(WANTED); i++) {
        test_texts_begin();
        say(WANTED[i].dialect);
        test_texts_check(WANTED[i].dialect);
        for (size_t k = 0; k < COUNT(WANTED[i].says); k++)
            CHECK(!WANTED[i].says[k] || test_texts_find(WANTED[i].says[k]));
        for (size_t k = 0; k < COUNT(WANTED[i].never); k++)
            CHECK(!WANTED[i].never[k] || !test_texts_find(WANTED[i].never[k]));
    }
    test_texts_begin();
}

/* The rules themselves: each of these is found where T-SQL may not say it. */
static void rules(void) {
    static const struct {
        const char *sql;
        bool fine;
    } SAID[] = {
        {"SELECT a FROM t ORDER BY a OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY", true},
        {"SELECT 'limit, {word} and || in a literal', limits FROM t", true},
        {"MERGE t AS a USING (VALUES (1)) AS v(b) ON a.b = v.b WHEN NOT MATCHED THEN INSERT (b) VALUES (1);",
         true},
        {"SELECT a FROM t LIMIT 1", false},
        {"SELECT a FROM t OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY", false},
        {"INSERT INTO t (a) VALUES (1) RETURNING\n a", false},
        {"INSERT INTO t (a) VALUES (1) ON  CONFLICT (a) DO NOTHING", false},
        {"SELECT a || b FROM t", false},
        {"SELECT a::int FROM t", false},
        {"SELECT value FROM json_each('[]')", false},
        {"SELECT a FROM t FOR UPDATE SKIP LOCKED", false},
        {"DELETE FROM t WHERE (a, b) IN (SELECT a, b FROM u)", false},
        {"MERGE t AS a USING u ON a.b = u.b WHEN MATCHED THEN DELETE", false},
        {"SELECT (a FROM t", false},
    };
    for (size_t i = 0; i < COUNT(SAID); i++) {
        const char *fault = test_texts_fault(DB_SQLSERVER, SAID[i].sql);
        if (SAID[i].fine != !fault) printf("\n    %s: %s", SAID[i].sql, fault ? fault : "nothing found");
        CHECK(SAID[i].fine == !fault);
    }
    CHECK(test_texts_fault(DB_SQLITE, "SELECT a FROM t {limit") != NULL);
    CHECK(test_texts_fault(DB_POSTGRESQL, "SELECT a FROM t LIMIT 1") == NULL);
}

SUITE("texts of the database", TEST(each_dialect), TEST(rules));
