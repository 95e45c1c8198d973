/* What an event means for the read model: pure, so that a rebuild from the replay log gives the same rows.
 *
 * Everything handed out points into the envelope or lives in the arena. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "events/v1/envelope.pb-c.h"

/* A row of prospect_summary. The keys are for sorting and searching without case and accents; `search` has
 * the words of names and e-mail, each with a space before it. */
typedef struct ProspectSummary {
    int64_t prospect_id, version;
    Span tenant_id, first_name, last_name, email, phone, notes;
    int64_t created_at, updated_at; /* created_at counts for a new row only */
    Span last_name_key, email_key, search;
    int64_t merged_into; /* not 0: the row is what is left of one that has gone into this one */
} ProspectSummary;

/* A row of command_outcome. status is a CommandStatus of rest.proto. */
typedef struct OutcomeRow {
    Span tenant_id, issued_by, command_id;
    int status;
    Span subject, event_id, code, errors /* JSON array, or empty */, correlation_id;
    int64_t sequence, decided_at;
} OutcomeRow;

/* What one event changes. */
typedef struct Projected {
    bool has_prospect, has_outcome;
    ProspectSummary prospect;
    OutcomeRow outcome;
} Projected;

/* By the rule of the event's type, of which the contract's every event has one. A type that is not of this
 * contract changes nothing but the outcome of its command: an event that a command caused means that it has
 * succeeded, unless the rule says something else. ERR_INVALID: `data` is not what the type says;
 * ERR_TOO_LARGE: the arena is full. */
bool projection_of(const Events__V1__Envelope *event, Arena *arena, Projected *ret, Err *err);

/* " ada lovelace ada@example.org example.org org": words are separated by white space; of each word the
 * whole, and the rest from every later part that begins behind something that is neither letter nor digit
 * (from the ninth part on that part alone). So "example", "example.o" and "org" are found, and "ample" is
 * not. at == NULL out of memory. */
Span projection_search_words(Arena *arena, const Span *texts, size_t count);
bool projection_word_part(int32_t code_point); /* a letter of any script, its marks, a digit */
