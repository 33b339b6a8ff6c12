// SPDX-License-Identifier: Apache-2.0
#include "server/config_key.h"

#include <limits.h>
#include <stdio.h>
#include <strings.h>

#include "base/must.h"
#include "base/similar.h"
#include "server/config_blocks.h"
#include "server/units.h"

static bool next_name(struct bytes *list, struct bytes *ret_name);
static void format_duration(uint64_t ns, char *text, size_t size);
static void format_choice(const char *choices, uint32_t position, char *text, size_t size);

const struct config_block *config_key_block(size_t index)
{
    static const struct config_block *const blocks[] = {
        &config_server_block,
        &config_tls_block,
        &config_authorization_block,
        &config_user_block,
        &config_rules_block,
        &config_allow_block,
        &config_responses_block,
        &config_account_block,
        &config_limits_block,
        &config_export_block,
        &config_latency_block,
        &config_import_block,
        &config_source_block,
        &config_websocket_block,
        &config_websocket_authorization_block,
        &config_streaming_block,
        &config_store_limits_block,
        &config_channel_block,
        &config_streaming_tls_block,
        &config_file_block,
        &config_admin_block,
        NULL,
    };
    return index < sizeof(blocks) / sizeof(blocks[0]) ? blocks[index] : NULL;
}

const struct config_key *config_key_find(const struct config_block *block, struct bytes name)
{
    for (size_t i = 0; i < block->count; i++) {
        struct bytes names = bytes_from_string(block->keys[i].names), known;
        while (next_name(&names, &known)) {
            if (known.len == name.len && strncasecmp(known.ptr, name.ptr, name.len) == 0)
                return &block->keys[i];
        }
    }
    return NULL;
}

bool config_key_nearest(const struct config_block *block, struct bytes name, struct bytes *ret_known)
{
    unsigned distance = UINT_MAX;
    for (size_t i = 0; i < block->count; i++) {
        struct bytes names = bytes_from_string(block->keys[i].names), known;
        while (block->keys[i].type != CONFIG_REFUSED && next_name(&names, &known)) {
            if (similar_is_nearer(name, known, &distance))
                *ret_known = known;
        }
    }
    return distance != UINT_MAX;
}

struct bytes config_key_name(const struct config_key *key)
{
    struct bytes names = bytes_from_string(key->names), first = {NULL, 0};
    must(next_name(&names, &first));
    return first;
}

void config_key_describe(const struct config_key *key, char *ret_text, size_t size)
{
    static const char *const words[] = {
        [CONFIG_BOOL] = "true or false",
        [CONFIG_STRING] = "a string",
        [CONFIG_INT] = "an integer",
        [CONFIG_COUNT] = "an integer",
        [CONFIG_COUNT64] = "an integer",
        [CONFIG_BYTES] = "a size such as 65536, 64KB or 1GB",
        [CONFIG_BYTES32] = "a size such as 65536, 64KB or 1GB",
        [CONFIG_DURATION] = "a duration such as \"500ms\", \"30s\" or \"1h30m\"",
        [CONFIG_SECONDS] = "seconds, such as 2 or 0.5, or a duration such as \"2s\"",
        [CONFIG_BLOCK] = "a map",
        [CONFIG_IGNORED] = "anything",
        [CONFIG_REFUSED] = "nothing",
    };
    char from[32], to[32];
    if (key->type == CONFIG_CUSTOM || key->type == CONFIG_CHOICE) {
        snprintf(ret_text, size, "%s%s", key->type == CONFIG_CHOICE ? "one of " : "", key->choices);
    } else if (key->type == CONFIG_BLOCK || (key->min == 0 && key->max == 0)) {
        snprintf(ret_text, size, "%s", words[key->type]);
    } else if (key->type == CONFIG_DURATION || key->type == CONFIG_SECONDS) {
        format_duration((uint64_t)key->min, from, sizeof(from));
        format_duration((uint64_t)key->max, to, sizeof(to));
        snprintf(ret_text, size, "%s, from %s to %s", words[key->type], from, to);
    } else {
        snprintf(ret_text, size, "%s, from %lld to %lld", words[key->type], (long long)key->min, (long long)key->max);
    }
}

void config_key_format(const struct config_key *key, const void *target, char *ret_text, size_t size)
{
    const void *place = (const char *)target + key->offset;
    const char *string = key->type == CONFIG_STRING ? *(const char *const *)place : NULL;
    ret_text[0] = '\0';
    switch (key->type) {
    case CONFIG_BOOL: snprintf(ret_text, size, "%s", *(const bool *)place ? "true" : "false"); break;
    case CONFIG_STRING: snprintf(ret_text, size, "%s", key->secret && string ? "…" : string ? string : ""); break;
    case CONFIG_INT: snprintf(ret_text, size, "%d", (int)*(const int32_t *)place); break;
    case CONFIG_COUNT:
    case CONFIG_BYTES32: snprintf(ret_text, size, "%u", (unsigned)*(const uint32_t *)place); break;
    case CONFIG_COUNT64:
    case CONFIG_BYTES: snprintf(ret_text, size, "%llu", (unsigned long long)*(const uint64_t *)place); break;
    case CONFIG_DURATION:
    case CONFIG_SECONDS: format_duration(*(const uint64_t *)place, ret_text, size); break;
    case CONFIG_CHOICE: format_choice(key->choices, *(const uint32_t *)place, ret_text, size); break;
    default: break;
    }
}

static bool next_name(struct bytes *list, struct bytes *ret_name)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    *ret_name = bytes_make(list->ptr, len);
    *list = bytes_skip(*list, comma ? len + 1 : len);
    return true;
}

// In the largest unit that divides it.
static void format_duration(uint64_t ns, char *text, size_t size)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{3600000 * MS, "h"}, {60000 * MS, "m"}, {1000 * MS, "s"}, {MS, "ms"}, {1, "ns"}};
    size_t i = 0;
    while (ns == 0 ? i < 2 : ns % units[i].ns != 0)
        i++;
    snprintf(text, size, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].name);
}

static void format_choice(const char *choices, uint32_t position, char *text, size_t size)
{
    struct bytes list = bytes_from_string(choices), choice = {NULL, 0};
    for (uint32_t i = 0; i <= position; i++)
        must(next_name(&list, &choice));
    snprintf(text, size, "%.*s", BYTES_ARG(choice));
}
