/* Prospects in the write model. All calls belong to the caller's transaction. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "domain/prospect.h"

/* *found is false where no prospect has that id. Texts live in the arena. */
bool prospects_load(Db *db, int64_t prospect_id, Arena *arena, Prospect *ret, bool *found, Err *err);
/* email_key: by text_fold(). *owner 0: nobody in this tenant has it. */
bool prospects_email_owner(Db *db, Span tenant_id, Span email_key, int64_t *owner, Err *err);
/* The id that the next create shall have; never one that was given before. */
bool prospects_next_id(Db *db, int64_t *ret, Err *err);
bool prospects_insert(Db *db, const Prospect *p, Span email_key, Err *err);
/* old_key: the e-mail key that it has had. ERR_CONFLICT where the stored version is not p->version - 1. */
bool prospects_update(Db *db, const Prospect *p, Span old_key, Span email_key, Err *err);
/* Of one that is gone: writes what is left of it, and its e-mail key is free again. ERR_CONFLICT as above. */
bool prospects_end(Db *db, const Prospect *p, Span old_key, Err *err);
