/* h1_parser.c - see the header. Lines end with CR LF and nothing else; a lone CR or LF, folded lines, white
 * space before the colon, two lengths of any kind, a length beside "chunked", and codings other than a single
 * "chunked" are refused. Trailers are read away: nothing here uses them. */
#include "net/h1/h1_parser.h"

enum { METHOD_MAX = 32, NAME_MAX_LEN = 256, PORT_TEXT = 6 };

/* What a byte may be part of. */
enum { TOKEN = 1, VALUE = 2, TARGET = 4, NAME = 8, DIGIT = 16, HEX = 32 };

#define TOKEN_CHARS "!#$%&'*+-.^_`|~"
#define NAME_CHARS  "-._~!$&'()*+,;=%" /* reg-name, RFC 3986 section 3.2.2 */

static unsigned char kinds[256];

__attribute__((constructor)) static void kinds_fill(void) {
    for (unsigned c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128);
        bool visible = c > 32 && c < 127;
        unsigned kind = 0;
        if (alnum || (visible && strchr(TOKEN_CHARS, (int)c))) kind |= TOKEN;
        if (alnum || (visible && strchr(NAME_CHARS, (int)c))) kind |= NAME;
        if (c == '\t' || (c >= 32 && c != 127)) kind |= VALUE; /* obs-text too */
        if (visible && c != '#') kind |= TARGET;
        if (c >= '0' && c <= '9') kind |= DIGIT | HEX;
        if ((c | 32) >= 'a' && (c | 32) <= 'f') kind |= HEX;
        kinds[c] = (unsigned char)kind;
    }
}

static bool all_of(Span s, unsigned kind) {
    for (size_t i = 0; i < s.len; i++)
        if (!(kinds[(unsigned char)s.at[i]] & kind)) return false;
    return true;
}

/* --- the end of the head --- */

int h1_scan(H1Scan *scan, Span in, size_t header_limit, size_t *len) {
    for (;;) {
        const char *from = in.at + scan->seen;
        const char *lf = scan->seen < in.len ? memchr(from, '\n', in.len - scan->seen) : NULL;
        size_t end = lf ? (size_t)(lf - in.at) : in.len;
        size_t line_len = end - scan->line;
        if (!scan->request_line && line_len > H1_TARGET_MAX) return 414;
        if (scan->request_line && end > H1_TARGET_MAX + header_limit) return 431;
        scan->seen = end;
        if (!lf) return H1_MORE;
        if (line_len == 0 || lf[-1] != '\r') return 400;
        scan->seen = end + 1;
        scan->line = scan->seen;
        if (line_len == 1) {
            if (!scan->request_line) return 400;
            *len = scan->seen;
            return H1_DONE;
        }
        if (!scan->request_line)
            scan->request_line = true;
        else if (++scan->fields > H1_FIELDS_MAX)
            return 431;
    }
}

/* --- the head --- */

static int refuse(const char **why, int status, const char *text) {
    *why = text;
    return status;
}

/* The line at *at without CR LF; moves on. The scan has seen to it that there is one. */
static Span next_line(const char **at, const char *end) {
    const char *cr = memchr(*at, '\r', (size_t)(end - *at));
    const char *from = *at;
    *at = cr + 2;
    return (Span){from, (size_t)(cr - from)};
}

static int parse_version(Span version, H1Head *h, const char **why) {
    if (version.len != 8 || !span_starts(version, SPAN("HTTP/")) || version.at[6] != '.' ||
        !all_of((Span){version.at + 5, 1}, DIGIT) || !all_of((Span){version.at + 7, 1}, DIGIT))
        return refuse(why, 400, "The request line is malformed.");
    if (version.at[5] != '1') return refuse(why, 505, "This HTTP version is not supported.");
    h->http10 = version.at[7] == '0';
    return H1_DONE;
}

