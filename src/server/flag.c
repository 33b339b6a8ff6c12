// SPDX-License-Identifier: Apache-2.0
#include "server/flag.h"

#include <limits.h>
#include <stdio.h>

#include "base/must.h"
#include "base/number.h"
#include "base/similar.h"
#include "codec/duration.h"
#include "codec/size.h"

// Where the help's text begins.
#define FLAG_HELP_COLUMN 34

// What an argument says, before its value is read.
struct argument {
    struct bytes name;
    struct bytes value;
    bool has_value;
};

struct message {
    char *text;
    size_t size;
};

static const struct flag *find_flag(const struct flag *flags, size_t count, struct bytes name);
static struct argument split_argument(const char *text);
static int read_value(const struct flag *flag, struct bytes value, void *place);
static int read_bool(struct bytes value, bool *place);
static int read_switch(struct bytes value, uint32_t *place);
static int read_int(struct bytes value, int32_t *place);
static int read_choice(const struct flag *flag, struct bytes value, uint32_t *place);
static int note_ignored(const struct flag *flag, struct flag_ignored *place);
static bool is_bool(const struct flag *flag);
static bool in_bounds(const struct flag *flag, uint64_t value);
static int refuse_value(const struct flag *flag, struct argument argument, struct message message);
static void describe_choices(const char *choices, char *text, size_t size);
static void describe_wanted(const struct flag *flag, char *text, size_t size);
static int refuse_name(const struct flag *flags, size_t count, struct bytes name, struct message message);
static bool next_part(struct bytes *list, struct bytes *ret_part);

int flag_parse(const struct flag *flags, size_t flag_count, void *target, int count, char *const *arguments,
               int *ret_used, char *ret_message, size_t message_size)
{
    struct message message = {ret_message, message_size};
    int at = 0;
    while (at < count && arguments[at][0] == '-' && arguments[at][1] != '\0') {
        const char *text = arguments[at++];
        if (strcmp(text, "--") == 0)
            break;
        struct argument argument = split_argument(text);
        if (argument.name.len == 0 || argument.name.ptr[0] == '-') {
            snprintf(ret_message, message_size, "bad flag syntax: %.100s", text);
            return ERR_INVALID;
        }
        const struct flag *flag = find_flag(flags, flag_count, argument.name);
        if (!flag)
            return refuse_name(flags, flag_count, argument.name, message);
        if (flag->type == FLAG_REFUSED) {
            snprintf(ret_message, message_size, "-%.*s: %s", BYTES_ARG(argument.name), flag->help);
            return ERR_INVALID;
        }
        if (is_bool(flag) && !argument.has_value) {
            argument.value = BYTES("true");
        } else if (!argument.has_value && at < count) {
            argument.value = bytes_from_string(arguments[at++]);
        } else if (!argument.has_value) {
            snprintf(ret_message, message_size, "flag needs an argument: -%.*s", BYTES_ARG(argument.name));
            return ERR_INVALID;
        }
        if (read_value(flag, argument.value, (char *)target + flag->offset))
            return refuse_value(flag, argument, message);
    }
    *ret_used = at;
    return 0;
}

int flag_parse_around(const struct flag *flags, size_t flag_count, void *target, int count, char *const *arguments,
                      const char *name, const char **ret_other, char *ret_message, size_t message_size)
{
    bool found = false;
    for (int at = 0; at < count;) {
        int used;
        int error = flag_parse(flags, flag_count, target, count - at, arguments + at, &used, ret_message, message_size);
        if (error)
            return error;
        at += used;
        if (at < count && found) {
            snprintf(ret_message, message_size, "there is one %s", name);
            return ERR_INVALID;
        }
        if (at < count)
            *ret_other = arguments[at++];
        found = true;
    }
    return 0;
}

