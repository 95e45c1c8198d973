#include "net/defence.h"

#include <stdatomic.h>

static _Atomic int64_t counters[DEFENCE_COUNT];

static const char *const NAMES[] = {
#define X(name, text) [DEFENCE_##name] = text,
    DEFENCES(X)
#undef X
};

const char *defence_name(Defence defence) {
    return NAMES[defence];
}
const _Atomic int64_t *defence_counter(Defence defence) {
    return &counters[defence];
}
void defence_add(Defence defence) {
    atomic_fetch_add_explicit(&counters[defence], 1, memory_order_relaxed);
}
