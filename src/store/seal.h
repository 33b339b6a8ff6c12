// SPDX-License-Identifier: Apache-2.0
// Encryption of files, as bytes: keys, the block, where content is. FORMAT.md, "Encryption", has the tables and the reasons; vault.c
// does the reading and writing. No I/O.
//
// A sealed file is blocks of 4096 bytes. Block 0 is clear and says with which cipher, key and salt the others were made. Each
// other block is sealed alone, so it can be read alone, and names its salt, so it can be read when block 0 is gone:
//
//      0  4032  content, encrypted (less in the last block of a file, which is shorter then)
//   4032    16  tag
//   4048     8  number of the write that wrote it, in this life of the file: with the block's number, the nonce
//   4056     4  number of the block in the file
//   4060     4  cipher
//   4064    32  salt
#pragma once

#include "base/error.h"
#include "env/crypto.h"
#include "store/store.h"

enum {
    SEAL_BLOCK = 4096,
    SEAL_TRAILER = 64,
    SEAL_CONTENT = SEAL_BLOCK - SEAL_TRAILER,
    SEAL_SALT_LEN = 32,
    SEAL_NAME_LEN = 16,
    SEAL_KEYS_MAX = 2, // the key, and the one before it
};

#define SEAL_MAGIC "WEIRSEA1"

// What the clear block of a file says of the others. All zero: the file is clear.
struct seal_mark {
    uint32_t cipher; // enum crypto_cipher
    uint64_t key_id;
    uint8_t salt[SEAL_SALT_LEN];
};

// Which file it is. Part of what each block authenticates, so that blocks and files cannot change places.
struct seal_name {
    char kind;     // 'w' log file, 'i' sidecar, 's' segment, 'c' checkpoint; 0: a file that is never sealed
    uint32_t step; // of a checkpoint
    uint64_t id;   // the number in the name
};

// The keys of a directory. The secrets they are from are not kept.
struct seal_key {
    uint64_t id; // tells keys apart, and nothing of them
    uint8_t master[CRYPTO_SHA256_LEN];
};

struct seal_keys {
    const struct crypto *crypto; // borrowed
    struct seal_key keys[SEAL_KEYS_MAX];
    size_t count;
};

// One life of one file: from its clear block on, until that is written again.
struct seal_life {
    const struct crypto *crypto; // borrowed
    struct seal_mark mark;
    uint8_t key[CRYPTO_SHA256_LEN];
    char name[SEAL_NAME_LEN];
};

void seal_keys_init(struct seal_keys *keys, const struct store_encryption *encryption);
// NULL: not one of ours.
const struct seal_key *seal_keys_find(const struct seal_keys *keys, uint64_t id);

// Of a path below the data directory, also of one that goes on (.tmp, .orphan).
struct seal_name seal_name_of(const char *path);

void seal_life_init(struct seal_life *life, const struct seal_keys *keys, const struct seal_key *key,
                    const struct seal_mark *mark, struct seal_name name);
// Encrypts `len` bytes of content where they are and appends the trailer. `write` is new for each write of the file in this life.
void seal_block(const struct seal_life *life, uint64_t write, uint32_t block, char *at, size_t len);
// Decrypts a block of `len` bytes, trailer included, where it is. False: it is not block `block` of this life of the file, or
// not as it was written; then nothing of what is at `at` means anything.
bool seal_open(const struct seal_life *life, uint32_t block, char *at, size_t len) MUST_USE;
// What the trailer of a block says, for when the clear block is damaged; the key's id is not in it. False: it is no sealed block.
bool seal_block_mark(const char *at, size_t len, struct seal_mark *ret_mark) MUST_USE;

// The clear block of all files but those of the log, whose own header serves (log_file.h).
void seal_header_encode(const struct seal_mark *mark, struct seal_name name, char block[SEAL_BLOCK]);
// ERR_CORRUPT: not a header of a sealed file, or damaged. ERR_NEWER.
int seal_header_decode(const char block[SEAL_BLOCK], struct seal_mark *ret_mark) MUST_USE;

// Bytes of content in a file of `bytes` whose first `head` bytes of content are in its clear block (0, or all of it).
uint64_t seal_content_bytes(uint64_t bytes, uint64_t head);
// The reverse: bytes of the file for so much content, in whole blocks.
uint64_t seal_file_bytes(uint64_t content, uint64_t head);
