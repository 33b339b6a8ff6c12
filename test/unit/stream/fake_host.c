// SPDX-License-Identifier: Apache-2.0
#include "fake_host.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

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
static bool adapter_deliver(void *owner, const struct delivery *delivery);
static void adapter_member_added(void *owner, struct member *member, bool recovered);
static void adapter_member_removed(void *owner, struct member *member);
static int adapter_dead_letter(void *owner, const struct dead_letter *letter, struct stream **ret_stream,
                               struct buffer *headers);
static void engine_begin(struct fake_host *host);
static void apply_entry(struct fake_host *host, size_t at, bool covered, bool live);
static void keep_message(struct fake_host *host, size_t entry, size_t offset, const struct record *record);
static int answer(struct fake_host *host, struct engine_read *read);
static int answer_seek(struct fake_host *host, struct engine_read *read, uint64_t time_ns);
static struct fake_read *wait_for(struct fake_host *host, struct engine_read *read);

void fake_host_init(struct fake_host *host, uint64_t max_ids)
{
    *host = (struct fake_host){.now = {5000000000ull, 1700000000000000000ull}, .entry_bytes = 4096};
    list_init(&host->reads);
    buffer_init(&host->image, 1u << 30);
    host->options = (struct engine_options){
        .max_ids = max_ids,
        .turn_budget = 1024,
        .host = {host, host_admit, host_together, host_append, host_read, host_read_cancel, host_release, host_seek,
                 host_sizes, host_trimmed, host_read_ahead},
    };
    engine_begin(host);
    engine_recovered(host->engine, host->now);
}

void fake_host_deinit(struct fake_host *host)
{
    engine_free(host->engine);
    must(list_empty(&host->reads) && host->holds == 0);
    for (size_t i = 0; i < host->entry_count; i++)
        mem_free(host->entries[i].records);
    for (size_t i = 0; i < FAKE_STREAMS; i++)
        mem_free(host->streams[i].messages);
    mem_free(host->entries);
    mem_free(host->deliveries);
    buffer_deinit(&host->image);
}

int fake_host_set_up(void **state)
{
    static struct fake_host host;
    fake_host_init(&host, 100000);
    *state = &host;
    return 0;
}

int fake_host_tear_down(void **state)
{
    struct fake_host *host = *state;
    engine_check(host->engine);
    fake_host_deinit(host);
    return 0;
}

bool fake_host_turn(struct fake_host *host)
{
    bool more = engine_turn_end(host->engine, host->now);
    host->open = false;
    return more;
}

void fake_host_commit(struct fake_host *host, size_t count)
{
    size_t end = host->entry_count - host->open;
    for (; count && host->applied < end; count--)
        apply_entry(host, host->applied++, false, true);
}

void fake_host_settle(struct fake_host *host)
{
    for (int i = 0; i < 100000; i++) {
        bool more = fake_host_turn(host);
        if (!more && host->applied == host->entry_count)
            return;
        fake_host_commit(host, SIZE_MAX);
    }
    must(!"settles");
}

void fake_host_advance(struct fake_host *host, uint64_t ms)
{
    host->now.mono_ns += ms * 1000000;
    host->now.wall_ns += ms * 1000000;
}

bool fake_host_answer(struct fake_host *host, size_t n)
{
    struct list *link = host->reads.next;
    while (n-- && link != &host->reads)
        link = link->next;
    if (link == &host->reads)
        return false;
    struct fake_read *waiting = container_of(link, struct fake_read, link);
    struct engine_read *read = waiting->read;
    list_remove(link);
    host->read_count--;
    read->result = waiting->seek ? answer_seek(host, read, waiting->time_ns) : answer(host, read);
    mem_free(waiting);
    read->done(read);
    return true;
}

void fake_host_refuse(struct fake_host *host)
{
    host->open = false;
    while (host->entry_count > host->applied)
        mem_free(host->entries[--host->entry_count].records);
    engine_drop_tail(host->engine, host->applied);
}

void fake_host_crash(struct fake_host *host, bool with_image)
{
    engine_free(host->engine);
    must(list_empty(&host->reads) && host->holds == 0);
    host->open = false;
    while (host->entry_count > host->applied)
        mem_free(host->entries[--host->entry_count].records);
    for (size_t i = 0; i < FAKE_STREAMS; i++) {
        for (size_t at = 0; at < host->streams[i].cap; at++)
            host->streams[i].messages[at].known = false;
        host->streams[i].first = 0;
    }
    engine_begin(host);
    struct bytes rest = with_image ? buffer_bytes(&host->image) : bytes_make(NULL, 0);
    while (rest.len) {
        struct record record;
        size_t used;
        must(record_get(rest, true, &record, &used) == 0);
        must(engine_restore(host->engine, &record) == 0);
        rest = bytes_skip(rest, used);
    }
    for (size_t i = 0; i < host->entry_count; i++) {
        if (i + 1 == host->lost_entry)
            continue;
        apply_entry(host, i, with_image && host->entries[i].index <= host->image_index, false);
    }
    engine_recovered(host->engine, host->now);
}

