/* sqlserver.c - SQL Server and Azure SQL by FreeTDS or Microsoft's driver.
 *
 * Written down beside the other two so that a text is thought of for all three at once; it has not met a
 * server yet. What it still wants before it may: ON CONFLICT as MERGE (store/rows.h), at most 2,100
 * parameters in a statement, the certificate check that FreeTDS leaves to its own file of settings, and
 * tokens of Entra.
 *
 * Errors are told by the native code. XACT_ABORT makes one failed statement end the transaction, as on
 * PostgreSQL, whatever its kind. */
#include "db/dialect.h"

static const struct {
    int code;
    const ErrKind *kind;
} CODES[] = {
    {601, &ERR_DB_BUSY},    {1205, &ERR_DB_BUSY},   {1222, &ERR_DB_BUSY},  {3960, &ERR_DB_BUSY},
    {2601, &ERR_DUPLICATE}, {2627, &ERR_DUPLICATE}, {615, &ERR_DB_DOWN},   {926, &ERR_DB_DOWN},
    {4060, &ERR_DB_DOWN},   {4221, &ERR_DB_DOWN},   {10053, &ERR_DB_DOWN}, {10054, &ERR_DB_DOWN},
    {10060, &ERR_DB_DOWN},  {10928, &ERR_DB_DOWN},  {10929, &ERR_DB_DOWN}, {10936, &ERR_DB_DOWN},
    {40197, &ERR_DB_DOWN},  {40501, &ERR_DB_DOWN},  {40544, &ERR_DB_DOWN}, {40613, &ERR_DB_DOWN},
    {49918, &ERR_DB_DOWN},  {49919, &ERR_DB_DOWN},  {49920, &ERR_DB_DOWN},
};

static const ErrKind *classify(const Diagnosis *d) {
    static const StateKind KINDS[] = {{"08", &ERR_DB_DOWN}, {"HYT", &ERR_DB_BUSY}, {"40", &ERR_DB_BUSY}};
    for (size_t i = 0; i < COUNT(CODES); i++)
        if (CODES[i].code == d->native) return CODES[i].kind;
    return dialect_by_state(KINDS, COUNT(KINDS), d->state, &ERR_INTERNAL);
}

static const char *explain(const Diagnosis *d) {
    (void)d;
    return "";
}

/* "... constraint 'NAME'" and "... unique index 'NAME'"; the row's values follow behind. */
static Span constraint(const Diagnosis *d) {
    static const char *const MARKS[] = {"constraint '", "unique index '"};
    for (size_t i = 0; i < COUNT(MARKS); i++) {
        const char *at = strstr(d->text, MARKS[i]);
        if (at) return span_bytes(at + strlen(MARKS[i]), strcspn(at + strlen(MARKS[i]), "'"));
    }
    return SPAN_NONE;
}

/* sqlserver://user:password@host:port/name */
static bool connection(const char *text, const DbOptions *options, Buf *out, Err *err) {
    DbUrl url;
    if (!dburl_parse(text, &url, err)) return false;
    if (url.option_count)
        return err_set(err, &ERR_CONFIG, "sqlserver: the url has an unknown option, %s", url.options[0].key);
    if (!dialect_driver("libtdsodbc.so", out, err) ||
        !dburl_plain(out, "Server", *url.host ? url.host : "127.0.0.1", err) ||
        !dburl_plain(out, "Port", *url.port ? url.port : "1433", err) ||
        !dburl_plain(out, "Database", url.name, err) || !dburl_plain(out, "UID", url.user, err))
        return false;
    dburl_braced(out, "PWD", url.password);
    buf_text(out, "TDS_Version=7.4;Encryption=require;ClientCharset=UTF-8;");
    if (options->read_only) buf_text(out, "ApplicationIntent=ReadOnly;");
    return true;
}

const Dialect DIALECT_SQLSERVER = {
    .id = DB_SQLSERVER,
    .begin = "BEGIN TRANSACTION",
    .begin_read = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION",
    .probe = "SELECT 1",
    .set_up = "SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000",
    .count_table = "SELECT count(*) FROM sys.tables WHERE name = ?",
    .migration_lock = "EXEC sp_getapplock @Resource = 'events migration',"
                      " @LockMode = 'Exclusive', @LockOwner = 'Transaction';\n",
    .remote = true,
    .spoils = true,
    .classify = classify,
    .explain = explain,
    .constraint = constraint,
    .connection = connection};
