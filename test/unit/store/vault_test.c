// SPDX-License-Identifier: Apache-2.0
// A disk that encrypts, over one that forgets nothing: what is written comes back, however it was cut up, and is nowhere to be read.
#include "store/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/must.h"
#include "sim_crypto.h"
#include "sim_disk.h"
#include "store/log_file.h"

#define SEGMENT "shards/1/0000000000000001.seg"
#define LOG     "wal/0000000000000001.wal"

struct fixture {
    struct sim_disk below;
    struct vault *vault;
    struct disk *disk;
    bool later; // requests are submitted instead of run
};

static void use_keys(struct fixture *fixture, struct store_encryption encryption)
{
    vault_free(fixture->vault);
    fixture->vault = vault_new(&fixture->below.disk, &encryption, NULL);
    fixture->disk = vault_disk(fixture->vault);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc_zero(sizeof(*fixture));
    sim_disk_init(&fixture->below, 1);
    (void)sim_crypto_for_seed(1);
    use_keys(fixture, sim_crypto_encryption(CRYPTO_AES_256_GCM, "secret", ""));
    static const char *const folders[] = {"wal", "shards", "shards/1", "checkpoint"};
    for (int i = 0; i < 4; i++) {
        struct disk_request make = {.op = DISK_MKDIR, .path = folders[i]};
        must(disk_run(fixture->disk, &make) == 0);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    vault_free(fixture->vault);
    assert_int_equal(fixture->below.open_handles, 0);
    assert_false(sim_crypto_nonce_reused());
    sim_disk_deinit(&fixture->below);
    mem_free(fixture);
    return 0;
}

struct waiting {
    struct disk_request request;
    bool done;
};

static void on_done(struct disk_request *request)
{
    container_of(request, struct waiting, request)->done = true;
}

static struct disk_request perform(struct fixture *fixture, struct disk_request request)
{
    struct waiting waiting = {.request = request};
    if (!fixture->later) {
        disk_run(fixture->disk, &waiting.request);
        return waiting.request;
    }
    waiting.request.done = on_done;
    disk_submit(fixture->disk, DISK_POOL, &waiting.request);
    assert_false(waiting.done);
    sim_disk_drain(&fixture->below);
    assert_true(waiting.done);
    return waiting.request;
}

static struct disk_file *open_file(struct fixture *fixture, const char *path, bool create)
{
    struct disk_request open =
        perform(fixture, (struct disk_request){.op = DISK_OPEN, .path = path, .flags = create ? DISK_FLAG_CREATE : 0});
    assert_int_equal(open.result, 0);
    return open.file;
}

static void close_file(struct fixture *fixture, struct disk_file *file)
{
    assert_int_equal(perform(fixture, (struct disk_request){.op = DISK_CLOSE, .file = file}).result, 0);
}

static int write_at(struct fixture *fixture, struct disk_file *file, uint64_t offset, const char *from, size_t len)
{
    size_t first = offset == 0 && len > LOG_FILE_BLOCK ? LOG_FILE_BLOCK : len / 3;
    struct disk_span spans[] = {{.ptr = (char *)from, .len = first}, {.ptr = (char *)from + first, .len = len - first}};
    return perform(
               fixture,
               (struct disk_request){.op = DISK_WRITE, .file = file, .offset = offset, .spans = spans, .span_count = 2})
        .result;
}

static size_t read_at(struct fixture *fixture, struct disk_file *file, uint64_t offset, char *to, size_t len)
{
    struct disk_span spans[] = {{.ptr = to, .len = len / 4}, {.ptr = to + len / 4, .len = len - len / 4}};
    struct disk_request read = perform(
        fixture,
        (struct disk_request){.op = DISK_READ, .file = file, .offset = offset, .spans = spans, .span_count = 2});
    assert_int_equal(read.result, 0);
    return read.transferred;
}

static uint64_t size_of(struct fixture *fixture, struct disk_file *file)
{
    return perform(fixture, (struct disk_request){.op = DISK_SIZE, .file = file}).transferred;
}

static void fill(char *text, size_t len, unsigned salt)
{
    for (size_t i = 0; i < len; i += 16) {
        char piece[40];
        snprintf(piece, sizeof(piece), "plain %03u %06zu", salt % 1000, i / 16);
        memcpy(text + i, piece, len - i < 16 ? len - i : 16);
    }
}

static char *make_text(size_t len, unsigned salt)
{
    char *text = mem_alloc(len);
    fill(text, len, salt);
    return text;
}

// A segment of `len` bytes, written in pieces of `slice`, synced and closed.
static void write_segment(struct fixture *fixture, const char *text, size_t len, size_t slice)
{
    struct disk_file *file = open_file(fixture, SEGMENT, true);
    for (size_t at = 0; at < len; at += slice)
        assert_int_equal(write_at(fixture, file, at, text + at, len - at < slice ? len - at : slice), 0);
    assert_int_equal(perform(fixture, (struct disk_request){.op = DISK_SYNC, .file = file}).result, 0);
    close_file(fixture, file);
}

static void expect_text(struct fixture *fixture, const char *text, size_t len)
{
    char *back = mem_alloc(len + 100);
    struct disk_file *file = open_file(fixture, SEGMENT, false);
    assert_int_equal(size_of(fixture, file), len);
    assert_int_equal(read_at(fixture, file, 0, back, len + 100), len);
    assert_memory_equal(back, text, len);
    for (size_t at = 0, step = 1; at + step <= len; at += step, step = step * 5 % 9000 + 1) {
        assert_int_equal(read_at(fixture, file, at, back, step), step);
        assert_memory_equal(back, text + at, step);
    }
    assert_int_equal(read_at(fixture, file, len, back, 10), 0);
    close_file(fixture, file);
    mem_free(back);
}

static void what_is_written_comes_back(void **state)
{
    struct fixture *fixture = *state;
    static const size_t lengths[] = {1, 100, 4031, 4032, 4033, 8064, 50000, 300000};
    static const size_t slices[] = {7, 1000, 4032, 5000, 65536, 1 << 20};
    for (size_t l = 0; l < 8; l++) {
        for (size_t s = l > 5 ? 2 : 0; s < 6; s++) {
            fixture->later = s % 2;
            char *text = make_text(lengths[l], (unsigned)s);
            write_segment(fixture, text, lengths[l], slices[s]);
            expect_text(fixture, text, lengths[l]);
            struct bytes raw = sim_disk_content(&fixture->below, SEGMENT);
            assert_null(memmem(raw.ptr, raw.len, "plain", 5));
            mem_free(text);
            sim_disk_remove(&fixture->below, SEGMENT);
        }
    }
}

static void begin_log(struct fixture *fixture, struct disk_file *file, const char *text)
{
    char *block = mem_alloc(2 * LOG_FILE_BLOCK);
    struct log_file_header header = {
        .id = 1, .feature_level = 1, .identity = BYTES("me"), .mark = vault_mark(fixture->vault)};
    log_file_encode(&header, block);
    memcpy(block + LOG_FILE_BLOCK, text, vault_new_block(fixture->vault));
    assert_int_equal(write_at(fixture, file, 0, block, LOG_FILE_BLOCK + vault_new_block(fixture->vault)), 0);
    mem_free(block);
}

static void a_gather_reads_what_it_should(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 100 * SEAL_CONTENT;
    char *text = make_text(len, 1), *back = mem_alloc(len);
    struct disk_file *file = open_file(fixture, LOG, true);
    begin_log(fixture, file, text);
    assert_int_equal(write_at(fixture, file, LOG_FILE_BLOCK, text, len), 0);
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < 40; round++) {
        struct disk_span spans[50];
        size_t at = 0, count = 1 + prng_below(&prng, 50);
        for (size_t i = 0; i < count; i++) {
            uint64_t size = 1 + prng_below(&prng, i % 7 ? 300 : 9000), offset = prng_below(&prng, len - size);
            if (i && i % 3) // neighbours
                offset = spans[i - 1].offset + spans[i - 1].len < len - size ? spans[i - 1].offset + spans[i - 1].len
                                                                             : offset;
            spans[i] = (struct disk_span){.ptr = back + at, .len = size, .offset = offset};
            at += size;
        }
        struct disk_request each = {.op = DISK_READ_EACH, .file = file, .spans = spans, .span_count = count};
        fixture->later = round % 2;
        for (size_t i = 0; i < count; i++)
            spans[i].offset += LOG_FILE_BLOCK;
        assert_int_equal(perform(fixture, each).result, 0);
        for (size_t i = 0; i < count; i++)
            assert_memory_equal(spans[i].ptr, text + spans[i].offset - LOG_FILE_BLOCK, spans[i].len);
    }
    close_file(fixture, file);
    mem_free(text);
    mem_free(back);
}

