/* The hand-written JSON form of the envelope (option custom_json in envelope.proto), and its `data` member.
 */
#pragma once
#include "events/v1/envelope.pb-c.h"
#include "wire/json/json.h"
#include "wire/message.h"

void events_v1_envelope_to_json(const ProtobufCMessage *message, JsonWriter *w);
bool events_v1_envelope_from_json(JsonReader *r, ProtobufCMessage *message, Arena *arena,
                                  FieldFaults *faults);

/* `data` as the event's own object; what this version does not know of it stands in "$unknown". */
void envelope_data_to_json(const Events__V1__Envelope *e, JsonWriter *w);
/* json: one object of the type that e->event_type names. Unknown members are passed over and counted up in
 * *unknown, which may be NULL. */
bool envelope_data_from_json(Events__V1__Envelope *e, Span json, Arena *arena, FieldFaults *faults,
                             size_t *unknown);
bool envelope_set_data(Events__V1__Envelope *e, const ProtobufCMessage *message, Arena *arena);
