// SPDX-License-Identifier: Apache-2.0
// Takes in one thing at a time and checks what can be checked of it alone. The drafts are growing arrays; everything they point
// to lies in the arena of the config to be, so that finishing copies only the arrays.
#include "auth/auth_builder.h"

#include <stdarg.h>
#include <stdio.h>

#include "auth/auth_builder_internal.h"
#include "auth/nkey.h"
#include "auth/secret.h"
#include "base/memory.h"
#include "base/must.h"
#include "subject/subject.h"
#include "subject/trie.h"

#define EXPORTS_MAX             1048576
#define DEFAULT_TIMEOUT_MS      2000
#define DEFAULT_RESPONSE_MAX    1
#define DEFAULT_RESPONSE_TTL_NS (120 * INT64_C(1000000000))
// An account or user name in an error, which is one line.
#define QUOTED_MAX    128
#define QUOTED_ARG(b) (int)((b).len < QUOTED_MAX ? (b).len : QUOTED_MAX), (b).ptr

static const struct auth_limits no_limits = {AUTH_UNLIMITED, AUTH_UNLIMITED, AUTH_UNLIMITED};

static int account_define(struct auth_builder *builder, struct bytes name, uint32_t *ret_index);
static struct bytes account_name(struct bytes name);
static const struct auth_permissions *permissions_new(struct auth_builder *builder,
                                                      const struct auth_permissions_spec *spec);
static struct auth_rules rules_new(struct auth_builder *builder, struct auth_strings strings, bool is_subscribe,
                                   uint32_t where);
static int rule_parse(struct auth_builder *builder, struct bytes text, bool is_subscribe, uint32_t where,
                      struct auth_rule *ret);
static int user_identify(struct auth_builder *builder, const struct auth_user_spec *spec, struct auth_user *ret_user);
static bool is_wildcard(struct bytes subject, uint32_t position);
static struct auth_secret secret_new(struct auth_builder *builder, struct bytes text);
static int copy_strings(struct auth_builder *builder, struct auth_strings from, struct auth_strings *ret_to);
static struct bytes copy(struct auth_builder *builder, struct bytes bytes);
static void *grow(void *items, uint32_t count, uint32_t *cap, size_t item_size);
static bool is_pattern(struct bytes subject);

struct auth_builder *auth_builder_new(void)
{
    struct auth_builder *builder = mem_alloc_zero(sizeof(*builder));
    builder->config = auth_config_new();
    map_init(&builder->account_names, AUTH_ACCOUNTS_MAX);
    map_init(&builder->user_names, AUTH_USERS_MAX);
    builder->config->view.client.timeout_ms = DEFAULT_TIMEOUT_MS;
    builder->system_account = BYTES("$SYS");
    uint32_t index = 0;
    must(account_define(builder, BYTES("$G"), &index) == 0);
    must(index == AUTH_GLOBAL_ACCOUNT);
    builder->accounts[index].is_defined = true;
    return builder;
}

void auth_builder_free(struct auth_builder *builder)
{
    if (!builder)
        return;
    auth_config_unref(builder->config);
    map_deinit(&builder->account_names);
    map_deinit(&builder->user_names);
    mem_free(builder->accounts);
    mem_free(builder->users);
    mem_free(builder->exports);
    mem_free(builder->imports);
    mem_free(builder);
}

int auth_builder_add_account(struct auth_builder *builder, struct bytes name, const struct auth_limits *limits,
                             uint32_t where)
{
    uint32_t index = 0;
    if (builder->result)
        return builder->result;
    if (name.len == 0 || memchr(name.ptr, ' ', name.len))
        return auth_builder_fail(builder, ERR_INVALID, where, "an account's name may not be empty or have blanks");
    int error = account_define(builder, name, &index);
    if (error)
        return auth_builder_fail(builder, error, where, "too many accounts");
    struct auth_draft_account *draft = &builder->accounts[index];
    if (draft->is_defined && index != AUTH_GLOBAL_ACCOUNT)
        return auth_builder_fail(builder, ERR_DUPLICATE, where, "account \"%.*s\" is defined twice", QUOTED_ARG(name));
    draft->is_defined = true;
    draft->account.limits = limits ? *limits : no_limits;
    draft->where = where;
    return 0;
}

