// SPDX-License-Identifier: Apache-2.0
// CO-S01: secure connections over socket pairs. The client is OpenSSL between two pieces of memory; the test carries the bytes, in pieces
// of any size.
#include "os_test.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "os/tcp.h"
#include "tls_files.h"

#define BIG (3 * 1024 * 1024)

struct rig {
    struct os_test_loop test;
    struct tcp tcp;
    struct tls *tls;
    struct net_handler handler;
    struct net_conn *conn; // of the last accepted, NULL after on_close
    struct buffer got;
    bool starts_late;   // net_start_tls() from the first on_data, with what it gave
    bool pauses_first;  // reading is paused when the handshake starts
    bool keeps_failure; // net_close() is left to the test
    unsigned writables, closes, secured;
    int close_error;
    char failure[128];
    bool is_plain;
    char text[1024]; // what on_secure told
    uint8_t key_sha256[NET_SHA256_SIZE];
};

struct client {
    struct rig *rig;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    int fd;
    size_t cut;            // bytes per send; 0: all
    uint64_t cipher_bytes; // received
    bool eof;
};

static void *rig_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct rig *rig = owner;
    (void)peer;
    rig->conn = conn;
    return rig;
}

static void rig_data(void *context, struct bytes data)
{
    struct rig *rig = context;
    if (rig->starts_late) {
        rig->starts_late = false;
        if (rig->pauses_first)
            net_read_pause(rig->conn);
        net_start_tls(rig->conn, data);
        return;
    }
    assert_int_equal(buffer_append(&rig->got, data), 0);
}

static void rig_writable(void *context)
{
    ((struct rig *)context)->writables++;
}

static void rig_closed(void *context, int error)
{
    struct rig *rig = context;
    rig->closes++;
    rig->close_error = error;
    rig->conn = NULL;
}

static size_t list_names(char *text, size_t size, const char *kind, const struct net_names *names)
{
    size_t used = 0;
    for (size_t i = 0; i < names->count; i++)
        used += (size_t)snprintf(text + used, size - used, " %s=%.*s", kind, BYTES_ARG(names->items[i]));
    return used;
}

static void remember(struct rig *rig, const struct net_tls_info *info)
{
    size_t size = sizeof(rig->text);
    size_t used = (size_t)snprintf(rig->text, size, "%s %s", info->version, info->cipher_suite);
    for (size_t i = 0; i < info->certificate_count; i++)
        used += (size_t)snprintf(rig->text + used, size - used, " <%.*s>", BYTES_ARG(info->certificates[i].subject));
    used += list_names(rig->text + used, size - used, "email", &info->emails);
    used += list_names(rig->text + used, size - used, "dns", &info->dns_names);
    list_names(rig->text + used, size - used, "uri", &info->uris);
    if (info->certificate_count > 0)
        memcpy(rig->key_sha256, info->certificates[0].key_sha256, NET_SHA256_SIZE);
}

static void rig_secure(void *context, const struct net_tls_info *info)
{
    struct rig *rig = context;
    rig->secured++;
    if (!info->failure) {
        remember(rig, info);
        return;
    }
    snprintf(rig->failure, sizeof(rig->failure), "%s", info->failure);
    rig->is_plain = info->is_plain;
    if (!rig->keeps_failure)
        net_close(rig->conn);
}

static void show(void *owner, const struct net_tls_info *info)
{
    remember(owner, info);
}

static bool third_end(void *context)
{
    struct rig *rig = context;
    rig->test.again = true;
    return rig->test.ends % 3 == 0;
}

static void turns(struct rig *rig)
{
    os_test_run_until(&rig->test, third_end, rig);
}

static void load(struct rig *rig, const char *name, bool verify, const uint8_t (*pin)[NET_SHA256_SIZE])
{
    char cert[32], key[32], message[TLS_MESSAGE_SIZE];
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    struct tls_config config = {
        .cert_file = tls_files_path(cert),
        .key_file = tls_files_path(key),
        .ca_file = tls_files_path("ca.pem"),
        .verify = verify,
        .has_pins = pin != NULL,
        .pins = pin,
        .pin_count = pin ? 1 : 0,
        .min_version = 12,
    };
    assert_int_equal(tls_load(rig->tls, &config, message), 0);
}

static int rig_setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    tcp_init(&rig->tcp, &rig->test.loop);
    buffer_init(&rig->got, 2 * BIG);
    rig->tls = tls_new();
    load(rig, "server", false, NULL);
    rig->handler = (struct net_handler){rig, rig_accept, rig_data, rig_writable, rig_closed, rig_secure};
    *state = rig;
    return 0;
}

