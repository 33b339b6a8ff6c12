// SPDX-License-Identifier: Apache-2.0
// tidy: prefix consumer
// Messages that are dead: finished for their consumer, and remembered for whoever looks after them, within bounds and as long as the
// stream has them. How they died is in death.c.
#include "stream/engine_internal.h"

// One of a consumer's, by sequence.
struct dead {
    struct list link;
    uint64_t redrive_index; // of the record that revives it; 0: none
    struct dead_info info;
    char text[];
};

struct dead_list {
    struct list dead;
    uint64_t count, bytes, ever;
};

static struct dead *find(const struct consumer *consumer, uint64_t sequence);
static struct dead_list *list_of(struct consumer *consumer);
static int get_info(struct bytes from, struct dead_info *ret);
static void tell_not_copied(struct consumer *consumer, const struct dead_info *info);
static void remember(struct consumer *consumer, const struct dead_info *info);
static void forget(struct consumer *consumer, struct dead *dead);

size_t consumer_dead_list(const struct consumer *consumer, uint64_t from, struct dead_info *ret, size_t max)
{
    size_t count = 0;
    if (!consumer->dead)
        return 0;
    list_foreach(link, &consumer->dead->dead)
    {
        const struct dead *dead = container_of(link, struct dead, link);
        if (count == max)
            break;
        if (dead->info.sequence >= from)
            ret[count++] = dead->info;
    }
    return count;
}

void dead_state_get(const struct consumer *consumer, struct consumer_state *state)
{
    if (!consumer->dead)
        return;
    state->dead = consumer->dead->count;
    state->dead_bytes = consumer->dead->bytes;
    state->dead_ever = consumer->dead->ever;
}

void dead_trim(struct consumer *consumer)
{
    struct dead_list *list = consumer->dead;
    uint64_t first = consumer->stream->state.first_sequence;
    struct list *link = list ? list_first(&list->dead) : NULL;
    for (; link && container_of(link, struct dead, link)->info.sequence < first; link = list_first(&list->dead))
        forget(consumer, container_of(link, struct dead, link));
}

void dead_free(struct consumer *consumer)
{
    struct dead_list *list = consumer->dead;
    if (!list)
        return;
    for (struct list *link = list_first(&list->dead); link; link = list_first(&list->dead))
        forget(consumer, container_of(link, struct dead, link));
    mem_free(list);
    consumer->dead = NULL;
}

int dead_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    struct dead_info info;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    if (get_info(record->body, &info))
        return ERR_CORRUPT;
    list_of(consumer)->ever++;
    engine->stats.dead += engine->live;
    consumer->tally.dead += engine->live;
    if (engine->live && !info.stream && death_wants_copy(consumer))
        tell_not_copied(consumer, &info);
    remember(consumer, &info);
    pending_finish(consumer, info.sequence, info.sequence);
    consumer_dirty(consumer);
    return 0;
}

bool dead_is_worth_an_image(const struct consumer *consumer)
{
    return consumer->dead && consumer->dead->ever;
}

void dead_put_image(const struct consumer *consumer, struct buffer *to)
{
    const struct dead_list *list = consumer->dead;
    codec_put_number(to, list ? list->ever : 0);
    codec_put_number(to, list ? list->count : 0);
    struct buffer one;
    buffer_init(&one, 2 * DEAD_RECORD_MAX);
    for (struct list *link = list ? list->dead.next : NULL; link && link != &list->dead; link = link->next) {
        buffer_clear(&one);
        dead_put(&one, &container_of(link, struct dead, link)->info);
        codec_put_number(to, one.len);
        must(buffer_append(to, buffer_bytes(&one)) == 0);
    }
    buffer_deinit(&one);
}

int dead_get_image(struct consumer *consumer, struct bytes *from)
{
    uint64_t ever, count, last = 0;
    if (dead_image_begin(from, &ever, &count))
        return ERR_CORRUPT;
    if (ever)
        list_of(consumer)->ever = ever;
    for (; count; count--) {
        struct dead_info info;
        if (dead_image_next(from, &info) || info.sequence <= last)
            return ERR_CORRUPT;
        last = info.sequence;
        remember(consumer, &info);
    }
    return 0;
}

int dead_image_begin(struct bytes *from, uint64_t *ret_ever, uint64_t *ret_count)
{
    bool fits =
        !codec_get_number(from, ret_ever) && !codec_get_number(from, ret_count) && *ret_count <= ENGINE_DEAD_MAX;
    return fits ? 0 : ERR_CORRUPT;
}

int dead_image_next(struct bytes *from, struct dead_info *ret)
{
    uint64_t size;
    if (codec_get_number(from, &size) || size > from->len || get_info(bytes_make(from->ptr, size), ret))
        return ERR_CORRUPT;
    *from = bytes_skip(*from, size);
    return 0;
}

void dead_check(const struct consumer *consumer)
{
    const struct dead_list *list = consumer->dead;
    uint64_t count = 0, bytes = 0, last = 0;
    if (!list)
        return;
    list_foreach(link, &list->dead)
    {
        const struct dead *dead = container_of(link, struct dead, link);
        must(dead->info.sequence > last);
        last = dead->info.sequence;
        bytes += dead->info.size;
        count++;
    }
    must(count == list->count && bytes == list->bytes && count <= ENGINE_DEAD_MAX);
}

