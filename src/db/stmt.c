/* stmt.c - prepared statements, cached per connection by their text.
 *
 * A Stmt keeps its first failure (prepare, bind, execute or fetch) and every later call is a no-op, so that
 * callers bind in straight lines and check once. Integers are bound to a cell of the Stmt once; texts and
 * blobs point into the caller's memory and are bound anew each time. Values read are copied to the row's
 * arena, which the next row resets. libsqliteodbc materialises a whole result in SQLExecute, so an open
 * cursor holds no lock of SQLite's. */
#include "base/arena.h"
#include "db/inside.h"

enum { FIRST_PIECE = 2048, ROW_LIMIT = 64 << 20 };

typedef enum Bound { BOUND_NOT, BOUND_INT, BOUND_OTHER } Bound;
typedef struct Param {
    Bound bound;
    int64_t number;
    SQLLEN len; /* or SQL_NULL_DATA; the driver reads it at execution */
} Param;

struct Stmt {
    Db *db;
    char *sql;
    SQLHSTMT handle; /* NULL: not prepared (yet) */
    SQLSMALLINT param_count, column_count;
    Param *params;
    bool open; /* executed, cursor not closed */
    bool last_null;
    Arena *row;
    Err err;
};

Stmt *stmt_free(Stmt *s) {
    if (!s) return NULL;
    if (s->handle) SQLFreeHandle(SQL_HANDLE_STMT, s->handle);
    arena_free(s->row);
    free(s->params);
    free(s->sql);
    free(s);
    return NULL;
}

static bool fault(Stmt *s, Err *err) {
    return db_statement_fault(s->db, s->handle, s->sql, err);
}

/* Drivers keep a list as long as the highest index that was bound, and copy it to make room for the next one: of a
 * thousand parameters the last comes first. */
static bool make_room(Stmt *s) {
    free(s->params);
    s->params = must(calloc((size_t)s->param_count + 1, sizeof *s->params));
    if (s->param_count < 2) return true;
    Param *last = &s->params[s->param_count - 1];
    return SQL_SUCCEEDED(SQLBindParameter(s->handle, (SQLUSMALLINT)s->param_count, SQL_PARAM_INPUT,
                                          SQL_C_SBIGINT, SQL_BIGINT, 20, 0, &last->number,
                                          sizeof last->number, &last->len));
}

static bool prepare(Stmt *s) {
    AUTO_BUF sql = {0};
    if (!s->db->connected) return err_set(&s->err, &ERR_DB_DOWN, "database: not connected");
    if (!words_expand(s->db->dialect->id, s->sql, &sql, &s->err)) return false;
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, s->db->connection, &s->handle))) {
        s->handle = NULL;
        return db_fault(s->db, SQL_HANDLE_DBC, s->db->connection, s->sql, &s->err);
    }
    if (SQL_SUCCEEDED(SQLPrepare(s->handle, (SQLCHAR *)sql.at, SQL_NTS)) &&
        SQL_SUCCEEDED(SQLNumParams(s->handle, &s->param_count)) && make_room(s))
        return true;
    fault(s, &s->err);
    SQLFreeHandle(SQL_HANDLE_STMT, s->handle);
    s->handle = NULL;
    return false;
}

Stmt *db_statement(Db *db, const char *sql) {
    Stmt *s = map_get(db->statements, span_of(sql));
    if (!s) {
        s = must(calloc(1, sizeof *s));
        *s = (Stmt){.db = db, .sql = must(strdup(sql)), .row = arena_new(ROW_LIMIT)};
        map_put(db->statements, span_of(sql), s);
    }
    stmt_done(s);
    err_clear(&s->err);
    if (!s->handle) prepare(s);
    return s;
}

void stmt_done(Stmt *s) {
    if (s->open) SQLFreeStmt(s->handle, SQL_CLOSE);
    s->open = false;
}

static Param *param(Stmt *s, int index) {
    if (s->err.kind) return NULL;
    if (index >= 1 && index <= s->param_count) return &s->params[index - 1];
    err_set(&s->err, &ERR_INTERNAL, "database: no parameter %d, at %.60s", index, s->sql);
    return NULL;
}

