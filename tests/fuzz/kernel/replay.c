/* Runs a fuzz target over the files of the folders given: the kept corpus is replayed in every test run, without clang.
 * Beside each file as it is, every shorter beginning of it and some damaged copies are tried. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 17)
#define DAMAGED 200u

static unsigned replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    uint8_t *input = malloc(INPUT_MAX), *damaged = malloc(INPUT_MAX);
    if (!input || !damaged) abort();
    size_t n = fread(input, 1, INPUT_MAX, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, n);
    size_t step = n > 2048 ? n / 1024 : 1;
    for (size_t length = 0; length < n; length += step) LLVMFuzzerTestOneInput(input, length);
    uint32_t state = 2463534242u; /* xorshift: the same damage in every run */
    for (unsigned i = 0; n > 0 && i < DAMAGED; i++) {
        memcpy(damaged, input, n);
        for (unsigned k = 0; k <= i % 4; k++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            damaged[state % n] = (uint8_t)(state >> 24);
        }
        LLVMFuzzerTestOneInput(damaged, n);
    }
    free(input);
    free(damaged);
    return 1;
}

int main(int argc, char **argv) {
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (!directory) {
            perror(argv[i]);
            return 1;
        }
        const struct dirent *entry;
        while ((entry = readdir(directory))) {
            if (entry->d_name[0] == '.') continue;
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            files += replay_file(path);
        }
        closedir(directory);
    }
    printf("%u inputs\n", files);
    return files > 0 ? 0 : 1;
}