static bool is_name(Span name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '%' && (i + 2 >= name.len || !all_of((Span){name.at + i + 1, 2}, HEX)))
            return false;
    return name.len && all_of(name, NAME);
}

/* The letters of an address, in any order: nobody here opens a connection to it. */
static bool is_ip_literal(Span host) {
    if (host.len < 4 || host.at[host.len - 1] != ']') return false;
    for (size_t i = 1; i + 1 < host.len; i++)
        if (!(kinds[(unsigned char)host.at[i]] & HEX) && host.at[i] != ':' && host.at[i] != '.') return false;
    return true;
}

/* Up to the colon before the port. */
static size_t host_len(Span s) {
    const char *end = s.len ? memchr(s.at, *s.at == '[' ? ']' : ':', s.len) : NULL;
    return end ? (size_t)(end - s.at) + (*end == ']') : s.len;
}

bool h1_is_authority(Span s) {
    size_t len = host_len(s);
    Span host = {s.at, len}, port = {s.at + len, s.len - len};
    if (port.len && (*port.at != ':' || port.len > PORT_TEXT)) return false;
    if (port.len) port.at++, port.len--;
    return all_of(port, DIGIT) && (len && *s.at == '[' ? is_ip_literal(host) : is_name(host));
}

/* absolute-form: its authority replaces Host (RFC 9112 section 3.2.2). */
static bool absolute_form(H1Head *h, size_t scheme_len) {
    Span rest = {h->target.at + scheme_len, h->target.len - scheme_len};
    size_t at = 0;
    while (at < rest.len && rest.at[at] != '/' && rest.at[at] != '?') at++;
    h->authority = (Span){rest.at, at};
    if (!h1_is_authority(h->authority)) return false;
    if (at == rest.len)
        h->target = SPAN("/");
    else if (rest.at[at] == '/')
        h->target = (Span){rest.at + at, rest.len - at};
    else
        return false;
    return true;
}

static bool starts_nocase(Span s, Span start) {
    return s.len >= start.len && span_equal_nocase((Span){s.at, start.len}, start);
}

bool h1_is_target(Span target) {
    return target.len && all_of(target, TARGET);
}

static bool parse_target(H1Head *h) {
    if (!h1_is_target(h->target)) return false;
    if (h->target.at[0] == '/') return true;
    if (span_is(h->target, "*") && span_is(h->method, "OPTIONS")) return true;
    if (starts_nocase(h->target, SPAN("http://"))) return absolute_form(h, 7);
    return starts_nocase(h->target, SPAN("https://")) && absolute_form(h, 8);
}

static int parse_request_line(Span line, H1Head *h, const char **why) {
    Span rest, version;
    h->method = span_split(line, ' ', &rest);
    h->target = span_split(rest, ' ', &version);
    if (!h->method.len || !version.at || !all_of(h->method, TOKEN))
        return refuse(why, 400, "The request line is malformed.");
    bool is_target = parse_target(h);
    if (!is_target && h->target.len && all_of(version, TOKEN) && !starts_nocase(version, SPAN("HTTP")))
        return refuse(why, H1_ALIEN, "Another protocol is spoken.");
    int status = parse_version(version, h, why);
    if (status != H1_DONE) return status;
    if (h->method.len > METHOD_MAX || span_is(h->method, "CONNECT"))
        return refuse(why, 501, "This method is not implemented.");
    return is_target ? H1_DONE : refuse(why, 400, "The request target is malformed.");
}

static int parse_field(Span line, Header *ret, const char **why) {
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return refuse(why, 400, "A header field is folded over lines.");
    Span value, name = span_split(line, ':', &value);
    if (!value.at || !name.len || name.len > NAME_MAX_LEN || !all_of(name, TOKEN))
        return refuse(why, 400, "A header field name is malformed.");
    value = span_trim(value);
    if (!all_of(value, VALUE)) return refuse(why, 400, "A header field value holds control characters.");
    for (char *c = (char *)name.at; c < name.at + name.len; c++)
        if (*c >= 'A' && *c <= 'Z') *c |= 32;
    *ret = (Header){name, value};
    return H1_DONE;
}

