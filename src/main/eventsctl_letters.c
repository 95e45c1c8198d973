/* eventsctl_letters.c - dead letters: what could not be processed, for an operator to decide.
 *
 * Each is named KIND/NUMBER. A kind is a row of KINDS: the outbox, of which the topic has refused an event
 * for good, the projection, which cannot read or apply one, and a broker's queue, of which a command has failed
 * five times, or could not be read (eventsctl_commands.c). */
#include "app/projection/dead_event.h"
#include "base/clock.h"
#include "io/doorbell.h"
#include "main/eventsctl_commands.h"
#include "main/eventsctl_outbox.h"
#include "store/outbox/outbox.h"
#include "store/outbox/outbox_admin.h"
#include "store/read/dead_events.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include <stdio.h>

enum { PAGE = 200, LOCK_MS = 10000 };

typedef struct Kind {
    const char *name;
    bool (*list)(Ctl *ctl, Err *err);
    bool (*show)(Ctl *ctl, int64_t number, Err *err);
    bool (*requeue)(Ctl *ctl, int64_t number, Err *err);
    bool (*discard)(Ctl *ctl, int64_t number, Err *err);
} Kind;

/* ---- printing ---- */

static void write_letter(JsonWriter *w, const OutboxLetter *letter, const EnvelopePeek *p, Span id) {
    json_name(w, "id"), json_string(w, id);
    json_name(w, "deadAt"), json_time(w, letter->dead_at);
    json_name(w, "reason"), json_string(w, letter->reason);
    json_name(w, "eventId"), json_string(w, p->event_id);
    json_name(w, "eventType"), json_string(w, p->event_type);
    json_name(w, "tenantId"), json_string(w, p->tenant_id);
    json_name(w, "subject"), json_string(w, p->subject);
}

static void letter_id(const char *kind, const OutboxLetter *letter, char id[40]) {
    snprintf(id, 40, "%s/%lld", kind, (long long)letter->sequence);
}

static void print_json_line(const OutboxLetter *letter, const EnvelopePeek *p, const char *id) {
    AUTO_BUF out = {0};
    JsonWriter w = json_writer(&out);
    json_object(&w);
    write_letter(&w, letter, p, span_of(id));
    json_object_end(&w);
    printf("%.*s\n", (int)out.len, out.at);
}

typedef struct Listing {
    const char *kind;
    bool json;
    int64_t last;
    size_t count;
} Listing;

static bool list_letter(void *user, const OutboxLetter *letter) {
    Listing *l = user;
    EnvelopePeek p = {0};
    char id[40], at[CLOCK_TEXT];
    letter_id(l->kind, letter, id);
    clock_format(letter->dead_at, at);
    if (!envelope_peek(letter->body, &p)) p = (EnvelopePeek){.event_type = SPAN("(unreadable)")};
    if (l->json)
        print_json_line(letter, &p, id);
    else
        printf("%-16s %-27s %-20.*s %-24.*s %.*s\n", id, at, SPAN_ARGS(p.event_type), SPAN_ARGS(p.subject),
               SPAN_ARGS(letter->reason));
    l->last = letter->sequence;
    l->count++;
    return true;
}

/* The whole of it: bytes as they came, and the event where they are one. */
static void print_letter(Ctl *ctl, const char *kind, const OutboxLetter *letter) {
    AUTO_BUF out = {0}, event = {0};
    EnvelopePeek p = {0};
    char id[40];
    Events__V1__Envelope *envelope = envelope_unpack(letter->body, ctl->arena);
    if (envelope && envelope_peek(letter->body, &p)) envelope_to_json(envelope, &event);
    letter_id(kind, letter, id);
    JsonWriter w = json_writer(&out);
    json_object(&w);
    write_letter(&w, letter, &p, span_of(id));
    json_name(&w, "event");
    if (event.len)
        json_raw(&w, buf_view(&event));
    else
        json_null(&w);
    json_name(&w, "bytes"), json_base64(&w, letter->body);
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARGS(buf_view(&out)));
}

/* ---- the outbox ---- */

static bool list_outbox(Ctl *ctl, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    Listing listing = {.kind = "outbox", .json = ctl_option(ctl, "json")};
    if (!outbox_place_open(ctl, true, &place, err)) return false;
    do {
        listing.count = 0;
        if (!outbox_letters(place.numbers, listing.last, PAGE, list_letter, &listing, err)) return false;
    } while (listing.count == PAGE);
    return true;
}

static bool show_outbox(Ctl *ctl, int64_t number, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    OutboxLetter letter;
    if (!outbox_place_open(ctl, true, &place, err) ||
        !outbox_letter(place.numbers, number, ctl->arena, &letter, err))
        return false;
    print_letter(ctl, "outbox", &letter);
    return true;
}

