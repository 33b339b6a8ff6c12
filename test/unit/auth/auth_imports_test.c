// SPDX-License-Identifier: Apache-2.0
// CO-S08: what a configuration may import, and what would go round in circles.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "auth/auth_imports.h"

static struct auth_builder *builder;

static void begin(void)
{
    builder = auth_builder_new();
    for (char name = 'A'; name <= 'Z'; name++)
        assert_int_equal(auth_builder_add_account(builder, bytes_make(&name, 1), NULL, 0), 0);
}

static void give(const char *account, bool is_service, const char *subject, uint32_t token_position)
{
    struct auth_export_spec spec = {.is_service = is_service,
                                    .account = bytes_from_string(account),
                                    .subject = bytes_from_string(subject),
                                    .is_public = true,
                                    .account_token_position = token_position};
    assert_int_equal(auth_builder_add_export(builder, &spec), 0);
}

static void take(const char *account, const char *exporter, bool is_service, const char *subject, const char *to)
{
    struct auth_import_spec spec = {.is_service = is_service,
                                    .account = bytes_from_string(account),
                                    .exporter = bytes_from_string(exporter),
                                    .subject = bytes_from_string(subject),
                                    .to = bytes_from_string(to),
                                    .where = 7};
    auth_builder_add_import(builder, &spec);
}

// NULL: it is fine.
static void expect(const char *text)
{
    struct auth_config *config = NULL;
    struct auth_error error = {.text = ""};
    int result = auth_builder_finish(builder, &config, &error);
    if (text) {
        assert_int_not_equal(result, 0);
        if (!strstr(error.text, text))
            fail_msg("expected \"%s\", got \"%s\"", text, error.text);
        assert_int_equal(error.where, 7);
    } else if (result) {
        fail_msg("%s", error.text);
    }
    auth_config_unref(config);
    auth_builder_free(builder);
}

static void test_mappings(void **state)
{
    begin();
    give("A", true, "req.*.*", 0);
    take("B", "A", true, "req.*.*", "q.$2.$1");
    expect(NULL);
    begin();
    give("A", true, "req.*.*", 0);
    take("B", "A", true, "req.*.*", "q.$1");
    expect("does not fit its subject");
    begin();
    give("A", false, "s.*", 0);
    take("B", "A", false, "s.*", "t.$2");
    expect("does not fit its subject");
}

static void test_cycles_of_services(void **state)
{
    begin();
    give("A", true, "a.>", 0);
    give("B", true, "b.>", 0);
    take("A", "B", true, "b.>", "a.>");
    take("B", "A", true, "a.>", "b.>");
    expect("cycle");
    begin(); // the same accounts, but what comes back is another subject
    give("A", true, "a.>", 0);
    give("B", true, "b.>", 0);
    take("A", "B", true, "b.>", "from.b.>");
    take("B", "A", true, "a.>", "from.a.>");
    expect(NULL);
    begin(); // over three, with numbered wildcards
    give("A", true, "a.*.*", 0);
    give("B", true, "b.*.*", 0);
    give("C", true, "c.*.*", 0);
    take("A", "B", true, "b.*.*", "a.$2.$1");
    take("B", "C", true, "c.*.*", "b.$2.$1");
    take("C", "A", true, "a.*.*", "c.$2.$1");
    expect("cycle");
}

static void test_cycles_of_streams(void **state)
{
    begin();
    give("A", false, "a.>", 0);
    give("B", false, "b.>", 0);
    take("A", "B", false, "b.>", "a.>");
    take("B", "A", false, "a.>", "b.>");
    expect("cycle");
    begin(); // a service and a stream make no circle
    give("A", false, "a.>", 0);
    give("B", true, "b.>", 0);
    take("A", "B", true, "b.>", "a.>");
    take("B", "A", false, "a.>", "b.>");
    expect(NULL);
}

static void chain(char last)
{
    begin();
    for (char name = 'A'; name < last; name++) {
        char exporter[2] = {name, 0}, importer[2] = {(char)(name + 1), 0};
        give(exporter, true, "s.>", 0);
        take(importer, exporter, true, "s.>", "s.>");
    }
}

static void test_chains_end(void **state)
{
    chain('A' + AUTH_CHAIN_MAX);
    expect(NULL);
    chain('A' + AUTH_CHAIN_MAX + 1);
    expect("too many imports");
}

static void test_account_token_position(void **state)
{
    begin();
    give("A", true, "tok.*", 2);
    take("B", "A", true, "tok.B", "mine");
    expect(NULL);
    begin();
    give("A", true, "tok.*", 2);
    take("B", "A", true, "tok.C", "");
    expect("does not export");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_cycles_of_services),
        cmocka_unit_test(test_cycles_of_streams),
        cmocka_unit_test(test_chains_end),
        cmocka_unit_test(test_account_token_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
