// SPDX-License-Identifier: Apache-2.0
// The last step: names become indexes, drafts become arrays of the config, and what contradicts itself is refused.
#include "auth/auth_builder_internal.h"
#include "auth/auth_imports.h"
#include "auth/secret.h"
#include "base/must.h"
#include "subject/subject.h"

#define QUOTED_MAX    128
#define QUOTED_ARG(b) (int)((b).len < QUOTED_MAX ? (b).len : QUOTED_MAX), (b).ptr

static void resolve_system_account(struct auth_builder *builder);
static void conclude(struct auth_builder *builder);
static void check_credentials(struct auth_builder *builder);
static void check_accounts(struct auth_builder *builder);
static void place_accounts(struct auth_builder *builder);
static void place_users(struct auth_builder *builder);
static void place_exports(struct auth_builder *builder);
static void place_imports(struct auth_builder *builder);
static void check_import(struct auth_builder *builder, const struct auth_draft_import *draft);
static bool may_import(const struct auth_export *item, uint32_t importer, struct bytes name, struct bytes subject);
static void check_imports(struct auth_builder *builder);
static void resolve_no_auth_user(struct auth_builder *builder);
static bool serves_system_only(const struct auth_builder *builder);
static const struct auth_user *nobody_new(struct auth_builder *builder);
static uint32_t defined_account(struct auth_builder *builder, struct bytes name, uint32_t where);
static void *place(struct auth_builder *builder, uint32_t count, size_t item_size);

int auth_builder_finish(struct auth_builder *builder, struct auth_config **ret_config, struct auth_error *ret_error)
{
    must(builder->config);
    check_credentials(builder);
    resolve_system_account(builder);
    check_accounts(builder);
    place_accounts(builder);
    place_users(builder);
    place_exports(builder);
    place_imports(builder);
    check_imports(builder);
    resolve_no_auth_user(builder);
    conclude(builder);
    if (builder->result) {
        if (ret_error)
            *ret_error = builder->error;
        return builder->result;
    }
    *ret_config = builder->config;
    builder->config = NULL;
    return 0;
}

// What follows from the rest.
static void conclude(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    if (builder->result)
        return;
    view->required = view->user_count || view->single_user.len || view->token.kind != AUTH_SECRET_NONE;
    view->info_required = view->required && !builder->no_auth_user.len;
    view->has_plain_passwords = view->single_user.len && view->single_password.kind == AUTH_SECRET_PLAIN;
    for (uint32_t i = 0; i < view->user_count; i++) {
        const struct auth_secret *password = &view->users[i].password;
        bool is_none = view->users[i].is_nkey || (view->verify_and_map && password->text.len == 0);
        view->has_plain_passwords |= !is_none && password->kind != AUTH_SECRET_BCRYPT;
    }
    struct bytes hash = {0};
    if (view->token.kind == AUTH_SECRET_BCRYPT)
        hash = view->token.text;
    if (view->single_password.kind == AUTH_SECRET_BCRYPT)
        hash = view->single_password.text;
    for (uint32_t i = 0; i < view->user_count && hash.len == 0; i++)
        if (view->users[i].password.kind == AUTH_SECRET_BCRYPT)
            hash = view->users[i].password.text;
    if (hash.len) {
        char *decoy = place(builder, SECRET_DECOY_LEN, 1);
        if (decoy)
            secret_decoy(hash, decoy);
        view->decoy = bytes_make(decoy, decoy ? SECRET_DECOY_LEN : 0);
    }
}

// One user, a token or a list of users, outside of accounts: which of them counts would otherwise depend on what a client sends.
static void check_credentials(struct auth_builder *builder)
{
    const struct auth_view *view = &builder->config->view;
    bool has_token = view->token.kind != AUTH_SECRET_NONE, has_list = false;
    for (uint32_t i = 0; i < builder->user_count; i++)
        has_list |= bytes_equal(builder->users[i].account, BYTES("$G"));
    if (view->single_user.len && has_token)
        auth_builder_fail(builder, ERR_INVALID, builder->token_where,
                          "cannot have both a user and password and a token");
    if (view->single_user.len && has_list)
        auth_builder_fail(builder, ERR_INVALID, builder->single_user_where,
                          "cannot have both a single user and password and a list of users");
    if (has_token && has_list)
        auth_builder_fail(builder, ERR_INVALID, builder->token_where, "cannot have both a token and a list of users");
}

