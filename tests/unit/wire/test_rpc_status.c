/* Statuses in the three forms. The packed one is read here by hand, by the numbers of google.rpc. */
#include "kit/test.h"

#include "wire/base64.h"
#include "wire/proto_scan.h"
#include "wire/rpc/rpc_status.h"
#include <stdio.h>

/* A field of bytes: its number and content; false at the end or where it is something else. */
static bool next(Span *in, unsigned *number, Span *bytes) {
    size_t at = 0;
    uint64_t tag, len;
    if (!proto_varint(*in, &at, &tag) || (tag & 7) != 2 || !proto_varint(*in, &at, &len)) return false;
    REQUIRE(len <= in->len - at);
    *number = (unsigned)(tag >> 3);
    *bytes = (Span){in->at + at, (size_t)len};
    *in = (Span){in->at + at + len, in->len - at - (size_t)len};
    return true;
}

/* "1=text 2=text ..." of a message of texts; what holds messages is shown in brackets. */
static void show(Span in, const char *nested, Buf *out) {
    unsigned number;
    Span bytes;
    while (next(&in, &number, &bytes)) {
        bool inside = *nested && nested[0] == (char)('0' + number);
        buf_printf(out, "%u=", number);
        if (inside)
            buf_byte(out, '['), show(bytes, nested + 1, out), buf_byte(out, ']');
        else
            buf_span(out, bytes);
        buf_byte(out, ' ');
    }
    if (in.len) buf_text(out, "?");
}

static const FieldFaults FAULTS = {{{"email", "invalid_email"}, {"firstName", "required"}}, 2};

static const struct {
    RpcStatus status;
    unsigned code;
    const char *message, *bad_request, *error_info, *json;
} CASES[] = {
    {{.code = RPC_OK}, 0, "", NULL, NULL, "{\"code\":\"ok\"}"},
    {{.code = RPC_UNIMPLEMENTED, .message = "no such call"},
     12,
     "no such call",
     NULL,
     NULL,
     "{\"code\":\"unimplemented\",\"message\":\"no such call\"}"},
    {{.code = RPC_INVALID_ARGUMENT,
      .message = "bad",
      .reason = "invalid",
      .faults = &FAULTS,
      .correlation_id = "c-1"},
     3,
     "bad",
     "1=[1=email 2=is not an e-mail address 3=invalid_email ] "
     "1=[1=firstName 2=must not be empty 3=required ] ",
     "1=invalid 2=events 3=[1=correlationId 2=c-1 ] ",
     NULL},
    {{.code = RPC_ALREADY_EXISTS, .message = "in use", .reason = "duplicate_email", .command_id = "x"},
     6,
     "in use",
     NULL,
     "1=duplicate_email 2=events 3=[1=commandId 2=x ] ",
     "{\"code\":\"already_exists\",\"message\":\"in "
     "use\",\"details\":[{\"type\":\"google.rpc.ErrorInfo\",\"value\":"
     "\"Cg9kdXBsaWNhdGVfZW1haWwSBmV2ZW50cxoOCgljb21tYW5kSWQSAXg\"}]}"},
};

static void check_detail(Span any, const char *type, const char *nested, const char *want) {
    AUTO_BUF text = {0}, url = {0};
    unsigned number;
    Span bytes;
    buf_printf(&url, "type.googleapis.com/google.rpc.%s", type);
    buf_byte(&url, 0);
    CHECK(next(&any, &number, &bytes) && number == 1);
    CHECK_SPAN(bytes, url.at);
    CHECK(next(&any, &number, &bytes) && number == 2 && any.len == 0);
    show(bytes, nested, &text);
    CHECK_SPAN(buf_view(&text), want);
}

static void packed(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF out = {0};
        unsigned number;
        size_t at = 0;
        uint64_t value = 0;
        rpc_status_pack(&CASES[i].status, &out);
        Span in = buf_view(&out), bytes;
        CHECK(proto_varint(in, &at, &value) && value == 8);
        CHECK(proto_varint(in, &at, &value) && value == CASES[i].code);
        in.at += at, in.len -= at;
        if (*CASES[i].message)
            CHECK(next(&in, &number, &bytes) && number == 2 && span_is(bytes, CASES[i].message));
        if (CASES[i].bad_request) {
            CHECK(next(&in, &number, &bytes) && number == 3);
            check_detail(bytes, "BadRequest", "1", CASES[i].bad_request);
        }
        if (CASES[i].error_info) {
            CHECK(next(&in, &number, &bytes) && number == 3);
            check_detail(bytes, "ErrorInfo", "3", CASES[i].error_info);
        }
        CHECK(in.len == 0);
        CHECK(rpc_status_has_details(&CASES[i].status) == (CASES[i].bad_request || CASES[i].error_info));
    }
}

