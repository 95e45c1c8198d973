/* eventsctl_doctor_engines.c - databases, events on their way, dead letters, programs. */
#include "base/clock.h"
#include "main/eventsctl_doctor.h"
#include "main/eventsctl_files.h"
#include "main/eventsctl_migrate.h"
#include "main/eventsctl_outbox.h"
#include "net/http_client.h"
#include "queue/queue_letters.h"
#include "service/admin_file.h"
#include "store/grid/migrations_grid.h"
#include "store/read/replay_log.h"
#include <stdio.h>

enum { CONNECT_MS = 1000, ANSWER_MS = 1500 };

/* Where the topic is in the cloud, events-grid has no work here. */
static bool topic_is_elsewhere(const Doctor *d) {
    return *config_text(d->ctl->config, "EVENTS_GRID_ENDPOINT");
}

static const char *grid_file(const Doctor *d) {
    const char *path = config_path(d->ctl->config, "db/grid.db");
    return topic_is_elsewhere(d) && !files_exist(path) ? NULL
                                                       : must(arena_printf(d->ctl->arena, "sqlite:%s", path));
}

/* ---- databases ---- */

static void look_at_database(Doctor *d, const char *about, const CtlDatabase *database) {
    AUTO(Db) db = NULL;
    Err err = {0};
    Finding f;
    bool reached = db_open(database->url, (DbOptions){.read_only = true}, &db, &err);
    if (reached) database->migrate(db, &err);
    judge_database(reached, &err, &f);
    doctor_tell(d, about, &f);
}

/* A queue that cannot be read is told by the settings. */
void doctor_database(Doctor *d, const char *about) {
    CtlDatabase databases[CTL_DATABASES];
    Err err = {0};
    if (!ctl_databases(d->ctl, databases, &err)) return;
    for (size_t i = 0; i < CTL_DATABASES; i++) {
        const CtlDatabase *database = &databases[i];
        if (!database->url || strcmp(database->name, about + strlen(TABLES))) continue;
        if (database->migrate != grid_migrate || grid_file(d)) look_at_database(d, about, database);
    }
}

/* ---- events ---- */

/* The projection's side first: the relay's may only grow meanwhile. */
static bool read_numbers(Doctor *d, ReplayHead *head, OutboxStatus *status, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    AUTO(Db) read = NULL;
    const char *url = config_text(d->ctl->config, "EVENTS_READ_DB");
    return db_open(url, (DbOptions){.read_only = true}, &read, err) && replay_log_head(read, head, err) &&
           outbox_place_open(d->ctl, true, &place, err) &&
           outbox_status(place.numbers, place.outbox, status, err);
}

void doctor_events(Doctor *d, const char *about) {
    ReplayHead head;
    OutboxStatus status;
    Err err = {0};
    Finding f;
    if (!read_numbers(d, &head, &status, &err)) {
        if (err_is(&err, &ERR_NOT_FOUND)) {
            finding_set(&f, DOCTOR_OK, "", "%s", err.why);
            doctor_tell(d, about, &f);
        } else {
            doctor_unknown(d, about, &err);
        }
        return;
    }
    judge_numbering(&status, &head, &f);
    doctor_tell(d, "numbering", &f);
    judge_backlog(&status, clock_now_us(), &f);
    doctor_tell(d, "outbox", &f);
}

/* ---- dead letters ---- */

static bool count_letters(const char *url, const DeadLetterTable *table, int64_t *ret, Err *err) {
    AUTO(Db) db = NULL;
    return db_open(url, (DbOptions){.read_only = true}, &db, err) && dead_letter_count(db, table, ret, err);
}

static bool count_outbox(Doctor *d, int64_t *ret, Err *err) {
    AUTO_OUTBOX_PLACE place = {0};
    return outbox_place_open(d->ctl, true, &place, err) &&
           dead_letter_count(place.numbers, &OUTBOX_LETTERS, ret, err);
}

