/* Each case runs a whole program in a child process, for signals and exit codes belong to processes. */
#include "kit/test.h"

#include "base/clock.h"
#include "net/http_client.h"
#include "service/admin_file.h"
#include "service/shell.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum Ending { ENDS_WHEN_ASKED, NEVER_ENDS };

typedef struct Child {
    pid_t pid;
    unsigned port; /* of its admin address */
} Child;

static void note_reload(void *user) {
    close(creat(user, 0666)); /* as SQLite makes its files, or wider: the umask is the program's */
}

static _Noreturn void child_main(const char *home, enum Ending ending, int port_pipe) {
    char *argv[] = {(char *)"events-relay",   (char *)"--home",      (char *)home,
                    (char *)"--admin-listen", (char *)"127.0.0.1:0", NULL};
    char mark[128], become_ready[128];
    Err err = {0};
    int code, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    Service *service = NULL;
    umask(022);
    snprintf(mark, sizeof mark, "%s/reloaded", home);
    snprintf(become_ready, sizeof become_ready, "%s/become-ready", home);
    if (!service_open("relay", 5, argv, &service, &code, &err)) _exit(code);
    service_on_reload(service, note_reload, mark);
    unsigned port = service_admin_port(service);
    if (write(port_pipe, &port, sizeof port) < 0) _exit(99);
    while (ending == NEVER_ENDS) pause();
    bool ready_sent = false;
    while (!service_stopping(service)) {
        if (!ready_sent && !access(become_ready, F_OK)) service_ready(service, ready_sent = true);
        clock_sleep_ms(2);
    }
    service_free(service);
    _exit(0);
}

static Child start_child(const char *home, enum Ending ending) {
    Child child = {0};
    int fds[2];
    REQUIRE(!pipe(fds));
    child.pid = fork();
    REQUIRE(child.pid >= 0);
    if (!child.pid) child_main(home, ending, fds[1]);
    close(fds[1]);
    if (read(fds[0], &child.port, sizeof child.port) != sizeof child.port) child.port = 0;
    close(fds[0]);
    return child;
}

static int end_of(Child child) {
    int status = -1;
    waitpid(child.pid, &status, 0);
    return status;
}

static bool exists(const char *home, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", home, name);
    return !access(path, F_OK);
}

static bool appears(const char *home, const char *name) {
    for (int i = 0; i < 500 && !exists(home, name); i++) clock_sleep_ms(10);
    return exists(home, name);
}

static int call(HttpClient *client, unsigned port, const char *method, const char *path, char *body,
                size_t size) {
    char url[128];
    Err err = {0};
    const HttpReply *reply;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    if (!CHECK_OK(http_client_call(client, method, url, NULL, SPAN_NONE, &reply, &err), &err)) return 0;
    snprintf(body, size, "%s|%.*s", reply->content_type, SPAN_ARGS(buf_view(&reply->body)));
    return reply->status;
}

/* Databases hold personal data, and the folder may be one that others can read. */
static bool is_private(const char *home, const char *name) {
    char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", home, name);
    return !stat(path, &st) && !(st.st_mode & 077);
}

static void answers_health(void) {
    static const struct {
        const char *method, *path;
        int status;
        const char *contains;
    } CASES[] = {
        {"GET", "/health/live", 200, "live"},
        {"GET", "/health/ready", 503, "application/problem+json"},
        {"GET", "/metrics", 200, "text/plain; version=0.0.4"},
        {"GET", "/metrics", 200, "events_program_ready{program=\"relay\"} 0"},
        {"GET", "/openapi.json", 200, "application/json|{"},
        {"GET", "/asyncapi.json", 200, "application/json|{"},
        {"GET", "/docs", 404, "/problems/not_found"},
        {"GET", "/", 404, "/problems/not_found"},
        {"POST", "/health/live", 405, "/problems/method_not_allowed"},
        {"HEAD", "/health/live", 200, ""},
    };
    const char *home = test_folder();
    char body[4096], mark[128];
    Child child = start_child(home, ENDS_WHEN_ASKED);
    AUTO(HttpClient) client = NULL;
    Err err = {0};
    REQUIRE(http_client_open(&(HttpClientOptions){0}, &client, &err));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        CHECK(call(client, child.port, CASES[i].method, CASES[i].path, body, sizeof body) == CASES[i].status);
        CHECK(strstr(body, CASES[i].contains) != NULL);
    }
    char address[ADMIN_ADDRESS], real[ADMIN_ADDRESS];
    snprintf(real, sizeof real, "127.0.0.1:%u", child.port);
    CHECK(admin_file_read(home, "relay", address) && !strcmp(address, real));
    CHECK(is_private(home, "run/relay.admin"));
    snprintf(mark, sizeof mark, "%s/become-ready", home);
    close(creat(mark, 0600));
    int status = 0;
    for (int i = 0; i < 500 && status != 200; i++, clock_sleep_ms(10))
        status = call(client, child.port, "GET", "/health/ready", body, sizeof body);
    CHECK(status == 200);
    kill(child.pid, SIGTERM);
    CHECK(end_of(child) == 0);
    CHECK(!admin_file_read(home, "relay", address));
}

