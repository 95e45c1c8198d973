/* The inside of cloudevent_*.c: one event while it is read. */
#pragma once
#include "wire/cloudevents/cloudevent.h"
#include "wire/json/json.h"
#include "wire/message.h"

typedef struct CloudParts {
    Events__V1__Envelope *envelope;
    char *specversion, *source, *content_type; /* NULL where absent */
    Span data, data_base64;                    /* data as written */
    bool has_base64;                           /* data_base64 holds the payload's bytes */
    uint32_t seen;                             /* by cloud_attribute_bit() */
} CloudParts;

typedef struct CloudBody {
    JsonReader reader; /* of JSON bodies only */
    Arena *arena;
    const CloudEventVisitor *visitor;
    bool may_be_grid;
} CloudBody;

/* Its name, where its text goes, and what is said where it does not fit. */
typedef struct CloudAttribute {
    Span name;
    bool (*take)(CloudParts *e, Span text, Arena *arena);
    const char *wrong;
} CloudAttribute;

/* Those of CloudEvents, with our extensions. */
const CloudAttribute *cloud_attributes(size_t *count);
/* One of them, or a member of the JSON formats that is put where an attribute goes; NULL where there is none.
 */
const CloudAttribute *cloud_attribute(Span name);
/* The same for all names of one attribute. */
uint32_t cloud_attribute_bit(const CloudAttribute *attribute);

/* NULL, or why the event is bad. */
const char *cloud_data(const CloudBody *b, CloudParts *e);   /* the payload as the envelope's data */
const char *cloud_finish(const CloudBody *b, CloudParts *e); /* what an event must have, then its data */
/* "data.errors[0].code: wrong_type"; `otherwise` where no field is at fault. */
const char *cloud_data_fault(const FieldFaults *faults, const char *otherwise, Arena *arena);
