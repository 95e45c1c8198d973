#include "store/rows.h"

#include "base/buf.h"
#include "base/map.h"

/* A batch is cut into these, so that a handful of statement texts serve every count. */
static const size_t GROUPS[] = {32, 8, 1};

typedef struct Cell {
    enum { CELL_INT, CELL_TEXT, CELL_BLOB } kind;
    int64_t number;
    Span bytes;
} Cell;

/* Of the texts of an array, so that the parameters of a statement stay within what a server likes to read. */
enum { ARRAYS_MAX = 4 << 20 };

struct Rows {
    const RowShape *shape;
    char *sql[COUNT(GROUPS)];
    char *array_sql; /* made of the first row that comes: its cells tell the columns' types */
    Buf *arrays;     /* of each column */
    Cell *cells;
    size_t count, size;
};

static char *statement_of(const RowShape *shape, size_t rows) {
    Buf sql = {0};
    buf_text(&sql, shape->insert);
    for (size_t i = 0; i < rows; i++) {
        buf_text(&sql, i ? ", (?" : "(?");
        for (int k = 1; k < shape->columns; k++) buf_text(&sql, ", ?");
        buf_byte(&sql, ')');
    }
    buf_text(&sql, shape->conflict);
    buf_byte(&sql, 0);
    return must(sql.at);
}

Rows *rows_new(const RowShape *shape) {
    Rows *rows = must(calloc(1, sizeof *rows));
    rows->shape = shape;
    for (size_t i = 0; i < COUNT(GROUPS); i++) rows->sql[i] = statement_of(shape, GROUPS[i]);
    rows->arrays = must(calloc((size_t)shape->columns, sizeof *rows->arrays));
    return rows;
}

Rows *rows_free(Rows *rows) {
    if (!rows) return NULL;
    for (size_t i = 0; i < COUNT(GROUPS); i++) free(rows->sql[i]);
    for (int i = 0; i < rows->shape->columns; i++) buf_free(&rows->arrays[i]);
    free(rows->arrays);
    free(rows->array_sql);
    free(rows->cells);
    free(rows);
    return NULL;
}

static void add(Rows *rows, Cell cell) {
    if (rows->count == rows->size) {
        rows->size = rows->size ? rows->size * 2 : 256;
        rows->cells = must(realloc(rows->cells, rows->size * sizeof *rows->cells));
    }
    rows->cells[rows->count++] = cell;
}

static Span present(Span s) {
    return s.at ? s : SPAN("");
}

void rows_int(Rows *rows, int64_t value) {
    add(rows, (Cell){.kind = CELL_INT, .number = value});
}
void rows_text(Rows *rows, Span value) {
    add(rows, (Cell){.kind = CELL_TEXT, .bytes = present(value)});
}
void rows_blob(Rows *rows, Span value) {
    add(rows, (Cell){.kind = CELL_BLOB, .bytes = present(value)});
}
size_t rows_count(const Rows *rows) {
    return rows->count / (size_t)rows->shape->columns;
}
void rows_clear(Rows *rows) {
    rows->count = 0;
}

static bool insert_group(Rows *rows, size_t group, const Cell *cells, Db *db, Err *err) {
    Stmt *s = db_statement(db, rows->sql[group]);
    int parameters = (int)GROUPS[group] * rows->shape->columns;
    for (int i = 0; i < parameters; i++) {
        switch (cells[i].kind) {
        case CELL_INT: stmt_bind_int(s, i + 1, cells[i].number); break;
        case CELL_TEXT: stmt_bind_text(s, i + 1, cells[i].bytes); break;
        case CELL_BLOB: stmt_bind_blob(s, i + 1, cells[i].bytes); break;
        }
    }
    return stmt_run(s, NULL, err);
}

/* ---- PostgreSQL: an array for each column, and one statement whatever the number of rows ---- */

static const char *array_statement(Rows *rows, const Cell *cells) {
    static const char *const TYPES[] = {[CELL_INT] = "bigint", [CELL_TEXT] = "text", [CELL_BLOB] = "bytea"};
    if (rows->array_sql) return rows->array_sql;
    Buf sql = {0};
    const char *values = strstr(rows->shape->insert, "VALUES");
    buf_append(&sql, rows->shape->insert, (size_t)(values - rows->shape->insert));
    for (int i = 0; i < rows->shape->columns; i++)
        buf_printf(&sql, "%s(? AS %s[])", i ? ", CAST" : "SELECT * FROM unnest(CAST", TYPES[cells[i].kind]);
    buf_printf(&sql, ")%s", rows->shape->conflict);
    buf_byte(&sql, 0);
    return rows->array_sql = must(sql.at);
}

