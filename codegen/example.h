/* Examples for the documents, made from the types: one message, and an event in each of its two envelopes. */
#pragma once
#include "model.h"
#include "wire/json/json.h"

/* As one JSON object. without: fields by proto name, with commas between, that are left out; may be "". */
void example_message(const Message *m, const char *without, JsonWriter *w);
void example_envelope(const Contract *c, const Message *event, JsonWriter *w);
void example_cloudevent(const Message *event, JsonWriter *w);
