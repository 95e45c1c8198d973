/* The server and the clients of net_kit.h. */
#include "net_kit.h"

#include "base/clock.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

struct TestServer {
    Loop *loop;
    HttpServer *server;
    pthread_t thread;
    _Atomic size_t connections;
    _Atomic(const char *) ws_end;
};

/* --- the routes --- */

typedef struct Later {
    Timer timer;
    HttpExchange *x;
    void (*then)(HttpExchange *x);
} Later;

static atomic_int later_count; /* a server is stopped when all its work is done */

static void on_later(Timer *timer) {
    atomic_fetch_sub(&later_count, 1);
    Later *later = CONTAINER(timer, Later, timer);
    later->then(later->x);
    free(later);
}

static void answer_after(HttpExchange *x, int64_t ms, void (*then)(HttpExchange *x)) {
    Later *later = must(calloc(1, sizeof *later));
    *later = (Later){.timer.expired = on_later, .x = x, .then = then};
    atomic_fetch_add(&later_count, 1);
    loop_timer_set(http_loop(x), &later->timer, ms);
}

static void echo(HttpExchange *x) {
    Span a = SPAN("");
    http_query_value(x, "a", &a);
    HttpField fields[] = {{"x-method", http_method(x)},
                          {"x-query-a", a, .unique = true},
                          {"x-peer", http_peer(x)},
                          {"x-authority", http_authority(x)},
                          {"x-bad", SPAN("split\r\nset-cookie: no")}};
    http_respond(x, &(HttpAnswer){.status = 200, .fields = fields, .field_count = 5, .body = http_body(x)});
}

static void no_content(HttpExchange *x) {
    http_respond(x, &(HttpAnswer){.status = 204});
}

static void bytes(HttpExchange *x, bool shared) {
    Span value = SPAN("0");
    uint64_t count = 0;
    http_query_value(x, "n", &value);
    span_to_u64(value, 64 << 20, &count);
    Blob *blob = must(blob_new(count));
    for (size_t i = 0; i < count; i++) blob->bytes[i] = (char)('a' + i % 26);
    HttpAnswer answer = {.status = 200, .blob = shared ? blob : NULL, .body = blob_view(blob)};
    http_respond(x, &answer);
    blob_unref(blob);
}

static void ws_flood(WebSocket *ws) {
    char text[1000];
    memset(text, 'x', sizeof text);
    Blob *frame = must(websocket_frame(1, (Span){text, sizeof text}));
    while (websocket_send_frame(ws, frame)) {
    }
    blob_unref(frame);
}

static void ws_message(WebSocket *ws, void *user, bool text, Span message) {
    (void)user;
    if (span_is(message, "close"))
        websocket_close(ws, 4401, "token expired");
    else if (span_is(message, "flood"))
        ws_flood(ws);
    else if (span_is(message, "drop")) {
        ws_flood(ws);
        websocket_drop_queue(ws);
    } else
        websocket_send(ws, text ? 1 : 2, message);
}

static void ws_closed(WebSocket *ws, void *user) {
    (void)ws;
    atomic_store(&((TestServer *)user)->ws_end, "closed");
}

static void ws_drained(WebSocket *ws, void *user) {
    (void)user;
    websocket_send(ws, 1, SPAN("drained"));
}

static void big_message(WebSocket *ws, void *user, bool text, Span message) {
    (void)user;
    CHECK(websocket_send(ws, text ? 1 : 2, message));
    if (websocket_queued(ws) > 64 << 10) websocket_pause(ws, true);
}

static void big_drained(WebSocket *ws, void *user) {
    (void)user;
    websocket_pause(ws, false);
}

static bool take_protocol(void *user, Span protocol) {
    bool *found = user;
    *found = span_is(protocol, "events.v1.protobuf");
    return !*found;
}

static void ws_accept(TestServer *s, HttpExchange *x) {
    Err err = {0};
    if (!websocket_wanted(x, &err)) {
        WebSocketRefusal refusal = websocket_refusal(x);
        http_respond(x, &(HttpAnswer){.status = refusal.status,
                                      .fields = refusal.fields,
                                      .field_count = refusal.field_count,
                                      .body = span_of(err.why)});
        return;
    }
    bool found = false;
    websocket_protocols(x, take_protocol, &found);
    Span beat = SPAN("0"), deflate = SPAN("");
    uint64_t beat_ms = 0;
    bool big = span_is(http_path(x), "/ws-big");
    http_query_value(x, "beat", &beat);
    http_query_value(x, "deflate", &deflate);
    span_to_u64(beat, 100000, &beat_ms);
    atomic_store(&s->ws_end, "");
    WebSocketEvents events = {.message = big ? big_message : ws_message,
                              .closed = ws_closed,
                              .drained = big ? big_drained : ws_drained,
                              .user = s,
                              .message_limit = big ? 16 << 20 : 1000,
                              .queue_limit = big ? 40 << 20 : 64 << 10,
                              .heartbeat_ms = (int64_t)beat_ms,
                              .deflate = deflate.len};
    CHECK(websocket_accept(x, found ? "events.v1.protobuf" : NULL, &events) != NULL);
}

static void ws_later(HttpExchange *x) {
    ws_accept(http_user(x), x);
}

static void on_head(void *user, HttpExchange *x) {
    (void)user;
    stream_on_head(x);
}

static bool on_refuse(void *user, HttpExchange *x, int status, const char *why) {
    (void)user, (void)why;
    if (!span_is(http_path(x), "/own-words")) return false;
    HttpField field = {"x-instead-of", status == 413 ? SPAN("413") : SPAN("another")};
    http_respond(
        x, &(HttpAnswer){.status = status, .fields = &field, .field_count = 1, .body = SPAN("own words")});
    return true;
}

