/* One emitter makes one file. */
#pragma once
#include "model.h"

void emit_header(const Contract *contract, Buf *out);   /* events/v1/contract.h */
void emit_registry(const Contract *contract, Buf *out); /* events/v1/contract_registry.c */
void emit_json(const Contract *contract, Buf *out);     /* events/v1/contract_json.c */
void emit_validate(const Contract *contract, Buf *out); /* events/v1/contract_validate.c */
void emit_ts_forms(const Contract *contract, Buf *out); /* forms.ts */

/* A C or TypeScript string literal. */
void emit_literal(Buf *out, const char *text);
/* "string", "id", "int64", "timestamp", ...: what clients are told of a field's type. */
const char *field_type_name(const Field *field);
