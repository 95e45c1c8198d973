#include "base/uuid.h"

#include "base/clock.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

/* 6ba7b814-... are taken by the RFC; this one was drawn at random once and must never change. */
const Uuid UUID_COMMANDS = {{0x3d, 0x0c, 0x5a, 0x5e, 0x8f, 0x4b, 0x4e, 0x1c, 0xa7, 0x52, 0x64, 0xd1, 0x9b, 0x0e, 0x7f,
                             0x21}};

/* Random bytes are asked of the kernel a few hundred at a time, for each thread on its own: a system call for every id
 * would cost more than all the rest of it. What has been given out is wiped. */
static _Thread_local struct {
    unsigned char bytes[512];
    size_t left;
} pool;

static void ask_kernel(void *to, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t got = getrandom((char *)to + done, len - done, 0);
        if (got < 0) abort();
        done += (size_t)got;
    }
}

/* The child of a fork must not give out the same bytes as its parent. Of its threads only this one lives on. */
static void forget_pool(void) { pool.left = 0; }
static void forget_after_fork(void) { pthread_atfork(NULL, NULL, forget_pool); }

static void refill(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, forget_after_fork);
    ask_kernel(pool.bytes, sizeof pool.bytes);
    pool.left = sizeof pool.bytes;
}

void random_bytes(void *to, size_t len) {
    if (len > sizeof pool.bytes) {
        ask_kernel(to, len);
        return;
    }
    if (len > pool.left) refill();
    pool.left -= len;
    memcpy(to, pool.bytes + pool.left, len);
    explicit_bzero(pool.bytes + pool.left, len);
}

static Uuid stamped(Uuid u, unsigned version) {
    u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | (version << 4));
    u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
    return u;
}

Uuid uuid_v4(void) {
    Uuid u;
    random_bytes(&u, sizeof u);
    return stamped(u, 4);
}

/* RFC 9562 section 6.2, method 3: 12 more bits of time below the millisecond; the last value plus one where the clock
 * stood still or went back. In order within a thread: between threads a lock would order what nobody compares. */
Uuid uuid_v7(void) {
    static _Thread_local uint64_t last;
    int64_t us = clock_now_us();
    uint64_t ticks = ((uint64_t)(us / 1000) << 12) | ((uint64_t)(us % 1000) * 4096 / 1000);
    last = ticks > last ? ticks : last + 1;
    Uuid u;
    random_bytes(u.bytes + 8, 8);
    uint64_t ms = last >> 12;
    for (int i = 0; i < 6; i++) u.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    u.bytes[6] = (uint8_t)(last >> 8 & 0x0f);
    u.bytes[7] = (uint8_t)last;
    return stamped(u, 7);
}

Uuid uuid_v5(const Uuid *space, const Span *parts, size_t count) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_sha1(), NULL)) abort();
    EVP_DigestUpdate(ctx, space->bytes, sizeof space->bytes);
    for (size_t i = 0; i < count; i++) {
        uint8_t length[4] = {(uint8_t)(parts[i].len >> 24), (uint8_t)(parts[i].len >> 16), (uint8_t)(parts[i].len >> 8),
                             (uint8_t)parts[i].len};
        EVP_DigestUpdate(ctx, length, sizeof length);
        EVP_DigestUpdate(ctx, parts[i].at, parts[i].len);
    }
    EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    Uuid u;
    memcpy(u.bytes, digest, sizeof u.bytes);
    return stamped(u, 5);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool uuid_parse(Span text, Uuid *ret) {
    if (text.len != 36) return false;
    size_t byte = 0;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text.at[i++] != '-') return false;
            continue;
        }
        int high = hex_digit(text.at[i]), low = hex_digit(text.at[i + 1]);
        if (high < 0 || low < 0) return false;
        ret->bytes[byte++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return true;
}

void uuid_format(const Uuid *u, char out[UUID_TEXT]) {
    static const char hex[] = "0123456789abcdef";
    char *to = out;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
        *to++ = hex[u->bytes[i] >> 4];
        *to++ = hex[u->bytes[i] & 15];
    }
    *to = 0;
}
