#include "kit/test.h"

#include "events/v1/prospect.pb-c.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/message.h"
#include <stdio.h>

enum { FIELDS = 12 };

typedef struct Field {
    const char *name, *value;
} Field;

typedef struct Outcome {
    Events__V1__Envelope *event;
    char reason[80];
} Outcome;

static Span get(const void *of, const char *name) {
    for (const Field *f = of; f->name; f++)
        if (strcmp(f->name, name) == 0) return span_of(f->value);
    return SPAN_NONE;
}
static void on_event(void *user, Events__V1__Envelope *e) {
    ((Outcome *)user)->event = e;
}
static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    CHECK(index == 0 && bytes.at);
    snprintf(((Outcome *)user)->reason, 80, "%s", reason);
}

static Outcome read_event(const Field *fields, Span body, Arena *arena) {
    Outcome o = {0};
    Err err = {0};
    const CloudEventVisitor visitor = {.event = on_event, .bad = on_bad, .user = &o};
    CHECK_OK(cloudevent_read_binary(&(CloudEventFields){get, fields}, body, arena, &visitor, &err), &err);
    return o;
}

#define NEEDED                                                                                               \
    {"ce-specversion", "1.0"}, {"ce-id", "i"}, {"ce-source", "/services/S"}, {                               \
        "ce-type", "EventSkipped"                                                                            \
    }
#define JSON_BODY                                                                                            \
    { "content-type", "application/json; charset=utf-8" }

static void all_attributes(void) {
    static const Field FIELDS_OF_ALL[] = {NEEDED,
                                          JSON_BODY,
                                          {"ce-subject", "prospect/1"},
                                          {"ce-time", "2026-01-01T00:00:00.25Z"},
                                          {"ce-schemaversion", "1.0"},
                                          {"ce-correlationid", "c"},
                                          {"ce-causationid", "a"},
                                          {"ce-tenantid", "demo"},
                                          {"ce-sequence", "0000000000000000007"},
                                          {"ce-watermark", "9"},
                                          {"ce-subjectversion", "3"},
                                          {"ce-issuedby", "u"},
                                          {"ce-traceparent", "00-a-b-01"},
                                          {"ce-unheardof", "x"},
                                          {NULL, NULL}};
    AUTO(Arena) arena = arena_new(0);
    Outcome o = read_event(FIELDS_OF_ALL, SPAN("{\"eventId\":\"e\"}"), arena);
    REQUIRE(o.event != NULL);
    AUTO_BUF out = {0};
    CHECK(cloudevent_write(o.event, &out, NULL));
    CHECK_SPAN(buf_view(&out),
               "{\"specversion\":\"1.0\",\"id\":\"i\",\"type\":\"EventSkipped\",\"source\":\"/services/S\","
               "\"subject\":\"prospect/1\",\"time\":\"2026-01-01T00:00:00.25Z\",\"datacontenttype\":"
               "\"application/json\",\"schemaversion\":\"1.0\",\"correlationid\":\"c\",\"causationid\":\"a\","
               "\"tenantid\":\"demo\",\"sequence\":\"0000000000000000007\",\"watermark\":"
               "\"0000000000000000009\",\"subjectversion\":\"3\",\"issuedby\":\"u\",\"traceparent\":"
               "\"00-a-b-01\",\"data\":{\"eventId\":\"e\",\"reason\":\"\"}}");
}

