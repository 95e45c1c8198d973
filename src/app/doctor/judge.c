#include "app/doctor/judge.h"

#include "base/clock.h"
#include <stdarg.h>
#include <stdio.h>

#define DAY_US 86400000000LL
enum { EXPIRES_SOON_DAYS = 30, BACKLOG_OLD_S = 60 };
#define DISK_LOW  (1ULL << 30)
#define DISK_FULL (100ULL << 20) /* the write-ahead logs of six files may take as much within minutes */

void finding_set(Finding *f, DoctorLevel level, const char *remedy, const char *format, ...) {
    va_list args;
    f->level = level;
    snprintf(f->remedy, sizeof f->remedy, "%s", remedy);
    va_start(args, format);
    vsnprintf(f->found, sizeof f->found, format, args);
    va_end(args);
}

/* The group may be how a container is given its secrets; everybody never is. */
void judge_file(const PrivateFile *file, Finding *f) {
    unsigned mode = file->mode & 07777;
    if (!file->there)
        finding_set(f, DOCTOR_FAULT, "`eventsctl init` makes what is missing", "%s is missing", file->name);
    else if (mode & 007)
        finding_set(f, DOCTOR_FAULT, "give it mode 600", "%s is open to every user (mode %03o)", file->name,
                    mode);
    else if (mode & 070)
        finding_set(f, DOCTOR_WARNING, "give it mode 600, unless the group is meant",
                    "%s is open to its group (mode %03o)", file->name, mode);
    else
        finding_set(f, DOCTOR_OK, "", "%s is private", file->name);
}

void judge_certificate(const CertificateFacts *c, int64_t now_us, Finding *f) {
    static const char RENEW[] =
        "put a new tls.crt and tls.key there and send SIGHUP to the gateway, or remove "
        "both and run `eventsctl init`";
    char ends[CLOCK_TEXT];
    clock_format(c->ends_us, ends);
    if (!c->certificate)
        finding_set(f, DOCTOR_FAULT, RENEW, "tls.crt is missing, or is no certificate in PEM");
    else if (!c->key)
        finding_set(f, DOCTOR_FAULT, RENEW, "tls.key is missing, or is no private key in PEM");
    else if (!c->match)
        finding_set(f, DOCTOR_FAULT, RENEW, "tls.key is not the key of tls.crt");
    else if (now_us >= c->ends_us)
        finding_set(f, DOCTOR_FAULT, RENEW, "it has expired: %.10s", ends);
    else if (now_us < c->begins_us)
        finding_set(f, DOCTOR_FAULT, "look at the machine's clock", "it is not valid yet");
    else if (c->ends_us - now_us < EXPIRES_SOON_DAYS * DAY_US)
        finding_set(f, DOCTOR_WARNING, RENEW, "it expires in %lld days: %.10s",
                    (long long)((c->ends_us - now_us) / DAY_US), ends);
    else
        finding_set(f, DOCTOR_OK, "", "valid until %.10s", ends);
}

void judge_disk(uint64_t free_bytes, Finding *f) {
    unsigned long long mib = free_bytes >> 20;
    bool low = free_bytes < DISK_LOW;
    finding_set(f,
                free_bytes < DISK_FULL ? DOCTOR_FAULT
                : low                  ? DOCTOR_WARNING
                                       : DOCTOR_OK,
                low ? "make room: nothing is accepted once the databases cannot grow" : "",
                "%llu MiB are free where the home is", mib);
}

void judge_database(bool reached, const Err *err, Finding *f) {
    if (!err->kind)
        finding_set(f, DOCTOR_OK, "", "reached, its tables are as this program wants them");
    else if (!reached)
        finding_set(f, DOCTOR_FAULT,
                    err->kind == &ERR_CONFIG ? "mend the setting"
                                             : "look at its server, or at the file and the folder it is in",
                    "cannot be reached: %s", err->why);
    else if (err->kind == &ERR_CONFIG)
        finding_set(f, DOCTOR_FAULT, "run the newer programs, which have brought it there", "%s", err->why);
    else
        finding_set(f, DOCTOR_FAULT, "run `eventsctl migrate`", "%s", err->why);
}

/* ---- events on their way ---- */

void judge_numbering(const OutboxStatus *s, const ReplayHead *head, Finding *f) {
    static const char NEW_EPOCH[] =
        "a database was lost or restored: bring back the right file, or stop relay and "
        "projection and run `eventsctl outbox new-epoch`";
    long long last = s->last, held = head->head;
    if (!*head->epoch)
        finding_set(f, last ? DOCTOR_WARNING : DOCTOR_OK, last ? "see that relay and projection run" : "",
                    "the projection has not heard of the relay yet; %lld numbers are given", last);
    else if (strcmp(head->epoch, s->epoch))
        finding_set(f, DOCTOR_FAULT, NEW_EPOCH,
                    "the relay publishes nothing: its epoch is %s, the projection's %s", s->epoch,
                    head->epoch);
    else if (held > last)
        finding_set(f, DOCTOR_FAULT, NEW_EPOCH,
                    "the relay publishes nothing: the projection has acknowledged number %lld, and only %lld "
                    "were given",
                    held, last);
    else
        finding_set(f, DOCTOR_OK, "", "one epoch; of %lld numbers the projection holds %lld", last, held);
}

void judge_backlog(const OutboxStatus *s, int64_t now_us, Finding *f) {
    long long waiting = s->fresh + s->waiting;
    if (!waiting || !s->since_us) {
        finding_set(f, DOCTOR_OK, "", "no event waits to be published");
        return;
    }
    long long age = now_us > s->since_us ? (now_us - s->since_us) / 1000000 : 0;
    bool old = age >= BACKLOG_OLD_S;
    finding_set(f, old ? DOCTOR_WARNING : DOCTOR_OK,
                old ? "see that the relay runs and the topic answers; the relay's log tells" : "",
                "events that wait to be published: %lld, the oldest for %lld s", waiting, age);
}

void judge_letters(const char *kind, int64_t count, Finding *f) {
    if (!count)
        finding_set(f, DOCTOR_OK, "", "none of the %s", kind);
    else
        finding_set(f, DOCTOR_WARNING,
                    "look with `eventsctl dead-letters list`, then `dead-letters requeue ID` or `discard ID`",
                    "%lld of the %s", (long long)count, kind);
}

void judge_program(const ProgramFacts *p, Finding *f) {
    if (p->status == 200)
        finding_set(f, DOCTOR_OK, "", "ready, admin %s", p->address);
    else if (p->status == 503)
        finding_set(f, DOCTOR_FAULT, "its log says what it waits for", "runs and is not ready, admin %s",
                    p->address);
    else if (p->status)
        finding_set(f, DOCTOR_FAULT, "see who has this address", "another program answers at %s: HTTP %d",
                    p->address, p->status);
    else if (p->address)
        finding_set(f, DOCTOR_FAULT, "its log says why it has ended; start it again",
                    "does not answer at %s: it has ended, or hangs", p->address);
    else if (p->elsewhere)
        finding_set(f, DOCTOR_OK, "", "not here: EVENTS_GRID_ENDPOINT names the topic");
    else
        finding_set(f, DOCTOR_FAULT, "start it; where it is on another machine, name it in EVENTS_PEERS",
                    "does not run from this home");
}
