/* http_client.c - blocking calls over libcurl's multi interface.
 *
 * The multi interface is used, though most have one transfer at a time, because only curl_multi_wakeup() can
 * end a wait from another thread at once: a program that shuts down must not sit out a peer's 30 seconds. The
 * connection lives in the multi handle and is used again by the next call; where the peer has closed it in
 * between, libcurl opens another one by itself. */
#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { CONNECT_MS = 3000, TOTAL_MS = 30000, ANSWER_LIMIT = 1 << 20, WAIT_MS = 1000 };

/* What one call at a time needs; the handle is made at its first use. */
typedef struct Transfer {
    CURL *easy;
    struct curl_slist *lines;
    CURLcode result;
    HttpReply reply;
} Transfer;

struct HttpClient {
    HttpClientOptions options;
    char *ca_file, *no_proxy;
    CURLM *multi;
    atomic_bool interrupted;
    Transfer transfers[HTTP_CALLS];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void start_curl(void) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) abort();
}

static size_t on_body(char *bytes, size_t one, size_t len, void *user) {
    Transfer *t = user;
    buf_append(&t->reply.body, bytes, one * len);
    return t->reply.body.failed ? 0 : one * len; /* less than given ends the transfer */
}

/* Retry-After in seconds (RFC 9110, 10.2.3); the form with a date is left to the caller's own back-off. */
static void take_retry_after(HttpReply *reply, Span value) {
    uint64_t seconds;
    if (span_to_u64(value, 86400, &seconds)) reply->retry_after_ms = (int64_t)seconds * 1000;
}

static void take_content_type(HttpReply *reply, Span value) {
    if (!span_copy(value, reply->content_type, sizeof reply->content_type)) *reply->content_type = 0;
}

static void take_allowed_origin(HttpReply *reply, Span value) {
    if (!span_copy(value, reply->allowed_origin, sizeof reply->allowed_origin)) *reply->allowed_origin = 0;
}

static const struct {
    Span name;
    void (*take)(HttpReply *reply, Span value);
} FIELDS[] = {
    {{"retry-after", 11}, take_retry_after},
    {{"content-type", 12}, take_content_type},
    {{"webhook-allowed-origin", 22}, take_allowed_origin},
};

static size_t on_header(char *bytes, size_t one, size_t len, void *user) {
    Transfer *t = user;
    Span value, line = {bytes, one * len};
    while (line.len && (line.at[line.len - 1] == '\r' || line.at[line.len - 1] == '\n')) line.len--;
    Span name = span_split(line, ':', &value);
    for (size_t i = 0; value.at && i < COUNT(FIELDS); i++)
        if (span_equal_nocase(name, FIELDS[i].name)) FIELDS[i].take(&t->reply, span_trim(value));
    return one * len;
}

/* What is the same for every call. */
static void set_options(HttpClient *c, Transfer *t) {
    CURL *e = t->easy;
    const HttpClientOptions *o = &c->options;
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connect_ms ? o->connect_ms : CONNECT_MS));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(o->total_ms ? o->total_ms : TOTAL_MS));
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROXY, c->no_proxy);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    if (c->ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file); /* the system's stay trusted by CURLOPT_CAPATH */
}

/* A proxy of the environment is for the outside, never for this machine's own programs. */
static char *no_proxy(void) {
    const char *set = getenv("no_proxy");
    char *text = NULL;
    if (asprintf(&text, "127.0.0.1,localhost,::1%s%s", set && *set ? "," : "", set ? set : "") < 0) abort();
    return text;
}

bool http_client_open(const HttpClientOptions *options, HttpClient **ret, Err *err) {
    pthread_once(&once, start_curl);
    AUTO(HttpClient) c = must(calloc(1, sizeof *c));
    c->options = *options;
    c->ca_file = options->ca_file ? must(strdup(options->ca_file)) : NULL;
    c->no_proxy = no_proxy();
    c->multi = curl_multi_init();
    if (!c->multi) return err_set(err, &ERR_UNAVAILABLE, "the HTTP client could not be set up");
    *ret = c;
    c = NULL;
    return true;
}

HttpClient *http_client_free(HttpClient *c) {
    if (!c) return NULL;
    for (size_t i = 0; i < HTTP_CALLS; i++) {
        if (c->transfers[i].easy) curl_easy_cleanup(c->transfers[i].easy);
        buf_free(&c->transfers[i].reply.body);
    }
    if (c->multi) curl_multi_cleanup(c->multi);
    free(c->ca_file);
    free(c->no_proxy);
    free(c);
    return NULL;
}

