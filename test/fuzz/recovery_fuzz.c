// SPDX-License-Identifier: Apache-2.0
// Log files that anybody may have written: whatever they hold, recovery either refuses them with an error or ends with a
// store that takes records, and the start after that succeeds; check never crashes and changes nothing.
//
//   input = mode (1 byte: bit 1: the server has a key, and the valid directory is encrypted), then
//     even: files: length (2 bytes, in units of 64), content; in turn 1, 2, 3 … as wal/….wal
//     odd:  edits of a valid directory: file (1), offset (3), reseal (1), length (1), bytes. `reseal` makes the checks of the
//           header around the place right again, so that what is behind the checks is met with wrong values too; in an encrypted
//           directory the place is one of the content then, and its blocks are encrypted again.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "sim_crypto.h"
#include "sim_disk.h"
#include "store/entry.h"
#include "store/log_file.h"
#include "store/seal.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct subject {
    struct sim_disk disk;
    struct store *store;
    struct store_encryption encryption; // key.len 0: none
    uint64_t last_sequence[4];
    struct moment now;
};

static int on_replay(void *owner, const struct entry_view *entry, bool covered)
{
    struct subject *subject = owner;
    struct bytes rest = entry->records;
    while (rest.len) {
        struct record record;
        size_t used;
        if (record_get(rest, true, &record, &used) != 0)
            return 0;
        struct message_record message;
        if (record.kind == RECORD_MESSAGE && message_record_get(&record, &message) == 0) {
            uint64_t *last = &subject->last_sequence[message.stream_id % 4];
            if (message.sequence > *last && message.sequence < UINT64_MAX / 2 && message.stream_id < 4) {
                *last = message.sequence;
                store_index_add(subject->store, entry, message.stream_id, message.sequence, message.time_ns,
                                entry->records.len - rest.len, record.whole.len);
            }
        }
        rest = bytes_skip(rest, used);
    }
    return 0;
}

static void on_apply(void *owner, const struct entry_view *entry)
{
    (void)on_replay(owner, entry, false);
}

static void on_committed(void *owner, uint64_t index)
{
}

static void on_refused(void *owner, uint64_t last_good, int error)
{
}

static void on_admitting(void *owner)
{
}

static int on_restore(void *owner, const struct record *image)
{
    return 0;
}

static bool on_is_wanted(void *owner, uint32_t stream, uint64_t sequence)
{
    return true;
}

static uint64_t on_first_wanted(void *owner, uint32_t stream)
{
    return 1;
}

static void on_checkpoint_begin(void *owner, bool base)
{
}

static int on_checkpoint_next(void *owner, struct buffer *out, size_t max_bytes)
{
    return 0;
}

static void on_save_ids(void *owner, uint64_t first, uint64_t last, uint64_t *ret_until_ns, struct buffer *out)
{
    *ret_until_ns = 0;
}

static void on_ids_awaited(void *owner, uint64_t bytes)
{
}

static int on_restore_ids(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    *ret_left = 0;
    return 0;
}

static int open_store(struct subject *subject)
{
    struct store_options options;
    store_options_default(&options);
    options.file_bytes = 64 * 1024;
    options.first_file_bytes = 32 * 1024;
    options.max_payload = 8 * 1024;
    options.encryption = subject->encryption;
    struct store_handler handler = {
        .owner = subject,
        .restore = on_restore,
        .replay = on_replay,
        .apply = on_apply,
        .committed = on_committed,
        .refused = on_refused,
        .admitting = on_admitting,
        .is_wanted = on_is_wanted,
        .first_wanted = on_first_wanted,
        .checkpoint_begin = on_checkpoint_begin,
        .checkpoint_next = on_checkpoint_next,
        .save_ids = on_save_ids,
        .ids_awaited = on_ids_awaited,
        .restore_ids = on_restore_ids,
    };
    memset(subject->last_sequence, 0, sizeof(subject->last_sequence));
    subject->now = (struct moment){1, 1};
    return store_open(&options, &subject->disk.disk, &handler, subject->now, &subject->store);
}

static void append(struct subject *subject, uint64_t messages)
{
    for (uint64_t i = 0; i < messages; i++) {
        size_t size = message_record_size(0, 0, 0, 700);
        uint64_t index;
        static const char payload[700];
        if (store_admit(subject->store, size) == 0) {
            struct message_record message = {
                .stream_id = 1,
                .sequence = subject->last_sequence[1] + 1 + i % 4,
                .payload = bytes_make(payload, sizeof(payload)),
            };
            message_record_put(store_reserve(subject->store, 1, size, &index), &message);
        }
        if (i % 4 == 3) {
            subject->now.mono_ns += 1000000;
            store_turn_end(subject->store, subject->now);
            sim_disk_drain(&subject->disk);
        }
    }
}

static void stop(struct subject *subject)
{
    store_quiesce(subject->store);
    sim_disk_drain(&subject->disk);
    store_stop(subject->store);
}

// A directory with some files and three lives.
static void make_valid(struct subject *subject)
{
    sim_disk_init(&subject->disk, 1);
    for (int life = 0; life < 3; life++) {
        must(open_store(subject) == 0);
        append(subject, 60);
        stop(subject);
    }
}

static void put_files(struct subject *subject, const uint8_t *data, size_t size)
{
    for (unsigned id = 1; size >= 2 && id < 6; id++) {
        size_t len = (size_t)(data[0] | data[1] << 8) * 64;
        data += 2;
        size -= 2;
        len = len < size ? len : size;
        char path[LOG_FILE_NAME_MAX];
        log_file_name(id, path);
        sim_disk_put(&subject->disk, path, bytes_make(data, len));
        data += len;
        size -= len;
    }
}

