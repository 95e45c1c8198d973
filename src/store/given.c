/* given.c - for PostgreSQL the cells go into their columns' arrays at once, in the form in which it reads an
 * array: {"a","b\"c"}, {1,2}. Bytes stand behind one another in a parameter of their own, which goes out as it is,
 * and the array has where each cell's begin and how many they are: as hexadecimal digits in an array they would
 * cost the server more than the rest of their row. For T-SQL the cells go into one text of JSON, each row with its
 * place in front and bytes as hexadecimal digits: [[0,"a",1,"00ff"],[1,"b\"c",2,""]]. For SQLite they are kept,
 * and bound to the parameters of VALUES. */
#include "store/given.h"

#include "wire/json/json.h"

/* What a file's rows are cut into, so that a handful of texts serve every count. */
static const size_t GROUPS[] = {128, 32, 8, 1};
enum { COLUMNS_MAX = 16, BYTES_MAX = 512 << 20 /* a server takes no parameter of 1 GiB */ };

typedef struct Cell {
    int64_t number;
    Span bytes;
} Cell;

struct Given {
    const GivenShape *shape;
    Db *db;
    DbDialect dialect;
    size_t columns, count;    /* count: of cells */
    char *sql[COUNT(GROUPS)]; /* a server: the first alone */
    Buf arrays[COLUMNS_MAX];  /* T-SQL: the first alone, which is the JSON */
    Buf bytes;                /* PostgreSQL: of the columns b */
    Cell *cells;
    size_t size;
};

/* ---- texts ---- */

/* A cell of bytes: where they begin, and in the lower half how many they are. */
#define CUT "substr(w.bytes, CAST(u.c%d >> 32 AS INTEGER), CAST(u.c%d & 4294967295 AS INTEGER))"

static void write_arrays(const char *columns, Buf *sql) {
    int count = (int)strlen(columns);
    bool bytes = strchr(columns, 'b') != NULL;
    for (int i = 0; i < count; i++)
        buf_printf(sql, columns[i] == 'b' ? "%s" CUT : "%su.c%d", i ? ", " : "SELECT ", i + 1, i + 1);
    buf_text(sql,
             bytes ? " FROM (SELECT CAST(? AS BYTEA) AS bytes) AS w CROSS JOIN unnest(" : " FROM unnest(");
    for (int i = 0; i < count; i++)
        buf_printf(sql, "%sCAST(? AS %s[])", i ? ", " : "", strchr("ib", columns[i]) ? "BIGINT" : "TEXT");
    for (int i = 0; i < count; i++) buf_printf(sql, "%sc%d", i ? ", " : ") AS u(", i + 1);
    buf_byte(sql, ')');
}

/* How a column leaves the JSON. */
static const struct {
    char letter;
    const char *type, *before, *behind;
} IN_JSON[] = {{'i', "BIGINT", "", ""},
               {'t', "NVARCHAR(MAX)", "", "{bytewise}"},
               {'k', "NVARCHAR(400)", "", "{bytewise}"},
               {'b', "VARCHAR(MAX)", "CONVERT(VARBINARY(MAX), ", ", 2)"}};

static size_t in_json(char letter) {
    size_t i = 0;
    while (IN_JSON[i].letter != letter) i++;
    return i;
}

/* nth, the place in the order that was given, can be asked for behind the whole: {given} ORDER BY nth. */
static void write_json(const char *columns, Buf *sql) {
    int count = (int)strlen(columns);
    buf_text(sql, "SELECT ");
    for (int i = 0; i < count; i++) {
        size_t how = in_json(columns[i]);
        buf_printf(sql, "%s%sc%d%s", i ? ", " : "", IN_JSON[how].before, i + 1, IN_JSON[how].behind);
    }
    buf_text(sql, " FROM OPENJSON(?) WITH (nth BIGINT '$[0]'");
    for (int i = 0; i < count; i++)
        buf_printf(sql, ", c%d %s '$[%d]'", i + 1, IN_JSON[in_json(columns[i])].type, i + 1);
    buf_byte(sql, ')');
}

static void write_values(const char *columns, size_t rows, Buf *sql) {
    buf_text(sql, "VALUES ");
    for (size_t i = 0; i < rows; i++) {
        buf_text(sql, i ? ", (?" : "(?");
        for (const char *c = columns + 1; *c; c++) buf_text(sql, ", ?");
        buf_byte(sql, ')');
    }
}

