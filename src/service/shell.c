/* shell.c - what surrounds each program's own work.
 *
 * Order matters: settings first (they say where the log level and the home are), then signals (every thread
 * made later inherits the blocked mask), then the lock on the pid file (nobody else works on this home), then
 * the admin address (a supervisor sees "live, not ready" while the engines open). */
#include "service/shell.h"

#include "base/log.h"
#include "service/admin_file.h"
#include "service/far_bells.h"
#include "service/health.h"
#include "service/pid_file.h"
#include "service/signals.h"
#include "service/tracing.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DRAIN_MS = 20000, STOPS_MAX = 16 };

typedef struct Callback {
    void (*call)(void *user);
    void *user;
} Callback;

struct Service {
    Config *config;
    Signals *signals;
    Health *health;
    Tracing *tracing;
    const char *pid_path, *admin_path;
    int pid_fd;
    atomic_bool ready, stopping;
    pthread_mutex_t lock; /* of the callbacks; held while they run, so that forgetting one waits for it */
    Callback stops[STOPS_MAX], reload;
    FarBells *far_bells; /* until the end: threads of the program ring them for as long as they run */
    size_t stop_count;
};

static void on_stop(void *user) {
    Service *s = user;
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stopping, true);
    atomic_store(&s->ready, false);
    for (size_t i = 0; i < s->stop_count; i++) s->stops[i].call(s->stops[i].user);
    pthread_mutex_unlock(&s->lock);
}

static void on_reload(void *user) {
    Service *s = user;
    pthread_mutex_lock(&s->lock);
    if (s->reload.call) s->reload.call(s->reload.user);
    pthread_mutex_unlock(&s->lock);
}

static void on_forced_end(void *user) {
    Service *s = user;
    if (s->admin_path) unlink(s->admin_path);
    if (s->pid_path) pid_file_remove(s->pid_path, s->pid_fd);
}

bool service_folder(const char *path, Err *err) {
    char part[512];
    size_t len = strlen(path);
    if (len >= sizeof part) return err_set(err, &ERR_CONFIG, "the path of the data folder is too long");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i]) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) && errno != EEXIST) return err_set_errno(err, &ERR_CONFIG, errno, part);
    }
    return true;
}

static bool make_folders(const Config *config, Err *err) {
    static const char *const FOLDERS[] = {"run", "db", "logs"};
    for (size_t i = 0; i < COUNT(FOLDERS); i++)
        if (!service_folder(config_path(config, FOLDERS[i]), err)) return false;
    return true;
}

static bool start_log(const Config *config, const char *program, Err *err) {
    LogLevel level;
    if (!log_level_parse(config_text(config, "EVENTS_LOG_LEVEL"), &level))
        return err_set(err, &ERR_CONFIG, "EVENTS_LOG_LEVEL is not debug, info, warn or error");
    log_start(program, level);
    return true;
}

static bool open_admin(Service *s, const char *program, Err *err) {
    char relative[64];
    snprintf(relative, sizeof relative, "run/%s.admin", program);
    const char *listen = config_text(s->config, "EVENTS_ADMIN_LISTEN");
    if (!health_open(listen, program, &s->ready, &s->health, err)) return false;
    s->admin_path = config_path(s->config, relative);
    return admin_file_write(s->admin_path, listen, health_port(s->health), err);
}

static bool start(Service *s, const char *program, Err *err) {
    char relative[64];
    snprintf(relative, sizeof relative, "run/%s.pid", program);
    const SignalsOptions signals = {
        .stop = on_stop, .reload = on_reload, .last = on_forced_end, .user = s, .drain_ms = DRAIN_MS};
    umask(0077); /* databases hold personal data: whatever this program makes is for its own user alone */
    if (!start_log(s->config, program, err) || !make_folders(s->config, err)) return false;
    if (!signals_open(&signals, &s->signals, err)) return false;
    const char *path = config_path(s->config, relative);
    if (!pid_file_open(path, &s->pid_fd, err)) return false;
    s->pid_path = path;
    return tracing_open(s->config, program, &s->tracing, err) && open_admin(s, program, err);
}

bool service_open(const char *program, int argc, char **argv, Service **ret, int *exit_code, Err *err) {
    log_start(program, LOG_INFO);
    AUTO(Service) s = must(calloc(1, sizeof *s));
    pthread_mutex_init(&s->lock, NULL);
    s->pid_fd = -1;
    ConfigOutcome outcome = CONFIG_READY;
    if (!config_load(program, argc, argv, &s->config, &outcome, err) ||
        (outcome == CONFIG_READY && !start(s, program, err))) {
        *exit_code = service_failed(err);
        return false;
    }
    *exit_code = 0;
    if (outcome == CONFIG_EXIT) return false;
    log_info("started", LOG_INT("pid", getpid()), LOG_INT("admin_port", health_port(s->health)));
    *ret = s;
    s = NULL;
    return true;
}

Service *service_free(Service *s) {
    if (!s) return NULL;
    tracing_free(s->tracing); /* first, so that a forced end can still cut it short */
    signals_free(s->signals);
    far_bells_free(s->far_bells);
    health_free(s->health);
    if (s->admin_path) unlink(s->admin_path);
    if (s->pid_path) {
        pid_file_remove(s->pid_path, s->pid_fd);
        log_info("stopped");
    }
    config_free(s->config);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

const Config *service_config(const Service *s) {
    return s->config;
}
const char *service_home(const Service *s) {
    return config_text(s->config, "EVENTS_HOME");
}
void service_ready(Service *s, bool ready) {
    atomic_store(&s->ready, ready && !atomic_load(&s->stopping));
    if (ready) log_info("ready");
}
bool service_stopping(const Service *s) {
    return atomic_load(&s->stopping);
}
unsigned service_admin_port(const Service *s) {
    return health_port(s->health);
}

/* Without a secret (a home of an older version) nobody may ring from elsewhere, and nobody there is rung. */
bool service_bell(Service *s, Doorbell *bell, Err *err) {
    const char *peers = config_text(s->config, "EVENTS_PEERS"), *secrets = "";
    Err why = {0};
    health_bell(s->health, NULL, "");
    if (!bell) return true;
    bool known = config_secret(s->config, "EVENTS_INTERNAL_SECRET", "internal", &secrets, &why);
    if (*peers && !known) return err_set(err, why.kind, "%s", why.why);
    if (*peers && !far_bells_open(peers, secrets, &s->far_bells, err)) return false;
    if (*peers) doorbell_forward(bell, far_bells_ring, s->far_bells);
    health_bell(s->health, bell, secrets);
    return true;
}

void service_on_stop(Service *s, void (*stop)(void *user), void *user) {
    pthread_mutex_lock(&s->lock);
    if (!stop) s->stop_count = 0;
    if (!stop) health_bell(s->health, NULL, "");
    if (stop && s->stop_count == STOPS_MAX) abort();
    if (stop) s->stops[s->stop_count++] = (Callback){stop, user};
    if (stop && atomic_load(&s->stopping)) stop(user);
    pthread_mutex_unlock(&s->lock);
}

void service_on_reload(Service *s, void (*reload)(void *user), void *user) {
    pthread_mutex_lock(&s->lock);
    s->reload = (Callback){reload, user};
    pthread_mutex_unlock(&s->lock);
}

int service_failed(const Err *err) {
    log_error("failed", LOG_ERR(err));
    return config_exit_code(err);
}
