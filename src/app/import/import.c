#include "app/import/import.h"

#include "base/text.h"
#include "wire/json/json.h"
#include <stdio.h>

const char *const IMPORT_FIELD_NAMES[IMPORT_FIELDS] = {"firstName", "lastName", "email", "phone", "notes"};

static size_t field_index(Span name) {
    for (size_t i = 0; i < IMPORT_FIELDS; i++)
        if (span_is(name, IMPORT_FIELD_NAMES[i])) return i;
    return IMPORT_FIELDS;
}

static bool name_column(ImportColumns *columns, bool *seen, size_t place, Span name, Err *err) {
    size_t field = field_index(name);
    if (field == IMPORT_FIELDS)
        return err_set(err, &ERR_INVALID,
                       "column %zu of the header is none of firstName, lastName, email, phone, notes",
                       place + 1);
    if (seen[field])
        return err_set(err, &ERR_INVALID, "the header names the column %s twice", IMPORT_FIELD_NAMES[field]);
    seen[field] = true;
    columns->column[field] = place;
    return true;
}

bool import_columns(const CsvRecord *header, ImportColumns *ret, Err *err) {
    bool seen[IMPORT_FIELDS] = {false};
    size_t count = header->count < CSV_FIELDS_MAX ? header->count : CSV_FIELDS_MAX;
    for (size_t i = 0; i < count; i++)
        if (!name_column(ret, seen, i, span_trim(header->fields[i]), err)) return false;
    for (size_t i = 0; i < IMPORT_FIELDS; i++)
        if (!seen[i])
            return err_set(err, &ERR_INVALID, "the header lacks the column %s", IMPORT_FIELD_NAMES[i]);
    return true;
}

Span import_value(const ImportColumns *columns, const CsvRecord *row, size_t field) {
    return row->fields[columns->column[field]];
}

ImportFault import_check(const ImportColumns *columns, const CsvRecord *row) {
    if (row->open_quote) return (ImportFault){"wrong_column_count", "", "a quoted field has no end"};
    if (row->count != IMPORT_FIELDS)
        return (ImportFault){"wrong_column_count", "", "does not have the columns of the header"};
    for (size_t i = 0; i < IMPORT_FIELDS; i++)
        if (!text_is_utf8(import_value(columns, row, i)))
            return (ImportFault){"invalid_encoding", IMPORT_FIELD_NAMES[i], "must be UTF-8"};
    return (ImportFault){0};
}

void import_command_id(Span tenant, int64_t row, Span raw, char ret[UUID_TEXT]) {
    char number[24];
    int len = snprintf(number, sizeof number, "%lld", (long long)row);
    Uuid id = uuid_v5(&UUID_COMMANDS, (Span[]){tenant, {number, (size_t)len}, raw}, 3);
    uuid_format(&id, ret);
}

void import_body(const ImportColumns *columns, const CsvRecord *row, const char *command_id, Buf *out) {
    JsonWriter w = json_writer(out);
    json_object(&w);
    json_name(&w, "commandId");
    json_text(&w, command_id);
    for (size_t i = 0; i < IMPORT_FIELDS; i++) {
        Span value = import_value(columns, row, i);
        if (!value.len) continue; /* an empty field is an absent member */
        json_name(&w, IMPORT_FIELD_NAMES[i]);
        json_string(&w, value);
    }
    json_object_end(&w);
}

static void write_fields(const CsvRecord *record, Buf *out) {
    size_t count = record->count < CSV_FIELDS_MAX ? record->count : CSV_FIELDS_MAX;
    for (size_t i = 0; i < count; i++) {
        buf_byte(out, ',');
        csv_write_field(out, record->fields[i]);
    }
    buf_text(out, "\r\n");
}

void import_rejected_header(const CsvRecord *header, Buf *out) {
    buf_text(out, "row,code,field,message");
    write_fields(header, out);
}

void import_rejected_row(int64_t row, const ImportFault *fault, const CsvRecord *original, Buf *out) {
    buf_printf(out, "%lld,", (long long)row);
    csv_write_field(out, span_of(fault->code));
    buf_byte(out, ',');
    csv_write_field(out, span_of(fault->field));
    buf_byte(out, ',');
    csv_write_field(out, span_of(fault->message));
    write_fields(original, out);
}
