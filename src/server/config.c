// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/must.h"
#include "server/config_blocks.h"
#include "server/config_channels.h"
#include "server/config_reader.h"
#include "server/units.h"

#define STRINGS_CHUNK 4096

static void move_strings(const struct config_block *block, void *target, struct arena *strings);
static void move_tls(struct tls_options *tls, struct arena *strings);
static void move_tags(struct options *options, struct arena *strings);
static const char *move_string(const char *string, struct arena *strings);
static const void *move_memory(const void *memory, size_t size, struct arena *strings);
static int read_arguments(struct config *config, int count, char *const *arguments, char *message);
static bool is_to_serve(const struct options *options);
static int read_file(struct conf *conf, const struct conf_source *source, const char *path, char *message);
static const struct conf_member *find_key(const struct conf *conf, const char *name);
static int check_monitoring(struct config_reader *reader);
static int refuse_options(struct config_reader *reader, char *text);
static const struct conf_member *find_blamed(const struct config *config, const char *text);
static bool is_flag_in(const char *text, struct bytes name);
static bool is_in_force(const struct config *config, const struct config_key *key, const struct conf_member *member);
static bool is_of_server(const struct conf_member *member);
static void build_auth(struct config *config);
static void build_websocket_auth(struct config *config);
static uint64_t hash_value(const struct conf_value *value, uint64_t seed);
static uint64_t hash_member(const struct conf *conf, const char *names, uint64_t seed);
static uint64_t fingerprint(const struct config *config);

void config_init(struct config *config, enum options_persona persona)
{
    *config = (struct config){.auth = NULL};
    options_default(&config->options, persona);
    websocket_config_default(&config->websocket);
    config->conf.root.type = config->streaming_conf.root.type = CONF_MAP;
    config->builder = auth_builder_new();
    arena_init(&config->strings, STRINGS_CHUNK, CONFIG_STRINGS_BYTES);
    buffer_init(&config->places, CONFIG_STRINGS_BYTES);
}

void config_deinit(struct config *config)
{
    auth_builder_free(config->builder);
    auth_config_unref(config->auth);
    conf_deinit(&config->conf);
    conf_deinit(&config->streaming_conf);
    arena_deinit(&config->strings);
    buffer_deinit(&config->places);
    config->builder = NULL;
    config->auth = NULL;
}

int config_read(struct config *config, enum options_persona persona, int count, char *const *arguments,
                const struct conf_source *source, char ret_message[CONFIG_MESSAGE_SIZE])
{
    config_init(config, persona);
    int error = read_arguments(config, count, arguments, ret_message);
    if (error || !is_to_serve(&config->options))
        return error;
    const char *path = config->options.config_file;
    const char *streaming_path = config->options.streaming_config_file;
    if (path || streaming_path) {
        config_deinit(config);
        config_init(config, persona);
        config->options.config_file = path;
        config->options.streaming_config_file = streaming_path;
        if (path)
            error = config_load(config, source, path, ret_message);
        if (!error && streaming_path)
            error = path ? config_load_streaming(config, source, streaming_path, ret_message)
                         : config_load(config, source, streaming_path, ret_message);
        if (!error)
            error = read_arguments(config, count, arguments, ret_message);
    }
    return error ? error : config_finish(config, ret_message);
}

int config_load(struct config *config, const struct conf_source *source, const char *path,
                char ret_message[CONFIG_MESSAGE_SIZE])
{
    struct config_reader reader = {.config = config, .message = ret_message};
    int error = read_file(&config->conf, source, path, ret_message);
    if (error)
        return error;
    // NATS Streaming's server takes its keys from the file itself when it has no `streaming` block, and a lone file of -sc is read as
    // one of -c, too.
    bool is_lone = path == config->options.streaming_config_file;
    config->options.streaming |= is_lone;
    if ((is_lone || config->options.persona == OPTIONS_NATS_STREAMING) && !find_key(&config->conf, "streaming"))
        reader.also = &config_streaming_block;
    return config_reader_apply(&reader, &config_server_block, &config->conf.root, config);
}

