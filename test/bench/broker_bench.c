// SPDX-License-Identifier: Apache-2.0
// What the router costs by itself: nanoseconds per message on a network in memory that takes everything at once.
// Not a test. Build with optimisation, run without arguments; prints one line per case: the best of many short spells, since
// other processes only ever make it slower.
#include <stdio.h>
#include <time.h>

#include "auth/auth_builder.h"
#include "base/must.h"
#include "world.h"

#define READ_BYTES (64 * 1024)
#define FILL_BYTES (3 * READ_BYTES)

#define SPELLS 400

struct spell {
    int number;
    uint64_t begin_ns;
    double best_ns;
};

struct counter {
    struct inlet inlet;
    uint64_t count;
};

static uint64_t clock_ns(void);
static void fill(struct buffer *buffer, const char *operation, size_t payload_len);
static void run(struct world *world, struct peer *publisher, const char *name, const char *operation,
                size_t payload_len);
static void run_inside(struct world *world);
static void run_inboxes(struct world *world, int count);
static bool spell_next(struct spell *spell, uint64_t count);
static void spell_print(const struct spell *spell, const char *name);
static void run_permitted(void);
static void apply_users(struct world *world);
static void run_many_subjects(struct world *world, struct peer *publisher);
static void say(struct world *world, struct peer *publisher, const struct buffer *buffer);
static struct peer *subscriber(struct world *world, const char *line);
static bool count_message(struct inlet *inlet, const struct inlet_message *message);

int main(void)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "BENCH";
    options.server_name = "bench";
    struct world world;
    world_init(&world, &options);
    struct peer *publisher = peer_connect(&world, "\"pedantic\":false,\"headers\":true");
    run(&world, publisher, "pub, no interest, 16 B", "PUB bench.subject 16\r\n", 16);
    subscriber(&world, "SUB bench.subject 1\r\n");
    run(&world, publisher, "pub, 1 sub, 16 B", "PUB bench.subject 16\r\n", 16);
    run(&world, publisher, "pub, 1 sub, 128 B", "PUB bench.subject 128\r\n", 128);
    run(&world, publisher, "pub, 1 sub, 4096 B", "PUB bench.subject 4096\r\n", 4096);
    subscriber(&world, "SUB wild.* 1\r\n");
    run(&world, publisher, "pub, 1 wildcard sub, reply, 16 B", "PUB wild.subject _INBOX.abcdefghij 16\r\n", 16);
    for (int i = 0; i < 10; i++)
        subscriber(&world, "SUB fan 1\r\nSUB group q 2\r\n");
    run(&world, publisher, "pub, fan-out 10, 16 B", "PUB fan 16\r\n", 16);
    run(&world, publisher, "pub, fan-out 10, 16384 B", "PUB fan 16384\r\n", 16384);
    run(&world, publisher, "pub, queue group of 10, 16 B", "PUB group 16\r\n", 16);
    struct counter counter = {.inlet.on_message = count_message};
    must(broker_inlet_add(world.broker, &counter.inlet, BYTES("_STAN.pub.abcdef.>")) == 0);
    run(&world, publisher, "pub, prefix inlet, 128 B", "PUB _STAN.pub.abcdef.orders _INBOX.abcdefghij 128\r\n", 128);
    must(counter.count > 0);
    run_inside(&world);
    run_permitted();
    run_inboxes(&world, 1000);
    run_inboxes(&world, 50000);
    broker_inlet_remove(world.broker, &counter.inlet);
    world_deinit(&world);
    return 0;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct peer *subscriber(struct world *world, const char *line)
{
    struct peer *peer = peer_connect(world, "\"headers\":true");
    peer->discard = true;
    peer_say(peer, line);
    return peer;
}

// Whole messages, about as much as the caches hold; delivered in reads of READ_BYTES, so that most reads end within a message.
static void fill(struct buffer *buffer, const char *operation, size_t payload_len)
{
    buffer_init(buffer, SIZE_MAX / 2);
    while (buffer->len < FILL_BYTES) {
        must(buffer_append(buffer, bytes_from_string(operation)) == 0);
        for (size_t i = 0; i < payload_len; i++)
            must(buffer_append_char(buffer, 'x') == 0);
        must(buffer_append(buffer, BYTES("\r\n")) == 0);
    }
}

static void run(struct world *world, struct peer *publisher, const char *name, const char *operation,
                size_t payload_len)
{
    struct buffer buffer;
    fill(&buffer, operation, payload_len);
    uint64_t count = buffer.len / (strlen(operation) + payload_len + 2);
    struct spell spell = {0};
    while (spell_next(&spell, count))
        say(world, publisher, &buffer);
    spell_print(&spell, name);
    buffer_deinit(&buffer);
}

static void say(struct world *world, struct peer *publisher, const struct buffer *buffer)
{
    for (size_t at = 0; at < buffer->len; at += READ_BYTES) {
        size_t n = buffer->len - at < READ_BYTES ? buffer->len - at : READ_BYTES;
        broker_turn_begin(world->broker, world->now);
        world->handler->on_data(publisher->context, bytes_make(buffer->ptr + at, n));
        broker_turn_end(world->broker);
    }
}

