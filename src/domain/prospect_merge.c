#include "domain/prospect_merge.h"

static MergeDecision reject(const char *code, const char *field, const char *message) {
    return (MergeDecision){.code = code, .field = field, .message = message};
}

/* As any other field that breaks a rule of its own: "invalid", and the field says which. */
static MergeDecision into_itself(void) {
    MergeDecision d = reject("invalid", "mergedProspectId", "a prospect cannot be merged into itself");
    d.field_code = "invalid_id";
    return d;
}

/* 0 and -1: whatever it is now */
static bool version_fits(int64_t expected, const Prospect *p) {
    return expected <= 0 || expected == p->version;
}

static MergeDecision check(const Prospect *survivor, const Prospect *other, const char *tenant_id,
                           const Events__V1__MergeProspects *command) {
    if (command->prospect_id == command->merged_prospect_id) return into_itself();
    if (!prospect_is_there(survivor, tenant_id))
        return reject("not_found", "prospectId", "there is no such prospect");
    if (!prospect_is_there(other, tenant_id))
        return reject("not_found", "mergedProspectId", "there is no such prospect");
    if (!version_fits(command->expected_version, survivor))
        return reject("version_conflict", "expectedVersion", "the prospect has been changed since");
    if (!version_fits(command->merged_expected_version, other))
        return reject("version_conflict", "mergedExpectedVersion", "the prospect has been changed since");
    return (MergeDecision){0};
}

static char *first_filled(Events__V1__ProspectUpdated *e, const char *own, const char *others,
                          const char *json_name) {
    if (*own || !*others) return (char *)own;
    e->changed_fields[e->n_changed_fields++] = (char *)json_name;
    return (char *)others;
}

static bool fill_updated(Events__V1__ProspectUpdated *e, const Prospect *survivor, const Prospect *other,
                         Arena *arena) {
    events__v1__prospect_updated__init(e);
    e->changed_fields = arena_alloc(arena, sizeof(char *) * 2);
    if (!e->changed_fields) return false;
    e->prospect_id = survivor->prospect_id;
    e->first_name = (char *)survivor->first_name;
    e->last_name = (char *)survivor->last_name;
    e->email = (char *)survivor->email;
    e->phone = first_filled(e, survivor->phone, other->phone, "phone");
    e->notes = first_filled(e, survivor->notes, other->notes, "notes");
    e->version = survivor->version + 1;
    return true;
}

static void fill_merged(Events__V1__ProspectMerged *e, const Prospect *survivor, const Prospect *other) {
    events__v1__prospect_merged__init(e);
    e->prospect_id = other->prospect_id;
    e->merged_into = survivor->prospect_id;
    e->version = other->version + 1;
}

MergeDecision prospect_decide_merge(const Prospect *survivor, const Prospect *other, const char *tenant_id,
                                    const Events__V1__MergeProspects *command, Arena *arena) {
    MergeDecision d = check(survivor, other, tenant_id, command);
    if (d.code) return d;
    d.merged = arena_alloc(arena, sizeof *d.merged);
    d.updated = arena_alloc(arena, sizeof *d.updated);
    if (!d.merged || !d.updated || !fill_updated(d.updated, survivor, other, arena))
        return reject("invalid", NULL, "the command is too large");
    fill_merged(d.merged, survivor, other);
    return d;
}

Prospect prospect_apply_merged(const Prospect *other, const Events__V1__ProspectMerged *event,
                               int64_t occurred_at) {
    return (Prospect){.prospect_id = event->prospect_id,
                      .version = event->version,
                      .merged_into = event->merged_into,
                      .tenant_id = other->tenant_id,
                      .first_name = "",
                      .last_name = "",
                      .email = "",
                      .phone = "",
                      .notes = "",
                      .created_at = other->created_at,
                      .updated_at = occurred_at};
}
