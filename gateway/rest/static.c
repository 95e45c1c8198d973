/* static.c - files are looked up by name in a table, so that no request ever reaches the file system: there
 * is no path to climb out of. Vite puts a hash of the content into the names below /assets: those may be
 * cached for ever, all others are asked for again with their ETag. Compression is the build's work: NAME.gz
 * and NAME.br beside a file NAME are NAME in these codings, and no files of their own. */
#include "gateway/rest/static.h"

#include "base/map.h"
#include "gateway/rest/content.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_MAX = 2000, BYTES_MAX = 64 << 20, PATH_SIZE = 4096 };

struct StaticFiles {
    Map *by_path; /* Content */
    size_t count, bytes;
};

static const char *const MEDIA_TYPES[][2] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".avif", "image/avif"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".webp", "image/webp"},
    {".txt", "text/plain; charset=utf-8"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
};

static const char *media_type(Span path) {
    for (size_t i = 0; i < COUNT(MEDIA_TYPES); i++)
        if (span_ends(path, span_of(MEDIA_TYPES[i][0]))) return MEDIA_TYPES[i][1];
    return "application/octet-stream";
}

static Blob *read_whole(const char *path, size_t size) {
    FILE *in = fopen(path, "re");
    if (!in) return NULL;
    Blob *blob = blob_new(size);
    bool ok = blob && fread(blob->bytes, 1, size, in) == size;
    fclose(in);
    return ok ? blob : blob_unref(blob);
}

static Content *content_at(StaticFiles *files, Span path) {
    Content *content = map_get(files->by_path, path);
    if (content) return content;
    content = must(calloc(1, sizeof *content));
    content->media_type = media_type(path);
    content->cache_control =
        span_starts(path, SPAN("/assets/")) ? "public, max-age=31536000, immutable" : "no-cache";
    map_put(files->by_path, path, content);
    return content;
}

/* Cuts the ending off. */
static Coding coding_of(Span *name) {
    bool gzip = span_ends(*name, SPAN(".gz")), brotli = span_ends(*name, SPAN(".br"));
    if (gzip || brotli) name->len -= 3;
    return gzip ? CODING_GZIP : brotli ? CODING_BROTLI : CODING_IDENTITY;
}

static bool add_file(StaticFiles *files, const char *full, const char *path, size_t size, Err *err) {
    files->bytes += size;
    if (++files->count > FILES_MAX || files->bytes > BYTES_MAX)
        return err_set(err, &ERR_CONFIG, "the web client is larger than %d files or %d MiB", FILES_MAX,
                       BYTES_MAX >> 20);
    Blob *blob = read_whole(full, size);
    if (!blob) return err_set(err, &ERR_CONFIG, "cannot read %s", full);
    Span name = span_of(path);
    Coding coding = coding_of(&name);
    content_set(content_at(files, name), coding, blob);
    return true;
}

static bool read_folder(StaticFiles *files, const char *root, const char *below, int depth, Err *err);

static bool add_entry(StaticFiles *files, const char *root, const char *below, const char *name, int depth,
                      Err *err) {
    char path[PATH_SIZE], full[PATH_SIZE];
    struct stat st;
    if (name[0] == '.') return true;
    bool fits = snprintf(path, sizeof path, "%s/%s", below, name) < PATH_SIZE &&
                snprintf(full, sizeof full, "%s%s", root, path) < PATH_SIZE;
    if (!fits || stat(full, &st)) return err_set(err, &ERR_CONFIG, "cannot read a file below %s", root);
    if (S_ISDIR(st.st_mode)) return read_folder(files, root, path, depth + 1, err);
    return !S_ISREG(st.st_mode) || add_file(files, full, path, (size_t)st.st_size, err);
}

static bool read_folder(StaticFiles *files, const char *root, const char *below, int depth, Err *err) {
    char full[PATH_SIZE];
    if (depth > 8 || snprintf(full, sizeof full, "%s%s", root, below) >= PATH_SIZE)
        return err_set(err, &ERR_CONFIG, "too many folders below %s", root);
    DIR *dir = opendir(full);
    if (!dir) return err_set(err, &ERR_CONFIG, "cannot read the folder %s", full);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(dir));)
        ok = add_entry(files, root, below, e->d_name, depth, err);
    closedir(dir);
    return ok;
}

bool static_files_read(const char *folder, StaticFiles **ret, Err *err) {
    AUTO(StaticFiles) files = must(calloc(1, sizeof *files));
    files->by_path = map_new();
    if (*folder && !read_folder(files, folder, "", 0, err)) return false;
    *ret = files;
    files = NULL;
    return true;
}

StaticFiles *static_files_free(StaticFiles *files) {
    if (!files) return NULL;
    Span key;
    void *value;
    for (size_t at = 0; map_next(files->by_path, &at, &key, &value);) {
        content_clear(value);
        free(value);
    }
    map_free(files->by_path);
    free(files);
    return NULL;
}

const Content *static_file(const StaticFiles *files, Span path) {
    const Content *content = map_get(files->by_path, path);
    return content && content->bytes[CODING_IDENTITY] ? content : NULL;
}

const Content *static_page(const StaticFiles *files, Span path, Span fetch_mode, Span accept) {
    const Content *page = static_file(files, SPAN("/index.html"));
    if (span_is(path, "/")) return page;
    bool is_name = path.len && (memchr(path.at, '.', path.len) || span_starts(path, SPAN("/assets/")));
    bool navigates =
        fetch_mode.at ? span_is(fetch_mode, "navigate") : accept_quality(accept, SPAN("text/html"));
    return is_name || !navigates ? NULL : page;
}
