// SPDX-License-Identifier: Apache-2.0
// Several connections that say anything, cut anywhere, take little, and come and go, with inlets and watches in between.
// Nothing may break the broker's invariants; and what each connection hears must not depend on how its bytes were cut.
//
//     script  = options, command*
//     command = 1 byte: connection in the low two bits, action in the next three; then the action's bytes
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include "auth/auth_builder.h"
#include "base/list.h"
#include "base/must.h"
#include "env/crypto.h"
#include "env/offload.h"
#include "world.h"

#define PEERS 4
#define HASH  "$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW" // of anything: hashes are make-believe
#define JOBS  64

enum action { SAY, ALL_SAY, SAY_TOO, REOPEN, TAKE, STARVE, WAIT, INLET };

struct script {
    const uint8_t *at, *end;
};

struct echo {
    struct inlet inlet;
    struct broker *broker;
    bool overloaded;
};

struct run {
    struct world world;
    struct logger logger; // sometimes with a trace, which must not change what happens
    struct peer *peers[PEERS];
    struct buffer heard[PEERS];
    struct echo echo[2];
    struct broker_watch watch;
    int reports;
    // What waits behind a password that is being compared comes in one turn or in several, as it was cut; a watch reports between turns. So
    // nobody hears of it then.
    bool has_users;
    bool paused; // an inlet was overloaded at some time: then the order across connections depends on the cuts
    struct offload offload;
    struct offload_job *jobs[JOBS]; // submitted, run behind the command
    size_t job_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void run_init(struct run *run, uint8_t options);
static void apply_users(struct run *run, bool is_optional);
static void run_deinit(struct run *run);
static void run_jobs(struct run *run);
static void submit(struct offload *offload, struct offload_job *job);
static bool fake_bcrypt(struct bytes hash, struct bytes password);
static void run_script(struct run *run, struct script script, bool uncut);
static void say(struct run *run, int at, struct script *script, bool cuts);
static void hear(struct run *run, int at);
static void reopen(struct run *run, int at);
static uint8_t take_byte(struct script *script);
static bool on_message(struct inlet *inlet, const struct inlet_message *message);
static void on_change(struct broker_watch *watch, enum broker_interest interest);
static void on_line(void *owner, enum log_level level, const char *format, va_list arguments);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run runs[2]; // tidy: allow mutable
    struct script script = {data, data + size};
    uint8_t options = take_byte(&script);
    for (int i = 0; i < 2; i++) {
        run_init(&runs[i], options);
        run_script(&runs[i], script, i == 1);
    }
    for (int at = 0; at < PEERS && !runs[0].paused; at++)
        must(bytes_equal(buffer_bytes(&runs[0].heard[at]), buffer_bytes(&runs[1].heard[at])));
    run_deinit(&runs[0]);
    run_deinit(&runs[1]);
    return 0;
}

static void run_init(struct run *run, uint8_t bits)
{
    *run = (struct run){0};
    struct broker_options options;
    broker_options_default(&options);
    options.max_payload = bits & 1 ? 64 : 8192;
    options.max_control_line = bits & 2 ? 40 : 512;
    options.max_pending = bits & 4 ? 300 : 100000;
    options.congested_bytes = bits & 8 ? 50 : 500;
    options.max_subscriptions = bits & 16 ? 3 : 0;
    options.max_connections = bits & 32 ? 3 : 100;
    options.leave_turn_max = bits & 64 ? 1 : 256;
    options.seed = bits;
    options.max_traced_bytes = bits & 2 ? 5 : 0;
    run->logger = (struct logger){.owner = run, .level = LOG_DEBUG, .write = on_line, .trace = bits & 64};
    options.logger = &run->logger;
    static const struct crypto crypto = {.bcrypt_matches = fake_bcrypt};
    options.crypto = &crypto;
    options.offload = &run->offload;
    run->offload.submit = submit;
    world_init(&run->world, &options);
    run->has_users = bits & 128;
    if (run->has_users)
        apply_users(run, bits & 64);
    static const char *const SUBJECTS[] = {"in.>", "in.a"};
    for (int i = 0; i < 2; i++) {
        run->echo[i] = (struct echo){.inlet.on_message = on_message, .broker = run->world.broker};
        must(broker_inlet_add(run->world.broker, &run->echo[i].inlet, bytes_from_string(SUBJECTS[i])) == 0);
    }
    run->watch.on_change = on_change;
    broker_watch_add(run->world.broker, &run->watch, BYTES("a.b"));
    for (int at = 0; at < PEERS; at++) {
        buffer_init(&run->heard[at], SIZE_MAX / 2);
        run->peers[at] = peer_open(&run->world);
    }
}

