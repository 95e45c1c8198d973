/* Preloaded into a program: remembers what of its files would survive a loss of power.
 *
 * POWER_ROOT is the folder that matters, POWER_SHADOW another one, which holds of each file what has been
 * synced: fsync() and fdatasync() bring the file there up to date, whoever wrote it, and nothing else does
 * (sync_file_range() promises nothing). A rename and an unlink are done there at once, as a journaling file
 * system keeps their order. After the cut (kill -9 of all) POWER_ROOT is what POWER_SHADOW holds; a sync that
 * was under way has saved some blocks and others not. POWER_LIES: files whose names contain this are never
 * saved, as on a disk that says "done" and is not.
 *
 * A file is read through the caller's descriptor where that can be read: to open and close another one would
 * drop the locks that SQLite has on it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
enum { BLOCK = 4096, CHUNK = 64 * BLOCK };

static const char *root, *shadow, *lies;

/* A copy: PostgreSQL writes its title over the environment. */
static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value ? strdup(value) : NULL;
}

__attribute__((constructor)) static void begin(void) {
    root = setting("POWER_ROOT");
    shadow = setting("POWER_SHADOW");
    lies = setting("POWER_LIES");
}

/* Of a file of the root its place in the shadow. */
static bool shadow_of(const char *path, char ret[PATH_MAX]) {
    size_t len = root && shadow ? strlen(root) : 0;
    if (!len || strncmp(path, root, len) != 0 || path[len] != '/') return false;
    if (lies && *lies && strstr(path + len, lies)) return false;
    return snprintf(ret, PATH_MAX, "%s%s", shadow, path + len) < PATH_MAX;
}

static void make_folders(char *path) {
    for (char *at = path + strlen(shadow) + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
}

/* Only what differs, a block at a time. */
static bool copy_chunk(int from, int to, off_t at, size_t len) {
    static _Thread_local char wanted[CHUNK], there[CHUNK];
    ssize_t got = pread(from, wanted, len, at), had = pread(to, there, len, at);
    if (got < 0 || had < 0) return false;
    for (ssize_t i = 0; i < got; i += BLOCK) {
        size_t size = (size_t)(got - i < BLOCK ? got - i : BLOCK);
        bool same = i + (ssize_t)size <= had && !memcmp(wanted + i, there + i, size);
        if (!same && pwrite(to, wanted + i, size, at + i) != (ssize_t)size) return false;
    }
    return true;
}

static bool copy_file(int from, int to, off_t size) {
    if (ftruncate(to, size)) return false;
    for (off_t at = 0; at < size; at += CHUNK)
        if (!copy_chunk(from, to, at, (size_t)(size - at < CHUNK ? size - at : CHUNK))) return false;
    return true;
}

static int save(int fd) {
    char link[64], path[PATH_MAX], place[PATH_MAX];
    struct stat s;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0 || fstat(fd, &s) || !S_ISREG(s.st_mode) || !s.st_nlink) return 0;
    path[len] = 0;
    if (!shadow_of(path, place)) return 0;
    make_folders(place);
    bool readable = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY;
    int from = readable ? fd : open(path, O_RDONLY | O_CLOEXEC);
    int to = open(place, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool saved = from >= 0 && to >= 0 && !flock(to, LOCK_EX) && copy_file(from, to, s.st_size);
    if (to >= 0) close(to);
    if (!readable && from >= 0) close(from);
    if (saved) return 0;
    errno = EIO;
    return -1;
}

PUBLIC int fsync(int fd) {
    return save(fd);
}

PUBLIC int fdatasync(int fd) {
    return save(fd);
}

PUBLIC int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    char saved_from[PATH_MAX], saved_to[PATH_MAX], full_from[PATH_MAX], full_to[PATH_MAX];
    bool known = realpath(from, full_from) != NULL;
    int failed = real(from, to);
    if (!failed && known && realpath(to, full_to) && shadow_of(full_from, saved_from) &&
        shadow_of(full_to, saved_to))
        real(saved_from, saved_to);
    return failed;
}

PUBLIC int unlink(const char *path) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    char full[PATH_MAX], saved[PATH_MAX];
    bool known = realpath(path, full) != NULL;
    int failed = real(path);
    if (!failed && known && shadow_of(full, saved)) real(saved);
    return failed;
}
