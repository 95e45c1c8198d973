#include "domain/projection.h"

#include "base/text.h"
#include "events/v1/prospect.pb-c.h"
#include "events/v1/rest.pb-c.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include "wire/message.h"

typedef Events__V1__Envelope Envelope;

static bool out_of_memory(Err *err) {
    return err_set(err, &ERR_TOO_LARGE, "event: does not fit in memory");
}

static bool bad_data(const Envelope *event, Err *err) {
    return err_set(err, &ERR_INVALID, "event: data is no %.60s", event->event_type);
}

/* The event's own message; NULL where data is something else. */
static void *data_of(const Envelope *event, Arena *arena) {
    const MessageType *type = message_type(span_of(event->event_type));
    return type ? message_unpack(type, span_bytes(event->data.data, event->data.len), arena) : NULL;
}

/* ---- words ---- */

static bool is_word_part(int32_t code_point) {
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

/* The whole word is written already, and what is a prefix of its first part is a prefix of the whole. */
static void add_later_parts(Span word, Buf *out) {
    bool first = true, inside = true;
    for (size_t begin = 0, at = 0; begin < word.len; begin = at) {
        bool part = is_word_part(text_next(word, &at));
        if (part && !inside) {
            buf_byte(out, ' ');
            first = false;
        }
        if (part && !first) buf_append(out, word.at + begin, at - begin);
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

/* ---- prospects ---- */

static bool fill_keys(ProspectSummary *row, Arena *arena, Err *err) {
    Span words[] = {row->first_name, row->last_name, row->email};
    row->last_name_key = text_search_form(arena, row->last_name);
    row->email_key = text_search_form(arena, row->email);
    row->search = projection_search_words(arena, words, COUNT(words));
    return (row->last_name_key.at && row->email_key.at && row->search.at) || out_of_memory(err);
}

/* Created and Updated are different messages with the same state in them. */
#define FILL(row, message)                                                                                   \
    ((row)->prospect_id = (message)->prospect_id, (row)->version = (message)->version,                       \
     (row)->first_name = span_of((message)->first_name), (row)->last_name = span_of((message)->last_name),   \
     (row)->email = span_of((message)->email), (row)->phone = span_of((message)->phone),                     \
     (row)->notes = span_of((message)->notes))

static bool fill_created(const Envelope *event, Arena *arena, ProspectSummary *row) {
    Events__V1__ProspectCreated *created = data_of(event, arena);
    if (created) FILL(row, created);
    return created;
}

static bool fill_updated(const Envelope *event, Arena *arena, ProspectSummary *row) {
    Events__V1__ProspectUpdated *updated = data_of(event, arena);
    if (updated) FILL(row, updated);
    return updated;
}

static bool fill_merged(const Envelope *event, Arena *arena, ProspectSummary *row) {
    const Events__V1__ProspectMerged *merged = data_of(event, arena);
    if (!merged || merged->merged_into < 1) return false;
    row->prospect_id = merged->prospect_id;
    row->version = merged->version;
    row->merged_into = merged->merged_into;
    row->first_name = row->last_name = row->email = row->phone = row->notes = SPAN("");
    return true;
}

static const struct {
    const char *event_type;
    bool (*fill)(const Envelope *event, Arena *arena, ProspectSummary *row);
} STATES[] = {
    {"ProspectCreated", fill_created},
    {"ProspectUpdated", fill_updated},
    {"ProspectMerged", fill_merged},
};

static bool fill(const Envelope *event, Arena *arena, ProspectSummary *row) {
    for (size_t i = 0; i < COUNT(STATES); i++)
        if (!strcmp(event->event_type, STATES[i].event_type)) return STATES[i].fill(event, arena, row);
    return false;
}

bool projection_prospect(const Envelope *event, Arena *arena, ProspectSummary *ret, Err *err) {
    *ret = (ProspectSummary){.tenant_id = span_of(event->tenant_id)};
    if (!fill(event, arena, ret)) return bad_data(event, err);
    if (ret->prospect_id < 1 || ret->version < 1) return bad_data(event, err);
    ret->created_at = ret->updated_at = timestamp_us(event->occurred_at);
    return fill_keys(ret, arena, err);
}

/* ---- outcomes ---- */

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

static bool rejected_outcome(const Envelope *event, Arena *arena, OutcomeRow *ret, Err *err) {
    Events__V1__CommandRejected *rejected = data_of(event, arena);
    if (!rejected || !rejected->command_id[0]) return bad_data(event, err);
    ret->status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_REJECTED;
    ret->command_id = span_of(rejected->command_id);
    ret->subject = span_of(rejected->subject);
    ret->code = span_of(rejected->code);
    ret->errors = errors_json(rejected, arena);
    return ret->errors.at || out_of_memory(err);
}

bool projection_outcome(const Envelope *event, Arena *arena, OutcomeRow *ret, bool *has, Err *err) {
    Span type = span_of(event->event_type);
    *ret = (OutcomeRow){.tenant_id = span_of(event->tenant_id),
                        .issued_by = span_of(event->issued_by),
                        .command_id = span_of(event->causation_id),
                        .status = EVENTS__V1__COMMAND_STATUS__COMMAND_STATUS_SUCCEEDED,
                        .subject = span_of(event->subject),
                        .event_id = span_of(event->event_id),
                        .code = SPAN(""),
                        .errors = SPAN(""),
                        .correlation_id = span_of(event->correlation_id),
                        .sequence = event->sequence};
    *has = ret->command_id.len && !span_is(type, "EventSkipped");
    if (!span_is(type, "CommandRejected")) return true;
    *has = true;
    return rejected_outcome(event, arena, ret, err);
}
