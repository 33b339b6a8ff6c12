// SPDX-License-Identifier: Apache-2.0
// A `tls` block (CO-S01), of the server or of a listener of its own.
#include <strings.h>

#include "base/error.h"
#include "server/config_blocks.h"
#include "server/config_reader.h"
#include "server/tls_options.h"

#define AT(field) offsetof(struct tls_options, field)

#define NO_STORE "certificates come from files: cert_file and key_file"

typedef int (*add_name)(struct tls_options *options, struct bytes name);

static int read_verify_and_map(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_first(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_version(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_suites(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_curves(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_names(struct config_reader *reader, const struct conf_member *member, struct tls_options *options,
                      add_name add);
static int read_pins(struct config_reader *reader, const struct conf_member *member, void *target);
static int read_off(struct config_reader *reader, const struct conf_member *member, void *target);

static const struct config_key keys[] = {
    CONFIG_KEY("cert_file", CONFIG_STRING, AT(cert_file), 0, 0, CONFIG_RELOAD_NEW, NULL,
               "PEM: the certificate, and behind it the chain"),
    CONFIG_KEY("key_file", CONFIG_STRING, AT(key_file), 0, 0, CONFIG_RELOAD_NEW, NULL, "PEM: its private key"),
    CONFIG_KEY("ca_file", CONFIG_STRING, AT(ca_file), 0, 0, CONFIG_RELOAD_NEW, "the system's",
               "PEM: who signs the certificates of clients"),
    CONFIG_KEY("verify", CONFIG_BOOL, AT(verify), 0, 0, CONFIG_RELOAD_NEW, "false", "clients must show a certificate"),
    CONFIG_OWN("verify_and_map", "true or false", 0, read_verify_and_map, CONFIG_RELOAD_NEW, "false",
               "and it says which user they are"),
    CONFIG_OWN("handshake_first,first,immediate", "true, false, \"auto\" or a duration", 0, read_first,
               CONFIG_RELOAD_NEW, "false",
               "the TLS handshake comes before INFO; with a duration only if the client begins it in time"),
    CONFIG_KEY("timeout", CONFIG_SECONDS, AT(timeout_ns), 0, 0, CONFIG_RELOAD_NEW, "2", "for the handshake"),
    CONFIG_KEY("connection_rate_limit", CONFIG_COUNT, AT(rate_limit), 0, 0, CONFIG_RELOAD_NEW, "0: any number",
               "handshakes a second, beyond which clients are sent away"),
    CONFIG_OWN("min_version,minimum_version", "\"1.2\" or \"1.3\"", AT(min_version), read_version, CONFIG_RELOAD_NEW,
               "1.2", "of TLS"),
    CONFIG_OWN("cipher_suites", "an array of names", 0, read_suites, CONFIG_RELOAD_NEW, "the TLS library's",
               "as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`"),
    CONFIG_OWN("curve_preferences", "an array of names", 0, read_curves, CONFIG_RELOAD_NEW, "the TLS library's",
               "`X25519`, `CurveP256`, `CurveP384`, `CurveP521`"),
    CONFIG_OWN("pinned_certs", "an array of strings", 0, read_pins, CONFIG_RELOAD_NEW, NULL,
               "SHA-256 in hexadecimal of the public keys that clients may have"),
    CONFIG_NO_EFFECT("insecure", "it is about connections that the server makes"),
    CONFIG_OWN("allow_insecure_cipher_suites", "false", 0, read_off, CONFIG_RELOAD_NO, "false",
               "insecure cipher suites are not served"),
    CONFIG_NOT_SERVED("verify_cert_and_check_known_urls", "it is about other servers of a cluster"),
    CONFIG_NOT_SERVED("certificates,certs", "one certificate is served: cert_file and key_file"),
    CONFIG_NOT_SERVED("cert_store,cert_match,cert_match_by,cert_match_skip_invalid,ca_certs_match", NO_STORE),
    CONFIG_NOT_SERVED("ocsp_peer", "OCSP is not served; leave it out"),
};

const struct config_block config_tls_block = CONFIG_BLOCK_OF("tls", keys);

static int read_verify_and_map(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct tls_options *options = target;
    int error = config_reader_bool(reader, member, &options->verify_and_map);
    options->verify |= !error && options->verify_and_map;
    return error;
}

static int read_first(struct config_reader *reader, const struct conf_member *member, void *target)
{
    static const struct {
        const char *word;
        enum tls_options_first first;
    } words[] = {{"off", TLS_OPTIONS_INFO_FIRST},         {"disable", TLS_OPTIONS_INFO_FIRST},
                 {"false", TLS_OPTIONS_INFO_FIRST},       {"on", TLS_OPTIONS_HANDSHAKE_FIRST},
                 {"enable", TLS_OPTIONS_HANDSHAKE_FIRST}, {"immediate", TLS_OPTIONS_HANDSHAKE_FIRST},
                 {"true", TLS_OPTIONS_HANDSHAKE_FIRST},   {"auto", TLS_OPTIONS_AUTO},
                 {"auto_fallback", TLS_OPTIONS_AUTO}};
    struct tls_options *options = target;
    const struct conf_value *value = &member->value;
    if (value->type == CONF_BOOL) {
        options->first = value->boolean ? TLS_OPTIONS_HANDSHAKE_FIRST : TLS_OPTIONS_INFO_FIRST;
        return 0;
    }
    for (size_t i = 0; value->type == CONF_STRING && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(words[i].word, value->text.ptr) == 0) {
            options->first = words[i].first;
            return 0;
        }
    }
    options->first = TLS_OPTIONS_AUTO;
    return config_reader_duration(reader, member, &options->fallback_ns);
}

static int read_version(struct config_reader *reader, const struct conf_member *member, void *target)
{
    uint32_t *version = target;
    struct bytes text = member->value.text;
    bool string = member->value.type == CONF_STRING;
    if (string && bytes_equal(text, BYTES("1.2")))
        *version = 12;
    else if (string && bytes_equal(text, BYTES("1.3")))
        *version = 13;
    else
        return config_reader_refuse(reader, member, "\"1.2\" or \"1.3\"");
    return 0;
}

static int read_suites(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return read_names(reader, member, target, tls_options_add_suite);
}

static int read_curves(struct config_reader *reader, const struct conf_member *member, void *target)
{
    return read_names(reader, member, target, tls_options_add_curve);
}

static int read_names(struct config_reader *reader, const struct conf_member *member, struct tls_options *options,
                      add_name add)
{
    if (member->value.type != CONF_ARRAY || member->value.count == 0)
        return config_reader_refuse(reader, member, "an array of names that is not empty");
    for (const struct conf_member *item = member->value.first; item; item = item->next) {
        int error = item->value.type == CONF_STRING ? add(options, item->value.text) : ERR_NOT_FOUND;
        if (error)
            return config_reader_fail(reader, item->value.place, "%.*s: %s", BYTES_ARG(member->name),
                                      error == ERR_UNSUPPORTED ? "this one is not served"
                                      : error == ERR_LIMIT     ? "too many"
                                                               : "there is no such name");
    }
    return 0;
}

static int read_pins(struct config_reader *reader, const struct conf_member *member, void *target)
{
    struct tls_options *options = target;
    struct auth_strings texts;
    if (member->value.type != CONF_ARRAY)
        return config_reader_refuse(reader, member, "an array of strings");
    int error = config_reader_strings(reader, member, &texts);
    if (error)
        return error;
    if (texts.count > TLS_OPTIONS_PINNED_MAX)
        return config_reader_fail(reader, member->place, "pinned_certs: more than %d", TLS_OPTIONS_PINNED_MAX);
    uint8_t(*pins)[TLS_OPTIONS_PIN_SIZE] = config_reader_alloc(reader, (texts.count + 1) * sizeof(*pins));
    const struct conf_member *item = member->value.first;
    for (uint32_t i = 0; i < texts.count; i++, item = item->next) {
        if (tls_options_read_pin(texts.items[i], pins[i]))
            return config_reader_fail(reader, item->value.place,
                                      "pinned_certs: 64 hexadecimal digits are expected here");
    }
    options->pins_configured = true;
    options->pins = (const uint8_t(*)[TLS_OPTIONS_PIN_SIZE])pins;
    options->pin_count = texts.count;
    return 0;
}

static int read_off(struct config_reader *reader, const struct conf_member *member, void *target)
{
    bool on;
    int error = config_reader_bool(reader, member, &on);
    if (!error && on)
        return config_reader_fail(reader, member->place, "%s: insecure cipher suites are not served", member->name.ptr);
    return error;
}
