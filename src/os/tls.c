// SPDX-License-Identifier: Apache-2.0
// OpenSSL's contexts. A lock guards only which context is the current one: it is taken once per handshake.
//
// Sessions are never resumed: their cache or tickets would cost memory per connection, and clients reconnect rarely.
#include "os/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"
#include "os/tls_internal.h"

// Forward secrecy only, authenticated encryption first: what Go's library, and so nats-server, offers for TLS 1.2.
#define TLS_SUITES_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA1:!aNULL"
// As Go's library prefers them; the smaller hash is also less memory per connection.
#define TLS_SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS_CURVES     "X25519:P-256:P-384:P-521"

struct tls_context {
    SSL_CTX *openssl; // owned
    SSL_CTX *settled; // owned, atomic; NULL: not needed yet
    int refs;         // atomic
    int64_t not_after;
    bool has_pins;
    size_t pin_count;
    uint8_t (*pins)[NET_SHA256_SIZE]; // owned
};

struct tls {
    pthread_mutex_t lock;
    struct tls_context *current; // owned reference, under the lock; NULL: not loaded
    int refs;                    // atomic
};

static int load_certificate(SSL_CTX *openssl, const char *cert_file, char *message);
static int load_key(SSL_CTX *openssl, const char *cert_file, const char *key_file, char *message);
static int name_authorities(SSL_CTX *openssl, const char *ca_file, char *message);
static int refuse_authorities(const char *ca_file, char *message);
static int set_allowed(SSL_CTX *openssl, const struct tls_config *config, char *message);
static int set_suites(SSL_CTX *openssl, const struct tls_config *config, char *message);
static void replace(struct tls *tls, struct tls_context *context);
static int no_password(char *buffer, int size, int writing, void *unused);
static int check_readable(const char *what, const char *file, char *message);
static const char *reason(void);

struct tls *tls_new(void)
{
    struct tls *tls = mem_alloc_zero(sizeof(*tls));
    must(pthread_mutex_init(&tls->lock, NULL) == 0);
    tls->refs = 1;
    return tls;
}

