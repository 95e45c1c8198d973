#include "service/pid_file.h"

#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The predecessor unlinks the file while it holds the lock: a lock on a file without a name is worth nothing.
 */
static bool still_named(const char *path, int fd) {
    struct stat named, held;
    return !stat(path, &named) && !fstat(fd, &held) && named.st_ino == held.st_ino &&
           named.st_dev == held.st_dev;
}

static int try_lock(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    if (!flock(fd, LOCK_EX | LOCK_NB) && still_named(path, fd)) return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

bool pid_file_open(const char *path, int *fd, Err *err) {
    int64_t until = clock_mono_us() + (int64_t)PID_FILE_WAIT_MS * 1000;
    while ((*fd = try_lock(path)) < 0) {
        if (errno != EWOULDBLOCK) return err_set_errno(err, &ERR_CONFIG, errno, path);
        if (clock_mono_us() > until)
            return err_set(err, &ERR_UNAVAILABLE, "%s: another process of this name runs in this home", path);
        clock_sleep_ms(20);
    }
    if (ftruncate(*fd, 0) || dprintf(*fd, "%d\n", (int)getpid()) < 0) {
        int failed = errno;
        close(*fd);
        *fd = -1;
        return err_set_errno(err, &ERR_CONFIG, failed, path);
    }
    return true;
}

void pid_file_remove(const char *path, int fd) {
    if (fd < 0) return;
    unlink(path);
    close(fd);
}
