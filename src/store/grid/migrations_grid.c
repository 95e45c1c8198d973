#include "store/grid/migrations_grid.h"

#include "db/migrate.h"

/* position: the number of accepted events, dense within this topic; it has nothing to do with an event's
 * sequence. */
static const Migration STEPS[] = {
    {1, "CREATE TABLE grid_event ("
        " position INTEGER PRIMARY KEY,"
        " body TEXT NOT NULL,"
        " accepted_at BIGINT NOT NULL);\n"
        "CREATE TABLE grid_cursor ("
        " subscription TEXT PRIMARY KEY,"
        " position BIGINT NOT NULL);\n"
        "CREATE TABLE grid_dead_letter ("
        " dead_letter_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " subscription TEXT NOT NULL,"
        " position BIGINT NOT NULL,"
        " body TEXT NOT NULL,"
        " reason TEXT NOT NULL,"
        " last_outcome TEXT NOT NULL,"
        " attempts INTEGER NOT NULL,"
        " dead_at BIGINT NOT NULL);\n"},
};

bool grid_migrate(Db *db, Err *err) {
    return migrate(db, "grid", STEPS, COUNT(STEPS), err);
}
