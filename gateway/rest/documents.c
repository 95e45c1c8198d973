/* documents.c - answers with what was made at build time. It changes with the program only, so browsers ask
 * again with the entity tag, and mostly hear 304. */
#include "gateway/rest/documents.h"

#include "gateway/rest/answer.h"
#include "gateway/rest/compress.h"
#include "gateway/rest/content.h"
#include "gateway/rest/handlers.h"

struct Documents {
    Content types;
    Content at[]; /* as DOCUMENTS */
};

static const char *media_type(Span path) {
    if (span_ends(path, SPAN(".html"))) return "text/html; charset=utf-8";
    if (span_ends(path, SPAN(".css"))) return "text/css; charset=utf-8";
    return span_starts(path, SPAN("/schemas/")) ? "application/schema+json" : "application/json";
}

static Blob *copy(const char *bytes, size_t len) {
    return must(blob_copy((Span){bytes, len}));
}

static void fill(Content *c, const Document *d) {
    c->media_type = media_type(span_of(d->path));
    c->cache_control = "no-cache";
    content_set(c, CODING_IDENTITY, copy(d->bytes, d->len));
    content_set(c, CODING_GZIP, copy(d->gzip, d->gzip_len));
    content_set(c, CODING_BROTLI, copy(d->brotli, d->brotli_len));
}

/* --- the types, for dynamic forms --- */

static void write_text(JsonWriter *w, const char *name, const char *value) {
    json_name(w, name);
    json_text(w, value ? value : "");
}

static void write_flag(JsonWriter *w, const char *name, bool value) {
    json_name(w, name);
    json_bool(w, value);
}

enum { PARTS_DEPTH = 4 }; /* a message may hold itself */

static void write_fields(JsonWriter *w, const MessageType *type, unsigned depth);

static void write_values(JsonWriter *w, const char *const *values) {
    json_name(w, "values");
    json_array(w);
    for (; *values; values++) json_text(w, *values);
    json_array_end(w);
}

static void write_field(JsonWriter *w, const FieldInfo *f, unsigned depth) {
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
    write_flag(w, "repeated", f->repeated);
    if (f->values) write_values(w, f->values);
    if (f->part && depth < PARTS_DEPTH) write_fields(w, f->part, depth + 1);
    json_object_end(w);
}

static void write_fields(JsonWriter *w, const MessageType *type, unsigned depth) {
    json_name(w, "fields");
    json_array(w);
    for (size_t i = 0; i < type->field_count; i++) write_field(w, &type->fields[i], depth);
    json_array_end(w);
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
        write_fields(w, types[i], 0);
        json_object_end(w);
    }
    json_array_end(w);
}

static void fill_types(Content *c) {
    AUTO_BUF plain = {0};
    JsonWriter w = json_writer(&plain);
    json_object(&w);
    write_types(&w, "events", MESSAGE_EVENT);
    write_types(&w, "commands", MESSAGE_COMMAND);
    json_object_end(&w);
    c->media_type = "application/json";
    c->cache_control = "no-store";
    content_set(c, CODING_IDENTITY, copy(plain.at, plain.len));
    for (Coding coding = CODING_GZIP; coding < CODINGS; coding++) {
        AUTO_BUF packed = {0};
        if (!compress_bytes(coding, buf_view(&plain), &packed)) abort();
        content_set(c, coding, copy(packed.at, packed.len));
    }
}

/* --- all --- */

Documents *documents_new(void) {
    Documents *documents = must(calloc(1, sizeof *documents + DOCUMENT_COUNT * sizeof *documents->at));
    fill_types(&documents->types);
    for (size_t i = 0; i < DOCUMENT_COUNT; i++) fill(&documents->at[i], &DOCUMENTS[i]);
    return documents;
}

Documents *documents_free(Documents *documents) {
    if (!documents) return NULL;
    content_clear(&documents->types);
    for (size_t i = 0; i < DOCUMENT_COUNT; i++) content_clear(&documents->at[i]);
    free(documents);
    return NULL;
}

const Content *documents_content(const Documents *documents, Span path) {
    const Document *d = document_find(path);
    return d ? &documents->at[d - DOCUMENTS] : NULL;
}

const Content *documents_types(const Documents *documents) {
    return &documents->types;
}

void rest_document(Request *r) {
    const Content *content = documents_content(r->gateway->documents, http_path(r->x));
    if (content)
        content_answer(r, content, NULL);
    else
        answer_problem(r, &ERR_NOT_FOUND, "there is no such document");
}

void rest_event_types(Request *r) {
    content_answer(r, documents_types(r->gateway->documents), NULL);
}
