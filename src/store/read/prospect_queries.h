/* Reading read.db for the gateway: pages of prospects, one prospect.
 *
 * Every statement names the tenant. Results live in the caller's arena. One thread per Db. */
#pragma once
#include "base/arena.h"
#include "db/db.h"
#include "events/v1/prospect.pb-c.h"

/* One view of the data for several reads: begin, replay_log_head() first, then the rows,
 * end: so that what a client subscribes from is never newer than what it has read. */
bool read_begin(Db *db, Err *err);
void read_end(Db *db);

typedef enum ProspectSort {
    SORT_CREATED_AT,
    SORT_UPDATED_AT,
    SORT_LAST_NAME,
    SORT_EMAIL,
    SORTS
} ProspectSort;
enum {
    QUERY_WORDS_MAX = 8,
    /* On SQLite so many rows of the list are looked into first; if that fills no page, and no more than so
     * many have the words, the index of words finds them. The answers are always the same. */
    PROSPECT_FEW = 2000,
};

typedef struct ProspectQuery {
    Span tenant_id;
    int model;                   /* of the head that was read before (ReplayHead), here and in ProspectKey */
    Span words[QUERY_WORDS_MAX]; /* in search form; each must be the prefix of a word */
    size_t word_count;
    ProspectSort sort;
    bool descending;
    size_t limit;
    /* Go on behind this row; has_after false: from the start. */
    bool has_after;
    int64_t after_time; /* of the two sorts by time */
    Span after_key;     /* of the others */
    int64_t after_id;
} ProspectQuery;

/* A row with the value it is sorted by, from which the next page's cursor is made. */
typedef struct ProspectRow {
    Events__V1__Prospect *prospect;
    int64_t sort_time;
    Span sort_key;
} ProspectRow;

/* Gives at most query->limit rows; *more: others follow. */
bool prospect_page(Db *db, const ProspectQuery *query, Arena *arena, ProspectRow **ret, size_t *count,
                   bool *more, Err *err);
typedef struct ProspectKey {
    Span tenant_id;
    int64_t prospect_id;
    int model;
} ProspectKey;
bool prospect_find(Db *db, const ProspectKey *key, Arena *arena, Events__V1__Prospect **ret, Err *err);
/* The prospect that has taken this one's place; 0 where nobody has. */
bool prospect_merged_into(Db *db, const ProspectKey *key, int64_t *ret, Err *err);
/* Cuts a query text into words in search form, without the signs around each. False where there are too many.
 */
bool query_words(Span text, Arena *arena, Span words[QUERY_WORDS_MAX], size_t *count);
