// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03, S07: who gets in, as nats-server decides it; and that it costs the same to be nobody.
#include "auth/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "codec/base64.h"

#define NKEY  "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"
#define HASH  "$2a$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
#define NONCE "a nonce"

static int verifications;

// The signature is the key twice; the message is the nonce.
static bool verify(const uint8_t *key, const uint8_t *signature, struct bytes message)
{
    verifications++;
    return bytes_equal(message, BYTES(NONCE)) && memcmp(key, signature, 32) == 0 &&
           memcmp(key, signature + 32, 32) == 0;
}

static const struct crypto crypto = {.ed25519_verify = verify};

static struct auth_builder *builder;
static struct auth_config *config;

static int setup(void **state)
{
    builder = auth_builder_new();
    config = NULL;
    verifications = 0;
    return 0;
}

static int teardown(void **state)
{
    auth_builder_free(builder);
    auth_config_unref(config);
    return 0;
}

static void finish(void)
{
    struct auth_error error = {0};
    if (auth_builder_finish(builder, &config, &error) != 0)
        fail_msg("%s", error.text);
}

static void add_user(const char *name, const char *password)
{
    struct auth_user_spec spec = {
        .name = bytes_from_string(name), .password = bytes_from_string(password), .has_password = password};
    assert_int_equal(auth_builder_add_user(builder, &spec), 0);
}

static struct login_decision decide(struct login login)
{
    if (login.connection_type == 0)
        login.connection_type = AUTH_CONNECTION_STANDARD;
    login.nonce = BYTES(NONCE);
    return login_decide(config, &login, &crypto);
}

static struct login_decision with_password(const char *name, const char *password)
{
    return decide((struct login){.user = bytes_from_string(name), .password = bytes_from_string(password)});
}

#define accepted(decision) assert_int_equal((decision).verdict, LOGIN_ACCEPTED)
#define refused(decision)  assert_int_equal((decision).verdict, LOGIN_REFUSED)

