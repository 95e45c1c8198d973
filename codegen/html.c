#include "html.h"

void html_span(Buf *out, Span text) {
    for (size_t i = 0; i < text.len; i++) switch (text.at[i]) {
        case '<': buf_text(out, "&lt;"); break;
        case '>': buf_text(out, "&gt;"); break;
        case '&': buf_text(out, "&amp;"); break;
        case '"': buf_text(out, "&quot;"); break;
        default: buf_byte(out, text.at[i]); break;
        }
}

void html_text(Buf *out, const char *text) {
    html_span(out, span_of(text));
}

void html_element(Buf *out, const char *tag, const char *text) {
    buf_printf(out, "<%s>", tag);
    html_text(out, text);
    buf_printf(out, "</%s>", tag);
}

void html_code(Buf *out, const char *text) {
    html_element(out, "code", text);
}

static void new_line(Buf *out, size_t depth) {
    buf_byte(out, '\n');
    for (size_t i = 0; i < depth; i++) buf_text(out, "  ");
}

/* The index behind the string that begins at `at`. */
static size_t string_end(Span json, size_t at) {
    for (at++; at < json.len && json.at[at] != '"'; at++)
        if (json.at[at] == '\\') at++;
    return at + 1;
}

static bool is_empty_pair(Span json, size_t at) {
    return at + 1 < json.len && (json.at[at + 1] == '}' || json.at[at + 1] == ']');
}

static void indent(Buf *out, Span json) {
    size_t depth = 0;
    for (size_t at = 0, next; at < json.len; at = next) {
        char c = json.at[at];
        next = c == '"' ? string_end(json, at) : at + 1;
        bool opens = (c == '{' || c == '[') && !is_empty_pair(json, at);
        bool closes = (c == '}' || c == ']') && at && json.at[at - 1] != '{' && json.at[at - 1] != '[';
        if (closes) new_line(out, --depth);
        html_span(out, (Span){json.at + at, next - at});
        if (opens) new_line(out, ++depth);
        if (c == ',') new_line(out, depth);
        if (c == ':') buf_byte(out, ' ');
    }
}

void html_json(Buf *out, const char *label, Span json) {
    buf_text(out, "<pre tabindex=\"0\" role=\"region\" aria-label=\"");
    html_text(out, label);
    buf_text(out, "\"><code>");
    indent(out, json);
    buf_text(out, "</code></pre>\n");
}

void html_table(Buf *out, const char *caption, const char *columns) {
    buf_text(out, "<div class=\"scroll\"><table>");
    html_element(out, "caption", caption);
    buf_text(out, "<thead><tr>");
    for (Span rest = span_of(columns); rest.at;) {
        buf_text(out, "<th scope=\"col\">");
        html_span(out, span_split(rest, '|', &rest));
        buf_text(out, "</th>");
    }
    buf_text(out, "</tr></thead><tbody>\n");
}

void html_table_end(Buf *out) {
    buf_text(out, "</tbody></table></div>\n");
}
