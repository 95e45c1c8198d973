#include "store/users/revocations.h"

bool revocations_read(Users *users, int64_t now, size_t most, void (*each)(void *user, const Revocation *row),
                      void *user, Err *err) {
    Stmt *s = db_statement(users_db(users), "select revoked_id, generation from revocation"
                                            " where expires_at > ? order by expires_at desc {limit}");
    stmt_bind_int(s, 1, now);
    stmt_bind_int(s, 2, (int64_t)most);
    Err row = {0};
    if (!stmt_run(s, NULL, err)) return false;
    while (stmt_row(s, &row)) {
        Revocation r = {.id = ""};
        bool fits = span_copy(stmt_text(s, 0), r.id, sizeof r.id);
        r.generation = stmt_int(s, 1);
        if (fits) each(user, &r);
    }
    return !row.kind || err_set(err, row.kind, "%s", row.why);
}
