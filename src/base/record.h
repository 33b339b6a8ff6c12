// SPDX-License-Identifier: Apache-2.0
// tidy: prefix record message_record
// The frame of a record: the one thing that the log (store/), the engine (stream/) and every other state machine on the log
// share. store/FORMAT.md is the reference; this header is its executable half. All integers little-endian; a record starts
// at a multiple of 8 bytes within its entry and is followed by zero bytes up to the next.
//
//   offset size  record header (16 bytes)
//        0    4  check: low half of XXH3-64 over the bytes 4 … size-1
//        4    4  size in bytes, header included, padding not
//        8    2  kind: enum record_kind; bit 15 set: a reader that does not know it must refuse the directory
//       10    2  flags, by kind; unknown flags are zero
//       12    4  object: stream, consumer or client id, by kind
//       16    …  body, by kind
//
//   offset size  message record (kind RECORD_MESSAGE, object = stream id), after the record header
//       16    8  sequence in the stream, from 1
//       24    8  time: nanoseconds since 1970, set by the server
//       32   16  dedupe id: 128-bit hash, 0 = none
//       48    2  subject length; 0: the subject is the stream's name
//       50    2  reply subject length
//       52    4  header block length (NATS/1.0 … empty line); 0: none
//       56    …  subject, reply, header block, payload (the rest)
#pragma once

#include "base/bytes.h"
#include "base/endian.h"
#include "base/error.h"
#include "base/hash.h"

enum {
    RECORD_HEADER_SIZE = 16,
    RECORD_MESSAGE_SIZE = 56, // of a message record without its variable part
    RECORD_ALIGN = 8,
    RECORD_MUST_UNDERSTAND = 0x8000,
};

// Numbers are for ever; new ones are added at the end of their block, with a paragraph in store/FORMAT.md.
enum record_kind {
    // The stream engine (stream/). Object: stream id unless said otherwise.
    RECORD_MESSAGE = 0x8001,            // a message stored
    RECORD_STREAM_CREATE = 0x8002,      // a stream exists from here on
    RECORD_STREAM_UPDATE = 0x8003,      // its configuration changed
    RECORD_STREAM_DELETE = 0x8004,      // it and its consumers are gone
    RECORD_STREAM_EVICT = 0x8005,       // messages below a sequence are gone (limits, purge)
    RECORD_MESSAGE_DELETE = 0x8006,     // single messages are gone
    RECORD_STREAM_CREATE_MORE = 0x8007, // STREAM_CREATE of a configuration that does not fit it
    RECORD_STREAM_UPDATE_MORE = 0x8008, // STREAM_UPDATE likewise
    RECORD_STREAM_LAST = 0x8009,        // its sequences go on behind this one
    RECORD_CONSUMER_CREATE = 0x8010,    // object: consumer id
    RECORD_CONSUMER_DELETE = 0x8011,    // object: consumer id
    RECORD_MEMBER_ADD = 0x8012,         // object: consumer id; a target joined, or its configuration changed
    RECORD_MEMBER_REMOVE = 0x8013,      // object: consumer id
    RECORD_DELIVERED = 0x8014,          // object: consumer id; a run of sequences went out
    RECORD_ACKED = 0x8015,              // object: consumer id; sequences are finished
    RECORD_RETURNED = 0x8016,           // object: consumer id; given back before their ack wait was over
    RECORD_DEAD = 0x8017,               // object: consumer id; a message is finished because it is dead
    RECORD_DYING = 0x8018,              // object: consumer id; a message is terminated, and its death waits
    RECORD_TURN = 0x8019,               // object: 0; what DELIVERED, RETURNED and ACKED would say of several consumers
    RECORD_STREAM_PAUSE = 0x801a,       // nothing of it is delivered from here on, or again
    RECORD_CONSUMER_PAUSE = 0x801b,     // object: consumer id; the same
    RECORD_CONSUMER_SEEK = 0x801c,      // object: consumer id; it begins elsewhere
    RECORD_REDRIVEN = 0x801d,           // object: consumer id; dead messages live again
    RECORD_STREAM_EDITED = 0x801e,      // who gave it its configuration
    // STAN (stan/). Object: client number.
    RECORD_CLIENT_ADD = 0x8020,
    RECORD_CLIENT_CLOSE = 0x8021, // closing began: its members are being removed
    RECORD_CLIENT_REMOVE = 0x8022,
    RECORD_CHANNEL_LEFT = 0x8023, // object: stream id; since when nobody uses it (stan/inactivity.h)
    // Checkpoint files only: images of objects. Body starts with the index (8 bytes) at which the image was taken.
    RECORD_IMAGE_STREAM = 0x8040,
    RECORD_IMAGE_CONSUMER = 0x8041,
    RECORD_IMAGE_CLIENT = 0x8042,
    RECORD_IMAGE_COUNTERS = 0x8043, // next free ids of a shard
    RECORD_IMAGE_STREAM_MORE = 0x8044,
    RECORD_IMAGE_CONSUMER_MORE = 0x8045,
    RECORD_IMAGE_CHANNEL_LEFT = 0x8046,
    RECORD_IMAGE_CONTROL =
        0x8047, // behind the image of a stream or consumer, whose kind is in `flags`: what somebody did to it
    RECORD_IMAGE_CONSUMER_DYING = 0x8048,
    // 0x8070 to 0x807f are of backups (admin/BACKUP.md).
    RECORD_IMAGE_GONE = 0x804f, // the object of the image kind in `flags` was deleted
};

