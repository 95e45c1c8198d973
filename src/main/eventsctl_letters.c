#include "main/eventsctl_letters.h"

#include "base/clock.h"
#include "io/doorbell.h"
#include <stdio.h>

static const LetterKind *const KINDS[] = {&OUTBOX_KIND, &PROJECTION_KIND, &DELIVERY_KIND, &COMMAND_KIND};

/* ---- showing ---- */

static void name_of(const Letter *letter, char id[40]) {
    snprintf(id, 40, "%s/%lld", letter->kind, (long long)letter->number);
}

static void print_json(const Letter *letter, bool whole) {
    AUTO_BUF out = {0};
    char id[40];
    JsonWriter w = json_writer(&out);
    name_of(letter, id);
    json_object(&w);
    json_name(&w, "id"), json_string(&w, span_of(id));
    json_name(&w, "deadAt"), json_time(&w, letter->dead_at);
    json_name(&w, "reason"), json_string(&w, letter->reason);
    letter->write(&w, letter->what);
    if (whole) letter->whole(&w, letter->what);
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARGS(buf_view(&out)));
}

static void print_line(const Letter *letter) {
    char id[40], at[CLOCK_TEXT];
    name_of(letter, id);
    clock_format(letter->dead_at, at);
    Span type = letter->type.len ? letter->type : SPAN("(unreadable)");
    printf("%-16s %-27s %-20.*s %-24.*s %.*s\n", id, at, SPAN_ARGS(type), SPAN_ARGS(letter->about),
           SPAN_ARGS(letter->reason));
}

void letter_list(Listing *listing, const Letter *letter) {
    listing->last = letter->number;
    listing->count++;
    if (listing->json)
        print_json(letter, false);
    else
        print_line(letter);
}

void letter_show(const Letter *letter) {
    print_json(letter, true);
}

void letter_ring(const Ctl *ctl, const char *program, const char *what) {
    AUTO(Doorbell) bell = NULL;
    Err err = {0};
    if (doorbell_open(config_text(ctl->config, "EVENTS_HOME"), "eventsctl", &bell, &err))
        doorbell_ring(bell, program, "%s", what);
}

/* ---- verbs ---- */

static const LetterKind *find(Ctl *ctl, int64_t *number, Err *err) {
    Span rest, kind = span_split(span_of(ctl->operands[0]), '/', &rest);
    uint64_t value;
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (span_is(kind, KINDS[i]->name) && span_to_u64(rest, INT64_MAX, &value))
            return *number = (int64_t)value, KINDS[i];
    err_set(err, &ERR_INVALID, "a dead letter is named as dead-letters list shows it: outbox/12");
    return NULL;
}

bool ctl_letters_list(Ctl *ctl, Err *err) {
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (!KINDS[i]->list(KINDS[i], ctl, err)) return false;
    return true;
}

bool ctl_letters_show(Ctl *ctl, Err *err) {
    int64_t number;
    const LetterKind *kind = find(ctl, &number, err);
    return kind && kind->show(kind, ctl, number, err);
}

bool ctl_letters_requeue(Ctl *ctl, Err *err) {
    int64_t number;
    const LetterKind *kind = find(ctl, &number, err);
    return kind && kind->requeue(kind, ctl, number, err);
}

bool ctl_letters_discard(Ctl *ctl, Err *err) {
    int64_t number;
    const LetterKind *kind = find(ctl, &number, err);
    return kind && kind->discard(kind, ctl, number, err);
}
