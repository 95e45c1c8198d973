/* What the fuzzers share. Each fuzz_X.c has one function, called with bytes: by libFuzzer (`./dev fuzz X`),
 * or by replay.c with every file of corpus/X (in every run of the tests). It ends the process where a promise
 * is broken; the sanitizers see to the rest. */
#pragma once
#include "base/span.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert, but in every build and with what was promised. */
#define PROMISE(condition, text)                                                                             \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, text);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)
