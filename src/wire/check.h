/* The rules of the validation table, one call per field, for the generated validate functions. */
#pragma once
#include "wire/message.h"
#include <google/protobuf/timestamp.pb-c.h>

typedef enum TextPattern { PATTERN_NONE, PATTERN_EMAIL, PATTERN_PHONE, PATTERN_UUID } TextPattern;

typedef struct TextRule {
    const char *field; /* JSON name */
    unsigned max_length;
    TextPattern pattern;
    bool required, trim, multiline;
    bool normalize; /* to normalization form C: fields that have a rule of their own */
} TextRule;

/* UTF-8, control characters, trim, normalize, required, length, pattern: the first that fails is reported.
 * The text is replaced by its trimmed and normalized form, in memory of the arena. */
void check_text(char **text, const TextRule *rule, Arena *arena, FieldFaults *faults);
/* An entity's id: 1 to 2^53-1, so that it is exact in a browser; 0 is absent. */
void check_id(const char *field, int64_t id, bool required, FieldFaults *faults);
/* An expected version: at least 1, or -1 for "whatever it is"; 0 is absent. */
void check_version(const char *field, int64_t version, bool required, FieldFaults *faults);
/* A time that RFC 3339 can tell: of the years 1 to 9999. NULL is absent. */
void check_time(const char *field, const Google__Protobuf__Timestamp *time, bool required,
                FieldFaults *faults);

bool text_is_email(Span s);
bool text_is_phone(Span s);
