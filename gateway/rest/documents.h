/* What the gateway tells about itself: openapi.json, asyncapi.json, the JSON Schemas and the page for people.
 * Made from the contract while building (codegen/), and part of the program: nothing is read at run time. */
#pragma once
#include "base/span.h"

typedef struct Document {
    const char *path;             /* "/openapi.json", "/schemas/ProspectCreated.json", "/docs.html" */
    const char *etag, *gzip_etag; /* quoted, strong */
    size_t len;
    const char *bytes;
    size_t gzip_len;
    const char *gzip;
} Document;

extern const Document DOCUMENTS[];
extern const size_t DOCUMENT_COUNT;

/* By the path of a request ("/docs" is the page); NULL where there is none. */
const Document *document_find(Span path);
