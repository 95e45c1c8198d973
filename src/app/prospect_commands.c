#include "app/prospect_commands.h"

#include "base/text.h"
#include "store/prospects.h"

static bool email_key(Command *c, const char *email, Span *ret, Err *err) {
    *ret = text_fold(c->arena, span_of(email));
    return ret->at ? true : err_set(err, &ERR_TOO_LARGE, "an e-mail address does not fit in memory");
}

/* Leaves the decision's event, of the prospect that it has brought to `version`. */
static bool tell(Command *c, const ProtobufCMessage *event, const Prospect *p, Err *err) {
    c->event = event;
    c->subject_version = p->version;
    c->subject = arena_printf(c->arena, "prospect/%lld", (long long)p->prospect_id);
    return c->subject ? true : err_set(err, &ERR_TOO_LARGE, "a subject does not fit in memory");
}

bool on_create_prospect(Command *c, Err *err) {
    const Events__V1__CreateProspect *command = (const void *)c->message;
    ProspectFacts facts = {.tenant_id = c->envelope->tenant_id};
    Span key;
    if (!email_key(c, command->email, &key, err) ||
        !prospects_email_owner(c->db, span_of(facts.tenant_id), key, &facts.email_owner, err) ||
        (!facts.email_owner && !prospects_next_id(c->db, &facts.new_id, err)))
        return false;
    ProspectDecision d = prospect_decide_create(&facts, command, c->arena);
    if (d.code) return command_reject(c, d.code, d.message, d.field, "", err);
    Prospect p = prospect_apply(NULL, &facts, &d, c->now);
    return prospects_insert(c->db, &p, key, err) && tell(c, &d.created->base, &p, err);
}

bool on_update_prospect(Command *c, Err *err) {
    const Events__V1__UpdateProspect *command = (const void *)c->message;
    ProspectFacts facts = {.tenant_id = c->envelope->tenant_id};
    Prospect state;
    bool found;
    Span key, old_key;
    if (!email_key(c, command->email, &key, err) ||
        !prospects_load(c->db, command->prospect_id, c->arena, &state, &found, err) ||
        !prospects_email_owner(c->db, span_of(facts.tenant_id), key, &facts.email_owner, err))
        return false;
    ProspectDecision d = prospect_decide_update(found ? &state : NULL, &facts, command, c->arena);
    if (d.code) {
        const char *about = arena_printf(c->arena, "prospect/%lld", (long long)command->prospect_id);
        return command_reject(c, d.code, d.message, d.field, about ? about : "", err);
    }
    Prospect next = prospect_apply(&state, &facts, &d, c->now);
    return email_key(c, state.email, &old_key, err) && prospects_update(c->db, &next, old_key, key, err) &&
           tell(c, &d.updated->base, &next, err);
}
