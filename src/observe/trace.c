/* trace.c - spans, and the queue between those who end them and the one who sends them away.
 *
 * Cost:     off, one relaxed load. On, two reads of the clock and, at the end, one copy under a lock that is
 * held for nothing else. A full queue drops the span and counts it: work never waits for its own record.
 * Privacy:  there is no way in for a text that is not the program's own. "Own" is asked of the pointer:
 * literals and constant tables lie in the image that the linker made, what came from outside lies on the heap
 * or on a stack. That is stricter than a promise and cheaper than a list. Sampling: a trace that comes in
 * sampled is recorded, one that comes in unsampled is not; one that begins here is by the low 56 bits of its
 * id, so that whoever else decides by the same ratio decides the same. */
#include "observe/trace.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/image.h"
#include "base/uuid.h"
#include "observe/metric.h"
#include "wire/message.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SAMPLED = 1, RANDOM_ID = 2, VERSION_00 = TRACEPARENT_TEXT - 1 };

/* One queue in a process, as there is one log. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    TraceSpan *spans;
    size_t size, first, count, wake_at; /* wake_at: how many somebody sleeps for; 0: nobody */
    bool finishing;
    uint64_t sampled_below; /* of 2^56 */
    Metric *dropped;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};
static atomic_bool on;

bool trace_on(void) {
    return atomic_load_explicit(&on, memory_order_relaxed);
}

/* --- contexts --- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *to, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *write_hex(char *to, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        *to++ = "0123456789abcdef"[bytes[i] >> 4];
        *to++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return to;
}

static bool all_zero(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i]) return false;
    return true;
}

/* A later version may have more behind a further "-", and begins like 00. */
static bool length_fits(Span t, uint8_t version) {
    if (version == 0xff) return false;
    return t.len == VERSION_00 || (version && t.at[VERSION_00] == '-');
}

bool trace_parse(Span t, TraceContext *ret) {
    uint8_t version;
    if (t.len < VERSION_00 || !read_hex(t.at, &version, 1) || !length_fits(t, version)) return false;
    if (t.at[2] != '-' || t.at[35] != '-' || t.at[52] != '-') return false;
    if (!read_hex(t.at + 3, ret->trace_id, 16) || !read_hex(t.at + 36, ret->span_id, 8) ||
        !read_hex(t.at + 53, &ret->flags, 1))
        return false;
    ret->flags &= SAMPLED | RANDOM_ID; /* what else there is has no meaning yet, and is not passed on */
    return !all_zero(ret->trace_id, 16) && !all_zero(ret->span_id, 8);
}

void trace_format(const TraceContext *c, char out[TRACEPARENT_TEXT]) {
    memcpy(out, "00-", 3);
    char *at = write_hex(out + 3, c->trace_id, sizeof c->trace_id);
    *at++ = '-';
    at = write_hex(at, c->span_id, sizeof c->span_id);
    *at++ = '-';
    *write_hex(at, &c->flags, 1) = 0;
}

static void new_id(uint8_t *to, size_t bytes) {
    do random_bytes(to, bytes);
    while (all_zero(to, bytes));
}

/* --- what may be said --- */

static const char *own_or_redacted(const char *text) {
    return is_of_image(text) ? text : "redacted";
}

static size_t run_of(Span s, size_t at, const char *letters) {
    size_t from = at;
    while (at < s.len && s.at[at] && strchr(letters, s.at[at])) at++;
    return at - from;
}

/* "12345", "prospect/12345": a word of the contract and a number. */
static bool is_subject(Span id) {
    static const char DIGITS[] = "0123456789";
    size_t type = run_of(id, 0, "abcdefghijklmnopqrstuvwxyz-");
    size_t at = type && type < id.len && id.at[type] == '/' ? type + 1 : 0;
    size_t digits = run_of(id, at, DIGITS);
    return digits && digits <= 20 && at + digits == id.len && type <= 32;
}

