#include "net/h2/h2_frames.h"

enum { PREFACE = 24, TYPE_PRIORITY = 2 };

static uint32_t number(const unsigned char *at, size_t bytes) {
    uint32_t n = 0;
    for (size_t i = 0; i < bytes; i++) n = n << 8 | at[i];
    return n;
}

void h2_frames_init(H2Frames *f) {
    *f = (H2Frames){.left = PREFACE};
}

static void skip(Span *in, size_t len) {
    in->at += len;
    in->len -= len;
}

/* PRIORITY says behind its head what is to be known of it. */
static size_t wanted(const H2Frames *f) {
    bool priority = f->have >= H2_FRAME_HEAD && f->head[3] == TYPE_PRIORITY && number(f->head, 3) >= 4;
    return priority ? H2_FRAME_HEAD_AND_PARENT : H2_FRAME_HEAD;
}

/* True once the head is whole. */
static bool gather(H2Frames *f, Span *in) {
    for (size_t want; f->have < (want = wanted(f)) && in->len;) {
        size_t part = want - f->have < in->len ? want - f->have : in->len;
        memcpy(f->head + f->have, in->at, part);
        f->have += (uint8_t)part;
        skip(in, part);
    }
    return f->have >= wanted(f);
}

bool h2_frames_next(H2Frames *f, Span *in, H2FrameHead *ret) {
    size_t over = f->left < in->len ? f->left : in->len;
    skip(in, over);
    f->left -= (uint32_t)over;
    const char *at = in->at;
    if (f->left || !gather(f, in)) return false;
    *ret = (H2FrameHead){.at = at,
                         .length = number(f->head, 3),
                         .type = f->head[3],
                         .flags = f->head[4],
                         .stream = number(f->head + 5, 4) & 0x7fffffff};
    if (f->have > H2_FRAME_HEAD) ret->parent = number(f->head + H2_FRAME_HEAD, 4) & 0x7fffffff;
    f->left = ret->length - (f->have - H2_FRAME_HEAD);
    f->have = 0;
    return true;
}
