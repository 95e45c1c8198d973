/* HTTP/1.1 requests: head and chunked body. However the bytes are cut, the outcome is the same. */
#include "fuzz.h"

#include "base/auto.h"
#include "net/h1/h1_parser.h"

enum { HEADER_LIMIT = 16 << 10, TRAILER_LIMIT = 4 << 10 };

static int scan_in_steps(Span in, size_t step, size_t *len, size_t *fields) {
    H1Scan scan = {0};
    int outcome = H1_MORE;
    for (size_t have = 0; outcome == H1_MORE && have < in.len;) {
        have = have + step < in.len ? have + step : in.len;
        outcome = h1_scan(&scan, (Span){in.at, have}, HEADER_LIMIT, len);
    }
    *fields = scan.fields;
    return outcome;
}

/* The body without its chunk lines into `to`, which is as large as the input. */
static int chunks_in_steps(Span in, size_t step, char *to, size_t *len) {
    H1Chunks chunks = {0};
    int outcome = H1_MORE;
    *len = 0;
    for (size_t at = 0; outcome == H1_MORE && at < in.len; at += step) {
        Span part = {in.at + at, step < in.len - at ? step : in.len - at}, data;
        while (part.len && outcome == H1_MORE) {
            outcome = h1_chunks(&chunks, &part, TRAILER_LIMIT, &data);
            if (outcome > H1_DONE) break;
            PROMISE(*len + data.len <= in.len, "a body is not longer than its bytes");
            if (data.len) memcpy(to + *len, data.at, data.len);
            *len += data.len;
        }
    }
    return outcome;
}

static void read_body(Span in) {
    char *whole = must(malloc(in.len + 1)), *steps = must(malloc(in.len + 1));
    size_t whole_len, steps_len;
    int first = chunks_in_steps(in, in.len ? in.len : 1, whole, &whole_len);
    int second = chunks_in_steps(in, 1, steps, &steps_len);
    PROMISE(first == second && whole_len == steps_len && !memcmp(whole, steps, whole_len),
            "a chunked body does not depend on where it was cut");
    free(whole);
    free(steps);
}

static void read_head(const uint8_t *data, size_t len, size_t fields) {
    char *head = must(malloc(len));
    Header *room = must(calloc(fields + 1, sizeof *room));
    H1Head parsed = {.fields = room};
    const char *why = NULL;
    memcpy(head, data, len);
    int outcome = h1_parse(head, len, &parsed, &why);
    PROMISE(outcome == H1_DONE || outcome == H1_ALIEN || (outcome >= 400 && outcome < 600),
            "a head is good, has a status, or is no HTTP");
    PROMISE(outcome != H1_DONE || parsed.field_count <= fields, "no more fields than lines");
    PROMISE(outcome != H1_DONE || !(parsed.chunked && parsed.has_length),
            "one way to tell the body's length");
    free(room);
    free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t len = 0, fields, len_again = 0, fields_again;
    Span in = span_bytes(data, size);
    int outcome = scan_in_steps(in, size ? size : 1, &len, &fields);
    int again = scan_in_steps(in, 1, &len_again, &fields_again);
    PROMISE((outcome == H1_DONE) == (again == H1_DONE) && len == len_again,
            "the end of a head is where it is");
    if (outcome == H1_DONE) {
        PROMISE(len <= size, "a head ends within its bytes");
        read_head(data, len, fields);
        read_body(span_bytes(data + len, size - len));
    }
    read_body(in);
    return 0;
}
