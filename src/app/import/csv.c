#include "app/import/csv.h"

CsvReader csv_reader(Span in) {
    CsvReader reader = {.in = in};
    if (span_starts(in, SPAN("\xEF\xBB\xBF"))) reader.at = 3;
    return reader;
}

static bool ends_line(Span in, size_t at) {
    return at >= in.len || in.at[at] == '\n' ||
           (in.at[at] == '\r' && at + 1 < in.len && in.at[at + 1] == '\n');
}

static bool ends_field(Span in, size_t at) {
    return ends_line(in, at) || in.at[at] == ',';
}

static void skip_line_end(CsvReader *r) {
    if (r->at < r->in.len && r->in.at[r->at] == '\r') r->at++;
    if (r->at < r->in.len && r->in.at[r->at] == '\n') r->at++;
}

/* Finds the end of a quoted field; *plain tells whether its value is one piece between two quotes. */
static size_t quoted_end(Span in, size_t start, bool *plain, bool *open) {
    size_t at = start + 1;
    *plain = true;
    for (; at < in.len; at++) {
        if (in.at[at] != '"') continue;
        if (at + 1 < in.len && in.at[at + 1] == '"') {
            *plain = false;
            at++;
            continue;
        }
        break;
    }
    *open = at >= in.len;
    if (*open) return in.len;
    size_t end = at + 1;
    while (!ends_field(in, end)) end++;
    if (end != at + 1) *plain = false;
    return end;
}

/* Takes the quotes off: the opening one, the first single one behind it, and one of each pair between. */
static Span unquote(Arena *arena, Span quoted, bool open) {
    char *to = arena_alloc(arena, quoted.len);
    if (!to) return SPAN_NONE;
    size_t len = 0;
    bool inside = true;
    for (size_t i = 1; i < quoted.len; i++) {
        if (inside && quoted.at[i] == '"') {
            if (i + 1 < quoted.len && quoted.at[i + 1] == '"') {
                i++;
            } else if (!open) {
                inside = false;
                continue;
            }
        }
        to[len++] = quoted.at[i];
    }
    return (Span){to, len};
}

static bool read_field(CsvReader *r, Arena *arena, CsvRecord *record, Err *err) {
    size_t start = r->at;
    bool open = false, plain = true;
    Span value;
    if (start < r->in.len && r->in.at[start] == '"') {
        r->at = quoted_end(r->in, start, &plain, &open);
        Span quoted = {r->in.at + start, r->at - start};
        value = plain && !open ? (Span){quoted.at + 1, quoted.len - 2} : unquote(arena, quoted, open);
    } else {
        while (!ends_field(r->in, r->at)) r->at++;
        value = (Span){r->in.at + start, r->at - start};
    }
    if (!value.at) return err_set(err, &ERR_TOO_LARGE, "a record is too large");
    if (record->count < CSV_FIELDS_MAX) record->fields[record->count] = value;
    record->count++;
    record->open_quote |= open;
    return true;
}

bool csv_next(CsvReader *r, Arena *arena, CsvRecord *ret, Err *err) {
    while (r->at < r->in.len && ends_line(r->in, r->at)) skip_line_end(r);
    if (r->at >= r->in.len) return false;
    size_t start = r->at;
    ret->count = 0;
    ret->open_quote = false;
    for (;;) {
        if (!read_field(r, arena, ret, err)) return false;
        if (ends_line(r->in, r->at)) break;
        r->at++; /* the comma */
    }
    ret->raw = (Span){r->in.at + start, r->at - start};
    skip_line_end(r);
    return true;
}

static bool needs_quotes(Span field) {
    for (size_t i = 0; i < field.len; i++)
        if (field.at[i] == '"' || field.at[i] == ',' || field.at[i] == '\n' || field.at[i] == '\r')
            return true;
    return field.len && (field.at[0] == ' ' || field.at[field.len - 1] == ' ');
}

void csv_write_field(Buf *out, Span field) {
    if (!needs_quotes(field)) {
        buf_span(out, field);
        return;
    }
    buf_byte(out, '"');
    for (size_t i = 0; i < field.len; i++) {
        if (field.at[i] == '"') buf_byte(out, '"');
        buf_byte(out, field.at[i]);
    }
    buf_byte(out, '"');
}
