#include "db/db.h"
#include "main/eventsctl.h"
#include "store/migrations_users.h"
#include <stdio.h>

/* Each database with the setting that names it; without one, the file in the data folder. */
static const struct {
    const char *name, *setting, *file;
    bool (*migrate)(Db *db, Err *err);
} DATABASES[] = {
    {"users", "EVENTS_USERS_DB", NULL, users_migrate},
};

static bool migrate_one(Ctl *ctl, size_t i, Err *err) {
    AUTO(Db) db = NULL;
    Err why = {0};
    const char *url = DATABASES[i].setting
                          ? config_text(ctl->config, DATABASES[i].setting)
                          : must(arena_printf(ctl->arena, "sqlite:%s", config_path(ctl->config, DATABASES[i].file)));
    if (db_open(url, (DbOptions){0}, &db, &why) && DATABASES[i].migrate(db, &why)) return true;
    return err_set(err, why.kind, "the database of %s: %s", DATABASES[i].name, why.why);
}

bool ctl_migrate(Ctl *ctl, Err *err) {
    for (size_t i = 0; i < COUNT(DATABASES); i++)
        if (!migrate_one(ctl, i, err)) return false;
    return true;
}
