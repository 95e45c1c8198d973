/* docs.html: the contract for people, as one page without scripts. Its style sheet is docs.css, beside this
 * file. */
#include "docs_message.h"
#include "emit.h"
#include "html.h"
#include "rest_calls.h"
#include "schema.h"

static const char HEAD[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>Events: commands, events and calls</title>\n"
    "<link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n"
    "<link rel=\"stylesheet\" href=\"/docs.css\">\n</head>\n<body>\n"
    "<a class=\"skip\" href=\"#content\">Skip to the content</a>\n"
    "<header class=\"bar\"><a class=\"brand\" href=\"/docs\"><svg viewBox=\"0 0 32 32\" aria-hidden=\"true\" "
    "focusable=\"false\"><rect width=\"32\" height=\"32\" rx=\"8\"/><path d=\"M8 11h9M8 16h16M8 21h12\"/>"
    "<circle cx=\"22.5\" cy=\"11\" r=\"2.4\"/></svg>Events <span>documentation</span></a>"
    "<nav aria-label=\"Machine-readable\"><a href=\"/openapi.json\">OpenAPI</a><a "
    "href=\"/asyncapi.json\">AsyncAPI</a>"
    "<a href=\"/\">Open the app</a></nav></header>\n<div class=\"page\">\n";

static const char OVERVIEW[] =
    "<section id=\"overview\" aria-labelledby=\"h-overview\"><h1 id=\"h-overview\">Commands in, events "
    "out</h1>\n"
    "<p class=\"lead\">Send a command, get a 202 once it is safely on disk, and learn what came of it by an "
    "event. "
    "Everything on this page is made from the contract's <code>.proto</code> files, so it is what this "
    "installation "
    "does.</p>\n"
    "<ol class=\"steps\">"
    "<li><strong>Sign in.</strong> <code>POST /api/auth/login</code> gives an access token; send it as "
    "<code>Authorization: Bearer &hellip;</code></li>"
    "<li><strong>Send a command.</strong> <code>POST /api/commands/{CommandName}</code>; an "
    "<code>Idempotency-Key</code> "
    "makes it safe to repeat.</li>"
    "<li><strong>Follow the outcome.</strong> <code>GET /api/commands/{commandId}</code>, or the event on "
    "the "
    "<a href=\"#stream\">stream</a>: its <code>causationId</code> is the command&rsquo;s id.</li></ol>\n"
    "<p>Bodies are JSON; <code>application/x-protobuf</code> in <code>Content-Type</code> and "
    "<code>Accept</code> gives "
    "the same messages in binary. Members named here are the only ones that a command may have. Fields "
    "marked "
    "<span class=\"tag personal\">personal data</span> are empty for callers without the scope "
    "<code>prospects:pii</code>, and stand in no subject, log, trace or metric.</p></section>\n";

/* --- navigation --- */

static void nav_messages(const Contract *c, const char *title, const char *id,
                         bool (*wanted)(const Message *), Buf *out) {
    buf_printf(out, "<li><a href=\"#%s\">%s</a><ul>", id, title);
    for (size_t i = 0; i < c->message_count; i++) {
        if (!wanted(&c->messages[i])) continue;
        buf_printf(out, "<li><a href=\"#%s\">", c->messages[i].name);
        html_text(out, c->messages[i].rules->title);
        buf_text(out, "</a></li>");
    }
    buf_text(out, "</ul></li>\n");
}

static void write_nav(const Contract *c, Buf *out) {
    buf_text(
        out,
        "<nav class=\"side\" aria-label=\"Contents\"><ul>\n<li><a href=\"#overview\">Overview</a></li>\n");
    nav_messages(c, "Commands", "commands", is_command, out);
    nav_messages(c, "Events", "events", is_event, out);
    buf_text(out, "<li><a href=\"#envelope\">Envelope and CloudEvents</a></li>\n"
                  "<li><a href=\"#stream\">Stream</a></li>\n<li><a href=\"#calls\">REST calls</a></li>\n"
                  "<li><a href=\"#rpc\">gRPC</a></li>\n"
                  "<li><a href=\"#problems\">Problems</a></li>\n</ul></nav>\n");
}

/* --- sections --- */

static void section(const char *id, const char *title, const char *lead, Buf *out) {
    buf_printf(out, "<section id=\"%s\" aria-labelledby=\"h-%s\"><h2 id=\"h-%s\">%s</h2>\n<p>%s</p>\n", id,
               id, id, title, lead);
}

static void write_messages(const Contract *c, bool (*wanted)(const Message *), Buf *out) {
    for (size_t i = 0; i < c->message_count; i++)
        if (wanted(&c->messages[i])) docs_message(c, &c->messages[i], out);
    buf_text(out, "</section>\n");
}

static void write_attributes(Buf *out) {
    size_t count;
    const CloudAttribute *attributes = cloud_attributes(&count);
    html_table(out, "Attributes of an event as CloudEvent", "Attribute|Always there|Meaning");
    for (size_t i = 0; i < count; i++) {
        buf_text(out, "<tr><th scope=\"row\">");
        html_code(out, attributes[i].name);
        buf_printf(out, "</th><td>%s</td><td>", attributes[i].optional ? "no" : "yes");
        html_text(out, attributes[i].about);
        buf_text(out, "</td></tr>\n");
    }
    html_table_end(out);
}

static void write_envelope(const Contract *c, Buf *out) {
    const Message *m = contract_message(c, ENVELOPE);
    section("envelope", "Envelope and CloudEvents",
            "Around every event. In REST and on the stream it is the envelope; at Event Grid, and in "
            "<code>GET /api/events</code>, it is a CloudEvent (1.0, structured mode).",
            out);
    if (m) docs_fields(m, false, out);
    write_attributes(out);
    buf_text(out, "</section>\n");
}

static void write_frames(const Contract *c, const char *frame, const char *title, Buf *out) {
    const Message *m = contract_message(c, frame);
    for (size_t i = 0; m && i < m->field_count; i++) {
        const Message *part = m->fields[i].message;
        if (!part) continue;
        buf_printf(out, "<h3>%s <code>%s</code></h3>\n", title, part->name);
        if (*part->comment) html_element(out, "p", part->comment);
        docs_fields(part, true, out);
    }
}

static void write_stream(const Contract *c, Buf *out) {
    section("stream", "Stream",
            "<code>GET /ws/events</code> becomes a WebSocket with the subprotocol "
            "<code>events.v1.protobuf</code>. Each "
            "binary message is one frame. Store the latest <code>position</code>; subscribe with it as "
            "<code>after</code> "
            "and nothing is missed.",
            out);
    write_frames(c, ".events.v1.ClientFrame", "Client sends", out);
    write_frames(c, ".events.v1.ServerFrame", "Server sends", out);
    buf_text(out, "</section>\n");
}

/* What a caller has to show. */
static void write_scope(const RestCall *call, Buf *out) {
    if (call->scope && *call->scope)
        html_code(out, call->scope);
    else if (name_listed(call->parameters, "secret"))
        buf_text(out, "shared secret");
    else
        buf_text(out, call->scope || name_listed(call->parameters, "ticket") ? "any token" : "nothing");
}

static void write_call(const RestCall *call, Buf *out) {
    buf_text(out, "<tr><th scope=\"row\"><span class=\"method\">");
    buf_printf(out, "%s</span> ", call->method);
    html_code(out, call->path);
    buf_text(out, "</th><td>");
    html_text(out, call->summary);
    if (*call->about)
        buf_text(out, "<br><span class=\"quiet\">"), html_text(out, call->about), buf_text(out, "</span>");
    buf_text(out, "</td><td>");
    write_scope(call, out);
    buf_printf(out, "</td><td>%d", call->status);
    int faults[32];
    size_t count = rest_call_faults(call, faults, COUNT(faults));
    for (size_t i = 0; i < count; i++) buf_printf(out, ", %d", faults[i]);
    buf_text(out, "</td></tr>\n");
}

static void write_calls(Buf *out) {
    size_t count;
    const RestCall *calls = rest_calls(&count);
    section("calls", "REST calls",
            "Parameters, headers and schemas are in <a href=\"/openapi.json\">openapi.json</a>. Every call "
            "takes and gives "
            "back <code>X-Correlation-Id</code>, and continues <code>traceparent</code>.",
            out);
    html_table(out, "REST calls", "Call|What it does|Needs|Answers");
    for (size_t i = 0; i < count; i++) write_call(&calls[i], out);
    html_table_end(out);
    buf_text(out, "</section>\n");
}

static void write_method(const Service *s, const Method *m, Buf *out) {
    const char *streams = m->server_streaming ? "stream of " : "";
    buf_text(out, "<tr><th scope=\"row\">");
    html_code(out, m->name);
    if (*m->comment)
        buf_text(out, "<br><span class=\"quiet\">"), html_text(out, m->comment), buf_text(out, "</span>");
    buf_text(out, "</th><td>");
    html_code(out, s->full_name);
    buf_text(out, "</td><td>");
    html_code(out, strrchr(m->input, '.') + 1);
    buf_printf(out, "</td><td>%s", streams);
    html_code(out, strrchr(m->output, '.') + 1);
    buf_text(out, "</td><td>");
    if (*m->rules->scope)
        html_code(out, m->rules->scope);
    else
        buf_text(out, "any token");
    buf_text(out, "</td></tr>\n");
}

static void write_services(const Contract *c, Buf *out) {
    section(
        "rpc", "gRPC",
        "The same host and ports speak gRPC (HTTP/2), gRPC-Web and Connect (HTTP/1.1 too); the path is "
        "<code>/Service/Call</code>, the token goes into <code>authorization</code>. Server reflection tells "
        "the rest. A refusal has <code>google.rpc.BadRequest</code> and <code>ErrorInfo</code> as details, "
        "with "
        "the codes of the table below.",
        out);
    html_table(out, "gRPC calls", "Call|Service|Takes|Returns|Needs");
    for (size_t i = 0; i < c->service_count; i++)
        for (size_t k = 0; k < c->services[i].method_count; k++)
            write_method(&c->services[i], &c->services[i].methods[k], out);
    html_table_end(out);
    buf_text(out, "</section>\n");
}

static void write_problems(Buf *out) {
    static const struct {
        int status;
        const char *code;
        bool retry;
    } KINDS[] = {
#define X(name, http, grpc, again, word) {http, word, again},
        ERR_KINDS(X)
#undef X
    };
    section("problems", "Problems",
            "Errors are <code>application/problem+json</code> (RFC 9457). <code>type</code> is "
            "<code>/problems/</code> and a code; where fields are at fault, <code>errors</code> names each "
            "of them once, by its path (<code>place.street</code>, <code>guests[2]</code>), "
            "with a code and words for people.",
            out);
    html_table(out, "Codes of problems", "Code|Status|The same call may succeed later");
    for (size_t i = 0; i < COUNT(KINDS); i++)
        buf_printf(out, "<tr><th scope=\"row\"><code>%s</code></th><td>%d</td><td>%s</td></tr>\n",
                   KINDS[i].code, KINDS[i].status, KINDS[i].retry ? "yes" : "no");
    html_table_end(out);
    buf_text(out, "</section>\n");
}

void emit_docs(const Contract *c, Buf *out) {
    buf_text(out, HEAD);
    write_nav(c, out);
    buf_text(out, "<main id=\"content\" tabindex=\"-1\">\n");
    buf_text(out, OVERVIEW);
    section("commands", "Commands",
            "What can be asked for. A command that breaks a business rule is answered by an event.", out);
    write_messages(c, is_command, out);
    section("events", "Events", "What has happened. Additive changes only within a major version.", out);
    write_messages(c, is_event, out);
    write_envelope(c, out);
    write_stream(c, out);
    write_calls(out);
    write_services(c, out);
    write_problems(out);
    buf_text(out, "</main>\n</div>\n</body>\n</html>\n");
}
