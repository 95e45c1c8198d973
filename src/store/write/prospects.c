#include "store/write/prospects.h"

#include "base/buf.h"
#include "base/map.h"
#include "store/given.h"

/* base: the version that is stored, 0 where none is. */
typedef struct Entity {
    Prospect now;
    int64_t base;
    bool found, changed;
} Entity;

typedef struct Email {
    Span tenant_id, key;
    int64_t owner, stored; /* 0: nobody; stored: before this transaction */
} Email;

/* Things of the arena, found by their key and listed in the order in which they came. */
typedef struct Table {
    Map *by_key;
    void **all;
    size_t count, size;
} Table;

struct Prospects {
    Db *db;
    Arena *arena;
    Table entities, emails;
    Given *wanted, *wanted_emails, *inserted, *updated, *taken, *given_back;
    int64_t *ids; /* of a server's sequence, of this transaction; those from `ids_taken` on are free */
    size_t ids_count, ids_taken, ids_size, creates;
    int64_t last_id; /* of a file; 0: not read in this transaction */
    Buf key;
    bool failed; /* something that was read did not fit in memory */
};

#define STATE "first_name, last_name, email, phone, notes, version, updated_at"
static const GivenShape READ = {
    .sql.sqlite =
        "WITH k(id) AS ({given}) SELECT p.prospect_id, p.tenant_id, p.first_name, p.last_name, p.email,"
        " p.phone, p.notes, p.version, p.created_at, p.updated_at, p.merged_into"
        " FROM k CROSS JOIN prospect p WHERE p.prospect_id = k.id",
    .columns = "i"};
static const GivenShape READ_EMAILS = {
    .sql.sqlite = "WITH k(tenant_id, email_key) AS ({given}) SELECT e.tenant_id, e.email_key, e.prospect_id"
                  " FROM k CROSS JOIN prospect_email e"
                  " WHERE e.tenant_id = k.tenant_id AND e.email_key = k.email_key",
    .columns = "kk"};
static const GivenShape INSERT = {.sql.sqlite = "INSERT INTO prospect (" STATE
                                                ", created_at, tenant_id, prospect_id, merged_into) {given}",
                                  .columns = "tttttiiitii"};
/* Only over the version before: a worker of another lane may have been here in between. The drivers count the
 * rows of a statement that begins with UPDATE, not of one that begins with WITH. */
static const GivenShape UPDATE = {
    .sql = {.sqlite = "UPDATE prospect SET first_name = k.column1, last_name = k.column2, email = k.column3,"
                      " phone = k.column4, notes = k.column5, version = k.column6, updated_at = k.column7,"
                      " merged_into = k.column8 FROM ({given}) AS k"
                      " WHERE prospect.prospect_id = k.column9 AND prospect.version = k.column10",
            .postgresql = "UPDATE prospect SET first_name = k.first_name, last_name = k.last_name,"
                          " email = k.email, phone = k.phone, notes = k.notes, version = k.version,"
                          " updated_at = k.updated_at, merged_into = k.merged_into"
                          " FROM ({given}) AS k(" STATE ", merged_into, id, base)"
                          " WHERE prospect.prospect_id = k.id AND prospect.version = k.base",
            .sqlserver = "UPDATE p SET first_name = k.first_name, last_name = k.last_name, email = k.email,"
                         " phone = k.phone, notes = k.notes, version = k.version, updated_at = k.updated_at,"
                         " merged_into = k.merged_into"
                         " FROM prospect AS p JOIN ({given}) AS k(" STATE ", merged_into, id, base)"
                         " ON p.prospect_id = k.id AND p.version = k.base"},
    .columns = "tttttiiiii"};
static const GivenShape TAKE_EMAIL = {
    .sql.sqlite = "INSERT INTO prospect_email (tenant_id, email_key, prospect_id) {given}", .columns = "kki"};
/* The version of the prospect that had it vouches for the row. SQLite takes the index for a SELECT alone. */
static const GivenShape GIVE_EMAIL_BACK = {
    .sql = {.sqlite = "DELETE FROM prospect_email WHERE (tenant_id, email_key) IN"
                      " (SELECT k.* FROM ({given}) AS k)",
            .sqlserver = "DELETE e FROM prospect_email AS e JOIN ({given}) AS k(tenant_id, email_key)"
                         " ON e.tenant_id = k.tenant_id AND e.email_key = k.email_key"},
    .columns = "kk"};

