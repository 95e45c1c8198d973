/* The web client: a folder read into memory at start. Immutable after it, shared by all loops. */
#pragma once
#include "base/auto.h"
#include "base/err.h"
#include "base/span.h"

typedef struct StaticFiles StaticFiles;
typedef struct Content Content;

/* folder "" gives an empty set. At most 64 MiB and 2000 files: ERR_CONFIG above. */
bool static_files_read(const char *folder, StaticFiles **ret, Err *err);
StaticFiles *static_files_free(StaticFiles *files);
AUTO_FREE(StaticFiles, static_files_free)
/* path: as in the request, not decoded. NULL where there is no such file. */
const Content *static_file(const StaticFiles *files, Span path);

/* The client routes by itself: whoever goes to a path of its own (no file's name, not below /assets) gets the
 * page that "/" has. fetch_mode: the request's Sec-Fetch-Mode, which browsers send; without it Accept has to
 * allow a page. */
const Content *static_page(const StaticFiles *files, Span path, Span fetch_mode, Span accept);
