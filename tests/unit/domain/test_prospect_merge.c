#include "domain/prospect_merge.h"
#include "kit/test.h"

#include <stdio.h>

static const Prospect SURVIVOR = {.prospect_id = 7,
                                  .version = 3,
                                  .tenant_id = "t",
                                  .first_name = "Ada",
                                  .last_name = "Lovelace",
                                  .email = "ada@example.org",
                                  .phone = "",
                                  .notes = "met in London",
                                  .created_at = 100,
                                  .updated_at = 200},
                      OTHER = {.prospect_id = 8,
                               .version = 5,
                               .tenant_id = "t",
                               .first_name = "A.",
                               .last_name = "King",
                               .email = "king@example.org",
                               .phone = "12345",
                               .notes = "countess",
                               .created_at = 110,
                               .updated_at = 220};

static Prospect with(const Prospect *p, const char *tenant, int64_t merged_into) {
    Prospect changed = *p;
    changed.tenant_id = tenant;
    changed.merged_into = merged_into;
    return changed;
}

static void check_text(const char *name, const char *got, const char *want) {
    bool same = got == want || (got && want && strcmp(got, want) == 0);
    if (!same) printf("\n    %s: got %s, want %s", name, got ? got : "-", want ? want : "-");
    CHECK(same);
}

enum { THERE, ABSENT, FOREIGN, GONE };

static const struct {
    const char *name;
    int survivor, other;
    int64_t into, from, version, other_version;
    const char *code, *field, *field_code; /* wanted; code NULL: accepted */
} MERGES[] = {
    {"both versions right", THERE, THERE, 7, 8, 3, 5, NULL, NULL, NULL},
    {"unconditional", THERE, THERE, 7, 8, -1, -1, NULL, NULL, NULL},
    {"the other's version not told", THERE, THERE, 7, 8, 3, 0, NULL, NULL, NULL},
    {"into itself", THERE, THERE, 7, 7, 3, 0, "invalid", "mergedProspectId", "invalid_id"},
    {"no survivor", ABSENT, THERE, 7, 8, -1, 0, "not_found", "prospectId", NULL},
    {"no other", THERE, ABSENT, 7, 8, 3, 0, "not_found", "mergedProspectId", NULL},
    {"survivor of another tenant", FOREIGN, THERE, 7, 8, 3, 0, "not_found", "prospectId", NULL},
    {"other of another tenant", THERE, FOREIGN, 7, 8, 3, 0, "not_found", "mergedProspectId", NULL},
    {"survivor has gone", GONE, THERE, 7, 8, -1, 0, "not_found", "prospectId", NULL},
    {"other has gone", THERE, GONE, 7, 8, 3, 0, "not_found", "mergedProspectId", NULL},
    {"old survivor", THERE, THERE, 7, 8, 2, 5, "version_conflict", "expectedVersion", NULL},
    {"old other", THERE, THERE, 7, 8, 3, 4, "version_conflict", "mergedExpectedVersion", NULL},
};

static const Prospect *pick(int how, const Prospect *there, Prospect *room) {
    if (how == ABSENT) return NULL;
    *room = with(there, how == FOREIGN ? "u" : "t", how == GONE ? 9 : 0);
    return room;
}

static void decisions(void) {
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(MERGES); i++) {
        Prospect a, b;
        Events__V1__MergeProspects command = EVENTS__V1__MERGE_PROSPECTS__INIT;
        command.prospect_id = MERGES[i].into;
        command.merged_prospect_id = MERGES[i].from;
        command.expected_version = MERGES[i].version;
        command.merged_expected_version = MERGES[i].other_version;
        MergeDecision d = prospect_decide_merge(pick(MERGES[i].survivor, &SURVIVOR, &a),
                                                pick(MERGES[i].other, &OTHER, &b), "t", &command, arena);
        check_text(MERGES[i].name, d.code, MERGES[i].code);
        check_text(MERGES[i].name, d.field, MERGES[i].field);
        check_text(MERGES[i].name, d.field_code, MERGES[i].field_code);
        CHECK(!d.merged == (d.code != NULL) && !d.updated == (d.code != NULL));
    }
}

