// SPDX-License-Identifier: Apache-2.0
// What has been added so far: complete but for the names of accounts, which auth_builder_finish() resolves.
#pragma once

#include "auth/auth_builder.h"
#include "auth/auth_config_internal.h"

struct auth_draft_account {
    struct auth_account account;
    const struct auth_permissions *default_permissions; // NULL: none
    bool is_defined;                                    // else only spoken of by its default permissions
    uint32_t where;
};

struct auth_draft_user {
    struct auth_user user;
    struct bytes account;
    uint32_t where;
};

struct auth_draft_export {
    struct auth_export item;
    struct bytes account;
    struct auth_strings importers; // names
    uint32_t where;
};

struct auth_draft_import {
    struct auth_import item;
    struct bytes account, exporter;
    uint32_t where;
};

struct auth_builder {
    struct auth_config *config; // owned until finished; its arena holds all that is pointed to from here
    int result;                 // the first error
    struct auth_error error;    // its text

    struct auth_draft_account *accounts; // owned
    struct auth_draft_user *users;       // owned
    struct auth_draft_export *exports;   // owned
    struct auth_draft_import *imports;   // owned
    uint32_t account_count, account_cap, user_count, user_cap, export_count, export_cap, import_count, import_cap;
    struct map account_names; // (index + 1) as a pointer, by name
    struct map user_names;    // the same

    struct bytes system_account; // len 0: none
    uint32_t system_account_where;
    bool system_account_named;
    bool has_authorization;
    struct bytes no_auth_user;
    uint32_t no_auth_user_where;
    uint32_t token_where, single_user_where;

    bool has_websocket; // auth_builder_set_websocket() was called: its listener of the view is begun
    struct bytes websocket_no_auth_user;
    uint32_t websocket_where;
};

// For "%.*s": names in errors, of a sane length.
#define AUTH_QUOTED_MAX 128
#define AUTH_QUOTED(b)  (int)((b).len < AUTH_QUOTED_MAX ? (b).len : AUTH_QUOTED_MAX), (b).ptr

// Notes the first error; returns the result that sticks.
int auth_builder_fail(struct auth_builder *builder, int error, uint32_t where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Index of an account, whether defined or not; AUTH_NONE: never heard of.
uint32_t auth_builder_find_account(const struct auth_builder *builder, struct bytes name);
// Zeroed memory of the config; NULL after an error.
void *auth_builder_place(struct auth_builder *builder, uint32_t count, size_t item_size);
