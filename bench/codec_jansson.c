/* Apart from the other calls because jansson's functions have names like ours (json_object ...). */
#include "bench/codec.h"
#include <jansson.h>

bool jansson_encode(Sample *s) {
    const Events__V1__ProspectCreated *m = &s->created;
    json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "prospectId", (json_int_t)m->prospect_id,
                          "firstName", m->first_name, "lastName", m->last_name, "email", m->email, "phone",
                          m->phone, "notes", m->notes, "version", (json_int_t)m->version);
    char *text = json_dumps(o, JSON_COMPACT);
    bool ok = text && strlen(text) == s->created_json.len;
    free(text);
    json_decref(o);
    return ok;
}

bool jansson_decode(Sample *s) {
    json_error_t error;
    const char *first, *last, *email, *phone, *notes;
    json_int_t id, version;
    json_t *o = json_loadb(s->created_json.at, s->created_json.len, JSON_REJECT_DUPLICATES, &error);
    bool ok = json_unpack(o, "{s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "prospectId", &id, "firstName", &first,
                          "lastName", &last, "email", &email, "phone", &phone, "notes", &notes, "version",
                          &version) == 0;
    json_decref(o);
    return ok;
}
