/* The databases of an installation, and who makes their tables. */
#pragma once
#include "db/db.h"
#include "main/eventsctl.h"

enum { CTL_DATABASES = 8 };
typedef struct CtlDatabase {
    const char *name, *url; /* url NULL: this installation has none */
    /* Of a connection that only reads it changes nothing, and tells how far the tables are (db/migrate.h). */
    bool (*migrate)(Db *db, Err *err);
} CtlDatabase;
/* In memory of ctl. */
bool ctl_databases(Ctl *ctl, CtlDatabase ret[CTL_DATABASES], Err *err);
