// SPDX-License-Identifier: Apache-2.0
// What a reload changes. By the tables of keys; those that a table cannot compare have a row here.
#include <stdio.h>

#include "server/config.h"
#include "server/config_blocks.h"
#include "server/config_channels.h"

#define AT(field) offsetof(struct config, field)
#define ROW(name_, type_, field_, reload_)                                                                             \
    {                                                                                                                  \
        .names = name_, .type = type_, .offset = AT(options.field_), .reload = reload_                                 \
    }

// Keys whose readers are their own, as plain values.
static const struct config_key own_keys[] = {
    ROW("max_connections", CONFIG_COUNT, max_connections, CONFIG_RELOAD_YES),
    ROW("max_subscriptions", CONFIG_COUNT, max_subscriptions, CONFIG_RELOAD_YES),
    ROW("max_sub_tokens", CONFIG_COUNT, max_sub_tokens, CONFIG_RELOAD_YES),
    ROW("trace_verbose", CONFIG_BOOL, trace_verbose, CONFIG_RELOAD_YES),
    ROW("http_base_path", CONFIG_STRING, http_base_path, CONFIG_RELOAD_NO),
    ROW("http_host", CONFIG_STRING, http_host, CONFIG_RELOAD_NO),
    ROW("streaming", CONFIG_BOOL, streaming, CONFIG_RELOAD_NO),
    ROW("streaming.store_limits.max_channels", CONFIG_COUNT, max_channels, CONFIG_RELOAD_NO),
};
static const struct config_block own_block = CONFIG_BLOCK_OF("", own_keys);

// One comparison.
struct comparison {
    struct config_changes *changes;
    char *message;
};

static int compare_block(struct comparison *comparison, const struct config_block *block, const char *prefix,
                         const void *old, const void *fresh);
static int compare_secrets(struct comparison *comparison, const struct options *old, const struct options *fresh);
static void note(struct config_changes *changes, const char *prefix, struct bytes name, const char *value);
static bool is_of_log(struct bytes name);
static int compare_tls(struct comparison *comparison, const struct tls_options *old, const struct tls_options *fresh);
static bool tls_differs(const struct tls_options *old, const struct tls_options *fresh);
static int compare_websocket(struct comparison *comparison, const struct websocket_config *old,
                             const struct websocket_config *fresh);
static bool value_differs(const struct config_key *key, const void *old, const void *fresh);
static bool string_differs(const char *a, const char *b);

int config_compare(const struct config *old, const struct config *fresh, struct config_changes *ret_changes,
                   char ret_message[CONFIG_MESSAGE_SIZE])
{
    struct comparison comparison = {ret_changes, ret_message};
    *ret_changes = (struct config_changes){.count = 0};
    int error = compare_block(&comparison, &config_server_block, "", old, fresh);
    if (!error)
        error = compare_block(&comparison, &own_block, "", old, fresh);
    if (!error)
        error = compare_block(&comparison, &config_streaming_block, "streaming.", old, fresh);
    if (!error)
        error = compare_secrets(&comparison, &old->options, &fresh->options);
    if (!error)
        error = compare_block(&comparison, &config_streaming_tls_block, "streaming.tls.", old, fresh);
    if (!error && !config_channels_equal(&old->options, &fresh->options))
        note(ret_changes, "", BYTES("streaming.store_limits"), NULL);
    if (!error)
        error = compare_tls(&comparison, &old->options.tls, &fresh->options.tls);
    if (!error)
        error = compare_websocket(&comparison, &old->websocket, &fresh->websocket);
    if (!error && old->auth_fingerprint != fresh->auth_fingerprint) {
        ret_changes->auth = true;
        note(ret_changes, "", BYTES("authorization, accounts and users"), NULL);
    }
    if (!error && old->auth_timeout_ns != fresh->auth_timeout_ns) {
        ret_changes->auth = true;
        note(ret_changes, "", BYTES("authorization timeout"), NULL);
    }
    return error;
}

static int compare_block(struct comparison *comparison, const struct config_block *block, const char *prefix,
                         const void *old, const void *fresh)
{
    char before[200], after[200];
    for (size_t i = 0; i < block->count; i++) {
        const struct config_key *key = &block->keys[i];
        if (key->secret)
            continue; // auth's
        if (!value_differs(key, old, fresh))
            continue;
        config_key_format(key, old, before, sizeof(before));
        config_key_format(key, fresh, after, sizeof(after));
        struct bytes name = config_key_name(key);
        if (key->reload == CONFIG_RELOAD_NO) {
            snprintf(comparison->message, CONFIG_MESSAGE_SIZE, "config reload not supported for %s%.*s: old=%s, new=%s",
                     prefix, BYTES_ARG(name), before, after);
            return ERR_UNSUPPORTED;
        }
        comparison->changes->log |= is_of_log(name);
        note(comparison->changes, prefix, name, after);
    }
    return 0;
}