// Somebody with permissions, somebody elsewhere, and somebody whose password is a hash.
static void apply_users(struct run *run, bool is_optional)
{
    struct bytes allow[] = {BYTES("a.*"), BYTES("in.>")}, deny[] = {BYTES("a.c")},
                 hide[] = {BYTES("a.*"), BYTES("b q")};
    struct auth_permissions_spec permissions = {
        .publish_allow = {allow, 2},
        .publish_deny = {deny, 1},
        .subscribe_deny = {hide, 2},
        .allow_responses = true,
    };
    struct auth_limits limits = {2, 3, 100};
    struct auth_builder *builder = auth_builder_new();
    struct auth_config *config = NULL;
    must(auth_builder_add_account(builder, BYTES("A"), &limits, 0) == 0);
    must(auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("u"), .permissions = &permissions}) ==
         0);
    must(auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("v"), .account = BYTES("A")}) == 0);
    must(auth_builder_add_user(builder, &(struct auth_user_spec){
                                            .name = BYTES("h"), .password = BYTES(HASH), .has_password = true}) == 0);
    if (is_optional)
        auth_builder_set_no_auth_user(builder, BYTES("u"), 0);
    must(auth_builder_finish(builder, &config, NULL) == 0);
    must(broker_auth_replace(run->world.broker, config) == 0);
    auth_config_unref(config);
    auth_builder_free(builder);
}

static void run_jobs(struct run *run)
{
    while (run->job_count > 0) {
        struct offload_job *job = run->jobs[--run->job_count];
        job->run(job);
        job->done(job);
        world_turn(&run->world);
    }
}

static void submit(struct offload *offload, struct offload_job *job)
{
    struct run *run = container_of(offload, struct run, offload);
    must(run->job_count < JOBS);
    run->jobs[run->job_count++] = job;
}

static bool fake_bcrypt(struct bytes hash, struct bytes password)
{
    (void)hash;
    return bytes_equal(password, BYTES("p"));
}

static void run_deinit(struct run *run)
{
    for (int at = 0; at < PEERS; at++)
        peer_close(run->peers[at]);
    run_jobs(run);
    world_deinit(&run->world);
    for (int at = 0; at < PEERS; at++)
        buffer_deinit(&run->heard[at]);
}

static void run_script(struct run *run, struct script script, bool uncut)
{
    struct world *world = &run->world;
    while (script.at < script.end) {
        uint8_t command = take_byte(&script);
        int at = command & (PEERS - 1);
        switch ((enum action)(command >> 2 & 7)) {
        case SAY:
        case SAY_TOO: say(run, at, &script, !uncut); break;
        case ALL_SAY:
            // In one turn.
            world->cut = 0;
            for (int i = 0; i < PEERS; i++)
                peer_give_bytes(run->peers[i], BYTES("PUB a.b in.a 1\r\nx\r\nPUB in.a a.b 1\r\ny\r\n"));
            world_turn(world);
            break;
        case REOPEN: reopen(run, at); break;
        case TAKE: peer_take(run->peers[at], take_byte(&script) * 8u); break;
        case STARVE: run->peers[at]->takes = take_byte(&script); break;
        case WAIT: world_advance(world, take_byte(&script) * 1000u); break;
        case INLET:
            run->echo[at & 1].overloaded = !run->echo[at & 1].overloaded;
            run->paused = true;
            broker_inlets_resume(world->broker);
            world_turn(world);
            break;
        }
        run_jobs(run);
        for (int i = 0; i < PEERS; i++)
            hear(run, i);
    }
}

static void say(struct run *run, int at, struct script *script, bool cuts)
{
    size_t len = take_byte(script) * 2u;
    uint8_t cut = take_byte(script);
    if (len > (size_t)(script->end - script->at))
        len = (size_t)(script->end - script->at);
    run->world.cut = cuts ? cut : 0;
    peer_say_bytes(run->peers[at], bytes_make(script->at, len));
    script->at += len;
}

static void hear(struct run *run, int at)
{
    struct buffer *received = &run->peers[at]->received;
    must(buffer_append(&run->heard[at], buffer_bytes(received)) == 0);
    buffer_clear(received);
}

static void reopen(struct run *run, int at)
{
    if (run->world.peer_count == WORLD_PEERS_MAX)
        return;
    peer_close(run->peers[at]);
    hear(run, at);
    run->peers[at] = peer_open(&run->world);
}

static uint8_t take_byte(struct script *script)
{
    return script->at < script->end ? *script->at++ : 0;
}

// Answers, sometimes in two parts and to subjects that lead back here.
static bool on_message(struct inlet *inlet, const struct inlet_message *message)
{
    struct echo *echo = (struct echo *)(void *)inlet;
    struct bytes parts[2] = {BYTES("<"), message->payload};
    if (message->reply.len > 0 && message->payload.len < 20)
        broker_publish(echo->broker, message->reply, message->subject, message->headers, parts, 2);
    return !echo->overloaded;
}

static void on_change(struct broker_watch *watch, enum broker_interest interest)
{
    (void)interest;
    struct run *run = (struct run *)(void *)((char *)watch - offsetof(struct run, watch));
    run->reports++;
    struct bytes part = BYTES("news");
    if (run->reports < 100 && !run->has_users)
        broker_publish(run->world.broker, BYTES("a.b"), BYTES("in.a"), (struct bytes){0}, &part, 1);
}

static void on_line(void *owner, enum log_level level, const char *format, va_list arguments)
{
    char line[8192];
    int len = vsnprintf(line, sizeof(line), format, arguments);
    must(len >= 0 && len < 4096 + 64);
    must(level != LOG_TRACE || ((struct run *)owner)->logger.trace);
}
