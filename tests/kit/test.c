#include "kit/test.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUITES_MAX = 64, FOLDERS_MAX = 512, ENDS_MAX = 8 };
static CU_SuiteInfo suites[SUITES_MAX + 1];
static size_t suite_count;
static char folders[FOLDERS_MAX][64];
static size_t folder_count;
static void (*at_end[ENDS_MAX])(void);
static size_t end_count;

void test_suite_between(const char *name, CU_TestInfo *tests, int (*begin)(void), int (*end)(void)) {
    if (suite_count == SUITES_MAX) abort();
    suites[suite_count++] =
        (CU_SuiteInfo){.pName = name, .pInitFunc = begin, .pCleanupFunc = end, .pTests = tests};
}

void test_suite(const char *name, CU_TestInfo *tests) {
    test_suite_between(name, tests, NULL, NULL);
}

void test_at_end(void (*end)(void)) {
    if (end_count == ENDS_MAX) abort();
    at_end[end_count++] = end;
}

void test_check_span(Span got, const char *want, const char *file, int line) {
    bool same = span_is(got, want);
    if (!same) printf("\n    %s:%d: got \"%.*s\", want \"%s\"", file, line, SPAN_ARGS(got), want);
    CU_assertImplementation(same, (unsigned)line, "spans are equal", file, "", CU_FALSE);
}

bool test_check_ok(bool ok, const Err *err, const char *file, int line) {
    if (!ok) printf("\n    %s:%d: %s: %s", file, line, err->kind ? err->kind->name : "?", err->why);
    CU_assertImplementation(ok, (unsigned)line, "call succeeds", file, "", CU_FALSE);
    return ok;
}

const char *test_folder(void) {
    if (folder_count == FOLDERS_MAX) abort();
    char *path = folders[folder_count++];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof folders[0], "%s/events-unit-XXXXXX", base && strlen(base) < 32 ? base : "/tmp");
    if (!mkdtemp(path)) abort();
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *at) {
    (void)st, (void)flag, (void)at;
    return remove(path);
}

/* A part is "1of2": every second suite, from the first. Anything else is looked for in the suites' names. */
static void keep_suites(const char *wanted) {
    size_t part, parts, kept = 0;
    bool by_part = sscanf(wanted, "%zuof%zu", &part, &parts) == 2;
    for (size_t i = 0; i < suite_count; i++)
        if (by_part ? i % parts == part - 1 : !!strstr(suites[i].pName, wanted)) suites[kept++] = suites[i];
    suites[suite_count = kept] = (CU_SuiteInfo)CU_SUITE_INFO_NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) keep_suites(argv[1]);
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
        fprintf(stderr, "cunit: %s\n", CU_get_error_msg());
        return 1;
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    unsigned ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    while (end_count) at_end[--end_count]();
    for (size_t i = 0; i < folder_count; i++) nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return failed || !ran;
}
