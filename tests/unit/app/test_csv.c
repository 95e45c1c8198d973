#include "app/import/csv.h"
#include "app/import/import.h"
#include "kit/test.h"
#include "wire/json/json.h"
#include <stdio.h>

/* Each record's fields joined by '|', records by '/'. A '!' marks an open quote. */
static void show(Span in, Buf *out) {
    AUTO(Arena) arena = arena_new(0);
    CsvReader reader = csv_reader(in);
    CsvRecord record;
    Err err = {0};
    while (csv_next(&reader, arena, &record, &err)) {
        if (out->len) buf_byte(out, '/');
        if (record.open_quote) buf_byte(out, '!');
        for (size_t i = 0; i < record.count && i < CSV_FIELDS_MAX; i++) {
            if (i) buf_byte(out, '|');
            buf_span(out, record.fields[i]);
        }
    }
    CHECK(!err.kind);
}

static void reading(void) {
    static const struct {
        const char *name, *in, *want;
    } CASES[] = {
        {"nothing", "", ""},
        {"one field", "a", "a"},
        {"one line", "a,b,c\r\n", "a|b|c"},
        {"LF, no end", "a,b\nc,d", "a|b/c|d"},
        {"CRLF and LF mixed", "a\r\nb\nc\r\n", "a/b/c"},
        {"a lone CR is text", "a\rb,c\n", "a\rb|c"},
        {"empty fields", ",,\n", "||"},
        {"comma at the end of the input", "a,", "a|"},
        {"byte order mark",
         "\xEF\xBB\xBF"
         "a,b\n",
         "a|b"},
        {"byte order mark before a quote", "\xEF\xBB\xBF\"a,b\"\n", "a,b"},
        {"quoted", "\"a\",\"b\"\n", "a|b"},
        {"quoted comma and line breaks", "\"a,b\",\"c\nd\r\ne\"\nf\n", "a,b|c\nd\r\ne/f"},
        {"doubled quotes", "\"say \"\"hi\"\"\",x\n", "say \"hi\"|x"},
        {"only doubled quotes", "\"\"\"\"\n", "\""},
        {"quoted nothing", "\"\",\"\"\r\n", "|"},
        {"quote inside a plain field", "a\"b\",c\n", "a\"b\"|c"},
        {"text behind a closing quote", "\"a\"b,c\n", "ab|c"},
        {"quotes behind a closing quote", "\"a\"b\"c\"\"d,e\n", "ab\"c\"\"d|e"},
        {"open quote takes the rest", "a,\"b\nc,d\n", "!a|b\nc,d\n"},
        {"open quote at the very end", "a,\"", "!a|"},
        {"open quote ends with a pair", "\"a\"\"", "!a\""},
        {"empty lines are no records", "\n\r\na\n\n\nb\n\n", "a/b"},
        {"spaces are kept", " a , b \n", " a | b "},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF out = {0};
        show(span_of(CASES[i].in), &out);
        if (!span_is(buf_view(&out), CASES[i].want)) printf("\n  case: %s\n", CASES[i].name);
        CHECK_SPAN(buf_view(&out), CASES[i].want);
    }
}

static void raw_bytes(void) {
    AUTO(Arena) arena = arena_new(0);
    CsvReader reader = csv_reader(SPAN("\"a\"\"b\",c\r\n\nd,\"e\nf\"\nlast"));
    CsvRecord record;
    Err err = {0};
    static const char *const WANT[] = {"\"a\"\"b\",c", "d,\"e\nf\"", "last"};
    for (size_t i = 0; i < COUNT(WANT); i++) {
        REQUIRE(csv_next(&reader, arena, &record, &err));
        CHECK_SPAN(record.raw, WANT[i]);
    }
    CHECK(!csv_next(&reader, arena, &record, &err));
    CHECK(!err.kind);
}

static void bounds(void) {
    AUTO(Arena) arena = arena_new(4096);
    AUTO_BUF in = {0};
    for (int i = 0; i < 200; i++) buf_text(&in, "x,");
    buf_text(&in, "x\n\"");
    for (int i = 0; i < 9000; i++) buf_text(&in, "\"\"");
    buf_text(&in, "\"\n");
    CsvReader reader = csv_reader(buf_view(&in));
    CsvRecord record;
    Err err = {0};
    REQUIRE(csv_next(&reader, arena, &record, &err));
    CHECK(record.count == 201);
    CHECK(!csv_next(&reader, arena, &record, &err));
    CHECK(err_is(&err, &ERR_TOO_LARGE));
}

