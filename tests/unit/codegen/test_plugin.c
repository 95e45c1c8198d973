/* The plugin as protoc runs it: what it refuses, and what it makes of a good file. */
#include "kit/test.h"

#include "base/buf.h"
#include <stdio.h>

#define EVENT                                                                                                \
    "option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", topic: \"t\""
#define COMMAND "option (message) = {kind: COMMAND, title: \"T\", schema_version: \"1.0\", producer: \"P\""

#define ID "string command_id = 9; "

typedef struct Case {
    const char *name, *proto, *want; /* want NULL: accepted; else a part of protoc's message */
} Case;

static const Case CASES[] = {
    {"nothing special", "message M { string a = 1; int64 b = 2; repeated string c = 3; }", NULL},
    {"subject", "message M { " EVENT ", subject: \"m/{a}/{b}\"}; string a = 1; int64 b = 2; }", NULL},
    {"personal subject",
     "message M { " EVENT ", subject: \"m/{a}\"}; string a = 1 [(field) = {personal: true}]; }",
     "M.a: a personal field must not be part of the subject"},
    {"subject of nothing", "message M { " EVENT ", subject: \"m/{x}\"}; string a = 1; }", "names a field x"},
    {"open subject", "message M { " EVENT ", subject: \"m/{a\"}; string a = 1; }", "a { without }"},
    {"subject of bytes", "message M { " EVENT ", subject: \"m/{a}\"}; bytes a = 1; }", "M.a: cannot be part"},
    {"event without topic",
     "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\"}; "
     "}",
     "M: an event needs a topic"},
    {"topic with a field in it",
     "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.0\", producer: \"P\", "
     "topic: \"t-{a}\"}; string a = 1 [(field) = {personal: true}]; }",
     "M: an event needs a topic of small letters"},
    {"version with a field in it",
     "message M { option (message) = {kind: EVENT, title: \"T\", schema_version: \"1.{a}\", producer: \"P\", "
     "topic: \"t\"}; string a = 1; }",
     "M: the schema_version must be two numbers"},
    {"command without an id", "message M { " COMMAND "}; }", "M: a command needs a field: string command_id"},
    {"command with a number as its id", "message M { " COMMAND "}; int64 command_id = 1; }",
     "M: a command needs a field: string command_id"},
    {"command without title", "message M { option (message) = {kind: COMMAND}; }",
     "M: a command or event needs"},
    {"producer with a space",
     "message M { option (message) = {kind: COMMAND, title: \"T\", schema_version: \"1.0\", producer: \"A "
     "B\"}; }",
     "M: the producer must be a name"},
    {"causes an event", "message C { " COMMAND ", causes: [\"M\"]}; " ID "} message M { " EVENT "}; }", NULL},
    {"causes no event", "message C { " COMMAND ", causes: [\"M\"]}; " ID "} message M { }",
     "C: causes M, which is no event"},
    {"ends its subject", "message M { " EVENT ", subject: \"m/{a}\", ends_subject: true}; string a = 1; }",
     NULL},
    {"ends no subject", "message M { " EVENT ", ends_subject: true}; string a = 1; }",
     "M: only an event with a subject can end it"},
    {"command that ends",
     "message M { " COMMAND ", subject: \"m/{a}\", ends_subject: true}; string a = 1; " ID "}",
     "M: only an event with a subject can end it"},
    {"unknown pattern", "message M { string a = 1 [(field) = {pattern: \"zip\"}]; }",
     "M.a: this pattern is not known"},
    {"text pattern on a number", "message M { int64 a = 1 [(field) = {pattern: \"email\"}]; }",
     "M.a: this pattern"},
    {"label of two lines", "message M { string a = 1 [(field) = {label: \"a\\nb\"}]; }",
     "M.a: a label must be one line"},
    {"title of two lines",
     "message M { option (message) = {kind: COMMAND, title: \"a\\rb\", schema_version: \"1.0\", producer: "
     "\"P\"}; }",
     "M: the title must be one line"},
    {"unknown widget", "message M { string a = 1 [(field) = {widget: \"knob\"}]; }",
     "M.a: this widget is not known"},
    {"example of a number", "message M { int64 a = 1 [(field) = {example: \"1\"}]; }",
     "M.a: only texts can have an example"},
    {"id on a text", "message M { string a = 1 [(field) = {id: true}]; }",
     "M.a: id and decimal_string are for"},
    {"length of a number", "message M { int64 a = 1 [(field) = {max_length: 3}]; }", "M.a: max_length, trim"},
    {"required list", "message M { repeated string a = 1 [(field) = {required: true}]; }",
     "M.a: only texts, ids"},
    {"required list of messages",
     "message A { } message M { repeated A a = 1 [(field) = {required: true}]; }", "M.a: only texts, ids"},
    {"required flag", "message M { bool a = 1 [(field) = {required: true}]; }", "M.a: only texts, ids"},
    {"optional", "message M { optional string a = 1; }", "M.a: leave out `optional`"},
    {"capital in a name", "message M { string firstName = 1; }",
     "M.firstName: a name must be of small letters"},
    {"name that C has", "message M { string linux = 1; }", "M.linux: this name means something else in C"},
    {"name of protobuf-c", "message M { string base = 1; }", "M.base: this name means something else in C"},
    {"JSON name with a quote", "message M { string a = 1 [json_name = \"a\\\"b\"]; }",
     "M.a: its JSON name must be"},
    {"JSON name with a dollar", "message M { string a = 1 [json_name = \"$unknown\"]; }",
     "M.a: its JSON name must be"},
    {"limits of a list", "message M { repeated string a = 1 [(field) = {max_length: 9, trim: true}]; }",
     NULL},
    {"oneof in JSON", "message M { oneof o { string a = 1; } }", "M.a: a oneof has no JSON form"},
    {"oneof in binary", "option (file) = {binary_only: true}; message M { oneof o { string a = 1; } }", NULL},
    {"double", "message M { double a = 1; }", "M.a: this type has no JSON form"},
    {"list of numbers", "message M { repeated int64 a = 1; }",
     "M.a: only texts and messages can be repeated"},
    {"command as a call",
     "message C { " COMMAND "}; " ID "} message CommandOutcome {} message R { C command = 1; bool wait = 2; }"
     " service S { rpc C(R) returns (CommandOutcome); }",
     NULL},
    {"command that cannot wait",
     "message C { " COMMAND "}; " ID
     "} message CommandOutcome {} message R { C command = 1; string wait = 2; }"
     " service S { rpc C(R) returns (CommandOutcome); }",
     "S.C: a command's request has a bool wait"},
    {"command with another answer",
     "message C { " COMMAND "}; " ID
     "} message R { C command = 1; bool wait = 2; } service S { rpc C(R) returns (R); }",
     "S.C: a command returns one CommandOutcome"},
    {"stream of commands",
     "message C { " COMMAND "}; " ID "} message CommandOutcome {} message R { C command = 1; bool wait = 2; }"
     " service S { rpc C(stream R) returns (CommandOutcome); }",
     "S.C: a command returns one CommandOutcome"},
    {"unknown scope",
     "message M { } service S { rpc Do(M) returns (M) { option (method) = {scope: \"all\"}; } }",
     "S.Do: this scope is not known"},
    {"map", "message M { map<string, string> a = 1; }", "types inside messages and maps"},
};

