/* Brings a batch to the topic: as several requests at the same time, each of which is narrowed down, refused
 * or sent again by itself. Inside app/ only. */
#pragma once
#include "app/relay/relay.h"
#include "app/relay/relay_parts.h"
#include "grid/grid_breaker.h"
#include "observe/metric.h"

typedef struct RelaySender {
    RelayOptions options;
    GridBreaker breaker; /* between us and the topic */
    RelayParts parts;
    Metric *skipped, *failed, *open;
} RelaySender;

void relay_sender_start(RelaySender *sender, const RelayOptions *options);
/* Sends the batch until all is taken or the topic wants a pause, and marks what it has. watermark: of what
 * has to be sent in the place of an event. False where a database failed. */
bool relay_send(RelaySender *sender, RelayBatch *batch, int64_t watermark, int64_t now_us, Err *err);
