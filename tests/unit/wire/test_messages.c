/* Whatever a message holds comes back from its JSON and from its bytes unchanged; hostile changes of either
 * never do harm (this runs under the sanitizers, too). */
#include "kit/test.h"

#include "base/clock.h"
#include "events/v1/envelope.pb-c.h"
#include "wire/json/proto_json.h"
#include "wire/message.h"
#include <stdio.h>

/* ---- random messages, by their descriptors; the same seed gives the same messages ---- */

typedef struct Random {
    uint64_t state;
    bool unknown; /* now and then fields of a newer version */
} Random;

static uint64_t random_next(Random *r) { /* splitmix64 */
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t random_below(Random *r, uint32_t limit) {
    return (uint32_t)(random_next(r) % limit);
}

static char *random_text(Random *r, Arena *arena) {
    static const char *const PARTS[] = {
        "a",         "\"",           "\\", "\n", "\x01", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "e\xcc\x81", "\xe2\x80\x8d", " ",  "/",  "\x7f"};
    AUTO_BUF text = {0};
    for (uint32_t n = random_below(r, 9); n; n--) buf_text(&text, PARTS[random_below(r, COUNT(PARTS))]);
    return arena_copy(arena, buf_view(&text));
}

static int64_t random_int64(Random *r) {
    static const int64_t EDGES[] = {0,         1,        -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) - 1,
                                    INT32_MAX, INT32_MIN};
    return random_below(r, 2) ? EDGES[random_below(r, COUNT(EDGES))] : (int64_t)random_next(r);
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *d, Random *r, Arena *arena);

static void random_value(void *to, const ProtobufCFieldDescriptor *f, Random *r, Arena *arena) {
    const ProtobufCEnumDescriptor *e = f->descriptor;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING: *(char **)to = random_text(r, arena); break;
    case PROTOBUF_C_TYPE_INT64: *(int64_t *)to = random_int64(r); break;
    case PROTOBUF_C_TYPE_INT32: *(int32_t *)to = (int32_t)random_int64(r); break;
    case PROTOBUF_C_TYPE_UINT32: *(uint32_t *)to = (uint32_t)random_int64(r); break;
    case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)to = (protobuf_c_boolean)random_below(r, 2); break;
    case PROTOBUF_C_TYPE_ENUM: *(int *)to = e->values[random_below(r, e->n_values)].value; break;
    case PROTOBUF_C_TYPE_MESSAGE: *(ProtobufCMessage **)to = random_message(f->descriptor, r, arena); break;
    case PROTOBUF_C_TYPE_BYTES: {
        char *text = random_text(r, arena);
        *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
        break;
    }
    default: abort();
    }
}

static void random_list(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, Random *r, Arena *arena) {
    size_t count = random_below(r, 4);
    size_t size = sizeof(void *); /* texts and messages: JSON has no other lists */
    char *items = arena_alloc(arena, count * size + 1);
    for (size_t i = 0; i < count; i++) random_value(items + i * size, f, r, arena);
    *(size_t *)((char *)m + f->quantifier_offset) = count;
    *(void **)((char *)m + f->offset) = items;
}

/* Fields of a newer version. */
static void add_unknown(ProtobufCMessage *m, Random *r, Arena *arena) {
    static const ProtobufCMessageUnknownField KINDS[] = {
        {100, PROTOBUF_C_WIRE_TYPE_VARINT, 2, (uint8_t *)"\x80\x01"},
        {101, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 4, (uint8_t *)"\x03\0\xff\""},
        {50000, PROTOBUF_C_WIRE_TYPE_64BIT, 8, (uint8_t *)"12345678"},
        {536870911, PROTOBUF_C_WIRE_TYPE_32BIT, 4, (uint8_t *)"1234"}};
    size_t count = random_below(r, COUNT(KINDS) + 1);
    m->n_unknown_fields = (unsigned)count;
    m->unknown_fields = arena_alloc(arena, sizeof KINDS);
    memcpy(m->unknown_fields, KINDS, count * sizeof *KINDS);
}

