/* Rows of one table that are inserted together: many rows per statement. (T-SQL has no ON CONFLICT: there the same
 * rows are the source of a MERGE, of at most 2,100 parameters.)
 *
 * libsqliteodbc prepares a statement anew at each execution, whatever the application does, so that a row of
 * its own statement costs more in parsing than in writing: rows go in by a few fixed numbers of VALUES. To
 * PostgreSQL a round trip costs most: there all rows go in by one statement, as an array for each column.
 * A row's cells are of the same kinds as every other's. Cells borrow their bytes until rows_flush() or
 * rows_clear(). */
#pragma once
#include "db/db.h"

typedef struct Rows Rows;
typedef struct RowShape {
    const char *insert;   /* "INSERT INTO t (a, b) VALUES " */
    const char *conflict; /* behind the rows: " ON CONFLICT ...", or "" */
    int columns;
    int key; /* how many of them, from the first, are the key that conflict changes rows by; 0: it changes none */
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
