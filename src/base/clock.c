#include "base/clock.h"

#include <errno.h>
#include <stdatomic.h>
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

/* Days since 1970-01-01 as a date of the Gregorian calendar, by eras of 400 years that begin on 1 March: then the leap
 * day is the last of its year. */
static void date_of_days(int64_t days, unsigned *year, unsigned *month, unsigned *day) {
    int64_t since_0000_03_01 = days + 719468, era = since_0000_03_01 / 146097;
    unsigned of_era = (unsigned)(since_0000_03_01 - era * 146097);
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100), from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (unsigned)(years + era * 400) + (*month <= 2);
}

static char *put(char *at, unsigned value, size_t width, char behind) {
    for (size_t i = width; i-- > 0; value /= 10) at[i] = (char)('0' + value % 10);
    at[width] = behind;
    return at + width + 1;
}

size_t clock_format(int64_t us, char out[CLOCK_TEXT]) {
    int64_t seconds = us / 1000000;
    unsigned fraction = (unsigned)(us % 1000000), of_day = (unsigned)(seconds % 86400), year, month, day;
    date_of_days(seconds / 86400, &year, &month, &day);
    char *at = put(put(put(out, year, 4, '-'), month, 2, '-'), day, 2, 'T');
    at = put(put(put(at, of_day / 3600, 2, ':'), of_day / 60 % 60, 2, ':'), of_day % 60, 2, fraction ? '.' : 'Z');
    if (fraction) {
        at = put(at, fraction, 6, 'Z');
        for (; at[-2] == '0'; at--) at[-2] = 'Z';
    }
    *at = 0;
    return (size_t)(at - out);
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
