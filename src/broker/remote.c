// SPDX-License-Identifier: Apache-2.0
// Batches to and from the other workers, and what their return means; see remote.h. Never routes and never waits.
#include "broker/remote.h"

#include "broker/connection.h"
#include "broker/remote_internal.h"

static struct remote_batch *take_batch(struct remotes *remotes, uint32_t to, size_t size);
static void send_open(struct remotes *remotes, uint32_t to);
static void work_through(struct remotes *remotes, const struct remote_batch *batch);
static void take_back(struct remotes *remotes, struct remote_batch *batch);
static void keep(struct remotes *remotes, struct remote_batch *batch);
static void free_batches(struct list *batches);

struct remotes *remote_new(struct broker *broker)
{
    const struct broker_options *options = &broker->options;
    if (options->worker_count <= 1)
        return NULL;
    must(options->worker_count <= REMOTE_WORKERS_MAX && options->worker < options->worker_count);
    must(options->carrier && options->remote_window_bytes > 0);
    struct remotes *remotes = mem_alloc_zero(sizeof(*remotes) + options->worker_count * sizeof(remotes->links[0]));
    remotes->broker = broker;
    remotes->self = options->worker;
    remotes->count = options->worker_count;
    remotes->carrier = options->carrier;
    remotes->window_bytes = options->remote_window_bytes;
    remote_limits_take(remotes);
    remotes->round = 1;
    map_u64_init(&remotes->connections, SIZE_MAX / 64);
    map_u64_init(&remotes->accounts, SIZE_MAX / 64);
    map_u64_init(&remotes->watches, SIZE_MAX / 64);
    remotes->interest_seed = prng_next(&broker->prng);
    map_u64_init(&remotes->waits, SIZE_MAX / 64);
    list_init(&remotes->waiting);
    list_init(&remotes->done);
    list_init(&remotes->spare);
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct remote_link *link = &remotes->links[i];
        link->acked_round = i == remotes->self ? UINT64_MAX : 0;
        map_u64_init(&link->targets, SIZE_MAX / 64);
        map_u64_init(&link->strangers, SIZE_MAX / 64);
        map_u64_init(&link->watches, SIZE_MAX / 64);
        list_init(&link->behind);
    }
    return remotes;
}

void remote_limits_take(struct remotes *remotes)
{
    uint64_t bytes = remotes->broker->options.max_pending / 4 + 1;
    bytes = bytes < REMOTE_BEHIND_BYTES ? bytes : REMOTE_BEHIND_BYTES;
    remotes->behind_bytes = bytes < remotes->window_bytes ? bytes : remotes->window_bytes;
}

void remote_free(struct remotes *remotes)
{
    if (!remotes)
        return;
    for (uint32_t i = 0; i < remotes->count; i++) {
        struct remote_link *link = &remotes->links[i];
        remote_watch_drop(remotes, link);
        if (link->open)
            remote_batch_free(link->open);
    }
    remote_interest_drop(remotes);
    free_batches(&remotes->done);
    free_batches(&remotes->spare);
    map_u64_deinit(&remotes->connections);
    map_u64_deinit(&remotes->waits);
    map_u64_deinit(&remotes->accounts);
    map_u64_deinit(&remotes->watches);
    table_deinit(&remotes->interests);
    mem_free(remotes);
}

void broker_remote_receive(struct broker *broker, struct remote_batch *batch)
{
    struct remotes *remotes = broker->remotes;
    must(broker->depth == 0);
    if (batch->returning) {
        must(batch->from == remotes->self);
        take_back(remotes, batch);
    } else {
        must(batch->to == remotes->self);
        work_through(remotes, batch);
        list_push_back(&remotes->done, &batch->link);
    }
}

