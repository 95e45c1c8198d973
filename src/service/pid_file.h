/* <home>/run/<program>.pid: the process id of the running program, locked while it runs, so that no second
 * one of the same name can work on the same home (each database file has one writer). The lock goes with the
 * process. */
#pragma once
#include "base/err.h"

enum { PID_FILE_WAIT_MS = 5000 };
/* Waits up to PID_FILE_WAIT_MS for a predecessor that is draining. *fd holds the lock. path: kept by the
 * caller. */
bool pid_file_open(const char *path, int *fd, Err *err);
void pid_file_remove(const char *path, int fd);
