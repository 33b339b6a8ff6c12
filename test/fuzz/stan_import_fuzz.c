// SPDX-License-Identifier: Apache-2.0
// A NATS Streaming store that anybody may have written: whatever its files hold, the import ends with an error or with a directory on
// which a server starts, and looking says the same as importing.
//
//   input = options (1 byte: 1 keep going, 2 truncate, 4 check), then of server.dat, clients.dat, jobs/msgs.1.dat and jobs/subs.dat:
//           length (2 bytes), content; what is missing is empty
#include <stdint.h>
#include <stdlib.h>

#include "base/endian.h"
#include "base/must.h"
#include "import_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"server.dat", "clients.dat", "jobs/msgs.1.dat", "jobs/subs.dat"};

static void put_files(struct import_world *world, struct bytes input)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = input.len >= 2 ? get_u16(input.ptr) : 0;
        input = bytes_skip(input, input.len >= 2 ? 2 : input.len);
        len = len < input.len ? len : input.len;
        import_world_put(world, names[i], bytes_make(input.ptr, len));
        input = bytes_skip(input, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct import_world world;
    if (size == 0)
        return 0;
    import_world_init(&world);
    world.options.keep_going = data[0] & 1;
    world.options.truncate_bad_eof = data[0] & 2;
    world.options.check_crc = data[0] & 4;
    put_files(&world, bytes_make(data + 1, size - 1));
    int looked = import_world_run(&world, true);
    struct importer_stats stats = world.stats;
    int error = import_world_run(&world, false);
    // A connection id that is used twice, and a message that is too big here, are only seen when somebody takes them.
    must(looked == 0 || error != 0);
    if (!error) {
        must(stats.messages >= world.stats.messages && stats.problems <= world.stats.problems);
        must(import_world_open(&world) == 0);
        engine_check(shard_engine(world.shard));
        import_world_close(&world);
    }
    import_world_deinit(&world);
    return 0;
}
