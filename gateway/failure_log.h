/* What the log is told of failed requests. Whoever sends more than there is room for must not fill the disk
 * besides: a few lines a second tell as much as thousands. On the loop. */
#pragma once
#include "gateway/gateway.h"

/* route: never what the caller has put into the path. */
void failure_log(Worker *worker, const char *route, const char *correlation_id, const Err *err);