void fake_host_checkpoint(struct fake_host *host, bool base, size_t slice, size_t commits)
{
    if (base)
        buffer_clear(&host->image);
    engine_checkpoint_begin(host->engine, base);
    host->image_index = host->applied;
    while (engine_checkpoint_next(host->engine, host->applied, &host->image, slice))
        fake_host_commit(host, commits);
}

uint64_t fake_host_last_index(const struct fake_host *host)
{
    return host->entry_count;
}

size_t fake_host_records(const struct fake_host *host, uint16_t kind)
{
    size_t count = 0, used;
    struct record record;
    for (size_t i = 0; i < host->entry_count; i++) {
        struct bytes rest = bytes_make(host->entries[i].records, host->entries[i].len);
        for (; rest.len; rest = bytes_skip(rest, used)) {
            must(record_get(rest, true, &record, &used) == 0);
            count += record.kind == kind;
        }
    }
    return count;
}

struct stream *fake_stream(struct fake_host *host, const char *name, uint64_t max_msgs)
{
    struct stream_config config = {
        .account = 1,
        .name = bytes_from_string(name),
        .max_msgs = max_msgs,
        .duplicate_window_ns = 120000000000ull,
        .disconnect_grace_ns = 5000000000ull,
    };
    struct stream *stream;
    uint64_t index;
    must(engine_stream_create(host->engine, &config, host->now, &stream, &index) == 0);
    return stream;
}

static void consumer_created(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct fake_host *host = owner;
    must(error == 0 && index > 0);
    host->created = consumer;
}

struct consumer *fake_consumer(struct fake_host *host, struct stream *stream, const char *name, bool durable,
                               bool group, enum consumer_start start, uint64_t sequence)
{
    struct consumer_config config = {
        .name = bytes_from_string(name),
        .protocol = ENGINE_PROTOCOL_STAN,
        .durable = durable,
        .group = group,
        .start = start,
        .start_sequence = sequence,
        .start_time_ns = sequence,
    };
    host->created = NULL;
    engine_consumer_create(host->engine, stream, &config, host->now, consumer_created, host);
    return host->created;
}

struct member *fake_member(struct fake_host *host, struct consumer *consumer, uint32_t max_in_flight,
                           uint64_t ack_wait_ms)
{
    struct member_config config = {
        .max_in_flight = max_in_flight, .ack_wait_ns = ack_wait_ms * 1000000, .data = BYTES("inbox")};
    struct member *member;
    uint64_t index;
    must(engine_member_add(host->engine, consumer, &config, host->now, &member, &index) == 0);
    engine_member_set_state(host->engine, member, MEMBER_READY, host->now);
    return member;
}

struct consumer_state fake_consumer_state(const struct consumer *consumer)
{
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    return state;
}

uint64_t fake_publish(struct fake_host *host, struct stream *stream, const char *text, uint64_t id)
{
    struct publish publish = {.payload = bytes_from_string(text), .dedupe = {id, id}};
    struct publish_result result;
    must(engine_publish(host->engine, stream, &publish, host->now, &result) == 0);
    return result.sequence;
}

void fake_publish_many(struct fake_host *host, struct stream *stream, int count)
{
    for (int i = 0; i < count; i++)
        fake_publish(host, stream, "m", 0);
}

static int host_admit(void *owner, size_t size, bool reserved)
{
    struct fake_host *host = owner;
    must(size > 0);
    return reserved ? host->reserved_error : host->admit_error;
}

// Entries get their whole room at once, so that records stay where they are.
// An entry with room for so much.
static struct fake_entry *open_entry(struct fake_host *host, size_t need)
{
    struct fake_entry *entry = host->open ? &host->entries[host->entry_count - 1] : NULL;
    if (!entry || entry->cap - entry->len < need) {
        if (host->entry_count == host->entry_cap) {
            host->entry_cap = host->entry_cap ? host->entry_cap * 2 : 64;
            host->entries = mem_realloc(host->entries, host->entry_cap * sizeof(*host->entries));
        }
        entry = &host->entries[host->entry_count++];
        size_t cap = need > host->entry_bytes ? need : host->entry_bytes;
        *entry = (struct fake_entry){.records = mem_alloc(cap), .cap = cap, .index = host->entry_count};
        host->open = true;
    }
    return entry;
}

