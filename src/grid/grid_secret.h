/* Who may publish: the topic's access keys and the tokens signed with them (azure.com: "Authenticate with
 * access keys or shared access signatures"). No I/O; the time of a comparison tells nothing about the key. */
#pragma once
#include "base/span.h"

/* "r={resource, percent-encoded}&e={expiry, percent-encoded}&s={signature, percent-encoded}". Valid where the
 * signature over the first two, as written, is HMAC-SHA256 with one of the base64 keys, the resource's path
 * is `path`, and the expiry lies ahead. keys: one or two, comma between. */
bool grid_token_valid(const char *keys, Span token, const char *path, int64_t now_us);
/* "6/15/2017 6:20:15 PM" (UTC) or ISO 8601; without an offset it is UTC. */
bool grid_token_expiry(Span text, int64_t *ret_us);
