/* The checks of `eventsctl doctor`. Each runs in a process of its own, so that one that hangs in an engine's driver
 * can be ended; what it finds goes through a pipe. All of them only read. */
#pragma once
#include "app/doctor/judge.h"
#include "main/eventsctl.h"

typedef struct Doctor {
    Ctl *ctl;
    int out; /* the pipe of this check */
} Doctor;

/* Tells one finding about `about`. */
void doctor_tell(Doctor *d, const char *about, const Finding *finding);
/* That something could not be looked at, where the fault itself is another check's. */
void doctor_unknown(Doctor *d, const char *about, const Err *why);

typedef struct DoctorCheck {
    const char *about;
    void (*run)(Doctor *d, const char *about);
} DoctorCheck;

/* Of this machine: eventsctl_doctor_home.c. */
void doctor_home(Doctor *d, const char *about); /* where this is a fault nothing else is of interest */
void doctor_settings(Doctor *d, const char *about);
void doctor_files(Doctor *d, const char *about);
void doctor_certificate(Doctor *d, const char *about);
void doctor_disk(Doctor *d, const char *about);
/* Of engines and programs: eventsctl_doctor_engines.c. */
#define TABLES "tables: "
void doctor_database(Doctor *d, const char *about); /* TABLES and a name of ctl_databases() */
void doctor_events(Doctor *d, const char *about);   /* numbering, outbox, its dead letters */
void doctor_letters(Doctor *d, const char *about);
void doctor_programs(Doctor *d, const char *about);
