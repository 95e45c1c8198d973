/* What the programs say to a database, without one: a driver of the kit (driver/text_driver.c) hears every statement
 * and answers it with a row. For T-SQL, which no test can run, this is all that can be held against its rules: each
 * text is expanded, has none of the other engines' own in it, and gets as many parameters as it has marks. */
#pragma once
#include "db/db.h"
#include "kit/test.h"

/* The url of a database that stands for this dialect. */
const char *test_texts_url(DbDialect dialect);
Db *test_texts_open(DbDialect dialect);

/* How statements are answered from now on; by columns until this is called, and again by test_texts_begin(). */
typedef enum TextAnswer {
    TEXT_COLUMNS, /* a number is that of its column, from 0 */
    TEXT_ZEROS,
    TEXT_ONES,
    TEXT_NO_ROW,
} TextAnswer;
void test_texts_answer(TextAnswer how);
/* What was heard before is forgotten. */
void test_texts_begin(void);
/* How many different texts there were. */
size_t test_texts_count(void);
/* The first one that has this part; NULL. */
const char *test_texts_find(const char *part);
/* Holds each against the rules of its dialect. EVENTS_TEXTS=PATH: also adds them to the file PATH.sqlserver (or
 * .postgresql, .sqlite), each followed by a NUL, for a parser of the engine, or to compare with what was said before a
 * change. */
void test_texts_check(DbDialect dialect);
/* What one text has that its dialect does not know; NULL: nothing. */
const char *test_texts_fault(DbDialect dialect, const char *sql);
/* A call may fail by what the row says, never by its statement's parameters. */
void test_texts_said(bool ok, Err *err);