static void bind_bytes(Stmt *s, int index, SQLSMALLINT c_type, SQLSMALLINT sql_type, Span value) {
    Param *p = param(s, index);
    if (!p) return;
    p->bound = BOUND_OTHER;
    p->len = value.at ? (SQLLEN)value.len : SQL_NULL_DATA;
    SQLULEN size = value.len ? value.len : 1;
    if (!SQL_SUCCEEDED(SQLBindParameter(s->handle, (SQLUSMALLINT)index, SQL_PARAM_INPUT, c_type, sql_type,
                                        size, 0, (SQLPOINTER)value.at, (SQLLEN)value.len, &p->len)))
        fault(s, &s->err);
}

void stmt_bind_int(Stmt *s, int index, int64_t value) {
    Param *p = param(s, index);
    if (!p) return;
    p->number = value;
    if (p->bound == BOUND_INT) return;
    p->bound = BOUND_INT;
    p->len = sizeof p->number;
    if (!SQL_SUCCEEDED(SQLBindParameter(s->handle, (SQLUSMALLINT)index, SQL_PARAM_INPUT, SQL_C_SBIGINT,
                                        SQL_BIGINT, 20, 0, &p->number, sizeof p->number, &p->len)))
        fault(s, &s->err);
}

void stmt_bind_text(Stmt *s, int index, Span value) {
    /* psqlodbc cuts a text at a NUL without a word; no text of ours has one */
    if (value.len && memchr(value.at, 0, value.len))
        err_set(&s->err, &ERR_INVALID, "database: a text with a NUL");
    bind_bytes(s, index, SQL_C_CHAR, s->db->dialect->wide_texts ? SQL_WVARCHAR : SQL_VARCHAR, value);
}

/* A column of bytes keeps a text as it is, and its driver hands texts on where it makes X'0A1B' of a blob (see
 * bytes_of_hex): a packed message, in which a NUL is rare, costs half to read where it was bound as a text. */
static bool goes_as_text(const Stmt *s, Span value) {
    return s->db->dialect->blobs_are_hex && value.len && !memchr(value.at, 0, value.len) &&
           !span_starts(value, SPAN("X'"));
}

void stmt_bind_blob(Stmt *s, int index, Span value) {
    bool text = goes_as_text(s, value);
    bind_bytes(s, index, text ? SQL_C_CHAR : SQL_C_BINARY, text ? SQL_VARCHAR : SQL_LONGVARBINARY, value);
}
void stmt_bind_null(Stmt *s, int index) {
    stmt_bind_text(s, index, SPAN_NONE);
}

static bool execute(Stmt *s, int64_t *changed) {
    for (int i = 0; i < s->param_count; i++)
        if (s->params[i].bound == BOUND_NOT)
            return err_set(&s->err, &ERR_INTERNAL, "database: parameter %d is not bound, at %.60s", i + 1,
                           s->sql);
    SQLRETURN rc = SQLExecute(s->handle);
    if (rc != SQL_NO_DATA && !SQL_SUCCEEDED(rc)) return fault(s, &s->err);
    if (s->db->spoiled) db_unspoil(s->db, s->sql);
    s->open = true;
    if (!SQL_SUCCEEDED(SQLNumResultCols(s->handle, &s->column_count))) return fault(s, &s->err);
    SQLLEN rows = 0;
    if (changed && rc != SQL_NO_DATA && !SQL_SUCCEEDED(SQLRowCount(s->handle, &rows)))
        return fault(s, &s->err);
    if (changed) *changed = rows;
    return true;
}

bool stmt_run(Stmt *s, int64_t *changed, Err *err) {
    stmt_done(s);
    if (!s->err.kind && execute(s, changed)) return true;
    return err_set(err, s->err.kind, "%s", s->err.why);
}