/* ---- tables ---- */

static void table_clear(Table *t) {
    map_free(t->by_key);
    t->by_key = map_new();
    t->count = 0;
}

static void table_end(Table *t) {
    map_free(t->by_key);
    free(t->all);
}

static void table_add(Table *t, Span key, void *thing) {
    if (t->count == t->size)
        t->all = must(realloc(t->all, (t->size = t->size ? 2 * t->size : 256) * sizeof *t->all));
    t->all[t->count++] = thing;
    map_put(t->by_key, key, thing);
}

static Span id_key(const int64_t *id) {
    return span_bytes(id, sizeof *id);
}

static Span email_map_key(Prospects *p, Span tenant_id, Span key) {
    buf_clear(&p->key);
    buf_append(&p->key, &tenant_id.len, sizeof tenant_id.len);
    buf_span(&p->key, tenant_id);
    buf_span(&p->key, key);
    return buf_view(&p->key);
}

static Entity *entity_of(Prospects *p, int64_t id) {
    Entity *e = map_get(p->entities.by_key, id_key(&id));
    if (e) return e;
    e = arena_alloc(p->arena, sizeof *e);
    if (!e) return NULL;
    e->now.prospect_id = id;
    table_add(&p->entities, id_key(&id), e);
    return e;
}

static Email *email_of(Prospects *p, Span tenant_id, Span key) {
    Span in_map = email_map_key(p, tenant_id, key);
    Email *e = map_get(p->emails.by_key, in_map);
    if (e) return e;
    e = arena_alloc(p->arena, sizeof *e);
    if (!e) return NULL;
    *e = (Email){.tenant_id = tenant_id, .key = key};
    table_add(&p->emails, in_map, e);
    return e;
}

static bool no_room(Err *err) {
    return err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
}

/* ---- life ---- */

Prospects *prospects_new(Db *db) {
    Prospects *p = must(calloc(1, sizeof *p));
    *p = (Prospects){.db = db,
                     .wanted = given_new(db, &READ),
                     .wanted_emails = given_new(db, &READ_EMAILS),
                     .inserted = given_new(db, &INSERT),
                     .updated = given_new(db, &UPDATE),
                     .taken = given_new(db, &TAKE_EMAIL),
                     .given_back = given_new(db, &GIVE_EMAIL_BACK)};
    return p;
}

Prospects *prospects_free(Prospects *p) {
    if (!p) return NULL;
    Given *all[] = {p->wanted, p->wanted_emails, p->inserted, p->updated, p->taken, p->given_back};
    for (size_t i = 0; i < COUNT(all); i++) given_free(all[i]);
    table_end(&p->entities);
    table_end(&p->emails);
    free(p->ids);
    buf_free(&p->key);
    free(p);
    return NULL;
}

void prospects_begin(Prospects *p, Arena *arena, size_t creates) {
    Given *all[] = {p->wanted, p->wanted_emails, p->inserted, p->updated, p->taken, p->given_back};
    for (size_t i = 0; i < COUNT(all); i++) given_clear(all[i]);
    table_clear(&p->entities);
    table_clear(&p->emails);
    p->arena = arena;
    p->creates = creates;
    p->last_id = 0;
    p->ids_count = p->ids_taken = 0; /* a server that crashed gives again what no commit had kept */
    p->failed = false;
}

/* ---- reading ---- */

void prospects_want(Prospects *p, int64_t prospect_id) {
    if (map_get(p->entities.by_key, id_key(&prospect_id))) return;
    if (entity_of(p, prospect_id))
        given_int(p->wanted, prospect_id);
    else
        p->failed = true;
}

void prospects_want_email(Prospects *p, Span tenant_id, Span email_key) {
    if (map_get(p->emails.by_key, email_map_key(p, tenant_id, email_key))) return;
    if (email_of(p, tenant_id, email_key)) {
        given_text(p->wanted_emails, tenant_id);
        given_text(p->wanted_emails, email_key);
    } else {
        p->failed = true;
    }
}

static const char *copy(Prospects *p, Stmt *s, int column) {
    const char *text = arena_copy(p->arena, stmt_text(s, column));
    if (!text) p->failed = true;
    return text ? text : "";
}

