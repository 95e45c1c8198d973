/* The admin address: GET /health/live, /health/ready, /metrics, /openapi.json, /asyncapi.json; everything
 * answered from memory on a loop of its own, so that it works while the program's other threads are stuck. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "io/doorbell.h"
#include <stdatomic.h>

typedef struct Health Health;
/* ready: borrowed; /health/ready is 503 while it is false. program: borrowed; /metrics names it. */
bool health_open(const char *address, const char *program, const atomic_bool *ready, Health **ret, Err *err);
/* From now on POST /doorbell and /repair with one of the secrets ring this bell (service/ring_wire.h). Both
 * are borrowed; NULL ends it: then nobody is in it any more. */
void health_bell(Health *health, Doorbell *bell, const char *secrets);
Health *health_free(Health *health);
AUTO_FREE(Health, health_free)
unsigned health_port(const Health *health);
