#include "main/eventsctl.h"
#include "store/users/users.h"
#include <stdio.h>

static bool open_users(Ctl *ctl, Users **ret, Err *err) {
    return users_open(config_text(ctl->config, "EVENTS_USERS_DB"), ret, err);
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

bool ctl_user_add(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    const char *tenant = ctl_option(ctl, "tenant"), *scopes = ctl_option(ctl, "scopes"), *password;
    bool unknown;
    if (!tenant || !scopes || !ctl_option(ctl, "password-stdin"))
        return err_set(err, &ERR_INVALID, "user add needs --tenant, --scopes and --password-stdin");
    scopes_parse(span_of(scopes), &unknown);
    if (unknown)
        return err_set(
            err, &ERR_INVALID,
            "the scopes are prospects:read, prospects:write, prospects:pii and operator, a space between");
    if (!ctl_read_password(ctl, &password, err) || !open_users(ctl, &users, err)) return false;
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
    return usage(user_set_password(users, span_of(ctl->operands[0]), span_of(password), err), NULL,
                 "there is no such user", err);
}

bool ctl_user_disable(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    return open_users(ctl, &users, err) &&
           usage(user_disable(users, span_of(ctl->operands[0]), err), NULL, "there is no such user", err);
}
