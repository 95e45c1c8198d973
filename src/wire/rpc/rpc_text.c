#include "wire/rpc/rpc_text.h"

#include "base/auto.h"

bool rpc_timeout_read(Span text, int64_t *us) {
    static const struct {
        char unit;
        int64_t us; /* 0: less than one */
    } UNITS[] = {{'H', 3600000000}, {'M', 60000000}, {'S', 1000000}, {'m', 1000}, {'u', 1}, {'n', 0}};
    uint64_t value;
    if (text.len < 2 || text.len > 9) return false;
    Span digits = {text.at, text.len - 1};
    if (!span_to_u64(digits, INT64_MAX, &value)) return false;
    for (size_t i = 0; i < COUNT(UNITS); i++) {
        if (UNITS[i].unit != text.at[text.len - 1]) continue;
        *us = UNITS[i].us ? (int64_t)value * UNITS[i].us : (int64_t)value / 1000;
        return true;
    }
    return false;
}

bool rpc_timeout_ms_read(Span text, int64_t *us) {
    uint64_t value;
    if (text.len > 10 || !span_to_u64(text, INT64_MAX, &value)) return false;
    *us = (int64_t)value * 1000;
    return true;
}

RpcMedia rpc_media_read(Span content_type) {
    static const RpcMedia MEDIA[] = {
        {RPC_GRPC, false, "application/grpc"},
        {RPC_GRPC, false, "application/grpc+proto"},
        {RPC_GRPC, true, "application/grpc+json"},
        {RPC_GRPC_WEB, false, "application/grpc-web"},
        {RPC_GRPC_WEB, false, "application/grpc-web+proto"},
        {RPC_GRPC_WEB, true, "application/grpc-web+json"},
        {RPC_GRPC_WEB_TEXT, false, "application/grpc-web-text"},
        {RPC_GRPC_WEB_TEXT, false, "application/grpc-web-text+proto"},
        {RPC_CONNECT, false, "application/proto"},
        {RPC_CONNECT, true, "application/json"},
        {RPC_CONNECT_STREAM, false, "application/connect+proto"},
        {RPC_CONNECT_STREAM, true, "application/connect+json"},
    };
    Span parameters, type = span_trim(span_split(content_type, ';', &parameters));
    for (size_t i = 0; i < COUNT(MEDIA); i++)
        if (span_equal_nocase(type, span_of(MEDIA[i].name))) return MEDIA[i];
    return (RpcMedia){0};
}

bool rpc_media_is_grpc(Span content_type) {
    Span grpc = SPAN("application/grpc");
    return content_type.len >= grpc.len && span_equal_nocase((Span){content_type.at, grpc.len}, grpc);
}

bool rpc_accepts_gzip(Span list) {
    for (Span rest = list; rest.at;)
        if (span_equal_nocase(span_trim(span_split(rest, ',', &rest)), SPAN("gzip"))) return true;
    return false;
}

RpcEncoding rpc_encoding_read(Span text) {
    if (!text.len || span_equal_nocase(text, SPAN("identity"))) return RPC_IDENTITY;
    return span_equal_nocase(text, SPAN("gzip")) ? RPC_GZIP : RPC_ENCODING_UNKNOWN;
}
