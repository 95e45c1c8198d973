/* client_side.c - fifty clients, what they are owed and what they have got.
 *
 * A client keeps the position of each of its subscriptions, as web/src/core/subscriptions.ts does, loses its
 * connection now and then with all that was on its way, comes back to any gateway with these positions, and
 * reloads where it is told ResyncRequired. What is checked at every frame: nobody gets what is not his; of a
 * subject no version comes behind a later one; and whatever lies at or below a position that the client has
 * been told has arrived. */
#include "sim/sim.h"

#include "gateway/stream/resume.h"
#include "wire/envelope.h"
#include "wire/proto_scan.h"

#include <stdlib.h>

IN_PLACE_OF(session_position);
IN_PLACE_OF(session_note_left);
IN_PLACE_OF(session_catch_ahead);
IN_PLACE_OF(event_version);

enum { FRAME_WEIGHT = 64 << 10, FRAMES_LEAST = 6, FRAMES_MAX = 16, READ_BELOW = 4 };

/* A frame of the server, decoded once for all who get the same bytes. */
typedef struct Decoded {
    int kind; /* of Events__V1__ServerFrame__FrameCase */
    uint32_t id;
    int64_t position;
    bool one, caught_up, lagging;
    unsigned count;
    unsigned char numbers[NUMBERS + 1];
} Decoded;

static uint64_t bits(int64_t above, int64_t upto) {
    uint64_t low = above < 0 ? 0 : (UINT64_C(2) << above) - 1;
    return upto <= above ? 0 : ((UINT64_C(2) << (upto < NUMBERS ? upto : NUMBERS)) - 1) & ~low;
}

/* ---- the wire ---- */

static void decode_event(Span envelope, Decoded *d) {
    EnvelopePeek e;
    if (d->count == NUMBERS || !envelope_peek(envelope, &e) || e.sequence < 1 || e.sequence > NUMBERS) {
        fail("a batch with events that do not exist");
        return;
    }
    if (row_of_id(e.event_id) != w->first_row_of[e.sequence]) fail("an event under a strange number");
    d->numbers[d->count++] = (unsigned char)e.sequence;
}

/* By hand, because fifty clients read it a hundred thousand times: events = 1, position = 2, ids = 3. */
static void decode_batch(Span batch, Decoded *d) {
    uint64_t tag = 0, value;
    for (size_t at = 0; at < batch.len;) {
        if (!proto_varint(batch, &at, &tag) || !proto_varint(batch, &at, &value)) abort();
        if (tag == (2 << 3)) {
            d->position = (int64_t)value;
            continue;
        }
        Span part = {batch.at + at, value};
        at += value;
        if (tag == (1 << 3 | 2)) decode_event(part, d);
        if (tag == (3 << 3 | 2)) {
            size_t first = 0;
            d->one = proto_varint(part, &first, &value) && first == part.len;
            d->id = (uint32_t)value;
        }
    }
}

static void decode_other(Span message, Decoded *d) {
    Events__V1__ServerFrame *f =
        events__v1__server_frame__unpack(arena_protobuf(w->arena), message.len, (const uint8_t *)message.at);
    if (!f) abort();
    d->kind = (int)f->frame_case;
    switch (f->frame_case) {
    case EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED:
        d->id = f->subscribed->id;
        d->position = f->subscribed->position;
        d->caught_up = f->subscribed->caught_up;
        break;
    case EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED:
        d->id = f->resync_required->id;
        d->lagging = !strcmp(f->resync_required->reason, "lagging");
        break;
    default: break;
    }
}

static Blob *form(Span message, const char *epoch) {
    (void)epoch;
    Decoded d = {0};
    Blob *blob = blob_new(sizeof d);
    size_t at = 0;
    uint64_t tag, len;
    if (!blob || !proto_varint(message, &at, &tag) || !proto_varint(message, &at, &len)) abort();
    d.kind = (int)(tag >> 3);
    if (d.kind == EVENTS__V1__SERVER_FRAME__FRAME_EVENTS)
        decode_batch((Span){message.at + at, message.len - at}, &d);
    else if (d.kind != EVENTS__V1__SERVER_FRAME__FRAME_WELCOME)
        decode_other(message, &d);
    memcpy(blob->bytes, &d, sizeof d);
    return blob;
}

