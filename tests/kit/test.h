/* CUnit with one line per suite: a test file ends with
 *     SUITE("span", TEST(split), TEST(trim));
 * and is found and registered by itself. Links with the main() of test.c. */
#pragma once
#include <CUnit/CUnit.h>

#define TEST(function) { #function, function }
#define SUITE(name, ...)                                                                                               \
    static CU_TestInfo suite_tests[] = {__VA_ARGS__, CU_TEST_INFO_NULL};                                               \
    __attribute__((constructor)) static void suite_register(void) { test_suite(name, suite_tests); }                   \
    extern int suite_needs_semicolon

void test_suite(const char *name, CU_TestInfo *tests);
/* begin and end: called before the first of its tests and after the last; 0 where all is well. */
void test_suite_between(const char *name, CU_TestInfo *tests, int (*begin)(void), int (*end)(void));
/* Called before the folders are removed. */
void test_at_end(void (*end)(void));

#define CHECK(condition)        CU_ASSERT((condition) ? CU_TRUE : CU_FALSE)
#define REQUIRE(condition)      CU_ASSERT_FATAL((condition) ? CU_TRUE : CU_FALSE)
/* Compares a Span with literal text and prints both where they differ. */
#define CHECK_SPAN(span, text)  test_check_span(span, text, __FILE__, __LINE__)
/* true is wanted; prints the Err otherwise */
#define CHECK_OK(call, err)     test_check_ok(call, err, __FILE__, __LINE__)

#include "base/err.h"
#include "base/span.h"
void test_check_span(Span got, const char *want, const char *file, int line);
bool test_check_ok(bool ok, const Err *err, const char *file, int line);
/* A new empty folder in $TMPDIR, removed at the end of the program. */
const char *test_folder(void);