static uint64_t host_together(void *owner, size_t size)
{
    return open_entry(owner, record_padded(size))->index;
}

static char *host_append(void *owner, size_t size, uint64_t *ret_index)
{
    struct fake_host *host = owner;
    size_t need = record_padded(size);
    struct fake_entry *entry = open_entry(host, need);
    char *at = entry->records + entry->len;
    entry->len += need;
    *ret_index = entry->index;
    return at;
}

static int host_read(void *owner, struct engine_read *read)
{
    struct fake_host *host = owner;
    if (!host->asynchronous)
        return answer(host, read);
    wait_for(host, read);
    return ERR_AGAIN;
}

static void host_read_cancel(void *owner, struct engine_read *read)
{
    struct fake_host *host = owner;
    struct fake_read *waiting = read->implementation;
    list_remove(&waiting->link);
    host->read_count--;
    mem_free(waiting);
}

static void host_release(void *owner, void *hold)
{
    struct fake_host *host = owner;
    must(hold == host && host->holds > 0);
    host->holds--;
}

static int host_seek(void *owner, struct engine_read *read, uint64_t time_ns)
{
    struct fake_host *host = owner;
    if (!host->asynchronous)
        return answer_seek(host, read, time_ns);
    struct fake_read *waiting = wait_for(host, read);
    waiting->seek = true;
    waiting->time_ns = time_ns;
    return ERR_AGAIN;
}

static size_t host_sizes(void *owner, uint32_t stream, uint64_t first, struct engine_size *ret, size_t max,
                         bool *ret_wait)
{
    struct fake_host *host = owner;
    size_t count = 0;
    *ret_wait = false;
    for (uint64_t at = first; at < host->streams[stream].cap && count < max; at++) {
        struct fake_message *message = &host->streams[stream].messages[at];
        if (message->known)
            ret[count++] = (struct engine_size){
                at, get_u64(host->entries[message->entry].records + message->offset + 24), (uint32_t)message->size};
    }
    return count;
}

static void host_trimmed(void *owner, uint32_t stream, uint64_t first)
{
    struct fake_host *host = owner;
    for (uint64_t at = host->streams[stream].first; at < host->streams[stream].cap && at < first; at++)
        host->streams[stream].messages[at].known = false;
    host->streams[stream].first = first;
}

// What is about to be read can be.
static void host_read_ahead(void *owner, const uint32_t *streams, const uint64_t *sequences, size_t count)
{
    must(owner && count > 0 && count <= ENGINE_FIND_MAX);
    for (size_t i = 0; i < count; i++)
        must(streams[i] < FAKE_STREAMS && sequences[i] > 0);
}

static bool adapter_deliver(void *owner, const struct delivery *delivery)
{
    struct fake_host *host = owner;
    if (host->on_deliver && !host->on_deliver(host, delivery))
        return false;
    struct consumer_state state;
    consumer_state_get(delivery->consumer, &state);
    if (host->delivery_count == host->delivery_cap) {
        host->delivery_cap = host->delivery_cap ? host->delivery_cap * 2 : 1024;
        host->deliveries = mem_realloc(host->deliveries, host->delivery_cap * sizeof(*host->deliveries));
    }
    struct fake_delivery *to = &host->deliveries[host->delivery_count++];
    *to = (struct fake_delivery){
        .consumer = state.id,
        .member = member_id(delivery->member),
        .count = delivery->redelivery_count,
        .sequence = delivery->message->sequence,
        .time_ns = delivery->message->time_ns,
        .payload_len = (uint32_t)delivery->message->payload.len,
    };
    memcpy(to->payload, delivery->message->payload.ptr, to->payload_len < 16 ? to->payload_len : 16);
    return true;
}

static void adapter_member_added(void *owner, struct member *member, bool recovered)
{
    struct fake_host *host = owner;
    host->members_added++;
    if (host->on_member)
        host->on_member(host, member, recovered);
}

static void adapter_member_removed(void *owner, struct member *member)
{
    struct fake_host *host = owner;
    must(member_id(member));
    host->members_removed++;
}

static void engine_begin(struct fake_host *host)
{
    struct engine_adapter adapter = {
        .owner = host,
        .deliver = adapter_deliver,
        .member_added = adapter_member_added,
        .member_removed = adapter_member_removed,
        .dead_letter = adapter_dead_letter,
    };
    host->engine = engine_new(&host->options);
    engine_adapter_set(host->engine, ENGINE_PROTOCOL_STAN, &adapter);
}

