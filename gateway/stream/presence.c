/* presence.c - the rooms stand in a list by when their viewers changed last, the latest first. A loop that has seen
 * all up to a version goes from the beginning until it meets that version, and reads back from there: what has changed
 * costs, and what has not does not. A room that everybody has left stays until each loop that listens has seen that. */
#include "gateway/stream/presence.h"

#include "base/map.h"
#include "events/v1/stream.pb-c.h"
#include <pthread.h>
#include <stdlib.h>

typedef struct Viewer {
    char user_id[USER_ID], name[USER_NAME];
    size_t connections;
} Viewer;

struct Room {
    Room *newer, *older;
    int64_t version;
    Blob *frame;     /* of this version; made when it is asked for */
    Viewer *viewers; /* in the order in which they came */
    size_t count, size;
    size_t tenant_len, key_len;
    char key[]; /* tenant, a line break, subject */
};

struct Presence {
    bool alone;
    pthread_mutex_t lock; /* of all below */
    Map *rooms;
    Map *users; /* by tenant and id: in how many rooms each is */
    Room *newest;
    int64_t version;
    PresenceListener *listeners;
};

Presence *presence_new(bool alone) {
    Presence *p = must(calloc(1, sizeof *p));
    p->alone = alone;
    p->rooms = map_new();
    p->users = map_new();
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void free_room(Presence *p, Room *room) {
    if (room->newer) room->newer->older = room->older;
    if (room->older) room->older->newer = room->newer;
    if (p->newest == room) p->newest = room->older;
    map_remove(p->rooms, (Span){room->key, room->key_len});
    blob_unref(room->frame);
    free(room->viewers);
    free(room);
}

Presence *presence_free(Presence *p) {
    if (!p) return NULL;
    while (p->newest) free_room(p, p->newest);
    map_free(p->rooms);
    map_free(p->users);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return NULL;
}

/* --- changes --- */

static void run_wake(Task *task) {
    PresenceListener *l = CONTAINER(task, PresenceListener, task);
    atomic_store(&l->posted, false);
    l->wake(l);
}

static void wake_all(Presence *p) {
    for (PresenceListener *l = p->listeners; l; l = l->next)
        if (l->listening && !atomic_exchange(&l->posted, true)) loop_post(l->loop, &l->task);
}

static void to_the_front(Presence *p, Room *room) {
    if (p->newest == room) return;
    if (room->newer) room->newer->older = room->older;
    if (room->older) room->older->newer = room->newer;
    room->newer = NULL;
    room->older = p->newest;
    if (p->newest) p->newest->newer = room;
    p->newest = room;
}

static void changed(Presence *p, Room *room) {
    room->version = ++p->version;
    room->frame = blob_unref(room->frame);
    to_the_front(p, room);
    wake_all(p);
}

static bool all_have_seen(const Presence *p, int64_t version) {
    for (const PresenceListener *l = p->listeners; l; l = l->next)
        if (l->listening && l->seen < version) return false;
    return true;
}

/* Of the rooms that changed after this version, those that are empty and need not be told of any more. */
static void sweep(Presence *p, int64_t above) {
    for (Room *room = p->newest, *older; room && room->version > above; room = older) {
        older = room->older;
        if (!room->count && all_have_seen(p, room->version)) free_room(p, room);
    }
}

enum { KEY_MAX = TENANT_ID + 1 + 256 };

/* Empty where it does not fit. */
static Span key_of(char key[KEY_MAX], Span tenant, Span name) {
    size_t len = tenant.len + 1 + name.len;
    if (len > KEY_MAX) return (Span){key, 0};
    memcpy(key, tenant.at, tenant.len);
    key[tenant.len] = '\n';
    memcpy(key + tenant.len + 1, name.at, name.len);
    return (Span){key, len};
}

static Room *room_of(Presence *p, Span tenant, Span subject) {
    char text[KEY_MAX];
    Span key = key_of(text, tenant, subject);
    Room *room = key.len ? map_get(p->rooms, key) : NULL;
    if (room || !key.len || map_count(p->rooms) >= PRESENCE_ROOMS) return room;
    room = must(calloc(1, sizeof *room + key.len));
    room->tenant_len = tenant.len;
    room->key_len = key.len;
    memcpy(room->key, key.at, key.len);
    map_put(p->rooms, (Span){room->key, key.len}, room);
    return room;
}

static uintptr_t rooms_of_user(const Presence *p, Span tenant, const char *user_id) {
    char key[KEY_MAX];
    return (uintptr_t)map_get(p->users, key_of(key, tenant, span_of(user_id)));
}

static void set_rooms_of_user(Presence *p, Span tenant, const char *user_id, uintptr_t count) {
    char key[KEY_MAX];
    if (count)
        map_put(p->users, key_of(key, tenant, span_of(user_id)), (void *)count);
    else
        map_remove(p->users, key_of(key, tenant, span_of(user_id)));
}

static Viewer *find_viewer(Room *room, const char *user_id) {
    for (size_t i = 0; i < room->count; i++)
        if (!strcmp(room->viewers[i].user_id, user_id)) return &room->viewers[i];
    return NULL;
}

static void add_viewer(Room *room, const Claims *who) {
    if (room->count == room->size) {
        room->size = room->size ? room->size * 2 : 2;
        room->viewers = must(realloc(room->viewers, room->size * sizeof *room->viewers));
    }
    Viewer *v = &room->viewers[room->count++];
    *v = (Viewer){.connections = 1};
    memcpy(v->user_id, who->user_id, sizeof v->user_id);
    /* a token that names nobody is one of nobody's hand: the id serves */
    span_copy(span_of(*who->username ? who->username : who->user_id), v->name, sizeof v->name);
}

/* With the lock. */
static Room *enter(Presence *p, Span tenant, Span subject, const Claims *who) {
    char key[KEY_MAX];
    uintptr_t others = rooms_of_user(p, tenant, who->user_id);
    Room *room = map_get(p->rooms, key_of(key, tenant, subject));
    Viewer *viewer = room ? find_viewer(room, who->user_id) : NULL;
    if (viewer) {
        viewer->connections++;
        return room;
    }
    room = others < PRESENCE_OF_USER ? room_of(p, tenant, subject) : NULL;
    if (!room) return NULL;
    add_viewer(room, who);
    set_rooms_of_user(p, tenant, who->user_id, others + 1);
    changed(p, room);
    return room;
}

Room *presence_enter(Presence *p, Span tenant, Span subject, const Claims *who) {
    pthread_mutex_lock(&p->lock);
    Room *room = enter(p, tenant, subject, who);
    pthread_mutex_unlock(&p->lock);
    return room;
}

void presence_leave(Presence *p, Room *room, const char *user_id) {
    pthread_mutex_lock(&p->lock);
    Viewer *viewer = find_viewer(room, user_id);
    if (viewer && !--viewer->connections) {
        size_t at = (size_t)(viewer - room->viewers);
        memmove(viewer, viewer + 1, (--room->count - at) * sizeof *viewer);
        Span tenant = {room->key, room->tenant_len};
        set_rooms_of_user(p, tenant, user_id, rooms_of_user(p, tenant, user_id) - 1);
        changed(p, room);
        sweep(p, room->version - 1);
    }
    pthread_mutex_unlock(&p->lock);
}

/* --- telling --- */

static Blob *pack(Span subject, char **users, size_t count, bool complete) {
    char text[257];
    Events__V1__PresenceChanged changed = EVENTS__V1__PRESENCE_CHANGED__INIT;
    Events__V1__ServerFrame frame = EVENTS__V1__SERVER_FRAME__INIT;
    if (!span_copy(subject, text, sizeof text)) return NULL;
    changed.subject = text;
    changed.users = users;
    changed.n_users = count;
    changed.complete = complete;
    frame.frame_case = EVENTS__V1__SERVER_FRAME__FRAME_PRESENCE_CHANGED;
    frame.presence_changed = &changed;
    Blob *blob = blob_new(events__v1__server_frame__get_packed_size(&frame));
    if (blob) events__v1__server_frame__pack(&frame, (uint8_t *)blob->bytes);
    return blob;
}

Blob *presence_unknown(Span subject) {
    return pack(subject, NULL, 0, false);
}

static Span subject_of(const Room *room) {
    return (Span){room->key + room->tenant_len + 1, room->key_len - room->tenant_len - 1};
}

static RoomNews news_of(const Presence *p, Room *room) {
    char *users[PRESENCE_SHOWN];
    size_t shown = room->count < PRESENCE_SHOWN ? room->count : PRESENCE_SHOWN;
    for (size_t i = 0; i < shown; i++) users[i] = room->viewers[i].name;
    if (!room->frame) room->frame = pack(subject_of(room), users, shown, p->alone && shown == room->count);
    RoomNews news = {.room = room, .version = room->version, .key = must(malloc(room->key_len))};
    memcpy(news.key, room->key, room->key_len);
    news.tenant = (Span){news.key, room->tenant_len};
    news.subject = (Span){news.key + room->tenant_len + 1, subject_of(room).len};
    if (room->frame) news.frame = blob_ref(room->frame);
    return news;
}

void room_news_clear(RoomNews *news) {
    news->frame = blob_unref(news->frame);
    free(news->key);
    news->key = NULL;
}

RoomNews room_news(Presence *p, const Room *room) {
    pthread_mutex_lock(&p->lock);
    RoomNews news = news_of(p, (Room *)room);
    pthread_mutex_unlock(&p->lock);
    return news;
}

static void add_news(const Presence *p, RoomList *list, Room *room) {
    if (!(list->count & (list->count - 1))) /* 0, 1, 2, 4, 8 ...: full */
        list->at = must(realloc(list->at, (list->count ? list->count * 2 : 1) * sizeof *list->at));
    list->at[list->count++] = news_of(p, room);
}

RoomList presence_news(Presence *p, PresenceListener *l, size_t most) {
    RoomList list = {.count = 0};
    pthread_mutex_lock(&p->lock);
    int64_t above = l->seen;
    Room *next = NULL;
    for (Room *room = p->newest; room && room->version > above; room = room->older) next = room;
    for (; next && list.count < most; next = next->newer) {
        add_news(p, &list, next);
        l->seen = next->version;
    }
    if (!next) l->seen = p->version;
    sweep(p, above);
    pthread_mutex_unlock(&p->lock);
    return list;
}

RoomList presence_rooms(Presence *p, Span tenant, size_t most) {
    RoomList list = {.count = 0};
    pthread_mutex_lock(&p->lock);
    for (Room *room = p->newest; room && list.count < most; room = room->older)
        if (room->count && span_equal((Span){room->key, room->tenant_len}, tenant)) add_news(p, &list, room);
    pthread_mutex_unlock(&p->lock);
    return list;
}

/* --- who wants to know --- */

void presence_listen(Presence *p, PresenceListener *l) {
    l->task.run = run_wake;
    pthread_mutex_lock(&p->lock);
    l->next = p->listeners;
    p->listeners = l;
    pthread_mutex_unlock(&p->lock);
}

/* Who begins has seen what there is: he asks for it himself. */
void presence_listening(Presence *p, PresenceListener *l, bool listening) {
    pthread_mutex_lock(&p->lock);
    int64_t seen = l->seen;
    l->listening = listening;
    l->seen = p->version;
    if (!listening) sweep(p, seen);
    pthread_mutex_unlock(&p->lock);
}
