/* The prospect: what a command does to it. Pure: decide() looks at the state and says which event follows, or
 * why none does; apply() gives the state after an event. Commands have passed the validation of their message
 * type. Texts point into what was passed in. */
#pragma once
#include "base/arena.h"
#include "events/v1/prospect.pb-c.h"

typedef struct Prospect {
    int64_t prospect_id, version; /* version 0: there is none yet */
    const char *tenant_id, *first_name, *last_name, *email, *phone, *notes;
    int64_t created_at, updated_at;
    int64_t merged_into; /* not 0: it has gone, and this one has taken its place */
} Prospect;

/* Whether this tenant has it: neither another one's (which does not exist for this one) nor one that has
 * gone. state: NULL where no prospect has that id. */
bool prospect_is_there(const Prospect *state, const char *tenant_id);

/* What the command's tenant and the rest of the world add to the decision. */
typedef struct ProspectFacts {
    const char *tenant_id; /* of the command */
    int64_t email_owner;   /* the tenant's prospect that has the command's e-mail; 0: nobody */
    int64_t new_id;        /* for a create: the next free id */
} ProspectFacts;

typedef struct ProspectDecision {
    const char *code;  /* NULL: accepted. Else "not_found", "version_conflict", "duplicate_email" */
    const char *field; /* JSON name of the field at fault; NULL where none is */
    const char *message;
    Events__V1__ProspectCreated *created; /* one of both where accepted, in memory of the arena */
    Events__V1__ProspectUpdated *updated;
} ProspectDecision;

ProspectDecision prospect_decide_create(const ProspectFacts *facts, const Events__V1__CreateProspect *command,
                                        Arena *arena);
/* state: NULL where no prospect has that id. */
ProspectDecision prospect_decide_update(const Prospect *state, const ProspectFacts *facts,
                                        const Events__V1__UpdateProspect *command, Arena *arena);

/* The state after the decision's event (which must be there). state: NULL before a create. */
Prospect prospect_apply(const Prospect *state, const ProspectFacts *facts, const ProspectDecision *decision,
                        int64_t occurred_at);
Prospect prospect_apply_updated(const Prospect *state, const Events__V1__ProspectUpdated *event,
                                int64_t occurred_at);
