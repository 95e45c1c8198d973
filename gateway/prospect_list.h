/* A page of prospects: what may be asked for, and what is read for it. The same for REST and gRPC. */
#pragma once
#include "events/v1/rest.pb-c.h"
#include "gateway/auth/token.h"
#include "store/read/prospect_queries.h"
#include "store/read/replay_log.h"
#include "wire/message.h"

enum { LIST_PAGE_DEFAULT = 50, LIST_PAGE_MAX = 200 };

typedef struct ProspectList {
    Span tenant_id, query, cursor; /* as they were given: they live as long as what they came from */
    ProspectSort sort;
    bool descending, personal;
    size_t limit;
    uint64_t list; /* what a cursor is bound to */
} ProspectList;

typedef struct ProspectListAsked {
    Span query, cursor, sort; /* sort.at NULL: "-createdAt" */
    int64_t limit;            /* 0: the default */
} ProspectListAsked;

/* Borrows the spans and the claims' tenant. False: a fault is told, or ERR_FORBIDDEN. */
bool prospect_list_init(ProspectList *list, const ProspectListAsked *asked, const Claims *claims,
                        FieldFaults *faults, Err *err);
/* On a reader thread, in the view that `head` was read in; the page is in memory of the arena. False: a fault
 * is told (the cursor is none of this list, or there are too many words), or err. */
bool prospect_list_read(const ProspectList *list, Db *db, ReplayHead *head, Arena *arena,
                        Events__V1__ProspectPage *ret, FieldFaults *faults, Err *err);