static bool rig_is_idle(void *context)
{
    return ((struct rig *)context)->tcp.count == 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    tcp_close_all(&rig->tcp);
    os_test_run_until(&rig->test, rig_is_idle, rig);
    assert_int_equal(rig->tcp.handshaking, 0);
    loop_deinit(&rig->test.loop);
    tcp_deinit(&rig->tcp);
    tls_unref(rig->tls);
    buffer_deinit(&rig->got);
    mem_free(rig);
    return 0;
}

// Adopts one end of a socket pair, within a turn of its own; returns the other.
struct adoption {
    struct loop_task task;
    struct rig *rig;
    int fd;
    bool at_once;
};

static void adopt(struct loop_task *task)
{
    struct adoption *adoption = container_of(task, struct adoption, task);
    struct tcp_security security = {adoption->rig->tls, adoption->at_once};
    struct net_peer peer = {.ip = "127.0.0.1"};
    assert_int_equal(tcp_adopt(&adoption->rig->tcp, adoption->fd, &adoption->rig->handler, &peer, &security), 0);
}

static int connect_raw(struct rig *rig, bool at_once)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct adoption adoption = {.task.run = adopt, .rig = rig, .fd = fds[0], .at_once = at_once};
    list_init(&adoption.task.link);
    loop_defer(&rig->test.loop, &adoption.task);
    turns(rig);
    return fds[1];
}

