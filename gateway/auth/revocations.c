/* revocations.c - a thread and a connection of its own, because one second is promised from a revocation to the
 * end of its streams, and every other thread that reads databases may be waiting for one.
 *
 * The set is read whole: it holds what was revoked within the life of an access token, which is little. Where it
 * cannot be read the last one holds; nobody can revoke anything then either. */
#include "gateway/auth/revocations.h"

#include "base/clock.h"
#include "base/log.h"
#include <pthread.h>
#include <stdlib.h>

/* More than can be signed in within the life of a token; what is beyond it would be the oldest. */
enum { REVOKED_MAX = 100000 };

struct Revocations {
    RevocationsOptions o;
    Users *users; /* of the thread; NULL: to be opened again */
    Revoked *set; /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t news;
    pthread_t thread;
    bool runs, stop, asked; /* the last two under the lock */
};

typedef struct Rows {
    Revocation *at;
    size_t count, size;
} Rows;

static void keep(void *user, const Revocation *row) {
    Rows *rows = user;
    if (rows->count == rows->size) {
        rows->size = rows->size ? rows->size * 2 : 16;
        rows->at = must(realloc(rows->at, rows->size * sizeof *rows->at));
    }
    rows->at[rows->count++] = *row;
}

static bool read_set(Revocations *r, Revoked **ret, Err *err) {
    Rows rows = {.count = 0};
    if (!r->users && !users_open(r->o.users_url, &r->users, err)) return false;
    bool ok = revocations_read(r->users, clock_now_us(), REVOKED_MAX, keep, &rows, err);
    if (ok)
        *ret = revoked_new(rows.at, rows.count);
    else
        r->users = users_free(r->users);
    if (rows.count == REVOKED_MAX) log_error("too much is revoked: the oldest of it is not known");
    free(rows.at);
    return ok;
}

bool revocations_open(const RevocationsOptions *options, Revocations **ret, Err *err) {
    AUTO(Revocations) r = must(calloc(1, sizeof *r));
    r->o = *options;
    pthread_mutex_init(&r->lock, NULL);
    clock_cond_init(&r->news);
    if (!read_set(r, &r->set, err)) return false;
    *ret = r;
    r = NULL;
    return true;
}

/* Takes the reference. */
static void put(Revocations *r, Revoked *set) {
    AUTO(Revoked) old = set;
    pthread_mutex_lock(&r->lock);
    bool changed = !revoked_equal(r->set, set);
    if (changed) old = r->set, r->set = revoked_ref(set), revoked_unref(set);
    pthread_mutex_unlock(&r->lock);
    if (changed) r->o.changed(r->o.user, set);
}

/* Until somebody asks, or the time is over. False at the end. */
static bool wait_for_news(Revocations *r) {
    struct timespec end = clock_deadline(r->o.poll_ms);
    pthread_mutex_lock(&r->lock);
    while (!r->asked && !r->stop && !pthread_cond_timedwait(&r->news, &r->lock, &end)) continue;
    r->asked = false;
    bool go_on = !r->stop;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *watch(void *user) {
    Revocations *r = user;
    while (wait_for_news(r)) {
        Revoked *set;
        Err err = {0};
        if (read_set(r, &set, &err))
            put(r, set);
        else
            log_warn("what is revoked cannot be read; what was known holds", LOG_ERR(&err));
    }
    return NULL;
}

bool revocations_run(Revocations *r, Err *err) {
    int failed = pthread_create(&r->thread, NULL, watch, r);
    r->runs = !failed;
    if (failed) return err_set_errno(err, &ERR_INTERNAL, failed, "revocations");
    pthread_setname_np(r->thread, "revocations");
    return true;
}

Revocations *revocations_free(Revocations *r) {
    if (!r) return NULL;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
    if (r->runs) pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->news);
    pthread_mutex_destroy(&r->lock);
    users_free(r->users);
    revoked_unref(r->set);
    free(r);
    return NULL;
}

Revoked *revocations_set(Revocations *r) {
    pthread_mutex_lock(&r->lock);
    Revoked *set = revoked_ref(r->set);
    pthread_mutex_unlock(&r->lock);
    return set;
}

void revocations_look(Revocations *r) {
    pthread_mutex_lock(&r->lock);
    r->asked = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
}

void revocations_spread(Revocations *r) {
    revocations_look(r);
    r->o.tell_others(r->o.user);
}
