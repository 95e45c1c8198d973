/* json_fields.c - the members of strict decoding, for the generated code.
 * Promise:   syntax and encoding faults end the decoding and are the only fault told; unknown, doubled and
 *            mistyped members are all told, in the order of the body. `null` is absent.
 * Limits:    memory comes from the arena, so a body can never cost more than the arena's limit. */
#include "wire/json/json_fields.h"

#include "base/clock.h"
#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/proto_scan.h"

void json_over(const JsonReader *r, const char *name, FieldFaults *faults) {
    const char *fault = r->fault ? r->fault : "too_large"; /* without a fault: the arena is full */
    field_fault_only(faults, strcmp(fault, "invalid_encoding") == 0 ? name : "", fault);
}

static void over(JsonObject *o, const char *name) {
    if (!o->over) json_over(o->reader, name, o->faults);
    o->over = true;
}

bool json_object_next(JsonObject *o) {
    if (o->over) return false;
    JsonToken token = json_next(o->reader);
    if (token == JSON_ERROR) over(o, "");
    o->name = o->reader->text;
    return token == JSON_NAME;
}

/* Leaves the value out, whatever it is. */
static void pass_over(JsonObject *o, JsonToken first, const char *name) {
    if (!json_skip(o->reader, first)) over(o, name);
}

static void wrong_type(JsonObject *o, JsonToken first, const char *name) {
    field_fault(o->faults, name, "wrong_type");
    pass_over(o, first, name);
}

/* The value's first token; JSON_NULL where there is nothing to store. */
static JsonToken value_starts(JsonObject *o, unsigned index, const char *name) {
    uint64_t bit = UINT64_C(1) << index;
    JsonToken token = json_next(o->reader);
    if (token == JSON_ERROR) {
        over(o, name);
        return JSON_NULL;
    }
    if (o->seen & bit) {
        field_fault(o->faults, name, "duplicate_field");
        pass_over(o, token, name);
        return JSON_NULL;
    }
    o->seen |= bit;
    return token;
}

/* As value_starts, but only a value that begins with `want` comes back as true. */
static bool value_is(JsonObject *o, unsigned index, const char *name, JsonToken want) {
    JsonToken token = value_starts(o, index, name);
    if (token == want) return true;
    if (token != JSON_NULL) wrong_type(o, token, name);
    return false;
}

static void put_back_unknown(JsonObject *o, const char *name) {
    Span bytes;
    o->reader->put_back = true;
    if (base64_read(o->reader->text, o->arena, &bytes) && proto_attach_unknown(o->message, bytes, o->arena))
        return;
    field_fault(o->faults, name, "wrong_type");
}

void json_member_unknown(JsonObject *o) {
    bool ours = o->reader->lenient && span_is(o->name, "$unknown");
    const char *name = arena_copy(o->arena, o->name);
    if (!name) {
        over(o, "");
        return;
    }
    JsonToken token = json_next(o->reader);
    if (ours && token == JSON_STRING) {
        put_back_unknown(o, name);
        return;
    }
    if (o->reader->lenient)
        o->reader->unknown++;
    else
        field_fault(o->faults, name, "unknown_field");
    pass_over(o, token, name);
}

/* C strings end at NUL, so one inside must not get through unseen. U+0001 in its place makes the field's own
 * check of control characters report it, in the field's turn; where no check follows (lenient) it is reported
 * here. */
static char *string_value(JsonObject *o, const char *name) {
    Span text = o->reader->text;
    bool is_copy = o->reader->unescaped && o->reader->arena == o->arena;
    char *copy = is_copy ? message_text(text.at) : arena_copy(o->arena, text);
    size_t len = o->reader->unescaped ? text.len : 0; /* only an escape can have made a NUL */
    if (!copy) {
        over(o, name);
        return NULL;
    }
    for (char *nul = len ? memchr(copy, 0, len) : NULL; nul;
         nul = memchr(nul, 0, len - (size_t)(nul - copy))) {
        *nul = 1;
        if (o->reader->lenient) field_fault(o->faults, name, "invalid_characters");
    }
    return copy;
}

