/* rpc_status.c - google.rpc's messages are written by hand: there are three of them, of few fields, and
 * Debian has no package of their .proto files. */
#include "wire/rpc/rpc_status.h"

#include "wire/base64.h"
#include "wire/proto_scan.h"

#define DOMAIN      "events"
#define TYPE_URL    "type.googleapis.com/"
#define BAD_REQUEST "google.rpc.BadRequest"
#define ERROR_INFO  "google.rpc.ErrorInfo"

enum { BYTES = 2, VARINT = 0, DETAILS = 2 };

static const struct {
    const char *name, *connect;
    int http;
} CODES[] = {
#define X(name, number, http, connect) [number] = {#name, connect, http},
    RPC_CODES(X)
#undef X
};

const char *rpc_code_name(RpcCode code) {
    return CODES[code].name;
}
const char *rpc_code_connect(RpcCode code) {
    return CODES[code].connect;
}
int rpc_code_http(RpcCode code) {
    return CODES[code].http;
}

RpcCode rpc_code_of_rejection(const char *code) {
    static const struct {
        const char *rejection;
        RpcCode code;
    } TABLE[] = {{"duplicate_email", RPC_ALREADY_EXISTS},
                 {"version_conflict", RPC_ABORTED},
                 {"not_found", RPC_NOT_FOUND},
                 {"invalid", RPC_INVALID_ARGUMENT}};
    for (size_t i = 0; i < COUNT(TABLE); i++)
        if (!strcmp(TABLE[i].rejection, code)) return TABLE[i].code;
    return RPC_FAILED_PRECONDITION;
}

/* --- google.rpc --- */

static void put_bytes(Buf *out, unsigned number, Span bytes) {
    proto_write_varint(out, number << 3 | BYTES);
    proto_write_varint(out, bytes.len);
    buf_span(out, bytes);
}

static void put_text(Buf *out, unsigned number, const char *text) {
    if (text && *text) put_bytes(out, number, span_of(text));
}

/* BadRequest {repeated FieldViolation {field = 1, description = 2, reason = 3} = 1} */
static void pack_bad_request(const RpcStatus *s, Buf *out) {
    for (size_t i = 0; i < s->faults->count; i++) {
        AUTO_BUF violation = {0};
        put_text(&violation, 1, s->faults->at[i].field);
        put_text(&violation, 2, field_fault_text(s->faults->at[i].code));
        put_text(&violation, 3, s->faults->at[i].code);
        put_bytes(out, 1, buf_view(&violation));
    }
}

static void put_entry(Buf *out, unsigned number, const char *key, const char *value) {
    AUTO_BUF entry = {0};
    if (!value || !*value) return;
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_bytes(out, number, buf_view(&entry));
}

/* ErrorInfo {reason = 1, domain = 2, map metadata = 3} */
static void pack_error_info(const RpcStatus *s, Buf *out) {
    put_text(out, 1, s->reason);
    put_text(out, 2, DOMAIN);
    put_entry(out, 3, "correlationId", s->correlation_id);
    put_entry(out, 3, "commandId", s->command_id);
}

/* The n-th detail that there is; its type is NULL where the status has none in this place. */
static const char *detail(const RpcStatus *s, int n, Buf *out) {
    bool bad_request = s->faults && s->faults->count;
    if (n == 0 && bad_request) {
        pack_bad_request(s, out);
        return BAD_REQUEST;
    }
    if (n != 1 || !s->reason) return NULL;
    pack_error_info(s, out);
    return ERROR_INFO;
}

bool rpc_status_has_details(const RpcStatus *s) {
    return s->reason || (s->faults && s->faults->count);
}

/* Status {code = 1, message = 2, repeated Any {type_url = 1, value = 2} details = 3} */
void rpc_status_pack(const RpcStatus *s, Buf *out) {
    proto_write_varint(out, 1 << 3 | VARINT);
    proto_write_varint(out, s->code);
    put_text(out, 2, s->message);
    for (int n = 0; n < DETAILS; n++) {
        AUTO_BUF value = {0}, any = {0}, url = {0};
        const char *type = detail(s, n, &value);
        if (!type) continue;
        buf_text(&url, TYPE_URL);
        buf_text(&url, type);
        put_bytes(&any, 1, buf_view(&url));
        put_bytes(&any, 2, buf_view(&value));
        put_bytes(out, 3, buf_view(&any));
    }
}

/* --- trailers --- */

/* Of UTF-8 everything but U+0020 to U+007E without the percent sign (PROTOCOL-HTTP2, "Status-Message"). */
void rpc_percent_encode(Span utf8, Buf *out) {
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < utf8.len; i++) {
        uint8_t byte = (uint8_t)utf8.at[i];
        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            buf_byte(out, (char)byte);
            continue;
        }
        const char escape[] = {'%', HEX[byte >> 4], HEX[byte & 15]};
        buf_append(out, escape, sizeof escape);
    }
}

void rpc_status_base64(const RpcStatus *s, Buf *out) {
    AUTO_BUF packed = {0};
    rpc_status_pack(s, &packed);
    base64_write_bare(out, buf_view(&packed));
}

void rpc_web_trailers(const RpcStatus *s, Buf *out) {
    buf_printf(out, "grpc-status: %d\r\n", (int)s->code);
    if (s->message) {
        buf_text(out, "grpc-message: ");
        rpc_percent_encode(span_of(s->message), out);
        buf_text(out, "\r\n");
    }
    if (!rpc_status_has_details(s)) return;
    buf_text(out, "grpc-status-details-bin: ");
    rpc_status_base64(s, out);
    buf_text(out, "\r\n");
}

/* --- Connect --- */

static void write_details(const RpcStatus *s, JsonWriter *w) {
    json_name(w, "details");
    json_array(w);
    for (int n = 0; n < DETAILS; n++) {
        AUTO_BUF value = {0}, text = {0};
        const char *type = detail(s, n, &value);
        if (!type) continue;
        base64_write_bare(&text, buf_view(&value));
        json_object(w);
        json_name(w, "type");
        json_text(w, type);
        json_name(w, "value");
        json_string(w, buf_view(&text));
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_error(const RpcStatus *s, JsonWriter *w) {
    json_object(w);
    json_name(w, "code");
    json_text(w, rpc_code_connect(s->code));
    if (s->message) {
        json_name(w, "message");
        json_text(w, s->message);
    }
    if (rpc_status_has_details(s)) write_details(s, w);
    json_object_end(w);
}

void rpc_status_json(const RpcStatus *s, Buf *out) {
    JsonWriter w = json_writer(out);
    write_error(s, &w);
}

void rpc_end_json(const RpcStatus *s, Buf *out) {
    JsonWriter w = json_writer(out);
    json_object(&w);
    if (s->code != RPC_OK) {
        json_name(&w, "error");
        write_error(s, &w);
    }
    json_object_end(&w);
}
