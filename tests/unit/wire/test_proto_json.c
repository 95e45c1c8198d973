/* ProtoJSON: what Connect clients write and want to read. */
#include "kit/test.h"

#include "events/v1/services.pb-c.h"
#include "events/v1/stream.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "wire/json/proto_json.h"
#include <stdio.h>

#define FRAME     &events__v1__server_frame__descriptor
#define SUBSCRIBE &events__v1__subscribe_request__descriptor
#define CREATE    &events__v1__create_prospect_request__descriptor
#define PAGE      &events__v1__prospect_page__descriptor
#define OUTCOME   &events__v1__command_outcome__descriptor
#define BATCH     &events__v1__event_batch__descriptor

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *type;
    const char *in, *want; /* want: what is written of it; or with a "!" before it, the faults */
    bool lenient;
} CASES[] = {
    {"empty", CREATE, "{}", "{}", false},
    {"part and flag", CREATE, "{\"command\":{\"firstName\":\"Ada\"},\"wait\":true}",
     "{\"command\":{\"firstName\":\"Ada\"},\"wait\":true}", false},
    {"names of the file", CREATE, "{\"command\":{\"first_name\":\"Ada\",\"command_id\":\"x\"}}",
     "{\"command\":{\"commandId\":\"x\",\"firstName\":\"Ada\"}}", false},
    {"null is absent", CREATE, "{\"command\":null,\"wait\":null}", "{}", false},
    {"number as text", SUBSCRIBE, "{\"subscribe\":{\"after\":\"12\",\"id\":3}}",
     "{\"subscribe\":{\"after\":\"12\",\"id\":3}}", false},
    {"number as number", SUBSCRIBE, "{\"subscribe\":{\"after\":12,\"id\":\"3\"}}",
     "{\"subscribe\":{\"after\":\"12\",\"id\":3}}", false},
    {"oneof with its empty value", SUBSCRIBE, "{\"subscribe\":{\"after\":0}}",
     "{\"subscribe\":{\"after\":\"0\"}}", false},
    {"list", SUBSCRIBE, "{\"subscribe\":{\"eventTypes\":[\"A\",\"B\",\"C\"],\"subjects\":[]}}",
     "{\"subscribe\":{\"eventTypes\":[\"A\",\"B\",\"C\"]}}", false},
    {"list of numbers", BATCH, "{\"ids\":[1,\"2\",3]}", "{\"ids\":[1,2,3]}", false},
    {"bytes", BATCH, "{\"events\":[{\"data\":\"_w\"}]}", "{\"events\":[{\"data\":\"/w==\"}]}", false},
    {"time", BATCH, "{\"events\":[{\"occurredAt\":\"2026-11-23T11:20:30.5+01:00\"}]}",
     "{\"events\":[{\"occurredAt\":\"2026-11-23T10:20:30.5Z\"}]}", false},
    {"enum by name", OUTCOME, "{\"status\":\"COMMAND_STATUS_PENDING\"}",
     "{\"status\":\"COMMAND_STATUS_PENDING\"}", false},
    {"enum by number", OUTCOME, "{\"status\":3}", "{\"status\":\"COMMAND_STATUS_REJECTED\"}", false},
    {"enum of the future", OUTCOME, "{\"status\":77}", "{\"status\":77}", false},
    {"frame", FRAME, "{\"pong\":{\"nonce\":\"-5\"}}", "{\"pong\":{\"nonce\":\"-5\"}}", false},
    {"empty frame", FRAME, "{\"events\":{}}", "{\"events\":{}}", false},
    {"unknown member, strict", CREATE, "{\"x\":[1,{}],\"command\":{\"y\":1}}",
     "!x unknown_field, y unknown_field", false},
    {"unknown member", CREATE, "{\"x\":[1,{}],\"command\":{\"y\":1},\"wait\":true}",
     "{\"command\":{},\"wait\":true}", true},
    {"twice", CREATE, "{\"wait\":true,\"wait\":false}", "!wait duplicate_field", true},
    {"twice in both spellings", CREATE, "{\"command\":{\"firstName\":\"a\",\"first_name\":\"b\"}}",
     "!first_name duplicate_field", false},
    {"text for a flag", CREATE, "{\"wait\":\"true\"}", "!wait wrong_type", false},
    {"list for a part", CREATE, "{\"command\":[]}", "!command wrong_type", false},
    {"item of another type", SUBSCRIBE, "{\"subscribe\":{\"subjects\":[\"a\",1]}}", "!subjects wrong_type",
     false},
    {"number too big", SUBSCRIBE, "{\"subscribe\":{\"id\":4294967296}}", "!id wrong_type", false},
    {"negative of no sign", SUBSCRIBE, "{\"subscribe\":{\"id\":-1}}", "!id wrong_type", false},
    {"fraction", SUBSCRIBE, "{\"subscribe\":{\"after\":1.5}}", "!after wrong_type", false},
    {"text that is no number", SUBSCRIBE, "{\"subscribe\":{\"after\":\"12a\"}}", "!after wrong_type", false},
    {"no base64", BATCH, "{\"events\":[{\"data\":\"*\"}]}", "!data wrong_type", false},
    {"no time", BATCH, "{\"events\":[{\"occurredAt\":\"today\"}]}", "!occurredAt wrong_type", false},
    {"no such value", OUTCOME, "{\"status\":\"pending\"}", "!status wrong_type", false},
    {"NUL in a text", CREATE, "{\"command\":{\"firstName\":\"a\\u0000b\"}}", "!firstName invalid_characters",
     false},
    {"no object", CREATE, "[]", "! wrong_type", false},
    {"nothing", CREATE, "", "! invalid_json", false},
    {"cut", CREATE, "{\"wait\":true", "! invalid_json", false},
    {"something behind", CREATE, "{} {}", "! invalid_json", false},
    {"lone surrogate", CREATE, "{\"command\":{\"firstName\":\"\\ud800\"}}", "!firstName invalid_encoding",
     false},
    {"deep", CREATE, "{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     "! too_deep", true},
    {"page", PAGE, "{\"items\":[{\"prospectId\":\"7\",\"version\":\"1\"}],\"position\":\"9\"}",
     "{\"items\":[{\"prospectId\":\"7\",\"version\":\"1\"}],\"position\":\"9\"}", false},
};

static void show_faults(const FieldFaults *faults, Buf *out) {
    buf_byte(out, '!');
    for (size_t i = 0; i < faults->count; i++)
        buf_printf(out, "%s%s %s", i ? ", " : "", faults->at[i].field, faults->at[i].code);
}

static void cases(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF out = {0};
        FieldFaults faults = {0};
        ProtobufCMessage *m =
            proto_json_read(CASES[i].type, span_of(CASES[i].in), !CASES[i].lenient, arena, &faults);
        if (m)
            proto_json_write(m, &out);
        else
            show_faults(&faults, &out);
        if (!span_is(buf_view(&out), CASES[i].want)) printf("\n    %s:", CASES[i].name);
        CHECK_SPAN(buf_view(&out), CASES[i].want);
    }
}