/* Runs protoc on the text; its exit code, and what it said. */
static int run_protoc(const char *folder, const char *emitters, const char *proto, Buf *said) {
    AUTO_BUF command = {0};
    buf_printf(&command, "%s/test.proto", folder);
    buf_byte(&command, 0);
    FILE *file = fopen(command.at, "w");
    REQUIRE(file != NULL);
    fprintf(file,
            "syntax = \"proto3\"; package events.v1; import \"events/v1/options.proto\"; import "
            "\"google/protobuf/timestamp.proto\";\n%s\n",
            proto);
    fclose(file);
    buf_clear(&command);
    buf_printf(&command,
               "%s --plugin=protoc-gen-events=%s --events_out=%s:%s -I%s -I%s -I/usr/include test.proto 2>&1",
               PROTOC, PLUGIN, emitters, folder, folder, PROTO_ROOT);
    buf_byte(&command, 0);
    FILE *pipe = popen(command.at, "r");
    REQUIRE(pipe != NULL);
    char part[512];
    for (size_t got; (got = fread(part, 1, sizeof part, pipe)) > 0;) buf_append(said, part, got);
    return pclose(pipe);
}

static bool holds(const Buf *text, const char *part) {
    return memmem(text->at, text->len, part, strlen(part)) != NULL;
}

