// SPDX-License-Identifier: Apache-2.0
// Requests of the admin API, one a line ("NOUN.VERB {json}"), to a small engine in memory: each is answered once, with JSON or an error of the
// table, and the engine's invariants hold behind each.
#include <stdlib.h>

#include "admin/admin_api.h"
#include "admin/admin_error.h"
#include "base/must.h"
#include "codec/json_fields.h"
#include "codec/json_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES = 12, LINES_MAX = 40, ANSWER_MAX = 65536 };

struct world {
    struct broker *broker;
    struct shard *shard;
    struct stan *stan;
    struct admin_api *api;
    struct moment now;
    unsigned asked, answered;
};

static bool take(void *owner, const struct delivery *delivery)
{
    (void)owner;
    return delivery->message->sequence % 5 != 0;
}

static void turn(struct world *world)
{
    world->now.mono_ns += 10000000;
    world->now.wall_ns += 10000000;
    broker_turn_begin(world->broker, world->now);
    stan_turn_begin(world->stan, world->now);
    stan_turn_end(world->stan);
    admin_api_turn_end(world->api, world->now);
    shard_turn_end(world->shard, world->now);
    broker_turn_end(world->broker);
}

static void made(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    (void)index;
    must(error == 0);
    *(struct consumer **)owner = consumer;
}

// A channel with a group that has some messages out, one dead, and some that wait.
static void fill(struct world *world, const char *name)
{
    struct engine *engine = shard_engine(world->shard);
    struct engine_time now = {world->now.mono_ns, world->now.wall_ns};
    struct stream_config config = {.account = 1, .name = bytes_from_string(name), .disconnect_grace_ns = 1000000000};
    struct consumer_config group = {.name = BYTES("g"),
                                    .protocol = ENGINE_PROTOCOL_JETSTREAM,
                                    .durable = true,
                                    .group = true,
                                    .start = CONSUMER_START_FIRST};
    struct member_config places = {.max_in_flight = 8, .ack_wait_ns = 60000000000};
    struct stream *stream;
    struct consumer *consumer;
    struct member *member;
    uint64_t index;
    must(engine_stream_create(engine, &config, now, &stream, &index) == 0);
    for (int i = 0; i < MESSAGES; i++) {
        struct publish publish = {.payload = BYTES("payload"), .headers = BYTES("NATS/1.0\r\nA: b\r\n\r\n")};
        struct publish_result result;
        must(engine_publish(engine, stream, &publish, now, &result) == 0);
    }
    engine_consumer_create(engine, stream, &group, now, made, &consumer);
    must(engine_member_add(engine, consumer, &places, now, &member, &index) == 0);
    turn(world);
    turn(world);
    engine_member_set_state(engine, member, MEMBER_READY, now);
    turn(world);
    (void)!engine_terminate(engine, consumer, 2, BYTES("why"), now);
    (void)!engine_ack(engine, consumer, 1, now);
    turn(world);
    turn(world);
}

static void world_begin(struct world *world)
{
    struct broker_options broker;
    struct stan_options stan;
    struct shard_options shard = {.id = 1};
    const struct engine_adapter adapter = {.deliver = take};
    *world = (struct world){.now = {1000000000, 1700000000000000000}};
    broker_options_default(&broker);
    stan_options_default(&stan);
    store_options_default(&shard.store);
    shard.store.memory = true;
    shard.store.memory_bytes = 64 << 20;
    world->broker = broker_new(&broker, world->now);
    world->shard = shard_new(&shard);
    world->stan = stan_new(&stan, world->broker, world->shard, world->now);
    engine_adapter_set(shard_engine(world->shard), ENGINE_PROTOCOL_JETSTREAM, &adapter);
    broker_turn_begin(world->broker, world->now);
    must(shard_open(world->shard, NULL, world->now) == 0);
    must(stan_start(world->stan, world->now) == 0);
    world->api = admin_api_new(
        &(struct admin_api_options){
            .shard = world->shard,
            .stan = world->stan,
            .server_id = "N",
            .server_name = "n",
            .version = "0",
            .cluster_id = "c",
            .store = "memory",
            .sync = "always",
            .answer_bytes = ANSWER_MAX,
        },
        world->now);
    fill(world, "a");
    fill(world, "b.c");
}

static void world_end(struct world *world)
{
    engine_check(shard_engine(world->shard));
    admin_api_stop(world->api);
    shard_quiesce(world->shard);
    stan_stop(world->stan);
    shard_stop(world->shard);
    must(world->answered == world->asked);
    admin_api_free(world->api);
    stan_free(world->stan);
    shard_free(world->shard);
    broker_free(world->broker);
}

// Nothing stands in the table: whatever is JSON is refused for a name in it, or is {}.
static void on_answer(void *owner, unsigned status, struct bytes json)
{
    static const struct json_request_table none = {NULL, 0, 0};
    struct world *world = owner;
    struct json_request_error error;
    uint64_t present = 0;
    void *tree;
    world->answered++;
    must(status == 200 || (status >= 400 && status <= 507));
    must(json.len <= ANSWER_MAX && json_request_read(json, &none, 0, &present, &tree, &error) == ERR_INVALID);
    must(error.problem == JSON_REQUEST_UNKNOWN && (status == 200) == (strcmp(error.field, "error") != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world;
    struct bytes rest = bytes_make(data, size);
    json_fields_init();
    world_begin(&world);
    for (int i = 0; i < LINES_MAX && rest.len; i++) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        struct bytes line = bytes_make(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
        rest = bytes_skip(rest, end ? line.len + 1 : rest.len);
        const char *blank = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
        struct bytes name = bytes_make(line.ptr, blank ? (size_t)(blank - line.ptr) : line.len);
        world.asked++;
        admin_api_ask(world.api, name, bytes_skip(line, blank ? name.len + 1 : line.len), on_answer, &world);
        turn(&world);
        turn(&world);
        engine_check(shard_engine(world.shard));
    }
    world_end(&world);
    return 0;
}
