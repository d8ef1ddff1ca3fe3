/* Runs a fuzz target over the files of a kept corpus, without libFuzzer: part of every test run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_replay(const char *path) {
    FILE *file = fopen(path, "rb");
    static uint8_t data[1 << 20];
    if (!file) return -1;
    size_t n = fread(data, 1, sizeof(data), file);
    fclose(file);
    uint8_t *exact = malloc(n ? n : 1); /* so that ASan sees a read behind the end */
    if (!exact) return -1;
    for (size_t i = 0; i < n; i++) exact[i] = data[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    int count = 0;
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    if (!directory) return 1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (file_replay(path) < 0) return 1;
        count++;
    }
    closedir(directory);
    printf("%d files\n", count);
    return count > 0 ? 0 : 1;
}
