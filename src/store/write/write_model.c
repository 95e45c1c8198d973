#include "store/write/write_model.h"

WriteModel *write_model_new(Db *db) {
    WriteModel *m = must(calloc(1, sizeof *m));
    *m = (WriteModel){prospects_new(db), commands_done_new(db), outbox_new(db)};
    return m;
}

WriteModel *write_model_free(WriteModel *m) {
    if (!m) return NULL;
    prospects_free(m->prospects);
    commands_done_free(m->done);
    outbox_free(m->outbox);
    free(m);
    return NULL;
}

void write_model_begin(WriteModel *m, Arena *arena, size_t commands) {
    prospects_begin(m->prospects, arena, commands);
    commands_done_begin(m->done, arena);
    outbox_begin(m->outbox, arena);
}

bool write_model_read(WriteModel *m, Err *err) {
    return commands_done_read(m->done, err) && prospects_read(m->prospects, err);
}

/* The outbox last: the id of a row is given late, and is visible soon after. */
bool write_model_write(WriteModel *m, Err *err) {
    return prospects_write(m->prospects, err) && commands_done_write(m->done, err) &&
           outbox_write(m->outbox, err);
}
