// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_reload.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "cmd/config_source.h"
#include "cmd/serve_start.h"

#define FAILED "Failed to reload server configuration: "

static int read_again(const struct serve_reload *reload, const struct config *running, struct config *fresh,
                      struct config_changes *ret_changes);
static int apply_fallible(const struct serve_reload *reload, const struct config *running, const struct config *fresh,
                          const struct config_changes *changes);
static void take_back(const struct serve_reload *reload, const struct config *running, bool has_tls, bool has_log);
static void read_certificates(const struct serve_reload *reload, const struct config *running);
static void refuse(const struct serve_reload *reload, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct config *serve_reload(const struct serve_reload *reload, const struct config *running)
{
    const struct logger *logger = &reload->log->logger;
    if (!running->options.config_file && !running->options.streaming_config_file) {
        read_certificates(reload, running);
        return NULL;
    }
    struct config *fresh = mem_alloc_zero(sizeof(*fresh));
    struct config_changes *changes = mem_alloc_zero(sizeof(*changes));
    int error = read_again(reload, running, fresh, changes);
    if (!error)
        error = apply_fallible(reload, running, fresh, changes);
    if (error) {
        mem_free(changes);
        config_deinit(fresh);
        mem_free(fresh);
        return NULL;
    }
    for (size_t i = 0; i < fresh->warning_count; i++)
        logger_write(logger, LOG_WARN, "%s", fresh->warnings[i]);
    uint32_t closed = node_reload(reload->node, &fresh->options);
    for (size_t i = 0; i < changes->count; i++)
        logger_write(logger, LOG_INFO, "Reloaded: %s", changes->lines[i].text);
    if (closed > 0)
        logger_write(logger, LOG_INFO, "Closed %u connections to fall within max_connections", closed);
    logger_write(logger, LOG_INFO, "Reloaded server configuration");
    mem_free(changes);
    return fresh;
}

static int read_again(const struct serve_reload *reload, const struct config *running, struct config *fresh,
                      struct config_changes *ret_changes)
{
    char message[CONFIG_MESSAGE_SIZE];
    int error = config_source_read(fresh, reload->persona, reload->count, reload->arguments, message);
    if (!error)
        error = config_compare(running, fresh, ret_changes, message);
    if (error)
        refuse(reload, "%s", message);
    return error;
}

// What can fail, the likeliest first; whatever was done before is taken back.
static int apply_fallible(const struct serve_reload *reload, const struct config *running, const struct config *fresh,
                          const struct config_changes *changes)
{
    const struct logger *logger = &reload->log->logger;
    bool has_tls = changes->tls || fresh->websocket.on;
    char message[SERVE_TLS_MESSAGE_SIZE];
    int error = has_tls ? serve_tls_reload(reload->tls, fresh, logger, message) : 0;
    if (error) {
        refuse(reload, "%s", message);
        return error;
    }
    error = changes->log ? serve_configure_log(reload->log, &fresh->options) : 0;
    if (error) {
        char text[512];
        refuse(reload, "%s", serve_explain_log(&fresh->options, error, text, sizeof(text)));
        take_back(reload, running, has_tls, false);
        return error;
    }
    error = changes->auth ? node_auth_replace(reload->node, fresh->auth) : 0;
    if (error) {
        take_back(reload, running, has_tls, changes->log);
        refuse(reload, "accounts and users stay what they were: %s", error_text(error));
    }
    return error;
}

static void take_back(const struct serve_reload *reload, const struct config *running, bool has_tls, bool has_log)
{
    const struct logger *logger = &reload->log->logger;
    if (has_log && serve_configure_log(reload->log, &running->options))
        logger_write(logger, LOG_ERROR, "The log cannot go back to where it was, and stays here");
    char message[SERVE_TLS_MESSAGE_SIZE];
    if (has_tls && serve_tls_reload(reload->tls, running, logger, message))
        logger_write(logger, LOG_ERROR, "The certificates of before cannot be read any more; the new ones stay: %s",
                     message);
}

// Without a file there is nothing to read again but what flags name.
static void read_certificates(const struct serve_reload *reload, const struct config *running)
{
    const struct logger *logger = &reload->log->logger;
    char message[SERVE_TLS_MESSAGE_SIZE];
    if (!tls_options_is_on(&running->options.tls))
        refuse(reload, "can only reload config when a file is provided using -c or --config");
    else if (serve_tls_reload(reload->tls, running, logger, message))
        refuse(reload, "the certificates stay what they were: %s", message);
    else
        logger_write(logger, LOG_INFO, "Reloaded: tls = enabled");
}

static void refuse(const struct serve_reload *reload, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reload->message, MONITOR_RELOAD_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    logger_write(&reload->log->logger, LOG_ERROR, FAILED "%s", reload->message);
}
