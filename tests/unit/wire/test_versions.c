/* Programs of two versions side by side: what one does not know it passes on, and what the other one did not
 * know finds its place again. Since only one version of the contract is compiled in, the older relay is
 * played by its JSON: of the fields that it does not know it writes "$unknown". */
#include "kit/test.h"

#include "events/v1/prospect.pb-c.h"
#include "events/v1/rest.pb-c.h"
#include "wire/cloudevents/cloudevent.h"
#include "wire/envelope.h"
#include "wire/envelope_json.h"
#include "wire/message.h"
#include <stdio.h>

/* The data of an event of this type as packed bytes; nothing where it cannot be read. */
static bool read_data(const char *type, const char *json, Arena *arena, Span *ret) {
    Events__V1__Envelope *e = arena_alloc(arena, sizeof *e);
    events__v1__envelope__init(e);
    e->event_type = message_text(type);
    FieldFaults faults = {0};
    size_t unknown = 0;
    bool ok = envelope_data_from_json(e, span_of(json), arena, &faults, &unknown);
    *ret = span_bytes(e->data.data, e->data.len);
    return ok && unknown == 0;
}

static const struct {
    const char *name, *type;
    const char *newer; /* JSON of who knows all fields */
    const char *older; /* the same event, of who does not */
} HOPS[] = {
    {"a list", "ProspectUpdated", "{\"prospectId\":7,\"version\":2,\"changedFields\":[\"phone\",\"email\"]}",
     "{\"prospectId\":7,\"version\":2,\"$unknown\":\"QgVwaG9uZUIFZW1haWw=\"}"},
    {"a text and a number, in front", "ProspectCreated",
     "{\"prospectId\":7,\"firstName\":\"Ada\",\"version\":1}",
     "{\"$unknown\":\"EgNBZGE4AQ==\",\"prospectId\":7}"},
    {"all of it", "ProspectCreated", "{\"prospectId\":7,\"firstName\":\"Ada\",\"version\":1}",
     "{\"$unknown\":\"CAcSA0FkYTgB\"}"},
    {"inside a message inside", "CommandRejected",
     "{\"commandId\":\"c\",\"errors\":[{\"field\":\"email\",\"code\":\"required\"}]}",
     "{\"commandId\":\"c\",\"errors\":[{\"field\":\"email\",\"$unknown\":\"EghyZXF1aXJlZA==\"}]}"},
    {"beside what nobody knows", "ProspectCreated", "{\"prospectId\":7,\"version\":1,\"$unknown\":\"oAYF\"}",
     "{\"prospectId\":7,\"$unknown\":\"OAGgBgU=\"}"},
};

static void an_older_relay_loses_nothing(void) {
    for (size_t i = 0; i < COUNT(HOPS); i++) {
        AUTO(Arena) arena = arena_new(0);
        Span newer, older;
        bool same = read_data(HOPS[i].type, HOPS[i].newer, arena, &newer) &&
                    read_data(HOPS[i].type, HOPS[i].older, arena, &older) && span_equal(newer, older);
        if (!same) printf("\n    %s", HOPS[i].name);
        CHECK(same && newer.len > 0);
    }
}

static void what_is_put_back_keeps_the_rules(void) {
    static const char *const BROKEN[] = {
        "{\"$unknown\":\"EgH/\"}", /* first_name: no UTF-8 */
        "{\"$unknown\":\"EgEA\"}", /* first_name: NUL */
        "{\"$unknown\":\"EAE=\"}", /* first_name: a number */
        "{\"$unknown\":\"EgVB\"}", /* cut */
        "{\"$unknown\":\"?\"}",    /* no base64 */
    };
    for (size_t i = 0; i < COUNT(BROKEN); i++) {
        AUTO(Arena) arena = arena_new(0);
        Span data;
        CHECK(!read_data("ProspectCreated", BROKEN[i], arena, &data));
    }
}

static bool read_envelope(const char *json, Arena *arena) {
    const MessageType *type = message_type(SPAN("Envelope"));
    JsonReader r = json_reader(span_of(json), arena);
    FieldFaults faults = {0};
    r.lenient = true;
    ProtobufCMessage *e = message_new(type, arena);
    return json_next(&r) == JSON_OBJECT && type->from_json(&r, e, arena, &faults) && !faults.count;
}

static void nobody_changes_the_tenant_that_way(void) {
    AUTO(Arena) arena = arena_new(0);
    CHECK(read_envelope("{\"tenantId\":\"a\",\"$unknown\":\"oAYF\"}", arena));
    CHECK(!read_envelope("{\"tenantId\":\"a\",\"$unknown\":\"UgFi\"}", arena)); /* field 10: tenant b */
}

static void enums_of_a_newer_version(void) {
    static const struct {
        const char *json;
        bool lenient, good;
        int want;
        size_t unknown;
    } CASES[] = {
        {"{\"status\":\"rejected\"}", true, true, 3, 0},
        {"{\"status\":77}", true, true, 77, 0}, /* as json_enum() of an older relay writes it */
        {"{\"status\":\"postponed\"}", true, true, 0, 1},
        {"{\"status\":3000000000}", true, false, 0, 0},
        {"{\"status\":true}", true, false, 0, 0},
        {"{\"status\":77}", false, false, 0, 0},
        {"{\"status\":\"postponed\"}", false, false, 0, 0},
    };
    const MessageType *type = message_type(SPAN("CommandOutcome"));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        AUTO(Arena) arena = arena_new(0);
        JsonReader r = json_reader(span_of(CASES[i].json), arena);
        r.lenient = CASES[i].lenient;
        FieldFaults faults = {0};
        Events__V1__CommandOutcome *o = (Events__V1__CommandOutcome *)message_new(type, arena);
        REQUIRE(json_next(&r) == JSON_OBJECT && type->from_json(&r, &o->base, arena, &faults));
        CHECK((faults.count == 0) == CASES[i].good && (int)o->status == CASES[i].want);
        CHECK(r.unknown == CASES[i].unknown);
    }
}

SUITE("versions", TEST(an_older_relay_loses_nothing), TEST(what_is_put_back_keeps_the_rules),
      TEST(nobody_changes_the_tenant_that_way), TEST(enums_of_a_newer_version));
