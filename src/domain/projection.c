#include "domain/projection.h"

#include "base/text.h"
#include "events/v1/contract_lists.h"
#include "events/v1/prospect.pb-c.h"
#include "events/v1/rest.pb-c.h"
#include "wire/envelope.h"
#include "wire/json/json.h"
#include "wire/message.h"

typedef Events__V1__Envelope Envelope;

static bool out_of_memory(Err *err) {
    return err_set(err, &ERR_TOO_LARGE, "event: does not fit in memory");
}

/* ---- words ---- */

enum {
    SUFFIXES_MAX = 8, /* of a word; a text made of dots shall not grow with the square of its length */
    KEY_MAX = 2000,   /* bytes of a name or an e-mail: an index takes no more, and a valid one has fewer */
};

bool projection_word_part(int32_t code_point) {
    return (code_point >= '0' && code_point <= '9') || text_is_letter(code_point);
}

/* The next word at *at, without the white space before it; empty at the end. */
static Span next_word(Span text, size_t *at) {
    size_t begin = *at, end = *at;
    while (*at < text.len) {
        bool space = text_is_white_space(text_next(text, at));
        if (space && end > begin) break;
        if (space)
            begin = end = *at;
        else
            end = *at;
    }
    return (Span){text.at + begin, end - begin};
}

static size_t part_length(Span word, size_t begin) {
    size_t end = begin;
    for (size_t at = begin; at < word.len && projection_word_part(text_next(word, &at));) end = at;
    return end - begin;
}

/* The whole word is written already. */
static void add_later_parts(Span word, Buf *out) {
    size_t parts = 0;
    bool inside = true; /* what begins with the word is no later part */
    for (size_t begin = 0, at = 0; begin < word.len; begin = at) {
        bool part = projection_word_part(text_next(word, &at));
        if (part && !inside) {
            buf_byte(out, ' ');
            buf_append(out, word.at + begin,
                       parts++ < SUFFIXES_MAX ? word.len - begin : part_length(word, begin));
        }
        inside = part;
    }
}

Span projection_search_words(Arena *arena, const Span *texts, size_t count) {
    AUTO_BUF out = {0};
    for (size_t i = 0; i < count; i++) {
        Span text = text_search_form(arena, texts[i]), word;
        if (!text.at) return SPAN_NONE;
        for (size_t at = 0; (word = next_word(text, &at)).len;) {
            buf_byte(&out, ' ');
            buf_span(&out, word);
            add_later_parts(word, &out);
        }
    }
    char *copy = out.failed ? NULL : arena_copy(arena, buf_view(&out));
    return (Span){copy, copy ? out.len : 0};
}

/* ---- rules: one for each event of the contract ---- */

typedef struct Applying {
    const Envelope *event;
    const void *data; /* the event's own message */
    Arena *arena;
    Projected *to; /* has the outcome of an event that its command caused and that succeeded */
} Applying;

/* False: the data is not what the event's type says (ERR_INVALID), or no memory (ERR_TOO_LARGE). */
typedef bool Rule(const Applying *a, Err *err);

static bool bad_data(const Envelope *event, Err *err) {
    return err_set(err, &ERR_INVALID, "event: data is no %.60s", event->event_type);
}

static bool fill_keys(ProspectSummary *row, Arena *arena, Err *err) {
    Span words[] = {row->first_name, row->last_name, row->email};
    row->last_name_key = text_search_form(arena, row->last_name);
    row->email_key = text_search_form(arena, row->email);
    row->search = projection_search_words(arena, words, COUNT(words));
    if (row->first_name.len > KEY_MAX || row->last_name_key.len > KEY_MAX || row->email_key.len > KEY_MAX)
        return err_set(err, &ERR_INVALID, "event: a name or an e-mail is too long");
    return (row->last_name_key.at && row->email_key.at && row->search.at) || out_of_memory(err);
}

/* The row as the event leaves it; what the rule fills in before: id, version, texts, merged_into. */
static bool prospect_row(const Applying *a, Err *err) {
    ProspectSummary *row = &a->to->prospect;
    if (row->prospect_id < 1 || row->version < 1) return bad_data(a->event, err);
    a->to->has_prospect = true;
    row->tenant_id = span_of(a->event->tenant_id);
    row->created_at = row->updated_at = timestamp_us(a->event->occurred_at);
    return fill_keys(row, a->arena, err);
}