bool broker_remote_is_idle(const struct broker *broker)
{
    const struct remotes *remotes = broker->remotes;
    if (!remotes)
        return true;
    for (uint32_t i = 0; i < remotes->count; i++) {
        const struct remote_link *link = &remotes->links[i];
        if (link->open || link->sent != link->returned)
            return false;
    }
    return list_empty(&remotes->done) && !remotes->changed;
}

void broker_remote_count_connections(struct broker *broker, uint32_t elsewhere)
{
    broker->connections_elsewhere = elsewhere;
}

void remote_batch_free(struct remote_batch *batch)
{
    if (!batch->returning) {
        for (size_t at = 0; at < batch->len;) {
            const struct remote_record *record = (const struct remote_record *)(const void *)(batch->data + at);
            if (record->block)
                shared_block_unref(record->block);
            at += record->size_bytes;
        }
    }
    mem_free(batch);
}

struct remote_record *remote_record_add(struct remotes *remotes, uint32_t worker, enum remote_kind kind,
                                        size_t text_len)
{
    struct remote_link *link = &remotes->links[worker];
    size_t size = (sizeof(struct remote_record) + text_len + 7) & ~(size_t)7;
    must(worker != remotes->self && size <= UINT32_MAX);
    if (link->open && link->open->cap - link->open->len < size)
        send_open(remotes, worker);
    if (!link->open)
        link->open = take_batch(remotes, worker, size);
    struct remote_record *record = (struct remote_record *)(void *)(link->open->data + link->open->len);
    *record = (struct remote_record){.size_bytes = (uint32_t)size, .kind = (uint8_t)kind};
    link->open->len += size;
    remote_count_bytes(remotes, worker, size);
    return record;
}

void remote_count_bytes(struct remotes *remotes, uint32_t worker, size_t bytes)
{
    struct remote_link *link = &remotes->links[worker];
    link->open->cost_bytes += bytes;
    link->under_way_bytes += bytes;
}

bool remote_is_over(const struct remotes *remotes, uint32_t worker, uint64_t bytes)
{
    return remotes->links[worker].under_way_bytes > bytes;
}

void remote_flush(struct remotes *remotes)
{
    remote_interest_flush(remotes);
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (remotes->links[i].open)
            send_open(remotes, i);
    }
}

void remote_return(struct remotes *remotes)
{
    remote_flush(remotes);
    if (remotes->broker->draining && !remotes->has_drain_marks) {
        remotes->has_drain_marks = true;
        for (uint32_t i = 0; i < remotes->count; i++)
            remotes->links[i].drain_mark = remotes->links[i].sent;
    }
    struct list *link;
    while ((link = list_pop_front(&remotes->done))) {
        struct remote_batch *batch = container_of(link, struct remote_batch, link);
        batch->returning = true;
        remotes->carrier->send(remotes->carrier->owner, batch->from, batch);
    }
}

bool remote_is_drained(const struct remotes *remotes)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        if (remotes->links[i].returned < remotes->links[i].drain_mark)
            return false;
    }
    return remotes->has_drain_marks;
}

void remote_account_add(struct remotes *remotes, struct account *account)
{
    int error = map_u64_add(&remotes->accounts, account->id, account);
    must(error == 0);
    remote_interest_adopt(remotes, account);
}

void remote_account_remove(struct remotes *remotes, struct account *account)
{
    must(map_u64_remove(&remotes->accounts, account->id) == account);
}

void remote_connection_add(struct remotes *remotes, struct connection *connection)
{
    int error = map_u64_add(&remotes->connections, connection->id, connection);
    must(error == 0);
}

void remote_connection_remove(struct remotes *remotes, struct connection *connection)
{
    must(map_u64_remove(&remotes->connections, connection->id) == connection);
    if (connection->is_waiting)
        remote_wait_end(connection);
}