static void ring_relay(Ctl *ctl) {
    AUTO(Doorbell) bell = NULL;
    Err err = {0};
    if (doorbell_open(config_text(ctl->config, "EVENTS_HOME"), "eventsctl", &bell, &err))
        doorbell_ring(bell, "relay", "work"); /* not heard: the relay looks by itself, later */
}

/* The event once more as a row of the outbox, with its id and version, to get a new number. Cut between the
 * two steps it is there twice, which its id tells. */
static bool requeue_outbox(Ctl *ctl, int64_t number, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    OutboxLetter letter;
    if (!outbox_place_open(ctl, false, &place, err) ||
        !outbox_letter(place.numbers, number, ctl->arena, &letter, err))
        return false;
    Events__V1__Envelope *envelope = envelope_unpack(letter.body, ctl->arena);
    if (!envelope) return err_set(err, &ERR_INVALID, "the event cannot be read; it can only be discarded");
    envelope->sequence = envelope->watermark = 0;
    if (!outbox_append(place.outbox, envelope, clock_now_us(), err) ||
        !outbox_letter_remove(place.numbers, number, err))
        return false;
    ring_relay(ctl);
    return true;
}

static bool discard_outbox(Ctl *ctl, int64_t number, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    return outbox_place_open(ctl, false, &place, err) && outbox_letter_remove(place.numbers, number, err);
}

/* ---- the projection ---- */

static bool open_read(Ctl *ctl, bool read_only, Db **ret, Err *err) {
    const DbOptions options = {.read_only = read_only, .busy_ms = LOCK_MS};
    return db_open(config_text(ctl->config, "EVENTS_READ_DB"), options, ret, err);
}

static OutboxLetter of_projection(const DeadLetter *letter) {
    return (OutboxLetter){
        .sequence = letter->id, .dead_at = letter->dead_at, .reason = letter->reason, .body = letter->body};
}

static bool list_event(void *user, const DeadLetter *letter) {
    OutboxLetter same = of_projection(letter);
    return list_letter(user, &same);
}

static bool list_projection(Ctl *ctl, Err *err) {
    AUTO(Db) db = NULL;
    Listing listing = {.kind = "projection", .json = ctl_option(ctl, "json")};
    if (!open_read(ctl, true, &db, err)) return false;
    do {
        listing.count = 0;
        if (!dead_events(db, listing.last, PAGE, list_event, &listing, err)) return false;
    } while (listing.count == PAGE);
    return true;
}

static bool show_projection(Ctl *ctl, int64_t number, Err *err) {
    AUTO(Db) db = NULL;
    DeadLetter letter;
    if (!open_read(ctl, true, &db, err) || !dead_event_find(db, number, ctl->arena, &letter, err))
        return false;
    OutboxLetter same = of_projection(&letter);
    print_letter(ctl, "projection", &same);
    return true;
}

static bool requeue_projection(Ctl *ctl, int64_t number, Err *err) {
    AUTO(Db) db = NULL;
    return open_read(ctl, false, &db, err) && dead_event_requeue(db, number, err);
}

static bool discard_projection(Ctl *ctl, int64_t number, Err *err) {
    AUTO(Db) db = NULL;
    return open_read(ctl, false, &db, err) && dead_event_remove(db, number, err);
}

static const Kind KINDS[] = {
    {"outbox", list_outbox, show_outbox, requeue_outbox, discard_outbox},
    {"projection", list_projection, show_projection, requeue_projection, discard_projection},
    {"command", dead_commands_list, dead_command_show, dead_command_requeue, dead_command_discard},
};

/* ---- verbs ---- */

static const Kind *find(Ctl *ctl, int64_t *number, Err *err) {
    Span rest, kind = span_split(span_of(ctl->operands[0]), '/', &rest);
    uint64_t value;
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (span_is(kind, KINDS[i].name) && span_to_u64(rest, INT64_MAX, &value))
            return *number = (int64_t)value, &KINDS[i];
    err_set(err, &ERR_INVALID, "a dead letter is named as dead-letters list shows it: outbox/12");
    return NULL;
}

bool ctl_letters_list(Ctl *ctl, Err *err) {
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (!KINDS[i].list(ctl, err)) return false;
    return true;
}

bool ctl_letters_show(Ctl *ctl, Err *err) {
    int64_t number;
    const Kind *kind = find(ctl, &number, err);
    return kind && kind->show(ctl, number, err);
}

bool ctl_letters_requeue(Ctl *ctl, Err *err) {
    int64_t number;
    const Kind *kind = find(ctl, &number, err);
    return kind && kind->requeue(ctl, number, err);
}

bool ctl_letters_discard(Ctl *ctl, Err *err) {
    int64_t number;
    const Kind *kind = find(ctl, &number, err);
    return kind && kind->discard(ctl, number, err);
}
