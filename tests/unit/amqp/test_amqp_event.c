#include "amqp/amqp_event.h"
#include "kit/test.h"

/* What is not ASCII, long, or nothing, comes back as it was. */
static void there_and_back(void) {
    static char large[300000];
    memset(large, 'x', sizeof large - 1);
    const char *const BODIES[] = {"{}", "{\"subject\":\"prospect/1\",\"data\":{\"firstName\":\"Žofie\"}}", "",
                                  large};
    AUTO(AmqpCoder) coder = amqp_coder_new();
    for (size_t i = 0; i < COUNT(BODIES); i++) {
        AUTO_BUF bytes = {0};
        AmqpEvent got;
        Err err = {0};
        buf_text(&bytes, "before");
        CHECK_OK(amqp_event_encode(coder, span_of(BODIES[i]), SPAN("17"), &bytes, &err), &err);
        CHECK(amqp_event_decode(coder, span_bytes(bytes.at + 6, bytes.len - 6), &got));
        CHECK_SPAN(got.json, BODIES[i]);
        CHECK_SPAN(got.content_type, "application/cloudevents+json; charset=utf-8");
    }
}

/* Of the bytes of a message every beginning, and every single byte another. */
static void what_is_no_message(void) {
    AUTO(AmqpCoder) coder = amqp_coder_new();
    AUTO_BUF bytes = {0};
    AmqpEvent got;
    Err err = {0};
    CHECK_OK(amqp_event_encode(coder, SPAN("{\"a\":1}"), SPAN("17"), &bytes, &err), &err);
    for (size_t len = 0; len < bytes.len; len++) amqp_event_decode(coder, span_bytes(bytes.at, len), &got);
    for (size_t i = 0; i < bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes.at[i] ^= (char)(1 << bit);
            if (amqp_event_decode(coder, buf_view(&bytes), &got)) CHECK(got.json.len <= bytes.len);
            bytes.at[i] ^= (char)(1 << bit);
        }
    CHECK(!amqp_event_decode(coder, SPAN_NONE, &got));
    CHECK(!amqp_event_decode(coder, SPAN("no message"), &got));
}

SUITE("amqp event", TEST(there_and_back), TEST(what_is_no_message));