// `certificate` NULL: shows none. TLS from the start, unless the rig starts late.
static void client_open(struct client *client, struct rig *rig, const char *certificate)
{
    *client = (struct client){.rig = rig, .context = SSL_CTX_new(TLS_client_method())};
    if (certificate) {
        char cert[32], key[32];
        snprintf(cert, sizeof(cert), "%s.pem", certificate);
        snprintf(key, sizeof(key), "%s.key", certificate);
        assert_int_equal(SSL_CTX_use_certificate_file(client->context, tls_files_path(cert), SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(client->context, tls_files_path(key), SSL_FILETYPE_PEM), 1);
    }
    SSL_CTX_load_verify_file(client->context, tls_files_path("ca.pem"));
    client->ssl = SSL_new(client->context);
    client->in = BIO_new(BIO_s_mem());
    client->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(client->in, -1);
    SSL_set_bio(client->ssl, client->in, client->out);
    SSL_set_connect_state(client->ssl);
    client->fd = connect_raw(rig, !rig->starts_late);
}

static void client_close(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
    turns(client->rig);
}

// Both ways, once.
static void carry(struct client *client)
{
    char bytes[16384];
    size_t most = client->cut ? client->cut : sizeof(bytes);
    int len;
    while ((len = BIO_read(client->out, bytes, (int)most)) > 0) {
        // A server that has closed does not hear it; whoever wants to know asks for eof.
        if (send(client->fd, bytes, (size_t)len, MSG_NOSIGNAL) != len)
            assert_true(errno == EPIPE);
        turns(client->rig);
    }
    turns(client->rig);
    ssize_t got;
    while ((got = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
        assert_int_equal(BIO_write(client->in, bytes, (int)got), got);
        client->cipher_bytes += (uint64_t)got;
    }
    client->eof |= got == 0;
}

// 1, or what SSL_get_error() says.
static int client_handshake(struct client *client)
{
    for (int round = 0; round < 20; round++) {
        int result = SSL_do_handshake(client->ssl);
        int error = SSL_get_error(client->ssl, result);
        carry(client);
        if (result == 1)
            return 1;
        if (error != SSL_ERROR_WANT_READ)
            return error;
    }
    return SSL_ERROR_WANT_READ;
}

static void client_say(struct client *client, const char *text, size_t len)
{
    assert_int_equal(SSL_write(client->ssl, text, (int)len), len);
    carry(client);
}

static size_t client_hear(struct client *client, char *text, size_t size)
{
    size_t total = 0;
    int got;
    while (total < size && (got = SSL_read(client->ssl, text + total, (int)(size - total))) > 0)
        total += (size_t)got;
    return total;
}

static void expect_echo(struct client *client)
{
    struct rig *rig = client->rig;
    buffer_clear(&rig->got);
    client_say(client, "hello", 5);
    assert_true(bytes_equal(buffer_bytes(&rig->got), BYTES("hello")));
    assert_int_equal(net_write(rig->conn, &BYTES("well met"), 1), 8);
    carry(client);
    char text[16];
    assert_int_equal(client_hear(client, text, sizeof(text)), 8);
    assert_memory_equal(text, "well met", 8);
}

static void bytes_go_both_ways_encrypted(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    assert_int_equal(rig->secured, 1);
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256");
    assert_int_equal(SSL_get_verify_result(client.ssl), X509_V_OK);
    expect_echo(&client);
    rig->text[0] = '\0';
    assert_true(net_describe_tls(rig->conn, rig, show));
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256");
    client_close(&client);
    assert_int_equal(rig->closes, 1);
    assert_int_equal(rig->close_error, 0);
}

static void a_handshake_may_come_in_single_bytes(void **state)
{
    struct rig *rig = *state;
    for (int late = 0; late < 2; late++) {
        struct client client;
        rig->starts_late = late;
        client_open(&client, rig, NULL);
        client.cut = 1;
        SSL_set_max_proto_version(client.ssl, late ? TLS1_2_VERSION : TLS1_3_VERSION);
        assert_int_equal(client_handshake(&client), 1);
        expect_echo(&client);
        client_close(&client);
    }
}

static void the_first_bytes_may_have_been_looked_at(void **state)
{
    struct rig *rig = *state;
    for (int pauses = 0; pauses < 2; pauses++) {
        struct client client;
        rig->starts_late = true;
        rig->pauses_first = pauses;
        client_open(&client, rig, NULL);
        SSL_do_handshake(client.ssl);
        carry(&client);
        assert_int_equal(client.cipher_bytes > 0, !pauses);
        if (pauses)
            net_read_resume(rig->conn);
        assert_int_equal(client_handshake(&client), 1);
        expect_echo(&client);
        client_close(&client);
    }
}

static void the_clients_certificate_says_who_it_is(void **state)
{
    struct rig *rig = *state;
    load(rig, "server", true, NULL);
    struct client client;
    client_open(&client, rig, "client");
    assert_int_equal(client_handshake(&client), 1);
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256 <CN=client,OU=test,O=Weir> <CN=Test authority> "
                                   "email=client@example.com dns=worker.example.com uri=urn:weir:client");
    expect_echo(&client);
    client_close(&client);

    // The same key is welcome, another is not.
    uint8_t pin[1][NET_SHA256_SIZE];
    memcpy(pin[0], rig->key_sha256, NET_SHA256_SIZE);
    load(rig, "server", true, (const uint8_t(*)[NET_SHA256_SIZE])pin);
    client_open(&client, rig, "client");
    assert_int_equal(client_handshake(&client), 1);
    expect_echo(&client);
    client_close(&client);
    pin[0][31] ^= 1;
    load(rig, "server", true, (const uint8_t(*)[NET_SHA256_SIZE])pin);
    client_open(&client, rig, "client");
    client_handshake(&client);
    assert_string_equal(rig->failure, "the client's certificate is not pinned");
    assert_true(client.eof);
    client_close(&client);
}

static void expect_refused(struct rig *rig, const char *certificate, const char *failure)
{
    struct client client;
    rig->failure[0] = '\0';
    rig->closes = 0;
    client_open(&client, rig, certificate);
    client_handshake(&client);
    if (!strstr(rig->failure, failure))
        fail_msg("\"%s\" should say \"%s\"", rig->failure, failure);
    assert_false(rig->is_plain);
    assert_int_equal(rig->closes, 1);
    // The client learns that it was refused: an alert, then the end.
    char none;
    int result = SSL_read(client.ssl, &none, 1);
    assert_int_equal(SSL_get_error(client.ssl, result), SSL_ERROR_SSL);
    assert_true(client.eof);
    assert_int_equal(rig->got.len, 0);
    client_close(&client);
}

static void clients_that_must_not_come_in_are_told(void **state)
{
    struct rig *rig = *state;
    load(rig, "server", true, NULL);
    expect_refused(rig, NULL, "peer did not return a certificate");
    expect_refused(rig, "stranger", "unable to get local issuer certificate");
    expect_refused(rig, "expired", "certificate has expired");
}

static void an_old_protocol_is_refused(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    SSL_set_security_level(client.ssl, 0);
    assert_int_equal(SSL_set_min_proto_version(client.ssl, TLS1_VERSION), 1);
    assert_int_equal(SSL_set_max_proto_version(client.ssl, TLS1_1_VERSION), 1);
    assert_int_equal(client_handshake(&client), SSL_ERROR_SSL);
    assert_string_equal(rig->failure, "unsupported protocol");
    client_close(&client);
}

static void who_does_not_speak_tls_can_be_told_in_the_clear(void **state)
{
    struct rig *rig = *state;
    rig->keeps_failure = true;
    int fd = connect_raw(rig, true);
    assert_int_equal(send(fd, "CONNECT {}\r\n", 12, 0), 12);
    turns(rig);
    assert_string_equal(rig->failure, "first record does not look like a TLS handshake");
    assert_true(rig->is_plain);
    assert_int_equal(rig->closes, 0);
    assert_int_equal(net_write(rig->conn, &BYTES("no"), 1), 2);
    net_close(rig->conn);
    turns(rig);
    char text[8];
    assert_int_equal(recv(fd, text, sizeof(text), 0), 2);
    assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
    close(fd);
}

static void without_certificates_a_handshake_fails(void **state)
{
    struct rig *rig = *state;
    tls_unload(rig->tls);
    struct client client;
    client_open(&client, rig, NULL);
    client_handshake(&client);
    assert_string_equal(rig->failure, "no certificate is loaded");
    assert_true(client.eof);
    client_close(&client);
}

static void writing_begins_when_the_handshake_is_over(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(net_write(rig->conn, &BYTES("early"), 1), 0);
    assert_int_equal(net_write(rig->conn, &BYTES("early"), 1), 0);
    assert_int_equal(client_handshake(&client), 1);
    assert_int_equal(rig->writables, 1);
    expect_echo(&client);
    client_close(&client);
}

// Two connections at once, so that what one session keeps is not another's.
static void a_slow_reader_takes_less_and_misses_nothing(void **state)
{
    struct rig *rig = *state;
    struct client client, other;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    struct net_conn *conn = rig->conn;
    client_open(&other, rig, NULL);
    assert_int_equal(client_handshake(&other), 1);
    char *big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 251);
    char *got = mem_alloc(BIG);
    struct bytes rest = bytes_make(big, BIG);
    size_t have = 0;
    unsigned waits = 0;
    bool may_write = true;
    while (have < BIG) {
        rig->writables = 0;
        // In parts, as the queue of a connection is.
        struct bytes parts[3] = {rest, {0}, {0}};
        size_t few = rest.len < 100 ? rest.len : 100;
        parts[0] = bytes_make(rest.ptr, few);
        parts[1] = bytes_make(rest.ptr, 0);
        parts[2] = bytes_skip(rest, few);
        size_t taken = may_write ? net_write(conn, parts, 3) : 0;
        rest = bytes_skip(rest, taken);
        if (rest.len > 0) {
            waits++;
            assert_int_equal(net_write(conn, &rest, 1), 0);
        }
        expect_echo(&other);
        carry(&client);
        turns(rig);
        have += client_hear(&client, got + have, BIG - have);
        may_write = rig->writables > 0;
    }
    assert_true(waits > 5);
    assert_int_equal(rest.len, 0);
    assert_memory_equal(got, big, BIG);
    // Full records: the protocol adds 22 bytes to each.
    assert_true(client.cipher_bytes < BIG + BIG / TLS_SESSION_RECORD_SIZE * 22 * 2 + 8192);
    mem_free(got);
    mem_free(big);
    client_close(&client);
    client_close(&other);
}

