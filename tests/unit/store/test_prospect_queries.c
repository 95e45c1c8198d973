/* Pages, searches, histories and outcomes over a read.db that SQL has filled. */
#include "store/prospect_queries.h"

#include "base/buf.h"
#include "base/text.h"
#include "kit/engine.h"
#include "store/event_queries.h"
#include "store/migrations_read.h"
#include <stdio.h>

static const struct {
    int id;
    const char *tenant, *first, *last, *email;
    int created;
} ROWS[] = {
    {1, "demo", "Ada", "Lovelace", "ada@example.org", 100},
    {2, "demo", "Alan", "Turing", "alan@example.org", 200},
    {3, "demo", "Grace", "Hopper", "grace@navy.example", 200},
    {4, "demo", "Edsger", "Dijkstra", "e_d@example.org", 300},
    {5, "demo", "Ådne", "Müller", "adne@example.org", 50},
    {6, "other", "Ada", "Secret", "ada@other.example", 400},
};

static void add_text(Buf *search, Arena *arena, const char *text) {
    Span form = text_search_form(arena, span_of(text));
    buf_byte(search, ' ');
    buf_span(search, form);
}

static void insert(Db *db, size_t i) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF search = {0};
    Err err = {0};
    Span last = text_search_form(arena, span_of(ROWS[i].last)),
         email = text_search_form(arena, span_of(ROWS[i].email));
    add_text(&search, arena, ROWS[i].first);
    add_text(&search, arena, ROWS[i].last);
    add_text(&search, arena, ROWS[i].email);
    Stmt *s = db_statement(
        db, "insert into prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone,"
            " notes, version, created_at, updated_at, last_name_key, email_key, search)"
            " values (?, ?, ?, ?, ?, '', '', 1, ?, 0, ?, ?, ?)");
    stmt_bind_int(s, 1, ROWS[i].id);
    stmt_bind_text(s, 2, span_of(ROWS[i].tenant));
    stmt_bind_text(s, 3, span_of(ROWS[i].first));
    stmt_bind_text(s, 4, span_of(ROWS[i].last));
    stmt_bind_text(s, 5, span_of(ROWS[i].email));
    stmt_bind_int(s, 6, ROWS[i].created);
    stmt_bind_text(s, 7, last);
    stmt_bind_text(s, 8, email);
    stmt_bind_text(s, 9, buf_view(&search));
    CHECK_OK(stmt_run(s, NULL, &err), &err);
}

static Db *open_filled(void) {
    Db *db = test_db_open(test_database(), (DbOptions){0});
    Err err = {0};
    REQUIRE(CHECK_OK(read_migrate(db, &err), &err));
    for (size_t i = 0; i < COUNT(ROWS); i++) insert(db, i);
    return db;
}

/* All pages of a list, one row each, as ids: "4 3 2 1 5 " */
static void walk(Db *db, ProspectSort sort, bool descending, size_t limit, const char *query, Buf *ids) {
    AUTO(Arena) arena = arena_new(0);
    ProspectQuery q = {.tenant_id = SPAN("demo"), .sort = sort, .descending = descending, .limit = limit};
    bool more = true;
    REQUIRE(query_words(span_of(query), arena, q.words, &q.word_count));
    for (int pages = 0; more && pages < 20; pages++) {
        ProspectRow *rows;
        size_t count;
        Err err = {0};
        REQUIRE(CHECK_OK(prospect_page(db, &q, arena, &rows, &count, &more, &err), &err));
        for (size_t i = 0; i < count; i++) buf_printf(ids, "%lld ", (long long)rows[i].prospect->prospect_id);
        if (!more) break;
        q.has_after = true;
        q.after_time = rows[count - 1].sort_time;
        q.after_key = rows[count - 1].sort_key;
        q.after_id = rows[count - 1].prospect->prospect_id;
    }
}

static void pages(void) {
    static const struct {
        ProspectSort sort;
        bool descending;
        const char *query, *ids;
    } CASES[] = {
        {SORT_CREATED_AT, true, "", "4 3 2 1 5 "},
        {SORT_CREATED_AT, false, "", "5 1 2 3 4 "},
        {SORT_UPDATED_AT, false, "", "1 2 3 4 5 "},
        {SORT_LAST_NAME, false, "", "4 3 1 5 2 "},
        {SORT_LAST_NAME, true, "", "2 5 1 3 4 "},
        {SORT_EMAIL, false, "", "1 5 2 4 3 "},
        {SORT_CREATED_AT, false, "a", "5 1 2 "},
        {SORT_CREATED_AT, false, "MULLER", "5 "},
        {SORT_CREATED_AT, false, "ad love", "1 "},
        {SORT_CREATED_AT, false, "lace", ""}, /* not the start of a word */
        {SORT_CREATED_AT, false, "%", ""},    /* no wildcard of LIKE */
        {SORT_CREATED_AT, false, "e_d", "4 "},
        {SORT_CREATED_AT, false, "e_x", ""},
        {SORT_CREATED_AT, false, "secret", ""}, /* another tenant's */
        {SORT_CREATED_AT, false, "  ", "5 1 2 3 4 "},
    };
    AUTO(Db) db = open_filled();
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (size_t limit = 1; limit <= 7; limit += 2) {
            AUTO_BUF ids = {0};
            walk(db, CASES[i].sort, CASES[i].descending, limit, CASES[i].query, &ids);
            CHECK_SPAN(buf_view(&ids), CASES[i].ids);
        }
}

