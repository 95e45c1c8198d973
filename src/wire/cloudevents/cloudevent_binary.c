/* cloudevent_binary.c - one event as an HTTP message in binary mode (CloudEvents HTTP binding, section 3.1):
 * attributes are header fields with the prefix "ce-", the body is the data, and Content-Type is
 * `datacontenttype`. Values of header fields (section 3.1.3.2): a quoted string loses its quotes first, then
 * exactly one percent-decoding; lower-case digits and needless escapes are fine, what is no UTF-8 afterwards
 * is not. */
#include "wire/cloudevents/cloudevent_parts.h"

#include "base/text.h"
#include "wire/envelope.h"

enum { FIELD_NAME = 40 };

static bool unquote(Span *value, Arena *arena) {
    if (value->len < 2 || value->at[0] != '"' || value->at[value->len - 1] != '"') return true;
    Span inside = {value->at + 1, value->len - 2};
    char *to = arena_alloc(arena, inside.len + 1);
    size_t len = 0;
    if (!to) return false;
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.at[i] == '\\' && ++i == inside.len) return false;
        to[len++] = inside.at[i];
    }
    *value = (Span){to, len};
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool percent_decode(Span *value, Arena *arena) {
    if (!value->len || !memchr(value->at, '%', value->len)) return true;
    char *to = arena_alloc(arena, value->len + 1);
    size_t len = 0;
    if (!to) return false;
    for (size_t i = 0; i < value->len; i++) {
        if (value->at[i] != '%') {
            to[len++] = value->at[i];
            continue;
        }
        int high = i + 2 < value->len ? hex_digit(value->at[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_digit(value->at[i + 2]);
        if (low < 0) return false;
        to[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *value = (Span){to, len};
    return true;
}

static const char *take_field(CloudParts *e, const CloudAttribute *a, Span value, Arena *arena) {
    if (!unquote(&value, arena) || !percent_decode(&value, arena) || !text_is_utf8(value) ||
        text_has_controls(value, false))
        return "a ce- header field is badly encoded";
    return a->take(e, value, arena) ? NULL : a->wrong;
}

/* An attribute that the event does not have has no field; an empty value is never allowed, so it counts as
 * none. */
static const char *read_fields(CloudParts *e, const CloudEventFields *fields, Arena *arena) {
    size_t count;
    const CloudAttribute *all = cloud_attributes(&count);
    const char *wrong = NULL;
    for (size_t i = 0; i < count; i++) {
        char name[FIELD_NAME] = "ce-";
        memcpy(name + 3, all[i].name.at, all[i].name.len);
        Span value = fields->get(fields->of, name);
        if (!value.len) continue;
        bool type = span_is(all[i].name, "datacontenttype");
        const char *bad = type ? "ce-datacontenttype is not a field" : take_field(e, &all[i], value, arena);
        if (!wrong) wrong = bad;
    }
    return wrong;
}

bool cloudevent_is_binary(const CloudEventFields *fields) {
    return fields->get(fields->of, "ce-specversion").len > 0;
}

bool cloudevent_read_binary(const CloudEventFields *fields, Span body, Arena *arena,
                            const CloudEventVisitor *visitor, Err *err) {
    CloudBody b = {.arena = arena, .visitor = visitor};
    CloudParts e = {.envelope = arena_alloc(arena, sizeof *e.envelope)};
    Span type = fields->get(fields->of, "content-type");
    if (!e.envelope) return err_set(err, &ERR_TOO_LARGE, "the event does not fit into memory");
    events__v1__envelope__init(e.envelope);
    if (type.len) e.content_type = arena_copy(arena, type);
    e.data_base64 = body;
    e.has_base64 = body.len > 0;
    const char *wrong = read_fields(&e, fields, arena);
    if (!wrong) wrong = cloud_finish(&b, &e);
    if (arena_refused(arena)) return err_set(err, &ERR_TOO_LARGE, "the event does not fit into memory");
    if (wrong)
        visitor->bad(visitor->user, 0, body, wrong);
    else
        visitor->event(visitor->user, e.envelope);
    return true;
}
