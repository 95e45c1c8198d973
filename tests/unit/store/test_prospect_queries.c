/* Pages, searches, histories and outcomes over a read.db that SQL has filled. */
#include "store/read/prospect_queries.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "domain/projection.h"
#include "kit/engine.h"
#include "store/read/event_queries.h"
#include "store/read/migrations_read.h"
#include "wire/envelope.h"
#include <stdio.h>

typedef struct Person {
    int id;
    const char *tenant, *first, *last, *email;
    int created;
} Person;

static const Person ROWS[] = {
    {1, "demo", "Ada", "Lovelace", "ada@example.org", 100},
    {2, "demo", "Alan", "Turing", "alan@example.org", 200},
    {3, "demo", "Grace", "Hopper", "grace@navy.example", 200},
    {4, "demo", "Edsger", "Dijkstra", "e_d@example.org", 300},
    {5, "demo", "\u00c5dne", "M\u00fcller", "adne@example.org", 50},
    {6, "other", "Ada", "Secret", "ada@other.example", 400},
};

static Span words_of(Arena *arena, const Person *p) {
    Span texts[] = {span_of(p->first), span_of(p->last), span_of(p->email)};
    return projection_search_words(arena, texts, COUNT(texts));
}

static void insert(Db *db, const Person *p) {
    AUTO(Arena) arena = arena_new(0);
    Err err = {0};
    Stmt *s = db_statement(
        db, "insert into prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone,"
            " notes, version, created_at, updated_at, last_name_key, email_key, search)"
            " values (?, ?, ?, ?, ?, '', '', 1, ?, 0, ?, ?, ?)");
    stmt_bind_int(s, 1, p->id);
    stmt_bind_text(s, 2, span_of(p->tenant));
    stmt_bind_text(s, 3, span_of(p->first));
    stmt_bind_text(s, 4, span_of(p->last));
    stmt_bind_text(s, 5, span_of(p->email));
    stmt_bind_int(s, 6, p->created);
    stmt_bind_text(s, 7, text_search_form(arena, span_of(p->last)));
    stmt_bind_text(s, 8, text_search_form(arena, span_of(p->email)));
    stmt_bind_text(s, 9, words_of(arena, p));
    CHECK_OK(stmt_run(s, NULL, &err), &err);
}

static Db *open_empty(void) {
    Db *db = test_db_open(test_database_with(read_migrate), (DbOptions){0});
    Err err = {0};
    REQUIRE(CHECK_OK(read_migrate(db, &err), &err));
    return db;
}