// One flipped bit costs its block and nothing else; in the clear block nothing at all.
static void damage_stays_in_its_block(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 60000;
    char *text = make_text(len, 2), *back = mem_alloc(len);
    write_segment(fixture, text, len, 10000);
    size_t bytes = sim_disk_content(&fixture->below, SEGMENT).len;
    for (size_t at = 0; at < bytes; at += 1237) {
        sim_disk_flip(&fixture->below, SEGMENT, at, (unsigned)at % 8);
        struct disk_file *file = open_file(fixture, SEGMENT, false);
        assert_int_equal(read_at(fixture, file, 0, back, len), len);
        for (size_t i = 0; i < len; i++) {
            bool hit = at >= SEAL_BLOCK && i / SEAL_CONTENT == at / SEAL_BLOCK - 1;
            assert_int_equal(back[i], hit ? 0 : text[i]);
        }
        assert_int_equal(vault_damaged(fixture->vault), at < SEAL_BLOCK ? at / 1237 + 1 : 4);
        close_file(fixture, file);
        sim_disk_flip(&fixture->below, SEGMENT, at, (unsigned)at % 8);
    }
    mem_free(text);
    mem_free(back);
}

// Another key opens nothing, the old one beside a new one does, and a vault without a cipher writes clear files.
static void keys_and_ciphers_change(void **state)
{
    struct fixture *fixture = *state;
    size_t len = 10000;
    char *text = make_text(len, 3), *back = mem_alloc_zero(len), *zeros = mem_alloc_zero(len);
    write_segment(fixture, text, len, len);
    use_keys(fixture, sim_crypto_encryption(CRYPTO_AES_256_GCM, "other", ""));
    assert_int_equal(vault_check_files(fixture->vault, &fixture->below.disk, NULL), ERR_KEY);
    struct disk_file *file = open_file(fixture, SEGMENT, false);
    assert_int_equal(read_at(fixture, file, 0, back, len), len);
    assert_memory_equal(back, zeros, len);
    close_file(fixture, file);
    assert_int_equal(vault_check_files(NULL, &fixture->below.disk, NULL), ERR_KEY);
    use_keys(fixture, sim_crypto_encryption(CRYPTO_CHACHA20_POLY1305, "other", "secret"));
    assert_int_equal(vault_check_files(fixture->vault, &fixture->below.disk, NULL), 0);
    expect_text(fixture, text, len);
    sim_disk_remove(&fixture->below, SEGMENT);
    write_segment(fixture, text, len, len); // with the new one
    use_keys(fixture, sim_crypto_encryption(0, "other", ""));
    expect_text(fixture, text, len);
    sim_disk_remove(&fixture->below, SEGMENT);
    write_segment(fixture, text, len, len);
    assert_non_null(memmem(sim_disk_content(&fixture->below, SEGMENT).ptr, len, "plain", 5));
    assert_int_equal(vault_check_files(NULL, &fixture->below.disk, NULL), 0);
    mem_free(text);
    mem_free(back);
    mem_free(zeros);
}

