#include "gateway/command.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "events/v1/envelope.pb-c.h"
#include "gateway/tracing.h"
#include "wire/envelope.h"
#include "wire/proto_scan.h"

static void *member(ProtobufCMessage *message, const char *name, ProtobufCType type) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    if (!f || f->type != type || f->label == PROTOBUF_C_LABEL_REPEATED) return NULL;
    return (char *)message + f->offset;
}

static bool set_number(ProtobufCMessage *message, const char *name, int64_t value) {
    int64_t *at = member(message, name, PROTOBUF_C_TYPE_INT64);
    if (at) *at = value;
    return at;
}

/* --- ordering --- */

static Span email_of(const MessageType *type, ProtobufCMessage *message) {
    for (size_t i = 0; i < type->field_count; i++) {
        const FieldInfo *f = &type->fields[i];
        if (!f->pattern || strcmp(f->pattern, "email")) continue;
        char **text = member(message, f->proto_name, PROTOBUF_C_TYPE_STRING);
        if (text) return span_of(*text);
    }
    return SPAN_NONE;
}

Span ordering_key(const MessageType *type, const ProtobufCMessage *message, Span tenant, Span command_id,
                  Arena *arena) {
    ProtobufCMessage *m = (ProtobufCMessage *)message;
    if (*type->subject) return span_of(message_subject(message, arena));
    Span email = email_of(type, m);
    if (!email.at) return span_of(arena_printf(arena, "command/%.*s", SPAN_ARGS(command_id)));
    AUTO_BUF both = {0};
    buf_span(&both, tenant);
    buf_byte(&both, 0);
    buf_span(&both, text_fold(arena, email));
    return span_of(arena_printf(arena, "create/%016llx", (unsigned long long)hash_stable(buf_view(&both))));
}

/* --- decoding --- */

static ProtobufCMessage *decode_protobuf(const CommandInput *in, Arena *arena, FieldFaults *faults) {
    ProtobufCMessage *m = NULL;
    if (!proto_scan(in->type->descriptor, in->body, true, arena, faults)) return NULL;
    if (!(m = message_unpack(in->type, in->body, arena))) field_fault(faults, "", "too_large");
    return m;
}

/* As message_from_json() and message_from_protobuf(), but what REST has in the path and in If-Match is put in
 * before the rules are applied. */
static ProtobufCMessage *decode_update(const CommandInput *in, Arena *arena, FieldFaults *faults) {
    ProtobufCMessage *m = NULL;
    if (in->protobuf)
        m = decode_protobuf(in, arena, faults);
    else if (!message_read_json(in->type, in->body, arena, &m, faults))
        return NULL;
    if (!m) return NULL;
    set_number(m, "prospect_id", in->prospect_id);
    set_number(m, "expected_version", in->expected_version);
    message_validate(m, arena, faults);
    return m;
}

static ProtobufCMessage *decode(const CommandInput *in, Arena *arena, FieldFaults *faults) {
    ProtobufCMessage *m = NULL;
    if (in->prospect_id)
        m = decode_update(in, arena, faults);
    else if (in->protobuf)
        message_from_protobuf(in->type, in->body, arena, &m, faults);
    else
        message_from_json(in->type, in->body, arena, &m, faults);
    return faults->count ? NULL : m;
}

/* --- the id --- */

static Uuid id_of_key(const CommandInput *in) {
    Span parts[] = {span_of(in->claims->tenant_id), span_of(in->claims->user_id), in->idempotency_key};
    return uuid_v5(&UUID_COMMANDS, parts, COUNT(parts));
}

/* The client's own id, or the one of its key, or a new one. Both, and not the same: nobody could say which
 * one counts. */
