// SPDX-License-Identifier: Apache-2.0
// Who asks over HTTP: many wrong passwords keep strangers out, and nobody who was let in before.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "env/crypto.h"
#include "monitor/api_login.h"

enum { NOBODY = -1, SECOND_NS = 1000000000 };

#define RIGHT BYTES("Basic b3BlcmF0b3I6c2VjcmV0") // operator:secret
#define WRONG BYTES("Basic b3BlcmF0b3I6Z3Vlc3M=") // operator:guess

struct scene {
    struct broker_options options;
    struct broker *broker;
    struct api_login *login;
    struct moment now;
    int verdict;
};

// Different texts of these tests have different sums.
static void sum(struct bytes input, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    for (size_t i = 0; i < CRYPTO_SHA256_LEN; i++)
        ret_digest[i] = i < input.len ? (uint8_t)input.ptr[input.len - 1 - i] : 0;
}

static const struct crypto CRYPTO = {.sha256 = sum};

static void scene_begin(struct scene *scene)
{
    *scene = (struct scene){.now = {.mono_ns = 120ULL * SECOND_NS, .wall_ns = 1000ULL * SECOND_NS}};
    broker_options_default(&scene->options);
    scene->options.crypto = &CRYPTO;
    scene->broker = broker_new(&scene->options, scene->now);
    scene->login = api_login_new(&(struct api_login_options){.broker = scene->broker,
                                                             .broker_options = &scene->options,
                                                             .admin_user = "operator",
                                                             .admin_password = "secret"});
}

static void scene_end(struct scene *scene)
{
    api_login_free(scene->login);
    broker_free(scene->broker);
}

static void note(void *owner, enum api_login_verdict verdict, const struct auth_permissions *permissions)
{
    struct scene *scene = owner;
    assert_null(permissions);
    scene->verdict = (int)verdict;
}

static int ask(struct scene *scene, struct bytes authorization)
{
    scene->verdict = NOBODY;
    assert_null(api_login_ask(scene->login, authorization, scene->now, note, scene));
    return scene->verdict;
}

static void try_too_often(struct scene *scene)
{
    for (int i = 0; i < API_LOGIN_WRONG_MAX; i++)
        assert_int_equal(ask(scene, WRONG), API_LOGIN_REFUSED);
    assert_int_equal(ask(scene, WRONG), API_LOGIN_BUSY);
}

static void nobody_new_is_let_in_after_too_many_wrong_ones(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    try_too_often(&scene);
    assert_int_equal(ask(&scene, RIGHT), API_LOGIN_BUSY);
    scene.now.mono_ns += 60ULL * SECOND_NS;
    assert_int_equal(ask(&scene, RIGHT), API_LOGIN_ALL);
    scene_end(&scene);
}

static void who_was_let_in_before_still_is(void **state)
{
    struct scene scene;
    (void)state;
    scene_begin(&scene);
    assert_int_equal(ask(&scene, RIGHT), API_LOGIN_ALL);
    try_too_often(&scene);
    assert_int_equal(ask(&scene, RIGHT), API_LOGIN_ALL);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_new_is_let_in_after_too_many_wrong_ones),
        cmocka_unit_test(who_was_let_in_before_still_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
