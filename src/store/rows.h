/* Rows of one table that are gathered while a batch is decided on, and inserted together by given.h: many rows per
 * statement. (T-SQL has no ON CONFLICT: there the same rows are the source of a MERGE, or of SQL_ADD_NEW.)
 *
 * Cells borrow their bytes until rows_flush() or rows_clear(). */
#pragma once
#include "store/given.h"

typedef struct Rows Rows;
typedef struct RowShape {
    GivenShape given; /* INSERT INTO t (a, b) {given} ON CONFLICT ... */
    int key; /* how many columns, from the first, are the key that conflict changes rows by; 0: it changes none */
} RowShape;

Rows *rows_new(const RowShape *shape); /* the shape must outlive it */
Rows *rows_free(Rows *rows);
AUTO_FREE(Rows, rows_free)

/* Cells one after another, row by row. */
void rows_int(Rows *rows, int64_t value);
void rows_text(Rows *rows, Span value); /* no NUL inside; at == NULL counts as empty */
void rows_blob(Rows *rows, Span value);
size_t rows_count(const Rows *rows);
/* Inserts what has gathered, in that order, and is empty again; on failure too. */
bool rows_flush(Rows *rows, Db *db, Err *err);
void rows_clear(Rows *rows);
