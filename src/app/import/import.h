/* A CSV file of prospects as commands: what is pure about it (eventsctl does the sending). */
#pragma once
#include "app/import/csv.h"
#include "base/uuid.h"

enum { IMPORT_FIELDS = 5 };
extern const char *const IMPORT_FIELD_NAMES[IMPORT_FIELDS]; /* firstName, lastName, email, phone, notes */

/* Where each field stands: column[i] is the place of IMPORT_FIELD_NAMES[i]. */
typedef struct ImportColumns {
    size_t column[IMPORT_FIELDS];
} ImportColumns;

/* The header row names each of the five fields once, in any order. ERR_INVALID tells what is wrong with it.
 */
bool import_columns(const CsvRecord *header, ImportColumns *ret, Err *err);

/* What is wrong with a row before it is sent. */
typedef struct ImportFault {
    const char *code, *field, *message; /* code NULL: nothing */
} ImportFault;
ImportFault import_check(const ImportColumns *columns, const CsvRecord *row);

/* The same row of the same file has the same command id for ever, so that a repeat of an import has no second
 * effect. row counts from 1, the header apart. */
void import_command_id(Span tenant, int64_t row, Span raw, char ret[UUID_TEXT]);

/* Appends the body of POST /api/prospects. The row has passed import_check(). */
void import_body(const ImportColumns *columns, const CsvRecord *row, const char *command_id, Buf *out);

/* The value of a field, by its place in IMPORT_FIELD_NAMES; the row has the right number of columns. */
Span import_value(const ImportColumns *columns, const CsvRecord *row, size_t field);

/* Appends the columns of one rejected row, and its original fields behind them. The values are written as
 * they came: one that begins with = + - or @ is a formula to a spreadsheet, but a mark before it would be
 * sent at the next try. */
void import_rejected_header(const CsvRecord *header, Buf *out);
void import_rejected_row(int64_t row, const ImportFault *fault, const CsvRecord *original, Buf *out);
