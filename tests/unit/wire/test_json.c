#include "kit/test.h"

#include "wire/base64.h"
#include "wire/json/json.h"

/* ---- what a document reads as: one letter per token ---- */

static const char LETTERS[] = {
    [JSON_END] = '$',       [JSON_OBJECT] = '{', [JSON_OBJECT_END] = '}', [JSON_ARRAY] = '[',
    [JSON_ARRAY_END] = ']', [JSON_NAME] = 'n',   [JSON_STRING] = 's',     [JSON_NUMBER] = '0',
    [JSON_TRUE] = 't',      [JSON_FALSE] = 'f',  [JSON_NULL] = '-'};

typedef struct Document {
    const char *text;
    const char *want; /* tokens, then a fault if there is one */
} Document;

static const Document DOCUMENTS[] = {
    {"{}", "{}$"},
    {" [ ] ", "[]$"},
    {"\t\r\n\"x\"\n", "s$"},
    {"{\"a\":1,\"b\":[true,false,null,\"s\"]}", "{n0n[tf-s]}$"},
    {"[[],{},[{}]]", "[[]{}[{}]]$"},
    {"-0.5e+7", "0$"},
    {"0", "0$"},
    {"1E5", "0$"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "s$"},
    {"\"\\ud83d\\ude00\"", "s$"},
    {"", "invalid_json"},
    {" ", "invalid_json"},
    {"{", "{invalid_json"},
    {"[1,]", "[0invalid_json"},
    {"[,1]", "[invalid_json"},
    {"[1 2]", "[0invalid_json"},
    {"{\"a\"}", "{invalid_json"},
    {"{\"a\":}", "{ninvalid_json"},
    {"{\"a\":1,}", "{n0invalid_json"},
    {"{a:1}", "{invalid_json"},
    {"{1:1}", "{invalid_json"},
    {"[}", "[invalid_json"},
    {"{]", "{invalid_json"},
    {"[1}", "[0invalid_json"},
    {"]", "invalid_json"},
    {"1 2", "0invalid_json"},
    {"01", "0invalid_json"},
    {"+1", "invalid_json"},
    {".5", "invalid_json"},
    {"1.", "invalid_json"},
    {"1e", "invalid_json"},
    {"-", "invalid_json"},
    {"0x10", "0invalid_json"},
    {"NaN", "invalid_json"},
    {"Infinity", "invalid_json"},
    {"tru", "invalid_json"},
    {"True", "invalid_json"},
    {"nul", "invalid_json"},
    {"truex", "tinvalid_json"},
    {"'a'", "invalid_json"},
    {"\"a", "invalid_json"},
    {"\"a\nb\"", "invalid_json"},
    {"\"\x01\"", "invalid_json"},
    {"\"\\x41\"", "invalid_json"},
    {"\"\\u12g4\"", "invalid_json"},
    {"\"\\u12", "invalid_json"},
    {"\"\\", "invalid_json"},
    {"// c\n1", "invalid_json"},
    {"/* c */1", "invalid_json"},
    {"\xef\xbb\xbf{}", "invalid_json"},
    {"\xff", "invalid_json"},
    {"\"\xff\"", "invalid_encoding"},
    {"\"\xc0\xaf\"", "invalid_encoding"},
    {"\"\xed\xa0\x80\"", "invalid_encoding"},
    {"\"\xf4\x90\x80\x80\"", "invalid_encoding"},
    {"\"\xc3\"", "invalid_encoding"},
    {"\"\\ud800\"", "invalid_encoding"},
    {"\"\\udc00\"", "invalid_encoding"},
    {"\"\\ud800\\u0041\"", "invalid_encoding"},
    {"\"\\ud800x\"", "invalid_encoding"},
    {"{\"\\ud800\":1}", "{invalid_encoding"},
};

static void read_as_letters(JsonReader *r, Buf *out) {
    for (;;) {
        JsonToken token = json_next(r);
        if (token == JSON_ERROR) {
            buf_text(out, r->fault);
            return;
        }
        buf_byte(out, LETTERS[token]);
        if (token == JSON_END) return;
    }
}

static void documents(void) {
    for (size_t i = 0; i < COUNT(DOCUMENTS); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF got = {0};
        JsonReader r = json_reader(span_of(DOCUMENTS[i].text), arena);
        read_as_letters(&r, &got);
        CHECK_SPAN(buf_view(&got), DOCUMENTS[i].want);
        CHECK(r.fault == NULL || json_next(&r) == JSON_ERROR); /* it stays over */
    }
}

static void every_cut_is_told(void) {
    AUTO(Arena) arena = arena_new(0);
    Span whole = SPAN("{\"a\":[1.5e3,true,null,\"\\u00e9\\ud83d\\ude00\",{}],\"b\":\"\xc3\xa9\"}");
    for (size_t len = 0; len < whole.len; len++) {
        AUTO_BUF got = {0};
        JsonReader r = json_reader((Span){whole.at, len}, arena);
        read_as_letters(&r, &got);
        CHECK(r.fault != NULL);
    }
}

