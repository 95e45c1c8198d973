/* What the write model's database keeps for a while only: marks of commands and, in a file, published rows of
 * the outbox (on a server those are the relay's). By the prospect service, between its transactions. */
#pragma once
#include "base/cleaner.h"
#include "db/db.h"

typedef struct WriteRetention {
    int64_t command_s, outbox_s;
    const char *relay_url; /* a file: where the relay says what it needs no more */
} WriteRetention;

/* One small transaction for each. *more: there is more to take away. */
bool write_clean(Db *db, const WriteRetention *retention, int64_t wall_us, bool *more, Err *err);