static void take_frame(Client *c, const Decoded *d);

static bool send_frame(void *to, Blob *frame) {
    Client *c = to;
    if (!c->slow) {
        take_frame(c, (const Decoded *)(void *)frame->bytes);
        return true;
    }
    if (c->frame_count == c->frames_most) return false;
    c->frames[c->frame_count++] = blob_ref(frame);
    if (!c->reads_soon) push(w->now + (1 + below(trouble(20) ? 4000 : 50)) * MS, CLIENT_READS, 0, 0, c);
    c->reads_soon = true;
    return true;
}

static size_t queued(void *to) {
    return ((Client *)to)->frame_count * FRAME_WEIGHT;
}

static void drop_frames(Client *c) {
    for (size_t i = 0; i < c->frame_count; i++) blob_unref(c->frames[i]);
    c->frame_count = 0;
}

/* What is queued goes out first, unless nobody reads it. */
static void close_wire(void *to, int code, const char *reason) {
    Client *c = to;
    (void)reason;
    if (code == SESSION_SLOW) drop_frames(c);
    c->ends_soon = true;
    push(w->now, SESSION_ENDS, 0, 0, c);
}

static void drop(void *to) {
    Client *c = to;
    drop_frames(c);
    if (!c->reads_soon) push(w->now + below(2000) * MS, CLIENT_READS, 0, 0, c);
    c->reads_soon = true;
    w->lags++;
}

static const SessionWire WIRE = {
    .form = form, .send = send_frame, .queued = queued, .drop = drop, .close = close_wire};
static const SessionWire HIGH = {.form = form,
                                 .send = send_frame,
                                 .queued = queued,
                                 .close = close_wire,
                                 .high = 3 * FRAME_WEIGHT,
                                 .single = true};

/* The planted faults. */
void __real_session_note_left(Session *s, int64_t position);
void __wrap_session_note_left(Session *s, int64_t position) {
    __real_session_note_left(s, position);
    for (size_t i = 0; w->fault == FAULT_LAG && !s->lagging && i < s->subscription_count; i++)
        s->subscriptions[i].left = cursor_offered(&s->subscriptions[i].cursor, position);
}

bool __real_session_catch_ahead(Session *s, Subscription *sub);
bool __wrap_session_catch_ahead(Session *s, Subscription *sub) {
    return w->fault == FAULT_LATE_JOIN || __real_session_catch_ahead(s, sub);
}

int64_t __real_event_version(const Event *event);
int64_t __wrap_event_version(const Event *event) {
    return w->fault == FAULT_AHEAD ? 0 : __real_event_version(event);
}

int64_t __real_session_position(const Session *s);
int64_t __wrap_session_position(const Session *s) {
    if (w->fault == FAULT_POSITION) return s->worker->sessions->position;
    return w->fault == FAULT_HELD_BACK ? w->highest : __real_session_position(s);
}

/* ---- what it gets ---- */

static ClientSub *sub_of(Client *c, uint32_t id) {
    for (size_t i = 0; i < c->sub_count; i++)
        if (c->subs[i].id == id) return &c->subs[i];
    return NULL;
}

static uint64_t mask_of(const Client *c, const ClientSub *sub) {
    return w->masks[c->tenant][c->user][sub->pattern];
}

static void check_owed(const Client *c, const ClientSub *sub, int64_t upto) {
    if (sub->base < 0) return;
    if (mask_of(c, sub) & bits(sub->base, upto) & ~sub->received)
        fail("a position passes an event that has not arrived");
}

/* A position belongs to the subscriptions that the batch is for: to the one it names, or to all live ones. */
static void moved_to(const Client *c, ClientSub *sub, int64_t position) {
    check_owed(c, sub, position);
    if (position > sub->position) sub->position = position;
}

