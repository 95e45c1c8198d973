/* eventsctl_session.c - signing in. The access token lives for minutes, an import may run for hours: so the
 * token is renewed a while before its end, by the refresh token, and by the password where that is refused.
 */
#include "main/eventsctl_session.h"

#include "app/import/client_answer.h"
#include "base/clock.h"
#include "main/eventsctl_files.h"
#include "wire/json/json.h"
#include <limits.h>
#include <stdio.h>

enum { PATIENCE_MS = 10000, RENEW_AGAIN_MS = 1000, TENANT_MAX = 128 };

struct Session {
    HttpClient *client;
    Arena *arena; /* of one answer */
    char *url, *ca_file, *username, *password;
    char *authorization, *refresh_token;
    char tenant[TENANT_MAX];
    int64_t renew_at_us; /* monotonic */
};

const char *session_url(const Session *s) {
    return s->url;
}
const char *session_ca_file(const Session *s) {
    return s->ca_file;
}
const char *session_authorization(const Session *s) {
    return s->authorization;
}
Span session_tenant(const Session *s) {
    return span_of(s->tenant);
}
bool session_is_due(const Session *s) {
    return clock_mono_us() >= s->renew_at_us;
}

static void set_text(char **to, Span text) {
    free(*to);
    *to = text.at ? must(strndup(text.at, text.len)) : NULL;
}

