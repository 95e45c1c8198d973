#include "app/commands/prospect_commands.h"

#include "domain/prospect_merge.h"

bool on_create_prospect(Command *c, Err *err) {
    const Events__V1__CreateProspect *command = (const void *)c->message;
    ProspectFacts facts = {.tenant_id = c->envelope->tenant_id};
    Span key;
    if (!command_email_key(c, command->email, &key, err) ||
        !prospects_email_owner(c->model->prospects, span_of(facts.tenant_id), key, &facts.email_owner, err) ||
        (!facts.email_owner && !prospects_next_id(c->model->prospects, &facts.new_id, err)))
        return false;
    ProspectDecision d = prospect_decide_create(&facts, command, c->arena);
    if (d.code) return command_reject(c, &(Rejection){d.code, d.message, d.field, NULL}, err);
    Prospect p = prospect_apply(NULL, &facts, &d, c->now);
    return prospects_insert(c->model->prospects, &p, key, err) &&
           command_tell(c, &d.created->base, p.version, err);
}

bool on_update_prospect(Command *c, Err *err) {
    const Events__V1__UpdateProspect *command = (const void *)c->message;
    ProspectFacts facts = {.tenant_id = c->envelope->tenant_id};
    Prospect state;
    bool found;
    Span key, old_key;
    if (!command_email_key(c, command->email, &key, err) ||
        !prospects_load(c->model->prospects, command->prospect_id, &state, &found, err) ||
        !prospects_email_owner(c->model->prospects, span_of(facts.tenant_id), key, &facts.email_owner, err))
        return false;
    ProspectDecision d = prospect_decide_update(found ? &state : NULL, &facts, command, c->arena);
    if (d.code) return command_reject(c, &(Rejection){d.code, d.message, d.field, NULL}, err);
    Prospect next = prospect_apply(&state, &facts, &d, c->now);
    return command_email_key(c, state.email, &old_key, err) &&
           prospects_update(c->model->prospects, &next, old_key, key, err) &&
           command_tell(c, &d.updated->base, next.version, err);
}

/* The one that goes is told first: its tombstone stands in the read model before the survivor's event says
 * that the command has succeeded. */
bool on_merge_prospects(Command *c, Err *err) {
    const Events__V1__MergeProspects *command = (const void *)c->message;
    Prospect survivor, other;
    bool is_survivor, is_other;
    Span email, other_email;
    if (!prospects_load(c->model->prospects, command->prospect_id, &survivor, &is_survivor, err) ||
        !prospects_load(c->model->prospects, command->merged_prospect_id, &other, &is_other, err))
        return false;
    MergeDecision d = prospect_decide_merge(is_survivor ? &survivor : NULL, is_other ? &other : NULL,
                                            c->envelope->tenant_id, command, c->arena);
    if (d.code) return command_reject(c, &(Rejection){d.code, d.message, d.field, d.field_code}, err);
    Prospect gone = prospect_apply_merged(&other, d.merged, c->now);
    Prospect stays = prospect_apply_updated(&survivor, d.updated, c->now);
    return command_email_key(c, survivor.email, &email, err) &&
           command_email_key(c, other.email, &other_email, err) &&
           prospects_end(c->model->prospects, &gone, other_email, err) &&
           prospects_update(c->model->prospects, &stays, email, email, err) &&
           command_tell(c, &d.merged->base, gone.version, err) &&
           command_tell(c, &d.updated->base, stays.version, err);
}
