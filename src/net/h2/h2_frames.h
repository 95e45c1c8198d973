/* The heads of HTTP/2 frames in a run of bytes (RFC 9113 section 4.1), behind the client's preface. Pure;
 * resumes at any byte. */
#pragma once
#include "base/span.h"

typedef struct H2FrameHead {
    const char *at; /* where its bytes begin, as far as they lie in this run */
    uint32_t length, stream;
    uint32_t parent; /* of PRIORITY: the stream that it is to depend on */
    uint8_t type, flags;
} H2FrameHead;

enum { H2_FRAME_HEAD = 9, H2_FRAME_HEAD_AND_PARENT = H2_FRAME_HEAD + 4 };
typedef struct H2Frames {
    uint32_t left; /* bytes up to the next head */
    uint8_t have;
    unsigned char head[H2_FRAME_HEAD_AND_PARENT];
} H2Frames;

void h2_frames_init(H2Frames *f);
/* Moves *in behind the next head and returns true; false: *in is used up. */
bool h2_frames_next(H2Frames *f, Span *in, H2FrameHead *ret);
