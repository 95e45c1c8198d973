/* What every queue promises, whatever its engine: files, tables of a server, a broker. */
#include "unit/queue/claims.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "events/v1/envelope.pb-c.h"
#include "queue/queue_letters.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static void every_batch_arrives_once(void) {
    static const size_t SIZES[] = {1, 7, 33, 255, 260};
    static Post posts[260];
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    size_t total = 0;
    for (size_t s = 0; s < COUNT(SIZES); s++) {
        for (size_t i = 0; i < SIZES[s]; i++) {
            char id[32];
            snprintf(id, sizeof id, "%zu-%zu", s, i);
            fill(&posts[i], id, id, id);
        }
        send_all(sender, posts, SIZES[s]);
        for (size_t i = 0; i < SIZES[s]; i++) CHECK(posts[i].send.verdict == QUEUE_ACCEPTED);
        total += SIZES[s];
    }
    QueueReceiver *r = open_receiver(home);
    gather_and_complete(r, total);
    AUTO(Map) seen = map_new();
    for (size_t i = 0; i < got_count; i++) CHECK(!map_put(seen, span_of(got[i].body), &got[i]));
    expect_nothing(r);
    queue_receiver_free(r);
    r = open_receiver(home);
    expect_nothing_new(r);
    queue_receiver_free(r);
}

static void a_message_is_whole(void) {
    const char *home = new_queue();
    int64_t before = clock_now_us();
    fill_queue(home, "1:a");
    AUTO(QueueReceiver) r = open_receiver(home);
    QueueMessage *m = NULL;
    while (claim(r, 10, &m) == 0) clock_sleep_ms(2);
    CHECK_SPAN(m[0].body, "1");
    CHECK_SPAN(m[0].key, "t\na");
    CHECK(m[0].body_hash == hash_stable(SPAN("1")) && m[0].deliveries == 1);
    CHECK(m[0].accepted_at >= before / 1000 * 1000 && m[0].accepted_at <= clock_now_us());
    complete(r, m[0].queue_id);
}

/* Ten keys of twenty; some fail once or twice and wait, others go on meanwhile. */
static void keys_stay_in_order(void) {
    enum { KEYS = 10, EACH = 20 };
    static Post posts[KEYS * EACH];
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    for (int i = 0; i < KEYS * EACH; i++) {
        char id[16], key[16];
        snprintf(id, sizeof id, "%d", i), snprintf(key, sizeof key, "k%d", i % KEYS);
        fill(&posts[i], id, key, id);
    }
    send_all(sender, posts, KEYS * EACH);
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    int next[KEYS] = {0}, done = 0;
    int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000);
    while (done < KEYS * EACH && clock_mono_us() < end) {
        got_count = 0;
        if (!claim_once(r, 7)) clock_sleep_ms(2);
        bool failed[KEYS] = {false};
        for (size_t i = 0; i < got_count; i++) {
            int number = atoi(got[i].body), key = number % KEYS;
            if (!failed[key]) CHECK(number == key + KEYS * next[key]);
            bool fails = number % 7 == 3 && got[i].deliveries < 3;
            if (failed[key] || fails) { /* those behind it go back, too */
                CHECK_OK(
                    queue_release(r, got[i].id, fails && !failed[key] ? 5 : 0, fails && !failed[key], &err),
                    &err);
                failed[key] = true;
                continue;
            }
            next[key]++, done++;
            complete(r, got[i].id);
        }
    }
    CHECK(done == KEYS * EACH);
    expect_nothing(r);
}

/* Only what counts is a try, what waits is announced, and who stands behind it waits, too. */
static void tries_and_delays(void) {
    const char *home = new_queue();
    fill_queue(home, "1:a 2:a 3:b");
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    gather(r, 3);
    CHECK(queue_next_due_ms(r) == -1);
    int64_t one = find("1")->id;
    CHECK_OK(queue_release(r, one, 100, true, &err), &err);
    CHECK_OK(queue_release(r, find("2")->id, 0, false, &err), &err);
    complete(r, find("3")->id);
    CHECK(queue_next_due_ms(r) > 0 && queue_next_due_ms(r) <= 100);
    got_count = 0;
    CHECK(claim_once(r, 10) == 0); /* 2 stands behind 1 */
    for (int tries = 2; tries <= QUEUE_TRIES; tries++) {
        gather(r, 2);
        CHECK(find("1")->deliveries == tries && find("2")->deliveries == 1);
        CHECK_OK(queue_release(r, find("2")->id, 0, false, &err), &err);
        CHECK_OK(queue_release(r, find("1")->id, tries == 3 ? 0 : 1, tries != 3, &err),
                 &err); /* 3: an outage */
        if (tries != 3) continue;
        gather(r, 2);
        CHECK(find("1")->deliveries == 3);
        CHECK_OK(queue_release(r, find("2")->id, 0, false, &err), &err);
        CHECK_OK(queue_release(r, find("1")->id, 1, true, &err), &err);
    }
    gather(r, 2);
    complete_all(r);
    CHECK(queue_next_due_ms(r) == -1);
}