static void resolve_system_account(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    view->system_account = AUTH_NONE;
    if (builder->result || builder->system_account.len == 0)
        return;
    uint32_t index = auth_builder_find_account(builder, builder->system_account);
    bool is_defined = index != AUTH_NONE && builder->accounts[index].is_defined;
    if (!is_defined && builder->system_account_named && !bytes_equal(builder->system_account, BYTES("$SYS"))) {
        auth_builder_fail(builder, ERR_NOT_FOUND, builder->system_account_where,
                          "system_account \"%.*s\" is not a defined account", QUOTED_ARG(builder->system_account));
        return;
    }
    if (!is_defined && auth_builder_add_account(builder, builder->system_account, NULL, 0))
        return;
    view->system_account = auth_builder_find_account(builder, builder->system_account);
}

static void check_accounts(struct auth_builder *builder)
{
    for (uint32_t i = 0; i < builder->account_count; i++)
        if (!builder->accounts[i].is_defined)
            defined_account(builder, builder->accounts[i].account.name, builder->accounts[i].where);
}

static void place_accounts(struct auth_builder *builder)
{
    struct auth_config *config = builder->config;
    struct auth_account *accounts = place(builder, builder->account_count, sizeof(*accounts));
    for (uint32_t i = 0; accounts && i < builder->account_count; i++) {
        accounts[i] = builder->accounts[i].account;
        must(map_add(&config->accounts, accounts[i].name, &accounts[i]) == 0);
    }
    config->account_connections = place(builder, builder->account_count, sizeof(*config->account_connections));
    config->view.accounts = accounts;
    config->view.account_count = builder->account_count;
}

static void place_users(struct auth_builder *builder)
{
    struct auth_config *config = builder->config;
    struct auth_user *users = place(builder, builder->user_count, sizeof(*users));
    for (uint32_t i = 0; users && i < builder->user_count && !builder->result; i++) {
        const struct auth_draft_user *draft = &builder->users[i];
        users[i] = draft->user;
        users[i].account = defined_account(builder, draft->account, draft->where);
        if (users[i].account != AUTH_NONE && !users[i].permissions)
            users[i].permissions = builder->accounts[users[i].account].default_permissions;
        config->view.nkey_count += users[i].is_nkey;
        must(map_add(&config->users, users[i].name, &users[i]) == 0);
    }
    config->user_connections = place(builder, builder->user_count, sizeof(*config->user_connections));
    config->view.users = users;
    config->view.user_count = builder->user_count;
    config->view.has_nkeys = config->view.nkey_count > 0;
}

// In the order of their coming, each account's behind each other.
static void place_exports(struct auth_builder *builder)
{
    struct auth_account *accounts = (struct auth_account *)builder->config->view.accounts;
    struct auth_export *items = place(builder, builder->export_count, sizeof(*items));
    for (uint32_t i = 0; items && i < builder->export_count && !builder->result; i++) {
        struct auth_draft_export *draft = &builder->exports[i];
        uint32_t *importers = place(builder, draft->importers.count, sizeof(*importers));
        for (uint32_t k = 0; importers && k < draft->importers.count; k++)
            importers[k] = defined_account(builder, draft->importers.items[k], draft->where);
        draft->item.accounts = importers;
        draft->item.account_count = draft->importers.count;
        uint32_t account = defined_account(builder, draft->account, draft->where);
        if (account != AUTH_NONE)
            accounts[account].export_count++;
    }
    for (uint32_t account = 0, at = 0; !builder->result && account < builder->account_count; account++) {
        accounts[account].exports = items + at;
        at += accounts[account].export_count;
        accounts[account].export_count = 0;
    }
    for (uint32_t i = 0; !builder->result && i < builder->export_count; i++) {
        struct auth_account *account = &accounts[auth_builder_find_account(builder, builder->exports[i].account)];
        items[account->exports - items + account->export_count++] = builder->exports[i].item;
    }
}

static void place_imports(struct auth_builder *builder)
{
    struct auth_account *accounts = (struct auth_account *)builder->config->view.accounts;
    struct auth_import *items = place(builder, builder->import_count, sizeof(*items));
    for (uint32_t i = 0; items && i < builder->import_count && !builder->result; i++) {
        struct auth_draft_import *draft = &builder->imports[i];
        draft->item.account = defined_account(builder, draft->exporter, draft->where);
        uint32_t account = defined_account(builder, draft->account, draft->where);
        if (builder->result)
            return;
        accounts[account].import_count++;
        check_import(builder, draft);
    }
    for (uint32_t account = 0, at = 0; !builder->result && account < builder->account_count; account++) {
        accounts[account].imports = items + at;
        at += accounts[account].import_count;
        accounts[account].import_count = 0;
    }
    for (uint32_t i = 0; !builder->result && i < builder->import_count; i++) {
        struct auth_account *account = &accounts[auth_builder_find_account(builder, builder->imports[i].account)];
        items[account->imports - items + account->import_count++] = builder->imports[i].item;
    }
}