static bool count_projection(Doctor *d, int64_t *ret, Err *err) {
    return count_letters(config_text(d->ctl->config, "EVENTS_READ_DB"), &PROJECTION_LETTERS, ret, err);
}

static bool count_deliveries(Doctor *d, int64_t *ret, Err *err) {
    const char *url = grid_file(d);
    *ret = 0;
    return !url || count_letters(url, &DELIVERY_LETTERS, ret, err);
}

static bool count_commands(Doctor *d, int64_t *ret, Err *err) {
    const Config *c = d->ctl->config;
    return queue_letters_count(config_text(c, "EVENTS_QUEUE"), config_text(c, "EVENTS_HOME"), ret, err);
}

void doctor_letters(Doctor *d, const char *about) {
    static const struct {
        const char *kind;
        bool (*count)(Doctor *d, int64_t *ret, Err *err);
    } KINDS[] = {{"outbox", count_outbox},
                 {"projection", count_projection},
                 {"grid", count_deliveries},
                 {"command queue", count_commands}};
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        int64_t count;
        Err err = {0};
        Finding f;
        if (KINDS[i].count(d, &count, &err)) {
            judge_letters(KINDS[i].kind, count, &f);
            doctor_tell(d, about, &f);
        } else {
            doctor_unknown(d, about, &err);
        }
    }
}

/* ---- programs ---- */

typedef struct Program {
    const char *name;
    char address[ADMIN_ADDRESS], url[ADMIN_ADDRESS + 32];
    bool known;
} Program;

/* Of one that EVENTS_PEERS names: "relay=host:port,...". */
static bool find_peer(const Doctor *d, Program *p) {
    Span rest = span_of(config_text(d->ctl->config, "EVENTS_PEERS"));
    while (rest.at && rest.len) {
        Span address, peer = span_split(rest, ',', &rest), name = span_split(peer, '=', &address);
        if (span_is(span_trim(name), p->name))
            return span_copy(span_trim(address), p->address, sizeof p->address);
    }
    return false;
}

static void find_program(const Doctor *d, Program *p) {
    p->known =
        admin_file_read(config_text(d->ctl->config, "EVENTS_HOME"), p->name, p->address) || find_peer(d, p);
    if (p->known) snprintf(p->url, sizeof p->url, "http://%s/health/ready", p->address);
}

static void tell_program(Doctor *d, const Program *p, const HttpReply *reply) {
    Finding f;
    const ProgramFacts facts = {.address = p->known ? p->address : NULL,
                                .elsewhere = !strcmp(p->name, "grid") && topic_is_elsewhere(d),
                                .status = reply ? reply->status : 0};
    judge_program(&facts, &f);
    doctor_tell(d, must(arena_printf(d->ctl->arena, "events-%s", p->name)), &f);
}

/* As the gateway finds them for /api/status: by what they have left in the home; and by EVENTS_PEERS. */
void doctor_programs(Doctor *d, const char *about) {
    Program programs[] = {{.name = "gateway"},
                          {.name = "prospects"},
                          {.name = "relay"},
                          {.name = "projection"},
                          {.name = "grid"}};
    HttpCall calls[COUNT(programs)];
    AUTO(HttpClient) client = NULL;
    size_t count = 0;
    Err err = {0};
    if (!http_client_open(&(HttpClientOptions){.connect_ms = CONNECT_MS, .total_ms = ANSWER_MS}, &client,
                          &err)) {
        doctor_unknown(d, about, &err);
        return;
    }
    for (size_t i = 0; i < COUNT(programs); i++) {
        find_program(d, &programs[i]);
        if (programs[i].known) calls[count++] = (HttpCall){.method = "GET", .url = programs[i].url};
    }
    http_client_calls(client, calls, count);
    for (size_t i = 0, call = 0; i < COUNT(programs); i++)
        tell_program(d, &programs[i], programs[i].known ? calls[call++].reply : NULL);
}
