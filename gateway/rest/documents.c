/* documents.c - answers with what was made at build time. It changes with the program only, so browsers ask
 * again with the entity tag, and mostly hear 304. */
#include "gateway/rest/documents.h"

#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"

const Document *document_find(Span path) {
    if (span_is(path, "/docs")) path = SPAN("/docs.html");
    for (size_t i = 0; i < DOCUMENT_COUNT; i++)
        if (span_is(path, DOCUMENTS[i].path)) return &DOCUMENTS[i];
    return NULL;
}

static const char *media_type(Span path) {
    if (span_ends(path, SPAN(".html"))) return "text/html; charset=utf-8";
    if (span_ends(path, SPAN(".css"))) return "text/css; charset=utf-8";
    return span_starts(path, SPAN("/schemas/")) ? "application/schema+json" : "application/json";
}

void rest_document(Request *r) {
    const Document *d = document_find(http_path(r->x));
    if (!d) {
        answer_problem(r, &ERR_NOT_FOUND, "there is no such document");
        return;
    }
    bool gzip = request_accepts_gzip(r);
    const char *tag = gzip ? d->gzip_etag : d->etag;
    Answer a = {.media_type = media_type(span_of(d->path)), .cacheable = true};
    answer_field(&a, "etag", span_of(tag));
    answer_field(&a, "cache-control", SPAN("no-cache"));
    answer_field(&a, "vary", SPAN("Accept-Encoding"));
    if (gzip) answer_field(&a, "content-encoding", SPAN("gzip"));
    if (tag_listed(r->if_none_match, span_of(tag)))
        a.status = 304;
    else if (gzip)
        buf_append(&a.body, d->gzip, d->gzip_len);
    else
        buf_append(&a.body, d->bytes, d->len);
    answer_send(r, &a);
}
