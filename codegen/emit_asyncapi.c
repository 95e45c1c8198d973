/* asyncapi.json (AsyncAPI 3.0): the topics with their events as CloudEvents, and the WebSocket in both
 * directions. The frames follow from the oneofs of ClientFrame and ServerFrame. */
#include "emit.h"
#include "example.h"
#include "schema.h"

#define REFS         "#/components/schemas/*"
#define CLIENT_FRAME ".events.v1.ClientFrame"
#define SERVER_FRAME ".events.v1.ServerFrame"

static void ref(JsonWriter *w, const char *pattern, const char *name) {
    json_object(w);
    member_ref(w, pattern, name);
    json_object_end(w);
}

/* Is m the first event of its topic? */
static bool topic_is_new(const Contract *c, const Message *m) {
    for (const Message *before = c->messages; before < m; before++)
        if (is_event(before) && strcmp(before->rules->topic, m->rules->topic) == 0) return false;
    return true;
}

/* --- channels --- */

static void write_topic_messages(const Contract *c, const char *topic, JsonWriter *w) {
    json_name(w, "messages");
    json_object(w);
    for (size_t i = 0; i < c->message_count; i++) {
        const Message *m = &c->messages[i];
        if (!is_event(m) || strcmp(m->rules->topic, topic) != 0) continue;
        json_name(w, m->name);
        ref(w, "#/components/messages/*", m->name);
    }
    json_object_end(w);
}

static void write_topic(const Contract *c, const char *topic, JsonWriter *w) {
    json_name(w, topic);
    json_object(w);
    member_text(w, "address", topic);
    member_text(w, "title", "Event Grid topic");
    member_text(w, "description",
                "CloudEvents 1.0, delivered to webhooks at least once and in any order. Numbers are dense: "
                "who keeps the "
                "highest number up to which all are held misses nothing.");
    member_raw(w, "servers", "[{\"$ref\":\"#/servers/grid\"}]");
    write_topic_messages(c, topic, w);
    json_object_end(w);
}

static void write_frames(const Contract *c, const char *frame, JsonWriter *w) {
    const Message *m = contract_message(c, frame);
    for (size_t i = 0; m && i < m->field_count; i++) {
        if (!m->fields[i].message) continue;
        json_name(w, m->fields[i].message->name);
        ref(w, "#/components/messages/*", m->fields[i].message->name);
    }
}

static void write_channels(const Contract *c, JsonWriter *w) {
    json_name(w, "channels");
    json_object(w);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_event(&c->messages[i]) && topic_is_new(c, &c->messages[i]))
            write_topic(c, c->messages[i].rules->topic, w);
    json_name(w, "stream");
    json_object(w);
    member_text(w, "address", "/ws/events");
    member_text(w, "title", "WebSocket");
    member_text(w, "description",
                "Subprotocol events.v1.protobuf: each binary message is one ClientFrame or ServerFrame. "
                "Subscribe with the "
                "position and epoch that were stored last and nothing is missed.");
    member_raw(w, "servers", "[{\"$ref\":\"#/servers/gateway\"}]");
    json_name(w, "messages");
    json_object(w);
    write_frames(c, CLIENT_FRAME, w);
    write_frames(c, SERVER_FRAME, w);
    json_object_end(w);
    member_raw(
        w, "bindings",
        "{\"ws\":{\"method\":\"GET\",\"query\":{\"type\":\"object\",\"properties\":{\"ticket\":{\"type\":"
        "\"string\",\"description\":\"A single-use ticket of "
        "/api/auth/ticket\"}}},\"bindingVersion\":\"0.1.0\"}}");
    json_object_end(w);
    member_raw(
        w, "event-stream",
        "{\"address\":\"/api/events/stream\",\"title\":\"Server-sent events\",\"description\":\"The same "
        "stream as "
        "text, with one subscription that stands in the query; see /openapi.json.\",\"servers\":[{\"$ref\":"
        "\"#/servers/gateway-http\"}],\"messages\":{\"ServerSentEvent\":{\"$ref\":"
        "\"#/components/messages/ServerSentEvent\"}},\"bindings\":{\"http\":{}}}");
    json_object_end(w);
}

