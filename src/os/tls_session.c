// SPDX-License-Identifier: Apache-2.0
// OpenSSL over memory: its reads take from io->in, its writes append to io->out, neither ever waits. A record that is not complete
// stays inside OpenSSL, which gives its buffer back when it is.
#include "os/tls_session.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/memory.h"
#include "base/must.h"
#include "os/tls_peer.h"

// First byte of every TLS record of a handshake.
#define TLS_HANDSHAKE_RECORD 0x16

// What is still to be encrypted.
struct tls_session_input {
    const struct bytes *parts;
    size_t count;
    size_t skip; // bytes of the first part that are done
};

static struct bytes next_record(struct tls_io *io, struct tls_session_input *input);
static struct bytes take_some(struct tls_session_input *input, size_t max);
static int begin(struct tls_session *session, struct bytes cipher);
static int make_openssl(struct tls_session *session);
static void expect_name(SSL *openssl, const char *name);
static int shake_hands(struct tls_session *session);
static void shed(struct tls_session *session);
static int fail(struct tls_session *session, const char *failure);
static const char *handshake_failure(const struct tls_session *session);
static const char *first_reason(void);
static int check_pin(int verified, X509_STORE_CTX *store);
static int bio_read(BIO *bio, char *data, int len);
static int bio_write(BIO *bio, const char *data, int len);
static long bio_ctrl(BIO *bio, int command, long number, void *pointer);

void tls_io_init(struct tls_io *io)
{
    *io = (struct tls_io){.record = mem_alloc(TLS_SESSION_RECORD_SIZE)};
    buffer_init(&io->out, 4 * TLS_SESSION_HELD_MAX);
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir");
    must(method && BIO_meth_set_read(method, bio_read) == 1 && BIO_meth_set_write(method, bio_write) == 1 &&
         BIO_meth_set_ctrl(method, bio_ctrl) == 1);
    BIO *bio = BIO_new(method);
    must(bio);
    BIO_set_data(bio, io);
    BIO_set_init(bio, 1);
    io->method = method;
    io->bio = bio;
}

void tls_io_deinit(struct tls_io *io)
{
    if (!io->method)
        return;
    buffer_deinit(&io->out);
    mem_free(io->record);
    BIO_free(io->bio);
    BIO_meth_free(io->method);
    io->method = NULL;
}

void tls_session_init(struct tls_session *session, struct tls *tls, struct tls_io *io)
{
    *session = (struct tls_session){.io = io, .tls = tls};
    buffer_init(&session->held, TLS_SESSION_HELD_MAX);
}

void tls_session_deinit(struct tls_session *session)
{
    SSL_free(session->openssl);
    tls_context_unref(session->context);
    buffer_deinit(&session->held);
}

int tls_session_connect(struct tls_session *session, const char *server_name)
{
    must(session->state == TLS_SESSION_EMPTY);
    int error = make_openssl(session);
    if (error)
        return error;
    session->is_client = true;
    SSL_set_connect_state(session->openssl);
    expect_name(session->openssl, server_name);
    ERR_clear_error();
    return shake_hands(session);
}

int tls_session_receive(struct tls_session *session, struct bytes cipher, char *plain, size_t size, size_t *ret_len)
{
    *ret_len = 0;
    int error = session->state == TLS_SESSION_EMPTY ? begin(session, cipher) : 0;
    if (error || session->state == TLS_SESSION_EMPTY)
        return error;
    session->io->in = cipher;
    ERR_clear_error();
    if (session->state == TLS_SESSION_HANDSHAKE)
        error = shake_hands(session);
    while (!error && session->state == TLS_SESSION_SECURE) {
        size_t room = size - *ret_len;
        must(room > 0);
        size_t got;
        int result = SSL_read_ex(session->openssl, plain + *ret_len, room, &got);
        if (result == 1) {
            *ret_len += got;
            continue;
        }
        int why = SSL_get_error(session->openssl, result);
        if (why == SSL_ERROR_WANT_READ)
            break;
        error = why == SSL_ERROR_ZERO_RETURN ? ERR_CLOSED : ERR_PROTOCOL;
        session->failure = first_reason();
    }
    session->io->in = (struct bytes){0};
    return error;
}

size_t tls_session_send(struct tls_session *session, const struct bytes *parts, size_t count, size_t skip)
{
    struct tls_session_input input = {parts, count, skip};
    size_t taken = 0;
    ERR_clear_error();
    while (input.count > 0 && taken < TLS_SESSION_BATCH_SIZE) {
        struct bytes record = next_record(session->io, &input);
        size_t written;
        if (record.len > 0 && SSL_write_ex(session->openssl, record.ptr, record.len, &written) != 1)
            return 0;
        taken += record.len;
    }
    return taken;
}

void tls_session_end(struct tls_session *session)
{
    ERR_clear_error();
    (void)SSL_shutdown(session->openssl);
    ERR_clear_error();
}

void tls_session_describe(const struct tls_session *session, void *owner,
                          void (*show)(void *owner, const struct net_tls_info *info))
{
    if (session->state == TLS_SESSION_SECURE) {
        tls_peer_describe(session->openssl, owner, show);
        return;
    }
    struct net_tls_info info = {.failure = session->failure, .is_plain = session->is_plain};
    show(owner, &info);
}