static bool choose_id(const CommandInput *in, Span given, char out[UUID_TEXT], FieldFaults *faults) {
    Uuid own = {0}, of_key = {0};
    bool has_own = given.len > 0, has_key = in->idempotency_key.at;
    if (has_own && !uuid_parse(given, &own)) field_fault(faults, "commandId", "invalid_id");
    if (has_key) of_key = id_of_key(in);
    if (has_own && has_key && memcmp(&own, &of_key, sizeof own))
        field_fault(faults, "commandId", "invalid_id");
    Uuid id = has_own ? own : has_key ? of_key : uuid_v7();
    uuid_format(&id, out);
    return !faults->count;
}

static uint64_t hash_message(const ProtobufCMessage *message) {
    AUTO_BUF bytes = {0};
    message_pack(message, &bytes);
    return hash_stable(buf_view(&bytes));
}

static Span pack_envelope(const CommandInput *in, Command *c, Arena *arena) {
    AUTO_BUF data = {0};
    char traceparent[TRACEPARENT_TEXT];
    c->span = tracing_enqueue(span_of(in->traceparent), arena, traceparent);
    trace_id(c->span, "messaging.message.id", span_of(c->command_id));
    trace_id(c->span, "messaging.message.conversation_id", span_of(in->correlation_id));
    trace_message_type(c->span, "events.command_type", span_of(c->type->name));
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    message_pack(c->message, &data);
    e.command_id = (char *)c->command_id;
    e.command_type = (char *)c->type->name;
    e.correlation_id = (char *)in->correlation_id;
    e.tenant_id = (char *)in->claims->tenant_id;
    e.issued_by = (char *)in->claims->user_id;
    e.issued_at = timestamp_new(arena, clock_now_us());
    e.traceparent = traceparent;
    e.ordering_key = (char *)c->ordering_key.at; /* made by arena_printf(): ends with NUL */
    e.data = (ProtobufCBinaryData){data.len, (uint8_t *)data.at};
    e.schema_version = (char *)c->type->schema_version;
    size_t size = events__v1__command_envelope__get_packed_size(&e);
    uint8_t *packed = arena_alloc(arena, size);
    if (!packed || data.failed) return SPAN_NONE;
    return span_bytes(packed, events__v1__command_envelope__pack(&e, packed));
}

static bool finish(const CommandInput *in, Arena *arena, Command *c, FieldFaults *faults, Err *err) {
    char **id = c->message ? member(c->message, "command_id", PROTOBUF_C_TYPE_STRING) : NULL;
    if (!id) return err_set(err, &ERR_TOO_LARGE, "the command does not fit");
    if (!choose_id(in, span_of(*id), c->command_id, faults)) return false;
    *id = (char *)protobuf_c_empty_string;
    c->body_hash = hash_message(c->message);
    *id = c->command_id;
    c->ordering_key =
        ordering_key(in->type, c->message, span_of(in->claims->tenant_id), span_of(c->command_id), arena);
    c->packed = pack_envelope(in, c, arena);
    return (c->ordering_key.at && c->packed.at) || err_set(err, &ERR_TOO_LARGE, "the command does not fit");
}

bool command_build(const CommandInput *in, Arena *arena, Command *c, FieldFaults *faults, Err *err) {
    *c = (Command){.type = in->type, .message = decode(in, arena, faults)};
    return !faults->count && finish(in, arena, c, faults, err);
}

bool command_build_message(const CommandInput *in, ProtobufCMessage *message, Arena *arena, Command *c,
                           FieldFaults *faults, Err *err) {
    *c = (Command){.type = in->type, .message = message};
    return (!message || message_validate(message, arena, faults)) && finish(in, arena, c, faults, err);
}

bool if_match_read(Span header, int64_t *ret) {
    uint64_t version;
    Span text = span_trim(header);
    if (span_is(text, "*")) {
        *ret = -1;
        return true;
    }
    if (text.len < 3 || text.at[0] != '"' || text.at[text.len - 1] != '"') return false;
    if (!span_to_u64((Span){text.at + 1, text.len - 2}, INT64_MAX, &version) || !version) return false;
    *ret = (int64_t)version;
    return true;
}
