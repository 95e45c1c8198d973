/* Which installation this is, among those that share a database. */
#pragma once
#include "base/span.h"

/* "HOST-0123456789abcdef": of the machine and the data folder, the same after a restart, and no path in it.
 */
enum { PLACE_NAME = 84 };
size_t place_name(const char *home, char out[PLACE_NAME]); /* its length */
