/* fanout_wire.c - the least of what the peers speak: NATS and MQTT within WebSocket frames, and bare frames. Each
 * message begins with its number in 16 hexadecimal digits. */
#include "bench/fanout.h"

#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS = 16, CONNACK = 0x20, SUBACK = 0x90, PUBLISH = 0x30 };

static void write_payload(const Plan *plan, int64_t number, Buf *out) {
    buf_printf(out, "%016llx", (unsigned long long)number);
    for (size_t i = DIGITS; i < plan->payload; i++) buf_byte(out, 'x');
}

/* -1: it is none. */
static int64_t number_of(Span payload) {
    int64_t number = 0;
    if (payload.len < DIGITS) return -1;
    for (size_t i = 0; i < DIGITS; i++) {
        char c = payload.at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return -1;
        number = number << 4 | digit;
    }
    return number;
}

/* --- a frame is a message: ws, nchan --- */

static size_t take_bare(Subscriber *s, Span payload) {
    return load_seen(s, number_of(payload)) ? payload.len : SIZE_MAX;
}

static void publish_ws(const Plan *plan, int64_t first, size_t count, Buf *out) {
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF payload = {0};
        write_payload(plan, first + (int64_t)i, &payload);
        ws_client_frame(out, 2, buf_view(&payload));
    }
}

static void publish_nchan(const Plan *plan, int64_t first, size_t count, Buf *out) {
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "POST /pub HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n",
                   (size_t)plan->payload);
        write_payload(plan, first + (int64_t)i, out);
    }
}

const Wire WIRE_WS = {
    .name = "ws", .path = "/sub", .publish_path = "/pub", .publish = publish_ws, .take = take_bare};
const Wire WIRE_NCHAN = {.name = "nchan", .path = "/sub", .publish = publish_nchan, .take = take_bare};

/* --- NATS: lines, and payloads behind them --- */

static void hello_nats(const Plan *plan, const Subscriber *s, Buf *out) {
    (void)plan, (void)s;
    buf_text(out, "CONNECT {\"verbose\":false}\r\nSUB bench 1\r\nPING\r\n");
}

static void publish_hello_nats(const Plan *plan, Buf *out) {
    (void)plan;
    buf_text(out, "CONNECT {\"verbose\":false}\r\n");
}

static void publish_nats(const Plan *plan, int64_t first, size_t count, Buf *out) {
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "PUB bench %zu\r\n", (size_t)plan->payload);
        write_payload(plan, first + (int64_t)i, out);
        buf_text(out, "\r\n");
    }
}

static size_t take_nats(Subscriber *s, Span bytes) {
    size_t used = 0;
    for (const char *end; (end = memchr(bytes.at + used, '\n', bytes.len - used));) {
        Span line = span_trim((Span){bytes.at + used, (size_t)(end - bytes.at) - used - 1});
        size_t next = (size_t)(end + 1 - bytes.at);
        if (span_starts(line, SPAN("MSG "))) {
            size_t len = strtoul((const char *)memrchr(line.at, ' ', line.len) + 1, NULL, 10);
            if (bytes.len - next < len + 2) break;
            if (!load_seen(s, number_of((Span){bytes.at + next, len}))) return SIZE_MAX;
            next += len + 2;
        } else if (span_is(line, "PONG")) {
            s->ready = true;
        } else if (span_starts(line, SPAN("-ERR"))) {
            return SIZE_MAX;
        }
        used = next;
    }
    return used;
}

const Wire WIRE_NATS = {.name = "nats",
                        .path = "/",
                        .hello = hello_nats,
                        .publish_hello = publish_hello_nats,
                        .publish = publish_nats,
                        .take = take_nats,
                        .answers = true};

/* --- MQTT 3.1.1, at most once --- */

static void write_connect(Buf *out, const char *who, uint64_t index) {
    char id[32];
    size_t len = (size_t)snprintf(id, sizeof id, "%s%llu", who, (unsigned long long)index);
    buf_append(out, "\x10", 1);
    buf_byte(out, (char)(12 + len));
    buf_append(out, "\0\4MQTT\4\2\0\0\0", 11); /* clean session, no keep-alive */
    buf_byte(out, (char)len);
    buf_append(out, id, len);
}

static void hello_mqtt(const Plan *plan, const Subscriber *s, Buf *out) {
    (void)plan;
    write_connect(out, "s", s->index);
    buf_append(out, "\x82\x0a\0\1\0\5bench\0", 12);
}

static void publish_hello_mqtt(const Plan *plan, Buf *out) {
    (void)plan;
    write_connect(out, "p", 0);
}

static void publish_mqtt(const Plan *plan, int64_t first, size_t count, Buf *out) {
    for (size_t i = 0; i < count; i++) {
        size_t rest = 7 + plan->payload;
        buf_byte(out, PUBLISH);
        for (; rest > 127; rest >>= 7) buf_byte(out, (char)(rest | 0x80));
        buf_byte(out, (char)rest);
        buf_append(out, "\0\5bench", 7);
        write_payload(plan, first + (int64_t)i, out);
    }
}

static size_t take_mqtt(Subscriber *s, Span bytes) {
    size_t used = 0;
    while (bytes.len - used >= 2) {
        size_t at = used + 1, len = 0, shift = 0;
        uint8_t kind = (uint8_t)bytes.at[used], byte = 0x80;
        for (; byte & 0x80 && at < bytes.len && shift < 28; shift += 7) {
            byte = (uint8_t)bytes.at[at++];
            len |= (size_t)(byte & 0x7f) << shift;
        }
        if (byte & 0x80 || bytes.len - at < len) break;
        if (kind == SUBACK) s->ready = true;
        if ((kind & 0xf0) == PUBLISH &&
            !load_seen(s, len < 7 ? -1 : number_of((Span){bytes.at + at + 7, len - 7})))
            return SIZE_MAX;
        used = at + len;
    }
    return used;
}

/* mosquitto looks at its WebSockets ten times a second while nothing else comes: one handshake after the other would
 * take minutes. Its backlog holds a hundred. */
const Wire WIRE_MQTT = {.name = "mqtt",
                        .path = "/mqtt",
                        .protocol = "mqtt",
                        .hello = hello_mqtt,
                        .publish_hello = publish_hello_mqtt,
                        .publish = publish_mqtt,
                        .take = take_mqtt,
                        .answers = true,
                        .at_once = 64};
