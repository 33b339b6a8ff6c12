// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Messages that die: their deliveries ran out, or somebody terminated them. That is one record, which finishes the message for its
// consumer and is remembered (dead.c). Where the stream names another for its dead, the whole message goes there in the same entry of
// the log: either both are in it, or the message is still pending. It may lie on disk, so it is read first; what cannot be copied now
// (no space, the other stream is full) is tried again, and is with nobody meanwhile. That it was terminated is a record of its own if it
// cannot die in the same turn: nobody will say it again.
#include "stream/engine_internal.h"

enum { READS_MAX = 8 };

// A message that dies.
struct death {
    struct list link;      // of one of the lists of struct deaths
    struct list word_link; // deaths' words, if it was terminated
    uint64_t word_index;   // of the record of that; 0: there is none
    struct consumer *consumer;
    struct pending *pending;
    struct death_read *read; // owned; NULL: not read
    uint64_t index;          // of the record; 0: not proposed
    uint8_t reason;
    uint16_t text_len;
    char text[];
};

struct death_read {
    struct engine_read read;
    struct death *death; // borrowed
    bool done;
};

// A consumer's.
struct deaths {
    struct consumer *consumer;
    struct list waiting, reading, ready, proposed;
    struct list words;   // what was terminated, in that order: what is not recorded, and not proposed, is at the end
    uint32_t read_count; // reading and ready
    struct wheel_timer retry; // set: nothing is tried before
};

static struct deaths *deaths_of(struct consumer *consumer);
static struct death *begin(struct consumer *consumer, struct pending *pending, enum dead_reason reason,
                           struct bytes text);
static struct death *death_of_word(struct list *link);
static struct list *first_unwritten(const struct deaths *deaths);
static void put_word(struct buffer *to, const struct death *death);
static int get_word(struct consumer *consumer, struct bytes from, uint64_t index);
static void retry_fire(struct wheel_timer *timer, uint64_t now_ms);
static void read_start(struct death *death);
static void read_done(struct engine_read *read);
static void read_end(struct death *death);
static int propose(struct death *death);
static int propose_copy(struct death *death, struct dead_info *info);
static void append_record(struct death *death, const struct dead_info *info);
static struct dead_info info_of(const struct death *death);

int engine_terminate(struct engine *engine, struct consumer *consumer, uint64_t sequence, struct bytes reason,
                     struct engine_time now)
{
    engine_time_set(engine, now);
    struct pending *pending = pending_find(consumer, sequence);
    if (!pending || pending->state == PENDING_ACKED || pending->state == PENDING_DYING || consumer->seeking)
        return ERR_NOT_FOUND;
    death_begin(consumer, pending, DEAD_TERMINATED, reason);
    return 0;
}

void death_begin(struct consumer *consumer, struct pending *pending, enum dead_reason reason, struct bytes text)
{
    if (begin(consumer, pending, reason, text)->reason == DEAD_TERMINATED)
        journal_link(consumer);
}

bool death_step(struct consumer *consumer, size_t *budget)
{
    struct deaths *deaths = consumer->deaths;
    if (!deaths || wheel_is_set(&deaths->retry))
        return false;
    for (;;) {
        struct list *link = list_first(&deaths->ready);
        bool copy = death_wants_copy(consumer);
        if (!link && (!copy || deaths->read_count < READS_MAX))
            link = list_first(&deaths->waiting);
        if (!link)
            return false;
        if (*budget == 0)
            return true;
        --*budget;
        struct death *death = container_of(link, struct death, link);
        if (copy && !death->read) {
            read_start(death);
        } else if (propose(death)) {
            struct engine *engine = consumer->stream->engine;
            wheel_set(&engine->wheel, &deaths->retry, engine_now_ms(engine) + ENGINE_RETRY_MS);
            death_cancel_reads(consumer); // nothing that was read is held meanwhile
            return false;
        }
    }
}

bool death_is_proposed(const struct pending *pending)
{
    return pending->state == PENDING_DYING && pending->death->index;
}

