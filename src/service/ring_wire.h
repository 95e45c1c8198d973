/* A ring between machines: the line of text that a doorbell carries (io/doorbell.h), as a request to the
 * admin address: POST /doorbell {epoch?, last?, revoked?} and POST /repair {from, to}, with the internal secret as the
 * bearer token. Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

enum { RING_TEXT = 256, RING_BODY_MAX = 4096 };

/* The path and the JSON for a ring; false where it is one that only a neighbour of the same machine gets. */
bool ring_to_request(Span ring, const char **path, Buf *body);

/* The ring that a request to `program` means. ERR_NOT_FOUND: no such path there; ERR_INVALID: not such a
 * body.
 */
bool ring_of_request(const char *program, Span path, Span body, char ring[RING_TEXT], Err *err);

/* secrets: one or two, comma between; authorization: the header. Takes the same time whatever is wrong. */
bool ring_authorized(const char *secrets, Span authorization);
