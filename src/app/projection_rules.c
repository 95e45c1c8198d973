#include "app/projection_rules.h"

#include "domain/projection.h"
#include "store/outcomes.h"
#include "store/read_model.h"

typedef Events__V1__Envelope Envelope;
typedef bool Apply(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err);

static bool apply_prospect(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err) {
    ProspectSummary row;
    if (!projection_prospect(event, arena, &row, err)) return false;
    read_model_prospect(rows->prospects, &row);
    return true;
}

typedef struct Rule {
    const char *event_type;
    Apply *apply;
    bool more; /* never its command's last event: the outcome is told by the one that follows */
} Rule;

static const Rule RULES[] = {
    {"ProspectCreated", apply_prospect, false},
    {"ProspectUpdated", apply_prospect, false},
    {"ProspectMerged", apply_prospect, true},
};

static const Rule *rule_of(const char *event_type) {
    static const Rule NOTHING = {0};
    for (size_t i = 0; i < COUNT(RULES); i++)
        if (!strcmp(RULES[i].event_type, event_type)) return &RULES[i];
    return &NOTHING;
}

static bool apply_outcome(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err) {
    OutcomeRow row;
    bool has;
    if (!projection_outcome(event, arena, &row, &has, err)) return false;
    if (has) outcome_add(rows->outcomes, &row);
    return true;
}

bool projection_apply(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err) {
    const Rule *rule = rule_of(event->event_type);
    if (rule->apply && !rule->apply(rows, event, arena, err)) return false;
    return rule->more || apply_outcome(rows, event, arena, err);
}
