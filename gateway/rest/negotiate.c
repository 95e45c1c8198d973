#include "gateway/rest/negotiate.h"

#include "base/auto.h"

/* --- lists with weights --- */

/* RFC 9110 section 12.4.2: "0" or "1" with up to three decimals. What is no weight counts as none given. */
static unsigned read_weight(Span text) {
    if (!text.len || text.len > 5 || (text.at[0] != '0' && text.at[0] != '1')) return QUALITY_MOST;
    unsigned weight = text.at[0] == '1' ? QUALITY_MOST : 0, scale = 100;
    if (text.len > 1 && text.at[1] != '.') return QUALITY_MOST;
    for (size_t i = 2; i < text.len; i++, scale /= 10) {
        if (text.at[i] < '0' || text.at[i] > '9') return QUALITY_MOST;
        weight += (unsigned)(text.at[i] - '0') * scale;
    }
    return weight < QUALITY_MOST ? weight : QUALITY_MOST;
}

typedef struct Wish {
    Span value;
    unsigned quality;
} Wish;

/* The next member of the list; false at its end. */
static bool next_wish(Span *list, Wish *ret) {
    while (list->at) {
        Span parameters, one = span_split(*list, ',', list);
        *ret = (Wish){span_trim(span_split(one, ';', &parameters)), QUALITY_MOST};
        while (parameters.at) {
            Span value, name = span_trim(span_split(span_split(parameters, ';', &parameters), '=', &value));
            if (span_equal_nocase(name, SPAN("q"))) ret->quality = read_weight(span_trim(value));
        }
        if (ret->value.len) return true;
    }
    return false;
}

/* --- media types --- */

/* How precisely a media range names a type: 3 the type itself, 2 all of its kind, 1 everything, 0 not. */
static unsigned precision(Span range, Span type) {
    if (span_equal_nocase(range, type)) return 3;
    if (span_is(range, "*/*")) return 1;
    size_t kind = 0;
    while (kind < type.len && type.at[kind] != '/') kind++;
    bool all_of_kind = range.len == kind + 2 && range.at[kind] == '/' && range.at[kind + 1] == '*';
    return all_of_kind && span_equal_nocase((Span){range.at, kind}, (Span){type.at, kind}) ? 2 : 0;
}

typedef struct Standing {
    unsigned quality, precision, place;
} Standing;

/* Of several ranges that cover a type the most precise one counts (section 12.5.1). */
static Standing standing(Span accept, Span type) {
    Standing best = {0};
    Wish wish;
    for (unsigned place = 1; next_wish(&accept, &wish); place++) {
        unsigned fits = precision(wish.value, type);
        if (fits > best.precision) best = (Standing){wish.quality, fits, place};
    }
    return best;
}

static bool is_empty(Span list) {
    return !span_trim(list).len;
}

unsigned accept_quality(Span accept, Span media_type) {
    return is_empty(accept) ? QUALITY_MOST : standing(accept, media_type).quality;
}

static bool stands_above(Standing a, Standing b) {
    if (a.quality != b.quality) return a.quality > b.quality;
    if (a.precision != b.precision) return a.precision > b.precision;
    return a.place < b.place;
}

const char *accept_choose(Span accept, const char *const *offers) {
    if (is_empty(accept)) return offers[0];
    const char *chosen = NULL;
    Standing best = {0};
    for (size_t i = 0; offers[i]; i++) {
        Standing one = standing(accept, span_of(offers[i]));
        if (!one.quality || (chosen && !stands_above(one, best))) continue;
        chosen = offers[i];
        best = one;
    }
    return chosen;
}

/* --- codings --- */

const char *coding_name(Coding coding) {
    static const char *const NAMES[CODINGS] = {NULL, "gzip", "br"};
    return NAMES[coding];
}

static bool is_coding(Span name, Coding coding) {
    switch (coding) {
    case CODING_GZIP: return span_equal_nocase(name, SPAN("gzip")) || span_equal_nocase(name, SPAN("x-gzip"));
    case CODING_BROTLI: return span_equal_nocase(name, SPAN("br"));
    default: return span_equal_nocase(name, SPAN("identity"));
    }
}

bool coding_choose(Span accept_encoding, unsigned available, Coding *ret) {
    enum { NOT_SAID = QUALITY_MOST + 1 };
    unsigned quality[CODINGS], others = NOT_SAID, best = 0;
    Wish wish;
    for (int i = 0; i < CODINGS; i++) quality[i] = NOT_SAID;
    while (next_wish(&accept_encoding, &wish)) {
        if (span_is(wish.value, "*")) others = wish.quality;
        for (int i = 0; i < CODINGS; i++)
            if (is_coding(wish.value, (Coding)i)) quality[i] = wish.quality;
    }
    for (int i = 0; i < CODINGS; i++)
        if (quality[i] == NOT_SAID) quality[i] = others;
    /* what nobody speaks of: identity will do, the others are not understood (section 12.5.3) */
    *ret = CODING_IDENTITY;
    bool found = available & 1 << CODING_IDENTITY && quality[CODING_IDENTITY] == NOT_SAID;
    for (int i = 0; i < CODINGS; i++) {
        if (!(available & 1u << i) || quality[i] == NOT_SAID || !quality[i] || quality[i] < best) continue;
        *ret = (Coding)i;
        best = quality[i];
        found = true;
    }
    return found;
}

/* --- entity tags --- */

/* One entity tag, which may hold commas; false at the end of the list, and where it is no list of tags. */
static bool next_tag(Span *list, Span *tag, bool *weak) {
    while (list->len && strchr(" \t,", list->at[0])) list->at++, list->len--;
    *weak = span_starts(*list, SPAN("W/"));
    if (*weak) list->at += 2, list->len -= 2;
    const char *end = list->len > 1 && list->at[0] == '"' ? memchr(list->at + 1, '"', list->len - 1) : NULL;
    if (!end) return false;
    *tag = (Span){list->at, (size_t)(end - list->at) + 1};
    *list = (Span){end + 1, list->len - tag->len};
    return true;
}

static bool listed(Span list, Span tag, bool strongly) {
    Span one;
    bool weak;
    if (span_is(span_trim(list), "*")) return true;
    while (next_tag(&list, &one, &weak))
        if (span_equal(one, tag) && !(strongly && weak)) return true;
    return false;
}

bool tag_listed(Span list, Span tag) {
    return listed(list, tag, false);
}

bool tag_listed_strongly(Span list, Span tag) {
    return listed(list, tag, true);
}
