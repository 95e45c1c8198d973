#include "queue/amqp_tries.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* A message that was here, and has not come again for so long, was handled elsewhere. */
#define FORGOTTEN_US (INT64_C(3600) * 1000000)
enum { FILE_MOST = 4 << 20 };

struct AmqpTries {
    Map *by_id;
    char *path;
    bool changed;
};

AmqpTries *amqp_tries_free(AmqpTries *t) {
    if (!t) return NULL;
    void *one;
    for (size_t at = 0; map_next(t->by_id, &at, NULL, &one);) free(one);
    map_free(t->by_id);
    free(t->path);
    free(t);
    return NULL;
}

/* "locked 3 ID" or "waiting 3 ID"; a line that was cut by a crash counts for nothing. */
static void read_line(AmqpTries *t, Span line, int64_t now) {
    Span rest, id, state = span_split(line, ' ', &rest), number = span_split(rest, ' ', &id);
    uint64_t deliveries;
    bool locked = span_is(state, "locked");
    if ((!locked && !span_is(state, "waiting")) || !span_to_u64(number, 1000, &deliveries) || !id.len) return;
    Try *one = amqp_tries_put(t, id, now);
    one->deliveries = (int)deliveries;
    one->suspect = locked;
}

static void read_file(AmqpTries *t) {
    AUTO_FD int fd = open(t->path, O_RDONLY | O_CLOEXEC);
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

AmqpTries *amqp_tries_open(const char *path) {
    AmqpTries *t = must(calloc(1, sizeof *t));
    t->by_id = map_new();
    t->path = must(strdup(path));
    read_file(t);
    t->changed = false;
    return t;
}

Try *amqp_tries_find(const AmqpTries *t, Span id) {
    return map_get(t->by_id, id);
}

Try *amqp_tries_put(AmqpTries *t, Span id, int64_t now) {
    Try *one = map_get(t->by_id, id);
    if (!one) {
        one = must(calloc(1, sizeof *one + id.len + 1));
        memcpy(one->id, id.at, id.len);
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
        buf_printf(&text, "%s %d %s\n", one->locked || one->suspect ? "locked" : "waiting", one->deliveries,
                   one->id);
    }
    AUTO_FD int fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || text.failed || pwrite(fd, text.at, text.len, 0) != (ssize_t)text.len ||
        ftruncate(fd, (off_t)text.len))
        return err_set_errno(err, &ERR_DB_DOWN, errno, "tries of commands");
    t->changed = false;
    return true;
}
