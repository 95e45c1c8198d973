/* dburl.c - RFC 3986, as far as the urls of databases use it. A url holds a password: no message quotes it.
 */
#include "db/dialect.h"

#include <ctype.h>

static bool refuse(Err *err, const char *why) {
    return err_set(err, &ERR_CONFIG, "database url: %s", why);
}

static int hex(char c) {
    if (isdigit((unsigned char)c)) return c - '0';
    return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Section 2.1: percent-encoding. */
static bool decode(Span text, char *to, size_t size, Err *err) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            bool whole = i + 2 < text.len && hex(text.at[i + 1]) >= 0 && hex(text.at[i + 2]) >= 0;
            if (!whole) return refuse(err, "bad percent-encoding");
            c = (char)(hex(text.at[i + 1]) * 16 + hex(text.at[i + 2]));
            i += 2;
        }
        if (!c || len + 1 >= size) return refuse(err, "a part is too long, or has a NUL");
        to[len++] = c;
    }
    to[len] = 0;
    return true;
}

/* Section 3.2.1: before the last @, because passwords are often pasted as they are. */
static bool take_user(Span *rest, DbUrl *ret, Err *err) {
    size_t at = rest->len;
    while (at > 0 && rest->at[at - 1] != '@') at--;
    if (!at) return true;
    Span password, user = span_split((Span){rest->at, at - 1}, ':', &password);
    *rest = (Span){rest->at + at, rest->len - at};
    return decode(user, ret->user, sizeof ret->user, err) &&
           decode(password, ret->password, sizeof ret->password, err);
}

/* Section 3.2.2: an IPv6 address stands in brackets. */
static bool take_host(Span rest, DbUrl *ret, Err *err) {
    Span host, port;
    if (rest.len && *rest.at == '[') {
        host = span_split((Span){rest.at + 1, rest.len - 1}, ']', &port);
        if (!port.at || (port.len && *port.at != ':')) return refuse(err, "bad address in brackets");
        if (port.len) port = (Span){port.at + 1, port.len - 1};
    } else {
        host = span_split(rest, ':', &port);
    }
    uint64_t number;
    if (port.len && (!span_to_u64(port, 65535, &number) || !number)) return refuse(err, "bad port");
    return decode(host, ret->host, sizeof ret->host, err) && decode(port, ret->port, sizeof ret->port, err);
}

static bool take_options(Span rest, DbUrl *ret, Err *err) {
    while (rest.len) {
        Span value, key = span_split(span_split(rest, '&', &rest), '=', &value);
        if (ret->option_count == URL_OPTIONS_MAX) return refuse(err, "too many options");
        if (!decode(key, ret->options[ret->option_count].key, sizeof ret->options->key, err) ||
            !decode(value, ret->options[ret->option_count].value, sizeof ret->options->value, err))
            return false;
        ret->option_count++;
    }
    return true;
}

bool dburl_parse(const char *url, DbUrl *ret, Err *err) {
    *ret = (DbUrl){0};
    const char *at = strstr(url, "://");
    if (!at) return refuse(err, "no :// in it");
    Span query, name, all = span_split(span_of(at + 3), '?', &query), authority = span_split(all, '/', &name);
    return take_user(&authority, ret, err) && take_host(authority, ret, err) &&
           decode(name, ret->name, sizeof ret->name, err) && take_options(query, ret, err);
}

bool dburl_plain(Buf *out, const char *name, const char *value, Err *err) {
    if (strpbrk(value, ";{}"))
        return err_set(err, &ERR_CONFIG, "database url: %s must not contain ; { or }", name);
    if (*value) buf_printf(out, "%s=%s;", name, value);
    return true;
}

void dburl_braced(Buf *out, const char *name, const char *value) {
    if (!*value) return;
    buf_printf(out, "%s={", name);
    for (; *value; value++) {
        if (*value == '}') buf_byte(out, '}');
        buf_byte(out, *value);
    }
    buf_text(out, "};");
}