static void test_open(void **state)
{
    finish();
    assert_true(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    struct login_decision decision = with_password("who", "ever");
    accepted(decision);
    assert_null(decision.user);
    assert_int_equal(decision.account, AUTH_GLOBAL_ACCOUNT);
}

static void test_plain(void **state)
{
    auth_builder_add_account(builder, BYTES("A"), NULL, 0);
    auth_builder_add_user(
        builder, &(struct auth_user_spec){
                     .name = BYTES("ann"), .account = BYTES("A"), .password = BYTES("pass"), .has_password = true});
    add_user("empty", NULL);
    finish();
    assert_false(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    struct login_decision decision = with_password("ann", "pass");
    accepted(decision);
    assert_ptr_equal(decision.user, auth_config_find_user(config, BYTES("ann")));
    assert_int_equal(decision.account, decision.user->account);
    refused(with_password("ann", "Pass"));
    refused(with_password("ann", ""));
    refused(with_password("bob", "pass"));
    refused(with_password("", "pass"));
    refused(decide((struct login){.token = BYTES("pass")}));
    accepted(with_password("empty", ""));
    refused(with_password("empty", "x"));
}

static void test_token(void **state)
{
    auth_builder_set_token(builder, BYTES("tt"), 0);
    finish();
    accepted(decide((struct login){.token = BYTES("tt")}));
    accepted(decide((struct login){.token = BYTES("tt"), .user = BYTES("a")}));
    refused(decide((struct login){.token = BYTES("t")}));
    refused(with_password("tt", "tt"));
}

static void test_single(void **state)
{
    auth_builder_set_single_user(builder, BYTES("u"), BYTES("p"), 0);
    finish();
    accepted(with_password("u", "p"));
    refused(with_password("u", ""));
    refused(with_password("x", "p"));
    refused(decide((struct login){.token = BYTES("p")}));
}

static void test_hashes(void **state)
{
    add_user("ann", HASH);
    add_user("bob", "plain");
    finish();
    struct login_decision decision = with_password("ann", "guess");
    assert_int_equal(decision.verdict, LOGIN_HASH);
    assert_false(decision.hopeless);
    assert_true(bytes_equal(decision.hash, BYTES(HASH)));
    assert_true(bytes_equal(decision.given, BYTES("guess")));
    assert_ptr_equal(decision.user, auth_config_find_user(config, BYTES("ann")));
    // Somebody unknown, and somebody known with a wrong password, have to wait as long.
    const char *const others[] = {"carl", "bob"};
    for (int i = 0; i < 2; i++) {
        decision = with_password(others[i], "guess");
        assert_int_equal(decision.verdict, LOGIN_HASH);
        assert_true(decision.hopeless);
        assert_null(decision.user);
        assert_true(bytes_starts_with(decision.hash, BYTES("$2a$04$")));
    }
    accepted(with_password("bob", "plain"));
    assert_true(auth_config_view(config)->has_plain_passwords);
    assert_int_equal(with_password("ann", HASH).verdict, LOGIN_HASH); // knowing the hash is not enough
}

static void test_hashed_token(void **state)
{
    auth_builder_set_token(builder, BYTES(HASH), 0);
    finish();
    struct login_decision decision = decide((struct login){.token = BYTES("tt")});
    assert_int_equal(decision.verdict, LOGIN_HASH);
    assert_false(auth_config_view(config)->has_plain_passwords);
    assert_false(decision.hopeless);
    assert_null(decision.user);
}

static void test_nkey(void **state)
{
    auth_builder_add_user(builder, &(struct auth_user_spec){.nkey = BYTES(NKEY)});
    add_user("ann", "pass");
    finish();
    const struct auth_user *user = auth_config_find_user(config, BYTES(NKEY));
    char raw[64], url[100], standard[100];
    size_t url_len, standard_len;
    memcpy(raw, user->nkey, 32);
    memcpy(raw + 32, user->nkey, 32);
    assert_int_equal(base64_encode(bytes_make(raw, 64), BASE64_RAW_URL, url, sizeof(url), &url_len), 0);
    assert_int_equal(base64_encode(bytes_make(raw, 64), BASE64_STANDARD, standard, sizeof(standard), &standard_len), 0);
    struct bytes signature = bytes_make(url, url_len);

    struct login_decision decision = decide((struct login){.nkey = BYTES(NKEY), .signature = signature});
    accepted(decision);
    assert_ptr_equal(decision.user, user);
    accepted(decide((struct login){.nkey = BYTES(NKEY), .signature = bytes_make(standard, standard_len)}));
    verifications = 0;
    refused(decide((struct login){.nkey = BYTES("UNKNOWN"), .signature = signature}));
    assert_int_equal(verifications, 1); // it costs the same
    url[0] ^= 1;
    refused(decide((struct login){.nkey = BYTES(NKEY), .signature = signature}));
    refused(decide((struct login){.nkey = BYTES(NKEY)}));
    refused(decide((struct login){.nkey = BYTES(NKEY), .signature = BYTES("short")}));
    // Neither is a key a name, nor a name a key.
    refused(with_password(NKEY, ""));
    refused(decide((struct login){.nkey = BYTES("ann"), .signature = signature, .password = BYTES("pass")}));
    accepted(with_password("ann", "pass"));
}

static void test_no_auth_user(void **state)
{
    add_user("ann", "pass");
    add_user("nobody", HASH);
    auth_builder_set_no_auth_user(builder, BYTES("nobody"), 0);
    finish();
    assert_true(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    assert_false(auth_config_view(config)->client.info_required);
    struct login_decision decision = decide((struct login){0});
    accepted(decision);
    assert_true(bytes_equal(decision.user->name, BYTES("nobody")));
    assert_true(decision.is_default);
    assert_true(decide((struct login){.nkey = BYTES(NKEY)}).is_default); // there are no keys here
    refused(decide((struct login){.token = BYTES("x")}));
    refused(decide((struct login){.password = BYTES("x")}));
    assert_int_not_equal(with_password("x", "").verdict, LOGIN_ACCEPTED);
}

static void test_system_users_only(void **state)
{
    auth_builder_add_user(
        builder, &(struct auth_user_spec){
                     .name = BYTES("admin"), .account = BYTES("$SYS"), .password = BYTES("x"), .has_password = true});
    finish();
    assert_true(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    assert_true(auth_config_view(config)->client.info_required);
    struct login_decision decision = decide((struct login){0});
    accepted(decision);
    assert_int_equal(decision.account, AUTH_GLOBAL_ACCOUNT);
    decision = with_password("admin", "x");
    accepted(decision);
    assert_int_equal(decision.account, auth_config_view(config)->system_account);
    refused(with_password("admin", "y"));
}

static void test_system_users_and_authorization(void **state)
{
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("admin"), .account = BYTES("$SYS")});
    auth_builder_set_authorization(builder);
    finish();
    assert_false(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    refused(decide((struct login){0}));
}

static void test_connection_types(void **state)
{
    auth_builder_add_user(
        builder, &(struct auth_user_spec){.name = BYTES("web"), .connection_types = AUTH_CONNECTION_WEBSOCKET});
    finish();
    refused(with_password("web", ""));
    accepted(decide((struct login){.user = BYTES("web"), .connection_type = AUTH_CONNECTION_WEBSOCKET}));
}

static struct login_decision on_websocket(struct login login)
{
    login.connection_type = AUTH_CONNECTION_WEBSOCKET;
    return decide(login);
}

// CO-T04: with a user of its own, those of other clients count for nothing there, and the other way round.
static void test_websocket_user(void **state)
{
    auth_builder_set_token(builder, BYTES("tt"), 0);
    auth_builder_set_websocket(
        builder, &(struct auth_websocket_spec){.user = BYTES("web"), .password = BYTES("pw"), .timeout_ms = 7});
    finish();
    accepted(decide((struct login){.token = BYTES("tt")}));
    refused(with_password("web", "pw"));
    accepted(on_websocket((struct login){.user = BYTES("web"), .password = BYTES("pw")}));
    refused(on_websocket((struct login){.user = BYTES("web"), .password = BYTES("tt")}));
    refused(on_websocket((struct login){.token = BYTES("tt")}));
    refused(on_websocket((struct login){0}));
    assert_int_equal(auth_config_view(config)->websocket.timeout_ms, 7);
    assert_int_equal(auth_config_view(config)->client.timeout_ms, 2000);
}

// The server is open, its websockets are not.
static void test_websocket_token_alone(void **state)
{
    auth_builder_set_websocket(builder, &(struct auth_websocket_spec){.token = BYTES(HASH)});
    finish();
    accepted(decide((struct login){0}));
    assert_false(auth_config_view(config)->client.info_required);
    assert_true(auth_config_view(config)->websocket.info_required);
    struct login_decision decision = on_websocket((struct login){.token = BYTES("t")});
    assert_int_equal(decision.verdict, LOGIN_HASH);
    assert_false(decision.hopeless);
    assert_true(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    assert_false(login_is_optional(config, AUTH_CONNECTION_WEBSOCKET));
}

static void test_websocket_no_auth_user(void **state)
{
    add_user("ann", "pass");
    add_user("web", "pass");
    auth_builder_set_websocket(builder, &(struct auth_websocket_spec){.no_auth_user = BYTES("web")});
    finish();
    refused(decide((struct login){0}));
    struct login_decision decision = on_websocket((struct login){0});
    accepted(decision);
    assert_true(decision.is_default && bytes_equal(decision.user->name, BYTES("web")));
    accepted(on_websocket((struct login){.user = BYTES("ann"), .password = BYTES("pass")}));
    assert_false(login_is_optional(config, AUTH_CONNECTION_WEBSOCKET)); // CONNECT is needed
    // A reload that takes the default away leaves nobody in by it.
    struct auth_config *before = config;
    builder = (auth_builder_free(builder), auth_builder_new());
    add_user("web", "pass");
    finish();
    refused(login_renew(before, decision.user, true, config, AUTH_CONNECTION_WEBSOCKET));
    accepted(login_renew(before, decision.user, false, config, AUTH_CONNECTION_WEBSOCKET));
    auth_config_unref(before);
}

// Whose certificate names him has no password: nobody may come as him without one.
static void test_websocket_certificates(void **state)
{
    add_user("CN=ann", NULL);
    auth_builder_set_verify_and_map(builder, true);
    auth_builder_set_websocket(builder, &(struct auth_websocket_spec){.verify_and_map = false});
    finish();
    struct bytes name = BYTES("CN=ann");
    refused(on_websocket((struct login){.user = name}));
    accepted(on_websocket((struct login){.certificate_names = &name, .certificate_name_count = 1}));
}

// Nor the other way round: certificates on the websocket alone leave such a user none elsewhere.
static void test_certificates_of_websockets_alone(void **state)
{
    add_user("CN=ann", NULL);
    add_user("bob", "pass");
    auth_builder_set_websocket(builder, &(struct auth_websocket_spec){.verify_and_map = true});
    finish();
    struct bytes name = BYTES("CN=ann");
    refused(decide((struct login){.user = name}));
    accepted(decide((struct login){.user = BYTES("bob"), .password = BYTES("pass")}));
    accepted(on_websocket((struct login){.certificate_names = &name, .certificate_name_count = 1}));
}

// Unknown names have the costs of known ones, as often, and each always the same.
static void test_costs(void **state)
{
    char hash[] = "$2a$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "user%d", i);
        memcpy(hash + 4, i % 4 ? "11" : "08", 2);
        add_user(name, hash);
    }
    finish();
    int cheap = 0;
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "nobody%d", i);
        struct login_decision decision = decide((struct login){.user = bytes_from_string(name), .decoy_seed = 42});
        struct login_decision again = decide((struct login){.user = bytes_from_string(name), .decoy_seed = 42});
        assert_int_equal(decision.verdict, LOGIN_HASH);
        assert_true(decision.hopeless);
        assert_ptr_equal(decision.hash.ptr, again.hash.ptr);
        cheap += bytes_starts_with(decision.hash, BYTES("$2a$08$"));
        assert_true(bytes_starts_with(decision.hash, BYTES("$2a$08$")) ||
                    bytes_starts_with(decision.hash, BYTES("$2a$11$")));
    }
    assert_in_range(cheap, 180, 320);
}

// CO-S01: the certificate's names, best first; what the client calls itself does not count.
static void test_certificates(void **state)
{
    add_user("derek@example.org", NULL);
    add_user("CN=other", "pass");
    auth_builder_set_verify_and_map(builder, true);
    auth_builder_set_no_auth_user(builder, BYTES("derek@example.org"), 0);
    finish();
    assert_false(login_is_optional(config, AUTH_CONNECTION_STANDARD));
    struct bytes names[] = {BYTES("unknown"), BYTES("derek@example.org"), BYTES("CN=other")};
    struct login_decision decision =
        decide((struct login){.certificate_names = names, .certificate_name_count = 3, .user = BYTES("CN=other")});
    accepted(decision);
    assert_true(bytes_equal(decision.user->name, BYTES("derek@example.org")));
    refused(decide((struct login){.certificate_names = names, .certificate_name_count = 1}));
    refused(decide((struct login){.user = BYTES("derek@example.org")}));
    refused(decide((struct login){.certificate_names = names + 2, .certificate_name_count = 1}));
    accepted(
        decide((struct login){.certificate_names = names + 2, .certificate_name_count = 1, .password = BYTES("pass")}));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_open),
        TEST(test_plain),
        TEST(test_token),
        TEST(test_single),
        TEST(test_hashes),
        TEST(test_hashed_token),
        TEST(test_nkey),
        TEST(test_no_auth_user),
        TEST(test_system_users_only),
        TEST(test_system_users_and_authorization),
        TEST(test_connection_types),
        TEST(test_certificates),
        TEST(test_websocket_user),
        TEST(test_websocket_token_alone),
        TEST(test_websocket_no_auth_user),
        TEST(test_websocket_certificates),
        TEST(test_certificates_of_websockets_alone),
        TEST(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