/* No request has a map; answers of gRPC's own services do. */
static void maps(void) {
    Grpc__Health__V1__HealthCheckResponse up = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry entry =
        GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__STATUSES_ENTRY__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry *entries[] = {&entry};
    Grpc__Health__V1__HealthListResponse list = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    up.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    entry.key = message_text("a.b");
    entry.value = &up;
    list.n_statuses = 1;
    list.statuses = entries;
    AUTO_BUF out = {0};
    proto_json_write(&list.base, &out);
    CHECK_SPAN(buf_view(&out), "{\"statuses\":{\"a.b\":{\"status\":\"SERVING\"}}}");
}

/* A small arena: a clean refusal. */
static void limits(void) {
    AUTO(Arena) arena = arena_new(4096);
    AUTO_BUF json = {0};
    FieldFaults faults = {0};
    buf_text(&json, "{\"subscribe\":{\"subjects\":[\"a\"");
    for (int i = 0; i < 2000; i++) buf_text(&json, ",\"a\"");
    buf_text(&json, "]}}");
    CHECK(proto_json_read(SUBSCRIBE, buf_view(&json), true, arena, &faults) == NULL);
    CHECK(faults.count == 1 && span_is(span_of(faults.at[0].code), "too_large"));
}

SUITE("proto_json", TEST(cases), TEST(maps), TEST(limits));
