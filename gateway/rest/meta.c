/* meta.c - what is answered from memory: the contract's types, keys, health, the web client. */
#include "gateway/rest/answer.h"
#include "gateway/rest/handlers.h"

#include <stdlib.h>

static void write_text(JsonWriter *w, const char *name, const char *value) {
    json_name(w, name);
    json_text(w, value ? value : "");
}

static void write_flag(JsonWriter *w, const char *name, bool value) {
    json_name(w, name);
    json_bool(w, value);
}

static void write_field(JsonWriter *w, const FieldInfo *f) {
    json_object(w);
    write_text(w, "name", f->json_name);
    write_text(w, "type", f->type);
    write_text(w, "label", f->label);
    write_text(w, "widget", f->widget);
    write_flag(w, "required", f->required);
    json_name(w, "maxLength");
    json_int(w, f->max_length);
    write_text(w, "pattern", f->pattern);
    write_flag(w, "trim", f->trim);
    write_flag(w, "multiline", f->multiline);
    write_flag(w, "personal", f->personal);
    json_object_end(w);
}

static void write_types(JsonWriter *w, const char *name, MessageKind kind) {
    size_t count;
    const MessageType *const *types = message_types(&count);
    json_name(w, name);
    json_array(w);
    for (size_t i = 0; i < count; i++) {
        if (types[i]->kind != kind) continue;
        json_object(w);
        write_text(w, "name", types[i]->name);
        write_text(w, "schemaVersion", types[i]->schema_version);
        write_text(w, "subject", types[i]->subject);
        write_text(w, "title", types[i]->title);
        json_name(w, "fields");
        json_array(w);
        for (size_t k = 0; k < types[i]->field_count; k++) write_field(w, &types[i]->fields[k]);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

void rest_event_types(Request *r) {
    Answer a = {.media_type = "application/json"};
    JsonWriter w = json_writer(&a.body);
    json_object(&w);
    write_types(&w, "events", MESSAGE_EVENT);
    write_types(&w, "commands", MESSAGE_COMMAND);
    json_object_end(&w);
    answer_send(r, &a);
}

void rest_jwks(Request *r) {
    Answer a = {.media_type = "application/jwk-set+json", .cacheable = true};
    tokens_jwks(r->gateway->tokens, &a.body);
    answer_field(&a, "cache-control", SPAN("public, max-age=300"));
    answer_send(r, &a);
}

static void answer_health(Request *r, bool well) {
    Answer a = {.status = well ? 200 : 503, .media_type = "application/json"};
    buf_text(&a.body, well ? "{\"status\":\"ok\"}" : "{\"status\":\"unavailable\"}");
    answer_send(r, &a);
}

void rest_live(Request *r) {
    answer_health(r, true);
}
void rest_ready(Request *r) {
    answer_health(r, atomic_load(&r->gateway->ready));
}

/* --- the web client --- */

void rest_static(Request *r) {
    const StaticFile *file = static_file(r->gateway->files, http_path(r->x));
    if (!file) {
        answer_problem(r, &ERR_NOT_FOUND, "there is nothing at this path");
        return;
    }
    bool gzip = file->gzip && request_accepts_gzip(r);
    const char *tag = gzip ? file->gzip_etag : file->etag;
    Answer a = {.media_type = file->media_type, .blob = gzip ? file->gzip : file->bytes, .cacheable = true};
    answer_field(&a, "etag", span_of(tag));
    answer_field(&a, "cache-control",
                 file->immutable ? SPAN("public, max-age=31536000, immutable") : SPAN("no-cache"));
    if (gzip) answer_field(&a, "content-encoding", SPAN("gzip"));
    if (file->gzip) answer_field(&a, "vary", SPAN("Accept-Encoding"));
    if (tag_listed(r->if_none_match, span_of(tag))) a.status = 304, a.blob = NULL;
    answer_send(r, &a);
}
