/* Answers of the gateway's REST calls as a client reads them: tokens, outcomes and problem documents.
 * Lenient: members that it does not know are passed over. No I/O. */
#pragma once
#include "base/arena.h"
#include "base/span.h"

/* What is absent has at == NULL (numbers: 0). Spans live in the arena or in the body. */
typedef struct ClientAnswer {
    Span access_token, refresh_token;
    int64_t expires_in; /* seconds */
    Span status;        /* of an outcome: "pending", "succeeded", "rejected", "failed" */
    Span command_id;
    Span code, field, message; /* of the first error; else of the whole answer */
} ClientAnswer;

/* False where the body is no JSON object. */
bool client_answer_read(Span body, Arena *arena, ClientAnswer *ret);

/* The tenant (claim tid) of an access token, for our own use: the signature is the gateway's business and is
 * not looked at. False where there is none. */
bool client_token_tenant(Span token, Arena *arena, Span *ret);
