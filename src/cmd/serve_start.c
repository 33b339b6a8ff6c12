// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_start.h"

#include <stdio.h>
#include <string.h>

#include "cmd/config_source.h"
#include "cmd/encryption.h"
#include "cmd/persona.h"
#include "cmd/serve_files.h"
#include "cmd/serve_tls.h"
#include "cmd/serve_uplink.h"
#include "cmd/signal_process.h"
#include "wire/info.h"

// What -t says, in nats-server's words. The exit code.
static int check_config(const char *name, const struct config *config);
static bool find_unusable(const struct config *config, char *message, size_t size);
static void announce_ignored(const struct logger *logger, const struct options *options);
static void announce_store(const struct logger *logger, const struct options *options);

bool serve_read_config(enum options_persona persona, int count, char **arguments, struct config *ret_config,
                       int *ret_code)
{
    char message[CONFIG_MESSAGE_SIZE];
    const char *name = persona == OPTIONS_WEIR ? "weir serve" : persona_name(persona);
    int error = config_source_read(ret_config, persona, count, arguments, message);
    const struct options *options = &ret_config->options;
    *ret_code = 0;
    if (error) {
        fprintf(stderr, "%s: %s\n", name, message);
        *ret_code = options->config_file || options->streaming_config_file ? 1 : 2;
    } else if (options->help) {
        persona_print_help(persona);
    } else if (options->help_tls) {
        serve_tls_help();
    } else if (options->version) {
        persona_print_version(persona);
    } else if (options->signal) {
        *ret_code = signal_process(persona_name(persona), options->signal);
    } else if (options->check_config) {
        *ret_code = check_config(name, ret_config);
    } else {
        return true;
    }
    config_deinit(ret_config);
    return false;
}

void serve_announce_websocket(const struct logger *logger, const struct websocket_config *websocket, unsigned port)
{
    char host[SERVE_HOST_SIZE];
    if (websocket->no_tls)
        logger_write(logger, LOG_WARN, "Websocket not configured with TLS. DO NOT USE IN PRODUCTION!");
    logger_write(logger, LOG_INFO, "Listening for websocket clients on %s://%s:%u", websocket->no_tls ? "ws" : "wss",
                 serve_format_host(websocket->host, host), port);
}

const char *serve_format_host(const char *host, char text[SERVE_HOST_SIZE])
{
    bool is_bare_v6 = host[0] != '[' && strchr(host, ':');
    snprintf(text, SERVE_HOST_SIZE, is_bare_v6 ? "[%s]" : "%s", host);
    return text;
}

int serve_configure_log(struct server_log *log, const struct options *options)
{
    int error = server_log_configure(log, &(struct server_log_config){
                                              .file = options->log_file,
                                              .remote_syslog = options->remote_syslog,
                                              .tag = persona_name(options->persona),
                                              .file_size_limit = options->log_size_limit,
                                              .file_max = options->log_max_files,
                                              .syslog = options->syslog,
                                              .style = {.json = options->log_format == OPTIONS_LOG_JSON,
                                                        .time = options->log_time,
                                                        .time_utc = options->log_time_utc},
                                          });
    if (!error)
        logger_set(&log->logger, options_log_level(options), options_log_trace(options));
    return error;
}

const char *serve_explain_log(const struct options *options, int error, char *text, size_t size)
{
    if (options->log_file)
        snprintf(text, size, "cannot log to %s: %s", options->log_file, error_text(error));
    else
        snprintf(text, size, "cannot log to %s: %s; udp://HOST:PORT is expected",
                 options->remote_syslog ? options->remote_syslog : "syslog", error_text(error));
    return text;
}

void serve_announce_start(const struct logger *logger, const struct config *config, const char *server_id)
{
    const struct options *options = &config->options;
    if (options->persona == OPTIONS_NATS_STREAMING)
        logger_write(logger, LOG_INFO, "STREAM: Starting nats-streaming-server[%s] version %s", options->cluster_id,
                     PERSONA_STREAMING_VERSION);
    if (options->persona == OPTIONS_WEIR) {
        logger_write(logger, LOG_INFO, "Weir %s starts", WEIR_VERSION);
    } else {
        logger_write(logger, LOG_INFO, "Starting nats-server");
        logger_write(logger, LOG_INFO, "  Version:  %s", INFO_NATS_VERSION);
        logger_write(logger, LOG_INFO, "  Weir:     %s", WEIR_VERSION);
        logger_write(logger, LOG_INFO, "  Name:     %s", options->server_name ? options->server_name : server_id);
        logger_write(logger, LOG_INFO, "  ID:       %s", server_id);
    }
    if (auth_config_view(config->auth)->has_plain_passwords)
        logger_write(logger, LOG_WARN, "Plaintext passwords detected, use nkeys or bcrypt");
    if (options->config_file)
        logger_write(logger, LOG_INFO, "Using configuration file: %s", options->config_file);
    for (size_t i = 0; i < config->warning_count; i++)
        logger_write(logger, LOG_WARN, "%s", config->warnings[i]);
    announce_ignored(logger, options);
}

