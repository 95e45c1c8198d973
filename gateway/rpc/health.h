/* Who watches the gateway's health: streams of one loop, told of each change. */
#pragma once
#include "gateway/gateway.h"

typedef struct HealthWatchers HealthWatchers;
HealthWatchers *health_watchers_new(void);
HealthWatchers *health_watchers_free(HealthWatchers *watchers);
void health_changed(HealthWatchers *watchers, const Worker *worker);
void health_drain(HealthWatchers *watchers);

HealthWatchers *rpc_watchers(const Worker *worker); /* rpc.c */
