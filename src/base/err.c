#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define X(name, http, grpc, retry, code) const ErrKind ERR_##name = {#name, http, grpc, retry, code};
ERR_KINDS(X)
#undef X

bool err_set(Err *err, const ErrKind *kind, const char *format, ...) {
    if (!err || err->kind) return false;
    err->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(err->why, sizeof err->why, format, args);
    va_end(args);
    return false;
}

bool err_set_errno(Err *err, const ErrKind *kind, int errno_value, const char *what) {
    char text[96];
    const char *reason = strerror_r(errno_value, text, sizeof text);
    return err_set(err, kind, "%s: %s", what, reason);
}