// A place is written again when a batch was refused: another nonce. A new header is a new life: what was there before is gone.
static void a_log_file_lives_more_than_once(void **state)
{
    struct fixture *fixture = *state;
    struct disk_file *file = open_file(fixture, LOG, true);
    struct disk_request allocate = {.op = DISK_ALLOCATE, .file = file, .length = LOG_FILE_BLOCK + 10 * SEAL_CONTENT};
    assert_int_equal(perform(fixture, allocate).result, 0);
    assert_int_equal(sim_disk_content(&fixture->below, LOG).len, 11 * SEAL_BLOCK);
    assert_int_equal(vault_block(file), SEAL_CONTENT);
    char text[SEAL_CONTENT], back[SEAL_CONTENT], zeros[SEAL_CONTENT] = {0};
    uint64_t second = LOG_FILE_BLOCK + SEAL_CONTENT;
    for (unsigned life = 0; life < 3; life++) {
        fill(text, sizeof(text), life);
        begin_log(fixture, file, text);
        for (unsigned again = 0; again < 3; again++) {
            fill(text, sizeof(text), 10 * life + again);
            assert_int_equal(read_at(fixture, file, second, back, sizeof(back)), sizeof(back));
            if (again == 0)
                assert_memory_equal(back, zeros, sizeof(back)); // never written, or in another life
            assert_int_equal(write_at(fixture, file, second, text, sizeof(text)), 0);
            assert_int_equal(read_at(fixture, file, second, back, sizeof(back)), sizeof(back));
            assert_memory_equal(back, text, sizeof(back));
        }
    }
    close_file(fixture, file);
    use_keys(fixture, sim_crypto_encryption(0, "secret", ""));
    file = open_file(fixture, LOG, false);
    assert_int_equal(size_of(fixture, file), LOG_FILE_BLOCK + 10 * SEAL_CONTENT);
    assert_int_equal(read_at(fixture, file, second, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back, text, sizeof(back));
    char clear[LOG_FILE_BLOCK] = "now it is clear";
    begin_log(fixture, file, clear);
    assert_int_equal(vault_block(file), LOG_FILE_BLOCK);
    close_file(fixture, file);
    assert_memory_equal(sim_disk_content(&fixture->below, LOG).ptr + LOG_FILE_BLOCK, clear, 16);
}

// Other files are not the vault's business, and its errors are those of the disk below.
static void the_rest_passes_through(void **state)
{
    struct fixture *fixture = *state;
    struct disk_file *file = open_file(fixture, "wal/ballast", true);
    assert_int_equal(write_at(fixture, file, 3, "plain", 5), 0);
    close_file(fixture, file);
    assert_memory_equal(sim_disk_content(&fixture->below, "wal/ballast").ptr + 3, "plain", 5);
    assert_int_equal(perform(fixture, (struct disk_request){.op = DISK_OPEN, .path = SEGMENT}).result, ERR_NOT_FOUND);
    file = open_file(fixture, SEGMENT, true);
    sim_disk_fail(&fixture->below, 1, ERR_NO_SPACE);
    char text[5000];
    fill(text, sizeof(text), 1);
    assert_int_equal(write_at(fixture, file, 0, text, sizeof(text)), ERR_NO_SPACE);
    assert_int_equal(write_at(fixture, file, 0, text, sizeof(text)), 0); // the same again
    sim_disk_fail(&fixture->below, 1, ERR_IO);
    assert_int_equal(perform(fixture, (struct disk_request){.op = DISK_SYNC, .file = file}).result, ERR_IO);
    assert_int_equal(perform(fixture, (struct disk_request){.op = DISK_SYNC, .file = file}).result, 0);
    close_file(fixture, file);
    expect_text(fixture, text, sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gather_reads_what_it_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_stays_in_its_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_and_ciphers_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_file_lives_more_than_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_rest_passes_through, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
