/* The writing side of the read model (read.db). Inside the caller's transaction. */
#pragma once
#include "db/db.h"
#include "domain/projection.h"

/* Inserts the row, or replaces it if this version is newer; a row of another tenant is never touched. */
bool read_model_prospect(Db *db, const ProspectSummary *row, Err *err);
