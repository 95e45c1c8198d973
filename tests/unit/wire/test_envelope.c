#include "kit/test.h"

#include "events/v1/prospect.pb-c.h"
#include "events/v1/rest.pb-c.h"
#include "wire/check.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include "wire/problem.h"
#include "wire/proto_scan.h"

static void numbers_are_appended(void) {
    static const int64_t NUMBERS[] = {1, 127, 128, 9007199254740991, INT64_MAX};
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF bytes = {0};
        Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
        e.event_id = message_text("x");
        e.sequence = 5;
        message_pack(&e.base, &bytes);
        envelope_append_numbers(&bytes, NUMBERS[i], NUMBERS[i]);
        envelope_append_numbers(&bytes, NUMBERS[i], INT64_MAX); /* published again: the last one counts */
        Events__V1__Envelope *got = envelope_unpack(buf_view(&bytes), arena);
        REQUIRE(got != NULL);
        CHECK(got->sequence == NUMBERS[i] && got->watermark == INT64_MAX);
        CHECK_SPAN(span_of(got->event_id), "x");
    }
    AUTO(Arena) arena = arena_new(0);
    CHECK(envelope_unpack(SPAN("\x0a\x05x"), arena) == NULL);
}

static void own_json_form(void) {
    AUTO_BUF out = {0};
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = message_text("i"), e.event_type = message_text("EventSkipped"),
    e.schema_version = message_text("1.0"), e.producer = message_text("P");
    e.occurred_at = timestamp_new(arena, 1500000), e.subject = message_text("prospect/1"), e.sequence = 9,
    e.subject_version = 2;
    e.data = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"\x12\x01y"};
    e.watermark = 11;
    envelope_to_json(&e, &out);
    CHECK_SPAN(
        buf_view(&out),
        "{\"eventId\":\"i\",\"eventType\":\"EventSkipped\",\"schemaVersion\":\"1.0\","
        "\"occurredAt\":\"1970-01-01T00:00:01.5Z\",\"producer\":\"P\",\"correlationId\":\"\","
        "\"causationId\":\"\",\"subject\":\"prospect/1\",\"data\":{\"eventId\":\"\",\"reason\":\"y\"},"
        "\"tenantId\":\"\",\"sequence\":\"9\",\"subjectVersion\":2,\"issuedBy\":\"\",\"traceparent\":\"\"}");
}

static void replies_leave_out_what_is_empty(void) {
    AUTO_BUF out = {0};
    Events__V1__CommandOutcome o = EVENTS__V1__COMMAND_OUTCOME__INIT;
    o.command_id = message_text("c"), o.status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_PENDING;
    message_to_json(&o.base, &out);
    CHECK_SPAN(buf_view(&out), "{\"commandId\":\"c\",\"status\":\"pending\"}");
    Events__V1__ProspectPage page = EVENTS__V1__PROSPECT_PAGE__INIT;
    Events__V1__Prospect p = EVENTS__V1__PROSPECT__INIT;
    p.prospect_id = 9007199254740991, p.first_name = message_text("Ada"), p.version = 2;
    page.items = (Events__V1__Prospect *[]){&p}, page.n_items = 1;
    buf_clear(&out);
    message_to_json(&page.base, &out);
    CHECK_SPAN(
        buf_view(&out),
        "{\"items\":[{\"prospectId\":9007199254740991,\"firstName\":\"Ada\",\"lastName\":\"\",\"email\":\"\","
        "\"phone\":\"\",\"notes\":\"\",\"version\":2,\"createdAt\":null,\"updatedAt\":null}]}");
}

static void timestamps(void) {
    static const struct {
        int64_t seconds;
        int32_t nanos;
        int64_t want;
    } CASES[] = {
        {0, 0, 0},
        {1, 999999999, 1999999},
        {253402300799, 999999999, 253402300799999999},
        {INT64_MAX, 0, 253402300799999999},
        {-1, 0, 0},
        {INT64_MIN, 0, 0},
        {5, -1, 5000000},
        {5, INT32_MAX, 5999999},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        t.seconds = CASES[i].seconds, t.nanos = CASES[i].nanos;
        CHECK(timestamp_us(&t) == CASES[i].want);
    }
    CHECK(timestamp_us(NULL) == 0);
}

static void subjects(void) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__ProspectCreated created = EVENTS__V1__PROSPECT_CREATED__INIT;
    Events__V1__CommandRejected rejected = EVENTS__V1__COMMAND_REJECTED__INIT;
    Events__V1__CreateProspect create = EVENTS__V1__CREATE_PROSPECT__INIT;
    created.prospect_id = 12345;
    rejected.command_id = message_text("c-1");
    CHECK_SPAN(span_of(message_subject(&created.base, arena)), "prospect/12345");
    CHECK_SPAN(span_of(message_subject(&rejected.base, arena)), "command/c-1");
    CHECK_SPAN(span_of(message_subject(&create.base, arena)), "");
}

