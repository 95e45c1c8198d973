#include "main/eventsctl_migrate.h"

#include "queue/queue_dead.h"
#include "queue/queue_place.h"
#include "store/grid/migrations_grid.h"
#include "store/outbox/migrations_relay.h"
#include "store/read/migrations_read.h"
#include "store/users/migrations_users.h"
#include "store/write/migrations_write.h"

enum { START_MS = 30000 }; /* a server may be starting */

static bool migrate_one(const CtlDatabase *database, Err *err) {
    AUTO(Db) db = NULL;
    Err why = {0};
    if (db_open_patiently(database->url, (DbOptions){0}, START_MS, NULL, NULL, &db, &why) &&
        database->migrate(db, &why))
        return true;
    return err_set(err, why.kind, "the database of %s: %s", database->name, why.why);
}

/* A file of the data folder that has no setting. */
static const char *own_file(Ctl *ctl, const char *relative) {
    return must(arena_printf(ctl->arena, "sqlite:%s", config_path(ctl->config, relative)));
}

bool ctl_databases(Ctl *ctl, CtlDatabase ret[CTL_DATABASES], Err *err) {
    QueuePlace *queue = must(arena_alloc(ctl->arena, sizeof *queue));
    const char *write = config_text(ctl->config, "EVENTS_WRITE_DB");
    bool file = !strncmp(write, "sqlite:", 7);
    if (!queue_place(config_text(ctl->config, "EVENTS_QUEUE"), config_text(ctl->config, "EVENTS_HOME"), queue,
                     err))
        return false;
    const CtlDatabase databases[CTL_DATABASES] = {
        {"users", config_text(ctl->config, "EVENTS_USERS_DB"), users_migrate},
        {"commands", queue->broker ? NULL : queue->queue, queue_migrate},
        {"settled commands", queue->server || queue->broker ? NULL : queue->marks, queue_marks_migrate},
        {"dead commands", queue->broker ? queue->dead : NULL, queue_dead_migrate},
        {"the write model", write, write_migrate},
        {"the relay", file ? own_file(ctl, "db/relay.db") : write, relay_migrate},
        {"events-grid", own_file(ctl, "db/grid.db"), grid_migrate},
        {"the read model", config_text(ctl->config, "EVENTS_READ_DB"), read_migrate},
    };
    memcpy(ret, databases, sizeof databases);
    return true;
}

bool ctl_migrate(Ctl *ctl, Err *err) {
    CtlDatabase databases[CTL_DATABASES];
    if (!ctl_databases(ctl, databases, err)) return false;
    for (size_t i = 0; i < COUNT(databases); i++)
        if (databases[i].url && !migrate_one(&databases[i], err)) return false;
    return true;
}
