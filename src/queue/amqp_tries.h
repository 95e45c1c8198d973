/* How often each message has been tried: what a broker that speaks AMQP 1.0 does not tell. In memory, and for
 * the next start in a small file, not synced: one lost in a power cut means tries that are not counted. Each
 * worker has a file with those of its lanes; after a start with another number of workers, each takes over
 * what is its own now. Inside queue/ only; one thread. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct AmqpTries AmqpTries;
typedef struct Try {
    int deliveries;
    unsigned lane;
    bool locked;   /* it is being handled */
    bool suspect;  /* it was, when the last process ended */
    int64_t due;   /* monotonic: not before; 0: at once */
    int64_t since; /* monotonic: of the last change */
    char id[];
} Try;

/* path: how the names of the files begin. Worker `worker` of `workers` has the lanes that leave it when divided by them.
 * The last one to be opened, `workers` - 1, takes away the files of another number. A file that lacks or cannot
 * be read is an empty one. */
AmqpTries *amqp_tries_open(const char *path, unsigned worker, unsigned workers);
AmqpTries *amqp_tries_free(AmqpTries *tries); /* does not write */
AUTO_FREE(AmqpTries, amqp_tries_free)
Try *amqp_tries_find(const AmqpTries *tries, Span id); /* NULL where there is none */
/* The one that is there, or a new one. */
Try *amqp_tries_put(AmqpTries *tries, Span id, unsigned lane, int64_t now);
void amqp_tries_drop(AmqpTries *tries, Span id);
void amqp_tries_unlock(AmqpTries *tries);                       /* all: they come again */
bool amqp_tries_write(AmqpTries *tries, int64_t now, Err *err); /* no effect where nothing has changed */
