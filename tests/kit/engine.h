/* The engines that tables live on. A suite that ends with
 *     SUITE_ON_ENGINES("prospects", TEST(insert_and_load), TEST(updates));
 * runs once on each; its tests ask for databases and need not know on which they run. */
#pragma once
#include "db/db.h"
#include "kit/postgres.h"
#include "kit/test.h"

#define SUITE_ON_ENGINES(name, ...)                                                                          \
    static CU_TestInfo suite_tests[] = {__VA_ARGS__, CU_TEST_INFO_NULL};                                     \
    __attribute__((constructor)) static void suite_register(void) {                                          \
        test_suite_on_engines(name, suite_tests);                                                            \
    }                                                                                                        \
    extern int suite_needs_semicolon

/* The same on PostgreSQL alone, for what only a server does. */
#define SUITE_ON_POSTGRESQL(name, ...)                                                                       \
    static CU_TestInfo suite_tests[] = {__VA_ARGS__, CU_TEST_INFO_NULL};                                     \
    __attribute__((constructor)) static void suite_register(void) {                                          \
        test_suite_on_postgresql(name, suite_tests);                                                         \
    }                                                                                                        \
    extern int suite_needs_semicolon

void test_suite_on_engines(const char *name, CU_TestInfo *tests);
void test_suite_on_postgresql(const char *name, CU_TestInfo *tests);

/* Of the suite that runs; SQLite in suites that do not say so. */
DbDialect test_engine(void);
/* The server behind it. */
TestPostgres *test_postgresql(void);
/* The url of a new, empty database of this engine; it lives until the end of the program. */
const char *test_database(void);
/* The same for a test that begins with these migrations: on a server they have been run already, once for all tests. */
const char *test_database_with(bool (*migrate)(Db *db, Err *err));
/* Opened. Ends the test where that fails. */
Db *test_db_open(const char *url, DbOptions options);
void test_db_run(Db *db, const char *sql);
/* The number in the first row; -1 where there is none. */
int64_t test_db_number(Db *db, const char *sql);