// The same as somebody with permissions, to somebody with permissions.
static void run_permitted(void)
{
    struct world users;
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = options.server_name = "BENCH";
    world_init(&users, &options);
    apply_users(&users);
    struct peer *publisher = peer_connect(&users, "\"pedantic\":false,\"headers\":true,\"user\":\"ann\"");
    struct peer *reader = peer_connect(&users, "\"headers\":true,\"user\":\"ann\"");
    reader->discard = true;
    peer_say(reader, "SUB bench.subject 1\r\nSUB wild.* 2\r\n");
    run(&users, publisher, "pub as a user with permissions, no interest, 16 B", "PUB none.subject 16\r\n", 16);
    run(&users, publisher, "pub as a user with permissions, 1 sub, 16 B", "PUB bench.subject 16\r\n", 16);
    run(&users, publisher, "pub as a user with permissions, 1 filtered sub, reply, 16 B",
        "PUB wild.subject _INBOX.abcdefghij 16\r\n", 16);
    run_many_subjects(&users, publisher);
    world_deinit(&users);
}

static void apply_users(struct world *world)
{
    const struct bytes publish[] = {BYTES("bench.*"), BYTES("wild.>"), BYTES("none.>"), BYTES("_INBOX.>")};
    const struct bytes deny[] = {BYTES("wild.secret"), BYTES("private.>")};
    struct auth_permissions_spec permissions = {
        .publish_allow = {publish, 4},
        .publish_deny = {deny, 2},
        .subscribe_deny = {deny, 2},
    };
    struct auth_builder *builder = auth_builder_new();
    struct auth_config *config = NULL;
    must(auth_builder_add_user(builder, &(struct auth_user_spec){.name = BYTES("ann"), .permissions = &permissions}) ==
         0);
    must(auth_builder_finish(builder, &config, NULL) == 0);
    must(broker_auth_replace(world->broker, config) == 0);
    auth_config_unref(config);
    auth_builder_free(builder);
}

// Each message to another inbox: what no cache knows.
static void run_many_subjects(struct world *world, struct peer *publisher)
{
    struct buffer buffer;
    uint64_t count = 0;
    buffer_init(&buffer, SIZE_MAX / 2);
    while (buffer.len < FILL_BYTES) {
        must(buffer_printf(&buffer, "PUB _INBOX.0123456789abcdef%u 16\r\n0123456789abcdef\r\n", (unsigned)count) == 0);
        count++;
    }
    struct spell spell = {0};
    while (spell_next(&spell, count))
        say(world, publisher, &buffer);
    spell_print(&spell, "pub as a user with permissions, each to another subject");
    buffer_deinit(&buffer);
}

static void run_inside(struct world *world)
{
    struct bytes parts[2] = {BYTES("12345678"), BYTES("90123456")};
    struct spell spell = {0};
    while (spell_next(&spell, 2000)) {
        for (int i = 0; i < 2000; i++) {
            broker_publish(world->broker, BYTES("bench.subject"), (struct bytes){0}, (struct bytes){0}, parts, 2);
            if (i % 500 == 0)
                broker_turn_end(world->broker);
        }
    }
    spell_print(&spell, "broker_publish, 1 sub, 2 parts of 8 B");
}

// One message to each of many inboxes, in turn.
static void run_inboxes(struct world *world, int count)
{
    struct peer *peer = subscriber(world, "");
    char text[64], name[64];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "SUB _INBOX.0123456789abcdef%d %d\r\n", i, i);
        peer_give_bytes(peer, bytes_from_string(text));
    }
    struct bytes part = BYTES("0123456789abcdef");
    struct spell spell = {0};
    while (spell_next(&spell, (uint64_t)count)) {
        for (int i = 0; i < count; i++) {
            int len = snprintf(text, sizeof(text), "_INBOX.0123456789abcdef%d", i);
            broker_publish(world->broker, bytes_make(text, (size_t)len), (struct bytes){0}, (struct bytes){0}, &part,
                           1);
            if (i % 500 == 0)
                broker_turn_end(world->broker);
        }
    }
    snprintf(name, sizeof(name), "broker_publish, %d inboxes, 16 B", count);
    spell_print(&spell, name);
    peer_close(peer);
}

// Ends one spell and begins the next; false after the last. The first is warm-up.
static bool spell_next(struct spell *spell, uint64_t count)
{
    uint64_t now_ns = clock_ns();
    double ns = (double)(now_ns - spell->begin_ns) / (double)count;
    if (spell->number >= 2 && (spell->number == 2 || ns < spell->best_ns))
        spell->best_ns = ns;
    spell->begin_ns = now_ns;
    return spell->number++ < SPELLS;
}

static void spell_print(const struct spell *spell, const char *name)
{
    printf("%-38s %7.1f ns/message\n", name, spell->best_ns);
}

static bool count_message(struct inlet *inlet, const struct inlet_message *message)
{
    (void)message;
    ((struct counter *)(void *)inlet)->count++;
    return true;
}