static const struct {
    const char *name, *phone, *notes, *other_phone, *other_notes; /* before */
    const char *want_phone, *want_notes, *changed;
} STATES[] = {
    {"both empty", "", "", "1", "n", "1", "n", "phone notes"},
    {"phone empty", "", "own", "1", "n", "1", "own", "phone"},
    {"notes empty", "2", "", "1", "n", "2", "n", "notes"},
    {"nothing empty", "2", "own", "1", "n", "2", "own", ""},
    {"nothing to take", "", "", "", "", "", "", ""},
};

static void what_wins(void) {
    for (size_t i = 0; i < COUNT(STATES); i++) {
        AUTO(Arena) arena = arena_new(0);
        Prospect survivor = SURVIVOR, other = OTHER;
        survivor.phone = STATES[i].phone, survivor.notes = STATES[i].notes;
        other.phone = STATES[i].other_phone, other.notes = STATES[i].other_notes;
        Events__V1__MergeProspects command = EVENTS__V1__MERGE_PROSPECTS__INIT;
        command.prospect_id = 7, command.merged_prospect_id = 8, command.expected_version = 3;
        MergeDecision d = prospect_decide_merge(&survivor, &other, "t", &command, arena);
        REQUIRE(!d.code && d.updated && d.merged);
        char changed[40] = "";
        for (size_t k = 0; k < d.updated->n_changed_fields; k++)
            snprintf(changed + strlen(changed), sizeof changed - strlen(changed), "%s%s", k ? " " : "",
                     d.updated->changed_fields[k]);
        check_text(STATES[i].name, changed, STATES[i].changed);
        Prospect next = prospect_apply_updated(&survivor, d.updated, 300);
        CHECK(next.prospect_id == 7 && next.version == 4 && next.created_at == 100 && next.updated_at == 300);
        check_text(STATES[i].name, next.phone, STATES[i].want_phone);
        check_text(STATES[i].name, next.notes, STATES[i].want_notes);
        check_text(STATES[i].name, next.email, "ada@example.org");
        check_text(STATES[i].name, next.last_name, "Lovelace");
    }
}

static void what_is_left(void) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__MergeProspects command = EVENTS__V1__MERGE_PROSPECTS__INIT;
    command.prospect_id = 7, command.merged_prospect_id = 8, command.expected_version = -1;
    MergeDecision d = prospect_decide_merge(&SURVIVOR, &OTHER, "t", &command, arena);
    REQUIRE(d.merged);
    CHECK(d.merged->prospect_id == 8 && d.merged->merged_into == 7 && d.merged->version == 6);
    Prospect gone = prospect_apply_merged(&OTHER, d.merged, 300);
    CHECK(gone.prospect_id == 8 && gone.merged_into == 7 && gone.version == 6);
    CHECK(gone.created_at == 110 && gone.updated_at == 300 && strcmp(gone.tenant_id, "t") == 0);
    CHECK(!*gone.first_name && !*gone.last_name && !*gone.email && !*gone.phone && !*gone.notes);
    CHECK(!prospect_is_there(&gone, "t") && prospect_is_there(&OTHER, "t") && !prospect_is_there(NULL, "t"));
}

/* An update of one that has gone. */
static void updates_of_the_gone(void) {
    AUTO(Arena) arena = arena_new(0);
    Prospect gone = with(&OTHER, "t", 7);
    Events__V1__UpdateProspect command = EVENTS__V1__UPDATE_PROSPECT__INIT;
    command.prospect_id = 8, command.expected_version = -1;
    ProspectFacts facts = {.tenant_id = "t"};
    check_text("update", prospect_decide_update(&gone, &facts, &command, arena).code, "not_found");
}

SUITE("prospect_merge", TEST(decisions), TEST(what_wins), TEST(what_is_left), TEST(updates_of_the_gone));
