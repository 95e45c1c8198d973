/* What doctor thinks of what it has found. */
#include "app/doctor/judge.h"

#include "base/clock.h"
#include "kit/test.h"

#define DAY 86400000000LL
#define NOW (20000 * DAY)

/* level and a part of each text; remedy "": none at all */
static void expect(const Finding *f, DoctorLevel level, const char *found, const char *remedy) {
    CHECK(f->level == level);
    CHECK(strstr(f->found, found));
    CHECK(*remedy ? strstr(f->remedy, remedy) != NULL : !*f->remedy);
    CHECK((f->level == DOCTOR_OK) == !*f->remedy);
    if (f->level != level || !strstr(f->found, found)) fprintf(stderr, "found: %s\n", f->found);
}

static void files(void) {
    static const struct {
        bool there;
        mode_t mode;
        DoctorLevel level;
        const char *found, *remedy;
    } CASES[] = {
        {true, 0100600, DOCTOR_OK, "secrets/x is private", ""},
        {true, 0100400, DOCTOR_OK, "secrets/x is private", ""},
        {true, 0100640, DOCTOR_WARNING, "its group (mode 640)", "unless the group is meant"},
        {true, 0100644, DOCTOR_FAULT, "every user (mode 644)", "mode 600"},
        {true, 0100602, DOCTOR_FAULT, "every user (mode 602)", "mode 600"},
        {false, 0, DOCTOR_FAULT, "secrets/x is missing", "`eventsctl init`"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Finding f;
        judge_file(&(PrivateFile){"secrets/x", CASES[i].there, CASES[i].mode}, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].remedy);
    }
}

static void certificates(void) {
    static const struct {
        CertificateFacts facts;
        DoctorLevel level;
        const char *found, *remedy;
    } CASES[] = {
        {{true, true, true, NOW - DAY, NOW + 31 * DAY}, DOCTOR_OK, "valid until 2024-11-04", ""},
        {{true, true, true, NOW - DAY, NOW + 30 * DAY}, DOCTOR_OK, "valid until 2024-11-03", ""},
        {{true, true, true, NOW - DAY, NOW + 30 * DAY - 1},
         DOCTOR_WARNING,
         "in 29 days: 2024-11-02",
         "SIGHUP"},
        {{true, true, true, NOW - DAY, NOW}, DOCTOR_FAULT, "expired: 2024-10-04", "SIGHUP"},
        {{true, true, true, NOW + 1, NOW + DAY}, DOCTOR_FAULT, "not valid yet", "clock"},
        {{true, true, false, NOW - DAY, NOW + 99 * DAY}, DOCTOR_FAULT, "not the key of tls.crt", "SIGHUP"},
        {{true, false, false, NOW - DAY, NOW + 99 * DAY}, DOCTOR_FAULT, "tls.key is missing", "SIGHUP"},
        {{0}, DOCTOR_FAULT, "tls.crt is missing", "`eventsctl init`"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Finding f;
        judge_certificate(&CASES[i].facts, NOW, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].remedy);
    }
}

static void disks(void) {
    static const struct {
        uint64_t mib;
        DoctorLevel level;
    } CASES[] = {{5000000, DOCTOR_OK},  {1024, DOCTOR_OK},  {1023, DOCTOR_WARNING},
                 {100, DOCTOR_WARNING}, {99, DOCTOR_FAULT}, {0, DOCTOR_FAULT}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Finding f;
        judge_disk(CASES[i].mib << 20, &f);
        expect(&f, CASES[i].level, "MiB are free", CASES[i].level == DOCTOR_OK ? "" : "make room");
    }
}

static void databases(void) {
    static const struct {
        bool reached;
        const ErrKind *kind;
        DoctorLevel level;
        const char *found, *remedy;
    } CASES[] = {
        {true, NULL, DOCTOR_OK, "reached", ""},
        {false, &ERR_DB_DOWN, DOCTOR_FAULT, "cannot be reached: why", "server"},
        {false, &ERR_CONFIG, DOCTOR_FAULT, "cannot be reached: why", "setting"},
        {true, &ERR_DB_DOWN, DOCTOR_FAULT, "why", "`eventsctl migrate`"},
        {true, &ERR_CONFIG, DOCTOR_FAULT, "why", "newer programs"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Err err = {0};
        Finding f;
        if (CASES[i].kind) err_set(&err, CASES[i].kind, "why");
        judge_database(CASES[i].reached, &err, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].remedy);
    }
}

