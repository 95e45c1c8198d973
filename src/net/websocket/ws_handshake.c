/* ws_handshake.c - the request that becomes a WebSocket (RFC 6455 section 4.2). */
#include "net/websocket/ws_handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { KEY_TEXT = 24 };
static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* Does the comma-separated list hold the token? */
static bool list_has(Span list, Span token) {
    while (list.at) {
        Span item = span_trim(span_split(list, ',', &list));
        if (span_equal_nocase(item, token)) return true;
    }
    return false;
}

/* All fields of that name: a list may stand in several lines. */
static bool header_has(const HttpExchange *x, const char *name, Span token) {
    for (uint32_t i = 0; i < x->header_count; i++)
        if (span_is(x->headers[i].name, name) && list_has(x->headers[i].value, token)) return true;
    return false;
}

/* The value of a field that may stand there once (sections 11.3.1, 11.3.5). */
static Span only_value(const HttpExchange *x, const char *name) {
    unsigned count = 0;
    for (uint32_t i = 0; i < x->header_count; i++) count += span_is(x->headers[i].name, name);
    return count == 1 ? http_header(x, name) : SPAN_NONE;
}

static bool version_is_13(const HttpExchange *x) {
    return span_is(only_value(x, "sec-websocket-version"), "13");
}

/* Base64 of 16 bytes: 22 characters and "==". */
static bool key_is_valid(Span key) {
    unsigned char bytes[KEY_TEXT];
    return key.len == KEY_TEXT && key.at[KEY_TEXT - 3] != '=' && span_ends(key, SPAN("==")) &&
           EVP_DecodeBlock(bytes, (const unsigned char *)key.at, KEY_TEXT) == 18;
}

bool websocket_wanted(const HttpExchange *x, Err *err) {
    if (x->h2 && !x->tunnel)
        return err_set(err, &ERR_INVALID, "a WebSocket over HTTP/2 is an extended CONNECT");
    if (x->h2) return version_is_13(x) || err_set(err, &ERR_INVALID, "Sec-WebSocket-Version has to be 13");
    if (!span_is(x->method, "GET") || x->http10)
        return err_set(err, &ERR_INVALID, "an upgrade is a GET of HTTP/1.1");
    if (!header_has(x, "upgrade", SPAN("websocket")) || !header_has(x, "connection", SPAN("upgrade")))
        return err_set(err, &ERR_INVALID, "not an upgrade to websocket");
    if (!version_is_13(x)) return err_set(err, &ERR_INVALID, "Sec-WebSocket-Version has to be 13");
    if (!key_is_valid(only_value(x, "sec-websocket-key")))
        return err_set(err, &ERR_INVALID, "Sec-WebSocket-Key is no base64 of 16 bytes");
    return x->body.len ? err_set(err, &ERR_INVALID, "an upgrade has no body") : true;
}

WebSocketRefusal websocket_refusal(const HttpExchange *x) {
    bool version = (x->tunnel || header_has(x, "upgrade", SPAN("websocket"))) && !version_is_13(x);
    return (WebSocketRefusal){
        .status = version ? 426 : 400,
        .fields = {{"sec-websocket-version", SPAN("13")}, {"upgrade", SPAN("websocket")}},
        .field_count = !version ? 0
                       : x->h2  ? 1
                                : 2,
    };
}

void websocket_protocols(const HttpExchange *x, bool (*each)(void *user, Span protocol), void *user) {
    for (uint32_t i = 0; i < x->header_count; i++) {
        if (!span_is(x->headers[i].name, "sec-websocket-protocol")) continue;
        for (Span list = x->headers[i].value; list.at;) {
            Span item = span_trim(span_split(list, ',', &list));
            if (item.len && !each(user, item)) return;
        }
    }
}

void ws_accept_key(Span key, char out[WS_ACCEPT_TEXT]) {
    unsigned char digest[SHA_DIGEST_LENGTH], text[KEY_TEXT + sizeof GUID - 1];
    memcpy(text, key.at, KEY_TEXT);
    memcpy(text + KEY_TEXT, GUID, sizeof GUID - 1);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}
