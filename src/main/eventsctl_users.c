#include "main/eventsctl.h"
#include "store/users.h"
#include <stdio.h>

static bool open_users(Ctl *ctl, Users **ret, Err *err) {
    return users_open(config_text(ctl->config, "EVENTS_USERS_DB"), ret, err);
}

/* What the words on the command line made impossible is a bad usage (exit 64), not an engine that is down. */
static bool usage(bool ok, Err *err) {
    if (err->kind == &ERR_DUPLICATE || err->kind == &ERR_NOT_FOUND) err->kind = &ERR_INVALID;
    return ok;
}

bool ctl_tenant_add(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    return open_users(ctl, &users, err) && usage(tenant_add(users, span_of(ctl->operands[0]), err), err);
}

bool ctl_user_add(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    const char *tenant = ctl_option(ctl, "tenant"), *scopes = ctl_option(ctl, "scopes"), *password;
    bool unknown;
    if (!tenant || !scopes || !ctl_option(ctl, "password-stdin"))
        return err_set(err, &ERR_INVALID, "user add needs --tenant, --scopes and --password-stdin");
    scopes_parse(span_of(scopes), &unknown);
    if (unknown)
        return err_set(err, &ERR_INVALID,
                       "the scopes are prospects:read, prospects:write, prospects:pii and operator, a space between");
    return ctl_read_password(ctl, &password, err) && open_users(ctl, &users, err) &&
           usage(user_add(users, span_of(ctl->operands[0]), span_of(tenant), span_of(scopes), span_of(password), err),
                 err);
}

bool ctl_user_passwd(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    const char *password;
    if (!ctl_option(ctl, "password-stdin"))
        return err_set(err, &ERR_INVALID, "user passwd needs --password-stdin");
    return ctl_read_password(ctl, &password, err) && open_users(ctl, &users, err) &&
           usage(user_set_password(users, span_of(ctl->operands[0]), span_of(password), err), err);
}

bool ctl_user_disable(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    return open_users(ctl, &users, err) && usage(user_disable(users, span_of(ctl->operands[0]), err), err);
}