void serve_announce_ready(const struct logger *logger, const struct options *options, const char *server_id,
                          unsigned port, unsigned http_port)
{
    char host[SERVE_HOST_SIZE], http_host[SERVE_HOST_SIZE];
    serve_format_host(options->host, host);
    serve_format_host(options->http_host ? options->http_host : options->host, http_host);
    if (options->streaming)
        announce_store(logger, options);
    if (options->persona == OPTIONS_WEIR) {
        if (http_port != 0)
            logger_write(logger, LOG_INFO, "Monitoring on %s://%s:%u/", options->https_port ? "https" : "http",
                         http_host, http_port);
        logger_write(logger, LOG_INFO, "Server id %s, cluster id %s", server_id, options->cluster_id);
    }
    if (tls_options_is_on(&options->tls) && !options->nats.url)
        logger_write(logger, LOG_INFO, "TLS %s for client connections",
                     options->tls.allow_plain ? "possible" : "required");
    if (!options->nats.url)
        logger_write(logger, LOG_INFO, "Listening for client connections on %s:%u", host, port);
    logger_write(logger, LOG_INFO, "Server is ready");
    if (options->persona == OPTIONS_NATS_STREAMING)
        logger_write(logger, LOG_INFO, "STREAM: Streaming Server is ready");
    else if (options->persona == OPTIONS_WEIR && !options->streaming)
        logger_write(logger, LOG_INFO, "Ready for clients on %s:%u, no NATS Streaming", host, port);
    else if (options->persona == OPTIONS_WEIR && options->nats.url)
        logger_write(logger, LOG_INFO, "Ready for clients of another NATS server, store %s",
                     options_store_name(options));
    else if (options->persona == OPTIONS_WEIR && options->store == OPTIONS_STORE_MEMORY)
        logger_write(logger, LOG_INFO, "Ready for clients on %s:%u, store MEMORY", host, port);
    else if (options->persona == OPTIONS_WEIR)
        logger_write(logger, LOG_INFO, "Ready for clients on %s:%u, store FILE in %s, sync %s", host, port,
                     options->directory, options_sync_name(options));
}

static int check_config(const char *name, const struct config *config)
{
    char message[SERVE_TLS_MESSAGE_SIZE];
    if (find_unusable(config, message, sizeof(message))) {
        fprintf(stderr, "%s: %s\n", name, message);
        return 1;
    }
    for (size_t i = 0; i < config->warning_count; i++)
        fprintf(stderr, "%s\n", config->warnings[i]);
    const struct options *options = &config->options;
    const char *path = options->config_file ? options->config_file : options->streaming_config_file;
    fprintf(stderr, "%s: configuration file %s is valid (%s)\n", persona_name(options->persona), path, config->digest);
    return 0;
}

// Files that a start would stumble over, in its words. Nothing is created.
static bool find_unusable(const struct config *config, char *message, size_t size)
{
    const struct options *options = &config->options;
    int error = options->log_file ? serve_files_check_append(options->log_file) : 0;
    if (error) {
        serve_explain_log(options, error, message, size);
        return true;
    }
    error = options->pid_file ? serve_files_check_replace(options->pid_file) : 0;
    if (error) {
        snprintf(message, size, "Could not write pidfile: %s: %s", options->pid_file, error_text(error));
        return true;
    }
    if (options->streaming && options->store == OPTIONS_STORE_FILE && encryption_check(options, message))
        return true;
    if (options->nats.url && serve_uplink_check(&options->nats, message))
        return true;
    return serve_tls_check(config, message) != 0;
}

static void announce_ignored(const struct logger *logger, const struct options *options)
{
    for (uint32_t i = 0; i < options->ignored.count; i++)
        logger_write(logger, LOG_WARN, "-%s has no effect here", options->ignored.names[i]);
    if (options_nats_is_idle(&options->nats))
        logger_write(
            logger, LOG_WARN,
            "user, password, token, credentials and TLS of a client have no effect: they are for a NATS server "
            "elsewhere (-ns)");
}

static void announce_store(const struct logger *logger, const struct options *options)
{
    if (options->persona == OPTIONS_NATS_STREAMING)
        logger_write(logger, LOG_INFO, "STREAM: Message store is %s", options_store_name(options));
    if (options->store == OPTIONS_STORE_MEMORY)
        logger_write(logger, LOG_WARN,
                     "messages are kept in memory only (--store memory): they are gone when the server is%s",
                     options_encrypts(options) ? "; there is nothing to encrypt" : "");
    else if (options->sync != OPTIONS_SYNC_ALWAYS)
        logger_write(logger, LOG_WARN,
                     "--sync %s%s: a crash of the machine can lose acknowledged messages; only `always` prevents that",
                     options_sync_name(options), options->file_sync ? "" : " (file_sync is false)");
}
