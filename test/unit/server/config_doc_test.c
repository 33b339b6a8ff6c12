// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md against the tables of keys: between `<!-- keys: BLOCK -->` and `<!-- end -->` stands what this program makes of
// BLOCK's table, and every block has its place. docs/nats-streaming.md against the table of flags in the same way, between
// `<!-- flags -->` and `<!-- end -->`.
//
//   test-server-config_doc FILE             checks; prints TAP
//   test-server-config_doc --write FILE     puts the tables into the file
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/must.h"
#include "server/config.h"
#include "server/config_key.h"
#include "server/options_internal.h"

#define TEXT_MAX (1 << 20)

static void put(struct buffer *out, const char *text)
{
    must(buffer_append(out, bytes_from_string(text)) == 0);
}

// `a`, `b`
static void put_names(struct buffer *out, const struct config_key *key)
{
    put(out, "`");
    for (const char *at = key->names; *at; at++)
        must(*at == ',' ? buffer_append(out, BYTES("`, `")) == 0 : buffer_append_char(out, *at) == 0);
    put(out, "`");
}

static void put_row(struct buffer *out, const struct config_key *key)
{
    static const char *const reloads[] = {"restart", "at once", "new connections"};
    char what[200];
    config_key_describe(key, what, sizeof(what));
    put(out, "| ");
    put_names(out, key);
    must(buffer_printf(out, " | %s | %s | %s | %s%s |\n", what, key->fallback ? key->fallback : "",
                       reloads[key->reload], key->help, key->secret ? "; never shown" : "") == 0);
}

// The keys of a type that has no rows, with the reasons.
static void put_list(struct buffer *out, const struct config_block *block, enum config_type type, const char *title)
{
    bool titled = false;
    for (size_t i = 0; i < block->count; i++) {
        const struct config_key *key = &block->keys[i];
        if (key->type != type)
            continue;
        if (!titled)
            put(out, title);
        titled = true;
        put(out, "- ");
        put_names(out, key);
        must(buffer_printf(out, ": %s\n", key->help) == 0);
    }
}

static void put_block(struct buffer *out, const struct config_block *block)
{
    put(out, "\n| key | value | default | a reload changes it | meaning |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < block->count; i++) {
        if (block->keys[i].type != CONFIG_IGNORED && block->keys[i].type != CONFIG_REFUSED)
            put_row(out, &block->keys[i]);
    }
    put_list(out, block, CONFIG_IGNORED, "\nAccepted, and named in the log as being without effect:\n\n");
    put_list(out, block, CONFIG_REFUSED, "\nRefused, with these words:\n\n");
    put(out, "\n");
}

// The key that reads into the place of a flag, as "streaming.file.sync"; NULL: none, or the text's end is untouched.
static const struct config_key *find_key(size_t offset, char *ret_path, size_t size)
{
    static const char *const blocks[] = {
        "", "tls", "streaming", "streaming store_limits", "streaming tls", "streaming file", "authorization"};
    for (size_t i = 0; config_key_block(i); i++) {
        const struct config_block *block = config_key_block(i);
        bool is_tls = strcmp(block->name, "tls") == 0, is_ours = false;
        size_t base = is_tls ? offsetof(struct options, tls) + offsetof(struct config, options) : 0;
        for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
            is_ours |= strcmp(block->name, blocks[b]) == 0;
        for (size_t k = 0; is_ours && k < block->count; k++) {
            const struct config_key *key = &block->keys[k];
            if (key->type == CONFIG_IGNORED || key->type == CONFIG_REFUSED || key->type == CONFIG_BLOCK ||
                (key->type == CONFIG_CUSTOM && key->offset == 0) ||
                key->offset + base != offset + offsetof(struct config, options))
                continue;
            struct bytes name = config_key_name(key);
            snprintf(ret_path, size, "%s%s%.*s", block->name, block->name[0] ? "." : "", BYTES_ARG(name));
            for (char *at = ret_path; *at; at++)
                *at = *at == ' ' ? '.' : *at;
            return key;
        }
    }
    return NULL;
}

