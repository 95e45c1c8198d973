/* How often somebody may try a password: per user name and address, so that neither locks out the other; and
 * per address, so that many names from one place do not keep the hashing threads from everybody else. Any
 * thread. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef struct Attempts Attempts;
enum { ATTEMPTS_BURST = 10, ATTEMPTS_REFILL_US = 6000000 };          /* ten at once, then one every 6 s */
enum { ATTEMPTS_HERE_BURST = 30, ATTEMPTS_HERE_REFILL_US = 100000 }; /* of all names: 30, then ten a second */

Attempts *attempts_new(void);
Attempts *attempts_free(Attempts *attempts);
AUTO_FREE(Attempts, attempts_free)
/* Counts an attempt. False where there were too many: *retry_after_s (at least 1) says when the next one may
 * come. */
bool attempts_take(Attempts *attempts, Span name, Span address, int64_t now_us, int64_t *retry_after_s);
/* The attempt was right: it is forgotten, and so are those before it for this name. */
void attempts_forgive(Attempts *attempts, Span name, Span address);
