/* Who is looking: against a list of who has come and not gone, with loops that look at any time or not at all. */
#include "gateway/stream/presence.h"

#include "events/v1/stream.pb-c.h"
#include "kit/test.h"
#include <stdio.h>

enum { LOOPS = 3, CONNECTIONS = 40, STEPS = 4000, SUBJECTS = 4, USERS = 6 };

static unsigned seed = 11;
static unsigned below(unsigned bound) {
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % bound;
}

static Claims claims_of(const char *tenant, unsigned user) {
    Claims c = {.scope_bits = SCOPE_READ};
    snprintf(c.tenant_id, sizeof c.tenant_id, "%s", tenant);
    snprintf(c.user_id, sizeof c.user_id, "id-%u", user);
    snprintf(c.username, sizeof c.username, "user %u", user);
    return c;
}

static size_t woken;
static void count_wake(PresenceListener *l) {
    CHECK(l->wake == count_wake);
    woken++;
}

/* The loop does not run before the end: what is posted meanwhile is posted once. */
static PresenceListener loops[LOOPS];
static Loop *loop;

static Presence *open_presence(bool alone) {
    Presence *p = presence_new(alone);
    woken = 0;
    Err err = {0};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    for (int i = 0; i < LOOPS; i++) {
        loops[i] = (PresenceListener){.wake = count_wake, .loop = loop};
        presence_listen(p, &loops[i]);
    }
    return p;
}

static Presence *close_presence(Presence *p) {
    loop = loop_free(loop); /* runs what is posted */
    return presence_free(p);
}

/* What a frame says, as "prospect/1: user 1, user 2 (complete)". */
static const char *text_of(const Blob *frame) {
    static char text[8192];
    REQUIRE(frame != NULL);
    Events__V1__ServerFrame *f =
        events__v1__server_frame__unpack(NULL, frame->len, (const uint8_t *)frame->bytes);
    REQUIRE(f && f->frame_case == EVENTS__V1__SERVER_FRAME__FRAME_PRESENCE_CHANGED);
    const Events__V1__PresenceChanged *c = f->presence_changed;
    int len = snprintf(text, sizeof text, "%s:", c->subject);
    for (size_t i = 0; i < c->n_users; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s %s", i ? "," : "", c->users[i]);
    snprintf(text + len, sizeof text - (size_t)len, "%s", c->complete ? " (complete)" : "");
    events__v1__server_frame__free_unpacked(f, NULL);
    return text;
}

static void check_news(RoomList list, const char *const *texts, size_t count) {
    CHECK(list.count == count);
    for (size_t i = 0; i < list.count; i++) {
        if (i < count) CHECK_SPAN(span_of(text_of(list.at[i].frame)), texts[i]);
        room_news_clear(&list.at[i]);
    }
    free(list.at);
}
#define CHECK_NEWS(p, l, ...)                                                                                \
    check_news(presence_news(p, l, 10), (const char *const[]){__VA_ARGS__},                                  \
               COUNT(((const char *const[]){__VA_ARGS__})))
#define CHECK_NO_NEWS(p, l) check_news(presence_news(p, l, 10), NULL, 0)

static void coming_and_going(void) {
    Presence *p = open_presence(true);
    Claims ada = claims_of("t", 1), bob = claims_of("t", 2), nameless = claims_of("t", 3),
           other = claims_of("u", 1);
    *nameless.username = 0;
    presence_listening(p, &loops[0], true);
    Room *room = presence_enter(p, SPAN("t"), SPAN("prospect/1"), &ada);
    CHECK(presence_enter(p, SPAN("t"), SPAN("prospect/1"), &ada) == room); /* his second connection */
    CHECK_NEWS(p, &loops[0], "prospect/1: user 1 (complete)");
    CHECK_NO_NEWS(p, &loops[0]);
    CHECK(presence_enter(p, SPAN("t"), SPAN("prospect/1"), &bob) == room);
    presence_leave(p, room, ada.user_id); /* one of two: he is there still */
    Room *second = presence_enter(p, SPAN("t"), SPAN("prospect/2"), &nameless);
    CHECK_NEWS(p, &loops[0], "prospect/1: user 1, user 2 (complete)", "prospect/2: id-3 (complete)");
    presence_leave(p, room, ada.user_id);
    presence_leave(p, room, ada.user_id); /* nobody's */
    CHECK_NEWS(p, &loops[0], "prospect/1: user 2 (complete)");
    Room *apart = presence_enter(p, SPAN("u"), SPAN("prospect/1"), &other);
    CHECK(apart != room);
    RoomList rooms = presence_rooms(p, SPAN("t"), 10);
    check_news(rooms, (const char *const[]){"prospect/1: user 2 (complete)", "prospect/2: id-3 (complete)"},
               2);
    presence_leave(p, room, bob.user_id);
    presence_leave(p, second, nameless.user_id);
    presence_leave(p, apart, other.user_id);
    CHECK_NEWS(p, &loops[0], "prospect/1: (complete)", "prospect/2: (complete)", "prospect/1: (complete)");
    check_news(presence_rooms(p, SPAN("t"), 10), NULL, 0);
    close_presence(p);
    CHECK(woken == 1); /* of three loops the one that listens, once for all of it */
}

/* Of subjects that nobody else looks at; how many took him. */
static size_t enter_many(Presence *p, const Claims *who, size_t count) {
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        char subject[USER_ID + 40];
        snprintf(subject, sizeof subject, "student/%s-%zu", who->user_id, i);
        taken += presence_enter(p, span_of(who->tenant_id), span_of(subject), who) != NULL;
    }
    return taken;
}

