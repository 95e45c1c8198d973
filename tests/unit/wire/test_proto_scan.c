#include "kit/test.h"

#include "events/v1/prospect.pb-c.h"
#include "events/v1/stream.pb-c.h"
#include "wire/message.h"
#include "wire/proto_scan.h"
#include <stdio.h>

#define BYTES(literal)                                                                                       \
    { (literal), sizeof(literal) - 1 }
#define GOOD                                                                                                 \
    "\x12\x01"                                                                                               \
    "A"                                                                                                      \
    "\x1a\x01"                                                                                               \
    "B"                                                                                                      \
    "\x22\x05"                                                                                               \
    "a@b.c"

typedef struct Case {
    const char *name, *type;
    Span bytes;
    const char *want; /* "field code, ..." of strict decoding; "" is fine */
    bool unpacks;     /* leniently */
} Case;

static const Case CASES[] = {
    {"good", "CreateProspect", BYTES(GOOD), "", true},
    {"empty", "CreateProspect", BYTES(""), "firstName required, lastName required, email required", true},
    {"last of two counts", "CreateProspect",
     BYTES(GOOD "\x12\x01"
                "C"),
     "", true},
    {"cut tag", "CreateProspect", BYTES(GOOD "\x80"), " invalid_encoding", false},
    {"cut length", "CreateProspect", BYTES(GOOD "\x12"), " invalid_encoding", false},
    {"cut text", "CreateProspect",
     BYTES(GOOD "\x12\x05"
                "A"),
     " invalid_encoding", false},
    {"length of 2^64-1", "CreateProspect", BYTES(GOOD "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     " invalid_encoding", false},
    {"length of 2^63", "CreateProspect", BYTES(GOOD "\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
     " invalid_encoding", false},
    {"field number 0", "CreateProspect",
     BYTES(GOOD "\x02\x01"
                "A"),
     " invalid_encoding", false},
    {"varint of 11 bytes", "UpdateProspect", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     " invalid_encoding", false},
    {"varint above 64 bits", "UpdateProspect", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
     " invalid_encoding", false},
    {"a group", "CreateProspect", BYTES(GOOD "\x3b\x3c"), " invalid_encoding", false},
    {"wire type 6", "CreateProspect", BYTES(GOOD "\x3e"), " invalid_encoding", false},
    {"cut fixed64", "CreateProspect", BYTES(GOOD "\x39\x01\x02"), " invalid_encoding", false},
    {"NUL in a text", "CreateProspect",
     BYTES(GOOD "\x2a\x03"
                "1\0"
                "2"),
     "phone invalid_characters", false},
    {"bad UTF-8", "CreateProspect", BYTES("\x38\x01" GOOD "\x2a\x02\xc0\xaf"), "phone invalid_encoding",
     false},
    {"surrogate in UTF-8", "CreateProspect", BYTES(GOOD "\x2a\x03\xed\xa0\x80"), "phone invalid_encoding",
     false},
    {"number for a text", "CreateProspect", BYTES(GOOD "\x28\x07"), "phone wrong_type", false},
    {"text for a number", "UpdateProspect",
     BYTES("\x12\x01"
           "A"),
     "prospectId wrong_type", false},
    {"unknown field", "CreateProspect", BYTES(GOOD "\x38\x01"), "7 unknown_field", true},
    {"rules apply", "CreateProspect",
     BYTES(GOOD "\x22\x01"
                "x"),
     "email invalid_email", true},
    {"packed numbers, cut", "EventBatch", BYTES("\x1a\x02\x01\x80"), " invalid_encoding", false},
    {"bad text in a part", "CommandOutcome", BYTES("\x32\x03\x0a\x01\xff"),
     "errors[0].field invalid_encoding", false},
    {"bad text in the third part", "CommandOutcome", BYTES("\x32\x00\x0a\x01x\x32\x00\x32\x03\x0a\x01\xff"),
     "errors[2].field invalid_encoding", false},
    {"bad text in a list", "ProspectUpdated", BYTES("\x42\x01y\x42\x02x\0"),
     "changedFields[1] invalid_characters", false},
    {"wrong type inside a time", "Prospect", BYTES("\x42\x03\x0a\x01x"), "createdAt.seconds wrong_type",
     false},
    {"unknown inside a part", "CommandOutcome", BYTES("\x32\x00\x32\x02\x38\x01"),
     "errors[1].7 unknown_field", true},
    {"a time before the first", "Prospect", BYTES("\x42\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\x80\x01"),
     "createdAt out_of_range", true},
    {"a time with half a second too many", "Prospect", BYTES("\x42\x06\x10\x80\xde\xa0\xcb\x05"),
     "createdAt out_of_range", true},
    {"part longer than its parent", "CommandOutcome", BYTES("\x32\x02\x0a\x05xxxxx"),
     "errors[0] invalid_encoding", false},
};

static void faults_as_text(const FieldFaults *faults, Buf *out) {
    for (size_t i = 0; i < faults->count; i++)
        buf_printf(out, "%s%s %s", i ? ", " : "", faults->at[i].field, faults->at[i].code);
}

static void table(void) {
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF got = {0};
        FieldFaults faults = {0};
        ProtobufCMessage *m;
        const MessageType *type = message_type(span_of(CASES[i].type));
        REQUIRE(type != NULL);
        bool ok = message_from_protobuf(type, CASES[i].bytes, arena, &m, &faults);
        faults_as_text(&faults, &got);
        if (!span_is(buf_view(&got), CASES[i].want)) printf("\n    %s", CASES[i].name);
        CHECK_SPAN(buf_view(&got), CASES[i].want);
        CHECK(ok == !*CASES[i].want && ok == (m != NULL));
        CHECK((message_unpack(type, CASES[i].bytes, arena) != NULL) == CASES[i].unpacks);
    }
}

/* 10,000 levels inside each other: as an unknown field they are only measured; as known ones they cannot be,
 * since no message of the contract contains itself. */
static void nesting(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF inner = {0};
    for (int level = 0; level < 10000; level++) {
        AUTO_BUF outer = {0};
        buf_byte(&outer, 0x3a);
        proto_write_varint(&outer, inner.len);
        buf_span(&outer, buf_view(&inner));
        Buf swap = inner;
        inner = outer;
        outer = swap;
    }
    CHECK(message_unpack(message_type(SPAN("CreateProspect")), buf_view(&inner), arena) != NULL);
    CHECK(message_unpack(message_type(SPAN("ServerFrame")), buf_view(&inner), arena) != NULL);
}

static void many_unknown_fields(void) {
    const MessageType *type = message_type(SPAN("CreateProspect"));
    for (int count = PROTO_UNKNOWN_MAX; count <= PROTO_UNKNOWN_MAX + 1; count++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF bytes = {0};
        for (int i = 0; i < count; i++) buf_append(&bytes, "\x38\x01", 2);
        CHECK((message_unpack(type, buf_view(&bytes), arena) != NULL) == (count == PROTO_UNKNOWN_MAX));
    }
}

static void small_arena(void) {
    AUTO(Arena) arena = arena_new(256);
    AUTO_BUF bytes = {0};
    for (int i = 0; i < 100; i++)
        buf_append(&bytes,
                   "\x42\x01"
                   "a",
                   3);
    CHECK(message_unpack(message_type(SPAN("ProspectUpdated")), buf_view(&bytes), arena) == NULL);
}

static void unknown_fields_travel(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF bytes = {0}, again = {0};
    Span future = SPAN("\xa0\x06\x05\xaa\x06\x02hi\xa5\x06\x01\x02\x03\x04");
    const MessageType *type = message_type(SPAN("ProspectCreated"));
    buf_append(&bytes, "\x08\x07", 2);
    buf_span(&bytes, future);
    ProtobufCMessage *message = message_unpack(type, buf_view(&bytes), arena);
    REQUIRE(message != NULL);
    proto_write_unknown(message, &again);
    CHECK(span_equal(buf_view(&again), future));
    ProtobufCMessage *other = message_new(type, arena);
    CHECK(proto_attach_unknown(other, future, arena));
    CHECK(!proto_attach_unknown(other, SPAN("\xa0"), arena));
    CHECK(!proto_attach_unknown(other, SPAN("\x12\x01\xff"), arena)); /* known fields keep their rules */
    CHECK(!proto_attach_unknown(other, SPAN("\x12\x01\x00"), arena));
    CHECK(!proto_attach_unknown(other, SPAN("\x10\x01"), arena));
    ((Events__V1__ProspectCreated *)other)->prospect_id = 7;
    AUTO_BUF packed = {0};
    message_pack(other, &packed);
    CHECK(span_equal(buf_view(&packed), buf_view(&bytes)));
}

SUITE("proto_scan", TEST(table), TEST(nesting), TEST(many_unknown_fields), TEST(small_arena),
      TEST(unknown_fields_travel));
