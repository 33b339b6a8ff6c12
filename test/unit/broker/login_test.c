// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03, S06, S07, X07, P14: who a connection is, what it may do, and how it hears that it may not, as transcripts that nats-server
// plays alike. Every transcript runs uncut and cut into pieces. Hashes and signatures are make-believe here; os/crypto_test.c has
// the real ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/auth_builder.h"
#include "base/must.h"
#include "codec/base64.h"
#include "env/crypto.h"
#include "env/offload.h"
#include "world.h"

#define NKEY     "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"
#define VIOLATED "-ERR 'Authorization Violation'\r\n"
// Of the password "pass", for the make-believe bcrypt.
#define HASH "$2a$04$passpasspasspasspasspasspasspasspasspasspasspasspass+"

static const size_t CUTS[] = {0, 1, 3};

#define STRINGS(...)                                                                                                   \
    {                                                                                                                  \
        (const struct bytes[]){__VA_ARGS__}, sizeof((struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes)              \
    }

// --- a world with users ---------------------------------------------------------------------------------------------

struct rig {
    struct world world;
    struct auth_builder *builder;
    struct offload offload;
    struct offload_job *jobs[16]; // submitted, not run
    size_t job_count;
};

static bool fake_bcrypt(struct bytes hash, struct bytes password)
{
    return hash.len == 60 && bytes_starts_with(bytes_skip(hash, 7), password) && password.len == 4;
}

// The signature is the key, then the message.
static bool fake_verify(const uint8_t *key, const uint8_t *signature, struct bytes message)
{
    return memcmp(key, signature, 32) == 0 && message.len <= 32 &&
           memcmp(signature + 32, message.ptr, message.len) == 0;
}

static void fake_sha256(struct bytes input, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    for (size_t i = 0; i < CRYPTO_SHA256_LEN; i++)
        ret_digest[i] = (uint8_t)(input.ptr[i] * 7 + input.ptr[input.len - 8]);
}

static const struct crypto fake_crypto = {
    .bcrypt_matches = fake_bcrypt, .ed25519_verify = fake_verify, .sha256 = fake_sha256};

static void submit(struct offload *offload, struct offload_job *job)
{
    struct rig *rig = (struct rig *)(void *)((char *)offload - offsetof(struct rig, offload));
    must(rig->job_count < 16);
    rig->jobs[rig->job_count++] = job;
}

// Runs what is submitted now, not what that leads to.
static void run_jobs(struct rig *rig)
{
    struct offload_job *jobs[16];
    size_t count = rig->job_count;
    memcpy(jobs, rig->jobs, sizeof(jobs));
    rig->job_count = 0;
    for (size_t i = 0; i < count; i++) {
        jobs[i]->run(jobs[i]);
        jobs[i]->done(jobs[i]);
    }
    world_turn(&rig->world);
}

static void rig_init(struct rig *rig, size_t cut)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "NAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    options.server_name = "test";
    options.max_payload = 100;
    options.seed = 3;
    options.crypto = &fake_crypto;
    options.offload = &rig->offload;
    memset(options.nonce_key, 5, sizeof(options.nonce_key));
    rig->offload.submit = submit;
    rig->job_count = 0;
    world_init(&rig->world, &options);
    rig->world.cut = cut;
    rig->builder = auth_builder_new();
}

static void rig_deinit(struct rig *rig)
{
    for (size_t i = 0; i < rig->world.peer_count; i++)
        peer_close(rig->world.peers[i]);
    run_jobs(rig);
    must(rig->job_count == 0);
    world_deinit(&rig->world);
    auth_builder_free(rig->builder);
}