static void personal_fields_are_cleared(void) {
    AUTO_BUF out = {0};
    Events__V1__ProspectPage page = EVENTS__V1__PROSPECT_PAGE__INIT;
    Events__V1__Prospect p = EVENTS__V1__PROSPECT__INIT;
    p.prospect_id = 1, p.first_name = message_text("secret"), p.last_name = message_text("secret"),
    p.email = message_text("secret"), p.phone = message_text("secret");
    p.notes = message_text("secret"), p.version = 4;
    page.items = (Events__V1__Prospect *[]){&p}, page.n_items = 1, page.next_cursor = message_text("n");
    AUTO(Arena) arena = arena_new(0);
    REQUIRE(proto_attach_unknown(&p.base, SPAN("\xaa\x06\x06secret"), arena)); /* of a newer version */
    message_clear_personal(&page.base);
    CHECK(p.base.n_unknown_fields == 0);
    message_to_json(&page.base, &out);
    CHECK(memmem(out.at, out.len, "secret", 6) == NULL);
    CHECK(p.prospect_id == 1 && p.version == 4);
    CHECK_SPAN(span_of(page.next_cursor), "n");
}

static void numbers_have_rules(void) {
    static const struct {
        int64_t id, version;
        const char *id_fault, *version_fault;
    } CASES[] = {
        {1, 1, "", ""},
        {(INT64_C(1) << 53) - 1, INT64_MAX, "", ""},
        {0, 0, "required", "required"},
        {-1, -1, "invalid_id", ""},
        {INT64_C(1) << 53, -2, "invalid_id", "out_of_range"},
        {INT64_MIN, INT64_MIN, "invalid_id", "out_of_range"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        Events__V1__UpdateProspect u = EVENTS__V1__UPDATE_PROSPECT__INIT;
        u.prospect_id = CASES[i].id, u.expected_version = CASES[i].version;
        u.first_name = message_text("A"), u.last_name = message_text("B"), u.email = message_text("a@b.c");
        FieldFaults faults = {0};
        message_validate(&u.base, arena, &faults);
        const char *got[2] = {"", ""};
        for (size_t k = 0; k < faults.count; k++)
            got[strcmp(faults.at[k].field, "expectedVersion") == 0] = faults.at[k].code;
        CHECK_SPAN(span_of(got[0]), CASES[i].id_fault);
        CHECK_SPAN(span_of(got[1]), CASES[i].version_fault);
    }
}

static void texts_are_stored_trimmed_and_composed(void) {
    AUTO(Arena) arena = arena_new(0);
    FieldFaults faults = {0};
    ProtobufCMessage *m = NULL;
    Span json = SPAN("{\"firstName\":\" \\u3000Rene\\u0301\\u2003\",\"lastName\":\"x\",\"email\":\" A@b.C "
                     "\",\"notes\":\" n \"}");
    REQUIRE(message_from_json(message_type(SPAN("CreateProspect")), json, arena, &m, &faults));
    Events__V1__CreateProspect *c = (Events__V1__CreateProspect *)m;
    CHECK_SPAN(span_of(c->first_name), "Ren\xc3\xa9");
    CHECK_SPAN(span_of(c->email), "A@b.C");
    CHECK_SPAN(span_of(c->notes), " n ");
}

static void problems(void) {
    AUTO_BUF out = {0};
    FieldFaults faults = {0};
    field_fault(&faults, "a\"b", "unknown_field");
    field_fault(&faults, "a\"b", "required"); /* one error per field */
    field_fault(&faults, "email", "required");
    problem_write(&out, "not_found", 404, "There is none.", "c-1", NULL);
    CHECK_SPAN(buf_view(&out), "{\"type\":\"/problems/not_found\",\"title\":\"Not found\",\"status\":404,"
                               "\"detail\":\"There is none.\",\"correlationId\":\"c-1\"}");
    buf_clear(&out);
    problem_write(&out, "invalid", 400, "", "", &faults);
    CHECK_SPAN(
        buf_view(&out),
        "{\"type\":\"/problems/"
        "invalid\",\"title\":\"Invalid\",\"status\":400,\"detail\":\"\",\"correlationId\":\"\","
        "\"errors\":[{\"field\":\"a\\\"b\",\"code\":\"unknown_field\",\"message\":\"is not a field of this "
        "message\"},{\"field\":\"email\",\"code\":\"required\",\"message\":\"must not be empty\"}]}");
}

static void faults_are_bounded(void) {
    AUTO_BUF json = {0};
    buf_text(&json, "{\"x0\":0");
    for (int i = 1; i < 100; i++) buf_printf(&json, ",\"x%d\":0", i);
    buf_text(&json, "}");
    AUTO(Arena) arena = arena_new(0);
    FieldFaults faults = {0};
    ProtobufCMessage *m;
    CHECK(!message_from_json(message_type(SPAN("CreateProspect")), buf_view(&json), arena, &m, &faults));
    CHECK(faults.count == FIELD_FAULTS_MAX);
}

SUITE("envelope", TEST(numbers_are_appended), TEST(own_json_form), TEST(replies_leave_out_what_is_empty),
      TEST(timestamps), TEST(subjects), TEST(personal_fields_are_cleared), TEST(numbers_have_rules),
      TEST(texts_are_stored_trimmed_and_composed), TEST(problems), TEST(faults_are_bounded));