bool flag_help(const struct flag *flag, char *ret_line, size_t size)
{
    if (flag->type == FLAG_HEADING) {
        snprintf(ret_line, size, "%s", flag->help);
        return true;
    }
    if (!flag->help || flag->type == FLAG_REFUSED)
        return false;
    char left[128];
    size_t used = 0;
    struct bytes names = bytes_from_string(flag->names);
    struct bytes name;
    while (next_part(&names, &name))
        used += (size_t)snprintf(left + used, sizeof(left) - used, "%s%s%.*s", used ? ", " : "  ",
                                 name.len <= 3 ? "-" : "--", BYTES_ARG(name));
    snprintf(left + used, sizeof(left) - used, "%s%s", flag->value ? " " : "", flag->value ? flag->value : "");
    snprintf(ret_line, size, "%-*s %s", FLAG_HELP_COLUMN, left, flag->help);
    return true;
}

static const struct flag *find_flag(const struct flag *flags, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes names = bytes_from_string(flags[i].names);
        struct bytes known;
        while (next_part(&names, &known)) {
            if (bytes_equal(name, known))
                return &flags[i];
        }
    }
    return NULL;
}

// "--name=value" in its parts.
static struct argument split_argument(const char *text)
{
    text += text[1] == '-' ? 2 : 1;
    struct argument argument = {.name = bytes_from_string(text)};
    const char *equals = strchr(text, '=');
    if (equals) {
        argument.name.len = (size_t)(equals - text);
        argument.value = bytes_from_string(equals + 1);
        argument.has_value = true;
    }
    return argument;
}

// `value` is NUL-terminated: it is the end of an argument.
static int read_value(const struct flag *flag, struct bytes value, void *place)
{
    uint64_t number = 0;
    int error = 0;
    switch (flag->type) {
    case FLAG_BOOL: return read_bool(value, place);
    case FLAG_SWITCH: return read_switch(value, place);
    case FLAG_STRING:
        if (value.len == 0)
            return ERR_INVALID;
        *(const char **)place = value.ptr;
        return 0;
    case FLAG_INT: {
        int32_t signed_number;
        error = read_int(value, &signed_number);
        if (error || signed_number < flag->min || signed_number > flag->max)
            return ERR_INVALID;
        *(int32_t *)place = signed_number;
        return 0;
    }
    case FLAG_CHOICE: return read_choice(flag, value, place);
    case FLAG_COUNT: error = number_parse_u64(value, UINT32_MAX, &number); break;
    case FLAG_COUNT64: error = number_parse_u64(value, INT64_MAX, &number); break;
    case FLAG_BYTES:
    case FLAG_BYTES32: error = size_parse(value, &number); break;
    case FLAG_DURATION: error = duration_parse(value, INT64_MAX, &number); break;
    case FLAG_IGNORED:
    case FLAG_IGNORED_BOOL: return note_ignored(flag, place);
    case FLAG_REFUSED:
    case FLAG_HEADING: must(false);
    }
    if (error || !in_bounds(flag, number))
        return ERR_INVALID;
    if (flag->type == FLAG_COUNT || flag->type == FLAG_BYTES32)
        *(uint32_t *)place = (uint32_t)number;
    else
        *(uint64_t *)place = number;
    return 0;
}

static int read_bool(struct bytes value, bool *place)
{
    if (bytes_equal_fold(value, BYTES("true")) || bytes_equal(value, BYTES("1")))
        *place = true;
    else if (bytes_equal_fold(value, BYTES("false")) || bytes_equal(value, BYTES("0")))
        *place = false;
    else
        return ERR_INVALID;
    return 0;
}

static int read_switch(struct bytes value, uint32_t *place)
{
    bool on;
    int error = read_bool(value, &on);
    if (!error)
        *place = on ? 2 : 1;
    return error;
}

static int read_int(struct bytes value, int32_t *place)
{
    bool negative = bytes_starts_with(value, BYTES("-"));
    uint64_t number;
    int error = number_parse_u64(bytes_skip(value, negative), INT32_MAX, &number);
    if (error)
        return error;
    *place = negative ? -(int32_t)number : (int32_t)number;
    return 0;
}

