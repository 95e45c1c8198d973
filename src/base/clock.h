/* Time. All instants in this system are microseconds since 1970-01-01 UTC in an int64_t. */
#pragma once
#include "base/span.h"
#include <pthread.h>

int64_t clock_now_us(void);  /* wall clock */
int64_t clock_mono_us(void); /* never goes back; for time-outs and durations */
void clock_sleep_ms(int64_t ms);

/* A condition whose timed waits end by the monotonic clock, and when a wait of that length that begins now ends: for
 * pthread_cond_timedwait(). clock_fake() does not move it. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(int64_t ms);

enum { CLOCK_TEXT = 32 };
/* RFC 3339 in UTC, "2026-11-23T10:20:30.123456Z"; trailing zeros of the fraction are left out. */
size_t clock_format(int64_t us, char out[CLOCK_TEXT]);
/* RFC 3339 with any offset; digits past the microsecond are cut. Years 1970 to 9999. */
bool clock_parse(Span text, int64_t *ret);

/* Foreign instants, of the years 1 to 9999: whole seconds since 1970 (before it, below 0), and from there on. */
typedef struct ClockTime {
    int64_t seconds;
    int32_t nanos;
} ClockTime;
#define CLOCK_FIRST_SECOND INT64_C(-62135596800)
#define CLOCK_LAST_SECOND  INT64_C(253402300799)
enum { CLOCK_LAST_NANO = 999999999 };
size_t clock_format_exact(ClockTime time, char out[CLOCK_TEXT]);
/* As clock_parse(), but nothing is cut: what is finer than a nanosecond is refused. */
bool clock_parse_exact(Span text, ClockTime *ret);

/* For tests: from now on both clocks read what was set. Pass -1 to return to real time. */
void clock_fake(int64_t us);
