/* The index against asking everybody: nobody who wants an event is left out, whoever comes and goes. */
#include "gateway/stream/interest.h"
#include "kit/test.h"
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 200, EVENTS = 2000 };

static unsigned seed = 7;
static unsigned below(unsigned bound) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % bound;
}

static const char *const TENANTS[] = {"a", "b"}, *const USERS[] = {"ann", "bob", "eve"};
static const char *const TYPES[] = {"ProspectCreated", "ProspectUpdated", "CommandRejected", "EventSkipped"};
static const char *const SUBJECTS[] = {"prospect/1", "prospect/2", "prospect/11", "student/1", "command/7"};
static const char *const PATTERNS[] = {"prospect/1", "prospect/2", "prospect/*", "student/*", "student/9"};

typedef struct Client {
    Claims claims;
    Filter *filter;
    Interest *interest, *rejections;
    unsigned asked;
} Client;

static void come(Interests *all, Client *c) {
    Events__V1__Subscribe s = EVENTS__V1__SUBSCRIBE__INIT;
    char *types[2], *subjects[3];
    const char *code;
    *c = (Client){.claims.scope_bits = SCOPE_READ};
    snprintf(c->claims.tenant_id, sizeof c->claims.tenant_id, "%s", TENANTS[below(2)]);
    snprintf(c->claims.user_id, sizeof c->claims.user_id, "%s", USERS[below(3)]);
    s.event_types = types, s.subjects = subjects;
    s.n_event_types = below(3), s.n_subjects = below(4);
    for (size_t i = 0; i < s.n_event_types; i++) types[i] = (char *)TYPES[below(2)];
    for (size_t i = 0; i < s.n_subjects; i++) subjects[i] = (char *)PATTERNS[below(COUNT(PATTERNS))];
    c->filter = filter_new(&s, &c->claims, &code);
    REQUIRE(c->filter != NULL);
    c->interest = interest_in(all, span_of(c->claims.tenant_id), c->filter, c);
    c->rejections = interest_of_user(all, span_of(c->claims.tenant_id), span_of(c->claims.user_id), c);
}

static void go(Interests *all, Client *c) {
    c->interest = interest_end(all, c->interest);
    c->rejections = interest_end(all, c->rejections);
    c->filter = filter_free(c->filter);
}

static const Client *first_asked;
static void ask(void *user, void *who) {
    Client *c = who;
    (void)user;
    if (!first_asked) first_asked = c;
    c->asked++;
}

static Event *some_event(void) {
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"0190163d-8694-739b-aea5-966c26f8ad91";
    e.tenant_id = (char *)TENANTS[below(2)];
    e.event_type = (char *)TYPES[below(COUNT(TYPES))];
    e.subject = (char *)SUBJECTS[below(COUNT(SUBJECTS))];
    e.issued_by = (char *)USERS[below(3)];
    e.sequence = 1;
    return event_new(&e);
}

static void nobody_is_left_out(void) {
    static Client clients[CLIENTS];
    AUTO(Interests) all = interests_new();
    size_t wanted = 0, asked = 0;
    for (size_t i = 0; i < CLIENTS; i++) come(all, &clients[i]);
    for (int n = 0; n < EVENTS; n++) {
        Client *other = &clients[below(CLIENTS)];
        go(all, other), come(all, other);
        AUTO(Event) event = some_event();
        first_asked = NULL;
        for (size_t i = 0; i < CLIENTS; i++) clients[i].asked = 0;
        interests_each(all, event, ask, NULL);
        for (size_t i = 0; i < CLIENTS; i++) {
            bool wants = filter_matches(clients[i].filter, event, &clients[i].claims);
            if (wants && !clients[i].asked) CU_FAIL("who wants it was not asked");
            wanted += wants, asked += clients[i].asked > 0;
        }
        if (first_asked) CHECK(span_is(event_issued_by(event), first_asked->claims.user_id));
    }
    CHECK(wanted > EVENTS && asked < (size_t)EVENTS * CLIENTS / 2);
    for (size_t i = 0; i < CLIENTS; i++) go(all, &clients[i]);
    AUTO(Event) last = some_event();
    first_asked = NULL;
    interests_each(all, last, ask, NULL);
    CHECK(!first_asked);
}

SUITE("interest", TEST(nobody_is_left_out));