static void connect(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF out = {0};
        rpc_status_json(&CASES[i].status, &out);
        if (CASES[i].json) CHECK_SPAN(buf_view(&out), CASES[i].json);
    }
    AUTO_BUF end = {0};
    rpc_end_json(&CASES[0].status, &end);
    CHECK_SPAN(buf_view(&end), "{}");
    buf_clear(&end);
    rpc_end_json(&CASES[1].status, &end);
    CHECK_SPAN(buf_view(&end), "{\"error\":{\"code\":\"unimplemented\",\"message\":\"no such call\"}}");
}

static void web(void) {
    AUTO_BUF out = {0};
    rpc_web_trailers(&CASES[0].status, &out);
    CHECK_SPAN(buf_view(&out), "grpc-status: 0\r\n");
    buf_clear(&out);
    rpc_web_trailers(&CASES[3].status, &out);
    CHECK(span_starts(
        buf_view(&out),
        SPAN("grpc-status: 6\r\ngrpc-message: in use\r\ngrpc-status-details-bin: CAYSBmluIHVzZ")));
    CHECK(span_ends(buf_view(&out), SPAN("\r\n")));
}

static void percent(void) {
    static const char *const TEXTS[][2] = {
        {"", ""},        {"plain text~", "plain text~"}, {"100%", "100%25"}, {"a\nb", "a%0Ab"},
        {"\x7f", "%7F"}, {"\xc3\xa9", "%C3%A9"},         {"%zz", "%25zz"},
    };
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        AUTO_BUF out = {0};
        rpc_percent_encode(span_of(TEXTS[i][0]), &out);
        CHECK_SPAN(buf_view(&out), TEXTS[i][1]);
    }
}

static void names(void) {
    CHECK_SPAN(span_of(rpc_code_name(RPC_DEADLINE_EXCEEDED)), "DEADLINE_EXCEEDED");
    CHECK_SPAN(span_of(rpc_code_connect(RPC_CANCELLED)), "canceled");
    CHECK(rpc_code_http(RPC_CANCELLED) == 499 && rpc_code_http(RPC_UNAUTHENTICATED) == 401);
    static const struct {
        const char *rejection;
        RpcCode code;
    } REJECTIONS[] = {
        {"duplicate_email", RPC_ALREADY_EXISTS},
        {"version_conflict", RPC_ABORTED},
        {"not_found", RPC_NOT_FOUND},
        {"idempotency_conflict", RPC_FAILED_PRECONDITION},
        {"invalid", RPC_INVALID_ARGUMENT},
        {"of_the_future", RPC_FAILED_PRECONDITION},
        {"", RPC_FAILED_PRECONDITION},
    };
    for (size_t i = 0; i < COUNT(REJECTIONS); i++)
        CHECK(rpc_code_of_rejection(REJECTIONS[i].rejection) == REJECTIONS[i].code);
}

static void base64(void) {
    static const struct {
        const char *text, *want; /* NULL: none */
    } TEXTS[] = {
        {"", ""},
        {"YQ==", "a"},
        {"YQ", "a"},
        {"YWI=", "ab"},
        {"YWI", "ab"},
        {"YWJj", "abc"},
        {"-_-_", "\xfb\xff\xbf"},
        {"+/+/", "\xfb\xff\xbf"},
        {"YQ==YWI=YWJj", "aababc"},
        {"YQ==YQ", "aa"},
        {"Y", NULL},
        {"YWJjY", NULL},
        {"YQ=", NULL},
        {"YQ===", NULL},
        {"=", NULL},
        {"YWJj=", NULL},
        {"YQ=a", NULL},
        {"YQ=Q", NULL},
        {"Y Q=", NULL},
        {"YR==", NULL},
        {"YWJ", NULL},
    };
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        AUTO_BUF out = {0};
        bool good = base64_read_any(span_of(TEXTS[i].text), &out);
        if (good != (TEXTS[i].want != NULL)) printf("\n    %s", TEXTS[i].text);
        CHECK(good == (TEXTS[i].want != NULL));
        if (good) CHECK_SPAN(buf_view(&out), TEXTS[i].want);
    }
    AUTO_BUF bare = {0};
    base64_write_bare(&bare, SPAN("a"));
    base64_write_bare(&bare, SPAN("ab"));
    base64_write_bare(&bare, SPAN("abc"));
    base64_write_bare(&bare, SPAN_NONE);
    CHECK_SPAN(buf_view(&bare), "YQYWIYWJj");
}

SUITE("rpc_status", TEST(packed), TEST(connect), TEST(web), TEST(percent), TEST(names), TEST(base64));