static void on_request(void *user, HttpExchange *x) {
    Span path = http_path(x);
    if (stream_on_request(x)) return;
    http_set_user(x, user);
    if (span_is(path, "/echo"))
        echo(x);
    else if (span_is(path, "/later"))
        answer_after(x, 50, echo);
    else if (span_is(path, "/slow"))
        answer_after(x, 400, no_content);
    else if (span_is(path, "/bytes") || span_is(path, "/copied"))
        bytes(x, span_is(path, "/bytes"));
    else if (span_is(path, "/ws") || span_is(path, "/ws-big"))
        ws_accept(user, x);
    else if (span_is(path, "/ws-later"))
        answer_after(x, 50, ws_later);
    else
        http_respond(x, &(HttpAnswer){.status = 404});
}

/* --- the server --- */

static void *run(void *user) {
    loop_run(((TestServer *)user)->loop);
    return NULL;
}

TestServer *test_server(const HttpServerOptions *options) {
    signal(SIGPIPE, SIG_IGN); /* for the clients here; the server needs no such thing */
    TestServer *s = must(calloc(1, sizeof *s));
    atomic_init(&s->ws_end, "");
    HttpServerOptions with = options ? *options : (HttpServerOptions){0};
    with.on_request = on_request;
    with.on_head = on_head;
    with.on_refuse = on_refuse;
    with.user = s;
    Err err = {0};
    if (!CHECK_OK(loop_open(&s->loop, &err), &err)) abort();
    if (!CHECK_OK(http_server_open(s->loop, "127.0.0.1:0", HTTP_ALONE, &with, &s->server, &err), &err))
        abort();
    pthread_create(&s->thread, NULL, run, s);
    return s;
}

typedef struct Call {
    Task task;
    TestServer *s;
    bool drain;
    atomic_bool done;
} Call;

static void on_call(Task *task) {
    Call *call = CONTAINER(task, Call, task);
    if (call->drain) http_server_drain(call->s->server);
    atomic_store(&call->s->connections, http_server_connections(call->s->server));
    atomic_store(&call->done, true);
}

static void call_server(TestServer *s, bool drain) {
    Call call = {.task.run = on_call, .s = s, .drain = drain};
    loop_post(s->loop, &call.task);
    while (!atomic_load(&call.done)) clock_sleep_ms(1);
}

void test_server_drain(TestServer *s) {
    call_server(s, true);
}

size_t test_server_connections(TestServer *s) {
    call_server(s, false);
    return atomic_load(&s->connections);
}

bool test_server_empties(TestServer *s, int64_t within_ms) {
    for (int64_t end = clock_mono_us() + within_ms * 1000; clock_mono_us() < end; clock_sleep_ms(5))
        if (test_server_connections(s) == 0) return true;
    return false;
}

const char *test_server_ws_end(TestServer *s) {
    return atomic_load(&s->ws_end);
}
unsigned test_server_port(const TestServer *s) {
    return http_server_port(s->server);
}

void test_server_stop(TestServer *s) {
    while (atomic_load(&later_count)) clock_sleep_ms(5);
    loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    http_server_free(s->server);
    loop_free(s->loop);
    free(s);
}

/* --- certificates --- */

static void write_pem(const char *path, EVP_PKEY *key, X509 *certificate) {
    FILE *file = must(fopen(path, "w"));
    if (key)
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_X509(file, certificate);
    fclose(file);
}

void test_certificate(const char *folder, const char *name, char certificate[256], char key[256]) {
    snprintf(certificate, 256, "%s/%s.crt", folder, name);
    snprintf(key, 256, "%s/%s.key", folder, name);
    EVP_PKEY *pair = must(EVP_EC_gen("P-256"));
    X509 *x509 = must(X509_new());
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), (long)time(NULL));
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pair);
    X509_NAME *subject = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_sign(x509, pair, EVP_sha256());
    write_pem(key, pair, NULL);
    write_pem(certificate, NULL, x509);
    X509_free(x509);
    EVP_PKEY_free(pair);
}

/* --- clients --- */

int client_open(unsigned port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at)) abort();
    return fd;
}

bool client_send(int fd, Span out) {
    while (out.len) {
        ssize_t put = send(fd, out.at, out.len, MSG_NOSIGNAL);
        if (put <= 0) return false;
        out = (Span){out.at + put, out.len - (size_t)put};
    }
    return true;
}

bool span_has(Span whole, const char *part) {
    return whole.len && memmem(whole.at, whole.len, part, strlen(part));
}

size_t span_count(Span whole, const char *part) {
    size_t count = 0;
    for (const char *at; whole.len && (at = memmem(whole.at, whole.len, part, strlen(part))); count++) {
        size_t skip = (size_t)(at - whole.at) + strlen(part);
        whole = (Span){whole.at + skip, whole.len - skip};
    }
    return count;
}

Span client_read(int fd, const char *until, int64_t within_ms, Buf *into) {
    int64_t end = clock_mono_us() + within_ms * 1000;
    while (!(until && span_has(buf_view(into), until))) {
        int64_t left = (end - clock_mono_us()) / 1000;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) break;
        char *to = buf_reserve(into, 16384);
        ssize_t got = to ? recv(fd, to, 16384, 0) : 0;
        if (got <= 0) break;
        into->len += (size_t)got;
    }
    return buf_view(into);
}

Span client_talk(unsigned port, Span out, Buf *into) {
    int fd = client_open(port);
    client_send(fd, out);
    Span got = client_read(fd, NULL, 5000, into);
    close(fd);
    return got;
}