// What the builder has been told is in force from here on; the next one begins anew.
static void apply(struct rig *rig)
{
    struct auth_config *config = NULL;
    struct auth_error error = {0};
    if (auth_builder_finish(rig->builder, &config, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(broker_auth_replace(rig->world.broker, config), 0);
    auth_config_unref(config);
    auth_builder_free(rig->builder);
    rig->builder = auth_builder_new();
    world_turn(&rig->world);
}

static void add_user_in(struct rig *rig, const char *account, const char *name, const char *password,
                        const struct auth_permissions_spec *permissions)
{
    assert_int_equal(
        auth_builder_add_user(rig->builder, &(struct auth_user_spec){.name = bytes_from_string(name),
                                                                     .account = bytes_from_string(account),
                                                                     .password = bytes_from_string(password),
                                                                     .has_password = true,
                                                                     .permissions = permissions}),
        0);
}

static void add_user(struct rig *rig, const char *name, const char *password,
                     const struct auth_permissions_spec *permissions)
{
    add_user_in(rig, "", name, password, permissions);
}

static struct peer *login(struct rig *rig, const char *name, const char *password)
{
    char fields[128];
    snprintf(fields, sizeof(fields), "\"pedantic\":false,\"user\":\"%s\",\"pass\":\"%s\"", name, password);
    return peer_connect(&rig->world, fields);
}

static void hears(struct peer *peer, const char *say, const char *hear)
{
    peer_say(peer, say);
    peer_expect(peer, hear);
}

#define TRANSCRIPT(name)                                                                                               \
    static void name##_cut(struct rig *rig);                                                                           \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        for (size_t i = 0; i < sizeof(CUTS) / sizeof(CUTS[0]); i++) {                                                  \
            static struct rig rig;                                                                                     \
            rig_init(&rig, CUTS[i]);                                                                                   \
            name##_cut(&rig);                                                                                          \
            rig_deinit(&rig);                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_cut(struct rig *rig)

// --- who ------------------------------------------------------------------------------------------------------------

static void info_has(struct rig *rig, const char *text, bool has)
{
    struct peer *peer = peer_arrive(&rig->world);
    world_turn(&rig->world);
    assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
    assert_int_equal(strstr(peer->received.ptr, text) != NULL, has);
    peer_forget(peer);
    peer_close(peer);
}

TRANSCRIPT(passwords)
{
    info_has(rig, "auth_required", false);
    add_user(rig, "ann", "pass", NULL);
    apply(rig);
    info_has(rig, "\"auth_required\":true", true);
    info_has(rig, "nonce", false);
    const char *refused[] = {"PING\r\n",
                             "x",
                             "CONNECT {}\r\n",
                             "CONNECT {\"user\":\"ann\",\"pass\":\"b\"}\r\nPING\r\n",
                             "CONNECT {\"user\":\"bob\",\"pass\":\"pass\"}\r\n",
                             "CONNECT {\"user\":\"ann\",\"pass\":\"pass\",\"account\":\"x\"}\r\n",
                             "CONNECT {\"user\":\"ann\",\"pass\":\"b\",\"protocol\":9}\r\n"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct peer *peer = peer_open(&rig->world);
        hears(peer, refused[i], VIOLATED);
        assert_true(peer->closed);
    }
    struct peer *peer = peer_open(&rig->world);
    hears(peer, "CONNECT {\"user\":\"ann\",\"pass\":\"pass\",\"protocol\":9}\r\n",
          "-ERR 'invalid client protocol'\r\n");
    peer = peer_open(&rig->world);
    hears(peer, "cx\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    peer = peer_open(&rig->world);
    hears(peer, "CONNECT {\"user\":\"ann\",\"pass\":\"pass\"}\r\nPING\r\n", "+OK\r\nPONG\r\n");
    hears(peer, "CONNECT {\"user\":\"ann\",\"pass\":\"pass\"}\r\nPING\r\n", "+OK\r\nPONG\r\n");
    hears(peer, "CONNECT {\"user\":\"ann\",\"pass\":\"no\"}\r\nPING\r\n", VIOLATED);
    assert_true(peer->closed);
}

TRANSCRIPT(timeout)
{
    add_user(rig, "ann", "pass", NULL);
    auth_builder_set_timeout_ms(rig->builder, 1000);
    apply(rig);
    struct peer *slow = peer_open(&rig->world);
    struct peer *fine = login(rig, "ann", "pass");
    peer_expect(fine, "");
    world_advance(&rig->world, 999);
    peer_expect(slow, "");
    world_advance(&rig->world, 2);
    peer_expect(slow, "-ERR 'Authentication Timeout'\r\n");
    assert_true(slow->closed);
    hears(fine, "PING\r\n", "PONG\r\n");
}

TRANSCRIPT(no_auth_user)
{
    struct auth_permissions_spec ok = {.publish_allow = STRINGS(BYTES("ok"))};
    add_user(rig, "ann", "pass", NULL);
    add_user(rig, "nobody", "x", &ok);
    auth_builder_set_no_auth_user(rig->builder, BYTES("nobody"), 0);
    apply(rig);
    info_has(rig, "auth_required", false);
    struct peer *typist = peer_open(&rig->world);
    hears(typist, "PING\r\nPUB a 0\r\n\r\n", "PONG\r\n-ERR 'Permissions Violation for Publish to \"a\"'\r\n");
    struct peer *peer = peer_connect(&rig->world, "");
    hears(peer, "PUB a 0\r\n\r\nPUB ok 0\r\n\r\nPING\r\n",
          "-ERR 'Permissions Violation for Publish to \"a\"'\r\nPONG\r\n");
    peer = peer_connect(&rig->world, "\"auth_token\":\"x\"");
    peer_expect(peer, VIOLATED);
    peer = login(rig, "ann", "pass");
    hears(peer, "PUB a 0\r\n\r\nPING\r\n", "PONG\r\n");
}

TRANSCRIPT(tokens_and_single_users)
{
    auth_builder_set_token(rig->builder, BYTES("tt"), 0);
    apply(rig);
    struct peer *peer = peer_connect(&rig->world, "\"auth_token\":\"tt\"");
    hears(peer, "PING\r\n", "PONG\r\n");
    peer_expect(peer_connect(&rig->world, "\"auth_token\":\"t\""), VIOLATED);
    auth_builder_set_single_user(rig->builder, BYTES("u"), BYTES("p"), 0);
    apply(rig);
    peer_expect(peer, VIOLATED);
    peer = login(rig, "u", "p");
    hears(peer, "PING\r\n", "PONG\r\n");
    peer_expect(login(rig, "u", "q"), VIOLATED);
}

TRANSCRIPT(nkeys)
{
    auth_builder_add_user(rig->builder, &(struct auth_user_spec){.nkey = BYTES(NKEY)});
    apply(rig);
    const struct auth_user *user = auth_config_find_user(broker_auth(rig->world.broker), BYTES(NKEY));
    for (int wrong = 0; wrong < 2; wrong++) {
        struct peer *peer = peer_arrive(&rig->world);
        world_turn(&rig->world);
        assert_int_equal(buffer_append_char(&peer->received, '\0'), 0);
        const char *nonce = strstr(peer->received.ptr, "\"nonce\":\"");
        assert_non_null(nonce);
        nonce += sizeof("\"nonce\":\"") - 1;
        assert_int_equal(strcspn(nonce, "\""), 15);
        char raw[64] = {0}, text[100], line[400];
        size_t len = 0;
        memcpy(raw, user->nkey, 32);
        memcpy(raw + 32, nonce, 15);
        raw[40] ^= (char)wrong;
        assert_int_equal(base64_encode(bytes_make(raw, 64), BASE64_RAW_URL, text, sizeof(text), &len), 0);
        peer_forget(peer);
        snprintf(line, sizeof(line), "CONNECT {\"nkey\":\"%s\",\"sig\":\"%.*s\"}\r\nPING\r\n", NKEY, (int)len, text);
        hears(peer, line, wrong ? VIOLATED : "+OK\r\nPONG\r\n");
    }
    peer_expect(peer_connect(&rig->world, "\"nkey\":\"" NKEY "\""), VIOLATED);
    peer_expect(login(rig, NKEY, ""), VIOLATED);
}

// A password hash is compared elsewhere: the connection waits, others do not, and what was sent behind CONNECT is not lost.
TRANSCRIPT(hashes)
{
    add_user(rig, "ann", HASH, NULL);
    add_user(rig, "bob", "plain", NULL);
    apply(rig);
    struct peer *ann = login(rig, "ann", "pass");
    hears(ann, "SUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n", "");
    assert_int_equal(rig->job_count, 1);
    assert_true(ann->paused);
    struct peer *bob = login(rig, "bob", "plain");
    hears(bob, "PING\r\n", "PONG\r\n");
    run_jobs(rig);
    peer_expect(ann, "MSG a 1 1\r\nx\r\nPONG\r\n");
    assert_false(ann->paused);

    // A wrong password, one of somebody unknown, and a wrong plain one take the same way.
    const char *const wrong[][2] = {{"ann", "nope"}, {"carl", "pass"}, {"bob", "pass"}};
    for (int i = 0; i < 3; i++) {
        struct peer *peer = login(rig, wrong[i][0], wrong[i][1]);
        peer_expect(peer, "");
        assert_int_equal(rig->job_count, 1);
        run_jobs(rig);
        peer_expect(peer, VIOLATED);
        assert_true(peer->closed);
    }
}

TRANSCRIPT(many_hashes)
{
    add_user(rig, "ann", HASH, NULL);
    auth_builder_set_timeout_ms(rig->builder, 1000);
    apply(rig);
    struct peer *peers[10];
    for (int i = 0; i < 10; i++)
        peers[i] = login(rig, "ann", "pass");
    assert_int_equal(rig->job_count, 4); // no more at a time
    peer_close(peers[0]);                // under way
    peer_close(peers[9]);                // waiting
    world_advance(&rig->world, 5000);    // whoever has shown his password in time may wait
    run_jobs(rig);
    assert_int_equal(rig->job_count, 4);
    run_jobs(rig);
    assert_int_equal(rig->job_count, 1);
    run_jobs(rig);
    for (int i = 1; i < 9; i++)
        hears(peers[i], "PING\r\n", "PONG\r\n");
    // One that the server loses patience with: its answer finds nobody.
    struct peer *late = login(rig, "ann", "pass");
    broker_shutdown(rig->world.broker);
    world_turn(&rig->world);
    run_jobs(rig);
    peer_expect(late, "");
}

TRANSCRIPT(reload_while_hashing)
{
    add_user(rig, "ann", HASH, NULL);
    add_user(rig, "bob", HASH, NULL);
    apply(rig);
    struct peer *ann = login(rig, "ann", "pass");
    struct peer *bob = login(rig, "bob", "pass");
    struct auth_permissions_spec deny = {.publish_deny = STRINGS(BYTES("x"))};
    add_user(rig, "ann", HASH, &deny);
    apply(rig);
    run_jobs(rig);
    hears(ann, "PUB x 0\r\n\r\nPING\r\n", "-ERR 'Permissions Violation for Publish to \"x\"'\r\nPONG\r\n");
    peer_expect(bob, VIOLATED);
}

// Somebody who is somebody already shows another password while the configuration changes.
TRANSCRIPT(reload_while_hashing_again)
{
    struct auth_permissions_spec deny = {.subscribe_deny = STRINGS(BYTES("x"))};
    for (int i = 0; i < 3; i++) {
        const char *second = i == 2 ? "none" : "pass";
        add_user(rig, "ann", "plain", NULL);
        add_user(rig, "bob", HASH, NULL);
        apply(rig);
        struct peer *ann = login(rig, "ann", "plain"), *other = login(rig, "ann", "plain");
        char line[128];
        snprintf(line, sizeof(line), "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"%s\"}\r\nPUB x 0\r\n\r\n",
                 second);
        hears(ann, "SUB x 1\r\nSUB > 2\r\n", "");
        hears(ann, line, "");
        add_user(rig, "bob", HASH, &deny);
        if (i > 0)
            add_user(rig, "ann", "plain", &deny);
        apply(rig);
        // i 0: ann is gone. Else she stays, without x, until it is known who comes.
        peer_expect(ann, i == 0 ? VIOLATED : "-ERR 'Permissions Violation for Subscription to \"x\" (sid \"1\")'\r\n");
        hears(other, "PUB x 0\r\n\r\n", i == 0 ? VIOLATED : "");
        run_jobs(rig);
        peer_expect(ann, i == 2 ? VIOLATED : "");
        peer_close(ann);
        peer_close(other);
        world_turn(&rig->world);
    }
}

// --- what -----------------------------------------------------------------------------------------------------------

TRANSCRIPT(permissions)
{
    struct auth_permissions_spec spec = {
        .publish_allow = STRINGS(BYTES("foo.*"), BYTES("bar"), BYTES("_INBOX.>")),
        .publish_deny = STRINGS(BYTES("foo.no")),
        .subscribe_allow = STRINGS(BYTES("foo.*"), BYTES("q.* v1.*"), BYTES("m"), BYTES("m g1")),
        .subscribe_deny = STRINGS(BYTES("d.x")),
    };
    add_user(rig, "ann", "pass", &spec);
    apply(rig);
    struct peer *peer =
        peer_connect(&rig->world, "\"verbose\":true,\"pedantic\":false,\"user\":\"ann\",\"pass\":\"pass\"");
    peer_forget(peer);
    hears(peer, "PUB foo.a 0\r\n\r\n", "+OK\r\n");
    hears(peer, "PUB foo.no 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"foo.no\"'\r\n");
    hears(peer, "PUB foo.no 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"foo.no\"'\r\n");
    hears(peer, "PUB a\"b\\\xc3\xa9\x01 0\r\n\r\n",
          "-ERR 'Permissions Violation for Publish to \"a\\\"b\\\\\xc3\xa9\\x01\"'\r\n");
    hears(peer, "PUB foo.a a..b 0\r\n\r\n", "+OK\r\n");
    hears(peer, "PUB foo..a 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"foo..a\"'\r\n");
    hears(peer, "SUB foo.a 1\r\nSUB foo.* 2\r\n", "+OK\r\n+OK\r\n");
    hears(peer, "SUB bar 4\r\n", "-ERR 'Permissions Violation for Subscription to \"bar\"'\r\n");
    hears(peer, "SUB bar qq 5\r\n", "-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"qq\"'\r\n");
    hears(peer, "SUB q.a v1.x 7\r\n", "+OK\r\n");
    hears(peer, "SUB q.a v1.x.y 8\r\n",
          "-ERR 'Permissions Violation for Subscription to \"q.a\" using queue \"v1.x.y\"'\r\n");
    hears(peer, "SUB foo.a _sys_ 13\r\n",
          "-ERR 'Permissions Violation for Subscription to \"foo.a\" using queue \"_sys_\"'\r\n");
    hears(peer, "SUB foo..a 14\r\n", "-ERR 'Permissions Violation for Subscription to \"foo..a\"'\r\n");
    hears(peer, "UNSUB 4\r\nPING\r\n", "+OK\r\nPONG\r\n");
}

TRANSCRIPT(reserved_subjects)
{
    struct peer *peer = peer_connect(&rig->world, "");
    hears(peer, "PUB a _R_.x 0\r\n\r\n", "-ERR 'Permissions Violation for Publish with Reply of \"_R_.x\"'\r\n");
    hears(peer, "PUB a $JS.ACK.x 0\r\n\r\n",
          "-ERR 'Permissions Violation for Publish with Reply of \"$JS.ACK.x\"'\r\n");
    hears(peer, "PUB a _GR_.x 0\r\n\r\n", "-ERR 'Permissions Violation for Publish with Reply of \"_GR_.x\"'\r\n");
    hears(peer, "PUB _GR_.x 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"_GR_.x\"'\r\n");
    hears(peer, "PUB a _INBOX.x 0\r\n\r\nPUB a $JS.API 0\r\n\r\nPUB _R_.x 0\r\n\r\nPUB a _R_. 0\r\n\r\nPING\r\n",
          "-ERR 'Permissions Violation for Publish with Reply of \"_R_.\"'\r\nPONG\r\n");
}

// Of a wildcard subscription, what is denied does not arrive; not for members of a queue group either.
TRANSCRIPT(filters)
{
    struct auth_permissions_spec spec = {.subscribe_deny = STRINGS(BYTES("d.x"), BYTES("w.*.c"), BYTES("dq q1"))};
    add_user(rig, "ann", "pass", &spec);
    add_user(rig, "bob", "pass", NULL);
    apply(rig);
    struct peer *ann = login(rig, "ann", "pass"), *bob = login(rig, "bob", "pass");
    hears(ann, "SUB d.* 1\r\nSUB w.b.* 2\r\nSUB dq 3\r\nSUB d.> q 4\r\n", "");
    hears(bob, "PUB d.x 0\r\n\r\nPUB w.b.c 0\r\n\r\nPUB w.b.d 0\r\n\r\nPUB dq 0\r\n\r\n", "");
    peer_expect(ann, "MSG w.b.d 2 0\r\n\r\nMSG dq 3 0\r\n\r\n");
    hears(ann, "SUB d.x 9\r\n", "-ERR 'Permissions Violation for Subscription to \"d.x\"'\r\n");
    // A member that may not have it does not keep it from another.
    hears(bob, "SUB d.x q 1\r\n", "");
    for (int i = 0; i < 10; i++)
        hears(bob, "PUB d.x 0\r\n\r\n", "MSG d.x 1 0\r\n\r\n");
}

TRANSCRIPT(responses)
{
    struct auth_permissions_spec one = {.allow_responses = true};
    struct auth_permissions_spec two = {.publish_allow = STRINGS(BYTES("ok")),
                                        .publish_deny = STRINGS(BYTES("rep.d")),
                                        .allow_responses = true,
                                        .response_max = 2,
                                        .response_ttl_ns = 300000000};
    add_user(rig, "one", "pass", &one);
    add_user(rig, "two", "pass", &two);
    add_user(rig, "bob", "pass", NULL);
    apply(rig);
    struct peer *peer = login(rig, "one", "pass"), *bob = login(rig, "bob", "pass");
    const char *violation = "-ERR 'Permissions Violation for Publish to \"rep.1\"'\r\n";
    hears(peer, "SUB s 1\r\nPUB rep.1 0\r\n\r\n", violation);
    hears(bob, "SUB rep.* 1\r\nPUB s rep.1 0\r\n\r\n", "");
    peer_expect(peer, "MSG s 1 rep.1 0\r\n\r\n");
    hears(peer, "PUB rep.1 0\r\n\r\nPUB rep.1 0\r\n\r\n", violation);
    peer_expect(bob, "MSG rep.1 1 0\r\n\r\n");
    peer_close(peer);

    peer = login(rig, "two", "pass");
    hears(peer, "SUB s 1\r\n", "");
    hears(bob, "PUB s rep.d 0\r\n\r\n", "");
    peer_expect(peer, "MSG s 1 rep.d 0\r\n\r\n");
    hears(peer, "PUB rep.d 0\r\n\r\nPUB rep.d 0\r\n\r\nPUB ok 0\r\n\r\nPUB rep.d 0\r\n\r\n",
          "-ERR 'Permissions Violation for Publish to \"rep.d\"'\r\n");
    hears(bob, "PUB s rep.1 0\r\n\r\n", "MSG rep.d 1 0\r\n\r\nMSG rep.d 1 0\r\n\r\n");
    world_advance(&rig->world, 301);
    peer_forget(peer);
    hears(peer, "PUB rep.1 0\r\n\r\n", violation);
}

TRANSCRIPT(accounts_and_limits)
{
    struct auth_limits limits = {2, 2, 5};
    auth_builder_add_account(rig->builder, BYTES("A"), &limits, 0);
    auth_builder_add_account(rig->builder, BYTES("B"), NULL, 0);
    add_user_in(rig, "A", "ann", "pass", NULL);
    add_user_in(rig, "B", "bob", "pass", NULL);
    apply(rig);
    struct peer *ann = login(rig, "ann", "pass"), *second = login(rig, "ann", "pass"),
                *third = login(rig, "ann", "pass");
    peer_expect(third, "-ERR 'maximum account active connections exceeded'\r\n");
    assert_true(third->closed);
    struct peer *bob = login(rig, "bob", "pass");
    hears(ann, "SUB > 1\r\nSUB b 2\r\nSUB c 3\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    hears(bob, "SUB > 1\r\nSUB b 2\r\nSUB c 3\r\nPUB c 6\r\n123456\r\n",
          "MSG c 3 6\r\n123456\r\nMSG c 1 6\r\n123456\r\n");
    hears(second, "PUB c 5\r\n12345\r\n", "");
    peer_expect(ann, "MSG c 1 5\r\n12345\r\n");
    peer_expect(bob, "");
    hears(second, "PUB c 6\r\n123456\r\n", "-ERR 'Maximum Payload Violation'\r\n");
    assert_true(second->closed);
    third = login(rig, "ann", "pass"); // there is room again
    hears(third, "PING\r\n", "PONG\r\n");
    // Whoever has subscribed stays where he is.
    hears(ann, "CONNECT {\"user\":\"bob\",\"pass\":\"pass\"}\r\n", VIOLATED);
}

// Another CONNECT makes somebody else of it: what it has subscribed to is looked at again, as after a reload. (nats-server leaves it all.)
TRANSCRIPT(becomes_somebody_else)
{
    struct auth_permissions_spec ann = {.subscribe_deny = STRINGS(BYTES("d.x"))};
    struct auth_permissions_spec eve = {.subscribe_allow = STRINGS(BYTES("d.>")),
                                        .subscribe_deny = STRINGS(BYTES("d.z"))};
    add_user(rig, "ann", "pass", &ann);
    add_user(rig, "bob", "pass", NULL);
    add_user(rig, "eve", "pass", &eve);
    add_user(rig, "hash", HASH, NULL);
    apply(rig);
    struct peer *peer = login(rig, "ann", "pass");
    hears(peer, "SUB d.* 1\r\nSUB b 2\r\nPUB d.x 1\r\nA\r\n", "");
    hears(peer, "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"pass\"}\r\nPUB d.x 1\r\nB\r\nPUB b 0\r\n\r\n",
          "MSG d.x 1 1\r\nB\r\nMSG b 2 0\r\n\r\n");
    hears(peer,
          "CONNECT {\"verbose\":false,\"user\":\"eve\",\"pass\":\"pass\"}\r\n"
          "PUB d.x 1\r\nE\r\nPUB d.z 0\r\n\r\nPUB b 0\r\n\r\n",
          "-ERR 'Permissions Violation for Subscription to \"b\" (sid \"2\")'\r\nMSG d.x 1 1\r\nE\r\n");
    // The same where the password takes its time.
    hears(peer, "CONNECT {\"verbose\":false,\"user\":\"hash\",\"pass\":\"pass\"}\r\nPUB d.z 1\r\nH\r\n", "");
    run_jobs(rig);
    peer_expect(peer, "MSG d.z 1 1\r\nH\r\n");
}

// --- reload ---------------------------------------------------------------------------------------------------------

TRANSCRIPT(reload)
{
    struct auth_permissions_spec before = {.subscribe_deny = STRINGS(BYTES("d"))};
    struct auth_permissions_spec after = {.publish_deny = STRINGS(BYTES("p")),
                                          .subscribe_deny = STRINGS(BYTES("x"), BYTES("w.x"))};
    auth_builder_add_account(rig->builder, BYTES("A"), NULL, 0);
    auth_builder_add_account(rig->builder, BYTES("GONE"), NULL, 0);
    add_user(rig, "stays", "pass", &before);
    add_user(rig, "leaves", "pass", NULL);
    add_user(rig, "changes", "pass", NULL);
    add_user_in(rig, "A", "moves", "pass", NULL);
    add_user_in(rig, "GONE", "lost", "pass", NULL);
    apply(rig);
    struct peer *stays = login(rig, "stays", "pass"), *leaves = login(rig, "leaves", "pass");
    struct peer *changes = login(rig, "changes", "pass"), *moves = login(rig, "moves", "pass");
    struct peer *lost = login(rig, "lost", "pass"), *early = peer_open(&rig->world);
    hears(stays, "SUB x 1\r\nSUB w.* 2\r\nSUB d 3\r\nSUB y q 4\r\nPUB p 0\r\n\r\n",
          "-ERR 'Permissions Violation for Subscription to \"d\"'\r\n");

    auth_builder_add_account(rig->builder, BYTES("A"), NULL, 0);
    add_user(rig, "stays", "pass", &after);
    add_user(rig, "changes", "other", NULL);
    add_user(rig, "moves", "pass", NULL);
    apply(rig);
    peer_expect(leaves, VIOLATED);
    peer_expect(changes, VIOLATED);
    peer_expect(lost, VIOLATED);
    peer_expect(moves, "");
    assert_true(leaves->closed && changes->closed && moves->closed && lost->closed);
    peer_expect(stays, "-ERR 'Permissions Violation for Subscription to \"x\" (sid \"1\")'\r\n");
    hears(stays, "PUB p 0\r\n\r\nSUB d 5\r\nPUB w.x 0\r\n\r\nPUB w.y 0\r\n\r\nPUB y 0\r\n\r\nPUB x 0\r\n\r\n",
          "-ERR 'Permissions Violation for Publish to \"p\"'\r\nMSG w.y 2 0\r\n\r\nMSG y 4 0\r\n\r\n");
    hears(early, "CONNECT {\"user\":\"changes\",\"pass\":\"other\"}\r\n", "+OK\r\n");

    // Nothing is asked any more, of anybody.
    apply(rig);
    hears(stays, "PUB p 0\r\n\r\nSUB x 9\r\nPUB w.x 0\r\n\r\n", "MSG w.x 2 0\r\n\r\n");
    hears(peer_connect(&rig->world, ""), "PING\r\n", "PONG\r\n");
    // And again: who never showed anything cannot stay.
    add_user(rig, "stays", "pass", NULL);
    apply(rig);
    peer_expect(stays, VIOLATED);
}

// The test of a password that is a moving target.
TRANSCRIPT(reload_counts)
{
    struct auth_limits one = {1, AUTH_UNLIMITED, AUTH_UNLIMITED};
    for (int i = 0; i < 2; i++) {
        auth_builder_add_account(rig->builder, BYTES("A"), &one, 0);
        add_user_in(rig, "A", "ann", "pass", NULL);
        apply(rig);
        if (i == 0)
            hears(login(rig, "ann", "pass"), "PING\r\n", "PONG\r\n");
        peer_expect(login(rig, "ann", "pass"), "-ERR 'maximum account active connections exceeded'\r\n");
    }
}

// Who is on the way out, and the accounts that it was one of are fewer now: limits are nobody's then.
TRANSCRIPT(reload_while_closing)
{
    struct broker_options options;
    broker_options_default(&options);
    for (const char *name = "ABCDEFGH"; *name; name++)
        auth_builder_add_account(rig->builder, bytes_make(name, 1), NULL, 0);
    add_user_in(rig, "H", "ann", "pass", NULL);
    apply(rig);
    struct peer *ann = login(rig, "ann", "pass");
    ann->takes = 0;
    peer_say(ann, "SUB a..b 1\r\nPUB\r\n");
    assert_false(ann->closed);
    add_user(rig, "ann", "pass", NULL);
    apply(rig);
    assert_int_equal(broker_limits_set(rig->world.broker, &options, 100), 0);
    ann->takes = SIZE_MAX;
    peer_take(ann, 1000);
    assert_true(ann->closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords),
        cmocka_unit_test(timeout),
        cmocka_unit_test(no_auth_user),
        cmocka_unit_test(tokens_and_single_users),
        cmocka_unit_test(nkeys),
        cmocka_unit_test(hashes),
        cmocka_unit_test(many_hashes),
        cmocka_unit_test(reload_while_hashing),
        cmocka_unit_test(reload_while_hashing_again),
        cmocka_unit_test(permissions),
        cmocka_unit_test(reserved_subjects),
        cmocka_unit_test(filters),
        cmocka_unit_test(responses),
        cmocka_unit_test(accounts_and_limits),
        cmocka_unit_test(becomes_somebody_else),
        cmocka_unit_test(reload),
        cmocka_unit_test(reload_counts),
        cmocka_unit_test(reload_while_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
