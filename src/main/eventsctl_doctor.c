/* eventsctl_doctor.c - runs the checks side by side, each in a child with a pipe, and prints what they tell in the order
 * of the table. All together have LIMIT_MS; a child that has not ended by then is killed, and that is a fault, too. */
#include "main/eventsctl_doctor.h"

#include "base/clock.h"
#include "base/text.h"
#include "wire/json/json.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { LIMIT_MS = 5000, EXIT_FAULT = 1 };

static const DoctorCheck HOME = {"home", doctor_home};
static const DoctorCheck CHECKS[] = {
    {"settings", doctor_settings},
    {"files", doctor_files},
    {"certificate", doctor_certificate},
    {"disk", doctor_disk},
    {TABLES "users", doctor_database},
    {TABLES "commands", doctor_database},
    {TABLES "settled commands", doctor_database},
    {TABLES "dead commands", doctor_database},
    {TABLES "the write model", doctor_database},
    {TABLES "the relay", doctor_database},
    {TABLES "events-grid", doctor_database},
    {TABLES "the read model", doctor_database},
    {"events", doctor_events},
    {"dead letters", doctor_letters},
    {"programs", doctor_programs},
};

/* One that runs. */
typedef struct Child {
    const DoctorCheck *check;
    pid_t pid;
    int in;
} Child;

typedef struct Visit {
    Ctl *ctl;
    bool json;
    JsonWriter w;
    int64_t end_us;   /* monotonic */
    size_t counts[3]; /* by level */
} Visit;

/* ---- in the child ---- */

/* Names of files and drivers' words may be any bytes. */
static void make_printable(char *text) {
    bool utf8 = text_is_utf8(span_of(text));
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || (!utf8 && (unsigned char)*at >= 0x80)) *at = '?';
}

/* Smaller than PIPE_BUF, so whole or not at all. */
void doctor_tell(Doctor *d, const char *about, const Finding *finding) {
    _Static_assert(sizeof *finding <= PIPE_BUF, "a finding is written in one piece");
    Finding f = *finding;
    snprintf(f.about, sizeof f.about, "%s", about);
    make_printable(f.found);
    if (write(d->out, &f, sizeof f) != (ssize_t)sizeof f) _exit(1);
}

void doctor_unknown(Doctor *d, const char *about, const Err *why) {
    Finding f;
    finding_set(&f, DOCTOR_WARNING, "", "not known: %s", why->why);
    doctor_tell(d, about, &f);
}

static _Noreturn void run_check(const DoctorCheck *check, Ctl *ctl, int out) {
    Doctor doctor = {.ctl = ctl, .out = out};
    check->run(&doctor, check->about);
    _exit(0);
}

/* ---- in the parent ---- */

static bool start(const DoctorCheck *check, Ctl *ctl, Child *ret, Err *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return err_set_errno(err, &ERR_UNAVAILABLE, errno, "a pipe");
    pid_t pid = fork();
    if (!pid) run_check(check, ctl, ends[1]);
    close(ends[1]);
    *ret = (Child){.check = check, .pid = pid, .in = ends[0]};
    if (pid > 0) return true;
    close(ends[0]);
    return err_set_errno(err, &ERR_UNAVAILABLE, errno, "a process for a check");
}

static void print_line(const Finding *f) {
    static const char *const LEVELS[] = {"ok", "warning", "fault"};
    printf("%-8s %-25s %s%s%s\n", LEVELS[f->level], f->about, f->found, *f->remedy ? "; " : "", f->remedy);
}

static void write_json(JsonWriter *w, const Finding *f) {
    static const char *const LEVELS[] = {"ok", "warning", "fault"};
    json_object(w);
    json_name(w, "level"), json_text(w, LEVELS[f->level]);
    json_name(w, "about"), json_text(w, f->about);
    json_name(w, "found"), json_text(w, f->found);
    if (*f->remedy) json_name(w, "remedy"), json_text(w, f->remedy);
    json_object_end(w);
}

static void show(Visit *v, const Finding *f) {
    v->counts[f->level]++;
    if (v->json)
        write_json(&v->w, f);
    else
        print_line(f);
}

/* False at the end of the pipe and of the time. */
static bool next_finding(const Visit *v, const Child *child, Finding *ret, bool *late) {
    int64_t left_ms = (v->end_us - clock_mono_us()) / 1000;
    struct pollfd wait = {.fd = child->in, .events = POLLIN};
    int ready = poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0);
    *late = ready <= 0;
    return ready > 0 && read(child->in, ret, sizeof *ret) == (ssize_t)sizeof *ret;
}

/* One that is killed may hang in the kernel: that it ends is not waited for. */
static void end_child(Visit *v, const Child *child, bool late) {
    Finding f = {0};
    int status = 0;
    if (late) kill(child->pid, SIGKILL);
    close(child->in);
    bool ended = waitpid(child->pid, &status, late ? WNOHANG : 0) == child->pid;
    snprintf(f.about, sizeof f.about, "%s", child->check->about);
    if (late)
        finding_set(&f, DOCTOR_FAULT, "what it looks at hangs: a server, a disk, a program",
                    "no answer within %d s", LIMIT_MS / 1000);
    else if (!ended || status)
        finding_set(&f, DOCTOR_FAULT, "report it", "this check has failed itself (status %d)", status);
    else
        return;
    show(v, &f);
}

/* False where one could not even begin; those before it have been waited for. */
static bool run_checks(Visit *v, const DoctorCheck *checks, size_t count, Err *err) {
    Child children[COUNT(CHECKS)];
    size_t started = 0;
    v->end_us = clock_mono_us() + LIMIT_MS * 1000LL;
    while (started < count && start(&checks[started], v->ctl, &children[started], err)) started++;
    for (size_t i = 0; i < started; i++) {
        Finding f;
        bool late;
        while (next_finding(v, &children[i], &f, &late)) show(v, &f);
        end_child(v, &children[i], late);
    }
    return started == count;
}

static void begin(Visit *v, Buf *line) {
    v->json = ctl_option(v->ctl, "json");
    v->w = json_writer(line);
    json_object(&v->w);
    json_name(&v->w, "findings");
    json_array(&v->w);
    fflush(stdout); /* or a child would have it, too */
}

static void end(Visit *v, Buf *line) {
    json_array_end(&v->w);
    json_name(&v->w, "warnings"), json_int(&v->w, (int64_t)v->counts[DOCTOR_WARNING]);
    json_name(&v->w, "faults"), json_int(&v->w, (int64_t)v->counts[DOCTOR_FAULT]);
    json_object_end(&v->w);
    if (v->json) printf("%.*s\n", SPAN_ARGS(buf_view(line)));
}

bool ctl_doctor(Ctl *ctl, Err *err) {
    AUTO_BUF line = {0};
    Visit visit = {.ctl = ctl};
    begin(&visit, &line);
    if (!run_checks(&visit, &HOME, 1, err)) return false;
    if (!visit.counts[DOCTOR_FAULT] && !run_checks(&visit, CHECKS, COUNT(CHECKS), err)) return false;
    end(&visit, &line);
    if (visit.counts[DOCTOR_FAULT]) ctl->exit_code = EXIT_FAULT;
    return true;
}