/* --- operations --- */

static void write_operation(const char *name, const char *action, const char *channel, const char *summary,
                            JsonWriter *w) {
    json_name(w, name);
    json_object(w);
    member_text(w, "action", action);
    json_name(w, "channel");
    ref(w, "#/channels/*", channel);
    member_text(w, "summary", summary);
    json_name(w, "messages");
    json_array(w);
}

static void end_operation(JsonWriter *w) {
    json_array_end(w);
    json_object_end(w);
}

static void write_frame_refs(const Contract *c, const char *frame, JsonWriter *w) {
    const Message *m = contract_message(c, frame);
    for (size_t i = 0; m && i < m->field_count; i++)
        if (m->fields[i].message) ref(w, "#/channels/stream/messages/*", m->fields[i].message->name);
}

static void write_topic_operation(const Contract *c, const char *topic, JsonWriter *w) {
    AUTO_BUF name = {0}, pattern = {0};
    buf_printf(&name, "publish-%s", topic);
    buf_printf(&pattern, "#/channels/%s/messages/*", topic);
    buf_byte(&name, 0), buf_byte(&pattern, 0);
    write_operation(name.at, "send", topic, "The relay publishes what the services have committed.", w);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_event(&c->messages[i]) && strcmp(c->messages[i].rules->topic, topic) == 0)
            ref(w, pattern.at, c->messages[i].name);
    end_operation(w);
}

static void write_operations(const Contract *c, JsonWriter *w) {
    json_name(w, "operations");
    json_object(w);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_event(&c->messages[i]) && topic_is_new(c, &c->messages[i]))
            write_topic_operation(c, c->messages[i].rules->topic, w);
    write_operation("take-client-frames", "receive", "stream", "What a client sends.", w);
    write_frame_refs(c, CLIENT_FRAME, w);
    end_operation(w);
    write_operation("send-server-frames", "send", "stream", "What the gateway sends.", w);
    write_frame_refs(c, SERVER_FRAME, w);
    end_operation(w);
    write_operation("send-server-sent-events", "send", "event-stream", "What the gateway sends as text.", w);
    ref(w, "#/channels/event-stream/messages/*", "ServerSentEvent");
    end_operation(w);
    json_object_end(w);
}

/* --- messages --- */

static void write_event_message(const Contract *c, const Message *m, JsonWriter *w) {
    json_name(w, m->name);
    json_object(w);
    member_text(w, "name", m->name);
    member_text(w, "title", m->rules->title);
    if (*m->comment) member_text(w, "description", m->comment);
    member_text(w, "contentType", "application/cloudevents+json");
    json_name(w, "payload");
    json_object(w);
    schema_cloudevent(c, m, REFS, w);
    json_object_end(w);
    json_name(w, "examples");
    json_array(w);
    json_object(w);
    json_name(w, "payload");
    example_cloudevent(m, w);
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
}

static void write_frame_message(const Contract *c, const Field *f, const char *frame, JsonWriter *w) {
    json_name(w, f->message->name);
    json_object(w);
    member_text(w, "name", f->message->name);
    member_text(w, "title", f->message->name);
    if (*f->message->comment) member_text(w, "description", f->message->comment);
    member_text(w, "contentType", "application/x-protobuf");
    member_text(w, "x-protobuf-message", frame + 1);
    json_name(w, "x-protobuf-field");
    json_int(w, f->number);
    json_name(w, "payload");
    schema_object(c, f->message, &(SchemaStyle){.refs = "#/components/schemas/*Frame", .frames = true}, w);
    json_object_end(w);
}

static void write_frame_messages(const Contract *c, const char *frame, JsonWriter *w) {
    const Message *m = contract_message(c, frame);
    for (size_t i = 0; m && i < m->field_count; i++)
        if (m->fields[i].message) write_frame_message(c, &m->fields[i], frame, w);
}

