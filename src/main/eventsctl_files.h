/* Files of the data folder that are made once. */
#pragma once
#include "base/err.h"
#include "base/span.h"

bool files_make_folder(const char *path,
                       Err *err); /* with what is above it; mode 0700; one that exists is fine */
bool files_exist(const char *path);
/* Makes a file with mode 0600 from a finished temporary one. False in *made where there was one already. */
bool files_make(const char *path, Span content, bool *made, Err *err);
/* The same, in place of one that may exist. */
bool files_replace(const char *path, Span content, Err *err);
/* The first line without its end. */
bool files_first_line(const char *path, char *ret, size_t size, Err *err);
