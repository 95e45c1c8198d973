#include "grid/grid_split.h"

#include "base/clock.h"
#include "wire/json/json.h"

enum { SHORTEST_EVENT = 50 }; /* no valid one is shorter: the four required attributes alone take more */

/* Attributes with rules of their own; the first four are required. All others need a legal name and a simple
 * value. */
enum { ID, SOURCE, TYPE, SPECVERSION, TIME, SUBJECT, REQUIRED = SPECVERSION + 1 };
static bool filled(Span value) {
    return value.len > 0;
}
static bool version_one(Span value) {
    return span_is(value, "1.0");
}
static bool rfc3339(Span value) {
    int64_t ignored;
    return clock_parse(value, &ignored);
}
static const struct {
    const char *name;
    bool (*valid)(Span value);
} ATTRIBUTES[] = {
    [ID] = {"id", filled},      [SOURCE] = {"source", filled},   [TYPE] = {"type", filled},
    [TIME] = {"time", rfc3339}, [SUBJECT] = {"subject", filled}, [SPECVERSION] = {"specversion", version_one},
};

typedef struct Check {
    JsonReader *reader;
    size_t index;
    unsigned seen; /* bits of ATTRIBUTES */
    bool has_data;
    Err *err;
} Check;

static bool fault(const Check *c, const char *what, Span name) {
    int shown = name.len > 40 ? 40 : (int)name.len;
    return err_set(c->err, &ERR_INVALID, "event %zu: %s%s%.*s", c->index, what, name.len ? " " : "", shown,
                   name.at ? name.at : "");
}

static bool no_json(const JsonReader *r, Err *err) {
    return err_set(err, &ERR_INVALID, "the body is not as expected at byte %zu: %s", r->at,
                   r->fault ? r->fault : "not an event");
}

static bool legal_name(Span name) {
    for (size_t i = 0; i < name.len; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= '0' && name.at[i] <= '9')))
            return false;
    return name.len > 0;
}

static bool check_data(Check *c, Span name, JsonToken value) {
    if (c->has_data) return fault(c, "data is given twice", SPAN_NONE);
    c->has_data = true;
    if (span_is(name, "data_base64") && value != JSON_STRING) return fault(c, "not a string:", name);
    return json_skip(c->reader, value) || no_json(c->reader, c->err);
}

static bool check_attribute(Check *c, Span name, JsonToken value) {
    Span text = c->reader->text;
    if (!legal_name(name)) return fault(c, "not the name of an attribute:", name);
    if (value == JSON_OBJECT || value == JSON_ARRAY) return fault(c, "not a simple value:", name);
    if (value == JSON_NULL) return true; /* the same as absent */
    for (unsigned i = 0; i < COUNT(ATTRIBUTES); i++) {
        if (!span_is(name, ATTRIBUTES[i].name)) continue;
        if (c->seen & 1u << i) return fault(c, "given twice:", name);
        c->seen |= 1u << i;
        if (value != JSON_STRING || !ATTRIBUTES[i].valid(text)) return fault(c, "not a valid", name);
    }
    return true;
}

/* One event, whose opening brace has been read. */
static bool check_event(Check *c) {
    for (;;) {
        JsonToken token = json_next(c->reader);
        if (token == JSON_OBJECT_END) break;
        if (token != JSON_NAME) return no_json(c->reader, c->err);
        Span name = c->reader->text;
        JsonToken value = json_next(c->reader);
        if (value == JSON_ERROR) return no_json(c->reader, c->err);
        bool is_data = span_is(name, "data") || span_is(name, "data_base64");
        if (!(is_data ? check_data(c, name, value) : check_attribute(c, name, value))) return false;
    }
    for (unsigned i = 0; i < REQUIRED; i++)
        if (!(c->seen & 1u << i)) return fault(c, "missing:", span_of(ATTRIBUTES[i].name));
    return true;
}

static bool take_event(JsonReader *r, size_t index, Span *event, Err *err) {
    size_t start = r->at - 1; /* of the brace */
    Check check = {.reader = r, .index = index, .err = err};
    if (!check_event(&check)) return false;
    *event = (Span){r->in.at + start, r->at - start};
    return true;
}

static bool take_batch(JsonReader *r, Span *events, size_t room, size_t *count, Err *err) {
    if (json_next(r) != JSON_ARRAY) return no_json(r, err);
    for (JsonToken token = json_next(r); token != JSON_ARRAY_END; token = json_next(r)) {
        if (token != JSON_OBJECT) return no_json(r, err);
        if (*count == GRID_SPLIT_EVENTS) return err_set(err, &ERR_TOO_LARGE, "more than 5000 events");
        if (*count == room) return fault(&(Check){.index = *count, .err = err}, "not an event", SPAN_NONE);
        if (!take_event(r, *count, &events[*count], err)) return false;
        ++*count;
    }
    return true;
}

bool grid_split(Span body, bool batch, Arena *arena, Span **events, size_t *count, Err *err) {
    *count = 0;
    if (body.len > GRID_SPLIT_BYTES) return err_set(err, &ERR_TOO_LARGE, "larger than 1 MB");
    size_t room = body.len / SHORTEST_EVENT + 1;
    room = room > GRID_SPLIT_EVENTS ? GRID_SPLIT_EVENTS : room;
    *events = arena_alloc(arena, room * sizeof **events);
    if (!*events) return err_set(err, &ERR_UNAVAILABLE, "out of memory");
    JsonReader r = json_reader(body, arena);
    if (batch && !take_batch(&r, *events, room, count, err)) return false;
    if (!batch) {
        if (json_next(&r) != JSON_OBJECT) return no_json(&r, err);
        if (!take_event(&r, 0, *events, err)) return false;
        *count = 1;
    }
    return json_next(&r) == JSON_END || no_json(&r, err);
}
