/* user_sessions.c - refresh families and tickets.
 *
 * Rotation (RFC 9700, section 4.14.2): each refresh token works once and gives the next one of its family.
 * When a used one comes again, either the user or a thief is late, and nobody can tell who: the family ends
 * and the user signs in again. Two gateways that are shown one token at the same moment are kept apart by the lock
 * of its row. Expired rows are taken away as new ones come, a few at a time, so that no job is needed for it. */
#include "store/users/user_sessions.h"

#include "base/uuid.h"
#include "store/users/revocations.h"
#include <openssl/evp.h>

static void make_secret(char out[SECRET_TEXT]) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[SECRET_TEXT - 1];
    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) out[i] = DIGITS[bytes[i] & 63];
    out[SECRET_TEXT - 1] = 0;
}

enum { HASH_TEXT = 65, EXPIRED_AT_ONCE = 100 };
static void hash_secret(Span secret, char out[HASH_TEXT]) {
    static const char HEX[] = "0123456789abcdef";
    unsigned char digest[32];
    if (!EVP_Digest(secret.at, secret.len, digest, NULL, EVP_sha256(), NULL)) abort();
    for (size_t i = 0; i < sizeof digest; i++)
        out[2 * i] = HEX[digest[i] >> 4], out[2 * i + 1] = HEX[digest[i] & 15];
    out[HASH_TEXT - 1] = 0;
}

/* Ends the transaction: commit, or roll back and keep the first error. */
static bool settle(Users *users, bool ok, Err *err) {
    if (ok && db_commit(users_db(users), err)) return true;
    db_rollback(users_db(users));
    return false;
}

/* On a server another gateway may be at it: it takes the rows that this one leaves out. */
static bool delete_expired(Users *users, const char *sql, int64_t now, Err *err) {
    Stmt *s = db_statement(users_db(users), sql);
    stmt_bind_int(s, 1, now);
    stmt_bind_int(s, 2, EXPIRED_AT_ONCE);
    return stmt_run(s, NULL, err);
}
#define DELETE_EXPIRED(table, key)                                                                           \
    "delete from " table " where " key " in (select " key " from " table                                     \
    "{skipped} where expires_at < ? order by expires_at {limit}{free})"

static bool insert_token(Users *users, Span family, int64_t expires, char token[SECRET_TEXT], Err *err) {
    char hash[HASH_TEXT];
    make_secret(token);
    hash_secret(span_of(token), hash);
    Stmt *s = db_statement(
        users_db(users),
        "insert into refresh_token (token_hash, family_id, used, expires_at) values (?, ?, 0, ?)");
    stmt_bind_text(s, 1, span_of(hash));
    stmt_bind_text(s, 2, family);
    stmt_bind_int(s, 3, expires);
    return stmt_run(s, NULL, err);
}

static bool insert_family(Users *users, const User *user, Span family, int64_t expires, Err *err) {
    Stmt *s = db_statement(
        users_db(users),
        "insert into refresh_family (family_id, user_id, revoked, expires_at) values (?, ?, 0, ?)");
    stmt_bind_text(s, 1, family);
    stmt_bind_text(s, 2, span_of(user->user_id));
    stmt_bind_int(s, 3, expires);
    return stmt_run(s, NULL, err);
}

/* What he may do may have been revoked between the log-in and now. */
static bool check_generation(Users *users, const User *user, Err *err) {
    Stmt *s =
        db_statement(users_db(users), "select generation from app_user{locked} where user_id = ?{lock}");
    stmt_bind_text(s, 1, span_of(user->user_id));
    if (!stmt_run(s, NULL, err)) return false;
    Err row = {0};
    bool same = stmt_row(s, &row) && stmt_int(s, 0) == user->generation;
    stmt_done(s);
    if (row.kind) return err_set(err, row.kind, "%s", row.why);
    return same || err_set(err, &ERR_UNAUTHENTICATED, "wrong user name or password");
}

bool refresh_issue(Users *users, const SessionTimes *times, User *user, char token[SECRET_TEXT], Err *err) {
    int64_t now = times->now, expires = now + times->refresh_us;
    Uuid id = uuid_v4();
    uuid_format(&id, user->session_id);
    Span family = span_of(user->session_id);
    if (!db_begin(users_db(users), err)) return false;
    bool ok = check_generation(users, user, err) &&
              delete_expired(users, DELETE_EXPIRED("refresh_token", "token_hash"), now, err) &&
              delete_expired(users, DELETE_EXPIRED("refresh_family", "family_id"), now, err) &&
              delete_expired(users, DELETE_EXPIRED("revocation", "revoked_id"), now, err) &&
              insert_family(users, user, family, expires, err) &&
              insert_token(users, family, expires, token, err);
    return settle(users, ok, err);
}

