#include "base/log.h"

#include "base/clock.h"
#include <stdio.h>
#include <unistd.h>

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
static const char *program_name = "events";
LogLevel log_least = LOG_INFO;

void log_start(const char *program, LogLevel least) {
    program_name = program;
    log_least = least;
}

bool log_level_parse(const char *text, LogLevel *ret) {
    for (unsigned i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++)
        if (!strcmp(text, LEVELS[i])) {
            *ret = (LogLevel)i;
            return true;
        }
    return false;
}

enum { ID_MAX = 128, NUMBER_MAX = 6 };

LogField log_id(const char *field, Span id) {
    size_t letters = 0, digits = 0, others = 0;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        if (c >= '0' && c <= '9')
            digits++;
        else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            letters++;
        else
            others += c && strchr("-._:/", c) ? 1 : ID_MAX;
    }
    bool number = !letters && !others && digits <= NUMBER_MAX;
    bool good = digits && (letters || number) && others < ID_MAX && id.len <= ID_MAX;
    return LOG_SPAN(field, good || !id.len ? id : SPAN("redacted"));
}

/* A line is written with one write(2), so that lines of several threads never mix; what does not fit is cut. */
typedef struct Line {
    char at[2048];
    size_t len;
} Line;

static void line_byte(Line *l, char c) {
    if (l->len < sizeof l->at - 3) l->at[l->len++] = c;
}

static void line_text(Line *l, Span s) {
    static const char hex[] = "0123456789abcdef";
    line_byte(l, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\') line_byte(l, '\\');
        if (c >= 0x20 && c != 0x7f) {
            line_byte(l, (char)c);
        } else {
            const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            for (size_t k = 0; k < sizeof escape; k++) line_byte(l, escape[k]);
        }
    }
    line_byte(l, '"');
}

static void line_member(Line *l, const char *name) {
    line_byte(l, l->len ? ',' : '{');
    line_text(l, span_of(name));
    line_byte(l, ':');
}

void log_write(LogLevel level, const char *event, const LogField *fields, size_t count) {
    if (level < log_least) return;
    char time[CLOCK_TEXT];
    clock_format(clock_now_us(), time);
    Line line = {.len = 0};
    const Span head[][2] = {{SPAN("time"), span_of(time)},
                            {SPAN("level"), span_of(LEVELS[level])},
                            {SPAN("program"), span_of(program_name)},
                            {SPAN("event"), span_of(event)}};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        line_member(&line, head[i][0].at);
        line_text(&line, head[i][1]);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind == LOG_FIELD_NONE) continue;
        line_member(&line, fields[i].name);
        if (fields[i].kind == LOG_FIELD_TEXT) {
            line_text(&line, fields[i].text);
        } else {
            char number[24];
            int len = snprintf(number, sizeof number, "%lld", (long long)fields[i].number);
            for (int k = 0; k < len; k++) line_byte(&line, number[k]);
        }
    }
    line.at[line.len++] = '}';
    line.at[line.len++] = '\n';
    if (write(STDERR_FILENO, line.at, line.len) < 0) return; /* nowhere left to say it */
}
