// SPDX-License-Identifier: Apache-2.0
#include "server/config_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/must.h"
#include "base/number.h"
#include "codec/duration.h"
#include "server/config_blocks.h"
#include "server/units.h"

// A name that long is no key; it is shown by its beginning.
#define NAME_SHOWN 60

static int read_member(struct config_reader *reader, const struct config_block *block, const struct conf_member *member,
                       void *target);
static int refuse_name(struct config_reader *reader, const struct config_block *block,
                       const struct conf_member *member);
static int read_key(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                    void *target);
static int read_number(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                       void *place);
static int read_choice(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                       uint32_t *place);
static int refuse_type(struct config_reader *reader, const struct config_key *key, const struct conf_member *member);
static bool in_bounds(const struct config_key *key, uint64_t number);

int config_reader_apply(struct config_reader *reader, const struct config_block *block, const struct conf_value *map,
                        void *target)
{
    must(map->type == CONF_MAP);
    int error = 0;
    for (const struct conf_member *member = map->first; member && !error; member = member->next)
        error = read_member(reader, block, member, target);
    return error;
}

int config_reader_fail(struct config_reader *reader, struct conf_place place, const char *format, ...)
{
    struct conf_error error = {.place = place};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error.text, sizeof(error.text), format, arguments);
    va_end(arguments);
    if (place.file)
        conf_error_format(&error, reader->message, CONFIG_MESSAGE_SIZE);
    else
        snprintf(reader->message, CONFIG_MESSAGE_SIZE, "%s", error.text);
    return ERR_INVALID;
}

int config_reader_refuse(struct config_reader *reader, const struct conf_member *member, const char *wanted)
{
    return config_reader_fail(reader, member->value.place, "%.*s: %s is expected here",
                              (int)(member->name.len < NAME_SHOWN ? member->name.len : NAME_SHOWN), member->name.ptr,
                              wanted);
}

