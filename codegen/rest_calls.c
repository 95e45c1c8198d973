#include "rest_calls.h"

#define ANY_TEXT "{\"type\":\"string\"}"
#define POSITION "{\"type\":\"string\",\"pattern\":\"^[0-9]{1,19}$\"}"
#define VISIBLE  "{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,\"pattern\":\"^[!-~]+$\"}"
#define STATUS                                                                                               \
    "{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"type\":\"string\"}}}"
#define TYPE_LIST "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/MessageDescription\"}}"
#define TYPES                                                                                                \
    "{\"type\":\"object\",\"required\":[\"events\",\"commands\"],\"properties\":{\"events\":" TYPE_LIST      \
    ",\"commands\":" TYPE_LIST "}}"
#define JWKS                                                                                                 \
    "{\"type\":\"object\",\"required\":[\"keys\"],\"properties\":{\"keys\":{\"type\":\"array\",\"items\":{"  \
    "\"type\":"                                                                                              \
    "\"object\",\"required\":[\"kty\",\"crv\",\"alg\",\"kid\",\"x\",\"y\"]}}}}"
#define PROGRAMS                                                                                             \
    "{\"type\":\"object\",\"required\":[\"time\",\"summary\",\"programs\"],\"properties\":{\"time\":{"       \
    "\"type\":"                                                                                              \
    "\"string\"},\"summary\":{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"integer\",\"null\"]" \
    "}},"                                                                                                    \
    "\"programs\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"ready\"]}}}}"
#define BATCH    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/CloudEvent\"}}"
#define DOCUMENT "{\"type\":\"object\"}"

static const RestParameter PARAMETERS[] = {
    {"correlation", "X-Correlation-Id", "header", "1 to 128 visible ASCII characters; made where absent.",
     VISIBLE, false},
    {"trace", "traceparent", "header", "W3C Trace Context; the trace is continued.", ANY_TEXT, false},
    {"idempotency", "Idempotency-Key", "header",
     "The same key again within 7 days has no second effect and the same answer.", VISIBLE, false},
    {"ifMatch", "If-Match", "header", "The version to change, in quotes, or * for whichever there is.",
     "{\"type\":\"string\",\"pattern\":\"^(?:\\\\*|\\\"[0-9]+\\\")$\"}", true},
    {"ifNoneMatch", "If-None-Match", "header", "An entity tag that the caller has; 304 where it still holds.",
     ANY_TEXT, false},
    {"minPosition", "X-Events-Min-Position", "header",
     "Wait up to 2 s until the read model holds this position, then answer.", POSITION, false},
    {"prospectId", "prospectId", "path", "The prospect's id.",
     "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1,\"maximum\":9007199254740991}", true},
    {"commandId", "commandId", "path", "As in the answer 202.", "{\"type\":\"string\",\"format\":\"uuid\"}",
     true},
    {"schema", "name", "path", "An event, a command, CloudEvent or Envelope, with .json behind it.", ANY_TEXT,
     true},
    {"query", "query", "query",
     "Prefixes of the words in names and e-mail, without case and accents. Needs prospects:pii.",
     "{\"type\":\"string\",\"maxLength\":256}", false},
    {"sort", "sort", "query", "With - before it descending. lastName and email need prospects:pii.",
     "{\"type\":\"string\",\"default\":\"-createdAt\",\"enum\":[\"createdAt\",\"-createdAt\",\"updatedAt\","
     "\"-updatedAt\",\"lastName\",\"-lastName\",\"email\",\"-email\"]}",
     false},
    {"limit", "limit", "query", "How many items a page has.",
     "{\"type\":\"integer\",\"minimum\":1,\"maximum\":200,\"default\":50}", false},
    {"eventLimit", "limit", "query", "How many events a page has.",
     "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100}", false},
    {"cursor", "cursor", "query", "nextCursor of the page before; opaque.", ANY_TEXT, false},
    {"after", "after", "query", "Only events above this position; X-Events-Position of the page before.",
     POSITION, false},
    {"streamAfter", "after", "query",
     "Begin behind this position, or behind \"epoch.position\"; absent: with what happens from now on.",
     ANY_TEXT, false},
    {"subjects", "subjects", "query", "Subjects, with commas between: prospect/12, prospect/*; absent: all.",
     ANY_TEXT, false},
    {"presence", "presence", "query",
     "Tell, too, who is looking at the subjects, and be one of them where a subject is named alone.",
     "{\"type\":\"boolean\",\"default\":false}", false},
    {"lastEventId", "Last-Event-ID", "header",
     "The id of the last message that came, \"epoch.position\"; counts before after.", ANY_TEXT, false},
    {"types", "types", "query", "Event types, with commas between; absent: all.", ANY_TEXT, false},
    {"ticket", "ticket", "query", "A single-use ticket, in place of the Authorization header.", ANY_TEXT,
     false},
    {"subprotocol", "Sec-WebSocket-Protocol", "header",
     "events.v1.protobuf; with \"bearer.\" and a token behind it as a second one, where no header can be "
     "set.",
     ANY_TEXT, false},
    {"secret", "X-Events-Webhook-Secret", "header", "The shared secret; or query parameter secret.", ANY_TEXT,
     false},
    {"webhookOrigin", "WebHook-Request-Origin", "header", "Who wants to deliver.", ANY_TEXT, false},
};

