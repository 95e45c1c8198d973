/* The databases of the outbox: where its rows are, and where their numbers. */
#pragma once
#include "db/db.h"
#include "main/eventsctl.h"

typedef struct OutboxPlace {
    Db *numbers, *outbox; /* on a server two connections to the same */
} OutboxPlace;

bool outbox_place_open(Ctl *ctl, bool read_only, OutboxPlace *ret, Err *err);
void outbox_place_close(OutboxPlace *place);
#define AUTO_OUTBOX_PLACE __attribute__((cleanup(outbox_place_close))) OutboxPlace
