/* The tables of grid.db, written by events-grid alone. */
#pragma once
#include "db/db.h"

bool grid_migrate(Db *db, Err *err);
