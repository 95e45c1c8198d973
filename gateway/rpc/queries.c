/* queries.c - the reads: one prospect, a page of prospects. What is read is also encoded, on the reader
 * thread. */
#include "events/v1/services.pb-c.h"
#include "gateway/prospect_list.h"
#include "gateway/read_job.h"
#include "gateway/rpc/call.h"
#include <stdlib.h>

enum { REQUEST_ARENA = 64 << 10, PROSPECT_ID_MAX_BITS = 53 };

typedef struct Query Query;
struct Query {
    ReadJob job;
    Call *call; /* NULL: answered before the reader came back */
    CallForm form;
    Claims claims;
    bool (*read)(Query *q, Db *db, Err *err); /* fills body, or faults, or fails */
    Arena *arena;                             /* of the request */
    int64_t prospect_id;
    ProspectList list;
    CallBody body;
    FieldFaults faults;
};

static Query *query_free(Query *q) {
    if (!q) return NULL;
    arena_free(q->arena);
    buf_free(&q->body.bytes);
    read_job_clear(&q->job);
    free(q);
    return NULL;
}
AUTO_FREE(Query, query_free)

static bool read_query(ReadJob *job, Queries *queries, Db *db, Err *err) {
    (void)queries;
    Query *q = CONTAINER(job, Query, job);
    return q->read(q, db, err) || q->faults.count;
}

static void answer(ReadJob *job) {
    AUTO(Query) q = CONTAINER(job, Query, job);
    Call *c = q->call;
    if (!c) return;
    if (job->err.kind)
        call_fail_err(c, &job->err);
    else if (q->faults.count)
        call_fail_faults(c, "a field of the request is wrong", &q->faults);
    else
        call_send(c, &q->body, &job->head);
}

static void stopped(void *user, RpcStatus *status) {
    (void)status;
    Query *q = user;
    q->call = NULL;
    read_job_give_up(&q->job);
}

static void late(ReadJob *job) {
    Query *q = CONTAINER(job, Query, job);
    Call *c = q->call;
    q->call = NULL; /* what the thread still does is its own */
    if (c) call_fail_with(c, RPC_UNAVAILABLE, "the read model did not answer within the deadline");
}

static Query *query_new(Call *c, bool (*read)(Query *q, Db *db, Err *err)) {
    Query *q = must(calloc(1, sizeof *q));
    *q = (Query){.call = c, .form = c->form, .claims = c->claims, .read = read};
    q->arena = arena_new(REQUEST_ARENA);
    return q;
}

/* Takes the query over, unless the metadata is wrong. */
static void start(Query **query) {
    Query *q = *query;
    Call *c = q->call;
    int64_t least;
    if (!call_min_position(c, &least)) return;
    *query = NULL;
    q->job = (ReadJob){.worker = c->worker, .needs_model = true, .min_position = least};
    q->job.read = read_query;
    q->job.done = answer;
    q->job.late = late;
    call_keep(c, stopped, q);
    read_job_start(&q->job);
}

static bool pack(Query *q, const ProtobufCMessage *message, Err *err) {
    return call_pack(&q->form, message, &q->body) || err_set(err, &ERR_INTERNAL, "the answer does not fit");
}

/* --- one --- */

/* One that was merged into another is told by whom it was taken over only in REST (308): here it is not
 * there. */
static bool read_one(Query *q, Db *db, Err *err) {
    Events__V1__Prospect *p;
    const ProspectKey key = {
        .tenant_id = span_of(q->claims.tenant_id), .prospect_id = q->prospect_id, .model = q->job.head.model};
    if (!prospect_find(db, &key, q->job.arena, &p, err)) return false;
    if (!(q->claims.scope_bits & SCOPE_PII)) message_clear_personal(&p->base);
    return pack(q, &p->base, err);
}

void on_events_v1_prospect_queries_get_prospect(Call *c) {
    AUTO(Query) q = query_new(c, read_one);
    Events__V1__GetProspectRequest *request =
        (Events__V1__GetProspectRequest *)call_message(c, q->arena, false);
    if (!request) return;
    q->prospect_id = request->prospect_id;
    if (request->prospect_id < 1 || request->prospect_id >> PROSPECT_ID_MAX_BITS) {
        field_fault(&q->faults, "prospectId", "invalid_id");
        call_fail_faults(c, "a field of the request is wrong", &q->faults);
        return;
    }
    start(&q);
}

/* --- a page --- */

static bool read_page(Query *q, Db *db, Err *err) {
    Events__V1__ProspectPage page;
    return prospect_list_read(&q->list, db, &q->job.head, q->job.arena, &page, &q->faults, err) &&
           pack(q, &page.base, err);
}

void on_events_v1_prospect_queries_list_prospects(Call *c) {
    AUTO(Query) q = query_new(c, read_page);
    Events__V1__ListProspectsRequest *request =
        (Events__V1__ListProspectsRequest *)call_message(c, q->arena, false);
    if (!request) return;
    Err err = {0};
    ProspectListAsked asked = {.query = span_of(request->query), .cursor = span_of(request->cursor)};
    asked.sort = *request->sort ? span_of(request->sort) : SPAN_NONE;
    asked.limit = request->limit;
    if (prospect_list_init(&q->list, &asked, &q->claims, &q->faults, &err))
        start(&q);
    else if (q->faults.count)
        call_fail_faults(c, "a field of the request is wrong", &q->faults);
    else
        call_fail_err(c, &err);
}