void auth_builder_set_system_account(struct auth_builder *builder, struct bytes name, uint32_t where)
{
    builder->system_account = copy(builder, name);
    builder->system_account_named = true;
    builder->system_account_where = where;
}

int auth_builder_set_default_permissions(struct auth_builder *builder, struct bytes account,
                                         const struct auth_permissions_spec *permissions)
{
    uint32_t index = 0;
    if (builder->result)
        return builder->result;
    int error = account_define(builder, account_name(account), &index);
    if (error)
        return auth_builder_fail(builder, error, permissions->where, "too many accounts");
    builder->accounts[index].default_permissions = permissions_new(builder, permissions);
    return builder->result;
}

int auth_builder_add_user(struct auth_builder *builder, const struct auth_user_spec *spec)
{
    struct auth_draft_user draft = {.where = spec->where};
    if (builder->result || user_identify(builder, spec, &draft.user))
        return builder->result;
    if (spec->has_password)
        draft.user.password = secret_new(builder, spec->password);
    draft.user.connection_types = spec->connection_types;
    draft.user.limits = spec->limits ? *spec->limits : no_limits;
    draft.user.permissions = spec->permissions ? permissions_new(builder, spec->permissions) : NULL;
    draft.account = copy(builder, account_name(spec->account));
    if (builder->result)
        return builder->result;
    int error = map_add(&builder->user_names, draft.user.name, (void *)(uintptr_t)(builder->user_count + 1));
    if (error == ERR_EXISTS)
        return auth_builder_fail(builder, ERR_DUPLICATE, spec->where, "duplicate %s \"%.*s\"",
                                 draft.user.is_nkey ? "nkey" : "user", QUOTED_ARG(draft.user.name));
    if (error)
        return auth_builder_fail(builder, error, spec->where, "too many users");
    builder->users = grow(builder->users, builder->user_count, &builder->user_cap, sizeof(draft));
    builder->users[builder->user_count++] = draft;
    return 0;
}

int auth_builder_add_export(struct auth_builder *builder, const struct auth_export_spec *spec)
{
    struct auth_draft_export draft = {.account = copy(builder, account_name(spec->account)), .where = spec->where};
    struct auth_export *item = &draft.item;
    if (builder->result)
        return builder->result;
    if (!is_pattern(spec->subject))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "\"%.*s\" is not a valid subject to export",
                                 QUOTED_ARG(spec->subject));
    if (spec->latency_subject.len && !subject_is_valid_publish(spec->latency_subject))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "\"%.*s\" is not a valid latency subject",
                                 QUOTED_ARG(spec->latency_subject));
    if (spec->account_token_position > 0 && !is_wildcard(spec->subject, spec->account_token_position))
        return auth_builder_fail(builder, ERR_INVALID, spec->where,
                                 "\"%.*s\" has no * as token %u, for account_token_position", QUOTED_ARG(spec->subject),
                                 spec->account_token_position);
    if (builder->export_count == EXPORTS_MAX)
        return auth_builder_fail(builder, ERR_LIMIT, spec->where, "too many exports");
    item->is_service = spec->is_service;
    item->subject = copy(builder, spec->subject);
    item->is_public = spec->is_public;
    item->account_token_position = spec->account_token_position;
    item->response = spec->response;
    item->response_threshold_ns = spec->response_threshold_ns;
    item->latency_sampling = spec->latency_sampling;
    item->latency_subject = copy(builder, spec->latency_subject);
    if (copy_strings(builder, spec->accounts, &draft.importers))
        return builder->result;
    builder->exports = grow(builder->exports, builder->export_count, &builder->export_cap, sizeof(draft));
    builder->exports[builder->export_count++] = draft;
    return 0;
}

