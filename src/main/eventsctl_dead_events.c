/* eventsctl_dead_events.c - events that could not be processed, in three places: the outbox, of which the topic has
 * refused one for good, the projection, which cannot read or apply one, and events-grid, which has given up to
 * deliver one (in the cloud Event Grid keeps those in a storage account). */
#include "app/projection/dead_event.h"
#include "base/clock.h"
#include "grid/grid_publish.h"
#include "main/eventsctl_files.h"
#include "main/eventsctl_letters.h"
#include "main/eventsctl_outbox.h"
#include "store/dead_letters.h"
#include "store/outbox/outbox.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include <stdio.h>

enum { LOCK_MS = 10000, ARENA_BYTES = 64 << 20 };

typedef Events__V1__Envelope Envelope;

/* Where a kind has its letters. */
typedef struct Place {
    Db *letters;
    OutboxPlace outbox; /* of the outbox; letters is its numbers then */
} Place;
static void place_close(Place *place) {
    if (!place->outbox.numbers) db_free(place->letters);
    outbox_place_close(&place->outbox);
}
#define AUTO_PLACE __attribute__((cleanup(place_close))) Place

typedef struct Events {
    const DeadLetterTable *table;
    const char *program; /* that counts them; NULL: it need not be told */
    bool (*open)(Ctl *ctl, bool read_only, Place *ret, Err *err); /* letters NULL: there can be none */
    Envelope *(*read)(Span body, Arena *arena);                   /* NULL where it is none */
    /* It has gone from the letters then. */
    bool (*again)(Ctl *ctl, Place *place, const DeadLetter *letter, Err *err);
} Events;

/* ---- showing ---- */

typedef struct Shown {
    const DeadLetter *letter;
    const Envelope *event; /* NULL: unreadable */
} Shown;

static void write_members(JsonWriter *w, const void *what) {
    static const Envelope UNREADABLE = EVENTS__V1__ENVELOPE__INIT;
    const Shown *shown = what;
    const Envelope *e = shown->event ? shown->event : &UNREADABLE;
    json_name(w, "eventId"), json_text(w, e->event_id);
    json_name(w, "eventType"), json_text(w, e->event_type);
    json_name(w, "tenantId"), json_text(w, e->tenant_id);
    json_name(w, "subject"), json_text(w, e->subject);
    if (!shown->letter->subscription.len) return;
    json_name(w, "subscription"), json_string(w, shown->letter->subscription);
    json_name(w, "attempts"), json_int(w, shown->letter->attempts);
}

/* Bytes as they came, and the event where they are one. */
static void write_whole(JsonWriter *w, const void *what) {
    const Shown *shown = what;
    AUTO_BUF event = {0};
    if (shown->event) envelope_to_json(shown->event, &event);
    json_name(w, "event");
    if (event.len)
        json_raw(w, buf_view(&event));
    else
        json_null(w);
    json_name(w, "bytes"), json_base64(w, shown->letter->body);
}

static Letter letter_of(const LetterKind *kind, const Shown *shown) {
    const DeadLetter *l = shown->letter;
    return (Letter){.kind = kind->name,
                    .number = l->number,
                    .dead_at = l->dead_at,
                    .reason = l->reason,
                    .type = span_of(shown->event ? shown->event->event_type : ""),
                    .about = span_of(shown->event ? shown->event->subject : ""),
                    .write = write_members,
                    .whole = write_whole,
                    .what = shown};
}

static bool list_one(void *user, const DeadLetter *letter) {
    Listing *listing = user;
    const Events *of = listing->kind->own;
    AUTO(Arena) arena = must(arena_new(ARENA_BYTES));
    const Shown shown = {letter, of->read(letter->body, arena)};
    const Letter line = letter_of(listing->kind, &shown);
    letter_list(listing, &line);
    return true;
}

static bool list(const LetterKind *kind, Ctl *ctl, Err *err) {
    const Events *of = kind->own;
    AUTO_PLACE place = {0};
    Listing listing = {.kind = kind, .json = ctl_option(ctl, "json")};
    if (!of->open(ctl, true, &place, err)) return false;
    do {
        listing.count = 0;
        if (place.letters && !dead_letters(place.letters, of->table, listing.last, LETTERS_PAGE,
                                           &(DeadLetterVisitor){list_one, &listing}, err))
            return false;
    } while (listing.count == LETTERS_PAGE);
    return true;
}

static bool open_one(const LetterKind *kind, Ctl *ctl, int64_t number, bool read_only, Place *place,
                     DeadLetter *ret, Err *err) {
    const Events *of = kind->own;
    if (!of->open(ctl, read_only, place, err)) return false;
    if (!place->letters) return err_set(err, &ERR_NOT_FOUND, "there is no such dead letter");
    return dead_letter_find(place->letters, of->table, number, ctl->arena, ret, err);
}

static bool show(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    const Events *of = kind->own;
    AUTO_PLACE place = {0};
    DeadLetter found;
    if (!open_one(kind, ctl, number, true, &place, &found, err)) return false;
    const Shown shown = {&found, of->read(found.body, ctl->arena)};
    const Letter letter = letter_of(kind, &shown);
    letter_show(&letter);
    return true;
}

/* ---- deciding ---- */

