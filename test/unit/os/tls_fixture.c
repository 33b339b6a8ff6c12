// SPDX-License-Identifier: Apache-2.0
#include "tls_fixture.h"

#include <errno.h>
#include <sys/socket.h>

#include "tls_files.h"

#define GOT_MAX (8 * 1024 * 1024)

static void *rig_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct tls_fixture *rig = owner;
    (void)peer;
    rig->conn = conn;
    return rig;
}

static void rig_data(void *context, struct bytes data)
{
    struct tls_fixture *rig = context;
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
    ((struct tls_fixture *)context)->writables++;
}

static void rig_closed(void *context, int error)
{
    struct tls_fixture *rig = context;
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

static void remember(struct tls_fixture *rig, const struct net_tls_info *info)
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
    struct tls_fixture *rig = context;
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

void tls_fixture_show(void *owner, const struct net_tls_info *info)
{
    remember(owner, info);
}

static bool third_end(void *context)
{
    struct tls_fixture *rig = context;
    rig->test.again = true;
    return rig->test.ends % 3 == 0;
}

void tls_fixture_turns(struct tls_fixture *rig)
{
    os_test_run_until(&rig->test, third_end, rig);
}

void tls_fixture_load(struct tls_fixture *rig, const char *name, bool verify, const uint8_t (*pin)[NET_SHA256_SIZE])
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

int tls_fixture_setup(void **state)
{
    struct tls_fixture *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    tcp_init(&rig->tcp, &rig->test.loop);
    buffer_init(&rig->got, GOT_MAX);
    rig->tls = tls_new();
    rig->peer_ip = "127.0.0.1";
    tls_fixture_load(rig, "server", false, NULL);
    rig->handler = (struct net_handler){rig, rig_accept, rig_data, rig_writable, rig_closed, rig_secure, NULL};
    *state = rig;
    return 0;
}

bool tls_fixture_is_idle(void *context)
{
    return ((struct tls_fixture *)context)->tcp.count == 0;
}

int tls_fixture_teardown(void **state)
{
    struct tls_fixture *rig = *state;
    tcp_close_all(&rig->tcp);
    os_test_run_until(&rig->test, tls_fixture_is_idle, rig);
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
    struct tls_fixture *rig;
    int fd;
    bool at_once;
};

static void adopt(struct loop_task *task)
{
    struct adoption *adoption = container_of(task, struct adoption, task);
    struct tcp_security security = {.tls = adoption->rig->tls, .at_once = adoption->at_once};
    struct net_peer peer = {.port = 1};
    snprintf(peer.ip, sizeof(peer.ip), "%s", adoption->rig->peer_ip);
    assert_int_equal(tcp_adopt(&adoption->rig->tcp, adoption->fd, &adoption->rig->handler, &peer, &security), 0);
}

int tls_fixture_connect(struct tls_fixture *rig, bool at_once)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct adoption adoption = {.task.run = adopt, .rig = rig, .fd = fds[0], .at_once = at_once};
    list_init(&adoption.task.link);
    loop_defer(&rig->test.loop, &adoption.task);
    tls_fixture_turns(rig);
    return fds[1];
}

void tls_client_open(struct tls_client *client, struct tls_fixture *rig, const char *certificate)
{
    *client = (struct tls_client){.rig = rig, .context = SSL_CTX_new(TLS_client_method())};
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
    client->fd = tls_fixture_connect(rig, !rig->starts_late);
}

void tls_client_close(struct tls_client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
    tls_fixture_turns(client->rig);
}

void tls_client_carry(struct tls_client *client)
{
    char bytes[16384];
    size_t most = client->cut ? client->cut : sizeof(bytes);
    int len;
    while ((len = BIO_read(client->out, bytes, (int)most)) > 0) {
        // A server that has closed does not hear it; whoever wants to know asks for eof.
        if (send(client->fd, bytes, (size_t)len, MSG_NOSIGNAL) != len)
            assert_true(errno == EPIPE);
        tls_fixture_turns(client->rig);
    }
    tls_fixture_turns(client->rig);
    tls_client_receive(client);
}

void tls_client_receive(struct tls_client *client)
{
    char bytes[16384];
    ssize_t got;
    while ((got = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
        assert_int_equal(BIO_write(client->in, bytes, (int)got), got);
        client->cipher_bytes += (uint64_t)got;
    }
    client->eof |= got == 0;
}

int tls_client_handshake(struct tls_client *client)
{
    for (int round = 0; round < 20; round++) {
        int result = SSL_do_handshake(client->ssl);
        int error = SSL_get_error(client->ssl, result);
        tls_client_carry(client);
        if (result == 1)
            return 1;
        if (error != SSL_ERROR_WANT_READ)
            return error;
    }
    return SSL_ERROR_WANT_READ;
}

void tls_client_say(struct tls_client *client, const char *text, size_t len)
{
    assert_int_equal(SSL_write(client->ssl, text, (int)len), len);
    tls_client_carry(client);
}

size_t tls_client_hear(struct tls_client *client, char *text, size_t size)
{
    size_t total = 0;
    int got;
    while (total < size && (got = SSL_read(client->ssl, text + total, (int)(size - total))) > 0)
        total += (size_t)got;
    return total;
}

void tls_client_expect_echo(struct tls_client *client)
{
    struct tls_fixture *rig = client->rig;
    buffer_clear(&rig->got);
    tls_client_say(client, "hello", 5);
    assert_true(bytes_equal(buffer_bytes(&rig->got), BYTES("hello")));
    assert_int_equal(net_write(rig->conn, &BYTES("well met"), 1), 8);
    tls_client_carry(client);
    char text[16];
    assert_int_equal(tls_client_hear(client, text, sizeof(text)), 8);
    assert_memory_equal(text, "well met", 8);
}
