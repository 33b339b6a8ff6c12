// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03, S06, S07, S08: what a configuration becomes, and what is refused of it and how that is said.
#include "auth/auth_builder.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NKEY "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"
#define STRINGS(...)                                                                                                   \
    {                                                                                                                  \
        (const struct bytes[]){__VA_ARGS__}, sizeof((struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes)              \
    }

static struct auth_builder *builder;

static int setup(void **state)
{
    builder = auth_builder_new();
    return 0;
}

static int teardown(void **state)
{
    auth_builder_free(builder);
    return 0;
}

static struct auth_config *finish(void)
{
    struct auth_config *config = NULL;
    struct auth_error error = {0};
    if (auth_builder_finish(builder, &config, &error) != 0)
        fail_msg("%s", error.text);
    return config;
}

static void assert_refused(int result, const char *text, uint32_t where)
{
    struct auth_config *config = NULL;
    struct auth_error error = {0};
    assert_int_equal(auth_builder_finish(builder, &config, &error), result);
    assert_null(config);
    assert_string_equal(error.text, text);
    assert_int_equal(error.where, where);
}

static void test_open(void **state)
{
    struct auth_config *config = auth_config_new_open();
    const struct auth_view *view = auth_config_view(config);
    assert_false(view->client.required);
    assert_int_equal(view->account_count, 2);
    assert_true(bytes_equal(view->accounts[AUTH_GLOBAL_ACCOUNT].name, BYTES("$G")));
    assert_true(bytes_equal(view->accounts[view->system_account].name, BYTES("$SYS")));
    assert_int_equal(view->client.timeout_ms, 2000);
    assert_null(auth_config_find_user(config, BYTES("a")));
    assert_int_equal(auth_config_find_account(config, BYTES("A")), AUTH_NONE);
    auth_config_unref(auth_config_ref(config));
    assert_int_equal(auth_config_find_account(config, BYTES("$SYS")), view->system_account);
    auth_config_unref(config);
}

static void test_users(void **state)
{
    struct auth_permissions_spec permissions = {
        .publish_allow = STRINGS(BYTES("a.>")),
        .subscribe_allow = STRINGS(BYTES("b"), BYTES(" c.*   v1.> ")),
        .subscribe_deny = STRINGS(BYTES("> q")),
        .allow_responses = true,
    };
    struct auth_permissions_spec defaults = {.allow_responses = true, .response_max = -1, .response_ttl_ns = -1};
    struct auth_limits limits = {10, AUTH_UNLIMITED, 100};
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"),
                                                            .account = BYTES("A"),
                                                            .password = BYTES("secret"),
                                                            .has_password = true,
                                                            .permissions = &permissions,
                                                            .connection_types = AUTH_CONNECTION_WEBSOCKET});
    auth_builder_add_user(
        builder, &(struct auth_user_spec){
                     .name = BYTES("bob"), .account = BYTES("A"), .password = BYTES("$2a$04$x"), .has_password = true});
    auth_builder_add_user(builder, &(struct auth_user_spec){.nkey = BYTES(NKEY)});
    auth_builder_set_default_permissions(builder, BYTES("A"), &defaults);
    auth_builder_add_account(builder, BYTES("A"), &limits, 0);
    auth_builder_set_no_auth_user(builder, BYTES("bob"), 0);
    struct auth_config *config = finish();

    const struct auth_view *view = auth_config_view(config);
    assert_true(view->client.required);
    assert_true(view->has_nkeys);
    const struct auth_user *ann = auth_config_find_user(config, BYTES("ann"));
    assert_true(bytes_equal(view->accounts[ann->account].name, BYTES("A")));
    assert_int_equal(view->accounts[ann->account].limits.max_payload, 100);
    assert_int_equal(ann->password.kind, AUTH_SECRET_PLAIN);
    assert_int_equal(ann->connection_types, AUTH_CONNECTION_WEBSOCKET);
    assert_true(ann->permissions->publish_restricted);
    assert_int_equal(ann->permissions->subscribe_allow.count, 2);
    assert_true(bytes_equal(ann->permissions->subscribe_allow.items[1].subject, BYTES("c.*")));
    assert_true(bytes_equal(ann->permissions->subscribe_allow.items[1].queue, BYTES("v1.>")));
    assert_int_equal(ann->permissions->response_max, 1);
    assert_true(ann->permissions->response_ttl_ns == 120 * INT64_C(1000000000));

    const struct auth_user *bob = view->client.no_auth_user;
    assert_int_equal(bob->password.kind, AUTH_SECRET_BCRYPT);
    assert_true(bob->permissions->publish_restricted);
    assert_int_equal(bob->permissions->publish_allow.count, 0);
    assert_int_equal(bob->permissions->response_max, AUTH_UNLIMITED);
    assert_true(bob->permissions->response_ttl_ns == AUTH_UNLIMITED);

    const struct auth_user *key = auth_config_find_user(config, BYTES(NKEY));
    assert_true(key->is_nkey);
    assert_int_equal(key->account, AUTH_GLOBAL_ACCOUNT);
    assert_null(key->permissions);
    auth_config_unref(config);
}

