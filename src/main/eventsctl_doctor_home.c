/* eventsctl_doctor_home.c - the data folder, its secrets, the certificate, the disk, and what the settings say. */
#include "base/cleaner.h"
#include "base/clock.h"
#include "main/eventsctl_doctor.h"
#include "main/eventsctl_files.h"
#include "queue/queue_place.h"
#include <dirent.h>
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const char *path_of(Doctor *d, const char *relative) {
    return config_path(d->ctl->config, relative);
}

void doctor_home(Doctor *d, const char *about) {
    static const char INIT[] =
        "name the right one with EVENTS_HOME or --home, or make it with `eventsctl init`";
    const char *home = config_text(d->ctl->config, "EVENTS_HOME");
    struct stat st;
    Finding f;
    if (stat(home, &st))
        finding_set(&f, DOCTOR_FAULT, INIT, "%s: %s", home, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        finding_set(&f, DOCTOR_FAULT, INIT, "%s is no folder", home);
    else if (access(home, R_OK | X_OK))
        finding_set(&f, DOCTOR_FAULT, "be the user whom it belongs to", "%s: %s", home, strerror(errno));
    else if (st.st_mode & 022)
        finding_set(&f, DOCTOR_WARNING, "give it mode 700", "others may write in %s (mode %03o)", home,
                    (unsigned)st.st_mode & 07777);
    else
        finding_set(&f, DOCTOR_OK, "", "%s", home);
    doctor_tell(d, about, &f);
}

/* ---- settings ---- */

/* As the programs read them. */
static const struct {
    const char *name;
    int64_t low, high;
} NUMBERS[] = {
    {"EVENTS_THREADS", 0, 64},
    {"EVENTS_WORKERS", 0, 16},
    {"EVENTS_MEMORY_LIMIT", 0, 1 << 24},
    {"EVENTS_POLL_SECONDS", 1, 3600},
    {"EVENTS_OUTBOX_RETENTION_SECONDS", 1, RETENTION_MAX_S},
    {"EVENTS_INBOX_RETENTION_SECONDS", 1, RETENTION_MAX_S},
    {"EVENTS_COMMAND_RETENTION_SECONDS", 1, RETENTION_MAX_S},
    {"EVENTS_LOG_RETENTION_SECONDS", 1, RETENTION_MAX_S},
    {"EVENTS_ACCESS_TOKEN_SECONDS", 1, 86400},
    {"EVENTS_REFRESH_TOKEN_SECONDS", 1, 366 * 86400},
    {"EVENTS_STREAM_MAX_SECONDS", 0, 86400},
    {"EVENTS_DRAIN_SECONDS", 0, 14},
};

static bool tell_setting(Doctor *d, const char *about, const Err *err) {
    Finding f;
    if (!err->kind) return true;
    finding_set(&f, DOCTOR_FAULT, "mend the setting: the programs do not start with it", "%s", err->why);
    doctor_tell(d, about, &f);
    return false;
}

/* Those of the file whose names are not known have ended eventsctl before. */
void doctor_settings(Doctor *d, const char *about) {
    const Config *c = d->ctl->config;
    QueuePlace place;
    Err err = {0};
    queue_place(config_text(c, "EVENTS_QUEUE"), config_text(c, "EVENTS_HOME"), &place, &err);
    bool good = tell_setting(d, about, &err);
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        int64_t value;
        err_clear(&err);
        config_number(c, NUMBERS[i].name, NUMBERS[i].low, NUMBERS[i].high, &value, &err);
        good &= tell_setting(d, about, &err);
    }
    Finding f;
    finding_set(&f, DOCTOR_OK, "", "can be read");
    if (good) doctor_tell(d, about, &f);
}

/* ---- files ---- */

/* Only what is wrong is told. */
static void look(Doctor *d, const char *about, const char *name, size_t *good) {
    struct stat st;
    Finding f;
    bool there = !stat(path_of(d, name), &st);
    judge_file(&(PrivateFile){.name = name, .there = there, .mode = there ? st.st_mode : 0}, &f);
    if (f.level == DOCTOR_OK)
        ++*good;
    else
        doctor_tell(d, about, &f);
}

/* How many keys there are for tokens. */
static size_t look_at_keys(Doctor *d, const char *about, size_t *good) {
    DIR *folder = opendir(path_of(d, "keys"));
    size_t keys = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (*entry->d_name == '.' || !span_ends(span_of(entry->d_name), SPAN(".pem"))) continue;
        keys++;
        look(d, about, must(arena_printf(d->ctl->arena, "keys/%s", entry->d_name)), good);
    }
    if (folder) closedir(folder);
    return keys;
}

void doctor_files(Doctor *d, const char *about) {
    static const char *const SECRETS[][2] = {{"EVENTS_WEBHOOK_SECRET", "secrets/webhook"},
                                             {"EVENTS_INTERNAL_SECRET", "secrets/internal"},
                                             {"EVENTS_GRID_KEY", "secrets/grid-key"}};
    size_t good = 0, wanted = 0;
    Finding f;
    for (size_t i = 0; i < COUNT(SECRETS); i++) {
        if (*config_text(d->ctl->config, SECRETS[i][0])) continue;
        wanted++;
        look(d, about, SECRETS[i][1], &good);
    }
    if (files_exist(path_of(d, "demo-password"))) {
        wanted++;
        look(d, about, "demo-password", &good);
    }
    size_t keys = look_at_keys(d, about, &good);
    if (!keys) {
        finding_set(&f, DOCTOR_FAULT, "copy another gateway's, or `eventsctl init` makes one",
                    "there is no key for tokens in keys/");
        doctor_tell(d, about, &f);
    } else if (good == wanted + keys) {
        finding_set(&f, DOCTOR_OK, "", "secrets and keys are there, and private");
        doctor_tell(d, about, &f);
    }
}

/* ---- the certificate ---- */

static int64_t time_of(const ASN1_TIME *at) {
    int days = 0, seconds = 0;
    if (!at || !ASN1_TIME_diff(&days, &seconds, NULL, at)) return 0;
    return clock_now_us() + (days * 86400LL + seconds) * 1000000;
}

static X509 *read_certificate(const char *path) {
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (file) fclose(file);
    return certificate;
}

/* One with a password cannot be read, and nobody is asked for it. */
static EVP_PKEY *read_key(const char *path) {
    static char none[] = "";
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, none) : NULL;
    if (file) fclose(file);
    return key;
}

void doctor_certificate(Doctor *d, const char *about) {
    X509 *certificate = read_certificate(path_of(d, "tls.crt"));
    EVP_PKEY *key = read_key(path_of(d, "tls.key"));
    const CertificateFacts facts = {
        .certificate = certificate,
        .key = key,
        .match = certificate && key && X509_check_private_key(certificate, key) == 1,
        .begins_us = certificate ? time_of(X509_get0_notBefore(certificate)) : 0,
        .ends_us = certificate ? time_of(X509_get0_notAfter(certificate)) : 0,
    };
    size_t good = 0;
    Finding f;
    judge_certificate(&facts, clock_now_us(), &f);
    doctor_tell(d, about, &f);
    if (key) look(d, about, "tls.key", &good);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void doctor_disk(Doctor *d, const char *about) {
    struct statvfs st;
    Finding f;
    if (statvfs(config_text(d->ctl->config, "EVENTS_HOME"), &st))
        finding_set(&f, DOCTOR_WARNING, "", "not known: %s", strerror(errno));
    else
        judge_disk((uint64_t)st.f_bavail * st.f_frsize, &f);
    doctor_tell(d, about, &f);
}