static void refusals(void) {
    const char *folder = test_folder();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO_BUF said = {0};
        int code = run_protoc(folder, "c", CASES[i].proto, &said);
        bool good = CASES[i].want ? code != 0 && said.len && holds(&said, CASES[i].want) : code == 0;
        if (!good) printf("\n    %s: %d %.*s", CASES[i].name, code, SPAN_ARGS(buf_view(&said)));
        CHECK(good);
    }
}

/* Names and types that a contract of the future may have: what is made of them must be C. */
static void generated_code_compiles(void) {
    static const char PROTO[] =
        "enum E { option allow_alias = true; E_NONE = 0; E_ONE = 1; E_UNO = 1; }\n"
        "message HTTPSeenE2E { " EVENT
        ", subject: \"x/{class}/{default}\"}; string class = 1 [(field) = {required: "
        "true}]; int64 default = 2; repeated string new = 3; E enum = 4 [(field) = {required: true}]; }\n"
        "message Tree { repeated Tree int = 1; Tree this = 2 [(field) = {required: true}]; string a_b_c1 = "
        "3; }\n"
        "message Do { " COMMAND "}; " ID "bool a = 1; bytes b = 2; int32 c = 3; uint32 d = 4; int64 e = 5;\n"
        "  google.protobuf.Timestamp f = 6 [(field) = {required: true}]; Tree g = 7; repeated HTTPSeenE2E h "
        "= 8;\n"
        "  string i = 10 [(field) = {omit_empty: true, label: \"\\\"<\\\\\"}]; }\n"
        "message X { " EVENT "}; }\n";
    const char *folder = test_folder();
    AUTO_BUF said = {0}, command = {0};
    REQUIRE(run_protoc(folder, "c", PROTO, &said) == 0);
    buf_printf(&command,
               "cd %s && " PROTOC_C " --c_out=. -I. -I" PROTO_ROOT
               " -I/usr/include test.proto && for f in registry json "
               "validate; do " CC
               " -std=gnu17 -fsyntax-only -Wall -Wextra -Werror -Wno-missing-field-initializers -I. "
               "-I" SOURCES " -I" GEN " events/v1/contract_$f.c || exit 1; done 2>&1%c",
               folder, 0);
    FILE *pipe = popen(command.at, "r");
    REQUIRE(pipe != NULL);
    char part[512];
    for (size_t got; (got = fread(part, 1, sizeof part, pipe)) > 0;) fwrite(part, 1, got, stdout);
    CHECK(pclose(pipe) == 0);
}