/* What lies at or below its position is a repetition. */
static void take_event(const Client *c, ClientSub *sub, int number) {
    const Row *row = &w->rows[w->first_row_of[number]];
    if (!(mask_of(c, sub) >> number & 1)) return;
    if (number <= sub->position || sub->received >> number & 1) {
        w->duplicates++;
        return;
    }
    sub->received |= UINT64_C(1) << number;
    if (row->rejected) return;
    if (row->version <= sub->versions[row->subject]) fail("a version behind a later one");
    sub->versions[row->subject] = row->version;
}

static void take_batch(Client *c, const Decoded *d) {
    uint64_t permitted = 0;
    for (size_t i = 0; i < c->sub_count; i++) permitted |= mask_of(c, &c->subs[i]);
    for (unsigned k = 0; k < d->count; k++) {
        if (!(permitted >> d->numbers[k] & 1))
            fail("an event that the client may not see, or did not ask for");
        for (size_t i = 0; i < c->sub_count; i++)
            if (d->one ? c->subs[i].id == d->id : c->subs[i].live) take_event(c, &c->subs[i], d->numbers[k]);
    }
    for (size_t i = 0; i < c->sub_count; i++)
        if (d->one ? c->subs[i].id == d->id : c->subs[i].live) moved_to(c, &c->subs[i], d->position);
}

static void take_subscribed(Client *c, const Decoded *d) {
    ClientSub *sub = sub_of(c, d->id);
    if (!sub) return;
    if (sub->base < 0) sub->base = sub->position = d->position;
    sub->live = d->caught_up;
    if (d->caught_up) moved_to(c, sub, d->position);
}

static void act_soon(Client *c, int64_t at) {
    if (!c->acts_soon) push(at, CLIENT_ACTS, 0, 0, c);
    c->acts_soon = true;
}

static void take_frame(Client *c, const Decoded *d) {
    switch (d->kind) {
    case EVENTS__V1__SERVER_FRAME__FRAME_EVENTS: take_batch(c, d); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_SUBSCRIBED: take_subscribed(c, d); break;
    case EVENTS__V1__SERVER_FRAME__FRAME_RESYNC_REQUIRED:
        if (d->lagging) break; /* the server goes on by itself */
        w->resyncs++;
        c->reloads = true;
        act_soon(c, w->now + below(100) * MS);
        break;
    case EVENTS__V1__SERVER_FRAME__FRAME_ERROR: fail("a good subscription was refused"); break;
    default: break;
    }
}

void client_reads(Client *c) {
    size_t count = c->frame_count;
    c->reads_soon = false;
    for (size_t i = 0; i < count; i++) {
        take_frame(c, (const Decoded *)(void *)c->frames[i]->bytes);
        blob_unref(c->frames[i]);
    }
    memmove(c->frames, c->frames + count, (c->frame_count - count) * sizeof *c->frames);
    c->frame_count -= count;
    if (c->session && !c->ends_soon) session_drained(c->session);
}

/* ---- connections ---- */

static void drop_connection(Client *c) {
    drop_frames(c);
    c->ends_soon = false;
    if (!c->session) return;
    for (size_t i = 0; i < c->sub_count; i++) c->subs[i].live = false;
    session_gone(c->session);
    c->session = NULL;
}

void client_lost(Client *c) {
    drop_connection(c);
    act_soon(c, w->now + (1 + below(1500)) * MS);
}

void client_session_ends(Client *c) {
    if (!c->session || !c->ends_soon) return;
    client_reads(c);
    client_lost(c);
}

static void subscribe(Client *c, const ClientSub *sub) {
    static const struct {
        const char *subjects[2], *type;
        size_t count;
    } WANTED[PATTERNS] = {{{0}, NULL, 0},
                          {{"prospect/*"}, NULL, 1},
                          {{"prospect/1", "prospect/2"}, NULL, 2},
                          {{0}, "SimRenamed", 0},
                          {{"prospect/3", "prospect/4"}, NULL, 2}};
    Events__V1__Subscribe in = EVENTS__V1__SUBSCRIBE__INIT;
    in.id = sub->id;
    in.epoch = (char *)EPOCH;
    in.subjects = (char **)WANTED[sub->pattern].subjects;
    in.n_subjects = WANTED[sub->pattern].count;
    in.event_types = (char **)&WANTED[sub->pattern].type;
    in.n_event_types = WANTED[sub->pattern].type != NULL;
    if (sub->base >= 0) {
        in.resume_case = EVENTS__V1__SUBSCRIBE__RESUME_AFTER;
        in.after = sub->position;
    }
    if (session_subscribe(c->session, &in)) fail("a good subscription was refused");
}