static bool is_id(Span id) {
    Uuid uuid;
    return uuid_parse(id, &uuid) || is_subject(id);
}

/* --- attributes --- */

static TraceAttribute *attribute(TraceSpan *s, const char *key) {
    if (!s) return NULL;
    if (s->attribute_count == TRACE_ATTRIBUTES) {
        s->dropped_attributes++;
        return NULL;
    }
    TraceAttribute *a = &s->attributes[s->attribute_count++];
    *a = (TraceAttribute){.key = own_or_redacted(key)};
    return a;
}

void trace_number(TraceSpan *s, const char *key, int64_t value) {
    TraceAttribute *a = attribute(s, key);
    if (a) a->number = value;
}

void trace_word(TraceSpan *s, const char *key, const char *word) {
    TraceAttribute *a = attribute(s, key);
    if (a) a->word = own_or_redacted(word);
}

void trace_id(TraceSpan *s, const char *key, Span id) {
    if (!s || !id.len) return;
    TraceAttribute *a = attribute(s, key);
    if (!a) return;
    if (!is_id(id) || s->ids_used + id.len + 1 > sizeof s->ids) {
        a->word = "redacted";
        return;
    }
    a->id = (uint16_t)s->ids_used;
    memcpy(s->ids + s->ids_used, id.at, id.len);
    s->ids[s->ids_used + id.len] = 0;
    s->ids_used += id.len + 1;
}

void trace_message_type(TraceSpan *s, const char *key, Span name) {
    const MessageType *type = s ? message_type(name) : NULL;
    trace_word(s, key, type ? type->name : "unknown");
}

void trace_failed(TraceSpan *s, const char *code) {
    if (s) s->error = own_or_redacted(code);
}

void trace_err(TraceSpan *s, const Err *err) {
    if (err->kind) trace_failed(s, err->kind->code);
}

/* --- spans --- */

static TraceSpan *begin(TraceSpan *s, TraceKind kind, const char *verb, const char *object) {
    s->kind = kind;
    s->verb = own_or_redacted(verb);
    s->object = object ? own_or_redacted(object) : NULL;
    s->began_us = clock_now_us();
    s->took_us = -clock_mono_us(); /* until the end is added */
    s->error = NULL;
    s->attribute_count = s->link_count = s->dropped_attributes = s->dropped_links = 0;
    s->ids_used = 1; /* 0 stands for none */
    return s;
}

TraceSpan *trace_begin(TraceSpan *s, TraceKind kind, const char *verb, const char *object,
                       const TraceContext *parent) {
    if (!trace_on() || !parent || !(parent->flags & SAMPLED)) return NULL;
    s->context = *parent;
    memcpy(s->parent, parent->span_id, sizeof s->parent);
    new_id(s->context.span_id, sizeof s->context.span_id);
    return begin(s, kind, verb, object);
}

static bool chosen(const uint8_t trace_id[16]) {
    uint64_t low = 0;
    for (size_t i = 9; i < 16; i++) low = low << 8 | trace_id[i];
    return low < queue.sampled_below;
}

static TraceContext new_trace(void) {
    TraceContext c = {.flags = RANDOM_ID};
    new_id(c.trace_id, sizeof c.trace_id);
    new_id(c.span_id, sizeof c.span_id);
    if (chosen(c.trace_id)) c.flags |= SAMPLED;
    return c;
}

TraceSpan *trace_begin_edge(TraceSpan *s, TraceKind kind, const char *verb, const char *object, Span incoming,
                            char traceparent[TRACEPARENT_TEXT]) {
    TraceContext context;
    if (!trace_on()) return NULL;
    bool continued = trace_parse(incoming, &context);
    if (!continued) context = new_trace();
    TraceSpan *span = trace_begin(s, kind, verb, object, &context);
    if (span && !continued) {
        span->context = context;
        memset(span->parent, 0, sizeof span->parent);
    }
    trace_format(span ? &span->context : &context, traceparent);
    return span;
}

