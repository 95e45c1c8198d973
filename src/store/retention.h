/* What has become old goes, a few rows at a time, each call one short transaction of its own (where none is
 * open). Every statement finds its rows by an index, oldest first, so that it costs what it takes away.
 *
 * before_us: what is older than this instant. *gone: how many rows; as many as `most`: there may be more.
 * Several programs of one server may do it at the same time: rows that another one holds are passed over.
 * By the thread that owns the connection. */
#pragma once
#include "db/db.h"

/* The write model's database. A command that comes again after its mark has gone has its effect again. */
bool retain_command_marks(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err);
/* Files: rows up to `disposable` only, which retain_disposable() has found. */
bool retain_outbox_file(Db *db, int64_t disposable, int64_t before_us, size_t most, size_t *gone, Err *err);

/* relay.db, by the relay: rows of the outbox that have numbers up to `upto` are needed no more. Numbers of
 * rows that are gone go too: those below first_row, the first one that is left (0: none is). */
bool retain_set_disposable(Db *db, int64_t upto, Err *err);
bool retain_disposable(Db *db, int64_t *outbox_id, Err *err);
bool retain_numbers_file(Db *db, int64_t first_row, size_t most, size_t *gone, Err *err);
/* A server: rows and their numbers together, up to this number and to what every lane has published. */
bool retain_outbox_server(Db *db, int64_t upto, int64_t before_us, size_t most, size_t *gone, Err *err);

/* The read model's database. */
bool retain_inbox(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err);
bool retain_outcomes(Db *db, int64_t before_us, size_t most, size_t *gone, Err *err);
