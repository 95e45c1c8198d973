/* Rows that a statement is given as if they were a table, as many as there are: to read the rows of many
 * keys, to insert, to change or to delete many rows.
 *
 * A statement's text holds {given} where the rows stand, as a query of its own:
 *     INSERT INTO t (a, b) {given}
 *     WITH k(a, b) AS ({given}) SELECT t.b FROM k CROSS JOIN t WHERE t.a = k.a
 * (CROSS JOIN, because SQLite keeps its order: for each given row a look into the index of the table. What
 * shall be counted begins with INSERT, UPDATE or DELETE: SQLite's driver counts nothing behind a WITH.)
 * PostgreSQL: an array for each column, which is one parameter, one round trip and one plan whatever the count,
 * and costs the server half of what VALUES cost. SQLite: VALUES of a few fixed counts, one after the other, since
 * libsqliteodbc prepares a statement anew at each execution, so that a row of its own statement costs more in
 * parsing than in writing. T-SQL: one parameter too, the rows as JSON; where a statement needs their order (an INSERT
 * that is given its ids) it ends with "{given} ORDER BY nth". One thread. */
#pragma once
#include "db/db.h"

typedef struct Given Given;
typedef struct GivenShape {
    SqlText sql;         /* each with {given} once; of one that is NULL the first form serves */
    const char *columns; /* a letter each: i int64, t text, k text to compare with {name}, b bytes */
} GivenShape;

Given *given_new(Db *db, const GivenShape *shape); /* borrows db; the shape must outlive it */
Given *given_free(Given *given);
AUTO_FREE(Given, given_free)

/* Cells one after another, row by row. Texts and bytes are borrowed until the run; at == NULL counts as
 * empty. */
void given_int(Given *given, int64_t value);
void given_text(Given *given, Span value);
void given_blob(Given *given, Span value);
size_t given_count(const Given *given); /* whole rows */
void given_clear(Given *given);
/* Runs the statement, if there are rows, in their order; then there are none, on failure too. *changed (may
 * be NULL): rows inserted, changed or deleted. */
bool given_run(Given *given, int64_t *changed, Err *err);
/* The same for a SELECT: each row of the answer, in no certain order. row() reads the columns of s. */
bool given_read(Given *given, void (*row)(void *user, Stmt *s), void *user, Err *err);
