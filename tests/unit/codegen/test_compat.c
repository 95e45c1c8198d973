/* The gate of ./dev codegen --check: what a release has promised against what comes after it, both as
 * descriptor sets made by protoc. One case a rule, the accepted changes, and the contract of this repository.
 */
#include "kit/test.h"

#include "base/buf.h"
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define EVENT(more)                                                                                          \
    "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", "  \
    "topic: \"t\"" more "}; int64 a = 1; string b = 2; }"
#define EVENT_1_1(more)                                                                                      \
    "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.1\", producer: \"P\", "  \
    "topic: \"t\"" more "}; int64 a = 1; string b = 2; }"
#define COMMAND(version, causes, rules)                                                                      \
    "message E { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", "  \
    "topic: \"t\"}; } message M { option (message) = {kind: COMMAND, title: \"T\", schema_version: "         \
    "\"" version "\", producer: \"P\"" causes "}; string a = 1 [(field) = {" rules "}]; int64 n = 2; }"
#define FIELD(rules)   "message M { string a = 1 [(field) = {" rules "}]; }"
#define NUMBER(rules)  "message M { int64 a = 1 [(field) = {" rules "}]; }"
#define SERVICE(calls) "message A { } message B { } service S { " calls " }"
#define BINARY         "option (file) = {binary_only: true}; "

typedef struct Case {
    const char *name, *was, *is, *want; /* want NULL: accepted; else a part of what is said */
} Case;

