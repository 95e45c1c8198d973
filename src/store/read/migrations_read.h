/* read.db: read model, command outcomes, replay log, and the projection's own state. Written by the
 * projection. */
#pragma once
#include "db/db.h"

bool read_migrate(Db *db, Err *err);
