#include "queue/amqp_tries.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "queue/queue.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A message that was here, and has not come again for so long, was handled elsewhere. */
#define FORGOTTEN_US (INT64_C(3600) * 1000000)
enum { FILE_MOST = 4 << 20, PATH_MOST = 700 };

struct AmqpTries {
    Map *by_id;
    unsigned worker, workers;
    char path[PATH_MOST];
    bool changed;
};

AmqpTries *amqp_tries_free(AmqpTries *t) {
    if (!t) return NULL;
    void *one;
    for (size_t at = 0; map_next(t->by_id, &at, NULL, &one);) free(one);
    map_free(t->by_id);
    free(t);
    return NULL;
}

/* "locked 3 17 ID" or "waiting 3 17 ID": deliveries, lane. A line that was cut by a crash counts for nothing, nor does
 * one of a former file where the own one knows better. */
static void read_line(AmqpTries *t, Span line, int64_t now) {
    Span rest, number, lane_text, id;
    uint64_t deliveries, lane;
    bool locked = span_is(span_split(line, ' ', &rest), "locked");
    number = span_split(rest, ' ', &rest);
    lane_text = span_split(rest, ' ', &id);
    if ((!locked && !span_starts(line, SPAN("waiting "))) || !id.len ||
        !span_to_u64(number, 1000, &deliveries) || !span_to_u64(lane_text, QUEUE_LANES - 1, &lane) ||
        lane % t->workers != t->worker || amqp_tries_find(t, id))
        return;
    Try *one = amqp_tries_put(t, id, (unsigned)lane, now);
    one->deliveries = (int)deliveries;
    one->suspect = locked;
}

static void read_file(AmqpTries *t, const char *path) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_BUF text = {.limit = FILE_MOST};
    for (ssize_t len = 1; fd >= 0 && len > 0;) {
        char *room = buf_reserve(&text, 65536);
        len = room ? read(fd, room, 65536) : 0;
        if (len > 0) text.len += (size_t)len;
    }
    int64_t now = clock_mono_us();
    for (Span rest = buf_view(&text); rest.len;) {
        Span line = span_split(rest, '\n', &rest);
        if (rest.at) read_line(t, line, now);
    }
}

static void name_file(char ret[PATH_MOST], const char *path, unsigned worker, unsigned workers) {
    snprintf(ret, PATH_MOST, "%s-%u-of-%u", path, worker, workers);
}

/* All the files that another number of workers may have left: there is no harm in asking for those that are not. */
static void each_former(AmqpTries *t, const char *path, void (*visit)(AmqpTries *t, const char *file)) {
    char file[PATH_MOST];
    for (unsigned workers = 1; workers <= QUEUE_LANES; workers++)
        for (unsigned worker = 0; workers != t->workers && worker < workers; worker++) {
            name_file(file, path, worker, workers);
            visit(t, file);
        }
}

static void remove_file(AmqpTries *t, const char *file) {
    (void)t;
    unlink(file);
}

AmqpTries *amqp_tries_open(const char *path, unsigned worker, unsigned workers) {
    AmqpTries *t = must(calloc(1, sizeof *t));
    Err ignored = {0}; /* not written, they are still here; a later try tells the log */
    t->by_id = map_new();
    t->worker = worker;
    t->workers = workers;
    name_file(t->path, path, worker, workers);
    read_file(t, t->path);
    t->changed = false;
    each_former(t, path, read_file);
    bool written = amqp_tries_write(t, clock_mono_us(), &ignored);
    if (written && worker + 1 == workers) each_former(t, path, remove_file);
    return t;
}

Try *amqp_tries_find(const AmqpTries *t, Span id) {
    return map_get(t->by_id, id);
}

Try *amqp_tries_put(AmqpTries *t, Span id, unsigned lane, int64_t now) {
    Try *one = map_get(t->by_id, id);
    if (!one) {
        one = must(calloc(1, sizeof *one + id.len + 1));
        memcpy(one->id, id.at, id.len);
        one->lane = lane;
        map_put(t->by_id, id, one);
    }
    one->since = now;
    t->changed = true;
    return one;
}

void amqp_tries_drop(AmqpTries *t, Span id) {
    void *one = map_remove(t->by_id, id);
    free(one);
    if (one) t->changed = true;
}

void amqp_tries_unlock(AmqpTries *t) {
    void *one;
    for (size_t at = 0; map_next(t->by_id, &at, NULL, &one);) ((Try *)one)->locked = false;
}

static void forget_old(AmqpTries *t, int64_t now) {
    void *found = NULL, *one;
    do {
        if (found) amqp_tries_drop(t, span_of(((Try *)found)->id));
        found = NULL;
        for (size_t at = 0; !found && map_next(t->by_id, &at, NULL, &one);)
            if (((Try *)one)->since + FORGOTTEN_US < now) found = one;
    } while (found);
}

bool amqp_tries_write(AmqpTries *t, int64_t now, Err *err) {
    if (!t->changed) return true;
    forget_old(t, now);
    AUTO_BUF text = {.limit = FILE_MOST};
    void *at_one;
    for (size_t at = 0; map_next(t->by_id, &at, NULL, &at_one);) {
        const Try *one = at_one;
        buf_printf(&text, "%s %d %u %s\n", one->locked || one->suspect ? "locked" : "waiting",
                   one->deliveries, one->lane, one->id);
    }
    AUTO_FD int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || text.failed || pwrite(fd, text.at, text.len, 0) != (ssize_t)text.len ||
        ftruncate(fd, (off_t)text.len))
        return err_set_errno(err, &ERR_DB_DOWN, errno, "tries of commands");
    t->changed = false;
    return true;
}
