#include "grid/grid_topic.h"

#include "base/clock.h"
#include "grid/grid_secret.h"
#include "grid/grid_split.h"
#include "grid/grid_webhook.h"
#include "wire/json/json.h"

enum { ARENA_MAX = 16 << 20 };

struct GridTopic {
    GridTopicOptions options;
};

GridTopic *grid_topic_new(const GridTopicOptions *options) {
    GridTopic *t = must(calloc(1, sizeof *t));
    t->options = *options;
    return t;
}

GridTopic *grid_topic_free(GridTopic *t) {
    free(t);
    return NULL;
}

/* Event Grid's names of what went wrong. */
static const char *error_code(int status) {
    static const struct {
        int status;
        const char *code;
    } CODES[] = {{400, "BadRequest"},        {401, "Unauthorized"},          {404, "NotFound"},
                 {405, "MethodNotAllowed"},  {413, "RequestEntityTooLarge"}, {415, "UnsupportedMediaType"},
                 {503, "ServiceUnavailable"}};
    for (size_t i = 0; i < COUNT(CODES); i++)
        if (CODES[i].status == status) return CODES[i].code;
    return "InternalServerError";
}

static void answer_error(HttpExchange *x, const ErrKind *kind, const char *message) {
    AUTO_BUF body = {0};
    JsonWriter w = json_writer(&body);
    const char *code = error_code(kind->http);
    json_object(&w);
    json_name(&w, "error");
    json_object(&w);
    json_name(&w, "code"), json_text(&w, code);
    json_name(&w, "message"), json_text(&w, message);
    json_name(&w, "details");
    json_array(&w);
    json_object(&w);
    json_name(&w, "code"), json_text(&w, code);
    json_name(&w, "message"), json_text(&w, message);
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    json_object_end(&w);
    HttpField fields[2] = {{"content-type", SPAN("application/json; charset=utf-8")}};
    size_t count = 1;
    if (kind->http == 405) fields[count++] = (HttpField){"allow", SPAN("POST")};
    if (kind->http == 503) fields[count++] = (HttpField){"retry-after", SPAN("1")};
    http_respond(
        x,
        &(HttpAnswer){.status = kind->http, .fields = fields, .field_count = count, .body = buf_view(&body)});
}

/* The token of aeg-sas-token, or of "Authorization: SharedAccessSignature ..." (scheme names have no case).
 */
static Span given_token(const HttpExchange *x) {
    Span token = http_header(x, "aeg-sas-token"), scheme = SPAN("SharedAccessSignature ");
    if (token.at) return token;
    token = http_header(x, "authorization");
    if (token.len < scheme.len || !span_equal_nocase((Span){token.at, scheme.len}, scheme)) return SPAN_NONE;
    return span_trim((Span){token.at + scheme.len, token.len - scheme.len});
}

static bool may_publish(const GridTopic *t, HttpExchange *x) {
    Span key = http_header(x, "aeg-sas-key");
    if (key.at || http_query_value(x, "aeg-sas-key", &key)) return grid_secret_matches(t->options.keys, key);
    Span token = given_token(x);
    return token.at && grid_token_valid(t->options.keys, token, GRID_TOPIC_PATH, clock_now_us());
}

/* An input schema is fixed when a topic is made; this one's is CloudEvents. */
static bool media_type(Span type, bool *batch, Err *err) {
    Span parameters, name = span_trim(span_split(type, ';', &parameters));
    *batch = span_equal_nocase(name, SPAN("application/cloudevents-batch+json"));
    if (*batch || span_equal_nocase(name, SPAN("application/cloudevents+json"))) return true;
    if (span_equal_nocase(name, SPAN("application/json")))
        return err_set(err, &ERR_INVALID,
                       "this topic's input schema is CloudEventSchemaV1_0, not EventGridSchema");
    return err_set(err, &ERR_UNSUPPORTED, "application/cloudevents-batch+json is expected");
}

static bool acceptable(const GridTopic *t, HttpExchange *x, bool *batch, Err *err) {
    Span version;
    if (!span_is(http_path(x), GRID_TOPIC_PATH)) return err_set(err, &ERR_NOT_FOUND, "there is nothing here");
    if (!span_is(http_method(x), "POST")) return err_set(err, &ERR_METHOD_NOT_ALLOWED, "POST is expected");
    if (!may_publish(t, x))
        return err_set(err, &ERR_UNAUTHENTICATED, "the access key or token is missing or wrong");
    if (!http_query_value(x, "api-version", &version) || !span_is(version, "2018-01-01"))
        return err_set(err, &ERR_INVALID, "api-version=2018-01-01 is required");
    return media_type(http_header(x, "content-type"), batch, err);
}

static bool read_publication(const GridTopic *t, HttpExchange *x, Arena *arena, GridPublication **ret,
                             Err *err) {
    bool batch = false;
    if (!acceptable(t, x, &batch, err)) return false;
    GridPublication *p = arena_alloc(arena, sizeof *p);
    if (!p) return err_set(err, &ERR_UNAVAILABLE, "out of memory");
    *p = (GridPublication){.exchange = x, .arena = arena};
    *ret = p;
    return grid_split(http_body(x), batch, arena, &p->events, &p->count, err);
}

void grid_topic_handle(GridTopic *t, HttpExchange *x) {
    Arena *arena = must(arena_new(ARENA_MAX));
    GridPublication *p = NULL;
    Err err = {0};
    bool read = read_publication(t, x, arena, &p, &err);
    if (read && p->count) {
        t->options.publish(t->options.user, p);
        return;
    }
    if (read)
        http_respond(x, &(HttpAnswer){.status = 200}); /* an empty batch is valid */
    else
        answer_error(x, err.kind, err.why);
    arena_free(arena);
}

void grid_publication_answer(GridPublication *p, bool stored) {
    if (stored)
        http_respond(p->exchange, &(HttpAnswer){.status = 200});
    else
        answer_error(p->exchange, &ERR_UNAVAILABLE, "the events could not be stored now");
    Arena *arena = p->arena;
    arena_free(arena); /* p itself lies in it */
}
