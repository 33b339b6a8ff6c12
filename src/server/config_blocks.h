// SPDX-License-Identifier: Apache-2.0
// The tables that the files config_*.c hold. Targets: what a block's offsets are in.
// tidy: prefix config
#pragma once

#include "server/config_key.h"

// Rows of a table.
#define CONFIG_KEY(names_, type_, field_, min_, max_, reload_, fallback_, help_)                                       \
    {                                                                                                                  \
        .names = names_, .type = type_, .offset = field_, .min = min_, .max = max_, .reload = reload_,                 \
        .fallback = fallback_, .help = help_                                                                           \
    }
#define CONFIG_ONE_OF(names_, choices_, field_, reload_, fallback_, help_)                                             \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_CHOICE, .choices = choices_, .offset = field_, .reload = reload_,              \
        .fallback = fallback_, .help = help_                                                                           \
    }
#define CONFIG_SECRET(names_, field_, reload_, help_)                                                                  \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_STRING, .secret = true, .offset = field_, .reload = reload_, .help = help_     \
    }
#define CONFIG_OWN(names_, wanted_, field_, read_, reload_, fallback_, help_)                                          \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_CUSTOM, .choices = wanted_, .offset = field_, .read = read_,                   \
        .reload = reload_, .fallback = fallback_, .help = help_                                                        \
    }
#define CONFIG_MAP(names_, field_, block_, read_, reload_, help_)                                                      \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_BLOCK, .offset = field_, .block = block_, .read = read_, .reload = reload_,    \
        .help = help_                                                                                                  \
    }
#define CONFIG_NO_EFFECT(names_, help_)                                                                                \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_IGNORED, .reload = CONFIG_RELOAD_YES, .help = help_                            \
    }
#define CONFIG_NOT_SERVED(names_, help_)                                                                               \
    {                                                                                                                  \
        .names = names_, .type = CONFIG_REFUSED, .help = help_                                                         \
    }
#define CONFIG_BLOCK_OF(name_, keys_)                                                                                  \
    {                                                                                                                  \
        .name = name_, .keys = keys_, .count = sizeof(keys_) / sizeof(keys_[0])                                        \
    }

extern const struct config_block config_server_block; // struct config: the file itself

extern const struct config_block config_admin_block; // struct config

extern const struct config_block config_tls_block; // struct tls_options

extern const struct config_block config_authorization_block; // struct config
extern const struct config_block config_user_block;          // struct config_user: one of `users`
extern const struct config_block config_rules_block;         // struct auth_permissions_spec: `permissions`
extern const struct config_block config_allow_block;         // struct config_allow: `publish`, `subscribe`
extern const struct config_block config_responses_block;     // struct auth_permissions_spec: `allow_responses`

extern const struct config_block config_account_block; // struct config_account
extern const struct config_block config_limits_block;  // struct auth_limits
extern const struct config_block config_export_block;  // struct auth_export_spec
extern const struct config_block config_latency_block; // struct auth_export_spec
extern const struct config_block config_import_block;  // struct auth_import_spec
extern const struct config_block config_source_block;  // struct auth_import_spec: `stream`, `service` of an import

extern const struct config_block config_websocket_block;               // struct websocket_config
extern const struct config_block config_websocket_authorization_block; // struct websocket_config

extern const struct config_block config_streaming_block;     // struct config
extern const struct config_block config_store_limits_block;  // struct config
extern const struct config_block config_channel_block;       // struct channel_limit
extern const struct config_block config_streaming_tls_block; // struct config
extern const struct config_block config_file_block;          // struct config