static void take_prospect(void *user, Stmt *s) {
    Prospects *p = user;
    Entity *e = entity_of(p, stmt_int(s, 0));
    if (!e) {
        p->failed = true;
        return;
    }
    e->found = true;
    e->now.tenant_id = copy(p, s, 1);
    e->now.first_name = copy(p, s, 2);
    e->now.last_name = copy(p, s, 3);
    e->now.email = copy(p, s, 4);
    e->now.phone = copy(p, s, 5);
    e->now.notes = copy(p, s, 6);
    e->now.version = e->base = stmt_int(s, 7);
    e->now.created_at = stmt_int(s, 8);
    e->now.updated_at = stmt_int(s, 9);
    e->now.merged_into = stmt_int(s, 10);
}

static void take_email(void *user, Stmt *s) {
    Prospects *p = user;
    Span tenant_id = stmt_text(s, 0), key = stmt_text(s, 1);
    Email *e = map_get(p->emails.by_key, email_map_key(p, tenant_id, key));
    if (e) e->owner = e->stored = stmt_int(s, 2);
}

bool prospects_read(Prospects *p, Err *err) {
    if (!given_read(p->wanted, take_prospect, p, err) || !given_read(p->wanted_emails, take_email, p, err))
        return false;
    return !p->failed || no_room(err);
}

bool prospects_load(Prospects *p, int64_t prospect_id, Prospect *ret, bool *found, Err *err) {
    prospects_want(p, prospect_id);
    if (!prospects_read(p, err)) return false;
    const Entity *e = map_get(p->entities.by_key, id_key(&prospect_id));
    *found = e->found;
    *ret = e->now;
    return true;
}

bool prospects_email_owner(Prospects *p, Span tenant_id, Span email_key, int64_t *owner, Err *err) {
    prospects_want_email(p, tenant_id, email_key);
    if (!prospects_read(p, err)) return false;
    const Email *e = map_get(p->emails.by_key, email_map_key(p, tenant_id, email_key));
    *owner = e->owner;
    return true;
}

/* ---- ids ---- */