void json_member_string(JsonObject *o, unsigned index, const char *name, char **to) {
    if (!value_is(o, index, name, JSON_STRING)) return;
    char *copy = string_value(o, name);
    if (copy) *to = copy;
}

void json_member_bytes(JsonObject *o, unsigned index, const char *name, ProtobufCBinaryData *to) {
    Span bytes;
    if (!value_is(o, index, name, JSON_STRING)) return;
    if (!base64_read(o->reader->text, o->arena, &bytes)) {
        field_fault(o->faults, name, "wrong_type");
        return;
    }
    *to = (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)bytes.at};
}

void json_member_bool(JsonObject *o, unsigned index, const char *name, protobuf_c_boolean *to) {
    JsonToken token = value_starts(o, index, name);
    if (token == JSON_TRUE || token == JSON_FALSE)
        *to = token == JSON_TRUE;
    else if (token != JSON_NULL)
        wrong_type(o, token, name);
}

static bool integer(JsonObject *o, unsigned index, const char *name, int64_t low, int64_t high,
                    int64_t *ret) {
    if (!value_is(o, index, name, JSON_NUMBER)) return false;
    if (json_number_int(o->reader, ret) && *ret >= low && *ret <= high) return true;
    field_fault(o->faults, name, "wrong_type");
    return false;
}

void json_member_int64(JsonObject *o, unsigned index, const char *name, int64_t *to) {
    int64_t value;
    if (integer(o, index, name, INT64_MIN, INT64_MAX, &value)) *to = value;
}

void json_member_int32(JsonObject *o, unsigned index, const char *name, int32_t *to) {
    int64_t value;
    if (integer(o, index, name, INT32_MIN, INT32_MAX, &value)) *to = (int32_t)value;
}

void json_member_uint32(JsonObject *o, unsigned index, const char *name, uint32_t *to) {
    int64_t value;
    if (integer(o, index, name, 0, UINT32_MAX, &value)) *to = (uint32_t)value;
}

