/* Cuts the body of a publish request into the JSON texts of its events, and checks what CloudEvents 1.0
 * demands of each (required attributes, names, types, data or data_base64). Events stay text: what came in is
 * what goes out. No I/O. */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

enum { GRID_SPLIT_EVENTS = 5000, GRID_SPLIT_BYTES = 1048576 };

/* batch: the body is an array. The events point into the body; the list lies in the arena. ERR_INVALID (400)
 * or ERR_TOO_LARGE (413); the text names the place and the attribute, never a value. */
bool grid_split(Span body, bool batch, Arena *arena, Span **events, size_t *count, Err *err);