static void apply_entry(struct fake_host *host, size_t at, bool covered, bool live)
{
    struct bytes rest = bytes_make(host->entries[at].records, host->entries[at].len);
    while (rest.len) {
        struct record record;
        size_t used;
        must(record_get(rest, true, &record, &used) == 0);
        must(engine_apply(host->engine, &record, host->entries[at].index, covered) == 0);
        if (record.kind == RECORD_MESSAGE)
            keep_message(host, at, (size_t)(rest.ptr - host->entries[at].records), &record);
        rest = bytes_skip(rest, used);
    }
    must(live || !covered || host->entries[at].index <= host->image_index);
}

static void keep_message(struct fake_host *host, size_t entry, size_t offset, const struct record *record)
{
    uint64_t sequence = get_u64(record->whole.ptr + 16);
    must(record->object < FAKE_STREAMS);
    if (!engine_is_wanted(host->engine, record->object, sequence))
        return;
    size_t old = host->streams[record->object].cap;
    if (sequence >= old) {
        size_t cap = old ? old * 2 : 1024;
        cap = cap > sequence ? cap : sequence * 2;
        host->streams[record->object].messages =
            mem_realloc(host->streams[record->object].messages, cap * sizeof(struct fake_message));
        memset(host->streams[record->object].messages + old, 0, (cap - old) * sizeof(struct fake_message));
        host->streams[record->object].cap = cap;
    }
    host->streams[record->object].messages[sequence] =
        (struct fake_message){.size = record->whole.len, .entry = entry, .offset = offset, .known = true};
}

static int answer(struct fake_host *host, struct engine_read *read)
{
    if (host->read_error)
        return host->read_error;
    read->next = read->sequence + 1;
    if (read->sequence >= host->streams[read->stream].cap ||
        !host->streams[read->stream].messages[read->sequence].known) {
        while (read->next < host->streams[read->stream].cap && !host->streams[read->stream].messages[read->next].known)
            read->next++;
        return ERR_NOT_FOUND;
    }
    struct fake_message *message = &host->streams[read->stream].messages[read->sequence];
    struct record record;
    size_t used;
    struct bytes in = bytes_make(host->entries[message->entry].records + message->offset, record_padded(message->size));
    must(record_get(in, true, &record, &used) == 0 && message_record_get(&record, &read->message) == 0);
    must(read->message.sequence == read->sequence && read->message.stream_id == read->stream);
    read->hold = host;
    host->holds++;
    return 0;
}

static int answer_seek(struct fake_host *host, struct engine_read *read, uint64_t time_ns)
{
    uint64_t last = 0;
    for (uint64_t at = read->sequence; at < host->streams[read->stream].cap; at++) {
        struct fake_message *message = &host->streams[read->stream].messages[at];
        if (!message->known)
            continue;
        last = at;
        if (get_u64(host->entries[message->entry].records + message->offset + 24) >= time_ns) {
            read->sequence = at;
            return 0;
        }
    }
    read->sequence = last + 1;
    return 0;
}

static struct fake_read *wait_for(struct fake_host *host, struct engine_read *read)
{
    struct fake_read *waiting = mem_alloc_zero(sizeof(*waiting));
    waiting->read = read;
    read->implementation = waiting;
    list_push_back(&host->reads, &waiting->link);
    host->read_count++;
    return waiting;
}

// The header block of a copy is not a real one: only who reads it in a test has to understand it.
static int adapter_dead_letter(void *owner, const struct dead_letter *letter, struct stream **ret_stream,
                               struct buffer *headers)
{
    struct fake_host *host = owner;
    struct stream_state origin;
    stream_state_get(letter->stream, &origin);
    struct bytes name = origin.config.dead_letter;
    if (host->dead_letter_error)
        return host->dead_letter_error;
    *ret_stream = engine_stream_find(host->engine, 1, name);
    if (!*ret_stream) {
        struct stream_config config = {.account = 1, .name = name};
        uint64_t index;
        int error = engine_stream_create(host->engine, &config, host->now, ret_stream, &index);
        if (error)
            return error;
    }
    char story[128];
    int len = snprintf(story, sizeof(story), "%llu after %u by %u: %d %.*s",
                       (unsigned long long)letter->message->sequence, letter->attempts,
                       letter->member ? member_id(letter->member) : 0, (int)letter->reason, BYTES_ARG(letter->text));
    return buffer_append(headers, bytes_make(story, (size_t)len));
}
