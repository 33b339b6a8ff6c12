// SPDX-License-Identifier: Apache-2.0
// CO-S01: secure connections over socket pairs.
#include "tls_fixture.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include "tls_files.h"

#define BIG (3 * 1024 * 1024)

static void bytes_go_both_ways_encrypted(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    assert_int_equal(rig->secured, 1);
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256");
    assert_int_equal(SSL_get_verify_result(client.ssl), X509_V_OK);
    tls_client_expect_echo(&client);
    rig->text[0] = '\0';
    assert_true(net_describe_tls(rig->conn, rig, tls_fixture_show));
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256");
    tls_client_close(&client);
    assert_int_equal(rig->closes, 1);
    assert_int_equal(rig->close_error, 0);
}

// What a session sheds after its handshake must not be what a change of keys works with.
static void keys_may_change_on_the_way(void **state)
{
    const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
    struct tls_fixture *rig = *state;
    for (int i = 0; i < 3; i++) {
        struct tls_client client;
        tls_client_open(&client, rig, NULL);
        assert_int_equal(SSL_set_ciphersuites(client.ssl, suites[i]), 1);
        assert_int_equal(tls_client_handshake(&client), 1);
        assert_non_null(strstr(rig->text, suites[i]));
        for (int round = 0; round < 3; round++) {
            tls_client_expect_echo(&client);
            assert_int_equal(
                SSL_key_update(client.ssl, round == 1 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED), 1);
        }
        tls_client_expect_echo(&client);
        tls_client_close(&client);
        assert_int_equal(rig->close_error, 0);
    }
}

static void a_handshake_may_come_in_single_bytes(void **state)
{
    struct tls_fixture *rig = *state;
    for (int late = 0; late < 2; late++) {
        struct tls_client client;
        rig->starts_late = late;
        tls_client_open(&client, rig, NULL);
        client.cut = 1;
        SSL_set_max_proto_version(client.ssl, late ? TLS1_2_VERSION : TLS1_3_VERSION);
        assert_int_equal(tls_client_handshake(&client), 1);
        tls_client_expect_echo(&client);
        tls_client_close(&client);
    }
}

static void the_first_bytes_may_have_been_looked_at(void **state)
{
    struct tls_fixture *rig = *state;
    for (int pauses = 0; pauses < 2; pauses++) {
        struct tls_client client;
        rig->starts_late = true;
        rig->pauses_first = pauses;
        tls_client_open(&client, rig, NULL);
        SSL_do_handshake(client.ssl);
        tls_client_carry(&client);
        assert_int_equal(client.cipher_bytes > 0, !pauses);
        if (pauses)
            net_read_resume(rig->conn);
        assert_int_equal(tls_client_handshake(&client), 1);
        tls_client_expect_echo(&client);
        tls_client_close(&client);
    }
}

static void the_clients_certificate_says_who_it_is(void **state)
{
    struct tls_fixture *rig = *state;
    tls_fixture_load(rig, "server", true, NULL);
    struct tls_client client;
    tls_client_open(&client, rig, "client");
    assert_int_equal(tls_client_handshake(&client), 1);
    assert_string_equal(rig->text, "1.3 TLS_AES_128_GCM_SHA256 <CN=client,OU=test,O=Weir> <CN=Test authority> "
                                   "email=client@example.com dns=worker.example.com uri=urn:weir:client");
    tls_client_expect_echo(&client);
    tls_client_close(&client);

    // The same key is welcome, another is not.
    uint8_t pin[1][NET_SHA256_SIZE];
    memcpy(pin[0], rig->key_sha256, NET_SHA256_SIZE);
    tls_fixture_load(rig, "server", true, (const uint8_t(*)[NET_SHA256_SIZE])pin);
    tls_client_open(&client, rig, "client");
    assert_int_equal(tls_client_handshake(&client), 1);
    tls_client_expect_echo(&client);
    tls_client_close(&client);
    pin[0][31] ^= 1;
    tls_fixture_load(rig, "server", true, (const uint8_t(*)[NET_SHA256_SIZE])pin);
    tls_client_open(&client, rig, "client");
    tls_client_handshake(&client);
    assert_string_equal(rig->failure, "the client's certificate is not pinned");
    assert_true(client.eof);
    tls_client_close(&client);
}

static void expect_refused(struct tls_fixture *rig, const char *certificate, const char *failure)
{
    struct tls_client client;
    rig->failure[0] = '\0';
    rig->closes = 0;
    tls_client_open(&client, rig, certificate);
    tls_client_handshake(&client);
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
    tls_client_close(&client);
}

