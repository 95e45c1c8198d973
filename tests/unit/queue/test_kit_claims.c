#include "unit/queue/claims.h"

#include "base/clock.h"
#include "queue/queue_place.h"
#include <stdlib.h>
#include <string.h>

TestRabbitmq *broker;
Got got[CLAIMS_MOST];
size_t got_count;

static void note(const QueueMessage *m) {
    REQUIRE(got_count < CLAIMS_MOST);
    got[got_count] = (Got){.id = m->queue_id, .deliveries = m->deliveries};
    REQUIRE(span_copy(m->body, got[got_count].body, sizeof got[0].body));
    got_count++;
}

size_t claim_once(QueueReceiver *r, size_t most) {
    QueueMessage *m = NULL;
    size_t count = claim(r, most, &m);
    for (size_t i = 0; i < count; i++) note(&m[i]);
    return count;
}

/* Those of a test in which the broker was out may come at any time after it. */
void drop_late_ones(QueueReceiver *r) {
    for (size_t i = got_count; i-- > 0;) {
        if (strncmp(got[i].body, "out-", 4)) continue;
        complete(r, got[i].id);
        memmove(&got[i], &got[i + 1], (--got_count - i) * sizeof got[0]);
    }
}

/* One claim that has `want` messages: what comes before all are there goes back. */
void gather(QueueReceiver *r, size_t want) {
    Err err = {0};
    for (int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000); clock_mono_us() < end;
         clock_sleep_ms(2)) {
        got_count = 0;
        claim_once(r, CLAIMS_MOST);
        drop_late_ones(r);
        if (got_count == want) return;
        for (size_t i = 0; i < got_count; i++) queue_release(r, got[i].id, 0, false, &err);
    }
    CHECK(!"all have come");
    got_count = 0;
}

/* A broker needs a moment to bring something. */
void expect_nothing(QueueReceiver *r) {
    got_count = 0;
    if (broker) clock_sleep_ms(300);
    CHECK(claim_once(r, CLAIMS_MOST) == 0);
}

const Got *find(const char *body) {
    for (size_t i = 0; i < got_count; i++)
        if (!strcmp(got[i].body, body)) return &got[i];
    CHECK(!"such a message has come");
    return &got[0];
}

void complete_all(QueueReceiver *r) {
    int64_t ids[CLAIMS_MOST];
    Err err = {0};
    for (size_t i = 0; i < got_count; i++) ids[i] = got[i].id;
    CHECK_OK(queue_complete(r, ids, got_count, &err), &err);
}

/* At a start. What a broker was told just before the last end it may not have heard. */
void expect_nothing_new(QueueReceiver *r) {
    got_count = 0;
    if (broker) clock_sleep_ms(300);
    claim_once(r, CLAIMS_MOST);
    CHECK(broker || got_count == 0);
    complete_all(r);
}

/* Claims and completes until `want` have come. */
void gather_and_complete(QueueReceiver *r, size_t want) {
    size_t had = got_count = 0;
    Err err = {0};
    for (int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000);
         got_count < want && clock_mono_us() < end;) {
        if (!claim_once(r, want - got_count)) clock_sleep_ms(2);
        for (; had < got_count; had++) CHECK_OK(queue_complete(r, &got[had].id, 1, &err), &err);
        drop_late_ones(r);
        had = got_count;
    }
    CHECK(got_count == want);
}

/* Its home. A broker has one queue for all tests: what others have left is taken off first. */
const char *new_queue(void) {
    const char *home = test_folder();
    if (!broker) {
        snprintf(url, sizeof url, "sql:%s",
                 test_engine() == DB_SQLITE ? "" : test_database_with(queue_migrate));
        return home;
    }
    test_rabbitmq_url(broker, false, NULL, url, sizeof url);
    AUTO(QueueReceiver) r = open_receiver(home);
    for (int quiet = 0; quiet < 3; clock_sleep_ms(50)) {
        got_count = 0;
        quiet = claim_once(r, CLAIMS_MOST) ? 0 : quiet + 1;
        complete_all(r);
    }
    return home;
}

/* --- the broker --- */

static TestRabbitmq *the_broker;
static char ca_file[96], key_file[96];

static void make_certificate(void) {
    char command[600];
    const char *folder = test_folder();
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s -out %s "
             "-days 30"
             " -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null",
             key_file, ca_file);
    if (system(command)) abort();
}

TestRabbitmq *queue_test_broker(void) {
    if (!the_broker) {
        make_certificate();
        the_broker = test_rabbitmq_start(&(TestRabbitmqTls){ca_file, ca_file, key_file});
    }
    return the_broker;
}

int use_rabbitmq(void) {
    broker = queue_test_broker();
    return 0;
}

int leave_rabbitmq(void) {
    broker = NULL;
    return 0;
}

const char *queue_test_ca(void) {
    return ca_file;
}
