/* <home>/run/<program>.admin: where the running program has its admin address, for its neighbours on this
 * machine. A hint: it stays behind where the program was killed. */
#pragma once
#include "base/err.h"
#include "base/span.h"

enum { ADMIN_ADDRESS = 300 };
/* listen: as configured, "host:port"; port: the real one. Who listens on all addresses is told to be on
 * loopback. */
bool admin_file_write(const char *path, const char *listen, unsigned port, Err *err);
bool admin_file_read(const char *home, const char *program,
                     char out[ADMIN_ADDRESS]); /* false: there is none */
