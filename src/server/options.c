// SPDX-License-Identifier: Apache-2.0
#include "server/options.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/number.h"
#include "broker/uplink.h"
#include "server/options_internal.h"
#include "server/units.h"
#include "subject/subject.h"

#define DISCOVER_PREFIX_MAX 128

static void resolve(struct options *options);
static int check_cluster_id(const char *id, char *message);
static bool find_wrong_nats(const struct options *options, char message[OPTIONS_MESSAGE_SIZE]);

void options_default(struct options *options, enum options_persona persona)
{
    *options = (struct options){
        .persona = persona,
        .streaming = persona != OPTIONS_NATS_SERVER,
        .host = "0.0.0.0",
        .port = 4222,
        .directory = persona == OPTIONS_NATS_SERVER ? NULL : "./data",
        .cluster_id = "test-cluster",
        .discover_prefix = "_STAN.discover",
        .store = persona == OPTIONS_WEIR ? OPTIONS_STORE_FILE : OPTIONS_STORE_MEMORY,
        .import_encrypted = true,
        .sync = OPTIONS_SYNC_ALWAYS,
        .file_sync = true,
        .sync_interval_ns = SECOND,
        .log_bytes = 512 * MIB,
        .memory_bytes = GIB,
        .max_payload = MIB,
        .max_control_line = 4096,
        .max_pending = 64 * MIB,
        .max_connections = 65536,
        .max_closed = 10000,
        .ping_interval_ns = 120 * SECOND,
        .ping_max = 2,
        .write_deadline_ns = 10 * SECOND,
        .max_channels = 100,
        .heartbeat_interval_ns = 30 * SECOND,
        .heartbeat_timeout_ns = 10 * SECOND,
        .heartbeat_fail_count = 10,
        .max_ids = 20000000,
        .max_parked = 100000,
        .log_level = LOG_INFO,
        .log_time = true,
        .lame_duck_duration_ns = 120 * SECOND,
        .lame_duck_grace_ns = 10 * SECOND,
    };
    channel_limits_default(&options->channel);
    tls_options_default(&options->tls);
}

int options_parse(struct options *options, int count, char *const *arguments, char ret_message[OPTIONS_MESSAGE_SIZE])
{
    int used;
    size_t flag_count;
    const struct flag *flags = options_flags(options->persona, &flag_count);
    int error = flag_parse(flags, flag_count, options, count, arguments, &used, ret_message, OPTIONS_MESSAGE_SIZE);
    if (error)
        return error;
    if (options->help || options->help_tls || options->version)
        return 0;
    if (used < count) {
        snprintf(ret_message, OPTIONS_MESSAGE_SIZE, "unrecognized command: \"%.100s\" is not a flag", arguments[used]);
        return ERR_INVALID;
    }
    resolve(options);
    // Files may complete what is missing: who reads them checks then.
    if (options->config_file || options->streaming_config_file)
        return 0;
    return options_check(options, ret_message);
}

int options_check(const struct options *options, char ret_message[OPTIONS_MESSAGE_SIZE])
{
    const char *wrong = NULL;
    char elsewhere[OPTIONS_MESSAGE_SIZE];
    char host[OPTIONS_HOST_SIZE];
    uint16_t port;
    if (options->store == OPTIONS_STORE_SQL)
        wrong = "SQL stores are not served: -st is one of file,memory; `weir bridge` copies what a running server has "
                "in one";
    else if (options->jetstream)
        wrong = "-js: JetStream is not served yet; leave it out, or run with -js=false";
    else if (options->nats.url && find_wrong_nats(options, elsewhere))
        wrong = elsewhere;
    else if (strlen(options->discover_prefix) > DISCOVER_PREFIX_MAX ||
             !subject_is_valid_publish(bytes_from_string(options->discover_prefix)))
        wrong = "discover_prefix: a subject without wildcards, of at most 128 bytes, is expected";
    else if (options->https_port != 0 && options->http_port != 0)
        wrong = "-m and -ms: monitoring is served over HTTP or over HTTPS, not both";
    else if (options->https_port != 0 && !tls_options_is_on(&options->tls))
        wrong = "-ms: HTTPS needs a certificate and its key: --tlscert, --tlskey";
    else if (tls_options_check(&options->tls))
        wrong = tls_options_check(&options->tls);
    else if (options->port > 0 && options->port == options->https_port)
        wrong = "-p and -ms are the same port: clients and monitoring need a port each";
    else if (options->port > 0 && options->port == options->http_port)
        wrong = "-p and -m are the same port: clients and monitoring need a port each";
    else if (options->max_pending < options->max_payload)
        wrong = "-max_pending is less than -max_payload: no reader could be sent such a message";
    else if (options->streaming && options->store == OPTIONS_STORE_FILE && !options->directory)
        wrong = "for FILE stores, root directory must be specified: -dir";
    else if (options->import_source && (!options->streaming || options->store != OPTIONS_STORE_FILE))
        wrong = "-import moves into files: -st file and -dir";
    else if ((options->import_key_file || !options->import_encrypted) && !options->import_source)
        wrong = "-import_key_file and -import_encrypted are about what -import names, and it is not there";
    else if (options->import_key_file && !options->import_encrypted)
        wrong = "-import_key_file: a store that is not encrypted has no key";
    else if (options->encryption_old_key_file && !options_encrypts(options))
        wrong = "-encryption_old_key_file: there is no new key: -encrypt and -encryption_key_file";
    else if (options_advertised(options, 0, host, &port))
        wrong = "-client_advertise: HOST, HOST:PORT or [IPV6]:PORT is expected";
    else if (options->check_config && !options->config_file && !options->streaming_config_file)
        wrong = "must specify [-c, --config] option to check configuration file syntax";
    else if (options->lame_duck_grace_ns >= options->lame_duck_duration_ns)
        wrong = "-lame_duck_grace_period must be less than -lame_duck_duration";
    else
        return check_cluster_id(options->cluster_id, ret_message);
    snprintf(ret_message, OPTIONS_MESSAGE_SIZE, "%s", wrong);
    return ERR_INVALID;
}