static const RestHeader HEADERS[] = {
    {"X-Correlation-Id", "The request's, or one made for it."},
    {"Location", "Where the command's outcome is found."},
    {"ETag", "Of what is answered; for a prospect its version in quotes."},
    {"X-Events-Position", "Subscribe or read on from here and nothing is missed."},
    {"X-Events-Epoch", "The log that the position belongs to."},
    {"WebHook-Allowed-Origin", "Consent to the deliveries."},
};

#define ACCEPTED       "A 202 means that the command is on disk: it survives the loss of any process, and of power."
#define COMMAND_FAULTS "422,429"

static const RestCall CALLS[] = {
    {.method = "POST",
     .path = "/api/auth/login",
     .id = "login",
     .tag = "Sign in",
     .summary = "Sign in",
     .about = "Gives an access token, and a refresh token for the next one.",
     .body = "LoginRequest",
     .status = 200,
     .answer = "TokenReply",
     .others = "401,429,503"},
    {.method = "POST",
     .path = "/api/auth/refresh",
     .id = "refresh",
     .tag = "Sign in",
     .summary = "Renew the tokens",
     .about = "Refresh tokens rotate: using one a second time ends all that descend from the same sign-in.",
     .body = "RefreshRequest",
     .status = 200,
     .answer = "TokenReply",
     .others = "401,503"},
    {.method = "POST",
     .path = "/api/auth/logout",
     .id = "logout",
     .tag = "Sign in",
     .summary = "End the session of this token",
     .about = "Its refresh token and its access tokens are refused from now on, and its streams are closed "
              "within a second. The user's other sessions stay.",
     .scope = "",
     .status = 204,
     .others = "413,503"},
    {.method = "POST",
     .path = "/api/auth/ticket",
     .id = "ticket",
     .tag = "Sign in",
     .summary = "A ticket for the event stream",
     .about = "Single use, 30 seconds, bound to the user and the page's origin: for browsers, which cannot "
              "set a header "
              "on a WebSocket.",
     .scope = "",
     .status = 200,
     .answer = "TicketReply",
     .others = "413,503"},
    {.method = "GET",
     .path = "/.well-known/jwks.json",
     .id = "jwks",
     .tag = "Sign in",
     .summary = "The public keys",
     .about = "Tokens are ES256; these verify them.",
     .status = 200,
     .answer_schema = JWKS,
     .media_type = "application/jwk-set+json"},
    {.method = "GET",
     .path = "/api/prospects",
     .id = "listProspects",
     .tag = "Prospects",
     .summary = "Pages of prospects",
     .about = "A cursor is opaque and bound to query and sort.",
     .scope = "prospects:read",
     .status = 200,
     .answer = "ProspectPage",
     .parameters = "query,sort,limit,cursor,minPosition",
     .headers = "X-Events-Position,X-Events-Epoch",
     .others = "400,503"},
    {.method = "POST",
     .path = "/api/prospects",
     .id = "createProspect",
     .tag = "Prospects",
     .summary = "Create a prospect",
     .about = ACCEPTED,
     .scope = "prospects:write",
     .body = "CreateProspect",
     .status = 202,
     .answer = "CommandAccepted",
     .parameters = "idempotency",
     .headers = "Location",
     .others = COMMAND_FAULTS ",503"},
    {.method = "GET",
     .path = "/api/prospects/{prospectId}",
     .id = "getProspect",
     .tag = "Prospects",
     .summary = "One prospect",
     .about = "Its version is the entity tag. One that was merged into another has moved there: 308.",
     .scope = "prospects:read",
     .status = 200,
     .answer = "Prospect",
     .parameters = "prospectId,ifNoneMatch,minPosition",
     .headers = "ETag,X-Events-Position,X-Events-Epoch",
     .others = "304,308,400,404,503"},
    {.method = "PUT",
     .path = "/api/prospects/{prospectId}",
     .id = "updateProspect",
     .tag = "Prospects",
     .summary = "Change a prospect",
     .about = "The body is the full new state. A stale version becomes a CommandRejected, code "
              "version_conflict. " ACCEPTED,
     .scope = "prospects:write",
     .body = "UpdateProspect",
     .elsewhere = "prospect_id,expected_version",
     .status = 202,
     .answer = "CommandAccepted",
     .parameters = "prospectId,ifMatch,idempotency",
     .headers = "Location",
     .others = "404,428," COMMAND_FAULTS ",503"},
    {.method = "GET",
     .path = "/api/prospects/{prospectId}/history",
     .id = "prospectHistory",
     .tag = "Prospects",
     .summary = "The events of one prospect",
     .about = "Newest first.",
     .scope = "prospects:read",
     .status = 200,
     .answer = "EventPage",
     .parameters = "prospectId,limit,cursor,minPosition",
     .headers = "X-Events-Position,X-Events-Epoch",
     .others = "400,404,503"},
    {.method = "POST",
     .path = "/api/commands/{CommandName}",
     .id = "command",
     .tag = "Commands",
     .summary = "Send a command",
     .about = ACCEPTED,
     .scope = "prospects:write",
     .status = 202,
     .answer = "CommandAccepted",
     .parameters = "idempotency",
     .headers = "Location",
     .others = COMMAND_FAULTS ",503"},
    {.method = "GET",
     .path = "/api/commands/{commandId}",
     .id = "commandOutcome",
     .tag = "Commands",
     .summary = "A command's outcome",
     .about = "Found from the moment of the 202, for 7 days. succeeded: reads show the change.",
     .scope = "",
     .status = 200,
     .answer = "CommandOutcome",
     .parameters = "commandId",
     .others = "404,503"},
    {.method = "GET",
     .path = "/api/events",
     .id = "readEvents",
     .tag = "Events",
     .summary = "Read the log of events",
     .about = "In the order of their numbers. CommandRejected is shown to the sender of the command alone.",
     .scope = "prospects:read",
     .status = 200,
     .answer_schema = BATCH,
     .media_type = "application/cloudevents-batch+json",
     .parameters = "after,eventLimit,types,minPosition",
     .headers = "X-Events-Position,X-Events-Epoch",
     .others = "400,503"},
    {.method = "GET",
     .path = "/api/events/stream",
     .id = "eventStream",
     .tag = "Events",
     .summary = "The stream of events as server-sent events",
     .about = "For networks that let no WebSocket through; read it with fetch(), which can send the token. A "
              "message of "
              "the default type is one event, its data the envelope in JSON; its id is \"epoch.position\", "
              "and storing "
              "the latest one is always safe. Messages of the types Subscribed, ResyncRequired, PresenceChanged, "
              "Reconnect and Closed tell "
              "of the stream itself. After ResyncRequired reload by REST and begin at X-Events-Position.",
     .scope = "",
     .status = 200,
     .answer_schema = ANY_TEXT,
     .media_type = "text/event-stream",
     .parameters = "types,subjects,presence,streamAfter,lastEventId",
     .headers = "X-Events-Epoch",
     .others = "400,403,503"},
    {.method = "GET",
     .path = "/api/event-types",
     .id = "eventTypes",
     .tag = "Events",
     .summary = "All events and commands, field by field",
     .about = "What dynamic forms are made of.",
     .scope = "",
     .status = 200,
     .answer_schema = TYPES},
    {.method = "GET",
     .path = "/ws/events",
     .id = "streamEvents",
     .tag = "Events",
     .summary = "The stream of events",
     .about = "A WebSocket (HTTP/1.1, or HTTP/2 by RFC 8441); its frames are described in /asyncapi.json. "
              "The token comes "
              "in Authorization, as a ticket, or as a subprotocol.",
     .status = 101,
     .parameters = "ticket,subprotocol",
     .others = "400,401,403,426,503"},
    {.method = "POST",
     .path = "/api/events/webhook",
     .id = "deliverEvents",
     .tag = "Events",
     .summary = "Deliveries of Event Grid",
     .about = "CloudEvents, one or a batch, or Event Grid's own schema; handshakes too. 200 once the events "
              "are safe.",
     .status = 200,
     .answer_schema = DOCUMENT,
     .parameters = "secret",
     .others = "400,401,413,415,503"},
    {.method = "OPTIONS",
     .path = "/api/events/webhook",
     .id = "webhookHandshake",
     .tag = "Events",
     .summary = "Handshake of CloudEvents webhooks",
     .about = "Abuse protection: consent is in the answer's headers.",
     .status = 200,
     .parameters = "secret,webhookOrigin",
     .headers = "WebHook-Allowed-Origin",
     .others = "400,401"},
    {.method = "GET",
     .path = "/api/status",
     .id = "status",
     .tag = "Operation",
     .summary = "How the installation is",
     .about = "Of each program what it knows of itself, from memory; one that does not answer within half a "
              "second "
              "is shown as such, and what nobody can say is null. Times are of the last one to two minutes.",
     .scope = "operator",
     .status = 200,
     .answer_schema = PROGRAMS},
    {.method = "GET",
     .path = "/metrics",
     .id = "metrics",
     .tag = "Operation",
     .summary = "The gateway's metrics in Prometheus' text format",
     .about = "The same as on its admin address, for who has a token.",
     .scope = "operator",
     .status = 200,
     .answer_schema = ANY_TEXT,
     .media_type = "text/plain"},
    {.method = "GET",
     .path = "/health/live",
     .id = "live",
     .tag = "Operation",
     .summary = "Does the program run?",
     .about = "",
     .status = 200,
     .answer_schema = STATUS},
    {.method = "GET",
     .path = "/health/ready",
     .id = "ready",
     .tag = "Operation",
     .summary = "Does the program take requests?",
     .about = "503 while it starts or drains.",
     .status = 200,
     .answer_schema = STATUS,
     .others = "503"},
    {.method = "GET",
     .path = "/openapi.json",
     .id = "openapi",
     .tag = "Documents",
     .summary = "This document",
     .about = "",
     .status = 200,
     .answer_schema = DOCUMENT,
     .parameters = "ifNoneMatch",
     .headers = "ETag",
     .others = "304"},
    {.method = "GET",
     .path = "/asyncapi.json",
     .id = "asyncapi",
     .tag = "Documents",
     .summary = "The events and the stream as AsyncAPI",
     .about = "",
     .status = 200,
     .answer_schema = DOCUMENT,
     .parameters = "ifNoneMatch",
     .headers = "ETag",
     .others = "304"},
    {.method = "GET",
     .path = "/schemas/{name}",
     .id = "schema",
     .tag = "Documents",
     .summary = "The JSON Schema of an event or command",
     .about = "",
     .status = 200,
     .answer_schema = DOCUMENT,
     .media_type = "application/schema+json",
     .parameters = "schema,ifNoneMatch",
     .headers = "ETag",
     .others = "304,404"},
    {.method = "GET",
     .path = "/docs",
     .id = "docs",
     .tag = "Documents",
     .summary = "Documentation for people",
     .about = "",
     .status = 200,
     .answer_schema = ANY_TEXT,
     .media_type = "text/html",
     .parameters = "ifNoneMatch",
     .headers = "ETag",
     .others = "304"},
    {.method = "GET",
     .path = "/docs.css",
     .id = "docsStyle",
     .tag = "Documents",
     .summary = "Its style sheet",
     .about = "",
     .status = 200,
     .answer_schema = ANY_TEXT,
     .media_type = "text/css",
     .parameters = "ifNoneMatch",
     .headers = "ETag",
     .others = "304"},
};