static const Case CASES[] = {
    /* accepted */
    {"the same", EVENT(""), EVENT(""), NULL},
    {"a new optional field", "message M { string a = 1; }", "message M { string a = 1; string b = 2; }",
     NULL},
    {"a new message, even with what is required", "message M { }",
     "message M { } message N { string a = 1 [(field) = {required: true}]; }", NULL},
    {"a new value of an enum", "enum E { E_X = 0; }", "enum E { E_X = 0; E_Y = 1; }", NULL},
    {"a new service and a new call", SERVICE("rpc F(A) returns (B);"),
     SERVICE("rpc F(A) returns (B); rpc G(A) returns (B);") " service T { }", NULL},
    {"other texts for people", FIELD("label: \"A\", widget: \"tel\""), FIELD("label: \"B\", example: \"x\""),
     NULL},
    {"another order", "message M { string a = 1; string b = 2; }",
     "message M { string b = 2; string a = 1; }", NULL},
    {"looser validation", FIELD("required: true, max_length: 9, pattern: \"email\""), FIELD("max_length: 10"),
     NULL},
    {"one more event caused", COMMAND("1.0", "", ""), COMMAND("1.0", ", causes: [\"E\"]", ""), NULL},
    {"a field that becomes personal", FIELD(""), FIELD("personal: true"), NULL},
    {"a JSON form where there was none", BINARY "message M { string a = 1; }", "message M { string a = 1; }",
     NULL},
    /* a higher version makes another meaning fine */
    {"another subject, bumped", EVENT(", subject: \"m/{a}\""), EVENT_1_1(", subject: \"n/{a}\""), NULL},
    {"no longer personal, bumped", COMMAND("1.0", "", "personal: true"), COMMAND("1.1", "", ""), NULL},
    {"1.10 is above 1.9", COMMAND("1.9", "", "personal: true"), COMMAND("1.10", "", ""), NULL},
    /* bytes and JSON: no version helps */
    {"a removed field", "message M { string a = 1; string b = 2; }", "message M { string a = 1; }",
     "M.b: was field 2, is gone [field-removed: "},
    {"a removed and reserved field", "message M { string a = 1; }", "message M { reserved 1; }",
     "M.a: was field 1, is gone [field-removed: "},
    {"a removed field, bumped", COMMAND("1.0", "", ""),
     "message E { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", "
     "topic: \"t\"}; } message M { option (message) = {kind: COMMAND, title: \"T\", schema_version: "
     "\"2.0\", producer: \"P\"}; string a = 1; }",
     "M.n: was field 2, is gone [field-removed: "},
    {"a renumbered field", "message M { string a = 1; }", "message M { string a = 2; }",
     "M.a: was field 1, is field 2 [field-renumbered: "},
    {"two fields that change places", "message M { string a = 1; string b = 2; }",
     "message M { string a = 2; string b = 1; }", "M.b: was field 2, is field 1 [field-renumbered: "},
    {"a renamed field", "message M { string a = 1; }", "message M { string b = 1; }",
     "M.a: field 1 is now called b (in JSON b) [field-renamed: "},
    {"another JSON name", "message M { string a = 1; }", "message M { string a = 1 [json_name = \"x\"]; }",
     "M.a: field 1 is now called a (in JSON x) [field-renamed: "},
    {"another type", "message M { int32 a = 1; }", "message M { int64 a = 1; }",
     "M.a: was int32, is int64 [field-type: "},
    {"bytes for a text", "message M { string a = 1; }", "message M { bytes a = 1; }",
     "M.a: was string, is bytes [field-type: "},
    {"another message", "message A { } message B { } message M { A a = 1; }",
     "message A { } message B { } message M { B a = 1; }",
     "M.a: was .events.v1.A, is .events.v1.B [field-type: "},
    {"another JSON type", NUMBER("decimal_string: true"), NUMBER(""),
     "M.a: was a string in JSON, is a number [field-type: "},
    {"a list", "message M { string a = 1; }", "message M { repeated string a = 1; }",
     "M.a: was single, is repeated [field-cardinality: "},
    {"no list", "message M { repeated string a = 1; }", "message M { string a = 1; }",
     "M.a: was repeated, is single [field-cardinality: "},
    {"into a oneof", BINARY "message M { string a = 1; }", BINARY "message M { oneof o { string a = 1; } }",
     "M.a: was single, is o [field-cardinality: "},
    {"a removed message", "message M { } message N { }", "message N { }",
     "events.v1.M: is gone [message-removed: "},
    {"no JSON form", "message M { string a = 1; }", BINARY "message M { string a = 1; }",
     "M: its file is binary_only now [json-removed: "},
    {"a removed enum", "enum E { E_X = 0; }", "message M { }", "events.v1.E: is gone [enum-removed: "},
    {"a removed value", "enum E { E_X = 0; E_Y = 1; }", "enum E { E_X = 0; }",
     "events.v1.E: E_Y = 1 is gone [enum-value: "},
    {"a renumbered value", "enum E { E_X = 0; E_Y = 1; }", "enum E { E_X = 0; E_Y = 2; }",
     "events.v1.E: E_Y was 1, is 2 [enum-value: "},
    {"a removed service", SERVICE(""), "message A { } message B { }",
     "events.v1.S: is gone [service-removed: "},
    {"a removed call", SERVICE("rpc F(A) returns (B);"), SERVICE(""), "S.F: is gone [rpc-removed: "},
    {"a call with another request", SERVICE("rpc F(A) returns (B);"), SERVICE("rpc F(B) returns (B);"),
     "S.F: took .events.v1.A, takes .events.v1.B [rpc-type: "},
    {"a call with another answer", SERVICE("rpc F(A) returns (B);"), SERVICE("rpc F(A) returns (A);"),
     "S.F: returned .events.v1.B, returns .events.v1.A [rpc-type: "},
    {"a call that streams", SERVICE("rpc F(A) returns (B);"), SERVICE("rpc F(A) returns (stream B);"),
     "S.F: its streams have changed [rpc-type: "},
    /* validation: no version helps */
    {"a new required field", "message M { string a = 1; }",
     "message M { string a = 1; string b = 2 [(field) = {required: true}]; }",
     "M.b: is new and required [new-required: "},
    {"a field that becomes required", COMMAND("1.0", "", ""), COMMAND("1.1", "", "required: true"),
     "M.a: was optional, is required [new-required: "},
    {"a shorter text", FIELD("max_length: 10"), FIELD("max_length: 9"),
     "M.a: max_length was 10, is 9 [tightened: "},
    {"a limit where there was none", FIELD(""), FIELD("max_length: 9"),
     "M.a: max_length was 0 (none), is 9 [tightened: "},
    {"a pattern where there was none", FIELD(""), FIELD("pattern: \"email\""),
     "M.a: pattern was \"\", is \"email\" [tightened: "},
    {"another pattern", FIELD("pattern: \"email\""), FIELD("pattern: \"phone\""),
     "M.a: pattern was \"email\", is \"phone\" [tightened: "},
    {"no more line breaks", FIELD("multiline: true"), FIELD(""),
     "M.a: may no longer hold line breaks [tightened: "},
    {"only ids", NUMBER(""), NUMBER("id: true"), "M.a: was any number, is an id [tightened: "},
    /* meaning, without a higher version */
    {"another kind", EVENT(""),
     "message M { option (message) = {kind: COMMAND, title: \"T\", schema_version: \"1.0\", producer: \"P\", "
     "topic: \"t\"}; int64 a = 1; string b = 2; }",
     "M: kind: was an event, is a command [meaning: "},
    {"no kind", EVENT(""),
     "message M { option (message) = {schema_version: \"1.0\"}; int64 a = 1; string b = 2; }",
     "M: kind: was an event, is neither command nor event [meaning: "},
    {"another subject", EVENT(", subject: \"m/{a}\""), EVENT(", subject: \"n/{a}\""),
     "M: subject was \"m/{a}\", is \"n/{a}\" [meaning: "},
    {"another topic", EVENT(""),
     "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", "
     "topic: \"u\"}; int64 a = 1; string b = 2; }",
     "M: topic was \"t\", is \"u\" [meaning: "},
    {"another producer", EVENT(""),
     "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"Q\", "
     "topic: \"t\"}; int64 a = 1; string b = 2; }",
     "M: producer was \"P\", is \"Q\" [meaning: "},
    {"an event that ends its subject now", EVENT(", subject: \"m/{a}\""),
     EVENT(", subject: \"m/{a}\", ends_subject: true"), "M: ends_subject was false, is true [meaning: "},
    {"JSON by hand now", EVENT(""), EVENT(", custom_json: true"),
     "M: custom_json was false, is true [meaning: "},
    {"one event less caused", COMMAND("1.0", ", causes: [\"E\"]", ""), COMMAND("1.0", "", ""),
     "M: causes E no longer [meaning: "},
    {"no longer personal", COMMAND("1.0", "", "personal: true"), COMMAND("1.0", "", ""),
     "M.a: personal: no longer [meaning: "},
    {"no longer personal, in a view", FIELD("personal: true"), FIELD(""),
     "M.a: personal: no longer [meaning: "},
    {"other trimming", FIELD("trim: true"), FIELD(""), "M.a: trim: has changed [meaning: "},
    {"no id any more", NUMBER("id: true"), NUMBER(""), "M.a: id: no longer [meaning: "},
    {"other empty members", FIELD(""), FIELD("omit_empty: true"), "M.a: omit_empty: has changed [meaning: "},
    {"a lower version", EVENT_1_1(""), EVENT(""),
     "M: schema_version was \"1.1\", is \"1.0\" [version-back: "},
};

