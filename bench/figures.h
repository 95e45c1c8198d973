/* Latencies: percentiles of a bounded set of samples, as a row of a table and as JSON. */
#pragma once
#include "base/buf.h"

typedef struct Figures {
    double p50, p90, p99, max; /* milliseconds */
    size_t count;
} Figures;

/* Sorts us, microseconds. */
Figures figures_of(int64_t *us, size_t count);
void figures_print_head(const char *title);
void figures_print(const char *name, const Figures *figures);
void figures_json(Buf *out, const char *name, const Figures *figures); /* "name":{...} */