static void test_exports_and_imports(void **state)
{
    auth_builder_add_import(builder, &(struct auth_import_spec){.account = BYTES("B"),
                                                                .exporter = BYTES("A"),
                                                                .subject = BYTES("s.one"),
                                                                .prefix = BYTES("from.a")});
    auth_builder_add_import(builder, &(struct auth_import_spec){.is_service = true,
                                                                .account = BYTES("B"),
                                                                .exporter = BYTES("A"),
                                                                .subject = BYTES("ask"),
                                                                .to = BYTES("local.ask")});
    auth_builder_add_export(
        builder, &(struct auth_export_spec){.account = BYTES("A"), .subject = BYTES("s.>"), .is_public = true});
    auth_builder_add_export(builder, &(struct auth_export_spec){.is_service = true,
                                                                .account = BYTES("A"),
                                                                .subject = BYTES("ask"),
                                                                .accounts = STRINGS(BYTES("B"))});
    auth_builder_add_account(builder, BYTES("A"), NULL, 0);
    auth_builder_add_account(builder, BYTES("B"), NULL, 0);
    struct auth_config *config = finish();

    const struct auth_view *view = auth_config_view(config);
    const struct auth_account *a = &view->accounts[auth_config_find_account(config, BYTES("A"))];
    const struct auth_account *b = &view->accounts[auth_config_find_account(config, BYTES("B"))];
    assert_int_equal(a->export_count, 2);
    assert_int_equal(a->import_count, 0);
    assert_int_equal(b->import_count, 2);
    assert_int_equal(a->exports[1].account_count, 1);
    assert_ptr_equal(&view->accounts[a->exports[1].accounts[0]], b);
    assert_true(bytes_equal(b->imports[0].local, BYTES("from.a.s.one")));
    assert_true(bytes_equal(b->imports[1].local, BYTES("local.ask")));
    assert_ptr_equal(&view->accounts[b->imports[1].account], a);
    auth_config_unref(config);
}

// CO-X07
static void test_counts(void **state)
{
    struct auth_limits two = {2, AUTH_UNLIMITED, AUTH_UNLIMITED}, one = {1, AUTH_UNLIMITED, AUTH_UNLIMITED};
    auth_builder_add_account(builder, BYTES("A"), &two, 0);
    auth_builder_add_user(builder,
                          &(struct auth_user_spec){.name = BYTES("ann"), .account = BYTES("A"), .limits = &one});
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("bob"), .account = BYTES("A")});
    struct auth_config *config = finish();
    const struct auth_user *ann = auth_config_find_user(config, BYTES("ann"));
    const struct auth_user *bob = auth_config_find_user(config, BYTES("bob"));
    uint32_t account = ann->account;
    assert_true(auth_config_enter(config, ann, account, false));
    assert_false(auth_config_enter(config, ann, account, false));
    assert_true(auth_config_enter(config, bob, account, false)); // the refusal was not counted
    assert_false(auth_config_enter(config, bob, account, false));
    assert_false(auth_config_enter(config, NULL, account, false));
    assert_true(auth_config_enter(config, NULL, AUTH_GLOBAL_ACCOUNT, false));
    assert_true(auth_config_enter(config, ann, account, true));
    auth_config_leave(config, ann, account);
    auth_config_leave(config, ann, account);
    assert_true(auth_config_enter(config, ann, account, false));
    auth_config_unref(config);
}

