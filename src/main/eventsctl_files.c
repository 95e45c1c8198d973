/* eventsctl_files.c - small files that must be whole or absent. A file is written beside its place, synced,
 * and then linked (made once) or renamed (replaced) there; so a crash never leaves half a key, and two that
 * race agree. */
#include "main/eventsctl_files.h"

#include "base/auto.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

bool files_make_folder(const char *path, Err *err) {
    char part[PATH_MAX];
    if (!span_copy(span_of(path), part, sizeof part)) return err_set(err, &ERR_CONFIG, "a path is too long");
    for (char *at = part + 1;; at++) {
        if (*at && *at != '/') continue;
        char kept = *at;
        *at = 0;
        if (mkdir(part, 0700) && errno != EEXIST) return err_set_errno(err, &ERR_CONFIG, errno, part);
        *at = kept;
        if (!kept) break;
    }
    struct stat st;
    if (stat(path, &st)) return err_set_errno(err, &ERR_CONFIG, errno, path);
    return S_ISDIR(st.st_mode) || err_set(err, &ERR_CONFIG, "%s is no folder", path);
}

bool files_exist(const char *path) {
    return access(path, F_OK) == 0;
}

static bool write_all(int fd, Span content) {
    while (content.len) {
        ssize_t n = write(fd, content.at, content.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        content.at += n;
        content.len -= (size_t)n;
    }
    return true;
}

static bool write_temporary(const char *path, Span content, char temporary[PATH_MAX], Err *err) {
    if (snprintf(temporary, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX)
        return err_set(err, &ERR_CONFIG, "a path is too long");
    AUTO_FD int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) return err_set_errno(err, &ERR_CONFIG, errno, path);
    if (write_all(fd, content) && !fsync(fd)) return true;
    int fault = errno;
    unlink(temporary);
    return err_set_errno(err, &ERR_CONFIG, fault, path);
}

static void sync_folder(const char *path) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    AUTO_FD int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) fsync(fd);
}

bool files_make(const char *path, Span content, bool *made, Err *err) {
    char temporary[PATH_MAX];
    *made = false;
    if (files_exist(path)) return true;
    if (!write_temporary(path, content, temporary, err)) return false;
    int fault = link(temporary, path) ? errno : 0;
    unlink(temporary);
    if (fault == EEXIST) return true;
    if (fault) return err_set_errno(err, &ERR_CONFIG, fault, path);
    sync_folder(path);
    return *made = true;
}

bool files_replace(const char *path, Span content, Err *err) {
    char temporary[PATH_MAX];
    if (!write_temporary(path, content, temporary, err)) return false;
    if (!rename(temporary, path)) {
        sync_folder(path);
        return true;
    }
    int fault = errno;
    unlink(temporary);
    return err_set_errno(err, &ERR_CONFIG, fault, path);
}

bool files_first_line(const char *path, char *ret, size_t size, Err *err) {
    FILE *file = fopen(path, "re");
    if (!file) return err_set_errno(err, &ERR_CONFIG, errno, path);
    bool ok = fgets(ret, (int)size, file);
    fclose(file);
    ret[ok ? strcspn(ret, "\r\n") : 0] = 0;
    return *ret || err_set(err, &ERR_CONFIG, "%s is empty", path);
}
