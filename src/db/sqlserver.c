/* sqlserver.c - SQL Server and Azure SQL by FreeTDS or Microsoft's driver.
 *
 * NEVER RUN: no server was at hand. Every text that the programs can send has its form, is held against a table of
 * what T-SQL does not know (tests/kit/texts.c), and was read by a parser of its grammar; what a server makes of it
 * nobody has seen. To be tried first: READPAST with READCOMMITTEDLOCK while READ_COMMITTED_SNAPSHOT is on (Azure's
 * default, which the numbering of events wants), long texts and bytes as parameters of FreeTDS, OPENJSON's plans. Still
 * wanted: a time-out for statements, the certificate check that FreeTDS leaves to its own file of settings, tokens of
 * Entra.
 *
 * Errors are told by the native code. XACT_ABORT makes one failed statement end the transaction, as on
 * PostgreSQL, whatever its kind. The level of isolation is the session's and outlives a transaction, so each begins by
 * saying its own and a rollback, which ends all that only read, leaves the usual one. */
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
    .begin = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN TRANSACTION",
    .begin_read = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION",
    .rollback = "IF @@TRANCOUNT > 0 ROLLBACK; SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    .probe = "SELECT 1",
    .set_up = "SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000",
    .count_table = "SELECT count(*) FROM sys.tables WHERE name = ?",
    .migration_lock = "DECLARE @got INTEGER; EXEC @got = sp_getapplock @Resource = 'events migration',"
                      " @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = -1;"
                      " IF @got < 0 THROW 50000, 'the lock of the migration was not given', 1;\n",
    .remote = true,
    .spoils = true,
    .wide_texts = true,
    .prepares_procedures = true,
    .classify = classify,
    .explain = explain,
    .constraint = constraint,
    .connection = connection};