bool stmt_row(Stmt *s, Err *err) {
    arena_reset(s->row);
    if (!s->err.kind && s->open && s->column_count > 0) {
        SQLRETURN rc = SQLFetch(s->handle);
        if (SQL_SUCCEEDED(rc)) return true;
        if (rc != SQL_NO_DATA) fault(s, &s->err);
    }
    stmt_done(s);
    return s->err.kind ? err_set(err, s->err.kind, "%s", s->err.why) : false;
}

int64_t stmt_int(Stmt *s, int column) {
    int64_t value = 0;
    SQLLEN len = 0;
    if (s->err.kind) return 0;
    if (!SQL_SUCCEEDED(
            SQLGetData(s->handle, (SQLUSMALLINT)(column + 1), SQL_C_SBIGINT, &value, sizeof value, &len)))
        return fault(s, &s->err);
    s->last_null = len == SQL_NULL_DATA;
    return s->last_null ? 0 : value;
}

/* The first call tells the whole length; where the piece was too small the rest is fetched behind a copy of
 * it. */
static Span get_bytes(Stmt *s, int column, SQLSMALLINT type) {
    char piece[FIRST_PIECE];
    size_t tail = type == SQL_C_CHAR; /* texts come with a NUL, which takes room in each piece */
    SQLLEN len = 0;
    if (s->err.kind) return SPAN_NONE;
    SQLRETURN rc = SQLGetData(s->handle, (SQLUSMALLINT)(column + 1), type, piece, sizeof piece, &len);
    if (!SQL_SUCCEEDED(rc)) return fault(s, &s->err), SPAN_NONE;
    s->last_null = len == SQL_NULL_DATA;
    if (s->last_null) return SPAN_NONE;
    char *at = len < 0 ? NULL : arena_alloc(s->row, (size_t)len + 1);
    if (!at) return err_set(&s->err, &ERR_TOO_LARGE, "database: a value is too large"), SPAN_NONE;
    size_t have = (size_t)len + tail <= sizeof piece ? (size_t)len : sizeof piece - tail;
    memcpy(at, piece, have);
    if (have < (size_t)len) {
        rc = SQLGetData(s->handle, (SQLUSMALLINT)(column + 1), type, at + have,
                        len - (SQLLEN)have + (SQLLEN)tail, NULL);
        if (!SQL_SUCCEEDED(rc)) return fault(s, &s->err), SPAN_NONE;
    }
    return span_bytes(at, (size_t)len);
}

Span stmt_text(Stmt *s, int column) {
    return get_bytes(s, column, SQL_C_CHAR);
}

/* SQLite's driver keeps a blob as the text X'0A1B', and looks each digit up by strchr() where it is asked for the
 * bytes. They are made here, where the text lies. */
static Span bytes_of_hex(Span text) {
    static const uint8_t DIGITS[256] = {
        ['0'] = 0, ['1'] = 1, ['2'] = 2,  ['3'] = 3,  ['4'] = 4,  ['5'] = 5,  ['6'] = 6,  ['7'] = 7,
        ['8'] = 8, ['9'] = 9, ['A'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['E'] = 14, ['F'] = 15,
    };
    if (text.len < 3 || !span_starts(text, SPAN("X'")) || text.at[text.len - 1] != '\'')
        return text; /* it was no blob */
    const uint8_t *digits = (const uint8_t *)text.at + 2;
    char *to = (char *)text.at;
    size_t len = (text.len - 3) / 2;
    for (size_t i = 0; i < len; i++) to[i] = (char)(DIGITS[digits[2 * i]] << 4 | DIGITS[digits[2 * i + 1]]);
    return span_bytes(to, len);
}

Span stmt_blob(Stmt *s, int column) {
    if (s->db->dialect->blobs_are_hex) return bytes_of_hex(get_bytes(s, column, SQL_C_CHAR));
    return get_bytes(s, column, SQL_C_BINARY);
}

bool stmt_is_null(Stmt *s, int column) {
    char none[1];
    SQLLEN len = 0;
    if (s->err.kind) return true;
    SQLRETURN rc = SQLGetData(s->handle, (SQLUSMALLINT)(column + 1), SQL_C_CHAR, none, 1, &len);
    return !SQL_SUCCEEDED(rc) || len == SQL_NULL_DATA;
}