static void large_input_arrives_whole(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    char *big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 11 + i / 241);
    client.cut = 5000;
    client_say(&client, big, BIG);
    assert_int_equal(rig->got.len, BIG);
    assert_memory_equal(rig->got.ptr, big, BIG);
    mem_free(big);
    client_close(&client);
}

static void small_parts_share_records(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    static char text[6000], got[6000];
    static struct bytes parts[2000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < 2000; i++)
        parts[i] = bytes_make(text + 3 * i, 3);
    uint64_t before = client.cipher_bytes;
    assert_int_equal(net_write(rig->conn, parts, 2000), 6000);
    carry(&client);
    assert_int_equal(client.cipher_bytes - before, 6000 + 22);
    assert_int_equal(client_hear(&client, got, sizeof(got)), 6000);
    assert_memory_equal(got, text, 6000);
    client_close(&client);
}

static void an_end_is_said_and_heard(void **state)
{
    struct rig *rig = *state;
    struct client client;
    char none;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    assert_int_equal(net_write(rig->conn, &BYTES("last"), 1), 4);
    net_close(rig->conn);
    net_close(rig->conn);
    carry(&client);
    char last[8];
    assert_int_equal(client_hear(&client, last, sizeof(last)), 4);
    assert_int_equal(SSL_get_error(client.ssl, SSL_read(client.ssl, &none, 1)), SSL_ERROR_ZERO_RETURN);
    assert_true(client.eof);
    client_close(&client);
    assert_int_equal(rig->closes, 1);

    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    SSL_shutdown(client.ssl);
    carry(&client);
    assert_int_equal(rig->closes, 2);
    assert_int_equal(rig->close_error, 0);
    client_close(&client);
}