static void test_import_of_what_is_not_exported(void **state)
{
    auth_builder_add_account(builder, BYTES("A"), NULL, 0);
    auth_builder_add_account(builder, BYTES("B"), NULL, 0);
    auth_builder_add_export(builder,
                            &(struct auth_export_spec){.account = BYTES("A"), .subject = BYTES("s"), .where = 6});
    auth_builder_add_import(
        builder,
        &(struct auth_import_spec){.account = BYTES("B"), .exporter = BYTES("A"), .subject = BYTES("s"), .where = 7});
    assert_refused(ERR_PERMISSION, "account \"A\" does not export the stream \"s\" to account \"B\"", 7);
}

static void test_duplicate_user(void **state)
{
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"), .where = 1});
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"), .where = 2});
    auth_builder_add_user(builder, &(struct auth_user_spec){.where = 3});
    assert_refused(ERR_DUPLICATE, "duplicate user \"ann\"", 2);
}

static void test_unknown_account(void **state)
{
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"), .account = BYTES("A"), .where = 4});
    assert_refused(ERR_NOT_FOUND, "account \"A\" is not defined", 4);
}

static void test_account_twice(void **state)
{
    auth_builder_add_account(builder, BYTES("$G"), NULL, 1);
    auth_builder_add_account(builder, BYTES("A"), NULL, 2);
    auth_builder_add_account(builder, BYTES("A"), NULL, 3);
    assert_refused(ERR_DUPLICATE, "account \"A\" is defined twice", 3);
}

static void test_bad_subject(void **state)
{
    struct auth_permissions_spec permissions = {.publish_deny = STRINGS(BYTES("a b")), .where = 9};
    auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"), .permissions = &permissions});
    assert_refused(ERR_INVALID, "subject \"a b\" is not a valid subject", 9);
}

static void test_bad_nkey(void **state)
{
    auth_builder_add_user(builder, &(struct auth_user_spec){.nkey = BYTES("UABC"), .where = 2});
    assert_refused(ERR_INVALID, "not a valid public nkey for a user", 2);
}

static void test_no_auth_user_unknown(void **state)
{
    auth_builder_set_no_auth_user(builder, BYTES("ann"), 5);
    assert_refused(ERR_NOT_FOUND, "no_auth_user \"ann\" is not a defined user", 5);
}

static void test_system_account(void **state)
{
    auth_builder_add_account(builder, BYTES("MINE"), NULL, 0);
    auth_builder_set_system_account(builder, BYTES("MINE"), 0);
    struct auth_config *config = finish();
    assert_int_equal(auth_config_view(config)->system_account, auth_config_find_account(config, BYTES("MINE")));
    assert_int_equal(auth_config_find_account(config, BYTES("$SYS")), AUTH_NONE);
    auth_config_unref(config);
}

static void test_system_account_unknown(void **state)
{
    auth_builder_set_system_account(builder, BYTES("MINE"), 8);
    assert_refused(ERR_NOT_FOUND, "system_account \"MINE\" is not a defined account", 8);
}

static void test_no_system_account(void **state)
{
    auth_builder_set_system_account(builder, BYTES(""), 0);
    struct auth_config *config = finish();
    assert_int_equal(auth_config_view(config)->system_account, AUTH_NONE);
    assert_int_equal(auth_config_view(config)->account_count, 1);
    auth_config_unref(config);
}

static void test_contradictions(void **state)
{
    auth_builder_set_token(builder, BYTES("t"), 1);
    auth_builder_set_single_user(builder, BYTES("ann"), BYTES("p"), 2);
    assert_refused(ERR_INVALID, "cannot have both a user and password and a token", 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        TEST(test_users),
        TEST(test_exports_and_imports),
        TEST(test_counts),
        TEST(test_import_of_what_is_not_exported),
        TEST(test_duplicate_user),
        TEST(test_unknown_account),
        TEST(test_account_twice),
        TEST(test_bad_subject),
        TEST(test_bad_nkey),
        TEST(test_no_auth_user_unknown),
        TEST(test_system_account),
        TEST(test_system_account_unknown),
        TEST(test_no_system_account),
        TEST(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
