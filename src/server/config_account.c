// SPDX-License-Identifier: Apache-2.0
#include "server/config_account.h"

#include <strings.h>

#include "base/number.h"
#include "server/config_blocks.h"
#include "server/config_user.h"

#define CONFIG(field) offsetof(struct config, field)
#define EXPORT(field) offsetof(struct auth_export_spec, field)
#define IMPORT(field) offsetof(struct auth_import_spec, field)
#define LIMITS(field) offsetof(struct auth_limits, field)

#define NO_JETSTREAM "JetStream is not served yet; leave it out, or say `jetstream: false`"

// An account, while it is read: the target of its block.
struct config_account {
    struct bytes name;
    struct auth_limits limits;
    bool has_limits;
};

static const struct conf_member *find_password(const struct conf_value *block);
static int read_users(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_defaults(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_account(struct config_reader *reader, const struct conf_member *member);
static int read_account_users(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_account_defaults(struct config_reader *reader, const struct conf_member *member, void *target);
static int set_defaults(struct config_reader *reader, const struct conf_member *member, struct bytes account);
static int read_limits(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_limit(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_exports(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_export_subject(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_importers(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_response(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_threshold(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_latency(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_sampling(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_imports(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_import_source(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_bytes(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_jetstream(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key authorization_keys[] = {
    CONFIG_KEY("user,username", CONFIG_STRING, CONFIG(options.user), 0, 0, CONFIG_RELOAD_YES, NULL,
               "the one user that there is"),
    CONFIG_SECRET("password,pass", CONFIG(options.password), CONFIG_RELOAD_YES,
                  "of that user, plain or a bcrypt hash ($2a$…)"),
    CONFIG_SECRET("token", CONFIG(options.token), CONFIG_RELOAD_YES,
                  "instead: what every client must have, plain or bcrypt"),
    CONFIG_OWN("users", "an array of users", 0, read_users, CONFIG_RELOAD_YES, NULL, "instead: see [users](#users)"),
    CONFIG_OWN("default_permissions,default_permission,permissions", "a map", 0, read_defaults, CONFIG_RELOAD_YES,
               "everything", "of users without their own: see [permissions](#permissions)"),
    CONFIG_KEY("timeout", CONFIG_SECONDS, CONFIG(auth_timeout_ns), 0, 0, CONFIG_RELOAD_YES,
               "2; with TLS one more than for the handshake", "until a client must have said who it is"),
    CONFIG_NOT_SERVED("auth_callout", "auth callout is not served; define users in this file"),
    CONFIG_NOT_SERVED("proxy_required", "proxies are not served; leave it out"),
};
static const struct config_key account_keys[] = {
    CONFIG_OWN("users", "an array of users", 0, read_account_users, CONFIG_RELOAD_YES, NULL, "see [users](#users)"),
    CONFIG_OWN("default_permissions,default_permission,permissions", "a map", 0, read_account_defaults,
               CONFIG_RELOAD_YES, "everything", "of users without their own: see [permissions](#permissions)"),
    CONFIG_OWN("exports", "an array of exports", 0, read_exports, CONFIG_RELOAD_YES, NULL,
               "what other accounts may import: see [exports](#exports)"),
    CONFIG_OWN("imports", "an array of imports", 0, read_imports, CONFIG_RELOAD_YES, NULL,
               "what comes from others: see [imports](#imports)"),
    CONFIG_MAP("limits", 0, &config_limits_block, read_limits, CONFIG_RELOAD_YES, "of the account"),
    CONFIG_OWN("jetstream", "false or \"disabled\"", 0, read_jetstream, CONFIG_RELOAD_NO, "false", NO_JETSTREAM),
    CONFIG_NO_EFFECT("nkey", "accounts are known by their names"),
    CONFIG_NOT_SERVED("mappings,maps", "subject mappings are not served yet; leave it out"),
    CONFIG_NOT_SERVED("msg_trace,trace_dest,cluster_traffic", "message traces are not served; leave it out"),
};
static const struct config_key limits_keys[] = {
    CONFIG_OWN("max_connections,max_conn", "an integer; -1: unlimited", LIMITS(max_connections), read_limit,
               CONFIG_RELOAD_YES, "-1", "of the account's clients"),
    CONFIG_OWN("max_subscriptions,max_subs", "an integer; -1: unlimited", LIMITS(max_subscriptions), read_limit,
               CONFIG_RELOAD_YES, "-1", "of one connection"),
    CONFIG_OWN("max_payload,max_pay", "a size; -1: unlimited", LIMITS(max_payload), read_limit, CONFIG_RELOAD_YES, "-1",
               "bytes of one message; the server's own limit counts too"),
    CONFIG_NO_EFFECT("max_leafnodes,max_leafs", "leaf nodes are not served"),
};
static const struct config_key export_keys[] = {
    CONFIG_OWN("stream", "a subject", 0, read_export_subject, CONFIG_RELOAD_YES, NULL,
               "messages that importers may subscribe; may have wildcards"),
    CONFIG_OWN("service", "a subject", 0, read_export_subject, CONFIG_RELOAD_YES, NULL,
               "instead: requests that importers may send"),
    CONFIG_OWN("accounts", "an array of names", 0, read_importers, CONFIG_RELOAD_YES, "all", "who may import it"),
    CONFIG_KEY("account_token_position", CONFIG_COUNT, EXPORT(account_token_position), 0, 255, CONFIG_RELOAD_YES,
               "0: none", "which token of the subject, a `*`, must be the importer's name"),
    CONFIG_OWN("response_type,response", "\"singleton\", \"stream\" or \"chunked\"", 0, read_response,
               CONFIG_RELOAD_YES, "singleton", "of a service: how many answers there are"),
    CONFIG_OWN("response_threshold,response_max_time,response_time,threshold", "a duration",
               EXPORT(response_threshold_ns), read_threshold, CONFIG_RELOAD_YES, NULL,
               "of a service: how long an answer, or the next, may take"),
    CONFIG_OWN("latency", "a subject, or a map", 0, read_latency, CONFIG_RELOAD_YES, NULL,
               "of a service: see [latency](#latency)"),
    CONFIG_NO_EFFECT("allow_trace", "message traces are not served"),
};
static const struct config_key latency_keys[] = {
    CONFIG_OWN("sampling", "a percentage, or \"headers\"", EXPORT(latency_sampling), read_sampling, CONFIG_RELOAD_YES,
               "100", "how many requests are measured"),
    CONFIG_OWN("subject,dest", "a subject", EXPORT(latency_subject), read_bytes, CONFIG_RELOAD_YES, NULL,
               "where the measurements go"),
};
static const struct config_key import_keys[] = {
    CONFIG_OWN("stream", "a map { account, subject }", 0, read_import_source, CONFIG_RELOAD_YES, NULL,
               "messages of another account: see [import source](#import-source)"),
    CONFIG_OWN("service", "a map { account, subject }", 0, read_import_source, CONFIG_RELOAD_YES, NULL,
               "instead: where requests go"),
    CONFIG_OWN("to", "a subject", IMPORT(to), read_bytes, CONFIG_RELOAD_YES, "the same", "the subject in this account"),
    CONFIG_OWN("prefix", "a subject", IMPORT(prefix), read_bytes, CONFIG_RELOAD_YES, NULL,
               "of a stream, instead of `to`: what is put before the subject"),
    CONFIG_KEY("share", CONFIG_BOOL, IMPORT(share), 0, 0, CONFIG_RELOAD_YES, "false",
               "of a service: the other account may know who asks"),
    CONFIG_NO_EFFECT("allow_trace", "message traces are not served"),
};
static const struct config_key source_keys[] = {
    CONFIG_OWN("account", "a string", IMPORT(exporter), read_bytes, CONFIG_RELOAD_YES, NULL, "who exports it"),
    CONFIG_OWN("subject", "a subject", IMPORT(subject), read_bytes, CONFIG_RELOAD_YES, NULL, "in that account"),
};

const struct config_block config_authorization_block = CONFIG_BLOCK_OF("authorization", authorization_keys);
const struct config_block config_account_block = CONFIG_BLOCK_OF("accounts", account_keys);
const struct config_block config_limits_block = CONFIG_BLOCK_OF("limits", limits_keys);
const struct config_block config_export_block = CONFIG_BLOCK_OF("exports", export_keys);
const struct config_block config_latency_block = CONFIG_BLOCK_OF("latency", latency_keys);
const struct config_block config_import_block = CONFIG_BLOCK_OF("imports", import_keys);
const struct config_block config_source_block = CONFIG_BLOCK_OF("import source", source_keys);

int config_account_read_authorization(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct config *config = reader->config;
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    int error = config_reader_apply(reader, &config_authorization_block, &member->value, config);
    if (error)
        return error;
    const struct conf_member *lone = config->options.user ? NULL : find_password(&member->value);
    if (lone && !lone->used)
        return config_reader_fail(reader, lone->place, "a password without a user");
    if (lone)
        config->options.password = NULL; // a variable that happens to have the name of a key
    if (config->options.user)
        config->user_place = member->place;
    if (config->options.token)
        config->token_place = member->place;
    return 0;
}

int config_account_read_all(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct conf_value *value = &member->value;
    struct auth_strings names;
    int error = 0;
    if (value->type == CONF_MAP) {
        for (const struct conf_member *account = value->first; account && !error; account = account->next)
            error = account->used ? 0 : read_account(reader, account);
        return error;
    }
    if (value->type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "a map of accounts, or an array of their names");
    error = config_reader_strings(reader, member, &names);
    for (uint32_t i = 0; !error && i < names.count; i++)
        (void)auth_builder_add_account(reader->config->builder, names.items[i], NULL,
                                       config_reader_mark(reader, value->place));
    return error;
}

static const struct conf_member *find_password(const struct conf_value *block)
{
    for (const struct conf_member *member = block->first; member; member = member->next) {
        const struct config_key *key = config_key_find(&config_authorization_block, member->name);
        if (key && key->offset == CONFIG(options.password) && key->secret)
            return member;
    }
    return NULL;
}

static int read_users(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return config_user_read_all(reader, member, BYTES(""));
}

static int read_defaults(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return set_defaults(reader, member, BYTES(""));
}

static int read_account(struct config_reader *reader, const struct conf_member *member)
{
    struct config_account account = {
        .name = member->name,
        .limits = {AUTH_UNLIMITED, AUTH_UNLIMITED, AUTH_UNLIMITED},
    };
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    if (bytes_equal(member->name, BYTES("$G")))
        return config_reader_fail(reader, member->place,
                                  "\"$G\" is a reserved account: its users are those of authorization");
    int error = config_reader_apply(reader, &config_account_block, &member->value, &account);
    if (!error)
        (void)auth_builder_add_account(reader->config->builder, account.name,
                                       account.has_limits ? &account.limits : NULL,
                                       config_reader_mark(reader, member->place));
    return error;
}

static int read_account_users(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct config_account *account = target;
    return config_user_read_all(reader, member, account->name);
}

static int read_account_defaults(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct config_account *account = target;
    return set_defaults(reader, member, account->name);
}

static int set_defaults(struct config_reader *reader, const struct conf_member *member, struct bytes account)
{
    struct auth_permissions_spec permissions;
    int error = config_user_read_permissions(reader, member, &permissions);
    if (!error)
        (void)auth_builder_set_default_permissions(reader->config->builder, account, &permissions);
    return error;
}

static int read_limits(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct config_account *account = target;
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    account->has_limits = true;
    return config_reader_apply(reader, &config_limits_block, &member->value, &account->limits);
}

static int read_limit(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return config_reader_integer(reader, member, -1, INT64_MAX, target);
}

static int read_exports(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct config_account *account = target;
    if (member->value.type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "an array of exports [ { stream: … } … ]");
    for (const struct conf_member *item = member->value.first; item; item = item->next) {
        struct auth_export_spec spec = {
            .account = account->name, .is_public = true, .where = config_reader_mark(reader, item->value.place)};
        if (item->value.type != CONF_MAP)
            return config_reader_fail(reader, item->value.place,
                                      "an export is expected here: { stream: … } or { service: … }");
        int error = config_reader_apply(reader, &config_export_block, &item->value, &spec);
        if (error)
            return error;
        bool of_service =
            spec.latency_sampling || spec.response != AUTH_RESPONSE_SINGLETON || spec.response_threshold_ns;
        if (spec.subject.len == 0)
            return config_reader_fail(reader, item->value.place, "an export needs a `stream` or a `service`");
        if (!spec.is_service && of_service)
            return config_reader_fail(reader, item->value.place, "latency and responses belong to a `service`");
        (void)auth_builder_add_export(reader->config->builder, &spec);
    }
    return 0;
}

static int read_export_subject(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_export_spec *spec = target;
    if (spec->subject.len)
        return config_reader_fail(reader, member->place, "an export has one `stream` or one `service`");
    spec->is_service = strncasecmp(member->name.ptr, "service", member->name.len) == 0;
    return read_bytes(reader, member, &spec->subject);
}

static int read_importers(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_export_spec *spec = target;
    spec->is_public = false;
    return config_reader_strings(reader, member, &spec->accounts);
}

static int read_response(struct config_reader *reader, const struct conf_member *member, void *target)
{
    static const struct {
        const char *name;
        enum auth_response_type type;
    } types[] = {{"singleton", AUTH_RESPONSE_SINGLETON},
                 {"single", AUTH_RESPONSE_SINGLETON},
                 {"stream", AUTH_RESPONSE_STREAM},
                 {"chunked", AUTH_RESPONSE_CHUNKED},
                 {"chunk", AUTH_RESPONSE_CHUNKED}};
    struct auth_export_spec *spec = target;
    for (size_t i = 0; member->value.type == CONF_STRING && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(types[i].name, member->value.text.ptr) == 0) {
            spec->response = types[i].type;
            return 0;
        }
    }
    return config_reader_refuse(reader, member, "\"singleton\", \"stream\" or \"chunked\"");
}

static int read_threshold(struct config_reader *reader, const struct conf_member *member, void *target)
{
    uint64_t ns;
    int error = config_reader_duration(reader, member, &ns);
    if (!error)
        *(int64_t *)target = (int64_t)ns;
    return error;
}

static int read_latency(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_export_spec *spec = target;
    spec->latency_sampling = 100;
    if (member->value.type != CONF_MAP)
        return read_bytes(reader, member, &spec->latency_subject);
    int error = config_reader_apply(reader, &config_latency_block, &member->value, spec);
    if (!error && spec->latency_subject.len == 0)
        return config_reader_fail(reader, member->place, "latency needs a `subject`");
    return error;
}

// 50, "50", "50%" or headers.
static int read_sampling(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int32_t *sampling = target;
    struct bytes text = member->value.text;
    bool string = member->value.type == CONF_STRING;
    uint64_t percent;
    if (string && strcasecmp(text.ptr, "headers") == 0) {
        *sampling = AUTH_LATENCY_HEADERS;
        return 0;
    }
    if (string && text.len > 1 && text.ptr[text.len - 1] == '%')
        text.len--;
    bool scalar = string || member->value.type == CONF_INTEGER;
    if (!scalar || number_parse_u64(text, 100, &percent) || percent == 0)
        return config_reader_refuse(reader, member, "a percentage from 1 to 100, or \"headers\"");
    *sampling = (int32_t)percent;
    return 0;
}

static int read_imports(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct config_account *account = target;
    if (member->value.type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "an array of imports [ { stream: { account: …, subject: … } } … ]");
    for (const struct conf_member *item = member->value.first; item; item = item->next) {
        struct auth_import_spec spec = {.account = account->name,
                                        .where = config_reader_mark(reader, item->value.place)};
        if (item->value.type != CONF_MAP)
            return config_reader_fail(reader, item->value.place,
                                      "an import is expected here: { stream: { account: …, subject: … } }");
        int error = config_reader_apply(reader, &config_import_block, &item->value, &spec);
        if (error)
            return error;
        if (spec.exporter.len == 0 || spec.subject.len == 0)
            return config_reader_fail(reader, item->value.place,
                                      "an import needs a `stream` or a `service`, with account and subject");
        if (spec.is_service && spec.prefix.len)
            return config_reader_fail(reader, item->value.place,
                                      "`prefix` belongs to a `stream`; a `service` has `to`");
        (void)auth_builder_add_import(reader->config->builder, &spec);
    }
    return 0;
}

static int read_import_source(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_import_spec *spec = target;
    if (spec->exporter.len || spec->subject.len)
        return config_reader_fail(reader, member->place, "an import has one `stream` or one `service`");
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    spec->is_service = strncasecmp(member->name.ptr, "service", member->name.len) == 0;
    return config_reader_apply(reader, &config_source_block, &member->value, spec);
}

static int read_bytes(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const char *string;
    int error = config_reader_string(reader, member, &string);
    if (!error)
        *(struct bytes *)target = member->value.text;
    return error;
}

static int read_jetstream(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct conf_value *value = &member->value;
    bool off = (value->type == CONF_BOOL && !value->boolean) ||
               (value->type == CONF_STRING && strncasecmp(value->text.ptr, "disable", 7) == 0);
    return off ? 0 : config_reader_fail(reader, member->place, "jetstream: " NO_JETSTREAM);
}
