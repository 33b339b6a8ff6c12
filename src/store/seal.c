// SPDX-License-Identifier: Apache-2.0
#include "store/seal.h"

#include "base/endian.h"
#include "base/hash.h"
#include "base/must.h"

enum {
    SEAL_FORMAT = 1,
    // Of a block's trailer.
    TRAILER_TAG = 0,
    TRAILER_WRITE = 16,
    TRAILER_BLOCK = 24,
    TRAILER_CIPHER = 28,
    TRAILER_SALT = 32,
    // Of the clear block.
    HEADER_FORMAT = 8,
    HEADER_MINIMUM_READER = 12,
    HEADER_CIPHER = 16,
    HEADER_STEP = 20,
    HEADER_ID = 24,
    HEADER_KEY_ID = 32,
    HEADER_SALT = 40,
    HEADER_CHECK = SEAL_BLOCK - 8,
};

static const char folder_log[] = "wal/", folder_segments[] = "shards/1/", folder_checkpoints[] = "checkpoint/";

static void key_init(struct seal_key *key, const struct crypto *crypto, struct bytes secret);
static bool parse_hex(const char *text, int digits, uint64_t *ret_number);
static struct crypto_aead aead_of(const struct seal_life *life, const char *trailer);

void seal_keys_init(struct seal_keys *keys, const struct store_encryption *encryption)
{
    *keys = (struct seal_keys){.crypto = encryption->crypto};
    key_init(&keys->keys[keys->count++], keys->crypto, encryption->key);
    if (encryption->old_key.len)
        key_init(&keys->keys[keys->count++], keys->crypto, encryption->old_key);
}

const struct seal_key *seal_keys_find(const struct seal_keys *keys, uint64_t id)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].id == id)
            return &keys->keys[i];
    }
    return NULL;
}

struct seal_name seal_name_of(const char *path)
{
    struct seal_name name = {0};
    const char *digits;
    if (strncmp(path, folder_log, sizeof(folder_log) - 1) == 0) {
        digits = path + sizeof(folder_log) - 1;
        name.kind = 'w';
    } else if (strncmp(path, folder_segments, sizeof(folder_segments) - 1) == 0) {
        digits = path + sizeof(folder_segments) - 1;
        name.kind = 's';
    } else if (strncmp(path, folder_checkpoints, sizeof(folder_checkpoints) - 1) == 0) {
        digits = path + sizeof(folder_checkpoints) - 1;
        name.kind = 'c';
    } else {
        return name;
    }
    uint64_t step = 0;
    if (!parse_hex(digits, 16, &name.id) ||
        (name.kind == 'c' && (digits[16] != '.' || !parse_hex(digits + 17, 4, &step))))
        return (struct seal_name){0};
    if (name.kind == 'w' && strncmp(digits + 16, ".idx", 4) == 0)
        name.kind = 'i';
    name.step = (uint32_t)step;
    return name;
}

void seal_life_init(struct seal_life *life, const struct seal_keys *keys, const struct seal_key *key,
                    const struct seal_mark *mark, struct seal_name name)
{
    char info[] = "weir file 0";
    *life = (struct seal_life){.crypto = keys->crypto, .mark = *mark};
    info[sizeof(info) - 2] = (char)('0' + mark->cipher);
    keys->crypto->hkdf_sha256(bytes_make((const char *)key->master, sizeof(key->master)),
                              bytes_make((const char *)mark->salt, sizeof(mark->salt)),
                              bytes_make(info, sizeof(info) - 1), life->key);
    life->name[0] = name.kind;
    put_u32(life->name + 4, name.step);
    put_u64(life->name + 8, name.id);
}

void seal_block(const struct seal_life *life, uint64_t write, uint32_t block, char *at, size_t len)
{
    must(len > 0 && len <= SEAL_CONTENT);
    char *trailer = at + len;
    put_u64(trailer + TRAILER_WRITE, write);
    put_u32(trailer + TRAILER_BLOCK, block);
    put_u32(trailer + TRAILER_CIPHER, life->mark.cipher);
    memcpy(trailer + TRAILER_SALT, life->mark.salt, SEAL_SALT_LEN);
    struct crypto_aead aead = aead_of(life, trailer);
    life->crypto->aead_seal(&aead, bytes_make(at, len), at);
}

