/* What every queue promises, whatever its engine: files, tables of a server, a broker. Messages are known by
 * their bodies, since a broker brings them when it likes and in any order but that of a key. */
#include "unit/queue/posts.h"

#include "base/clock.h"
#include "events/v1/envelope.pb-c.h"
#include "broker.h"
#include "queue/amqp_inbox.h"
#include "queue/queue_letters.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static TestRabbitmq *broker; /* of the suite that runs; NULL in those on tables */
static TestRabbitmq *the_broker;

enum { MOST = 1000, PATIENCE_MS = 30000 };

/* What was claimed, in order. */
typedef struct Got {
    int64_t id;
    int deliveries;
    char body[64];
} Got;
static Got got[MOST];
static size_t got_count;

static void note(const QueueMessage *m) {
    REQUIRE(got_count < MOST);
    got[got_count] = (Got){.id = m->queue_id, .deliveries = m->deliveries};
    REQUIRE(span_copy(m->body, got[got_count].body, sizeof got[0].body));
    got_count++;
}

static size_t claim_once(QueueReceiver *r, size_t most) {
    QueueMessage *m = NULL;
    size_t count = claim(r, most, &m);
    for (size_t i = 0; i < count; i++) note(&m[i]);
    return count;
}

/* Those of a test in which the broker was out may come at any time after it. */
static void drop_late_ones(QueueReceiver *r) {
    for (size_t i = got_count; i-- > 0;) {
        if (strncmp(got[i].body, "out-", 4)) continue;
        complete(r, got[i].id);
        memmove(&got[i], &got[i + 1], (--got_count - i) * sizeof got[0]);
    }
}

/* One claim that has `want` messages: what comes before all are there goes back. */
static void gather(QueueReceiver *r, size_t want) {
    Err err = {0};
    for (int64_t end = clock_mono_us() + PATIENCE_MS * INT64_C(1000); clock_mono_us() < end;
         clock_sleep_ms(2)) {
        got_count = 0;
        claim_once(r, MOST);
        drop_late_ones(r);
        if (got_count == want) return;
        for (size_t i = 0; i < got_count; i++) queue_release(r, got[i].id, 0, false, &err);
    }
    CHECK(!"all have come");
    got_count = 0;
}

/* A broker needs a moment to bring something. */
static void expect_nothing(QueueReceiver *r) {
    got_count = 0;
    if (broker) clock_sleep_ms(300);
    CHECK(claim_once(r, MOST) == 0);
}

static const Got *find(const char *body) {
    for (size_t i = 0; i < got_count; i++)
        if (!strcmp(got[i].body, body)) return &got[i];
    CHECK(!"such a message has come");
    return &got[0];
}

static void complete_all(QueueReceiver *r) {
    int64_t ids[MOST];
    Err err = {0};
    for (size_t i = 0; i < got_count; i++) ids[i] = got[i].id;
    CHECK_OK(queue_complete(r, ids, got_count, &err), &err);
}

/* At a start. What a broker was told just before the last end it may not have heard. */
static void expect_nothing_new(QueueReceiver *r) {
    got_count = 0;
    if (broker) clock_sleep_ms(300);
    claim_once(r, MOST);
    CHECK(broker || got_count == 0);
    complete_all(r);
}

