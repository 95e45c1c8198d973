/* prospects.c - the reads: pages of prospects, one prospect, a command's outcome. */
#include "base/uuid.h"
#include "gateway/prospect_list.h"
#include "gateway/rest/handlers.h"
#include "gateway/rest/reading.h"
#include "wire/message.h"

/* --- a page --- */

/* 0: not given; -1: out of range. */
static int64_t asked_limit(Request *r) {
    Span text;
    uint64_t limit;
    if (!http_query_value(r->x, "limit", &text)) return 0;
    return span_to_u64(text, LIST_PAGE_MAX, &limit) && limit ? (int64_t)limit : -1;
}

static bool read_page(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)queries;
    Events__V1__ProspectPage page;
    FieldFaults faults = {0};
    ReadJob *job = &reading->job;
    if (!prospect_list_read(reading->input, db, &job->head, job->arena, &page, &faults, err)) {
        if (!faults.count) return false;
        answer_fill_problem(reading->request, &reading->answer, 400, faults.at[0].code,
                            "a parameter is wrong", &faults);
        return true; /* still a 400, though found on a reader thread */
    }
    answer_message(reading->request, &reading->answer, &page.base);
    reading_position(reading);
    return true;
}

void rest_prospects(Request *r) {
    ProspectList *list = http_alloc(r->x, sizeof *list);
    ProspectListAsked asked = {.limit = asked_limit(r)};
    FieldFaults faults = {0};
    Err err = {0};
    http_query_value(r->x, "sort", &asked.sort);
    http_query_value(r->x, "query", &asked.query);
    http_query_value(r->x, "cursor", &asked.cursor);
    if (!list)
        answer_problem(r, &ERR_UNAVAILABLE, "");
    else if (prospect_list_init(list, &asked, &r->claims, &faults, &err))
        reading_start(r, read_page, true, list);
    else if (faults.count)
        answer_bad_field(r, faults.at[0].field, faults.at[0].code);
    else
        answer_err(r, &err);
}

/* --- one prospect --- */

/* One that was merged into another has moved there for good: 308 rather than 301, which allows a client to
 * change the method. Where that one has been merged too, the next answer says so. Else it is not there. */
static bool read_moved(Reading *reading, Db *db, const ProspectKey *key, Err *err) {
    int64_t into;
    if (!prospect_merged_into(db, key, &into, err)) return false;
    if (!into) return err_set(err, &ERR_NOT_FOUND, "no such prospect");
    const char *location = arena_printf(reading->job.arena, "/api/prospects/%lld", (long long)into);
    if (!location) return err_set(err, &ERR_INTERNAL, "out of memory");
    reading->answer.status = 308;
    answer_field(&reading->answer, "location", span_of(location));
    reading_position(reading);
    return true;
}

static bool read_one(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)queries;
    Request *r = reading->request;
    Events__V1__Prospect *p;
    const ProspectKey key = {.tenant_id = span_of(r->claims.tenant_id),
                             .prospect_id = *(const int64_t *)reading->input,
                             .model = reading->job.head.model};
    Err fault = {0};
    if (!prospect_find(db, &key, reading->job.arena, &p, &fault))
        return err_is(&fault, &ERR_NOT_FOUND) ? read_moved(reading, db, &key, err)
                                              : err_set(err, fault.kind, "%s", fault.why);
    if (!request_may(r, SCOPE_PII)) message_clear_personal(&p->base);
    char *tag = arena_printf(reading->job.arena, "\"%lld\"", (long long)p->version);
    if (!tag) return err_set(err, &ERR_INTERNAL, "out of memory");
    reading_position(reading);
    if (answer_conditions(r, &reading->answer, span_of(tag))) answer_message(r, &reading->answer, &p->base);
    return true;
}

void rest_prospect(Request *r) {
    int64_t *id = http_alloc(r->x, sizeof *id);
    if (!id)
        answer_problem(r, &ERR_UNAVAILABLE, "");
    else if (request_prospect_id(r, id))
        reading_start(r, read_one, true, id);
}

/* --- a command's outcome --- */

static bool read_outcome(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)db;
    Request *r = reading->request;
    Events__V1__CommandOutcome *outcome;
    if (!queries_outcome(queries, span_of(r->claims.tenant_id), span_of(r->claims.user_id),
                         span_of(reading->input), reading->job.arena, &outcome, err))
        return false;
    answer_message(r, &reading->answer, &outcome->base);
    return true;
}

void rest_outcome(Request *r) {
    Uuid uuid;
    char *id = http_alloc(r->x, UUID_TEXT);
    if (!id || !uuid_parse(r->param, &uuid)) {
        answer_problem(r, &ERR_NOT_FOUND, "no such command");
        return;
    }
    uuid_format(&uuid, id);
    reading_start(r, read_outcome, false, id);
}
