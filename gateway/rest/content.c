#include "gateway/rest/content.h"

#include "base/map.h"
#include "gateway/rest/answer.h"
#include <stdio.h>

void content_set(Content *c, Coding coding, Blob *bytes) {
    static const char *const MARKS[CODINGS] = {"", "g", "b"};
    if (!bytes) return;
    blob_unref(c->bytes[coding]);
    c->bytes[coding] = bytes;
    unsigned long long hash = hash_stable(blob_view(bytes));
    snprintf(c->etag[coding], CONTENT_TAG, "\"%016llx%s\"", hash, MARKS[coding]);
}

void content_clear(Content *c) {
    for (int i = 0; i < CODINGS; i++) c->bytes[i] = blob_unref(c->bytes[i]);
}

void content_answer(Request *r, const Content *c, const char *vary) {
    unsigned available = 0;
    Coding coding;
    for (int i = 0; i < CODINGS; i++) available |= c->bytes[i] ? 1u << i : 0;
    if (!coding_choose(http_header_list(r->x, "accept-encoding"), available, &coding)) {
        answer_problem(r, &ERR_NOT_ACCEPTABLE, "there is no coding here that the request accepts");
        return;
    }
    Answer a = {.media_type = c->media_type, .blob = c->bytes[coding], .cacheable = true};
    a.vary = available & (available - 1) ? VARY_ENCODING : 0;
    answer_field(&a, "cache-control", span_of(c->cache_control));
    answer_field(&a, "accept-ranges", SPAN("none"));
    if (vary) answer_field(&a, "vary", span_of(vary));
    if (answer_conditions(r, &a, span_of(c->etag[coding])) && coding)
        answer_field(&a, "content-encoding", span_of(coding_name(coding)));
    answer_send(r, &a);
}
