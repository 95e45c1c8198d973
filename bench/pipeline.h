/* The stages that a command goes through, in this process and without HTTP between them, so that each can run
 * alone. */
#pragma once
#include "app/commands/command_workers.h"
#include "app/projection/projector.h"
#include "app/relay/relay.h"
#include "bench/figures.h"
#include "db/db.h"
#include "io/loop.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct PipelineOptions {
    const char *home;        /* a folder of its own; SQLite's files lie in its db/ */
    const char *server;      /* "postgresql://...": write model and queue; NULL: SQLite */
    const char *server_read; /* likewise, read model */
    size_t commands;         /* of each phase */
    unsigned workers;
} PipelineOptions;

/* What a publish handed on. */
typedef struct Delivery {
    struct Delivery *next;
    Arena *arena;
    Events__V1__Envelope **events;
    size_t count;
} Delivery;

typedef struct Pipeline {
    PipelineOptions options;
    char queue_url[600], write_url[600], relay_url[600], read_url[600];
    QueueSender *sender;
    CommandWorkers *workers;
    Db *numbers, *outbox, *read;
    Relay *relay;
    Projector *projector;
    size_t sent; /* commands made so far, in all phases */
    atomic_size_t handled, committed, published, applied;
    pthread_mutex_t lock;
    pthread_cond_t changed;          /* something was committed or published */
    Delivery *first, *last;          /* published, not applied */
    int64_t *commit_us, *publish_us; /* of each event, where they are noted; else NULL */
    size_t noted;
    Err err; /* of the relay's or the projection's thread */
} Pipeline;

bool pipeline_open(Pipeline *p, const PipelineOptions *options, Err *err);
void pipeline_close(Pipeline *p);
/* Each of these works until `upto` commands in all have passed its stage. */
bool pipeline_send(Pipeline *p, size_t upto, double rate, Err *err); /* rate: a second; 0: 1,024 in flight */
bool pipeline_work(Pipeline *p, unsigned workers, Err *err);         /* begins; ends with the next call */
void pipeline_wait_handled(Pipeline *p, size_t upto);
bool pipeline_relay(Pipeline *p, size_t upto, Err *err);
bool pipeline_project(Pipeline *p, size_t upto, Err *err);
/* The rows that the service writes for so many commands, in transactions of 256, and nothing else. */
bool pipeline_limit(Pipeline *p, size_t commands, Err *err);
