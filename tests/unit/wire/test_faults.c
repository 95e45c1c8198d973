/* Faults are told by the path of their field, one for each, in the order of the body. */
#include "kit/test.h"

#include "events/v1/rest.pb-c.h"
#include "wire/check.h"
#include "wire/message.h"

static void as_text(const FieldFaults *faults, Buf *out) {
    for (size_t i = 0; i < faults->count; i++)
        buf_printf(out, "%s%s %s", i ? ", " : "", faults->at[i].field, faults->at[i].code);
}

static const struct {
    const char *type, *json, *want;
} CASES[] = {
    {"ProspectUpdated", "{\"changedFields\":[\"a\",7,\"b\",null,[1,[2]]]}",
     "changedFields[1] wrong_type, changedFields[3] wrong_type, changedFields[4] wrong_type"},
    {"ProspectUpdated", "{\"changedFields\":[\"a\\u0000\",\"b\\u0007\",\"c\"]}",
     "changedFields[0] invalid_characters, changedFields[1] invalid_characters"},
    {"ProspectUpdated", "{\"changedFields\":[\"a\",\"\\udc00\"]}", "changedFields[1] invalid_encoding"},
    {"ProspectUpdated", "{\"version\":true,\"changedFields\":[\"a\",\"b\"\"c\"]}", " invalid_json"},
    {"ProspectUpdated",
     "{\"firstName\":7,\"changedFields\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", " too_deep"},
    {"CommandRejected", "{\"errors\":[{\"field\":7},{},{\"code\":7,\"what\":1,\"code\":8}]}",
     "errors[0].field wrong_type, errors[2].code wrong_type, errors[2].what unknown_field"},
    {"CommandRejected", "{\"code\":7,\"errors\":[{\"code\":7},7]}",
     "code wrong_type, errors[0].code wrong_type, errors[1] wrong_type"},
    {"CommandRejected", "{\"errors\":[{},{\"message\":\"\xc0\xaf\"}]}", "errors[1].message invalid_encoding"},
    {"CommandRejected", "{\"errors\":[{\"message\":\"a\tb\"}]}", " invalid_json"},
    {"CommandRejected", "{\"errors\":[{\"message\":\"a\\tb\"}]}", "errors[0].message invalid_characters"},
    {"CommandRejected", "{\"errors\":[{\"message\":7,\"field\":\"\\t\"}]}",
     "errors[0].message wrong_type, errors[0].field invalid_characters"},
    {"ProspectPage", "{\"items\":[{\"createdAt\":\"2026-01-01\",\"prospectId\":-1,\"version\":1e30}]}",
     "items[0].createdAt wrong_type, items[0].version wrong_type, items[0].prospectId invalid_id"},
    {"EventPage", "{\"items\":[{\"eventType\":\"CommandRejected\",\"data\":{\"errors\":[{\"code\":1}]}}]}",
     "items[0].data.errors[0].code wrong_type"},
    {"EventPage", "{\"items\":[{\"data\":7}]}", "items[0].data wrong_type"},
};

static void paths(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF got = {0};
        FieldFaults faults = {0};
        ProtobufCMessage *m;
        const MessageType *type = message_type(span_of(CASES[i].type));
        REQUIRE(type != NULL);
        CHECK(!message_from_json(type, span_of(CASES[i].json), arena, &m, &faults) && m == NULL);
        as_text(&faults, &got);
        CHECK_SPAN(buf_view(&got), CASES[i].want);
    }
}

/* However many there are: the first 32, and no memory for the rest. */
static void of_many_the_first(void) {
    AUTO(Arena) arena = arena_new(64 << 10);
    AUTO_BUF json = {0};
    FieldFaults faults = {0};
    ProtobufCMessage *m;
    buf_text(&json, "{\"changedFields\":[0");
    for (int i = 0; i < 100000; i++) buf_text(&json, ",0");
    buf_text(&json, "]}");
    CHECK(!message_from_json(message_type(SPAN("ProspectUpdated")), buf_view(&json), arena, &m, &faults));
    REQUIRE(faults.count == FIELD_FAULTS_MAX);
    CHECK_SPAN(span_of(faults.at[31].field), "changedFields[31]");
    CHECK(!arena_refused(arena));
}

/* Two passes over one message (decoding, then the rules) tell of a field once, at any depth. */
static void the_same_field_is_told_once(void) {
    AUTO(Arena) arena = arena_new(0);
    FieldFaults faults = {0};
    field_fault(&faults, "street", "required");
    for (int pass = 0; pass < 2; pass++) {
        FieldPart place = field_part_begins(&faults, "place", FIELD_SINGLE);
        FieldPart door = field_part_begins(&faults, "doors", 3);
        CHECK(field_part_is_good(&faults));
        field_fault(&faults, "street", pass ? "too_long" : "wrong_type");
        field_part_ends(&faults, &door, arena);
        field_fault(&faults, "street", "required");
        field_part_ends(&faults, &place, arena);
    }
    AUTO_BUF got = {0};
    as_text(&faults, &got);
    CHECK_SPAN(buf_view(&got), "street required, place.doors[3].street wrong_type, place.street required");
    CHECK(faults.inside == 0);
}

static void what_must_be_there(void) {
    static const Google__Protobuf__Timestamp SOME = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    FieldFaults faults = {0};
    check_time("a", &SOME, true, &faults);
    check_time("b", NULL, false, &faults);
    CHECK(faults.count == 0);
    check_time("c", NULL, true, &faults);
    AUTO_BUF got = {0};
    as_text(&faults, &got);
    CHECK_SPAN(buf_view(&got), "c required");
}

SUITE("faults", TEST(paths), TEST(of_many_the_first), TEST(the_same_field_is_told_once),
      TEST(what_must_be_there));