static void writing(void) {
    static const char *const CASES[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"a,b", "\"a,b\""},
        {"a\"b", "\"a\"\"b\""},
        {"a\nb", "\"a\nb\""},
        {"a\rb", "\"a\rb\""},
        {" a", "\" a\""},
        {"=1+1", "=1+1"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF out = {0};
        csv_write_field(&out, span_of(CASES[i][0]));
        CHECK_SPAN(buf_view(&out), CASES[i][1]);
    }
}

static CsvRecord record_of(const char *line, Arena *arena) {
    CsvReader reader = csv_reader(span_of(line));
    CsvRecord record;
    Err err = {0};
    REQUIRE(csv_next(&reader, arena, &record, &err));
    return record;
}

static void headers(void) {
    static const struct {
        const char *line, *fault; /* NULL: fine */
    } CASES[] = {
        {"firstName,lastName,email,phone,notes", NULL},
        {"notes, phone ,email,lastName,firstName", NULL},
        {"firstName,lastName,email,phone", "the header lacks the column notes"},
        {"firstName,lastName,email,phone,notes,notes", "the header names the column notes twice"},
        {"firstName,surname,email,phone,notes",
         "column 2 of the header is none of firstName, lastName, email, phone, notes"},
        {"FirstName,lastName,email,phone,notes",
         "column 1 of the header is none of firstName, lastName, email, phone, notes"},
        {"a;b;c", "column 1 of the header is none of firstName, lastName, email, phone, notes"},
    };
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ImportColumns columns;
        Err err = {0};
        CsvRecord record = record_of(CASES[i].line, arena);
        CHECK(import_columns(&record, &columns, &err) == !CASES[i].fault);
        CHECK_SPAN(span_of(err.why), CASES[i].fault ? CASES[i].fault : "");
    }
}

static void rows(void) {
    static const struct {
        const char *line, *fault;
    } CASES[] = {
        {"+1,Ada,Lovelace,ada@example.org,", NULL},
        {"a,b,c,d", "wrong_column_count"},
        {"a,b,c,d,e,f", "wrong_column_count"},
        {"a", "wrong_column_count"},
        {"a,b,c,d,\"open", "wrong_column_count"},
        {"a,b,c,d,\xC3(", "invalid_encoding"},
        {"a,b,c,d,\xC3\xA9", NULL},
    };
    AUTO(Arena) arena = arena_new(0);
    ImportColumns columns;
    Err err = {0};
    CsvRecord header = record_of("phone,firstName,lastName,email,notes", arena);
    REQUIRE(import_columns(&header, &columns, &err));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        CsvRecord row = record_of(CASES[i].line, arena);
        ImportFault fault = import_check(&columns, &row);
        CHECK_SPAN(span_of(fault.code ? fault.code : ""), CASES[i].fault ? CASES[i].fault : "");
    }
    CsvRecord row = record_of("+1,\"Ada \"\"A\"\"\",Lovelace,ada@example.org,", arena);
    AUTO_BUF body = {0};
    import_body(&columns, &row, "0190a000-0000-7000-8000-000000000000", &body);
    CHECK_SPAN(buf_view(&body), "{\"commandId\":\"0190a000-0000-7000-8000-000000000000\","
                                "\"firstName\":\"Ada \\\"A\\\"\",\"lastName\":\"Lovelace\","
                                "\"email\":\"ada@example.org\",\"phone\":\"+1\"}");
}

static void command_ids(void) {
    char a[UUID_TEXT], b[UUID_TEXT];
    Uuid parsed;
    import_command_id(SPAN("demo"), 1, SPAN("x,y"), a);
    CHECK(uuid_parse(span_of(a), &parsed) && a[14] == '5');
    static const struct {
        const char *tenant;
        int64_t row;
        const char *raw;
        bool same;
    } CASES[] = {{"demo", 1, "x,y", true},
                 {"demo", 2, "x,y", false},
                 {"demo", 1, "x,z", false},
                 {"dem", 1, "x,y", false}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        import_command_id(span_of(CASES[i].tenant), CASES[i].row, span_of(CASES[i].raw), b);
        CHECK(!strcmp(a, b) == CASES[i].same);
    }
}

static void rejected(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF out = {0};
    CsvRecord header = record_of("firstName,email", arena), row = record_of("=1+1,\"a,\"\"b\"\"\"", arena);
    ImportFault fault = {"invalid_email", "email", "no, not one"};
    import_rejected_header(&header, &out);
    import_rejected_row(7, &fault, &row, &out);
    CHECK_SPAN(buf_view(&out), "row,code,field,message,firstName,email\r\n"
                               "7,invalid_email,email,\"no, not one\",=1+1,\"a,\"\"b\"\"\"\r\n");
}

SUITE("csv", TEST(reading), TEST(raw_bytes), TEST(bounds), TEST(writing), TEST(headers), TEST(rows),
      TEST(command_ids), TEST(rejected));
