/* eventsctl_sender.c - 256 slots over a few connections (libcurl's multi interface): HTTP/2 by ALPN with
 * https:, and HTTP/1.1 with http:, because libcurl 7.88 (Debian 12) cannot use an h2c connection for a second
 * request (github.com/curl/curl/issues/10634).
 *
 * A slot takes a command from POST to outcome: TO_POST -> POSTING -> TO_ASK -> ASKING -> free, where TO_x
 * waits for its time. A command keeps its slot until its outcome is known, so at most 256 are unfinished,
 * whatever happens behind the gateway. Each answer is one row of a table: go on, try again later, give up the
 * command, give up the run.
 *
 * Trying again is always safe: the command carries its id, and the gateway gives the same id the same answer.
 * 429 and 503 hold back all new posts until the time they name; a lost connection is tried again with full
 * jitter. What bounds it all is the silence: when no answer has moved anything for wait_ms, the run ends with
 * an error. */
#include "main/eventsctl_sender.h"

#include "base/clock.h"
#include "base/log.h"
#include <curl/curl.h>
#include <inttypes.h>

enum {
    ASK_FIRST_MS = 10,
    ASK_LAST_MS = 1000,
    RETRY_FIRST_MS = 100,
    RETRY_LAST_MS = 5000,
    PAUSE_LAST_MS = 60000,
    LOST_TRIES_MAX = 8, /* a 404 right after a 202 is a fault; it gets a few chances */
    HTTP2_CONNECTIONS_MAX = 4,
    HTTP1_CONNECTIONS_MAX = 32,
    ANSWER_MAX = 1 << 20,
    TURN_MS = 100,
};

typedef enum SlotState { SLOT_FREE, SLOT_TO_POST, SLOT_POSTING, SLOT_TO_ASK, SLOT_ASKING } SlotState;

typedef struct Slot {
    SlotState state;
    SenderCommand command;
    int64_t due_us;   /* while it waits */
    unsigned tries;   /* of the present step */
    unsigned token;   /* number of the token that the request carries */
    unsigned refused; /* how many new tokens were refused */
    CURL *easy;
    struct curl_slist *headers;
    Buf answer;
} Slot;

typedef struct Sender {
    const SenderOptions *options;
    CURLM *multi;
    Arena *arena; /* of one answer */
    Slot slots[SENDER_IN_FLIGHT_MAX];
    SenderCommand held; /* taken from next(), waits for one of the same order or for a slot */
    bool holds, drained;
    size_t transfers; /* given to libcurl: no more than can go out at once, so that none waits there for its
                       * turn and leaves in the middle of a pause */
    int64_t paused_until_us, moved_us;
    unsigned token;
    char last_fault[96];
    Err fatal;
} Sender;

static int64_t jitter_ms(int64_t most) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    return 1 + random % (uint32_t)most;
}

static int64_t doubled_ms(int64_t first, int64_t last, unsigned tries) {
    int64_t ms = first << (tries < 16 ? tries : 16);
    return ms < last ? ms : last;
}

/* Waits, then does the present step again (or, with a new state, the next one for the first time). */
static void slot_wait(Slot *slot, SlotState state, int64_t ms) {
    slot->state = state;
    slot->due_us = clock_mono_us() + ms * 1000;
}

static void slot_retry(Slot *slot) {
    SlotState back = slot->state == SLOT_POSTING ? SLOT_TO_POST : SLOT_TO_ASK;
    slot_wait(slot, back, jitter_ms(doubled_ms(RETRY_FIRST_MS, RETRY_LAST_MS, slot->tries++)));
}

static void slot_finish(Sender *s, Slot *slot, const ClientAnswer *refusal) {
    s->options->outcome(s->options->user, &slot->command, refusal);
    buf_clear(&slot->command.body);
    slot->state = SLOT_FREE;
}

/* ---- answers ---- */

typedef enum Verdict { GO_ON, AGAIN, PAUSE, NEW_TOKEN, REFUSED, STOP, OUTCOME, LOST } Verdict;
typedef struct Rule {
    int status; /* 0: any other */
    Verdict verdict;
} Rule;
static const Rule POST_RULES[] = {
    {202, GO_ON}, {401, NEW_TOKEN}, {403, STOP},    {404, STOP}, {405, STOP},    {408, AGAIN}, {429, PAUSE},
    {503, PAUSE}, {400, REFUSED},   {413, REFUSED}, {415, STOP}, {422, REFUSED}, {0, AGAIN}};