/* Claims and completes until `want` have come. */
static void gather_and_complete(QueueReceiver *r, size_t want) {
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
static const char *new_queue(void) {
    const char *home = test_folder();
    if (!broker) {
        snprintf(url, sizeof url, "sql:%s", test_engine() == DB_SQLITE ? "" : test_database());
        return home;
    }
    test_rabbitmq_url(broker, false, NULL, url, sizeof url);
    AUTO(QueueReceiver) r = open_receiver(home);
    for (int quiet = 0; quiet < 3; clock_sleep_ms(50)) {
        got_count = 0;
        quiet = claim_once(r, MOST) ? 0 : quiet + 1;
        complete_all(r);
    }
    return home;
}

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
        CHECK(state_of(home, ID) == QUEUE_DEAD);
        listed_count = 0;
        CHECK_OK(queue_letters_list(letters, 0, 10, list_one, NULL, &err), &err);
        REQUIRE(listed_count == 1);
        REQUIRE(CHECK_OK(queue_letters_get(letters, listed[0].number, arena, &letter, &err), &err));
        CHECK_SPAN(letter.reason, "a_reason");
        CHECK_SPAN(letter.command_id, ID);
        CHECK(letter.requeues == requeues && letter.deliveries == 1 && letter.dead_at > 0);
        if (requeues == 2) break;
        CHECK_OK(queue_letters_requeue(letters, letter.number, &err), &err);
        CHECK(state_of(home, ID) == QUEUE_PENDING);
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

/* A broker that drops what it has seen must not take a second life, or another tenant's command, for a
 * repeat. */
static void message_ids_differ(void) {
    char ids[4][37];
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 0, ids[0]);
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 1, ids[1]);
    amqp_message_id(SPAN("t"), SPAN("u"), SPAN("c"), 2, ids[2]);
    amqp_message_id(SPAN("other"), SPAN("u"), SPAN("c"), 0, ids[3]);
    for (size_t i = 0; i < COUNT(ids); i++)
        for (size_t k = 0; k < i; k++) CHECK(strcmp(ids[i], ids[k]) != 0);
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

/* --- the broker alone --- */

static int64_t now_ms(void) {
    return clock_mono_us() / 1000;
}

/* Whoever came first has the lanes; when he is gone, the other one gets what he had. */
static void the_second_takes_over(void) {
    const char *home = new_queue();
    QueueReceiver *first = open_receiver(home);
    AUTO(QueueReceiver) second = open_receiver(test_folder());
    fill_queue(home, "1:a 2:a 3:b 4:c 5:d 6:e 7:f 8:a");
    gather(first, 8);
    expect_nothing(second);
    queue_receiver_free(first);
    gather_and_complete(second, 8);
    CHECK(find("1") < find("2") && find("2") < find("8"));
}

/* The workers of one process have all lanes between them, and each key comes to one of them; another process gets
 * nothing until they have gone. */
static void workers_share_the_lanes(void) {
    enum { WORKERS = 3, KEYS = 40, EACH = 5 };
    static Post posts[KEYS * EACH];
    const char *home = new_queue();
    QueueReceiver *r[WORKERS];
    for (unsigned k = 0; k < WORKERS; k++) r[k] = open_worker(home, k, WORKERS);
    AUTO(QueueReceiver) other = open_receiver(test_folder());
    AUTO(QueueSender) sender = open_sender(home);
    for (int i = 0; i < KEYS * EACH; i++) {
        char id[16], key[16];
        snprintf(id, sizeof id, "%d", i), snprintf(key, sizeof key, "k%d", i % KEYS);
        fill(&posts[i], id, key, id);
    }
    send_all(sender, posts, KEYS * EACH);
    int next[KEYS] = {0}, whose[KEYS] = {0}, done = 0;
    size_t by[WORKERS] = {0};
    for (int64_t end = now_ms() + PATIENCE_MS; done < KEYS * EACH && now_ms() < end; clock_sleep_ms(2))
        for (int k = 0; k < WORKERS; k++) {
            got_count = 0;
            claim_once(r[k], 7);
            drop_late_ones(r[k]);
            for (size_t i = 0; i < got_count; i++, done++, by[k]++) {
                int number = atoi(got[i].body), key = number % KEYS;
                CHECK(number == key + KEYS * next[key]++);
                CHECK(!whose[key] || whose[key] == k + 1);
                whose[key] = k + 1;
            }
            complete_all(r[k]);
        }
    CHECK(done == KEYS * EACH);
    for (int k = 0; k < WORKERS; k++) CHECK(by[k] > 0);
    expect_nothing(other);
    for (int k = 0; k < WORKERS; k++) queue_receiver_free(r[k]);
    fill_queue(home, "a:a b:b c:c");
    gather_and_complete(other, 3);
}

static AmqpArrival *arrival(AmqpInbox *inbox, const char *body) {
    uint64_t connection;
    for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end; clock_sleep_ms(2)) {
        AmqpArrival *found = NULL;
        for (AmqpArrival *a = amqp_inbox_take(inbox, &connection), *next; a; a = next) {
            next = a->next;
            if (!found && span_is(a->command.body, body))
                found = a;
            else
                free(a);
        }
        if (found) return found;
    }
    CHECK(!"it has come");
    return NULL;
}