/* GET /api/prospects, and from its position on by the stream. */
static void reload(Client *c) {
    int64_t head = w->stored.head.head;
    c->reloads = false;
    for (size_t i = 0; i < c->sub_count; i++) {
        ClientSub *sub = &c->subs[i];
        sub->base = sub->position = head;
        sub->received = bits(-1, head); /* what it had seen beyond may come again */
        memset(sub->versions, 0, sizeof sub->versions);
        for (int n = 1; n <= head; n++) {
            const Row *row = &w->rows[w->first_row_of[n]];
            if (row->version > sub->versions[row->subject]) sub->versions[row->subject] = row->version;
        }
    }
}

static void connect_to(Client *c, int gateway) {
    SimGateway *g = &w->gateways[gateway];
    Claims claims = {.scope_bits = SCOPE_READ | SCOPE_PII, .expires_at = INT64_MAX / 2};
    strcpy(claims.tenant_id, c->tenant ? "b" : "a");
    strcpy(claims.user_id, c->user ? "bob" : "ann");
    if (c->reloads) reload(c);
    c->gateway = gateway;
    c->session = session_new(&g->worker, &claims);
    session_open(c->session, c->high ? &HIGH : &WIRE, c);
    for (size_t i = 0; i < c->sub_count && !c->ends_soon; i++) subscribe(c, &c->subs[i]);
}

static void add_subscription(Client *c) {
    ClientSub *sub = &c->subs[c->sub_count++];
    *sub = (ClientSub){.id = ++c->last_id, .pattern = (int)below(PATTERNS), .base = -1, .position = -1};
    subscribe(c, sub);
}

void client_acts(Client *c) {
    c->acts_soon = false;
    if (c->session && !c->ends_soon && !c->reloads) {
        if (c->sub_count < SUBS && !c->high && chance(30))
            add_subscription(c);
        else if (trouble(100))
            client_lost(c);
        return;
    }
    drop_connection(c);
    int gateway = (int)below(GATEWAYS);
    const SimGateway *g = &w->gateways[gateway];
    bool open = g->up && g->worker.sessions->generation && (!c->reloads || *w->stored.head.epoch);
    if (open)
        connect_to(c, gateway);
    else
        act_soon(c, w->now + 200 * MS);
    if (open && trouble(50)) act_soon(c, w->now + below((unsigned)(TROUBLE_ENDS / MS)) * MS);
}

void client_new(Client *c, int index) {
    *c = (Client){.index = index, .tenant = (int)below(TENANTS), .user = (int)below(USERS)};
    c->slow = chance(20);
    c->high = chance(40);
    c->frames_most = FRAMES_LEAST + below(FRAMES_MAX - FRAMES_LEAST + 1);
    c->reloads = chance(60); /* it begins with the list */
    c->sub_count = 1;
    c->subs[0] = (ClientSub){.id = ++c->last_id, .pattern = (int)below(PATTERNS), .base = -1, .position = -1};
    act_soon(c, below(chance(70) ? 1000 : (unsigned)(TROUBLE_ENDS / MS)) * MS);
}

void client_free(Client *c) {
    drop_connection(c);
}

/* Nothing is on its way to it any more. */
bool client_is_content(const Client *c) {
    if (!c->session || c->acts_soon || c->ends_soon || c->frame_count) return false;
    if (c->session->subscription_count != c->sub_count) return false;
    for (size_t i = 0; i < c->sub_count; i++)
        if (!c->session->subscriptions[i].cursor.live) return false;
    return c->session->worker->sessions->position == w->highest;
}

void client_check_end(Client *c) {
    for (size_t i = 0; i < c->sub_count; i++) check_owed(c, &c->subs[i], w->highest);
}
