#include "kit/postgres.h"

#include "base/clock.h"
#include "db/db.h"
#include "kit/test.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct TestPostgres {
    char bin[128], folder[64], data[80];
    unsigned port, databases;
    pid_t server;
    Db *admin;
};

enum { TRIES = 5 };

static TestPostgres *the_one;

static _Noreturn void give_up(const char *what) {
    fprintf(stderr, "postgres: %s (it comes with the Debian package postgresql)\n", what);
    exit(1);
}

static void find_programs(TestPostgres *p) {
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found)) give_up("no server is installed");
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    snprintf(p->bin, sizeof p->bin, "%.*s", (int)(strrchr(last, '/') - last), last);
    globfree(&found);
}

/* PostgreSQL refuses to run as root. */
static const struct passwd *server_user(void) {
    const struct passwd *user = geteuid() ? NULL : getpwnam("postgres");
    if (!geteuid() && !user) give_up("there is no user postgres");
    return user;
}

static pid_t start(TestPostgres *p, const char *program, char **args) {
    char path[160], log[96];
    const struct passwd *user = server_user();
    snprintf(path, sizeof path, "%s/%s", p->bin, program);
    snprintf(log, sizeof log, "%s/log", p->folder);
    pid_t pid = fork();
    if (pid) return pid;
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(file, STDOUT_FILENO), dup2(file, STDERR_FILENO);
    if (user && (setgid(user->pw_gid) || setuid(user->pw_uid))) _exit(1);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* an immediate shutdown, should the test be killed */
    if (chdir("/") == 0) execv(path, args);
    _exit(1);
}

static void write_hba(TestPostgres *p) {
    char path[96];
    snprintf(path, sizeof path, "%s/pg_hba.conf", p->data);
    FILE *file = fopen(path, "we");
    if (!file) give_up("pg_hba.conf cannot be written");
    fprintf(file, "host all checked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n");
    fclose(file);
}

static void make_cluster(TestPostgres *p) {
    const struct passwd *user = server_user();
    snprintf(p->folder, sizeof p->folder, "%s", test_folder());
    snprintf(p->data, sizeof p->data, "%s/data", p->folder);
    if (user && chown(p->folder, user->pw_uid, user->pw_gid)) give_up("its folder cannot be given to it");
    char *args[] = {(char *)"initdb",   (char *)"-D",        p->data,
                    (char *)"-A",       (char *)"trust",     (char *)"-U",
                    (char *)"postgres", (char *)"--no-sync", (char *)"--no-locale",
                    (char *)"-E",       (char *)"UTF8",      NULL};
    int status;
    if (waitpid(start(p, "initdb", args), &status, 0) < 0 || status) give_up("initdb failed");
    write_hba(p);
}

static unsigned free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (void *)&at, sizeof at) || getsockname(fd, (void *)&at, &len)) give_up("no port is free");
    return ntohs(at.sin_port);
}

static void url_of(const TestPostgres *p, const char *database, char *url, size_t size) {
    snprintf(url, size, "postgresql://postgres@127.0.0.1:%u/%s", p->port, database);
}

void test_postgres_url(const TestPostgres *p, const char *user, const char *password, char *url,
                       size_t size) {
    snprintf(url, size, "postgresql://%s:%s@127.0.0.1:%u/postgres", user, password, p->port);
}

void test_postgres_again(TestPostgres *p) {
    char port[24], url[128];
    Err err = {0};
    snprintf(port, sizeof port, "port=%u", p->port);
    char *args[] = {(char *)"postgres",
                    (char *)"-D",
                    p->data,
                    (char *)"-c",
                    port,
                    (char *)"-clisten_addresses=127.0.0.1",
                    (char *)"-cunix_socket_directories=",
                    (char *)"-cfsync=off",
                    (char *)"-cfull_page_writes=off",
                    (char *)"-cmax_connections=150",
                    (char *)"-cshared_buffers=64MB",
                    NULL};
    p->server = start(p, "postgres", args);
    url_of(p, "postgres", url, sizeof url);
    if (!db_open_patiently(url, (DbOptions){.busy_ms = 60000}, 30000, NULL, NULL, &p->admin, &err))
        give_up(err.why);
    if (!db_execute(p->admin, "SET statement_timeout = 0", &err)) give_up(err.why);
}

void test_postgres_stop(TestPostgres *p) {
    p->admin = db_free(p->admin);
    kill(p->server, SIGQUIT);
    waitpid(p->server, NULL, 0);
    p->server = 0;
}

static void stop_at_end(void) {
    test_postgres_stop(the_one);
}

TestPostgres *test_postgres_start(void) {
    TestPostgres *p = must(calloc(1, sizeof *p));
    find_programs(p);
    make_cluster(p);
    p->port = free_port();
    the_one = p;
    test_at_end(stop_at_end);
    test_postgres_again(p);
    return p;
}

/* Files are copied as they are: through the log, which is the default, they cost twice as much. */
void test_postgres_database(TestPostgres *p, const char *like, char *url, size_t size) {
    char name[24], sql[160];
    Err err = {0};
    snprintf(name, sizeof name, "t%u", ++p->databases);
    const char *source = like ? strrchr(like, '/') + 1 : "template1";
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, source);
    for (int tries = 1; !db_execute(p->admin, sql, &err); tries++) {
        if (tries == TRIES) give_up(err.why);
        err_clear(&err);
        clock_sleep_ms(200); /* who has just left the source may still be seen there */
    }
    url_of(p, name, url, size);
}

#ifdef __SANITIZE_ADDRESS__
/* psqlodbc keeps a few hundred bytes of each connection that broke while a statement ran. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void) {
    return "leak:psqlodbcw.so\n";
}
#endif