static const Rule ASK_RULES[] = {{200, OUTCOME}, {401, NEW_TOKEN}, {403, STOP}, {404, LOST}, {0, AGAIN}};

static Verdict verdict(const Rule *rules, int status) {
    while (rules->status && rules->status != status) rules++;
    return rules->verdict;
}

static void pause_posts(Sender *s, Slot *slot, int64_t retry_after_s) {
    int64_t ms =
        retry_after_s > 0 ? retry_after_s * 1000 : doubled_ms(RETRY_FIRST_MS, RETRY_LAST_MS, slot->tries);
    if (ms > PAUSE_LAST_MS) ms = PAUSE_LAST_MS;
    int64_t until = clock_mono_us() + ms * 1000;
    if (until > s->paused_until_us) s->paused_until_us = until;
    slot->tries++;
    slot_wait(slot, SLOT_TO_POST, ms);
}

/* A gateway that is down right now is no reason to give up: the token is tried for again. */
static bool new_token(Sender *s) {
    Err err = {0};
    if (session_renew(s->options->session, &err)) {
        s->token++;
        return true;
    }
    if (err_is(&err, &ERR_CONFIG)) err_set(&s->fatal, err.kind, "%s", err.why);
    return false;
}

/* One renewal serves all requests that carried the old token. */
static void renew_token(Sender *s, Slot *slot) {
    if (slot->token == s->token && ++slot->refused > 3) {
        err_set(&s->fatal, &ERR_CONFIG, "the gateway refuses a token that it has just given");
        return;
    }
    if (slot->token == s->token && !new_token(s)) {
        slot_retry(slot);
        return;
    }
    slot_wait(slot, slot->state == SLOT_POSTING ? SLOT_TO_POST : SLOT_TO_ASK, 0);
}

static void refuse(Sender *s, Slot *slot, ClientAnswer *answer, const char *code) {
    if (!answer->code.at || !answer->code.len) answer->code = span_of(code);
    slot_finish(s, slot, answer);
}

static void take_outcome(Sender *s, Slot *slot, ClientAnswer *answer) {
    if (span_is(answer->status, "succeeded")) {
        slot_finish(s, slot, NULL);
    } else if (span_is(answer->status, "rejected") || span_is(answer->status, "failed")) {
        refuse(s, slot, answer, span_is(answer->status, "failed") ? "failed" : "rejected");
    } else {
        slot_wait(slot, SLOT_TO_ASK, doubled_ms(ASK_FIRST_MS, ASK_LAST_MS, slot->tries++));
        return;
    }
    s->moved_us = clock_mono_us();
}

static void lost(Sender *s, Slot *slot, ClientAnswer *answer) {
    if (slot->tries < LOST_TRIES_MAX) {
        slot_retry(slot);
        return;
    }
    answer->code = SPAN("outcome_unknown");
    slot_finish(s, slot, answer);
}

static void stop_run(Sender *s, int status) {
    if (status == 403)
        err_set(&s->fatal, &ERR_CONFIG, "the user may not send these commands (HTTP 403)");
    else
        err_set(&s->fatal, &ERR_UNAVAILABLE, "HTTP %d: is this the URL of the gateway?", status);
}

static void answered(Sender *s, Slot *slot, int status, int64_t retry_after_s) {
    arena_reset(s->arena);
    ClientAnswer answer;
    client_answer_read(buf_view(&slot->answer), s->arena, &answer); /* what cannot be read is empty */
    bool posting = slot->state == SLOT_POSTING;
    Verdict v = verdict(posting ? POST_RULES : ASK_RULES, status);
    if (v == AGAIN || v == PAUSE) snprintf(s->last_fault, sizeof s->last_fault, "HTTP %d", status);
    switch (v) {
    case GO_ON:
        slot->tries = 0;
        s->moved_us = clock_mono_us();
        slot_wait(slot, SLOT_TO_ASK, ASK_FIRST_MS);
        break;
    case AGAIN: slot_retry(slot); break;
    case PAUSE: pause_posts(s, slot, retry_after_s); break;
    case NEW_TOKEN: renew_token(s, slot); break;
    case REFUSED:
        s->moved_us = clock_mono_us();
        refuse(s, slot, &answer, "refused");
        break;
    case STOP: stop_run(s, status); break;
    case OUTCOME: take_outcome(s, slot, &answer); break;
    case LOST: lost(s, slot, &answer); break;
    }
}

