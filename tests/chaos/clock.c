/* Preloaded into a program: its wall clock goes wrong by as many seconds as the file named by CHAOS_CLOCK
 * says (an int64_t in the machine's own order), from one call to the next. Monotonic clocks stay: nobody can
 * step those. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t nothing;
static const _Atomic int64_t *wrong_by = &nothing;
static int (*real)(clockid_t id, struct timespec *ret);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *wrong_by, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) wrong_by = page;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret) {
    if (!real) begin();
    int failed = real(id, ret);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ret->tv_sec += *wrong_by;
    return failed;
}

__attribute__((visibility("default"))) time_t time(time_t *ret) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret) *ret = t.tv_sec;
    return t.tv_sec;
}