static void add_text_element(Buf *to, Span text) {
    buf_byte(to, '"');
    for (size_t at = 0; at < text.len;) {
        size_t run = at;
        while (run < text.len && text.at[run] != '"' && text.at[run] != '\\') run++;
        buf_append(to, text.at + at, run - at);
        if (run < text.len) buf_byte(to, '\\'), buf_byte(to, text.at[run++]);
        at = run;
    }
    buf_byte(to, '"');
}

static void add_blob_element(Buf *to, Span bytes) {
    static const char DIGITS[] = "0123456789abcdef";
    buf_text(to, "\"\\\\x");
    char *hex = buf_reserve(to, 2 * bytes.len);
    for (size_t i = 0; hex && i < bytes.len; i++) {
        *hex++ = DIGITS[(unsigned char)bytes.at[i] >> 4];
        *hex++ = DIGITS[bytes.at[i] & 15];
    }
    if (hex) to->len += 2 * bytes.len;
    buf_byte(to, '"');
}

static void add_element(Buf *to, const Cell *cell) {
    buf_byte(to, to->len ? ',' : '{');
    switch (cell->kind) {
    case CELL_INT: buf_printf(to, "%lld", (long long)cell->number); break;
    case CELL_TEXT: add_text_element(to, cell->bytes); break;
    case CELL_BLOB: add_blob_element(to, cell->bytes); break;
    }
}

/* As many rows as the arrays may hold; at least one. Returns how many. */
static size_t fill_arrays(Rows *rows, const Cell *cells, size_t count) {
    size_t columns = (size_t)rows->shape->columns, done = 0;
    for (size_t i = 0; i < columns; i++) buf_clear(&rows->arrays[i]);
    for (size_t bytes = 0; done < count && bytes < ARRAYS_MAX; done++)
        for (size_t i = 0; i < columns; i++, cells++) {
            add_element(&rows->arrays[i], cells);
            bytes += cells->bytes.len;
        }
    for (size_t i = 0; i < columns; i++) buf_byte(&rows->arrays[i], '}');
    return done;
}

static bool insert_arrays(Rows *rows, const Cell *cells, size_t count, Db *db, Err *err) {
    size_t columns = (size_t)rows->shape->columns;
    for (size_t done = 0; done < count;) {
        Stmt *s = db_statement(db, array_statement(rows, cells));
        done += fill_arrays(rows, cells + done * columns, count - done);
        for (size_t i = 0; i < columns; i++) {
            if (rows->arrays[i].failed) return err_set(err, &ERR_TOO_LARGE, "database: a row is too large");
            stmt_bind_text(s, (int)i + 1, buf_view(&rows->arrays[i]));
        }
        if (!stmt_run(s, NULL, err)) return false;
    }
    return true;
}

static bool insert_all(Rows *rows, const Cell *cells, size_t count, Db *db, Err *err) {
    if (db_dialect(db) == DB_POSTGRESQL) return insert_arrays(rows, cells, count, db, err);
    size_t columns = (size_t)rows->shape->columns, done = 0;
    for (size_t group = 0; group < COUNT(GROUPS); group++)
        for (; count - done >= GROUPS[group]; done += GROUPS[group])
            if (!insert_group(rows, group, cells + done * columns, db, err)) return false;
    return true;
}

static Span key_of(const Rows *rows, const Cell *cells, Buf *key) {
    buf_clear(key);
    for (int i = 0; i < rows->shape->key; i++) {
        buf_append(key, &cells[i].number, sizeof cells[i].number);
        buf_append(key, &cells[i].bytes.len, sizeof cells[i].bytes.len);
        buf_span(key, cells[i].bytes);
    }
    return buf_view(key);
}

/* PostgreSQL refuses a statement that would change one row twice. So the first row of each key goes in first, then
 * the second of each that has one, and so on; the order within a key is kept. */
static bool insert_in_turns(Rows *rows, size_t count, Db *db, Err *err) {
    size_t columns = (size_t)rows->shape->columns, size = columns * sizeof(Cell), left = count;
    Cell *now = must(calloc(count + 1, size));
    AUTO_BUF key = {0};
    bool ok = true;
    while (ok && left) {
        AUTO(Map) seen = map_new();
        size_t taken = 0, kept = 0;
        for (size_t i = 0; i < left; i++) {
            Cell *row = rows->cells + i * columns;
            bool again = map_put(seen, key_of(rows, row, &key), rows);
            memmove(again ? rows->cells + kept++ * columns : now + taken++ * columns, row, size);
        }
        ok = insert_all(rows, now, taken, db, err);
        left = kept;
    }
    free(now);
    return ok;
}

bool rows_flush(Rows *rows, Db *db, Err *err) {
    size_t count = rows_count(rows);
    bool ok = rows->shape->key && db_dialect(db) != DB_SQLITE ? insert_in_turns(rows, count, db, err)
                                                              : insert_all(rows, rows->cells, count, db, err);
    rows_clear(rows);
    return ok;
}