static void transfer_done(Sender *s, CURL *easy, CURLcode result) {
    Slot *slot;
    long status = 0;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_multi_remove_handle(s->multi, easy);
    s->transfers--;
    if (result == CURLE_OK) {
        answered(s, slot, (int)status, retry_after);
        return;
    }
    snprintf(s->last_fault, sizeof s->last_fault, "%s", curl_easy_strerror(result));
    slot_retry(slot);
}

/* ---- requests ---- */

static size_t on_answer(char *bytes, size_t size, size_t count, void *user) {
    Slot *slot = user;
    if (slot->answer.len + size * count > ANSWER_MAX) return 0; /* ends the transfer with an error */
    buf_append(&slot->answer, bytes, size * count);
    return size * count;
}

static bool is_tls(const Sender *s) {
    return !strncmp(session_url(s->options->session), "https:", 6);
}

static bool slot_prepare(Sender *s, Slot *slot) {
    if (!slot->easy && !(slot->easy = curl_easy_init())) return false;
    curl_easy_reset(slot->easy);
    buf_clear(&slot->answer);
    curl_slist_free_all(slot->headers);
    slot->headers = curl_slist_append(NULL, session_authorization(s->options->session));
    slot->token = s->token;
    const char *ca = session_ca_file(s->options->session);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION,
                     is_tls(s) ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (ca) curl_easy_setopt(slot->easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(slot->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(slot->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(slot->easy, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
    curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    return slot->headers;
}

static void slot_begin(Sender *s, Slot *slot, const char *url) {
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->headers);
    slot->state = slot->state == SLOT_TO_POST ? SLOT_POSTING : SLOT_ASKING;
    if (curl_multi_add_handle(s->multi, slot->easy) == CURLM_OK)
        s->transfers++;
    else
        slot_retry(slot);
}

static void slot_post(Sender *s, Slot *slot) {
    char url[1024];
    snprintf(url, sizeof url, "%s%s", session_url(s->options->session), s->options->path);
    struct curl_slist *more = curl_slist_append(slot->headers, "Content-Type: application/json");
    if (more) slot->headers = more;
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->command.body.at);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)slot->command.body.len);
    slot_begin(s, slot, url);
}

static void slot_ask(Sender *s, Slot *slot) {
    char url[1024];
    snprintf(url, sizeof url, "%s/api/commands/%s", session_url(s->options->session),
             slot->command.command_id);
    slot_begin(s, slot, url);
}

static void start_due(Sender *s) {
    int64_t now = clock_mono_us();
    size_t most = is_tls(s) ? SENDER_IN_FLIGHT_MAX : HTTP1_CONNECTIONS_MAX;
    for (size_t i = 0; i < SENDER_IN_FLIGHT_MAX && !s->fatal.kind && s->transfers < most; i++) {
        Slot *slot = &s->slots[i];
        bool post = slot->state == SLOT_TO_POST && now >= s->paused_until_us,
             ask = slot->state == SLOT_TO_ASK;
        if ((!post && !ask) || now < slot->due_us) continue;
        if (!slot_prepare(s, slot)) {
            err_set(&s->fatal, &ERR_INTERNAL, "out of memory");
            return;
        }
        post ? slot_post(s, slot) : slot_ask(s, slot);
    }
}

/* ---- filling the slots ---- */

static bool order_is_busy(const Sender *s, uint64_t order) {
    for (size_t i = 0; i < SENDER_IN_FLIGHT_MAX; i++)
        if ((s->slots[i].state == SLOT_TO_POST || s->slots[i].state == SLOT_POSTING) &&
            s->slots[i].command.order == order)
            return true;
    return false;
}