static bool next_in_file(Prospects *p, int64_t *ret, Err *err) {
    Err fault = {0};
    if (!p->last_id) {
        Stmt *s = db_statement(p->db, "SELECT seq FROM sqlite_sequence WHERE name = 'prospect'");
        if (!stmt_run(s, NULL, err)) return false;
        if (stmt_row(s, &fault)) p->last_id = stmt_int(s, 0);
        stmt_done(s);
    }
    *ret = ++p->last_id;
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

static const SqlText NEXT_IDS = {
    .postgresql =
        "SELECT nextval(s.ids) FROM (SELECT CAST(pg_get_serial_sequence('prospect', 'prospect_id')"
        " AS regclass) AS ids OFFSET 0) s CROSS JOIN generate_series(1, ?)", /* OFFSET: asked for once */
    .sqlserver = "SELECT NEXT VALUE FOR prospect_ids"
                 " FROM generate_series(CAST(1 AS BIGINT), CAST(? AS BIGINT))"};

static bool fetch_ids(Prospects *p, Err *err) {
    size_t most = p->creates ? p->creates : 1;
    Err fault = {0};
    Stmt *s = db_statement(p->db, db_text(p->db, &NEXT_IDS));
    stmt_bind_int(s, 1, (int64_t)most);
    if (!stmt_run(s, NULL, err)) return false;
    if (most > p->ids_size) p->ids = must(realloc(p->ids, (p->ids_size = most) * sizeof *p->ids));
    p->ids_count = p->ids_taken = 0;
    while (p->ids_count < p->ids_size && stmt_row(s, &fault)) p->ids[p->ids_count++] = stmt_int(s, 0);
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

bool prospects_next_id(Prospects *p, int64_t *ret, Err *err) {
    if (db_dialect(p->db) == DB_SQLITE) return next_in_file(p, ret, err);
    if (p->ids_taken == p->ids_count && !fetch_ids(p, err)) return false;
    if (p->ids_taken == p->ids_count) return err_set(err, &ERR_INTERNAL, "the sequence of ids gave none");
    *ret = p->ids[p->ids_taken++];
    return true;
}

/* ---- changes ---- */

static bool take(Prospects *p, const Prospect *of, Span email_key, Err *err) {
    Email *e = email_of(p, span_of(of->tenant_id), email_key);
    if (!e) return no_room(err);
    if (e->owner && e->owner != of->prospect_id)
        return err_set(err, &ERR_DUPLICATE, "another prospect has this e-mail key");
    e->owner = of->prospect_id;
    return true;
}

/* The stored version of the prospect vouches for the stored owner of its key. */
static bool give_back(Prospects *p, const Prospect *of, Span email_key, Err *err) {
    bool known = map_get(p->emails.by_key, email_map_key(p, span_of(of->tenant_id), email_key));
    Email *e = email_of(p, span_of(of->tenant_id), email_key);
    if (!e) return no_room(err);
    if (!known) e->stored = of->prospect_id;
    if (!known || e->owner == of->prospect_id) e->owner = 0;
    return true;
}

static bool put(Prospects *p, const Prospect *next, Err *err) {
    Entity *e = entity_of(p, next->prospect_id);
    if (!e) return no_room(err);
    if (e->now.version != next->version - 1)
        return err_set(err, &ERR_CONFLICT, "the prospect has another version than was read");
    e->now = *next;
    return e->found = e->changed = true;
}

bool prospects_insert(Prospects *p, const Prospect *prospect, Span email_key, Err *err) {
    return put(p, prospect, err) && take(p, prospect, email_key, err);
}

bool prospects_update(Prospects *p, const Prospect *prospect, Span old_key, Span email_key, Err *err) {
    if (!put(p, prospect, err)) return false;
    if (span_equal(old_key, email_key)) return true;
    return give_back(p, prospect, old_key, err) && take(p, prospect, email_key, err);
}

bool prospects_end(Prospects *p, const Prospect *prospect, Span old_key, Err *err) {
    return put(p, prospect, err) && give_back(p, prospect, old_key, err);
}

/* ---- writing ---- */

static int by_id(const void *a, const void *b) {
    const Entity *x = *(void *const *)a, *y = *(void *const *)b;
    return (x->now.prospect_id > y->now.prospect_id) - (x->now.prospect_id < y->now.prospect_id);
}

static int compare(Span a, Span b) {
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b) {
    const Email *x = *(void *const *)a, *y = *(void *const *)b;
    int order = compare(x->tenant_id, y->tenant_id);
    return order ? order : compare(x->key, y->key);
}

static void sort(Table *t, int (*order)(const void *, const void *)) {
    if (t->count) qsort(t->all, t->count, sizeof *t->all, order);
}

static void put_state(Given *rows, const Prospect *of) {
    given_text(rows, span_of(of->first_name));
    given_text(rows, span_of(of->last_name));
    given_text(rows, span_of(of->email));
    given_text(rows, span_of(of->phone));
    given_text(rows, span_of(of->notes));
    given_int(rows, of->version);
    given_int(rows, of->updated_at);
}

static void put_insert(Prospects *p, const Prospect *of) {
    put_state(p->inserted, of);
    given_int(p->inserted, of->created_at);
    given_text(p->inserted, span_of(of->tenant_id));
    given_int(p->inserted, of->prospect_id);
    given_int(p->inserted, of->merged_into);
}

static void put_update(Prospects *p, const Entity *e) {
    put_state(p->updated, &e->now);
    given_int(p->updated, e->now.merged_into);
    given_int(p->updated, e->now.prospect_id);
    given_int(p->updated, e->base);
}

static void put_email(Given *rows, const Email *e) {
    given_text(rows, e->tenant_id);
    given_text(rows, e->key);
}

static bool write_entities(Prospects *p, Err *err) {
    sort(&p->entities, by_id);
    for (size_t i = 0; i < p->entities.count; i++) {
        const Entity *e = p->entities.all[i];
        if (e->changed && !e->base) put_insert(p, &e->now);
        if (e->changed && e->base) put_update(p, e);
    }
    int64_t updates = (int64_t)given_count(p->updated), changed = 0;
    if (!given_run(p->updated, &changed, err) || !given_run(p->inserted, NULL, err)) return false;
    return changed == updates || err_set(err, &ERR_CONFLICT, "a prospect has another version than was read");
}

static bool write_emails(Prospects *p, Err *err) {
    sort(&p->emails, by_key);
    for (size_t i = 0; i < p->emails.count; i++) {
        const Email *e = p->emails.all[i];
        if (e->stored == e->owner) continue;
        if (e->stored) put_email(p->given_back, e);
        if (e->owner) put_email(p->taken, e), given_int(p->taken, e->owner);
    }
    return given_run(p->given_back, NULL, err) && given_run(p->taken, NULL, err);
}

bool prospects_write(Prospects *p, Err *err) {
    return write_entities(p, err) && write_emails(p, err);
}
