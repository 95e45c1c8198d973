#include "wire/check.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"

enum { LOCAL_PART_MAX = 64, LABEL_MAX = 63, PHONE_MIN = 5, PHONE_MAX = 32, PHONE_DIGITS_MIN = 5 };
#define ID_MAX ((INT64_C(1) << 53) - 1)

static bool local_part_is_good(Span s) {
    size_t count = 0;
    for (size_t at = 0; at < s.len; count++)
        if (text_is_white_space(text_next(s, &at))) return false;
    return count >= 1 && count <= LOCAL_PART_MAX;
}

static bool label_is_good(Span s) {
    size_t count = 0;
    for (size_t at = 0; at < s.len; count++) {
        int32_t c = text_next(s, &at);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) continue; /* what domains are mostly made of */
        if (!text_is_letter(c) && !text_is_digit(c) && c != '-') return false;
    }
    return count >= 1 && count <= LABEL_MAX && s.at[0] != '-' && s.at[s.len - 1] != '-';
}

bool text_is_email(Span s) {
    Span domain, rest;
    Span local = span_split(s, '@', &domain);
    if (!domain.at || memchr(domain.at, '@', domain.len) || !local_part_is_good(local)) return false;
    size_t labels = 0;
    for (rest = domain; rest.at; labels++)
        if (!label_is_good(span_split(rest, '.', &rest))) return false;
    return labels >= 2;
}

bool text_is_phone(Span s) {
    size_t digits = 0;
    for (size_t i = 0; i < s.len; i++) {
        switch (s.at[i]) {
        case '0' ... '9': digits++; break;
        case ' ':
        case '+':
        case '-':
        case '(':
        case ')':
        case '.': break;
        default: return false;
        }
    }
    return s.len >= PHONE_MIN && s.len <= PHONE_MAX && digits >= PHONE_DIGITS_MIN;
}

static const char *pattern_fault(TextPattern pattern, Span s) {
    Uuid ignored;
    switch (pattern) {
    case PATTERN_EMAIL: return text_is_email(s) ? NULL : "invalid_email";
    case PATTERN_PHONE: return text_is_phone(s) ? NULL : "invalid_phone";
    case PATTERN_UUID: return uuid_parse(s, &ignored) ? NULL : "invalid_id";
    case PATTERN_NONE: break;
    }
    return NULL;
}

static bool normalized(const TextRule *rule, Span *s, Arena *arena) {
    if (rule->trim) *s = text_trim(*s);
    if (rule->normalize) *s = text_nfc(arena, *s);
    return s->at != NULL;
}

static const char *length_or_pattern_fault(Span s, const TextRule *rule) {
    if (!s.len) return rule->required ? "required" : NULL;
    bool may_be_long = rule->max_length && s.len > rule->max_length; /* of bytes there are never fewer */
    if (may_be_long && text_code_points(s) > rule->max_length) return "too_long";
    return pattern_fault(rule->pattern, s);
}

static const char *text_fault(Span *s, const TextRule *rule, Arena *arena) {
    if (bytes_printable(*s)) { /* of these, only blanks at the ends can need anything */
        while (rule->trim && s->len && *s->at == ' ') s->at++, s->len--;
        while (rule->trim && s->len && s->at[s->len - 1] == ' ') s->len--;
        return length_or_pattern_fault(*s, rule);
    }
    if (!text_is_utf8(*s)) return "invalid_encoding";
    if (text_has_controls(*s, rule->multiline)) return "invalid_characters";
    if (!normalized(rule, s, arena)) return "too_large";
    return length_or_pattern_fault(*s, rule);
}

void check_text(char **text, const TextRule *rule, Arena *arena, FieldFaults *faults) {
    Span before = span_of(*text ? *text : ""), s = before;
    const char *fault = text_fault(&s, rule, arena);
    if (fault) {
        field_fault(faults, rule->field, fault);
    } else if (s.at != before.at || s.len != before.len) {
        char *copy = arena_copy(arena, s);
        if (copy)
            *text = copy;
        else
            field_fault(faults, rule->field, "too_large");
    }
}

void check_id(const char *field, int64_t id, bool required, FieldFaults *faults) {
    if (id == 0) {
        if (required) field_fault(faults, field, "required");
    } else if (id < 0 || id > ID_MAX) {
        field_fault(faults, field, "invalid_id");
    }
}

void check_version(const char *field, int64_t version, bool required, FieldFaults *faults) {
    if (version == 0) {
        if (required) field_fault(faults, field, "required");
    } else if (version < -1) {
        field_fault(faults, field, "out_of_range");
    }
}

void check_time(const char *field, const Google__Protobuf__Timestamp *time, bool required,
                FieldFaults *faults) {
    if (!time) {
        if (required) field_fault(faults, field, "required");
    } else if (time->seconds < CLOCK_FIRST_SECOND || time->seconds > CLOCK_LAST_SECOND || time->nanos < 0 ||
               time->nanos > CLOCK_LAST_NANO) {
        field_fault(faults, field, "out_of_range");
    }
}