static Db *open_filled(void) {
    Db *db = open_empty();
    for (size_t i = 0; i < COUNT(ROWS); i++) insert(db, &ROWS[i]);
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

static const Person PEOPLE[] = {
    {1, "demo", "Jean-Luc", "O'Neill", "jl.oneill+news@sub.mail-host.example", 1},
    {2, "demo", "\u00c9mile", "Stra\u00dfe", "emile@ex\u00e4mple.org", 2},
    {3, "demo", "Anna Maria", "van der Berg", "a.m@example.org", 3},
    {4, "demo", "100%", "\"Quo_te\"", "q'x@percent.example", 4},
    {5, "demo", "Ada \U0001F389", "\u674e\u5c0f\u9f8d", "ada@example.com", 5},
    {6, "demo", "\u0414\u043c\u0438\u0442\u0440\u0438\u0439", "\u0401\u043b\u043a\u0438\u043d",
     "d@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444", 6},
    {7, "demo", "Back\\slash", "semi;colon*", "x@y.zz", 7},
    {8, "demo", "NOT", "AND OR", "near@null.example", 8},
    {9, "other", "Ada", "O'Neill", "emile@example.org", 9},
};

#define LETTERS20 "abcdefghijklmnopqrst"
static const struct {
    const char *query, *ids;
} SEARCHES[] = {
    {"", "1 2 3 4 5 6 7 8 "},
    /* accents and case */
    {"emile", "2 "},
    {"\u00e9MIL", "2 "},
    {"STRASSE", "2 "},
    {"stra\u00df", "2 "},
    {"exampl", "1 2 3 4 5 8 "},
    {"\u0434\u041c\u0438", "6 "},
    {"\u0435\u043b\u043a", "6 "},
    {"\u0451", "6 "},
    /* hyphens and apostrophes: the whole, and from each part on */
    {"jean-luc", "1 "},
    {"jean-", "1 "},
    {"luc", "1 "},
    {"jeanluc", ""},
    {"-luc", "1 "},
    {"o'n", "1 "},
    {"neill", "1 "},
    {"o neill", "1 "},
    {"oneill", "1 "},
    {"'neill'", "1 "},
    /* the beginning of a word, not its middle */
    {"ann", "3 "},
    {"nna", ""},
    {"van", "3 "},
    {"erg", ""},
    {"maria anna", "3 "},
    /* parts of an e-mail */
    {"jl.oneill", "1 "},
    {"news@sub", "1 "},
    {"@sub.mail", "1 "},
    {"mail-host.example", "1 "},
    {"host", "1 "},
    {"example.org", "2 3 "},
    {"a.m@example.org", "3 "},
    {"zz", "7 "},
    {"\u043f\u043e\u0447\u0442\u0430.\u0440", "6 "},
    /* several words in any order, each for itself */
    {"neill jean", "1 "},
    {"berg anna van", "3 "},
    {"jean berg", ""},
    {" anna\t\u00a0berg ", "3 "},
    {"ada ada", "5 "},
    /* signs are only signs */
    {"%", ""},
    {"_", ""},
    {"100%", "4 "},
    {"100_", "4 "},
    {"1%0", ""},
    {"quo_t", "4 "},
    {"quo%t", ""},
    {"quo", "4 "},
    {"\"quo_te\"", "4 "},
    {"q'x", "4 "},
    {"q''x", ""},
    {"\"", "4 "},
    {"'", ""},
    {"*", ""},
    {"a*", "3 5 8 "},
    {"back\\", "7 "},
    {"back\\slash", "7 "},
    {"\\", ""},
    {"semi;colon*", "7 "},
    {";", ""},
    {"(", ""},
    {":*", ""},
    {"ada:*", "5 "},
    {"ada\" OR \"jean", ""},
    {"' | 'x", ""},
    {"ada\x01", "5 "},
    {"ad\x01"
     "a",
     ""},
    /* words of the index's own language */
    {"not", "8 "},
    {"and", "8 "},
    {"or", "2 3 8 "},
    {"near", "8 "},
    {"null", "8 "},
    {"search", ""},
    /* emoji, other scripts */
    {"\U0001F389", "5 "},
    {"\u674e", "5 "},
    {"\u5c0f", ""},
    {"\U0001F388", ""},
    /* one letter, and two hundred */
    {"a", "3 5 8 "},
    {"e", "1 2 3 4 5 8 "},
    {"z", "7 "},
    {"w", ""},
    {LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20 LETTERS20, ""},
};

static void check_searches(Db *db) {
    for (size_t i = 0; i < COUNT(SEARCHES); i++)
        for (size_t limit = 1; limit <= 10; limit += 9) {
            AUTO_BUF ids = {0};
            walk(db, SORT_CREATED_AT, false, limit, SEARCHES[i].query, &ids);
            if (!span_is(buf_view(&ids), SEARCHES[i].ids)) printf("%s\n", SEARCHES[i].query);
            CHECK_SPAN(buf_view(&ids), SEARCHES[i].ids);
        }
}

/* Others, in a tenant of their own, who have everybody's words: now whatever is found is found often. */
static void make_frequent(Db *db) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF all = {0};
    Err err = {0};
    for (size_t i = 0; i < COUNT(PEOPLE); i++) buf_span(&all, words_of(arena, &PEOPLE[i]));
    Stmt *s = db_statement(
        db,
        "insert into prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone, notes,"
        " version, created_at, updated_at, last_name_key, email_key, search) with recursive n(i) as"
        " (select 1000 union all select i + 1 from n where i < ?) select i, 'many', '', '', '', '', '', 1, "
        "0, 0,"
        " '', '', cast(? as text) from n");
    stmt_bind_int(s, 1, 1000 + PROSPECT_FEW);
    stmt_bind_text(s, 2, buf_view(&all));
    REQUIRE(CHECK_OK(stmt_run(s, NULL, &err), &err));
}

/* The same answers by whatever plan, on each engine. */
static void searches(void) {
    AUTO(Db) db = open_empty();
    for (size_t i = 0; i < COUNT(PEOPLE); i++) insert(db, &PEOPLE[i]);
    check_searches(db);
    make_frequent(db);
    check_searches(db);
}

/* The index follows what the projection writes. */
static void searches_follow_changes(void) {
    AUTO(Db) db = open_filled();
    AUTO_BUF before = {0}, after = {0}, gone = {0};
    walk(db, SORT_CREATED_AT, false, 9, "turing", &before);
    CHECK_SPAN(buf_view(&before), "2 ");
    test_db_run(db, "update prospect_summary set search = ' king' where prospect_id = 2");
    walk(db, SORT_CREATED_AT, false, 9, "king", &after);
    CHECK_SPAN(buf_view(&after), "2 ");
    walk(db, SORT_CREATED_AT, false, 9, "turing", &gone);
    CHECK_SPAN(buf_view(&gone), "");
}