int config_load_streaming(struct config *config, const struct conf_source *source, const char *path,
                          char ret_message[CONFIG_MESSAGE_SIZE])
{
    struct config_reader reader = {.config = config, .message = ret_message};
    int error = read_file(&config->streaming_conf, source, path, ret_message);
    if (error)
        return error;
    config->options.streaming = true;
    const struct conf_member *block = find_key(&config->streaming_conf, "streaming");
    if (block && config_reader_map(&reader, block))
        return ERR_INVALID;
    if (block)
        return config_reader_apply(&reader, &config_streaming_block, &block->value, config);
    // The same file may be given with -c, for the other keys in it.
    for (struct conf_member *member = config->streaming_conf.root.first; member; member = member->next)
        member->used |= is_of_server(member);
    return config_reader_apply(&reader, &config_streaming_block, &config->streaming_conf.root, config);
}

int config_finish(struct config *config, char ret_message[CONFIG_MESSAGE_SIZE])
{
    struct config_reader reader = {.config = config, .message = ret_message};
    struct auth_error wrong = {.where = 0};
    char text[OPTIONS_MESSAGE_SIZE];
    int error = check_monitoring(&reader);
    if (error)
        return error;
    error = options_check(&config->options, text);
    if (error)
        return refuse_options(&reader, text);
    const char *contradiction = websocket_config_check(&config->websocket);
    if (contradiction)
        return config_reader_fail(&reader, find_key(&config->conf, "websocket")->place, "%s", contradiction);
    error = config_channels_check(&reader);
    if (error)
        return error;
    build_auth(config);
    error = auth_builder_finish(config->builder, &config->auth, &wrong);
    if (error) {
        struct conf_place place = {.file = NULL};
        if (wrong.where)
            memcpy(&place, config->places.ptr + (wrong.where - 1) * sizeof(place), sizeof(place));
        return config_reader_fail(&reader, place, "%s", wrong.text);
    }
    config->auth_fingerprint = fingerprint(config);
    return 0;
}

void config_forget_files(struct config *config)
{
    struct arena strings;
    struct websocket_config *websocket = &config->websocket;
    arena_init(&strings, STRINGS_CHUNK, CONFIG_STRINGS_BYTES);
    move_strings(&config_server_block, config, &strings);
    move_strings(&config_streaming_block, config, &strings);
    move_strings(&config_streaming_tls_block, config, &strings);
    move_strings(&config_authorization_block, config, &strings);
    move_strings(&config_admin_block, config, &strings);
    move_strings(&config_websocket_block, websocket, &strings);
    move_strings(&config_websocket_authorization_block, websocket, &strings);
    move_tls(&config->options.tls, &strings);
    move_tls(&websocket->tls, &strings);
    config->options.http_host = move_string(config->options.http_host, &strings);
    config->options.http_base_path = move_string(config->options.http_base_path, &strings);
    move_tags(&config->options, &strings);
    config_channels_move(&config->options, &strings);
    for (size_t i = 0; i < websocket->origin_count; i++)
        websocket->origins[i].ptr = move_memory(websocket->origins[i].ptr, websocket->origins[i].len, &strings);
    for (size_t i = 0; i < config->warning_count; i++)
        config->warnings[i] = move_string(config->warnings[i], &strings);
    arena_deinit(&config->strings);
    config->strings = strings;
    buffer_deinit(&config->places);
    config->user_place = config->token_place = config->channels_place = (struct conf_place){.file = NULL};
    conf_deinit(&config->conf);
    conf_deinit(&config->streaming_conf);
}

static void move_strings(const struct config_block *block, void *target, struct arena *strings)
{
    for (size_t i = 0; i < block->count; i++) {
        const char **place = (const char **)(void *)((char *)target + block->keys[i].offset);
        if (block->keys[i].type == CONFIG_STRING)
            *place = move_string(*place, strings);
    }
}

static void move_tls(struct tls_options *tls, struct arena *strings)
{
    move_strings(&config_tls_block, tls, strings);
    const void *pins = move_memory(tls->pins, tls->pin_count * sizeof(tls->pins[0]), strings);
    tls->where = move_string(tls->where, strings);
    tls->pins = (const uint8_t(*)[TLS_OPTIONS_PIN_SIZE])pins;
}

