#include "app/relay/relay_parts.h"

#include "base/map.h"
#include "wire/envelope.h"

/* Which part each event stands in: that of its subject, where one in flight has it already. */
static void choose(const RelayBatch *batch, size_t parts, size_t part_of[RELAY_BATCH]) {
    static char names[GRID_REQUESTS]; /* a map holds pointers */
    AUTO(Map) subjects = map_new();
    for (size_t i = 0; i < batch->count; i++) {
        EnvelopePeek p = {0};
        part_of[i] = i * parts / batch->count;
        if (!envelope_peek(batch->packed[i], &p)) p.subject = SPAN("");
        const char *earlier = map_get(subjects, p.subject);
        if (earlier)
            part_of[i] = (size_t)(earlier - names);
        else
            map_put(subjects, p.subject, &names[part_of[i]]);
    }
}

void relay_parts_cut(RelayParts *parts, const RelayBatch *batch, size_t least) {
    size_t part_of[RELAY_BATCH] = {0}, at = 0;
    parts->count = batch->count / least;
    if (parts->count > GRID_REQUESTS) parts->count = GRID_REQUESTS;
    if (!parts->count) parts->count = 1;
    if (parts->count > 1) choose(batch, parts->count, part_of);
    for (size_t part = 0; part < parts->count; part++) {
        parts->at[part] = (RelayPart){.first = at, .bad_at = SIZE_MAX};
        for (size_t i = 0; i < batch->count; i++)
            if (part_of[i] == part) {
                parts->index[at] = i;
                parts->packed[at++] = batch->packed[i];
            }
        parts->at[part].count = at - parts->at[part].first;
    }
}
