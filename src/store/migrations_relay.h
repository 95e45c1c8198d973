/* relay.db: which number each outbox row has. Written by the relay alone. */
#pragma once
#include "db/db.h"

bool relay_migrate(Db *db, Err *err);
