/* The web client: a folder read into memory at start. Immutable after it, shared by all loops. */
#pragma once
#include "base/auto.h"
#include "base/blob.h"
#include "base/err.h"

typedef struct StaticFiles StaticFiles;
typedef struct StaticFile {
    const char *path; /* "/assets/app-1a2b3c.js" */
    const char *media_type;
    Blob *bytes;
    Blob *gzip;    /* of "<path>.gz"; NULL where there is none */
    char etag[20]; /* quoted, strong; of gzip with a g before the closing quote */
    char gzip_etag[22];
    bool immutable; /* its name changes with its content */
} StaticFile;

/* folder "" gives an empty set. At most 64 MiB and 2000 files: ERR_CONFIG above. */
bool static_files_read(const char *folder, StaticFiles **ret, Err *err);
StaticFiles *static_files_free(StaticFiles *files);
AUTO_FREE(StaticFiles, static_files_free)
/* path: as in the request, not decoded. Paths without a dot that are no file get index.html (the client
 * routes by itself). NULL where there is nothing. */
const StaticFile *static_file(const StaticFiles *files, Span path);
