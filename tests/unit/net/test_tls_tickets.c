#include "kit/test.h"
#include "net/tls_tickets.h"
#include <string.h>

static const int64_t SECOND = 1000000;

/* A key seals for one life, opens for a second one, and is then gone. */
static void a_key_has_two_lives(void) {
    static const struct {
        int64_t age_s;
        bool opens, renews, same;
    } CASES[] = {
        {0, true, false, true},
        {TICKET_LIFE_S - 1, true, false, true},
        {TICKET_LIFE_S, true, true, false},
        {2 * TICKET_LIFE_S - 1, true, true, false},
        {2 * TICKET_LIFE_S, false, false, false},
        {10 * TICKET_LIFE_S, false, false, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(TicketKeys) keys = ticket_keys_new();
        TicketKey first, now, opened;
        bool renew = true;
        int64_t begin = 1000 * SECOND, later = begin + CASES[i].age_s * SECOND;
        ticket_keys_seal(keys, begin, &first);
        bool opens = ticket_keys_open(keys, later, first.name, &opened, &renew);
        ticket_keys_seal(keys, later, &now);
        CHECK(opens == CASES[i].opens && renew == CASES[i].renews);
        if (opens) CHECK(!memcmp(&opened, &first, sizeof first));
        CHECK(!memcmp(&now, &first, sizeof first) == CASES[i].same);
    }
}

static void names_that_are_none(void) {
    AUTO(TicketKeys) keys = ticket_keys_new();
    static const unsigned char ZERO[TICKET_NAME];
    TicketKey key, opened;
    bool renew;
    CHECK(!ticket_keys_open(keys, SECOND, ZERO, &opened, &renew)); /* there is no past key yet */
    ticket_keys_seal(keys, SECOND, &key);
    key.name[TICKET_NAME - 1] ^= 1;
    CHECK(!ticket_keys_open(keys, SECOND, key.name, &opened, &renew));
}

SUITE("tls_tickets", TEST(a_key_has_two_lives), TEST(names_that_are_none));