void trace_group_add(TraceGroup *g, const TraceSpan *s) {
    if (!s) return;
    if (g->count < COUNT(g->contexts)) g->contexts[g->count] = s->context;
    g->count++;
}

TraceSpan *trace_begin_group(TraceSpan *room, TraceKind kind, const char *verb, const char *object,
                             const TraceGroup *g) {
    TraceSpan *s = trace_begin(room, kind, verb, object, g->count ? &g->contexts[0] : NULL);
    if (!s) return NULL;
    size_t known = g->count < COUNT(g->contexts) ? g->count : COUNT(g->contexts);
    s->dropped_links = g->count - known;
    s->link_count = known - 1;
    memcpy(s->links, g->contexts + 1, s->link_count * sizeof *s->links);
    return s;
}

void trace_set_times(TraceSpan *s, int64_t began_us, int64_t ended_us) {
    if (!s) return;
    s->began_us = began_us;
    s->took_us = ended_us > began_us ? ended_us - began_us : 0;
}

/* --- the queue --- */

void trace_end(TraceSpan *s) {
    if (!s) return;
    if (s->took_us < 0) s->took_us += clock_mono_us();
    pthread_mutex_lock(&queue.lock);
    bool taken = queue.spans && !queue.finishing && queue.count < queue.size;
    if (taken) {
        queue.spans[(queue.first + queue.count++) % queue.size] = *s;
        if (queue.wake_at && queue.count >= queue.wake_at) pthread_cond_signal(&queue.changed);
    } else if (queue.dropped) {
        metric_add(queue.dropped, 1);
    }
    pthread_mutex_unlock(&queue.lock);
}

void trace_start(double ratio, size_t size) {
    TraceSpan *spans = must(calloc(size, sizeof *spans));
    Metric *dropped = metric_counter("events_trace_dropped_total{where=\"queue\"}", "Spans that were lost");
    pthread_mutex_lock(&queue.lock);
    clock_cond_init(&queue.changed);
    queue.spans = spans;
    queue.size = size;
    queue.first = queue.count = queue.wake_at = 0;
    queue.finishing = false;
    queue.sampled_below = (uint64_t)(ratio * (double)(UINT64_C(1) << 56));
    queue.dropped = dropped;
    pthread_mutex_unlock(&queue.lock);
    atomic_store(&on, true);
}

/* Under the lock: until `count` wait, or it is the end, or the time is over (NULL: never). */
static void sleep_for(size_t count, const struct timespec *until) {
    queue.wake_at = count;
    int late = 0;
    while (queue.count < count && !queue.finishing && late != ETIMEDOUT)
        late = until ? pthread_cond_timedwait(&queue.changed, &queue.lock, until)
                     : pthread_cond_wait(&queue.changed, &queue.lock);
    queue.wake_at = 0;
}

size_t trace_take(TraceSpan *to, size_t most, int64_t gather_ms) {
    size_t taken = 0;
    pthread_mutex_lock(&queue.lock);
    sleep_for(1, NULL);
    struct timespec until = clock_deadline(gather_ms);
    sleep_for(most, &until);
    for (; queue.count && taken < most; queue.count--) {
        to[taken++] = queue.spans[queue.first];
        queue.first = (queue.first + 1) % queue.size;
    }
    pthread_mutex_unlock(&queue.lock);
    return taken;
}

bool trace_wait(int64_t ms) {
    struct timespec until = clock_deadline(ms);
    pthread_mutex_lock(&queue.lock);
    sleep_for(SIZE_MAX, &until);
    bool finishing = queue.finishing;
    pthread_mutex_unlock(&queue.lock);
    return finishing;
}

void trace_finish(void) {
    pthread_mutex_lock(&queue.lock);
    queue.finishing = true;
    if (queue.spans) pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
}

void trace_stop(void) {
    atomic_store(&on, false);
    pthread_mutex_lock(&queue.lock);
    free(queue.spans);
    queue.spans = NULL;
    queue.count = 0;
    pthread_mutex_unlock(&queue.lock);
}