static void strings(void) {
    static const struct {
        const char *json, *want;
    } CASES[] = {
        {"\"plain\"", "plain"},
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u00e9b\"", "a\xc3\xa9"
                          "b"},
        {"\"\\u20ac\"", "\xe2\x82\xac"},
        {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80"},
        {"\"\\uffff\"", "\xef\xbf\xbf"},
        {"\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        JsonReader r = json_reader(span_of(CASES[i].json), arena);
        REQUIRE(json_next(&r) == JSON_STRING);
        CHECK_SPAN(r.text, CASES[i].want);
    }
}

static void integers(void) {
    static const struct {
        const char *json;
        bool ok;
        int64_t want;
    } CASES[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-1", true, -1},
        {"9007199254740991", true, 9007199254740991},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"1.0", true, 1},
        {"1.000", true, 1},
        {"1.5", false, 0},
        {"1e0", true, 1},
        {"1E+0", true, 1},
        {"1e-00", true, 1},
        {"1e1", false, 0},
        {"12.0e0", true, 12},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        JsonReader r = json_reader(span_of(CASES[i].json), NULL);
        int64_t got = 0;
        REQUIRE(json_next(&r) == JSON_NUMBER);
        CHECK(json_number_int(&r, &got) == CASES[i].ok);
        if (CASES[i].ok) CHECK(got == CASES[i].want);
    }
}

static const char *fault_of_levels(size_t levels, char open, char close) {
    AUTO_BUF text = {0};
    for (size_t i = 0; i < levels; i++) buf_byte(&text, open);
    for (size_t i = 0; i < levels; i++) buf_byte(&text, close);
    JsonReader r = json_reader(buf_view(&text), NULL);
    JsonToken first = json_next(&r);
    json_skip(&r, first);
    json_next(&r);
    return r.fault ? r.fault : "";
}

static void depth(void) {
    CHECK_SPAN(span_of(fault_of_levels(32, '[', ']')), "");
    CHECK_SPAN(span_of(fault_of_levels(33, '[', ']')), "too_deep");
    CHECK_SPAN(span_of(fault_of_levels(100000, '[', ']')), "too_deep");
    CHECK_SPAN(span_of(fault_of_levels(33, '[', 'x')), "too_deep");
}

static void skipping(void) {
    AUTO(Arena) arena = arena_new(0);
    JsonReader r = json_reader(SPAN("{\"a\":{\"b\":[1,{\"c\":[]}]},\"d\":2}"), arena);
    CHECK(json_next(&r) == JSON_OBJECT);
    CHECK(json_next(&r) == JSON_NAME);
    CHECK(json_skip(&r, json_next(&r)));
    CHECK(json_next(&r) == JSON_NAME);
    CHECK_SPAN(r.text, "d");
    CHECK(json_skip(&r, json_next(&r)));
    CHECK(json_next(&r) == JSON_OBJECT_END);
    CHECK(json_next(&r) == JSON_END);
}

static void writing(void) {
    AUTO_BUF out = {0};
    JsonWriter w = json_writer(&out);
    json_object(&w);
    json_name(&w, "text");
    json_string(&w, SPAN("a\"\\\b\f\n\r\t\x01\x1f\xc3\xa9/"));
    json_name(&w, "list");
    json_array(&w);
    json_int(&w, INT64_MIN);
    json_int(&w, INT64_MAX);
    json_decimal_string(&w, 42);
    json_array(&w);
    json_array_end(&w);
    json_object(&w);
    json_object_end(&w);
    json_bool(&w, true);
    json_bool(&w, false);
    json_null(&w);
    json_array_end(&w);
    json_name(&w, "at");
    json_time(&w, 1000000);
    json_name(&w, "bytes");
    json_base64(&w, SPAN("\xff\x00"));
    json_name(&w, "raw");
    json_raw(&w, SPAN("{}"));
    json_object_end(&w);
    CHECK_SPAN(buf_view(&out),
               "{\"text\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\xc3\xa9/\",\"list\":[-9223372036854775808,"
               "9223372036854775807,\"42\",[],{},true,false,null],\"at\":\"1970-01-01T00:00:01Z\","
               "\"bytes\":\"/wA=\",\"raw\":{}}");
}

static void base64(void) {
    static const struct {
        const char *text, *want; /* want NULL: refused */
    } CASES[] = {
        {"", ""},         {"Zg==", "f"},   {"Zm8=", "fo"}, {"Zm9v", "foo"},    {"Zm9vYmFy", "foobar"},
        {"Zg=", NULL},    {"Zg", NULL},    {"Z===", NULL}, {"Zh==", NULL},     {"Zm9=", NULL},
        {"Zm9v\n", NULL}, {"Zm 9v", NULL}, {"=Zg=", NULL}, {"Zg==Zg==", NULL}, {"-_--", NULL},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF again = {0};
        Span got;
        bool ok = base64_read(span_of(CASES[i].text), arena, &got);
        CHECK(ok == (CASES[i].want != NULL));
        if (!ok || !CASES[i].want) continue;
        CHECK_SPAN(got, CASES[i].want);
        base64_write(&again, got);
        CHECK_SPAN(buf_view(&again), CASES[i].text);
    }
}

SUITE("json", TEST(documents), TEST(every_cut_is_told), TEST(strings), TEST(integers), TEST(depth),
      TEST(skipping), TEST(writing), TEST(base64));
