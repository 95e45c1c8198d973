/* Runs one fuzzer over the files of a folder (FUZZ_CORPUS, or the folders given): each as it is, and each cut
 * off at a few places, since most trouble begins where bytes end too early. */
#include "fuzz.h"

#include <dirent.h>

enum { FILE_MAX = 1 << 20, CUTS = 16 };

/* In memory of exactly that size, so that AddressSanitizer sees a read behind the end. */
static void run_exact(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    if (size) memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static bool run_file(const char *folder, const char *name) {
    static uint8_t bytes[FILE_MAX];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run_exact(bytes, size);
    for (size_t i = 1; i < CUTS; i++) run_exact(bytes, size * i / CUTS);
    return true;
}

static size_t run_folder(const char *folder) {
    size_t count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') count += run_file(folder, entry->d_name);
    if (dir) closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? 0 : run_folder(FUZZ_CORPUS);
    for (int i = 1; i < argc; i++) count += run_folder(argv[i]);
    printf("%zu inputs\n", count);
    return count ? 0 : 1; /* an empty corpus would pass for nothing */
}
