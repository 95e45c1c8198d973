/* eventsctl: the operator's tool. A table of verbs (eventsctl.c); each group of verbs has a file of its own.
 */
#pragma once
#include "base/arena.h"
#include "base/config.h"

enum { CTL_OPERANDS_MAX = 4, CTL_OPTIONS_MAX = 8 };

typedef struct Ctl {
    const Config *config;
    Arena *arena;
    const struct CtlVerb *verb;
    const char *operands[CTL_OPERANDS_MAX]; /* the words behind the verb that are no options */
    size_t operand_count;
    const char *option_names[CTL_OPTIONS_MAX];  /* of the verb */
    const char *option_values[CTL_OPTIONS_MAX]; /* NULL: not given; "": given, and takes no value */
    size_t option_count;
    int exit_code; /* of a verb that has done its work, where it is not 0 */
} Ctl;

typedef struct CtlVerb {
    const char *name;     /* "user add" */
    const char *operands; /* for the help: "NAME" */
    size_t operand_count; /* exactly so many */
    const char *options;  /* "tenant= scopes= json": names, with '=' where a value follows */
    const char *summary;
    const char *details; /* further lines of the help */
    bool (*run)(Ctl *ctl, Err *err);
} CtlVerb;

const char *ctl_option(const Ctl *ctl, const char *name); /* NULL where not given; the verb must have it */
/* One line of standard input without its end, for --password-stdin. In memory of ctl. */
bool ctl_read_password(Ctl *ctl, const char **ret, Err *err);

bool ctl_init(Ctl *ctl, Err *err);
bool ctl_migrate(Ctl *ctl, Err *err);
bool ctl_user_add(Ctl *ctl, Err *err);
bool ctl_user_passwd(Ctl *ctl, Err *err);
bool ctl_user_disable(Ctl *ctl, Err *err);
bool ctl_user_enable(Ctl *ctl, Err *err);
bool ctl_user_revoke(Ctl *ctl, Err *err);
bool ctl_user_scopes(Ctl *ctl, Err *err);
bool ctl_tenant_add(Ctl *ctl, Err *err);
bool ctl_outbox_status(Ctl *ctl, Err *err);
bool ctl_outbox_new_epoch(Ctl *ctl, Err *err);
bool ctl_letters_list(Ctl *ctl, Err *err);
bool ctl_letters_show(Ctl *ctl, Err *err);
bool ctl_letters_requeue(Ctl *ctl, Err *err);
bool ctl_letters_discard(Ctl *ctl, Err *err);
bool ctl_import(Ctl *ctl, Err *err);
bool ctl_events_tail(Ctl *ctl, Err *err);
bool ctl_replay(Ctl *ctl, Err *err);
bool ctl_doctor(Ctl *ctl, Err *err);
