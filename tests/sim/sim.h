/* One world of the simulation: its durable state, its programs, its network, and what every client has seen.
 *
 * The programs are the real ones (relay.c, relay_files.c, relay_lanes.c, projector.c, keeper.c, hub.c,
 * live.c, resume.c, session.c and what they stand on); below them the linker puts what is in these files in
 * the place of tables, loops, pools, doorbells and the clock (--wrap in CMakeLists.txt). Every choice follows
 * from the seed. One world at a time in a process: `w`. */
#pragma once
#include "app/projection/projector.h"
#include "app/relay/relay.h"
#include "gateway/feed/keeper.h"
#include "gateway/gateway.h"
#include "gateway/stream/live.h"
#include "gateway/stream/session.h"
#include "store/outbox/lanes.h"

#define MS           1000LL
#define S            1000000LL
#define TROUBLE_ENDS (12 * S) /* no crashes, losses and failures after that, or after a restore */
#define TOO_LONG     (3600 * S)
#define EPOCH        "e"

enum {
    RELAYS = 2,
    GATEWAYS = 3,
    CLIENTS = 50,
    SUBJECTS = 6, /* of tenant a: the even ones */
    TENANTS = 2,
    USERS = 2,
    PATTERNS = 5,
    NUMBERS = 62, /* events of a schedule at most: a bit each */
    HEAP = 1 << 14,
    SUBS = 2,
    TIMERS = 2 * CLIENTS,
    JOBS = CLIENTS,
    RINGS = 64,
    WEIGHT = 150, /* an event counts as so many: five or six of them fill a run, or a page of the log */
};

typedef enum Fault {
    FAULT_NONE,
    FAULT_LOST_TAIL,     /* gateway 1 loses the last events and is never told how many there are */
    FAULT_POSITION,      /* a position passes what a subscription still lacks */
    FAULT_HELD_BACK,     /* a position passes what the gateway holds back behind a hole */
    FAULT_VERSIONLESS,   /* an EventSkipped says nothing of the event it stands for */
    FAULT_REUSED_NUMBER, /* a restored relay does not listen to the projection, and numbers anew */
    FAULT_DOUBLE_APPLY,  /* the projection forgets an event's number when its transaction is repeated */
    FAULT_PAGE,          /* a page of the log leaves one event out */
    FAULT_LAG,           /* what was dropped for a slow reader counts as sent */
    FAULT_AHEAD,         /* what goes ahead of its turn does not wait for its subject's previous version */
    FAULT_LATE_JOIN,     /* who becomes live is not given what went ahead of its turn before */
    FAULT_SILENT_TRIM,   /* a page of the log begins above the client's position, and nobody says so */
    FAULTS,
} Fault;
extern const char *const FAULT_NAMES[FAULTS];

typedef enum Kind {
    BEGIN,
    COMMIT,
    TO_RELAY, /* a ring */
    TO_PROJECTION,
    TO_GATEWAY,
    EVENT_TO_PROJECTION,
    EVENT_TO_GATEWAY,
    PROJECTION_RUNS,
    CRASH,
    START,
    STALL, /* a gateway's loop does something else */
    TRIM,
    RESTORE,
    CLIENT_ACTS,
    CLIENT_READS,
    SESSION_ENDS,
    JOB_RUNS,
    JOB_BACK,
} Kind;

typedef struct Message {
    int64_t at, order; /* order: of two at the same time the one that was sent first */
    Kind kind;
    int who;
    int64_t a;
    void *at_what;
} Message;

typedef struct Row {
    char event_id[40];
    Span body;
    int subject, tenant, user;
    int64_t version;
    bool rejected, bad, committed;
    int64_t number; /* the first one ever given to it; 0: none */
} Row;

/* What the projection has stored. */
typedef struct ReadDb {
    ReplayHead head;
    Span log[NUMBERS + 1], waiting[NUMBERS + 1];
    uint64_t inbox;                     /* rows */
    unsigned char applied[NUMBERS + 1]; /* row -> times */
    int64_t versions[SUBJECTS];
    int64_t oldest;
} ReadDb;

typedef struct SimLane {
    int64_t published, last, leased_until;
    int owner;
} SimLane;

typedef struct SimRelay {
    bool up, dead; /* dead: in the middle of a turn; nothing of it reaches a table any more */
    Relay *relay;
    int64_t next_us;
    char owner[2];
} SimRelay;