// An import needs an export that covers it and that its account may use.
static void check_import(struct auth_builder *builder, const struct auth_draft_import *draft)
{
    const struct auth_account *exporter = &builder->config->view.accounts[draft->item.account];
    uint32_t importer = auth_builder_find_account(builder, draft->account);
    for (uint32_t i = 0; i < exporter->export_count; i++) {
        const struct auth_export *item = &exporter->exports[i];
        if (item->is_service == draft->item.is_service &&
            may_import(item, importer, builder->config->view.accounts[importer].name, draft->item.subject) &&
            subject_covers(item->subject, draft->item.subject))
            return;
    }
    auth_builder_fail(builder, ERR_PERMISSION, draft->where,
                      "account \"%.*s\" does not export the %s \"%.*s\" to account \"%.*s\"",
                      QUOTED_ARG(draft->exporter), draft->item.is_service ? "service" : "stream",
                      QUOTED_ARG(draft->item.subject), QUOTED_ARG(draft->account));
}

// With account_token_position whoever is named by that token may, and nobody else.
static bool may_import(const struct auth_export *item, uint32_t importer, struct bytes name, struct bytes subject)
{
    if (item->account_token_position > 0) {
        struct bytes token = {0};
        for (uint32_t i = 0; i < item->account_token_position; i++) {
            if (!subject_token_next(&subject, &token))
                return false;
        }
        return bytes_equal(token, name);
    }
    if (item->is_public)
        return true;
    for (uint32_t i = 0; i < item->account_count; i++)
        if (item->accounts[i] == importer)
            return true;
    return false;
}

// Mappings, cycles and chains, once all imports have their place.
static void check_imports(struct auth_builder *builder)
{
    struct auth_imports_error error;
    if (builder->result || !auth_imports_check(&builder->config->view, &error))
        return;
    const struct auth_account *account = &builder->config->view.accounts[error.account];
    uint32_t where = 0;
    for (uint32_t i = 0, own = 0; i < builder->import_count; i++) {
        if (auth_builder_find_account(builder, builder->imports[i].account) == error.account && own++ == error.import)
            where = builder->imports[i].where;
    }
    const struct auth_import *item = &account->imports[error.import];
    auth_builder_fail(builder, ERR_INVALID, where, "account \"%.*s\" cannot import the %s \"%.*s\": %s",
                      QUOTED_ARG(account->name), item->is_service ? "service" : "stream", QUOTED_ARG(item->subject),
                      error.text);
}

static void resolve_no_auth_user(struct auth_builder *builder)
{
    struct auth_view *view = &builder->config->view;
    if (builder->result)
        return;
    if (builder->no_auth_user.len == 0) {
        if (serves_system_only(builder))
            view->no_auth_user = nobody_new(builder);
        return;
    }
    view->no_auth_user = auth_config_find_user(builder->config, builder->no_auth_user);
    if (!view->no_auth_user)
        auth_builder_fail(builder, ERR_NOT_FOUND, builder->no_auth_user_where,
                          "no_auth_user \"%.*s\" is not a defined user", QUOTED_ARG(builder->no_auth_user));
}

// Only the system account has users: they are for the operator, and say nothing about everybody else (CO-S07).
static bool serves_system_only(const struct auth_builder *builder)
{
    const struct auth_view *view = &builder->config->view;
    if (view->user_count == 0 || view->account_count != 2 || view->system_account == AUTH_NONE ||
        builder->has_authorization)
        return false;
    for (uint32_t i = 0; i < view->user_count; i++)
        if (view->users[i].account != view->system_account)
            return false;
    return true;
}

static const struct auth_user *nobody_new(struct auth_builder *builder)
{
    struct auth_user *nobody = place(builder, 1, sizeof(*nobody));
    if (nobody) {
        nobody->account = AUTH_GLOBAL_ACCOUNT;
        nobody->limits = (struct auth_limits){AUTH_UNLIMITED, AUTH_UNLIMITED, AUTH_UNLIMITED};
    }
    return nobody;
}

// AUTH_NONE, and an error, if it is not.
static uint32_t defined_account(struct auth_builder *builder, struct bytes name, uint32_t where)
{
    uint32_t index = auth_builder_find_account(builder, name);
    if (index != AUTH_NONE && builder->accounts[index].is_defined)
        return index;
    auth_builder_fail(builder, ERR_NOT_FOUND, where, "account \"%.*s\" is not defined", QUOTED_ARG(name));
    return AUTH_NONE;
}

// NULL after an error.
static void *place(struct auth_builder *builder, uint32_t count, size_t item_size)
{
    void *items = builder->result ? NULL : arena_alloc(&builder->config->arena, count * item_size);
    if (!items)
        auth_builder_fail(builder, ERR_LIMIT, 0, "the configuration is too big");
    else
        memset(items, 0, count * item_size);
    return items;
}
