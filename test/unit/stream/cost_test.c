// SPDX-License-Identifier: Apache-2.0
// What a message costs: no allocation from publish to acknowledgement once the engine is warm. Prints nanoseconds of CPU as well, which
// mean something in a release build only and are not judged.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"
#include "stream/engine.h"

enum { LOG_BYTES = 1 << 20, KEPT = 1 << 16, PER_TURN = 256, PAYLOAD = 128 };

// Linked with --wrap: everything in base/ and stream/ that takes memory comes through here.
void *__real_mem_alloc(size_t size);
void *__real_mem_alloc_zero(size_t size);
void *__real_mem_realloc(void *ptr, size_t size);
void *__wrap_mem_alloc(size_t size);
void *__wrap_mem_alloc_zero(size_t size);
void *__wrap_mem_realloc(void *ptr, size_t size);

static size_t allocations;

void *__wrap_mem_alloc(size_t size)
{
    allocations++;
    return __real_mem_alloc(size);
}

void *__wrap_mem_alloc_zero(size_t size)
{
    allocations++;
    return __real_mem_alloc_zero(size);
}

void *__wrap_mem_realloc(void *ptr, size_t size)
{
    allocations++;
    return __real_mem_realloc(ptr, size);
}

// The smallest host: a log of one entry at a time, copies of the newest messages.
struct host {
    struct engine *engine;
    struct engine_time now;
    char *log;
    size_t used;
    uint64_t index;
    char (*kept)[256];
    uint64_t delivered[PER_TURN * 4];
    size_t delivered_count;
    uint64_t publish_ns, deliver_ns;
};

static int host_admit(void *owner, size_t size, bool reserved)
{
    return 0;
}

static char *host_append(void *owner, size_t size, uint64_t *ret_index)
{
    struct host *host = owner;
    char *at = host->log + host->used;
    host->used += record_padded(size);
    must(host->used <= LOG_BYTES);
    *ret_index = host->index + 1;
    return at;
}

static int host_read(void *owner, struct engine_read *read)
{
    struct host *host = owner;
    struct record record;
    size_t used;
    must(record_get(bytes_make(host->kept[read->sequence % KEPT], 256), false, &record, &used) == 0);
    return message_record_get(&record, &read->message);
}

static void host_release(void *owner, void *hold)
{
}

static size_t host_sizes(void *owner, uint32_t stream, uint64_t first, struct engine_size *ret, size_t max,
                         bool *ret_wait)
{
    for (size_t i = 0; i < max; i++)
        ret[i] = (struct engine_size){.sequence = first + i, .size = RECORD_MESSAGE_SIZE + PAYLOAD};
    return max;
}

static void host_trimmed(void *owner, uint32_t stream, uint64_t first)
{
}