static void read_file(const char *folder, const char *name, Buf *out) {
    char path[256], part[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    for (size_t got; (got = fread(part, 1, sizeof part, file)) > 0;) buf_append(out, part, got);
    fclose(file);
}

static void forms(void) {
    static const char PROTO[] =
        "message AddPet {\n"
        "  " COMMAND ", subject: \"pet/{pet_id}\"};\n"
        "  int64 pet_id = 1 [(field) = {id: true, required: true, widget: \"hidden\"}];\n"
        "  string pet_name = 2 [(field) = {required: true, max_length: 40, trim: true}];\n"
        "  string mail = 3 [(field) = {pattern: \"email\", personal: true, label: \"E-mail\", widget: "
        "\"email\"}];\n"
        "  int64 expected_version = 4 [(field) = {required: true, pattern: \"version\"}];\n"
        "  string command_id = 5;\n"
        "  Kind kind = 6; repeated string names = 7; Tree tree = 8; bool tame = 9;\n"
        "}\n"
        "enum Kind { KIND_UNSPECIFIED = 0; KIND_DOG = 1; KIND_OLD_CAT = 2; }\n"
        "message Tree { string leaf = 1; repeated Tree kids = 2; }\n"
        "message Other { string a = 1; }\n";
    const char *folder = test_folder();
    AUTO_BUF said = {0}, text = {0};
    REQUIRE(run_protoc(folder, "ts", PROTO, &said) == 0);
    read_file(folder, "forms.ts", &text);
    static const char *const PARTS[] = {
        "title: \"T\", name: \"AddPet\", kind: \"command\", schemaVersion: \"1.0\", subject: "
        "\"pet/{pet_id}\", endsSubject: false, ",
        "{ name: \"petId\", label: \"Pet id\", widget: \"hidden\", type: \"id\", required: true, trim: "
        "false, "
        "multiline: false, personal: false }",
        "{ name: \"petName\", label: \"Pet name\", widget: \"text\", type: \"string\", required: true, "
        "maxLength: 40, "
        "trim: true, multiline: false, personal: false }",
        "{ name: \"mail\", label: \"E-mail\", widget: \"email\", type: \"string\", required: false, pattern: "
        "\"email\", "
        "trim: false, multiline: false, personal: true }",
        "{ name: \"expectedVersion\", label: \"Expected version\", widget: \"text\", type: \"int64\", "
        "required: true, pattern: \"version\", "
        "trim: false, multiline: false, personal: false }",
        "label: \"Kind\", widget: \"text\", type: \"enum\", required: false, trim: false, multiline: false, "
        "personal: "
        "false, values: [\"dog\", \"old_cat\"] },",
        "label: \"Names\", widget: \"text\", type: \"string\", required: false, trim: false, multiline: "
        "false, "
        "personal: false, repeated: true },",
        "label: \"Tree\", widget: \"text\", type: \"message\", required: false, trim: false, multiline: "
        "false, "
        "personal: false, fields: [{ name: \"leaf\",",
        "label: \"Kids\", widget: \"text\", type: \"message\", required: false, trim: false, multiline: "
        "false, "
        "personal: false, repeated: true }] },", /* no end otherwise */
    };
    for (size_t i = 0; i < COUNT(PARTS); i++) CHECK(holds(&text, PARTS[i]));
    CHECK(!holds(&text, "Other"));
}

/* Of a contract with one command and one event: nothing else is needed. */
static void documents(void) {
    static const char PROTO[] =
        "// Takes a pet in.\n"
        "message AddPet {\n"
        "  " COMMAND ", causes: [\"PetAdded\"]};\n"
        "  string pet_name = 1 [(field) = {required: true, max_length: 40, trim: "
        "true, personal: true, example: "
        "\"Rex\"}]; // as called\n"
        "  string command_id = 2;\n"
        "  uint32 legs = 3;\n"
        "  Kind kind = 4 [(field) = {required: true}];\n"
        "  google.protobuf.Timestamp born_at = 5 [(field) = {required: true}];\n"
        "  Home home = 6;\n"
        "}\n"
        "enum Kind { KIND_UNSPECIFIED = 0; KIND_DOG = 1; }\n"
        "message Home { string street = 1; }\n"
        "message PetAdded { " EVENT ", subject: \"pet/{pet_id}\"}; int64 pet_id = 1 [(field) = {id: true}];"
        " Kind kind = 2; google.protobuf.Timestamp born_at = 3; Home home = 4; "
        "repeated Home former = 5; }\n"
        "service Pets {\n  // Tells of pets.\n  rpc Watch(AddPet) returns (stream PetAdded)"
        " { option (method) = {scope: \"prospects:read\"}; }\n}\n";
    static const struct {
        const char *file, *part;
    } WANTED[] = {
        {"openapi.json", "\"/api/commands/AddPet\":{\"post\":{\"operationId\":\"commandAddPet\""},
        {"openapi.json", "\"x-causes\":[\"PetAdded\"]"},
        {"openapi.json", "\"title\":\"Home\",\"$ref\":\"#/components/schemas/HomeInput\"}"},
        {"openapi.json", "\"HomeInput\":{\"title\":\"Home\",\"type\":\"object\",\"properties\":{"},
        {"openapi.json", "\"Home\":{\"title\":\"Home\",\"type\":\"object\",\"required\":[\"street\"],"},
        {"asyncapi.json", "\"t\":{\"address\":\"t\""},
        {"asyncapi.json", "\"subject\":\"pet/12345\""},
        {"schemas/AddPet.json", "\"description\":\"Takes a pet in.\""},
        {"schemas/AddPet.json", "\"required\":[\"petName\",\"kind\",\"bornAt\"]"},
        {"schemas/AddPet.json",
         "\"title\":\"Legs\",\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295}"},
        {"schemas/AddPet.json", "\"title\":\"Kind\",\"type\":\"string\",\"enum\":[\"dog\"]}"},
        {"schemas/AddPet.json", "\"title\":\"Born at\",\"type\":\"string\",\"format\":\"date-time\"}"},
        /* what we write of something absent */
        {"schemas/PetAdded.json",
         "\"title\":\"Kind\",\"type\":\"string\",\"enum\":[\"unspecified\",\"dog\"]}"},
        {"schemas/PetAdded.json",
         "\"anyOf\":[{\"type\":\"string\",\"format\":\"date-time\"},{\"type\":\"null\"}]"},
        {"schemas/PetAdded.json", "\"anyOf\":[{\"$ref\":\"#/$defs/Home\"},{\"type\":\"null\"}]"},
        {"schemas/PetAdded.json", "\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/Home\"}"},
        {"schemas/AddPet.json", "\"description\":\"as called\",\"x-personal-data\":true"},
        {"schemas/AddPet.json", "\"additionalProperties\":false,\"$defs\":{\"Home\":{\"title\":\"Home\","},
        {"schemas/AddPet.json", "\"examples\":[{\"petName\":\"Rex\","},
        {"schemas/PetAdded.json", "\"maximum\":9007199254740991"},
        {"docs.html", "<section class=\"message\" id=\"AddPet\""},
        {"docs.html", "<code>Watch</code><br><span class=\"quiet\">Tells of pets.</span>"},
        {"docs.html", "stream of <code>PetAdded</code></td><td><code>prospects:read</code>"},
        {"docs.html", "<dt>Caused by</dt><dd><a href=\"#AddPet\">"},
    };
    const char *folder = test_folder();
    AUTO_BUF said = {0};
    REQUIRE(run_protoc(folder, "docs", PROTO, &said) == 0);
    for (size_t i = 0; i < COUNT(WANTED); i++) {
        AUTO_BUF text = {0};
        read_file(folder, WANTED[i].file, &text);
        bool good = holds(&text, WANTED[i].part);
        if (!good) printf("\n    %s lacks %s", WANTED[i].file, WANTED[i].part);
        CHECK(good);
    }
}

static void unknown_emitter(void) {
    AUTO_BUF said = {0};
    CHECK(run_protoc(test_folder(), "c,cobol", "message M { }", &said) != 0);
    CHECK(holds(&said, "unknown emitter \"cobol\""));
}

SUITE("plugin", TEST(refusals), TEST(generated_code_compiles), TEST(forms), TEST(documents),
      TEST(unknown_emitter));
