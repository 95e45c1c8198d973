#include "kit/rabbitmq.h"

#include "base/auto.h"
#include "base/clock.h"
#include "kit/test.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SERVER                                                                                               \
    "/usr/lib/rabbitmq/bin/rabbitmq-server" /* not that of /usr/sbin, which becomes another user             \
                                             */
enum { PORT, TLS_PORT, DIST_PORT, EPMD_PORT, PORTS, START_MS = 180000 };

struct TestRabbitmq {
    char folder[64];
    unsigned ports[PORTS];
    TestRabbitmqTls tls;
    pid_t server, epmd;
};

static TestRabbitmq *the_one;

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "rabbitmq: %s (it comes with the Debian package rabbitmq-server)\n", what);
    exit(1);
}

/* All at once, so that they differ. */
static void find_ports(unsigned ports[PORTS]) {
    int fds[PORTS];
    for (size_t i = 0; i < PORTS; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof at;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fds[i], (void *)&at, sizeof at) || getsockname(fds[i], (void *)&at, &len))
            give_up("no port is free");
        ports[i] = ntohs(at.sin_port);
    }
    for (size_t i = 0; i < PORTS; i++) close(fds[i]);
}

static FILE *file_in(const TestRabbitmq *r, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", r->folder, name);
    FILE *file = fopen(path, "we");
    if (!file) give_up("its files cannot be written");
    return file;
}

static void copy_definitions(const TestRabbitmq *r) {
    char bytes[65536];
    FILE *from = fopen(TEST_ROOT "/infra/rabbitmq/definitions.json", "re"),
         *to = file_in(r, "definitions/queues.json");
    if (!from) give_up("its definitions cannot be read");
    fwrite(bytes, 1, fread(bytes, 1, sizeof bytes, from), to);
    fclose(from);
    fclose(to);
}

static void write_files(const TestRabbitmq *r) {
    static const char *const FOLDERS[] = {"db", "log", "home", "generated", "definitions"};
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", r->folder, FOLDERS[i]);
        if (mkdir(path, 0700)) give_up("its folders cannot be made");
    }
    copy_definitions(r);
    FILE *file = file_in(r, "definitions/users.json");
    fputs("{\"users\": [{\"name\": \"events\", \"password\": \"secret\", \"tags\": \"\"}], \"permissions\": ["
          "{\"user\": \"events\", \"vhost\": \"/\", \"configure\": \"^amq\\\\.gen\","
          " \"write\": \"^amq\\\\.(default$|gen)|^identity-commands\\\\.|^prospect-events\", \"read\": "
          "\"^amq\\\\.gen|^identity-commands\\\\.|^prospect-events\"}]}\n",
          file);
    fclose(file);
    file = file_in(r, "plugins");
    fprintf(file, "[rabbitmq_amqp1_0].\n");
    fclose(file);
    file = file_in(r, "rabbitmq.conf");
    fprintf(file, "load_definitions = %s/definitions\namqp1_0.default_user = none\n", r->folder);
    if (r->tls.ca)
        fprintf(
            file,
            "listeners.ssl.default = 127.0.0.1:%u\nssl_options.cacertfile = %s\nssl_options.certfile = %s\n"
            "ssl_options.keyfile = %s\n",
            r->ports[TLS_PORT], r->tls.ca, r->tls.certificate, r->tls.key);
    fclose(file);
}

/* In the child: everything that the server takes from its environment, and nothing else. */
static void set_environment(const TestRabbitmq *r) {
    static const struct {
        const char *name, *file;
    } PATHS[] = {{"HOME", "home"},
                 {"RABBITMQ_MNESIA_BASE", "db"},
                 {"RABBITMQ_LOG_BASE", "log"},
                 {"RABBITMQ_GENERATED_CONFIG_DIR", "generated"},
                 {"RABBITMQ_PID_FILE", "pid"},
                 {"RABBITMQ_CONFIG_FILE", "rabbitmq.conf"},
                 {"RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"}};
    static const struct {
        const char *name;
        int port;
    } NUMBERS[] = {
        {"RABBITMQ_NODE_PORT", PORT}, {"RABBITMQ_DIST_PORT", DIST_PORT}, {"ERL_EPMD_PORT", EPMD_PORT}};
    char text[128];
    clearenv();
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    for (size_t i = 0; i < COUNT(PATHS); i++) {
        snprintf(text, sizeof text, "%s/%s", r->folder, PATHS[i].file);
        setenv(PATHS[i].name, text, 1);
    }
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        snprintf(text, sizeof text, "%u", r->ports[NUMBERS[i].port]);
        setenv(NUMBERS[i].name, text, 1);
    }
    snprintf(text, sizeof text, "events%u@localhost", r->ports[DIST_PORT]);
    setenv("RABBITMQ_NODENAME", text, 1);
    setenv("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1", 1);
    setenv("ERL_EPMD_ADDRESS", "127.0.0.1", 1);
    setenv("RUNNING_UNDER_SYSTEMD", "1",
           1); /* the server takes the place of its script: one process, its pid */
    setenv("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1", 1);
}

static pid_t start(const TestRabbitmq *r, char **args) {
    char log[96];
    snprintf(log, sizeof log, "%s/output", r->folder);
    pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test be killed */
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO), dup2(file, STDOUT_FILENO), dup2(file, STDERR_FILENO);
    set_environment(r);
    execv(args[0], args);
    _exit(1);
}

static bool is_open(unsigned port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (void *)&at, sizeof at) == 0;
}

void test_rabbitmq_again(TestRabbitmq *r) {
    char *args[] = {(char *)SERVER, NULL};
    r->server = start(r, args);
    int64_t end = clock_mono_us() + START_MS * INT64_C(1000);
    while (!is_open(r->ports[PORT]) || (r->tls.ca && !is_open(r->ports[TLS_PORT]))) {
        if (waitpid(r->server, NULL, WNOHANG) == r->server || clock_mono_us() > end)
            give_up("the server does not start");
        clock_sleep_ms(50);
    }
}

static void end(pid_t *pid) {
    if (*pid <= 0) return;
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

void test_rabbitmq_stop(TestRabbitmq *r) {
    end(&r->server);
}

static void stop_at_end(void) {
    end(&the_one->server);
    end(&the_one->epmd);
}

TestRabbitmq *test_rabbitmq_start(const TestRabbitmqTls *tls) {
    TestRabbitmq *r = must(calloc(1, sizeof *r));
    snprintf(r->folder, sizeof r->folder, "%s", test_folder());
    if (tls) r->tls = *tls;
    find_ports(r->ports);
    write_files(r);
    the_one = r;
    test_at_end(stop_at_end);
    char *epmd[] = {(char *)"/usr/bin/epmd", NULL}; /* ours; the server would leave one behind */
    r->epmd = start(r, epmd);
    while (!is_open(r->ports[EPMD_PORT])) clock_sleep_ms(10);
    test_rabbitmq_again(r);
    return r;
}

void test_rabbitmq_url(const TestRabbitmq *r, bool tls, const char *password, char *url, size_t size) {
    snprintf(url, size, "amqp%s://events:%s@localhost:%u/identity-commands", tls ? "s" : "",
             password ? password : "secret", r->ports[tls ? TLS_PORT : PORT]);
}

void test_rabbitmq_hang(TestRabbitmq *r, bool hang) {
    kill(r->server, hang ? SIGSTOP : SIGCONT);
    int status;
    if (hang) waitpid(r->server, &status, WUNTRACED); /* until its last thread has stopped */
}
