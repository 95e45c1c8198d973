/* One emitter makes one file. */
#pragma once
#include "model.h"

void emit_header(const Contract *contract, Buf *out);          /* events/v1/contract.h */
void emit_lists(const Contract *contract, Buf *out);           /* events/v1/contract_lists.h */
void emit_registry(const Contract *contract, Buf *out);        /* events/v1/contract_registry.c */
void emit_json(const Contract *contract, Buf *out);            /* events/v1/contract_json.c */
void emit_validate(const Contract *contract, Buf *out);        /* events/v1/contract_validate.c */
void emit_services_header(const Contract *contract, Buf *out); /* events/v1/contract_services.h */
void emit_services(const Contract *contract, Buf *out);        /* events/v1/contract_services.c */
void emit_descriptors(const Contract *contract, Buf *out);     /* events/v1/contract_descriptors.c */
void emit_ts_forms(const Contract *contract, Buf *out);        /* forms.ts */

void emit_openapi(const Contract *contract, Buf *out);           /* openapi.json */
void emit_asyncapi(const Contract *contract, Buf *out);          /* asyncapi.json */
void emit_docs(const Contract *contract, Buf *out);              /* docs.html */
void emit_schema_cloudevent(const Contract *contract, Buf *out); /* schemas/CloudEvent.json */
void emit_schema_envelope(const Contract *contract, Buf *out);   /* schemas/Envelope.json */
/* schemas/<Name>.json of an event or command */
void emit_json_schema(const Contract *contract, const Message *message, Buf *out);

/* A C or TypeScript string literal. */
void emit_literal(Buf *out, const char *text);
/* "string", "id", "int64", "timestamp", ...: what clients are told of a field's type. */
const char *field_type_name(const Field *field);
