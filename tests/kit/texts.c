#include "kit/texts.h"

#include "base/buf.h"
#include "base/map.h"
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXTS_MAX = 1000 };
static char *texts[TEXTS_MAX];
static size_t text_count;

static void heard(const char *sql) {
    for (size_t i = 0; i < text_count; i++)
        if (strcmp(texts[i], sql) == 0) return;
    if (text_count == TEXTS_MAX) abort();
    texts[text_count++] = must(strdup(sql));
}

/* ---- the driver ---- */

/* It stays loaded, so that the driver manager gets this copy of it. */
static void (*answer)(bool row, int64_t first, int64_t step);
static void listen(void) {
    static void *driver;
    if (driver) return;
    driver = dlopen(TEXT_DRIVER, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(driver != NULL);
    void (*hear)(void (*)(const char *)) = NULL;
    *(void **)&hear = dlsym(driver, "text_driver_listen");
    *(void **)&answer = dlsym(driver, "text_driver_answer");
    REQUIRE(hear != NULL && answer != NULL);
    hear(heard);
}

/* The dialect is told by the name of a driver that is known, which may stand anywhere behind "Driver=". */
const char *test_texts_url(DbDialect dialect) {
    static const char *const URLS[] = {[DB_SQLITE] = "Driver=" TEXT_DRIVER ";Description=sqlite",
                                       [DB_POSTGRESQL] = "Driver=" TEXT_DRIVER ";Description=psqlodbc",
                                       [DB_SQLSERVER] = "Driver=" TEXT_DRIVER ";Description=tdsodbc"};
    listen();
    return URLS[dialect];
}

Db *test_texts_open(DbDialect dialect) {
    Db *db = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(db_open(test_texts_url(dialect), (DbOptions){0}, &db, &err), &err));
    CHECK(db_dialect(db) == dialect);
    return db;
}

void test_texts_answer(TextAnswer how) {
    listen();
    answer(how != TEXT_NO_ROW, how == TEXT_ONES, how == TEXT_COLUMNS);
}

void test_texts_begin(void) {
    test_texts_answer(TEXT_COLUMNS);
    while (text_count) free(texts[--text_count]);
}

size_t test_texts_count(void) {
    return text_count;
}

const char *test_texts_find(const char *part) {
    for (size_t i = 0; i < text_count; i++)
        if (strstr(texts[i], part)) return texts[i];
    return NULL;
}

void test_texts_said(bool ok, Err *err) {
    if (!ok && strstr(err->why, "parameter")) CHECK_OK(ok, err);
    err_clear(err);
}

/* ---- rules ---- */

/* Words, or signs, that T-SQL does not know or means otherwise; between words one space. */
static const char *const FOREIGN[] = {
    "limit",
    "returning",
    "on conflict",
    "excluded",
    "lateral",
    "unnest",
    "skip locked",
    "for update",
    "::",
    "||",
    "json_each",
    "jsonb",
    "autoincrement",
    "without rowid",
    "blob",
    "bytea",
    "text",
    "boolean",
    "true",
    "false",
    "generated",
    "fillfactor",
    "pragma",
    "sqlite_sequence",
    "sqlite_schema",
    "pg_tables",
    "rowid",
    "match",
    "fts5",
    "tsquery",
    "to_tsvector",
    "array_to_tsvector",
    "chr",
    "nextval",
    "extract",
    "clock_timestamp",
    "now",
    "any",
    "array",
    "string_to_array",
    "if not exists",
    "virtual",
    "ilike",
    "using gin",
    "set local",
    "begin immediate",
    "savepoint",
    "length",
    "column1",
    "substr",
    "julianday",
    "jsonb_array_elements_text",
    "immediate",
    "serial",
};

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '@' || c == '#';
}

/* Without what is in quotes, in small letters, white space as one space. */
static void plain_form(const char *sql, Buf *out) {
    bool quoted = false, space = true;
    for (; *sql; sql++) {
        if (*sql == '\'') quoted = !quoted;
        if (quoted) continue;
        bool white = isspace((unsigned char)*sql);
        if (!(white && space)) buf_byte(out, white ? ' ' : (char)tolower((unsigned char)*sql));
        space = white;
    }
    buf_byte(out, 0);
}

static bool has_word(const char *form, const char *word) {
    size_t len = strlen(word);
    for (const char *at = strstr(form, word); at; at = strstr(at + 1, word)) {
        bool starts = !is_word(*word) || at == form || !is_word(at[-1]);
        if (starts && (!is_word(word[len - 1]) || !is_word(at[len]))) return true;
    }
    return false;
}

static bool is_balanced(const char *form) {
    int depth = 0;
    for (; *form && depth >= 0; form++) depth += (*form == '(') - (*form == ')');
    return depth == 0;
}

static size_t times(const char *form, const char *part) {
    size_t count = 0;
    for (const char *at = strstr(form, part); at; at = strstr(at + 1, part)) count++;
    return count;
}

static const char *fault_of_tsql(const char *form) {
    for (size_t i = 0; i < COUNT(FOREIGN); i++)
        if (has_word(form, FOREIGN[i])) return FOREIGN[i];
    if (strstr(form, ") in (select")) return "a row value";
    if (times(form, "fetch next") != times(form, "offset 0 rows fetch next")) return "FETCH without OFFSET";
    if (times(form, "offset 0 rows") > times(form, "order by ")) return "OFFSET without ORDER BY";
    if (strstr(form, "merge ") && !strchr(strstr(form, "merge "), ';')) return "MERGE without its semicolon";
    return NULL;
}

const char *test_texts_fault(DbDialect dialect, const char *sql) {
    AUTO_BUF form = {0};
    plain_form(sql, &form);
    if (strpbrk(form.at, "{}")) return "a word in braces";
    if (!is_balanced(form.at)) return "brackets";
    return dialect == DB_SQLSERVER ? fault_of_tsql(form.at) : NULL;
}

/* NULL: nobody wants them. */
static FILE *open_file(DbDialect dialect) {
    static const char *const ENDS[] = {
        [DB_SQLITE] = "sqlite", [DB_POSTGRESQL] = "postgresql", [DB_SQLSERVER] = "sqlserver"};
    const char *path = getenv("EVENTS_TEXTS");
    char name[512];
    if (!path) return NULL;
    snprintf(name, sizeof name, "%s.%s", path, ENDS[dialect]);
    return fopen(name, "a");
}

void test_texts_check(DbDialect dialect) {
    FILE *file = open_file(dialect);
    for (size_t i = 0; i < text_count; i++) {
        const char *fault = test_texts_fault(dialect, texts[i]);
        if (fault) printf("\n    %s, in: %s\n", fault, texts[i]);
        CHECK(!fault);
        if (file) fwrite(texts[i], strlen(texts[i]) + 1, 1, file);
    }
    if (file) fclose(file);
}
