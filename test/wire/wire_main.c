// SPDX-License-Identifier: Apache-2.0
#include "wire_main.h"

#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

static void run_file(struct wire_main *run, const char *path, wire_main_one *one);
static bool read_file(const char *path, struct buffer *content);
static bool is_wanted(const struct wire_main *run, const struct transcript_section *section);

bool wire_main_init(struct wire_main *run, enum transcript_player player, int count, char **arguments)
{
    *run = (struct wire_main){.player = player, .seeds = 3};
    int i = 1;
    for (; i < count && arguments[i][0] == '-'; i++) {
        bool has_value = i + 1 < count;
        if (strcmp(arguments[i], "--mutants") == 0)
            run->mutants = true;
        else if (strcmp(arguments[i], "--verbose") == 0)
            run->verbose = true;
        else if (strcmp(arguments[i], "--only") == 0 && has_value)
            run->only = arguments[++i];
        else if (strcmp(arguments[i], "--seeds") == 0 && has_value)
            run->seeds = strtoull(arguments[++i], NULL, 10);
        else
            break;
    }
    run->files = arguments + i;
    run->file_count = count - i;
    if (run->file_count > 0 && run->files[0][0] != '-')
        return true;
    fprintf(stderr, "%s [--only WORDS] [--seeds N] [--mutants] [--verbose] FILE...\n", arguments[0]);
    return false;
}

int wire_main_run(struct wire_main *run, wire_main_one *one)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < run->file_count; i++) {
        glob_t found;
        int error = glob(run->files[i], GLOB_NOCHECK, NULL, &found);
        must(error == 0);
        for (size_t k = 0; k < found.gl_pathc; k++)
            run_file(run, found.gl_pathv[k], one);
        globfree(&found);
    }
    printf("1..%u\n", run->tests);
    return run->failed > 0 || run->tests == 0;
}

void wire_main_report(struct wire_main *run, const struct transcript_section *section, const char *failure)
{
    run->failed += failure[0] != '\0';
    printf("%sok %u - %.*s%s\n", failure[0] ? "not " : "", ++run->tests, BYTES_ARG(section->title),
           run->mutants ? ": nothing else passes" : "");
    if (failure[0])
        printf("    %s\n    %s\n", failure, run->note);
    run->note[0] = '\0';
}

void wire_main_note(struct wire_main *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->note, sizeof(run->note), format, arguments);
    va_end(arguments);
}

static void run_file(struct wire_main *run, const char *path, wire_main_one *one)
{
    struct buffer content;
    buffer_init(&content, FILE_BYTES_MAX);
    struct transcript transcript;
    char message[TRANSCRIPT_MESSAGE_SIZE] = "cannot be read";
    bool is_read =
        read_file(path, &content) && transcript_read(&transcript, path, buffer_bytes(&content), message) == 0;
    buffer_deinit(&content);
    if (!is_read) {
        run->failed++;
        printf("not ok %u - %s\n    %s\n", ++run->tests, path, message);
        return;
    }
    for (size_t k = 0; k < transcript.section_count; k++)
        if (is_wanted(run, &transcript.sections[k]))
            one(run, &transcript, &transcript.sections[k]);
    transcript_deinit(&transcript);
}

static bool read_file(const char *path, struct buffer *content)
{
    FILE *file = fopen(path, "r");
    char *place = file ? buffer_reserve(content, FILE_BYTES_MAX) : NULL;
    if (place)
        buffer_commit(content, fread(place, 1, FILE_BYTES_MAX, file));
    bool is_whole = place && feof(file) && !ferror(file);
    if (file)
        must(fclose(file) == 0);
    return is_whole;
}

static bool is_wanted(const struct wire_main *run, const struct transcript_section *section)
{
    bool is_named = !run->only || memmem(section->title.ptr, section->title.len, run->only, strlen(run->only));
    return is_named && (section->players & run->player);
}
