#include "gateway/prospect_list.h"

#include "base/map.h"
#include "base/text.h"
#include "gateway/rest/cursor.h"

enum { QUERY_MAX = 256 }; /* code points */

static const struct {
    const char *name;
    ProspectSort sort;
    bool personal;
} SORT_NAMES[] = {{"createdAt", SORT_CREATED_AT, false},
                  {"updatedAt", SORT_UPDATED_AT, false},
                  {"lastName", SORT_LAST_NAME, true},
                  {"email", SORT_EMAIL, true}};

static bool read_sort(Span text, ProspectList *list, bool *personal) {
    list->descending = span_starts(text, SPAN("-"));
    if (list->descending) text.at++, text.len--;
    for (size_t i = 0; i < COUNT(SORT_NAMES); i++) {
        if (!span_is(text, SORT_NAMES[i].name)) continue;
        list->sort = SORT_NAMES[i].sort;
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

bool prospect_list_init(ProspectList *list, const ProspectListAsked *asked, const Claims *claims,
                        FieldFaults *faults, Err *err) {
    Span sort = asked->sort.at ? asked->sort : SPAN("-createdAt");
    bool personal = false;
    *list = (ProspectList){
        .tenant_id = span_of(claims->tenant_id), .query = asked->query, .cursor = asked->cursor};
    list->personal = claims->scope_bits & SCOPE_PII;
    list->limit = asked->limit ? (size_t)asked->limit : LIST_PAGE_DEFAULT;
    const char *wrong = asked->limit < 0 || asked->limit > LIST_PAGE_MAX ? "limit"
                        : !read_sort(sort, list, &personal)              ? "sort"
                        : text_code_points(list->query) > QUERY_MAX      ? "query"
                                                                         : NULL;
    if (wrong) {
        field_fault(faults, wrong, "out_of_range");
        return false;
    }
    list->list = list_of(sort, list->query);
    if (list->personal || (!personal && !list->query.len)) return true;
    return err_set(err, &ERR_FORBIDDEN, "query and sorting by name or e-mail need the scope prospects:pii");
}

static bool fill_query(const ProspectList *list, int model, Arena *arena, Buf *cursor_bytes, ProspectQuery *q,
                       FieldFaults *faults) {
    Cursor cursor;
    *q = (ProspectQuery){
        .tenant_id = list->tenant_id, .sort = list->sort, .limit = list->limit, .model = model};
    q->descending = list->descending;
    q->has_after = list->cursor.len > 0;
    if (!query_words(list->query, arena, q->words, &q->word_count))
        field_fault(faults, "query", "out_of_range");
    else if (q->has_after && !cursor_read(list->cursor, list->list, cursor_bytes, &cursor))
        field_fault(faults, "cursor", "invalid_cursor");
    else if (q->has_after)
        q->after_time = cursor.number, q->after_key = cursor.key, q->after_id = cursor.id;
    return !faults->count;
}

static char *next_cursor(const ProspectList *list, const ProspectRow *last, Arena *arena) {
    AUTO_BUF next = {0};
    cursor_write(&next, &(Cursor){last->sort_time, last->sort_key, last->prospect->prospect_id}, list->list);
    return next.failed ? NULL : arena_copy(arena, buf_view(&next));
}

bool prospect_list_read(const ProspectList *list, Db *db, ReplayHead *head, Arena *arena,
                        Events__V1__ProspectPage *ret, FieldFaults *faults, Err *err) {
    AUTO_BUF cursor_bytes = {0};
    ProspectQuery q;
    ProspectRow *rows;
    size_t count;
    bool more;
    events__v1__prospect_page__init(ret);
    if (!fill_query(list, head->model, arena, &cursor_bytes, &q, faults)) return false;
    if (!prospect_page(db, &q, arena, &rows, &count, &more, err)) return false;
    ret->items = arena_alloc(arena, (count + 1) * sizeof *ret->items);
    for (size_t i = 0; ret->items && i < count; i++) {
        ret->items[ret->n_items++] = rows[i].prospect;
        if (!list->personal) message_clear_personal(&rows[i].prospect->base);
    }
    if (more) ret->next_cursor = next_cursor(list, &rows[count - 1], arena);
    ret->position = head->head;
    ret->epoch = head->epoch;
    return (ret->items && ret->next_cursor) || err_set(err, &ERR_INTERNAL, "the page does not fit");
}