static void forget(char **secret) {
    if (*secret) explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

Session *session_free(Session *s) {
    if (!s) return NULL;
    http_client_free(s->client);
    arena_free(s->arena);
    forget(&s->password);
    forget(&s->authorization);
    forget(&s->refresh_token);
    free(s->url);
    free(s->ca_file);
    free(s->username);
    free(s);
    return NULL;
}

static bool read_tenant(Session *s, Span token, Err *err) {
    Span tenant;
    return (client_token_tenant(token, s->arena, &tenant) &&
            span_copy(tenant, s->tenant, sizeof s->tenant)) ||
           err_set(err, &ERR_UNAVAILABLE, "the gateway's token names no tenant");
}

static bool take_tokens(Session *s, Span body, Err *err) {
    ClientAnswer answer;
    if (!client_answer_read(body, s->arena, &answer) || !answer.access_token.at)
        return err_set(err, &ERR_UNAVAILABLE, "the gateway answered the login without a token");
    if (!read_tenant(s, answer.access_token, err)) return false;
    AUTO_BUF line = {0};
    buf_text(&line, "Authorization: Bearer ");
    buf_span(&line, answer.access_token);
    forget(&s->authorization);
    set_text(&s->authorization, buf_view(&line));
    forget(&s->refresh_token);
    set_text(&s->refresh_token, answer.refresh_token);
    s->renew_at_us = clock_mono_us() + answer.expires_in * 750000; /* at three quarters of its life */
    return true;
}

static bool post_json(Session *s, const char *path, Span body, const HttpReply **ret, Err *err) {
    static const char *const HEADERS[] = {"Content-Type: application/json", NULL};
    const char *url = must(arena_printf(s->arena, "%s%s", s->url, path));
    return http_client_call(s->client, "POST", url, HEADERS, body, ret, err);
}

static bool may_pass(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* Logs in once. *again_ms > 0: it failed for a reason that may pass. */
static bool login_once(Session *s, int64_t *again_ms, Err *err) {
    AUTO_BUF body = {0};
    JsonWriter w = json_writer(&body);
    json_object(&w);
    json_name(&w, "username");
    json_text(&w, s->username);
    json_name(&w, "password");
    json_text(&w, s->password);
    json_object_end(&w);
    const HttpReply *reply;
    *again_ms = 250;
    bool came = post_json(s, "/api/auth/login", buf_view(&body), &reply, err);
    explicit_bzero(body.at, body.len);
    if (!came) return false;
    if (reply->status == 200) {
        *again_ms = 0;
        return take_tokens(s, buf_view(&reply->body), err);
    }
    *again_ms = !may_pass(reply->status) ? 0 : reply->retry_after_ms ? reply->retry_after_ms : 250;
    const ErrKind *kind = reply->status == 401 ? &ERR_CONFIG : &ERR_UNAVAILABLE;
    return err_set(err, kind,
                   reply->status == 401 ? "the gateway refuses user or password" : "the login got HTTP %d",
                   reply->status);
}

static bool login(Session *s, Err *err) {
    int64_t end = clock_mono_us() + PATIENCE_MS * 1000LL, again_ms;
    for (;;) {
        arena_reset(s->arena);
        err_clear(err);
        if (login_once(s, &again_ms, err)) return true;
        if (!again_ms || clock_mono_us() + again_ms * 1000 > end) return false;
        clock_sleep_ms(again_ms);
    }
}

static bool refresh(Session *s) {
    Err err = {0};
    AUTO_BUF body = {0};
    JsonWriter w = json_writer(&body);
    json_object(&w);
    json_name(&w, "refreshToken");
    json_text(&w, s->refresh_token);
    json_object_end(&w);
    const HttpReply *reply;
    return post_json(s, "/api/auth/refresh", buf_view(&body), &reply, &err) && reply->status == 200 &&
           take_tokens(s, buf_view(&reply->body), &err);
}

bool session_renew(Session *s, Err *err) {
    int64_t again_ms;
    arena_reset(s->arena);
    if ((s->refresh_token && refresh(s)) || login_once(s, &again_ms, err)) return true;
    s->renew_at_us = clock_mono_us() + RENEW_AGAIN_MS * 1000LL;
    return false;
}

bool session_get(Session *s, const char *path, const char *header, const HttpReply **ret, Err *err) {
    if (session_is_due(s) && !session_renew(s, err)) return false;
    for (int tries = 0;; tries++) {
        arena_reset(s->arena);
        const char *url = must(arena_printf(s->arena, "%s%s", s->url, path));
        const char *const headers[] = {s->authorization, header, NULL};
        if (!http_client_call(s->client, "GET", url, headers, SPAN_NONE, ret, err)) return false;
        if ((*ret)->status != 401 || tries) return true;
        if (!session_renew(s, err)) return false;
    }
}

static bool is_loopback(const char *url) {
    static const char *const STARTS[] = {"https://localhost", "https://127.0.0.1", "https://[::1]"};
    for (size_t i = 0; i < COUNT(STARTS); i++) {
        size_t len = strlen(STARTS[i]);
        if (!strncmp(url, STARTS[i], len) && strchr(":/", url[len])) return true; /* ':', '/' or the end */
    }
    return false;
}

/* The gateway of this home, by its TLS address; one that listens everywhere is reached at localhost. */
static const char *own_url(const Ctl *ctl) {
    const char *listen = config_text(ctl->config, "EVENTS_LISTEN"), *port = strrchr(listen, ':');
    bool everywhere = !strncmp(listen, "0.0.0.0:", 8) || !strncmp(listen, "[::]:", 5);
    return must(
        arena_printf(ctl->arena, "https://%s%s", everywhere ? "localhost" : "", everywhere ? port : listen));
}

static bool choose_url(Session *s, const Ctl *ctl, Err *err) {
    const char *url = config_text(ctl->config, "EVENTS_URL");
    if (!*url) url = own_url(ctl);
    if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
        return err_set(err, &ERR_INVALID, "the URL must begin with http:// or https://");
    Span text = span_of(url);
    while (span_ends(text, SPAN("/"))) text.len--;
    set_text(&s->url, text);
    const char *ca = ctl_option(ctl, "ca"), *own = config_path(ctl->config, "tls.crt");
    if (!ca && is_loopback(s->url) && files_exist(own)) ca = own;
    if (ca) set_text(&s->ca_file, span_of(ca));
    return true;
}

static bool choose_user(Session *s, Ctl *ctl, Err *err) {
    const char *user = ctl_option(ctl, "user"), *password;
    char line[1026];
    if (ctl_option(ctl, "password-stdin")) {
        if (!ctl_read_password(ctl, &password, err)) return false;
    } else if (user && strcmp(user, "demo")) {
        return err_set(err, &ERR_INVALID, "--user needs --password-stdin");
    } else {
        if (!files_first_line(config_path(ctl->config, "demo-password"), line, sizeof line, err))
            return false;
        password = line;
    }
    set_text(&s->username, span_of(user ? user : "demo"));
    set_text(&s->password, span_of(password));
    return true;
}

bool session_open(Ctl *ctl, Session **ret, Err *err) {
    AUTO(Session) s = must(calloc(1, sizeof *s));
    s->arena = must(arena_new(0));
    if (!choose_url(s, ctl, err) || !choose_user(s, ctl, err)) return false;
    HttpClientOptions options = {.ca_file = s->ca_file, .answer_limit = 16 << 20};
    if (!http_client_open(&options, &s->client, err) || !login(s, err)) return false;
    *ret = s;
    s = NULL;
    return true;
}