static int read_choice(const struct flag *flag, struct bytes value, uint32_t *place)
{
    struct bytes choices = bytes_from_string(flag->choices);
    struct bytes choice;
    for (uint32_t i = 0; next_part(&choices, &choice); i++) {
        if (bytes_equal_fold(value, bytes_skip(choice, bytes_starts_with(choice, BYTES("-"))))) {
            *place = i;
            return 0;
        }
    }
    return ERR_INVALID;
}

static int note_ignored(const struct flag *flag, struct flag_ignored *place)
{
    if (place->count < FLAG_IGNORED_MAX)
        place->names[place->count++] = flag->names;
    return 0;
}

// Takes a value only behind "=".
static bool is_bool(const struct flag *flag)
{
    return flag->type == FLAG_BOOL || flag->type == FLAG_SWITCH || flag->type == FLAG_IGNORED_BOOL;
}

static bool in_bounds(const struct flag *flag, uint64_t value)
{
    if (flag->type == FLAG_BYTES32 && value > UINT32_MAX)
        return false;
    if (flag->min == 0 && flag->max == 0)
        return true;
    return value >= (uint64_t)flag->min && value <= (uint64_t)flag->max;
}

static int refuse_value(const struct flag *flag, struct argument argument, struct message message)
{
    char wanted[160];
    describe_wanted(flag, wanted, sizeof(wanted));
    snprintf(message.text, message.size, "invalid %svalue \"%.*s\" for %s-%.*s: it is not %s",
             is_bool(flag) ? "boolean " : "", (int)(argument.value.len < 100 ? argument.value.len : 100),
             argument.value.ptr, is_bool(flag) ? "" : "flag ", BYTES_ARG(argument.name), wanted);
    return ERR_INVALID;
}

static void describe_wanted(const struct flag *flag, char *text, size_t size)
{
    bool bounded = flag->min != 0 || flag->max != 0;
    int64_t scale = flag->type == FLAG_DURATION ? 1000000 : 1;
    const char *unit = flag->type == FLAG_DURATION ? " ms" : "";
    const char *what = NULL;
    switch (flag->type) {
    case FLAG_BOOL:
    case FLAG_SWITCH: what = "true or false"; break;
    case FLAG_STRING: what = "allowed to be empty"; break;
    case FLAG_CHOICE: describe_choices(flag->choices, text, size); return;
    case FLAG_BYTES:
    case FLAG_BYTES32: what = "a size such as 65536, 64K or 1G"; break;
    case FLAG_DURATION: what = "a duration such as 500ms, 30s or 1h30m"; break;
    default: what = "a whole number"; break;
    }
    if (bounded)
        snprintf(text, size, "%s from %lld%s to %lld%s", what, (long long)(flag->min / scale), unit,
                 (long long)(flag->max / scale), unit);
    else
        snprintf(text, size, "%s", what);
}

static void describe_choices(const char *choices, char *text, size_t size)
{
    const char *hidden = strstr(choices, ",-");
    snprintf(text, size, "one of %.*s", (int)(hidden ? hidden - choices : (ptrdiff_t)strlen(choices)), choices);
}

static int refuse_name(const struct flag *flags, size_t count, struct bytes name, struct message message)
{
    struct bytes best = {NULL, 0};
    unsigned distance = UINT_MAX;
    for (size_t i = 0; i < count; i++) {
        struct bytes names = bytes_from_string(flags[i].names), known;
        while (next_part(&names, &known)) {
            if (similar_is_nearer(name, known, &distance))
                best = known;
        }
    }
    if (best.ptr)
        snprintf(message.text, message.size, "flag provided but not defined: -%.*s; did you mean -%.*s?",
                 (int)(name.len < 100 ? name.len : 100), name.ptr, BYTES_ARG(best));
    else
        snprintf(message.text, message.size, "flag provided but not defined: -%.*s; --help lists the known ones",
                 (int)(name.len < 100 ? name.len : 100), name.ptr);
    return ERR_INVALID;
}

static bool next_part(struct bytes *list, struct bytes *ret_part)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    *ret_part = bytes_make(list->ptr, len);
    *list = bytes_skip(*list, comma ? len + 1 : len);
    return true;
}