// A record is made as full as it can be: of small parts a copy, of a large one where it lies.
static struct bytes next_record(struct tls_io *io, struct tls_session_input *input)
{
    if (input->count == 1 || input->parts[0].len - input->skip >= TLS_SESSION_RECORD_SIZE)
        return take_some(input, TLS_SESSION_RECORD_SIZE);
    size_t len = 0;
    while (input->count > 0 && len < TLS_SESSION_RECORD_SIZE) {
        struct bytes some = take_some(input, TLS_SESSION_RECORD_SIZE - len);
        if (some.len > 0)
            memcpy(io->record + len, some.ptr, some.len);
        len += some.len;
    }
    return bytes_make(io->record, len);
}

// From the first part, which is left behind when it is used up.
static struct bytes take_some(struct tls_session_input *input, size_t max)
{
    struct bytes some = bytes_skip(input->parts[0], input->skip);
    if (some.len > max)
        some.len = max;
    input->skip += some.len;
    if (input->skip == input->parts[0].len) {
        input->parts++;
        input->count--;
        input->skip = 0;
    }
    return some;
}

static int begin(struct tls_session *session, struct bytes cipher)
{
    if (cipher.len == 0)
        return 0;
    if ((uint8_t)cipher.ptr[0] != TLS_HANDSHAKE_RECORD) {
        session->is_plain = true;
        return fail(session, "first record does not look like a TLS handshake");
    }
    int error = make_openssl(session);
    if (!error)
        SSL_set_accept_state(session->openssl);
    return error;
}

static int make_openssl(struct tls_session *session)
{
    session->context = tls_context_take(session->tls);
    if (!session->context)
        return fail(session, "no certificate is loaded");
    SSL *openssl = SSL_new(tls_context_openssl(session->context));
    must(openssl && BIO_up_ref(session->io->bio) == 1); // else out of memory
    SSL_set_bio(openssl, session->io->bio, session->io->bio);
    SSL_set_verify(openssl, SSL_get_verify_mode(openssl), check_pin);
    session->openssl = openssl;
    session->state = TLS_SESSION_HANDSHAKE;
    return 0;
}

// Only names are told to the other side, which may have a certificate for each.
static void expect_name(SSL *openssl, const char *name)
{
    struct in6_addr address;
    if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1) {
        must(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(openssl), name) == 1);
        return;
    }
    SSL_set_hostflags(openssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    must(SSL_set1_host(openssl, name) == 1 && SSL_set_tlsext_host_name(openssl, name) == 1);
}

static int shake_hands(struct tls_session *session)
{
    int result = SSL_do_handshake(session->openssl);
    if (result == 1) {
        session->state = TLS_SESSION_SECURE;
        shed(session);
        return 0;
    }
    if (SSL_get_error(session->openssl, result) == SSL_ERROR_WANT_READ)
        return 0;
    return fail(session, handshake_failure(session));
}

// What could be resumed is a kilobyte, and nothing here is ever resumed. From TLS 1.3 on nothing else needs it: 1.2 takes from it
// whether records carry a code, and a client's certificate hangs from it. OpenSSL begins anew when it takes a session away from
// a context of another version than was agreed upon, so it gets one of that version first.
static void shed(struct tls_session *session)
{
    SSL *openssl = session->openssl;
    if (session->is_client || SSL_version(openssl) != TLS1_3_VERSION || SSL_get0_peer_certificate(openssl))
        return;
    SSL_CTX *settled = tls_context_settled(session->context, openssl);
    must(SSL_set_SSL_CTX(openssl, settled) == settled && SSL_set_session(openssl, NULL) == 1);
}

static int fail(struct tls_session *session, const char *failure)
{
    session->state = TLS_SESSION_FAILED;
    session->failure = failure;
    return ERR_PROTOCOL;
}

// Why a certificate was refused says more than that it was.
static const char *handshake_failure(const struct tls_session *session)
{
    long verified = SSL_get_verify_result(session->openssl);
    if (verified == X509_V_ERR_APPLICATION_VERIFICATION)
        return "the client's certificate is not pinned";
    bool is_checked = SSL_get_verify_mode(session->openssl) != SSL_VERIFY_NONE;
    if (verified != X509_V_OK && is_checked)
        return X509_verify_cert_error_string(verified);
    if (session->is_client && ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER)
        return "the other side does not speak TLS";
    return first_reason();
}

static const char *first_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());
    return text ? text : "the peer broke off";
}

static int check_pin(int verified, X509_STORE_CTX *store)
{
    if (verified != 1 || X509_STORE_CTX_get_error_depth(store) != 0)
        return verified;
    SSL *openssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    uint8_t key_sha256[NET_SHA256_SIZE];
    if (tls_peer_key_sha256(X509_STORE_CTX_get_current_cert(store), key_sha256) &&
        tls_context_knows_key(SSL_CTX_get_app_data(SSL_get_SSL_CTX(openssl)), key_sha256))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int bio_read(BIO *bio, char *data, int len)
{
    struct tls_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (io->in.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)len < io->in.len ? (size_t)len : io->in.len;
    memcpy(data, io->in.ptr, n);
    io->in = bytes_skip(io->in, n);
    return (int)n;
}

// Refused only when a peer makes the protocol itself talk without end.
static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return buffer_append(&io->out, bytes_make(data, (size_t)len)) ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}
