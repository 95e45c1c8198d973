/* The keys of TLS session tickets (RFC 5077, RFC 8446 section 4.6.1): shared by all loops, renewed by the
 * clock. A stolen key opens what was sent in its time, so a key seals for TICKET_LIFE_S, opens for as long
 * again, and is then wiped. They live in this process alone: another gateway, or a restart, costs its clients
 * one full handshake. */
#pragma once
#include "base/auto.h"
#include <stdbool.h>
#include <stdint.h>

enum { TICKET_LIFE_S = 7200, TICKET_NAME = 16, TICKET_KEY = 32 };

typedef struct TicketKey {
    unsigned char name[TICKET_NAME], cipher[TICKET_KEY], mac[TICKET_KEY];
} TicketKey;

typedef struct TicketKeys TicketKeys;
TicketKeys *ticket_keys_new(void);
TicketKeys *ticket_keys_free(TicketKeys *keys);
AUTO_FREE(TicketKeys, ticket_keys_free)

/* now_us: monotonic. Any thread. */
void ticket_keys_seal(TicketKeys *keys, int64_t now_us, TicketKey *ret);
/* The key of this name; false where it is not (or no longer) one. *renew: it seals no more. */
bool ticket_keys_open(TicketKeys *keys, int64_t now_us, const unsigned char name[TICKET_NAME], TicketKey *ret,
                      bool *renew);
