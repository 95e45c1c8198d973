/* Problem details (RFC 9457), the body of every REST error. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "wire/message.h"

/* {"type":"/problems/{code}","title","status","detail","correlationId","errors":[{"field","code","message"}]}
 */
void problem_write(Buf *out, const char *code, int status, const char *detail, const char *correlation_id,
                   const FieldFaults *faults /* may be NULL */);
