#include "unit/gateway/one_loop.h"

#include "gateway/rpc/rpc.h"
#include "gateway/stream/watch.h"
#include "kit/test.h"

/* --- the loop --- */

static void nobody_needs_repair(void *user) {
    (void)user;
}

void one_loop_open(OneLoop *one) {
    Err err = {0};
    REQUIRE(CHECK_OK(loop_open(&one->worker.loop, &err), &err));
    one->gateway.hub = hub_new(&HUB_LIMITS, nobody_needs_repair, NULL);
    one->gateway.presence = presence_new(true);
    one->worker.gateway = &one->gateway;
    one->worker.counts = loop_counts(0);
    one->worker.rpc = rpc_new();
    one->worker.sessions = sessions_new(&one->worker);
}

void one_loop_close(OneLoop *one) {
    live_stop(one->worker.sessions);
    watches_stop(one->worker.sessions->watches);
    loop_free(one->worker.loop);
    sessions_free(one->worker.sessions);
    rpc_free(one->worker.rpc);
    hub_free(one->gateway.hub);
    presence_free(one->gateway.presence);
}

/* --- the wire --- */

static void take(KeptWire *w, const Blob *frame) {
    Events__V1__ServerFrame *f =
        events__v1__server_frame__unpack(NULL, frame->len, (const uint8_t *)frame->bytes);
    REQUIRE(f != NULL);
    w->hear(w->user, f);
    events__v1__server_frame__free_unpacked(f, NULL);
}

void kept_wire_read(KeptWire *w) {
    for (size_t i = 0; i < w->count; i++) {
        take(w, w->frames[i]);
        blob_unref(w->frames[i]);
    }
    w->count = w->bytes = 0;
}

void kept_wire_drop(void *to) {
    KeptWire *w = to;
    while (w->count) blob_unref(w->frames[--w->count]);
    w->bytes = 0;
}

static Blob *plain(Span message, const char *epoch) {
    (void)epoch;
    return blob_copy(message);
}

static bool keep(void *to, Blob *frame) {
    KeptWire *w = to;
    if (w->bytes + frame->len > SESSION_QUEUE || w->count == KEPT_FRAMES) return false;
    w->frames[w->count++] = blob_ref(frame);
    w->bytes += frame->len;
    if (w->reads) kept_wire_read(w);
    return true;
}

static size_t kept(void *to) {
    return ((KeptWire *)to)->bytes;
}

static void tell_drained(void *to) {
    (void)to; /* it is told by who lets it read */
}

static void close_wire(void *to, int code, const char *reason) {
    KeptWire *w = to;
    (void)code, (void)reason;
    w->closed = true;
}

const SessionWire KEPT_SOCKET = {.form = plain,
                                 .send = keep,
                                 .queued = kept,
                                 .drop = kept_wire_drop,
                                 .tell_drained = tell_drained,
                                 .close = close_wire};
const SessionWire KEPT_STREAM = {
    .form = plain, .send = keep, .queued = kept, .close = close_wire, .high = 256 << 10, .single = true};
