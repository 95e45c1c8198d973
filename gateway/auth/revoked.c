#include "gateway/auth/revoked.h"

#include <stdatomic.h>
#include <stdlib.h>

struct Revoked {
    atomic_uint refs;
    size_t count;
    Revocation at[]; /* by id */
};

static int by_id(const void *a, const void *b) {
    return strcmp(((const Revocation *)a)->id, ((const Revocation *)b)->id);
}

Revoked *revoked_new(const Revocation *rows, size_t count) {
    Revoked *set = must(calloc(1, sizeof *set + count * sizeof *rows));
    set->refs = 1;
    set->count = count;
    if (!count) return set;
    memcpy(set->at, rows, count * sizeof *rows);
    qsort(set->at, count, sizeof *set->at, by_id);
    return set;
}

Revoked *revoked_ref(Revoked *set) {
    atomic_fetch_add(&set->refs, 1);
    return set;
}

Revoked *revoked_unref(Revoked *set) {
    if (set && atomic_fetch_sub(&set->refs, 1) == 1) free(set);
    return NULL;
}

bool revoked_equal(const Revoked *a, const Revoked *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->at[i].id, b->at[i].id) || a->at[i].generation != b->at[i].generation) return false;
    return true;
}

/* Tokens of it are refused below this generation. */
static int64_t refused_below(const Revoked *set, const char *id) {
    size_t from = 0, to = set->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(id, set->at[middle].id);
        if (!order) return set->at[middle].generation;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return INT64_MIN;
}

bool revoked_has(const Revoked *set, const Claims *claims) {
    if (!set->count) return false;
    return claims->generation < refused_below(set, claims->user_id) ||
           claims->generation < refused_below(set, claims->session_id);
}