static void complete(ProtobufCMessage *m, Random *r, Arena *arena) {
    if (m->descriptor == &google__protobuf__timestamp__descriptor) {
        Google__Protobuf__Timestamp *t = (Google__Protobuf__Timestamp *)m;
        t->seconds = CLOCK_FIRST_SECOND + (int64_t)(random_next(r) % UINT64_C(315537897600));
        t->nanos = random_below(r, 3) ? (int32_t)random_below(r, 1000000000) : 0;
    }
    if (m->descriptor == &events__v1__envelope__descriptor) {
        Events__V1__Envelope *e = (Events__V1__Envelope *)m;
        static const char *const TYPES[] = {"ProspectCreated", "ProspectUpdated", "CommandRejected",
                                            "EventSkipped", "OfTheFuture"};
        AUTO_BUF data = {0};
        e->event_type = (char *)(uintptr_t)TYPES[random_below(r, COUNT(TYPES))];
        const MessageType *type = message_type(span_of(e->event_type));
        if (type)
            message_pack(random_message(type->descriptor, r, arena), &data);
        else
            buf_append(&data, "\x08\x07\x12\x01x", 5);
        e->data =
            (ProtobufCBinaryData){.len = data.len, .data = (uint8_t *)arena_copy(arena, buf_view(&data))};
        e->watermark = 0; /* JSON does not show it */
    }
    if (m->descriptor != &google__protobuf__timestamp__descriptor && r->unknown && random_below(r, 4) == 0)
        add_unknown(m, r, arena);
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *d, Random *r, Arena *arena) {
    ProtobufCMessage *m = arena_alloc(arena, d->sizeof_message);
    d->message_init(m);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (random_below(r, 4) == 0) continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            random_list(m, f, r, arena);
        else
            random_value((char *)m + f->offset, f, r, arena);
    }
    complete(m, r, arena);
    return m;
}

/* ---- JSON and back ---- */

static ProtobufCMessage *from_json(const MessageType *type, Span json, Arena *arena, FieldFaults *faults) {
    JsonReader r = json_reader(json, arena);
    r.lenient = true; /* "$unknown" comes back only there */
    ProtobufCMessage *m = message_new(type, arena);
    bool ok =
        json_next(&r) == JSON_OBJECT && type->from_json(&r, m, arena, faults) && json_next(&r) == JSON_END;
    return ok && !faults->count && !r.unknown ? m : NULL;
}

static bool round_trip(const MessageType *type, Random *r) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF before = {0}, json = {0}, after = {0}, again = {0};
    ProtobufCMessage *m = random_message(type->descriptor, r, arena);
    message_pack(m, &before);
    message_to_json(m, &json);
    FieldFaults faults = {0};
    ProtobufCMessage *back = from_json(type, buf_view(&json), arena, &faults);
    if (back) message_pack(back, &after), message_to_json(back, &again);
    ProtobufCMessage *unpacked = message_unpack(type, buf_view(&before), arena);
    bool same = back && unpacked && span_equal(buf_view(&before), buf_view(&after)) &&
                span_equal(buf_view(&json), buf_view(&again));
    if (!same)
        printf("\n    %s (%s %s): %.*s\n    %.*s", type->name, faults.count ? faults.at[0].field : "",
               faults.count ? faults.at[0].code : "", SPAN_ARGS(buf_view(&json)),
               SPAN_ARGS(buf_view(&again)));
    return same;
}

static void json_round_trips(void) {
    size_t count, with_json = 0;
    const MessageType *const *types = message_types(&count);
    Random r = {1, .unknown = true};
    for (size_t i = 0; i < count; i++) {
        if (!types[i]->to_json) continue;
        with_json++;
        for (int n = 0; n < 200; n++) REQUIRE(round_trip(types[i], &r));
    }
    CHECK(with_json >= 15);
}

/* The same in protobuf's own form of JSON, which has no opinion on what the fields mean. */
static void proto_json_round_trips(void) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    Random r = {3};
    for (size_t i = 0; i < count; i++) {
        for (int n = 0; types[i]->to_json && n < 100; n++) {
            AUTO(Arena) arena = arena_new(0);
            AUTO_BUF before = {0}, json = {0}, after = {0};
            FieldFaults faults = {0};
            ProtobufCMessage *m = random_message(types[i]->descriptor, &r, arena);
            message_pack(m, &before);
            proto_json_write(m, &json);
            ProtobufCMessage *back =
                proto_json_read(types[i]->descriptor, buf_view(&json), true, arena, &faults);
            if (back) message_pack(back, &after);
            bool same = back && span_equal(buf_view(&before), buf_view(&after));
            if (!same)
                printf("\n    %s (%s): %.*s", types[i]->name, faults.count ? faults.at[0].code : "",
                       SPAN_ARGS(buf_view(&json)));
            REQUIRE(same);
        }
    }
}

