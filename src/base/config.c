#include "base/config.h"

#include "base/arena.h"
#include "base/buf.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

typedef struct Setting {
    const char *name, *fallback, *help;
    bool secret;
} Setting;

static const Setting SETTINGS[] = {
    {"EVENTS_HOME", ".events", "data folder", false},
    {"EVENTS_LISTEN", "127.0.0.1:8443", "gateway with TLS, host:port", false},
    {"EVENTS_LISTEN_PLAIN", "127.0.0.1:8080", "gateway without TLS, host:port", false},
    {"EVENTS_GRID_LISTEN", "127.0.0.1:8444", "events-grid with TLS", false},
    {"EVENTS_GRID_LISTEN_PLAIN", "127.0.0.1:8081", "events-grid without TLS", false},
    {"EVENTS_PROJECTION_LISTEN", "127.0.0.1:8082", "the projection's webhook", false},
    {"EVENTS_ADMIN_LISTEN", "", "health, metrics, doorbell; default 127.0.0.1:8090 to 8094 by program", false},
    {"EVENTS_THREADS", "0", "gateway event loops; 0: one per processor", false},
    {"EVENTS_WORKERS", "0", "lanes that events-prospects works in at a time, on a server; 0: one per processor, 2 to 4", false},
    {"EVENTS_MEMORY_LIMIT", "0", "MiB that the gateway may hold before it sheds requests; 0: half of the machine or container", false},
    {"EVENTS_POLL_SECONDS", "5", "fall-back polling interval", false},
    {"EVENTS_OUTBOX_RETENTION_SECONDS", "604800", "how long a published event stays in the outbox", false},
    {"EVENTS_INBOX_RETENTION_SECONDS", "604800", "how long the projection remembers an event's id", false},
    {"EVENTS_COMMAND_RETENTION_SECONDS", "604800", "how long a command's id and outcome are remembered", false},
    {"EVENTS_LOG_RETENTION_SECONDS", "604800", "how long a client may stay away and be sent all it has missed", false},
    {"EVENTS_WRITE_DB", "", "write model: sqlite:PATH or postgresql://user:password@host/name; default <home>/db/write.db", false},
    {"EVENTS_READ_DB", "", "read model; default sqlite:<home>/db/read.db", false},
    {"EVENTS_USERS_DB", "", "users and tokens; default a file of its own, else the write model's database", false},
    {"EVENTS_QUEUE", "sql:", "command queue: sql:DB or amqp[s]://user:password@host:port/queue; sql: a file of its own, else the write model's database", false},
    {"EVENTS_FANOUT", "webhook:", "how events reach gateways: webhook: for one, amqp[s]://user:password@host:port/exchange for any number", false},
    {"EVENTS_PROJECTION_SOURCE", "webhook:", "how events reach the projection: webhook: or amqp[s]://user:password@host:port/queue", false},
    {"EVENTS_GRID_ENDPOINT", "", "topic endpoint; default events-grid on loopback", false},
    {"EVENTS_GRID_KEY", "", "access key of the topic", true},
    {"EVENTS_PEERS", "", "programs on other machines: relay=host:port,... by their admin addresses", false},
    {"EVENTS_WEBHOOK_SECRET", "", "secret of webhook deliveries; two values, comma between, during rotation", true},
    {"EVENTS_INTERNAL_SECRET", "", "secret of doorbells between machines", true},
    {"EVENTS_ACCESS_TOKEN_SECONDS", "900", "life of an access token", false},
    {"EVENTS_REFRESH_TOKEN_SECONDS", "2592000", "life of a refresh token", false},
    {"EVENTS_ALLOWED_ORIGINS", "", "browsers' origins besides the gateway's own, comma between", false},
    {"EVENTS_TRUSTED_PROXIES", "", "networks whose X-Forwarded-* is believed: 10.0.0.0/8, comma between", false},
    {"EVENTS_STREAM_MAX_SECONDS", "0", "streams are rolled over before a proxy cuts them; 0: never", false},
    {"EVENTS_DRAIN_SECONDS", "10", "within which a stopping gateway closes its streams, one by one; few take less", false},
    {"EVENTS_TLS_CLIENT_CA", "", "PEM file: the gateway asks clients for a certificate that one of these has signed", false},
    {"EVENTS_TLS_CLIENT_VERIFY", "required", "required: nobody connects without one; optional: none will do", false},
    {"EVENTS_WS_DEFLATE", "off", "on: WebSockets may be compressed (permessage-deflate), where the client offers it", false},
    {"EVENTS_DEMO_PASSWORD", "", "password of the demo user; replaces the stored one", true},
    {"EVENTS_TEST_ENDPOINTS", "off", "on: /test/echo, /test/bytes and /ws/echo, on loopback only", false},
    {"EVENTS_WEB_ROOT", "", "folder of the built web client", false},
    {"EVENTS_LOG_LEVEL", "info", "debug, info, warn or error", false},
    {"OTEL_EXPORTER_OTLP_ENDPOINT", "", "where traces go (OTLP over HTTP), http://host:4318; empty: nowhere", false},
    {"OTEL_EXPORTER_OTLP_HEADERS", "", "sent along with traces, name=value, comma between", true},
    {"OTEL_SERVICE_NAME", "", "name in traces; default events-gateway, events-relay ...", false},
    {"OTEL_RESOURCE_ATTRIBUTES", "", "of all traces, name=value, comma between", false},
    {"OTEL_TRACES_SAMPLER_ARG", "1", "which part of the traces that begin here is recorded, 0 to 1", false},
    {"OTEL_BSP_SCHEDULE_DELAY", "1000", "milliseconds that a span may wait for others to be sent with it", false},
    {"OTEL_SDK_DISABLED", "false", "true: no traces", false},
    {"EVENTS_URL", "", "eventsctl: the gateway to talk to", false},
};

