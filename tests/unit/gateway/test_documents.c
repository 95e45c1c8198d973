/* The documents against the gateway's own tables: each route is described, and nothing else is. */
#include "gateway/rest/documents.h"
#include "gateway/routes.h"
#include "grid/grid_webhook.h"
#include "kit/test.h"
#include "wire/json/json.h"
#include "wire/message.h"
#include <stdio.h>

enum { ROUTES_MAX = 64, PATH_SIZE = 256 };

typedef void OnCall(void *user, const char *method, const char *path, Span call);

static JsonReader open_document(const char *path) {
    const Document *d = document_find(span_of(path));
    REQUIRE(d != NULL);
    JsonReader r = json_reader((Span){d->bytes, d->len}, NULL);
    REQUIRE(json_next(&r) == JSON_OBJECT);
    return r;
}

static bool next_name(JsonReader *r, char *name, size_t size) {
    return json_next(r) == JSON_NAME && span_copy(r->text, name, size);
}

static void each_method(JsonReader *r, const char *path, OnCall *on_call, void *user) {
    char method[16];
    REQUIRE(json_next(r) == JSON_OBJECT);
    while (next_name(r, method, sizeof method)) {
        JsonToken first = json_next(r);
        size_t at = r->value_at;
        REQUIRE(json_skip(r, first));
        for (char *c = method; *c; c++) *c = (char)(*c & ~0x20);
        on_call(user, method, path, (Span){r->in.at + at, r->at - at});
    }
}

static void each_call(OnCall *on_call, void *user) {
    JsonReader r = open_document("/openapi.json");
    char name[PATH_SIZE];
    while (next_name(&r, name, sizeof name)) {
        if (strcmp(name, "paths") != 0) {
            REQUIRE(json_skip(&r, json_next(&r)));
            continue;
        }
        REQUIRE(json_next(&r) == JSON_OBJECT);
        while (next_name(&r, name, sizeof name)) each_method(&r, name, on_call, user);
        return;
    }
    REQUIRE(false);
}

/* "/api/prospects/{prospectId}/history" as a request might say it. */
static void concrete(const char *path, char *out) {
    for (bool inside = false; *path; path++) {
        if (*path == '{') *out++ = '1';
        inside = (inside || *path == '{') && *path != '}';
        if (!inside && *path != '}') *out++ = *path;
    }
    *out = 0;
}

static bool holds(Span text, const char *part) {
    return memmem(text.at, text.len, part, strlen(part)) != NULL;
}

static const char *security_of(const Route *route) {
    if (route->access & ACCESS_PUBLIC) return "\"security\":[]";
    if (route->access == SCOPE_READ) return "\"security\":[{\"token\":[\"prospects:read\"]}]";
    if (route->access == SCOPE_OPERATOR) return "\"security\":[{\"token\":[\"operator\"]}]";
    if (route->access == SCOPE_WRITE) return "\"security\":[{\"token\":[\"prospects:write\"]}]";
    return "\"security\":[{\"token\":[]}]";
}

typedef struct Seen {
    const Route *routes;
    size_t count;
    bool at[ROUTES_MAX];
} Seen;

static void look_at_call(void *user, const char *method, const char *path, Span call) {
    Seen *seen = user;
    char asked[PATH_SIZE];
    concrete(path, asked);
    if (strcmp(path, GRID_WEBHOOK_PATH) == 0) return; /* answered before the table is looked at */
    const Route *route = routes_match(span_of(method), span_of(asked), false).route;
    bool ours = route >= seen->routes && route < seen->routes + seen->count;
    if (!ours) printf("\n    %s %s is described, but not served", method, path);
    CHECK(ours);
    if (!ours) return;
    seen->at[route - seen->routes] = true;
    bool fits =
        holds(call, security_of(route)) && holds(call, "\"requestBody\"") == (route->body == BODY_MESSAGE);
    if (!fits) printf("\n    %s %s: scope or body are described otherwise", method, path);
    CHECK(fits);
}

static void routes_are_described(void) {
    Seen seen = {0};
    seen.routes = routes_all(&seen.count);
    REQUIRE(seen.count < ROUTES_MAX);
    each_call(look_at_call, &seen);
    for (size_t i = 0; i < seen.count; i++) {
        if (!seen.at[i]) printf("\n    %s %s is not described", seen.routes[i].method, seen.routes[i].path);
        CHECK(seen.at[i]);
    }
}

static void look_for_command(void *user, const char *method, const char *path, Span call) {
    Span name = span_of(path), room = SPAN("/api/commands/");
    (void)call;
    if (strcmp(method, "POST") != 0 || !span_starts(name, room)) return;
    const MessageType *type = message_type((Span){name.at + room.len, name.len - room.len});
    CHECK(type && type->kind == MESSAGE_COMMAND);
    ++*(size_t *)user;
}

static void messages_are_described(void) {
    size_t count, commands = 0, described = 0;
    const MessageType *const *types = message_types(&count);
    for (size_t i = 0; i < count; i++) {
        char path[PATH_SIZE], section[PATH_SIZE];
        if (types[i]->kind == MESSAGE_OTHER) continue;
        commands += types[i]->kind == MESSAGE_COMMAND;
        snprintf(path, sizeof path, "/schemas/%s.json", types[i]->name);
        snprintf(section, sizeof section, "<section class=\"message\" id=\"%s\"", types[i]->name);
        const Document *page = document_find(SPAN("/docs"));
        CHECK(document_find(span_of(path)) != NULL);
        CHECK(page && holds((Span){page->bytes, page->len}, section));
    }
    each_call(look_for_command, &described);
    CHECK(commands > 0 && described == commands);
}

static void found_by_path(void) {
    CHECK(document_find(SPAN("/docs.css")) != NULL);
    CHECK(document_find(SPAN("/docs")) == document_find(SPAN("/docs.html")));
    CHECK(document_find(SPAN("/schemas/Nothing.json")) == NULL);
    CHECK(document_find(SPAN("/schemas/")) == NULL);
}

SUITE("documents", TEST(routes_are_described), TEST(messages_are_described), TEST(found_by_path));
