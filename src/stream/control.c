// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine control
// What people do to streams and consumers by hand, besides moving them: pausing, resuming, giving a configuration. All of it is a record,
// also the end of a pause that ends by itself, so it is the same after a restart; RECORDS.md has the bodies.
#include "stream/engine_internal.h"

enum { PAUSE_SIZE = 9, EDITED_SIZE = 9, IMAGE_SIZE = 25, FLAG_PAUSED = 1, FLAG_EDITED = 2 };

static int propose_pause(struct engine *engine, uint16_t kind, uint32_t object, bool paused, uint64_t until_ms,
                         uint64_t *ret_index);
static int read_pause(struct bytes body, struct pause *pause);
static void look_soon(struct engine *engine, struct pause *pause);
static bool is_over(struct engine *engine, struct pause *pause);
static void stream_fire(struct wheel_timer *timer, uint64_t now_ms);
static void consumer_fire(struct wheel_timer *timer, uint64_t now_ms);
static void stream_changed(struct stream *stream);
static void consumer_changed(struct consumer *consumer);
static void put_image(struct buffer *out, uint16_t kind, uint32_t object, uint64_t index, const struct pause *pause,
                      bool edited, uint64_t inactivity_ns);

int engine_stream_pause(struct engine *engine, struct stream *stream, bool paused, uint64_t until_ns,
                        struct engine_time now, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    return stream->deleting ? ERR_NOT_FOUND
                            : propose_pause(engine, RECORD_STREAM_PAUSE, stream->id, paused,
                                            paused ? until_ns / 1000000 : 0, ret_index);
}

int engine_consumer_pause(struct engine *engine, struct consumer *consumer, bool paused, uint64_t until_ns,
                          struct engine_time now, uint64_t *ret_index)
{
    engine_time_set(engine, now);
    return consumer->deleting || consumer->stream->deleting
               ? ERR_NOT_FOUND
               : propose_pause(engine, RECORD_CONSUMER_PAUSE, consumer->id, paused, paused ? until_ns / 1000000 : 0,
                               ret_index);
}

int engine_stream_edit(struct engine *engine, struct stream *stream, const struct stream_edit *edit,
                       struct engine_time now, uint64_t *ret_index)
{
    char body[EDITED_SIZE];
    int error = engine_stream_update(engine, stream, &edit->config, now, ret_index);
    if (error)
        return error;
    // Nobody is told of the one without the other; should the log take only the first, a start sets it right.
    error = engine_admit(engine, EDITED_SIZE, true);
    if (error)
        return error;
    body[0] = edit->edited ? FLAG_EDITED : 0;
    put_u64(body + 1, edit->edited ? edit->inactivity_ns : 0);
    *ret_index = engine_append(engine, RECORD_STREAM_EDITED, stream->id, bytes_make(body, EDITED_SIZE));
    return 0;
}

bool control_is_paused(const struct consumer *consumer)
{
    return consumer->pause.on || consumer->stream->pause.on;
}

int control_apply_stream_pause(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    if (read_pause(record->body, &stream->pause))
        return ERR_CORRUPT;
    stream_changed(stream);
    return 0;
}

int control_apply_consumer_pause(struct engine *engine, const struct record *record, uint64_t index)
{
    struct consumer *consumer;
    int error = consumer_of_record(engine, record->object, index, &consumer);
    if (error || !consumer)
        return error;
    if (read_pause(record->body, &consumer->pause))
        return ERR_CORRUPT;
    consumer_changed(consumer);
    return 0;
}

int control_apply_edited(struct engine *engine, const struct record *record, uint64_t index)
{
    struct stream *stream;
    int error = stream_of_record(engine, record->object, index, &stream);
    if (error || !stream)
        return error;
    if (record->body.len != EDITED_SIZE || record->body.ptr[0] & ~FLAG_EDITED)
        return ERR_CORRUPT;
    stream->edited = record->body.ptr[0];
    stream->inactivity_ns = get_u64(record->body.ptr + 1);
    stream_dirty(stream);
    return 0;
}

void control_stream_recovered(struct stream *stream)
{
    stream->pause.timer.fire = stream_fire;
    if (stream->pause.on && stream->pause.until_ms)
        look_soon(stream->engine, &stream->pause);
}

void control_consumer_recovered(struct consumer *consumer)
{
    consumer->pause.timer.fire = consumer_fire;
    if (consumer->pause.on && consumer->pause.until_ms)
        look_soon(consumer->stream->engine, &consumer->pause);
}

void control_put_stream(const struct stream *stream, uint64_t index, struct buffer *out)
{
    if (stream->pause.on || stream->edited)
        put_image(out, RECORD_IMAGE_STREAM, stream->id, index, &stream->pause, stream->edited, stream->inactivity_ns);
}

void control_put_consumer(const struct consumer *consumer, uint64_t index, struct buffer *out)
{
    if (consumer->pause.on)
        put_image(out, RECORD_IMAGE_CONSUMER, consumer->id, index, &consumer->pause, false, 0);
}

int control_get_image(struct engine *engine, const struct record *image)
{
    struct control_image what;
    if (control_read_image(image, &what))
        return ERR_CORRUPT;
    struct stream *stream = image->flags == RECORD_IMAGE_STREAM ? map_u64_find(&engine->streams, image->object) : NULL;
    struct consumer *consumer =
        image->flags == RECORD_IMAGE_CONSUMER ? map_u64_find(&engine->consumers, image->object) : NULL;
    if (!stream && !consumer)
        return ERR_CORRUPT; // its image stands before it
    struct pause *pause = stream ? &stream->pause : &consumer->pause;
    pause->on = what.paused;
    pause->until_ms = what.until_ms;
    if (stream) {
        stream->edited = what.edited;
        stream->inactivity_ns = what.inactivity_ns;
    }
    return 0;
}

