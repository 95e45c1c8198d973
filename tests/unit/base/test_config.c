#include "base/config.h"
#include "kit/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* As main() gets its words: not const. */
#define WORD(text) ((char[]){text})

static void write_file(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    REQUIRE(file != NULL);
    fputs(text, file);
    fclose(file);
}

static bool load(const char *home, int argc, char **argv, Config **ret, Err *err) {
    setenv("EVENTS_HOME", home, 1);
    ConfigOutcome outcome = CONFIG_EXIT;
    return config_load("relay", argc, argv, ret, &outcome, err) && outcome == CONFIG_READY;
}

static void flag_beats_environment_beats_file(void) {
    const char *home = test_folder();
    write_file(home, "events.conf", "# ports\nEVENTS_LISTEN = 127.0.0.1:1\nEVENTS_THREADS=3\nEVENTS_POLL_SECONDS=9\n");
    setenv("EVENTS_THREADS", "4", 1);
    setenv("EVENTS_POLL_SECONDS", "8", 1);
    char *argv[] = {WORD("events-relay"), WORD("--poll-seconds=7"), WORD("word"), NULL};
    Err err = {0};
    AUTO(Config) c = NULL;
    REQUIRE(CHECK_OK(load(home, 3, argv, &c, &err), &err));
    CHECK_SPAN(span_of(config_text(c, "EVENTS_LISTEN")), "127.0.0.1:1");
    CHECK_SPAN(span_of(config_text(c, "EVENTS_THREADS")), "4");
    CHECK_SPAN(span_of(config_text(c, "EVENTS_POLL_SECONDS")), "7");
    CHECK_SPAN(span_of(config_text(c, "EVENTS_ADMIN_LISTEN")), "127.0.0.1:8092");
    CHECK(config_words(c) == 1 && !strcmp(config_word(c, 0), "word"));
    unsetenv("EVENTS_THREADS");
    unsetenv("EVENTS_POLL_SECONDS");
}

static void mistakes_have_exit_codes(void) {
    const char *home = test_folder();
    AUTO(Config) c = NULL;
    char *unknown[] = {WORD("x"), WORD("--no-such-setting"), WORD("1"), NULL};
    char *bare[] = {WORD("x"), WORD("--listen"), NULL}, *fine[] = {WORD("x"), NULL};
    Err err = {0};
    CHECK(!load(home, 3, unknown, &c, &err) && config_exit_code(&err) == 64);
    err_clear(&err);
    CHECK(!load(home, 2, bare, &c, &err) && config_exit_code(&err) == 64);
    err_clear(&err);
    write_file(home, "events.conf", "NO_SUCH=1\n");
    CHECK(!load(home, 1, fine, &c, &err) && config_exit_code(&err) == 78);
    err_clear(&err);
    write_file(home, "events.conf", "EVENTS_THREADS=many\n");
    REQUIRE(CHECK_OK(load(home, 1, fine, &c, &err), &err));
    int64_t threads;
    CHECK(!config_number(c, "EVENTS_THREADS", 0, 64, &threads, &err) && config_exit_code(&err) == 78);
}

static void secrets_come_from_the_setting_or_a_file(void) {
    const char *home = test_folder(), *value;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/secrets", home);
    REQUIRE(!mkdir(folder, 0700));
    write_file(home, "secrets/webhook", "from-file\n");
    char *argv[] = {WORD("x"), NULL};
    Err err = {0};
    AUTO(Config) c = NULL;
    REQUIRE(CHECK_OK(load(home, 1, argv, &c, &err), &err));
    REQUIRE(CHECK_OK(config_secret(c, "EVENTS_WEBHOOK_SECRET", "webhook", &value, &err), &err));
    CHECK_SPAN(span_of(value), "from-file");
    CHECK(!config_secret(c, "EVENTS_GRID_KEY", "grid-key", &value, &err) && err.kind == &ERR_CONFIG);
}

