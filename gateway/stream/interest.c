/* interest.c - a hash table from keys to lists. A place in a list knows where it stands, so that leaving a
 * list of thousands costs what leaving one of two costs. */
#include "gateway/stream/interest.h"

#include "base/map.h"
#include <stdlib.h>

typedef struct List List;

typedef struct Place {
    List *list;
    size_t at; /* in the list */
    void *who;
} Place;

struct List {
    Place **places;
    size_t count, size;
    size_t key_len;
    char key[];
};

struct Interest {
    size_t count;
    Place places[];
};

struct Interests {
    Map *lists;
};

/* What the second part of a key is. */
typedef enum Kind { ALL = 'a', TYPE = 't', SUBJECT = 's', SUBJECTS_BELOW = 'b', USER = 'u' } Kind;

Interests *interests_new(void) {
    Interests *all = must(calloc(1, sizeof *all));
    all->lists = map_new();
    return all;
}

Interests *interests_free(Interests *all) {
    if (!all) return NULL;
    map_free(all->lists);
    free(all);
    return NULL;
}

enum {
    KEY_MAX = 1024 /* what a filter may name is bounded far below; a longer subject of an event is nobody's */
};

/* The kind stands between two parts of which the first has no control character. */
static Span key_of(char key[KEY_MAX], Span tenant, Kind kind, Span name) {
    size_t len = tenant.len + 2 + name.len;
    if (len > KEY_MAX) return (Span){key, 0};
    memcpy(key, tenant.at, tenant.len);
    key[tenant.len] = '\n';
    key[tenant.len + 1] = (char)kind;
    if (name.len) memcpy(key + tenant.len + 2, name.at, name.len);
    return (Span){key, len};
}

/* --- coming and going --- */

static List *list_under(Interests *all, Span key) {
    List *list = map_get(all->lists, key);
    if (list) return list;
    list = must(calloc(1, sizeof *list + key.len));
    list->key_len = key.len;
    memcpy(list->key, key.at, key.len);
    map_put(all->lists, key, list);
    return list;
}

static void enter(Interests *all, Place *place, Span tenant, Kind kind, Span name) {
    char key[KEY_MAX];
    List *list = place->list = list_under(all, key_of(key, tenant, kind, name));
    if (list->count == list->size) {
        list->size = list->size ? list->size * 2 : 1;
        list->places = must(realloc(list->places, list->size * sizeof(Place *)));
    }
    place->at = list->count;
    list->places[list->count++] = place;
}

static void leave(Interests *all, Place *place) {
    List *list = place->list;
    Place *last = list->places[--list->count];
    list->places[place->at] = last;
    last->at = place->at;
    if (list->count) return;
    map_remove(all->lists, (Span){list->key, list->key_len});
    free(list->places);
    free(list);
}

static Interest *interest_new(size_t count, void *who) {
    Interest *interest = must(calloc(1, sizeof *interest + count * sizeof(Place)));
    interest->count = count;
    for (size_t i = 0; i < count; i++) interest->places[i].who = who;
    return interest;
}

/* By subjects where it names some, as they are the rarer; else by types. */
Interest *interest_in(Interests *all, Span tenant, const Filter *filter, void *who) {
    size_t subjects, types;
    const Span *subject = filter_subjects(filter, &subjects), *type = filter_types(filter, &types);
    size_t count = subjects ? subjects : types ? types : 1;
    Interest *interest = interest_new(count, who);
    for (size_t i = 0; i < count; i++) {
        Place *place = &interest->places[i];
        if (subjects)
            enter(all, place, tenant, span_ends(subject[i], SPAN("/")) ? SUBJECTS_BELOW : SUBJECT,
                  subject[i]);
        else if (types)
            enter(all, place, tenant, TYPE, type[i]);
        else
            enter(all, place, tenant, ALL, SPAN_NONE);
    }
    return interest;
}

Interest *interest_of_user(Interests *all, Span tenant, Span user, void *who) {
    Interest *interest = interest_new(1, who);
    enter(all, &interest->places[0], tenant, USER, user);
    return interest;
}

Interest *interest_end(Interests *all, Interest *interest) {
    for (size_t i = 0; interest && i < interest->count; i++) leave(all, &interest->places[i]);
    free(interest);
    return NULL;
}

/* --- asking --- */

typedef struct Asking {
    const Interests *all;
    Span tenant;
    void (*each)(void *user, void *who);
    void *user;
} Asking;

static void ask(const Asking *asking, Kind kind, Span name) {
    char key[KEY_MAX];
    const List *list = map_get(asking->all->lists, key_of(key, asking->tenant, kind, name));
    for (size_t i = 0; list && i < list->count; i++) asking->each(asking->user, list->places[i]->who);
}

static void ask_subject(const Asking *asking, Span subject) {
    Span id, entity = span_split(subject, '/', &id);
    ask(asking, SUBJECT, subject);
    if (entity.len < subject.len) ask(asking, SUBJECTS_BELOW, (Span){subject.at, entity.len + 1});
}

void interests_each(const Interests *all, const Event *event, void (*each)(void *user, void *who),
                    void *user) {
    Asking asking = {all, event_tenant(event), each, user};
    if (event_kind(event) == EVENT_SKIPPED) return; /* for nobody */
    ask(&asking, USER, event_issued_by(event));
    if (event_kind(event) == EVENT_REJECTED) return;
    ask_subject(&asking, event_subject(event));
    ask(&asking, TYPE, event_type(event));
    ask(&asking, ALL, SPAN_NONE);
}

void interests_each_in(const Interests *all, Span tenant, Span subject, void (*each)(void *user, void *who),
                       void *user) {
    Asking asking = {all, tenant, each, user};
    ask_subject(&asking, subject);
    ask(&asking, ALL, SPAN_NONE);
}
