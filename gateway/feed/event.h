/* One event on its way to the clients: encoded once for each of the two views (with and without personal
 * fields), then shared by every session of every loop. Counted, immutable, any thread. */
#pragma once
#include "base/blob.h"
#include "events/v1/envelope.pb-c.h"
#include "store/read/replay_log.h"

typedef enum EventKind {
    EVENT_PLAIN,
    EVENT_REJECTED, /* CommandRejected: only for who sent the command */
    EVENT_SKIPPED,  /* EventSkipped: for nobody, it only moves positions */
} EventKind;

typedef struct Event Event;

/* Copies. NULL out of memory. */
Event *event_new(const Events__V1__Envelope *envelope);
/* Of a row that was read from the replay log, and checked when it was written: nothing is decoded. NULL out of
 * memory. */
Event *event_of_row(const ReplayRow *row);
Event *event_ref(Event *event);
Event *event_unref(Event *event);
AUTO_FREE(Event, event_unref)

EventKind event_kind(const Event *event);
int64_t event_sequence(const Event *event);
int64_t event_version(const Event *event);       /* of its subject; 0 where that has a single event */
uint64_t event_subject_hash(const Event *event); /* of tenant and subject */
Span event_tenant(const Event *event);
Span event_type(const Event *event);
Span event_subject(const Event *event);
Span event_issued_by(const Event *event);
Span event_envelope(const Event *event); /* packed, with personal fields; lives as long as the event */
size_t event_size(const Event *event);   /* bytes of memory, about */
/* The bytes of one `events` entry of an EventBatch (tag, length, envelope). personal false: personal fields
 * empty. They live as long as the event; SPAN_NONE out of memory. */
Span event_entry(Event *event, bool personal);
