#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t fake = -1;

static int64_t read_clock(clockid_t id) {
    int64_t set = atomic_load_explicit(&fake, memory_order_relaxed);
    if (set >= 0) return set;
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(void) { return read_clock(CLOCK_REALTIME); }
int64_t clock_mono_us(void) { return read_clock(CLOCK_MONOTONIC); }
void clock_fake(int64_t us) { atomic_store(&fake, us); }

void clock_sleep_ms(int64_t ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) continue;
}

size_t clock_format(int64_t us, char out[CLOCK_TEXT]) {
    time_t seconds = (time_t)(us / 1000000);
    unsigned fraction = (unsigned)(us % 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    int len = snprintf(out, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)(tm.tm_year + 1900) % 10000,
                       (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
                       (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    if (fraction) {
        len += snprintf(out + len, CLOCK_TEXT - (size_t)len, ".%06u", fraction);
        while (out[len - 1] == '0') len--;
    }
    out[len++] = 'Z';
    out[len] = 0;
    return (size_t)len;
}

static bool digits(Span *s, size_t count, unsigned low, unsigned high, unsigned *ret) {
    uint64_t value;
    if (s->len < count || !span_to_u64((Span){s->at, count}, high, &value) || value < low) return false;
    s->at += count, s->len -= count;
    *ret = (unsigned)value;
    return true;
}

static bool skip(Span *s, const char *any) {
    if (!s->len || !*s->at || !strchr(any, *s->at)) return false;
    s->at++, s->len--;
    return true;
}

static bool fraction_us(Span *s, unsigned *us) {
    unsigned scale = 100000;
    size_t count = 0;
    for (*us = 0; s->len && *s->at >= '0' && *s->at <= '9'; s->at++, s->len--, count++) {
        *us += (unsigned)(*s->at - '0') * scale;
        scale /= 10;
    }
    return count > 0;
}

static bool offset_minutes(Span *s, int *minutes) {
    *minutes = 0;
    if (skip(s, "Zz")) return true;
    int sign = s->len && *s->at == '-' ? -1 : 1;
    unsigned hour, minute;
    if (!skip(s, "+-") || !digits(s, 2, 0, 23, &hour) || !skip(s, ":") || !digits(s, 2, 0, 59, &minute)) return false;
    *minutes = sign * (int)(hour * 60 + minute);
    return true;
}

bool clock_parse(Span s, int64_t *ret) {
    unsigned year, month, day, hour, minute, second, us = 0;
    int offset;
    if (!digits(&s, 4, 1970, 9999, &year) || !skip(&s, "-") || !digits(&s, 2, 1, 12, &month) || !skip(&s, "-") ||
        !digits(&s, 2, 1, 31, &day) || !skip(&s, "Tt ") || !digits(&s, 2, 0, 23, &hour) || !skip(&s, ":") ||
        !digits(&s, 2, 0, 59, &minute) || !skip(&s, ":") || !digits(&s, 2, 0, 60, &second))
        return false;
    if (skip(&s, ".") && !fraction_us(&s, &us)) return false;
    if (!offset_minutes(&s, &offset) || s.len) return false;
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day, .tm_hour = (int)hour,
                    .tm_min = (int)minute, .tm_sec = (int)second};
    time_t at = timegm(&tm);
    if (tm.tm_mday != (int)day) return false; /* 30 February was carried over into March */
    *ret = ((int64_t)at - offset * 60) * 1000000 + us;
    return *ret >= 0;
}