void death_forget(struct death *death)
{
    read_end(death);
    list_remove(&death->link);
    list_remove(&death->word_link);
    mem_free(death);
}

void death_cancel_reads(struct consumer *consumer)
{
    struct deaths *deaths = consumer->deaths;
    if (!deaths)
        return;
    struct list *lists[] = {&deaths->reading, &deaths->ready};
    for (int i = 0; i < 2; i++) {
        for (struct list *link = list_first(lists[i]); link; link = list_first(lists[i])) {
            read_end(container_of(link, struct death, link));
            list_remove(link);
            list_push_back(&deaths->waiting, link);
        }
    }
}

void death_drop(struct consumer *consumer, uint64_t last_good)
{
    struct deaths *deaths = consumer->deaths;
    struct list *link = deaths ? list_last(&deaths->proposed) : NULL;
    for (; link && container_of(link, struct death, link)->index > last_good; link = list_last(&deaths->proposed)) {
        container_of(link, struct death, link)->index = 0;
        list_remove(link);
        list_push_front(&deaths->waiting, link);
        consumer_wake(consumer);
    }
    for (link = deaths ? list_last(&deaths->words) : NULL; link && link != &deaths->words; link = link->prev) {
        struct death *death = death_of_word(link);
        if (death->word_index && death->word_index <= last_good)
            break;
        death->word_index = 0;
        journal_link(consumer);
    }
}

bool death_write(struct consumer *consumer)
{
    struct engine *engine = consumer->stream->engine;
    struct deaths *deaths = consumer->deaths;
    struct list *link = deaths ? first_unwritten(deaths) : NULL;
    for (; link && link != &deaths->words; link = link->next) {
        struct death *death = death_of_word(link);
        if (death->index || death->word_index)
            continue;
        turn_close(engine);
        if (engine_admit(engine, DEAD_RECORD_MAX, true))
            return false;
        buffer_clear(&engine->scratch);
        put_word(&engine->scratch, death);
        death->word_index = engine_append(engine, RECORD_DYING, consumer->id, buffer_bytes(&engine->scratch));
    }
    return true;
}

int death_apply(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer || engine->live)
        return error;
    error = get_word(consumer, record->body, index);
    consumer->pick_sequence = consumer->next_sequence;
    consumer_dirty(consumer);
    return error;
}

bool death_is_worth_an_image(const struct consumer *consumer)
{
    return consumer->deaths && !list_empty(&consumer->deaths->words);
}

void death_put_image(const struct consumer *consumer, struct buffer *to)
{
    uint64_t count = 0;
    struct buffer one;
    list_foreach(link, &consumer->deaths->words) count++;
    codec_put_number(to, count);
    buffer_init(&one, 2 * DEAD_RECORD_MAX);
    list_foreach(link, &consumer->deaths->words)
    {
        buffer_clear(&one);
        put_word(&one, death_of_word(link));
        codec_put_number(to, one.len);
        must(buffer_append(to, buffer_bytes(&one)) == 0);
    }
    buffer_deinit(&one);
}

int death_get_image(struct consumer *consumer, struct bytes from)
{
    uint64_t count, size;
    if (codec_get_number(&from, &count))
        return ERR_CORRUPT;
    for (; count; count--) {
        if (codec_get_number(&from, &size) || size > from.len ||
            get_word(consumer, bytes_make(from.ptr, size), consumer->image_index))
            return ERR_CORRUPT;
        from = bytes_skip(from, size);
    }
    return from.len == 0 ? 0 : ERR_CORRUPT;
}

bool death_wants_copy(const struct consumer *consumer)
{
    const struct stream_config *config = &consumer->stream->config;
    return config->dead_letter.len && !bytes_equal(config->dead_letter, config->name) &&
           engine_adapter_of(consumer->stream->engine, consumer)->dead_letter;
}

// The deaths themselves belong to the pending messages.
void death_free(struct consumer *consumer)
{
    struct deaths *deaths = consumer->deaths;
    if (!deaths)
        return;
    must(list_empty(&deaths->waiting) && list_empty(&deaths->proposed) && deaths->read_count == 0);
    wheel_cancel(&consumer->stream->engine->wheel, &deaths->retry);
    mem_free(deaths);
    consumer->deaths = NULL;
}