// A record as found in memory. Borrowed.
struct record {
    uint16_t kind;
    uint16_t flags;
    uint32_t object;
    struct bytes body;  // after the 16-byte header, without padding
    struct bytes whole; // header and body
};

static inline size_t record_padded(size_t size)
{
    return (size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

// Writes the header but for the check, which record_seal() computes when the body is there.
static inline void record_begin(char *at, uint32_t size, uint16_t kind, uint16_t flags, uint32_t object)
{
    put_u32(at + 4, size);
    put_u16(at + 8, kind);
    put_u16(at + 10, flags);
    put_u32(at + 12, object);
}

// Computes the check and zeroes the padding, for which there must be room.
static inline void record_seal(char *at)
{
    uint32_t size = get_u32(at + 4);
    memset(at + size, 0, record_padded(size) - size);
    put_u32(at, hash_bytes32(bytes_make(at + 4, size - 4), 0));
}

// Takes the record at the front of `in`, which is the rest of an entry's records. 0, or ERR_CORRUPT when the frame does not
// fit. Verifies the check only if `verify`. *ret_used: bytes to skip, padding included.
static inline int record_get(struct bytes in, bool verify, struct record *ret_record, size_t *ret_used)
{
    if (in.len < RECORD_HEADER_SIZE)
        return ERR_CORRUPT;
    uint32_t size = get_u32(in.ptr + 4);
    if (size < RECORD_HEADER_SIZE || record_padded(size) > in.len)
        return ERR_CORRUPT;
    if (verify && get_u32(in.ptr) != hash_bytes32(bytes_make(in.ptr + 4, size - 4), 0))
        return ERR_CORRUPT;
    ret_record->kind = get_u16(in.ptr + 8);
    ret_record->flags = get_u16(in.ptr + 10);
    ret_record->object = get_u32(in.ptr + 12);
    ret_record->whole = bytes_make(in.ptr, size);
    ret_record->body = bytes_make(in.ptr + RECORD_HEADER_SIZE, size - RECORD_HEADER_SIZE);
    *ret_used = record_padded(size);
    return 0;
}

// A message record taken apart. Borrowed.
struct message_record {
    uint32_t stream_id;
    uint64_t sequence;
    uint64_t time_ns;
    struct hash128 dedupe; // both 0: none
    struct bytes subject;  // len 0: the stream's name
    struct bytes reply;
    struct bytes headers;
    struct bytes payload;
};

static inline size_t message_record_size(size_t subject_len, size_t reply_len, size_t headers_len, size_t payload_len)
{
    return RECORD_MESSAGE_SIZE + subject_len + reply_len + headers_len + payload_len;
}

// `at` has record_padded(message_record_size(…)) bytes of room. Writes everything, the check included.
static inline void message_record_put(char *at, const struct message_record *m)
{
    size_t size = message_record_size(m->subject.len, m->reply.len, m->headers.len, m->payload.len);
    record_begin(at, (uint32_t)size, RECORD_MESSAGE, 0, m->stream_id);
    put_u64(at + 16, m->sequence);
    put_u64(at + 24, m->time_ns);
    put_u64(at + 32, m->dedupe.lo);
    put_u64(at + 40, m->dedupe.hi);
    put_u16(at + 48, (uint16_t)m->subject.len);
    put_u16(at + 50, (uint16_t)m->reply.len);
    put_u32(at + 52, (uint32_t)m->headers.len);
    char *to = at + RECORD_MESSAGE_SIZE;
    const struct bytes parts[] = {m->subject, m->reply, m->headers, m->payload};
    for (int i = 0; i < 4; i++) {
        if (parts[i].len)
            memcpy(to, parts[i].ptr, parts[i].len);
        to += parts[i].len;
    }
    record_seal(at);
}

// Takes a record of kind RECORD_MESSAGE apart. ERR_CORRUPT when the lengths do not fit.
static inline int message_record_get(const struct record *record, struct message_record *ret)
{
    const char *at = record->whole.ptr;
    size_t size = record->whole.len;
    if (size < RECORD_MESSAGE_SIZE)
        return ERR_CORRUPT;
    size_t subject = get_u16(at + 48), reply = get_u16(at + 50), headers = get_u32(at + 52);
    if (RECORD_MESSAGE_SIZE + subject + reply + headers > size)
        return ERR_CORRUPT;
    ret->stream_id = record->object;
    ret->sequence = get_u64(at + 16);
    ret->time_ns = get_u64(at + 24);
    ret->dedupe = (struct hash128){get_u64(at + 32), get_u64(at + 40)};
    at += RECORD_MESSAGE_SIZE;
    ret->subject = bytes_make(at, subject);
    ret->reply = bytes_make(at + subject, reply);
    ret->headers = bytes_make(at + subject + reply, headers);
    ret->payload = bytes_make(at + subject + reply + headers, size - RECORD_MESSAGE_SIZE - subject - reply - headers);
    return 0;
}