int options_advertised(const struct options *options, uint16_t port, char ret_host[OPTIONS_HOST_SIZE],
                       uint16_t *ret_port)
{
    struct bytes host = bytes_from_string(options->client_advertise ? options->client_advertise : options->host);
    const char *colon = options->client_advertise ? memrchr(host.ptr, ':', host.len) : NULL;
    const char *bracket = host.len > 0 && host.ptr[0] == '[' ? memchr(host.ptr, ']', host.len) : NULL;
    uint64_t number = port;
    if (colon && (bracket ? colon == bracket + 1 : memchr(host.ptr, ':', host.len) == colon)) {
        struct bytes digits = bytes_skip(host, (size_t)(colon - host.ptr) + 1);
        if (number_parse_u64(digits, UINT16_MAX, &number) != 0)
            return ERR_INVALID;
        host.len = (size_t)(colon - host.ptr);
    }
    if (bracket)
        host = bytes_make(host.ptr + 1, (size_t)(bracket - host.ptr) - 1);
    if (host.len == 0 || host.len >= OPTIONS_HOST_SIZE)
        return ERR_INVALID;
    memcpy(ret_host, host.ptr, host.len);
    ret_host[host.len] = '\0';
    *ret_port = number > 0 ? (uint16_t)number : port;
    return 0;
}

bool options_help(size_t index, char *ret_line, size_t size)
{
    size_t count;
    const struct flag *flags = options_flags(OPTIONS_WEIR, &count);
    for (size_t i = 0; i < count; i++) {
        if (flag_help(&flags[i], ret_line, size) && index-- == 0)
            return true;
    }
    return false;
}

bool options_nats_is_idle(const struct options_nats *nats)
{
    const char *const texts[] = {nats->credentials_file, nats->user,      nats->password, nats->token,
                                 nats->nkey_seed_file,   nats->cert_file, nats->key_file, nats->ca_file,
                                 nats->server_name};
    bool said = nats->secure || nats->skip_verify;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        said |= texts[i] != NULL;
    return said && !nats->url;
}

const char *options_store_name(const struct options *options)
{
    return options->store == OPTIONS_STORE_FILE ? "FILE" : "MEMORY";
}

enum log_level options_log_level(const struct options *options)
{
    enum log_level level = options->log_level;
    if (options->debug || level < LOG_DEBUG)
        return LOG_DEBUG;
    return level;
}

bool options_log_trace(const struct options *options)
{
    return options->trace || options->log_level == LOG_TRACE;
}

bool options_encrypts(const struct options *options)
{
    return options->encrypt || options->encryption_key || options->encryption_key_file;
}

const char *options_cipher_name(const struct options *options)
{
    static const char *const names[] = {"AES-256-GCM", "ChaCha20-Poly1305", "none"};
    return names[options->encryption_cipher];
}

const char *options_sync_name(const struct options *options)
{
    static const char *const names[] = {"always", "interval", "never"};
    return names[options->sync];
}

// Flags that stand for several, and nats-server's port 0, which is the default one.
static void resolve(struct options *options)
{
    options->debug |= options->debug_and_trace || options->debug_and_verbose;
    options->trace |= options->debug_and_trace || options->debug_and_verbose || options->trace_verbose;
    options->trace_verbose |= options->debug_and_verbose;
    if (!options->file_sync)
        options->sync = OPTIONS_SYNC_NEVER;
    if (options->port == 0)
        options->port = 4222;
}

// It is part of subjects and client ids, and kept in every log file's header.
static int check_cluster_id(const char *id, char *message)
{
    size_t len = strlen(id);
    bool fine = len <= 128;
    for (size_t i = 0; i < len && fine; i++) {
        char c = id[i];
        fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (fine)
        return 0;
    snprintf(message, OPTIONS_MESSAGE_SIZE, "-cluster_id: at most 128 letters, digits, - and _; not \"%.100s\"", id);
    return ERR_INVALID;
}

// ST-C06…C08. False: nothing is wrong.
static bool find_wrong_nats(const struct options *options, char message[OPTIONS_MESSAGE_SIZE])
{
    const struct options_nats *nats = &options->nats;
    char why[UPLINK_MESSAGE_SIZE];
    if (!options->streaming)
        snprintf(message, OPTIONS_MESSAGE_SIZE, "-ns: there is nothing to serve there without NATS Streaming");
    else if (nats->credentials_file)
        snprintf(message, OPTIONS_MESSAGE_SIZE,
                 "credentials: files with JWT are not understood yet; use nkey_seed_file, a user or a token");
    else if (!nats->cert_file != !nats->key_file)
        snprintf(message, OPTIONS_MESSAGE_SIZE, "-tls_client_cert and -tls_client_key belong together");
    else if (uplink_check(nats->url, why))
        snprintf(message, OPTIONS_MESSAGE_SIZE, "-ns (nats_server): %s", why);
    else
        return false;
    return true;
}