void config_reader_warn(struct config_reader *reader, struct conf_place place, const char *format, ...)
{
    struct config *config = reader->config;
    struct conf_error warning = {.place = place};
    va_list arguments;
    if (config->warning_count == CONFIG_WARNINGS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(warning.text, sizeof(warning.text), format, arguments);
    va_end(arguments);
    char *text = config_reader_alloc(reader, CONFIG_MESSAGE_SIZE);
    conf_error_format(&warning, text, CONFIG_MESSAGE_SIZE);
    config->warnings[config->warning_count++] = text;
}

void *config_reader_alloc(struct config_reader *reader, size_t size)
{
    // What is asked for is bounded by the values of the files, whose number is bounded.
    void *memory = arena_alloc(&reader->config->strings, size);
    must(memory);
    return memory;
}

const char *config_reader_where(struct config_reader *reader, struct conf_place place)
{
    size_t size = strlen(place.file) + 2 * sizeof(":4294967295");
    char *text = config_reader_alloc(reader, size);
    snprintf(text, size, "%s:%u:%u", place.file, place.line, place.column);
    return text;
}

uint32_t config_reader_mark(struct config_reader *reader, struct conf_place place)
{
    struct buffer *places = &reader->config->places;
    if (buffer_append(places, bytes_make(&place, sizeof(place))))
        return 0; // so many that one error less has a place
    return (uint32_t)(places->len / sizeof(place));
}

int config_reader_string(struct config_reader *reader, const struct conf_member *member, const char **ret_string)
{
    if (member->value.type != CONF_STRING)
        return config_reader_refuse(reader, member, "a string (quote it)");
    if (member->value.text.len == 0)
        return config_reader_refuse(reader, member, "a string that is not empty");
    *ret_string = member->value.text.ptr;
    return 0;
}

int config_reader_bool(struct config_reader *reader, const struct conf_member *member, bool *ret_bool)
{
    if (member->value.type != CONF_BOOL)
        return config_reader_refuse(reader, member, "true or false, without quotes,");
    *ret_bool = member->value.boolean;
    return 0;
}

int config_reader_integer(struct config_reader *reader, const struct conf_member *member, int64_t min, int64_t max,
                          int64_t *ret_integer)
{
    char wanted[96];
    if (member->value.type == CONF_INTEGER && member->value.integer >= min && member->value.integer <= max) {
        *ret_integer = member->value.integer;
        return 0;
    }
    if (max == INT64_MAX)
        snprintf(wanted, sizeof(wanted), "an integer of at least %lld, without quotes,", (long long)min);
    else
        snprintf(wanted, sizeof(wanted), "an integer from %lld to %lld, without quotes,", (long long)min,
                 (long long)max);
    return config_reader_refuse(reader, member, wanted);
}

// A word like 2m is an integer in the language, which no one means here.
int config_reader_duration(struct config_reader *reader, const struct conf_member *member, uint64_t *ret_ns)
{
    const struct conf_value *value = &member->value;
    bool string = value->type == CONF_STRING;
    if ((string || value->type == CONF_INTEGER) && duration_parse(value->text, INT64_MAX, ret_ns) == 0)
        return 0;
    if (value->type != CONF_INTEGER || value->integer < 0 || value->integer > (int64_t)(INT64_MAX / SECOND))
        return config_reader_refuse(reader, member, "a duration such as \"500ms\", \"30s\" or \"1h30m\"");
    *ret_ns = (uint64_t)value->integer * SECOND;
    config_reader_warn(reader, value->place, "%.*s should be written as a duration: \"%llds\"", BYTES_ARG(member->name),
                       (long long)value->integer);
    return 0;
}

int config_reader_seconds(struct config_reader *reader, const struct conf_member *member, uint64_t *ret_ns)
{
    const struct conf_value *value = &member->value;
    bool number = value->type == CONF_INTEGER || value->type == CONF_FLOAT;
    double seconds = value->type == CONF_INTEGER ? (double)value->integer : number ? value->real : 0;
    if (!number && value->type == CONF_STRING && duration_parse(value->text, INT64_MAX, ret_ns) == 0)
        return 0;
    if (!number || !(seconds >= 0 && seconds < 1e9))
        return config_reader_refuse(reader, member,
                                    "a number of seconds, such as 2 or 0.5, or a duration such as \"2s\"");
    *ret_ns = (uint64_t)(seconds * (double)SECOND);
    return 0;
}

int config_reader_strings(struct config_reader *reader, const struct conf_member *member,
                          struct auth_strings *ret_strings)
{
    const struct conf_value *value = &member->value;
    if (value->type != CONF_STRING && value->type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "a string, or an array of strings");
    size_t count = value->type == CONF_ARRAY ? value->count : 1;
    struct bytes *items = config_reader_alloc(reader, (count ? count : 1) * sizeof(*items));
    if (value->type == CONF_STRING)
        items[0] = value->text;
    size_t at = 0;
    for (const struct conf_member *item = value->type == CONF_ARRAY ? value->first : NULL; item; item = item->next) {
        if (item->value.type != CONF_STRING)
            return config_reader_fail(reader, item->value.place,
                                      "%.*s: an array of strings is expected here (quote it)", BYTES_ARG(member->name));
        items[at++] = item->value.text;
    }
    *ret_strings = (struct auth_strings){items, (uint32_t)count};
    return 0;
}

int config_reader_address(struct config_reader *reader, const struct conf_member *member, const char **ret_host,
                          int32_t *ret_port)
{
    const struct conf_value *value = &member->value;
    struct bytes host = {NULL, 0}, port = value->text;
    uint64_t number;
    if (value->type != CONF_INTEGER && value->type != CONF_STRING)
        return config_reader_refuse(reader, member, "HOST:PORT, \":PORT\" or a port");
    const char *colon = value->type == CONF_STRING ? memrchr(port.ptr, ':', port.len) : NULL;
    if (colon) {
        host = bytes_make(value->text.ptr, (size_t)(colon - value->text.ptr));
        port = bytes_skip(value->text, host.len + 1);
    }
    bool bracketed = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    bool fine = (colon || value->type == CONF_INTEGER) && (bracketed || !memchr(value->text.ptr, ':', host.len));
    if (bytes_equal(port, BYTES("-1")))
        *ret_port = -1;
    else if (fine && number_parse_u64(port, 65535, &number) == 0)
        *ret_port = (int32_t)number;
    else
        fine = false;
    if (!fine)
        return config_reader_refuse(reader, member, "HOST:PORT, \":PORT\" or a port, which is -1 or from 0 to 65535,");
    if (host.len == 0)
        return 0;
    host = bracketed ? bytes_make(host.ptr + 1, host.len - 2) : host;
    char *copy = config_reader_alloc(reader, host.len + 1);
    memcpy(copy, host.ptr, host.len);
    copy[host.len] = '\0';
    *ret_host = copy;
    return 0;
}

int config_reader_map(struct config_reader *reader, const struct conf_member *member)
{
    return member->value.type == CONF_MAP ? 0 : config_reader_refuse(reader, member, "a map { … }");
}

static int read_member(struct config_reader *reader, const struct config_block *block, const struct conf_member *member,
                       void *target)
{
    const struct config_key *key = config_key_find(block, member->name);
    if (!key && reader->also && target == reader->config && (key = config_key_find(reader->also, member->name)))
        target = reader->config;
    if (key)
        return read_key(reader, key, member, target);
    return member->used ? 0 : refuse_name(reader, block, member);
}

static int refuse_name(struct config_reader *reader, const struct config_block *block, const struct conf_member *member)
{
    struct bytes known;
    char hint[80];
    int len = (int)(member->name.len < NAME_SHOWN ? member->name.len : NAME_SHOWN);
    if (config_key_nearest(block, member->name, &known))
        snprintf(hint, sizeof(hint), "; did you mean \"%.*s\"?", BYTES_ARG(known));
    else
        snprintf(hint, sizeof(hint), "%s%s", block->name[0] ? " in " : "", block->name);
    // NATS Streaming's server takes whatever it does not know, and files have leftovers. Who may connect is another matter.
    bool lenient =
        reader->config->options.persona == OPTIONS_NATS_STREAMING &&
        (block == &config_server_block || block == &config_streaming_block || block == &config_store_limits_block ||
         block == &config_channel_block || block == &config_file_block || block == &config_streaming_tls_block);
    if (!lenient)
        return config_reader_fail(reader, member->place, "unknown key \"%.*s\"%s", len, member->name.ptr, hint);
    config_reader_warn(reader, member->place, "unknown key \"%.*s\" has no effect%s", len, member->name.ptr, hint);
    return 0;
}

static int read_key(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                    void *target)
{
    void *place = (char *)target + key->offset;
    switch (key->type) {
    case CONFIG_BOOL: return config_reader_bool(reader, member, place);
    case CONFIG_STRING:
        if (!key->secret || member->value.type != CONF_STRING)
            return config_reader_string(reader, member, place);
        *(const char **)place = member->value.text.ptr;
        return 0;
    case CONFIG_CHOICE: return read_choice(reader, key, member, place);
    case CONFIG_CUSTOM: return key->read(reader, member, place);
    case CONFIG_BLOCK:
        if (key->read)
            return key->read(reader, member, place);
        if (config_reader_map(reader, member))
            return ERR_INVALID;
        return config_reader_apply(reader, key->block, &member->value, place);
    case CONFIG_IGNORED:
        config_reader_warn(reader, member->place, "%.*s has no effect: %s", BYTES_ARG(member->name), key->help);
        return 0;
    case CONFIG_REFUSED:
        return config_reader_fail(reader, member->place, "%.*s: %s", BYTES_ARG(member->name), key->help);
    default: return read_number(reader, key, member, place);
    }
}

static int read_number(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                       void *place)
{
    const struct conf_value *value = &member->value;
    uint64_t number = 0;
    if (key->type == CONFIG_DURATION || key->type == CONFIG_SECONDS) {
        int error = key->type == CONFIG_SECONDS ? config_reader_seconds(reader, member, &number)
                                                : config_reader_duration(reader, member, &number);
        if (error)
            return error;
    } else if (value->type != CONF_INTEGER) {
        return refuse_type(reader, key, member);
    } else if (key->type == CONFIG_INT) {
        if (value->integer < key->min || value->integer > key->max)
            return refuse_type(reader, key, member);
        *(int32_t *)place = (int32_t)value->integer;
        return 0;
    } else {
        if (value->integer < 0)
            return refuse_type(reader, key, member);
        number = (uint64_t)value->integer;
    }
    bool narrow = key->type == CONFIG_COUNT || key->type == CONFIG_BYTES32;
    if (!in_bounds(key, number) || (narrow && number > UINT32_MAX))
        return refuse_type(reader, key, member);
    if (narrow)
        *(uint32_t *)place = (uint32_t)number;
    else
        *(uint64_t *)place = number;
    return 0;
}

static int read_choice(struct config_reader *reader, const struct config_key *key, const struct conf_member *member,
                       uint32_t *place)
{
    struct bytes list = bytes_from_string(key->choices);
    for (uint32_t i = 0; member->value.type == CONF_STRING && list.len > 0; i++) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        if (len == member->value.text.len && strncasecmp(list.ptr, member->value.text.ptr, len) == 0) {
            *place = i;
            return 0;
        }
        list = bytes_skip(list, comma ? len + 1 : len);
    }
    const char *why = key->unserved ? strchr(key->unserved, ':') : NULL;
    if (why && member->value.type == CONF_STRING &&
        bytes_equal_fold(member->value.text, bytes_make(key->unserved, (size_t)(why - key->unserved)))) {
        char wanted[256];
        snprintf(wanted, sizeof(wanted), "one of %s (%s)", key->choices, why + 2);
        return config_reader_refuse(reader, member, wanted);
    }
    return refuse_type(reader, key, member);
}

static int refuse_type(struct config_reader *reader, const struct config_key *key, const struct conf_member *member)
{
    char wanted[160];
    config_key_describe(key, wanted, sizeof(wanted));
    return config_reader_refuse(reader, member, wanted);
}

static bool in_bounds(const struct config_key *key, uint64_t number)
{
    return (key->min == 0 && key->max == 0) || (number >= (uint64_t)key->min && number <= (uint64_t)key->max);
}
