/* users.c - who may sign in. Seldom written, so every call is one small transaction of its own. */
#include "store/users/users.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/uuid.h"
#include "store/users/migrations_users.h"
#include "store/users/password.h"
#include "store/users/revocations.h"
#include <stdlib.h>

struct Users {
    Db *db;
};

static const struct {
    const char *name;
    unsigned bit;
} SCOPES[] = {{"prospects:read", SCOPE_READ},
              {"prospects:write", SCOPE_WRITE},
              {"prospects:pii", SCOPE_PII},
              {"operator", SCOPE_OPERATOR}};

static unsigned scope_bit(Span word) {
    for (size_t i = 0; i < COUNT(SCOPES); i++)
        if (span_is(word, SCOPES[i].name)) return SCOPES[i].bit;
    return 0;
}

unsigned scopes_parse(Span text, bool *unknown) {
    unsigned bits = 0;
    if (unknown) *unknown = false;
    for (Span rest = text; rest.at;) {
        Span word = span_split(rest, ' ', &rest);
        if (!word.len) continue;
        unsigned bit = scope_bit(word);
        if (!bit && unknown) *unknown = true;
        bits |= bit;
    }
    return bits;
}

bool users_open(const char *url, Users **ret, Err *err) {
    AUTO(Users) users = must(calloc(1, sizeof *users));
    if (!db_open(url, (DbOptions){0}, &users->db, err) || !users_migrate(users->db, err)) return false;
    *ret = users;
    users = NULL;
    return true;
}

Users *users_free(Users *users) {
    if (!users) return NULL;
    db_free(users->db);
    free(users);
    return NULL;
}

Db *users_db(Users *users) {
    return users->db;
}

static bool tenant_is_valid(Span id) {
    if (!id.len || id.len >= TENANT_ID) return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

static bool name_is_valid(Span name) {
    return name.len && name.len < USER_NAME && text_is_utf8(name) && !text_has_controls(name, false) &&
           span_equal(name, text_trim(name));
}

static bool tenant_exists(Users *users, Span id, bool *ret, Err *err) {
    Stmt *s = db_statement(users->db, "select 1 from tenant where tenant_id = ?");
    stmt_bind_text(s, 1, id);
    if (!stmt_run(s, NULL, err)) return false;
    Err row = {0};
    *ret = stmt_row(s, &row);
    stmt_done(s);
    if (row.kind) return err_set(err, row.kind, "%s", row.why);
    return true;
}

bool tenant_add(Users *users, Span id, Err *err) {
    bool there;
    if (!tenant_is_valid(id))
        return err_set(err, &ERR_INVALID, "a tenant id has 1 to 64 of a-z, 0-9 and hyphen");
    if (!tenant_exists(users, id, &there, err)) return false;
    if (there) return true;
    Stmt *s = db_statement(users->db, "insert into tenant (tenant_id, created_at) values (?, ?)");
    stmt_bind_text(s, 1, id);
    stmt_bind_int(s, 2, clock_now_us());
    return stmt_run(s, NULL, err);
}

static bool scopes_check(Span scopes, Err *err) {
    bool unknown;
    if (scopes.len < USER_SCOPES && scopes_parse(scopes, &unknown) && !unknown) return true;
    return err_set(err, &ERR_INVALID, "scopes are prospects:read, prospects:write, prospects:pii, operator");
}

static bool user_check(Users *users, Span name, Span tenant, Span scopes, Err *err) {
    bool there;
    if (!name_is_valid(name))
        return err_set(err, &ERR_INVALID, "a user name has 1 to 128 bytes, no control characters");
    if (!scopes_check(scopes, err)) return false;
    if (!tenant_exists(users, tenant, &there, err)) return false;
    if (!there) return err_set(err, &ERR_NOT_FOUND, "no such tenant");
    return true;
}

bool user_add(Users *users, Span name, Span tenant, Span scopes, Span password, Err *err) {
    char hash[PASSWORD_HASH], id[UUID_TEXT];
    if (!user_check(users, name, tenant, scopes, err) || !password_hash(password, hash, err)) return false;
    Uuid uuid = uuid_v4();
    uuid_format(&uuid, id);
    Stmt *s =
        db_statement(users->db, "insert into app_user (user_id, tenant_id, username, scopes, password_hash,"
                                " disabled, created_at) values (?, ?, ?, ?, ?, 0, ?)");
    stmt_bind_text(s, 1, span_of(id));
    stmt_bind_text(s, 2, tenant);
    stmt_bind_text(s, 3, name);
    stmt_bind_text(s, 4, scopes);
    stmt_bind_text(s, 5, span_of(hash));
    stmt_bind_int(s, 6, clock_now_us());
    return stmt_run(s, NULL, err);
}

/* --- changes of one user, each a transaction --- */

static bool update(Users *users, const char *sql, Span name, Err *err) {
    Stmt *s = db_statement(users->db, sql);
    stmt_bind_text(s, 1, name);
    return stmt_run(s, NULL, err);
}

/* His access tokens count no longer. The row of before, if there is one, says less. */
static bool revoke_tokens(Users *users, Span name, Err *err) {
    if (!update(users, "update app_user set generation = generation + 1 where username = ?", name, err) ||
        !update(users,
                "delete from revocation where revoked_id ="
                " (select user_id from app_user where username = ?)",
                name, err))
        return false;
    Stmt *s = db_statement(users->db, "insert into revocation (revoked_id, generation, expires_at)"
                                      " select user_id, generation, cast(? as bigint) from app_user"
                                      " where username = ?");
    stmt_bind_int(s, 1, clock_now_us() + (int64_t)ACCESS_TOKEN_MAX_S * 1000000);
    stmt_bind_text(s, 2, name);
    return stmt_run(s, NULL, err);
}

/* Neither can he refresh. The user's row comes before those of his families, as everywhere. */
static bool end_sessions(Users *users, Span name, Err *err) {
    return revoke_tokens(users, name, err) && update(users,
                                                     "update refresh_family set revoked = 1 where user_id ="
                                                     " (select user_id from app_user where username = ?)",
                                                     name, err);
}

static bool settle(Users *users, bool ok, Err *err) {
    if (ok && db_commit(users->db, err)) return true;
    db_rollback(users->db);
    return false;
}

/* What has changed of a user, and then the end of his sessions: together or not at all. */
static bool change_user(Users *users, Stmt *change, Span name, Err *err) {
    int64_t changed = 0;
    bool ok = stmt_run(change, &changed, err);
    if (ok && !changed) ok = err_set(err, &ERR_NOT_FOUND, "no such user");
    return settle(users, ok && end_sessions(users, name, err), err);
}

bool user_set_password(Users *users, Span name, Span password, Err *err) {
    char hash[PASSWORD_HASH];
    if (!password_hash(password, hash, err) || !db_begin(users->db, err)) return false;
    Stmt *s = db_statement(users->db, "update app_user set password_hash = ? where username = ?");
    stmt_bind_text(s, 1, span_of(hash));
    stmt_bind_text(s, 2, name);
    return change_user(users, s, name, err);
}

static bool change_and_end(Users *users, const char *sql, Span name, Err *err) {
    if (!db_begin(users->db, err)) return false;
    Stmt *s = db_statement(users->db, sql);
    stmt_bind_text(s, 1, name);
    return change_user(users, s, name, err);
}

bool user_disable(Users *users, Span name, Err *err) {
    return change_and_end(users, "update app_user set disabled = 1 where username = ?", name, err);
}

bool user_revoke(Users *users, Span name, Err *err) {
    return change_and_end(users, "update app_user set disabled = disabled where username = ?", name, err);
}

/* What he held when he was disabled stays revoked. */
bool user_enable(Users *users, Span name, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(users->db, "update app_user set disabled = 0 where username = ?");
    stmt_bind_text(s, 1, name);
    if (!stmt_run(s, &changed, err)) return false;
    return changed || err_set(err, &ERR_NOT_FOUND, "no such user");
}

static bool read_scopes(Users *users, Span name, unsigned *ret, Err *err) {
    Stmt *s = db_statement(users->db, "select scopes from app_user{locked} where username = ?{lock}");
    stmt_bind_text(s, 1, name);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_NOT_FOUND, "no such user");
    *ret = scopes_parse(stmt_text(s, 0), NULL);
    stmt_done(s);
    return true;
}

