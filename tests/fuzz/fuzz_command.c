/* JSON bodies of commands, as REST takes them. What is accepted can be written and read again, as JSON and as
 * protobuf, and stays the same; what is refused is told by field and code. */
#include "fuzz.h"

#include "wire/message.h"

static void refused(const FieldFaults *faults) {
    PROMISE(faults->count > 0 && faults->count <= FIELD_FAULTS_MAX, "a refusal has its reasons");
    for (size_t i = 0; i < faults->count; i++)
        PROMISE(faults->at[i].field && *faults->at[i].code && *field_fault_text(faults->at[i].code),
                "every reason has a field and a code");
}

static void reads_back(const MessageType *type, const ProtobufCMessage *message, Arena *arena) {
    AUTO_BUF json = {0}, packed = {0}, again = {0};
    FieldFaults faults = {0};
    ProtobufCMessage *copy;
    message_to_json(message, &json);
    PROMISE(message_from_json(type, buf_view(&json), arena, &copy, &faults),
            "accepted once is accepted again");
    message_to_json(copy, &again);
    PROMISE(span_equal(buf_view(&json), buf_view(&again)), "JSON to message to JSON changes nothing");
    message_pack(message, &packed);
    PROMISE(message_from_protobuf(type, buf_view(&packed), arena, &copy, &faults),
            "what JSON may say protobuf may say");
    buf_clear(&again);
    message_to_json(copy, &again);
    PROMISE(span_equal(buf_view(&json), buf_view(&again)), "both encodings say the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    for (size_t i = 0; i < count; i++) {
        if (types[i]->kind != MESSAGE_COMMAND) continue;
        AUTO(Arena) arena = arena_new(8 << 20);
        FieldFaults faults = {0};
        ProtobufCMessage *message;
        if (message_from_json(types[i], span_bytes(data, size), arena, &message, &faults))
            reads_back(types[i], message, arena);
        else
            refused(&faults);
    }
    return 0;
}
