/* embed - puts files into a program: `embed OUT.c FOLDER` writes a C table of all files below FOLDER, each as
 * it is and compressed (gzip, brotli), so that the program needs no files at run time and compresses nothing.
 * The table's type is declared in service/documents.h. Deterministic: the same files give the same
 * table. */
#include "base/buf.h"

#include <brotli/encode.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

enum { PATH_SIZE = 1024, FILE_MAX = 16 << 20, LINE = 100, GZIP_WINDOW = 15 + 16 };

static void stop(const char *what, const char *path) {
    fprintf(stderr, "embed: %s %s\n", what, path);
    exit(1);
}

static void read_file(const char *path, Buf *to) {
    FILE *in = fopen(path, "re");
    if (!in) stop("cannot read", path);
    for (size_t got = 1; got;) {
        char *at = buf_reserve(to, 1 << 16);
        if (!at || to->len > FILE_MAX) stop("too large:", path);
        got = fread(at, 1, 1 << 16, in);
        to->len += got;
    }
    if (ferror(in)) stop("cannot read", path);
    fclose(in);
}

static void write_gzip(const Buf *from, Buf *to) {
    z_stream z = {.next_in = (Bytef *)from->at, .avail_in = (uInt)from->len};
    size_t room = from->len + 1024;
    char *at = buf_reserve(to, room);
    if (!at || deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.next_out = (Bytef *)at, z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    to->len += z.total_out;
    deflateEnd(&z);
}

static void write_brotli(const Buf *from, Buf *to) {
    size_t room = BrotliEncoderMaxCompressedSize(from->len);
    char *at = buf_reserve(to, room);
    if (!at || !BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT, from->len,
                                      (const uint8_t *)from->at, &room, (uint8_t *)at))
        abort();
    to->len += room;
}

/* Length, and the bytes as one string literal; octal escapes of three digits cannot swallow what follows. */
static void write_bytes(FILE *out, const Buf *bytes) {
    fprintf(out, "%zu, (const char[]){\"", bytes->len);
    for (size_t i = 0; i < bytes->len; i++) {
        unsigned char c = (unsigned char)bytes->at[i];
        if (i && i % LINE == 0) fputs("\"\n\"", out);
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '?')
            fputc(c, out);
        else
            fprintf(out, "\\%03o", c);
    }
    fputs("\"}", out);
}

static void write_entry(FILE *out, const char *path, const char *shown) {
    AUTO_BUF plain = {0}, gzip = {0}, brotli = {0};
    const Buf *const forms[] = {&plain, &gzip, &brotli};
    read_file(path, &plain);
    write_gzip(&plain, &gzip);
    write_brotli(&plain, &brotli);
    fprintf(out, "    {\"%s\",\n", shown);
    for (size_t i = 0; i < COUNT(forms); i++) {
        write_bytes(out, forms[i]);
        fputs(",\n", out);
    }
    fputs("},\n", out);
}

static void write_folder(FILE *out, const char *root, const char *below) {
    char folder[PATH_SIZE], path[PATH_SIZE], shown[PATH_SIZE];
    struct dirent **entries;
    if (snprintf(folder, sizeof folder, "%s%s", root, below) >= PATH_SIZE) stop("too long:", root);
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) stop("cannot read", folder);
    for (int i = 0; i < count; i++) {
        struct stat st;
        const char *name = entries[i]->d_name;
        if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_SIZE ||
            snprintf(shown, sizeof shown, "%s/%s", below, name) >= PATH_SIZE || stat(path, &st))
            stop("cannot read", path);
        if (S_ISREG(st.st_mode))
            write_entry(out, path, shown);
        else if (name[0] != '.')
            write_folder(out, root, shown);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: embed OUT.c FOLDER\n", stderr);
        return 64;
    }
    FILE *out = fopen(argv[1], "we");
    if (!out) stop("cannot write", argv[1]);
    fputs("/* Made by embed. */\n#include \"service/documents.h\"\n\nconst Document DOCUMENTS[] = {\n",
          out);
    write_folder(out, argv[2], "");
    fputs("};\nconst size_t DOCUMENT_COUNT = sizeof DOCUMENTS / sizeof *DOCUMENTS;\n", out);
    if (fclose(out)) stop("cannot write", argv[1]);
    return 0;
}