static bool fetch(Sender *s) {
    if (s->holds) return true;
    if (s->drained) return false;
    s->holds = s->options->next(s->options->user, &s->held);
    s->drained = !s->holds;
    return s->holds;
}

/* Moves the held command into a slot; the slot's empty buffer goes to the next one held. */
static void place(Sender *s, Slot *slot) {
    Buf spare = slot->command.body;
    slot->command = s->held;
    s->held = (SenderCommand){.body = spare};
    s->holds = false;
    slot->tries = slot->refused = 0;
    slot_wait(slot, SLOT_TO_POST, 0);
}

/* How many commands are unfinished. */
static size_t fill(Sender *s) {
    size_t busy = 0;
    bool stuck = clock_mono_us() < s->paused_until_us;
    for (size_t i = 0; i < SENDER_IN_FLIGHT_MAX; i++) {
        Slot *slot = &s->slots[i];
        if (slot->state == SLOT_FREE && !stuck && fetch(s)) {
            stuck = order_is_busy(s, s->held.order);
            if (!stuck) place(s, slot);
        }
        busy += slot->state != SLOT_FREE;
    }
    return busy + s->holds;
}

/* ---- the turn ---- */

static int next_turn_ms(const Sender *s) {
    int64_t now = clock_mono_us(), least = TURN_MS * 1000;
    for (size_t i = 0; i < SENDER_IN_FLIGHT_MAX; i++) {
        const Slot *slot = &s->slots[i];
        if (slot->state != SLOT_TO_POST && slot->state != SLOT_TO_ASK) continue;
        int64_t due = slot->due_us;
        if (slot->state == SLOT_TO_POST && due < s->paused_until_us) due = s->paused_until_us;
        if (due - now < least) least = due - now;
    }
    return least <= 0 ? 0 : (int)((least + 999) / 1000);
}

static void turn(Sender *s) {
    int running, left;
    CURLMsg *message;
    start_due(s);
    curl_multi_perform(s->multi, &running);
    while (!s->fatal.kind && (message = curl_multi_info_read(s->multi, &left)))
        if (message->msg == CURLMSG_DONE) transfer_done(s, message->easy_handle, message->data.result);
    if (!s->fatal.kind && session_is_due(s->options->session)) new_token(s);
    s->options->tick(s->options->user);
    int64_t silent_ms = (clock_mono_us() - s->moved_us) / 1000;
    if (silent_ms > s->options->wait_ms)
        err_set(&s->fatal, &ERR_UNAVAILABLE, "no outcome for %" PRId64 " s%s%s", silent_ms / 1000,
                *s->last_fault ? "; the last fault was: " : "", s->last_fault);
}

static void sender_close(Sender *s) {
    for (size_t i = 0; i < SENDER_IN_FLIGHT_MAX; i++) {
        Slot *slot = &s->slots[i];
        bool busy = slot->state == SLOT_POSTING || slot->state == SLOT_ASKING;
        if (busy) curl_multi_remove_handle(s->multi, slot->easy);
        if (slot->easy) curl_easy_cleanup(slot->easy);
        curl_slist_free_all(slot->headers);
        buf_free(&slot->answer);
        buf_free(&slot->command.body);
    }
    buf_free(&s->held.body);
    arena_free(s->arena);
    curl_multi_cleanup(s->multi);
    free(s);
}

bool sender_run(const SenderOptions *options, Err *err) {
    Sender *s = must(calloc(1, sizeof *s));
    s->options = options;
    s->arena = must(arena_new(4 << 20));
    s->multi = must(curl_multi_init());
    s->moved_us = clock_mono_us();
    curl_multi_setopt(s->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      is_tls(s) ? (long)HTTP2_CONNECTIONS_MAX : (long)HTTP1_CONNECTIONS_MAX);
    curl_multi_setopt(s->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)SENDER_IN_FLIGHT_MAX);
    while (!s->fatal.kind && fill(s)) {
        turn(s);
        if (!s->fatal.kind) curl_multi_poll(s->multi, NULL, 0, next_turn_ms(s), NULL);
    }
    bool ok = !s->fatal.kind;
    if (!ok) err_set(err, s->fatal.kind, "%s", s->fatal.why);
    sender_close(s);
    return ok;
}
