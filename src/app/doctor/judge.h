/* What `eventsctl doctor` thinks of what it has found. Pure: facts and the time as given, no I/O. No finding holds a
 * secret or personal data: facts are modes, dates, counts and numbers. */
#pragma once
#include "store/outbox/outbox_admin.h"
#include "store/read/replay_log.h"
#include <sys/types.h>

typedef enum DoctorLevel { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAULT } DoctorLevel;

/* Plain old data, so that it can go through a pipe in one piece. */
typedef struct Finding {
    DoctorLevel level;
    char about[40];   /* "numbering" */
    char found[300];  /* what is the case, in plain words */
    char remedy[200]; /* what to do about it; "": nothing */
} Finding;

/* about is left as it is; remedy: constant text, or "". */
void finding_set(Finding *f, DoctorLevel level, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef struct PrivateFile {
    const char *name; /* below the home */
    bool there;
    mode_t mode;
} PrivateFile;
void judge_file(const PrivateFile *file, Finding *f);

typedef struct CertificateFacts {
    bool certificate, key; /* could be read */
    bool match;            /* the key is the certificate's */
    int64_t begins_us, ends_us;
} CertificateFacts;
void judge_certificate(const CertificateFacts *facts, int64_t now_us, Finding *f);

void judge_disk(uint64_t free_bytes, Finding *f);

/* reached: there was a connection. err: why there was none, or what its tables lack; kind NULL: all is well. */
void judge_database(bool reached, const Err *err, Finding *f);

/* The two faults for which the relay publishes nothing. status: read after head, which may grow meanwhile. */
void judge_numbering(const OutboxStatus *status, const ReplayHead *head, Finding *f);
void judge_backlog(const OutboxStatus *status, int64_t now_us, Finding *f);
void judge_letters(const char *kind, int64_t count, Finding *f);

typedef struct ProgramFacts {
    const char *address; /* of its admin; NULL: nowhere known */
    bool elsewhere;      /* another one does its work: it need not run */
    int status;          /* of /health/ready; 0: no answer */
} ProgramFacts;
void judge_program(const ProgramFacts *facts, Finding *f);
