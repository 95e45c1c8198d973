#include "db/db.h"
#include "main/eventsctl.h"
#include "queue/queue_files.h"
#include "store/migrations_grid.h"
#include "store/migrations_read.h"
#include "store/migrations_relay.h"
#include "store/migrations_users.h"
#include "store/migrations_write.h"

typedef struct Database {
    const char *name, *url;
    bool (*migrate)(Db *db, Err *err);
} Database;

static bool migrate_one(const Database *database, Err *err) {
    AUTO(Db) db = NULL;
    Err why = {0};
    if (db_open(database->url, (DbOptions){0}, &db, &why) && database->migrate(db, &why)) return true;
    return err_set(err, why.kind, "the database of %s: %s", database->name, why.why);
}

/* A file of the data folder that has no setting. */
static const char *own_file(Ctl *ctl, const char *relative) {
    return must(arena_printf(ctl->arena, "sqlite:%s", config_path(ctl->config, relative)));
}

bool ctl_migrate(Ctl *ctl, Err *err) {
    QueueFiles queue;
    if (!queue_files(config_text(ctl->config, "EVENTS_QUEUE"), config_text(ctl->config, "EVENTS_HOME"),
                     &queue, err))
        return false;
    const Database databases[] = {
        {"users", config_text(ctl->config, "EVENTS_USERS_DB"), users_migrate},
        {"commands", queue.queue, queue_migrate},
        {"settled commands", queue.marks, queue_marks_migrate},
        {"the write model", config_text(ctl->config, "EVENTS_WRITE_DB"), write_migrate},
        {"the relay", own_file(ctl, "db/relay.db"), relay_migrate},
        {"events-grid", own_file(ctl, "db/grid.db"), grid_migrate},
        {"the read model", config_text(ctl->config, "EVENTS_READ_DB"), read_migrate},
    };
    for (size_t i = 0; i < COUNT(databases); i++)
        if (!migrate_one(&databases[i], err)) return false;
    return true;
}
