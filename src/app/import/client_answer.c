#include "app/import/client_answer.h"

#include "wire/base64.h"
#include "wire/json/json.h"
#include <stddef.h>

typedef struct Member {
    const char *name;
    size_t place;
} Member;

static const Member TEXTS[] = {
    {"accessToken", offsetof(ClientAnswer, access_token)},
    {"refreshToken", offsetof(ClientAnswer, refresh_token)},
    {"status", offsetof(ClientAnswer, status)},
    {"commandId", offsetof(ClientAnswer, command_id)},
    {"code", offsetof(ClientAnswer, code)},
    {"detail", offsetof(ClientAnswer, message)},
};
static const Member ERROR_TEXTS[] = {
    {"code", offsetof(ClientAnswer, code)},
    {"field", offsetof(ClientAnswer, field)},
    {"message", offsetof(ClientAnswer, message)},
};

static Span *place_of(ClientAnswer *answer, const Member *members, size_t count, Span name) {
    for (size_t i = 0; i < count; i++)
        if (span_is(name, members[i].name)) return (Span *)((char *)answer + members[i].place);
    return NULL;
}

/* Reads the value behind a member's name: into *text where it is a string and is wanted. */
static bool read_value(JsonReader *r, JsonToken token, Span *text) {
    if (token == JSON_STRING && text) {
        *text = r->text;
        return true;
    }
    return json_skip(r, token);
}

/* The members of one object of `errors`; its JSON_OBJECT has been read. */
static bool read_error(JsonReader *r, ClientAnswer *answer) {
    for (;;) {
        JsonToken token = json_next(r);
        if (token == JSON_OBJECT_END) return true;
        if (token != JSON_NAME) return false;
        Span *text = place_of(answer, ERROR_TEXTS, COUNT(ERROR_TEXTS), r->text);
        if (!read_value(r, json_next(r), text)) return false;
    }
}

static bool read_errors(JsonReader *r, ClientAnswer *first) {
    for (bool is_first = true;; is_first = false) {
        JsonToken token = json_next(r);
        if (token == JSON_ARRAY_END) return true;
        bool ok = is_first && token == JSON_OBJECT ? read_error(r, first) : json_skip(r, token);
        if (!ok) return false;
    }
}

/* "/problems/{code}" */
static Span code_of_type(Span type) {
    for (size_t i = type.len; i > 0; i--)
        if (type.at[i - 1] == '/') return (Span){type.at + i, type.len - i};
    return type;
}

static bool read_member(JsonReader *r, ClientAnswer *answer, ClientAnswer *error, Span *type) {
    Span name = r->text;
    JsonToken token = json_next(r);
    if (span_is(name, "errors") && token == JSON_ARRAY) return read_errors(r, error);
    if (span_is(name, "expiresIn") && token == JSON_NUMBER) return json_number_int(r, &answer->expires_in);
    if (span_is(name, "type")) return read_value(r, token, type);
    return read_value(r, token, place_of(answer, TEXTS, COUNT(TEXTS), name));
}

bool client_answer_read(Span body, Arena *arena, ClientAnswer *ret) {
    *ret = (ClientAnswer){0};
    ClientAnswer error = {0};
    Span type = SPAN_NONE;
    JsonReader r = json_reader(body, arena);
    if (json_next(&r) != JSON_OBJECT) return false;
    for (;;) {
        JsonToken token = json_next(&r);
        if (token == JSON_OBJECT_END) break;
        if (token != JSON_NAME || !read_member(&r, ret, &error, &type)) return false;
    }
    if (error.code.at) {
        ret->code = error.code;
        ret->field = error.field;
        if (error.message.at) ret->message = error.message;
    }
    if (!ret->code.at && type.at) ret->code = code_of_type(type);
    return true;
}

/* base64url without padding (RFC 7515 section 2) to base64 with it */
static bool read_base64url(Span text, Arena *arena, Span *ret) {
    size_t padding = (4 - text.len % 4) % 4;
    char *copy = arena_alloc(arena, text.len + padding + 1);
    if (!copy) return false;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.at[i] == '-' ? '+' : text.at[i] == '_' ? '/' : text.at[i];
    memset(copy + text.len, '=', padding);
    return base64_read((Span){copy, text.len + padding}, arena, ret);
}

bool client_token_tenant(Span token, Arena *arena, Span *ret) {
    Span rest, claims;
    span_split(token, '.', &rest);
    if (!read_base64url(span_split(rest, '.', &rest), arena, &claims)) return false;
    JsonReader r = json_reader(claims, arena);
    if (json_next(&r) != JSON_OBJECT) return false;
    while (json_next(&r) == JSON_NAME) {
        bool wanted = span_is(r.text, "tid");
        JsonToken value = json_next(&r);
        if (wanted && value == JSON_STRING) {
            *ret = r.text;
            return true;
        }
        if (!json_skip(&r, value)) return false;
    }
    return false;
}
