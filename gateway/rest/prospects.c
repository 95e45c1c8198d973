/* prospects.c - the reads: pages of prospects, one prospect, a command's outcome. */
#include "base/map.h"
#include "base/uuid.h"
#include "gateway/rest/cursor.h"
#include "gateway/rest/handlers.h"
#include "gateway/rest/reading.h"
#include "wire/message.h"

enum { PAGE_DEFAULT = 50, PAGE_MAX = 200, QUERY_MAX = 256 };

typedef struct ListInput {
    ProspectSort sort;
    bool descending, personal;
    size_t limit;
    Span query, cursor;
    uint64_t list; /* what a cursor is bound to */
} ListInput;

static const struct {
    const char *name;
    ProspectSort sort;
    bool personal;
} SORT_NAMES[] = {{"createdAt", SORT_CREATED_AT, false},
                  {"updatedAt", SORT_UPDATED_AT, false},
                  {"lastName", SORT_LAST_NAME, true},
                  {"email", SORT_EMAIL, true}};

static bool read_sort(Span text, ListInput *in, bool *personal) {
    in->descending = span_starts(text, SPAN("-"));
    if (in->descending) text.at++, text.len--;
    for (size_t i = 0; i < COUNT(SORT_NAMES); i++) {
        if (!span_is(text, SORT_NAMES[i].name)) continue;
        in->sort = SORT_NAMES[i].sort;
        *personal = SORT_NAMES[i].personal;
        return true;
    }
    return false;
}

static uint64_t list_of(Span sort, Span query) {
    AUTO_BUF both = {0};
    buf_span(&both, sort);
    buf_byte(&both, 0);
    buf_span(&both, query);
    return hash_stable(buf_view(&both));
}

/* Answers where a parameter is wrong. */
static bool read_list(Request *r, ListInput *in) {
    Span sort = SPAN("-createdAt");
    bool personal;
    in->personal = request_may(r, SCOPE_PII);
    http_query_value(r->x, "sort", &sort);
    http_query_value(r->x, "query", &in->query);
    http_query_value(r->x, "cursor", &in->cursor);
    const char *wrong = !request_limit(r, PAGE_MAX, PAGE_DEFAULT, &in->limit) ? "limit"
                        : !read_sort(sort, in, &personal)                     ? "sort"
                        : in->query.len > QUERY_MAX                           ? "query"
                                                                              : NULL;
    if (wrong) {
        answer_bad_field(r, wrong, "out_of_range");
        return false;
    }
    in->list = list_of(sort, in->query);
    if (in->personal || (!personal && !in->query.len)) return true;
    answer_problem(r, &ERR_FORBIDDEN, "query and sorting by name or e-mail need the scope prospects:pii");
    return false;
}

static bool fill_query(const ListInput *in, Reading *reading, Buf *cursor_bytes, ProspectQuery *q,
                       const char **wrong) {
    q->tenant_id = span_of(reading->request->claims.tenant_id);
    q->sort = in->sort;
    q->descending = in->descending;
    q->limit = in->limit;
    if (!query_words(in->query, reading->arena, q->words, &q->word_count)) {
        *wrong = "out_of_range";
        return false;
    }
    if (!in->cursor.len) return true;
    Cursor cursor;
    q->has_after = true;
    if (!cursor_read(in->cursor, in->list, cursor_bytes, &cursor)) {
        *wrong = "invalid_cursor";
        return false;
    }
    q->after_time = cursor.number, q->after_key = cursor.key, q->after_id = cursor.id;
    return true;
}

static bool write_page(Reading *reading, const ListInput *in, const ProspectRow *rows, size_t count,
                       bool more) {
    Events__V1__ProspectPage page = EVENTS__V1__PROSPECT_PAGE__INIT;
    AUTO_BUF next = {0};
    page.items = arena_alloc(reading->arena, (count + 1) * sizeof *page.items);
    if (!page.items) return false;
    for (size_t i = 0; i < count; i++) {
        page.items[page.n_items++] = rows[i].prospect;
        if (!in->personal) message_clear_personal(&rows[i].prospect->base);
    }
    if (more) {
        const ProspectRow *last = &rows[count - 1];
        cursor_write(&next, &(Cursor){last->sort_time, last->sort_key, last->prospect->prospect_id},
                     in->list);
        buf_byte(&next, 0);
        page.next_cursor = next.at;
    }
    page.position = reading->head.head;
    page.epoch = reading->head.epoch;
    answer_message(reading->request, &reading->answer, &page.base);
    reading_position(reading);
    return !next.failed;
}

/* Still a 400, though found on a reader thread. */
static bool bad_parameter(Reading *reading, const char *code) {
    FieldFaults faults = {0};
    field_fault(&faults, strcmp(code, "invalid_cursor") ? "query" : "cursor", code);
    answer_fill_problem(reading->request, &reading->answer, 400, code, "a parameter is wrong", &faults);
    return true;
}

static bool read_page(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)queries;
    const ListInput *in = reading->input;
    AUTO_BUF cursor_bytes = {0};
    ProspectQuery q = {0};
    const char *wrong = NULL;
    ProspectRow *rows;
    size_t count;
    bool more;
    if (!fill_query(in, reading, &cursor_bytes, &q, &wrong)) return bad_parameter(reading, wrong);
    if (!prospect_page(db, &q, reading->arena, &rows, &count, &more, err)) return false;
    return write_page(reading, in, rows, count, more) || err_set(err, &ERR_INTERNAL, "the page does not fit");
}

void rest_prospects(Request *r) {
    ListInput *in = http_alloc(r->x, sizeof *in);
    if (!in) {
        answer_problem(r, &ERR_UNAVAILABLE, "");
        return;
    }
    *in = (ListInput){0};
    if (read_list(r, in)) reading_start(r, read_page, true, in);
}

/* --- one prospect --- */

/* One that was merged into another has moved there for good: 308 rather than 301, which allows a client to
 * change the method. Where that one has been merged too, the next answer says so. Else it is not there. */
static bool read_moved(Reading *reading, Db *db, int64_t id, Err *err) {
    int64_t into;
    if (!prospect_merged_into(db, span_of(reading->request->claims.tenant_id), id, &into, err)) return false;
    if (!into) return err_set(err, &ERR_NOT_FOUND, "no such prospect");
    const char *location = arena_printf(reading->arena, "/api/prospects/%lld", (long long)into);
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
    int64_t id = *(const int64_t *)reading->input;
    Err fault = {0};
    if (!prospect_find(db, span_of(r->claims.tenant_id), id, reading->arena, &p, &fault))
        return err_is(&fault, &ERR_NOT_FOUND) ? read_moved(reading, db, id, err)
                                              : err_set(err, fault.kind, "%s", fault.why);
    if (!request_may(r, SCOPE_PII)) message_clear_personal(&p->base);
    char *tag = arena_printf(reading->arena, "\"%lld\"", (long long)p->version);
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
                         span_of(reading->input), reading->arena, &outcome, err))
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