static bool requeue(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    const Events *of = kind->own;
    AUTO_PLACE place = {0};
    DeadLetter letter;
    if (!open_one(kind, ctl, number, false, &place, &letter, err) || !of->again(ctl, &place, &letter, err))
        return false;
    if (of->program) letter_ring(ctl, of->program, "letters");
    return true;
}

static bool discard(const LetterKind *kind, Ctl *ctl, int64_t number, Err *err) {
    const Events *of = kind->own;
    AUTO_PLACE place = {0};
    DeadLetter letter;
    if (!open_one(kind, ctl, number, false, &place, &letter, err) ||
        !dead_letter_remove(place.letters, of->table, number, err))
        return false;
    if (of->program) letter_ring(ctl, of->program, "letters");
    return true;
}

static bool unreadable(Err *err) {
    return err_set(err, &ERR_INVALID, "the event cannot be read; it can only be discarded");
}

/* ---- the outbox ---- */

static bool open_outbox(Ctl *ctl, bool read_only, Place *ret, Err *err) {
    if (!outbox_place_open(ctl, read_only, &ret->outbox, err)) return false;
    ret->letters = ret->outbox.numbers;
    return true;
}

/* The event once more as a row of the outbox, with its id and version, to get a new number. Cut between the
 * two steps it is there twice, which its id tells. */
static bool outbox_again(Ctl *ctl, Place *place, const DeadLetter *letter, Err *err) {
    Envelope *envelope = envelope_unpack(letter->body, ctl->arena);
    if (!envelope) return unreadable(err);
    envelope->sequence = envelope->watermark = 0;
    if (!outbox_append(place->outbox.outbox, envelope, clock_now_us(), err) ||
        !dead_letter_remove(place->letters, &OUTBOX_LETTERS, letter->number, err))
        return false;
    letter_ring(ctl, "relay", "work");
    return true;
}

/* ---- the projection ---- */

static bool open_projection(Ctl *ctl, bool read_only, Place *ret, Err *err) {
    const DbOptions options = {.read_only = read_only, .busy_ms = LOCK_MS};
    return db_open(config_text(ctl->config, "EVENTS_READ_DB"), options, &ret->letters, err);
}

static bool projection_again(Ctl *ctl, Place *place, const DeadLetter *letter, Err *err) {
    (void)ctl;
    return dead_event_requeue(place->letters, letter->number, err);
}

/* ---- deliveries ---- */

/* Where the topic is in the cloud there is no such file. */
static bool open_grid(Ctl *ctl, bool read_only, Place *ret, Err *err) {
    const DbOptions options = {.read_only = read_only, .busy_ms = LOCK_MS};
    const char *path = config_path(ctl->config, "db/grid.db");
    return !files_exist(path) ||
           db_open(must(arena_printf(ctl->arena, "sqlite:%s", path)), options, &ret->letters, err);
}

static void take_event(void *user, Envelope *envelope) {
    *(Envelope **)user = envelope;
}
static void take_nothing(void *user, size_t index, Span bytes, const char *reason) {
    (void)user, (void)index, (void)bytes, (void)reason;
}

static Envelope *read_cloudevent(Span body, Arena *arena) {
    Envelope *found = NULL;
    Err none = {0};
    const CloudEventVisitor visitor = {.event = take_event, .bad = take_nothing, .user = &found};
    return cloudevent_read(SPAN("application/cloudevents+json"), body, arena, &visitor, &none) ? found : NULL;
}

/* Published once more, as the relay would: every subscription gets it, and who has it already knows it by its
 * number. */
static bool delivery_again(Ctl *ctl, Place *place, const DeadLetter *letter, Err *err) {
    AUTO(GridPublisher) publisher = NULL;
    AUTO_BUF packed = {0};
    Envelope *envelope = read_cloudevent(letter->body, ctl->arena);
    if (!envelope) return unreadable(err);
    char *at = must(buf_reserve(&packed, events__v1__envelope__get_packed_size(envelope) + 1));
    packed.len = events__v1__envelope__pack(envelope, (uint8_t *)at);
    if (!grid_publisher_open_by(ctl->config, &publisher, err)) return false;
    Span event = buf_view(&packed);
    GridRequest request = {.packed = &event, .count = 1};
    grid_publish(publisher, &request, 1);
    GridAnswer answer = request.answer;
    if (answer.outcome != GRID_PUBLISHED) return err_set(err, &ERR_UNAVAILABLE, "%s", answer.why.why);
    return dead_letter_remove(place->letters, &DELIVERY_LETTERS, letter->number, err);
}

static const Events OUTBOX = {&OUTBOX_LETTERS, NULL, open_outbox, envelope_unpack, outbox_again};
static const Events PROJECTION = {&PROJECTION_LETTERS, NULL, open_projection, envelope_unpack,
                                  projection_again};
static const Events DELIVERIES = {&DELIVERY_LETTERS, "grid", open_grid, read_cloudevent, delivery_again};
#define KIND(name, events)                                                                                   \
    { name, &(events), list, show, requeue, discard }
const LetterKind OUTBOX_KIND = KIND("outbox", OUTBOX), PROJECTION_KIND = KIND("projection", PROJECTION),
                 DELIVERY_KIND = KIND("grid", DELIVERIES);