struct Config {
    const char *values[COUNT(SETTINGS)];
    const char **words;
    size_t word_count;
    Arena *arena;
};

static size_t setting_index(Span name) {
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        if (span_is(name, SETTINGS[i].name)) return i;
    return COUNT(SETTINGS);
}

static size_t known_index(const char *name) {
    size_t i = setting_index(span_of(name));
    if (i == COUNT(SETTINGS)) abort();
    return i;
}

/* "--listen-plain" -> EVENTS_LISTEN_PLAIN */
static size_t flag_index(Span flag) {
    char name[64] = "EVENTS_";
    size_t at = strlen(name);
    if (flag.len + at >= sizeof name) return COUNT(SETTINGS);
    for (size_t i = 0; i < flag.len; i++)
        name[at++] = flag.at[i] == '-' ? '_' : (char)toupper((unsigned char)flag.at[i]);
    return setting_index((Span){name, at});
}

/* --help and --print-config, among the other flags and before any word. */
static bool is_special(const Config *c, const char *flag, const char **special) {
    static const char *const SPECIAL[] = {"--help", "--print-config"};
    for (size_t i = 0; i < COUNT(SPECIAL); i++) {
        if (c->word_count || strcmp(flag, SPECIAL[i])) continue;
        *special = SPECIAL[i];
        return true;
    }
    return false;
}

static bool read_flags(Config *c, int argc, char **argv, const char **special, Err *err) {
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        Span word = span_of(argv[i]), value;
        if (only_words || !span_starts(word, SPAN("--"))) {
            c->words[c->word_count++] = argv[i];
            continue;
        }
        if (word.len == 2) {
            only_words = true;
            continue;
        }
        if (is_special(c, argv[i], special)) continue;
        Span name = span_split((Span){word.at + 2, word.len - 2}, '=', &value);
        size_t index = flag_index(name);
        /* eventsctl's verbs have flags of their own, which stay among the words */
        if (index == COUNT(SETTINGS) && c->word_count) {
            c->words[c->word_count++] = argv[i];
            continue;
        }
        if (index == COUNT(SETTINGS)) return err_set(err, &ERR_INVALID, "unknown flag --%.*s", SPAN_ARGS(name));
        if (!value.at && i + 1 >= argc) return err_set(err, &ERR_INVALID, "--%.*s needs a value", SPAN_ARGS(name));
        c->values[index] = value.at ? value.at : argv[++i];
    }
    return true;
}

static void read_environment(Config *c) {
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        if (!c->values[i]) c->values[i] = getenv(SETTINGS[i].name);
}