bool seal_open(const struct seal_life *life, uint32_t block, char *at, size_t len)
{
    if (len <= SEAL_TRAILER || len > SEAL_BLOCK)
        return false;
    const char *trailer = at + len - SEAL_TRAILER;
    if (get_u32(trailer + TRAILER_BLOCK) != block || get_u32(trailer + TRAILER_CIPHER) != life->mark.cipher ||
        memcmp(trailer + TRAILER_SALT, life->mark.salt, SEAL_SALT_LEN) != 0)
        return false;
    struct crypto_aead aead = aead_of(life, trailer);
    return life->crypto->aead_open(&aead, bytes_make(at, len - SEAL_TRAILER + CRYPTO_AEAD_TAG_LEN), at);
}

bool seal_block_mark(const char *at, size_t len, struct seal_mark *ret_mark)
{
    if (len <= SEAL_TRAILER)
        return false;
    const char *trailer = at + len - SEAL_TRAILER;
    uint32_t cipher = get_u32(trailer + TRAILER_CIPHER);
    if (cipher != CRYPTO_AES_256_GCM && cipher != CRYPTO_CHACHA20_POLY1305)
        return false;
    *ret_mark = (struct seal_mark){.cipher = cipher};
    memcpy(ret_mark->salt, trailer + TRAILER_SALT, SEAL_SALT_LEN);
    return true;
}

void seal_header_encode(const struct seal_mark *mark, struct seal_name name, char block[SEAL_BLOCK])
{
    memset(block, 0, SEAL_BLOCK);
    memcpy(block, SEAL_MAGIC, 8);
    put_u32(block + HEADER_FORMAT, SEAL_FORMAT);
    put_u32(block + HEADER_MINIMUM_READER, SEAL_FORMAT);
    put_u32(block + HEADER_CIPHER, mark->cipher);
    put_u32(block + HEADER_STEP, name.step);
    put_u64(block + HEADER_ID, name.id);
    put_u64(block + HEADER_KEY_ID, mark->key_id);
    memcpy(block + HEADER_SALT, mark->salt, SEAL_SALT_LEN);
    put_u64(block + HEADER_CHECK, hash_bytes(bytes_make(block, HEADER_CHECK), 0));
}

int seal_header_decode(const char block[SEAL_BLOCK], struct seal_mark *ret_mark)
{
    if (memcmp(block, SEAL_MAGIC, 8) != 0 ||
        get_u64(block + HEADER_CHECK) != hash_bytes(bytes_make(block, HEADER_CHECK), 0))
        return ERR_CORRUPT;
    if (get_u32(block + HEADER_MINIMUM_READER) > SEAL_FORMAT)
        return ERR_NEWER;
    *ret_mark = (struct seal_mark){.cipher = get_u32(block + HEADER_CIPHER), .key_id = get_u64(block + HEADER_KEY_ID)};
    memcpy(ret_mark->salt, block + HEADER_SALT, SEAL_SALT_LEN);
    return ret_mark->cipher ? 0 : ERR_CORRUPT;
}

uint64_t seal_content_bytes(uint64_t bytes, uint64_t head)
{
    if (bytes <= SEAL_BLOCK)
        return bytes < head ? bytes : head;
    uint64_t blocks = bytes / SEAL_BLOCK - 1, rest = bytes % SEAL_BLOCK;
    return head + blocks * SEAL_CONTENT + (rest > SEAL_TRAILER ? rest - SEAL_TRAILER : 0);
}

uint64_t seal_file_bytes(uint64_t content, uint64_t head)
{
    if (content <= head)
        return content;
    return SEAL_BLOCK + (content - head + SEAL_CONTENT - 1) / SEAL_CONTENT * SEAL_BLOCK;
}

// A secret may be of any length; what is kept is not, and the id is another purpose's key.
static void key_init(struct seal_key *key, const struct crypto *crypto, struct bytes secret)
{
    uint8_t id[CRYPTO_SHA256_LEN];
    crypto->hkdf_sha256(secret, BYTES(""), BYTES("weir master"), key->master);
    crypto->hkdf_sha256(secret, BYTES(""), BYTES("weir key id"), id);
    key->id = get_u64(id);
}

static bool parse_hex(const char *text, int digits, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (int i = 0; i < digits; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        number = number << 4 | (unsigned)digit;
    }
    *ret_number = number;
    return true;
}

// The nonce is the trailer's write and block, as they lie there.
static struct crypto_aead aead_of(const struct seal_life *life, const char *trailer)
{
    return (struct crypto_aead){
        .cipher = (enum crypto_cipher)life->mark.cipher,
        .key = life->key,
        .nonce = (const uint8_t *)trailer + TRAILER_WRITE,
        .associated = bytes_make(life->name, SEAL_NAME_LEN),
    };
}
