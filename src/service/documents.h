/* What the system tells about itself: openapi.json, asyncapi.json, the JSON Schemas and the page for people.
 * Made from the contract while building (codegen/), and part of every program: nothing is read at run time.
 */
#pragma once
#include "base/span.h"

typedef struct Document {
    const char *path; /* "/openapi.json", "/schemas/ProspectCreated.json", "/docs.html" */
    size_t len;
    const char *bytes;
    size_t gzip_len;
    const char *gzip;
    size_t brotli_len;
    const char *brotli;
} Document;

extern const Document DOCUMENTS[];
extern const size_t DOCUMENT_COUNT;

/* By the path of a request ("/docs" is the page); NULL where there is none. */
const Document *document_find(Span path);
