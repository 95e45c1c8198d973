/* openapi.json (OpenAPI 3.1): the calls of rest_calls.c, with schemas from the messages. */
#include "emit.h"
#include "example.h"
#include "rest_calls.h"
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>

#define REFS       "#/components/schemas/*"
#define INPUT_REFS "#/components/schemas/*Input"

enum { FAULTS_MAX = 24 };

static const char PROBLEM[] =
    "{\"title\":\"Problem\",\"description\":\"RFC 9457. What went wrong is told by "
    "type.\",\"type\":\"object\","
    "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"correlationId\"],\"properties\":{"
    "\"type\":{\"type\":\"string\",\"pattern\":\"^/problems/[a-z_]+$\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},\"correlationId\":{\"type\":"
    "\"string\"},"
    "\"errors\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/FieldError\"}}}}";

static const char DESCRIPTION[] =
    "{\"title\":\"An event or "
    "command\",\"type\":\"object\",\"required\":[\"name\",\"schemaVersion\",\"subject\","
    "\"title\",\"fields\"],\"properties\":{\"name\":{\"type\":\"string\"},\"schemaVersion\":{\"type\":"
    "\"string\"},"
    "\"subject\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"fields\":{\"type\":\"array\","
    "\"items\":{"
    "\"type\":\"object\",\"required\":[\"name\",\"type\",\"label\",\"widget\",\"required\",\"personal\"]}}}}";

static void write_text_schema(JsonWriter *w, const char *schema) {
    member_raw(w, "schema", schema);
}

static const char *body_schema_name(const RestCall *call) {
    return call->elsewhere ? call->id : call->body; /* "updateProspect": the message without some fields */
}

/* --- parameters --- */

static void write_parameter(const RestParameter *p, JsonWriter *w) {
    json_object(w);
    member_text(w, "name", p->name);
    member_text(w, "in", p->in);
    member_text(w, "description", p->about);
    if (p->required) member_raw(w, "required", "true");
    write_text_schema(w, p->schema);
    json_object_end(w);
}

static void write_parameters(const RestCall *call, JsonWriter *w) {
    json_name(w, "parameters");
    json_array(w);
    for (Span rest = span_of(call->parameters); rest.at;) {
        const RestParameter *p = rest_parameter(span_split(rest, ',', &rest));
        if (!p) abort();
        write_parameter(p, w);
    }
    write_parameter(rest_parameter(SPAN("correlation")), w);
    write_parameter(rest_parameter(SPAN("trace")), w);
    json_array_end(w);
}

/* --- bodies --- */

/* The same message in both forms; binary has no schema of its own. */
static void write_message_content(const char *schema, const Message *example, const char *without,
                                  JsonWriter *w) {
    json_name(w, "content");
    json_object(w);
    json_name(w, "application/json");
    json_object(w);
    json_name(w, "schema");
    json_object(w);
    member_ref(w, REFS, schema);
    json_object_end(w);
    json_name(w, "example");
    example_message(example, without, w);
    json_object_end(w);
    member_raw(w, "application/x-protobuf", "{\"schema\":{\"type\":\"string\",\"format\":\"binary\"}}");
    json_object_end(w);
}

static const Message *short_name(const Contract *c, const char *name) {
    for (size_t i = 0; i < c->message_count; i++)
        if (strcmp(c->messages[i].name, name) == 0) return &c->messages[i];
    return NULL;
}

static void write_body(const Contract *c, const RestCall *call, const Message *command, JsonWriter *w) {
    const Message *m = command ? command : call->body ? short_name(c, call->body) : NULL;
    if (!m) return;
    json_name(w, "requestBody");
    json_object(w);
    member_raw(w, "required", "true");
    write_message_content(command ? m->name : body_schema_name(call), m, call->elsewhere, w);
    json_object_end(w);
}

/* --- answers --- */

static void write_header(const RestHeader *h, JsonWriter *w) {
    json_name(w, h->name);
    json_object(w);
    member_text(w, "description", h->about);
    write_text_schema(w, "{\"type\":\"string\"}");
    json_object_end(w);
}