static void clients_that_must_not_come_in_are_told(void **state)
{
    struct tls_fixture *rig = *state;
    tls_fixture_load(rig, "server", true, NULL);
    expect_refused(rig, NULL, "peer did not return a certificate");
    expect_refused(rig, "stranger", "unable to get local issuer certificate");
    expect_refused(rig, "expired", "certificate has expired");
}

static void an_old_protocol_is_refused(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    SSL_set_security_level(client.ssl, 0);
    assert_int_equal(SSL_set_min_proto_version(client.ssl, TLS1_VERSION), 1);
    assert_int_equal(SSL_set_max_proto_version(client.ssl, TLS1_1_VERSION), 1);
    assert_int_equal(tls_client_handshake(&client), SSL_ERROR_SSL);
    assert_string_equal(rig->failure, "unsupported protocol");
    tls_client_close(&client);
}

static void who_does_not_speak_tls_can_be_told_in_the_clear(void **state)
{
    struct tls_fixture *rig = *state;
    rig->keeps_failure = true;
    int fd = tls_fixture_connect(rig, true);
    assert_int_equal(send(fd, "CONNECT {}\r\n", 12, 0), 12);
    tls_fixture_turns(rig);
    assert_string_equal(rig->failure, "first record does not look like a TLS handshake");
    assert_true(rig->is_plain);
    assert_int_equal(rig->closes, 0);
    assert_int_equal(net_write(rig->conn, &BYTES("no"), 1), 2);
    net_close(rig->conn);
    tls_fixture_turns(rig);
    char text[8];
    assert_int_equal(recv(fd, text, sizeof(text), 0), 2);
    assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
    close(fd);
}

static void without_certificates_a_handshake_fails(void **state)
{
    struct tls_fixture *rig = *state;
    tls_unload(rig->tls);
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    tls_client_handshake(&client);
    assert_string_equal(rig->failure, "no certificate is loaded");
    assert_true(client.eof);
    tls_client_close(&client);
}

static void writing_begins_when_the_handshake_is_over(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(net_write(rig->conn, &BYTES("early"), 1), 0);
    assert_int_equal(net_write(rig->conn, &BYTES("early"), 1), 0);
    assert_int_equal(tls_client_handshake(&client), 1);
    assert_int_equal(rig->writables, 1);
    tls_client_expect_echo(&client);
    tls_client_close(&client);
}

// Two connections at once, so that what one session keeps is not another's.
static void a_slow_reader_takes_less_and_misses_nothing(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client, other;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    struct net_conn *conn = rig->conn;
    tls_client_open(&other, rig, NULL);
    assert_int_equal(tls_client_handshake(&other), 1);
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
        tls_client_expect_echo(&other);
        tls_client_carry(&client);
        tls_fixture_turns(rig);
        have += tls_client_hear(&client, got + have, BIG - have);
        may_write = rig->writables > 0;
    }
    assert_true(waits > 5);
    assert_int_equal(rest.len, 0);
    assert_memory_equal(got, big, BIG);
    // Full records: the protocol adds 22 bytes to each.
    assert_true(client.cipher_bytes < BIG + BIG / TLS_SESSION_RECORD_SIZE * 22 * 2 + 8192);
    mem_free(got);
    mem_free(big);
    tls_client_close(&client);
    tls_client_close(&other);
}

// Writes until the kernel is full; returns how much was taken of BIG bytes, which the caller frees.
static size_t fill(struct net_conn *conn, char **ret_big)
{
    char *big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 13 + i / 239);
    struct bytes rest = bytes_make(big, BIG);
    size_t taken = net_write(conn, &rest, 1);
    assert_in_range(taken, 1, BIG - 1);
    *ret_big = big;
    return taken;
}

static void what_was_taken_has_left(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    char *big, *got = mem_alloc(BIG);
    size_t taken = fill(rig->conn, &big);
    net_close(rig->conn);
    tls_fixture_turns(rig);
    tls_client_carry(&client);
    size_t have = tls_client_hear(&client, got, BIG);
    assert_true(client.eof && have >= taken);
    assert_memory_equal(got, big, have);
    mem_free(big);
    mem_free(got);
    tls_client_close(&client);
}

