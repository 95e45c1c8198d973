/* How much memory the process holds, and whether that is too much: then new requests are shed before the
 * machine swaps. Any thread. */
#pragma once
#include "base/auto.h"
#include "base/span.h"
#include "io/loop.h"
#include "io/pool.h"

typedef struct Memory Memory;

/* limit: bytes, 0: half of what the machine, or its container, has. trimmers: threads for giving back what is
 * free and not given back (borrowed; NULL: nobody does). */
Memory *memory_new(size_t limit, Pool *trimmers);
Memory *memory_free(Memory *memory);
AUTO_FREE(Memory, memory_free)
/* Looks at most twenty times a second, whoever asks. Above the limit: true, and until a tenth below it. */
bool memory_is_short(Memory *memory, Loop *loop);
/* Counts what was shed for it. */
void memory_shed(Memory *memory);
/* Of the text of /proc/self/statm: bytes that belong to this process alone; 0 where it is no such text. */
size_t memory_of_statm(Span text, size_t page);
