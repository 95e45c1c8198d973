/* postgresql.c - PostgreSQL by psqlodbc.
 *
 * Protocol=7.4-0: by default (-2) the driver puts a savepoint, and a round trip more, around every statement
 * of a transaction, and with -1 it rolls back by itself at an error, so that what follows would be committed
 * alone. With -0 one error spoils the transaction, and COMMIT would answer well while rolling back: db.c
 * remembers it. Time limits lie on both sides: the server ends a statement that runs too long or waits too
 * long for a lock, and TCP tells within seconds that the server's machine is gone. */
#include "db/dialect.h"

#include <errno.h> /* program_invocation_short_name */
#include <stdio.h>

enum { LOCK_MS = 5000, STATEMENT_MS = 30000, IDLE_MS = 60000, SILENT_MS = 10000 };

static const ErrKind *classify(const Diagnosis *d) {
    static const StateKind KINDS[] = {
        {"23505", &ERR_DUPLICATE}, {"25006", &ERR_DB_DOWN}, /* a standby after a failover */
        {"40", &ERR_DB_BUSY},      {"55P03", &ERR_DB_BUSY}, {"57014", &ERR_DB_BUSY},
        {"HYT", &ERR_DB_BUSY},     {"08", &ERR_DB_DOWN},    {"53", &ERR_DB_DOWN},
        {"57", &ERR_DB_DOWN},      {"58", &ERR_DB_DOWN},    {"54", &ERR_TOO_LARGE},
    };
    return dialect_by_state(KINDS, COUNT(KINDS), d->state, &ERR_INTERNAL);
}

/* psqlodbc reports some lost connections as HY000. */
static const ErrKind *classify_all(const Diagnosis *d) {
    bool lost =
        strstr(d->text, "server closed the connection") || strstr(d->text, "no connection to the server");
    return lost ? &ERR_DB_DOWN : classify(d);
}

static Span constraint(const Diagnosis *d) {
    static const char MARK[] = "constraint \"";
    const char *at = strstr(d->text, MARK);
    if (!at) return SPAN_NONE;
    at += sizeof MARK - 1;
    return span_bytes(at, strcspn(at, "\""));
}

/* SQLSTATEs speak for themselves, but for 08001: why nobody could connect stands in libpq's words alone. */
static const char *explain(const Diagnosis *d) {
    static const struct {
        const char *theirs, *ours;
    } WORDS[] = {
        {"Connection refused", "nobody listens there"},
        {"timeout expired", "no answer in time"},
        {"could not translate host name", "the host is not known"},
        {"password authentication failed", "the password is refused"},
        {"no pg_hba.conf entry", "the server lets this user in from elsewhere only"},
        {"too many clients", "the server has all the connections that it may have"},
        {"remaining connection slots", "the server has all the connections that it may have"},
        {"is starting up", "the server is starting"},
        {"is shutting down", "the server is stopping"},
        {"does not exist", "there is no such database or user"},
        {"SSL", "TLS cannot be agreed on"},
    };
    bool connecting = strncmp(d->state, "08", 2) == 0;
    for (size_t i = 0; connecting && i < COUNT(WORDS); i++)
        if (strstr(d->text, WORDS[i].theirs)) return WORDS[i].ours;
    return "";
}

/* A value of libpq's own syntax: in quotes, with ' and \ escaped. */
static void pq_option(Buf *out, const char *name, const char *value) {
    buf_printf(out, "%s%s='", out->len ? " " : "", name);
    for (; *value; value++) {
        if (strchr("'\\", *value)) buf_byte(out, '\\');
        buf_byte(out, *value);
    }
    buf_byte(out, '\'');
}

/* Every statement of ours finds its rows by an index, few at a time. Statistics, which lag behind tables that
 * fill and empty within seconds, shall not talk the planner into reading a backlog of millions from end to
 * end. */
static const char BY_INDEX[] =
    "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c random_page_cost=1.1 -c jit=off";

/* Who writes has a few statements, each with one good plan, and arrays among their parameters from which the
 * server would learn, planning anew each time, how long they are: for some of them that takes longer than to run
 * them. Nor shall it keep rows to look through them again and again, because there were few when it planned.
 * Readers' filters are of many kinds. */
