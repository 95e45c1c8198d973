/* One error type for the whole system, and one table that maps it to the outside.
 *
 * Functions that can fail return bool (or NULL) and take `Err *err` as their last parameter. The one that finds the
 * fault says what it is with err_set(); callers pass it on untouched. Texts never hold personal data or secrets. */
#pragma once
#include <stdbool.h>

/* name, HTTP status, gRPC code, may the same call succeed later?, code used in problem documents */
#define ERR_KINDS(X)                                                                                                   \
    X(INVALID, 400, 3, false, "invalid")                                                                               \
    X(UNAUTHENTICATED, 401, 16, false, "unauthenticated")                                                              \
    X(FORBIDDEN, 403, 7, false, "forbidden")                                                                           \
    X(NOT_FOUND, 404, 5, false, "not_found")                                                                           \
    X(METHOD_NOT_ALLOWED, 405, 12, false, "method_not_allowed")                                                        \
    X(NOT_ACCEPTABLE, 406, 3, false, "not_acceptable")                                                                 \
    X(REQUEST_TIMEOUT, 408, 4, true, "request_timeout")                                                                \
    X(CONFLICT, 409, 10, true, "conflict")                                                                             \
    X(DUPLICATE, 409, 6, false, "duplicate")                                                                           \
    X(TOO_LARGE, 413, 8, false, "too_large")                                                                           \
    X(UNSUPPORTED, 415, 3, false, "unsupported_media_type")                                                            \
    X(IDEMPOTENCY, 422, 9, false, "idempotency_conflict")                                                              \
    X(PRECONDITION_REQUIRED, 428, 9, false, "precondition_required")                                                   \
    X(RATE_LIMITED, 429, 8, true, "rate_limited")                                                                      \
    X(HEADERS_TOO_LARGE, 431, 8, false, "headers_too_large")                                                           \
    X(INTERNAL, 500, 13, false, "internal")                                                                            \
    X(UNAVAILABLE, 503, 14, true, "unavailable")                                                                       \
    X(DB_BUSY, 503, 14, true, "database_busy")                                                                         \
    X(DB_DOWN, 503, 14, true, "database_unavailable")                                                                  \
    X(TIMEOUT, 504, 4, true, "timeout")                                                                                \
    X(CONFIG, 500, 13, false, "configuration")

typedef struct ErrKind {
    const char *name; /* "DB_DOWN" */
    int http;         /* status of the problem document */
    int grpc;
    bool retry;
    const char *code; /* RFC 9457 type is /problems/{code} */
} ErrKind;

#define X(name, http, grpc, retry, code) extern const ErrKind ERR_##name;
ERR_KINDS(X)
#undef X

typedef struct Err {
    const ErrKind *kind; /* NULL: all is well */
    char why[200];
} Err;

/* Always false, so that a function can end with `return err_set(...)`. err may be NULL. The first fault is kept. */
bool err_set(Err *err, const ErrKind *kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As err_set with ": " and strerror(errno_value) behind. */
bool err_set_errno(Err *err, const ErrKind *kind, int errno_value, const char *what);

static inline bool err_is(const Err *err, const ErrKind *kind) { return err->kind == kind; }
static inline void err_clear(Err *err) { *err = (Err){0}; }
