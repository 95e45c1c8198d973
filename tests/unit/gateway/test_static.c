/* The web client's files: which path gives which bytes, and who gets the page instead. */
#include "gateway/rest/content.h"
#include "gateway/rest/documents.h"
#include "gateway/rest/static.h"
#include "kit/test.h"
#include <stdio.h>
#include <sys/stat.h>

static void write_file(const char *folder, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "we");
    REQUIRE(out != NULL);
    fputs(text, out);
    fclose(out);
}

static StaticFiles *read_client(void) {
    const char *folder = test_folder();
    char assets[512];
    StaticFiles *files = NULL;
    Err err = {0};
    snprintf(assets, sizeof assets, "%s/assets", folder);
    REQUIRE(mkdir(assets, 0700) == 0);
    write_file(folder, "index.html", "<!doctype html>");
    write_file(folder, "index.html.gz", "gzip page");
    write_file(folder, "assets/app-1a2b.js", "plain");
    write_file(folder, "assets/app-1a2b.js.gz", "gzip");
    write_file(folder, "assets/app-1a2b.js.br", "brotli");
    write_file(folder, "alone.css.gz", "nothing without its file");
    write_file(folder, ".hidden", "x");
    write_file(folder, "odd.bin", "x");
    CHECK_OK(static_files_read(folder, &files, &err), &err);
    return files;
}

static void files_by_path(void) {
    static const struct {
        const char *path, *media_type; /* NULL: nothing */
        const char *cache_control;
    } CASES[] = {
        {"/index.html", "text/html; charset=utf-8", "no-cache"},
        {"/assets/app-1a2b.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
        {"/odd.bin", "application/octet-stream", "no-cache"},
        {"/", NULL, NULL},
        {"/assets/app-1a2b.js.gz", NULL, NULL},
        {"/assets/../index.html", NULL, NULL},
        {"/../index.html", NULL, NULL},
        {"/assets", NULL, NULL},
        {"//index.html", NULL, NULL},
        {"/index%2Ehtml", NULL, NULL},
        {"/.hidden", NULL, NULL},
        {"/alone.css", NULL, NULL},
        {"", NULL, NULL},
    };
    AUTO(StaticFiles) files = read_client();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const Content *c = static_file(files, span_of(CASES[i].path));
        CHECK(!c == !CASES[i].media_type);
        if (!c || !CASES[i].media_type) continue;
        CHECK_SPAN(span_of(c->media_type), CASES[i].media_type);
        CHECK_SPAN(span_of(c->cache_control), CASES[i].cache_control);
    }
}

static void each_coding_has_its_own_tag(void) {
    AUTO(StaticFiles) files = read_client();
    const Content *c = static_file(files, SPAN("/assets/app-1a2b.js"));
    REQUIRE(c && c->bytes[CODING_GZIP] && c->bytes[CODING_BROTLI]);
    CHECK_SPAN(blob_view(c->bytes[CODING_IDENTITY]), "plain");
    CHECK_SPAN(blob_view(c->bytes[CODING_GZIP]), "gzip");
    CHECK_SPAN(blob_view(c->bytes[CODING_BROTLI]), "brotli");
    for (int a = 0; a < CODINGS; a++) {
        Span tag = span_of(c->etag[a]);
        CHECK(tag.len > 2 && tag.at[0] == '"' && tag.at[tag.len - 1] == '"');
        for (int b = 0; b < a; b++) CHECK(strcmp(c->etag[a], c->etag[b]) != 0);
    }
}

static void pages_are_for_navigations(void) {
    static const struct {
        const char *path, *fetch_mode, *accept;
        bool page;
    } CASES[] = {
        {"/", NULL, NULL, true},
        {"/", "cors", "application/json", true},
        {"/prospects/12", "navigate", "text/html,*/*;q=0.8", true},
        {"/prospects/12", NULL, "text/html,*/*;q=0.8", true},
        {"/prospects/12", NULL, NULL, true},
        {"/prospects/12", NULL, "*/*", true},
        {"/prospects/12", NULL, "application/json", false},
        {"/prospects/12", NULL, "text/html;q=0, */*", false},
        {"/prospects/12", "cors", "*/*", false},
        {"/prospects/12", "no-cors", "image/png, */*", false},
        {"/assets/app-gone", "navigate", "text/html", false},
        {"/gone.js", "navigate", "text/html", false},
        {"/a.b/c", NULL, "text/html", false},
    };
    AUTO(StaticFiles) files = read_client();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        Span mode = CASES[i].fetch_mode ? span_of(CASES[i].fetch_mode) : SPAN_NONE;
        Span accept = CASES[i].accept ? span_of(CASES[i].accept) : SPAN_NONE;
        bool page = static_page(files, span_of(CASES[i].path), mode, accept);
        if (page != CASES[i].page) printf("\n    %s %s", CASES[i].path, CASES[i].accept);
        CHECK(page == CASES[i].page);
    }
}

static void no_client_no_files(void) {
    Err err = {0};
    AUTO(StaticFiles) none = NULL;
    StaticFiles *bad = NULL;
    REQUIRE(static_files_read("", &none, &err));
    CHECK(!static_file(none, SPAN("/index.html")) && !static_page(none, SPAN("/"), SPAN_NONE, SPAN_NONE));
    CHECK(!static_files_read("/nonexistent", &bad, &err) && err_is(&err, &ERR_CONFIG));
}

static void documents_in_three_codings(void) {
    AUTO(Documents) documents = documents_new();
    const Content *page = documents_content(documents, SPAN("/docs"));
    REQUIRE(page != NULL);
    CHECK_SPAN(span_of(page->media_type), "text/html; charset=utf-8");
    const Content *const ALL[] = {page, documents_content(documents, SPAN("/openapi.json")),
                                  documents_types(documents)};
    for (size_t i = 0; i < COUNT(ALL); i++) {
        REQUIRE(ALL[i] && ALL[i]->bytes[CODING_GZIP] && ALL[i]->bytes[CODING_BROTLI]);
        CHECK(ALL[i]->bytes[CODING_GZIP]->len < ALL[i]->bytes[CODING_IDENTITY]->len / 3);
        CHECK(ALL[i]->bytes[CODING_BROTLI]->len < ALL[i]->bytes[CODING_GZIP]->len);
    }
    CHECK(documents_content(documents, SPAN("/schemas/Nothing.json")) == NULL);
}

SUITE("static", TEST(files_by_path), TEST(each_coding_has_its_own_tag), TEST(pages_are_for_navigations),
      TEST(no_client_no_files), TEST(documents_in_three_codings));
