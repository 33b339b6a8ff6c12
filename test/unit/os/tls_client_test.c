// SPDX-License-Identifier: Apache-2.0
// CO-S01, the side that connects: two sessions, one of each side, whose bytes the test carries.
#include "os/tls_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "os/tls_session.h"
#include "tls_files.h"

#define PLAIN_SIZE (TLS_SESSION_HELD_MAX + TLS_SESSION_RECORD_SIZE)

struct side {
    struct tls *tls;
    struct tls_io io;
    struct tls_session session;
    char plain[PLAIN_SIZE]; // of the last receive
    size_t len;
    char peer[128]; // the subject of the certificate that the other side showed
    int error;
};

struct pair {
    struct side client, server;
    char message[TLS_MESSAGE_SIZE];
};

static int setup(void **state)
{
    struct pair *pair = mem_alloc_zero(sizeof(*pair));
    for (int i = 0; i < 2; i++) {
        struct side *side = i ? &pair->server : &pair->client;
        side->tls = tls_new();
        tls_io_init(&side->io);
        tls_session_init(&side->session, side->tls, &side->io);
    }
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    for (int i = 0; i < 2; i++) {
        struct side *side = i ? &pair->server : &pair->client;
        tls_session_deinit(&side->session);
        tls_io_deinit(&side->io);
        tls_unref(side->tls);
    }
    mem_free(pair);
    return 0;
}

static void load_server(struct pair *pair, bool verify)
{
    const struct tls_config config = {
        .cert_file = tls_files_path("server.pem"),
        .key_file = tls_files_path("server.key"),
        .ca_file = tls_files_path("ca.pem"),
        .verify = verify,
        .min_version = 12,
    };
    assert_int_equal(tls_load(pair->server.tls, &config, pair->message), 0);
}

static void load_client(struct pair *pair, const char *ca, const char *certificate, bool skip_verify)
{
    char key[32];
    snprintf(key, sizeof(key), "%.*s.key", certificate ? (int)strcspn(certificate, ".") : 0, certificate);
    const struct tls_client_config config = {
        .ca_file = ca ? tls_files_path(ca) : NULL,
        .cert_file = certificate ? tls_files_path(certificate) : NULL,
        .key_file = certificate ? tls_files_path(key) : NULL,
        .skip_verify = skip_verify,
    };
    assert_int_equal(tls_client_load(pair->client.tls, &config, pair->message), 0);
}

static void carry(struct side *from, struct side *to)
{
    struct bytes words = buffer_bytes(&from->io.out);
    to->len = 0;
    if (words.len > 0 && !to->error)
        to->error = tls_session_receive(&to->session, words, to->plain, PLAIN_SIZE, &to->len);
    buffer_clear(&from->io.out);
}

static void shake_hands(struct pair *pair, const char *name)
{
    pair->client.error = tls_session_connect(&pair->client.session, name);
    for (int i = 0; i < 4; i++) {
        carry(&pair->client, &pair->server);
        carry(&pair->server, &pair->client);
    }
}

static void expect_failure(struct pair *pair, const char *why)
{
    assert_int_equal(pair->client.error, ERR_PROTOCOL);
    assert_int_equal(pair->client.session.state, TLS_SESSION_FAILED);
    assert_string_equal(pair->client.session.failure, why);
}

static void expect_talk(struct side *from, struct side *to)
{
    assert_int_equal(tls_session_send(&from->session, &BYTES("well met"), 1, 0), 8);
    carry(from, to);
    assert_int_equal(to->error, 0);
    assert_int_equal(to->len, 8);
    assert_memory_equal(to->plain, "well met", 8);
}

static void show(void *owner, const struct net_tls_info *info)
{
    struct side *side = owner;
    if (info->certificate_count > 0)
        snprintf(side->peer, sizeof(side->peer), "%.*s", BYTES_ARG(info->certificates[0].subject));
}

static void whom_the_authority_signed_is_trusted(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, "ca.pem", NULL, false);
    shake_hands(pair, "localhost");
    assert_int_equal(pair->client.session.state, TLS_SESSION_SECURE);
    expect_talk(&pair->client, &pair->server);
    expect_talk(&pair->server, &pair->client);
    tls_session_describe(&pair->client.session, &pair->client, show);
    assert_string_equal(pair->client.peer, "CN=localhost");
    tls_session_end(&pair->server.session);
    carry(&pair->server, &pair->client);
    assert_int_equal(pair->client.error, ERR_CLOSED);
}

