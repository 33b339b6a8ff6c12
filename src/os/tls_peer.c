// SPDX-License-Identifier: Apache-2.0
#include "os/tls_peer.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/must.h"

// As RFC 2253 has it, but UTF-8 as it is, which is how configuration files spell names.
#define TLS_PEER_NAME_FLAGS (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

static void describe_chain(const SSL *ssl, BIO *memory, struct net_tls_info *info);
static bool was_shown(const SSL *ssl, const X509 *certificate);
static void describe_names(const GENERAL_NAMES *names, struct net_tls_info *info);
static void add_name(struct net_names *names, const ASN1_STRING *name);
static const char *version_text(const SSL *openssl);

void tls_peer_describe(void *openssl, void *owner, void (*show)(void *owner, const struct net_tls_info *info))
{
    const SSL *ssl = openssl;
    // The cipher that was agreed upon, which "pending" names also after the session has gone (tls_session.c).
    struct net_tls_info info = {
        .version = version_text(ssl),
        .cipher_suite = SSL_CIPHER_standard_name(SSL_get_pending_cipher(ssl)),
    };
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (!leaf) {
        show(owner, &info);
        return;
    }
    BIO *memory = BIO_new(BIO_s_mem());
    must(memory);
    describe_chain(ssl, memory, &info);
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    if (names)
        describe_names(names, &info);
    show(owner, &info);
    GENERAL_NAMES_free(names);
    BIO_free(memory);
}

bool tls_peer_key_sha256(void *certificate, uint8_t ret_sha256[NET_SHA256_SIZE])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (len <= 0)
        return false;
    unsigned size = 0;
    bool done = EVP_Digest(der, (size_t)len, ret_sha256, &size, EVP_sha256(), NULL) == 1 && size == NET_SHA256_SIZE;
    OPENSSL_free(der);
    return done;
}

// All subjects are printed behind one another first, because printing may move the memory.
static void describe_chain(const SSL *ssl, BIO *memory, struct net_tls_info *info)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    size_t ends[NET_CERTIFICATES_MAX];
    int count = chain ? sk_X509_num(chain) : 0;
    for (int i = 0; i < count && info->certificate_count < NET_CERTIFICATES_MAX; i++) {
        X509 *x509 = sk_X509_value(chain, i);
        if (i > 0 && !was_shown(ssl, x509))
            break; // the chain goes on with authorities of ours
        struct net_certificate *certificate = &info->certificates[info->certificate_count];
        unsigned size = 0;
        if (X509_NAME_print_ex(memory, X509_get_subject_name(x509), 0, TLS_PEER_NAME_FLAGS) < 0 ||
            !tls_peer_key_sha256(x509, certificate->key_sha256) ||
            X509_digest(x509, EVP_sha256(), certificate->sha256, &size) != 1)
            break;
        ends[info->certificate_count++] = (size_t)BIO_pending(memory);
    }
    char *text = NULL;
    (void)BIO_get_mem_data(memory, &text);
    for (size_t i = 0, begin = 0; i < info->certificate_count; begin = ends[i], i++)
        info->certificates[i].subject = bytes_make(text + begin, ends[i] - begin);
}

// Besides its own.
static bool was_shown(const SSL *ssl, const X509 *certificate)
{
    STACK_OF(X509) *shown = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; shown && i < sk_X509_num(shown); i++) {
        if (X509_cmp(sk_X509_value(shown, i), certificate) == 0)
            return true;
    }
    return false;
}

static void describe_names(const GENERAL_NAMES *names, struct net_tls_info *info)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *name = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_EMAIL)
            add_name(&info->emails, name);
        else if (type == GEN_DNS)
            add_name(&info->dns_names, name);
        else if (type == GEN_URI)
            add_name(&info->uris, name);
    }
}

static void add_name(struct net_names *names, const ASN1_STRING *name)
{
    struct bytes text = bytes_make(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name));
    if (names->count < NET_NAMES_MAX && text.len > 0 && !memchr(text.ptr, '\0', text.len))
        names->items[names->count++] = text;
}

static const char *version_text(const SSL *openssl)
{
    return SSL_version(openssl) == TLS1_3_VERSION ? "1.3" : "1.2";
}
