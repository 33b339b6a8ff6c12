// SPDX-License-Identifier: Apache-2.0
// CO-S07, CO-S08: who gets what in several accounts whose imports and subscriptions change all the time, against a model that
// looks at every import and every subscription for each message.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "base/memory.h"
#include "base/prng.h"
#include "broker/account.h"
#include "broker/connection.h"
#include "subject/subject.h"
#include "world.h"

#define ACCOUNTS      5
#define SUBSCRIPTIONS 6 // per account
#define IMPORTS       10
#define ROUNDS        60
#define MESSAGES      40
#define LINES_MAX     2000
#define TEXT          96

struct import {
    bool is_service;
    int importer, exporter;
    char subject[TEXT]; // "a.>", "a.*"
    char local[TEXT];   // "p.a.>", "b.*"
};

struct lines {
    char text[LINES_MAX][2 * TEXT];
    int count;
};

struct model {
    struct world world;
    struct prng prng;
    struct peer *peers[ACCOUNTS];
    char patterns[ACCOUNTS][SUBSCRIPTIONS][TEXT]; // "": not subscribed
    struct import imports[IMPORTS], tried[IMPORTS];
    int import_count;
    struct lines expected, received;
    int delivered_elsewhere;
};

static const char WORDS[] = "abcd";

static char word(struct model *model)
{
    return WORDS[prng_below(&model->prng, sizeof(WORDS) - 1)];
}

// What the import makes of a subject that its first pattern matches: both end alike, behind the first token or the prefix.
static void map(const char *from, const char *to, const char *subject, char *ret_mapped)
{
    size_t fixed = strlen(from) - 1, length = strlen(to) - 1;
    snprintf(ret_mapped, TEXT, "%.*s%s", (int)length, to, subject + fixed);
}

static bool matches(const char *pattern, const char *subject)
{
    return subject_match(bytes_from_string(pattern), bytes_from_string(subject));
}

