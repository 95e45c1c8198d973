/* The tables of users.db: tenants, users, families of refresh tokens, tickets. */
#pragma once
#include "db/db.h"

bool users_migrate(Db *db, Err *err);