/* --- fields that decide how to read on --- */

typedef struct Seen {
    unsigned hosts, lengths, codings;
} Seen;

static int on_host(H1Head *h, Span value, Seen *seen, const char **why) {
    if (seen->hosts++ || !h1_is_authority(value))
        return refuse(why, 400, "The Host field is malformed or repeated.");
    if (!h->authority.at) h->authority = value;
    return H1_DONE;
}

static int on_content_length(H1Head *h, Span value, Seen *seen, const char **why) {
    if (seen->lengths++ || !span_to_u64(value, INT64_MAX, &h->length))
        return refuse(why, 400, "The Content-Length field is malformed or repeated.");
    h->has_length = true;
    return H1_DONE;
}

/* Without "chunked" as the last coding nobody can tell where the body ends: 400 (section 6.3, rule 4). With
 * it, a coding that is not known here is 501 (section 6.1). */
static int on_transfer_encoding(H1Head *h, Span value, Seen *seen, const char **why) {
    unsigned chunked = 0, others = 0;
    bool last = false;
    for (Span rest = value; rest.at;) {
        Span coding = span_trim(span_split(rest, ',', &rest));
        last = span_equal_nocase(coding, SPAN("chunked"));
        chunked += last, others += !last;
    }
    if (seen->codings++ || chunked != 1 || !last)
        return refuse(why, 400, "The Transfer-Encoding fields do not end with a single \"chunked\".");
    if (others) return refuse(why, 501, "This transfer coding is not implemented.");
    h->chunked = true;
    return H1_DONE;
}

static int on_connection(H1Head *h, Span value, Seen *seen, const char **why) {
    (void)seen, (void)why;
    for (Span rest = value; rest.at;) {
        Span option = span_trim(span_split(rest, ',', &rest));
        if (span_equal_nocase(option, SPAN("close")))
            h->keep_alive = false;
        else if (h->http10 && span_equal_nocase(option, SPAN("keep-alive")))
            h->keep_alive = true;
    }
    return H1_DONE;
}

static int on_expect(H1Head *h, Span value, Seen *seen, const char **why) {
    (void)seen;
    if (!span_equal_nocase(value, SPAN("100-continue")))
        return refuse(why, 417, "This expectation cannot be met.");
    h->expect_continue = !h->http10;
    return H1_DONE;
}

static const struct {
    Span name;
    int (*take)(H1Head *h, Span value, Seen *seen, const char **why);
} FRAMING[] = {
    {{"host", 4}, on_host},
    {{"content-length", 14}, on_content_length},
    {{"transfer-encoding", 17}, on_transfer_encoding},
    {{"connection", 10}, on_connection},
    {{"expect", 6}, on_expect},
};

static int take_framing(H1Head *h, const Header *field, Seen *seen, const char **why) {
    for (size_t i = 0; i < sizeof FRAMING / sizeof *FRAMING; i++)
        if (span_equal(field->name, FRAMING[i].name)) return FRAMING[i].take(h, field->value, seen, why);
    return H1_DONE;
}

static int check_framing(H1Head *h, const Seen *seen, const char **why) {
    if (!seen->hosts && !h->http10) return refuse(why, 400, "The Host field is missing.");
    if (h->chunked && h->has_length)
        return refuse(why, 400, "Both Content-Length and Transfer-Encoding are given.");
    if (h->chunked && h->http10) return refuse(why, 400, "Transfer-Encoding is not known to HTTP/1.0.");
    return H1_DONE;
}

