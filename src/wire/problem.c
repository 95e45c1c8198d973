#include "wire/problem.h"

/* A title is the same for every problem of its type (RFC 9457 section 3.1.3): the code in words. */
static void title(JsonWriter *w, const char *code) {
    AUTO_BUF text = {0};
    buf_text(&text, code);
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '_') text.at[i] = ' ';
    if (text.len && text.at[0] >= 'a' && text.at[0] <= 'z') text.at[0] = (char)(text.at[0] - 32);
    json_string(w, buf_view(&text));
}

static void errors(JsonWriter *w, const FieldFaults *faults) {
    json_name(w, "errors");
    json_array(w);
    for (size_t i = 0; i < faults->count; i++) {
        json_object(w);
        json_name(w, "field");
        json_text(w, faults->at[i].field);
        json_name(w, "code");
        json_text(w, faults->at[i].code);
        json_name(w, "message");
        json_text(w, field_fault_text(faults->at[i].code));
        json_object_end(w);
    }
    json_array_end(w);
}

void problem_write(Buf *out, const char *code, int status, const char *detail, const char *correlation_id,
                   const FieldFaults *faults) {
    AUTO_BUF type = {0};
    buf_printf(&type, "/problems/%s", code);
    JsonWriter w = json_writer(out);
    json_object(&w);
    json_name(&w, "type");
    json_string(&w, buf_view(&type));
    json_name(&w, "title");
    title(&w, code);
    json_name(&w, "status");
    json_int(&w, status);
    json_name(&w, "detail");
    json_text(&w, detail);
    json_name(&w, "correlationId");
    json_text(&w, correlation_id);
    if (faults && faults->count) errors(&w, faults);
    json_object_end(&w);
}