// Of NATS Streaming and of the dashboard; others are auth's.
static int compare_secrets(struct comparison *comparison, const struct options *old, const struct options *fresh)
{
    const char *wrong = string_differs(old->encryption_key, fresh->encryption_key) ? "encryption_key"
                        : string_differs(old->nats.password, fresh->nats.password) ? "password"
                        : string_differs(old->nats.token, fresh->nats.token)       ? "token"
                                                                                   : NULL;
    const char *block = "streaming";
    if (!wrong && (string_differs(old->admin_user, fresh->admin_user) ||
                   string_differs(old->admin_password, fresh->admin_password))) {
        wrong = "user and password";
        block = "admin";
    }
    if (!wrong)
        return 0;
    snprintf(comparison->message, CONFIG_MESSAGE_SIZE, "config reload not supported for %s.%s", block, wrong);
    return ERR_UNSUPPORTED;
}

static void note(struct config_changes *changes, const char *prefix, struct bytes name, const char *value)
{
    if (changes->count == CONFIG_CHANGES_MAX)
        return;
    snprintf(changes->lines[changes->count++].text, CONFIG_CHANGE_SIZE, "%s%.*s%s%s", prefix, BYTES_ARG(name),
             value ? " = " : "", value ? value : "");
}

static bool is_of_log(struct bytes name)
{
    static const char *const names[] = {"log_file",
                                        "logfile_size_limit",
                                        "logfile_max_num",
                                        "syslog",
                                        "remote_syslog",
                                        "logtime",
                                        "logtime_utc",
                                        "debug",
                                        "trace",
                                        "trace_verbose",
                                        "max_traced_msg_len",
                                        "log_level",
                                        "log_format"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bytes_equal(name, bytes_from_string(names[i])))
            return true;
    }
    return false;
}

// Certificates may be new behind the same names, so TLS counts as changed whenever it is on.
static int compare_tls(struct comparison *comparison, const struct tls_options *old, const struct tls_options *fresh)
{
    bool was_on = tls_options_is_on(old), is_on = tls_options_is_on(fresh);
    comparison->changes->tls = was_on || is_on;
    if (was_on != is_on || (is_on && tls_differs(old, fresh)))
        note(comparison->changes, "", BYTES("tls"), is_on ? "enabled" : "disabled");
    return 0;
}

static bool tls_differs(const struct tls_options *old, const struct tls_options *fresh)
{
    for (size_t i = 0; i < config_tls_block.count; i++) {
        if (value_differs(&config_tls_block.keys[i], old, fresh))
            return true;
    }
    bool same_names = old->suite_count == fresh->suite_count && old->curve_count == fresh->curve_count &&
                      memcmp(old->suites, fresh->suites, old->suite_count * sizeof(old->suites[0])) == 0 &&
                      memcmp(old->curves, fresh->curves, old->curve_count * sizeof(old->curves[0])) == 0;
    bool same_pins =
        old->pins_configured == fresh->pins_configured && old->pin_count == fresh->pin_count &&
        (old->pin_count == 0 || memcmp(old->pins, fresh->pins, old->pin_count * sizeof(old->pins[0])) == 0);
    return !same_names || !same_pins || old->first != fresh->first || old->fallback_ns != fresh->fallback_ns ||
           old->min_version != fresh->min_version || old->verify_and_map != fresh->verify_and_map;
}

static int compare_websocket(struct comparison *comparison, const struct websocket_config *old,
                             const struct websocket_config *fresh)
{
    int error = compare_block(comparison, &config_websocket_block, "websocket.", old, fresh);
    if (!error)
        error =
            compare_block(comparison, &config_websocket_authorization_block, "websocket.authorization.", old, fresh);
    if (error)
        return error;
    bool same = old->on == fresh->on && old->port == fresh->port && old->origin_count == fresh->origin_count &&
                !string_differs(old->password, fresh->password) && !string_differs(old->token, fresh->token) &&
                old->tls.use == fresh->tls.use && !tls_differs(&old->tls, &fresh->tls);
    for (size_t i = 0; same && i < old->origin_count; i++)
        same = bytes_equal(old->origins[i], fresh->origins[i]);
    if (same)
        return 0;
    snprintf(comparison->message, CONFIG_MESSAGE_SIZE, "config reload not supported for websocket");
    return ERR_UNSUPPORTED;
}

// By the form that people read, except strings: that form may be cut. One that was not given is as good as an empty one.
static bool value_differs(const struct config_key *key, const void *old, const void *fresh)
{
    if (key->type == CONFIG_STRING && !key->secret) {
        const char *a, *b;
        memcpy(&a, (const char *)old + key->offset, sizeof(a));
        memcpy(&b, (const char *)fresh + key->offset, sizeof(b));
        return strcmp(a ? a : "", b ? b : "") != 0;
    }
    char before[200], after[200];
    config_key_format(key, old, before, sizeof(before));
    config_key_format(key, fresh, after, sizeof(after));
    return strcmp(before, after) != 0;
}

static bool string_differs(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0);
}
