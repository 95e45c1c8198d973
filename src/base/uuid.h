/* UUIDs (RFC 9562) as 36 lower-case characters. */
#pragma once
#include "base/span.h"

enum { UUID_TEXT = 37 };
typedef struct Uuid {
    uint8_t bytes[16];
} Uuid;

Uuid uuid_v7(void); /* time-ordered; within a thread strictly increasing */
Uuid uuid_v4(void);
/* Name-based: SHA-1 over the namespace and the parts, each with its length before it (so that ("a","bc") and
 * ("ab","c") differ). */
Uuid uuid_v5(const Uuid *space, const Span *parts, size_t count);
bool uuid_parse(Span text, Uuid *ret); /* 8-4-4-4-12 hex digits of either case, any version */
void uuid_format(const Uuid *u, char out[UUID_TEXT]);

extern const Uuid UUID_COMMANDS; /* namespace of ids made from Idempotency-Key and import rows */

/* Fills with bytes of the kernel's generator; never fails (aborts instead). Any thread; cheap for small ones. */
void random_bytes(void *to, size_t len);