int auth_builder_add_import(struct auth_builder *builder, const struct auth_import_spec *spec)
{
    struct auth_draft_import draft = {.where = spec->where};
    if (builder->result)
        return builder->result;
    if (!is_pattern(spec->subject))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "\"%.*s\" is not a valid subject to import",
                                 QUOTED_ARG(spec->subject));
    if (spec->prefix.len && spec->to.len)
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "an import has either a prefix or `to`");
    if (spec->to.len && !is_pattern(spec->to))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "\"%.*s\" is not a valid subject for `to`",
                                 QUOTED_ARG(spec->to));
    if (spec->prefix.len && !subject_is_valid_publish(spec->prefix))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "\"%.*s\" is not a valid prefix",
                                 QUOTED_ARG(spec->prefix));
    if (builder->import_count == EXPORTS_MAX)
        return auth_builder_fail(builder, ERR_LIMIT, spec->where, "too many imports");
    draft.account = copy(builder, account_name(spec->account));
    draft.exporter = copy(builder, spec->exporter);
    draft.item.is_service = spec->is_service;
    draft.item.subject = copy(builder, spec->subject);
    draft.item.prefix = copy(builder, spec->prefix);
    draft.item.share = spec->share;
    draft.item.local = spec->to.len ? copy(builder, spec->to) : draft.item.subject;
    if (spec->prefix.len) {
        size_t len = spec->prefix.len + 1 + spec->subject.len;
        char *local = arena_alloc(&builder->config->arena, len);
        if (!local)
            return auth_builder_fail(builder, ERR_LIMIT, spec->where, "the configuration is too big");
        memcpy(local, spec->prefix.ptr, spec->prefix.len);
        local[spec->prefix.len] = '.';
        memcpy(local + spec->prefix.len + 1, spec->subject.ptr, spec->subject.len);
        draft.item.local = bytes_make(local, len);
    }
    if (builder->result)
        return builder->result;
    builder->imports = grow(builder->imports, builder->import_count, &builder->import_cap, sizeof(draft));
    builder->imports[builder->import_count++] = draft;
    return 0;
}

int auth_builder_set_token(struct auth_builder *builder, struct bytes token, uint32_t where)
{
    builder->config->view.client.token = secret_new(builder, token);
    builder->token_where = where;
    return builder->result;
}

int auth_builder_set_single_user(struct auth_builder *builder, struct bytes name, struct bytes password, uint32_t where)
{
    builder->config->view.client.single_user = copy(builder, name);
    builder->config->view.client.single_password = secret_new(builder, password);
    builder->single_user_where = where;
    return builder->result;
}

void auth_builder_set_no_auth_user(struct auth_builder *builder, struct bytes name, uint32_t where)
{
    builder->no_auth_user = copy(builder, name);
    builder->no_auth_user_where = where;
}

void auth_builder_set_authorization(struct auth_builder *builder)
{
    builder->has_authorization = true;
}

void auth_builder_set_timeout_ms(struct auth_builder *builder, uint32_t timeout_ms)
{
    builder->config->view.client.timeout_ms = timeout_ms;
}

void auth_builder_set_verify_and_map(struct auth_builder *builder, bool verify_and_map)
{
    builder->config->view.client.verify_and_map = verify_and_map;
}

