#include "gateway/auth/proxies.h"

#include <arpa/inet.h>

enum { NETWORKS_MAX = 64, BITS = 128, BITS_V4 = 32 };

typedef struct Network {
    struct in6_addr at; /* of IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
} Network;

struct Proxies {
    size_t count;
    Network networks[NETWORKS_MAX];
};

/* *v4: it was written as IPv4. */
static bool read_address(Span text, struct in6_addr *ret, bool *v4) {
    char copy[INET6_ADDRSTRLEN];
    if (!span_copy(text, copy, sizeof copy)) return false;
    *ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    *v4 = inet_pton(AF_INET, copy, ret->s6_addr + 12) == 1;
    return *v4 || inet_pton(AF_INET6, copy, ret) == 1;
}

static bool read_network(Span text, Network *ret) {
    Span size, address = span_trim(span_split(text, '/', &size));
    bool v4;
    if (!read_address(address, &ret->at, &v4)) return false;
    unsigned most = v4 ? BITS_V4 : BITS;
    uint64_t bits = most;
    if (size.at && !span_to_u64(span_trim(size), most, &bits)) return false;
    ret->bits = (unsigned)bits + BITS - most;
    return true;
}

bool proxies_read(const char *networks, Proxies **ret, Err *err) {
    AUTO(Proxies) p = must(calloc(1, sizeof *p));
    for (Span rest = span_of(networks); rest.at;) {
        Span one = span_trim(span_split(rest, ',', &rest));
        if (!one.len) continue;
        if (p->count == NETWORKS_MAX || !read_network(one, &p->networks[p->count++]))
            return err_set(err, &ERR_CONFIG, "EVENTS_TRUSTED_PROXIES: %.*s is no network, or one too many",
                           (int)(one.len < 64 ? one.len : 64), one.at);
    }
    *ret = p;
    p = NULL;
    return true;
}

Proxies *proxies_free(Proxies *proxies) {
    free(proxies);
    return NULL;
}

static bool is_in(const Network *n, const struct in6_addr *address) {
    size_t whole = n->bits / 8, left = n->bits % 8;
    if (memcmp(n->at.s6_addr, address->s6_addr, whole) != 0) return false;
    return !left || ((n->at.s6_addr[whole] ^ address->s6_addr[whole]) >> (8 - left)) == 0;
}

bool proxies_trust(const Proxies *p, Span address) {
    struct in6_addr at;
    bool v4;
    if (!p->count || !read_address(address, &at, &v4)) return false;
    for (size_t i = 0; i < p->count; i++)
        if (is_in(&p->networks[i], &at)) return true;
    return false;
}

/* "1.2.3.4:567", "[::1]:567" and "[::1]" without what is around the address. */
static Span bare_address(Span text) {
    const char *end = text.len ? memchr(text.at, text.at[0] == '[' ? ']' : ':', text.len) : NULL;
    if (!end) return text;
    if (text.at[0] == '[') return (Span){text.at + 1, (size_t)(end - text.at) - 1};
    bool one_colon = !memchr(end + 1, ':', text.len - (size_t)(end + 1 - text.at));
    return one_colon ? (Span){text.at, (size_t)(end - text.at)} : text;
}

Span proxies_client(const Proxies *p, Span peer, Span list) {
    Span client = peer;
    while (list.len) {
        size_t at = list.len;
        while (at && list.at[at - 1] != ',') at--;
        Span one = bare_address(span_trim((Span){list.at + at, list.len - at}));
        struct in6_addr address;
        bool v4;
        if (!read_address(one, &address, &v4)) return client;
        client = one;
        if (!proxies_trust(p, one)) return client;
        list.len = at ? at - 1 : 0;
    }
    return client;
}
