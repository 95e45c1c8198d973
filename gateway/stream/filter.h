/* Which events a subscription is for. Pure.
 *
 * The order of questions: tenant, then the token's scopes, then the subscription's types and subjects.
 * CommandRejected has a rule of its own: it goes to the user who sent the command, and to nobody else,
 * whatever the filters are. */
#pragma once
#include "base/auto.h"
#include "events/v1/stream.pb-c.h"
#include "gateway/auth/token.h"
#include "gateway/feed/event.h"

typedef struct Filter Filter;

enum { FILTER_SUBJECTS_MAX = 256, FILTER_TYPES_MAX = 256 };

/* Copies. NULL where the request is refused: *code is "invalid_subject", "too_many" or "forbidden". */
Filter *filter_new(const Events__V1__Subscribe *subscribe, const Claims *claims, const char **code);
Filter *filter_free(Filter *filter);
AUTO_FREE(Filter, filter_free)

/* Tenant and token only. An EventSkipped is for nobody. */
bool event_permitted(const Event *event, const Claims *claims);
/* Does a subscription with this filter, of a connection with these claims, get the event? */
bool filter_matches(const Filter *filter, const Event *event, const Claims *claims);

/* Does it name this subject, or one like it, or none at all? */
bool filter_covers(const Filter *filter, Span subject);

/* What it names, in its memory; none: all. A subject that ends in "/" stands for all below it. */
const Span *filter_types(const Filter *filter, size_t *count);
const Span *filter_subjects(const Filter *filter, size_t *count);

/* "prospect/12345" or "prospect/STAR" with STAR an asterisk: an entity type, one slash, an id or the
 * asterisk. */
bool subject_is_valid(Span subject, bool pattern);
