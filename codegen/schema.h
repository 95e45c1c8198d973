/* JSON Schemas (2020-12) of messages, for all documents that need one. */
#pragma once
#include "model.h"
#include "wire/json/json.h"

#define ENVELOPE        ".events.v1.Envelope"
#define ENVELOPE_HIDDEN "watermark" /* no member of its JSON form */

typedef struct SchemaStyle {
    const char *refs;    /* where other messages are, an asterisk in place of the name */
    bool input;          /* what a caller sends: rules apply, unknown members are refused */
    bool frames;         /* binary frames: names and numbers of the .proto file */
    const char *without; /* fields that are left out, by proto name, with commas between; may be NULL */
} SchemaStyle;

/* Writes the members of the schema into an object that is open. */
void schema_members(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w);
/* The same as one object. */
void schema_object(const Contract *c, const Message *m, const SchemaStyle *style, JsonWriter *w);
/* Adds each message that m refers to, directly or not, to the `count` parts there are, unless it is among
 * them; how many there are then, at most `room`. No message refers to itself. */
size_t schema_parts(const Message *m, const Message **parts, size_t count, size_t room);
/* Room for all that there can be; it is c->message_count. */
const Message **schema_parts_room(const Contract *c);

/* Is `name` one of the names in the list, which has commas between them? list may be NULL. */
bool name_listed(const char *list, const char *name);
/* One member of an object. */
void member_text(JsonWriter *w, const char *name, const char *value);
void member_raw(JsonWriter *w, const char *name, const char *json);
void member_ref(JsonWriter *w, const char *refs, const char *name); /* "$ref" */

/* Attributes of an event at the CloudEvents boundary (what src/wire/cloudevents/cloudevent_write.c writes). */
typedef struct CloudAttribute {
    const char *name, *about;
    const char *pattern; /* of its value, which is text unless it is data; NULL: anything but nothing */
    const char *example;
    bool optional;
} CloudAttribute;
const CloudAttribute *cloud_attributes(size_t *count);
/* An object with all attributes; `data` is of `event`, or follows the type where event is NULL. Open as
 * above. */
void schema_cloudevent(const Contract *c, const Message *event, const char *refs, JsonWriter *w);

bool is_event(const Message *m);
bool is_command(const Message *m);