static void bounds(void) {
    for (int alone = 0; alone < 2; alone++) {
        Presence *p = open_presence(alone);
        Room *room = NULL;
        for (unsigned i = 0; i <= PRESENCE_SHOWN; i++) {
            Claims c = claims_of("t", i);
            room = presence_enter(p, SPAN("t"), SPAN("prospect/1"), &c);
            RoomNews news = room_news(p, room);
            bool complete = strstr(text_of(news.frame), "(complete)") != NULL;
            CHECK(complete == (alone && i < PRESENCE_SHOWN));
            room_news_clear(&news);
        }
        Claims c = claims_of("t", 0);
        CHECK(enter_many(p, &c, PRESENCE_OF_USER + 10) == PRESENCE_OF_USER - 1);
        CHECK(presence_enter(p, SPAN("t"), SPAN("prospect/1"), &c) == room); /* one that is there */
        size_t taken = PRESENCE_OF_USER;
        for (unsigned user = 1; user <= PRESENCE_ROOMS / PRESENCE_OF_USER; user++) {
            c = claims_of("u", user);
            taken += enter_many(p, &c, PRESENCE_OF_USER);
        }
        CHECK(taken == PRESENCE_ROOMS);
        c = claims_of("t", 99);
        CHECK(presence_enter(p, SPAN("t"), SPAN("prospect/1"), &c) == room);
        CHECK(!presence_enter(p, SPAN("t"), SPAN("prospect/2"), &c));
        close_presence(p);
    }
    AUTO(Blob) unknown = presence_unknown(SPAN("prospect/9"));
    CHECK_SPAN(span_of(text_of(unknown)), "prospect/9:");
}

/* --- whatever happens, who looks knows who is there --- */

typedef struct Connection {
    Room *room; /* NULL: looks at nothing */
    unsigned subject, user;
} Connection;
static Connection connections[CONNECTIONS];
static char told[LOOPS][SUBJECTS][512]; /* what each loop was told last */

/* How many were told: less than `most` where there is nothing more. */
static size_t hear(Presence *p, int i, size_t most) {
    RoomList list = presence_news(p, &loops[i], most);
    for (size_t n = 0; n < list.count; n++) {
        unsigned subject = 0;
        sscanf(text_of(list.at[n].frame), "prospect/%u", &subject);
        snprintf(told[i][subject], sizeof told[i][subject], "%s", text_of(list.at[n].frame));
        room_news_clear(&list.at[n]);
    }
    free(list.at);
    return list.count;
}

static void hear_all(Presence *p, int i) {
    size_t most = 1 + below(SUBJECTS);
    while (hear(p, i, most) == most) continue;
}

static void check_told(int i) {
    for (unsigned s = 0; s < SUBJECTS; s++) {
        bool there[USERS] = {false};
        for (int c = 0; c < CONNECTIONS; c++)
            if (connections[c].room && connections[c].subject == s) there[connections[c].user] = true;
        for (unsigned u = 0; u < USERS; u++) {
            char name[16];
            snprintf(name, sizeof name, "user %u", u);
            CHECK((strstr(told[i][s], name) != NULL) == there[u]);
        }
    }
}

static void begin_to_listen(Presence *p, int i) {
    memset(told[i], 0, sizeof told[i]);
    presence_listening(p, &loops[i], true);
    RoomList list = presence_rooms(p, SPAN("t"), SUBJECTS);
    for (size_t n = 0; n < list.count; n++) {
        unsigned subject = 0;
        sscanf(text_of(list.at[n].frame), "prospect/%u", &subject);
        snprintf(told[i][subject], sizeof told[i][subject], "%s", text_of(list.at[n].frame));
        room_news_clear(&list.at[n]);
    }
    free(list.at);
}

static void step(Presence *p) {
    Connection *c = &connections[below(CONNECTIONS)];
    char subject[16];
    if (c->room) {
        presence_leave(p, c->room, claims_of("t", c->user).user_id);
        c->room = NULL;
        return;
    }
    c->subject = below(SUBJECTS), c->user = below(USERS);
    Claims who = claims_of("t", c->user);
    snprintf(subject, sizeof subject, "prospect/%u", c->subject);
    c->room = presence_enter(p, SPAN("t"), span_of(subject), &who);
    REQUIRE(c->room != NULL);
}

static void everybody_is_told(void) {
    Presence *p = open_presence(true);
    for (int n = 0; n < STEPS; n++) {
        int i = (int)below(LOOPS);
        if (below(8) < 5)
            step(p);
        else if (!loops[i].listening)
            begin_to_listen(p, i);
        else if (!below(4))
            hear(p, i, 1);
        else if (below(10))
            hear_all(p, i), check_told(i);
        else
            presence_listening(p, &loops[i], false);
    }
    for (int c = 0; c < CONNECTIONS; c++)
        if (connections[c].room)
            presence_leave(p, connections[c].room, claims_of("t", connections[c].user).user_id);
    for (int i = 0; i < LOOPS; i++) presence_listening(p, &loops[i], false);
    /* nobody is there and everybody knows: all the room there is, is free */
    size_t taken = 0;
    for (unsigned user = 0; user < PRESENCE_ROOMS / PRESENCE_OF_USER; user++) {
        Claims c = claims_of("t", user);
        taken += enter_many(p, &c, PRESENCE_OF_USER);
    }
    CHECK(taken == PRESENCE_ROOMS);
    close_presence(p);
}

SUITE("presence", TEST(coming_and_going), TEST(bounds), TEST(everybody_is_told));