typedef struct Held {
    char family[UUID_TEXT], user_id[USER_ID];
    bool used, revoked;
    int64_t expires_at;
} Held;

static bool find_token(Users *users, const char *hash, Held *ret, Err *err) {
    Stmt *s = db_statement(
        users_db(users),
        "select f.family_id, f.user_id, t.used, f.revoked, t.expires_at from refresh_token t{locked}"
        " join refresh_family f on f.family_id = t.family_id where t.token_hash = ?{lock}");
    stmt_bind_text(s, 1, span_of(hash));
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_UNAUTHENTICATED, "unknown refresh token");
    bool fits = span_copy(stmt_text(s, 0), ret->family, sizeof ret->family) &&
                span_copy(stmt_text(s, 1), ret->user_id, sizeof ret->user_id);
    ret->used = stmt_int(s, 2) != 0;
    ret->revoked = stmt_int(s, 3) != 0;
    ret->expires_at = stmt_int(s, 4);
    stmt_done(s);
    return fits || err_set(err, &ERR_INTERNAL, "a refresh token's row does not fit");
}

static bool mark(Users *users, const char *sql, Span key, Err *err) {
    Stmt *s = db_statement(users_db(users), sql);
    stmt_bind_text(s, 1, key);
    return stmt_run(s, NULL, err);
}

static bool trade(Users *users, const char *hash, const Held *held, int64_t expires, char next[SECRET_TEXT],
                  Err *err) {
    Stmt *s = db_statement(users_db(users), "update refresh_family set expires_at = ? where family_id = ?");
    stmt_bind_int(s, 1, expires);
    stmt_bind_text(s, 2, span_of(held->family));
    return stmt_run(s, NULL, err) &&
           mark(users, "update refresh_token set used = 1 where token_hash = ?", span_of(hash), err) &&
           insert_token(users, span_of(held->family), expires, next, err);
}

/* In a transaction. One that is over already has its row. */
static bool end_family(Users *users, const SessionTimes *times, Span family, Err *err) {
    int64_t changed = 0;
    Stmt *s = db_statement(users_db(users),
                           "update refresh_family set revoked = 1 where family_id = ? and revoked = 0");
    stmt_bind_text(s, 1, family);
    if (!stmt_run(s, &changed, err)) return false;
    if (!changed) return true;
    s = db_statement(users_db(users),
                     "insert into revocation (revoked_id, generation, expires_at) values (?, ?, ?)");
    stmt_bind_text(s, 1, family);
    stmt_bind_int(s, 2, GENERATION_NONE);
    stmt_bind_int(s, 3, times->now + times->access_us);
    return stmt_run(s, NULL, err);
}

bool session_end(Users *users, const SessionTimes *times, Span session_id, Err *err) {
    if (!db_begin(users_db(users), err)) return false;
    return settle(users, end_family(users, times, session_id, err), err);
}

/* In a transaction. The revocation of a reused family must be committed though the answer is an error: *keep.
 */
static bool rotate(Users *users, const SessionTimes *times, Span token, Renewal *ret, bool *keep, Err *err) {
    char hash[HASH_TEXT];
    Held held;
    hash_secret(token, hash);
    if (!find_token(users, hash, &held, err)) return false;
    if (held.used && !held.revoked) {
        *keep = ret->revoked = end_family(users, times, span_of(held.family), err);
        return err_set(err, &ERR_UNAUTHENTICATED, "the refresh token was used before; its family is revoked");
    }
    if (held.revoked || held.expires_at <= times->now)
        return err_set(err, &ERR_UNAUTHENTICATED, "the refresh token is revoked or has expired");
    Err found = {0};
    if (!user_find(users, span_of(held.user_id), &ret->user, &found) || ret->user.disabled)
        return err_set(err, found.kind && found.kind->retry ? found.kind : &ERR_UNAUTHENTICATED,
                       "no such user any more");
    memcpy(ret->user.session_id, held.family, sizeof ret->user.session_id);
    return *keep = trade(users, hash, &held, times->now + times->refresh_us, ret->token, err) &&
                   delete_expired(users, DELETE_EXPIRED("refresh_token", "token_hash"), times->now, err);
}