static void move_tags(struct options *options, struct arena *strings)
{
    const char **tags = arena_alloc(strings, (options->server_tag_count + 1) * sizeof(*tags));
    must(tags); // they fitted into the other
    for (size_t i = 0; i < options->server_tag_count; i++)
        tags[i] = move_string(options->server_tags[i], strings);
    options->server_tags = tags;
}

static const char *move_string(const char *string, struct arena *strings)
{
    return string ? move_memory(string, strlen(string) + 1, strings) : NULL;
}

static const void *move_memory(const void *memory, size_t size, struct arena *strings)
{
    if (!memory)
        return NULL;
    struct bytes copy = arena_copy(strings, bytes_make(memory, size));
    must(copy.ptr); // it fitted into the other
    return copy.ptr;
}

static int read_arguments(struct config *config, int count, char *const *arguments, char *message)
{
    char text[OPTIONS_MESSAGE_SIZE];
    int error = options_parse(&config->options, count, arguments, text);
    if (error)
        snprintf(message, CONFIG_MESSAGE_SIZE, "%s", text);
    return error;
}

static bool is_to_serve(const struct options *options)
{
    return !options->help && !options->help_tls && !options->version && !options->signal;
}

static int read_file(struct conf *conf, const struct conf_source *source, const char *path, char *message)
{
    struct conf_error wrong;
    conf_deinit(conf);
    int error = conf_read_file(conf, source, path, &wrong);
    if (!error)
        return 0;
    conf_error_format(&wrong, message, CONFIG_MESSAGE_SIZE);
    return ERR_INVALID;
}

static const struct conf_member *find_key(const struct conf *conf, const char *name)
{
    for (const struct conf_member *member = conf->root.first; member; member = member->next) {
        const struct config_key *key = config_key_find(&config_server_block, member->name);
        if (key && bytes_equal(config_key_name(key), bytes_from_string(name)))
            return member;
    }
    return NULL;
}

// Here and not in options_check() when a file says it: then the place is known.
static int check_monitoring(struct config_reader *reader)
{
    const struct options *options = &reader->config->options;
    const struct conf *conf = &reader->config->conf;
    const struct conf_member *blamed = NULL;
    static const char *const names[] = {"https_port", "https", "http_port", "http"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !blamed; i++)
        blamed = find_key(conf, names[i]);
    if (options->http_port == 0 || options->https_port == 0 || !blamed)
        return 0;
    return config_reader_fail(reader, blamed->place,
                              "http_port and https_port (-m and -ms): monitoring is served over HTTP or over HTTPS, "
                              "not both");
}

// What options_check() says of a flag, said of the key of that name where the file has one.
static int refuse_options(struct config_reader *reader, char *text)
{
    const struct conf_member *blamed = find_blamed(reader->config, text);
    if (!blamed)
        return config_reader_fail(reader, (struct conf_place){.file = NULL}, "%s", text);
    size_t kept = 0;
    for (size_t i = 0; text[i]; i++) {
        if (text[i] != '-' || (i > 0 && text[i - 1] != ' '))
            text[kept++] = text[i];
    }
    text[kept] = '\0';
    return config_reader_fail(reader, blamed->place, "%s", text);
}

static const struct conf_member *find_blamed(const struct config *config, const char *text)
{
    for (const struct conf_member *member = config->conf.root.first; member; member = member->next) {
        const struct config_key *key = config_key_find(&config_server_block, member->name);
        if (key && is_flag_in(text, config_key_name(key)) && is_in_force(config, key, member))
            return member;
    }
    return NULL;
}

static bool is_flag_in(const char *text, struct bytes name)
{
    for (const char *dash = strchr(text, '-'); dash; dash = strchr(dash + 1, '-')) {
        size_t len = strcspn(dash + 1, " :;,");
        if (bytes_equal(bytes_make(dash + 1, len), name))
            return true;
    }
    return false;
}

