/* Users, refresh families and tickets on real engines. */
#include "store/users/user_sessions.h"
#include "store/users/users.h"

#include "base/clock.h"
#include "kit/engine.h"
#include "store/users/migrations_users.h"
#include "store/users/password.h"
#include "store/users/revocations.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW  ((int64_t)1800000000 * 1000000)
#define LIFE ((int64_t)3600 * 1000000)

static SessionTimes at(int64_t now) {
    return (SessionTimes){.now = now, .access_us = LIFE / 4, .refresh_us = LIFE};
}

static Users *open_with_ada_at(const char *url) {
    Users *users = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(users_open(url, &users, &err), &err));
    CHECK_OK(tenant_add(users, SPAN("demo"), &err), &err);
    CHECK_OK(tenant_add(users, SPAN("demo"), &err), &err); /* again is fine */
    CHECK_OK(user_add(users, SPAN("ada"), SPAN("demo"), SPAN("prospects:read prospects:write"),
                      SPAN("correct horse"), &err),
             &err);
    return users;
}

static Users *open_with_ada(void) {
    return open_with_ada_at(test_database_with(users_migrate));
}

static void adding(void) {
    AUTO(Users) users = open_with_ada();
    static const struct {
        const char *name, *tenant, *scopes, *password;
        const ErrKind *kind;
    } CASES[] = {
        {"ada", "demo", "operator", "correct horse", &ERR_DUPLICATE},
        {"bob", "nowhere", "operator", "correct horse", &ERR_NOT_FOUND},
        {"bob", "demo", "root", "correct horse", &ERR_INVALID},
        {"bob", "demo", "", "correct horse", &ERR_INVALID},
        {"bob", "demo", "operator", "short", &ERR_INVALID},
        {"", "demo", "operator", "correct horse", &ERR_INVALID},
        {" bob", "demo", "operator", "correct horse", &ERR_INVALID},
        {"b\nob", "demo", "operator", "correct horse", &ERR_INVALID},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        CHECK(!user_add(users, span_of(CASES[i].name), span_of(CASES[i].tenant), span_of(CASES[i].scopes),
                        span_of(CASES[i].password), &err));
        CHECK(err_is(&err, CASES[i].kind));
    }
    Err err = {0};
    CHECK(!tenant_add(users, SPAN("Not A Tenant"), &err) && err_is(&err, &ERR_INVALID));
    CHECK(scopes_parse(SPAN("prospects:read  operator"), NULL) == (SCOPE_READ | SCOPE_OPERATOR));
}

static bool may_login(Users *users, const char *name, const char *password) {
    User user;
    Err err = {0};
    bool ok = user_login(users, span_of(name), span_of(password), &user, &err);
    CHECK(ok || err_is(&err, &ERR_UNAUTHENTICATED));
    return ok;
}

static void login(void) {
    AUTO(Users) users = open_with_ada();
    Err err = {0}, nobody = {0};
    CHECK(may_login(users, "ada", "correct horse"));
    CHECK(!may_login(users, "ada", "correct hors"));
    CHECK(!may_login(users, "ada", ""));
    CHECK(!may_login(users, "bob", "correct horse"));
    CHECK(!may_login(users, "", ""));
    CHECK_OK(user_set_password(users, SPAN("ada"), SPAN("battery staple"), &err), &err);
    CHECK(!may_login(users, "ada", "correct horse"));
    CHECK(may_login(users, "ada", "battery staple"));
    CHECK_OK(user_disable(users, SPAN("ada"), &err), &err);
    CHECK(!may_login(users, "ada", "battery staple"));
    CHECK(!user_disable(users, SPAN("bob"), &nobody) && err_is(&nobody, &ERR_NOT_FOUND));
}

static User ada_of(Users *users) {
    User user;
    Err err = {0};
    REQUIRE(CHECK_OK(user_login(users, SPAN("ada"), SPAN("correct horse"), &user, &err), &err));
    return user;
}

static bool rotates(Users *users, const char *token, int64_t now, char next[SECRET_TEXT]) {
    Renewal renewal;
    SessionTimes times = at(now);
    Err err = {0};
    bool ok = refresh_rotate(users, &times, span_of(token), &renewal, &err);
    CHECK(ok || err_is(&err, &ERR_UNAUTHENTICATED));
    if (ok) CHECK_SPAN(span_of(renewal.user.username), "ada");
    memcpy(next, renewal.token, SECRET_TEXT);
    return ok;
}

