#include "kit/test.h"

#include "events/v1/prospect.pb-c.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include "wire/message.h"
#include <stdio.h>

enum { OUTCOME_MAX = 8 };

/* What a visitor was told. */
typedef struct Outcome {
    Events__V1__Envelope *events[OUTCOME_MAX];
    size_t count;
    size_t bad_count, bad_index;
    Span bad_bytes;
    char bad_reason[80], code[40];
    size_t unknown;
} Outcome;

static void on_event(void *user, Events__V1__Envelope *e) {
    Outcome *o = user;
    REQUIRE(o->count < OUTCOME_MAX);
    o->events[o->count++] = e;
}
static void on_bad(void *user, size_t index, Span bytes, const char *reason) {
    Outcome *o = user;
    o->bad_count++;
    o->bad_index = index;
    o->bad_bytes = bytes;
    snprintf(o->bad_reason, sizeof o->bad_reason, "%s", reason);
}
static void on_validation(void *user, const char *code) {
    Outcome *o = user;
    snprintf(o->code, sizeof o->code, "%s", code);
}

static bool read_body(Span type, Span body, Arena *arena, Outcome *o, Err *err) {
    *o = (Outcome){0};
    CloudEventVisitor visitor = {on_event, on_bad, on_validation, o, &o->unknown};
    return cloudevent_read(type, body, arena, &visitor, err);
}

static const Span ONE = {"application/cloudevents+json; charset=utf-8", 43};
static const Span BATCH = {"application/cloudevents-batch+json; charset=utf-8", 49};
static const Span GRID = {"application/json", 16};

/* ---- there and back, for each type of event ---- */

static Events__V1__Envelope *envelope_of(const MessageType *type, Arena *arena) {
    Events__V1__Envelope *e = arena_alloc(arena, sizeof *e);
    AUTO_BUF data = {0};
    events__v1__envelope__init(e);
    for (size_t i = 0; i < type->field_count; i++) /* every text field holds its own name */
        if (type->descriptor->fields[i].type == PROTOBUF_C_TYPE_STRING &&
            type->descriptor->fields[i].label != PROTOBUF_C_LABEL_REPEATED)
            buf_printf(&data, "%c%c%s", (char)(type->descriptor->fields[i].id << 3 | 2),
                       (char)strlen(type->fields[i].proto_name), type->fields[i].proto_name);
    buf_append(&data, "\xa0\x06\x05", 3); /* a field of a newer version */
    *e = (Events__V1__Envelope){
        .base = e->base,
        .event_id = message_text("01890a5d-ac96-774b-bcce-b302099a8057"),
        .event_type = message_text(type->name),
        .schema_version = message_text("1.0"),
        .occurred_at = timestamp_new(arena, 1795429801123456),
        .producer = message_text("ProspectService"),
        .correlation_id = message_text("c\"1"),
        .causation_id = message_text("k-1"),
        .subject = message_text("prospect/7"),
        .data = {.len = data.len, .data = (uint8_t *)arena_copy(arena, buf_view(&data))},
        .tenant_id = message_text("demo"),
        .sequence = 12345,
        .traceparent = message_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        .watermark = INT64_MAX,
        .subject_version = 3,
        .issued_by = message_text("u-1")};
    return e;
}

static void check_same(const Events__V1__Envelope *want, Outcome *o) {
    AUTO_BUF before = {0}, after = {0};
    CHECK(o->bad_count == 0);
    if (o->bad_count) printf("\n    %s", o->bad_reason);
    REQUIRE(o->count == 1);
    message_pack(&want->base, &before);
    message_pack(&o->events[0]->base, &after);
    CHECK(span_equal(buf_view(&before), buf_view(&after)));
}

static void replace(Buf *text, const char *from, const char *to) {
    char *at = memmem(text->at, text->len, from, strlen(from));
    REQUIRE(at != NULL);
    AUTO_BUF changed = {0};
    buf_append(&changed, text->at, (size_t)(at - text->at));
    buf_text(&changed, to);
    buf_append(&changed, at + strlen(from), text->len - (size_t)(at - text->at) - strlen(from));
    buf_clear(text);
    buf_span(text, buf_view(&changed));
}

/* The same event in Event Grid's schema: other names of its own, ours beside them. */
static void to_grid(Buf *json) {
    replace(json, "\"specversion\":\"1.0\",", "\"topic\":\"/subscriptions/x\",");
    replace(json, "\"type\"", "\"eventType\"");
    replace(json, "\"time\"", "\"eventTime\"");
    replace(json, "\"schemaversion\"", "\"metadataVersion\":\"1\",\"dataVersion\"");
}

