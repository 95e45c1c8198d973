/* What this room defends itself against, and how often it had to since the process began. Any thread. */
#pragma once
#include "base/span.h"

/* name, and what had been done to the server (or would have been) */
#define DEFENCES(X)                                                                                          \
    X(RAPID_RESET, "rapid_reset")         /* streams begun and reset: CVE-2023-44487 */                      \
    X(MADE_RESET, "made_reset")           /* the server made to reset them: CVE-2025-8671 */                 \
    X(INVALID_FRAMES, "invalid_frames")   /* the same, by frames that the stream does not allow */           \
    X(CONTINUATIONS, "continuations")     /* a header block without an end: CVE-2024-27316 */                \
    X(SETTINGS, "settings")               /* CVE-2019-9515 */                                                \
    X(PINGS, "pings")                     /* CVE-2019-9512 */                                                \
    X(EMPTY_FRAMES, "empty_frames")       /* CVE-2019-9518 */                                                \
    X(PRIORITIES, "priorities")           /* CVE-2019-9513 */                                                \
    X(WINDOW_UPDATES, "window_updates")   /* credit in crumbs */                                             \
    X(OTHER_FRAMES, "other_frames")       /* of types that nobody knows */                                   \
    X(REFUSED_STREAMS, "refused_streams") /* more streams than allowed, again and again */                   \
    X(STREAM_STATES, "stream_states")     /* frames on streams that are over */                              \
    X(SLOW_START, "slow_start")           /* no handshake, no first bytes */                                 \
    X(SLOW_HEAD, "slow_head")             /* slow loris */                                                   \
    X(SLOW_BODY, "slow_body")             /* slow POST */                                                    \
    X(STALLED_READER, "stalled_reader")   /* slow read: answers in the kernel that nobody takes */           \
    X(STALLED_WINDOW, "stalled_window")   /* the same, by windows of HTTP/2 */                               \
    X(HEADER_LISTS, "header_lists")       /* a bomb of header fields */

typedef enum Defence {
#define X(name, text) DEFENCE_##name,
    DEFENCES(X)
#undef X
        DEFENCE_COUNT
} Defence;

const char *defence_name(Defence defence);
/* Where its count stands: read it with atomic_load(). */
const _Atomic int64_t *defence_counter(Defence defence);
void defence_add(Defence defence);
