/* eventsctl_replay.c - `replay --from N --to projection`: the read model made anew from the log, while the
 * programs go on. It works on the read database alone, so that it needs none of them. */
#include "app/projection/rebuild.h"
#include "base/clock.h"
#include "main/eventsctl.h"
#include "store/read/migrations_read.h"
#include <stdio.h>
#include <unistd.h>

enum { START_MS = 30000, LOCK_MS = 10000, SHOW_US = 1000000, SHOW_TERMINAL_US = 100000 };

typedef struct Shown {
    int64_t began_us, next_us;
    bool terminal;
} Shown;

static bool show(void *user, int64_t position, int64_t head) {
    Shown *shown = user;
    int64_t now = clock_mono_us();
    if (now < shown->next_us) return true;
    shown->next_us = now + (shown->terminal ? SHOW_TERMINAL_US : SHOW_US);
    fprintf(stderr, shown->terminal ? "\r  event %lld of %lld, %.0f s " : "event %lld of %lld, %.0f s\n",
            (long long)position, (long long)head, (double)(now - shown->began_us) / 1e6);
    return true;
}

bool ctl_replay(Ctl *ctl, Err *err) {
    const char *from = ctl_option(ctl, "from"), *to = ctl_option(ctl, "to");
    uint64_t number = 0;
    AUTO(Db) db = NULL;
    RebuildResult result;
    if (!from || !span_to_u64(span_of(from), INT64_MAX - 1, &number))
        return err_set(err, &ERR_INVALID, "--from is a number: 0 for the whole log");
    if (!to || strcmp(to, "projection")) return err_set(err, &ERR_INVALID, "--to can only be projection");
    if (!db_open_patiently(config_text(ctl->config, "EVENTS_READ_DB"), (DbOptions){.busy_ms = LOCK_MS},
                           START_MS, NULL, NULL, &db, err) ||
        !read_migrate(db, err))
        return false;
    Shown shown = {.began_us = clock_mono_us(), .terminal = isatty(STDERR_FILENO)};
    shown.next_us = shown.began_us + SHOW_US;
    const RebuildOptions options = {.from = (int64_t)number, .step = show, .user = &shown};
    if (!rebuild_read_model(db, &options, &result, err)) return false;
    if (shown.terminal) fputc('\r', stderr);
    printf("The read model is made anew: %lld events up to %lld in %.1f s", (long long)result.events,
           (long long)result.upto, (double)(clock_mono_us() - shown.began_us) / 1e6);
    if (result.unusable) printf("; %lld of them nobody can apply", (long long)result.unusable);
    printf(".\n");
    return true;
}
