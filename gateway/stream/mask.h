/* Empties what is personal: what a reader without prospects:pii gets to see. */
#pragma once
#include "base/arena.h"
#include "events/v1/envelope.pb-c.h"

/* By message_clear_personal(). Replaces envelope->data (in memory of the arena). What cannot be read is
 * emptied whole. */
void mask_envelope(Events__V1__Envelope *envelope, Arena *arena);