void http_client_interrupt(HttpClient *c) {
    atomic_store(&c->interrupted, true);
    curl_multi_wakeup(c->multi);
}

static struct curl_slist *header_lines(const char *const *headers) {
    /* without the first of these, libcurl waits up to a second for "100 Continue" before it sends a large
     * body */
    struct curl_slist *lines = must(curl_slist_append(NULL, "Expect:"));
    lines = must(curl_slist_append(lines, "User-Agent: events"));
    for (; headers && *headers; headers++) lines = must(curl_slist_append(lines, *headers));
    return lines;
}

static bool has_body(const char *method, Span body) {
    return body.len || !strcmp(method, "POST") || !strcmp(method, "PUT");
}

/* One request at a time gains nothing by HTTP/2. In the clear it must do without: libcurl 7.88 (Debian 12)
 * fails at the second request of a connection with prior knowledge. */
static void set_version(const HttpClient *c, CURL *e, const char *url) {
    bool shared = c->options.multiplex && !strncmp(url, "https:", 6);
    long version = shared ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1;
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, version);
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, shared ? 1L : 0L); /* for the connection of the first */
}

static void set_request(const HttpClient *c, Transfer *t, const HttpCall *call) {
    CURL *e = t->easy;
    set_version(c, e, call->url);
    t->lines = header_lines(call->headers);
    curl_easy_setopt(e, CURLOPT_URL, call->url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->lines);
    if (has_body(call->method, call->body)) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->body.at ? call->body.at : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_NOBODY, strcmp(call->method, "HEAD") ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
}

static void begin(HttpClient *c, Transfer *t, const HttpCall *call) {
    Buf kept = t->reply.body;
    t->reply = (HttpReply){.body = kept};
    t->reply.body.limit = c->options.answer_limit ? c->options.answer_limit : ANSWER_LIMIT;
    buf_clear(&t->reply.body);
    t->result = CURLE_ABORTED_BY_CALLBACK;
    if (!t->easy) {
        t->easy = must(curl_easy_init());
        set_options(c, t);
    }
    set_request(c, t, call);
    if (curl_multi_add_handle(c->multi, t->easy)) t->result = CURLE_FAILED_INIT;
}

/* Runs the transfers until all have ended or somebody has interrupted them. */
static void run(HttpClient *c) {
    int running = 1, left;
    while (running && !atomic_load(&c->interrupted)) {
        if (curl_multi_perform(c->multi, &running)) break;
        if (running && curl_multi_poll(c->multi, NULL, 0, WAIT_MS, NULL)) break;
    }
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        Transfer *t = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        if (t && m->msg == CURLMSG_DONE) t->result = m->data.result;
    }
}

static bool answered(const Transfer *t, Err *err) {
    CURLcode code = t->result;
    if (code == CURLE_ABORTED_BY_CALLBACK) return err_set(err, &ERR_UNAVAILABLE, "interrupted");
    if (t->reply.body.failed) return err_set(err, &ERR_UNAVAILABLE, "the answer was longer than allowed");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, &ERR_CONFIG, "not a valid http or https address");
    return !code || err_set(err, &ERR_UNAVAILABLE, "no answer: %s", curl_easy_strerror(code));
}

static void end(HttpClient *c, Transfer *t, HttpCall *call) {
    long status = 0;
    curl_multi_remove_handle(c->multi, t->easy);
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(t->lines);
    t->lines = NULL;
    err_clear(&call->why);
    if (!answered(t, &call->why)) return;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->reply.status = (int)status;
    call->reply = &t->reply;
}

void http_client_calls(HttpClient *c, HttpCall *calls, size_t count) {
    for (size_t i = 0; i < count; i++) {
        calls[i].reply = NULL;
        begin(c, &c->transfers[i], &calls[i]);
    }
    run(c);
    for (size_t i = 0; i < count; i++) end(c, &c->transfers[i], &calls[i]);
}

bool http_client_call(HttpClient *c, const char *method, const char *url, const char *const *headers,
                      Span body, const HttpReply **ret, Err *err) {
    HttpCall call = {.method = method, .url = url, .headers = headers, .body = body};
    http_client_calls(c, &call, 1);
    if (!call.reply) return err_set(err, call.why.kind, "%s", call.why.why);
    *ret = call.reply;
    return true;
}
