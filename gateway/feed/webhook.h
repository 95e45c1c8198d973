/* Event Grid's deliveries into the hub. */
#pragma once
#include "gateway/gateway.h"

/* secrets: as GridWebhookOptions, kept. */
GridWebhook *webhook_new(Gateway *gateway, const char *secrets);