// `-a`, `--addr`; `--dir`; `-SDV`: as people write them.
static void put_flag_names(struct buffer *out, const struct flag *flag)
{
    struct bytes rest = bytes_from_string(flag->names);
    for (bool first = true; rest.len; first = false) {
        const char *comma = memchr(rest.ptr, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;
        bool is_short = first && (comma ? len <= 3 : len < 3 || rest.ptr[0] < 'a');
        must(buffer_printf(out, "%s`%s%.*s`", first ? "" : ", ", is_short ? "-" : "--", (int)len, rest.ptr) == 0);
        rest = bytes_skip(rest, comma ? len + 1 : len);
    }
}

// What the flag says of itself, or what another flag or key says of the same thing.
static const char *flag_meaning(const struct flag *flags, size_t count, const struct flag *flag,
                                const struct config_key *key)
{
    const char *help = flag->help;
    for (size_t i = 0; i < count && !help; i++)
        help = flags[i].type == flag->type && flags[i].offset == flag->offset ? flags[i].help : NULL;
    return help ? help : key ? key->help : "";
}

static void put_flags_of(struct buffer *out, const struct flag *flags, size_t count, enum flag_type type,
                         const char *title)
{
    put(out, title);
    for (size_t i = 0; i < count; i++) {
        if (flags[i].type != type && !(type == FLAG_IGNORED && flags[i].type == FLAG_IGNORED_BOOL))
            continue;
        put(out, "- ");
        put_flag_names(out, &flags[i]);
        must(buffer_printf(out, "%s%s\n", flags[i].help ? ": " : "", flags[i].help ? flags[i].help : "") == 0);
    }
}

// A '|' would end the cell.
static void put_cell(struct buffer *out, const char *text)
{
    for (; *text; text++)
        must(*text == '|' ? buffer_append(out, BYTES(" or ")) == 0 : buffer_append_char(out, *text) == 0);
}

static void put_flags(struct buffer *out)
{
    size_t count;
    const struct flag *flags = options_flags(OPTIONS_NATS_STREAMING, &count);
    put(out, "\n| flag | value | key of a file | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        const struct flag *flag = &flags[i];
        char path[100] = "";
        if (flag->type == FLAG_IGNORED || flag->type == FLAG_IGNORED_BOOL || flag->type == FLAG_REFUSED)
            continue;
        const struct config_key *key = find_key(flag->offset, path, sizeof(path));
        put(out, "| ");
        put_flag_names(out, flag);
        put(out, " | ");
        put_cell(out, flag->value ? flag->value : "");
        must(buffer_printf(out, " | %s%s%s | ", *path ? "`" : "", path, *path ? "`" : "") == 0);
        put_cell(out, flag_meaning(flags, count, flag, key));
        put(out, " |\n");
    }
    put_flags_of(out, flags, count, FLAG_IGNORED, "\nAccepted, and named in the log as being without effect:\n\n");
    put_flags_of(out, flags, count, FLAG_REFUSED, "\nRefused, with these words:\n\n");
    put(out, "\n");
}

// The document with fresh tables. *ret_missing: a block that has no place, or NULL.
static void make(const char *text, struct buffer *out, const char **ret_missing)
{
    *ret_missing = NULL;
    bool of_flags = strstr(text, "<!-- flags -->\n") != NULL;
    for (size_t i = 0; config_key_block(i) && !of_flags; i++) {
        char marker[100];
        const char *name = config_key_block(i)->name;
        snprintf(marker, sizeof(marker), "<!-- keys: %s -->\n", *name ? name : "server");
        if (!strstr(text, marker))
            *ret_missing = *name ? name : "server";
    }
    while (*text) {
        const char *line_end = strchr(text, '\n');
        size_t len = line_end ? (size_t)(line_end - text) + 1 : strlen(text);
        must(buffer_append(out, bytes_make(text, len)) == 0);
        const struct config_block *block = NULL;
        for (size_t i = 0; strncmp(text, "<!-- keys: ", 11) == 0 && config_key_block(i); i++) {
            const char *name = *config_key_block(i)->name ? config_key_block(i)->name : "server";
            if (strncmp(text + 11, name, strlen(name)) == 0 && strncmp(text + 11 + strlen(name), " -->", 4) == 0)
                block = config_key_block(i);
        }
        bool is_flags = strncmp(text, "<!-- flags -->\n", 15) == 0;
        text += len;
        if (is_flags)
            put_flags(out);
        if (block)
            put_block(out, block);
        if (block || is_flags) {
            const char *end = strstr(text, "<!-- end -->");
            must(end != NULL);
            text = end;
        }
    }
    must(buffer_append_char(out, '\0') == 0);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, TEXT_MAX);
    if (!file || !text || fread(text, 1, TEXT_MAX - 1, file) == 0) {
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

static int write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    return !file || fputs(text, file) < 0 || fclose(file) != 0;
}

int main(int count, char **arguments)
{
    bool write = count == 3 && strcmp(arguments[1], "--write") == 0;
    char *text = read_text(arguments[count - 1]);
    const char *missing = NULL;
    struct buffer fresh;
    buffer_init(&fresh, TEXT_MAX);
    printf("1..2\n");
    if (!text) {
        printf("not ok 1 - %s can be read\n", arguments[count - 1]);
        return 1;
    }
    make(text, &fresh, &missing);
    bool same = strcmp(text, fresh.ptr) == 0;
    int failed = write ? write_text(arguments[count - 1], fresh.ptr) : !same;
    printf("%s 1 - the tables of the document are those of the code%s\n", failed ? "not ok" : "ok",
           failed ? " (this program --write FILE makes it so)" : "");
    printf("%s 2 - every block of keys, or the flags, are in the document%s%s\n", missing ? "not ok" : "ok",
           missing ? ": not " : "", missing ? missing : "");
    buffer_deinit(&fresh);
    free(text);
    return failed || missing;
}
