/* dialect.c - which engine a url means, and where its driver lies. */
#include "db/dialect.h"

#include <glob.h>
#include <stdio.h>
#include <strings.h>

const ErrKind *dialect_by_state(const StateKind *kinds, size_t count, const char *state,
                                const ErrKind *otherwise) {
    for (size_t i = 0; i < count; i++)
        if (strncmp(state, kinds[i].start, strlen(kinds[i].start)) == 0) return kinds[i].kind;
    return otherwise;
}

/* Drivers are named by path, so that no odbcinst.ini of the machine has a say. */
bool dialect_driver(const char *file, Buf *out, Err *err) {
    static const char *const FOLDERS[] = {"/usr/lib/*/odbc/", "/usr/lib/odbc/", "/usr/lib64/",
                                          "/usr/local/lib/"};
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        char pattern[128];
        snprintf(pattern, sizeof pattern, "%s%s", FOLDERS[i], file);
        glob_t found;
        if (glob(pattern, 0, NULL, &found) != 0) continue;
        buf_printf(out, "Driver=%s;", found.gl_pathv[0]);
        globfree(&found);
        return true;
    }
    return err_set(err, &ERR_CONFIG, "the ODBC driver %s is not installed", file);
}

static const struct {
    const char *scheme;
    const Dialect *dialect;
} SCHEMES[] = {{"sqlite:", &DIALECT_SQLITE},
               {"postgresql://", &DIALECT_POSTGRESQL},
               {"postgres://", &DIALECT_POSTGRESQL},
               {"sqlserver://", &DIALECT_SQLSERVER}};

/* By the driver that a raw connection string names. */
static const struct {
    const char *part, *more; /* more: what our transactions need of it */
    const Dialect *dialect;
} DRIVERS[] = {{"sqlite", "", &DIALECT_SQLITE},
               {"psqlodbc", ";Protocol=7.4-0;", &DIALECT_POSTGRESQL},
               {"postgres", ";Protocol=7.4-0;", &DIALECT_POSTGRESQL},
               {"tdsodbc", "", &DIALECT_SQLSERVER},
               {"freetds", "", &DIALECT_SQLSERVER},
               {"sql server", "", &DIALECT_SQLSERVER},
               {"msodbcsql", "", &DIALECT_SQLSERVER}};

bool dialect_connection(const char *url, const DbOptions *options, const Dialect **dialect, Buf *out,
                        Err *err) {
    for (size_t i = 0; i < COUNT(SCHEMES); i++) {
        if (strncmp(url, SCHEMES[i].scheme, strlen(SCHEMES[i].scheme)) != 0) continue;
        *dialect = SCHEMES[i].dialect;
        return SCHEMES[i].dialect->connection(url, options, out, err);
    }
    const char *driver = strcasestr(url, "driver=");
    if (!driver)
        return err_set(err, &ERR_CONFIG,
                       "a database is sqlite:PATH, postgresql://..., sqlserver://... or an ODBC connection "
                       "string with Driver=");
    for (size_t i = 0; i < COUNT(DRIVERS); i++) {
        if (!strcasestr(driver, DRIVERS[i].part)) continue;
        *dialect = DRIVERS[i].dialect;
        buf_text(out, url);
        buf_text(out, DRIVERS[i].more);
        return true;
    }
    return err_set(err, &ERR_CONFIG, "the ODBC connection string names a driver that is not known here");
}
