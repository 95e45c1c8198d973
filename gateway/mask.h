/* Empties what is personal: what a reader without prospects:pii gets to see. */
#pragma once
#include "base/arena.h"
#include "events/v1/envelope.pb-c.h"

/* In place. The fields are those marked `personal` in the contract. */
void mask_message(ProtobufCMessage *message);
/* Replaces envelope->data (in memory of the arena). What cannot be read is emptied whole. */
void mask_envelope(Events__V1__Envelope *envelope, Arena *arena);