static void write_schema(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w) {
    AUTO_BUF name = {0};
    buf_printf(&name, "%s%s", m->name, style->frames ? "Frame" : "");
    buf_byte(&name, 0);
    json_name(w, name.at);
    schema_object(c, m, style, w);
}

/* Events and their parts as JSON; parts of frames ("EnvelopeFrame") as protobuf. */
static void write_schemas(const Contract *c, JsonWriter *w) {
    const Message **parts = schema_parts_room(c), *frame = contract_message(c, SERVER_FRAME);
    size_t count = 0;
    json_name(w, "schemas");
    json_object(w);
    for (size_t i = 0; i < c->message_count; i++) {
        if (!is_event(&c->messages[i])) continue;
        write_schema(c, &c->messages[i], &(SchemaStyle){.refs = REFS}, w);
        count = schema_parts(&c->messages[i], parts, count, c->message_count);
    }
    for (size_t i = 0; i < count; i++)
        if (!is_event(parts[i])) write_schema(c, parts[i], &(SchemaStyle){.refs = REFS}, w);
    count = frame ? schema_parts(frame, parts, 0, c->message_count) : 0;
    for (size_t i = 0; i < count; i++)
        if (parts[i]->has_json)
            write_schema(c, parts[i], &(SchemaStyle){.refs = "#/components/schemas/*Frame", .frames = true},
                         w);
    json_object_end(w);
}

static void write_components(const Contract *c, JsonWriter *w) {
    json_name(w, "components");
    json_object(w);
    json_name(w, "messages");
    json_object(w);
    for (size_t i = 0; i < c->message_count; i++)
        if (is_event(&c->messages[i])) write_event_message(c, &c->messages[i], w);
    write_frame_messages(c, CLIENT_FRAME, w);
    write_frame_messages(c, SERVER_FRAME, w);
    member_raw(
        w, "ServerSentEvent",
        "{\"name\":\"ServerSentEvent\",\"title\":\"A server-sent event\",\"description\":\"id is "
        "epoch.position. Of the "
        "default type: data is an envelope in JSON (/schemas/Envelope.json). Subscribed, ResyncRequired, "
        "Reconnect, "
        "Closed: the stream about itself.\",\"contentType\":\"text/event-stream\",\"payload\":{\"type\":"
        "\"string\"}}");
    json_object_end(w);
    write_schemas(c, w);
    member_raw(w, "securitySchemes",
               "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\"},"
               "\"key\":{\"type\":\"httpApiKey\",\"name\":\"aeg-sas-key\",\"in\":\"header\"}}");
    json_object_end(w);
}

void emit_asyncapi(const Contract *c, Buf *out) {
    JsonWriter w = json_writer(out);
    json_object(&w);
    member_text(&w, "asyncapi", "3.0.0");
    member_raw(
        &w, "info",
        "{\"title\":\"Events\",\"version\":\"1.0\",\"description\":\"Events by Event Grid and by WebSocket. "
        "Commands and reads: /openapi.json. Documentation for people: /docs.\"}");
    member_raw(
        &w, "servers",
        "{\"gateway\":{\"host\":\"localhost:8443\",\"protocol\":\"wss\",\"description\":\"The gateway\","
        "\"security\":[{\"$ref\":\"#/components/securitySchemes/token\"}]},"
        "\"gateway-http\":{\"host\":\"localhost:8443\",\"protocol\":\"https\",\"description\":\"The "
        "gateway\","
        "\"security\":[{\"$ref\":\"#/components/securitySchemes/token\"}]},"
        "\"grid\":{\"host\":\"localhost:8444\",\"pathname\":\"/api/events\",\"protocol\":\"https\","
        "\"description\":\"Azure Event Grid, or events-grid on one machine\","
        "\"security\":[{\"$ref\":\"#/components/securitySchemes/key\"}]}}");
    write_channels(c, &w);
    write_operations(c, &w);
    write_components(c, &w);
    json_object_end(&w);
}
