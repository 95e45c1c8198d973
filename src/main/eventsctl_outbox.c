/* eventsctl_outbox.c - what waits to be published, and a new numbering where the old one is lost. */
#include "main/eventsctl_outbox.h"

#include "base/clock.h"
#include "service/pid_file.h"
#include "store/outbox/numbers.h"
#include "store/outbox/outbox_admin.h"
#include "store/read/replay_log.h"
#include "wire/json/json.h"
#include <stdio.h>

bool outbox_place_open(Ctl *ctl, bool read_only, OutboxPlace *ret, Err *err) {
    const char *write = config_text(ctl->config, "EVENTS_WRITE_DB"), *numbers = write;
    const DbOptions options = {.read_only = read_only, .busy_ms = 20000};
    if (!strncmp(write, "sqlite:", 7))
        numbers = must(arena_printf(ctl->arena, "sqlite:%s", config_path(ctl->config, "db/relay.db")));
    *ret = (OutboxPlace){0};
    return db_open(numbers, options, &ret->numbers, err) && db_open(write, options, &ret->outbox, err);
}

void outbox_place_close(OutboxPlace *place) {
    place->numbers = db_free(place->numbers);
    place->outbox = db_free(place->outbox);
}

/* ---- status ---- */

/* The projection may not have been there yet. */
static void read_head(Ctl *ctl, ReplayHead *head) {
    AUTO(Db) db = NULL;
    Err err = {0};
    *head = (ReplayHead){.head = -1};
    if (!db_open(config_text(ctl->config, "EVENTS_READ_DB"), (DbOptions){.read_only = true}, &db, &err) ||
        !replay_log_head(db, head, &err))
        head->head = -1;
}

static void print_json(const OutboxStatus *s, const ReplayHead *head) {
    AUTO_BUF out = {0};
    JsonWriter w = json_writer(&out);
    json_object(&w);
    json_name(&w, "epoch"), json_text(&w, s->epoch);
    json_name(&w, "lastSequence"), json_decimal_string(&w, s->last);
    json_name(&w, "withoutNumber"), json_int(&w, s->fresh);
    json_name(&w, "unpublished"), json_int(&w, s->waiting);
    if (s->since_us) json_name(&w, "oldest"), json_time(&w, s->since_us);
    json_name(&w, "deadLetters"), json_int(&w, s->letters);
    if (head->head >= 0) {
        json_name(&w, "projectionEpoch"), json_text(&w, head->epoch);
        json_name(&w, "held"), json_decimal_string(&w, head->head);
    }
    json_object_end(&w);
    printf("%.*s\n", (int)out.len, out.at);
}

static const char *judge(const OutboxStatus *s, const ReplayHead *head) {
    if (head->head < 0) return "its database cannot be read";
    if (!*head->epoch) return "it has not heard of the relay yet";
    if (strcmp(head->epoch, s->epoch)) return "of another epoch: nothing is published, see outbox new-epoch";
    if (head->head > s->last) return "more than was given: nothing is published, see outbox new-epoch";
    return "same epoch";
}

static void print_status(const OutboxStatus *s, const ReplayHead *head) {
    char since[CLOCK_TEXT] = "-";
    if (s->since_us) clock_format(s->since_us, since);
    printf("epoch                 %s\n"
           "last number           %lld\n"
           "rows without number   %lld\n"
           "unpublished numbers   %lld\n"
           "oldest of these       %s\n"
           "held by projection    %lld (%s)\n"
           "dead letters          %lld\n",
           s->epoch, (long long)s->last, (long long)s->fresh, (long long)s->waiting, since,
           (long long)(head->head < 0 ? 0 : head->head), judge(s, head), (long long)s->letters);
}

bool ctl_outbox_status(Ctl *ctl, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    OutboxStatus status;
    ReplayHead head;
    if (!outbox_place_open(ctl, true, &place, err) ||
        !outbox_status(place.numbers, place.outbox, &status, err))
        return false;
    read_head(ctl, &head);
    if (ctl_option(ctl, "json"))
        print_json(&status, &head);
    else
        print_status(&status, &head);
    return true;
}

/* ---- a new epoch ---- */

/* A program that runs has the old numbers in its memory. */
static bool keep_out(Ctl *ctl, const char *program, const char **path, int *lock, Err *err) {
    Err why = {0};
    *path = config_path(ctl->config, must(arena_printf(ctl->arena, "run/%s.pid", program)));
    return pid_file_open(*path, lock, &why) ||
           err_set(err, &ERR_UNAVAILABLE, "events-%s is running: stop it first, on every machine", program);
}

/* The relay's side first: where this is cut in between, the two contradict each other as before, nothing is
 * published, and the same once more completes it. */
static bool begin_epoch(OutboxPlace *place, Db *read, char epoch[UUID_TEXT], int64_t *last, Err *err) {
    NumbersState state;
    ReplayHead head;
    if (!numbers_load(place->numbers, &state, err) || !replay_log_head(read, &head, err)) return false;
    Uuid id = uuid_v7();
    uuid_format(&id, epoch);
    *last = state.last > head.head ? state.last : head.head;
    int64_t held = strcmp(head.epoch, state.epoch) ? 0 : head.head;
    ReplayHead next = {.head = *last};
    memcpy(next.epoch, epoch, UUID_TEXT);
    return outbox_renumber(place->numbers, place->outbox, epoch, *last, held, err) &&
           replay_log_begin_epoch(read, &next, err);
}

static bool new_epoch(Ctl *ctl, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    AUTO(Db) read = NULL;
    char epoch[UUID_TEXT];
    int64_t last;
    const char *url = config_text(ctl->config, "EVENTS_READ_DB");
    if (!outbox_place_open(ctl, false, &place, err) || !db_open(url, (DbOptions){0}, &read, err) ||
        !begin_epoch(&place, read, epoch, &last, err))
        return false;
    printf("numbers go on above %lld, in the epoch %s\n", (long long)last, epoch);
    return true;
}

bool ctl_outbox_new_epoch(Ctl *ctl, Err *err) {
    const char *relay = NULL, *projection = NULL;
    int relay_lock = -1, projection_lock = -1;
    bool done = keep_out(ctl, "relay", &relay, &relay_lock, err) &&
                keep_out(ctl, "projection", &projection, &projection_lock, err) && new_epoch(ctl, err);
    pid_file_remove(projection, projection_lock);
    pid_file_remove(relay, relay_lock);
    return done;
}