static void write_headers(const RestCall *call, JsonWriter *w) {
    size_t count;
    const RestHeader *headers = rest_headers(&count);
    json_name(w, "headers");
    json_object(w);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || name_listed(call->headers, headers[i].name)) write_header(&headers[i], w);
    json_object_end(w);
}

static void write_plain_content(const RestCall *call, JsonWriter *w) {
    json_name(w, "content");
    json_object(w);
    json_name(w, call->media_type ? call->media_type : "application/json");
    json_object(w);
    write_text_schema(w, call->answer_schema);
    json_object_end(w);
    json_object_end(w);
}

static void write_success(const Contract *c, const RestCall *call, JsonWriter *w) {
    const Message *m = call->answer ? short_name(c, call->answer) : NULL;
    char status[12];
    snprintf(status, sizeof status, "%d", call->status);
    json_name(w, status);
    json_object(w);
    member_text(w, "description", rest_status_text(call->status));
    write_headers(call, w);
    if (m)
        write_message_content(m->name, m, NULL, w);
    else if (call->answer_schema)
        write_plain_content(call, w);
    json_object_end(w);
}

static void write_fault(int status, JsonWriter *w) {
    char name[12];
    snprintf(name, sizeof name, "%d", status);
    json_name(w, name);
    json_object(w);
    member_text(w, "description", rest_status_text(status));
    if (status >= 400)
        member_raw(w, "content",
                   "{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}");
    json_object_end(w);
}

static void write_answers(const Contract *c, const RestCall *call, JsonWriter *w) {
    int faults[FAULTS_MAX];
    size_t count = rest_call_faults(call, faults, FAULTS_MAX);
    json_name(w, "responses");
    json_object(w);
    write_success(c, call, w);
    for (size_t i = 0; i < count; i++) write_fault(faults[i], w);
    json_object_end(w);
}

/* --- calls --- */

static void write_security(const RestCall *call, JsonWriter *w) {
    json_name(w, "security");
    json_array(w);
    if (call->scope) {
        json_object(w);
        json_name(w, "token");
        json_array(w);
        if (*call->scope) json_text(w, call->scope);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_identity(const RestCall *call, const Message *command, JsonWriter *w) {
    AUTO_BUF id = {0}, about = {0};
    buf_printf(&id, "%s%s", call->id, command ? command->name : "");
    buf_text(&about, command ? command->comment : "");
    if (about.len) buf_text(&about, " ");
    buf_text(&about, call->about);
    json_name(w, "operationId");
    json_string(w, buf_view(&id));
    member_text(w, "summary", command ? command->rules->title : call->summary);
    json_name(w, "description");
    json_string(w, buf_view(&about));
    json_name(w, "tags");
    json_array(w);
    json_text(w, call->tag);
    json_array_end(w);
}

static void write_causes(const Message *command, JsonWriter *w) {
    if (!command || !command->rules->n_causes) return;
    json_name(w, "x-causes");
    json_array(w);
    for (size_t i = 0; i < command->rules->n_causes; i++) json_text(w, command->rules->causes[i]);
    json_array_end(w);
}

static void write_call(const Contract *c, const RestCall *call, const Message *command, JsonWriter *w) {
    char method[8] = "";
    for (size_t i = 0; call->method[i]; i++) method[i] = (char)(call->method[i] | 0x20);
    json_name(w, method);
    json_object(w);
    write_identity(call, command, w);
    write_causes(command, w);
    write_security(call, w);
    write_parameters(call, w);
    write_body(c, call, command, w);
    write_answers(c, call, w);
    json_object_end(w);
}

static void write_commands(const Contract *c, const RestCall *call, JsonWriter *w) {
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (!is_command(m)) continue;
        AUTO_BUF path = {0};
        buf_printf(&path, "%.*s%s", (int)(strchr(call->path, '{') - call->path), call->path, m->name);
        buf_byte(&path, 0);
        json_name(w, path.at);
        json_object(w);
        write_call(c, call, m, w);
        json_object_end(w);
    }
}

static bool path_is_new(const RestCall *calls, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(calls[i].path, calls[index].path) == 0) return false;
    return true;
}

