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

static const struct {
    const char *event_type;
    Apply *apply;
} RULES[] = {
    {"ProspectCreated", apply_prospect},
    {"ProspectUpdated", apply_prospect},
};

static Apply *rule_of(const char *event_type) {
    for (size_t i = 0; i < COUNT(RULES); i++)
        if (!strcmp(RULES[i].event_type, event_type)) return RULES[i].apply;
    return NULL;
}

static bool apply_outcome(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err) {
    OutcomeRow row;
    bool has;
    if (!projection_outcome(event, arena, &row, &has, err)) return false;
    if (has) outcome_add(rows->outcomes, &row);
    return true;
}

bool projection_apply(const ProjectionRows *rows, const Envelope *event, Arena *arena, Err *err) {
    Apply *apply = rule_of(event->event_type);
    if (apply && !apply(rows, event, arena, err)) return false;
    return apply_outcome(rows, event, arena, err);
}
