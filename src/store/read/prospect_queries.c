/* prospect_queries.c - pages by key, not by offset: a page costs the same wherever it stands, and rows that
 * come or go between two pages neither repeat nor hide others. The sort column is not unique, so the id
 * decides among equals. */
#include "store/read/prospect_queries.h"

#include "base/buf.h"
#include "base/text.h"
#include "domain/projection.h"
#include "store/read/read_model.h"
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

/* Of the model that serves: both are of the same form. */
static const struct {
    const char *summary, *search;
} TABLES[MODELS] = {{"prospect_summary", "prospect_search"}, {"prospect_summary_1", "prospect_search_1"}};

/* How the rows with the wanted words are found. */
typedef enum SearchPlan {
    PLAN_ALL,      /* no words are wanted */
    PLAN_FIRST,    /* look into the first rows of the list; they may fill the page */
    PLAN_EACH,     /* go through the rows in their order, and look into each */
    PLAN_FTS5,     /* the few that SQLite's index of words has, then sort them */
    PLAN_TSVECTOR, /* PostgreSQL's planner knows how many rows a word has, and decides by itself */
} SearchPlan;

static bool looks_into_rows(SearchPlan plan) {
    return plan == PLAN_FIRST || plan == PLAN_EACH;
}

static void order_sql(const ProspectQuery *q, Buf *sql) {
    const char *order = q->descending ? "desc" : "asc";
    buf_printf(sql, " order by %s %s, prospect_id %s ", SORT_COLUMNS[q->sort].column, order, order);
}

/* The first comparison alone lets an index be used as a range on every engine. */
static void after_sql(const ProspectQuery *q, Buf *sql) {
    const char *column = SORT_COLUMNS[q->sort].column, *than = q->descending ? "<" : ">";
    if (q->has_after)
        buf_printf(sql, " and %s %s= ? and (%s %s ? or prospect_id %s ?)", column, than, column, than, than);
}

static void words_sql(const ProspectQuery *q, SearchPlan plan, Buf *sql) {
    if (plan == PLAN_FTS5) buf_printf(sql, " and %s match ?", TABLES[q->model].search);
    if (plan == PLAN_TSVECTOR) /* the expression as the index has it */
        buf_text(sql, " and array_to_tsvector(string_to_array(ltrim(search), ' ')) @@ cast(? as tsquery)");
    for (size_t i = 0; looks_into_rows(plan) && i < q->word_count; i++)
        buf_text(sql, " and search like ? escape '\\'");
}

static void of_tenant_sql(const ProspectQuery *q, Buf *sql) {
    buf_printf(sql, "%s where tenant_id = ? and merged_into = 0", TABLES[q->model].summary);
}

