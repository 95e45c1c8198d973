/* What goes into the queue: ids, ordering keys, body hashes, and what PUT adds to its body. */
#include "gateway/command.h"

#include "base/map.h"
#include "events/v1/envelope.pb-c.h"
#include "events/v1/prospect.pb-c.h"
#include "kit/test.h"
#include <stdio.h>

#define ADA  "\"firstName\":\"Ada\",\"lastName\":\"Lovelace\",\"email\":\"ada@example.org\""
#define UUID "0190163d-8694-739b-aea5-966c26f8ad91"

static const Claims CLAIMS = {.user_id = "user", .tenant_id = "demo"};

static CommandInput input(const char *type, const char *body) {
    return (CommandInput){.type = message_type(span_of(type)),
                          .body = span_of(body),
                          .correlation_id = "corr",
                          .traceparent = "",
                          .claims = &CLAIMS};
}

/* The faults as text: "email:required lastName:too_long " */
static bool build(const CommandInput *in, Arena *arena, Command *c, Buf *faults_text) {
    FieldFaults faults = {0};
    Err err = {0};
    bool ok = command_build(in, arena, c, &faults, &err);
    buf_clear(faults_text);
    for (size_t i = 0; i < faults.count; i++)
        buf_printf(faults_text, "%s:%s ", faults.at[i].field, faults.at[i].code);
    CHECK(!err.kind);
    return ok;
}

/* The same of a message that came another way. */
static void of_a_message(void) {
    AUTO(Arena) arena = arena_new(0);
    Events__V1__CreateProspect m = EVENTS__V1__CREATE_PROSPECT__INIT;
    CommandInput in = input("CreateProspect", "");
    FieldFaults faults = {0};
    Err err = {0};
    Command c, by_json;
    CHECK(!command_build_message(&in, &m.base, arena, &c, &faults, &err));
    CHECK(faults.count == 3 && !strcmp(faults.at[0].field, "firstName") && !err.kind);
    m.first_name = message_text("Ada"), m.last_name = message_text("  Lovelace ");
    m.email = message_text("ada@example.org");
    faults.count = 0;
    REQUIRE(command_build_message(&in, &m.base, arena, &c, &faults, &err));
    in = input("CreateProspect", "{" ADA "}");
    REQUIRE(command_build(&in, arena, &by_json, &faults, &err));
    CHECK(c.body_hash == by_json.body_hash); /* trimmed */
    CHECK(!command_build_message(&in, NULL, arena, &c, &faults, &err) && err_is(&err, &ERR_TOO_LARGE));
}

static Command built(const CommandInput *in, Arena *arena) {
    AUTO_BUF faults = {0};
    Command c;
    bool ok = build(in, arena, &c, &faults);
    if (!ok) printf("\n    %.*s", SPAN_ARGS(buf_view(&faults)));
    REQUIRE(ok);
    return c;
}

static void ids(void) {
    AUTO(Arena) arena = arena_new(0);
    CommandInput in = input("CreateProspect", "{" ADA "}");
    Command made = built(&in, arena), again = built(&in, arena);
    CHECK(strcmp(made.command_id, again.command_id) && made.body_hash == again.body_hash);
    in.idempotency_key = SPAN("k1");
    Command keyed = built(&in, arena), same = built(&in, arena);
    CHECK(!strcmp(keyed.command_id, same.command_id) && keyed.command_id[14] == '5');
    Claims other = {.user_id = "other", .tenant_id = "demo"};
    in.claims = &other;
    CHECK(strcmp(built(&in, arena).command_id, keyed.command_id));
    in = input("CreateProspect", "{" ADA ",\"commandId\":\"0190163D-8694-739B-AEA5-966C26F8AD91\"}");
    Command own = built(&in, arena);
    CHECK_SPAN(span_of(own.command_id), UUID); /* in lower case, as it is looked for */
    CHECK(own.body_hash == made.body_hash);    /* the id is no part of what "the same" means */
    in = input("CreateProspect", "{" ADA ",\"notes\":\"x\"}");
    CHECK(built(&in, arena).body_hash != made.body_hash);
}

