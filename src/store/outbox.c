#include "store/outbox.h"

#include "base/buf.h"

bool outbox_append(Db *db, const Events__V1__Envelope *envelope, int64_t created_at, Err *err) {
    AUTO_BUF body = {0};
    size_t size = events__v1__envelope__get_packed_size(envelope);
    char *at = buf_reserve(&body, size);
    if (!at) return err_set(err, &ERR_TOO_LARGE, "an event of %zu bytes", size);
    body.len = events__v1__envelope__pack(envelope, (uint8_t *)at);
    Stmt *s = db_statement(
        db, "INSERT INTO outbox (event_id, tenant_id, subject, subject_version, body, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)");
    stmt_bind_text(s, 1, span_of(envelope->event_id));
    stmt_bind_text(s, 2, span_of(envelope->tenant_id));
    stmt_bind_text(s, 3, span_of(envelope->subject));
    stmt_bind_int(s, 4, envelope->subject_version);
    stmt_bind_blob(s, 5, buf_view(&body));
    stmt_bind_int(s, 6, created_at);
    return stmt_run(s, NULL, err);
}