/* The text depends on the kind of the query only, never on its values: few texts, each prepared once. */
static void page_sql(const ProspectQuery *q, SearchPlan plan, Buf *sql) {
    buf_printf(sql, "select " COLUMNS ", %s from ", SORT_COLUMNS[q->sort].column);
    switch (plan) {
    case PLAN_FIRST:
        buf_text(sql, "(select * from ");
        of_tenant_sql(q, sql);
        after_sql(q, sql);
        order_sql(q, sql);
        buf_printf(sql, "limit %d) where 1 = 1", PROSPECT_FEW);
        break;
    case PLAN_FTS5:
        /* "cross" fixes the order: else SQLite may go through the summary and ask the index for each row */
        buf_printf(sql, "%s cross join ", TABLES[q->model].search);
        of_tenant_sql(q, sql);
        buf_printf(sql, " and prospect_id = %s.rowid", TABLES[q->model].search);
        after_sql(q, sql);
        break;
    default: of_tenant_sql(q, sql); after_sql(q, sql);
    }
    words_sql(q, plan, sql);
    order_sql(q, sql);
    buf_text(sql, "{limit}");
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

/* FTS5: "ada"* AND "o'n"*; tsquery: 'ada':* & 'o''n':*. In both a quote within is written twice. */
static Span words_pattern(Arena *arena, const ProspectQuery *q, SearchPlan plan) {
    bool fts = plan == PLAN_FTS5;
    AUTO_BUF out = {0};
    for (size_t i = 0; i < q->word_count; i++) {
        if (i) buf_text(&out, fts ? " AND " : " & ");
        buf_byte(&out, fts ? '"' : '\'');
        for (size_t k = 0; k < q->words[i].len; k++) {
            char c = q->words[i].at[k];
            if (c == (fts ? '"' : '\'') || (!fts && c == '\\')) buf_byte(&out, c);
            buf_byte(&out, c);
        }
        buf_text(&out, fts ? "\"*" : "':*");
    }
    char *copy = out.failed ? NULL : arena_copy(arena, buf_view(&out));
    return (Span){copy, copy ? out.len : 0};
}

static void bind_key(Stmt *s, int index, const ProspectQuery *q) {
    if (SORT_COLUMNS[q->sort].is_time)
        stmt_bind_int(s, index, q->after_time);
    else
        stmt_bind_text(s, index, q->after_key);
}

static bool bind_words(Stmt *s, const ProspectQuery *q, SearchPlan plan, Arena *arena, int *at, Err *err) {
    bool each = looks_into_rows(plan);
    for (size_t i = 0; plan != PLAN_ALL && i < (each ? q->word_count : 1); i++) {
        Span pattern = each ? like_pattern(arena, q->words[i]) : words_pattern(arena, q, plan);
        if (!pattern.at) return err_set(err, &ERR_TOO_LARGE, "the query does not fit");
        stmt_bind_text(s, (*at)++, pattern);
    }
    return true;
}

static bool bind_page(Stmt *s, const ProspectQuery *q, SearchPlan plan, Arena *arena, Err *err) {
    int at = 1;
    stmt_bind_text(s, at++, q->tenant_id);
    if (q->has_after) {
        bind_key(s, at++, q);
        bind_key(s, at++, q);
        stmt_bind_int(s, at++, q->after_id);
    }
    if (!bind_words(s, q, plan, arena, &at, err)) return false;
    stmt_bind_int(s, at, (int64_t)q->limit + 1);
    return true;
}

/* ---- which plan? ---- */

/* SQLite does not know how often a word begins so, and to gather all that begin with one letter takes it a
 * second in a million. */
static bool are_few(Db *db, const ProspectQuery *q, Arena *arena, bool *ret, Err *err) {
    static const char *const COUNT_FEW[MODELS] = {
        "select count(*) from (select 1 from prospect_search where prospect_search match ? limit ?) t",
        "select count(*) from (select 1 from prospect_search_1 where prospect_search_1 match ? limit ?) t"};
    Stmt *s = db_statement(db, COUNT_FEW[q->model]);
    int at = 1;
    if (!bind_words(s, q, PLAN_FTS5, arena, &at, err)) return false;
    stmt_bind_int(s, at, PROSPECT_FEW + 1);
    if (!stmt_run(s, NULL, err) || !stmt_row(s, err)) return false;
    *ret = stmt_int(s, 0) <= PROSPECT_FEW;
    stmt_done(s);
    return true;
}

/* The plan after this one; PLAN_ALL: the first. */
static bool next_plan(Db *db, const ProspectQuery *q, SearchPlan *plan, Arena *arena, Err *err) {
    bool few = false;
    if (db_dialect(db) == DB_SQLITE && *plan == PLAN_ALL) {
        *plan = PLAN_FIRST;
    } else if (db_dialect(db) == DB_SQLITE) {
        if (!are_few(db, q, arena, &few, err)) return false;
        *plan = few ? PLAN_FTS5 : PLAN_EACH;
    } else if (db_dialect(db) == DB_POSTGRESQL) {
        *plan = PLAN_TSVECTOR;
        /* a plan made once for all words would be the wrong one for the rare or for the frequent ones */
        return !db_in_transaction(db) ||
               stmt_run(db_statement(db, "set local plan_cache_mode = force_custom_plan"), NULL, err);
    } else {
        *plan = PLAN_EACH;
    }
    return true;
}

/* No name has control characters, and to FTS5 they would be spaces. */
static bool can_match(const ProspectQuery *q) {
    for (size_t i = 0; i < q->word_count; i++)
        if (text_has_controls(q->words[i], false)) return false;
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

typedef struct Page {
    ProspectRow *rows;
    size_t count;
    bool more;
} Page;

static bool read_page(Db *db, const ProspectQuery *q, SearchPlan plan, Arena *arena, Page *page, Err *err) {
    AUTO_BUF sql = {0};
    page_sql(q, plan, &sql);
    if (sql.failed || !page->rows) return err_set(err, &ERR_TOO_LARGE, "the page does not fit");
    Stmt *s = db_statement(db, sql.at);
    if (!bind_page(s, q, plan, arena, err) || !stmt_run(s, NULL, err)) return false;
    for (page->count = 0, page->more = false; stmt_row(s, err);) {
        if (page->count == q->limit) {
            page->more = true;
            break;
        }
        if (!read_row(s, q, arena, &page->rows[page->count++])) {
            stmt_done(s);
            return err_set(err, &ERR_TOO_LARGE, "the page does not fit");
        }
    }
    stmt_done(s);
    return !err->kind;
}

bool prospect_page(Db *db, const ProspectQuery *q, Arena *arena, ProspectRow **ret, size_t *count, bool *more,
                   Err *err) {
    Page page = {.rows = arena_alloc(arena, q->limit * sizeof *page.rows)};
    SearchPlan plan = PLAN_ALL;
    bool ok = true;
    if (can_match(q)) {
        if (q->word_count) ok = next_plan(db, q, &plan, arena, err);
        ok = ok && read_page(db, q, plan, arena, &page, err);
        if (ok && plan == PLAN_FIRST && !page.more)
            ok = next_plan(db, q, &plan, arena, err) && read_page(db, q, plan, arena, &page, err);
    }
    *ret = page.rows, *count = page.count, *more = page.more;
    return ok;
}

#define FIND(table)                                                                                          \
    "select " COLUMNS " from " table " where tenant_id = ? and prospect_id = ? and merged_into = 0"
bool prospect_find(Db *db, const ProspectKey *key, Arena *arena, Events__V1__Prospect **ret, Err *err) {
    static const char *const SELECT[MODELS] = {FIND("prospect_summary"), FIND("prospect_summary_1")};
    Stmt *s = db_statement(db, SELECT[key->model]);
    stmt_bind_text(s, 1, key->tenant_id);
    stmt_bind_int(s, 2, key->prospect_id);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_NOT_FOUND, "no such prospect");
    *ret = read_prospect(s, arena);
    stmt_done(s);
    return *ret || err_set(err, &ERR_TOO_LARGE, "the prospect does not fit");
}

#define MERGED(table) "select merged_into from " table " where tenant_id = ? and prospect_id = ?"
bool prospect_merged_into(Db *db, const ProspectKey *key, int64_t *ret, Err *err) {
    static const char *const SELECT[MODELS] = {MERGED("prospect_summary"), MERGED("prospect_summary_1")};
    Stmt *s = db_statement(db, SELECT[key->model]);
    stmt_bind_text(s, 1, key->tenant_id);
    stmt_bind_int(s, 2, key->prospect_id);
    *ret = 0;
    if (!stmt_run(s, NULL, err)) return false;
    if (stmt_row(s, err)) *ret = stmt_int(s, 0);
    stmt_done(s);
    return !err->kind;
}

/* "@example.org", "(ada)": what is not a word's part around it is not looked for, where anything is left. */
static Span bare_word(Span word) {
    Span bare = {0};
    for (size_t begin = 0, at = 0; begin < word.len; begin = at) {
        if (!projection_word_part(text_next(word, &at))) continue;
        if (!bare.at) bare.at = word.at + begin;
        bare.len = (size_t)(word.at + at - bare.at);
    }
    return bare.at ? bare : word;
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
            words[(*count)++] = bare_word((Span){form.at + start, here - start});
        }
        start = at;
        if (c < 0) break;
    }
    return true;
}
