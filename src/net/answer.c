/* answer.c - status lines, and refusals in the form of all errors of this system (RFC 9457). */
#include "net/answer.h"

#include "base/bytes.h"
#include "base/uuid.h"
#include "wire/problem.h"

static const struct Status {
    int status;
    const char *reason, *code; /* code: of the server's own refusals */
} STATUSES[] = {
    {200, "OK", NULL},
    {201, "Created", NULL},
    {202, "Accepted", NULL},
    {204, "No Content", NULL},
    {206, "Partial Content", NULL},
    {301, "Moved Permanently", NULL},
    {302, "Found", NULL},
    {303, "See Other", NULL},
    {304, "Not Modified", NULL},
    {307, "Temporary Redirect", NULL},
    {308, "Permanent Redirect", NULL},
    {400, "Bad Request", "invalid"},
    {401, "Unauthorized", "unauthenticated"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {406, "Not Acceptable", "not_acceptable"},
    {408, "Request Timeout", "request_timeout"},
    {409, "Conflict", "conflict"},
    {411, "Length Required", "invalid"},
    {412, "Precondition Failed", "conflict"},
    {413, "Content Too Large", "too_large"},
    {414, "URI Too Long", "uri_too_long"},
    {415, "Unsupported Media Type", "unsupported_media_type"},
    {416, "Range Not Satisfiable", "invalid"},
    {417, "Expectation Failed", "expectation_failed"},
    {421, "Misdirected Request", "invalid"},
    {422, "Unprocessable Content", "invalid"},
    {426, "Upgrade Required", "upgrade_required"},
    {428, "Precondition Required", "precondition_required"},
    {429, "Too Many Requests", "rate_limited"},
    {431, "Request Header Fields Too Large", "headers_too_large"},
    {500, "Internal Server Error", "internal"},
    {501, "Not Implemented", "not_implemented"},
    {502, "Bad Gateway", "unavailable"},
    {503, "Service Unavailable", "unavailable"},
    {504, "Gateway Timeout", "timeout"},
    {505, "HTTP Version Not Supported", "version_not_supported"},
};

static const struct Status *find(int status) {
    static const struct Status OTHER = {0, "Status", "invalid"};
    for (size_t i = 0; i < COUNT(STATUSES); i++)
        if (STATUSES[i].status == status) return &STATUSES[i];
    return &OTHER;
}

const char *answer_reason(int status) {
    return find(status)->reason;
}
const char *http_problem_code(int status) {
    return find(status)->code;
}
bool answer_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

/* Nearly every value has no byte below 0x0e, which eight at a time show. */
bool answer_field_is_clean(const HttpField *f) {
    size_t at = 0, len = f->value.len;
    const char *value = f->value.at;
    while (len - at >= 8 && !bytes_below(bytes_load(value + at), 0x0e)) at += 8;
    for (; at < len; at++)
        if (value[at] == '\r' || value[at] == '\n' || value[at] == 0) return false;
    return true;
}

Span answer_body(const HttpAnswer *answer) {
    return answer->blob ? blob_view(answer->blob) : answer->body;
}

size_t answer_number(char out[NUMBER_TEXT], uint64_t number) {
    char digits[NUMBER_TEXT];
    size_t len = 0;
    do digits[len++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < len; i++) out[i] = digits[len - 1 - i];
    return len;
}

void refusal_make(Refusal *r, int status, const char *why) {
    char id[UUID_TEXT];
    Uuid uuid = uuid_v7();
    uuid_format(&uuid, id);
    *r = (Refusal){.field = {"content-type", SPAN("application/problem+json")}};
    problem_write(&r->body, http_problem_code(status), status, why, id, NULL);
    r->answer =
        (HttpAnswer){.status = status, .fields = &r->field, .field_count = 1, .body = buf_view(&r->body)};
}