static void write_paths(const Contract *c, JsonWriter *w) {
    size_t count;
    const RestCall *calls = rest_calls(&count);
    json_name(w, "paths");
    json_object(w);
    for (size_t i = 0; i < count; i++) {
        if (rest_call_is_per_command(&calls[i])) {
            write_commands(c, &calls[i], w);
        } else if (path_is_new(calls, i)) {
            json_name(w, calls[i].path);
            json_object(w);
            for (size_t k = i; k < count; k++)
                if (strcmp(calls[k].path, calls[i].path) == 0) write_call(c, &calls[k], NULL, w);
            json_object_end(w);
        }
    }
    json_object_end(w);
}

/* --- components --- */

static bool is_input(const Message *m) {
    return m->wanted && m->has_json && (is_command(m) || rest_call_takes(m->name));
}

static const SchemaStyle OUTPUT = {.refs = REFS}, INPUT = {.refs = INPUT_REFS, .input = true};

/* What callers send is checked more strictly than what we answer with, also where both hold the same part:
 * "Place" is ours, "PlaceInput" theirs. */
static void write_input_parts(const Contract *c, JsonWriter *w) {
    const Message **parts = schema_parts_room(c);
    size_t count = 0;
    for (size_t i = 0; i < c->message_count; i++)
        if (is_input(&c->messages[i])) count = schema_parts(&c->messages[i], parts, count, c->message_count);
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF name = {0};
        buf_printf(&name, "%sInput", parts[i]->name);
        buf_byte(&name, 0);
        json_name(w, name.at);
        schema_object(c, parts[i], &INPUT, w);
    }
}

static void write_messages(const Contract *c, JsonWriter *w) {
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (!m->wanted || !m->has_json) continue;
        json_name(w, m->name);
        schema_object(c, m, is_input(m) ? &INPUT : &OUTPUT, w);
    }
    write_input_parts(c, w);
}

static void write_schemas(const Contract *c, JsonWriter *w) {
    size_t count;
    const RestCall *calls = rest_calls(&count);
    json_name(w, "schemas");
    json_object(w);
    write_messages(c, w);
    for (size_t i = 0; i < count; i++) {
        if (!calls[i].elsewhere || !short_name(c, calls[i].body)) continue;
        SchemaStyle style = INPUT;
        style.without = calls[i].elsewhere;
        json_name(w, body_schema_name(&calls[i]));
        schema_object(c, short_name(c, calls[i].body), &style, w);
    }
    json_name(w, "CloudEvent");
    json_object(w);
    schema_cloudevent(c, NULL, REFS, w);
    json_object_end(w);
    member_raw(w, "Problem", PROBLEM);
    member_raw(w, "MessageDescription", DESCRIPTION);
    json_object_end(w);
}

static void write_components(const Contract *c, JsonWriter *w) {
    json_name(w, "components");
    json_object(w);
    write_schemas(c, w);
    member_raw(
        w, "securitySchemes",
        "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\",\"description\":\"An "
        "access token of /api/auth/login. Scopes: prospects:read, prospects:write, prospects:pii (else "
        "personal "
        "fields are empty), operator.\"}}");
    json_object_end(w);
}

void emit_openapi(const Contract *c, Buf *out) {
    JsonWriter w = json_writer(out);
    json_object(&w);
    member_text(&w, "openapi", "3.1.1");
    member_raw(
        &w, "info",
        "{\"title\":\"Events\",\"version\":\"1.0\",\"summary\":\"Commands in, events out\",\"description\":"
        "\"JSON by default; application/x-protobuf in Content-Type or Accept gives the same messages in "
        "binary. "
        "Errors are application/problem+json. Documentation for people: /docs; events: /asyncapi.json.\"}");
    member_raw(&w, "servers", "[{\"url\":\"/\"}]");
    write_paths(c, &w);
    write_components(c, &w);
    json_object_end(&w);
}