/* What neighbours are told of where we listen. */
static void tells_where(void) {
    static const struct {
        const char *listen, *want;
    } CASES[] = {{"127.0.0.1:0", "127.0.0.1:8090"},
                 {"0.0.0.0:8090", "127.0.0.1:8090"},
                 {"[::]:8090", "[::1]:8090"},
                 {"[::1]:1", "[::1]:8090"},
                 {"10.0.0.5:8090", "10.0.0.5:8090"}};
    char path[128], got[ADMIN_ADDRESS];
    const char *home = test_folder();
    Err err = {0};
    CHECK(!admin_file_read(home, "grid", got));
    snprintf(path, sizeof path, "%s/run", home);
    CHECK(!mkdir(path, 0700));
    snprintf(path, sizeof path, "%s/run/grid.admin", home);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        CHECK_OK(admin_file_write(path, CASES[i].listen, 8090, &err), &err);
        CHECK(admin_file_read(home, "grid", got) && !strcmp(got, CASES[i].want));
    }
}

static void stops_and_removes_its_pid(void) {
    static const int SIGNALS[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < COUNT(SIGNALS); i++) {
        const char *home = test_folder();
        Child child = start_child(home, ENDS_WHEN_ASKED);
        CHECK(exists(home, "run/relay.pid"));
        kill(child.pid, SIGHUP);
        CHECK(appears(home, "reloaded") && is_private(home, "reloaded"));
        kill(child.pid, SIGNALS[i]);
        CHECK(end_of(child) == 0);
        CHECK(!exists(home, "run/relay.pid"));
    }
}

static void second_signal_ends_at_once(void) {
    const char *home = test_folder();
    Child child = start_child(home, NEVER_ENDS);
    int64_t began = clock_mono_us();
    int status;
    kill(child.pid, SIGTERM);
    clock_sleep_ms(200);
    CHECK(waitpid(child.pid, &status, WNOHANG) == 0);
    kill(child.pid, SIGTERM);
    status = end_of(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(clock_mono_us() - began < 5000000);
    CHECK(!exists(home, "run/relay.pid"));
}

/* A killed program leaves its pid file behind, but not its lock. */
static void one_program_per_home(void) {
    const char *home = test_folder();
    Child first = start_child(home, ENDS_WHEN_ASKED), second = start_child(home, ENDS_WHEN_ASKED);
    int status = end_of(second);
    CHECK(second.port == 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ENGINE);
    kill(first.pid, SIGKILL);
    end_of(first);
    Child third = start_child(home, ENDS_WHEN_ASKED);
    CHECK(third.port != 0);
    kill(third.pid, SIGTERM);
    CHECK(end_of(third) == 0);
}

static void bad_settings_have_exit_codes(void) {
    static const struct {
        const char *flag, *value;
        int code;
    } CASES[] = {
        {"--no-such-thing", "1", EXIT_USAGE},
        {"--log-level", "loud", EXIT_CONFIG},
        {"--admin-listen", "nowhere", EXIT_CONFIG},
        {"--home", "/proc/none", EXIT_CONFIG},
        {"--print-config", NULL, 0},
    };
    const char *home = test_folder();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Child child = {.pid = fork()};
        if (!child.pid) {
            char *argv[] = {(char *)"events-relay", (char *)CASES[i].flag, (char *)CASES[i].value, NULL};
            Err err = {0};
            int code = 98, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
            dup2(null, STDERR_FILENO);
            dup2(null, STDOUT_FILENO);
            Service *service = NULL;
            setenv("EVENTS_HOME", home, 1);
            service_open("relay", CASES[i].value ? 3 : 2, argv, &service, &code, &err);
            _exit(service ? 97 : code);
        }
        int status = end_of(child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CASES[i].code);
        if (WEXITSTATUS(status) != CASES[i].code)
            printf("\n    %s: exit %d", CASES[i].flag, WEXITSTATUS(status));
    }
}

SUITE("shell", TEST(answers_health), TEST(tells_where), TEST(stops_and_removes_its_pid),
      TEST(second_signal_ends_at_once), TEST(one_program_per_home), TEST(bad_settings_have_exit_codes));
