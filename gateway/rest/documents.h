/* The documents (service/documents.h), ready to be sent, and the table of all types that is made from the
 * registry. Immutable, any thread. */
#pragma once
#include "base/auto.h"
#include "service/documents.h"

typedef struct Documents Documents;
typedef struct Content Content;
Documents *documents_new(void);
Documents *documents_free(Documents *documents);
AUTO_FREE(Documents, documents_free)
const Content *documents_content(const Documents *documents, Span path); /* NULL where there is none */
const Content *documents_types(const Documents *documents);
