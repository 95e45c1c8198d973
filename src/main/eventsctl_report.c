#include "main/eventsctl_report.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/json/json.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { CODES_MAX = 64, BAR = 40, TEXT_MEMORY = 256 << 20 };

typedef struct Rejected {
    int64_t row;
    Span raw;
    ImportFault fault;
} Rejected;

typedef struct CodeCount {
    const char *code;
    int64_t count;
} CodeCount;

struct Report {
    Arena *arena; /* texts of faults */
    Rejected *rejected;
    size_t rejected_count, rejected_size;
    CodeCount codes[CODES_MAX];
    size_t code_count;
    int64_t accepted, started_us, shown_us;
    size_t read, file_size;
    bool terminal, bar_shown;
};

Report *report_new(size_t file_size) {
    Report *report = must(calloc(1, sizeof *report));
    report->arena = must(arena_new(TEXT_MEMORY));
    report->file_size = file_size;
    report->started_us = report->shown_us = clock_mono_us();
    report->terminal = isatty(STDERR_FILENO);
    return report;
}

Report *report_free(Report *report) {
    if (!report) return NULL;
    arena_free(report->arena);
    free(report->rejected);
    free(report);
    return NULL;
}

void report_read(Report *report, size_t bytes) {
    report->read = bytes;
}
void report_accepted(Report *report) {
    report->accepted++;
}

static const char *kept(Report *report, const char *text) {
    return must(arena_copy(report->arena, span_of(text ? text : "")));
}

/* The code's kept text, counted once more; more different codes than fit are counted as "other". */
static const char *count_code(Report *report, const char *code) {
    size_t i = 0;
    while (i < report->code_count && strcmp(report->codes[i].code, code)) i++;
    if (i == CODES_MAX) i = CODES_MAX - 1;
    if (i == report->code_count) {
        report->codes[i].code = i == CODES_MAX - 1 ? "other" : kept(report, code);
        report->code_count++;
    }
    report->codes[i].count++;
    return report->codes[i].code;
}

void report_rejected(Report *report, int64_t row, Span raw, const ImportFault *fault) {
    if (report->rejected_count == report->rejected_size) {
        report->rejected_size = report->rejected_size ? 2 * report->rejected_size : 256;
        report->rejected = must(realloc(report->rejected, report->rejected_size * sizeof *report->rejected));
    }
    ImportFault copy = {count_code(report, fault->code), kept(report, fault->field),
                        kept(report, fault->message)};
    report->rejected[report->rejected_count++] = (Rejected){row, raw, copy};
}

static void show_bar(Report *report, long long done, double rate) {
    int percent = report->file_size ? (int)(report->read * 100 / report->file_size) : 100;
    int filled = percent * BAR / 100;
    fprintf(stderr, "\r  [%.*s%.*s] %3d %%  %lld rows  %zu rejected  %.0f rows/s ", filled,
            "########################################", BAR - filled,
            "........................................", percent, done, report->rejected_count, rate);
    report->bar_shown = true;
}

static void show(Report *report, int64_t now) {
    double seconds = (double)(now - report->started_us) / 1e6;
    long long done = report->accepted + (long long)report->rejected_count;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    if (report->terminal)
        show_bar(report, done, rate);
    else
        fprintf(stderr, "%lld rows done, %lld accepted, %zu rejected, %.0f rows/s\n", done,
                (long long)report->accepted, report->rejected_count, rate);
    report->shown_us = now;
}

void report_tick(Report *report) {
    int64_t now = clock_mono_us();
    if (now - report->shown_us >= (report->terminal ? 100000 : 1000000)) show(report, now);
}

void report_end(Report *report) {
    if (report->terminal) show(report, clock_mono_us());
    if (report->bar_shown) fputc('\n', stderr);
}

static int by_row(const void *a, const void *b) {
    const Rejected *left = a, *right = b;
    return left->row < right->row ? -1 : left->row > right->row;
}

static bool write_row(FILE *file, const Rejected *rejected, Arena *arena) {
    AUTO_BUF line = {0};
    CsvReader reader = csv_reader(rejected->raw);
    CsvRecord record;
    Err err = {0};
    arena_reset(arena);
    if (!csv_next(&reader, arena, &record, &err)) return false;
    import_rejected_row(rejected->row, &rejected->fault, &record, &line);
    return !line.failed && fwrite(line.at, 1, line.len, file) == line.len;
}

static bool write_all(Report *report, const CsvRecord *header, FILE *file) {
    AUTO(Arena) arena = must(arena_new(64 << 20));
    AUTO_BUF head = {0};
    import_rejected_header(header, &head);
    bool ok = fwrite(head.at, 1, head.len, file) == head.len;
    for (size_t i = 0; ok && i < report->rejected_count; i++)
        ok = write_row(file, &report->rejected[i], arena);
    return ok;
}

bool report_write_rejected(Report *report, const CsvRecord *header, const char *path, Err *err) {
    if (report->rejected_count)
        qsort(report->rejected, report->rejected_count, sizeof *report->rejected, by_row);
    FILE *file = fopen(path, "we");
    if (!file) return err_set_errno(err, &ERR_INVALID, errno, path);
    bool ok = write_all(report, header, file);
    if (fclose(file)) ok = false;
    return ok || err_set(err, &ERR_INVALID, "%s cannot be written", path);
}

static int by_count(const void *a, const void *b) {
    const CodeCount *left = a, *right = b;
    if (left->count != right->count) return left->count > right->count ? -1 : 1;
    return strcmp(left->code, right->code);
}

void report_print(Report *report, int64_t rows, const char *rejected_path) {
    double seconds = (double)(clock_mono_us() - report->started_us) / 1e6;
    qsort(report->codes, report->code_count, sizeof *report->codes, by_count);
    printf("%lld rows in %.1f s\n  %7lld accepted\n  %7zu rejected\n", (long long)rows, seconds,
           (long long)report->accepted, report->rejected_count);
    for (size_t i = 0; i < report->code_count; i++)
        printf("    %7lld %s\n", (long long)report->codes[i].count, report->codes[i].code);
    int64_t open = rows - report->accepted - (int64_t)report->rejected_count;
    if (open) printf("  %7lld without an outcome: run the same import again\n", (long long)open);
    if (report->rejected_count) printf("Rejected rows and reasons: %s\n", rejected_path);
}

void report_print_json(Report *report, int64_t rows) {
    AUTO_BUF line = {0};
    JsonWriter w = json_writer(&line);
    json_object(&w);
    json_name(&w, "rows");
    json_int(&w, rows);
    json_name(&w, "accepted");
    json_int(&w, report->accepted);
    json_name(&w, "rejected");
    json_object(&w);
    for (size_t i = 0; i < report->code_count; i++) {
        json_name(&w, report->codes[i].code);
        json_int(&w, report->codes[i].count);
    }
    json_object_end(&w);
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARGS(buf_view(&line)));
}
