/* static.c - files are looked up by name in a table, so that no request ever reaches the file system: there
 * is no path to climb out of. Vite puts a hash of the content into the names below /assets: those may be
 * cached for ever, all others are asked for again with their ETag. Compression is the build's work: a file
 * that has a ".gz" beside it is sent compressed to who accepts it. */
#include "gateway/rest/static.h"

#include "base/map.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_MAX = 2000, BYTES_MAX = 64 << 20, PATH_SIZE = 4096 };

struct StaticFiles {
    Map *by_path; /* StaticFile */
    size_t count, bytes;
};

static const char *const MEDIA_TYPES[][2] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
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

static StaticFile *file_at(StaticFiles *files, Span path) {
    StaticFile *file = map_get(files->by_path, path);
    if (file) return file;
    file = must(calloc(1, sizeof *file));
    file->path = must(strndup(path.at, path.len));
    file->media_type = media_type(path);
    file->immutable = span_starts(path, SPAN("/assets/"));
    map_put(files->by_path, path, file);
    return file;
}

static void set_bytes(StaticFile *file, Blob *blob, bool gzip) {
    unsigned long long hash = hash_stable(blob_view(blob));
    if (gzip) {
        file->gzip = blob;
        snprintf(file->gzip_etag, sizeof file->gzip_etag, "\"%016llxg\"", hash);
    } else {
        file->bytes = blob;
        snprintf(file->etag, sizeof file->etag, "\"%016llx\"", hash);
    }
}

static bool add_file(StaticFiles *files, const char *full, const char *path, size_t size, Err *err) {
    Span name = span_of(path);
    bool gzip = span_ends(name, SPAN(".gz"));
    files->bytes += size;
    if (++files->count > FILES_MAX || files->bytes > BYTES_MAX)
        return err_set(err, &ERR_CONFIG, "the web client is larger than %d files or %d MiB", FILES_MAX,
                       BYTES_MAX >> 20);
    Blob *blob = read_whole(full, size);
    if (!blob) return err_set(err, &ERR_CONFIG, "cannot read %s", full);
    if (gzip) name.len -= 3;
    set_bytes(file_at(files, name), blob, gzip);
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
        StaticFile *file = value;
        blob_unref(file->bytes);
        blob_unref(file->gzip);
        free((char *)file->path);
        free(file);
    }
    map_free(files->by_path);
    free(files);
    return NULL;
}

const StaticFile *static_file(const StaticFiles *files, Span path) {
    const StaticFile *file = map_get(files->by_path, path);
    if (!file && !(path.len && memchr(path.at, '.', path.len)))
        file = map_get(files->by_path, SPAN("/index.html"));
    return file && file->bytes ? file : NULL;
}
