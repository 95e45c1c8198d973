/* The hash of a call's path, in which codegen/ looks for a seed without collisions and the gateway finds the
 * call. */
#pragma once
#include "base/span.h"

static inline uint64_t rpc_hash(Span path, uint64_t seed) {
    uint64_t hash = seed ^ path.len, word = 0;
    for (; path.len >= sizeof word; path.at += sizeof word, path.len -= sizeof word) {
        memcpy(&word, path.at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    word = 0;
    if (path.len) memcpy(&word, path.at, path.len);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}