static const char PLANNED_ONCE[] = " -c plan_cache_mode=force_generic_plan -c enable_material=off";

static void session_options(const DbOptions *options, Buf *out) {
    AUTO_BUF session = {0};
    buf_printf(&session,
               "-c lock_timeout=%lld -c statement_timeout=%d -c idle_in_transaction_session_timeout=%d"
               " -c default_transaction_isolation=read\\ committed -c client_min_messages=error %s",
               (long long)(options->busy_ms ? options->busy_ms : LOCK_MS), STATEMENT_MS, IDLE_MS, BY_INDEX);
    buf_text(&session, options->read_only ? " -c default_transaction_read_only=on" : PLANNED_ONCE);
    buf_printf(&session, " -c synchronous_commit=%s", options->relaxed ? "off" : "on");
    buf_byte(&session, 0);
    pq_option(out, "options", session.at);
}

static bool url_options(const DbUrl *url, Buf *pq, Err *err) {
    static const char *const KNOWN[] = {"sslmode", "sslrootcert", "sslcert", "sslkey", "host"};
    for (size_t i = 0; i < url->option_count; i++) {
        size_t k = 0;
        while (k < COUNT(KNOWN) && strcmp(KNOWN[k], url->options[i].key)) k++;
        if (k == COUNT(KNOWN))
            return err_set(err, &ERR_CONFIG, "postgresql: the url has an unknown option, %s",
                           url->options[i].key);
        if (strcmp(KNOWN[k], "host")) pq_option(pq, KNOWN[k], url->options[i].value);
    }
    return true;
}

/* The folder of a Unix socket does not fit between // and /, so it comes as ?host=. */
static const char *host_of(const DbUrl *url) {
    for (size_t i = 0; i < url->option_count; i++)
        if (!strcmp(url->options[i].key, "host")) return url->options[i].value;
    return *url->host ? url->host : "127.0.0.1";
}

static bool connection(const char *text, const DbOptions *options, Buf *out, Err *err) {
    DbUrl url;
    AUTO_BUF pq = {0};
    char silent[16];
    snprintf(silent, sizeof silent, "%d", SILENT_MS);
    if (!dburl_parse(text, &url, err) || !url_options(&url, &pq, err)) return false;
    if (!*url.name) return err_set(err, &ERR_CONFIG, "postgresql: the url names no database");
    if (!dialect_driver("psqlodbcw.so", out, err) || !dburl_plain(out, "Servername", host_of(&url), err) ||
        !dburl_plain(out, "Port", *url.port ? url.port : "5432", err) ||
        !dburl_plain(out, "Database", url.name, err) || !dburl_plain(out, "Uid", url.user, err))
        return false;
    dburl_braced(out, "Pwd", url.password);
    pq_option(&pq, "application_name", program_invocation_short_name);
    pq_option(&pq, "connect_timeout", "5");
    pq_option(&pq, "tcp_user_timeout", silent);
    pq_option(&pq, "keepalives_idle", "5");
    pq_option(&pq, "keepalives_interval", "2");
    pq_option(&pq, "keepalives_count", "3");
    session_options(options, &pq);
    buf_byte(&pq, 0);
    dburl_braced(out, "pqopt", pq.at);
    buf_text(out, "Protocol=7.4-0;LFConversion=0;ByteaAsLongVarBinary=1;");
    return true;
}

/* A step may take long, and so may the one who holds the lock. Its key is a number that nobody else takes:
 * "events" in ASCII. */
const Dialect DIALECT_POSTGRESQL = {.id = DB_POSTGRESQL,
                                    .begin = "BEGIN",
                                    .begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                    .probe = "SELECT 1",
                                    .count_table = "SELECT count(*) FROM pg_tables"
                                                   " WHERE schemaname = current_schema() AND tablename = ?",
                                    .migration_lock = "SET LOCAL lock_timeout = 0;\n"
                                                      "SET LOCAL statement_timeout = 0;\n"
                                                      "SELECT pg_advisory_xact_lock(111546362522739);\n",
                                    .remote = true,
                                    .spoils = true,
                                    .classify = classify_all,
                                    .explain = explain,
                                    .constraint = constraint,
                                    .connection = connection};