static void round_trips(void) {
    size_t count, events = 0;
    const MessageType *const *types = message_types(&count);
    for (size_t i = 0; i < count; i++) {
        if (types[i]->kind != MESSAGE_EVENT) continue;
        events++;
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF one = {0}, batch = {0};
        Outcome o;
        Err err = {0};
        Events__V1__Envelope *e = envelope_of(types[i], arena);
        REQUIRE(CHECK_OK(cloudevent_write(e, &one, &err), &err));
        CHECK_OK(read_body(ONE, buf_view(&one), arena, &o, &err), &err);
        check_same(e, &o);
        buf_printf(&batch, "[%.*s]", SPAN_ARGS(buf_view(&one)));
        CHECK_OK(read_body(BATCH, buf_view(&batch), arena, &o, &err), &err);
        check_same(e, &o);
        to_grid(&batch);
        CHECK_OK(read_body(GRID, buf_view(&batch), arena, &o, &err), &err);
        check_same(e, &o);
    }
    CHECK(events > 3);
}

static void own_form_in_grid_schema(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF body = {0};
    Outcome o;
    Err err = {0};
    Events__V1__Envelope *e = envelope_of(message_type(SPAN("ProspectCreated")), arena);
    buf_text(&body, "[{\"id\":\"1\",\"eventType\":\"ProspectCreated\",\"subject\":\"s\",\"dataVersion\":\"1."
                    "0\",\"data\":");
    envelope_to_json(e, &body);
    buf_text(&body, "}]");
    CHECK_OK(read_body(GRID, buf_view(&body), arena, &o, &err), &err);
    e->watermark = 0;
    check_same(e, &o);
}

static void where_an_envelope_is_wrong(void) {
    AUTO(Arena) arena = arena_new(0);
    Outcome o;
    Err err = {0};
    Span body =
        SPAN("[{\"id\":\"1\",\"eventType\":\"x\",\"data\":{\"eventType\":\"CommandRejected\",\"data\":{"
             "\"errors\":[{\"field\":[]}]}}}]");
    CHECK_OK(read_body(GRID, body, arena, &o, &err), &err);
    CHECK_SPAN(span_of(o.bad_reason), "data.data.errors[0].field: wrong_type");
}

static void written_form(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF out = {0};
    Err err = {0};
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = message_text("id-1"), e.event_type = message_text("EventSkipped"),
    e.producer = message_text("ProspectService"), e.sequence = 7;
    e.data = (ProtobufCBinaryData){.len = 6, .data = (uint8_t *)"\x0a\x01x\x12\x01y"};
    CHECK_OK(cloudevent_write(&e, &out, &err), &err);
    CHECK_SPAN(buf_view(&out),
               "{\"specversion\":\"1.0\",\"id\":\"id-1\",\"type\":\"EventSkipped\",\"source\":\"/services/"
               "ProspectService\","
               "\"datacontenttype\":\"application/json\",\"sequence\":\"0000000000000000007\","
               "\"watermark\":\"0000000000000000000\",\"subjectversion\":\"0\","
               "\"data\":{\"eventId\":\"x\",\"reason\":\"y\"}}");
    e.event_id = message_text("");
    CHECK(!cloudevent_write(&e, &out, &err) && err_is(&err, &ERR_INVALID));
}

/* ---- bodies ---- */

#define HEAD    "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/services/S\""
#define SKIPPED HEAD ",\"type\":\"EventSkipped\""

typedef struct Case {
    const char *name, *body, *reason; /* reason "": the event is good */
    size_t unknown;
} Case;