/* With EVENTS_LONG: among a million rows the few that have a word are found without going through all of
 * them, and the first ones of the many without sorting those. */
static void make_million(Db *db) {
    if (db_dialect(db) == DB_POSTGRESQL) test_db_run(db, "set statement_timeout = 0");
    test_db_run(
        db,
        "insert into prospect_summary (prospect_id, tenant_id, first_name, last_name, email, phone, notes,"
        " version, created_at, updated_at, last_name_key, email_key, search) with recursive n(i) as"
        " (select 1 union all select i + 1 from n where i < 1000000), w(i, f, l, e) as (select i,"
        " 'first' || (i % 3001), 'last' || (i % 60013), 'p' || i || '@mail' || (i % 499) || '.example.org' "
        "from n)"
        " select i, 'demo', f, l, e, '', '', 1, i, i, l, e, ' ' || f || ' ' || l || ' ' || e || ' mail'"
        " || (i % 499) || '.example.org example.org org' from w");
    if (db_dialect(db) == DB_POSTGRESQL) test_db_run(db, "analyze prospect_summary");
}

static void a_million(void) {
    static const struct {
        const char *query;
        size_t found; /* at most 50 */
    } CASES[] = {{"p777777@", 1}, {"last777", 50}, {"last7777 first", 17},
                 {"p77777", 11},  {"nobody", 0},   {"mail77.example.org last77", 5},
                 {"first", 50},   {"f", 50},       {"org", 50}};
    if (!getenv("EVENTS_LONG")) return;
    AUTO(Db) db = open_empty();
    Err err = {0};
    make_million(db);
    REQUIRE(test_db_number(db, "select count(*) from prospect_summary") == 1000000);
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (int again = 0; again < 2; again++) {
            AUTO(Arena) arena = arena_new(0);
            ProspectQuery q = {
                .tenant_id = SPAN("demo"), .sort = SORT_CREATED_AT, .descending = true, .limit = 50};
            ProspectRow *rows;
            size_t count;
            bool more;
            REQUIRE(query_words(span_of(CASES[i].query), arena, q.words, &q.word_count));
            int64_t began = clock_mono_us();
            REQUIRE(CHECK_OK(read_begin(db, &err) && prospect_page(db, &q, arena, &rows, &count, &more, &err),
                             &err));
            int64_t us = clock_mono_us() - began;
            read_end(db);
            CHECK(count == CASES[i].found);
            CHECK(us < 2000000);
            if (again)
                printf("    \"%s\": %zu rows%s, %.1f ms\n", CASES[i].query, count, more ? " and more" : "",
                       (double)us / 1000);
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
    REQUIRE(CHECK_OK(prospect_find(db, &(ProspectKey){SPAN("demo"), 5, 0}, arena, &p, &err), &err));
    CHECK_SPAN(span_of(p->first_name), "Ådne");
    CHECK(!prospect_find(db, &(ProspectKey){SPAN("demo"), 6, 0}, arena, &p, &foreign) &&
          err_is(&foreign, &ERR_NOT_FOUND));
    CHECK(!prospect_find(db, &(ProspectKey){SPAN("demo"), 99, 0}, arena, &p, &missing) &&
          err_is(&missing, &ERR_NOT_FOUND));
}

static bool collect(void *user, const ReplayRow *row) {
    Buf *ids = user;
    buf_printf(ids, "%lld ", (long long)row->sequence);
    return ids->len < 6;
}

static void insert_event(Db *db, int number) {
    Err err = {0};
    AUTO_BUF body = {0};
    envelope_append_numbers(&body, number, number);
    Stmt *s =
        db_statement(db, "insert into replay_log (sequence, tenant_id, subject, subject_version, event_type,"
                         " issued_by, body, occurred_at) values (?, ?, ?, ?, 'ProspectUpdated', 'u', ?, 0)");
    stmt_bind_int(s, 1, number);
    stmt_bind_text(s, 2, number % 3 ? SPAN("demo") : SPAN("other"));
    stmt_bind_text(s, 3, number % 2 ? SPAN("prospect/1") : SPAN("prospect/2"));
    stmt_bind_int(s, 4, number);
    stmt_bind_blob(s, 5, buf_view(&body));
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

SUITE_ON_ENGINES("prospect_queries", TEST(pages), TEST(searches), TEST(searches_follow_changes),
                 TEST(a_million), TEST(words), TEST(one), TEST(log_reads), TEST(outcomes));