/* ---- changed bytes ---- */

static void damage(Random *r, Buf *bytes) {
    for (uint32_t n = random_below(r, 3) + 1; n && bytes->len; n--) {
        char *at = bytes->at + random_below(r, (uint32_t)bytes->len);
        switch (random_below(r, 3)) {
        case 0: *at = (char)random_next(r); break;
        case 1: *at ^= (char)(1u << random_below(r, 8)); break;
        default: bytes->len = (size_t)(at - bytes->at); break;
        }
    }
}

static void damaged_bytes_do_no_harm(void) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    Random r = {2};
    for (int n = 0; n < 6000; n++) {
        AUTO(Arena) arena = arena_new(1 << 20);
        AUTO_BUF bytes = {0}, json = {0};
        const MessageType *type = types[random_below(&r, (uint32_t)count)];
        if (!type->to_json) continue;
        message_pack(random_message(type->descriptor, &r, arena), &bytes);
        damage(&r, &bytes);
        ProtobufCMessage *m = message_unpack(type, buf_view(&bytes), arena);
        if (m) message_to_json(m, &json);
        FieldFaults faults = {0}, of_json = {0};
        CHECK(message_from_protobuf(type, buf_view(&bytes), arena, &m, &faults) == (faults.count == 0));
        damage(&r, &json);
        FieldFaults of_proto_json = {0};
        CHECK((proto_json_read(type->descriptor, buf_view(&json), true, arena, &of_proto_json) != NULL) ==
              (of_proto_json.count == 0));
        CHECK(message_from_json(type, buf_view(&json), arena, &m, &of_json) == (of_json.count == 0));
    }
}

/* ---- the registry ---- */

static void every_type_is_found(void) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    CHECK(count >= 30);
    for (size_t i = 0; i < count; i++) {
        CHECK(message_type(span_of(types[i]->name)) == types[i]);
        CHECK(message_type_of(types[i]->descriptor) == types[i]);
        CHECK(types[i]->field_count == types[i]->descriptor->n_fields);
        CHECK(!types[i]->to_json == !types[i]->from_json);
    }
    static const char *const ABSENT[] = {"", "createProspect", "CreateProspects", "CreateProspec",
                                         "FieldRules"};
    for (size_t i = 0; i < COUNT(ABSENT); i++) CHECK(message_type(span_of(ABSENT[i])) == NULL);
    CHECK(message_type(SPAN_NONE) == NULL);
}

static void types_carry_their_options(void) {
    const MessageType *type = message_type(SPAN("UpdateProspect"));
    REQUIRE(type != NULL);
    CHECK(type->kind == MESSAGE_COMMAND);
    CHECK_SPAN(span_of(type->subject), "prospect/{prospect_id}");
    CHECK_SPAN(span_of(type->schema_version), "1.0");
    CHECK_SPAN(span_of(type->producer), "ProspectService");
    CHECK_SPAN(span_of(type->title), "Update prospect");
    CHECK_SPAN(span_of(type->topic), "");
    const FieldInfo *email = &type->fields[5];
    CHECK_SPAN(span_of(email->json_name), "email");
    CHECK_SPAN(span_of(email->label), "E-mail");
    CHECK_SPAN(span_of(email->pattern), "email");
    CHECK(email->required && email->trim && email->personal && !email->multiline && email->max_length == 254);
    CHECK_SPAN(span_of(type->fields[1].type), "id");
    CHECK(message_type(SPAN("ProspectUpdated"))->kind == MESSAGE_EVENT);
    CHECK_SPAN(span_of(message_type(SPAN("ProspectUpdated"))->topic), "prospect-events");
    CHECK(message_type(SPAN("ServerFrame"))->to_json == NULL);
}

SUITE("messages", TEST(json_round_trips), TEST(proto_json_round_trips), TEST(damaged_bytes_do_no_harm),
      TEST(every_type_is_found), TEST(types_carry_their_options));
