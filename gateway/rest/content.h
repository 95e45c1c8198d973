/* What is the same for everybody and does not change while the program runs: documents, the web client, the
 * table of types. Its bytes are in memory in each coding that they come in, with a strong entity tag of its
 * own each (RFC 9110 section 8.8.3.3). Immutable once it is served. */
#pragma once
#include "gateway/rest/negotiate.h"
#include "gateway/rest/request.h"

enum { CONTENT_TAG = 22 };
typedef struct Content {
    const char *media_type, *cache_control; /* borrowed; constants */
    Blob *bytes[CODINGS];                   /* identity is always there */
    char etag[CODINGS][CONTENT_TAG];        /* quoted */
} Content;

/* Takes the reference; NULL has no effect. */
void content_set(Content *content, Coding coding, Blob *bytes);
void content_clear(Content *content);
/* Answers a GET or HEAD: chooses the coding, 304 and 412 where the client's conditions say so. vary: header
 * fields that this content was chosen by, or NULL. */
void content_answer(Request *r, const Content *content, const char *vary);
