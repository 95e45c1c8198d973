/* Frames of gRPC and what is in them: the messages do not depend on how the bytes were cut, no message is
 * above the limit, and what is compressed never costs more than that either. */
#include "fuzz.h"

#include "events/v1/services.pb-c.h"
#include "wire/base64.h"
#include "wire/gzip.h"
#include "wire/json/proto_json.h"
#include "wire/proto_scan.h"
#include "wire/rpc/grpc_frame.h"

enum { LIMIT = 4 << 10 };

/* As the gateway takes a request: inflated, scanned, unpacked; or as JSON. */
static void take(const GrpcMessage *m) {
    AUTO_BUF plain = {0};
    AUTO(Arena) arena = arena_new(1 << 20);
    FieldFaults faults = {0}, of_json = {0};
    const ProtobufCMessageDescriptor *type = &events__v1__create_prospect_request__descriptor;
    Span bytes = m->bytes;
    if (m->flags & GRPC_COMPRESSED) {
        Gunzip done = gzip_unpack(bytes, LIMIT, &plain);
        PROMISE(done != GUNZIP_DONE || plain.len <= LIMIT, "nothing grows above the limit");
        if (done != GUNZIP_DONE) return;
        bytes = buf_view(&plain);
    }
    if (proto_scan(type, bytes, true, arena, &faults))
        PROMISE(protobuf_c_message_unpack(type, arena_protobuf(arena), bytes.len,
                                          (const uint8_t *)(bytes.at ? bytes.at : "")) ||
                    arena_refused(arena),
                "what passes the scan can be unpacked");
    ProtobufCMessage *message = proto_json_read(type, bytes, true, arena, &of_json);
    PROMISE(!message == (of_json.count > 0), "a refusal has its reasons");
}

static GrpcStep feed(Span in, size_t step, bool look, Buf *log) {
    GrpcReader r = {.limit = LIMIT, .flags = GRPC_COMPRESSED};
    GrpcStep got = GRPC_MORE;
    for (size_t at = 0; at < in.len && got == GRPC_MORE; at += step) {
        Span part = {in.at + at, step < in.len - at ? step : in.len - at};
        GrpcMessage m;
        while ((got = grpc_read(&r, &part, &m)) == GRPC_MESSAGE) {
            PROMISE(m.bytes.len <= LIMIT, "no message above the limit");
            buf_printf(log, "%u %zu ", m.flags, m.bytes.len);
            buf_span(log, m.bytes);
            if (look) take(&m);
        }
        PROMISE(got != GRPC_MORE || !part.len, "the input is taken");
    }
    grpc_reader_clear(&r);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF whole = {0}, steps = {0}, text = {0};
    Span in = span_bytes(data, size);
    GrpcStep one = feed(in, size ? size : 1, true, &whole), other = feed(in, 1, false, &steps);
    PROMISE(one == other, "the end does not depend on where the bytes were cut");
    PROMISE(span_equal(buf_view(&whole), buf_view(&steps)), "nor do the messages");
    if (base64_read_any(in, &text)) PROMISE(text.len <= size / 4 * 3 + 2, "base64 gets shorter");
    return 0;
}