// Makes the check of an entry or batch header right, if the place is in one; of the file header in the first block.
static void reseal(char *content, size_t size, uint64_t id, size_t offset)
{
    if (offset < LOG_FILE_BLOCK) {
        put_u64(content + LOG_FILE_BLOCK - 8, hash_bytes(bytes_make(content, LOG_FILE_BLOCK - 8), 0));
        return;
    }
    for (size_t at = offset & ~(size_t)7; at + ENTRY_HEADER_SIZE <= size && at + 64 > offset; at -= 8) {
        if (get_u32(content + at) == ENTRY_MAGIC)
            entry_place(content + at, id, at);
        else if (get_u32(content + at) == BATCH_MAGIC)
            put_u64(content + at + 56, hash_bytes(bytes_make(content + at, 56), 0));
        else
            continue;
        return;
    }
}

// Of a file of the log: from its blocks to its content, or back. A block that does not open stays as it is, both ways.
static void turn_blocks(const struct subject *subject, const char *path, struct bytes sealed, char *content, char *raw)
{
    struct seal_keys keys;
    seal_keys_init(&keys, &subject->encryption);
    memcpy(raw ? raw : content, raw ? content : sealed.ptr, SEAL_BLOCK);
    for (size_t block = 1; (block + 1) * SEAL_BLOCK <= sealed.len; block++) {
        const char *at = sealed.ptr + block * SEAL_BLOCK;
        char *in_content = content + SEAL_BLOCK + (block - 1) * SEAL_CONTENT, copy[SEAL_BLOCK];
        struct seal_mark mark;
        struct seal_life life;
        memcpy(copy, at, SEAL_BLOCK);
        bool opens = seal_block_mark(at, SEAL_BLOCK, &mark);
        if (opens) {
            seal_life_init(&life, &keys, &keys.keys[0], &mark, seal_name_of(path));
            opens = seal_open(&life, (uint32_t)block, copy, SEAL_BLOCK);
        }
        if (!raw) {
            memset(in_content, 0, SEAL_CONTENT);
            if (opens)
                memcpy(in_content, copy, SEAL_CONTENT);
        } else if (opens) {
            memcpy(raw + block * SEAL_BLOCK, in_content, SEAL_CONTENT);
            seal_block(&life, get_u64(at + SEAL_CONTENT + 16), (uint32_t)block, raw + block * SEAL_BLOCK, SEAL_CONTENT);
        }
    }
}

static void edit(char *content, size_t len, uint64_t id, size_t offset, const uint8_t *data, size_t size, bool resealed)
{
    size_t room = len > offset ? len - offset : 0;
    memcpy(content + (room ? offset : 0), data, size < room ? size : room);
    if (resealed && room)
        reseal(content, len, id, offset);
}

static void edit_content(struct subject *subject, const char *path, uint64_t id, size_t offset, const uint8_t *data,
                         size_t size)
{
    struct bytes sealed = sim_disk_content(&subject->disk, path);
    char *content = calloc(1, sealed.len), *raw = malloc(sealed.len);
    memcpy(raw, sealed.ptr, sealed.len);
    turn_blocks(subject, path, sealed, content, NULL);
    edit(content, (size_t)seal_content_bytes(sealed.len, SEAL_BLOCK), id, offset, data, size, true);
    turn_blocks(subject, path, sealed, content, raw);
    sim_disk_put(&subject->disk, path, bytes_make(raw, sealed.len));
    free(content);
    free(raw);
}

static void edit_files(struct subject *subject, const uint8_t *data, size_t size)
{
    while (size >= 6) {
        const char *path = sim_disk_path(&subject->disk, data[0] % 8);
        size_t offset = (size_t)(data[1] | data[2] << 8 | data[3] << 16), len = data[5];
        bool resealed = data[4] & 1;
        data += 6;
        size -= 6;
        len = len < size ? len : size;
        uint64_t id;
        if (path && strncmp(path, "wal/", 4) == 0 && log_file_parse_name(path + 4, &id) == 0) {
            struct bytes content = sim_disk_content(&subject->disk, path);
            if (resealed && subject->encryption.key.len && content.len >= SEAL_BLOCK) {
                edit_content(subject, path, id, offset, data, len);
            } else {
                char *copy = malloc(content.len);
                memcpy(copy, content.ptr, content.len);
                edit(copy, content.len, id, offset, data, len, resealed);
                sim_disk_put(&subject->disk, path, bytes_make(copy, content.len));
                free(copy);
            }
        }
        data += len;
        size -= len;
    }
}

static void count_line(void *owner, const char *line)
{
    must(strlen(line) < 512);
    ++*(unsigned *)owner;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct subject *subject = calloc(1, sizeof(*subject));
    if (data[0] & 2)
        subject->encryption = sim_crypto_encryption(CRYPTO_AES_256_GCM, "key", NULL);
    if (data[0] % 2) {
        make_valid(subject);
        edit_files(subject, data + 1, size - 1);
    } else {
        sim_disk_init(&subject->disk, 1);
        put_files(subject, data + 1, size - 1);
    }
    unsigned lines = 0;
    size_t names = subject->disk.change_count;
    (void)store_check(&subject->disk.disk, &subject->encryption, count_line, &lines);
    must(lines > 0 && subject->disk.change_count == names && subject->disk.open_handles == 0);
    if (open_store(subject) == 0) {
        append(subject, 12);
        stop(subject);
        must(open_store(subject) == 0);
        append(subject, 4);
        sim_disk_crash(&subject->disk, SIM_LOSS_ALL);
        stop(subject);
        must(open_store(subject) == 0);
        stop(subject);
    }
    must(subject->disk.open_handles == 0);
    sim_disk_deinit(&subject->disk);
    free(subject);
    return 0;
}
