// SPDX-License-Identifier: Apache-2.0
// The keys of the file itself: what nats-server's has for a stand-alone server, and what it has for features that are not served, which
// are refused by name.
#include <strings.h>

#include "server/config_account.h"
#include "server/config_blocks.h"
#include "server/config_reader.h"
#include "server/config_streaming.h"
#include "server/units.h"

#define AT(field) offsetof(struct config, field)

#define NO_CLUSTER   "clusters of servers are not there yet; leave it out and run one server"
#define NO_OPERATOR  "operators and JWTs are not served; define accounts and users in this file"
#define NO_JETSTREAM "JetStream is not served yet; leave it out, or say `jetstream: false`"

static int read_listen(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_http(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_https(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_base_path(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_tags(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_connections(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_subscriptions(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_trace_verbose(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_jetstream(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_tls(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_no_auth_user(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_system_account(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_no_system_account(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key keys[] = {
    CONFIG_OWN("listen", "HOST:PORT, \":PORT\" or a port", 0, read_listen, CONFIG_RELOAD_NO, "0.0.0.0:4222",
               "where clients connect; a port of -1: any free one"),
    CONFIG_KEY("host,net", CONFIG_STRING, AT(options.host), 0, 0, CONFIG_RELOAD_NO, "0.0.0.0",
               "the address of `listen`"),
    CONFIG_KEY("port", CONFIG_INT, AT(options.port), -1, 65535, CONFIG_RELOAD_NO, "4222", "the port of `listen`"),
    CONFIG_KEY("client_advertise", CONFIG_STRING, AT(options.client_advertise), 0, 0, CONFIG_RELOAD_NO, NULL,
               "`HOST[:PORT]` that clients are told to connect to"),
    CONFIG_KEY("server_name", CONFIG_STRING, AT(options.server_name), 0, 0, CONFIG_RELOAD_NO, "the server's id",
               "what the server is called in INFO and monitoring"),
    CONFIG_OWN("server_tags", "a string or an array of strings", 0, read_tags, CONFIG_RELOAD_NO, NULL,
               "shown by monitoring, in lower case"),
    CONFIG_OWN("http", "HOST:PORT, \":PORT\" or a port", 0, read_http, CONFIG_RELOAD_NO, NULL,
               "where monitoring answers over HTTP"),
    CONFIG_KEY("http_port,monitor_port", CONFIG_INT, AT(options.http_port), -1, 65535, CONFIG_RELOAD_NO, "0: none",
               "the port of `http`, on `host`"),
    CONFIG_OWN("https", "HOST:PORT, \":PORT\" or a port", 0, read_https, CONFIG_RELOAD_NO, NULL,
               "where monitoring answers over HTTPS, with the certificate of `tls`"),
    CONFIG_KEY("https_port", CONFIG_INT, AT(options.https_port), -1, 65535, CONFIG_RELOAD_NO, "0: none",
               "the port of `https`, on `host`"),
    CONFIG_OWN("http_base_path", "a path such as \"/nats\"", AT(options.http_base_path), read_base_path,
               CONFIG_RELOAD_NO, "/", "monitoring's pages are below it"),

    CONFIG_KEY("threads", CONFIG_COUNT, AT(options.threads), 0, 64, CONFIG_RELOAD_NO, "0: by the number of cores",
               "that serve clients; each beyond the first costs some 200 bytes of memory a subscription: see "
               "[benchmarks](benchmarks.md#where-the-time-goes)"),
    CONFIG_KEY("max_payload", CONFIG_BYTES32, AT(options.max_payload), KIB, 8 * MIB, CONFIG_RELOAD_YES, "1MB",
               "bytes of one message, headers and payload"),
    CONFIG_KEY("max_control_line", CONFIG_BYTES32, AT(options.max_control_line), 512, MIB, CONFIG_RELOAD_YES, "4KB",
               "bytes of one line of the protocol"),
    CONFIG_KEY("max_pending", CONFIG_BYTES, AT(options.max_pending), 64 * KIB, 16 * GIB, CONFIG_RELOAD_YES, "64MB",
               "bytes that may wait for one slow reader before it is closed"),
    CONFIG_OWN("max_connections,max_conn", "an integer; -1: unlimited", AT(options.max_connections), read_connections,
               CONFIG_RELOAD_YES, "65536", "clients at once"),
    CONFIG_OWN("max_subscriptions,max_subs", "an integer; 0 or -1: unlimited", AT(options.max_subscriptions),
               read_subscriptions, CONFIG_RELOAD_YES, "0", "subscriptions of one connection"),
    CONFIG_KEY("max_sub_tokens,max_subscription_tokens", CONFIG_COUNT, AT(options.max_sub_tokens), 0, UINT8_MAX,
               CONFIG_RELOAD_YES, "0: 2048", "tokens in the subject of a subscription"),
    CONFIG_KEY("max_closed_clients", CONFIG_COUNT, AT(options.max_closed), 1, 1000000, CONFIG_RELOAD_NO, "10000",
               "closed connections that monitoring can still show"),
    CONFIG_KEY("ping_interval", CONFIG_DURATION, AT(options.ping_interval_ns), 10 * MS, DAY, CONFIG_RELOAD_YES, "2m",
               "between pings to a client"),
    CONFIG_KEY("ping_max", CONFIG_COUNT, AT(options.ping_max), 1, 1000, CONFIG_RELOAD_YES, "2",
               "unanswered pings before a client is given up"),
    CONFIG_KEY("write_deadline", CONFIG_DURATION, AT(options.write_deadline_ns), 10 * MS, DAY, CONFIG_RELOAD_YES, "10s",
               "for a reader that takes nothing"),
    CONFIG_KEY("lame_duck_duration", CONFIG_DURATION, AT(options.lame_duck_duration_ns), 30 * SECOND, 7 * DAY,
               CONFIG_RELOAD_YES, "2m", "over which connections are closed in lame duck mode"),
    CONFIG_KEY("lame_duck_grace_period", CONFIG_DURATION, AT(options.lame_duck_grace_ns), 0, 7 * DAY, CONFIG_RELOAD_YES,
               "10s", "until the first of them is closed; less than `lame_duck_duration`"),

    CONFIG_MAP("authorization,authentication", 0, &config_authorization_block, config_account_read_authorization,
               CONFIG_RELOAD_YES, "a token, a user, or a list of users"),
    CONFIG_OWN("accounts", "a map of accounts, or an array of their names", 0, config_account_read_all,
               CONFIG_RELOAD_YES, NULL,
               "separate subject spaces with users, exports and imports: see [accounts](#accounts)"),
    CONFIG_OWN("no_auth_user", "a string", 0, read_no_auth_user, CONFIG_RELOAD_YES, NULL,
               "the user that a client without credentials is"),
    CONFIG_OWN("system_account,system", "a string", 0, read_system_account, CONFIG_RELOAD_YES, "$SYS",
               "the account with the server's own events and requests"),
    CONFIG_OWN("no_system_account,no_system,no_sys_acc", "true or false", 0, read_no_system_account, CONFIG_RELOAD_YES,
               "false", "no system account at all"),
    CONFIG_MAP("tls", AT(options.tls), &config_tls_block, read_tls, CONFIG_RELOAD_NEW,
               "TLS for client connections and `https`; certificates are read again at each reload"),
    CONFIG_KEY("allow_non_tls", CONFIG_BOOL, AT(options.tls.allow_plain), 0, 0, CONFIG_RELOAD_NEW, "false",
               "clients without TLS are served beside those with"),
    CONFIG_MAP("admin", 0, &config_admin_block, NULL, CONFIG_RELOAD_NO,
               "who may do everything on the dashboard and the HTTP side of the admin API"),
    CONFIG_MAP("websocket,ws", AT(websocket), &config_websocket_block, NULL, CONFIG_RELOAD_NO,
               "a listener for browsers"),

    CONFIG_KEY("log_file,logfile", CONFIG_STRING, AT(options.log_file), 0, 0, CONFIG_RELOAD_YES, "standard error",
               "where the log goes"),
    CONFIG_KEY("logfile_size_limit,log_size_limit", CONFIG_BYTES, AT(options.log_size_limit), 0, 0, CONFIG_RELOAD_YES,
               "0: never", "bytes after which the file is moved away and a new one begins"),
    CONFIG_KEY("logfile_max_num,log_max_num", CONFIG_COUNT, AT(options.log_max_files), 0, 0, CONFIG_RELOAD_YES,
               "0: all", "log files that are kept, the current one included"),
    CONFIG_KEY("syslog", CONFIG_BOOL, AT(options.syslog), 0, 0, CONFIG_RELOAD_YES, "false", "log to syslog"),
    CONFIG_KEY("remote_syslog", CONFIG_STRING, AT(options.remote_syslog), 0, 0, CONFIG_RELOAD_YES, NULL,
               "syslog of another host: `udp://HOST:514`"),
    CONFIG_ONE_OF("log_level", "trace,debug,info,warn,error", AT(options.log_level), CONFIG_RELOAD_YES, "info",
                  "the least that is logged; `debug` and `trace` ask for more besides"),
    CONFIG_ONE_OF("log_format", "text,json", AT(options.log_format), CONFIG_RELOAD_YES, "text",
                  "lines as nats-server's, or one JSON object a line"),
    CONFIG_KEY("logtime", CONFIG_BOOL, AT(options.log_time), 0, 0, CONFIG_RELOAD_YES, "true",
               "log lines have the time"),
    CONFIG_KEY("logtime_utc", CONFIG_BOOL, AT(options.log_time_utc), 0, 0, CONFIG_RELOAD_YES, "false", "in UTC"),
    CONFIG_KEY("debug", CONFIG_BOOL, AT(options.debug), 0, 0, CONFIG_RELOAD_YES, "false",
               "log who connects and why connections end"),
    CONFIG_KEY("trace", CONFIG_BOOL, AT(options.trace), 0, 0, CONFIG_RELOAD_YES, "false",
               "log every operation of the protocol"),
    CONFIG_OWN("trace_verbose", "true or false", 0, read_trace_verbose, CONFIG_RELOAD_YES, "false",
               "and those of the system account"),
    CONFIG_KEY("max_traced_msg_len", CONFIG_COUNT, AT(options.max_traced_length), 0, 0, CONFIG_RELOAD_YES, "0: all",
               "bytes of a payload that a trace shows"),
    CONFIG_KEY("pid_file,pidfile", CONFIG_STRING, AT(options.pid_file), 0, 0, CONFIG_RELOAD_YES, NULL,
               "where the process id is written"),
    CONFIG_KEY("ports_file_dir", CONFIG_STRING, AT(options.ports_file_dir), 0, 0, CONFIG_RELOAD_NO, NULL,
               "folder of a file PROGRAM_PID.ports with the addresses"),

    CONFIG_OWN("streaming", "a map, or true or false", 0, config_streaming_read, CONFIG_RELOAD_NO, NULL,
               "NATS Streaming: see [streaming](#streaming)"),

    CONFIG_NO_EFFECT("server_metadata", "metadata is not shown yet"),
    CONFIG_NO_EFFECT("disable_sublist_cache,no_sublist_cache", "the cache of matches stays small by itself"),
    CONFIG_NO_EFFECT("no_header_support", "headers are always served to clients that know them"),
    CONFIG_NO_EFFECT("no_fast_producer_stall", "a fast producer is never made to wait for a slow reader"),
    CONFIG_NO_EFFECT("write_timeout", "a reader behind its deadline is closed"),
    CONFIG_NO_EFFECT("connect_error_reports,reconnect_error_reports", "they are about other servers of a cluster"),
    CONFIG_NO_EFFECT("prof_port,prof_block_rate",
                     "there is no profiling port; perf and heaptrack look at a running server"),
    CONFIG_NO_EFFECT("default_js_domain", "it belongs to JetStream"),
    CONFIG_NO_EFFECT("feature_flags", "they are of another server"),

    CONFIG_OWN("jetstream", "false or \"disabled\"", 0, read_jetstream, CONFIG_RELOAD_NO, "false", NO_JETSTREAM),
    CONFIG_NOT_SERVED("cluster", NO_CLUSTER),
    CONFIG_NOT_SERVED("gateway", "gateways are not served; leave it out"),
    CONFIG_NOT_SERVED("leafnodes,leaf", "leaf nodes are not served yet; leave it out"),
    CONFIG_NOT_SERVED("mqtt", "MQTT is not served; leave it out"),
    CONFIG_NOT_SERVED(
        "operator,operators,root_operators,root_operator,roots,root,trusted,trusted_keys,default_sentinel",
        NO_OPERATOR),
    CONFIG_NOT_SERVED("resolver,account_resolver,accounts_resolver,resolver_tls,resolver_preload,"
                      "resolver_pinned_accounts,resolver_pinned_account",
                      NO_OPERATOR),
    CONFIG_NOT_SERVED("ocsp,ocsp_cache", "OCSP is not served; leave it out"),
    CONFIG_NOT_SERVED("mappings,maps", "subject mappings are not served yet; leave it out"),
    CONFIG_NOT_SERVED("proxies,proxy_protocol,proxy_required", "proxies are not served; leave it out"),
    CONFIG_NOT_SERVED("auth_callout", "auth callout is not served; define users in this file"),
    CONFIG_NOT_SERVED("tpm", "keys in a TPM are not served; leave it out"),
};

static const struct config_key admin_keys[] = {
    CONFIG_KEY("user,username", CONFIG_STRING, AT(options.admin_user), 0, 0, CONFIG_RELOAD_NO, NULL,
               "a name of its own; users of NATS may log in there with theirs"),
    CONFIG_SECRET("password,pass", AT(options.admin_password), CONFIG_RELOAD_NO, "of that user, plain or bcrypt"),
};

const struct config_block config_admin_block = CONFIG_BLOCK_OF("admin", admin_keys);
const struct config_block config_server_block = CONFIG_BLOCK_OF("", keys);

static int read_listen(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    return config_reader_address(reader, member, &options->host, &options->port);
}

static int read_http(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    return config_reader_address(reader, member, &options->http_host, &options->http_port);
}

static int read_https(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    return config_reader_address(reader, member, &options->http_host, &options->https_port);
}

// With a '/' before it and none behind it.
static int read_base_path(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const char *path;
    int error = config_reader_string(reader, member, &path);
    if (error)
        return error;
    size_t len = member->value.text.len;
    path += path[0] == '/';
    len -= path != member->value.text.ptr;
    while (len > 0 && path[len - 1] == '/')
        len--;
    if (strcspn(path, " ?#<>&\"'%") < len)
        return config_reader_refuse(reader, member, "a path such as \"/nats\"");
    char *copy = config_reader_alloc(reader, len + 2);
    copy[0] = '/';
    memcpy(copy + 1, path, len);
    copy[len + 1] = '\0';
    *(const char **)target = len ? copy : NULL;
    return 0;
}

static int read_tags(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    struct auth_strings texts;
    int error = config_reader_strings(reader, member, &texts);
    if (error)
        return error;
    const char **tags = config_reader_alloc(reader, (texts.count + 1) * sizeof(*tags));
    for (uint32_t i = 0; i < texts.count; i++) {
        char *tag = config_reader_alloc(reader, texts.items[i].len + 1);
        for (size_t k = 0; k <= texts.items[i].len; k++)
            tag[k] = texts.items[i].ptr[k] >= 'A' && texts.items[i].ptr[k] <= 'Z' ? (char)(texts.items[i].ptr[k] | 0x20)
                                                                                  : texts.items[i].ptr[k];
        tags[i] = tag;
    }
    options->server_tags = tags;
    options->server_tag_count = texts.count;
    return 0;
}

// 0 is the default, as in nats-server.
static int read_connections(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int64_t number;
    int error = config_reader_integer(reader, member, -1, 10000000, &number);
    if (!error && number != 0)
        *(uint32_t *)target = number < 0 ? 10000000 : (uint32_t)number;
    return error;
}

static int read_subscriptions(struct config_reader *reader, const struct conf_member *member, void *target)
{
    int64_t number;
    int error = config_reader_integer(reader, member, -1, UINT32_MAX, &number);
    if (!error)
        *(uint32_t *)target = number < 0 ? 0 : (uint32_t)number;
    return error;
}

static int read_trace_verbose(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct options *options = &reader->config->options;
    int error = config_reader_bool(reader, member, &options->trace_verbose);
    options->trace |= !error && options->trace_verbose;
    return error;
}

static int read_jetstream(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const struct conf_value *value = &member->value;
    bool off = (value->type == CONF_BOOL && !value->boolean) ||
               (value->type == CONF_STRING &&
                (strcasecmp(value->text.ptr, "disabled") == 0 || strcasecmp(value->text.ptr, "disable") == 0));
    return off ? 0 : config_reader_fail(reader, member->place, "jetstream: " NO_JETSTREAM);
}

static int read_tls(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct tls_options *tls = target;
    if (config_reader_map(reader, member))
        return ERR_INVALID;
    // A `tls {}` with nothing in it is taken by nats-server, and means nothing.
    tls->use = member->value.first ? TLS_OPTIONS_ON : tls->use;
    tls->where = config_reader_where(reader, member->place);
    int error = config_reader_apply(reader, &config_tls_block, &member->value, tls);
    const char *wrong = error || !member->value.first ? NULL : tls_options_check(tls);
    return wrong ? config_reader_fail(reader, member->place, "%s", wrong) : error;
}

static int read_no_auth_user(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const char *name;
    int error = config_reader_string(reader, member, &name);
    if (!error)
        auth_builder_set_no_auth_user(reader->config->builder, member->value.text,
                                      config_reader_mark(reader, member->value.place));
    return error;
}

static int read_system_account(struct config_reader *reader, const struct conf_member *member, void *target)
{
    const char *name;
    int error = config_reader_string(reader, member, &name);
    if (!error)
        auth_builder_set_system_account(reader->config->builder, member->value.text,
                                        config_reader_mark(reader, member->value.place));
    return error;
}

static int read_no_system_account(struct config_reader *reader, const struct conf_member *member, void *target)
{
    bool none;
    int error = config_reader_bool(reader, member, &none);
    if (!error && none)
        auth_builder_set_system_account(reader->config->builder, BYTES(""), 0);
    return error;
}