static bool read_line(Config *c, Span line, const char *path, int number, Err *err) {
    line = span_trim(line);
    if (!line.len || *line.at == '#') return true;
    Span value, name = span_split(line, '=', &value);
    size_t index = setting_index(span_trim(name));
    if (index == COUNT(SETTINGS) || !value.at)
        return err_set(err, &ERR_CONFIG, "%s line %d: not a known NAME=value", path, number);
    if (!c->values[index]) c->values[index] = must(arena_copy(c->arena, span_trim(value)));
    return true;
}

static bool read_file(Config *c, Err *err) {
    const char *path = config_path(c, "events.conf");
    FILE *file = fopen(path, "re");
    if (!file) return errno == ENOENT || err_set_errno(err, &ERR_CONFIG, errno, path);
    AUTO_TEXT line = NULL;
    size_t size = 0;
    ssize_t len;
    int number = 0;
    bool ok = true;
    while (ok && (len = getline(&line, &size, file)) >= 0) {
        while (len && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
        ok = read_line(c, (Span){line, (size_t)len}, path, ++number, err);
    }
    fclose(file);
    return ok;
}

/* A broker's dead letters lie in the write model's database. */
static const char *with_dead_letters(Config *c, const char *queue, const char *server) {
    AUTO_BUF text = {0};
    if (strstr(queue, "dead=")) return queue;
    buf_printf(&text, "%s%cdead=", queue, strchr(queue, '?') ? '&' : '?');
    for (const char *at = server; *at; at++) {
        if (strchr("%&#=;{} ", *at)) buf_printf(&text, "%%%02X", (unsigned)*at);
        else buf_byte(&text, *at);
    }
    return must(arena_copy(c->arena, buf_view(&text)));
}

/* Queue and users are where the write model is; where that is a file they have files of their own, because a file
 * has one writer only. */
static void fill_databases(Config *c) {
    static const char *const FILES[][2] = {
        {"EVENTS_WRITE_DB", "db/write.db"}, {"EVENTS_READ_DB", "db/read.db"}, {"EVENTS_USERS_DB", "db/users.db"}};
    const char *server = c->values[known_index("EVENTS_WRITE_DB")];
    if (server && !strncmp(server, "sqlite:", 7)) server = NULL;
    const char **users = &c->values[known_index("EVENTS_USERS_DB")], **queue = &c->values[known_index("EVENTS_QUEUE")];
    if (server && !*users) *users = server;
    if (server && (!*queue || !strcmp(*queue, "sql:"))) *queue = must(arena_printf(c->arena, "sql:%s", server));
    else if (server && !strncmp(*queue, "amqp", 4)) *queue = with_dead_letters(c, *queue, server);
    for (size_t i = 0; i < COUNT(FILES); i++) {
        size_t at = known_index(FILES[i][0]);
        if (!c->values[at]) c->values[at] = must(arena_printf(c->arena, "sqlite:%s", config_path(c, FILES[i][1])));
    }
}

static void fill_defaults(Config *c, const char *program) {
    static const char *const ADMIN[][2] = {{"gateway", "127.0.0.1:8090"},
                                           {"prospects", "127.0.0.1:8091"},
                                           {"relay", "127.0.0.1:8092"},
                                           {"projection", "127.0.0.1:8093"},
                                           {"grid", "127.0.0.1:8094"}};
    fill_databases(c);
    for (size_t i = 0; i < COUNT(ADMIN); i++)
        if (!strcmp(program, ADMIN[i][0]) && !c->values[known_index("EVENTS_ADMIN_LISTEN")])
            c->values[known_index("EVENTS_ADMIN_LISTEN")] = ADMIN[i][1];
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        if (!c->values[i]) c->values[i] = SETTINGS[i].fallback;
}

static void print_help(const char *program) {
    printf("usage: events-%s [--setting value]...\n\nSettings (as flag, or in the environment, or in events.conf):\n",
           program);
    for (size_t i = 0; i < COUNT(SETTINGS); i++)
        printf("  %-30s %s%s%s%s\n", SETTINGS[i].name, SETTINGS[i].help, *SETTINGS[i].fallback ? " [" : "",
               SETTINGS[i].fallback, *SETTINGS[i].fallback ? "]" : "");
}

/* A url shows all but its password, however that is written; a raw ODBC connection string with one shows nothing. */
static void print_one(const char *value) {
    const char *scheme = strstr(value, "://"), *at = scheme ? strrchr(scheme, '@') : NULL;
    const char *colon = at ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;
    bool hidden = strcasestr(value, "pwd=") || strcasestr(value, "password=") || strcasestr(value, "pwd%3D") ||
                  strcasestr(value, "password%3D");
    if (colon) printf("%.*s:(secret)%s", (int)(colon - value), value, at);
    else printf("%s", hidden ? "(secret)" : value);
}

/* That of a broker may have another in it. */
static void print_address(const char *value) {
    const char *user = strncmp(value, "amqp", 4) ? NULL : strchr(value, '@');
    const char *dead = user ? strstr(user, "?dead=") : NULL;
    if (user && !dead) dead = strstr(user, "&dead=");
    if (dead) {
        AUTO_TEXT broker = must(strndup(value, (size_t)(dead - value)));
        print_one(broker);
        printf("%.6s", dead);
    }
    print_one(dead ? dead + strlen("?dead=") : value);
    printf("\n");
}

static void print_settings(const Config *c) {
    for (size_t i = 0; i < COUNT(SETTINGS); i++) {
        printf("%s=", SETTINGS[i].name);
        if (SETTINGS[i].secret && *c->values[i]) printf("(secret)\n");
        else print_address(c->values[i]);
    }
}

bool config_load(const char *program, int argc, char **argv, Config **ret, ConfigOutcome *outcome, Err *err) {
    AUTO(Config) c = must(calloc(1, sizeof *c));
    c->arena = arena_new(1 << 20);
    c->words = must(calloc((size_t)argc + 1, sizeof *c->words));
    const char *special = NULL;
    if (!read_flags(c, argc, argv, &special, err)) return false;
    read_environment(c);
    if (!read_file(c, err)) return false;
    fill_defaults(c, program);
    if (special) !strcmp(special, "--help") ? print_help(program) : print_settings(c);
    *outcome = special ? CONFIG_EXIT : CONFIG_READY;
    *ret = c;
    c = NULL;
    return true;
}

Config *config_free(Config *c) {
    if (!c) return NULL;
    arena_free(c->arena);
    free(c->words);
    free(c);
    return NULL;
}

const char *config_text(const Config *c, const char *name) {
    const char *value = c->values[known_index(name)];
    return value ? value : "";
}

bool config_number(const Config *c, const char *name, int64_t low, int64_t high, int64_t *ret, Err *err) {
    uint64_t value;
    if (!span_to_u64(span_of(config_text(c, name)), (uint64_t)high, &value) || (int64_t)value < low)
        return err_set(err, &ERR_CONFIG, "%s is not a number from %lld to %lld", name, (long long)low, (long long)high);
    *ret = (int64_t)value;
    return true;
}

bool config_flag(const Config *c, const char *name) {
    static const char *const YES[] = {"on", "true", "yes", "1"};
    for (size_t i = 0; i < COUNT(YES); i++)
        if (!strcmp(config_text(c, name), YES[i])) return true;
    return false;
}

const char *config_path(const Config *c, const char *relative) {
    const char *home = c->values[known_index("EVENTS_HOME")];
    return must(arena_printf(c->arena, "%s/%s", home && *home ? home : ".events", relative));
}

size_t config_words(const Config *c) { return c->word_count; }
const char *config_word(const Config *c, size_t index) { return index < c->word_count ? c->words[index] : NULL; }

bool config_secret(const Config *c, const char *name, const char *file, const char **ret, Err *err) {
    *ret = config_text(c, name);
    if (**ret) return true;
    char relative[96], line[1024];
    snprintf(relative, sizeof relative, "secrets/%s", file);
    FILE *in = fopen(config_path(c, relative), "re");
    if (!in) return err_set(err, &ERR_CONFIG, "%s is not set and there is no %s", name, relative);
    bool read = fgets(line, sizeof line, in);
    fclose(in);
    line[read ? strcspn(line, "\r\n") : 0] = 0;
    if (!*line) return err_set(err, &ERR_CONFIG, "%s is empty", relative);
    *ret = must(arena_copy(c->arena, span_of(line)));
    return true;
}

int config_exit_code(const Err *err) {
    if (!err->kind) return 0;
    if (err->kind == &ERR_INVALID) return EXIT_USAGE;
    if (err->kind == &ERR_CONFIG) return EXIT_CONFIG;
    return EXIT_ENGINE;
}
