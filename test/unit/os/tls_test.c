// SPDX-License-Identifier: Apache-2.0
// CO-S01: contexts from files. What is wrong with a file is said by its name, and a broken file changes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "os/tls.h"
#include "tls_files.h"

static char message[TLS_MESSAGE_SIZE];

static int load(struct tls *tls, const char *cert, const char *key, const char *ca)
{
    struct tls_config config = {
        .cert_file = tls_files_path(cert),
        .key_file = tls_files_path(key),
        .ca_file = ca ? tls_files_path(ca) : NULL,
        .verify = ca != NULL,
        .min_version = 12,
    };
    message[0] = '\0';
    return tls_load(tls, &config, message);
}

static void expect_refused(const char *cert, const char *key, const char *ca, const char *file, const char *why)
{
    struct tls *tls = tls_new();
    assert_int_equal(load(tls, cert, key, ca), ERR_INVALID);
    if (!strstr(message, tls_files_path(file)) || !strstr(message, why) || strchr(message, '\n'))
        fail_msg("\"%s\" should name %s and say \"%s\"", message, file, why);
    assert_null(tls_context_take(tls));
    tls_unref(tls);
}

static void what_is_wrong_with_a_file_is_said_by_its_name(void **state)
{
    expect_refused("none.pem", "server.key", NULL, "none.pem", "No such file");
    expect_refused("server.pem", "none.key", NULL, "none.key", "No such file");
    expect_refused("server.pem", "server.key", "none.pem", "none.pem", "No such file");
    expect_refused("garbage.pem", "server.key", NULL, "garbage.pem", "no start line");
    expect_refused("server.pem", "garbage.pem", NULL, "garbage.pem", "not usable");
    expect_refused("server.pem", "server.key", "garbage.pem", "garbage.pem", "not usable");
    expect_refused("server.pem", "client.key", NULL, "client.key", "does not belong to the certificate");
    expect_refused("server.pem", "locked.key", NULL, "locked.key", "password");
    expect_refused("", "server.key", NULL, "", "Is a directory");
}

static void a_chain_and_the_system_s_authorities_load(void **state)
{
    struct tls *tls = tls_new();
    assert_int_equal(load(tls, "both.pem", "server.key", NULL), 0);
    struct tls_config config = {
        .cert_file = tls_files_path("server.pem"), .key_file = tls_files_path("server.key"), .verify = true};
    assert_int_equal(tls_load(tls, &config, message), 0);
    tls_unref(tls);
}

static void a_broken_file_changes_nothing(void **state)
{
    struct tls *tls = tls_new();
    assert_int_equal(tls_not_after(tls), 0);
    assert_int_equal(load(tls, "server.pem", "server.key", "ca.pem"), 0);
    struct tls_context *first = tls_context_take(tls);
    assert_int_equal(load(tls, "garbage.pem", "server.key", "ca.pem"), ERR_INVALID);
    struct tls_context *second = tls_context_take(tls);
    assert_ptr_equal(first, second);
    int64_t left_s = tls_not_after(tls) - (int64_t)time(NULL);
    assert_in_range(left_s, 86400 - 600, 86400);

    assert_int_equal(load(tls, "client.pem", "client.key", NULL), 0);
    struct tls_context *third = tls_context_take(tls);
    assert_ptr_not_equal(first, third);
    tls_unload(tls);
    assert_null(tls_context_take(tls));
    // Those that were taken live on.
    assert_non_null(tls_context_openssl(first));
    tls_context_unref(first);
    tls_context_unref(second);
    tls_context_unref(third);
    tls_unref(tls);
}

static void suites_curves_and_versions_are_those_asked_for(void **state)
{
    struct tls *tls = tls_new();
    const char *suites[] = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"};
    const char *curves[] = {"P-384", "X25519"};
    struct tls_config config = {
        .cert_file = tls_files_path("server.pem"),
        .key_file = tls_files_path("server.key"),
        .suites = suites,
        .suite_count = 2,
        .curves = curves,
        .curve_count = 2,
        .min_version = 13,
    };
    assert_int_equal(tls_load(tls, &config, message), 0);
    curves[1] = "no-curve";
    assert_int_equal(tls_load(tls, &config, message), ERR_INVALID);
    assert_non_null(strstr(message, "no-curve"));
    tls_unref(tls);
}

static void several_can_change_together(void **state)
{
    struct tls *tls = tls_new(), *fresh = tls_new();
    assert_int_equal(load(fresh, "server.pem", "server.key", NULL), 0);
    struct tls_context *context = tls_context_take(fresh);
    tls_move(tls, fresh);
    struct tls_context *moved = tls_context_take(tls);
    assert_ptr_equal(moved, context);
    assert_null(tls_context_take(fresh));
    tls_move(tls, fresh);
    assert_null(tls_context_take(tls));
    tls_context_unref(context);
    tls_context_unref(moved);
    tls_unref(fresh);
    tls_unref(tls);
}

static void a_reference_keeps_it(void **state)
{
    struct tls *tls = tls_new();
    struct tls *other = tls_ref(tls);
    tls_unref(tls);
    assert_int_equal(load(other, "server.pem", "server.key", NULL), 0);
    tls_unref(other);
    tls_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_a_file_is_said_by_its_name),
        cmocka_unit_test(a_chain_and_the_system_s_authorities_load),
        cmocka_unit_test(a_broken_file_changes_nothing),
        cmocka_unit_test(suites_curves_and_versions_are_those_asked_for),
        cmocka_unit_test(several_can_change_together),
        cmocka_unit_test(a_reference_keeps_it),
    };
    return cmocka_run_group_tests(tests, tls_files_make, tls_files_remove);
}