/* EVENTS_WRITE_DB, EVENTS_QUEUE -> where users, queue and read model are */
static const struct {
    const char *write, *queue, *users, *want_queue;
} DATABASES[] = {
    {NULL, NULL, NULL, "sql:"}, /* users: a file of the home */
    {"sqlite:/x/w.db", NULL, NULL, "sql:"},
    {"postgresql://u:p@h/n", NULL, "postgresql://u:p@h/n", "sql:postgresql://u:p@h/n"},
    {"postgresql://u:p@h/n", "sql:", "postgresql://u:p@h/n", "sql:postgresql://u:p@h/n"},
    {"postgresql://u:p@h/n", "sql:sqlite:/q.db", "postgresql://u:p@h/n", "sql:sqlite:/q.db"},
    /* a broker's dead letters */
    {"sqlite:/x/w.db", "amqp://a:b@c/q", NULL, "amqp://a:b@c/q"},
    {"postgresql://u:p@h/n", "amqp://a:b@c/q", "postgresql://u:p@h/n", "amqp://a:b@c/q?dead=postgresql://u:p@h/n"},
    {"postgresql://u:p%40@h/n?sslmode=x&y=1", "amqps://a:b@c/q?ca=/f", "postgresql://u:p%40@h/n?sslmode=x&y=1",
     "amqps://a:b@c/q?ca=/f&dead=postgresql://u:p%2540@h/n?sslmode%3Dx%26y%3D1"},
    {"postgresql://u:p@h/n", "amqp://a:b@c/q?dead=sqlite:/d.db", "postgresql://u:p@h/n",
     "amqp://a:b@c/q?dead=sqlite:/d.db"},
};

static void databases_follow_the_write_model(void) {
    const char *home = test_folder();
    char *argv[] = {WORD("x"), NULL}, file[256];
    snprintf(file, sizeof file, "sqlite:%s/db/users.db", home);
    for (size_t i = 0; i < COUNT(DATABASES); i++) {
        Err err = {0};
        AUTO(Config) c = NULL;
        if (DATABASES[i].write) setenv("EVENTS_WRITE_DB", DATABASES[i].write, 1);
        if (DATABASES[i].queue) setenv("EVENTS_QUEUE", DATABASES[i].queue, 1);
        REQUIRE(CHECK_OK(load(home, 1, argv, &c, &err), &err));
        CHECK_SPAN(span_of(config_text(c, "EVENTS_QUEUE")), DATABASES[i].want_queue);
        CHECK_SPAN(span_of(config_text(c, "EVENTS_USERS_DB")), DATABASES[i].users ? DATABASES[i].users : file);
        unsetenv("EVENTS_WRITE_DB"), unsetenv("EVENTS_QUEUE");
    }
}

/* What --print-config says, caught in a file. */
static void print(const char *home, char out[8192]) {
    char path[256], *argv[] = {WORD("x"), WORD("--print-config"), NULL};
    ConfigOutcome outcome;
    Err err = {0};
    AUTO(Config) c = NULL;
    snprintf(path, sizeof path, "%s/printed", home);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    FILE *file = fopen(path, "w+");
    REQUIRE(file != NULL && dup2(fileno(file), STDOUT_FILENO) >= 0);
    bool ok = config_load("relay", 2, argv, &c, &outcome, &err);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO), close(kept);
    REQUIRE(CHECK_OK(ok, &err) && outcome == CONFIG_EXIT);
    rewind(file);
    out[fread(out, 1, 8191, file)] = 0;
    fclose(file);
}

static void passwords_are_not_printed(void) {
    static const struct {
        const char *url, *printed;
    } CASES[] = {
        {"postgresql://ada:hush@db:5432/n?a=b", "EVENTS_READ_DB=postgresql://ada:(secret)@db:5432/n?a=b\n"},
        {"postgresql://ada:hush/@h:ush@db/n", "EVENTS_READ_DB=postgresql://ada:(secret)@db/n\n"},
        {"postgresql://ada@db:5432/n", "EVENTS_READ_DB=postgresql://ada@db:5432/n\n"},
        {"Driver=x;PWD=hush", "EVENTS_READ_DB=(secret)\n"},
        {"sqlite:/a/b", "EVENTS_READ_DB=sqlite:/a/b\n"},
        {"amqp://a:hush@h/q?dead=postgresql://u:hush@d/n",
         "EVENTS_READ_DB=amqp://a:(secret)@h/q?dead=postgresql://u:(secret)@d/n\n"},
        {"amqps://a:hush@h/q?ca=/f&dead=Driver%3Dx;Pwd%3Dhush",
         "EVENTS_READ_DB=amqps://a:(secret)@h/q?ca=/f&dead=(secret)\n"},
        {"amqp://a:hushdead=hush@h/q", "EVENTS_READ_DB=amqp://a:(secret)@h/q\n"},
    };
    const char *home = test_folder();
    setenv("EVENTS_HOME", home, 1);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char out[8192];
        setenv("EVENTS_READ_DB", CASES[i].url, 1);
        print(home, out);
        CHECK(strstr(out, CASES[i].printed) != NULL);
        CHECK(strstr(out, "ush") == NULL);
    }
    unsetenv("EVENTS_READ_DB");
}

SUITE("config", TEST(databases_follow_the_write_model), TEST(passwords_are_not_printed), TEST(flag_beats_environment_beats_file), TEST(mistakes_have_exit_codes),
      TEST(secrets_come_from_the_setting_or_a_file));