int control_read_image(const struct record *image, struct control_image *ret)
{
    const char *at = image->body.ptr;
    if (image->body.len != IMAGE_SIZE || at[8] & ~(FLAG_PAUSED | FLAG_EDITED))
        return ERR_CORRUPT;
    *ret = (struct control_image){.paused = at[8] & FLAG_PAUSED,
                                  .edited = at[8] & FLAG_EDITED,
                                  .until_ms = get_u64(at + 9),
                                  .inactivity_ns = get_u64(at + 17)};
    return ret->until_ms <= UINT64_MAX / 1000000 ? 0 : ERR_CORRUPT;
}

static int propose_pause(struct engine *engine, uint16_t kind, uint32_t object, bool paused, uint64_t until_ms,
                         uint64_t *ret_index)
{
    char body[PAUSE_SIZE];
    int error = engine_admit(engine, PAUSE_SIZE, true);
    if (error)
        return error;
    body[0] = paused ? FLAG_PAUSED : 0;
    put_u64(body + 1, until_ms);
    *ret_index = engine_append(engine, kind, object, bytes_make(body, PAUSE_SIZE));
    return 0;
}

static int read_pause(struct bytes body, struct pause *pause)
{
    if (body.len != PAUSE_SIZE || body.ptr[0] & ~FLAG_PAUSED || get_u64(body.ptr + 1) > UINT64_MAX / 1000000)
        return ERR_CORRUPT;
    bool on = body.ptr[0];
    uint64_t until_ms = get_u64(body.ptr + 1);
    if (!on && until_ms && until_ms != pause->until_ms)
        return 0; // the end of another pause than that which is now
    pause->on = on;
    pause->until_ms = on ? until_ms : 0;
    return 0;
}

// Within a minute at the latest, because the wall clock may jump.
static void look_soon(struct engine *engine, struct pause *pause)
{
    uint64_t wall_ms = engine->now.wall_ns / 1000000;
    uint64_t wait_ms = pause->until_ms > wall_ms ? pause->until_ms - wall_ms : 0;
    wait_ms = wait_ms < ENGINE_AGE_LOOK_MS ? wait_ms : ENGINE_AGE_LOOK_MS;
    wheel_set(&engine->wheel, &pause->timer, engine_now_ms(engine) + wait_ms);
}

static bool is_over(struct engine *engine, struct pause *pause)
{
    if (!pause->on || !pause->until_ms || engine->quiet)
        return false;
    if (engine->now.wall_ns / 1000000 >= pause->until_ms)
        return true;
    look_soon(engine, pause);
    return false;
}

// The end is proposed; should the log not take it, or lose it, it is proposed again.
static void stream_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct stream *stream = container_of(timer, struct stream, pause.timer);
    uint64_t index;
    if (!is_over(stream->engine, &stream->pause) || stream->deleting)
        return;
    (void)!propose_pause(stream->engine, RECORD_STREAM_PAUSE, stream->id, false, stream->pause.until_ms, &index);
    wheel_set(&stream->engine->wheel, timer, now_ms + ENGINE_RETRY_MS);
}

static void consumer_fire(struct wheel_timer *timer, uint64_t now_ms)
{
    struct consumer *consumer = container_of(timer, struct consumer, pause.timer);
    struct engine *engine = consumer->stream->engine;
    uint64_t index;
    if (!is_over(engine, &consumer->pause) || consumer->deleting || consumer->stream->deleting)
        return;
    (void)!propose_pause(engine, RECORD_CONSUMER_PAUSE, consumer->id, false, consumer->pause.until_ms, &index);
    wheel_set(&engine->wheel, timer, now_ms + ENGINE_RETRY_MS);
}

// Committed: what was picked and has not left stays, or it goes on.
static void stream_changed(struct stream *stream)
{
    struct engine *engine = stream->engine;
    stream_dirty(stream);
    wheel_cancel(&engine->wheel, &stream->pause.timer);
    if (engine->live)
        control_stream_recovered(stream);
    list_foreach(link, &stream->consumers)
    {
        struct consumer *consumer = container_of(link, struct consumer, link);
        if (stream->pause.on)
            delivery_cancel(consumer);
        consumer_wake(consumer);
    }
}

static void consumer_changed(struct consumer *consumer)
{
    struct engine *engine = consumer->stream->engine;
    consumer_dirty(consumer);
    wheel_cancel(&engine->wheel, &consumer->pause.timer);
    if (engine->live)
        control_consumer_recovered(consumer);
    if (consumer->pause.on)
        delivery_cancel(consumer);
    consumer_wake(consumer);
}

static void put_image(struct buffer *out, uint16_t kind, uint32_t object, uint64_t index, const struct pause *pause,
                      bool edited, uint64_t inactivity_ns)
{
    size_t size = RECORD_HEADER_SIZE + IMAGE_SIZE;
    char *to = buffer_reserve(out, record_padded(size));
    must(to);
    record_begin(to, (uint32_t)size, RECORD_IMAGE_CONTROL, kind, object);
    put_u64(to + RECORD_HEADER_SIZE, index);
    to[RECORD_HEADER_SIZE + 8] = (char)((pause->on ? FLAG_PAUSED : 0) | (edited ? FLAG_EDITED : 0));
    put_u64(to + RECORD_HEADER_SIZE + 9, pause->until_ms);
    put_u64(to + RECORD_HEADER_SIZE + 17, inactivity_ns);
    record_seal(to);
    buffer_commit(out, record_padded(size));
}