struct tls *tls_ref(struct tls *tls)
{
    __atomic_add_fetch(&tls->refs, 1, __ATOMIC_RELAXED);
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || __atomic_sub_fetch(&tls->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    tls_context_unref(tls->current);
    pthread_mutex_destroy(&tls->lock);
    mem_free(tls);
}

int tls_load(struct tls *tls, const struct tls_config *config, char ret_message[TLS_MESSAGE_SIZE])
{
    ERR_clear_error();
    SSL_CTX *openssl = tls_openssl_new(TLS_server_method());
    int error = tls_load_identity(openssl, config->cert_file, config->key_file, ret_message);
    if (!error && config->verify)
        error = tls_load_authorities(openssl, config->ca_file, ret_message);
    if (!error && config->verify && config->ca_file)
        error = name_authorities(openssl, config->ca_file, ret_message);
    if (!error)
        error = set_allowed(openssl, config, ret_message);
    ERR_clear_error();
    if (error) {
        SSL_CTX_free(openssl);
        return error;
    }
    if (config->verify)
        SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    tls_install(tls, openssl, config->pins, config->pin_count, config->has_pins);
    return 0;
}

void tls_move(struct tls *tls, struct tls *from)
{
    struct tls_context *context = tls_context_take(from);
    replace(tls, context);
    replace(from, NULL);
}

void tls_unload(struct tls *tls)
{
    replace(tls, NULL);
}

int64_t tls_not_after(struct tls *tls)
{
    struct tls_context *context = tls_context_take(tls);
    int64_t not_after = context ? context->not_after : 0;
    tls_context_unref(context);
    return not_after;
}

struct tls_context *tls_context_take(struct tls *tls)
{
    must(pthread_mutex_lock(&tls->lock) == 0);
    struct tls_context *context = tls->current;
    if (context)
        __atomic_add_fetch(&context->refs, 1, __ATOMIC_RELAXED);
    must(pthread_mutex_unlock(&tls->lock) == 0);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || __atomic_sub_fetch(&context->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    SSL_CTX_free(context->openssl);
    SSL_CTX_free(context->settled);
    mem_free(context->pins);
    mem_free(context);
}

void *tls_context_openssl(struct tls_context *context)
{
    return context->openssl;
}

void *tls_context_settled(struct tls_context *context, const void *openssl)
{
    SSL_CTX *settled = __atomic_load_n(&context->settled, __ATOMIC_ACQUIRE);
    if (settled)
        return settled;
    SSL_CTX *mine = SSL_CTX_new(SSL_get_ssl_method(openssl));
    must(mine); // else out of memory
    if (__atomic_compare_exchange_n(&context->settled, &settled, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    SSL_CTX_free(mine); // another worker was faster
    return settled;
}

bool tls_context_knows_key(const struct tls_context *context, const uint8_t key_sha256[NET_SHA256_SIZE])
{
    for (size_t i = 0; i < context->pin_count; i++) {
        if (memcmp(context->pins[i], key_sha256, NET_SHA256_SIZE) == 0)
            return true;
    }
    return !context->has_pins;
}

SSL_CTX *tls_openssl_new(const SSL_METHOD *method)
{
    SSL_CTX *openssl = SSL_CTX_new(method);
    must(openssl); // out of memory, or OpenSSL is not usable at all
    SSL_CTX_set_default_passwd_cb(openssl, no_password);
    SSL_CTX_set_options(openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(openssl, SSL_MODE_RELEASE_BUFFERS);
    must(SSL_CTX_set_min_proto_version(openssl, TLS1_2_VERSION) == 1);
    must(SSL_CTX_set1_groups_list(openssl, TLS_CURVES) == 1);
    must(SSL_CTX_set_cipher_list(openssl, TLS_SUITES_1_2) == 1);
    must(SSL_CTX_set_ciphersuites(openssl, TLS_SUITES_1_3) == 1);
    return openssl;
}

int tls_load_identity(SSL_CTX *openssl, const char *cert_file, const char *key_file, char *message)
{
    int error = load_certificate(openssl, cert_file, message);
    return error ? error : load_key(openssl, cert_file, key_file, message);
}

// As with Go's library, a certificate of that file is trusted though it may itself be signed by another.
int tls_load_authorities(SSL_CTX *openssl, const char *ca_file, char *message)
{
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(openssl), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify_depth(openssl, NET_CERTIFICATES_MAX);
    if (!ca_file) {
        if (SSL_CTX_set_default_verify_paths(openssl) == 1)
            return 0;
        snprintf(message, TLS_MESSAGE_SIZE, "the system's certificate authorities are not usable: %s", reason());
        return ERR_INVALID;
    }
    int error = check_readable("CA", ca_file, message);
    if (!error && SSL_CTX_load_verify_file(openssl, ca_file) != 1)
        error = refuse_authorities(ca_file, message);
    return error;
}

void tls_install(struct tls *tls, SSL_CTX *openssl, const uint8_t (*pins)[NET_SHA256_SIZE], size_t pin_count,
                 bool has_pins)
{
    struct tls_context *context = mem_alloc_zero(sizeof(*context));
    context->openssl = openssl;
    SSL_CTX_set_app_data(openssl, context);
    context->refs = 1;
    context->has_pins = has_pins;
    context->pin_count = pin_count;
    if (pin_count > 0)
        context->pins = mem_copy(bytes_make(pins, pin_count * NET_SHA256_SIZE));
    const X509 *certificate = SSL_CTX_get0_certificate(openssl);
    struct tm end;
    if (certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
        context->not_after = timegm(&end);
    replace(tls, context);
}

static int load_certificate(SSL_CTX *openssl, const char *cert_file, char *message)
{
    int error = check_readable("certificate", cert_file, message);
    if (!error && SSL_CTX_use_certificate_chain_file(openssl, cert_file) != 1) {
        snprintf(message, TLS_MESSAGE_SIZE, "the certificate file %s is not usable: %s", cert_file, reason());
        error = ERR_INVALID;
    }
    return error;
}

static int load_key(SSL_CTX *openssl, const char *cert_file, const char *key_file, char *message)
{
    int error = check_readable("key", key_file, message);
    if (error)
        return error;
    if (SSL_CTX_use_PrivateKey_file(openssl, key_file, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(openssl) == 1)
        return 0;
    unsigned long number = ERR_peek_last_error();
    if (ERR_GET_LIB(number) == ERR_LIB_X509 && ERR_GET_REASON(number) == X509_R_KEY_VALUES_MISMATCH)
        snprintf(message, TLS_MESSAGE_SIZE, "the key in %s does not belong to the certificate in %s", key_file,
                 cert_file);
    else
        snprintf(message, TLS_MESSAGE_SIZE, "the key file %s is not usable (a password is not supported): %s", key_file,
                 reason());
    return ERR_INVALID;
}

// Clients with several certificates are told whose are welcome.
static int name_authorities(SSL_CTX *openssl, const char *ca_file, char *message)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca_file);
    if (!names)
        return refuse_authorities(ca_file, message);
    SSL_CTX_set_client_CA_list(openssl, names);
    return 0;
}

static int refuse_authorities(const char *ca_file, char *message)
{
    snprintf(message, TLS_MESSAGE_SIZE, "the CA file %s is not usable: %s", ca_file, reason());
    return ERR_INVALID;
}

static int set_allowed(SSL_CTX *openssl, const struct tls_config *config, char *message)
{
    SSL_CTX_set_min_proto_version(openssl, config->min_version == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_num_tickets(openssl, 0);
    char curves[256] = TLS_CURVES;
    for (size_t i = 0, used = 0; i < config->curve_count && used < sizeof(curves); i++)
        used += (size_t)snprintf(curves + used, sizeof(curves) - used, "%s%s", i ? ":" : "", config->curves[i]);
    if (SSL_CTX_set1_groups_list(openssl, curves) != 1) {
        snprintf(message, TLS_MESSAGE_SIZE, "the curves %s are not usable: %s", curves, reason());
        return ERR_INVALID;
    }
    return set_suites(openssl, config, message);
}

// Those of TLS 1.3 are a list of their own. If only the other list is given, the default of this one stays, as in Go.
static int set_suites(SSL_CTX *openssl, const struct tls_config *config, char *message)
{
    char old[2048] = "", new[256] = "";
    size_t old_used = 0, new_used = 0;
    for (size_t i = 0; i < config->suite_count; i++) {
        const char *name = config->suites[i];
        bool is_new = strncmp(name, "TLS_AES_", 8) == 0 || strncmp(name, "TLS_CHACHA20_", 13) == 0;
        if (is_new && new_used < sizeof(new))
            new_used += (size_t)snprintf(new + new_used, sizeof(new) - new_used, "%s%s", new_used ? ":" : "", name);
        else if (old_used < sizeof(old))
            old_used += (size_t)snprintf(old + old_used, sizeof(old) - old_used, "%s%s", old_used ? ":" : "",
                                         OPENSSL_cipher_name(name));
    }
    if (SSL_CTX_set_cipher_list(openssl, old_used ? old : TLS_SUITES_1_2) == 1 &&
        SSL_CTX_set_ciphersuites(openssl, new_used ? new : TLS_SUITES_1_3) == 1)
        return 0;
    snprintf(message, TLS_MESSAGE_SIZE, "the cipher suites are not usable: %s", reason());
    return ERR_INVALID;
}

static void replace(struct tls *tls, struct tls_context *context)
{
    must(pthread_mutex_lock(&tls->lock) == 0);
    struct tls_context *old = tls->current;
    tls->current = context;
    must(pthread_mutex_unlock(&tls->lock) == 0);
    tls_context_unref(old);
}

// OpenSSL would ask the terminal.
static int no_password(char *buffer, int size, int writing, void *unused)
{
    (void)buffer, (void)size, (void)writing, (void)unused;
    return -1;
}

// OpenSSL's own words for a missing file name its functions and not the file.
static int check_readable(const char *what, const char *file, char *message)
{
    struct stat status;
    int number = access(file, R_OK) != 0 || stat(file, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
    if (number == 0)
        return 0;
    snprintf(message, TLS_MESSAGE_SIZE, "cannot read the %s file %s: %s", what, file, strerror(number));
    return ERR_INVALID;
}

// The first error is the cause, later ones are who passed it on.
static const char *reason(void)
{
    unsigned long number = ERR_peek_error();
    if (ERR_GET_LIB(number) == ERR_LIB_PEM && ERR_GET_REASON(number) == PEM_R_NO_START_LINE)
        return "nothing of that kind in PEM is in it (no start line)";
    const char *text = ERR_reason_error_string(number);
    return text ? text : "no reason given";
}
