/* Prospects in the write model, as the transaction of one batch sees them: what it will need is read
 * together, changes are made in memory, where later commands of the batch see them, and are written together
 * at its end. What was not asked for in time is read alone.
 *
 * Others may write too, on a server: each change is written over the version that was read, and each e-mail
 * key is unique in its tenant, so that of two the later one fails (ERR_CONFLICT, ERR_DUPLICATE) and has to
 * read again. Rows are written in the order of their keys, so that no two transactions wait for each other.
 * One thread. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "domain/prospect.h"

typedef struct Prospects Prospects;
Prospects *prospects_new(Db *db); /* borrowed */
Prospects *prospects_free(Prospects *p);
AUTO_FREE(Prospects, prospects_free)

/* Forgets everything: another transaction begins. Its memory is that of the arena. creates: how many new ones
 * there may be. */
void prospects_begin(Prospects *p, Arena *arena, size_t creates);
void prospects_want(Prospects *p, int64_t prospect_id);
void prospects_want_email(Prospects *p, Span tenant_id, Span email_key); /* borrowed until the read */
bool prospects_read(Prospects *p, Err *err);

/* *found is false where no prospect has that id. Texts live in the arena. */
bool prospects_load(Prospects *p, int64_t prospect_id, Prospect *ret, bool *found, Err *err);
/* email_key: by text_fold(). *owner 0: nobody in this tenant has it. */
bool prospects_email_owner(Prospects *p, Span tenant_id, Span email_key, int64_t *owner, Err *err);
/* The id that the next create shall have; never one that was given before. */
bool prospects_next_id(Prospects *p, int64_t *ret, Err *err);

/* Changes. Texts and keys are borrowed until the write. */
bool prospects_insert(Prospects *p, const Prospect *prospect, Span email_key, Err *err);
/* old_key: the e-mail key that it has had. ERR_CONFLICT where the version is not prospect->version - 1. */
bool prospects_update(Prospects *p, const Prospect *prospect, Span old_key, Span email_key, Err *err);
/* Of one that is gone: what is left of it, and its e-mail key is free again. ERR_CONFLICT as above. */
bool prospects_end(Prospects *p, const Prospect *prospect, Span old_key, Err *err);
bool prospects_write(Prospects *p, Err *err);