// The protocol itself has something to say while records wait (that it does not renegotiate): it must not overtake them.
static void what_waits_is_not_overtaken(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(SSL_set_max_proto_version(client.ssl, TLS1_2_VERSION), 1);
    assert_int_equal(tls_client_handshake(&client), 1);
    char *big, *got = mem_alloc(BIG);
    size_t taken = fill(rig->conn, &big);
    assert_int_equal(SSL_renegotiate(client.ssl), 1);
    assert_int_equal(SSL_do_handshake(client.ssl), -1);
    char hello[4096];
    int len = BIO_read(client.out, hello, sizeof(hello));
    tls_client_receive(&client); // now there is room
    assert_int_equal(send(client.fd, hello, (size_t)len, 0), len);
    tls_fixture_turns(rig);
    size_t have = 0, more;
    ERR_clear_error();
    do {
        struct bytes rest = bytes_make(big + taken, BIG - taken);
        if (rig->writables > 0)
            taken += net_write(rig->conn, &rest, 1);
        tls_client_carry(&client);
        more = tls_client_hear(&client, got + have, BIG - have);
        have += more;
    } while (more > 0);
    assert_memory_equal(got, big, have);
    // The last thing that the server heard, which is on the same thread: what a client answers to such an alert. To a record
    // that it cannot read it would say something else.
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    mem_free(big);
    mem_free(got);
    tls_client_close(&client);
}

static void large_input_arrives_whole(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    char *big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 11 + i / 241);
    client.cut = 5000;
    tls_client_say(&client, big, BIG);
    assert_int_equal(rig->got.len, BIG);
    assert_memory_equal(rig->got.ptr, big, BIG);
    mem_free(big);
    tls_client_close(&client);
}

static void small_parts_share_records(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    static char text[6000], got[6000];
    static struct bytes parts[2000];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < 2000; i++)
        parts[i] = bytes_make(text + 3 * i, 3);
    uint64_t before = client.cipher_bytes;
    assert_int_equal(net_write(rig->conn, parts, 2000), 6000);
    tls_client_carry(&client);
    assert_int_equal(client.cipher_bytes - before, 6000 + 22);
    assert_int_equal(tls_client_hear(&client, got, sizeof(got)), 6000);
    assert_memory_equal(got, text, 6000);
    tls_client_close(&client);
}

static void an_end_is_said_and_heard(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    char none;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    assert_int_equal(net_write(rig->conn, &BYTES("last"), 1), 4);
    net_close(rig->conn);
    net_close(rig->conn);
    tls_client_carry(&client);
    char last[8];
    assert_int_equal(tls_client_hear(&client, last, sizeof(last)), 4);
    assert_int_equal(SSL_get_error(client.ssl, SSL_read(client.ssl, &none, 1)), SSL_ERROR_ZERO_RETURN);
    assert_true(client.eof);
    tls_client_close(&client);
    assert_int_equal(rig->closes, 1);

    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    SSL_shutdown(client.ssl);
    tls_client_carry(&client);
    assert_int_equal(rig->closes, 2);
    assert_int_equal(rig->close_error, 0);
    tls_client_close(&client);
}

static void a_handshake_may_end_at_any_byte(void **state)
{
    struct tls_fixture *rig = *state;
    for (size_t cut = 1; cut < 300; cut += 23) {
        struct tls_client client;
        tls_client_open(&client, rig, NULL);
        SSL_do_handshake(client.ssl);
        char hello[1024];
        int len = BIO_read(client.out, hello, sizeof(hello));
        assert_true(len > 0);
        size_t some = cut < (size_t)len ? cut : (size_t)len;
        assert_int_equal(send(client.fd, hello, some, 0), some);
        tls_fixture_turns(rig);
        rig->closes = 0;
        if (cut % 2 == 0)
            net_close(rig->conn);
        tls_client_close(&client);
        assert_int_equal(rig->closes, 1);
        assert_int_equal(rig->secured, 0);
        assert_int_equal(rig->tcp.handshaking, 0);
    }
}

static void garbage_in_the_middle_ends_it(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    assert_int_equal(send(client.fd, "this is not a record at all", 27, 0), 27);
    tls_fixture_turns(rig);
    assert_int_equal(rig->closes, 1);
    assert_int_equal(rig->close_error, ERR_PROTOCOL);
    tls_client_close(&client);
}

static bool one_end(void *context)
{
    ((struct tls_fixture *)context)->test.again = true;
    return true;
}

static void a_flood_begins_few_handshakes_per_turn(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client clients[3 * TCP_HANDSHAKES_PER_TURN];
    const size_t count = sizeof(clients) / sizeof(clients[0]);
    for (size_t i = 0; i < count; i++)
        tls_client_open(&clients[i], rig, NULL);
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
        tls_client_carry(&clients[i]);
        assert_int_equal(tls_client_handshake(&clients[i]), 1);
    }
    assert_int_equal(rig->tcp.handshaking, 0);
    for (size_t i = 0; i < count; i++)
        tls_client_close(&clients[i]);
}

