/* events.c - events by REST: the history of one prospect, and pages of the replay log. The rules of the
 * stream hold here too: tenant, scopes, CommandRejected only to its sender, personal fields only with
 * prospects:pii. */
#include "gateway/rest/cursor.h"
#include "gateway/rest/handlers.h"
#include "gateway/rest/reading.h"
#include "gateway/stream/mask.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"

enum { HISTORY_DEFAULT = 50, HISTORY_MAX = 200, EVENTS_DEFAULT = 100, EVENTS_MAX = 1000 };
enum { SCAN_ROWS = 500, SCAN_MAX = 10000 }; /* rows looked at for one page, wanted or not */
enum { PAGE_BYTES = 1 << 20 };              /* a page of the log that is larger ends, whatever its limit */

static bool row_is_visible(const ReplayRow *row, const Claims *claims) {
    if (span_is(row->event_type, "EventSkipped")) return false;
    return !span_is(row->event_type, "CommandRejected") || span_is(row->issued_by, claims->user_id);
}

static Events__V1__Envelope *row_envelope(const ReplayRow *row, const Request *r, Arena *arena) {
    Events__V1__Envelope *e = envelope_unpack(row->body, arena);
    if (e && !request_may(r, SCOPE_PII)) mask_envelope(e, arena);
    return e;
}

/* --- history --- */

typedef struct HistoryInput {
    int64_t prospect_id;
    size_t limit;
    Span cursor;
} HistoryInput;

typedef struct History {
    Reading *reading;
    Events__V1__EventPage page;
    size_t limit;
    bool more, failed;
} History;

static bool history_row(void *user, const ReplayRow *row) {
    History *h = user;
    if (h->page.n_items == h->limit) {
        h->more = true;
        return false;
    }
    if (!row_is_visible(row, &h->reading->request->claims)) return true;
    Events__V1__Envelope *e = row_envelope(row, h->reading->request, h->reading->job.arena);
    if (!e) return !(h->failed = true);
    h->page.items[h->page.n_items++] = e;
    return true;
}

static bool bad_cursor(Reading *reading) {
    FieldFaults faults = {0};
    field_fault(&faults, "cursor", "invalid_cursor");
    answer_fill_problem(reading->request, &reading->answer, 400, "invalid_cursor",
                        "the cursor is not one of this list", &faults);
    return true;
}

static bool history_begin(Reading *reading, const HistoryInput *in, int64_t *before) {
    AUTO_BUF bytes = {0};
    Cursor cursor;
    *before = INT64_MAX;
    if (!in->cursor.len) return true;
    if (!cursor_read(in->cursor, (uint64_t)in->prospect_id, &bytes, &cursor))
        return bad_cursor(reading) && false;
    *before = cursor.id;
    return true;
}

static bool read_history(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)queries;
    const HistoryInput *in = reading->input;
    History h = {.reading = reading, .page = EVENTS__V1__EVENT_PAGE__INIT, .limit = in->limit};
    AUTO_BUF next = {0};
    int64_t before;
    if (!history_begin(reading, in, &before)) return true;
    const char *subject = arena_printf(reading->job.arena, "prospect/%lld", (long long)in->prospect_id);
    h.page.items = arena_alloc(reading->job.arena, in->limit * sizeof *h.page.items);
    if (!subject || !h.page.items) return err_set(err, &ERR_INTERNAL, "out of memory");
    if (!subject_history(db, span_of(reading->request->claims.tenant_id), span_of(subject), before,
                         (int64_t)in->limit + 1, &(ReplayVisitor){history_row, &h}, err))
        return false;
    if (h.failed) return err_set(err, &ERR_INTERNAL, "an event of the log cannot be read");
    if (!h.page.n_items && !in->cursor.len) return err_set(err, &ERR_NOT_FOUND, "no such prospect");
    if (h.more) {
        cursor_write(&next, &(Cursor){.id = h.page.items[h.page.n_items - 1]->sequence},
                     (uint64_t)in->prospect_id);
        buf_byte(&next, 0);
        h.page.next_cursor = next.at;
    }
    answer_message(reading->request, &reading->answer, &h.page.base);
    reading_position(reading);
    return true;
}