static const Case EVENTS[] = {
    {"least", "{" SKIPPED ",\"data\":{}}", "", 0},
    {"null is absent", "{" SKIPPED ",\"subject\":null,\"data_base64\":null,\"data\":{}}", "", 0},
    {"foreign extensions", "{" SKIPPED ",\"data\":{},\"color\":\"red\",\"n\":7,\"o\":{\"a\":[]}}", "", 0},
    {"members of the future", "{" SKIPPED ",\"data\":{\"eventId\":\"x\",\"later\":{\"a\":1},\"more\":[]}}",
     "", 2},
    {"other JSON type", "{" SKIPPED ",\"datacontenttype\":\"text/JSON; charset=utf-8\",\"data\":{}}", "", 0},
    {"vendor JSON type", "{" SKIPPED ",\"datacontenttype\":\"application/x+json\",\"data\":{}}", "", 0},
    {"protobuf", "{" SKIPPED ",\"datacontenttype\":\"application/x-protobuf\",\"data_base64\":\"CgF4\"}", "",
     0},
    {"JSON in base64", "{" SKIPPED ",\"datacontenttype\":\"application/json\",\"data_base64\":\"e30=\"}", "",
     0},
    {"type of the future", "{" HEAD ",\"type\":\"Later\",\"data\":{\"$unknown\":\"CgF4\",\"a\":1}}", "", 1},
    {"data first", "{\"data\":{\"reason\":\"r\"}," SKIPPED "}", "", 0},
    {"wrong type of a member", "{" SKIPPED ",\"data\":{\"reason\":7}}", "data.reason: wrong_type", 0},
    {"NUL in a member", "{" SKIPPED ",\"data\":{\"reason\":\"a\\u0000\"}}", "data.reason: invalid_characters",
     0},
    {"member twice", "{" SKIPPED ",\"data\":{\"reason\":\"a\",\"reason\":\"b\"}}",
     "data.reason: duplicate_field", 0},
    {"wrong type in a list",
     "{" HEAD ",\"type\":\"CommandRejected\",\"data\":{\"errors\":[{},{\"code\":7}]}}",
     "data.errors[1].code: wrong_type", 0},
    {"tenant twice", "{" SKIPPED ",\"tenantid\":\"a\",\"data\":{},\"tenantid\":\"b\"}",
     "tenantid is given twice", 0},
    {"type by two names", "{" SKIPPED ",\"eventType\":\"ProspectCreated\",\"data\":{}}",
     "eventType is given twice", 0},
    {"data twice", "{" SKIPPED ",\"data\":{},\"data\":{\"reason\":\"b\"}}", "data is given twice", 0},
    {"an extension twice", "{" SKIPPED ",\"color\":\"red\",\"color\":\"blue\",\"data\":{}}", "", 0},
    {"bytes twice", "{" SKIPPED ",\"data_base64\":\"\",\"data_base64\":\"AA==\"}",
     "data_base64 is given twice", 0},
    {"data is a text", "{" SKIPPED ",\"data\":\"x\"}", "data does not fit the event's type", 0},
    {"data is null", "{" SKIPPED ",\"data\":null}", "data does not fit the event's type", 0},
    {"no data", "{" SKIPPED "}", "data is missing", 0},
    {"both", "{" SKIPPED ",\"data\":{},\"data_base64\":\"\"}", "data and data_base64 exclude each other", 0},
    {"base64 of what", "{" SKIPPED ",\"data_base64\":\"CgF4\"}",
     "datacontenttype is neither JSON nor application/x-protobuf", 0},
    {"broken protobuf",
     "{" SKIPPED ",\"datacontenttype\":\"application/x-protobuf\",\"data_base64\":\"CgJ4\"}",
     "data: invalid_encoding", 0},
    {"bad text in protobuf",
     "{" SKIPPED ",\"datacontenttype\":\"application/x-protobuf\",\"data_base64\":\"EgH/\"}",
     "data.reason: invalid_encoding", 0},
    {"no base64", "{" SKIPPED ",\"data_base64\":\"???\"}", "data_base64 is not base64", 0},
    {"XML", "{" SKIPPED ",\"datacontenttype\":\"text/xml\",\"data\":\"<a/>\"}", "datacontenttype is not JSON",
     0},
    {"version 0.3",
     "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"EventSkipped\",\"data\":{}}",
     "specversion is not 1.0", 0},
    {"no version", "{\"id\":\"1\",\"source\":\"s\",\"type\":\"EventSkipped\",\"data\":{}}",
     "specversion is missing", 0},
    {"no id", "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"EventSkipped\",\"data\":{}}",
     "id or type is missing", 0},
    {"no source", "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"EventSkipped\",\"data\":{}}",
     "source is missing", 0},
    {"sequence as a number", "{" SKIPPED ",\"sequence\":7,\"data\":{}}", "sequence is not a string of digits",
     0},
    {"sequence below zero", "{" SKIPPED ",\"sequence\":\"-1\",\"data\":{}}",
     "sequence is not a string of digits", 0},
    {"sequence too big", "{" SKIPPED ",\"sequence\":\"9223372036854775808\",\"data\":{}}",
     "sequence is not a string of digits", 0},
    {"bad time", "{" SKIPPED ",\"time\":\"yesterday\",\"data\":{}}", "time is not RFC 3339", 0},
    {"NUL in a subject", "{" SKIPPED ",\"subject\":\"a\\u0000b\",\"data\":{}}", "subject is not a text", 0},
    {"empty object", "{}", "specversion is missing", 0},
};

static void single_events(void) {
    for (size_t i = 0; i < COUNT(EVENTS); i++) {
        AUTO(Arena) arena = arena_new(0);
        Outcome o;
        Err err = {0};
        if (!CHECK_OK(read_body(ONE, span_of(EVENTS[i].body), arena, &o, &err), &err)) continue;
        bool same = strcmp(o.bad_reason, EVENTS[i].reason) == 0 && o.count == !*EVENTS[i].reason;
        if (!same) printf("\n    %s: %s", EVENTS[i].name, o.bad_reason);
        CHECK(same && o.unknown == EVENTS[i].unknown);
    }
}