/* What RabbitMQ makes of each outcome: released and modified it brings again, accepted and rejected it forgets (its
 * lanes have no dead letter exchange). */
static void settle_modes(void) {
    static const struct {
        AmqpSettle how;
        bool again;
    } MODES[] = {{AMQP_RELEASE, true}, {AMQP_MODIFY, true}, {AMQP_REJECT, false}, {AMQP_ACCEPT, false}};
    const char *home = new_queue();
    AmqpUrl where;
    Err err = {0};
    AUTO(AmqpInbox) inbox = NULL;
    REQUIRE(CHECK_OK(amqp_url_parse(url, &where, &err) && amqp_inbox_open(&where, 0, 1, &inbox, &err), &err));
    for (size_t i = 0; i < COUNT(MODES); i++) {
        char words[16], body[2] = {(char)('p' + i), 0};
        snprintf(words, sizeof words, "%s:k", body);
        fill_queue(home, words);
        for (int times = 0; times <= MODES[i].again; times++) {
            AmqpArrival *a = arrival(inbox, body);
            if (!a) return;
            AmqpSettle how = times ? AMQP_ACCEPT : MODES[i].how;
            amqp_inbox_settle(inbox, a, how, how == AMQP_REJECT ? "a_reason" : NULL);
            amqp_inbox_flush(inbox);
            free(a);
        }
    }
    inbox = amqp_inbox_free(inbox);
    AUTO(QueueReceiver) r = open_receiver(home);
    expect_nothing_new(r);
    for (size_t i = 0; i < got_count; i++)
        CHECK(!strcmp(got[i].body, "s")); /* of the last one it may not have heard */
}

static void send_during_outage(QueueSender *sender) {
    static Post posts[20];
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "out-%d", i);
        fill(&posts[i], id, id, id);
    }
    int64_t began = now_ms();
    send_all(sender, posts, 20);
    CHECK(now_ms() - began < 10000);
    for (int i = 0; i < 20; i++)
        CHECK(posts[i].send.verdict == QUEUE_FAILED && err_is(&posts[i].send.err, &ERR_UNAVAILABLE));
}

static bool sends_one(QueueSender *sender, const char *id) {
    static Post post;
    fill(&post, id, id, id);
    send_all(sender, &post, 1);
    return post.send.verdict == QUEUE_ACCEPTED;
}

/* The broker is killed while messages are held: an outage is nobody's try, senders are told, all goes on
 * after. It takes long to start again; tests/e2e/36_amqp.test.mjs has the short form. */
static void an_outage(void) {
    if (!getenv("EVENTS_LONG")) return;
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    CHECK(sends_one(sender, "1") && sends_one(sender, "2") && sends_one(sender, "3"));
    AUTO(QueueReceiver) r = open_receiver(home);
    Err err = {0};
    gather(r, 3);
    CHECK_OK(queue_release(r, find("3")->id, 0, true, &err), &err);
    test_rabbitmq_stop(broker);
    complete(r, find("1")->id);
    CHECK_OK(queue_release(r, find("2")->id, 0, false, &err), &err);
    send_during_outage(sender);
    expect_nothing(r);
    test_rabbitmq_again(broker);
    int64_t end = now_ms() + PATIENCE_MS;
    while (!sends_one(sender, "4") && now_ms() < end) clock_sleep_ms(100);
    bool one_again = false; /* whether the broker has heard that it is done, who knows */
    for (got_count = 0; now_ms() < end + PATIENCE_MS && got_count < 3U + one_again; clock_sleep_ms(2)) {
        claim_once(r, 10);
        drop_late_ones(r);
        for (size_t i = 0; i < got_count; i++) one_again = one_again || !strcmp(got[i].body, "1");
    }
    CHECK(find("2")->deliveries == 1 && find("3")->deliveries == 2 && find("4")->deliveries == 1);
    complete_all(r);
}

/* It is there and does not answer: no loop waits for ever. */
static void a_broker_that_hangs(void) {
    const char *home = new_queue();
    AUTO(QueueSender) sender = open_sender(home);
    CHECK(sends_one(sender, "1"));
    test_rabbitmq_hang(broker, true);
    send_during_outage(sender);
    test_rabbitmq_hang(broker, false);
    int64_t end = now_ms() + PATIENCE_MS;
    bool sent = false;
    while (!(sent = sends_one(sender, "2")) && now_ms() < end) clock_sleep_ms(100);
    CHECK(sent);
    AUTO(QueueReceiver) r = open_receiver(home);
    gather_and_complete(r, 2);
}