int auth_builder_set_websocket(struct auth_builder *builder, const struct auth_websocket_spec *websocket)
{
    struct auth_listener *listener = &builder->config->view.websocket;
    builder->has_websocket = true;
    builder->websocket_where = websocket->where;
    builder->websocket_no_auth_user = copy(builder, websocket->no_auth_user);
    if (websocket->token.len)
        listener->token = secret_new(builder, websocket->token);
    if (websocket->user.len) {
        listener->single_user = copy(builder, websocket->user);
        listener->single_password = secret_new(builder, websocket->password);
    }
    listener->timeout_ms = websocket->timeout_ms;
    listener->verify_and_map = websocket->verify_and_map;
    if (websocket->password.len && !websocket->user.len)
        return auth_builder_fail(builder, ERR_INVALID, websocket->where, "websocket: a password without a user");
    if (websocket->user.len && websocket->token.len)
        return auth_builder_fail(builder, ERR_INVALID, websocket->where,
                                 "websocket: cannot have both a user and password and a token");
    return builder->result;
}

int auth_builder_fail(struct auth_builder *builder, int error, uint32_t where, const char *format, ...)
{
    if (builder->result)
        return builder->result;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(builder->error.text, sizeof(builder->error.text), format, arguments);
    va_end(arguments);
    builder->error.where = where;
    builder->result = error;
    return error;
}

uint32_t auth_builder_find_account(const struct auth_builder *builder, struct bytes name)
{
    uintptr_t found = (uintptr_t)map_find(&builder->account_names, name);
    return found ? (uint32_t)(found - 1) : AUTH_NONE;
}

// Finds it or makes an undefined one.
static int account_define(struct auth_builder *builder, struct bytes name, uint32_t *ret_index)
{
    uint32_t index = auth_builder_find_account(builder, name);
    if (index == AUTH_NONE) {
        struct auth_draft_account draft = {.account = {.name = copy(builder, name), .limits = no_limits}};
        index = builder->account_count;
        int error = builder->result
                        ? builder->result
                        : map_add(&builder->account_names, draft.account.name, (void *)(uintptr_t)(index + 1));
        if (error)
            return error;
        builder->accounts = grow(builder->accounts, index, &builder->account_cap, sizeof(draft));
        builder->accounts[builder->account_count++] = draft;
    }
    *ret_index = index;
    return 0;
}

static struct bytes account_name(struct bytes name)
{
    return name.len ? name : BYTES("$G");
}

// NULL after an error.
static const struct auth_permissions *permissions_new(struct auth_builder *builder,
                                                      const struct auth_permissions_spec *spec)
{
    struct auth_permissions *permissions = arena_alloc(&builder->config->arena, sizeof(*permissions));
    if (!permissions) {
        auth_builder_fail(builder, ERR_LIMIT, spec->where, "the configuration is too big");
        return NULL;
    }
    *permissions = (struct auth_permissions){
        .publish_allow = rules_new(builder, spec->publish_allow, false, spec->where),
        .publish_deny = rules_new(builder, spec->publish_deny, false, spec->where),
        .subscribe_allow = rules_new(builder, spec->subscribe_allow, true, spec->where),
        .subscribe_deny = rules_new(builder, spec->subscribe_deny, true, spec->where),
        // Who may answer and has no list of subjects may do nothing but answer.
        .publish_restricted = spec->publish_allow.count || spec->allow_responses,
        .subscribe_restricted = spec->subscribe_allow.count,
        .allow_responses = spec->allow_responses,
        .response_max = spec->response_max ? spec->response_max : DEFAULT_RESPONSE_MAX,
        .response_ttl_ns = spec->response_ttl_ns ? spec->response_ttl_ns : DEFAULT_RESPONSE_TTL_NS,
    };
    if (permissions->response_max < 0)
        permissions->response_max = AUTH_UNLIMITED;
    if (permissions->response_ttl_ns < 0)
        permissions->response_ttl_ns = AUTH_UNLIMITED;
    return builder->result ? NULL : permissions;
}

