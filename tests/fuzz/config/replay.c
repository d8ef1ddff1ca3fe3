/* Runs files, and the files of folders, through the fuzzer's entry without libFuzzer: the kept corpus in every run of
 * the tests. */
#define _XOPEN_SOURCE 700
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

static int replay(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    if (type != FTW_F) return 0;
    FILE *stream = fopen(path, "re");
    /* Exactly as large as the input, so that a sanitizer sees a read past the end. */
    uint8_t *data = malloc(status->st_size > 0 ? (size_t)status->st_size : 1);
    if (!stream || !data || fread(data, 1, (size_t)status->st_size, stream) != (size_t)status->st_size) {
        perror(path);
        return 1;
    }
    fclose(stream);
    LLVMFuzzerTestOneInput(data, (size_t)status->st_size);
    free(data);
    files++;
    return 0;
}

int main(int argc, char *argv[]) {
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) return 1;
    printf("%u inputs\n", files);
    return files > 0 ? 0 : 1;
}