/* Who asks for the first one's outcome is told, the second one's is still open for all that a queue knows. */
static void expect_dead(const char *home, const char *const ids[2]) {
    QueueReader *reader = NULL;
    QueueState state;
    char correlation[160];
    Err err = {0};
    REQUIRE(CHECK_OK(queue_reader_open(url, home, &reader, &err), &err));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), span_of(ids[i]), &state, correlation, &err), &err);
        CHECK(state == (i ? QUEUE_PENDING : QUEUE_DEAD));
    }
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), SPAN("no id"), &state, correlation, &err), &err);
    CHECK(state == QUEUE_UNKNOWN);
    queue_reader_free(reader);
}

/* What is dead must be readable, for its sender to find it. */
static void fill_envelope(Post *post, const char *command_id) {
    Events__V1__CommandEnvelope e = EVENTS__V1__COMMAND_ENVELOPE__INIT;
    e.tenant_id = (char *)"t", e.issued_by = (char *)"u", e.command_id = (char *)(uintptr_t)command_id;
    fill(post, command_id, "k", "");
    size_t len = events__v1__command_envelope__pack(&e, (uint8_t *)post->body);
    post->send.body = span_bytes(post->body, len);
}

static void dead_letters(void) {
    const char *home = new_queue();
    static Post post;
    QueueSender *sender = open_sender(home);
    static const char *const IDS[] = {"7e0a8a2e-6b3a-4c39-9b1c-6f0f4b3f9d01",
                                      "7e0a8a2e-6b3a-4c39-9b1c-6f0f4b3f9d02"};
    for (int i = 0; i < 2; i++) {
        fill_envelope(&post, IDS[i]);
        send_all(sender, &post, 1);
    }
    queue_sender_free(sender);
    QueueReceiver *r = open_receiver(home);
    Err err = {0};
    gather(r, 2);
    CHECK(strstr(got[0].body, IDS[0]) && strstr(got[1].body, IDS[1]));
    CHECK_OK(queue_dead_letter(r, got[0].id, "bad_body", &err), &err);
    CHECK_OK(queue_release(r, got[1].id, 0, false, &err), &err);
    gather(r, 1);
    CHECK(strstr(got[0].body, IDS[1]) != NULL);
    complete(r, got[0].id);
    queue_receiver_free(r);
    r = open_receiver(home);
    expect_nothing_new(r);
    queue_receiver_free(r);
    expect_dead(home, IDS);
}

static QueueLetter listed[8];
static size_t listed_count;
static void list_one(void *user, const QueueLetter *letter) {
    (void)user;
    if (listed_count < COUNT(listed)) listed[listed_count++] = (QueueLetter){.number = letter->number};
}

static QueueState state_of(const char *home, const char *id) {
    QueueReader *reader = NULL;
    Err err = {0};
    QueueState state = QUEUE_UNKNOWN;
    char correlation[160];
    REQUIRE(CHECK_OK(queue_reader_open(url, home, &reader, &err), &err));
    CHECK_OK(queue_find(reader, SPAN("t"), SPAN("u"), span_of(id), &state, correlation, &err), &err);
    queue_reader_free(reader);
    return state;
}

static int64_t dead_of(const char *home) {
    int64_t count = -1;
    Err err = {0};
    CHECK_OK(queue_letters_count(url, home, &count, &err), &err);
    return count;
}

/* An operator lists, looks, tries again twice, and discards; meanwhile another command of another key waits. */
static void letters(void) {
    static Post post;
    static const char ID[] = "7e0a8a2e-6b3a-4c39-9b1c-6f0f4b3f9d03";
    const char *home = new_queue();
    QueueSender *sender = open_sender(home);
    fill(&post, "waits", "other", "waits");
    send_all(sender, &post, 1);
    fill_envelope(&post, ID);
    send_all(sender, &post, 1);
    queue_sender_free(sender);
    QueueReceiver *r = open_receiver(home);
    AUTO(Arena) arena = arena_new(0);
    AUTO(QueueLetters) letters = NULL;
    Err err = {0};
    REQUIRE(CHECK_OK(queue_letters_open(url, home, &letters, &err), &err) && letters);
    for (int requeues = 0; requeues < 3; requeues++) {
        QueueLetter letter;
        QueueDepth depth;
        gather(r, 2);
        CHECK_OK(queue_release(r, find("waits")->id, 0, false, &err), &err);
        const Got *it = strstr(got[0].body, ID) ? &got[0] : &got[1];
        CHECK(it->deliveries == 1 && strstr(it->body, ID));
        CHECK_OK(queue_dead_letter(r, it->id, "a_reason", &err), &err);
        CHECK_OK(queue_depth(r, &depth, &err), &err);
        CHECK(depth.waiting == (broker ? -1 : 1) && depth.dead == 1);
        CHECK(state_of(home, ID) == QUEUE_DEAD && dead_of(home) == 1);
        listed_count = 0;
        CHECK_OK(queue_letters_list(letters, 0, 10, list_one, NULL, &err), &err);
        REQUIRE(listed_count == 1);
        REQUIRE(CHECK_OK(queue_letters_get(letters, listed[0].number, arena, &letter, &err), &err));
        CHECK_SPAN(letter.reason, "a_reason");
        CHECK_SPAN(letter.command_id, ID);
        CHECK(letter.requeues == requeues && letter.deliveries == 1 && letter.dead_at > 0);
        if (requeues == 2) break;
        CHECK_OK(queue_letters_requeue(letters, letter.number, &err), &err);
        CHECK(state_of(home, ID) == QUEUE_PENDING && dead_of(home) == 0);
        queue_receiver_free(r);
        r = open_receiver(home); /* a start in between changes nothing */
    }
    CHECK_OK(queue_letters_discard(letters, listed[0].number, &err), &err);
    CHECK(state_of(home, ID) == (broker ? QUEUE_PENDING : QUEUE_UNKNOWN));
    Err none[3] = {{0}};
    QueueLetter gone;
    CHECK(!queue_letters_requeue(letters, listed[0].number, &none[0]) && err_is(&none[0], &ERR_NOT_FOUND));
    CHECK(!queue_letters_discard(letters, listed[0].number, &none[1]) && err_is(&none[1], &ERR_NOT_FOUND));
    CHECK(!queue_letters_get(letters, listed[0].number, arena, &gone, &none[2]) &&
          err_is(&none[2], &ERR_NOT_FOUND));
    queue_receiver_free(r);
    r = open_receiver(home);
    gather_and_complete(r, 1);
    CHECK(!strcmp(got[0].body, "waits"));
    expect_nothing(r);
    queue_receiver_free(r);
}

