/* What belongs to the program's own image: literals, and tables of constants. It is there for as long as the program. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

extern const char __executable_start[], __bss_start[]; /* made by the linker */

static inline bool is_of_image(const char *at) {
    return (uintptr_t)at >= (uintptr_t)__executable_start && (uintptr_t)at < (uintptr_t)__bss_start;
}
