/* What is the same for every program: settings, log, signals, the admin address (health, metrics), orderly
 * end.
 *
 *     int main(int argc, char **argv) {
 *         Err err = {0};
 *         int code;
 *         AUTO(Service) service = NULL;
 *         if (!service_open("relay", argc, argv, &service, &code, &err)) return code;   // has said why
 *         ...open engines; on failure: return service_failed(&err);
 *         service_ready(service, true);
 *         ...work until service_stopping(service)...
 *         return 0;
 *     } */
#pragma once
#include "base/config.h"
#include "base/err.h"
#include "io/doorbell.h"
#include "io/loop.h"

typedef struct Service Service;

/* Reads the settings, starts the log, blocks signals for all threads made later and handles them in one of
 * its own (SIGTERM, SIGINT: stop; SIGHUP: reload), ignores SIGPIPE, and serves the admin address from a
 * thread of its own: GET /health/live, /health/ready (503 until service_ready(true)), /metrics. */
bool service_open(const char *program, int argc, char **argv, Service **ret, int *exit_code, Err *err);
Service *service_free(Service *service);
AUTO_FREE(Service, service_free)

const Config *service_config(const Service *service);
const char *service_home(const Service *service);
void service_ready(Service *service, bool ready);
bool service_stopping(const Service *service); /* any thread */
/* The program's own bell (borrowed): POST /doorbell and /repair on the admin address ring it, and its rings
 * to the programs that EVENTS_PEERS names go there. NULL forgets it, as service_on_stop(service, NULL, NULL)
 * does: before it is freed. */
bool service_bell(Service *service, Doorbell *bell, Err *err);
/* Called once on the signal thread when the service shall stop, e.g. to interrupt a wait. At once if it has
 * begun. */
void service_on_stop(Service *service, void (*stop)(void *user), void *user);
/* NULL instead of a function forgets what was registered (before what `user` points to is freed). */
void service_on_reload(Service *service, void (*reload)(void *user), void *user);
/* Logs the error and gives the exit code: 78 configuration, 69 engine, 64 usage. */
int service_failed(const Err *err);
unsigned service_admin_port(const Service *service); /* where EVENTS_ADMIN_LISTEN asked for port 0 */
/* Makes a folder and the folders above it, mode 0700; fine where it is there. */
bool service_folder(const char *path, Err *err);
