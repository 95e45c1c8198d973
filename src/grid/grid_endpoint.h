/* The sender's side of one webhook subscription: handshake, one POST per call, and what an outcome means.
 * One thread per endpoint; it never retries by itself. */
#pragma once
#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct GridEndpoint GridEndpoint;
typedef struct GridEndpointOptions {
    const char *name;   /* of the subscription; sent upper-case; copied, like all here */
    const char *url;    /* http or https */
    const char *secret; /* sent as X-Events-Webhook-Secret */
    const char *ca_file;
} GridEndpointOptions;

bool grid_endpoint_open(const GridEndpointOptions *options, GridEndpoint **ret, Err *err);
GridEndpoint *grid_endpoint_free(GridEndpoint *endpoint);
AUTO_FREE(GridEndpoint, grid_endpoint_free)
void grid_endpoint_interrupt(
    GridEndpoint *endpoint); /* any thread: this call and all later ones get no answer */

/* CloudEvents' handshake: does the endpoint consent to deliveries? *status: of HTTP, 0 where no answer came.
 */
bool grid_endpoint_handshake(GridEndpoint *endpoint, int *status, Err *err);
/* POSTs a CloudEvents batch (a JSON array). attempts: tries of its first event so far. Gives the status, 0
 * where no answer came. */
int grid_endpoint_post(GridEndpoint *endpoint, Span batch, unsigned attempts);

/* What to do after an outcome, and the pauses between tries (azure.com: "Event Grid message delivery and
 * retry"). Pure. */
typedef enum GridVerdict {
    GRID_DELIVERED,
    GRID_LATER,   /* the same again, after grid_retry_wait_ms() */
    GRID_HALVE,   /* never accepted as it is, but it holds several events: try fewer */
    GRID_GIVE_UP, /* a single event that will never be accepted: dead letter */
} GridVerdict;
GridVerdict grid_verdict(int status, size_t events);
/* attempt: 1 after the first failure. random: any; adds up to a tenth. */
int64_t grid_retry_wait_ms(unsigned attempt, int status, uint32_t random);
