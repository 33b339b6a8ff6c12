// SPDX-License-Identifier: Apache-2.0
// tidy: prefix inactivity
#include "stan/inactivity.h"

#include "base/memory.h"
#include "base/must.h"
#include "stan/stan_internal.h"

enum {
    BODY_SIZE = 8,  // bytes
    INDEX_SIZE = 8, // bytes of an image in front of the body
    LEFT_SIZE = RECORD_HEADER_SIZE + BODY_SIZE,
    RETRY_MS = 100, // for what the log did not take
};

struct left_channel {
    struct inactivity *inactivity; // borrowed
    uint32_t stream;               // id
    bool imaged;                   // in some checkpoint
    uint64_t time_ns;              // wall clock; 0: removed, kept until a checkpoint says so
    struct list changed;           // list link: inactivity.changed or .imaging
    struct wheel_timer timer;      // the next look at it
};

struct removal {
    struct list link; // list link: inactivity.removals
    uint64_t index;   // of the proposal
    bool by_hand;
    size_t name_len;
    char name[];
};

static int apply(struct shard_machine *machine, const struct record *record, uint64_t index);
static int restore(struct shard_machine *machine, const struct record *image);
static void checkpoint_begin(struct shard_machine *machine, bool base);
static int checkpoint_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes);
static void recovered(struct shard_machine *machine, struct moment now);
static void drop_tail(struct shard_machine *machine, uint64_t last_good);
static struct left_channel *channel_find_or_add(struct inactivity *inactivity, uint32_t stream);
static void channel_free(struct inactivity *inactivity, struct left_channel *channel);
static int append(struct inactivity *inactivity, uint32_t stream, uint64_t time_ns);
static void timer_fire(struct wheel_timer *timer, uint64_t now_ms);
static void timer_set(struct left_channel *channel, uint64_t wait_ns);
static bool is_awaited(const struct inactivity *inactivity, const struct stream_state *state);
static uint64_t look_at(struct left_channel *left, struct stream *stream, uint64_t max_ns);
static void forget_durable(struct inactivity *inactivity);

void inactivity_init(struct inactivity *inactivity, struct stan *stan)
{
    *inactivity = (struct inactivity){.stan = stan, .look_ms = UINT64_MAX};
    inactivity->machine = (struct shard_machine){
        .first_kind = RECORD_CHANNEL_LEFT,
        .last_kind = RECORD_CHANNEL_LEFT,
        .image_kind = RECORD_IMAGE_CHANNEL_LEFT,
        .apply = apply,
        .restore = restore,
        .checkpoint_begin = checkpoint_begin,
        .checkpoint_next = checkpoint_next,
        .recovered = recovered,
        .drop_tail = drop_tail,
    };
    map_u64_init(&inactivity->channels, SIZE_MAX); // one for a channel at most, whose number is limited
    list_init(&inactivity->changed);
    list_init(&inactivity->imaging);
    list_init(&inactivity->removals);
}

void inactivity_deinit(struct inactivity *inactivity)
{
    size_t position = 0;
    struct left_channel *channel;
    while ((channel = map_u64_next(&inactivity->channels, &position, NULL)))
        channel_free(inactivity, channel);
    map_u64_deinit(&inactivity->channels);
    list_foreach(link, &inactivity->removals) mem_free(container_of(link, struct removal, link));
}

int inactivity_note(struct inactivity *inactivity, const struct stream *stream)
{
    struct stan *stan = inactivity->stan;
    struct stream_state state;
    stream_state_get(stream, &state);
    if (channels_max_inactivity_ns(stan, state.config.name) == 0 && !map_u64_find(&inactivity->channels, state.id))
        return 0;
    return append(inactivity, state.id, stan->now.wall_ns);
}

int inactivity_remove(struct inactivity *inactivity, struct stream *stream, bool by_hand, uint64_t *ret_index)
{
    struct stan *stan = inactivity->stan;
    struct bytes name = stream_name(stream);
    uint32_t id = stream_id(stream);
    struct removal *removal = mem_alloc(sizeof(*removal) + name.len);
    memcpy(removal->name, name.ptr, name.len);
    removal->name_len = name.len;
    int error = engine_stream_delete(stan->engine, stream, stan_time(stan), ret_index);
    if (error) {
        mem_free(removal);
        return error;
    }
    removal->index = *ret_index;
    removal->by_hand = by_hand;
    list_push_back(&inactivity->removals, &removal->link);
    if (map_u64_find(&inactivity->channels, id))
        (void)!append(inactivity, id, 0); // else the next start forgets it
    return 0;
}

bool inactivity_is_removing(const struct inactivity *inactivity, struct bytes name)
{
    list_foreach(link, &inactivity->removals)
    {
        const struct removal *removal = container_of(link, struct removal, link);
        if (bytes_equal(bytes_make(removal->name, removal->name_len), name))
            return removal->index > shard_committed_index(inactivity->stan->shard);
    }
    return false;
}