/* Its exit code, and what it said. */
static int run(const char *shell, Buf *said) {
    FILE *pipe = popen(shell, "r");
    REQUIRE(pipe != NULL);
    char part[512];
    for (size_t got; (got = fread(part, 1, sizeof part, pipe)) > 0;) buf_append(said, part, got);
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_proto(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/test.proto", folder, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fprintf(file, "syntax = \"proto3\"; package events.v1; import \"events/v1/options.proto\";\n%s\n", text);
    fclose(file);
}

static int compare(const char *folder, const char *was, const char *is, Buf *said) {
    AUTO_BUF shell = {0};
    write_proto(folder, "was", was);
    write_proto(folder, "is", is);
    buf_printf(&shell, "exec 2>&1; cd %s || exit 9; ", folder);
    for (const char *const *name = (const char *const[]){"was", "is", NULL}; *name; name++)
        buf_printf(&shell,
                   "%s --include_imports --descriptor_set_out=%s.binpb -I%s -I%s -I/usr/include test.proto "
                   "2>%s.log || { cat %s.log; exit 9; }; ",
                   PROTOC, *name, *name, PROTO_ROOT, *name, *name);
    buf_printf(&shell, "%s was.binpb is.binpb%c", COMPAT, 0);
    return run(shell.at, said);
}

static bool holds(const Buf *text, const char *part) {
    return text->len && memmem(text->at, text->len, part, strlen(part)) != NULL;
}

