#include "app/projection/projection_rows.h"

#include "domain/projection.h"
#include "store/read/outcomes.h"
#include "store/read/read_model.h"

bool projection_apply(const ProjectionRows *rows, const Events__V1__Envelope *event, Arena *arena, Err *err) {
    Projected changes;
    if (!projection_of(event, arena, &changes, err)) return false;
    if (changes.has_prospect) read_model_prospect(rows->prospects, &changes.prospect);
    if (changes.has_outcome) outcome_add(rows->outcomes, &changes.outcome);
    return true;
}
