/* prospect_queries.c - pages by key, not by offset: a page costs the same wherever it stands, and rows that
 * come or go between two pages neither repeat nor hide others. The sort column is not unique, so the id
 * decides among equals. */
#include "store/prospect_queries.h"

#include "base/buf.h"
#include "base/text.h"
#include "wire/envelope.h"

bool read_begin(Db *db, Err *err) {
    return db_begin_read(db, err);
}
void read_end(Db *db) {
    db_rollback(db); /* it has written nothing */
}

static const struct {
    const char *column;
    bool is_time;
} SORT_COLUMNS[SORTS] = {[SORT_CREATED_AT] = {"created_at", true},
                         [SORT_UPDATED_AT] = {"updated_at", true},
                         [SORT_LAST_NAME] = {"last_name_key", false},
                         [SORT_EMAIL] = {"email_key", false}};

#define COLUMNS "prospect_id, first_name, last_name, email, phone, notes, version, created_at, updated_at"

/* The text depends on the kind of the query only, never on its values: few texts, each prepared once. */
static void page_sql(const ProspectQuery *q, Buf *sql) {
    const char *column = SORT_COLUMNS[q->sort].column, *than = q->descending ? "<" : ">";
    buf_printf(sql, "select " COLUMNS ", %s from prospect_summary where tenant_id = ? and merged_into = 0", column);
    for (size_t i = 0; i < q->word_count; i++) buf_text(sql, " and search like ? escape '\\'");
    /* the first comparison alone lets an index be used as a range on every engine */
    if (q->has_after)
        buf_printf(sql, " and %s %s= ? and (%s %s ? or prospect_id %s ?)", column, than, column, than, than);
    const char *order = q->descending ? "desc" : "asc";
    buf_printf(sql, " order by %s %s, prospect_id %s {limit}", column, order, order);
    buf_byte(sql, 0);
}

/* "% ada%": a word of the search column starts with this one. */
static Span like_pattern(Arena *arena, Span word) {
    char *out = arena_alloc(arena, word.len * 2 + 4);
    if (!out) return SPAN_NONE;
    size_t at = 0;
    out[at++] = '%', out[at++] = ' ';
    for (size_t i = 0; i < word.len; i++) {
        if (strchr("%_\\", word.at[i])) out[at++] = '\\';
        out[at++] = word.at[i];
    }
    out[at++] = '%';
    return (Span){out, at};
}

static void bind_key(Stmt *s, int index, const ProspectQuery *q) {
    if (SORT_COLUMNS[q->sort].is_time)
        stmt_bind_int(s, index, q->after_time);
    else
        stmt_bind_text(s, index, q->after_key);
}

static bool bind_page(Stmt *s, const ProspectQuery *q, Arena *arena, Err *err) {
    int at = 1;
    stmt_bind_text(s, at++, q->tenant_id);
    for (size_t i = 0; i < q->word_count; i++) {
        Span pattern = like_pattern(arena, q->words[i]);
        if (!pattern.at) return err_set(err, &ERR_TOO_LARGE, "the query does not fit");
        stmt_bind_text(s, at++, pattern);
    }
    if (q->has_after) {
        bind_key(s, at++, q);
        bind_key(s, at++, q);
        stmt_bind_int(s, at++, q->after_id);
    }
    stmt_bind_int(s, at, (int64_t)q->limit + 1);
    return true;
}

static Events__V1__Prospect *read_prospect(Stmt *s, Arena *arena) {
    Events__V1__Prospect *p = arena_alloc(arena, sizeof *p);
    if (!p) return NULL;
    events__v1__prospect__init(p);
    p->prospect_id = stmt_int(s, 0);
    char **texts[] = {&p->first_name, &p->last_name, &p->email, &p->phone, &p->notes};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!(*texts[i] = arena_copy(arena, stmt_text(s, (int)i + 1)))) return NULL;
    p->version = stmt_int(s, 6);
    p->created_at = timestamp_new(arena, stmt_int(s, 7));
    p->updated_at = timestamp_new(arena, stmt_int(s, 8));
    return p->created_at && p->updated_at ? p : NULL;
}

static bool read_row(Stmt *s, const ProspectQuery *q, Arena *arena, ProspectRow *row) {
    if (!(row->prospect = read_prospect(s, arena))) return false;
    if (SORT_COLUMNS[q->sort].is_time) {
        row->sort_time = stmt_int(s, 9);
        return true;
    }
    Span key = stmt_text(s, 9);
    row->sort_key = (Span){arena_copy(arena, key), key.len};
    return row->sort_key.at;
}

bool prospect_page(Db *db, const ProspectQuery *q, Arena *arena, ProspectRow **ret, size_t *count, bool *more,
                   Err *err) {
    AUTO_BUF sql = {0};
    page_sql(q, &sql);
    ProspectRow *rows = arena_alloc(arena, q->limit * sizeof *rows);
    if (sql.failed || !rows) return err_set(err, &ERR_TOO_LARGE, "the page does not fit");
    Stmt *s = db_statement(db, sql.at);
    if (!bind_page(s, q, arena, err) || !stmt_run(s, NULL, err)) return false;
    *count = 0, *more = false;
    while (stmt_row(s, err)) {
        if (*count == q->limit) {
            *more = true;
            break;
        }
        if (!read_row(s, q, arena, &rows[(*count)++])) {
            stmt_done(s);
            return err_set(err, &ERR_TOO_LARGE, "the page does not fit");
        }
    }
    stmt_done(s);
    *ret = rows;
    return !err->kind;
}

bool prospect_find(Db *db, Span tenant_id, int64_t prospect_id, Arena *arena, Events__V1__Prospect **ret,
                   Err *err) {
    Stmt *s =
        db_statement(db, "select " COLUMNS " from prospect_summary where tenant_id = ? and prospect_id = ?"
                         " and merged_into = 0");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_int(s, 2, prospect_id);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_NOT_FOUND, "no such prospect");
    *ret = read_prospect(s, arena);
    stmt_done(s);
    return *ret || err_set(err, &ERR_TOO_LARGE, "the prospect does not fit");
}

bool prospect_merged_into(Db *db, Span tenant_id, int64_t prospect_id, int64_t *ret, Err *err) {
    Stmt *s = db_statement(db, "select merged_into from prospect_summary where tenant_id = ? and prospect_id = ?");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_int(s, 2, prospect_id);
    *ret = 0;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

bool query_words(Span text, Arena *arena, Span words[QUERY_WORDS_MAX], size_t *count) {
    Span form = text_search_form(arena, text);
    *count = 0;
    if (!form.at) return text.len == 0;
    size_t start = 0;
    for (size_t at = 0; at <= form.len;) {
        size_t here = at;
        int32_t c = text_next(form, &at);
        if (c >= 0 && !text_is_white_space(c)) continue;
        if (here > start) {
            if (*count == QUERY_WORDS_MAX) return false;
            words[(*count)++] = (Span){form.at + start, here - start};
        }
        start = at;
        if (c < 0) break;
    }
    return true;
}