static void reuse_revokes_the_family(void) {
    AUTO(Users) users = open_with_ada();
    SessionTimes times = at(NOW);
    User ada = ada_of(users);
    char first[SECRET_TEXT], second[SECRET_TEXT], third[SECRET_TEXT], other[SECRET_TEXT],
        other_next[SECRET_TEXT];
    Err err = {0};
    CHECK_OK(refresh_issue(users, &times, &ada, first, &err), &err);
    CHECK_OK(refresh_issue(users, &times, &ada, other, &err), &err);
    CHECK(rotates(users, first, NOW, second));
    CHECK(!rotates(users, first, NOW, third));  /* a used one: somebody has stolen something */
    CHECK(!rotates(users, second, NOW, third)); /* so the family is over, the newest too */
    CHECK(rotates(users, other, NOW, other_next));
    CHECK(!rotates(users, "no such token", NOW, third));
}

static void refresh_ends(void) {
    AUTO(Users) users = open_with_ada();
    SessionTimes times = at(NOW);
    User ada = ada_of(users);
    char token[SECRET_TEXT], next[SECRET_TEXT], last[SECRET_TEXT];
    Err err = {0};
    CHECK_OK(refresh_issue(users, &times, &ada, token, &err), &err);
    CHECK(rotates(users, token, NOW + LIFE - 1, next));
    CHECK(!rotates(users, next, NOW + 2 * LIFE, last)); /* too late */
    CHECK_OK(refresh_issue(users, &times, &ada, token, &err), &err);
    CHECK_OK(user_set_password(users, SPAN("ada"), SPAN("battery staple"), &err), &err);
    CHECK(!rotates(users, token, NOW, next));
}

static bool takes(Users *users, const char *ticket, const char *origin, int64_t now) {
    TicketGrant grant;
    Err err = {0};
    bool ok = ticket_take(users, span_of(ticket), span_of(origin), now, &grant, &err);
    CHECK(ok || err_is(&err, &ERR_UNAUTHENTICATED));
    if (ok) CHECK(grant.session_expires_at == NOW + LIFE);
    return ok;
}

static void tickets(void) {
    AUTO(Users) users = open_with_ada();
    TicketGrant grant = {.user_id = "u",
                         .tenant_id = "demo",
                         .scopes = "operator",
                         .origin = "https://a",
                         .session_expires_at = NOW + LIFE};
    char ticket[SECRET_TEXT];
    Err err = {0};
    CHECK_OK(ticket_issue(users, &grant, NOW, ticket, &err), &err);
    CHECK(takes(users, ticket, "https://a", NOW + 1));
    CHECK(!takes(users, ticket, "https://a", NOW + 1)); /* once */
    CHECK_OK(ticket_issue(users, &grant, NOW, ticket, &err), &err);
    CHECK(!takes(users, ticket, "https://b", NOW));
    CHECK(!takes(users, ticket, "https://a", NOW)); /* the wrong origin has used it up */
    CHECK_OK(ticket_issue(users, &grant, NOW, ticket, &err), &err);
    CHECK(!takes(users, ticket, "https://a", NOW + (int64_t)TICKET_SECONDS * 1000000));
    CHECK(!takes(users, "", "", NOW));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KIB "1024"
#else
#define KIB "19456"
#endif

static void passwords(void) {
    char one[PASSWORD_HASH], two[PASSWORD_HASH];
    Err err = {0};
    CHECK_OK(password_hash(SPAN("correct horse"), one, &err), &err);
    CHECK_OK(password_hash(SPAN("correct horse"), two, &err), &err);
    CHECK(strcmp(one, two) && span_starts(span_of(one), SPAN("$argon2id$v=19$m=" KIB ",t=2,p=1$")));
    CHECK(password_verify(one, SPAN("correct horse")) && !password_verify(one, SPAN("correct horsf")));
    CHECK(!password_verify(NULL, SPAN("the password of nobody")));
}

/* Gateways that are shown one secret at the same moment: how many of them take it. */
enum { GATEWAYS = 6 };
static int takers(const char *url, const char *secret, bool (*take)(Users *users, const char *secret)) {
    pid_t pids[GATEWAYS];
    int taken = 0;
    for (int i = 0; i < GATEWAYS; i++) {
        if ((pids[i] = fork())) continue;
        Users *users = NULL;
        Err err = {0};
        _exit(users_open(url, &users, &err) ? !take(users, secret) : 2);
    }
    for (int i = 0; i < GATEWAYS; i++) {
        int status = -1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) < 2);
        taken += status == 0;
    }
    return taken;
}