void rest_history(Request *r) {
    HistoryInput *in = http_alloc(r->x, sizeof *in);
    if (!in) {
        answer_problem(r, &ERR_UNAVAILABLE, "");
        return;
    }
    *in = (HistoryInput){0};
    if (!request_prospect_id(r, &in->prospect_id)) return;
    http_query_value(r->x, "cursor", &in->cursor);
    if (request_limit(r, HISTORY_MAX, HISTORY_DEFAULT, &in->limit))
        reading_start(r, read_history, true, in);
    else
        answer_bad_field(r, "limit", "out_of_range");
}

/* --- the log --- */

typedef struct LogInput {
    int64_t after;
    size_t limit;
    Span types; /* commas between; empty: all */
} LogInput;

typedef struct LogPage {
    Reading *reading;
    const LogInput *in;
    int64_t position;
    size_t found, scanned, of_this_read;
    bool failed;
} LogPage;

static bool type_listed(Span types, Span type) {
    for (Span rest = types; rest.at;)
        if (span_equal(span_trim(span_split(rest, ',', &rest)), type)) return true;
    return !types.len;
}

static bool is_full(const LogPage *page) {
    return page->found >= page->in->limit || page->reading->answer.body.len >= PAGE_BYTES;
}

static bool log_row(void *user, const ReplayRow *row) {
    LogPage *page = user;
    Request *r = page->reading->request;
    page->scanned++, page->of_this_read++;
    if (row_is_visible(row, &r->claims) && type_listed(page->in->types, row->event_type)) {
        AUTO(Arena) arena = arena_new(0);
        Err err = {0};
        Events__V1__Envelope *e = row_envelope(row, r, arena);
        buf_byte(&page->reading->answer.body, page->found++ ? ',' : '[');
        if (!e || !cloudevent_write(e, &page->reading->answer.body, &err)) return !(page->failed = true);
    }
    page->position = row->sequence;
    return !is_full(page);
}

static bool read_log(Reading *reading, Queries *queries, Db *db, Err *err) {
    (void)queries;
    const LogInput *in = reading->input;
    LogPage page = {.reading = reading, .in = in, .position = in->after};
    bool more = true;
    while (more && !page.failed && !is_full(&page) && page.scanned < SCAN_MAX) {
        page.of_this_read = 0;
        if (!tenant_log_read(db, span_of(reading->request->claims.tenant_id), page.position,
                             reading->job.head.head, SCAN_ROWS, &(ReplayVisitor){log_row, &page}, err))
            return false;
        more = page.of_this_read == SCAN_ROWS;
    }
    if (page.failed) return err_set(err, &ERR_INTERNAL, "an event of the log cannot be read");
    buf_text(&reading->answer.body, page.found ? "]" : "[]");
    /* the tenant's rows are all read: the next page begins behind everybody's */
    if (!more && !is_full(&page) && page.position < reading->job.head.head)
        page.position = reading->job.head.head;
    reading->job.head.head = page.position;
    bool as_json = !strcmp(reading->request->media_type, "application/json");
    reading->answer.media_type =
        as_json ? "application/json" : "application/cloudevents-batch+json; charset=utf-8";
    reading_position(reading);
    return true;
}

static bool read_after(Request *r, int64_t *ret) {
    Span text;
    uint64_t value = 0;
    bool fine = !http_query_value(r->x, "after", &text) || span_to_u64(text, INT64_MAX, &value);
    *ret = (int64_t)value;
    return fine;
}

void rest_events(Request *r) {
    LogInput *in = http_alloc(r->x, sizeof *in);
    if (!in) {
        answer_problem(r, &ERR_UNAVAILABLE, "");
        return;
    }
    *in = (LogInput){0};
    http_query_value(r->x, "types", &in->types);
    if (!read_after(r, &in->after))
        answer_bad_field(r, "after", "out_of_range");
    else if (!request_limit(r, EVENTS_MAX, EVENTS_DEFAULT, &in->limit))
        answer_bad_field(r, "limit", "out_of_range");
    else
        reading_start(r, read_log, true, in);
}
