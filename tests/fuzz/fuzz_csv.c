/* CSV files of the import. Nothing is lost, and a record that is written again is read as the same record. */
#include "fuzz.h"

#include "app/import/csv.h"

static void reads_back(const CsvRecord *record) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF text = {0};
    CsvRecord again;
    Err err = {0};
    for (size_t i = 0; i < record->count; i++) {
        if (i) buf_byte(&text, ',');
        csv_write_field(&text, record->fields[i]);
    }
    if (!text.len) return; /* an empty line is no record */
    if (record->count == 1 && span_starts(buf_view(&text), SPAN("\xEF\xBB\xBF")))
        return; /* a byte order mark */
    CsvReader reader = csv_reader(buf_view(&text));
    reader.at = 0;
    PROMISE(csv_next(&reader, arena, &again, &err) && again.count == record->count, "as many fields");
    for (size_t i = 0; i < again.count; i++)
        PROMISE(span_equal(again.fields[i], record->fields[i]), "the same fields");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(Arena) arena = arena_new(8 << 20);
    CsvReader reader = csv_reader(span_bytes(data, size));
    CsvRecord record;
    Err err = {0};
    size_t before = reader.at;
    while (csv_next(&reader, arena, &record, &err)) {
        PROMISE(reader.at > before && reader.at <= size, "every record moves on");
        PROMISE(record.count > 0, "a record has a field");
        before = reader.at;
        if (record.count <= CSV_FIELDS_MAX && !record.open_quote) reads_back(&record);
    }
    return 0;
}
