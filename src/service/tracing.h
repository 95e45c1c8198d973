/* Where a program's traces go, by the settings of OpenTelemetry (OTEL_EXPORTER_OTLP_ENDPOINT and others, see
 * base/config.c). */
#pragma once
#include "base/auto.h"
#include "base/config.h"
#include "base/err.h"

typedef struct Tracing Tracing;
/* *ret is NULL where no traces are wanted. ERR_CONFIG where a setting is wrong. Call it with signals blocked:
 * it starts a thread. */
bool tracing_open(const Config *config, const char *program, Tracing **ret, Err *err);
Tracing *tracing_free(Tracing *tracing); /* sends what waits, for up to 2 s */
AUTO_FREE(Tracing, tracing_free)
