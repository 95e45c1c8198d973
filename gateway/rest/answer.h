/* Answers of REST calls: messages as JSON or protobuf, problems (RFC 9457), and the fields that every answer
 * has. */
#pragma once
#include "gateway/rest/request.h"
#include "wire/message.h"

enum { ANSWER_FIELDS = 8 };
typedef struct Answer {
    int status; /* 0: 200 */
    const char *media_type;
    HttpField fields[ANSWER_FIELDS]; /* values live until answer_send() */
    size_t field_count;
    Buf body;
    Blob *blob;     /* instead of body; borrowed */
    bool cacheable; /* it says itself how; else no-store */
    unsigned vary;  /* VARY_ bits, beside those of the route */
} Answer;

enum { VARY_ACCEPT = 1, VARY_ENCODING = 2, VARY_ORIGIN = 4 };

void answer_field(Answer *a, const char *name, Span value);
/* Answers the exchange and frees the body: r is gone after it. */
void answer_send(Request *r, Answer *a);
void answer_status(Request *r, int status); /* no body */
/* The head of an answer whose body is written in pieces, see net/http_stream.h; `body` is not looked at. */
void answer_stream(Request *r, const Answer *a);

/* Fills body and media type in the form that the request asks for. Any thread. */
void answer_message(const Request *r, Answer *a, const ProtobufCMessage *message);
/* Compresses the body as the request asks for, where that is worth it. Not on a loop. */
void answer_compress(const Request *r, Answer *a);
/* What would be answered has this entity tag, which is set: If-Match and If-None-Match may turn it into 412
 * or 304 (RFC 9110 section 13.2.2). False where they have; the body need not be filled then. Any thread. */
bool answer_conditions(const Request *r, Answer *a, Span tag);

void answer_problem(Request *r, const ErrKind *kind, const char *detail);
/* The same with one more field. */
void answer_refusal(Request *r, const ErrKind *kind, const char *detail, HttpField field);
/* A problem found on another thread, to be sent later. */
void answer_fill_problem(const Request *r, Answer *a, int status, const char *code, const char *detail,
                         const FieldFaults *faults);
/* An error that the table of kinds does not know, or with faults of fields. */
void answer_faults(Request *r, int status, const char *code, const char *detail, const FieldFaults *faults);
/* One field of the query or the headers is wrong: 400 with `code`. */
void answer_bad_field(Request *r, const char *field, const char *code);
/* What websocket_wanted() says of it, with what would have been taken. */
void answer_no_websocket(Request *r, const Err *err);
void answer_err(Request *r, const Err *err); /* what is our own fault is logged, not told */