static void numberings(void) {
    static const struct {
        const char *epoch;
        int64_t last;
        const char *held_epoch;
        int64_t held;
        DoctorLevel level;
        const char *found, *remedy;
    } CASES[] = {
        {"a", 7, "a", 7, DOCTOR_OK, "of 7 numbers the projection holds 7", ""},
        {"a", 7, "a", 0, DOCTOR_OK, "of 7 numbers the projection holds 0", ""},
        {"a", 0, "", 0, DOCTOR_OK, "not heard", ""},
        {"a", 3, "", 0, DOCTOR_WARNING, "not heard", "projection run"},
        {"a", 7, "a", 8, DOCTOR_FAULT, "acknowledged number 8, and only 7 were given",
         "`eventsctl outbox new-epoch`"},
        {"a", 7, "b", 7, DOCTOR_FAULT, "its epoch is a, the projection's b", "`eventsctl outbox new-epoch`"},
        {"a", 7, "b", 9, DOCTOR_FAULT, "its epoch is a, the projection's b", "`eventsctl outbox new-epoch`"},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        OutboxStatus status = {.last = CASES[i].last};
        ReplayHead head = {.head = CASES[i].held};
        Finding f;
        snprintf(status.epoch, sizeof status.epoch, "%s", CASES[i].epoch);
        snprintf(head.epoch, sizeof head.epoch, "%s", CASES[i].held_epoch);
        judge_numbering(&status, &head, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].remedy);
    }
}

static void backlogs(void) {
    static const struct {
        int64_t fresh, waiting, age_us;
        DoctorLevel level;
        const char *found;
    } CASES[] = {
        {0, 0, 0, DOCTOR_OK, "no event waits"},
        {2, 3, 59999999, DOCTOR_OK, "published: 5, the oldest for 59 s"},
        {2, 3, 60000000, DOCTOR_WARNING, "published: 5, the oldest for 60 s"},
        {0, 1, -5000000, DOCTOR_OK, "published: 1, the oldest for 0 s"}, /* clocks differ */
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const OutboxStatus status = {
            .fresh = CASES[i].fresh, .waiting = CASES[i].waiting, .since_us = NOW - CASES[i].age_us};
        Finding f;
        judge_backlog(&status, NOW, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].level == DOCTOR_OK ? "" : "relay's log");
    }
}

static void letters(void) {
    Finding f;
    judge_letters("grid", 0, &f);
    expect(&f, DOCTOR_OK, "none of the grid", "");
    judge_letters("grid", 3, &f);
    expect(&f, DOCTOR_WARNING, "3 of the grid", "`eventsctl dead-letters list`");
}

static void programs(void) {
    static const struct {
        ProgramFacts facts;
        DoctorLevel level;
        const char *found, *remedy;
    } CASES[] = {
        {{"h:1", false, 200}, DOCTOR_OK, "ready, admin h:1", ""},
        {{"h:1", true, 200}, DOCTOR_OK, "ready, admin h:1", ""},
        {{"h:1", false, 503}, DOCTOR_FAULT, "runs and is not ready", "log"},
        {{"h:1", false, 404}, DOCTOR_FAULT, "at h:1: HTTP 404", "address"},
        {{"h:1", false, 0}, DOCTOR_FAULT, "does not answer at h:1", "start it again"},
        {{NULL, false, 0}, DOCTOR_FAULT, "does not run from this home", "EVENTS_PEERS"},
        {{NULL, true, 0}, DOCTOR_OK, "EVENTS_GRID_ENDPOINT", ""},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Finding f;
        judge_program(&CASES[i].facts, &f);
        expect(&f, CASES[i].level, CASES[i].found, CASES[i].remedy);
    }
}

SUITE("doctor", TEST(files), TEST(certificates), TEST(disks), TEST(databases), TEST(numberings),
      TEST(backlogs), TEST(letters), TEST(programs));
