#include "domain/prospect.h"

static ProspectDecision reject(const char *code, const char *field, const char *message) {
    return (ProspectDecision){.code = code, .field = field, .message = message};
}

bool prospect_is_there(const Prospect *state, const char *tenant_id) {
    return state && !state->merged_into && strcmp(state->tenant_id, tenant_id) == 0;
}

static ProspectDecision taken(void) {
    return reject("duplicate_email", "email", "another prospect has this e-mail address");
}

/* Out of memory: an arena's limit is far above any command, so that only a defect can meet it. */
static ProspectDecision no_room(void) {
    return reject("invalid", NULL, "the command is too large");
}

ProspectDecision prospect_decide_create(const ProspectFacts *facts, const Events__V1__CreateProspect *command,
                                        Arena *arena) {
    if (facts->email_owner) return taken();
    Events__V1__ProspectCreated *event = arena_alloc(arena, sizeof *event);
    if (!event) return no_room();
    events__v1__prospect_created__init(event);
    event->prospect_id = facts->new_id;
    event->first_name = command->first_name;
    event->last_name = command->last_name;
    event->email = command->email;
    event->phone = command->phone;
    event->notes = command->notes;
    event->version = 1;
    return (ProspectDecision){.created = event};
}

static bool note_changes(const Prospect *state, const Events__V1__UpdateProspect *command,
                         Events__V1__ProspectUpdated *event, Arena *arena) {
    const struct {
        const char *json_name, *before, *after;
    } fields[] = {
        {"firstName", state->first_name, command->first_name},
        {"lastName", state->last_name, command->last_name},
        {"email", state->email, command->email},
        {"phone", state->phone, command->phone},
        {"notes", state->notes, command->notes},
    };
    event->changed_fields = arena_alloc(arena, sizeof(char *) * COUNT(fields));
    if (!event->changed_fields) return false;
    for (size_t i = 0; i < COUNT(fields); i++)
        if (strcmp(fields[i].before, fields[i].after) != 0)
            event->changed_fields[event->n_changed_fields++] = (char *)fields[i].json_name;
    return true;
}

ProspectDecision prospect_decide_update(const Prospect *state, const ProspectFacts *facts,
                                        const Events__V1__UpdateProspect *command, Arena *arena) {
    if (!prospect_is_there(state, facts->tenant_id))
        return reject("not_found", NULL, "there is no such prospect");
    if (command->expected_version != -1 && command->expected_version != state->version)
        return reject("version_conflict", NULL, "the prospect has been changed since");
    if (facts->email_owner && facts->email_owner != state->prospect_id) return taken();
    Events__V1__ProspectUpdated *event = arena_alloc(arena, sizeof *event);
    if (!event) return no_room();
    events__v1__prospect_updated__init(event);
    event->prospect_id = state->prospect_id;
    event->first_name = command->first_name;
    event->last_name = command->last_name;
    event->email = command->email;
    event->phone = command->phone;
    event->notes = command->notes;
    event->version = state->version + 1;
    if (!note_changes(state, command, event, arena)) return no_room();
    return (ProspectDecision){.updated = event};
}

static Prospect after_created(const Events__V1__ProspectCreated *e, const char *tenant_id, int64_t at) {
    return (Prospect){.prospect_id = e->prospect_id,
                      .version = e->version,
                      .tenant_id = tenant_id,
                      .first_name = e->first_name,
                      .last_name = e->last_name,
                      .email = e->email,
                      .phone = e->phone,
                      .notes = e->notes,
                      .created_at = at,
                      .updated_at = at};
}

Prospect prospect_apply_updated(const Prospect *state, const Events__V1__ProspectUpdated *e,
                                int64_t occurred_at) {
    Prospect next = *state;
    next.version = e->version;
    next.first_name = e->first_name;
    next.last_name = e->last_name;
    next.email = e->email;
    next.phone = e->phone;
    next.notes = e->notes;
    next.updated_at = occurred_at;
    return next;
}

Prospect prospect_apply(const Prospect *state, const ProspectFacts *facts, const ProspectDecision *decision,
                        int64_t occurred_at) {
    if (decision->created) return after_created(decision->created, facts->tenant_id, occurred_at);
    return prospect_apply_updated(state, decision->updated, occurred_at);
}
