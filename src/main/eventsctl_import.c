/* eventsctl_import.c - a CSV file of prospects as commands: reads, sends, shows progress, reports.
 *
 * The file is read whole (at most 1 GiB): rejected rows are written in the file's order at the end, with
 * their original columns, and to keep where they stand is cheaper than to keep them. The outcome of a row
 * comes from the gateway alone (or from the CSV, where the row has not the right shape); nothing is checked
 * twice here. */
#include "app/import/import.h"
#include "base/blob.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "main/eventsctl_files.h"
#include "main/eventsctl_report.h"
#include "main/eventsctl_sender.h"
#include <curl/curl.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

enum { FILE_MAX = 1 << 30, ROW_MEMORY = 64 << 20 };

typedef struct Import {
    CsvReader reader;
    CsvRecord header;
    ImportColumns columns;
    Session *session;
    Arena *header_arena, *row_arena;
    Report *report;
    int64_t rows;
    Err fault; /* of the reading */
} Import;

static bool read_file(const char *path, Blob **ret, Err *err) {
    FILE *file = fopen(path, "re");
    if (!file) return err_set_errno(err, &ERR_INVALID, errno, path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    Blob *blob = NULL;
    if (size < 0 || size > FILE_MAX)
        err_set(err, &ERR_INVALID, "%s is no file of at most 1 GiB", path);
    else if (!(blob = blob_new((size_t)size)))
        err_set(err, &ERR_INTERNAL, "out of memory");
    else if (fread(blob->bytes, 1, blob->len, file) != blob->len)
        err_set(err, &ERR_INVALID, "%s cannot be read", path);
    fclose(file);
    if (err->kind) blob_unref(blob);
    *ret = blob;
    return !err->kind;
}

/* Rows with the same e-mail must be accepted in the file's order, so that the first one wins. */
static uint64_t order_of(Import *import, const CsvRecord *row) {
    Span email = text_trim(import_value(&import->columns, row, 2)),
         folded = text_fold(import->row_arena, email);
    return hash_stable(folded.at ? folded : email);
}

static bool on_next(void *user, SenderCommand *ret) {
    Import *import = user;
    CsvRecord row;
    for (;;) {
        arena_reset(import->row_arena);
        if (!csv_next(&import->reader, import->row_arena, &row, &import->fault)) return false;
        import->rows++;
        report_read(import->report, import->reader.at);
        ImportFault fault = import_check(&import->columns, &row);
        if (!fault.code) break;
        report_rejected(import->report, import->rows, row.raw, &fault);
    }
    ret->row = import->rows;
    ret->raw = row.raw;
    ret->order = order_of(import, &row);
    import_command_id(session_tenant(import->session), import->rows, row.raw, ret->command_id);
    import_body(&import->columns, &row, ret->command_id, &ret->body);
    if (!ret->body.failed) return true;
    return err_set(&import->fault, &ERR_TOO_LARGE, "row %lld is too large", (long long)import->rows);
}

static void on_outcome(void *user, const SenderCommand *command, const ClientAnswer *refusal) {
    Import *import = user;
    if (!refusal) {
        report_accepted(import->report);
        return;
    }
    char code[64] = "", field[64] = "", message[256] = "";
    span_copy(refusal->code, code, sizeof code);
    span_copy(refusal->field, field, sizeof field);
    span_copy(refusal->message, message, sizeof message);
    ImportFault fault = {*code ? code : "refused", field, message};
    report_rejected(import->report, command->row, command->raw, &fault);
}

static void on_tick(void *user) {
    report_tick(((Import *)user)->report);
}

static bool read_header(Import *import, Err *err) {
    if (!csv_next(&import->reader, import->header_arena, &import->header, err))
        return err_set(err, &ERR_INVALID, "the file is empty");
    return import_columns(&import->header, &import->columns, err);
}

static bool send_rows(Import *import, int64_t wait_ms, Err *err) {
    SenderOptions options = {.session = import->session,
                             .path = "/api/prospects",
                             .wait_ms = wait_ms,
                             .next = on_next,
                             .outcome = on_outcome,
                             .tick = on_tick,
                             .user = import};
    bool ok = sender_run(&options, err);
    if (ok && import->fault.kind) ok = err_set(err, import->fault.kind, "%s", import->fault.why);
    return ok;
}

static const char *rejected_path(Ctl *ctl) {
    const char *path = ctl_option(ctl, "rejected");
    if (path) return path;
    char *copy = must(arena_copy(ctl->arena, span_of(ctl->operands[0])));
    return must(arena_printf(ctl->arena, "%s.rejected.csv", basename(copy)));
}

static bool wait_of(const Ctl *ctl, int64_t *ret, Err *err) {
    const char *text = ctl_option(ctl, "wait");
    uint64_t seconds = 180;
    if (text && (!span_to_u64(span_of(text), 86400, &seconds) || !seconds))
        return err_set(err, &ERR_INVALID, "--wait is a number of seconds from 1 to 86400");
    *ret = (int64_t)seconds * 1000;
    return true;
}

static bool run_import(Ctl *ctl, Import *import, int64_t wait_ms, Err *err) {
    if (!read_header(import, err) || !session_open(ctl, &import->session, err)) return false;
    bool ok = send_rows(import, wait_ms, err);
    report_end(import->report);
    const char *path = rejected_path(ctl);
    if (!report_write_rejected(import->report, &import->header, path, ok ? err : NULL)) ok = false;
    report_print(import->report, import->rows, path);
    if (ctl_option(ctl, "json")) report_print_json(import->report, import->rows);
    return ok;
}

bool ctl_import(Ctl *ctl, Err *err) {
    AUTO(Blob) file = NULL;
    int64_t wait_ms = 0;
    if (!wait_of(ctl, &wait_ms, err) || !read_file(ctl->operands[0], &file, err)) return false;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    Import import = {.reader = csv_reader(blob_view(file)),
                     .header_arena = must(arena_new(1 << 20)),
                     .row_arena = must(arena_new(ROW_MEMORY)),
                     .report = report_new(file->len)};
    bool ok = run_import(ctl, &import, wait_ms, err);
    import.report = report_free(import.report);
    session_free(import.session);
    arena_free(import.header_arena);
    arena_free(import.row_arena);
    curl_global_cleanup();
    return ok;
}
