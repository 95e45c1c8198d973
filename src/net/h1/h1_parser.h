/* HTTP/1.1 requests out of bytes (RFC 9112): the head, and bodies in chunks. No socket, clock or memory of
 * its own.
 *
 * Strict on purpose: whatever two parsers could read in two ways is refused, because a proxy in front might
 * be the other one (RFC 9112 section 11.2). Results are an HTTP status where a request is refused. */
#pragma once
#include "base/span.h"

enum {
    H1_MORE = 0, /* bytes are missing */
    H1_DONE = 1,
    H1_ALIEN = 2,         /* no HTTP at all: no answer would be understood */
    H1_TARGET_MAX = 8192, /* bytes of the request line; above: 414 */
    H1_FIELDS_MAX = 100,  /* above: 431 */
    H1_CHUNK_LINE_MAX = 256,
    H1_EXTENSIONS_MAX = 16 << 10, /* bytes of all chunk extensions of a body; above: 400 */
};

/* Looks for the end of the head, line by line, wherever the bytes were cut. Zeroed at the start of each
 * request. */
typedef struct H1Scan {
    size_t line;       /* where the present line begins */
    size_t seen;       /* bytes looked at */
    size_t fields;     /* lines so far, without the request line */
    bool request_line; /* has been seen */
} H1Scan;

/* `in` begins with the request, and holds at least what it held at the last call. H1_MORE, H1_DONE (*len is
 * the length of the head with its empty line) or a status. */
int h1_scan(H1Scan *scan, Span in, size_t header_limit, size_t *len);

typedef struct Header {
    Span name; /* in lower case */
    Span value;
} Header;

typedef struct H1Head {
    Span method, authority, target; /* target: origin-form, or "*" */
    bool http10, keep_alive, chunked, expect_continue;
    bool has_length;
    uint64_t length;
    Header *fields; /* given by the caller, room for scan.fields */
    size_t field_count;
} H1Head;

/* A whole head as h1_scan() has found it. Lower-cases the names in place. H1_DONE, H1_ALIEN or a status; *why
 * gets a sentence. */
int h1_parse(char *head, size_t len, H1Head *ret, const char **why);

/* host [":" port], as Host and :authority carry it: a name, an address, or an address in brackets. */
bool h1_is_authority(Span text);
bool h1_is_target(Span text); /* of visible ASCII, without a fragment; no more is looked at */

/* A body in chunks. Zeroed at the start. */
typedef struct H1Chunks {
    enum { H1_CHUNK_LINE, H1_CHUNK_DATA, H1_CHUNK_END, H1_CHUNK_TRAILER, H1_CHUNK_OVER } state;
    uint64_t left;
    uint32_t digits, line;         /* of the present line */
    uint32_t trailers, extensions; /* bytes */
    bool in_extension, colon, cr;
} H1Chunks;

/* Takes *in's bytes up to the next run of body bytes, which *data gets (len 0 where there is none). H1_MORE,
 * H1_DONE
 * (*in is what follows the body) or a status. Call until *in is empty or it is not H1_MORE. */
int h1_chunks(H1Chunks *chunks, Span *in, size_t trailer_limit, Span *data);
