/* One line of JSON per happening, on standard error: {"time":...,"level":"info","program":...,"event":...,...}.
 * Log ids, counts, codes and routes; never personal data, secrets, query strings or bodies. Any thread. */
#pragma once
#include "base/err.h"
#include "base/span.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef struct LogField {
    const char *name;
    enum { LOG_FIELD_NONE, LOG_FIELD_INT, LOG_FIELD_TEXT } kind;
    int64_t number;
    Span text;
} LogField;

#define LOG_INT(field, value) ((LogField){.name = (field), .kind = LOG_FIELD_INT, .number = (int64_t)(value)})
#define LOG_SPAN(field, span) ((LogField){.name = (field), .kind = LOG_FIELD_TEXT, .text = (span)})
#define LOG_TEXT(field, value) LOG_SPAN(field, span_of(value))
/* An id that came from outside, where it looks like one; else "redacted", since people put names, addresses and phone
 * numbers everywhere. Letters and digits, both of them, with - . _ : / between, or a short number. */
LogField log_id(const char *field, Span id);
#define LOG_ID(field, span) log_id(field, span)
/* Two fields at once: the kind and the reason of an Err. */
#define LOG_ERR(err) LOG_TEXT("error", (err)->kind ? (err)->kind->code : "none"), LOG_TEXT("reason", (err)->why)

/* event: what happened, past tense, lower case: log_info("batch published", LOG_INT("events", n)) */
#define log_at(level, event, ...)                                                                                      \
    do                                                                                                                 \
        if ((level) >= log_least) /* fields of a line that nobody wants are not even gathered */                       \
            log_write(level, event, (const LogField[]){{0}, ##__VA_ARGS__},                                            \
                      sizeof((const LogField[]){{0}, ##__VA_ARGS__}) / sizeof(LogField));                              \
    while (0)
#define log_debug(event, ...) log_at(LOG_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...)  log_at(LOG_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...)  log_at(LOG_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) log_at(LOG_ERROR, event, ##__VA_ARGS__)

extern LogLevel log_least; /* by log_start() */
void log_write(LogLevel level, const char *event, const LogField *fields, size_t count);
void log_start(const char *program, LogLevel least); /* program: kept, not copied */
bool log_level_parse(const char *text, LogLevel *ret);
