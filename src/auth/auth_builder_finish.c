// SPDX-License-Identifier: Apache-2.0
// The last step: names become indexes, drafts become arrays of the config, and what contradicts itself is refused.
#include "auth/auth_builder_internal.h"
#include "auth/auth_imports.h"
#include "auth/auth_listeners.h"
#include "auth/decoys.h"
#include "base/must.h"
#include "subject/subject.h"

static void resolve_system_account(struct auth_builder *builder);
static void check_accounts(struct auth_builder *builder);
static void place_accounts(struct auth_builder *builder);
static void place_users(struct auth_builder *builder);
static void place_exports(struct auth_builder *builder);
static void place_imports(struct auth_builder *builder);
static void check_import(struct auth_builder *builder, const struct auth_draft_import *draft);
static bool may_import(const struct auth_export *item, uint32_t importer, struct bytes name, struct bytes subject);
static void check_imports(struct auth_builder *builder);
static uint32_t defined_account(struct auth_builder *builder, struct bytes name, uint32_t where);

int auth_builder_finish(struct auth_builder *builder, struct auth_config **ret_config, struct auth_error *ret_error)
{
    must(builder->config);
    auth_listeners_check(builder);
    resolve_system_account(builder);
    check_accounts(builder);
    place_accounts(builder);
    place_users(builder);
    place_exports(builder);
    place_imports(builder);
    check_imports(builder);
    auth_listeners_finish(builder);
    decoys_make(builder);
    if (builder->result) {
        if (ret_error)
            *ret_error = builder->error;
        return builder->result;
    }
    *ret_config = builder->config;
    builder->config = NULL;
    return 0;
}

void *auth_builder_place(struct auth_builder *builder, uint32_t count, size_t item_size)
{
    void *items = builder->result ? NULL : arena_alloc(&builder->config->arena, count * item_size);
    if (!items)
        auth_builder_fail(builder, ERR_LIMIT, 0, "the configuration is too big");
    else
        memset(items, 0, count * item_size);
    return items;
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
                          "system_account \"%.*s\" is not a defined account", AUTH_QUOTED(builder->system_account));
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
    struct auth_account *accounts = auth_builder_place(builder, builder->account_count, sizeof(*accounts));
    for (uint32_t i = 0; accounts && i < builder->account_count; i++) {
        accounts[i] = builder->accounts[i].account;
        must(map_add(&config->accounts, accounts[i].name, &accounts[i]) == 0);
    }
    config->account_connections =
        auth_builder_place(builder, builder->account_count, sizeof(*config->account_connections));
    config->view.accounts = accounts;
    config->view.account_count = builder->account_count;
}

static void place_users(struct auth_builder *builder)
{
    struct auth_config *config = builder->config;
    struct auth_user *users = auth_builder_place(builder, builder->user_count, sizeof(*users));
    for (uint32_t i = 0; users && i < builder->user_count && !builder->result; i++) {
        const struct auth_draft_user *draft = &builder->users[i];
        users[i] = draft->user;
        users[i].account = defined_account(builder, draft->account, draft->where);
        if (users[i].account != AUTH_NONE && !users[i].permissions)
            users[i].permissions = builder->accounts[users[i].account].default_permissions;
        config->view.nkey_count += users[i].is_nkey;
        config->view.has_users |= users[i].account != config->view.system_account;
        must(map_add(&config->users, users[i].name, &users[i]) == 0);
    }
    config->user_connections = auth_builder_place(builder, builder->user_count, sizeof(*config->user_connections));
    config->view.users = users;
    config->view.user_count = builder->user_count;
    config->view.has_nkeys = config->view.nkey_count > 0;
}

// In the order of their coming, each account's behind each other.
static void place_exports(struct auth_builder *builder)
{
    struct auth_account *accounts = (struct auth_account *)builder->config->view.accounts;
    struct auth_export *items = auth_builder_place(builder, builder->export_count, sizeof(*items));
    for (uint32_t i = 0; items && i < builder->export_count && !builder->result; i++) {
        struct auth_draft_export *draft = &builder->exports[i];
        uint32_t *importers = auth_builder_place(builder, draft->importers.count, sizeof(*importers));
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
    struct auth_import *items = auth_builder_place(builder, builder->import_count, sizeof(*items));
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
                      AUTH_QUOTED(draft->exporter), draft->item.is_service ? "service" : "stream",
                      AUTH_QUOTED(draft->item.subject), AUTH_QUOTED(draft->account));
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
                      AUTH_QUOTED(account->name), item->is_service ? "service" : "stream", AUTH_QUOTED(item->subject),
                      error.text);
}

// AUTH_NONE, and an error, if it is not.
static uint32_t defined_account(struct auth_builder *builder, struct bytes name, uint32_t where)
{
    uint32_t index = auth_builder_find_account(builder, name);
    if (index != AUTH_NONE && builder->accounts[index].is_defined)
        return index;
    auth_builder_fail(builder, ERR_NOT_FOUND, where, "account \"%.*s\" is not defined", AUTH_QUOTED(name));
    return AUTH_NONE;
}
