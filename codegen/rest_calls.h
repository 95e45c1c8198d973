/* The REST calls: the one place that describes them. openapi.json and the page of documentation follow from
 * it; a unit test compares it with the gateway's table of routes, both ways. */
#pragma once
#include "base/auto.h"
#include "base/span.h"

typedef struct RestParameter {
    const char *key;  /* how calls name it */
    const char *name; /* on the wire */
    const char *in;   /* "path", "query", "header" */
    const char *about;
    const char *schema; /* JSON */
    bool required;
} RestParameter;

typedef struct RestHeader {
    const char *name, *about;
} RestHeader;

typedef struct RestCall {
    const char *method, *path; /* "{CommandName}" in it: a call for each command */
    const char *id, *tag, *summary, *about;
    const char *scope;         /* NULL: no token; "": any token */
    const char *body;          /* message; NULL: none */
    const char *elsewhere;     /* fields of the body that the path or a header carries */
    int status;                /* of success */
    const char *answer;        /* message; NULL: see answer_schema */
    const char *answer_schema; /* JSON; NULL: see media_type */
    const char *media_type;    /* other than JSON */
    const char *parameters;    /* keys, with commas between */
    const char *headers;       /* of the answer: names, with commas between */
    const char *others;        /* statuses that do not follow from the rest, with commas between */
} RestCall;

const RestCall *rest_calls(size_t *count);
const RestParameter *rest_parameter(Span key); /* NULL where there is none */
const RestHeader *rest_headers(size_t *count);
bool rest_call_is_per_command(const RestCall *call);
bool rest_call_takes(const char *message); /* is it the body of a call? */
/* All statuses of the call but its success, in rising order. */
size_t rest_call_faults(const RestCall *call, int *statuses, size_t room);
const char *rest_status_text(int status);