static void say_hello(struct tls_client *client)
{
    char hello[1024];
    SSL_do_handshake(client->ssl);
    int len = BIO_read(client->out, hello, sizeof(hello));
    assert_int_equal(send(client->fd, hello, (size_t)len, 0), len);
    tls_fixture_turns(client->rig);
}

// They said hello and say no more.
static void a_flood_from_one_address_leaves_room_for_others(void **state)
{
    enum { SHARE = 3, FLOOD = 8 };
    struct tls_fixture *rig = *state;
    struct tls_client flood[FLOOD], other;
    rig->tcp.shares.max = SHARE;
    for (size_t i = 0; i < FLOOD; i++) {
        tls_client_open(&flood[i], rig, NULL);
        say_hello(&flood[i]);
    }
    assert_int_equal(rig->tcp.handshaking, SHARE);
    rig->peer_ip = "127.0.0.2";
    tls_client_open(&other, rig, NULL);
    assert_int_equal(tls_client_handshake(&other), 1);
    tls_client_expect_echo(&other);
    tls_client_close(&other);
    // Whoever is done, or gone, or gives up in line, makes room for the next.
    tls_client_carry(&flood[0]);
    assert_int_equal(tls_client_handshake(&flood[0]), 1);
    tls_client_close(&flood[1]);
    tls_client_close(&flood[FLOOD - 1]);
    assert_int_equal(rig->tcp.handshaking, SHARE);
    for (size_t i = 2; i < FLOOD - 1; i++) {
        tls_client_carry(&flood[i]);
        assert_int_equal(tls_client_handshake(&flood[i]), 1);
    }
    assert_int_equal(rig->tcp.handshaking, 0);
    for (size_t i = 0; i < FLOOD - 1; i++) {
        if (i != 1)
            tls_client_close(&flood[i]);
    }
}

static void a_reload_is_for_new_connections(void **state)
{
    struct tls_fixture *rig = *state;
    struct tls_client old, new;
    tls_client_open(&old, rig, NULL);
    assert_int_equal(tls_client_handshake(&old), 1);
    struct net_conn *conn = rig->conn;
    tls_fixture_load(rig, "client", false, NULL);
    tls_client_open(&new, rig, NULL);
    assert_int_equal(tls_client_handshake(&new), 1);
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(new.ssl)), NID_commonName, name, 64);
    assert_string_equal(name, "client");
    rig->conn = conn;
    tls_client_expect_echo(&old);
    tls_client_close(&old);
    tls_client_close(&new);
}

static void a_handler_that_does_not_ask_is_served_too(void **state)
{
    struct tls_fixture *rig = *state;
    rig->handler.on_secure = NULL;
    struct tls_client client;
    tls_client_open(&client, rig, NULL);
    assert_int_equal(tls_client_handshake(&client), 1);
    tls_client_expect_echo(&client);
    tls_client_close(&client);
    int fd = tls_fixture_connect(rig, true);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    os_test_run_until(&rig->test, tls_fixture_is_idle, rig);
    assert_int_equal(rig->close_error, ERR_PROTOCOL);
    char none;
    assert_int_equal(recv(fd, &none, 1, 0), 0);
    close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tls_fixture_setup, tls_fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(bytes_go_both_ways_encrypted),
        T(keys_may_change_on_the_way),
        T(a_handshake_may_come_in_single_bytes),
        T(the_first_bytes_may_have_been_looked_at),
        T(the_clients_certificate_says_who_it_is),
        T(clients_that_must_not_come_in_are_told),
        T(an_old_protocol_is_refused),
        T(who_does_not_speak_tls_can_be_told_in_the_clear),
        T(without_certificates_a_handshake_fails),
        T(writing_begins_when_the_handshake_is_over),
        T(a_slow_reader_takes_less_and_misses_nothing),
        T(what_was_taken_has_left),
        T(what_waits_is_not_overtaken),
        T(large_input_arrives_whole),
        T(small_parts_share_records),
        T(an_end_is_said_and_heard),
        T(a_handshake_may_end_at_any_byte),
        T(garbage_in_the_middle_ends_it),
        T(a_flood_begins_few_handshakes_per_turn),
        T(a_flood_from_one_address_leaves_room_for_others),
        T(a_reload_is_for_new_connections),
        T(a_handler_that_does_not_ask_is_served_too),
    };
    return cmocka_run_group_tests(tests, tls_files_make, tls_files_remove);
}