static char *statement_of(const Given *g, size_t rows) {
    static const char MARK[] = "{given}";
    const char *text = db_text(g->db, &g->shape->sql), *mark = strstr(text, MARK);
    Buf sql = {0};
    if (!mark) abort(); /* a defect of the shape */
    buf_append(&sql, text, (size_t)(mark - text));
    switch (g->dialect) {
    case DB_SQLITE: write_values(g->shape->columns, rows, &sql); break;
    case DB_POSTGRESQL: write_arrays(g->shape->columns, &sql); break;
    case DB_SQLSERVER: write_json(g->shape->columns, &sql); break;
    }
    buf_text(&sql, mark + sizeof MARK - 1);
    buf_byte(&sql, 0);
    return must(sql.at);
}

Given *given_new(Db *db, const GivenShape *shape) {
    Given *g = must(calloc(1, sizeof *g));
    *g = (Given){.shape = shape, .db = db, .dialect = db_dialect(db)};
    g->columns = strlen(shape->columns);
    if (!g->columns || g->columns > COLUMNS_MAX) abort();
    for (size_t i = 0; i < (g->dialect == DB_SQLITE ? COUNT(GROUPS) : 1); i++)
        g->sql[i] = statement_of(g, GROUPS[i]);
    return g;
}

Given *given_free(Given *g) {
    if (!g) return NULL;
    for (size_t i = 0; i < COUNT(GROUPS); i++) free(g->sql[i]);
    for (size_t i = 0; i < g->columns; i++) buf_free(&g->arrays[i]);
    buf_free(&g->bytes);
    free(g->cells);
    free(g);
    return NULL;
}

/* ---- cells ---- */

static void quoted(Buf *array, Span value) {
    buf_byte(array, '"');
    for (size_t at = 0; at < value.len;) {
        size_t plain = at;
        while (plain < value.len && value.at[plain] != '"' && value.at[plain] != '\\') plain++;
        buf_append(array, value.at + at, plain - at);
        if (plain < value.len) {
            buf_byte(array, '\\');
            buf_byte(array, value.at[plain++]);
        }
        at = plain;
    }
    buf_byte(array, '"');
}

static void in_hex(Buf *json, Span value) {
    static const char DIGITS[] = "0123456789abcdef";
    buf_byte(json, '"');
    char *to = buf_reserve(json, 2 * value.len + 1);
    if (!to) return;
    for (size_t i = 0; i < value.len; i++) {
        *to++ = DIGITS[(unsigned char)value.at[i] >> 4];
        *to++ = DIGITS[(unsigned char)value.at[i] & 15];
    }
    json->len += 2 * value.len;
    buf_byte(json, '"');
}

static void add_to_array(Given *g, char type, Cell cell) {
    Buf *array = &g->arrays[g->count % g->columns];
    buf_byte(array, array->len ? ',' : '{');
    if (type == 't') {
        quoted(array, cell.bytes);
        return;
    }
    if (type == 'b') {
        cell.number = (int64_t)(((uint64_t)g->bytes.len + 1) << 32 | cell.bytes.len);
        buf_span(&g->bytes, cell.bytes);
    }
    buf_printf(array, "%lld", (long long)cell.number);
}

static void add_to_json(Given *g, char type, Cell cell) {
    Buf *json = g->arrays;
    size_t column = g->count % g->columns;
    if (!column) buf_printf(json, "%s[%zu", g->count ? "," : "[", g->count / g->columns);
    buf_byte(json, ',');
    if (type == 'i') {
        buf_printf(json, "%lld", (long long)cell.number);
    } else if (type == 'b') {
        in_hex(json, cell.bytes);
    } else {
        JsonWriter w = json_writer(json);
        json_string(&w, cell.bytes);
        if (memchr(cell.bytes.at, 0, cell.bytes.len)) buf_byte(json, 0); /* refused, as everywhere */
    }
    if (column + 1 == g->columns) buf_byte(json, ']');
}

static void add(Given *g, char type, Cell cell) {
    char wanted = g->shape->columns[g->count % g->columns];
    if ((wanted == 'k' ? 't' : wanted) != type) abort(); /* a defect of the caller */
    if (g->dialect == DB_POSTGRESQL) {
        add_to_array(g, type, cell);
    } else if (g->dialect == DB_SQLSERVER) {
        add_to_json(g, type, cell);
    } else {
        if (g->count == g->size)
            g->cells = must(realloc(g->cells, (g->size = g->size ? 2 * g->size : 256) * sizeof *g->cells));
        g->cells[g->count] = cell;
    }
    g->count++;
}

