#include "service/ring_wire.h"

#include "base/arena.h"
#include "wire/json/json.h"
#include <openssl/crypto.h>
#include <stdio.h>

/* ---- out ---- */

static void decimal(JsonWriter *w, const char *name, Span digits) {
    json_name(w, name);
    json_string(w, digits);
}

bool ring_to_request(Span ring, const char **path, Buf *body) {
    Span rest, second, verb = span_split(ring, ' ', &rest), first = span_split(rest, ' ', &second);
    bool repair = span_is(verb, "repair"), position = span_is(verb, "held") || span_is(verb, "last");
    bool revoked = span_is(verb, "revoked");
    if (!repair && !position && !revoked && !span_is(verb, "work")) return false;
    JsonWriter w = json_writer(body);
    *path = repair ? "/repair" : "/doorbell";
    json_object(&w);
    if (repair) decimal(&w, "from", first), decimal(&w, "to", second);
    if (position) {
        json_name(&w, "epoch"), json_string(&w, first);
        decimal(&w, "last", second);
    }
    if (revoked) json_name(&w, "revoked"), json_bool(&w, true);
    json_object_end(&w);
    return true;
}

/* ---- in ---- */

typedef struct Members {
    char epoch[64];
    int64_t last, from, to; /* -1: absent */
    bool revoked;
} Members;

/* Positions are decimal strings in JSON; a number will do. */
static bool read_position(JsonReader *r, int64_t *ret) {
    uint64_t value;
    JsonToken t = json_next(r);
    if (*ret >= 0) return false;
    if (t == JSON_NUMBER) return json_number_int(r, ret) && *ret >= 0;
    if (t != JSON_STRING || !span_to_u64(r->text, INT64_MAX, &value)) return false;
    *ret = (int64_t)value;
    return true;
}

static bool is_epoch(Span text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~') return false;
    return text.len > 0;
}

static bool read_member(JsonReader *r, Members *m) {
    if (span_is(r->text, "last")) return read_position(r, &m->last);
    if (span_is(r->text, "from")) return read_position(r, &m->from);
    if (span_is(r->text, "to")) return read_position(r, &m->to);
    if (span_is(r->text, "revoked")) {
        JsonToken t = json_next(r);
        m->revoked = t == JSON_TRUE;
        return t == JSON_TRUE || t == JSON_FALSE;
    }
    if (!span_is(r->text, "epoch")) return json_skip(r, json_next(r)); /* of a newer version */
    return json_next(r) == JSON_STRING && !*m->epoch && is_epoch(r->text) &&
           span_copy(r->text, m->epoch, sizeof m->epoch);
}

static bool read_members(Span body, Members *m, Err *err) {
    AUTO(Arena) arena = arena_new(64 << 10);
    JsonReader r = json_reader(body, arena);
    *m = (Members){.last = -1, .from = -1, .to = -1};
    bool ok = body.len <= RING_BODY_MAX && json_next(&r) == JSON_OBJECT;
    while (ok) {
        JsonToken t = json_next(&r);
        if (t == JSON_OBJECT_END) break;
        ok = t == JSON_NAME && read_member(&r, m);
    }
    return (ok && json_next(&r) == JSON_END) || err_set(err, &ERR_INVALID, "not such a JSON object");
}

static bool doorbell_ring_of(const char *program, const Members *m, char ring[RING_TEXT], Err *err) {
    if ((m->last >= 0) != (*m->epoch != 0))
        return err_set(err, &ERR_INVALID, "epoch and last come together, or neither does");
    if (m->last >= 0 && m->revoked)
        return err_set(err, &ERR_INVALID, "one ring says one thing: last, or revoked");
    const char *verb = !strcmp(program, "projection") ? "last" : "held";
    if (m->last < 0)
        snprintf(ring, RING_TEXT, m->revoked ? "revoked" : "work");
    else
        snprintf(ring, RING_TEXT, "%s %s %lld", verb, m->epoch, (long long)m->last);
    return true;
}

bool ring_of_request(const char *program, Span path, Span body, char ring[RING_TEXT], Err *err) {
    Members m;
    bool repair = span_is(path, "/repair") && !strcmp(program, "relay");
    if (!repair && !span_is(path, "/doorbell")) return err_set(err, &ERR_NOT_FOUND, "there is nothing here");
    if (!read_members(body, &m, err)) return false;
    if (!repair) return doorbell_ring_of(program, &m, ring, err);
    if (m.from < 1 || m.to < m.from) return err_set(err, &ERR_INVALID, "from and to are no range of numbers");
    snprintf(ring, RING_TEXT, "repair %lld %lld", (long long)m.from, (long long)m.to);
    return true;
}

bool ring_authorized(const char *secrets, Span authorization) {
    static const char BEARER[] = "Bearer ";
    bool fits = false;
    if (!span_starts(authorization, SPAN(BEARER))) return false;
    Span given = {authorization.at + sizeof BEARER - 1, authorization.len - (sizeof BEARER - 1)};
    for (Span rest = span_of(secrets); rest.at;) {
        Span secret = span_trim(span_split(rest, ',', &rest));
        fits |= secret.len && secret.len == given.len && !CRYPTO_memcmp(secret.at, given.at, given.len);
    }
    return fits;
}