static void values_are_decoded(void) {
    static const struct {
        const char *sent, *subject; /* NULL: refused */
    } CASES[] = {
        {"plain", "plain"},
        {"a%20b", "a b"},
        {"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"%e2%82%ac", "\xe2\x82\xac"}, /* lower-case digits */
        {"%41", "A"},                  /* a needless escape */
        {"%2541", "%41"},              /* once only */
        {"\"a b\"", "a b"},
        {"\"a \\\"b\\\\c\"", "a \"b\\c"},
        {"\"%22\"", "\""}, /* quotes first, then the escapes */
        {"%22x%22", "\"x\""},
        {"a\"b\"", "a\"b\""},
        {"+", "+"},
        {"%C0%A0", NULL}, /* overlong */
        {"%ED%A0%80", NULL},
        {"%E2%82", NULL},
        {"\xff", NULL},
        {"%", NULL},
        {"%4", NULL},
        {"%4g", NULL},
        {"%00", NULL},
        {"a%0Ab", NULL},
        {"%C2%85", NULL},
        {"\"a\\\"", NULL}, /* the closing quote is escaped */
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const Field fields[] = {NEEDED, JSON_BODY, {"ce-subject", CASES[i].sent}, {NULL, NULL}};
        AUTO(Arena) arena = arena_new(0);
        Outcome o = read_event(fields, SPAN("{}"), arena);
        CHECK((o.event != NULL) == (CASES[i].subject != NULL));
        if (o.event && CASES[i].subject) CHECK_SPAN(span_of(o.event->subject), CASES[i].subject);
        if (!o.event) CHECK_SPAN(span_of(o.reason), "a ce- header field is badly encoded");
    }
}

static void what_makes_an_event(void) {
    static const struct {
        Field fields[FIELDS];
        Span body;
        const char *reason; /* NULL: good */
    } CASES[] = {
        {{NEEDED, JSON_BODY}, {"{}", 2}, NULL},
        {{NEEDED, {"content-type", "application/vnd.x+json"}}, {"{}", 2}, NULL},
        {{NEEDED, {"content-type", "application/x-protobuf"}}, {"\x0a\x01x", 3}, NULL},
        {{NEEDED, {"content-type", "application/x-protobuf"}}, {"\x0a\x09x", 3}, "data: invalid_encoding"},
        {{NEEDED, JSON_BODY}, {"[]", 2}, "data does not fit the event's type"},
        {{NEEDED, JSON_BODY}, {"{", 1}, "data: invalid_json"},
        {{NEEDED, JSON_BODY}, {"", 0}, "data is missing"},
        {{NEEDED}, {"{}", 2}, "datacontenttype is neither JSON nor application/x-protobuf"},
        {{NEEDED, {"content-type", "text/plain"}},
         {"{}", 2},
         "datacontenttype is neither JSON nor application/x-protobuf"},
        {{NEEDED, JSON_BODY, {"ce-datacontenttype", "application/json"}},
         {"{}", 2},
         "ce-datacontenttype is not a field"},
        {{NEEDED, JSON_BODY, {"ce-time", "yesterday"}}, {"{}", 2}, "time is not RFC 3339"},
        {{NEEDED, JSON_BODY, {"ce-sequence", "7a"}}, {"{}", 2}, "sequence is not a string of digits"},
        {{{"ce-specversion", "0.3"}, {"ce-id", "i"}, {"ce-source", "s"}, {"ce-type", "t"}, JSON_BODY},
         {"{}", 2},
         "specversion is not 1.0"},
        {{{"ce-specversion", "1.0"}, {"ce-source", "s"}, {"ce-type", "t"}, JSON_BODY},
         {"{}", 2},
         "id or type is missing"},
        {{{"ce-specversion", "1.0"}, {"ce-id", "i"}, {"ce-source", ""}, {"ce-type", "t"}, JSON_BODY},
         {"{}", 2},
         "source is missing"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        Outcome o = read_event(CASES[i].fields, CASES[i].body, arena);
        CHECK((o.event != NULL) == (CASES[i].reason == NULL));
        CHECK_SPAN(span_of(o.reason), CASES[i].reason ? CASES[i].reason : "");
    }
}

static void no_memory_is_not_a_bad_event(void) {
    static const Field ALL[] = {NEEDED, JSON_BODY, {"ce-subject", "\"a%20b\""}, {NULL, NULL}};
    size_t refused = 0;
    for (size_t limit = 16; limit < 1200; limit += 16) {
        AUTO(Arena) arena = arena_new(limit);
        Outcome o = {0};
        Err err = {0};
        const CloudEventVisitor visitor = {.event = on_event, .bad = on_bad, .user = &o};
        bool ok = cloudevent_read_binary(&(CloudEventFields){get, ALL}, SPAN("{\"eventId\":\"e\"}"), arena,
                                         &visitor, &err);
        CHECK(ok == (o.event != NULL) && !*o.reason);
        refused += !ok;
    }
    CHECK(refused > 5 && refused < 70);
}

static void told_from_other_messages(void) {
    static const Field NO_EVENT[] = {JSON_BODY, {"ce-id", "i"}, {NULL, NULL}},
                       EVENT[] = {NEEDED, {NULL, NULL}};
    CHECK(!cloudevent_is_binary(&(CloudEventFields){get, NO_EVENT}));
    CHECK(cloudevent_is_binary(&(CloudEventFields){get, EVENT}));
}

SUITE("cloudevent_binary", TEST(all_attributes), TEST(values_are_decoded), TEST(what_makes_an_event),
      TEST(no_memory_is_not_a_bad_event), TEST(told_from_other_messages));