const RestCall *rest_calls(size_t *count) {
    *count = COUNT(CALLS);
    return CALLS;
}

const RestParameter *rest_parameter(Span key) {
    for (size_t i = 0; i < COUNT(PARAMETERS); i++)
        if (span_is(key, PARAMETERS[i].key)) return &PARAMETERS[i];
    return NULL;
}

const RestHeader *rest_headers(size_t *count) {
    *count = COUNT(HEADERS);
    return HEADERS;
}

bool rest_call_is_per_command(const RestCall *call) {
    return strstr(call->path, "{CommandName}");
}

bool rest_call_takes(const char *message) {
    for (size_t i = 0; i < COUNT(CALLS); i++)
        if (CALLS[i].body && strcmp(CALLS[i].body, message) == 0) return true;
    return false;
}

const char *rest_status_text(int status) {
    static const struct {
        int status;
        const char *text;
    } TEXTS[] = {{101, "The connection is a WebSocket now"},
                 {200, "What was asked for"},
                 {202, "Accepted: the outcome follows"},
                 {204, "Done; there is nothing to tell"},
                 {304, "What the caller has still holds"},
                 {308, "It has moved for good; see Location"},
                 {400, "The request breaks a rule"},
                 {401, "Not, or wrongly, signed in"},
                 {403, "The token lacks a scope"},
                 {404, "There is no such thing"},
                 {406, "There is nothing here that Accept and Accept-Encoding allow"},
                 {412, "If-Match names another version"},
                 {413, "The body is too large"},
                 {415, "The body is of another media type"},
                 {422, "The command id or key was used for another command"},
                 {426, "Only a WebSocket is served here"},
                 {428, "If-Match is missing"},
                 {429, "Too many requests; see Retry-After"},
                 {503, "A part of the system is not available; see Retry-After"}};
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        if (TEXTS[i].status == status) return TEXTS[i].text;
    return "";
}

static bool listed(const RestCall *call, int status) {
    uint64_t one;
    for (Span rest = span_of(call->others); rest.at;)
        if (span_to_u64(span_split(rest, ',', &rest), 999, &one) && (int)one == status) return true;
    return false;
}

static bool follows(const RestCall *call, int status) {
    bool body = call->body || rest_call_is_per_command(call);
    if (status == 401) return call->scope;
    if (status == 406) return call->answer || call->scope;
    if (status == 412) return listed(call, 304);
    if (status == 403) return call->scope && *call->scope;
    return body && (status == 400 || status == 413 || status == 415);
}

size_t rest_call_faults(const RestCall *call, int *statuses, size_t room) {
    size_t count = 0;
    for (int status = 300; status < 600; status++)
        if ((listed(call, status) || follows(call, status)) && count < room) statuses[count++] = status;
    return count;
}
