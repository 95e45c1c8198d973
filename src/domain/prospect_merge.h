/* Two prospects of one tenant become one. Pure, like domain/prospect.h, whose words hold here too.
 *
 * What wins: the survivor keeps its id, names, e-mail address, phone number and notes; where its phone number
 * or its notes are empty, the other's take their place. What the other had besides stays readable in its
 * history. The other's e-mail address becomes free: an address that no visible prospect has must not refuse a
 * new one, and whoever wants the survivor to have it says so with an UpdateProspect. */
#pragma once
#include "domain/prospect.h"

typedef struct MergeDecision {
    const char *code;       /* NULL: accepted. Else "invalid", "not_found", "version_conflict" */
    const char *field;      /* JSON name of the field at fault */
    const char *field_code; /* what is wrong with it; NULL: the same code */
    const char *message;
    Events__V1__ProspectMerged *merged; /* both where accepted, in memory of the arena */
    Events__V1__ProspectUpdated *updated;
} MergeDecision;

/* survivor, other: NULL where no prospect has that id. */
MergeDecision prospect_decide_merge(const Prospect *survivor, const Prospect *other, const char *tenant_id,
                                    const Events__V1__MergeProspects *command, Arena *arena);

/* What is left of the other: its id, its last version, and where it went. */
Prospect prospect_apply_merged(const Prospect *other, const Events__V1__ProspectMerged *event,
                               int64_t occurred_at);
