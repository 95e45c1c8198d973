/* doorbell.c - Unix datagram sockets. The address of a Unix socket holds 107 bytes at most, so everything is named
 * through /proc/self/fd/<run folder>: short, whatever the length of the home's path. */
#include "io/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct Doorbell {
    int folder, socket, interrupt;
    char name[32];
    bool (*send)(void *user, const char *program, const char *ring);
    void *send_user;
};

static bool address_of(const Doorbell *bell, const char *program, struct sockaddr_un *ret) {
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s.bell", bell->folder, program);
    return len > 0 && (size_t)len < sizeof ret->sun_path;
}

static bool folder_open(const char *home, Doorbell *bell, Err *err) {
    AUTO_TEXT path = NULL;
    if (asprintf(&path, "%s/run", home) < 0) abort();
    if (mkdir(path, 0700) && errno != EEXIST) return err_set_errno(err, &ERR_CONFIG, errno, "run folder");
    bell->folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return bell->folder >= 0 || err_set_errno(err, &ERR_CONFIG, errno, "run folder");
}

bool doorbell_open(const char *home, const char *program, Doorbell **ret, Err *err) {
    AUTO(Doorbell) bell = must(calloc(1, sizeof *bell));
    bell->folder = bell->socket = bell->interrupt = -1;
    snprintf(bell->name, sizeof bell->name, "%s.bell", program);
    if (!folder_open(home, bell, err)) return false;
    bell->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bell->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sockaddr_un address;
    if (bell->socket < 0 || bell->interrupt < 0 || !address_of(bell, program, &address))
        return err_set_errno(err, &ERR_INTERNAL, errno, "doorbell");
    unlinkat(bell->folder, bell->name, 0);
    mode_t before = umask(0077);
    int failed = bind(bell->socket, (struct sockaddr *)&address, sizeof address);
    umask(before);
    if (failed) return err_set_errno(err, &ERR_CONFIG, errno, "doorbell");
    *ret = bell;
    bell = NULL;
    return true;
}

Doorbell *doorbell_free(Doorbell *bell) {
    if (!bell) return NULL;
    if (bell->socket >= 0) {
        close(bell->socket);
        unlinkat(bell->folder, bell->name, 0);
    }
    if (bell->interrupt >= 0) close(bell->interrupt);
    if (bell->folder >= 0) close(bell->folder);
    free(bell);
    return NULL;
}

int doorbell_fd(const Doorbell *bell) { return bell->socket; }

bool doorbell_take(Doorbell *bell, char ring[RING_MAX]) {
    ssize_t len = recv(bell->socket, ring, RING_MAX - 1, 0);
    if (len < 0) return false;
    ring[len] = 0;
    return true;
}

bool doorbell_wait(Doorbell *bell, int64_t timeout_ms) {
    struct pollfd ends[] = {{.fd = bell->socket, .events = POLLIN}, {.fd = bell->interrupt, .events = POLLIN}};
    if (timeout_ms > 3600000) timeout_ms = 3600000;
    if (poll(ends, 2, (int)timeout_ms) <= 0) return false;
    uint64_t times;
    if (ends[1].revents && read(bell->interrupt, &times, sizeof times) < 0) return false;
    return ends[0].revents & POLLIN;
}

void doorbell_interrupt(Doorbell *bell) {
    uint64_t one = 1;
    if (write(bell->interrupt, &one, sizeof one) < 0) return; /* the counter is full: it wakes up anyway */
}

void doorbell_forward(Doorbell *bell, bool (*send)(void *user, const char *program, const char *ring), void *user) {
    bell->send = send;
    bell->send_user = user;
}

static bool ring_local(Doorbell *bell, const char *program, const char *ring) {
    struct sockaddr_un address;
    ssize_t len = (ssize_t)strlen(ring);
    return address_of(bell, program, &address) && sendto(bell->socket, ring, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT,
                                                         (struct sockaddr *)&address, sizeof address) == len;
}

bool doorbell_ring_self(Doorbell *bell, const char *ring) {
    char own[sizeof bell->name];
    snprintf(own, sizeof own, "%.*s", (int)(strlen(bell->name) - strlen(".bell")), bell->name);
    return ring_local(bell, own, ring);
}

bool doorbell_ring(Doorbell *bell, const char *program, const char *format, ...) {
    char ring[RING_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(ring, sizeof ring, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof ring) return false;
    return (bell->send && bell->send(bell->send_user, program, ring)) || ring_local(bell, program, ring);
}
