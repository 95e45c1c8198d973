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

void clock_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec clock_deadline(int64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t nanos = t.tv_nsec + ms % 1000 * 1000000;
    return (struct timespec){t.tv_sec + ms / 1000 + nanos / 1000000000, nanos % 1000000000};
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

size_t clock_format_exact(ClockTime time, char out[CLOCK_TEXT]) {
    int64_t from_first = time.seconds - CLOCK_FIRST_SECOND, days = from_first / 86400 + CLOCK_FIRST_SECOND / 86400;
    unsigned fraction = (unsigned)time.nanos, of_day = (unsigned)(from_first % 86400), year, month, day;
    date_of_days(days, &year, &month, &day);
    char *at = put(put(put(out, year, 4, '-'), month, 2, '-'), day, 2, 'T');
    at = put(put(put(at, of_day / 3600, 2, ':'), of_day / 60 % 60, 2, ':'), of_day % 60, 2, fraction ? '.' : 'Z');
    if (fraction) {
        at = put(at, fraction, 9, 'Z');
        for (; at[-2] == '0'; at--) at[-2] = 'Z';
    }
    *at = 0;
    return (size_t)(at - out);
}

size_t clock_format(int64_t us, char out[CLOCK_TEXT]) {
    return clock_format_exact((ClockTime){us / 1000000, (int32_t)(us % 1000000) * 1000}, out);
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

/* *cut: the text had digits that a nanosecond has no room for. */
static bool fraction_nanos(Span *s, int32_t *nanos, bool *cut) {
    int32_t scale = 100000000;
    size_t count = 0;
    for (*nanos = 0, *cut = false; s->len && *s->at >= '0' && *s->at <= '9'; s->at++, s->len--, count++) {
        *nanos += (*s->at - '0') * scale;
        *cut |= !scale && *s->at != '0';
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

static bool date(Span *s, int64_t *days) {
    static const unsigned LAST[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!digits(s, 4, 1, 9999, &year) || !skip(s, "-") || !digits(s, 2, 1, 12, &month) || !skip(s, "-") ||
        !digits(s, 2, 1, LAST[month - 1], &day))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2 && day == 29 && !leap) return false;
    unsigned years = year - (month <= 2), era = years / 400, of_era = years % 400; /* as in date_of_days() */
    unsigned of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    *days = (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return true;
}

static bool parse(Span s, ClockTime *ret, bool *cut) {
    unsigned hour, minute, second;
    int offset;
    int64_t days;
    *cut = false;
    ret->nanos = 0;
    if (!date(&s, &days) || !skip(&s, "Tt ") || !digits(&s, 2, 0, 23, &hour) || !skip(&s, ":") ||
        !digits(&s, 2, 0, 59, &minute) || !skip(&s, ":") || !digits(&s, 2, 0, 60, &second))
        return false;
    if (skip(&s, ".") && !fraction_nanos(&s, &ret->nanos, cut)) return false;
    if (!offset_minutes(&s, &offset) || s.len) return false;
    ret->seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset * INT64_C(60);
    return ret->seconds >= CLOCK_FIRST_SECOND && ret->seconds <= CLOCK_LAST_SECOND;
}

bool clock_parse_exact(Span text, ClockTime *ret) {
    bool cut;
    return parse(text, ret, &cut) && !cut;
}

bool clock_parse(Span text, int64_t *ret) {
    ClockTime time;
    bool cut;
    if (!parse(text, &time, &cut) || time.seconds < 0) return false;
    *ret = time.seconds * 1000000 + time.nanos / 1000;
    return true;
}
