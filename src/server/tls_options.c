// SPDX-License-Identifier: Apache-2.0
#include "server/tls_options.h"

#include "base/number.h"
#include "server/units.h"

// A name in the configuration, and what the TLS library calls it; NULL: known but refused.
struct tls_options_name {
    const char *name;
    const char *canonical;
};

static const struct tls_options_name suites[] = {
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
    {"TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
    {"TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", NULL},
    {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", NULL},
    {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", NULL},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", NULL},
    {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", NULL},
    {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", NULL},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", NULL},
    {"TLS_RSA_WITH_AES_128_CBC_SHA256", NULL},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", NULL},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", NULL},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", NULL},
    {"TLS_RSA_WITH_RC4_128_SHA", NULL},
};

static const struct tls_options_name curves[] = {
    {"X25519", "X25519"},   {"CurveP256", "P-256"},   {"CurveP384", "P-384"},
    {"CurveP521", "P-521"}, {"X25519MLKEM768", NULL},
};

static int find_name(const struct tls_options_name *names, size_t count, struct bytes name, const char **ret_canonical);

void tls_options_default(struct tls_options *options)
{
    *options = (struct tls_options){
        .fallback_ns = 50 * MS,
        .timeout_ns = 2 * SECOND,
        .min_version = 12,
    };
}

bool tls_options_is_on(const struct tls_options *options)
{
    if (options->use != TLS_OPTIONS_UNSET)
        return options->use == TLS_OPTIONS_ON;
    return options->cert_file || options->key_file || options->ca_file || options->verify || options->verify_and_map;
}

int tls_options_add_suite(struct tls_options *options, struct bytes name)
{
    const char *canonical;
    int error = find_name(suites, sizeof(suites) / sizeof(suites[0]), name, &canonical);
    if (!error && options->suite_count == TLS_OPTIONS_SUITES_MAX)
        error = ERR_LIMIT;
    if (!error)
        options->suites[options->suite_count++] = canonical;
    return error;
}

int tls_options_add_curve(struct tls_options *options, struct bytes name)
{
    const char *canonical;
    int error = find_name(curves, sizeof(curves) / sizeof(curves[0]), name, &canonical);
    if (!error && options->curve_count == TLS_OPTIONS_CURVES_MAX)
        error = ERR_LIMIT;
    if (!error)
        options->curves[options->curve_count++] = canonical;
    return error;
}

int tls_options_read_pin(struct bytes text, uint8_t ret_pin[TLS_OPTIONS_PIN_SIZE])
{
    if (text.len != 2 * TLS_OPTIONS_PIN_SIZE)
        return ERR_INVALID;
    uint8_t pin[TLS_OPTIONS_PIN_SIZE];
    for (size_t i = 0; i < TLS_OPTIONS_PIN_SIZE; i++) {
        int high = number_hex_digit(text.ptr[2 * i]);
        int low = number_hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return ERR_INVALID;
        pin[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_pin, pin, sizeof(pin));
    return 0;
}

const char *tls_options_check(const struct tls_options *options)
{
    if (!tls_options_is_on(options))
        return options->allow_plain ? "allow_non_tls is set, but there is no TLS to do without" : NULL;
    if (!options->cert_file)
        return "TLS needs the server's certificate: cert_file in the tls block, or --tlscert FILE";
    if (!options->key_file)
        return "TLS needs the key of the server's certificate: key_file in the tls block, or --tlskey FILE";
    if (options->pins_configured && !options->verify && !options->verify_and_map)
        return "pinned_certs are certificates of clients: they need verify in the tls block";
    if (options->min_version != 12 && options->min_version != 13)
        return "min_version is \"1.2\" or \"1.3\"; older ones are not safe";
    return NULL;
}

static int find_name(const struct tls_options_name *names, size_t count, struct bytes name, const char **ret_canonical)
{
    for (size_t i = 0; i < count; i++) {
        if (!bytes_equal(bytes_from_string(names[i].name), name))
            continue;
        if (!names[i].canonical)
            return ERR_UNSUPPORTED;
        *ret_canonical = names[i].canonical;
        return 0;
    }
    return ERR_NOT_FOUND;
}
