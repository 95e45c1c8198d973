#include "store/read/event_queries.h"

#include "wire/message.h"

bool tenant_log_read(Db *db, Span tenant_id, int64_t after, int64_t upto, int64_t limit,
                     const ReplayVisitor *visitor, Err *err) {
    Stmt *s = db_statement(db, "select body from replay_log where tenant_id = ? and sequence > ?"
                               " and sequence <= ? order by sequence {limit}");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_int(s, 2, after);
    stmt_bind_int(s, 3, upto);
    stmt_bind_int(s, 4, limit);
    return replay_log_visit(s, visitor, err);
}

bool subject_history(Db *db, Span tenant_id, Span subject, int64_t before, int64_t limit,
                     const ReplayVisitor *visitor, Err *err) {
    Stmt *s = db_statement(db, "select body from replay_log where tenant_id = ? and subject = ?"
                               " and sequence < ? and event_type <> 'EventSkipped'"
                               " order by sequence desc {limit}");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_text(s, 2, subject);
    stmt_bind_int(s, 3, before);
    stmt_bind_int(s, 4, limit);
    return replay_log_visit(s, visitor, err);
}

/* A FieldError of the array; members in any order, others passed over. */
static bool read_error(JsonReader *r, Arena *arena, Events__V1__FieldError *error) {
    events__v1__field_error__init(error);
    for (JsonToken t; (t = json_next(r)) != JSON_OBJECT_END;) {
        if (t != JSON_NAME) return false;
        char **to = span_is(r->text, "field")     ? &error->field
                    : span_is(r->text, "code")    ? &error->code
                    : span_is(r->text, "message") ? &error->message
                                                  : NULL;
        t = json_next(r);
        if (to && t == JSON_STRING) {
            if (!(*to = arena_copy(arena, r->text))) return false;
        } else if (!json_skip(r, t)) {
            return false;
        }
    }
    return true;
}

static bool read_errors(Span json, Arena *arena, Events__V1__CommandOutcome *outcome) {
    if (!json.len) return true;
    JsonReader r = json_reader(json, arena);
    if (json_next(&r) != JSON_ARRAY) return false;
    outcome->errors = arena_alloc(arena, FIELD_FAULTS_MAX * sizeof *outcome->errors);
    for (JsonToken t; (t = json_next(&r)) != JSON_ARRAY_END;) {
        Events__V1__FieldError *error = arena_alloc(arena, sizeof *error);
        if (t != JSON_OBJECT || !error || !outcome->errors || outcome->n_errors == FIELD_FAULTS_MAX)
            return false;
        if (!read_error(&r, arena, error)) return false;
        outcome->errors[outcome->n_errors++] = error;
    }
    return true;
}

static Events__V1__CommandOutcome *read_outcome(Stmt *s, Arena *arena) {
    Events__V1__CommandOutcome *o = arena_alloc(arena, sizeof *o);
    if (!o) return NULL;
    events__v1__command_outcome__init(o);
    o->status = (Events__V1__CommandStatus)stmt_int(s, 0);
    o->subject = arena_copy(arena, stmt_text(s, 1));
    o->event_id = arena_copy(arena, stmt_text(s, 2));
    o->code = arena_copy(arena, stmt_text(s, 3));
    bool ok = read_errors(stmt_text(s, 4), arena, o);
    o->correlation_id = arena_copy(arena, stmt_text(s, 5));
    return ok && o->subject && o->event_id && o->code && o->correlation_id ? o : NULL;
}

bool outcome_find(Db *db, Span tenant_id, Span issued_by, Span command_id, Arena *arena,
                  Events__V1__CommandOutcome **ret, Err *err) {
    Stmt *s =
        db_statement(db, "select status, subject, event_id, code, errors, correlation_id from command_outcome"
                         " where tenant_id = ? and issued_by = ? and command_id = ?");
    stmt_bind_text(s, 1, tenant_id);
    stmt_bind_text(s, 2, issued_by);
    stmt_bind_text(s, 3, command_id);
    if (!stmt_run(s, NULL, err)) return false;
    if (!stmt_row(s, err)) return err_set(err, &ERR_NOT_FOUND, "no outcome is known");
    *ret = read_outcome(s, arena);
    stmt_done(s);
    if (!*ret) return err_set(err, &ERR_INTERNAL, "the outcome's row cannot be read");
    (*ret)->command_id = arena_copy(arena, command_id);
    return (*ret)->command_id || err_set(err, &ERR_TOO_LARGE, "the outcome does not fit");
}