static void an_address_is_looked_for_in_the_certificate(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, "ca.pem", NULL, false);
    shake_hands(pair, "127.0.0.1");
    assert_int_equal(pair->client.session.state, TLS_SESSION_SECURE);
}

static void another_address_is_refused(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, "ca.pem", NULL, false);
    shake_hands(pair, "::1");
    expect_failure(pair, "IP address mismatch");
}

static void another_name_is_refused(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, "ca.pem", NULL, false);
    shake_hands(pair, "nats.example.com");
    expect_failure(pair, "hostname mismatch");
}

static void another_authority_is_refused(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, "other-ca.pem", NULL, false);
    shake_hands(pair, "localhost");
    expect_failure(pair, "unable to get local issuer certificate");
    assert_int_equal(pair->server.error, ERR_PROTOCOL); // it was told
}

static void the_system_s_authorities_are_the_default(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, NULL, NULL, false);
    shake_hands(pair, "localhost");
    expect_failure(pair, "unable to get local issuer certificate");
}

static void whoever_wants_may_skip_all_that(void **state)
{
    struct pair *pair = *state;
    load_server(pair, false);
    load_client(pair, NULL, NULL, true);
    shake_hands(pair, "nats.example.com");
    assert_int_equal(pair->client.session.state, TLS_SESSION_SECURE);
    expect_talk(&pair->client, &pair->server);
}

static void a_server_that_asks_is_shown_a_certificate(void **state)
{
    struct pair *pair = *state;
    load_server(pair, true);
    load_client(pair, "ca.pem", "client.pem", false);
    shake_hands(pair, "localhost");
    assert_int_equal(pair->server.session.state, TLS_SESSION_SECURE);
    tls_session_describe(&pair->server.session, &pair->server, show);
    assert_string_equal(pair->server.peer, "CN=client,OU=test,O=Weir");
    expect_talk(&pair->client, &pair->server);
    expect_talk(&pair->server, &pair->client);
}

// TLS 1.3: the client is done before the server has looked at its certificate.
static void that_we_are_not_welcome_is_said_later(void **state)
{
    struct pair *pair = *state;
    load_server(pair, true);
    load_client(pair, "ca.pem", NULL, false);
    shake_hands(pair, "localhost");
    assert_int_equal(pair->server.session.state, TLS_SESSION_FAILED);
    assert_int_equal(pair->client.error, ERR_PROTOCOL);
    assert_non_null(strstr(pair->client.session.failure, "certificate required"));
}

static void who_does_not_speak_tls_is_told_apart(void **state)
{
    struct pair *pair = *state;
    load_client(pair, "ca.pem", NULL, false);
    assert_int_equal(tls_session_connect(&pair->client.session, "localhost"), 0);
    struct bytes words = BYTES("-ERR 'Unknown Protocol Operation'\r\n");
    pair->client.error =
        tls_session_receive(&pair->client.session, words, pair->client.plain, PLAIN_SIZE, &pair->client.len);
    expect_failure(pair, "the other side does not speak TLS");
}

static void nothing_loaded_nothing_begun(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(tls_session_connect(&pair->client.session, "localhost"), ERR_PROTOCOL);
    assert_int_equal(pair->client.session.state, TLS_SESSION_FAILED);
}

static void what_is_wrong_with_a_file_is_said_by_its_name(void **state)
{
    struct pair *pair = *state;
    const struct tls_client_config configs[] = {
        {.ca_file = tls_files_path("none.pem")},
        {.ca_file = tls_files_path("garbage.pem")},
        {.cert_file = tls_files_path("none.pem"), .key_file = tls_files_path("client.key")},
        {.cert_file = tls_files_path("client.pem"), .key_file = tls_files_path("server.key")},
    };
    const char *wanted[] = {"none.pem", "garbage.pem", "none.pem", "server.key"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tls_client_load(pair->client.tls, &configs[i], pair->message), ERR_INVALID);
        assert_non_null(strstr(pair->message, wanted[i]));
        assert_null(tls_context_take(pair->client.tls));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whom_the_authority_signed_is_trusted, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_is_looked_for_in_the_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(another_address_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_name_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_authority_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_system_s_authorities_are_the_default, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_wants_may_skip_all_that, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_asks_is_shown_a_certificate, setup, teardown),
        cmocka_unit_test_setup_teardown(that_we_are_not_welcome_is_said_later, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_speak_tls_is_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_loaded_nothing_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_with_a_file_is_said_by_its_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, tls_files_make, tls_files_remove);
}
