// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_tls.h"

#include <stdio.h>
#include <time.h>

// Days before its end at which a certificate is worth a warning.
#define SERVE_TLS_WARN_DAYS 14

static void make_empty(struct serve_tls *tls);
static int load(struct tls *tls, const struct tls_options *options, bool may_verify, const struct logger *logger,
                char *message);
static void warn_of_the_end(struct tls *tls, const char *cert_file, const struct logger *logger);

int serve_tls_start(struct serve_tls *tls, const struct config *config, const struct logger *logger,
                    char ret_message[SERVE_TLS_MESSAGE_SIZE])
{
    make_empty(tls);
    int error = serve_tls_reload(tls, config, logger, ret_message);
    if (error)
        serve_tls_stop(tls);
    return error;
}

// All or nothing: what is broken for one listener leaves the others as they are, too.
int serve_tls_reload(struct serve_tls *tls, const struct config *config, const struct logger *logger,
                     char ret_message[SERVE_TLS_MESSAGE_SIZE])
{
    const struct tls_options *options = tls_options_is_on(&config->options.tls) ? &config->options.tls : NULL;
    const struct websocket_config *websocket = &config->websocket;
    struct serve_tls fresh;
    make_empty(&fresh);
    int error = load(fresh.clients.tls, options, true, logger, ret_message);
    if (!error)
        error = load(fresh.monitoring.tls, options, false, logger, ret_message);
    if (!error && websocket->on && !websocket->no_tls)
        error = load(fresh.websocket.tls, &websocket->tls, true, logger, ret_message);
    if (!error) {
        tls_move(tls->clients.tls, fresh.clients.tls);
        tls_move(tls->monitoring.tls, fresh.monitoring.tls);
        tls_move(tls->websocket.tls, fresh.websocket.tls);
    }
    serve_tls_stop(&fresh);
    return error;
}

int serve_tls_check(const struct config *config, char ret_message[SERVE_TLS_MESSAGE_SIZE])
{
    struct serve_tls tls;
    int error = serve_tls_start(&tls, config, NULL, ret_message);
    if (!error)
        serve_tls_stop(&tls);
    return error;
}

void serve_tls_stop(struct serve_tls *tls)
{
    tls_unref(tls->clients.tls);
    tls_unref(tls->monitoring.tls);
    tls_unref(tls->websocket.tls);
    *tls = (struct serve_tls){0};
}

void serve_tls_help(void)
{
    puts("TLS: what clients must speak, and monitoring with -ms.\n"
         "\n"
         "    weir --tls --tlscert server.pem --tlskey server.key -ms 8222\n"
         "    weir --tlsverify --tlscert server.pem --tlskey server.key --tlscacert ca.pem\n"
         "\n"
         "Files are PEM; intermediate certificates stand behind the server's in its file; the key has no password. "
         "With --tlsverify\n"
         "clients must show a certificate that somebody in --tlscacert signed (without that flag: somebody the system "
         "trusts).\n"
         "TLS 1.2 and 1.3 are spoken, with forward secrecy.\n"
         "\n"
         "In a configuration file, of which flags change single values:\n"
         "\n"
         "    tls {\n"
         "        cert_file: \"server.pem\"\n"
         "        key_file: \"server.key\"\n"
         "        ca_file: \"ca.pem\"\n"
         "        verify: true               # or verify_and_map: the certificate says which user it is\n"
         "        timeout: 2                 # seconds for the handshake\n"
         "        handshake_first: false     # or true, \"auto\", or how long to wait for the client: \"300ms\"\n"
         "        min_version: \"1.2\"\n"
         "        cipher_suites: [ \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\" ]\n"
         "        curve_preferences: [ \"X25519\", \"CurveP256\" ]\n"
         "        pinned_certs: [ \"hexadecimal SHA-256 of a client's public key\" ]\n"
         "    }\n"
         "    allow_non_tls: false           # true: clients without TLS are served, too\n"
         "\n"
         "SIGHUP reads the files again: for new connections; if one is broken, the old ones stay in use.");
}

static void make_empty(struct serve_tls *tls)
{
    tls->clients = (struct tcp_security){.tls = tls_new()};
    tls->monitoring = (struct tcp_security){.tls = tls_new(), .at_once = true};
    tls->websocket = (struct tcp_security){.tls = tls_new(), .at_once = true};
}

// `options` NULL: off. Not every listener asks for certificates, though the block says so.
static int load(struct tls *tls, const struct tls_options *options, bool may_verify, const struct logger *logger,
                char *message)
{
    if (!options)
        return 0;
    bool verify = may_verify && (options->verify || options->verify_and_map);
    struct tls_config config = {
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .ca_file = options->ca_file,
        .verify = verify,
        .has_pins = verify && options->pins_configured,
        .min_version = (int)options->min_version,
        .suites = options->suites,
        .suite_count = options->suite_count,
        .curves = options->curves,
        .curve_count = options->curve_count,
        .pins = options->pins,
        .pin_count = options->pin_count,
    };
    char text[TLS_MESSAGE_SIZE];
    int error = tls_load(tls, &config, text);
    if (error)
        snprintf(message, SERVE_TLS_MESSAGE_SIZE, "%s%stls: %s", options->where ? options->where : "",
                 options->where ? ": " : "", text);
    else if (may_verify && logger)
        warn_of_the_end(tls, options->cert_file, logger);
    return error;
}

static void warn_of_the_end(struct tls *tls, const char *cert_file, const struct logger *logger)
{
    int64_t left_s = tls_not_after(tls) - (int64_t)time(NULL);
    if (left_s <= 0)
        logger_write(logger, LOG_WARN, "TLS: the certificate in %s has expired; clients will refuse it", cert_file);
    else if (left_s < SERVE_TLS_WARN_DAYS * 86400)
        logger_write(logger, LOG_WARN, "TLS: the certificate in %s expires in %d days", cert_file,
                     (int)(left_s / 86400));
}
