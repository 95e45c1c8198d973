#include "kit/test.h"

#include "wire/envelope.h"
#include "wire/message.h"

static void fill(Events__V1__Envelope *e) {
    events__v1__envelope__init(e);
    e->event_id = message_text("id"), e->event_type = message_text("ProspectCreated");
    e->subject = message_text("prospect/1"), e->tenant_id = message_text("demo");
    e->issued_by = message_text("user"), e->traceparent = message_text("00-a-b-01");
    e->data = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"abc"};
    e->sequence = INT64_MAX, e->watermark = 300, e->subject_version = -1;
}

static void agrees_with_the_envelope(void) {
    AUTO_BUF bytes = {0};
    Events__V1__Envelope e;
    EnvelopePeek p;
    fill(&e);
    message_pack(&e.base, &bytes);
    REQUIRE(envelope_peek(buf_view(&bytes), &p));
    CHECK_SPAN(p.event_id, "id");
    CHECK_SPAN(p.event_type, "ProspectCreated");
    CHECK_SPAN(p.subject, "prospect/1");
    CHECK_SPAN(p.tenant_id, "demo");
    CHECK_SPAN(p.issued_by, "user");
    CHECK_SPAN(p.data, "abc");
    CHECK(p.sequence == INT64_MAX && p.watermark == 300 && p.subject_version == -1);
    envelope_append_numbers(&bytes, 8, 9); /* the last one counts */
    REQUIRE(envelope_peek(buf_view(&bytes), &p));
    CHECK(p.sequence == 8 && p.watermark == 9);
}

static void unknown_fields_are_passed(void) {
    EnvelopePeek p;
    /* 12345: bytes; 16: varint; 17: 64 bits; 18: 32 bits; then the tenant */
    Span bytes = SPAN("\xca\x83\x06\x02xy"
                      "\x80\x01\x05"
                      "\x89\x01"
                      "12345678"
                      "\x95\x01"
                      "1234"
                      "\x52\x01t");
    REQUIRE(envelope_peek(bytes, &p));
    CHECK_SPAN(p.tenant_id, "t");
    CHECK(p.event_id.len == 0 && p.sequence == 0);
    CHECK(envelope_peek(SPAN_NONE, &p));
    CHECK(p.tenant_id.len == 0);
}

static void broken_bytes(void) {
    static const Span CASES[] = {
        {"\x0a\x05x", 3},                                         /* a length behind the end */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12},    /* one that wraps around */
        {"\x58", 1},                                              /* a number that is missing */
        {"\x58\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* one of more than ten bytes */
        {"\x00\x00", 2},                                          /* field 0 */
        {"\x4b\x4c", 2},                                          /* a group */
        {"\x09"
         "1234567",
         8},
        {"\x0d"
         "123",
         4},
        {"\xff\xff\xff\xff\xff\x01\x01", 7}, /* a tag above 32 bits */
    };
    EnvelopePeek p;
    for (size_t i = 0; i < COUNT(CASES); i++) CHECK(!envelope_peek(CASES[i], &p));
}

static void every_cut_is_safe(void) {
    AUTO_BUF bytes = {0};
    Events__V1__Envelope e;
    EnvelopePeek p;
    fill(&e);
    message_pack(&e.base, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = must(malloc(len ? len : 1)); /* a read behind the end is the sanitizer's to find */
        memcpy(exact, bytes.at, len);
        if (envelope_peek((Span){exact, len}, &p)) CHECK(p.event_id.len <= 2);
        free(exact);
    }
}

SUITE("envelope_peek", TEST(agrees_with_the_envelope), TEST(unknown_fields_are_passed), TEST(broken_bytes),
      TEST(every_cut_is_safe));
