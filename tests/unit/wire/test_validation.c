/* Every body of tests/data/validation.jsonl gets exactly the errors that stand beside it. */
#include "kit/test.h"

#include "wire/base64.h"
#include "wire/message.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct Case {
    Span name, body;
    FieldFaults want;
} Case;

static void read_error(JsonReader *r, FieldFaults *want) {
    FieldFault *fault = &want->at[want->count++];
    for (JsonToken token; (token = json_next(r)) == JSON_NAME;) {
        const char **to = span_is(r->text, "field") ? &fault->field : &fault->code;
        REQUIRE(json_next(r) == JSON_STRING);
        *to = arena_copy(r->arena, r->text);
    }
}

static void read_member(JsonReader *r, Case *c) {
    Span name = r->text;
    JsonToken token = json_next(r);
    if (span_is(name, "errors")) {
        REQUIRE(token == JSON_ARRAY);
        while (json_next(r) == JSON_OBJECT) read_error(r, &c->want);
        return;
    }
    REQUIRE(token == JSON_STRING);
    if (span_is(name, "name"))
        c->name = r->text;
    else if (span_is(name, "base64"))
        REQUIRE(base64_read(r->text, r->arena, &c->body));
    if (span_is(name, "body")) c->body = r->text;
}

static bool same_faults(const FieldFaults *a, const FieldFaults *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->at[i].field, b->at[i].field) != 0 || strcmp(a->at[i].code, b->at[i].code) != 0)
            return false;
    return true;
}

static void check_line(Span line) {
    AUTO(Arena) arena = arena_new(0);
    JsonReader r = json_reader(line, arena);
    Case c = {0};
    REQUIRE(json_next(&r) == JSON_OBJECT);
    while (json_next(&r) == JSON_NAME) read_member(&r, &c);
    FieldFaults got = {0};
    ProtobufCMessage *message;
    bool ok = message_from_json(message_type(SPAN("CreateProspect")), c.body, arena, &message, &got);
    bool same = same_faults(&got, &c.want) && ok == (c.want.count == 0) && ok == (message != NULL);
    if (!same) {
        printf("\n    %.*s: got", SPAN_ARGS(c.name));
        for (size_t i = 0; i < got.count; i++) printf(" [%s: %s]", got.at[i].field, got.at[i].code);
    }
    CHECK(same);
}

static void data_set(void) {
    FILE *file = fopen(TEST_DATA "/validation.jsonl", "r");
    REQUIRE(file != NULL);
    char *line = NULL;
    size_t size = 0, count = 0;
    for (ssize_t len; (len = getline(&line, &size, file)) > 0; count++) check_line((Span){line, (size_t)len});
    free(line);
    fclose(file);
    CHECK(count == 149);
}

SUITE("validation", TEST(data_set));