void remote_check(const struct remotes *remotes)
{
    for (uint32_t i = 0; i < remotes->count; i++) {
        const struct remote_link *link = &remotes->links[i];
        must(link->returned <= link->sent);
        must(link->sent != link->returned || link->open || link->under_way_bytes == 0);
        map_u64_check(&link->targets);
        map_u64_check(&link->strangers);
        map_u64_check(&link->watches);
    }
    map_u64_check(&remotes->connections);
    map_u64_check(&remotes->watches);
    remote_interest_check(remotes);
    remote_wait_check(remotes);
}

static struct remote_batch *take_batch(struct remotes *remotes, uint32_t to, size_t size)
{
    struct remote_batch *batch;
    size_t cap = size > REMOTE_BATCH_BYTES ? size : REMOTE_BATCH_BYTES;
    struct list *link = cap == REMOTE_BATCH_BYTES ? list_pop_front(&remotes->spare) : NULL;
    if (link) {
        batch = container_of(link, struct remote_batch, link);
        remotes->spare_count--;
    } else {
        batch = mem_alloc(sizeof(*batch) + cap);
    }
    *batch = (struct remote_batch){.from = remotes->self, .to = to, .cap = cap};
    list_init(&batch->link);
    return batch;
}

static void send_open(struct remotes *remotes, uint32_t to)
{
    struct remote_link *link = &remotes->links[to];
    struct remote_batch *batch = link->open;
    link->open = NULL;
    link->sent++;
    remotes->carrier->send(remotes->carrier->owner, to, batch);
}

static void work_through(struct remotes *remotes, const struct remote_batch *batch)
{
    remotes->worked_through++;
    for (size_t at = 0; at < batch->len;) {
        const struct remote_record *record = (const struct remote_record *)(const void *)(batch->data + at);
        at += record->size_bytes;
        must(at <= batch->len);
        switch ((enum remote_kind)record->kind) {
        case REMOTE_MESSAGE: remote_message_receive(remotes, record); break;
        case REMOTE_INTEREST: remote_interest_receive(remotes, batch->from, record); break;
        case REMOTE_WATCH: remote_watch_receive(remotes, batch->from, record); break;
        case REMOTE_WATCH_END: remote_watch_receive_end(remotes, batch->from, record); break;
        case REMOTE_WATCH_STATE: remote_watch_receive_state(remotes, batch->from, record); break;
        case REMOTE_PAUSE: {
            struct connection *connection = map_u64_find(&remotes->connections, record->id);
            if (connection)
                connection_pause(connection, CONNECTION_PAUSE_INLET);
            break;
        }
        case REMOTE_RESUME: broker_inlets_resume(remotes->broker); break;
        case REMOTE_NO_RESPONDERS: remote_message_no_responders(remotes, record); break;
        }
    }
}

static void take_back(struct remotes *remotes, struct remote_batch *batch)
{
    struct remote_link *link = &remotes->links[batch->to];
    must(link->returned < link->sent && link->under_way_bytes >= batch->cost_bytes);
    link->returned++;
    link->under_way_bytes -= batch->cost_bytes;
    if (batch->round) {
        must(batch->round > link->acked_round);
        link->acked_round = batch->round;
        remote_interest_acked(remotes);
    }
    if (link->under_way_bytes <= remotes->behind_bytes / 2)
        remote_watch_recover(remotes, batch->to);
    if (link->is_full && link->under_way_bytes <= remotes->window_bytes / 2) {
        // Whoever was paused for another window comes to it again with his next message, and is paused again.
        link->is_full = false;
        remotes->broker->resume |= CONNECTION_PAUSE_WINDOW;
    }
    keep(remotes, batch);
}

static void keep(struct remotes *remotes, struct remote_batch *batch)
{
    if (batch->cap == REMOTE_BATCH_BYTES && remotes->spare_count < REMOTE_SPARE_MAX) {
        list_push_front(&remotes->spare, &batch->link);
        remotes->spare_count++;
    } else {
        mem_free(batch);
    }
}

static void free_batches(struct list *batches)
{
    struct list *link;
    while ((link = list_pop_front(batches)))
        mem_free(container_of(link, struct remote_batch, link));
}
