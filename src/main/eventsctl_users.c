#include "io/doorbell.h"
#include "main/eventsctl.h"
#include "service/far_bells.h"
#include "store/users/users.h"
#include <stdio.h>

enum { HEARD_MS = 5000 };
#define NO_USER "there is no such user"

static bool open_users(Ctl *ctl, Users **ret, Err *err) {
    return users_open(config_text(ctl->config, "EVENTS_USERS_DB"), ret, err);
}

static bool ring_far(Ctl *ctl, Err *err) {
    AUTO(FarBells) far = NULL;
    const char *secrets, *peers = config_text(ctl->config, "EVENTS_PEERS");
    if (!*peers) return true;
    if (!config_secret(ctl->config, "EVENTS_INTERNAL_SECRET", "internal", &secrets, err) ||
        !far_bells_open(peers, secrets, &far, err))
        return false;
    if (!far_bells_ring(far, "gateway", "revoked") || far_bells_settle(far, HEARD_MS)) return true;
    return err_set(err, &ERR_UNAVAILABLE, "a gateway that EVENTS_PEERS names does not answer");
}

/* Who is on this machine and not heard is not running: it looks when it starts. */
static void ring_gateways(Ctl *ctl) {
    AUTO(Doorbell) bell = NULL;
    Err near = {0}, far = {0};
    if (doorbell_open(config_text(ctl->config, "EVENTS_HOME"), "eventsctl", &bell, &near))
        doorbell_ring(bell, "gateway", "revoked");
    if (!ring_far(ctl, &far))
        fprintf(stderr, "eventsctl: done, but not told to all: %s; it takes them EVENTS_POLL_SECONDS\n",
                far.why);
}

/* What the words on the command line made impossible is a bad usage (exit 64), not an engine that is down. */
static bool usage(bool ok, const char *duplicate, const char *not_found, Err *err) {
    const char *why = err_is(err, &ERR_DUPLICATE)   ? duplicate
                      : err_is(err, &ERR_NOT_FOUND) ? not_found
                                                    : NULL;
    if (ok || !why) return ok;
    err_clear(err);
    return err_set(err, &ERR_INVALID, "%s", why);
}

bool ctl_tenant_add(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    return open_users(ctl, &users, err) && tenant_add(users, span_of(ctl->operands[0]), err);
}

static bool check_scopes(const char *scopes, Err *err) {
    bool unknown;
    scopes_parse(span_of(scopes), &unknown);
    return !unknown ||
           err_set(
               err, &ERR_INVALID,
               "the scopes are prospects:read, prospects:write, prospects:pii and operator, a space between");
}

bool ctl_user_add(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    const char *tenant = ctl_option(ctl, "tenant"), *scopes = ctl_option(ctl, "scopes"), *password;
    if (!tenant || !scopes || !ctl_option(ctl, "password-stdin"))
        return err_set(err, &ERR_INVALID, "user add needs --tenant, --scopes and --password-stdin");
    if (!check_scopes(scopes, err) || !ctl_read_password(ctl, &password, err) ||
        !open_users(ctl, &users, err))
        return false;
    bool ok =
        user_add(users, span_of(ctl->operands[0]), span_of(tenant), span_of(scopes), span_of(password), err);
    return usage(ok, "there is a user of that name, in this tenant or another", "there is no such tenant",
                 err);
}

bool ctl_user_passwd(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    const char *password;
    if (!ctl_option(ctl, "password-stdin"))
        return err_set(err, &ERR_INVALID, "user passwd needs --password-stdin");
    if (!ctl_read_password(ctl, &password, err) || !open_users(ctl, &users, err)) return false;
    bool ok = user_set_password(users, span_of(ctl->operands[0]), span_of(password), err);
    if (ok) ring_gateways(ctl);
    return usage(ok, NULL, NO_USER, err);
}

static bool change(Ctl *ctl, bool (*how)(Users *users, Span name, Err *err), Err *err) {
    AUTO(Users) users = NULL;
    if (!open_users(ctl, &users, err)) return false;
    bool ok = how(users, span_of(ctl->operands[0]), err);
    if (ok) ring_gateways(ctl);
    return usage(ok, NULL, NO_USER, err);
}

bool ctl_user_disable(Ctl *ctl, Err *err) {
    return change(ctl, user_disable, err);
}
bool ctl_user_enable(Ctl *ctl, Err *err) {
    return change(ctl, user_enable, err);
}
bool ctl_user_revoke(Ctl *ctl, Err *err) {
    return change(ctl, user_revoke, err);
}

bool ctl_user_scopes(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    bool narrowed = false;
    const char *scopes = ctl->operands[1];
    if (!check_scopes(scopes, err) || !open_users(ctl, &users, err)) return false;
    bool ok = user_set_scopes(users, span_of(ctl->operands[0]), span_of(scopes), &narrowed, err);
    if (ok && narrowed) ring_gateways(ctl);
    return usage(ok, NULL, NO_USER, err);
}