static struct deaths *deaths_of(struct consumer *consumer)
{
    struct deaths *deaths = consumer->deaths;
    if (deaths)
        return deaths;
    deaths = consumer->deaths = mem_alloc_zero(sizeof(*deaths));
    deaths->consumer = consumer;
    list_init(&deaths->waiting);
    list_init(&deaths->reading);
    list_init(&deaths->ready);
    list_init(&deaths->proposed);
    list_init(&deaths->words);
    deaths->retry.fire = retry_fire;
    return deaths;
}

static struct death *begin(struct consumer *consumer, struct pending *pending, enum dead_reason reason,
                           struct bytes text)
{
    struct deaths *deaths = deaths_of(consumer);
    size_t len = text.len < ENGINE_REASON_MAX ? text.len : ENGINE_REASON_MAX;
    struct death *death = mem_alloc_zero(sizeof(*death) + len);
    death->consumer = consumer;
    death->pending = pending;
    death->reason = (uint8_t)reason;
    death->text_len = (uint16_t)len;
    if (len)
        memcpy(death->text, text.ptr, len);
    list_push_back(&deaths->waiting, &death->link);
    list_init(&death->word_link);
    if (reason == DEAD_TERMINATED)
        list_push_back(&deaths->words, &death->word_link);
    pending_set_dying(consumer, pending, death);
    consumer_wake(consumer);
    return death;
}

static struct death *death_of_word(struct list *link)
{
    return container_of(link, struct death, word_link);
}

// Where to begin, or NULL: only what is at the end can be unwritten.
static struct list *first_unwritten(const struct deaths *deaths)
{
    struct list *first = NULL;
    for (struct list *link = deaths->words.prev; link != &deaths->words && !death_of_word(link)->word_index;
         link = link->prev)
        first = link;
    return first;
}

static void put_word(struct buffer *to, const struct death *death)
{
    codec_put_number(to, death->pending->sequence);
    codec_put_number(to, death->reason);
    must(buffer_append(to, bytes_make(death->text, death->text_len)) == 0);
}

// Of a record with this index.
static int get_word(struct consumer *consumer, struct bytes from, uint64_t index)
{
    uint64_t sequence, reason;
    if (codec_get_number(&from, &sequence) || codec_get_number(&from, &reason) || sequence == 0 ||
        sequence > SEQUENCE_MAX || reason != DEAD_TERMINATED || from.len > ENGINE_REASON_MAX)
        return ERR_CORRUPT;
    struct pending *pending = journal_pending(consumer, sequence);
    if (pending && pending->state != PENDING_DYING)
        begin(consumer, pending, DEAD_TERMINATED, from)->word_index = index ? index : 1;
    return 0;
}

static void retry_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    consumer_wake(container_of(timer, struct deaths, retry)->consumer);
}

static void read_start(struct death *death)
{
    struct deaths *deaths = death->consumer->deaths;
    const struct engine_host *host = &death->consumer->stream->engine->options.host;
    struct death_read *read = death->read = mem_alloc_zero(sizeof(*read));
    read->death = death;
    read->read = (struct engine_read){
        .stream = death->consumer->stream->id, .sequence = death->pending->sequence, .done = read_done};
    deaths->read_count++;
    list_remove(&death->link);
    list_push_back(&deaths->reading, &death->link);
    int result = host->read(host->owner, &read->read);
    if (result == ERR_AGAIN)
        return;
    read->read.result = result;
    read_done(&read->read);
}

static void read_done(struct engine_read *read)
{
    struct death_read *death_read = container_of(read, struct death_read, read);
    struct death *death = death_read->death;
    death_read->done = true;
    list_remove(&death->link);
    list_push_back(&death->consumer->deaths->ready, &death->link);
    consumer_wake(death->consumer);
}

