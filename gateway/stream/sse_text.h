/* The frames of stream.proto as server-sent events (HTML, section 9.2), and the position that a client sends
 * back. Pure.
 *
 *     id: EPOCH.POSITION            storing the latest one is always safe
 *     data: {"eventId":...}         an event: its envelope in JSON, a message of the default type
 *
 *     event: Subscribed             or ResyncRequired, Reconnect, Closed: the stream speaks of itself
 *     data: {"position":"7",...}
 *
 *     event: PresenceChanged        who is looking at a subject now
 *     data: {"subject":"prospect/7","users":["ada"],"complete":true}
 */
#pragma once
#include "base/blob.h"

/* A FrameMake (session_frames.h): a packed ServerFrame. */
Blob *sse_text(Span message, const char *epoch);
/* "Closed", the last message of a stream that ends for a reason of the client's own. NULL out of memory. */
Blob *sse_closed(int code, const char *reason);

/* "EPOCH.POSITION", or a position alone (then the epoch is empty). False where it is neither. */
bool sse_id_read(Span text, Span *epoch, int64_t *position);
