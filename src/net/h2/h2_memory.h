/* Memory for nghttp2's sessions: what one request gives back the next one takes, without the allocator's part
 * in it. One of a server, used by its thread; zeroed: empty. */
#pragma once
#include <nghttp2/nghttp2.h>

enum {
    H2_MEMORY_STEP = 64,
    H2_MEMORY_SIZES = 20
}; /* pieces of 64, 128 ... 1280 bytes; larger ones are malloc's */

typedef struct H2Memory {
    struct H2Piece *spare[H2_MEMORY_SIZES];
    size_t spare_bytes;
} H2Memory;

/* For nghttp2_session_server_new3(). The memory outlives the session. */
nghttp2_mem h2_memory_for(H2Memory *memory);
void h2_memory_clear(H2Memory *memory);
