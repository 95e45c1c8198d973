/* Which number each outbox row has: relay.db, written by the relay alone; on a server tables of the write
 * database, so that rows and numbers cannot part. */
#pragma once
#include "db/db.h"

bool relay_migrate(Db *db, Err *err);
