// SPDX-License-Identifier: Apache-2.0
#include "admin/backup_file.h"

#include "base/must.h"

enum { BEGIN_SIZE = 18, END_SIZE = 32 };

static char *frame_open(struct buffer *to, uint16_t kind, size_t body_size);

void backup_sum_add(struct backup_sum *sum, struct bytes frame)
{
    sum->frames++;
    sum->bytes += frame.len;
    sum->digest = hash_bytes(frame, sum->digest);
}

void backup_file_put_begin(struct buffer *to, const struct backup_begin *begin)
{
    char *frame = frame_open(to, BACKUP_BEGIN, BEGIN_SIZE + begin->cluster_id.len + begin->channel.len);
    char *at = frame + RECORD_HEADER_SIZE;
    put_u32(at, BACKUP_VERSION);
    put_u32(at + 4, 0);
    put_u64(at + 8, begin->time_ns);
    put_u16(at + 16, (uint16_t)begin->cluster_id.len);
    memcpy(at + BEGIN_SIZE, begin->cluster_id.ptr, begin->cluster_id.len);
    if (begin->channel.len)
        memcpy(at + BEGIN_SIZE + begin->cluster_id.len, begin->channel.ptr, begin->channel.len);
    record_seal(frame);
}

void backup_file_put_end(struct buffer *to, const struct backup_sum *sum, uint64_t missing)
{
    char *frame = frame_open(to, BACKUP_END, END_SIZE), *at = frame + RECORD_HEADER_SIZE;
    put_u64(at, sum->frames);
    put_u64(at + 8, sum->bytes);
    put_u64(at + 16, sum->digest);
    put_u64(at + 24, missing);
    record_seal(frame);
}

int backup_file_get_begin(const struct record *record, struct backup_begin *ret)
{
    struct bytes body = record->body;
    if (record->kind != BACKUP_BEGIN || body.len < BEGIN_SIZE)
        return ERR_CORRUPT;
    if (get_u32(body.ptr) != BACKUP_VERSION)
        return ERR_NEWER;
    size_t len = get_u16(body.ptr + 16);
    if (len > body.len - BEGIN_SIZE)
        return ERR_CORRUPT;
    *ret = (struct backup_begin){
        .time_ns = get_u64(body.ptr + 8),
        .cluster_id = bytes_make(body.ptr + BEGIN_SIZE, len),
        .channel = bytes_skip(body, BEGIN_SIZE + len),
    };
    return 0;
}

int backup_file_get_end(const struct record *record, struct backup_sum *ret, uint64_t *ret_missing)
{
    if (record->kind != BACKUP_END || record->body.len != END_SIZE)
        return ERR_CORRUPT;
    const char *at = record->body.ptr;
    *ret = (struct backup_sum){.frames = get_u64(at), .bytes = get_u64(at + 8), .digest = get_u64(at + 16)};
    *ret_missing = get_u64(at + 24);
    return 0;
}

static char *frame_open(struct buffer *to, uint16_t kind, size_t body_size)
{
    size_t size = RECORD_HEADER_SIZE + body_size;
    char *at = buffer_reserve(to, record_padded(size));
    must(at);
    buffer_commit(to, record_padded(size));
    record_begin(at, (uint32_t)size, kind, 0, 0);
    return at;
}
