// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"
#include "stan/import/filestore_reader.h"

static int take_folder(struct filestore_listing *listing, struct disk *disk, struct bytes name) MUST_USE;
static void take_file(struct filestore_listing *listing, struct disk *disk, struct filestore_channel *channel,
                      const char *file);
static bool is_other(struct bytes name);
static uint64_t slice_number(struct bytes name);
static int by_number(const void *a, const void *b);
static uint64_t size_of(struct disk *disk, const char *path);

int filestore_listing_read(struct filestore_listing *listing, struct disk *disk)
{
    struct disk_request request = {.op = DISK_LIST, .path = "."};
    int error = disk_run(disk, &request);
    if (error)
        return error;
    *listing = (struct filestore_listing){.names = request.names.names};
    listing->channels = mem_alloc_zero((request.names.count + 1) * sizeof(*listing->channels));
    const char *name = request.names.names;
    for (size_t i = 0; i < request.names.count && !error; i++, name += strlen(name) + 1) {
        struct bytes text = bytes_from_string(name);
        if (bytes_equal(text, BYTES("clients.dat"))) {
            listing->has_clients = true;
            listing->bytes += size_of(disk, name);
        } else if (!is_other(text)) {
            error = take_folder(listing, disk, text);
        }
    }
    if (error)
        filestore_listing_deinit(listing);
    return error;
}

void filestore_listing_deinit(struct filestore_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        mem_free(listing->channels[i].slices);
    mem_free(listing->channels);
    mem_free(listing->names);
    *listing = (struct filestore_listing){0};
}

// Only folders are channels.
static int take_folder(struct filestore_listing *listing, struct disk *disk, struct bytes name)
{
    struct disk_request request = {.op = DISK_LIST, .path = name.ptr};
    int error = disk_run(disk, &request);
    if (error)
        return error == ERR_INVALID || error == ERR_NOT_FOUND ? 0 : error;
    struct filestore_channel *channel = &listing->channels[listing->count++];
    channel->name = name;
    channel->slices = mem_alloc((request.names.count + 1) * sizeof(*channel->slices));
    const char *file = request.names.names;
    for (size_t i = 0; i < request.names.count; i++, file += strlen(file) + 1)
        take_file(listing, disk, channel, file);
    mem_free(request.names.names);
    if (channel->slice_count)
        qsort(channel->slices, channel->slice_count, sizeof(*channel->slices), by_number);
    return 0;
}

static void take_file(struct filestore_listing *listing, struct disk *disk, struct filestore_channel *channel,
                      const char *file)
{
    uint64_t number = slice_number(bytes_from_string(file));
    bool is_subs = strcmp(file, "subs.dat") == 0;
    if (number == 0 && !is_subs)
        return;
    if (number > 0)
        channel->slices[channel->slice_count++] = number;
    channel->has_subs |= is_subs;
    char path[FILESTORE_PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%.64s", channel->name.ptr, file);
    listing->bytes += size_of(disk, path);
}

static bool is_other(struct bytes name)
{
    return name.ptr[0] == '.' || bytes_equal(name, BYTES("server.dat")) || bytes_equal(name, BYTES("lost+found"));
}

// Of "msgs.N.dat"; 0: it is none.
static uint64_t slice_number(struct bytes name)
{
    const struct bytes head = BYTES("msgs."), tail = BYTES(".dat");
    if (name.len <= head.len + tail.len || !bytes_starts_with(name, head) ||
        !bytes_equal(bytes_skip(name, name.len - tail.len), tail))
        return 0;
    uint64_t number;
    struct bytes digits = bytes_make(name.ptr + head.len, name.len - head.len - tail.len);
    return number_parse_u64(digits, INT64_MAX, &number) ? 0 : number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

// 0 for what cannot be opened: that is told when it is to be read.
static uint64_t size_of(struct disk *disk, const char *path)
{
    struct disk_request request = {.op = DISK_OPEN, .path = path, .flags = DISK_FLAG_READ_ONLY};
    if (disk_run(disk, &request))
        return 0;
    struct disk_request size = {.op = DISK_SIZE, .file = request.file};
    int error = disk_run(disk, &size);
    struct disk_request end = {.op = DISK_CLOSE, .file = request.file};
    (void)!disk_run(disk, &end);
    return error ? 0 : size.transferred;
}