bool json_decimal(Span text, int64_t *ret) {
    bool negative = text.len && *text.at == '-';
    uint64_t magnitude;
    if (negative) text.at++, text.len--;
    if (!span_to_u64(text, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude)) return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

void json_member_decimal(JsonObject *o, unsigned index, const char *name, int64_t *to) {
    if (!value_is(o, index, name, JSON_STRING)) return;
    if (!json_decimal(o->reader->text, to)) field_fault(o->faults, name, "wrong_type");
}

void json_member_time(JsonObject *o, unsigned index, const char *name, Google__Protobuf__Timestamp **to) {
    if (!value_is(o, index, name, JSON_STRING)) return;
    if (!timestamp_read(o->reader->text, o->arena, to))
        over(o, name);
    else if (!*to)
        field_fault(o->faults, name, "wrong_type");
}

static const JsonEnum *enum_named(const JsonEnum *names, Span name) {
    while (names->name && !span_is(name, names->name)) names++;
    return names;
}

/* At the event boundary values of a newer version come as a number (json_enum() of who does not know them) or
 * by a name that is not known here. */
static bool newer_enum(JsonObject *o, JsonToken token, int *to) {
    int64_t number;
    if (!o->reader->lenient) return false;
    if (token == JSON_STRING) return ++o->reader->unknown;
    if (token != JSON_NUMBER || !json_number_int(o->reader, &number)) return false;
    if (number < INT32_MIN || number > INT32_MAX) return false;
    *to = (int)number;
    return true;
}

void json_member_enum(JsonObject *o, unsigned index, const char *name, const JsonEnum *names, int *to) {
    JsonToken token = value_starts(o, index, name);
    const JsonEnum *known = token == JSON_STRING ? enum_named(names, o->reader->text) : NULL;
    if (token == JSON_NULL) return;
    if (known && known->name)
        *to = known->value;
    else if (!newer_enum(o, token, to))
        wrong_type(o, token, name);
}

Span json_member_raw(JsonObject *o, unsigned index, const char *name) {
    JsonToken token = value_starts(o, index, name);
    if (token == JSON_NULL) return SPAN_NONE;
    size_t start = o->reader->value_at;
    pass_over(o, token, name);
    return (Span){o->reader->in.at + start, o->reader->at - start};
}

/* Behind the JSON_OBJECT of a message inside this one. */
static ProtobufCMessage *part_value(JsonObject *o, const JsonPart *part) {
    ProtobufCMessage *message = arena_alloc(o->arena, part->descriptor->sizeof_message);
    if (!message) {
        over(o, "");
        return NULL;
    }
    part->descriptor->message_init(message);
    if (!part->from_json(o->reader, message, o->arena, o->faults)) o->over = true; /* the part has told why */
    return message;
}

void json_member_message(JsonObject *o, unsigned index, const char *name, const JsonPart *part,
                         ProtobufCMessage **to) {
    if (!value_is(o, index, name, JSON_OBJECT)) return;
    FieldPart step = field_part_begins(o->faults, name, FIELD_SINGLE);
    *to = part_value(o, part);
    field_part_ends(o->faults, &step, o->arena);
}

static bool list_add(JsonList *list, void *item, Arena *arena) {
    bool full = (list->count & (list->count - 1)) == 0; /* room for the next power of two */
    if (full) {
        void **grown = arena_alloc(arena, (list->count ? list->count * 2 : 1) * sizeof *grown);
        if (!grown) return false;
        if (list->count) memcpy(grown, list->at, list->count * sizeof *grown);
        list->at = grown;
    }
    list->at[list->count++] = item;
    return true;
}

/* A string where part is NULL, else a message. */
static void item_value(JsonObject *o, JsonToken token, const JsonPart *part, JsonList *list) {
    if (token == JSON_ERROR) {
        over(o, "");
    } else if (token != (part ? JSON_OBJECT : JSON_STRING)) {
        wrong_type(o, token, "");
    } else {
        void *item = part ? (void *)part_value(o, part) : string_value(o, "");
        if (!item || !list_add(list, item, o->arena)) over(o, "");
    }
}

static JsonList list_value(JsonObject *o, const char *name, const JsonPart *part) {
    JsonList list = {0};
    for (size_t i = 0; !o->over; i++) {
        JsonToken token = json_next(o->reader);
        if (token == JSON_ARRAY_END) break;
        FieldPart step = field_part_begins(o->faults, name, i);
        item_value(o, token, part, &list);
        field_part_ends(o->faults, &step, o->arena);
    }
    return list;
}

JsonList json_member_strings(JsonObject *o, unsigned index, const char *name) {
    return value_is(o, index, name, JSON_ARRAY) ? list_value(o, name, NULL) : (JsonList){0};
}

JsonList json_member_messages(JsonObject *o, unsigned index, const char *name, const JsonPart *part) {
    return value_is(o, index, name, JSON_ARRAY) ? list_value(o, name, part) : (JsonList){0};
}

void json_enum(JsonWriter *w, const JsonEnum *names, int value) {
    while (names->name && names->value != value) names++;
    if (names->name)
        json_text(w, names->name);
    else
        json_int(w, value); /* of a newer version: shown, not guessed */
}

/* Of what is no time that a text could tell (strict decoding refuses it) the nearest one. */
static ClockTime nearest_time(const Google__Protobuf__Timestamp *t) {
    if (t->seconds < CLOCK_FIRST_SECOND) return (ClockTime){CLOCK_FIRST_SECOND, 0};
    if (t->seconds > CLOCK_LAST_SECOND) return (ClockTime){CLOCK_LAST_SECOND, CLOCK_LAST_NANO};
    return (ClockTime){t->seconds, t->nanos < 0                 ? 0
                                   : t->nanos > CLOCK_LAST_NANO ? CLOCK_LAST_NANO
                                                                : t->nanos};
}

void json_timestamp(JsonWriter *w, const Google__Protobuf__Timestamp *t) {
    char text[CLOCK_TEXT];
    if (t)
        json_string(w, (Span){text, clock_format_exact(nearest_time(t), text)});
    else
        json_null(w);
}

void json_unknown_fields(JsonWriter *w, const ProtobufCMessage *message) {
    if (!message->n_unknown_fields) return;
    AUTO_BUF bytes = {0};
    proto_write_unknown(message, &bytes);
    json_name(w, "$unknown");
    json_base64(w, buf_view(&bytes));
}
