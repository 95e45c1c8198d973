#include "unit/queue/posts.h"

#include "base/buf.h"
#include "base/map.h"
#include "queue/queue_place.h"
#include <stdio.h>

static Loop *loop;
static size_t open_sends;

static void send_done(QueueSend *send) {
    (void)send;
    if (--open_sends == 0) loop_stop(loop);
}

void fill(Post *p, const char *command_id, const char *key, const char *body) {
    snprintf(p->command_id, sizeof p->command_id, "%s", command_id);
    snprintf(p->key, sizeof p->key, "%s", key);
    snprintf(p->body, sizeof p->body, "%s", body);
    snprintf(p->correlation, sizeof p->correlation, "corr-%s-%.10s", command_id, body);
    p->send = (QueueSend){.tenant_id = SPAN("t"),
                          .issued_by = SPAN("u"),
                          .command_id = span_of(p->command_id),
                          .ordering_key = span_of(p->key),
                          .body = span_of(p->body),
                          .body_hash = hash_stable(span_of(p->body)),
                          .correlation_id = p->correlation,
                          .done = send_done};
}

void send_all(QueueSender *sender, Post *posts, size_t count) {
    Err err = {0};
    REQUIRE(CHECK_OK(loop_open(&loop, &err), &err));
    open_sends = count;
    for (size_t i = 0; i < count; i++)
        REQUIRE(CHECK_OK(queue_send(sender, loop, &posts[i].send, &err), &err));
    loop_run(loop);
    loop = loop_free(loop);
}

char url[320];

QueueSender *open_sender(const char *home) {
    QueueSender *sender = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_sender_open(url, home, &sender, &err), &err));
    return sender;
}

QueueReceiver *open_worker(const char *home, unsigned worker, unsigned workers) {
    QueueReceiver *receiver = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_receiver_open_worker(url, home, worker, workers, &receiver, &err), &err));
    return receiver;
}

QueueReceiver *open_receiver(const char *home) {
    return open_worker(home, 0, 1);
}

/* "id:key" per word */
void fill_queue(const char *home, const char *words) {
    AUTO(QueueSender) sender = open_sender(home);
    Post posts[32];
    size_t count = 0;
    for (Span rest = span_of(words), word; rest.len; count++) {
        word = span_split(rest, ' ', &rest);
        Span key, id = span_split(word, ':', &key);
        char a[16], b[16];
        span_copy(id, a, sizeof a), span_copy(key, b, sizeof b);
        fill(&posts[count], a, b, a);
    }
    send_all(sender, posts, count);
}

size_t claim(QueueReceiver *r, size_t most, QueueMessage **messages) {
    size_t count = 0;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_claim(r, most, 30000, messages, &count, &err), &err));
    return count;
}

void complete(QueueReceiver *r, int64_t id) {
    Err err = {0};
    CHECK_OK(queue_complete(r, &id, 1, &err), &err);
}

const char *new_table_queue(void) {
    snprintf(url, sizeof url, "sql:%s", test_engine() == DB_SQLITE ? "" : test_database_with(queue_migrate));
    return test_folder();
}

void expect(QueueReceiver *r, size_t most, const char *want) {
    QueueMessage *m = NULL;
    size_t count = claim(r, most, &m);
    AUTO_BUF got = {0};
    for (size_t i = 0; i < count; i++) buf_span(&got, m[i].body);
    CHECK_SPAN(buf_view(&got), want);
}
