/* One loop's sessions with a hub, and a wire to one of them that keeps what it is given until it is read. All on the
 * loop's thread. */
#pragma once
#include "gateway/stream/live.h"

typedef struct OneLoop {
    Gateway gateway;
    Worker worker;
} OneLoop;

void one_loop_open(OneLoop *one); /* the hub has not been started */
void one_loop_close(OneLoop *one);

enum { KEPT_FRAMES = 4096 };

typedef struct KeptWire {
    void (*hear)(void *user, const Events__V1__ServerFrame *frame);
    void *user;
    bool reads; /* at once; else whoever calls kept_wire_read() does */
    bool closed;
    Blob *frames[KEPT_FRAMES];
    size_t count, bytes;
} KeptWire;

void kept_wire_read(KeptWire *wire);
void kept_wire_drop(void *wire);

/* As a WebSocket's queue, and as a stream's, which is never dropped. */
extern const SessionWire KEPT_SOCKET, KEPT_STREAM;
