/* What an import has done so far: progress on standard error, the report on standard output, the rejected
 * rows. */
#pragma once
#include "app/import/import.h"

typedef struct Report Report;

Report *report_new(size_t file_size);
Report *report_free(Report *report);

void report_read(Report *report, size_t bytes); /* so far */
void report_accepted(Report *report);
/* raw must outlive the report; the fault's texts are copied. */
void report_rejected(Report *report, int64_t row, Span raw, const ImportFault *fault);
/* Shows progress where it is time to: a bar on a terminal, a line a second elsewhere. */
void report_tick(Report *report);
void report_end(Report *report);

/* The rejected rows in the order of the file, under a header. */
bool report_write_rejected(Report *report, const CsvRecord *header, const char *path, Err *err);
void report_print(Report *report, int64_t rows, const char *rejected_path);
/* {"rows":N,"accepted":N,"rejected":{code:N}} and a line end */
void report_print_json(Report *report, int64_t rows);
