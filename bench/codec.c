/* bench-codec - what one message costs: nanoseconds and calls of malloc, beside protobuf-c and jansson.
 * `--sample` prints the message as a CloudEvent instead, for bench/codec.mjs. */
#include "bench/codec.h"
#include "bench/heap_count.h"
#include <stdio.h>
#include <time.h>

enum { PASSES = 5, WARM_UP = 500, ROUNDS = 300, CALLS = 100 };

typedef struct Cost {
    double ns, allocations; /* of one call */
} Cost;

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static bool repeat(const CodecCall *call, Sample *s, int times) {
    bool ok = true;
    for (int i = 0; i < times; i++) ok = call->run(s) && ok;
    return ok;
}

/* The best round: what the work itself takes, without what else runs on the machine. */
static bool measure(const CodecCall *call, Sample *s, Cost *cost) {
    if (!repeat(call, s, WARM_UP)) return false;
    size_t before = heap_count();
    for (int round = 0; round < ROUNDS; round++) {
        double begun = now_ns();
        if (!repeat(call, s, CALLS)) return false;
        double each = (now_ns() - begun) / CALLS;
        if (!cost->ns || each < cost->ns) cost->ns = each;
    }
    cost->allocations = (double)(heap_count() - before) / ((double)ROUNDS * CALLS);
    return true;
}

/* All of them in turn and again, so that a busy moment of the machine does not fall on one alone. */
static bool measure_all(Sample *s, Cost *costs) {
    for (size_t i = 0; i < PASSES * CODEC_CALL_COUNT; i++) {
        const CodecCall *call = &CODEC_CALLS[i % CODEC_CALL_COUNT];
        if (measure(call, s, &costs[i % CODEC_CALL_COUNT])) continue;
        fprintf(stderr, "bench-codec: %s failed\n", call->name);
        return false;
    }
    return true;
}

static const Cost *cost_of(const Cost *costs, const char *name) {
    for (size_t i = 0; i < CODEC_CALL_COUNT; i++)
        if (strcmp(CODEC_CALLS[i].name, name) == 0) return &costs[i];
    return NULL;
}

static void print_goals(const Cost *costs) {
    printf("\nJSON encode is %.1f times as fast as jansson, decode %.1f times (goal: 5); peek takes %.0f ns "
           "(goal: 100)\n",
           cost_of(costs, "json_encode_jansson")->ns / cost_of(costs, "json_encode")->ns,
           cost_of(costs, "json_decode_jansson")->ns / cost_of(costs, "json_decode")->ns,
           cost_of(costs, "envelope_peek")->ns);
}

static void print_json(const Cost *costs) {
    printf("{\"bench\":\"codec\"");
    for (size_t i = 0; i < CODEC_CALL_COUNT; i++)
        printf(",\"%s\":{\"ns\":%.1f,\"allocations\":%.2f}", CODEC_CALLS[i].name, costs[i].ns,
               costs[i].allocations);
    printf("}\n");
}

static int run(Sample *s) {
    Cost *costs = must(calloc(CODEC_CALL_COUNT, sizeof *costs));
    bool ok = measure_all(s, costs);
    if (ok) {
        printf("%-34s %10s %12s\n", "one message", "ns", "allocations");
        for (size_t i = 0; i < CODEC_CALL_COUNT; i++)
            printf("%-34s %10.1f %12.2f\n", CODEC_CALLS[i].title, costs[i].ns, costs[i].allocations);
        print_goals(costs);
        print_json(costs);
    }
    free(costs);
    return ok ? 0 : 1;
}

int main(int argc, char **argv) {
    Sample sample;
    sample_init(&sample);
    int outcome = 0;
    if (argc == 2 && strcmp(argv[1], "--sample") == 0)
        printf("%.*s\n", SPAN_ARGS(sample.cloudevent));
    else
        outcome = run(&sample);
    sample_clear(&sample);
    return outcome;
}
