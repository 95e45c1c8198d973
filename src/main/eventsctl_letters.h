/* Dead letters of every kind: what could not be processed, for an operator to decide. A kind is a row of a table in
 * eventsctl_letters.c; what the kinds have in common when they are shown is here. */
#pragma once
#include "main/eventsctl.h"
#include "wire/json/json.h"

typedef struct LetterKind {
    const char *name; /* a letter is named KIND/NUMBER */
    const void *own;  /* the kind's own, for its functions */
    bool (*list)(const struct LetterKind *kind, Ctl *ctl, Err *err);
    bool (*show)(const struct LetterKind *kind, Ctl *ctl, int64_t number, Err *err);
    bool (*requeue)(const struct LetterKind *kind, Ctl *ctl, int64_t number, Err *err);
    bool (*discard)(const struct LetterKind *kind, Ctl *ctl, int64_t number, Err *err);
} LetterKind;

/* One, as it is shown. */
typedef struct Letter {
    const char *kind;
    int64_t number, dead_at;
    Span reason, type, about;                       /* of the event or command; its subject, or its id */
    void (*write)(JsonWriter *w, const void *what); /* further members */
    void (*whole)(JsonWriter *w, const void *what); /* what stands only where one is shown */
    const void *what;
} Letter;

enum { LETTERS_PAGE = 200 };
typedef struct Listing {
    const LetterKind *kind;
    bool json;
    int64_t last; /* number */
    size_t count; /* of this page */
} Listing;
void letter_list(Listing *listing, const Letter *letter);
void letter_show(const Letter *letter);
/* Not heard: who it concerns looks by himself, later. */
void letter_ring(const Ctl *ctl, const char *program, const char *what);

extern const LetterKind OUTBOX_KIND, PROJECTION_KIND, DELIVERY_KIND, COMMAND_KIND;
