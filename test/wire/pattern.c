// SPDX-License-Identifier: Apache-2.0
#include "pattern.h"

#include <jansson.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

enum token_kind { TOKEN_BYTE, TOKEN_VALUE, TOKEN_CAPTURE, TOKEN_WORD, TOKEN_REST, TOKEN_LENGTH, TOKEN_BAD };

struct token {
    enum token_kind kind;
    char byte;
    struct bytes name;
};

static struct token take_token(struct bytes *text);
static struct token take_escape(struct bytes *text);
static int hex_digit(char c);
static bool is_of_word(char c);
static bool match_json_value(const json_t *wanted, const json_t *actual, struct pattern_vars *vars);
static bool match_json_object(json_t *wanted, const json_t *actual, struct pattern_vars *vars);
static bool match_json_array(const json_t *wanted, const json_t *actual, struct pattern_vars *vars);

void pattern_vars_init(struct pattern_vars *vars)
{
    vars->count = 0;
}

void pattern_vars_deinit(struct pattern_vars *vars)
{
    for (size_t i = 0; i < vars->count; i++) {
        mem_free(vars->list[i].name);
        mem_free(vars->list[i].value);
    }
    vars->count = 0;
}

void pattern_vars_set(struct pattern_vars *vars, struct bytes name, struct bytes value)
{
    struct pattern_var *var = NULL;
    for (size_t i = 0; i < vars->count && !var; i++)
        if (bytes_equal(bytes_make(vars->list[i].name, vars->list[i].name_len), name))
            var = &vars->list[i];
    if (!var) {
        must(vars->count < PATTERN_VARS_MAX);
        var = &vars->list[vars->count++];
        *var = (struct pattern_var){.name = mem_copy(name), .name_len = name.len};
    }
    char *copy = mem_copy(value);
    mem_free(var->value);
    var->value = copy;
    var->value_len = value.len;
}

bool pattern_vars_find(const struct pattern_vars *vars, struct bytes name, struct bytes *ret_value)
{
    for (size_t i = 0; i < vars->count; i++) {
        if (!bytes_equal(bytes_make(vars->list[i].name, vars->list[i].name_len), name))
            continue;
        *ret_value = bytes_make(vars->list[i].value, vars->list[i].value_len);
        return true;
    }
    return false;
}

const char *pattern_expand(struct bytes text, const struct pattern_vars *vars, size_t length, struct buffer *out)
{
    while (text.len > 0) {
        struct token token = take_token(&text);
        struct bytes value;
        if (token.kind == TOKEN_BYTE) {
            must(buffer_append_char(out, token.byte) == 0);
        } else if (token.kind == TOKEN_VALUE) {
            if (!pattern_vars_find(vars, token.name, &value))
                return "a name in it has no value yet";
            must(buffer_append(out, value) == 0);
        } else if (token.kind == TOKEN_LENGTH && length != PATTERN_NO_LENGTH) {
            must(buffer_printf(out, "%zu", length) == 0);
        } else {
            return token.kind == TOKEN_BAD ? "an escape or placeholder that is none"
                                           : "a placeholder that cannot be here";
        }
    }
    return NULL;
}

void pattern_substitute(struct bytes text, const struct pattern_vars *vars, struct buffer *out)
{
    while (text.len > 0) {
        size_t len = pattern_placeholder(text);
        struct bytes value;
        if (len > 0 && pattern_vars_find(vars, bytes_make(text.ptr + 2, len - 3), &value)) {
            must(buffer_append(out, value) == 0);
        } else {
            len = len > 0 ? len : 1;
            must(buffer_append(out, bytes_make(text.ptr, len)) == 0);
        }
        text = bytes_skip(text, len);
    }
}

// Words are taken as short as they can be, and longer when the rest does not fit.
bool pattern_match(struct bytes text, struct bytes actual, size_t length, struct pattern_vars *vars)
{
    while (text.len > 0) {
        struct token token = take_token(&text);
        char digits[24];
        struct bytes value = bytes_make(&token.byte, 1);
        switch (token.kind) {
        case TOKEN_BAD: return false;
        case TOKEN_REST: return text.len == 0;
        case TOKEN_WORD:
        case TOKEN_CAPTURE:
            for (size_t n = 1; n <= actual.len && is_of_word(actual.ptr[n - 1]); n++) {
                if (!pattern_match(text, bytes_skip(actual, n), length, vars))
                    continue;
                if (token.kind == TOKEN_CAPTURE)
                    pattern_vars_set(vars, token.name, bytes_make(actual.ptr, n));
                return true;
            }
            return false;
        case TOKEN_LENGTH:
            if (length == PATTERN_NO_LENGTH)
                return false;
            snprintf(digits, sizeof(digits), "%zu", length);
            value = bytes_from_string(digits);
            break;
        case TOKEN_VALUE:
            if (!pattern_vars_find(vars, token.name, &value))
                return false;
            break;
        case TOKEN_BYTE: break;
        }
        if (!bytes_starts_with(actual, value))
            return false;
        actual = bytes_skip(actual, value.len);
    }
    return actual.len == 0;
}

bool pattern_has(struct bytes text, struct bytes name)
{
    for (; text.len > 0; text = bytes_skip(text, 1)) {
        size_t len = pattern_placeholder(text);
        if (len > 0 && bytes_equal(bytes_make(text.ptr + 2, len - 3), name))
            return true;
    }
    return false;
}

