#include "domain/prospect.h"
#include "kit/test.h"

#include <stdio.h>

static const Prospect ADA = {.prospect_id = 7,
                             .version = 3,
                             .tenant_id = "t",
                             .first_name = "Ada",
                             .last_name = "Lovelace",
                             .email = "ada@example.org",
                             .phone = "12345",
                             .notes = "",
                             .created_at = 100,
                             .updated_at = 200};

static const struct {
    const char *name;
    bool exists;
    const char *tenant;
    int64_t expected_version, email_owner;
    const char *email, *phone;
    const char *code, *field, *changed; /* wanted; code NULL: accepted */
} UPDATES[] = {
    {"right version", true, "t", 3, 7, "ada@example.org", "999999", NULL, NULL, "phone"},
    {"unconditional", true, "t", -1, 7, "ada@example.org", "999999", NULL, NULL, "phone"},
    {"nothing changes", true, "t", 3, 7, "ada@example.org", "12345", NULL, NULL, ""},
    {"free e-mail", true, "t", 3, 0, "a@example.org", "", NULL, NULL, "email phone"},
    {"own e-mail, other case", true, "t", 3, 7, "ADA@example.org", "12345", NULL, NULL, "email"},
    {"e-mail of another", true, "t", 3, 8, "bob@example.org", "", "duplicate_email", "email", NULL},
    {"old version", true, "t", 2, 7, "ada@example.org", "", "version_conflict", NULL, NULL},
    {"version of the future", true, "t", 4, 7, "ada@example.org", "", "version_conflict", NULL, NULL},
    {"stale and taken", true, "t", 2, 8, "bob@example.org", "", "version_conflict", NULL, NULL},
    {"absent", false, "t", 3, 0, "ada@example.org", "", "not_found", NULL, NULL},
    {"of another tenant", true, "u", 3, 0, "ada@example.org", "", "not_found", NULL, NULL},
};

static void check_code(const char *name, const char *got, const char *want) {
    bool same = got == want || (got && want && strcmp(got, want) == 0);
    if (!same) printf("\n    %s: got %s, want %s", name, got ? got : "-", want ? want : "-");
    CHECK(same);
}

static void join(char *const *names, size_t count, char *to, size_t size) {
    size_t len = 0;
    to[0] = 0;
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(to + len, size - len, "%s%s", i ? " " : "", names[i]);
}

static void updates(void) {
    AUTO(Arena) arena = arena_new(0);
    for (size_t i = 0; i < COUNT(UPDATES); i++) {
        Events__V1__UpdateProspect command = EVENTS__V1__UPDATE_PROSPECT__INIT;
        command.prospect_id = 7;
        command.expected_version = UPDATES[i].expected_version;
        command.first_name = (char *)"Ada";
        command.last_name = (char *)"Lovelace";
        command.email = (char *)UPDATES[i].email;
        command.phone = (char *)UPDATES[i].phone;
        ProspectFacts facts = {.tenant_id = UPDATES[i].tenant, .email_owner = UPDATES[i].email_owner};
        const Prospect *state = UPDATES[i].exists ? &ADA : NULL;
        ProspectDecision d = prospect_decide_update(state, &facts, &command, arena);
        check_code(UPDATES[i].name, d.code, UPDATES[i].code);
        check_code(UPDATES[i].name, d.field, UPDATES[i].field);
        CHECK(!d.created && !d.updated == (d.code != NULL));
        if (d.code) continue;
        char changed[100];
        join(d.updated->changed_fields, d.updated->n_changed_fields, changed, sizeof changed);
        check_code(UPDATES[i].name, changed, UPDATES[i].changed);
        Prospect next = prospect_apply(state, &facts, &d, 300);
        CHECK(next.version == 4 && d.updated->version == 4 && next.prospect_id == 7);
        CHECK(next.created_at == 100 && next.updated_at == 300);
        CHECK(strcmp(next.email, UPDATES[i].email) == 0 && strcmp(next.phone, UPDATES[i].phone) == 0);
        CHECK(strcmp(next.tenant_id, "t") == 0);
    }
}

static void creates(void) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__CreateProspect command = EVENTS__V1__CREATE_PROSPECT__INIT;
    command.first_name = (char *)"Ada";
    command.last_name = (char *)"Lovelace";
    command.email = (char *)"ada@example.org";
    ProspectFacts facts = {.tenant_id = "t", .email_owner = 5, .new_id = 9};
    ProspectDecision d = prospect_decide_create(&facts, &command, arena);
    check_code("taken", d.code, "duplicate_email");
    check_code("taken", d.field, "email");
    facts.email_owner = 0;
    d = prospect_decide_create(&facts, &command, arena);
    REQUIRE(d.code == NULL && d.created);
    CHECK(d.created->prospect_id == 9 && d.created->version == 1);
    Prospect p = prospect_apply(NULL, &facts, &d, 42);
    CHECK(p.prospect_id == 9 && p.version == 1 && p.created_at == 42 && p.updated_at == 42);
    CHECK(strcmp(p.phone, "") == 0 && strcmp(p.last_name, "Lovelace") == 0 && strcmp(p.tenant_id, "t") == 0);
}

SUITE("prospect", TEST(creates), TEST(updates));