static bool write_scopes(Users *users, Span name, Span scopes, Err *err) {
    Stmt *s = db_statement(users->db, "update app_user set scopes = ? where username = ?");
    stmt_bind_text(s, 1, scopes);
    stmt_bind_text(s, 2, name);
    return stmt_run(s, NULL, err);
}

bool user_set_scopes(Users *users, Span name, Span scopes, bool *narrowed, Err *err) {
    unsigned before = 0;
    if (!scopes_check(scopes, err) || !db_begin(users->db, err)) return false;
    bool ok = read_scopes(users, name, &before, err) && write_scopes(users, name, scopes, err);
    *narrowed = before & ~scopes_parse(scopes, NULL);
    return settle(users, ok && (!*narrowed || revoke_tokens(users, name, err)), err);
}

/* --- who --- */

#define USER_COLUMNS "user_id, tenant_id, username, scopes, disabled, generation"
/* Those; then, where wanted, password_hash. */
static bool read_user(Stmt *s, User *ret, char hash[PASSWORD_HASH], Err *err) {
    *ret = (User){0};
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_NOT_FOUND, "no such user");
    bool fits = span_copy(stmt_text(s, 0), ret->user_id, sizeof ret->user_id) &&
                span_copy(stmt_text(s, 1), ret->tenant_id, sizeof ret->tenant_id) &&
                span_copy(stmt_text(s, 2), ret->username, sizeof ret->username) &&
                span_copy(stmt_text(s, 3), ret->scopes, sizeof ret->scopes);
    ret->disabled = stmt_int(s, 4) != 0;
    ret->generation = stmt_int(s, 5);
    if (hash) fits = fits && span_copy(stmt_text(s, 6), hash, PASSWORD_HASH);
    stmt_done(s);
    return fits || err_set(err, &ERR_INTERNAL, "a row of app_user does not fit");
}

bool user_find(Users *users, Span user_id, User *ret, Err *err) {
    Stmt *s = db_statement(users->db, "select " USER_COLUMNS " from app_user where user_id = ?");
    stmt_bind_text(s, 1, user_id);
    return read_user(s, ret, NULL, err);
}

bool user_login(Users *users, Span username, Span password, User *ret, Err *err) {
    char hash[PASSWORD_HASH];
    Err found = {0};
    Stmt *s =
        db_statement(users->db, "select " USER_COLUMNS ", password_hash from app_user where username = ?");
    stmt_bind_text(s, 1, username);
    bool there = name_is_valid(username) && read_user(s, ret, hash, &found);
    if (found.kind && !err_is(&found, &ERR_NOT_FOUND)) return err_set(err, found.kind, "%s", found.why);
    bool right = password_verify(there ? hash : NULL, password);
    if (!right || ret->disabled) return err_set(err, &ERR_UNAUTHENTICATED, "wrong user name or password");
    return true;
}