int h1_parse(char *head, size_t len, H1Head *ret, const char **why) {
    const char *at = head, *end = head + len - 2; /* without the empty line */
    Seen seen = {0};
    Span line = next_line(&at, head + len);
    int status = at[-1] == '\n' ? parse_request_line(line, ret, why)
                                : refuse(why, 400, "A carriage return stands alone.");
    ret->keep_alive = !ret->http10;
    ret->field_count = 0;
    while (status == H1_DONE && at < end) {
        line = next_line(&at, head + len);
        Header *field = &ret->fields[ret->field_count];
        if (at[-1] != '\n') return refuse(why, 400, "A carriage return stands alone.");
        status = parse_field(line, field, why);
        if (status == H1_DONE) status = take_framing(ret, field, &seen, why);
        ret->field_count++;
    }
    return status == H1_DONE ? check_framing(ret, &seen, why) : status;
}

/* --- chunks --- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void line_begin(H1Chunks *k, int state) {
    k->state = state;
    k->line = k->digits = 0;
    k->in_extension = k->colon = k->cr = false;
}

/* One byte of "SIZE[;extension] CR LF". */
static int chunk_line_byte(H1Chunks *k, char c) {
    if (++k->line > H1_CHUNK_LINE_MAX) return 400;
    if (k->cr) {
        if (c != '\n' || !k->digits) return 400;
        line_begin(k, k->left ? H1_CHUNK_DATA : H1_CHUNK_TRAILER);
        return H1_MORE;
    }
    if (c == '\r')
        k->cr = true;
    else if (k->in_extension)
        return kinds[(unsigned char)c] & VALUE && ++k->extensions <= H1_EXTENSIONS_MAX ? H1_MORE : 400;
    else if (c == ';' && k->digits)
        k->in_extension = true;
    else {
        int digit = hex_digit(c);
        if (digit < 0 || ++k->digits > 15) return 400; /* 60 bits are enough for anybody */
        k->left = k->left << 4 | (unsigned)digit;
    }
    return H1_MORE;
}

/* CR LF behind a chunk's bytes. */
static int chunk_end_byte(H1Chunks *k, char c) {
    if (c != (k->cr ? '\n' : '\r')) return 400;
    if (k->cr)
        line_begin(k, H1_CHUNK_LINE);
    else
        k->cr = true;
    return H1_MORE;
}

static int trailer_byte(H1Chunks *k, char c, size_t limit) {
    if (++k->trailers > limit) return 431;
    if (k->cr) {
        if (c != '\n' || (k->line && !k->colon)) return 400;
        if (k->line == 0) {
            k->state = H1_CHUNK_OVER;
            return H1_DONE;
        }
        line_begin(k, H1_CHUNK_TRAILER);
        return H1_MORE;
    }
    if (c == '\r')
        k->cr = true;
    else if (c == ':' && k->line)
        k->colon = true;
    else if (!(kinds[(unsigned char)c] & (k->colon ? VALUE : TOKEN)))
        return 400;
    else
        k->line++;
    return H1_MORE;
}

static Span take_data(H1Chunks *k, Span *in) {
    size_t len = k->left < in->len ? (size_t)k->left : in->len;
    Span data = {in->at, len};
    *in = (Span){in->at + len, in->len - len};
    k->left -= len;
    if (!k->left) line_begin(k, H1_CHUNK_END);
    return data;
}

int h1_chunks(H1Chunks *k, Span *in, size_t trailer_limit, Span *data) {
    *data = (Span){in->at, 0};
    int status = k->state == H1_CHUNK_OVER ? H1_DONE : H1_MORE;
    while (status == H1_MORE && in->len) {
        if (k->state == H1_CHUNK_DATA) {
            *data = take_data(k, in);
            return H1_MORE;
        }
        char c = *in->at++;
        in->len--;
        switch (k->state) {
        case H1_CHUNK_LINE: status = chunk_line_byte(k, c); break;
        case H1_CHUNK_END: status = chunk_end_byte(k, c); break;
        default: status = trailer_byte(k, c, trailer_limit); break;
        }
    }
    return status;
}