/* kill -9 of the handler: what it had comes again. Each alone, since any of them may have killed it; with its
 * count; those that it did not have come together. */
static void handler_killed(void) {
    const char *home = new_queue();
    fill_queue(home, "1:a 2:b 3:c");
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    for (int deaths = 1; deaths <= 2; deaths++) {
        pid_t pid = fork();
        if (pid == 0) {
            QueueReceiver *r = open_receiver(home);
            do {
                got_count = 0;
                claim_once(r, deaths == 1 ? 3 : 1);
            } while (!got_count || write(pipes[1], "x", 1) < 0);
            for (;;) pause();
        }
        struct pollfd claimed = {.fd = pipes[0], .events = POLLIN};
        char byte;
        CHECK(poll(&claimed, 1, PATIENCE_MS) == 1 && read(pipes[0], &byte, 1) == 1);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(pipes[0]), close(pipes[1]);
    AUTO(QueueReceiver) r = open_receiver(home);
    size_t twice = 0, seen = 0;
    int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000);
    while (seen < 3 && clock_mono_us() < end) {
        got_count = 0;
        if (!claim_once(r, 10)) clock_sleep_ms(2);
        for (size_t i = 0; i < got_count; i++) {
            if (got[i].deliveries > 1) CHECK(got_count == 1); /* a suspect */
            twice += got[i].deliveries >= 2;
            seen++;
            complete(r, got[i].id);
        }
    }
    CHECK(seen == 3 && twice >= 1);
    expect_nothing(r);
}

static void many(void) {
    enum { ROUNDS = 4, EACH = 256, ALL = ROUNDS * EACH };
    static Post posts[ALL];
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    for (int i = 0; i < ALL; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        fill(&posts[i], id, id, id);
    }
    int64_t began = clock_mono_us();
    send_all(sender, posts, ALL);
    int64_t sent = clock_mono_us();
    for (int i = 0; i < ALL; i++) CHECK(posts[i].send.verdict == QUEUE_ACCEPTED);
    AUTO(QueueReceiver) r = open_receiver(home);
    int64_t opened = clock_mono_us();
    size_t done = 0;
    for (int64_t end = opened + PATIENCE_MS * INT64_C(1000); done < ALL && clock_mono_us() < end;) {
        got_count = 0;
        if (!claim_once(r, 256)) clock_sleep_ms(1);
        complete_all(r);
        done += got_count;
    }
    CHECK(done == ALL);
    printf("\n    sent and confirmed: %.0f/s, claimed and completed: %.0f/s",
           ALL * 1e6 / (double)(sent - began), ALL * 1e6 / (double)(clock_mono_us() - opened));
}

#define ON_ALL                                                                                               \
    TEST(every_batch_arrives_once), TEST(a_message_is_whole), TEST(keys_stay_in_order),                      \
        TEST(tries_and_delays), TEST(dead_letters), TEST(letters), TEST(handler_killed), TEST(many)

/* proton is not instrumented, and there is little that the thread sanitizer would see of it. */
#ifndef __SANITIZE_THREAD__
static CU_TestInfo on_rabbitmq[] = {ON_ALL, CU_TEST_INFO_NULL};
__attribute__((constructor)) static void register_rabbitmq(void) {
    test_suite_between("queue drivers on rabbitmq", on_rabbitmq, use_rabbitmq, leave_rabbitmq);
}
#endif

SUITE_ON_ENGINES("queue drivers", ON_ALL);
