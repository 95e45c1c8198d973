#include "service/documents.h"

const Document *document_find(Span path) {
    if (span_is(path, "/docs")) path = SPAN("/docs.html");
    for (size_t i = 0; i < DOCUMENT_COUNT; i++)
        if (span_is(path, DOCUMENTS[i].path)) return &DOCUMENTS[i];
    return NULL;
}
