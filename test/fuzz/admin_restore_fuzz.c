// SPDX-License-Identifier: Apache-2.0
// A backup that anybody may have written, behind the checks of its frames: whatever they say, restoring ends with an error or with a
// directory on which a server starts.
//
//   input = frames: kind (2 bytes), object (4), length of the body (2), body; message records are given their place by the body alone. The
//   highest bit of the object of a control frame says that it is about a stream.
#include <stdint.h>
#include <stdlib.h>

#include "admin/restore.h"
#include "base/memory.h"
#include "base/must.h"
#include "import_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Takes one frame of the input and makes a record of it, in `to`.
static struct bytes take_frame(struct bytes input, struct buffer *to, struct record *ret_record)
{
    size_t len = get_u16(input.ptr + 6);
    struct bytes rest = bytes_skip(input, 8);
    len = len < rest.len ? len : rest.len;
    buffer_clear(to);
    char *at = buffer_reserve(to, record_padded(RECORD_HEADER_SIZE + len));
    uint16_t kind = get_u16(input.ptr), flags = 0;
    uint32_t object = get_u32(input.ptr + 2);
    if (kind == RECORD_IMAGE_CONTROL) {
        flags = object >> 31 ? RECORD_IMAGE_STREAM : RECORD_IMAGE_CONSUMER;
        object &= INT32_MAX;
    }
    record_begin(at, (uint32_t)(RECORD_HEADER_SIZE + len), kind, flags, object);
    if (len)
        memcpy(at + RECORD_HEADER_SIZE, rest.ptr, len);
    record_seal(at);
    size_t used;
    must(record_get(bytes_make(at, record_padded(RECORD_HEADER_SIZE + len)), true, ret_record, &used) == 0);
    return bytes_skip(rest, len);
}

static int restore(struct import_world *world, struct bytes input)
{
    struct restore *restore = restore_new(world->shard, world->stan, world->options.message_max);
    struct buffer frame;
    struct record record;
    int error = 0;
    buffer_init(&frame, 1 << 20);
    struct engine_time now = {world->now.mono_ns, world->now.wall_ns};
    while (!error && input.len >= 8) {
        input = take_frame(input, &frame, &record);
        while ((error = restore_take(restore, &record, now)) == ERR_AGAIN)
            import_world_settle(world);
    }
    if (!error)
        error = restore_end(restore, now);
    restore_free(restore);
    buffer_deinit(&frame);
    import_world_settle(world);
    engine_check(shard_engine(world->shard));
    return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct import_world world;
    import_world_init(&world);
    must(import_world_open(&world) == 0);
    int error = restore(&world, bytes_make(data, size));
    import_world_close(&world);
    if (!error) {
        must(import_world_open(&world) == 0);
        engine_check(shard_engine(world.shard));
        import_world_close(&world);
    }
    import_world_deinit(&world);
    return 0;
}