void inactivity_look_soon(struct inactivity *inactivity)
{
    struct stan *stan = inactivity->stan;
    bool expire = channel_limits_expire(stan->limits);
    for (struct stream *stream = NULL; !expire && (stream = engine_stream_next(stan->engine, stream));) {
        struct stream_state state;
        stream_state_get(stream, &state);
        expire = state.edited && state.inactivity_ns;
    }
    inactivity->look_ms = expire ? 0 : UINT64_MAX;
}

void inactivity_turn_end(struct inactivity *inactivity)
{
    struct stan *stan = inactivity->stan;
    uint64_t now_ms = moment_mono_ms(stan->now);
    forget_durable(inactivity);
    if (now_ms < inactivity->look_ms)
        return;
    inactivity->look_ms = UINT64_MAX;
    for (struct stream *stream = NULL; (stream = engine_stream_next(stan->engine, stream));) {
        struct stream_state state;
        stream_state_get(stream, &state);
        struct left_channel *left = map_u64_find(&inactivity->channels, state.id);
        if (channels_max_inactivity_ns(stan, state.config.name) == 0)
            continue;
        if (left)
            timer_set(left, 0);
        else if (state.consumers == 0 && append(inactivity, state.id, stan->now.wall_ns)) // found so for the first time
            inactivity->look_ms = now_ms + RETRY_MS;
    }
}

uint64_t inactivity_next_deadline_ms(const struct inactivity *inactivity)
{
    return inactivity->look_ms;
}

// Later notes only: what is replayed in front of an image that has it already is older.
static int apply(struct shard_machine *machine, const struct record *record, uint64_t index)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    (void)index;
    if (record->body.len != BODY_SIZE)
        return ERR_CORRUPT;
    uint64_t time_ns = get_u64(record->body.ptr);
    struct left_channel *channel = channel_find_or_add(inactivity, record->object);
    if (time_ns == 0 || time_ns > channel->time_ns)
        channel->time_ns = time_ns;
    list_remove(&channel->changed);
    list_push_back(&inactivity->changed, &channel->changed);
    timer_set(channel, 0);
    if (time_ns == 0 && !channel->imaged)
        channel_free(inactivity, channel);
    return 0;
}

static int restore(struct shard_machine *machine, const struct record *image)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    if (image->body.len != INDEX_SIZE + BODY_SIZE)
        return ERR_CORRUPT;
    struct left_channel *channel = channel_find_or_add(inactivity, image->object);
    channel->time_ns = get_u64(image->body.ptr + INDEX_SIZE);
    channel->imaged = true;
    if (channel->time_ns == 0)
        channel_free(inactivity, channel);
    return 0;
}

static void checkpoint_begin(struct shard_machine *machine, bool base)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    list_append_all(&inactivity->imaging, &inactivity->changed);
    size_t position = 0;
    struct left_channel *channel;
    while (base && (channel = map_u64_next(&inactivity->channels, &position, NULL))) {
        list_remove(&channel->changed);
        list_push_back(&inactivity->imaging, &channel->changed);
    }
}

static int checkpoint_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    const size_t start = out->len, size = LEFT_SIZE + INDEX_SIZE;
    while (out->len - start < max_bytes) {
        struct list *link = list_pop_front(&inactivity->imaging);
        if (!link)
            return 0;
        struct left_channel *channel = container_of(link, struct left_channel, changed);
        char *to = buffer_reserve(out, record_padded(size));
        must(to);
        record_begin(to, (uint32_t)size, RECORD_IMAGE_CHANNEL_LEFT, 0, channel->stream);
        put_u64(to + RECORD_HEADER_SIZE, index);
        put_u64(to + RECORD_HEADER_SIZE + INDEX_SIZE, channel->time_ns);
        record_seal(to);
        buffer_commit(out, record_padded(size));
        channel->imaged = true;
        if (channel->time_ns == 0)
            channel_free(inactivity, channel);
    }
    return 1;
}

// Of a channel that went when its note was not durable nothing is to be remembered.
static void recovered(struct shard_machine *machine, struct moment now)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    struct engine *engine = inactivity->stan->engine;
    (void)now;
    struct map_u64 known;
    map_u64_init(&known, SIZE_MAX);
    for (struct stream *stream = NULL; (stream = engine_stream_next(engine, stream));) {
        struct stream_state state;
        stream_state_get(stream, &state);
        must(map_u64_add(&known, state.id, stream) == 0);
    }
    size_t position = 0;
    struct left_channel *channel;
    while ((channel = map_u64_next(&inactivity->channels, &position, NULL))) {
        if (!map_u64_find(&known, channel->stream))
            channel->time_ns = 0;
        if (channel->time_ns == 0 && !channel->imaged)
            channel_free(inactivity, channel);
        else if (channel->time_ns == 0 && !list_is_linked(&channel->changed))
            list_push_back(&inactivity->changed, &channel->changed);
    }
    map_u64_deinit(&known);
}