static void refused(void) {
    static const struct {
        const char *type, *body, *key;
        int64_t path_id, version;
        const char *faults;
    } CASES[] = {
        {"CreateProspect", "{", NULL, 0, 0, ":invalid_json "},
        {"CreateProspect", "[]", NULL, 0, 0, ":wrong_type "},
        {"CreateProspect", "{" ADA ",\"commandId\":\"x\"}", NULL, 0, 0, "commandId:invalid_id "},
        {"CreateProspect", "{" ADA ",\"commandId\":\"" UUID "\"}", "key", 0, 0, "commandId:invalid_id "},
        {"CreateProspect", "{\"firstName\":\"A\",\"email\":\"a@b.example\"}", NULL, 0, 0,
         "lastName:required "},
        {"UpdateProspect", "{" ADA "}", NULL, 0, 0, "prospectId:required expectedVersion:required "},
        {"UpdateProspect", "{", NULL, 7, 2, ":invalid_json "},
        {"UpdateProspect", "[]", NULL, 7, 2, ":wrong_type "},
        {"UpdateProspect", "{} x", NULL, 7, 2, ":invalid_json "},
        {"UpdateProspect", "{" ADA ",\"bogus\":1}", NULL, 7, 2, "bogus:unknown_field "},
        {"UpdateProspect", "{\"firstName\":\"A\",\"email\":\"a@b.example\"}", NULL, 7, 2,
         "lastName:required "},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        AUTO_BUF faults = {0};
        Command c;
        CommandInput in = input(CASES[i].type, CASES[i].body);
        if (CASES[i].key) in.idempotency_key = span_of(CASES[i].key);
        in.prospect_id = CASES[i].path_id, in.expected_version = CASES[i].version;
        CHECK(!build(&in, arena, &c, &faults));
        CHECK_SPAN(buf_view(&faults), CASES[i].faults);
    }
}

static void put(void) {
    AUTO(Arena) arena = arena_new(0);
    AUTO_BUF bytes = {0};
    Events__V1__UpdateProspect u = EVENTS__V1__UPDATE_PROSPECT__INIT;
    u.first_name = (char *)"Ada", u.last_name = (char *)"Lovelace", u.email = (char *)"ada@example.org";
    message_pack(&u.base, &bytes);
    CommandInput json = input("UpdateProspect", "{" ADA ",\"prospectId\":9}"),
                 binary = input("UpdateProspect", "");
    json.prospect_id = binary.prospect_id = 7;
    json.expected_version = binary.expected_version = -1;
    binary.body = buf_view(&bytes), binary.protobuf = true;
    Command a = built(&json, arena), b = built(&binary, arena);
    const Events__V1__UpdateProspect *m = (const Events__V1__UpdateProspect *)a.message;
    CHECK(m->prospect_id == 7 && m->expected_version == -1); /* the path counts */
    CHECK(a.body_hash == b.body_hash);
    CHECK_SPAN(a.ordering_key, "prospect/7");
}

static void envelope(void) {
    AUTO(Arena) arena = arena_new(0);
    CommandInput in = input("CreateProspect", "{" ADA ",\"commandId\":\"" UUID "\"}");
    Command c = built(&in, arena);
    Events__V1__CommandEnvelope *e = events__v1__command_envelope__unpack(arena_protobuf(arena), c.packed.len,
                                                                          (const uint8_t *)c.packed.at);
    REQUIRE(e);
    CHECK_SPAN(span_of(e->command_id), UUID);
    CHECK_SPAN(span_of(e->command_type), "CreateProspect");
    CHECK_SPAN(span_of(e->tenant_id), "demo");
    CHECK_SPAN(span_of(e->issued_by), "user");
    CHECK_SPAN(span_of(e->correlation_id), "corr");
    CHECK_SPAN(span_of(e->schema_version), "1.0");
    CHECK(span_equal(span_of(e->ordering_key), c.ordering_key) && e->issued_at && e->issued_at->seconds > 0);
}

static void ordering(void) {
    AUTO(Arena) arena = arena_new(0);
    Claims other = {.user_id = "user", .tenant_id = "other"};
    CommandInput lower = input("CreateProspect", "{" ADA "}");
    CommandInput upper =
        input("CreateProspect", "{\"firstName\":\"X\",\"lastName\":\"Y\",\"email\":\" ADA@Example.ORG\"}");
    Span key = built(&lower, arena).ordering_key;
    CHECK(span_starts(key, SPAN("create/")) && key.len == 7 + 16);
    CHECK(span_equal(key, built(&upper, arena).ordering_key));
    lower.claims = &other;
    CHECK(!span_equal(key, built(&lower, arena).ordering_key));
    CommandInput merge =
        input("MergeProspects", "{\"mergedProspectId\":8,\"prospectId\":7,\"expectedVersion\":-1}");
    CHECK_SPAN(built(&merge, arena).ordering_key, "prospect/7"); /* the subject that its type names */
}

SUITE("command", TEST(of_a_message), TEST(ids), TEST(refused), TEST(put), TEST(envelope), TEST(ordering));