static bool deliver(void *owner, const struct delivery *delivery)
{
    struct host *host = owner;
    host->delivered[host->delivered_count++] = delivery->message->sequence;
    return true;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void commit(struct host *host)
{
    struct bytes rest = bytes_make(host->log, host->used);
    host->used = 0;
    host->index++;
    while (rest.len) {
        struct record record;
        size_t used;
        must(record_get(rest, false, &record, &used) == 0);
        must(engine_apply(host->engine, &record, host->index, false) == 0);
        if (record.kind == RECORD_MESSAGE)
            memcpy(host->kept[get_u64(record.whole.ptr + 16) % KEPT], record.whole.ptr, record.whole.len);
        rest = bytes_skip(rest, used);
    }
}

static void on_consumer(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    must(error == 0);
    *(struct consumer **)owner = consumer;
}

static void round_trip(struct host *host, struct stream *stream, struct consumer *consumer, uint64_t *id)
{
    static const char payload[PAYLOAD];
    uint64_t begin = clock_ns();
    for (int i = 0; i < PER_TURN; i++) {
        struct publish_result result;
        ++*id;
        struct publish publish = {.payload = {payload, PAYLOAD},
                                  .dedupe = hash128_bytes(bytes_make(id, sizeof(*id)), 0)};
        must(engine_publish(host->engine, stream, &publish, host->now, &result) == 0);
    }
    commit(host);
    uint64_t middle = clock_ns();
    host->delivered_count = 0;
    engine_turn_end(host->engine, host->now);
    for (size_t i = 0; i < host->delivered_count; i++)
        must(engine_ack(host->engine, consumer, host->delivered[i], host->now) == 0);
    engine_turn_end(host->engine, host->now);
    commit(host);
    host->deliver_ns += clock_ns() - middle;
    host->publish_ns += middle - begin;
    host->now.mono_ns += 1000000;
    host->now.wall_ns += 1000000;
}

static struct engine_options options_of(struct host *host)
{
    return (struct engine_options){
        .turn_budget = 1024,
        .host = {.owner = host,
                 .admit = host_admit,
                 .append = host_append,
                 .read = host_read,
                 .release = host_release,
                 .sizes = host_sizes,
                 .trimmed = host_trimmed},
    };
}

static void run(int members, uint64_t window_ns, uint64_t max_msgs, int warm, int rounds, size_t allowed)
{
    struct host host = {.now = {1000000000, 1700000000000000000ull}, .log = mem_alloc(LOG_BYTES)};
    struct engine_options options = options_of(&host);
    struct engine_adapter adapter = {.owner = &host, .deliver = deliver};
    struct stream_config config = {
        .account = 1, .name = BYTES("s"), .max_msgs = max_msgs, .duplicate_window_ns = window_ns};
    struct consumer_config consumer_config = {.name = BYTES("c"), .protocol = 1, .group = true};
    struct member_config member_config = {.max_in_flight = 1024, .ack_wait_ns = 30000000000ull};
    struct stream *stream;
    struct consumer *consumer = NULL;
    uint64_t index, id = 0;
    host.kept = mem_alloc_zero(KEPT * sizeof(*host.kept));
    host.engine = engine_new(&options);
    engine_adapter_set(host.engine, 1, &adapter);
    engine_recovered(host.engine, host.now);
    must(engine_stream_create(host.engine, &config, host.now, &stream, &index) == 0);
    engine_consumer_create(host.engine, stream, &consumer_config, host.now, on_consumer, &consumer);
    for (int i = 0; i < members; i++) {
        struct member *member;
        must(engine_member_add(host.engine, consumer, &member_config, host.now, &member, &index) == 0);
        engine_member_set_state(host.engine, member, MEMBER_READY, host.now);
    }
    commit(&host);
    for (int i = 0; i < warm; i++)
        round_trip(&host, stream, consumer, &id);
    size_t before = allocations;
    host.publish_ns = host.deliver_ns = 0;
    for (int i = 0; i < rounds; i++)
        round_trip(&host, stream, consumer, &id);
    size_t taken = allocations - before;
    print_message("# %d members: publish and apply %llu ns, deliver and acknowledge %llu ns a message\n", members,
                  (unsigned long long)host.publish_ns / (unsigned)(rounds * PER_TURN),
                  (unsigned long long)host.deliver_ns / (unsigned)(rounds * PER_TURN));
    assert_true(taken <= allowed);
    struct engine_stats stats;
    engine_stats_get(host.engine, &stats);
    assert_int_equal(stats.acked, (uint64_t)(warm + rounds) * PER_TURN);
    engine_free(host.engine);
    mem_free(host.kept);
    mem_free(host.log);
}

static void test_one_member(void **state)
{
    run(1, 60000000, 0, 500, 500, 0);
}

static void test_group(void **state)
{
    run(16, 60000000, 0, 500, 500, 0);
}

static void test_ten_thousand_members(void **state)
{
    run(10000, 0, 0, 200, 200, 0);
}

static void test_at_the_limit(void **state)
{
    run(1, 60000000, 1000, 500, 500, 0);
}

// The window holds more ids than fit a cache; the tables have not settled, so only the time is of interest.
static void test_million_ids(void **state)
{
    run(1, 4000000000ull, 0, 4300, 500, 500);
}

// A stream that nobody publishes to any more expires its messages without keeping anything for each of the records.
static void test_evictions_keep_nothing(void **state)
{
    static const char payload[PAYLOAD];
    struct host host = {.now = {1000000000, 1700000000000000000ull}, .log = mem_alloc(LOG_BYTES)};
    struct engine_options options = options_of(&host);
    struct stream_config config = {.account = 1, .name = BYTES("s"), .max_msgs = 4000};
    struct publish publish = {.payload = {payload, PAYLOAD}};
    struct publish_result result;
    struct stream *stream;
    uint64_t index;
    size_t before = 0;
    host.kept = mem_alloc_zero(KEPT * sizeof(*host.kept));
    host.engine = engine_new(&options);
    engine_recovered(host.engine, host.now);
    must(engine_stream_create(host.engine, &config, host.now, &stream, &index) == 0);
    for (int i = 0; i < 4000; i++) {
        must(engine_publish(host.engine, stream, &publish, host.now, &result) == 0);
        commit(&host);
    }
    for (int i = 1; i < 4000; i++) {
        config.max_msgs--;
        must(engine_stream_update(host.engine, stream, &config, host.now, &index) == 0);
        commit(&host);
        engine_turn_end(host.engine, host.now);
        commit(&host);
        before = i == 100 ? allocations : before;
    }
    assert_int_equal(allocations, before);
    struct engine_stats stats;
    engine_stats_get(host.engine, &stats);
    assert_int_equal(stats.messages, 1);
    engine_free(host.engine);
    mem_free(host.kept);
    mem_free(host.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_member),           cmocka_unit_test(test_group),
        cmocka_unit_test(test_ten_thousand_members), cmocka_unit_test(test_at_the_limit),
        cmocka_unit_test(test_million_ids),          cmocka_unit_test(test_evictions_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
