/* Settings: a flag (--listen-plain) beats the environment (EVENTS_LISTEN_PLAIN) beats the file
 * (<home>/events.conf, NAME=value lines) beats the default. All settings of all programs stand in one table in
 * config.c; a name that is not there is a mistake of the programmer and aborts. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct Config Config;

typedef enum ConfigOutcome { CONFIG_READY, CONFIG_EXIT } ConfigOutcome;

/* Reads flags, environment and file. program: "gateway", "relay", ... decides the default of EVENTS_ADMIN_LISTEN.
 * Words that are no flags are left for config_word(). --help and --print-config are answered on standard output and
 * give CONFIG_EXIT. A bad flag is ERR_INVALID (exit 64), a bad value ERR_CONFIG (exit 78). */
bool config_load(const char *program, int argc, char **argv, Config **ret, ConfigOutcome *outcome, Err *err);
Config *config_free(Config *c);
AUTO_FREE(Config, config_free)

const char *config_text(const Config *c, const char *name); /* "" where not set; lives as long as c */
bool config_number(const Config *c, const char *name, int64_t low, int64_t high, int64_t *ret, Err *err);
bool config_flag(const Config *c, const char *name); /* on, true, yes, 1 */
/* <home>/<relative>, in memory of c. */
const char *config_path(const Config *c, const char *relative);
size_t config_words(const Config *c);
const char *config_word(const Config *c, size_t index);

/* A secret: the setting if set, else the first line of <home>/secrets/<file> (mode 0600), else ERR_CONFIG. */
bool config_secret(const Config *c, const char *name, const char *file, const char **ret, Err *err);

enum { EXIT_USAGE = 64, EXIT_ENGINE = 69, EXIT_CONFIG = 78 };
/* The exit code that belongs to an error at start. */
int config_exit_code(const Err *err);
