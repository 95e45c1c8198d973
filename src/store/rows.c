/* rows.c - gathers, cuts and orders; what becomes of the rows is given.c's. */
#include "store/rows.h"

#include "base/buf.h"
#include "base/map.h"

/* Bytes of a statement's parameters, so that they stay within what a server likes to read. */
enum { RUN_BYTES = 4 << 20 };

typedef struct Cell {
    int64_t number;
    Span bytes;
} Cell;

struct Rows {
    const RowShape *shape;
    size_t columns;
    Given *given; /* of the database that was written to last */
    const Db *db;
    Cell *cells;
    size_t count, size;
};

Rows *rows_new(const RowShape *shape) {
    Rows *rows = must(calloc(1, sizeof *rows));
    rows->shape = shape;
    rows->columns = strlen(shape->given.columns);
    return rows;
}

Rows *rows_free(Rows *rows) {
    if (!rows) return NULL;
    given_free(rows->given);
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

void rows_int(Rows *rows, int64_t value) {
    add(rows, (Cell){.number = value});
}
void rows_text(Rows *rows, Span value) {
    add(rows, (Cell){.bytes = value});
}
void rows_blob(Rows *rows, Span value) {
    add(rows, (Cell){.bytes = value});
}
size_t rows_count(const Rows *rows) {
    return rows->count / rows->columns;
}
void rows_clear(Rows *rows) {
    rows->count = 0;
}

/* Returns the row's bytes. */
static size_t give(Rows *rows, const Cell *row) {
    size_t bytes = 0;
    for (size_t i = 0; i < rows->columns; i++) {
        switch (rows->shape->given.columns[i]) {
        case 'i': given_int(rows->given, row[i].number); break;
        case 'b': given_blob(rows->given, row[i].bytes); break;
        default: given_text(rows->given, row[i].bytes);
        }
        bytes += row[i].bytes.len;
    }
    return bytes;
}

static bool insert_all(Rows *rows, const Cell *cells, size_t count, Err *err) {
    for (size_t done = 0; done < count;) {
        for (size_t bytes = 0; done < count && bytes < RUN_BYTES; done++)
            bytes += give(rows, cells + done * rows->columns);
        if (!given_run(rows->given, NULL, err)) return false;
    }
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
static bool insert_in_turns(Rows *rows, size_t count, Err *err) {
    size_t size = rows->columns * sizeof(Cell), left = count;
    Cell *now = must(calloc(count + 1, size));
    AUTO_BUF key = {0};
    bool ok = true;
    while (ok && left) {
        AUTO(Map) seen = map_new();
        size_t taken = 0, kept = 0;
        for (size_t i = 0; i < left; i++) {
            Cell *row = rows->cells + i * rows->columns;
            bool again = map_put(seen, key_of(rows, row, &key), rows);
            memmove(again ? rows->cells + kept++ * rows->columns : now + taken++ * rows->columns, row, size);
        }
        ok = insert_all(rows, now, taken, err);
        left = kept;
    }
    free(now);
    return ok;
}

bool rows_flush(Rows *rows, Db *db, Err *err) {
    size_t count = rows_count(rows);
    if (rows->db != db) {
        given_free(rows->given);
        rows->given = given_new(db, &rows->shape->given);
        rows->db = db;
    }
    bool ok = rows->shape->key && db_dialect(db) != DB_SQLITE ? insert_in_turns(rows, count, err)
                                                              : insert_all(rows, rows->cells, count, err);
    rows_clear(rows);
    return ok;
}