static void refused(const char *text, const ErrKind *kind, const char *why) {
    QueueReceiver *r = NULL;
    Err err = {0};
    int64_t began = now_ms();
    CHECK(!queue_receiver_open(text, test_folder(), &r, &err));
    CHECK(err_is(&err, kind));
    if (!strstr(err.why, why)) CHECK_SPAN(span_of(err.why), why);
    CHECK(!strstr(err.why, "secret") && now_ms() - began < 10000);
}

static void refusals(void) {
    char text[200];
    test_rabbitmq_url(broker, false, "wrong-secret", text, sizeof text);
    refused(text, &ERR_CONFIG, "Authentication failed");
    test_rabbitmq_url(broker, false, NULL, text, sizeof text);
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, ".others");
    refused(text, &ERR_CONFIG, "not-found");
    snprintf(text + len, sizeof text - len, "-of-others");
    refused(text, &ERR_CONFIG, "ACCESS_REFUSED");
    refused("amqp://u:secret@127.0.0.1:1/q", &ERR_UNAVAILABLE, "refused");
}

/* --- TLS --- */

static char tls_folder[64], ca_file[96], certificate_file[96], key_file[96];

static void make_certificate(void) {
    char command[600];
    snprintf(tls_folder, sizeof tls_folder, "%s", test_folder());
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", tls_folder);
    snprintf(certificate_file, sizeof certificate_file, "%s/ca.pem", tls_folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", tls_folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s -out %s "
             "-days 30"
             " -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null",
             key_file, ca_file);
    if (system(command)) abort();
}

static void over_tls(void) {
    char good[300], text[160];
    const char *home = new_queue();
    test_rabbitmq_url(broker, true, NULL, text, sizeof text);
    refused(text, &ERR_UNAVAILABLE, "certificate verify failed"); /* the system does not know who signed it */
    snprintf(good, sizeof good, "%s?ca=%s", text, ca_file);
    char *host = strstr(text, "localhost");
    char other[300];
    snprintf(other, sizeof other, "%.*s127.0.0.1%s?ca=%s", (int)(host - text), text,
             host + strlen("localhost"), ca_file);
    refused(other, &ERR_UNAVAILABLE, "certificate verify failed"); /* it is another's name */
    strcat(text, "?ca=/nowhere.pem");
    refused(text, &ERR_CONFIG, "certificates");
    snprintf(url, sizeof url, "%s", good);
    fill_queue(home, "1:a 2:b");
    AUTO(QueueReceiver) r = open_receiver(home);
    gather(r, 2);
    complete_all(r);
}

/* --- how many, and how fast --- */

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

TestRabbitmq *queue_test_broker(void) {
    if (!the_broker) {
        make_certificate();
        the_broker = test_rabbitmq_start(&(TestRabbitmqTls){ca_file, certificate_file, key_file});
    }
    return the_broker;
}

static int use_rabbitmq(void) {
    broker = queue_test_broker();
    return 0;
}

static int leave_rabbitmq(void) {
    broker = NULL;
    return 0;
}

static CU_TestInfo on_rabbitmq[] = {ON_ALL,
                                    TEST(message_ids_differ),
                                    TEST(the_second_takes_over),
                                    TEST(workers_share_the_lanes),
                                    TEST(settle_modes),
                                    TEST(refusals),
                                    TEST(over_tls),
                                    TEST(a_broker_that_hangs),
                                    TEST(an_outage),
                                    CU_TEST_INFO_NULL};
/* proton is not instrumented, and there is little that the thread sanitizer would see of it. */
__attribute__((constructor)) static void register_rabbitmq(void) {
#ifdef __SANITIZE_THREAD__
    (void)on_rabbitmq, (void)use_rabbitmq, (void)leave_rabbitmq;
#else
    test_suite_between("queue drivers on rabbitmq", on_rabbitmq, use_rabbitmq, leave_rabbitmq);
#endif
}

SUITE_ON_ENGINES("queue drivers", ON_ALL);