// Lets go of what was read, or gives it up.
static void read_end(struct death *death)
{
    const struct engine_host *host = &death->consumer->stream->engine->options.host;
    struct death_read *read = death->read;
    if (!read)
        return;
    if (!read->done)
        host->read_cancel(host->owner, &read->read);
    else if (read->read.result == 0)
        host->release(host->owner, read->read.hold);
    death->consumer->deaths->read_count--;
    death->read = NULL;
    mem_free(read);
}

// An error: nothing was proposed, the message waits. Where it cannot be read because it is gone or damaged there is nothing to copy.
static int propose(struct death *death)
{
    struct consumer *consumer = death->consumer;
    struct engine *engine = consumer->stream->engine;
    struct dead_info info = info_of(death);
    int result = death->read ? death->read->read.result : 0, error;
    engine->stats.unreadable += result == ERR_CORRUPT;
    if (death->read && result == 0 && death_wants_copy(consumer))
        error = propose_copy(death, &info);
    else if (result && result != ERR_NOT_FOUND && result != ERR_CORRUPT)
        error = result;
    else
        error = engine_admit(engine, DEAD_RECORD_MAX, true);
    read_end(death);
    list_remove(&death->link);
    if (error) {
        list_push_front(&consumer->deaths->waiting, &death->link);
        return error;
    }
    append_record(death, &info);
    list_push_back(&consumer->deaths->proposed, &death->link);
    return 0;
}

// 0: the copy is appended, or there is to be none, and the record may follow.
static int propose_copy(struct death *death, struct dead_info *info)
{
    struct consumer *consumer = death->consumer;
    struct engine *engine = consumer->stream->engine;
    const struct engine_adapter *adapter = engine_adapter_of(engine, consumer);
    const struct message_record *message = &death->read->read.message;
    struct dead_letter letter = {
        .consumer = consumer,
        .stream = consumer->stream,
        .message = message,
        .member = info->member ? member_in(consumer, info->member) : NULL,
        .attempts = info->attempts,
        .reason = info->reason,
        .text = info->text,
        .time_ns = info->since_ns,
    };
    struct buffer headers;
    struct stream *target;
    buffer_init(&headers, INT32_MAX);
    int error = adapter->dead_letter(adapter->owner, &letter, &target, &headers);
    struct publish publish = {.reply = message->reply, .headers = buffer_bytes(&headers), .payload = message->payload};
    if (!error)
        error = stream_publish_admit(target, &publish, RECORD_HEADER_SIZE + DEAD_RECORD_MAX + RECORD_ALIGN);
    if (!error)
        error = stream_limits_room(target, stream_publish_size(&publish));
    if (error == ERR_TOO_BIG && stream_publish_check(&publish) == 0)
        error = ERR_FULL; // for a limit that may be raised: it waits
    if (!error) {
        const struct engine_host *host = &engine->options.host;
        struct publish_result result;
        host->together(host->owner, record_padded(stream_publish_size(&publish)) +
                                        record_padded(RECORD_HEADER_SIZE + DEAD_RECORD_MAX));
        stream_publish_put(target, &publish, false, &result);
        info->stream = target->id;
        info->copied_as = result.sequence;
    } else if (error == ERR_EXISTS || error == ERR_INVALID || error == ERR_TOO_BIG) {
        error = engine_admit(engine, DEAD_RECORD_MAX, true);
    }
    buffer_deinit(&headers);
    return error;
}

static void append_record(struct death *death, const struct dead_info *info)
{
    struct engine *engine = death->consumer->stream->engine;
    buffer_clear(&engine->scratch);
    dead_put(&engine->scratch, info);
    must(engine->scratch.len <= DEAD_RECORD_MAX);
    death->index = engine_append(engine, RECORD_DEAD, death->consumer->id, buffer_bytes(&engine->scratch));
}

static struct dead_info info_of(const struct death *death)
{
    return (struct dead_info){
        .sequence = death->pending->sequence,
        .member = death->pending->holder,
        .attempts = death->pending->attempts,
        .reason = (enum dead_reason)death->reason,
        .size = death->pending->size,
        .since_ns = engine_record_time_ms(death->consumer->stream->engine) * 1000000,
        .text = bytes_make(death->text, death->text_len),
    };
}
