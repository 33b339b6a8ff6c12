// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of its corpus, so that every input that ever broke it is a test in each build, without libFuzzer.
// Prints TAP; the target itself crashes when something is wrong. An empty or missing corpus is a failure: it would test nothing.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

// Reads a file into memory of exactly its size, so that the address sanitizer sees a byte too far. The caller frees it.
static uint8_t *replay_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size ? size : 1);
    if (data && fread(data, 1, size, file) != size) {
        free(data);
        data = NULL;
    }
    fclose(file);
    *ret_size = size;
    return data;
}

static int replay_file(const char *folder, const char *name, int number)
{
    char path[4096];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    uint8_t *data = replay_read(path, &size);
    if (!data) {
        printf("not ok %d - cannot read %s\n", number, path);
        return 1;
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    printf("ok %d - %s\n", number, name);
    return 0;
}

int main(int argc, char **argv)
{
    int number = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;
        while (folder && (entry = readdir(folder)))
            if (entry->d_name[0] != '.')
                failed += replay_file(argv[i], entry->d_name, ++number);
        if (folder)
            closedir(folder);
    }
    if (number == 0)
        printf("not ok 1 - no corpus in the folders given\n");
    printf("1..%d\n", number ? number : 1);
    return failed != 0 || number == 0;
}
