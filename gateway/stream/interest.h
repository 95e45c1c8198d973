/* Who may want an event, found by what the event is instead of by asking everybody: the cost of an event does
 * not depend on those who do not want it. One per loop, on its thread; no I/O.
 *
 * An interest stands under a tenant and one of: everything, an event type, a subject, all subjects of an
 * entity type, a user (whose rejections come to him whatever he has subscribed to). It names candidates: what
 * they really get is for filter.h to say. */
#pragma once
#include "base/auto.h"
#include "gateway/stream/filter.h"

typedef struct Interests Interests;
typedef struct Interest Interest; /* of one subscription, or one user: under each of its keys */

Interests *interests_new(void);
Interests *interests_free(Interests *all); /* after every interest in it */
AUTO_FREE(Interests, interests_free)

/* who: given back by interests_each(); not touched. The result is the caller's, to end by interest_end(). */
Interest *interest_in(Interests *all, Span tenant, const Filter *filter, void *who);
Interest *interest_of_user(Interests *all, Span tenant, Span user, void *who);
Interest *interest_end(Interests *all, Interest *interest); /* NULL is allowed; returns NULL */

/* Calls each with every candidate, first those of the user who caused the event; with one that stands under
 * several keys as often. No interest may begin or end meanwhile. */
void interests_each(const Interests *all, const Event *event, void (*each)(void *user, void *who),
                    void *user);
/* The same by tenant and subject alone: every interest in this subject, in all like it, or in everything. */
void interests_each_in(const Interests *all, Span tenant, Span subject, void (*each)(void *user, void *who),
                       void *user);