static void rules(void) {
    const char *folder = test_folder();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF said = {0};
        int code = compare(folder, CASES[i].was, CASES[i].is, &said);
        bool good = CASES[i].want ? code == 1 && holds(&said, CASES[i].want) : code == 0 && !said.len;
        if (!good) printf("\n    %s: %d %.*s", CASES[i].name, code, SPAN_ARGS(buf_view(&said)));
        CHECK(good);
    }
}

static void all_faults_at_once(void) {
    AUTO_BUF said = {0};
    CHECK(compare(test_folder(), "message M { string a = 1; string b = 2; int32 c = 3; } message N { }",
                  "message M { string b = 9; int64 c = 3; string d = 4 [(field) = {required: true}]; }",
                  &said) == 1);
    static const char *const WANTED[] = {"M.a: was field 1, is gone", "M.b: was field 2, is field 9",
                                         "M.c: was int32, is int64", "M.d: is new and required",
                                         "events.v1.N: is gone"};
    size_t lines = 0;
    for (size_t i = 0; i < said.len; i++) lines += said.at[i] == '\n';
    CHECK(lines == COUNT(WANTED));
    for (size_t i = 0; i < COUNT(WANTED); i++) CHECK(holds(&said, WANTED[i]));
}

/* With the files of this repository as they are, and with a sed script run over a copy of them. */
static int check_repository(const char *folder, const char *script, Buf *said) {
    AUTO_BUF shell = {0};
    buf_printf(&shell,
               "exec 2>&1; cd %s || exit 9; cp -r %s/events . && sed -i '%s' events/v1/*.proto || exit 9; "
               "%s --include_imports --descriptor_set_out=now.binpb -I. -I/usr/include events/v1/*.proto || "
               "exit 9; "
               "%s \"$(ls %s/released/*.binpb | sort -V | tail -n 1)\" now.binpb%c",
               folder, PROTO_ROOT, script, PROTOC, COMPAT, PROTO_ROOT, 0);
    return run(shell.at, said);
}

static void the_contract_of_this_repository(void) {
    static const struct {
        const char *script, *want;
    } CHANGES[] = {
        {"", NULL},
        /* version 1.1 of an event: an optional field more, as in tests/e2e/34_versions.test.mjs */
        {"/^message ProspectCreated /,/^}/{s/schema_version: \"1.0\"/schema_version: \"1.1\"/;"
         "s/int64 version = 7;/&\\n  string nickname = 8 [(field) = {personal: true}];/}",
         NULL},
        {"/^message ProspectCreated /,/^}/{/string email = 4/d}",
         "ProspectCreated.email: was field 4, is gone [field-removed: "},
        {"/^message CreateProspect /,/^}/{s/max_length: 4000/max_length: 400/}",
         "CreateProspect.notes: max_length was 4000, is 400 [tightened: "},
        {"/^message ProspectUpdated /,/^}/{s/subject: \".*\"/subject: \"person\\/{prospect_id}\"/}",
         "ProspectUpdated: subject was \"prospect/{prospect_id}\", is \"person/{prospect_id}\" [meaning: "},
    };
    const char *folder = test_folder();
    for (size_t i = 0; i < COUNT(CHANGES); i++) {
        AUTO_BUF said = {0};
        int code = check_repository(folder, CHANGES[i].script, &said);
        bool good = CHANGES[i].want ? code == 1 && holds(&said, CHANGES[i].want) : code == 0;
        if (!good) printf("\n    %s: %d %.*s", CHANGES[i].script, code, SPAN_ARGS(buf_view(&said)));
        CHECK(good);
    }
}

static void sets_that_cannot_be_read(void) {
    AUTO_BUF said = {0};
    CHECK(run("exec 2>&1; " COMPAT " /nowhere.binpb /nowhere.binpb", &said) == 69);
    CHECK(holds(&said, "/nowhere.binpb: is no descriptor set"));
    CHECK(run("exec 2>&1; " COMPAT, &said) == 64);
}

SUITE("compat", TEST(rules), TEST(all_faults_at_once), TEST(the_contract_of_this_repository),
      TEST(sets_that_cannot_be_read));