static void expect(struct model *model, int account, const char *subject, bool from_stream)
{
    char mapped[TEXT];
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        const char *pattern = model->patterns[account][i];
        if (pattern[0] && matches(pattern, subject))
            snprintf(model->expected.text[model->expected.count++], 2 * TEXT, "%d %s %d", account, subject, i);
    }
    for (int i = 0; i < model->import_count && !from_stream; i++) {
        const struct import *import = &model->imports[i];
        if (import->is_service && import->importer == account && matches(import->local, subject)) {
            map(import->local, import->subject, subject, mapped);
            expect(model, import->exporter, mapped, false);
        } else if (!import->is_service && import->exporter == account && matches(import->subject, subject)) {
            map(import->subject, import->local, subject, mapped);
            expect(model, import->importer, mapped, true);
        }
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void collect(struct model *model, int account)
{
    struct peer *peer = model->peers[account];
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    char subject[TEXT];
    int sid;
    for (const char *at = peer->received.ptr; (at = strstr(at, "MSG ")); at++) {
        assert_int_equal(sscanf(at, "MSG %95s %d 0", subject, &sid), 2);
        snprintf(model->received.text[model->received.count++], 2 * TEXT, "%d %s %d", account, subject, sid);
    }
    peer_forget(peer);
}

static void publish(struct model *model)
{
    char subject[TEXT], text[2 * TEXT];
    int account = (int)prng_below(&model->prng, ACCOUNTS);
    snprintf(subject, sizeof(subject), prng_chance(&model->prng, 1, 2) ? "%c.%c" : "%c.%c.x", word(model), word(model));
    if (model->import_count > 0 && prng_chance(&model->prng, 1, 2)) {
        const struct import *import = &model->imports[prng_below(&model->prng, (uint64_t)model->import_count)];
        account = import->is_service ? import->importer : import->exporter;
        const char *pattern = import->is_service ? import->local : import->subject;
        snprintf(subject, sizeof(subject), "%.*s%c", (int)strlen(pattern) - 1, pattern, word(model));
    }
    snprintf(text, sizeof(text), "PUB %s 0\r\n\r\n", subject);
    model->expected.count = model->received.count = 0;
    expect(model, account, subject, false);
    peer_say(model->peers[account], text);
    for (int i = 0; i < ACCOUNTS; i++)
        collect(model, i);
    assert_int_equal(model->received.count, model->expected.count);
    qsort(model->expected.text, (size_t)model->expected.count, 2 * TEXT, compare);
    qsort(model->received.text, (size_t)model->received.count, 2 * TEXT, compare);
    for (int i = 0; i < model->expected.count; i++) {
        assert_string_equal(model->received.text[i], model->expected.text[i]);
        model->delivered_elsewhere += model->expected.text[i][0] != '0' + account;
    }
}

static void toggle(struct model *model)
{
    char text[2 * TEXT];
    int account = (int)prng_below(&model->prng, ACCOUNTS), i = (int)prng_below(&model->prng, SUBSCRIPTIONS);
    char *pattern = model->patterns[account][i];
    if (pattern[0]) {
        snprintf(text, sizeof(text), "UNSUB %d\r\n", i);
        pattern[0] = '\0';
    } else {
        static const char *const SHAPES[] = {"%c.%c", "%c.*", "%c.>", "*.%c", ">", "%c.%c.x", "p.%c.>"};
        snprintf(pattern, TEXT, SHAPES[prng_below(&model->prng, 7)], word(model), word(model));
        snprintf(text, sizeof(text), "SUB %s %d\r\n", pattern, i);
    }
    peer_say(model->peers[account], text);
}

static void add_import(struct model *model, struct auth_builder *builder, struct import *import)
{
    char names[2][2] = {{(char)('A' + import->importer), 0}, {(char)('A' + import->exporter), 0}};
    struct auth_export_spec exported = {.is_service = import->is_service,
                                        .account = bytes_from_string(names[1]),
                                        .subject = bytes_from_string(import->subject),
                                        .is_public = true};
    auth_builder_add_export(builder, &exported);
    struct auth_import_spec imported = {.is_service = import->is_service,
                                        .account = bytes_from_string(names[0]),
                                        .exporter = bytes_from_string(names[1]),
                                        .subject = bytes_from_string(import->subject),
                                        .to = bytes_from_string(import->local)};
    auth_builder_add_import(builder, &imported);
    (void)model;
}

static bool reload(struct model *model)
{
    struct auth_builder *builder = auth_builder_new();
    for (int i = 0; i < ACCOUNTS; i++)
        assert_int_equal(auth_builder_add_account(builder, bytes_make(&"ABCDE"[i], 1), NULL, 0), 0);
    int count = (int)prng_below(&model->prng, IMPORTS + 1);
    for (int i = 0; i < count; i++) {
        struct import *import = &model->tried[i];
        import->is_service = prng_chance(&model->prng, 1, 2);
        import->importer = (int)prng_below(&model->prng, ACCOUNTS);
        import->exporter = (import->importer + 1 + (int)prng_below(&model->prng, ACCOUNTS - 1)) % ACCOUNTS;
        char last = "*>"[prng_below(&model->prng, 2)];
        // One export per subject and kind, or the builder would see the same one twice.
        snprintf(import->subject, TEXT, "%c.%c", WORDS[i % 4], last);
        snprintf(import->local, TEXT, prng_chance(&model->prng, 1, 3) ? "p.%c.%c" : "%c.%c", word(model), last);
        add_import(model, builder, import);
    }
    struct auth_config *config;
    bool is_fine = auth_builder_finish(builder, &config, NULL) == 0;
    auth_builder_free(builder);
    if (!is_fine)
        return false; // a cycle, or an export given twice
    assert_int_equal(broker_accounts_replace(model->world.broker, auth_config_view(config)), 0);
    auth_config_unref(config);
    model->import_count = count;
    memcpy(model->imports, model->tried, sizeof(model->imports));
    return true;
}

static void test_model(void **state)
{
    struct model *model = mem_alloc_zero(sizeof(*model));
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "name";
    world_init(&model->world, &options);
    prng_seed(&model->prng, 3);
    int reloads = 0;
    while (!reload(model))
        continue;
    for (int i = 0; i < ACCOUNTS; i++) {
        model->peers[i] = peer_connect(&model->world, "");
        connection_account_set(model->peers[i]->context, account_find(model->world.broker, bytes_make(&"ABCDE"[i], 1)));
    }
    for (int round = 0; round < ROUNDS; round++) {
        reloads += reload(model);
        for (int i = 0; i < MESSAGES; i++) {
            if (prng_chance(&model->prng, 1, 4))
                toggle(model);
            publish(model);
        }
        broker_check(model->world.broker);
    }
    assert_true(reloads > ROUNDS / 4);
    assert_true(model->delivered_elsewhere > 300);
    world_deinit(&model->world);
    mem_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
