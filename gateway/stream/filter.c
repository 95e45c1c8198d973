#include "gateway/stream/filter.h"

#include "gateway/stream/presence.h"
#include <stdlib.h>

enum { SUBJECT_MAX = 256, TYPE_MAX = 128 };

struct Filter {
    size_t type_count, subject_count;
    Span *types, *subjects; /* a subject that ends in "/" stands for all below it */
    char *texts;            /* one block that they all point into */
};

Filter *filter_free(Filter *filter) {
    if (!filter) return NULL;
    free(filter->types);
    free(filter->subjects);
    free(filter->texts);
    free(filter);
    return NULL;
}

static bool all_of(Span text, const char *others) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr(others, c))) return false;
    }
    return text.len > 0;
}

bool subject_is_valid(Span subject, bool pattern) {
    Span id, type = span_split(subject, '/', &id);
    if (subject.len > SUBJECT_MAX || !all_of(type, "-_")) return false;
    return all_of(id, "-_.:") || (pattern && span_is(id, "*"));
}

/* Copies a list of texts behind *at. */
static Span *copy_texts(char *const *from, size_t count, char **at) {
    Span *spans = must(calloc(count + 1, sizeof *spans));
    for (size_t i = 0; i < count; i++) {
        spans[i] = (Span){*at, strlen(from[i])};
        memcpy(*at, from[i], spans[i].len);
        *at += spans[i].len;
    }
    return spans;
}

static size_t total_length(char *const *texts, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += strlen(texts[i]);
    return total;
}

/* Where people look is what they read. */
static const char *presence_fault(const Events__V1__Subscribe *s, const Claims *claims) {
    size_t single = 0;
    for (size_t i = 0; i < s->n_subjects; i++) single += !span_ends(span_of(s->subjects[i]), SPAN("/*"));
    if (!(claims->scope_bits & SCOPE_READ)) return "forbidden";
    return single > PRESENCE_SUBJECTS_MAX ? "too_many" : NULL;
}

static const char *fault(const Events__V1__Subscribe *s, const Claims *claims) {
    if (s->n_subjects > FILTER_SUBJECTS_MAX || s->n_event_types > FILTER_TYPES_MAX) return "too_many";
    for (size_t i = 0; i < s->n_subjects; i++)
        if (!subject_is_valid(span_of(s->subjects[i]), true)) return "invalid_subject";
    for (size_t i = 0; i < s->n_event_types; i++) {
        if (strlen(s->event_types[i]) > TYPE_MAX) return "too_many";
        /* who names what he may not read is told so; who names nothing gets what he may read */
        if (strcmp(s->event_types[i], "CommandRejected") && !(claims->scope_bits & SCOPE_READ))
            return "forbidden";
    }
    return s->presence ? presence_fault(s, claims) : NULL;
}

Filter *filter_new(const Events__V1__Subscribe *s, const Claims *claims, const char **code) {
    if ((*code = fault(s, claims))) return NULL;
    Filter *f = must(calloc(1, sizeof *f));
    f->type_count = s->n_event_types;
    f->subject_count = s->n_subjects;
    char *at = f->texts = must(malloc(total_length(s->event_types, s->n_event_types) +
                                      total_length(s->subjects, s->n_subjects) + 1));
    f->types = copy_texts(s->event_types, s->n_event_types, &at);
    f->subjects = copy_texts(s->subjects, s->n_subjects, &at);
    for (size_t i = 0; i < f->subject_count; i++)
        if (span_ends(f->subjects[i], SPAN("/*"))) f->subjects[i].len--;
    return f;
}

const Span *filter_types(const Filter *f, size_t *count) {
    *count = f->type_count;
    return f->types;
}
const Span *filter_subjects(const Filter *f, size_t *count) {
    *count = f->subject_count;
    return f->subjects;
}

bool event_permitted(const Event *event, const Claims *claims) {
    if (!span_is(event_tenant(event), claims->tenant_id)) return false;
    switch (event_kind(event)) {
    case EVENT_REJECTED: return span_is(event_issued_by(event), claims->user_id);
    case EVENT_SKIPPED: return false;
    case EVENT_PLAIN: return claims->scope_bits & SCOPE_READ;
    }
    return false;
}

static bool type_fits(const Filter *f, Span type) {
    for (size_t i = 0; i < f->type_count; i++)
        if (span_equal(f->types[i], type)) return true;
    return !f->type_count;
}

bool filter_covers(const Filter *f, Span subject) {
    for (size_t i = 0; i < f->subject_count; i++) {
        Span wanted = f->subjects[i];
        bool all = wanted.at[wanted.len - 1] == '/';
        if (all ? span_starts(subject, wanted) : span_equal(subject, wanted)) return true;
    }
    return !f->subject_count;
}

bool filter_matches(const Filter *f, const Event *event, const Claims *claims) {
    if (!event_permitted(event, claims)) return false;
    if (event_kind(event) == EVENT_REJECTED) return true;
    return type_fits(f, event_type(event)) && filter_covers(f, event_subject(event));
}