static void words(void) {
    AUTO(Arena) arena = arena_new(0);
    Span out[QUERY_WORDS_MAX];
    size_t count;
    CHECK(query_words(SPAN(" Ådne \t Müller "), arena, out, &count) && count == 2);
    CHECK_SPAN(out[1], "muller");
    CHECK(query_words(SPAN("a b c d e f g h"), arena, out, &count) && count == 8);
    CHECK(!query_words(SPAN("a b c d e f g h i"), arena, out, &count));
}

static void one(void) {
    AUTO(Db) db = open_filled();
    AUTO(Arena) arena = arena_new(0);
    Events__V1__Prospect *p;
    Err err = {0}, foreign = {0}, missing = {0};
    REQUIRE(CHECK_OK(prospect_find(db, SPAN("demo"), 5, arena, &p, &err), &err));
    CHECK_SPAN(span_of(p->first_name), "Ådne");
    CHECK(!prospect_find(db, SPAN("demo"), 6, arena, &p, &foreign) && err_is(&foreign, &ERR_NOT_FOUND));
    CHECK(!prospect_find(db, SPAN("demo"), 99, arena, &p, &missing) && err_is(&missing, &ERR_NOT_FOUND));
}

static bool collect(void *user, const ReplayRow *row) {
    Buf *ids = user;
    buf_printf(ids, "%lld ", (long long)row->sequence);
    return ids->len < 6;
}

static void insert_event(Db *db, int number) {
    Err err = {0};
    Stmt *s =
        db_statement(db, "insert into replay_log (sequence, tenant_id, subject, subject_version, event_type,"
                         " issued_by, body, occurred_at) values (?, ?, ?, ?, 'ProspectUpdated', 'u', ?, 0)");
    stmt_bind_int(s, 1, number);
    stmt_bind_text(s, 2, number % 3 ? SPAN("demo") : SPAN("other"));
    stmt_bind_text(s, 3, number % 2 ? SPAN("prospect/1") : SPAN("prospect/2"));
    stmt_bind_int(s, 4, number);
    stmt_bind_blob(s, 5, SPAN("\x0a\x01x"));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
}

static void log_reads(void) {
    AUTO(Db) db = open_filled();
    Err err = {0};
    for (int n = 1; n <= 9; n++) insert_event(db, n);
    CHECK_OK(db_execute(
                 db,
                 "insert into replay_log (sequence, tenant_id, subject, subject_version, event_type,"
                 " issued_by, body, occurred_at) values (6000, 'demo', 'prospect/1', 8, 'EventSkipped', 'u',"
                 " 'x', 0)",
                 &err),
             &err);
    AUTO_BUF all = {0}, part = {0}, history = {0}, rest = {0};
    CHECK_OK(tenant_log_read(db, SPAN("demo"), 0, 8, 100, &(ReplayVisitor){collect, &all}, &err), &err);
    CHECK_SPAN(buf_view(&all), "1 2 4 "); /* the visitor had enough */
    CHECK_OK(tenant_log_read(db, SPAN("demo"), 4, 7, 100, &(ReplayVisitor){collect, &part}, &err), &err);
    CHECK_SPAN(buf_view(&part), "5 7 ");
    CHECK_OK(subject_history(db, SPAN("demo"), SPAN("prospect/1"), INT64_MAX, 2,
                             &(ReplayVisitor){collect, &history}, &err),
             &err);
    CHECK_SPAN(buf_view(&history), "7 5 ");
    CHECK_OK(
        subject_history(db, SPAN("demo"), SPAN("prospect/1"), 5, 9, &(ReplayVisitor){collect, &rest}, &err),
        &err);
    CHECK_SPAN(buf_view(&rest), "1 ");
}

static void outcomes(void) {
    AUTO(Db) db = open_filled();
    AUTO(Arena) arena = arena_new(0);
    Err err = {0}, foreign = {0};
    Events__V1__CommandOutcome *o;
    REQUIRE(CHECK_OK(db_execute(db,
                                "insert into command_outcome values ('demo', 'u', 'c', 3, 'prospect/1', 'e',"
                                " 'duplicate_email', '[{\"field\":\"email\",\"code\":\"duplicate_email\","
                                "\"more\":[1,{}],\"message\":\"is in use\"}]', 'corr', 7, 0)",
                                &err),
                     &err));
    REQUIRE(CHECK_OK(outcome_find(db, SPAN("demo"), SPAN("u"), SPAN("c"), arena, &o, &err), &err));
    CHECK(o->status == EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_REJECTED && o->n_errors == 1);
    CHECK_SPAN(span_of(o->errors[0]->field), "email");
    CHECK_SPAN(span_of(o->errors[0]->message), "is in use");
    CHECK_SPAN(span_of(o->command_id), "c");
    CHECK(!outcome_find(db, SPAN("demo"), SPAN("v"), SPAN("c"), arena, &o, &foreign));
    CHECK(err_is(&foreign, &ERR_NOT_FOUND));
}

SUITE_ON_ENGINES("prospect_queries", TEST(pages), TEST(words), TEST(one), TEST(log_reads), TEST(outcomes));
