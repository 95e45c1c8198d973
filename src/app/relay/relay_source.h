/* Where the relay gets its events and keeps their numbers: two files of SQLite (write.db, which it only
 * reads, and relay.db), or the tables of a server, where other relays work beside it. Inside app/ only. */
#pragma once
#include "app/relay/relay_batch.h"

typedef struct RelaySource RelaySource;
typedef struct RelaySourceKind {
    bool (*load)(RelaySource *s, Err *err);
    bool (*next)(RelaySource *s, RelayBatch *batch, int64_t now_us, bool *more, Err *err);
    bool (*read)(RelaySource *s, RelayBatch *batch, int64_t from, int64_t to, Err *err);
    bool (*published)(RelaySource *s, const RelayBatch *batch, int64_t now_us, Err *err);
    bool (*store)(RelaySource *s, Err *err);
    bool (*clean)(RelaySource *s, int64_t held, int64_t before_us, bool *more, Err *err);
} RelaySourceKind;

struct RelaySource {
    const RelaySourceKind *kind;
    Db *numbers, *outbox; /* borrowed */
    const char *owner;
    NumbersState state;  /* as far as is known here */
    bool reload;         /* something has failed: memory may be wrong about the database */
    int64_t outbox_last; /* files: highest row when the state was read */
    int64_t stored;      /* files: `published` as the database has it */
    int64_t look_us;     /* when to look for what waits with a number; NEVER */
    /* lanes: published, and to be noted with the next numbering, for which a turn more is worth while */
    bool unmarked;
    int64_t marks[OUTBOX_LANES];
};
#define RELAY_NEVER INT64_MAX

/* owner: tells relays of one database apart, the same after a restart. */
bool relay_source_open(Db *numbers, Db *outbox, const char *owner, RelaySource *ret, Err *err);

/* The next events to publish; those that wait with a number first, else new ones, whose numbers are durable
 * when this returns. *more: there may be others. */
static inline bool relay_source_next(RelaySource *s, RelayBatch *batch, int64_t now_us, bool *more,
                                     Err *err) {
    return s->kind->next(s, batch, now_us, more, err);
}
/* The events from..to again, RELAY_BATCH at most; without those that are not kept any more. */
static inline bool relay_source_read(RelaySource *s, RelayBatch *batch, int64_t from, int64_t to, Err *err) {
    return s->kind->read(s, batch, from, to, err);
}
/* Those that are marked as sent have been taken by the topic. */
static inline bool relay_source_published(RelaySource *s, const RelayBatch *batch, int64_t now_us, Err *err) {
    return s->kind->published(s, batch, now_us, err);
}
/* It is quiet: what is known as published is stored. */
static inline bool relay_source_store(RelaySource *s, Err *err) {
    return s->kind->store(s, err);
}

/* Takes away (files: gives free) some of what is older than before_us, was published, and is held by the
 * projection: numbers up to `held`. *more: there is more of it. */
static inline bool relay_source_clean(RelaySource *s, int64_t held, int64_t before_us, bool *more, Err *err) {
    return s->kind->clean(s, held, before_us, more, err);
}

extern const RelaySourceKind RELAY_FILES, RELAY_LANES;