static void drop_tail(struct shard_machine *machine, uint64_t last_good)
{
    struct inactivity *inactivity = container_of(machine, struct inactivity, machine);
    list_foreach(link, &inactivity->removals)
    {
        struct removal *removal = container_of(link, struct removal, link);
        if (removal->index <= last_good)
            continue;
        list_remove(link);
        mem_free(removal);
    }
    inactivity_look_soon(inactivity);
}

static struct left_channel *channel_find_or_add(struct inactivity *inactivity, uint32_t stream)
{
    struct left_channel *channel = map_u64_find(&inactivity->channels, stream);
    if (channel)
        return channel;
    channel = mem_alloc_zero(sizeof(*channel));
    channel->inactivity = inactivity;
    channel->stream = stream;
    channel->timer.fire = timer_fire;
    list_init(&channel->changed);
    must(map_u64_add(&inactivity->channels, stream, channel) == 0);
    return channel;
}

static void channel_free(struct inactivity *inactivity, struct left_channel *channel)
{
    must(map_u64_remove(&inactivity->channels, channel->stream) == channel);
    list_remove(&channel->changed);
    if (wheel_is_set(&channel->timer))
        wheel_cancel(&inactivity->stan->wheel, &channel->timer);
    mem_free(channel);
}

static int append(struct inactivity *inactivity, uint32_t stream, uint64_t time_ns)
{
    uint64_t index;
    int error = shard_admit(inactivity->stan->shard, LEFT_SIZE, true);
    if (error)
        return error;
    char *to = shard_reserve(inactivity->stan->shard, LEFT_SIZE, &index);
    record_begin(to, LEFT_SIZE, RECORD_CHANNEL_LEFT, 0, stream);
    put_u64(to + RECORD_HEADER_SIZE, time_ns);
    record_seal(to);
    return 0;
}

static void timer_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct left_channel *left = container_of(timer, struct left_channel, timer);
    struct stan *stan = left->inactivity->stan;
    struct stream *stream = engine_stream_by_id(stan->engine, left->stream);
    uint64_t max_ns = stream ? channels_max_inactivity_ns(stan, stream_name(stream)) : 0;
    uint64_t wait_ns = max_ns ? look_at(left, stream, max_ns) : UINT64_MAX;
    (void)now_ms;
    if (wait_ns != UINT64_MAX)
        timer_set(left, wait_ns);
}

// During recovery there are no timers: the first look at all channels makes them.
static void timer_set(struct left_channel *channel, uint64_t wait_ns)
{
    struct stan *stan = channel->inactivity->stan;
    if (stan->wheel_ready)
        wheel_set(&stan->wheel, &channel->timer, moment_mono_ms(stan->now) + wait_ns / 1000000 + 1);
}

// Something is on its way that nobody sees yet: a message, or a subscription that looks for where it begins.
static bool is_awaited(const struct inactivity *inactivity, const struct stream_state *state)
{
    return state->last_proposed != state->last_sequence || subscribe_is_coming(inactivity->stan, state->config.name);
}

// Removes the channel if it is due; else when it may be, in ns, UINT64_MAX: not before somebody leaves it.
static uint64_t look_at(struct left_channel *left, struct stream *stream, uint64_t max_ns)
{
    struct inactivity *inactivity = left->inactivity;
    uint64_t wall_ns = inactivity->stan->now.wall_ns;
    uint64_t left_ns = wall_ns > left->time_ns ? wall_ns - left->time_ns : 0;
    struct stream_state state;
    stream_state_get(stream, &state);
    // A subscription that is noted as ended may be there for a while: its end is a record of its own.
    if (state.consumers > 0)
        return left_ns < max_ns ? max_ns - left_ns : UINT64_MAX;
    if (is_awaited(inactivity, &state))
        return max_ns;
    uint64_t message_ns = wall_ns > state.last_time_ns ? wall_ns - state.last_time_ns : 0;
    uint64_t idle_ns = message_ns < left_ns ? message_ns : left_ns;
    if (idle_ns < max_ns)
        return max_ns - idle_ns;
    uint64_t index;
    return inactivity_remove(inactivity, stream, false, &index) ? RETRY_MS * 1000000ULL : UINT64_MAX;
}

// Their names are free from here on.
static void forget_durable(struct inactivity *inactivity)
{
    uint64_t committed = shard_committed_index(inactivity->stan->shard);
    list_foreach(link, &inactivity->removals)
    {
        struct removal *removal = container_of(link, struct removal, link);
        if (removal->index > committed)
            continue;
        logger_write(inactivity->stan->options.logger, LOG_INFO, "Channel \"%.*s\" has been deleted: %s",
                     (int)removal->name_len, removal->name, removal->by_hand ? "it was asked for" : "nobody used it");
        list_remove(link);
        mem_free(removal);
    }
}