static Span present(Span s) {
    return s.at ? s : SPAN("");
}

void given_int(Given *g, int64_t value) {
    add(g, 'i', (Cell){.number = value});
}
void given_text(Given *g, Span value) {
    add(g, 't', (Cell){.bytes = present(value)});
}
void given_blob(Given *g, Span value) {
    add(g, 'b', (Cell){.bytes = present(value)});
}
size_t given_count(const Given *g) {
    return g->count / g->columns;
}
void given_clear(Given *g) {
    g->count = 0;
    for (size_t i = 0; i < g->columns; i++) buf_clear(&g->arrays[i]);
    buf_clear(&g->bytes);
}

/* ---- runs ---- */

typedef struct Run {
    void (*row)(void *user, Stmt *s); /* NULL: no rows are awaited */
    void *user;
    int64_t changed;
} Run;

static bool run_one(Run *run, Stmt *s, Err *err) {
    int64_t changed = 0;
    Err fault = {0};
    if (!stmt_run(s, run->row ? NULL : &changed, err)) return false;
    run->changed += changed;
    while (run->row && stmt_row(s, &fault)) run->row(run->user, s);
    stmt_done(s);
    return !fault.kind || err_set(err, fault.kind, "%s", fault.why);
}

static bool run_arrays(Given *g, Run *run, Err *err) {
    Stmt *s = db_statement(g->db, g->sql[0]);
    int at = 1;
    if (strchr(g->shape->columns, 'b'))
        stmt_bind_blob(s, at++, g->bytes.len ? buf_view(&g->bytes) : SPAN(""));
    bool whole = !g->bytes.failed && g->bytes.len <= BYTES_MAX;
    for (size_t i = 0; i < g->columns; i++) {
        buf_byte(&g->arrays[i], '}');
        whole = whole && !g->arrays[i].failed;
        stmt_bind_text(s, at++, buf_view(&g->arrays[i]));
    }
    if (!whole) return err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
    return run_one(run, s, err);
}

static bool run_json(Given *g, Run *run, Err *err) {
    Stmt *s = db_statement(g->db, g->sql[0]);
    buf_byte(g->arrays, ']');
    if (g->arrays->failed) return err_set(err, &ERR_TOO_LARGE, "a batch does not fit in memory");
    stmt_bind_text(s, 1, buf_view(g->arrays));
    return run_one(run, s, err);
}

static bool run_group(Given *g, size_t group, const Cell *cells, Run *run, Err *err) {
    Stmt *s = db_statement(g->db, g->sql[group]);
    for (size_t i = 0; i < GROUPS[group] * g->columns; i++) {
        int at = (int)i + 1;
        switch (g->shape->columns[i % g->columns]) {
        case 'i': stmt_bind_int(s, at, cells[i].number); break;
        case 'b': stmt_bind_blob(s, at, cells[i].bytes); break;
        default: stmt_bind_text(s, at, cells[i].bytes);
        }
    }
    return run_one(run, s, err);
}

static bool run_values(Given *g, Run *run, Err *err) {
    size_t rows = given_count(g), done = 0;
    for (size_t group = 0; group < COUNT(GROUPS); group++)
        for (; rows - done >= GROUPS[group]; done += GROUPS[group])
            if (!run_group(g, group, g->cells + done * g->columns, run, err)) return false;
    return true;
}

static bool run_all(Given *g, Run *run, Err *err) {
    static bool (*const RUN[])(Given * g, Run * run, Err * err) = {
        [DB_SQLITE] = run_values, [DB_POSTGRESQL] = run_arrays, [DB_SQLSERVER] = run_json};
    bool ok = !given_count(g) || RUN[g->dialect](g, run, err);
    given_clear(g);
    return ok;
}

bool given_run(Given *g, int64_t *changed, Err *err) {
    Run run = {0};
    bool ok = run_all(g, &run, err);
    if (changed) *changed = run.changed;
    return ok;
}

bool given_read(Given *g, void (*row)(void *user, Stmt *s), void *user, Err *err) {
    return run_all(g, &(Run){.row = row, .user = user}, err);
}
