// SPDX-License-Identifier: Apache-2.0
#include "server/config_user.h"

#include <strings.h>

#include "server/config_blocks.h"

#define USER(field)  offsetof(struct config_user, field)
#define RULES(field) offsetof(struct auth_permissions_spec, field)
#define ALLOW(field) offsetof(struct config_allow, field)

// One of `users`, while it is read.
struct config_user {
    const char *name, *nkey, *password;
    bool has_permissions;
    struct auth_permissions_spec permissions;
    uint32_t connection_types;
};

// `publish { allow, deny }`
struct config_allow {
    struct auth_strings allow, deny;
};

static int read_user(struct config_reader *reader, const struct conf_member *item, struct bytes account);
static int read_permissions(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_types(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_publish(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_subscribe(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_allow(struct config_reader *reader, const struct conf_member *member, struct config_allow *ret_allow);
static int read_subjects(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_responses(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_expires(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_max(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key user_keys[] = {
    CONFIG_KEY("user,username", CONFIG_STRING, USER(name), 0, 0, CONFIG_RELOAD_YES, NULL, "its name"),
    CONFIG_SECRET("password,pass", USER(password), CONFIG_RELOAD_YES, "plain, or a bcrypt hash ($2a$…)"),
    CONFIG_KEY("nkey", CONFIG_STRING, USER(nkey), 0, 0, CONFIG_RELOAD_YES, NULL,
               "instead of name and password: the public key (U…) with which it signs"),
    CONFIG_OWN("permissions,permission,authorization", "a map", 0, read_permissions, CONFIG_RELOAD_YES,
               "default_permissions", "what it may publish and subscribe: see [permissions](#permissions)"),
    CONFIG_OWN("allowed_connection_types,connection_types,clients", "an array of names", USER(connection_types),
               read_types, CONFIG_RELOAD_YES, "all", "`STANDARD`, `WEBSOCKET`"),
    CONFIG_NOT_SERVED("proxy_required", "proxies are not served; leave it out"),
};
static const struct config_key rules_keys[] = {
    CONFIG_OWN("publish,pub,import", "a subject, an array of subjects, or a map", 0, read_publish, CONFIG_RELOAD_YES,
               "everything", "what may be published; a map has [allow and deny](#allow-and-deny)"),
    CONFIG_OWN("subscribe,sub,export", "a subject, an array of subjects, or a map", 0, read_subscribe,
               CONFIG_RELOAD_YES, "everything",
               "what may be subscribed; `\"subject queue\"` is for that queue group alone"),
    CONFIG_OWN("allow_responses,publish_allow_responses", "true, false, or a map", 0, read_responses, CONFIG_RELOAD_YES,
               "false", "one may answer what one received: see [allow_responses](#allow_responses)"),
};
static const struct config_key allow_keys[] = {
    CONFIG_OWN("allow", "a subject, or an array of subjects", ALLOW(allow), read_subjects, CONFIG_RELOAD_YES,
               "everything", "only these, which may have wildcards"),
    CONFIG_OWN("deny", "a subject, or an array of subjects", ALLOW(deny), read_subjects, CONFIG_RELOAD_YES, "nothing",
               "but not these"),
};
static const struct config_key responses_keys[] = {
    CONFIG_OWN("max,max_msgs,max_messages,max_responses", "an integer; -1: any number", RULES(response_max), read_max,
               CONFIG_RELOAD_YES, "1", "answers to one message"),
    CONFIG_OWN("expires,expiration,ttl", "a duration; negative: for ever", RULES(response_ttl_ns), read_expires,
               CONFIG_RELOAD_YES, "2m", "so long after the message"),
};

const struct config_block config_user_block = CONFIG_BLOCK_OF("users", user_keys);
const struct config_block config_rules_block = CONFIG_BLOCK_OF("permissions", rules_keys);
const struct config_block config_allow_block = CONFIG_BLOCK_OF("allow and deny", allow_keys);
const struct config_block config_responses_block = CONFIG_BLOCK_OF("allow_responses", responses_keys);

int config_user_read_all(struct config_reader *reader, const struct conf_member *member, struct bytes account)
{
    if (member->value.type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "an array of users [ { user: …, password: … } … ]");
    int error = 0;
    for (const struct conf_member *item = member->value.first; item && !error; item = item->next)
        error = read_user(reader, item, account);
    return error;
}

int config_user_read_permissions(struct config_reader *reader, const struct conf_member *member,
                                 struct auth_permissions_spec *ret_permissions)
{
    *ret_permissions = (struct auth_permissions_spec){.where = config_reader_mark(reader, member->place)};
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    return config_reader_apply(reader, &config_rules_block, &member->value, ret_permissions);
}

static int read_user(struct config_reader *reader, const struct conf_member *item, struct bytes account)
{
    struct config_user user = {.name = NULL};
    if (item->value.type != CONF_MAP)
        return config_reader_fail(reader, item->value.place, "a user is expected here: { user: …, password: … }");
    int error = config_reader_apply(reader, &config_user_block, &item->value, &user);
    if (error)
        return error;
    if (user.nkey && (user.name || user.password))
        return config_reader_fail(reader, item->value.place, "a user with an nkey has neither name nor password");
    if (!user.nkey && !user.name)
        return config_reader_fail(reader, item->value.place, "a user needs a name: `user`, or an `nkey`");
    struct auth_user_spec spec = {
        .name = bytes_from_string(user.name ? user.name : ""),
        .nkey = bytes_from_string(user.nkey ? user.nkey : ""),
        .account = account,
        .password = bytes_from_string(user.password ? user.password : ""),
        .has_password = user.password != NULL,
        .permissions = user.has_permissions ? &user.permissions : NULL,
        .connection_types = user.connection_types,
        .where = config_reader_mark(reader, item->value.place),
    };
    // The builder keeps its first error, and config_finish() tells it.
    (void)auth_builder_add_user(reader->config->builder, &spec);
    return 0;
}

static int read_permissions(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct config_user *user = target;
    user->has_permissions = true;
    return config_user_read_permissions(reader, member, &user->permissions);
}

static int read_types(struct config_reader *reader, const struct conf_member *member, void *target)
{
    static const struct {
        struct bytes name;
        enum auth_connection_type type;
    } types[] = {
        {{"STANDARD", 8}, AUTH_CONNECTION_STANDARD},
        {{"WEBSOCKET", 9}, AUTH_CONNECTION_WEBSOCKET},
        {{"LEAFNODE", 8}, AUTH_CONNECTION_LEAFNODE},
        {{"LEAFNODE_WS", 11}, AUTH_CONNECTION_LEAFNODE},
        {{"MQTT", 4}, AUTH_CONNECTION_MQTT},
        {{"MQTT_WS", 7}, AUTH_CONNECTION_MQTT},
        {{"IN_PROCESS", 10}, AUTH_CONNECTION_STANDARD},
    };
    uint32_t *bits = target;
    struct auth_strings names;
    int error = config_reader_strings(reader, member, &names);
    for (uint32_t i = 0; !error && i < names.count; i++) {
        size_t k = 0;
        while (k < sizeof(types) / sizeof(types[0]) &&
               (types[k].name.len != names.items[i].len ||
                strncasecmp(types[k].name.ptr, names.items[i].ptr, names.items[i].len) != 0))
            k++;
        if (k == sizeof(types) / sizeof(types[0]))
            return config_reader_refuse(reader, member, "STANDARD, WEBSOCKET, LEAFNODE or MQTT");
        *bits |= types[k].type;
    }
    return error;
}

static int read_publish(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_permissions_spec *permissions = target;
    struct config_allow allow;
    int error = read_allow(reader, member, &allow);
    if (!error) {
        permissions->publish_allow = allow.allow;
        permissions->publish_deny = allow.deny;
    }
    return error;
}

static int read_subscribe(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_permissions_spec *permissions = target;
    struct config_allow allow;
    int error = read_allow(reader, member, &allow);
    if (!error) {
        permissions->subscribe_allow = allow.allow;
        permissions->subscribe_deny = allow.deny;
    }
    return error;
}

static int read_allow(struct config_reader *reader, const struct conf_member *member, struct config_allow *ret_allow)
{
    *ret_allow = (struct config_allow){.allow = {NULL, 0}};
    if (member->value.type == CONF_MAP)
        return config_reader_apply(reader, &config_allow_block, &member->value, ret_allow);
    return read_subjects(reader, member, &ret_allow->allow);
}

static int read_subjects(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return config_reader_strings(reader, member, target);
}

static int read_responses(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct auth_permissions_spec *permissions = target;
    if (member->value.type != CONF_MAP)
        return config_reader_bool(reader, member, &permissions->allow_responses);
    permissions->allow_responses = true;
    return config_reader_apply(reader, &config_responses_block, &member->value, permissions);
}

// Zero means the default, to the builder too.
static int read_max(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int64_t max;
    int error = config_reader_integer(reader, member, -1, INT32_MAX, &max);
    if (!error)
        *(int32_t *)target = (int32_t)max;
    return error;
}

static int read_expires(struct config_reader *reader, const struct conf_member *member, void *target)
{
    uint64_t ns;
    const struct conf_value *value = &member->value;
    if ((value->type == CONF_STRING || value->type == CONF_INTEGER) && value->text.len && value->text.ptr[0] == '-') {
        *(int64_t *)target = -1;
        return 0;
    }
    int error = config_reader_duration(reader, member, &ns);
    if (!error)
        *(int64_t *)target = (int64_t)ns;
    return error;
}
