/* Users, refresh families and tickets on real engines. */
#include "store/users/user_sessions.h"
#include "store/users/users.h"

#include "kit/engine.h"
#include "store/users/password.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOW  ((int64_t)1800000000 * 1000000)
#define LIFE ((int64_t)3600 * 1000000)

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
    return open_with_ada_at(test_database());
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
    User user;
    Err err = {0};
    bool ok = refresh_rotate(users, span_of(token), now, LIFE, &user, next, &err);
    CHECK(ok || err_is(&err, &ERR_UNAUTHENTICATED));
    if (ok) CHECK_SPAN(span_of(user.username), "ada");
    return ok;
}

static void reuse_revokes_the_family(void) {
    AUTO(Users) users = open_with_ada();
    User ada = ada_of(users);
    char first[SECRET_TEXT], second[SECRET_TEXT], third[SECRET_TEXT], other[SECRET_TEXT],
        other_next[SECRET_TEXT];
    Err err = {0};
    CHECK_OK(refresh_issue(users, &ada, NOW, LIFE, first, &err), &err);
    CHECK_OK(refresh_issue(users, &ada, NOW, LIFE, other, &err), &err);
    CHECK(rotates(users, first, NOW, second));
    CHECK(!rotates(users, first, NOW, third));  /* a used one: somebody has stolen something */
    CHECK(!rotates(users, second, NOW, third)); /* so the family is over, the newest too */
    CHECK(rotates(users, other, NOW, other_next));
    CHECK(!rotates(users, "no such token", NOW, third));
}

static void refresh_ends(void) {
    AUTO(Users) users = open_with_ada();
    User ada = ada_of(users);
    char token[SECRET_TEXT], next[SECRET_TEXT], last[SECRET_TEXT];
    Err err = {0};
    CHECK_OK(refresh_issue(users, &ada, NOW, LIFE, token, &err), &err);
    CHECK(rotates(users, token, NOW + LIFE - 1, next));
    CHECK(!rotates(users, next, NOW + 2 * LIFE, last)); /* too late */
    CHECK_OK(refresh_issue(users, &ada, NOW, LIFE, token, &err), &err);
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

static void passwords(void) {
    char one[PASSWORD_HASH], two[PASSWORD_HASH];
    Err err = {0};
    CHECK_OK(password_hash(SPAN("correct horse"), one, &err), &err);
    CHECK_OK(password_hash(SPAN("correct horse"), two, &err), &err);
    CHECK(strcmp(one, two) && span_starts(span_of(one), SPAN("$argon2id$v=19$m=19456,t=2,p=1$")));
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
    char next[SECRET_TEXT];
    User user;
    Err err = {0};
    return refresh_rotate(users, span_of(token), NOW, LIFE, &user, next, &err);
}

static void one_secret_at_many_gateways(void) {
    const char *url = test_database();
    AUTO(Users) users = open_with_ada_at(url);
    TicketGrant grant = {.user_id = "u", .tenant_id = "demo", .scopes = "operator", .origin = "https://a"};
    char secret[SECRET_TEXT];
    User ada;
    Err err = {0};
    REQUIRE(CHECK_OK(ticket_issue(users, &grant, NOW, secret, &err), &err));
    CHECK(takers(url, secret, take_ticket) == 1);
    REQUIRE(user_login(users, SPAN("ada"), SPAN("correct horse"), &ada, &err));
    REQUIRE(CHECK_OK(refresh_issue(users, &ada, NOW, LIFE, secret, &err), &err));
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

SUITE_ON_ENGINES("users", TEST(adding), TEST(login), TEST(reuse_revokes_the_family), TEST(refresh_ends),
                 TEST(tickets), TEST(one_secret_at_many_gateways), TEST(expired_rows_go), TEST(passwords));