// A string of a flag is another; of two values that contradict each other the file's is always one.
static bool is_in_force(const struct config *config, const struct config_key *key, const struct conf_member *member)
{
    if (key->type != CONFIG_STRING)
        return true;
    const char *string = *(const char *const *)(const void *)((const char *)config + key->offset);
    return string && bytes_equal(bytes_from_string(string), member->value.text);
}

static bool is_of_server(const struct conf_member *member)
{
    return config_key_find(&config_server_block, member->name) &&
           !config_key_find(&config_streaming_block, member->name);
}

// What flags may have replaced.
static void build_auth(struct config *config)
{
    struct config_reader reader = {.config = config};
    const struct options *options = &config->options;
    uint64_t timeout_ns = config->auth_timeout_ns;
    if (timeout_ns == 0)
        timeout_ns = tls_options_is_on(&options->tls) ? options->tls.timeout_ns + SECOND : 2 * SECOND;
    uint64_t timeout_ms = timeout_ns / MS;
    auth_builder_set_timeout_ms(config->builder, timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX);
    auth_builder_set_verify_and_map(config->builder, options->tls.verify_and_map);
    uint32_t where = config->user_place.file ? config_reader_mark(&reader, config->user_place) : 0;
    if (options->user || options->password)
        (void)auth_builder_set_single_user(config->builder, bytes_from_string(options->user ? options->user : ""),
                                           bytes_from_string(options->password ? options->password : ""), where);
    if (config->websocket.on)
        build_websocket_auth(config);
    where = config->token_place.file ? config_reader_mark(&reader, config->token_place) : 0;
    if (options->token)
        (void)auth_builder_set_token(config->builder, bytes_from_string(options->token), where);
}

static void build_websocket_auth(struct config *config)
{
    struct config_reader reader = {.config = config};
    const struct websocket_config *websocket = &config->websocket;
    uint64_t timeout_ms = websocket->auth_timeout_ns / MS;
    const struct auth_websocket_spec spec = {
        .user = bytes_from_string(websocket->user),
        .password = bytes_from_string(websocket->password),
        .token = bytes_from_string(websocket->token),
        .no_auth_user = bytes_from_string(websocket->no_auth_user),
        .timeout_ms = timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX,
        .verify_and_map = !websocket->no_tls && websocket->tls.verify_and_map,
        .where = config_reader_mark(&reader, find_key(&config->conf, "websocket")->place),
    };
    (void)auth_builder_set_websocket(config->builder, &spec);
}

static uint64_t hash_value(const struct conf_value *value, uint64_t seed)
{
    seed = hash_bytes(bytes_make(&value->type, sizeof(value->type)), seed);
    if (value->type != CONF_MAP && value->type != CONF_ARRAY)
        return hash_bytes(value->text, seed);
    for (const struct conf_member *member = value->first; member; member = member->next)
        seed = hash_value(&member->value, hash_bytes(member->name, seed));
    return hash_bytes(BYTES("."), seed);
}

static uint64_t hash_member(const struct conf *conf, const char *name, uint64_t seed)
{
    const struct config_key *wanted = config_key_find(&config_server_block, bytes_from_string(name));
    for (const struct conf_member *member = conf->root.first; member; member = member->next) {
        if (config_key_find(&config_server_block, member->name) == wanted)
            seed = hash_value(&member->value, seed);
    }
    return seed;
}

// Of all that the auth config is made of, so that a reload knows whether it changed.
static uint64_t fingerprint(const struct config *config)
{
    static const char *const names[] = {"authorization", "accounts", "no_auth_user", "system_account",
                                        "no_system_account"};
    const struct options *options = &config->options;
    uint64_t seed = options->tls.verify_and_map;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        seed = hash_member(&config->conf, names[i], hash_bytes(bytes_from_string(names[i]), seed));
    const char *const flags[] = {options->user, options->password, options->token};
    for (size_t i = 0; i < 3; i++)
        seed = hash_bytes(bytes_from_string(flags[i] ? flags[i] : ""), seed + i);
    return seed;
}
