// SPDX-License-Identifier: Apache-2.0
// tidy: prefix shard
// The engine's host on the store: appends, admission, reads by stream and sequence.
#include "base/must.h"
#include "shard/shard_internal.h"

struct shard_fetch {
    struct store_fetch fetch;
    struct engine_read *read; // borrowed from the engine
    struct shard *shard;
    bool seek;
};

enum { SIZES_MAX = 128 };

static int host_admit(void *owner, size_t size, bool reserved);
static uint64_t host_together(void *owner, size_t size);
static char *host_append(void *owner, size_t size, uint64_t *ret_index);
static int host_read(void *owner, struct engine_read *read);
static void host_read_cancel(void *owner, struct engine_read *read);
static void host_release(void *owner, void *hold);
static int host_seek(void *owner, struct engine_read *read, uint64_t time_ns);
static size_t host_sizes(void *owner, uint32_t stream, uint64_t first, struct engine_size *ret, size_t max,
                         bool *ret_wait);
static void host_trimmed(void *owner, uint32_t stream, uint64_t first);
static void host_read_ahead(void *owner, const uint32_t *streams, const uint64_t *sequences, size_t count);
static struct shard_fetch *fetch_new(struct shard *shard, struct engine_read *read);
static int fetch_finish(struct shard_fetch *fetch, int result);
static void fetch_done(struct store_fetch *store_fetch);

void shard_host_fill(struct shard *shard, struct engine_host *host)
{
    pool_init(&shard->fetches, sizeof(struct shard_fetch), SIZE_MAX);
    *host = (struct engine_host){
        .owner = shard,
        .admit = host_admit,
        .together = host_together,
        .append = host_append,
        .read = host_read,
        .read_cancel = host_read_cancel,
        .release = host_release,
        .seek = host_seek,
        .sizes = host_sizes,
        .trimmed = host_trimmed,
        .read_ahead = host_read_ahead,
    };
}

static int host_admit(void *owner, size_t size, bool reserved)
{
    return shard_admit(owner, size, reserved);
}

static uint64_t host_together(void *owner, size_t size)
{
    struct shard *shard = owner;
    return store_together(shard->store, shard->options.id, size);
}

static char *host_append(void *owner, size_t size, uint64_t *ret_index)
{
    return shard_reserve(owner, size, ret_index);
}

static int host_read(void *owner, struct engine_read *read)
{
    struct shard *shard = owner;
    struct shard_fetch *fetch = fetch_new(shard, read);
    int result = store_fetch(shard->store, &fetch->fetch);
    return result == ERR_AGAIN ? result : fetch_finish(fetch, result);
}

static void host_read_cancel(void *owner, struct engine_read *read)
{
    struct shard *shard = owner;
    struct shard_fetch *fetch = read->implementation;
    store_fetch_cancel(shard->store, &fetch->fetch);
    pool_put(&shard->fetches, fetch);
}

static void host_release(void *owner, void *hold)
{
    (void)owner;
    chunk_unref(hold);
}

static int host_seek(void *owner, struct engine_read *read, uint64_t time_ns)
{
    struct shard *shard = owner;
    struct shard_fetch *fetch = fetch_new(shard, read);
    fetch->seek = true;
    fetch->fetch.time_ns = time_ns;
    int result = store_seek(shard->store, &fetch->fetch);
    return result == ERR_AGAIN ? result : fetch_finish(fetch, result);
}

static size_t host_sizes(void *owner, uint32_t stream, uint64_t first, struct engine_size *ret, size_t max,
                         bool *ret_wait)
{
    struct shard *shard = owner;
    struct store_size sizes[SIZES_MAX];
    size_t count = store_sizes(shard->store, stream, first, sizes, max < SIZES_MAX ? max : SIZES_MAX, ret_wait);
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct engine_size){sizes[i].sequence, sizes[i].time_ns, sizes[i].size};
    return count;
}

// In recovery the store does not exist yet for its caller, and asks what is wanted by itself.
static void host_trimmed(void *owner, uint32_t stream, uint64_t first)
{
    struct shard *shard = owner;
    if (shard->store)
        store_trim(shard->store, stream, first);
}

static void host_read_ahead(void *owner, const uint32_t *streams, const uint64_t *sequences, size_t count)
{
    struct shard *shard = owner;
    store_fetch_ahead(shard->store, streams, sequences, count);
}

static struct shard_fetch *fetch_new(struct shard *shard, struct engine_read *read)
{
    struct shard_fetch *fetch = pool_get(&shard->fetches);
    must(fetch);
    *fetch = (struct shard_fetch){
        .fetch = {.stream = read->stream, .sequence = read->sequence, .done = fetch_done},
        .read = read,
        .shard = shard,
    };
    read->implementation = fetch;
    return fetch;
}

// Hands the answer over and returns the result.
static int fetch_finish(struct shard_fetch *fetch, int result)
{
    struct engine_read *read = fetch->read;
    if (fetch->seek) {
        read->sequence = fetch->fetch.sequence;
    } else if (result == 0) {
        read->hold = fetch->fetch.chunk;
        result = message_record_get(&fetch->fetch.record, &read->message);
        if (result)
            chunk_unref(fetch->fetch.chunk);
    }
    read->next = fetch->seek || result == 0 ? 0 : fetch->fetch.next;
    if (result == ERR_CORRUPT && !fetch->seek && shard_is_gap(fetch->shard, &fetch->fetch))
        result = ERR_NOT_FOUND;
    read->result = result;
    pool_put(&fetch->shard->fetches, fetch);
    return result;
}

static void fetch_done(struct store_fetch *store_fetch)
{
    struct shard_fetch *fetch = container_of(store_fetch, struct shard_fetch, fetch);
    struct engine_read *read = fetch->read;
    fetch_finish(fetch, store_fetch->result);
    read->done(read);
}
