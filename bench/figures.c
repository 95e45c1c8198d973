#include "bench/figures.h"

#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Nearest rank: the least sample that `share` of all are not above. */
static double rank_ms(const int64_t *us, size_t count, double share) {
    size_t rank = (size_t)(share * (double)count + 0.999999);
    return (double)us[rank ? rank - 1 : 0] / 1000;
}

Figures figures_of(int64_t *us, size_t count) {
    if (!count) return (Figures){0};
    qsort(us, count, sizeof *us, by_value);
    return (Figures){.p50 = rank_ms(us, count, 0.50),
                     .p90 = rank_ms(us, count, 0.90),
                     .p99 = rank_ms(us, count, 0.99),
                     .max = (double)us[count - 1] / 1000,
                     .count = count};
}

void figures_print_head(const char *title) {
    printf("%-34s %8s %9s %9s %9s %9s\n", title, "count", "p50 ms", "p90 ms", "p99 ms", "max ms");
}

void figures_print(const char *name, const Figures *f) {
    printf("  %-32s %8zu %9.2f %9.2f %9.2f %9.2f\n", name, f->count, f->p50, f->p90, f->p99, f->max);
}

void figures_json(Buf *out, const char *name, const Figures *f) {
    buf_printf(out, "\"%s\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f}", name, f->p50, f->p90,
               f->p99, f->max);
}