static bool take_ticket(Users *users, const char *ticket) {
    return takes(users, ticket, "https://a", NOW);
}
static bool rotate(Users *users, const char *token) {
    Renewal renewal;
    SessionTimes times = at(NOW);
    Err err = {0};
    return refresh_rotate(users, &times, span_of(token), &renewal, &err);
}

static void one_secret_at_many_gateways(void) {
    SessionTimes times = at(NOW);
    const char *url = test_database();
    AUTO(Users) users = open_with_ada_at(url);
    TicketGrant grant = {.user_id = "u", .tenant_id = "demo", .scopes = "operator", .origin = "https://a"};
    char secret[SECRET_TEXT];
    User ada;
    Err err = {0};
    REQUIRE(CHECK_OK(ticket_issue(users, &grant, NOW, secret, &err), &err));
    CHECK(takers(url, secret, take_ticket) == 1);
    REQUIRE(user_login(users, SPAN("ada"), SPAN("correct horse"), &ada, &err));
    REQUIRE(CHECK_OK(refresh_issue(users, &times, &ada, secret, &err), &err));
    CHECK(takers(url, secret, rotate) == 1);
}

/* What has expired goes as new comes, a hundred at a time. */
static void expired_rows_go(void) {
    AUTO(Users) users = open_with_ada();
    TicketGrant grant = {.user_id = "u", .tenant_id = "demo", .scopes = "operator", .origin = "https://a"};
    char secret[SECRET_TEXT];
    Err err = {0};
    for (int i = 0; i < 150; i++) REQUIRE(CHECK_OK(ticket_issue(users, &grant, NOW, secret, &err), &err));
    static const int LEFT[] = {51, 2, 3};
    for (size_t i = 0; i < COUNT(LEFT); i++) {
        REQUIRE(CHECK_OK(ticket_issue(users, &grant, NOW + LIFE, secret, &err), &err));
        CHECK(test_db_number(users_db(users), "select count(*) from ticket") == LEFT[i]);
    }
}

/* --- revocations --- */

typedef struct Seen {
    Revocation at[8];
    size_t count;
} Seen;
static void see(void *user, const Revocation *row) {
    Seen *seen = user;
    if (seen->count < COUNT(seen->at)) seen->at[seen->count++] = *row;
}
static Seen revoked_at(Users *users, int64_t now) {
    Seen seen = {.count = 0};
    Err err = {0};
    CHECK_OK(revocations_read(users, now, COUNT(seen.at), see, &seen, &err), &err);
    return seen;
}

/* Of a user: each change, what becomes of his sessions, and of the access tokens he has. */
static void changes_of_a_user(void) {
    static const struct {
        const char *change;
        bool refreshes, may_login;
        int64_t raised; /* his generation, by so much */
    } CASES[] = {
        {"password", false, true, 1}, {"revoke", false, true, 1}, {"disable", false, false, 1},
        {"enable", true, true, 0},    {"widen", true, true, 0},   {"narrow", true, true, 1},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Users) users = open_with_ada();
        User ada = ada_of(users), after;
        char token[SECRET_TEXT], next[SECRET_TEXT];
        Err err = {0};
        int64_t now = clock_now_us();
        SessionTimes times = at(now);
        const char *change = CASES[i].change;
        bool narrowed = false, ok = false;
        REQUIRE(CHECK_OK(refresh_issue(users, &times, &ada, token, &err), &err));
        if (!strcmp(change, "password"))
            ok = user_set_password(users, SPAN("ada"), SPAN("correct horse"), &err);
        if (!strcmp(change, "revoke")) ok = user_revoke(users, SPAN("ada"), &err);
        if (!strcmp(change, "disable")) ok = user_disable(users, SPAN("ada"), &err);
        if (!strcmp(change, "enable")) ok = user_enable(users, SPAN("ada"), &err);
        if (!strcmp(change, "widen"))
            ok = user_set_scopes(users, SPAN("ada"), SPAN("operator prospects:write prospects:read"),
                                 &narrowed, &err);
        if (!strcmp(change, "narrow"))
            ok = user_set_scopes(users, SPAN("ada"), SPAN("prospects:read operator"), &narrowed, &err);
        CHECK_OK(ok, &err);
        CHECK(narrowed == !strcmp(change, "narrow"));
        CHECK(rotates(users, token, now, next) == CASES[i].refreshes);
        CHECK(may_login(users, "ada", "correct horse") == CASES[i].may_login);
        CHECK(user_find(users, span_of(ada.user_id), &after, &err));
        CHECK(after.generation == ada.generation + CASES[i].raised);
        Seen seen = revoked_at(users, now);
        CHECK(seen.count == (CASES[i].raised ? 1 : 0));
        if (!seen.count) continue;
        CHECK_SPAN(span_of(seen.at[0].id), ada.user_id);
        CHECK(seen.at[0].generation == after.generation);
        CHECK(!revoked_at(users, now + (ACCESS_TOKEN_MAX_S + 60) * (int64_t)1000000).count);
    }
}

