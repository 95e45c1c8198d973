/* write.db: the entities, what was done, and the outbox. Written by the prospect service alone. */
#pragma once
#include "db/db.h"

bool write_migrate(Db *db, Err *err);