void dead_put(struct buffer *to, const struct dead_info *info)
{
    const uint64_t numbers[] = {info->sequence,           info->attempts, info->member, info->reason,
                                info->since_ns / 1000000, info->size,     info->stream, info->copied_as};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        codec_put_number(to, numbers[i]);
    must(buffer_append(to, info->text) == 0);
}

void dead_stay_finished(struct consumer *consumer, uint64_t from)
{
    if (!consumer->dead)
        return;
    list_foreach(link, &consumer->dead->dead)
    {
        uint64_t sequence = container_of(link, struct dead, link)->info.sequence;
        if (sequence < from)
            continue;
        seqset_add(&consumer->acked, sequence);
        consumer->acked_max = sequence;
    }
}

bool dead_mark(struct consumer *consumer, uint64_t sequence)
{
    struct dead *dead = find(consumer, sequence);
    if (!dead || dead->redrive_index)
        return false;
    dead->redrive_index = UINT64_MAX;
    return true;
}

void dead_marked(struct consumer *consumer, uint64_t index)
{
    list_foreach(link, &consumer->dead->dead)
    {
        struct dead *dead = container_of(link, struct dead, link);
        if (dead->redrive_index == UINT64_MAX)
            dead->redrive_index = index;
    }
}

uint32_t dead_take(struct consumer *consumer, uint64_t sequence)
{
    struct dead *dead = find(consumer, sequence);
    uint32_t size = dead ? dead->info.size : 0;
    if (dead)
        forget(consumer, dead);
    return size;
}

void dead_drop(struct consumer *consumer, uint64_t last_good)
{
    if (!consumer->dead)
        return;
    list_foreach(link, &consumer->dead->dead)
    {
        struct dead *dead = container_of(link, struct dead, link);
        if (dead->redrive_index > last_good)
            dead->redrive_index = 0;
    }
}

static struct dead *find(const struct consumer *consumer, uint64_t sequence)
{
    struct list *link = consumer->dead ? consumer->dead->dead.next : NULL;
    for (; link && link != &consumer->dead->dead; link = link->next) {
        struct dead *dead = container_of(link, struct dead, link);
        if (dead->info.sequence >= sequence)
            return dead->info.sequence == sequence ? dead : NULL;
    }
    return NULL;
}

static struct dead_list *list_of(struct consumer *consumer)
{
    if (!consumer->dead) {
        consumer->dead = mem_alloc_zero(sizeof(*consumer->dead));
        list_init(&consumer->dead->dead);
    }
    return consumer->dead;
}

static int get_info(struct bytes from, struct dead_info *ret)
{
    uint64_t numbers[8];
    for (size_t i = 0; i < 8; i++) {
        if (codec_get_number(&from, &numbers[i]))
            return ERR_CORRUPT;
    }
    bool fits = numbers[0] > 0 && numbers[0] <= SEQUENCE_MAX && numbers[1] < 1 << 24 && numbers[2] <= UINT32_MAX &&
                (numbers[3] == DEAD_MAX_DELIVER || numbers[3] == DEAD_TERMINATED) &&
                numbers[4] <= UINT64_MAX / 1000000 && numbers[5] <= UINT32_MAX && numbers[6] <= UINT32_MAX &&
                from.len <= ENGINE_REASON_MAX;
    if (!fits)
        return ERR_CORRUPT;
    *ret = (struct dead_info){
        .sequence = numbers[0],
        .attempts = (uint32_t)numbers[1],
        .member = (uint32_t)numbers[2],
        .reason = (enum dead_reason)numbers[3],
        .since_ns = numbers[4] * 1000000,
        .size = (uint32_t)numbers[5],
        .stream = (uint32_t)numbers[6],
        .copied_as = numbers[7],
        .text = from,
    };
    return 0;
}

static void tell_not_copied(struct consumer *consumer, const struct dead_info *info)
{
    struct engine *engine = consumer->stream->engine;
    const struct engine_adapter *adapter = engine_adapter_of(engine, consumer);
    engine->stats.not_copied++;
    if (adapter->not_copied)
        adapter->not_copied(adapter->owner, consumer, info);
}

// They come nearly in order of sequence.
static void remember(struct consumer *consumer, const struct dead_info *info)
{
    struct dead_list *list = list_of(consumer);
    struct list *after = list->dead.prev;
    while (after != &list->dead && container_of(after, struct dead, link)->info.sequence > info->sequence)
        after = after->prev;
    bool known = after != &list->dead && container_of(after, struct dead, link)->info.sequence == info->sequence;
    if (known || info->sequence < consumer->stream->state.first_sequence)
        return;
    struct dead *dead = mem_alloc(sizeof(*dead) + info->text.len);
    dead->info = *info;
    dead->redrive_index = 0;
    if (info->text.len)
        memcpy(dead->text, info->text.ptr, info->text.len);
    dead->info.text.ptr = dead->text;
    list_init(&dead->link);
    list_push_front(after, &dead->link);
    list->count++;
    list->bytes += info->size;
    consumer->stream->engine->dead_count++;
    if (list->count > ENGINE_DEAD_MAX || consumer->stream->engine->dead_count > ENGINE_ALL_DEAD_MAX)
        forget(consumer, container_of(list_first(&list->dead), struct dead, link));
}

static void forget(struct consumer *consumer, struct dead *dead)
{
    consumer->dead->count--;
    consumer->dead->bytes -= dead->info.size;
    consumer->stream->engine->dead_count--;
    list_remove(&dead->link);
    mem_free(dead);
}