/* Created and Updated are different messages with the same state in them. */
#define FILL(row, message)                                                                                   \
    ((row)->prospect_id = (message)->prospect_id, (row)->version = (message)->version,                       \
     (row)->first_name = span_of((message)->first_name), (row)->last_name = span_of((message)->last_name),   \
     (row)->email = span_of((message)->email), (row)->phone = span_of((message)->phone),                     \
     (row)->notes = span_of((message)->notes))

static bool on_prospect_created(const Applying *a, Err *err) {
    const Events__V1__ProspectCreated *created = a->data;
    FILL(&a->to->prospect, created);
    return prospect_row(a, err);
}

static bool on_prospect_updated(const Applying *a, Err *err) {
    const Events__V1__ProspectUpdated *updated = a->data;
    FILL(&a->to->prospect, updated);
    return prospect_row(a, err);
}

/* Nothing stays of it but where it went. The outcome is told by the survivor's event, which is the next one
 * of the same command: until that is applied, reads do not show the whole change. */
static bool on_prospect_merged(const Applying *a, Err *err) {
    const Events__V1__ProspectMerged *merged = a->data;
    ProspectSummary *row = &a->to->prospect;
    if (merged->merged_into < 1) return bad_data(a->event, err);
    row->prospect_id = merged->prospect_id;
    row->version = merged->version;
    row->merged_into = merged->merged_into;
    row->first_name = row->last_name = row->email = row->phone = row->notes = SPAN("");
    a->to->has_outcome = false;
    return prospect_row(a, err);
}

static Span errors_json(const Events__V1__CommandRejected *rejected, Arena *arena) {
    if (!rejected->n_errors) return SPAN("");
    AUTO_BUF out = {0};
    JsonWriter w = json_writer(&out);
    json_array(&w);
    for (size_t i = 0; i < rejected->n_errors; i++) {
        json_object(&w);
        json_name(&w, "field"), json_text(&w, rejected->errors[i]->field);
        json_name(&w, "code"), json_text(&w, rejected->errors[i]->code);
        json_name(&w, "message"), json_text(&w, rejected->errors[i]->message);
        json_object_end(&w);
    }
    json_array_end(&w);
    char *copy = out.failed ? NULL : arena_copy(arena, buf_view(&out));
    return (Span){copy, copy ? out.len : 0};
}

static bool on_command_rejected(const Applying *a, Err *err) {
    const Events__V1__CommandRejected *rejected = a->data;
    OutcomeRow *outcome = &a->to->outcome;
    if (!rejected->command_id[0]) return bad_data(a->event, err);
    a->to->has_outcome = true;
    outcome->status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_REJECTED;
    outcome->command_id = span_of(rejected->command_id);
    outcome->subject = span_of(rejected->subject);
    outcome->code = span_of(rejected->code);
    outcome->errors = errors_json(rejected, a->arena);
    return outcome->errors.at || out_of_memory(err);
}

/* Its data does not matter: it moves positions, and says nothing of the command whose event could not be
 * published. */
static bool on_event_skipped(const Applying *a, Err *err) {
    (void)err;
    a->to->has_outcome = false;
    return true;
}

/* ---- one event ---- */

static const struct {
    const char *event_type;
    Rule *rule;
} RULES[] = {
#define RULE(name, snake) {#name, on_##snake},
    CONTRACT_EVENTS(RULE)
#undef RULE
};

static Rule *rule_of(const char *event_type) {
    for (size_t i = 0; i < COUNT(RULES); i++)
        if (!strcmp(event_type, RULES[i].event_type)) return RULES[i].rule;
    return NULL;
}

static OutcomeRow succeeded(const Envelope *event) {
    return (OutcomeRow){.tenant_id = span_of(event->tenant_id),
                        .issued_by = span_of(event->issued_by),
                        .command_id = span_of(event->causation_id),
                        .status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_SUCCEEDED,
                        .subject = span_of(event->subject),
                        .event_id = span_of(event->event_id),
                        .code = SPAN(""),
                        .errors = SPAN(""),
                        .correlation_id = span_of(event->correlation_id),
                        .sequence = event->sequence,
                        .decided_at = timestamp_us(event->occurred_at)};
}

bool projection_of(const Envelope *event, Arena *arena, Projected *ret, Err *err) {
    Rule *rule = rule_of(event->event_type);
    *ret = (Projected){.has_outcome = *event->causation_id, .outcome = succeeded(event)};
    if (!rule) return true;
    Applying a = {.event = event, .arena = arena, .to = ret};
    a.data = message_unpack(message_type(span_of(event->event_type)),
                            span_bytes(event->data.data, event->data.len), arena);
    return a.data || rule == on_event_skipped ? rule(&a, err) : bad_data(event, err);
}