static void changes_of_nobody(void) {
    AUTO(Users) users = open_with_ada();
    bool narrowed;
    Err errs[5] = {{0}};
    CHECK(!user_revoke(users, SPAN("bob"), &errs[0]) && err_is(&errs[0], &ERR_NOT_FOUND));
    CHECK(!user_enable(users, SPAN("bob"), &errs[1]) && err_is(&errs[1], &ERR_NOT_FOUND));
    CHECK(!user_set_scopes(users, SPAN("bob"), SPAN("operator"), &narrowed, &errs[2]) &&
          err_is(&errs[2], &ERR_NOT_FOUND));
    CHECK(!user_set_scopes(users, SPAN("ada"), SPAN("root"), &narrowed, &errs[3]) &&
          err_is(&errs[3], &ERR_INVALID));
    CHECK(user_revoke(users, SPAN("ada"), &errs[4]) && user_revoke(users, SPAN("ada"), &errs[4]));
    CHECK(revoked_at(users, clock_now_us()).count == 1); /* one row, the newest */
}

static void a_session_ends(void) {
    AUTO(Users) users = open_with_ada();
    SessionTimes times = at(NOW);
    User ada = ada_of(users), same = ada;
    char first[SECRET_TEXT], other[SECRET_TEXT], next[SECRET_TEXT];
    Err err = {0}, late = {0};
    CHECK_OK(refresh_issue(users, &times, &ada, first, &err), &err);
    CHECK_OK(refresh_issue(users, &times, &same, other, &err), &err);
    CHECK(*ada.session_id && strcmp(ada.session_id, same.session_id));
    CHECK_OK(session_end(users, &times, SPAN("no such session"), &err), &err);
    CHECK(!revoked_at(users, NOW).count);
    for (int i = 0; i < 2; i++) CHECK_OK(session_end(users, &times, span_of(ada.session_id), &err), &err);
    Seen seen = revoked_at(users, NOW);
    REQUIRE(seen.count == 1 && seen.at[0].generation == GENERATION_NONE);
    CHECK_SPAN(span_of(seen.at[0].id), ada.session_id);
    CHECK(!revoked_at(users, NOW + times.access_us).count); /* as long as an access token lives */
    CHECK(!rotates(users, first, NOW, next));
    CHECK(rotates(users, other, NOW, next));
    /* what was revoked while he was signing in does not let him in */
    CHECK(user_revoke(users, SPAN("ada"), &err));
    CHECK(!refresh_issue(users, &times, &ada, first, &late) && err_is(&late, &ERR_UNAUTHENTICATED));
}

static void a_thief_ends_the_session(void) {
    AUTO(Users) users = open_with_ada();
    SessionTimes times = at(NOW);
    User ada = ada_of(users);
    Renewal first, again, late;
    char token[SECRET_TEXT];
    Err err = {0}, reused = {0}, over = {0};
    CHECK_OK(refresh_issue(users, &times, &ada, token, &err), &err);
    CHECK_OK(refresh_rotate(users, &times, span_of(token), &first, &err), &err);
    CHECK(!first.revoked && !strcmp(first.user.session_id, ada.session_id));
    CHECK(!refresh_rotate(users, &times, span_of(token), &again, &reused) && again.revoked);
    CHECK(!refresh_rotate(users, &times, span_of(first.token), &late, &over) && !late.revoked);
    Seen seen = revoked_at(users, NOW);
    REQUIRE(seen.count == 1);
    CHECK_SPAN(span_of(seen.at[0].id), ada.session_id);
}

SUITE_ON_ENGINES("users", TEST(adding), TEST(login), TEST(reuse_revokes_the_family), TEST(refresh_ends),
                 TEST(tickets), TEST(one_secret_at_many_gateways), TEST(expired_rows_go), TEST(passwords),
                 TEST(changes_of_a_user), TEST(changes_of_nobody), TEST(a_session_ends),
                 TEST(a_thief_ends_the_session));
