#include "service/admin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static Span host_of(const char *listen) {
    const char *colon = strrchr(listen, ':');
    Span host = {listen, colon ? (size_t)(colon - listen) : strlen(listen)};
    if (!host.len || span_is(host, "0.0.0.0")) return SPAN("127.0.0.1");
    return span_is(host, "[::]") ? SPAN("[::1]") : host;
}

/* Written beside and renamed: a reader finds a whole address or none. */
bool admin_file_write(const char *path, const char *listen, unsigned port, Err *err) {
    char beside[600];
    int len = snprintf(beside, sizeof beside, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof beside) return err_set(err, &ERR_CONFIG, "%s is too long", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return err_set_errno(err, &ERR_CONFIG, errno, beside);
    Span host = host_of(listen);
    bool written = dprintf(fd, "%.*s:%u\n", SPAN_ARGS(host), port) > 0;
    int failed = errno;
    close(fd);
    if (written && !rename(beside, path)) return true;
    return err_set_errno(err, &ERR_CONFIG, written ? errno : failed, path);
}

bool admin_file_read(const char *home, const char *program, char out[ADMIN_ADDRESS]) {
    char path[600];
    int length = snprintf(path, sizeof path, "%s/run/%s.admin", home, program);
    int fd = length < 0 || (size_t)length >= sizeof path ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t len = read(fd, out, ADMIN_ADDRESS - 1);
    close(fd);
    out[len > 0 ? len : 0] = 0;
    out[strcspn(out, "\n")] = 0;
    return *out;
}