static void a_handshake_may_end_at_any_byte(void **state)
{
    struct rig *rig = *state;
    for (size_t cut = 1; cut < 300; cut += 23) {
        struct client client;
        client_open(&client, rig, NULL);
        SSL_do_handshake(client.ssl);
        char hello[1024];
        int len = BIO_read(client.out, hello, sizeof(hello));
        assert_true(len > 0);
        size_t some = cut < (size_t)len ? cut : (size_t)len;
        assert_int_equal(send(client.fd, hello, some, 0), some);
        turns(rig);
        rig->closes = 0;
        if (cut % 2 == 0)
            net_close(rig->conn);
        client_close(&client);
        assert_int_equal(rig->closes, 1);
        assert_int_equal(rig->secured, 0);
        assert_int_equal(rig->tcp.handshaking, 0);
    }
}

static void garbage_in_the_middle_ends_it(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    assert_int_equal(send(client.fd, "this is not a record at all", 27, 0), 27);
    turns(rig);
    assert_int_equal(rig->closes, 1);
    assert_int_equal(rig->close_error, ERR_PROTOCOL);
    client_close(&client);
}

static bool one_end(void *context)
{
    ((struct rig *)context)->test.again = true;
    return true;
}

static void a_flood_begins_few_handshakes_per_turn(void **state)
{
    struct rig *rig = *state;
    struct client clients[3 * TCP_HANDSHAKES_PER_TURN];
    const size_t count = sizeof(clients) / sizeof(clients[0]);
    for (size_t i = 0; i < count; i++)
        client_open(&clients[i], rig, NULL);
    for (size_t i = 0; i < count; i++) {
        char hello[1024];
        SSL_do_handshake(clients[i].ssl);
        int len = BIO_read(clients[i].out, hello, sizeof(hello));
        assert_int_equal(send(clients[i].fd, hello, (size_t)len, 0), len);
    }
    size_t before = rig->tcp.handshaking;
    while (rig->tcp.handshaking < count) {
        os_test_run_until(&rig->test, one_end, rig);
        assert_true(rig->tcp.handshaking - before <= TCP_HANDSHAKES_PER_TURN);
        before = rig->tcp.handshaking;
    }
    for (size_t i = 0; i < count; i++) {
        carry(&clients[i]);
        assert_int_equal(client_handshake(&clients[i]), 1);
    }
    assert_int_equal(rig->tcp.handshaking, 0);
    for (size_t i = 0; i < count; i++)
        client_close(&clients[i]);
}

static void a_reload_is_for_new_connections(void **state)
{
    struct rig *rig = *state;
    struct client old, new;
    client_open(&old, rig, NULL);
    assert_int_equal(client_handshake(&old), 1);
    struct net_conn *conn = rig->conn;
    load(rig, "client", false, NULL);
    client_open(&new, rig, NULL);
    assert_int_equal(client_handshake(&new), 1);
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(new.ssl)), NID_commonName, name, 64);
    assert_string_equal(name, "client");
    rig->conn = conn;
    expect_echo(&old);
    client_close(&old);
    client_close(&new);
}

static void a_handler_that_does_not_ask_is_served_too(void **state)
{
    struct rig *rig = *state;
    rig->handler.on_secure = NULL;
    struct client client;
    client_open(&client, rig, NULL);
    assert_int_equal(client_handshake(&client), 1);
    expect_echo(&client);
    client_close(&client);
    int fd = connect_raw(rig, true);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    os_test_run_until(&rig->test, rig_is_idle, rig);
    assert_int_equal(rig->close_error, ERR_PROTOCOL);
    char none;
    assert_int_equal(recv(fd, &none, 1, 0), 0);
    close(fd);
}

static int make_files(void **state)
{
    tls_files_make();
    return 0;
}

static int remove_files(void **state)
{
    tls_files_remove();
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_encrypted),
        T(a_handshake_may_come_in_single_bytes),
        T(the_first_bytes_may_have_been_looked_at),
        T(the_clients_certificate_says_who_it_is),
        T(clients_that_must_not_come_in_are_told),
        T(an_old_protocol_is_refused),
        T(who_does_not_speak_tls_can_be_told_in_the_clear),
        T(without_certificates_a_handshake_fails),
        T(writing_begins_when_the_handshake_is_over),
        T(a_slow_reader_takes_less_and_misses_nothing),
        T(large_input_arrives_whole),
        T(small_parts_share_records),
        T(an_end_is_said_and_heard),
        T(a_handshake_may_end_at_any_byte),
        T(garbage_in_the_middle_ends_it),
        T(a_flood_begins_few_handshakes_per_turn),
        T(a_reload_is_for_new_connections),
        T(a_handler_that_does_not_ask_is_served_too),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