size_t pattern_placeholder(struct bytes text)
{
    if (!bytes_starts_with(text, BYTES("${")))
        return 0;
    const char *end = memchr(text.ptr, '}', text.len);
    return end ? (size_t)(end - text.ptr) + 1 : 0;
}

bool pattern_match_json(struct bytes text, struct bytes actual, struct pattern_vars *vars)
{
    struct buffer wanted;
    buffer_init(&wanted, SIZE_MAX / 4);
    pattern_substitute(text, vars, &wanted);
    json_t *pattern = json_loadb(wanted.ptr, wanted.len, 0, NULL);
    json_t *value = json_loadb(actual.ptr, actual.len, JSON_REJECT_DUPLICATES, NULL);
    bool same = json_is_object(pattern) && json_is_object(value) && match_json_value(pattern, value, vars);
    json_decref(pattern);
    json_decref(value);
    buffer_deinit(&wanted);
    return same;
}

static struct token take_token(struct bytes *text)
{
    size_t len = pattern_placeholder(*text);
    if (len == 0 && text->ptr[0] == '\\')
        return take_escape(text);
    if (len == 0) {
        struct token token = {.kind = TOKEN_BYTE, .byte = text->ptr[0]};
        *text = bytes_skip(*text, 1);
        return token;
    }
    struct bytes name = bytes_make(text->ptr + 2, len - 3);
    *text = bytes_skip(*text, len);
    if (bytes_equal(name, BYTES("#")))
        return (struct token){.kind = TOKEN_LENGTH};
    if (bytes_equal(name, BYTES("_")))
        return (struct token){.kind = TOKEN_WORD};
    if (bytes_equal(name, BYTES("..")))
        return (struct token){.kind = TOKEN_REST};
    if (name.len > 1 && name.ptr[name.len - 1] == '=')
        return (struct token){.kind = TOKEN_CAPTURE, .name = bytes_make(name.ptr, name.len - 1)};
    return (struct token){.kind = name.len > 0 ? TOKEN_VALUE : TOKEN_BAD, .name = name};
}

static struct token take_escape(struct bytes *text)
{
    static const char LETTERS[] = "rnt0\"\\", BYTES_OF[] = "\r\n\t\0\"\\";
    struct token token = {.kind = TOKEN_BAD};
    size_t len = 2;
    const char *letter = text->len > 1 ? memchr(LETTERS, text->ptr[1], sizeof(LETTERS) - 1) : NULL;
    if (letter) {
        token = (struct token){.kind = TOKEN_BYTE, .byte = BYTES_OF[letter - LETTERS]};
    } else if (text->len > 3 && text->ptr[1] == 'x' && hex_digit(text->ptr[2]) >= 0 && hex_digit(text->ptr[3]) >= 0) {
        len = 4;
        token =
            (struct token){.kind = TOKEN_BYTE, .byte = (char)(hex_digit(text->ptr[2]) * 16 + hex_digit(text->ptr[3]))};
    }
    *text = bytes_skip(*text, len < text->len ? len : text->len);
    return token;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_of_word(char c)
{
    return c != ' ' && c != '\t' && c != '\r' && c != '\n';
}

static bool match_json_value(const json_t *wanted, const json_t *actual, struct pattern_vars *vars)
{
    if (json_is_object(wanted))
        return json_is_object(actual) && match_json_object((json_t *)wanted, actual, vars);
    if (json_is_array(wanted))
        return match_json_array(wanted, actual, vars);
    struct bytes text =
        json_is_string(wanted) ? bytes_make(json_string_value(wanted), json_string_length(wanted)) : (struct bytes){0};
    if (text.len < 4 || pattern_placeholder(text) != text.len)
        return json_equal(wanted, actual);
    if (text.ptr[text.len - 2] != '=')
        return bytes_equal(text, BYTES("${_}"));
    char text_of[1024];
    size_t len = json_dumpb(actual, text_of, sizeof(text_of), JSON_ENCODE_ANY | JSON_COMPACT);
    struct bytes value =
        json_is_string(actual) ? bytes_from_string(json_string_value(actual)) : bytes_make(text_of, len);
    if (len == 0 || len > sizeof(text_of))
        return false;
    pattern_vars_set(vars, bytes_make(text.ptr + 2, text.len - 4), value);
    return true;
}

static bool match_json_object(json_t *wanted, const json_t *actual, struct pattern_vars *vars)
{
    const char *key;
    json_t *value;
    json_object_foreach(wanted, key, value)
    {
        const json_t *there = json_object_get(actual, key);
        bool absent = json_is_string(value) && strcmp(json_string_value(value), "${absent}") == 0;
        if (absent ? there != NULL : !there || !match_json_value(value, there, vars))
            return false;
    }
    return true;
}

static bool match_json_array(const json_t *wanted, const json_t *actual, struct pattern_vars *vars)
{
    if (!json_is_array(actual) || json_array_size(wanted) != json_array_size(actual))
        return false;
    for (size_t i = 0; i < json_array_size(wanted); i++)
        if (!match_json_value(json_array_get(wanted, i), json_array_get(actual, i), vars))
            return false;
    return true;
}
