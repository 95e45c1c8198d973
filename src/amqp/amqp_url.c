#include "amqp/amqp_url.h"

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Percent-decoded; false where it does not fit, or holds what is no text. */
static bool decode(Span part, char *to, size_t size) {
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.at[i];
        if (c == '%') {
            if (part.len - i < 3 || hex(part.at[i + 1]) < 0 || hex(part.at[i + 2]) < 0) return false;
            c = (char)(hex(part.at[i + 1]) * 16 + hex(part.at[i + 2]));
            i += 2;
        }
        if ((unsigned char)c < 0x20 || len + 1 >= size) return false;
        to[len++] = c;
    }
    to[len] = 0;
    return true;
}

static bool copy(Span part, char *to, size_t size) {
    return part.len > 0 && decode(part, to, size);
}

/* The last '@' ends the user's part: a password may hold others. */
static bool split_user(Span authority, AmqpUrl *ret, Span *host) {
    size_t at = authority.len;
    while (at > 0 && authority.at[at - 1] != '@') at--;
    *host = span_bytes(authority.at + at, authority.len - at);
    if (!at) return false;
    Span password, user = span_split(span_bytes(authority.at, at - 1), ':', &password);
    return copy(user, ret->user, sizeof ret->user) && copy(password, ret->password, sizeof ret->password);
}

/* host, host:port, [v6] or [v6]:port */
static bool split_host(Span host, AmqpUrl *ret) {
    Span name, port = SPAN_NONE;
    if (span_starts(host, SPAN("["))) {
        name = span_split(span_bytes(host.at + 1, host.len - 1), ']', &port);
        if (!port.at || (port.len && port.at[0] != ':')) return false;
        if (port.len) port = span_bytes(port.at + 1, port.len - 1);
    } else {
        name = span_split(host, ':', &port);
    }
    if (!port.len) port = ret->tls ? SPAN("5671") : SPAN("5672");
    uint64_t number;
    return span_to_u64(port, 65535, &number) && number && copy(name, ret->host, sizeof ret->host) &&
           copy(port, ret->port, sizeof ret->port);
}

static bool read_options(Span options, AmqpUrl *ret) {
    for (Span rest = options; rest.len;) {
        Span value, name = span_split(span_split(rest, '&', &rest), '=', &value);
        if (span_is(name, "dead") && copy(value, ret->dead, sizeof ret->dead)) continue;
        if (span_is(name, "ca") && copy(value, ret->ca, sizeof ret->ca)) continue;
        if (!span_is(name, "broker")) return false;
        ret->service_bus = span_is(value, "servicebus");
        if (!ret->service_bus && !span_is(value, "rabbitmq")) return false;
    }
    return true;
}

/* A name that needs no quoting in an address, and no more room than a lane's number. */
static bool copy_name(Span name, char *to, size_t size) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool fine = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' ||
                    c == '.';
        if (!fine) return false;
    }
    return name.len <= size - 8 && copy(name, to, size);
}

static bool read_path(Span path, AmqpUrl *ret) {
    Span name, rest, queue = span_split(path, '/', &rest), word = span_split(rest, '/', &name);
    if (!copy_name(queue, ret->queue, sizeof ret->queue)) return false;
    return !rest.at || (span_equal_nocase(word, SPAN("subscriptions")) &&
                        copy_name(name, ret->subscription, sizeof ret->subscription));
}

bool amqp_url_is(const char *url) {
    return span_starts(span_of(url), SPAN("amqp://")) || span_starts(span_of(url), SPAN("amqps://"));
}

bool amqp_url_parse(const char *url, AmqpUrl *ret, Err *err) {
    *ret = (AmqpUrl){.tls = span_starts(span_of(url), SPAN("amqps://"))};
    if (!amqp_url_is(url)) return err_set(err, &ERR_CONFIG, "no amqp:// url");
    Span options, path, host, all = span_of(strstr(url, "://") + 3);
    Span before = span_split(all, '?', &options);
    Span authority = span_split(before, '/', &path);
    if (!split_user(authority, ret, &host) || !split_host(host, ret))
        return err_set(err, &ERR_CONFIG,
                       "amqp url: user:password@host:port is wanted before the queue's name");
    if (!read_path(path, ret))
        return err_set(err, &ERR_CONFIG,
                       "amqp url: the queue's name is of letters, digits, - _ . and not too long");
    ret->service_bus = span_ends(span_of(ret->host), SPAN(".servicebus.windows.net"));
    return read_options(options, ret) ||
           err_set(err, &ERR_CONFIG,
                   "amqp url: behind the ? only dead=DATABASE and ca=FILE, percent-encoded, and"
                   " broker=rabbitmq or servicebus");
}
