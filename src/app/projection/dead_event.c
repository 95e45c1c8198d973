#include "app/projection/dead_event.h"

#include "app/projection/projection_rows.h"
#include "store/dead_letters.h"
#include "store/read/outcomes.h"
#include "store/read/read_model.h"
#include "store/read/replay_log.h"
#include "wire/envelope.h"

enum { ARENA_BYTES = 64 << 20 };

static bool write_changes(Db *db, const DeadLetter *letter, int model, Arena *arena, Err *err) {
    AUTO(Rows) prospects = rows_new(&PROSPECT_ROWS[model]);
    AUTO(Rows) outcomes = rows_new(&OUTCOME_ROWS);
    const ProjectionRows rows = {.prospects = prospects, .outcomes = outcomes};
    Events__V1__Envelope *e = letter->sequence > 0 ? envelope_unpack(letter->body, arena) : NULL;
    if (!e)
        return err_set(err, &ERR_INVALID, "it cannot be read as a numbered event, and can only be discarded");
    return projection_apply(&rows, e, arena, err) && rows_flush(prospects, db, err) &&
           rows_flush(outcomes, db, err) && dead_letter_remove(db, &PROJECTION_LETTERS, letter->number, err);
}

bool dead_event_requeue(Db *db, int64_t id, Err *err) {
    AUTO(Arena) arena = must(arena_new(ARENA_BYTES));
    DeadLetter letter;
    ReplayHead head;
    if (!db_begin(db, err)) return false;
    /* the projection waits until the end, and no other model serves by then */
    if (rebuild_lock_head(db, err) && replay_log_head(db, &head, err) &&
        dead_letter_find(db, &PROJECTION_LETTERS, id, arena, &letter, err) && write_changes(db, &letter, head.model, arena, err))
        return db_commit(db, err);
    db_rollback(db);
    return false;
}