bool refresh_rotate(Users *users, const SessionTimes *times, Span token, Renewal *ret, Err *err) {
    bool keep = false;
    *ret = (Renewal){.revoked = false};
    if (token.len != SECRET_TEXT - 1) return err_set(err, &ERR_UNAUTHENTICATED, "unknown refresh token");
    if (!db_begin(users_db(users), err)) return false;
    bool ok = rotate(users, times, token, ret, &keep, err);
    return settle(users, keep, err) && ok;
}

bool ticket_issue(Users *users, const TicketGrant *grant, int64_t now, char ticket[SECRET_TEXT], Err *err) {
    char hash[HASH_TEXT];
    make_secret(ticket);
    hash_secret(span_of(ticket), hash);
    if (!db_begin(users_db(users), err)) return false;
    bool ok = delete_expired(users, DELETE_EXPIRED("ticket", "ticket_hash"), now, err);
    Stmt *s =
        db_statement(users_db(users), "insert into ticket (ticket_hash, user_id, tenant_id, scopes, origin,"
                                      " session_expires_at, expires_at, session_id, username, generation)"
                                      " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    stmt_bind_text(s, 1, span_of(hash));
    stmt_bind_text(s, 2, span_of(grant->user_id));
    stmt_bind_text(s, 3, span_of(grant->tenant_id));
    stmt_bind_text(s, 4, span_of(grant->scopes));
    stmt_bind_text(s, 5, span_of(grant->origin));
    stmt_bind_int(s, 6, grant->session_expires_at);
    stmt_bind_int(s, 7, now + (int64_t)TICKET_SECONDS * 1000000);
    stmt_bind_text(s, 8, span_of(grant->session_id));
    stmt_bind_text(s, 9, span_of(grant->username));
    stmt_bind_int(s, 10, grant->generation);
    return settle(users, ok && stmt_run(s, NULL, err), err);
}

static bool read_ticket(Users *users, Span hash, TicketGrant *ret, int64_t *expires_at, Err *err) {
    Stmt *s = db_statement(users_db(users),
                           "select user_id, tenant_id, scopes, origin, session_id, username, generation,"
                           " session_expires_at, expires_at from ticket{locked} where ticket_hash = ?{lock}");
    stmt_bind_text(s, 1, hash);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_UNAUTHENTICATED, "unknown ticket");
    bool fits = span_copy(stmt_text(s, 0), ret->user_id, sizeof ret->user_id) &&
                span_copy(stmt_text(s, 1), ret->tenant_id, sizeof ret->tenant_id) &&
                span_copy(stmt_text(s, 2), ret->scopes, sizeof ret->scopes) &&
                span_copy(stmt_text(s, 3), ret->origin, sizeof ret->origin) &&
                span_copy(stmt_text(s, 4), ret->session_id, sizeof ret->session_id) &&
                span_copy(stmt_text(s, 5), ret->username, sizeof ret->username);
    ret->generation = stmt_int(s, 6);
    ret->session_expires_at = stmt_int(s, 7);
    *expires_at = stmt_int(s, 8);
    stmt_done(s);
    return fits || err_set(err, &ERR_INTERNAL, "a ticket's row does not fit");
}

bool ticket_take(Users *users, Span ticket, Span origin, int64_t now, TicketGrant *ret, Err *err) {
    char hash[HASH_TEXT];
    int64_t expires_at = 0;
    if (ticket.len != SECRET_TEXT - 1) return err_set(err, &ERR_UNAUTHENTICATED, "unknown ticket");
    hash_secret(ticket, hash);
    if (!db_begin(users_db(users), err)) return false;
    bool ok = read_ticket(users, span_of(hash), ret, &expires_at, err) &&
              mark(users, "delete from ticket where ticket_hash = ?", span_of(hash), err);
    if (!settle(users, ok, err)) return false;
    if (expires_at <= now) return err_set(err, &ERR_UNAUTHENTICATED, "the ticket has expired");
    if (!span_equal(span_of(ret->origin), origin))
        return err_set(err, &ERR_UNAUTHENTICATED, "the ticket belongs to another origin");
    return true;
}
