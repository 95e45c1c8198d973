/* meta.c - what is answered from memory: keys, health, the web client. */
#include "gateway/rest/answer.h"
#include "gateway/rest/content.h"
#include "gateway/rest/handlers.h"

void rest_jwks(Request *r) {
    Answer a = {.media_type = "application/jwk-set+json", .cacheable = true};
    tokens_jwks(r->gateway->tokens, &a.body);
    answer_field(&a, "cache-control", SPAN("public, max-age=300"));
    answer_send(r, &a);
}

static void answer_well(Request *r) {
    Answer a = {.media_type = "application/json"};
    buf_text(&a.body, "{\"status\":\"ok\"}");
    answer_send(r, &a);
}

void rest_live(Request *r) {
    answer_well(r);
}

void rest_ready(Request *r) {
    if (atomic_load(&r->gateway->ready))
        answer_well(r);
    else
        answer_problem(r, &ERR_UNAVAILABLE, "the gateway starts or ends");
}

void rest_static(Request *r) {
    const StaticFiles *files = r->gateway->files;
    Span path = http_path(r->x);
    const Content *file = static_file(files, path);
    const Content *page = file ? NULL
                               : static_page(files, path, http_header(r->x, "sec-fetch-mode"),
                                             http_header_list(r->x, "accept"));
    if (file)
        content_answer(r, file, NULL);
    else if (page)
        content_answer(r, page, span_is(path, "/") ? NULL : "Accept, Sec-Fetch-Mode");
    else
        answer_problem(r, &ERR_NOT_FOUND, "there is nothing at this path");
}
