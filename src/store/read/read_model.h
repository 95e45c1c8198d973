/* The writing side of the read model (read.db).
 *
 * There are two tables of the same form; ReplayHead.model says which one serves. The other one is empty, or
 * being built anew from the log (app/projection/rebuild.h), and then serves from one commit on: who reads the head and
 * the rows in one view of the data never sees half of it. */
#pragma once
#include "domain/projection.h"
#include "store/rows.h"

enum { MODELS = 2 };

/* Inserts the row, or replaces it if this version is newer; a row of another tenant is never touched. */
extern const RowShape PROSPECT_ROWS[MODELS];
/* The same, but the same version once more replaces, too: what an event means may have changed. */
extern const RowShape PROSPECT_ROWS_AGAIN[MODELS];
void read_model_prospect(Rows *rows, const ProspectSummary *row);

/* Building: every transaction begins with rebuild_begin(), which fails (ERR_CONFLICT) once another run has
 * taken over. So a run that was killed leaves nothing behind that somebody would have to lift. */
bool rebuild_take(Db *db, const char *run, Err *err);
bool rebuild_begin(Db *db, const char *run, Err *err);
bool rebuild_lock_head(Db *db, Err *err); /* until the transaction ends, the projection commits nothing */
bool rebuild_switch(Db *db, int to, Err *err);
/* Up to `most` rows behind *after, which moves on. *done: there were none. Emptying and copying by small
 * transactions, and never by TRUNCATE: that would empty the table for readers of an older view, too. */
bool read_model_clear(Db *db, int model, int64_t *after, int64_t most, bool *done, Err *err);
bool read_model_copy(Db *db, int from, int64_t *after, int64_t most, bool *done, Err *err);
