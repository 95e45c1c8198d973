#include "domain/projection.h"

#include "events/v1/prospect.pb-c.h"
#include "kit/test.h"

static const struct {
    const char *texts[3], *want;
} WORDS[] = {
    {{"Ada", "Lovelace", "ada@example.org"}, " ada lovelace ada@example.org example.org org"},
    {{"Jean-Luc", "", "O'Neill"}, " jean-luc luc o'neill neill"},
    {{"  two  words ", "", ""}, " two words"},
    {{"", "", ""}, ""},
    {{"a1-2b", "-x-", "..."}, " a1-2b 2b -x- x- ..."},
    {{"a.b.c.d.e.f.g.h.i.j.k-l", "", ""},
     " a.b.c.d.e.f.g.h.i.j.k-l b.c.d.e.f.g.h.i.j.k-l c.d.e.f.g.h.i.j.k-l d.e.f.g.h.i.j.k-l e.f.g.h.i.j.k-l"
     " f.g.h.i.j.k-l g.h.i.j.k-l h.i.j.k-l i.j.k-l j k l"},
    {{"\xc3\x89mile",
      "Stra\xc3\x9f"
      "e",
      ""},
     " emile strasse"},
};

static void search_words(void) {
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        AUTO(Arena) arena = arena_new(0);
        Span texts[3];
        for (size_t k = 0; k < 3; k++) texts[k] = span_of(WORDS[i].texts[k]);
        CHECK_SPAN(projection_search_words(arena, texts, 3), WORDS[i].want);
    }
}

static Events__V1__Envelope event_of(const char *type, const ProtobufCMessage *data, uint8_t *room) {
    Events__V1__Envelope e = EVENTS__V1__ENVELOPE__INIT;
    e.event_id = (char *)"e1";
    e.event_type = (char *)type;
    e.tenant_id = (char *)"t";
    e.issued_by = (char *)"u";
    e.subject = (char *)"prospect/5";
    e.causation_id = (char *)"c1";
    e.correlation_id = (char *)"k1";
    e.sequence = 9;
    e.data = (ProtobufCBinaryData){data ? protobuf_c_message_pack(data, room) : 0, room};
    return e;
}

static void prospects_become_rows(void) {
    AUTO(Arena) arena = arena_new(0);
    uint8_t room[512];
    Err err = {0};
    Projected p;
    const ProspectSummary *row = &p.prospect;
    Events__V1__ProspectUpdated updated = EVENTS__V1__PROSPECT_UPDATED__INIT;
    updated.prospect_id = 5;
    updated.first_name = (char *)"Ada";
    updated.last_name = (char *)"L\xc3\xb6vel";
    updated.email = (char *)"A@x.org";
    updated.version = 4;
    Events__V1__Envelope e = event_of("ProspectUpdated", &updated.base, room);
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    at.seconds = 100;
    e.occurred_at = &at;
    REQUIRE(CHECK_OK(projection_of(&e, arena, &p, &err), &err));
    CHECK(p.has_prospect && p.has_outcome && p.outcome.status == 2 && !row->merged_into);
    CHECK(row->prospect_id == 5 && row->version == 4 && row->updated_at == 100000000);
    CHECK_SPAN(row->tenant_id, "t");
    CHECK_SPAN(row->last_name, "L\xc3\xb6vel");
    CHECK_SPAN(row->last_name_key, "lovel");
    CHECK_SPAN(row->email_key, "a@x.org");
    CHECK_SPAN(row->phone, "");

    char *long_name = arena_alloc(arena, 2002); /* no index would take it */
    updated.last_name = memset(long_name, 'x', 2001);
    uint8_t *large = arena_alloc(arena, 4096);
    e = event_of("ProspectUpdated", &updated.base, large);
    CHECK(!projection_of(&e, arena, &p, &err) && err_is(&err, &ERR_INVALID));
    err_clear(&err);
    updated.last_name = (char *)"L";
    updated.version = 0;
    e = event_of("ProspectUpdated", &updated.base, room);
    CHECK(!projection_of(&e, arena, &p, &err) && err_is(&err, &ERR_INVALID));
    err_clear(&err);
    memset(room, 0xff, sizeof room);
    e.data.len = 40;
    CHECK(!projection_of(&e, arena, &p, &err) && err_is(&err, &ERR_INVALID));
}

/* What is left of one that has gone; that its command has succeeded is said by the event behind it. */
static void merged_becomes_a_tombstone(void) {
    AUTO(Arena) arena = arena_new(0);
    uint8_t room[64];
    Err err = {0};
    Projected p;
    Events__V1__ProspectMerged merged = EVENTS__V1__PROSPECT_MERGED__INIT;
    merged.prospect_id = 5, merged.merged_into = 3, merged.version = 4;
    Events__V1__Envelope e = event_of("ProspectMerged", &merged.base, room);
    REQUIRE(CHECK_OK(projection_of(&e, arena, &p, &err), &err));
    CHECK(p.has_prospect && !p.has_outcome);
    CHECK(p.prospect.prospect_id == 5 && p.prospect.version == 4 && p.prospect.merged_into == 3);
    CHECK_SPAN(p.prospect.email, "");
    CHECK_SPAN(p.prospect.search, "");
    merged.merged_into = 0;
    e = event_of("ProspectMerged", &merged.base, room);
    CHECK(!projection_of(&e, arena, &p, &err) && err_is(&err, &ERR_INVALID));
}

static void outcomes_follow_from_events(void) {
    AUTO(Arena) arena = arena_new(0);
    uint8_t room[512];
    Err err = {0};
    Projected p;
    const OutcomeRow *row = &p.outcome;
    Events__V1__Envelope e = event_of("SomethingNew", NULL, room);
    REQUIRE(CHECK_OK(projection_of(&e, arena, &p, &err), &err));
    CHECK(p.has_outcome && !p.has_prospect && row->status == 2 && row->sequence == 9);
    CHECK_SPAN(row->command_id, "c1");
    CHECK_SPAN(row->subject, "prospect/5");
    CHECK_SPAN(row->event_id, "e1");

    e.causation_id = (char *)"";
    CHECK(projection_of(&e, arena, &p, &err) && !p.has_outcome);
    e = event_of("EventSkipped", NULL, room);
    CHECK(projection_of(&e, arena, &p, &err) && !p.has_outcome);

    Events__V1__FieldError fault = EVENTS__V1__FIELD_ERROR__INIT, *faults[] = {&fault};
    Events__V1__CommandRejected rejected = EVENTS__V1__COMMAND_REJECTED__INIT;
    fault.field = (char *)"email", fault.code = (char *)"duplicate_email",
    fault.message = (char *)"is \"taken\"";
    rejected.command_id = (char *)"c2";
    rejected.code = (char *)"duplicate_email";
    rejected.n_errors = 1, rejected.errors = faults;
    e = event_of("CommandRejected", &rejected.base, room);
    REQUIRE(CHECK_OK(projection_of(&e, arena, &p, &err), &err));
    CHECK(p.has_outcome && !p.has_prospect && row->status == 3);
    CHECK_SPAN(row->command_id, "c2");
    CHECK_SPAN(row->code, "duplicate_email");
    CHECK_SPAN(row->subject, "");
    CHECK_SPAN(row->errors,
               "[{\"field\":\"email\",\"code\":\"duplicate_email\",\"message\":\"is \\\"taken\\\"\"}]");
}

SUITE("projection", TEST(search_words), TEST(prospects_become_rows), TEST(merged_becomes_a_tombstone),
      TEST(outcomes_follow_from_events));
