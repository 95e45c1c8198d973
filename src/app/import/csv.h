/* CSV as RFC 4180 has it, record by record from memory. No I/O.
 *
 * Lines end with CRLF or LF; a quoted field may hold commas, line breaks and doubled quotes; a byte order
 * mark at the start is passed over, and so are empty lines. Where a file breaks the rules the reading is
 * lenient and never loses a byte: a quote inside an unquoted field stands for itself, and what follows a
 * closing quote belongs to the field. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { CSV_FIELDS_MAX = 64 };

typedef struct CsvReader {
    Span in;
    size_t at;
} CsvReader;

typedef struct CsvRecord {
    Span raw;     /* as it stands in the file, without its line end; points into the input */
    size_t count; /* may be above CSV_FIELDS_MAX: then the further fields were counted only */
    Span fields[CSV_FIELDS_MAX];
    bool open_quote; /* a quoted field had no end: the record took the rest of the input */
} CsvRecord;

CsvReader csv_reader(Span in); /* in must outlive it */
/* The next record. False at the end of the input (err stays clear), or ERR_TOO_LARGE past the arena's limit.
 * Fields point into the input, or into the arena where quotes had to be taken off. */
bool csv_next(CsvReader *reader, Arena *arena, CsvRecord *ret, Err *err);

/* Appends a field, quoted where it needs to be. */
void csv_write_field(Buf *out, Span field);