static struct auth_rules rules_new(struct auth_builder *builder, struct auth_strings strings, bool is_subscribe,
                                   uint32_t where)
{
    struct auth_rule *rules = arena_alloc(&builder->config->arena, strings.count * sizeof(*rules));
    if (!rules)
        auth_builder_fail(builder, ERR_LIMIT, where, "the configuration is too big");
    for (uint32_t i = 0; i < strings.count && !builder->result; i++)
        if (rule_parse(builder, strings.items[i], is_subscribe, where, &rules[i]))
            break;
    return builder->result ? (struct auth_rules){0} : (struct auth_rules){rules, strings.count};
}

// "subject" or, for subscriptions, "subject queue".
static int rule_parse(struct auth_builder *builder, struct bytes text, bool is_subscribe, uint32_t where,
                      struct auth_rule *ret)
{
    struct bytes whole = copy(builder, text), subject = bytes_trim(whole), queue = {0};
    for (size_t i = 0; is_subscribe && i < subject.len; i++) {
        if (subject.ptr[i] != ' ' && subject.ptr[i] != '\t')
            continue;
        queue = bytes_trim(bytes_skip(subject, i));
        subject.len = i;
        break;
    }
    if (!is_pattern(subject))
        return auth_builder_fail(builder, ERR_INVALID, where, "subject \"%.*s\" is not a valid subject",
                                 QUOTED_ARG(whole));
    if (queue.len && !is_pattern(queue))
        return auth_builder_fail(builder, ERR_INVALID, where, "subject \"%.*s\" names no valid queue",
                                 QUOTED_ARG(whole));
    *ret = (struct auth_rule){subject, queue};
    return builder->result;
}

// The name or the nkey.
static int user_identify(struct auth_builder *builder, const struct auth_user_spec *spec, struct auth_user *ret_user)
{
    if (spec->nkey.len && (spec->name.len || spec->has_password))
        return auth_builder_fail(builder, ERR_INVALID, spec->where,
                                 "a user with an nkey has neither a name nor a password");
    if (spec->nkey.len && nkey_decode_user(spec->nkey, ret_user->nkey))
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "not a valid public nkey for a user");
    if (!spec->nkey.len && !spec->name.len)
        return auth_builder_fail(builder, ERR_INVALID, spec->where, "a user needs a name or an nkey");
    ret_user->is_nkey = spec->nkey.len > 0;
    ret_user->name = copy(builder, spec->nkey.len ? spec->nkey : spec->name);
    return builder->result;
}

// Whether the token at `position`, from 1 on, is "*".
static bool is_wildcard(struct bytes subject, uint32_t position)
{
    struct bytes token = {0};
    for (uint32_t i = 0; i < position; i++) {
        if (!subject_token_next(&subject, &token))
            return false;
    }
    return bytes_equal(token, BYTES("*"));
}

static struct auth_secret secret_new(struct auth_builder *builder, struct bytes text)
{
    return (struct auth_secret){secret_kind(text), copy(builder, text)};
}

static int copy_strings(struct auth_builder *builder, struct auth_strings from, struct auth_strings *ret_to)
{
    struct bytes *items = arena_alloc(&builder->config->arena, from.count * sizeof(*items));
    if (!items)
        return auth_builder_fail(builder, ERR_LIMIT, 0, "the configuration is too big");
    for (uint32_t i = 0; i < from.count; i++)
        items[i] = copy(builder, from.items[i]);
    *ret_to = (struct auth_strings){items, from.count};
    return builder->result;
}

static struct bytes copy(struct auth_builder *builder, struct bytes bytes)
{
    struct bytes made = arena_copy(&builder->config->arena, bytes);
    if (!made.ptr)
        auth_builder_fail(builder, ERR_LIMIT, 0, "the configuration is too big");
    return made;
}

static void *grow(void *items, uint32_t count, uint32_t *cap, size_t item_size)
{
    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 8;
    return mem_realloc(items, *cap * item_size);
}

// Also not of more tokens than a subscription may have.
static bool is_pattern(struct bytes subject)
{
    return subject_is_valid_subscribe(subject) && subject_token_count(subject) <= TRIE_TOKENS_DEFAULT;
}
