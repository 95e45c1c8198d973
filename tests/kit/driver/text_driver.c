/* text_driver.c - an ODBC driver with no database behind it: it hears every statement, and answers each with one
 * row, in which a number is its column's number (from 0) and a text is empty, or as it is told. So whoever asks goes on
 * to the next statement, and every text is heard as the driver manager hands it over, with as many parameters as it has
 * marks.
 *
 * Loaded by the driver manager as any other driver; kit/texts.c, in the same process, says who listens. */
#include <sql.h>
#include <sqlext.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 16 };

static bool has_row = true; /* and each change changes one */
static int64_t number_first, number_step = 1;

typedef struct Statement {
    char *sql;
    bool given; /* the row has been fetched */
} Statement;

static void (*listener)(const char *sql);
void text_driver_listen(void (*heard)(const char *sql));
void text_driver_listen(void (*heard)(const char *sql)) {
    listener = heard;
}

void text_driver_answer(bool row, int64_t first, int64_t step);
void text_driver_answer(bool row, int64_t first, int64_t step) {
    has_row = row;
    number_first = first;
    number_step = step;
}

/* Marks that stand in a literal or a quoted name are none. */
static SQLSMALLINT marks_in(const char *sql) {
    SQLSMALLINT count = 0;
    for (char quote = 0; *sql; sql++) {
        if (quote)
            quote = *sql == quote ? 0 : quote;
        else if (*sql == '\'' || *sql == '"')
            quote = *sql;
        else
            count = (SQLSMALLINT)(count + (*sql == '?'));
    }
    return count;
}

static SQLRETURN hear(Statement *s, const SQLCHAR *sql, SQLINTEGER len) {
    free(s->sql);
    s->sql = len == SQL_NTS ? strdup((const char *)sql) : strndup((const char *)sql, (size_t)len);
    s->given = false;
    if (!s->sql) return SQL_ERROR;
    if (listener) listener(s->sql);
    return SQL_SUCCESS;
}

/* ---- handles ---- */

SQLRETURN SQLAllocHandle(SQLSMALLINT type, SQLHANDLE input, SQLHANDLE *ret) {
    (void)type, (void)input;
    return (*ret = calloc(1, sizeof(Statement))) ? SQL_SUCCESS : SQL_ERROR;
}

SQLRETURN SQLFreeHandle(SQLSMALLINT type, SQLHANDLE handle) {
    Statement *s = handle;
    if (type == SQL_HANDLE_STMT) free(s->sql);
    free(s);
    return SQL_SUCCESS;
}

SQLRETURN SQLSetEnvAttr(SQLHENV env, SQLINTEGER attribute, SQLPOINTER value, SQLINTEGER len) {
    (void)env, (void)attribute, (void)value, (void)len;
    return SQL_SUCCESS;
}

SQLRETURN SQLSetConnectAttr(SQLHDBC db, SQLINTEGER attribute, SQLPOINTER value, SQLINTEGER len) {
    (void)db, (void)attribute, (void)value, (void)len;
    return SQL_SUCCESS;
}

SQLRETURN SQLDriverConnect(SQLHDBC db, SQLHWND window, SQLCHAR *in, SQLSMALLINT in_len, SQLCHAR *out,
                           SQLSMALLINT out_size, SQLSMALLINT *out_len, SQLUSMALLINT completion) {
    (void)db, (void)window, (void)in, (void)in_len, (void)out, (void)out_size, (void)out_len,
        (void)completion;
    return SQL_SUCCESS;
}

SQLRETURN SQLDisconnect(SQLHDBC db) {
    (void)db;
    return SQL_SUCCESS;
}

SQLRETURN SQLGetDiagRec(SQLSMALLINT type, SQLHANDLE handle, SQLSMALLINT nth, SQLCHAR *state,
                        SQLINTEGER *native, SQLCHAR *text, SQLSMALLINT size, SQLSMALLINT *len) {
    (void)type, (void)handle, (void)nth, (void)state, (void)native, (void)text, (void)size, (void)len;
    return SQL_NO_DATA;
}

/* ---- statements ---- */

SQLRETURN SQLPrepare(SQLHSTMT handle, SQLCHAR *sql, SQLINTEGER len) {
    return hear(handle, sql, len);
}

SQLRETURN SQLExecDirect(SQLHSTMT handle, SQLCHAR *sql, SQLINTEGER len) {
    return hear(handle, sql, len);
}

SQLRETURN SQLNumParams(SQLHSTMT handle, SQLSMALLINT *ret) {
    *ret = marks_in(((Statement *)handle)->sql);
    return SQL_SUCCESS;
}

SQLRETURN SQLBindParameter(SQLHSTMT handle, SQLUSMALLINT nth, SQLSMALLINT direction, SQLSMALLINT c_type,
                           SQLSMALLINT sql_type, SQLULEN size, SQLSMALLINT digits, SQLPOINTER value,
                           SQLLEN room, SQLLEN *len) {
    (void)handle, (void)nth, (void)direction, (void)c_type, (void)sql_type;
    (void)size, (void)digits, (void)value, (void)room, (void)len;
    return SQL_SUCCESS;
}

SQLRETURN SQLExecute(SQLHSTMT handle) {
    ((Statement *)handle)->given = false;
    return SQL_SUCCESS;
}

SQLRETURN SQLNumResultCols(SQLHSTMT handle, SQLSMALLINT *ret) {
    (void)handle;
    *ret = COLUMNS;
    return SQL_SUCCESS;
}

SQLRETURN SQLRowCount(SQLHSTMT handle, SQLLEN *ret) {
    (void)handle;
    *ret = has_row;
    return SQL_SUCCESS;
}

SQLRETURN SQLFetch(SQLHSTMT handle) {
    Statement *s = handle;
    if (s->given || !has_row) return SQL_NO_DATA;
    s->given = true;
    return SQL_SUCCESS;
}

SQLRETURN SQLGetData(SQLHSTMT handle, SQLUSMALLINT column, SQLSMALLINT type, SQLPOINTER value, SQLLEN room,
                     SQLLEN *len) {
    (void)handle;
    *len = 0;
    if (type == SQL_C_SBIGINT) {
        *(SQLBIGINT *)value = number_first + number_step * (column - 1);
        *len = sizeof(SQLBIGINT);
    } else if (type == SQL_C_CHAR && room > 0) {
        *(char *)value = 0;
    }
    return SQL_SUCCESS;
}

SQLRETURN SQLFreeStmt(SQLHSTMT handle, SQLUSMALLINT option) {
    (void)option;
    ((Statement *)handle)->given = true;
    return SQL_SUCCESS;
}
