/* The writing side of the read model (read.db). */
#pragma once
#include "domain/projection.h"
#include "store/rows.h"

/* Inserts the row, or replaces it if this version is newer; a row of another tenant is never touched. */
extern const RowShape PROSPECT_ROWS;
void read_model_prospect(Rows *rows, const ProspectSummary *row);