static void one_bad_event_leaves_the_others(void) {
    AUTO(Arena) arena = arena_new(0);
    Outcome o;
    Err err = {0};
    CHECK_OK(
        read_body(BATCH,
                  SPAN("[{" SKIPPED ",\"data\":{}}, {\"id\":7} ,{" SKIPPED ",\"data\":{\"reason\":\"z\"}}]"),
                  arena, &o, &err),
        &err);
    CHECK(o.count == 2 && o.bad_count == 1 && o.bad_index == 1);
    CHECK_SPAN(o.bad_bytes, "{\"id\":7}");
    CHECK_OK(read_body(BATCH, SPAN("[7,{" SKIPPED ",\"data\":{}}]"), arena, &o, &err), &err);
    CHECK(o.count == 1 && o.bad_count == 1 && o.bad_index == 0);
    CHECK_SPAN(o.bad_bytes, "7");
    CHECK_OK(read_body(BATCH, SPAN("[]"), arena, &o, &err), &err);
    CHECK(o.count == 0 && o.bad_count == 0);
}

static void bodies_that_cannot_be_read(void) {
    static const struct {
        const char *type, *body;
        const ErrKind *want;
        const char *why; /* a part of it */
    } CASES[] = {
        {"application/cloudevents+json", "", &ERR_INVALID},
        {"application/cloudevents+json", "[]", &ERR_INVALID},
        {"application/cloudevents-batch+json", "{}", &ERR_INVALID},
        {"application/cloudevents-batch+json", "[{" SKIPPED ",\"data\":{}},", &ERR_INVALID},
        {"application/json", "[\"a\", \"\\ud800\"]", &ERR_INVALID, "not JSON: invalid_encoding at byte 13"},
        {"application/json", "[\"a\", 01]", &ERR_INVALID, "not JSON: invalid_json at byte 7"},
        {"application/cloudevents-batch+json", "[{" SKIPPED ",\"data\":{}}] x", &ERR_INVALID},
        {"application/json", "7", &ERR_INVALID},
        {"text/plain", "{}", &ERR_UNSUPPORTED},
        {"", "{}", &ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        Outcome o;
        Err err = {0};
        CHECK(!read_body(span_of(CASES[i].type), span_of(CASES[i].body), arena, &o, &err));
        CHECK(err_is(&err, CASES[i].want) && (!CASES[i].why || strstr(err.why, CASES[i].why)));
        CHECK(o.count == 0 && o.bad_count == 0);
    }
}

/* Whatever the limit is, and wherever memory ends: no event is called bad for it. */
static void no_memory_is_not_a_bad_event(void) {
    static const char BODY[] =
        "[{" SKIPPED ",\"subject\":\"a\\u0041bcdefghijklmnopqrstuvwxyz\",\"data\":{\"reason\":\"\\n\"}},"
        "{" SKIPPED ",\"data\":{}},{" SKIPPED ",\"data\":{\"eventId\":\"e\\u0041\"}}]";
    size_t refused = 0;
    for (size_t limit = 16; limit < 6000; limit += 16) {
        AUTO(Arena) arena = arena_new(limit);
        Outcome o;
        Err err = {0};
        bool ok = read_body(BATCH, SPAN(BODY), arena, &o, &err);
        CHECK(o.bad_count == 0 && ok == (o.count == 3));
        CHECK(ok || err_is(&err, &ERR_TOO_LARGE));
        refused += !ok;
    }
    CHECK(refused > 10 && refused < 300);
}

static void grid_handshake(void) {
    AUTO(Arena) arena = arena_new(0);
    Outcome o;
    Err err = {0};
    Span body = SPAN(
        "[{\"id\":\"2d1781af\",\"topic\":\"/s\",\"subject\":\"\",\"data\":{\"validationCode\":\"512d38b6\","
        "\"validationUrl\":\"https://x\"},\"eventType\":\"Microsoft.EventGrid.SubscriptionValidationEvent\","
        "\"eventTime\":\"2018-01-25T22:12:19.4556811Z\",\"metadataVersion\":\"1\",\"dataVersion\":\"1\"}]");
    CHECK_OK(read_body(GRID, body, arena, &o, &err), &err);
    CHECK(o.count == 0 && o.bad_count == 0);
    CHECK_SPAN(span_of(o.code), "512d38b6");
}

SUITE("cloudevent", TEST(round_trips), TEST(own_form_in_grid_schema), TEST(where_an_envelope_is_wrong),
      TEST(written_form), TEST(single_events), TEST(one_bad_event_leaves_the_others),
      TEST(bodies_that_cannot_be_read), TEST(no_memory_is_not_a_bad_event), TEST(grid_handshake));