typedef struct SimGateway {
    bool up;
    Gateway g;
    Worker worker;
    Keeper *keeper;
    Task *first, **last;
    Timer *timers[TIMERS];
    size_t timer_count;
    Job *jobs[JOBS];
    size_t job_count;
    char *rings[RINGS];
    size_t ring_count;
    int64_t keeper_us, stalled_us, life;
} SimGateway;

typedef struct ClientSub {
    uint32_t id;
    int pattern;
    int64_t base;     /* everything above it is owed; -1: not known yet (live only) */
    int64_t position; /* stored: everything owed up to it has come */
    bool live;
    uint64_t received;
    int64_t versions[SUBJECTS];
} ClientSub;

typedef struct Client {
    int index, tenant, user, gateway;
    bool slow, high, acts_soon, reads_soon, reloads, ends_soon;
    Session *session;
    uint32_t last_id;
    ClientSub subs[SUBS];
    size_t sub_count;
    Blob *frames[64];
    size_t frame_count, frames_most;
} Client;

typedef struct World {
    uint64_t seed, random;
    Fault fault;
    int64_t now, order;
    unsigned loss, doubling; /* per cent */
    bool files;              /* one relay with two files; else two on a server */
    bool restored;
    const char *failure;
    Arena *arena;
    Message heap[HEAP];
    size_t heap_count;
    /* the write database */
    Row rows[NUMBERS + 1];
    int row_count, begins, committed;
    int64_t versions[SUBJECTS], numbered_versions[SUBJECTS];
    bool busy[SUBJECTS];
    /* the numbering */
    NumbersState numbers;
    int row_of[NUMBERS + 1];       /* number -> row; as stored */
    int first_row_of[NUMBERS + 1]; /* as the world has seen it */
    bool skipped[NUMBERS + 1];
    SimLane lanes[OUTBOX_LANES];
    int64_t highest;                          /* number ever given */
    uint64_t masks[TENANTS][USERS][PATTERNS]; /* the numbers that such a subscription must get */
    SimRelay relays[RELAYS];
    /* the projection */
    ReadDb stored, staged;
    bool in_transaction;
    Rows *early_rows; /* of the transaction: not written yet */
    Span early[NUMBERS + 1];
    Projector *projector;
    const Events__V1__Envelope *delivered[64];
    size_t delivered_count;
    bool runs_soon, announced;
    int64_t projection_due_us, told_held;
    SimGateway gateways[GATEWAYS];
    Client clients[CLIENTS];
    RingLimits limits;
    /* counted, for who wants to know what was exercised */
    uint64_t resyncs, resumes, crashes, duplicates, repairs, lags;
} World;

extern World *w;

/* The prototype of what stands in the place of a function, so that it does not compile once that has changed.
 */
#define IN_PLACE_OF(name) __typeof__(name) __wrap_##name

/* world.c */
const char *world_run(uint64_t seed, Fault fault); /* NULL: all is well; else what was wrong */
unsigned below(unsigned bound);
bool chance(unsigned per_cent);
bool trouble(unsigned per_cent); /* the same, false in quiet times */
void fail(const char *what);
void push(int64_t at, Kind kind, int who, int64_t a, void *at_what);
void ring(Kind kind, int who, const char *text); /* may be lost, doubled, late */
int row_of_id(Span event_id);                    /* 0: of an EventSkipped */
bool hiccup(Err *err);                           /* false: the database fails now */

/* relay_side.c */
void writer_begins(void);
void writer_ends(int row);
void relay_starts(int who);
void relay_stops(int who);
void relay_works(int who);
void relays_restored(void);
void event_published(const Span *packed, size_t count);

/* projection_side.c */
void projection_starts(void);
void projection_stops(void);
void projection_receives(const Events__V1__Envelope *event);
void projection_hears(const char *text);
void projection_runs(void);

/* gateway_side.c */
void gateway_starts(int who);
void gateway_stops(int who);
void gateway_hears(int who, const char *text);
void gateway_receives(int who, const Events__V1__Envelope *event);
void gateway_works(SimGateway *g); /* what is posted, timers that are due, the keeper */
int64_t gateway_due_us(const SimGateway *g);
void gateway_job(int who, Job *job, int64_t life, bool back);

/* client_side.c */
void client_new(Client *c, int index);
void client_acts(Client *c);
void client_reads(Client *c);
void client_session_ends(Client *c);
void client_lost(Client *c); /* its gateway is gone */
void client_free(Client *c);
bool client_is_content(const Client *c);
void client_check_end(Client *c);
