/* Presence on a loop: the subscriptions that ask for it, and what they are told. All on the loop's thread.
 *
 * A subscription looks at the subjects that it names one by one; patterns (and a subscription without subjects) only
 * hear of what they cover. Each hears how it is (a pattern within a fifth of a second), and then of changes: of what
 * follows within a fifth of a second only the last. Who reads too slowly is told how it is when he has read. In a storm
 * all of it takes longer, for the loop's time for this is bounded. */
#pragma once
#include "gateway/stream/presence.h"
#include "gateway/stream/session.h"

Watches *watches_new(Sessions *sessions);
Watches *watches_free(Watches *watches); /* after loop_free() */
void watches_stop(Watches *watches);     /* before it: no timer of theirs runs any more */

/* The subscription has asked for it (and been allowed). Tells it how it is, or soon will. */
void watch_begin(Session *session, Subscription *subscription, const Events__V1__Subscribe *subscribe);
void watch_end(Session *session, Subscription *subscription); /* where there is one */
/* What waited for the session was dropped. */
void watch_dropped(Session *session);
