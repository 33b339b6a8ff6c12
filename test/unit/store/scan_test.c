// SPDX-License-Identifier: Apache-2.0
// Reading one log file: batches, entries, bad areas, and where reading goes on after them.
#include "store/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "sim_disk.h"

enum { FILE_ID = 5, SIZE = 64 * 1024 };

struct image {
    char bytes[SIZE];
    uint64_t position;    // end of what is written
    uint64_t entries[64]; // positions
    uint64_t batches[64];
    size_t entry_count, batch_count;
};

// A batch of `count` entries with records of `size` bytes.
static void add_batch(struct image *image, size_t count, size_t size)
{
    uint64_t start = image->position, at = start + BATCH_HEADER_SIZE;
    for (size_t i = 0; i < count; i++) {
        char *records = image->bytes + at + ENTRY_HEADER_SIZE;
        memset(records, (int)('a' + image->entry_count % 26), size);
        struct entry_header header = {
            .length = (uint32_t)size,
            .shard = 1,
            .count = 1,
            .index = image->entry_count + 1,
            .hash = entry_hash(bytes_make(records, size)),
        };
        entry_encode(image->bytes + at, &header);
        entry_place(image->bytes + at, FILE_ID, at);
        image->entries[image->entry_count++] = at;
        at += ENTRY_HEADER_SIZE + size;
    }
    struct batch_header batch = {
        .length = (uint32_t)(at - start), .count = (uint32_t)count, .file = FILE_ID, .position = start};
    batch_encode(image->bytes + start, &batch);
    image->batches[image->batch_count++] = start;
    image->position = batch_padded(at, BATCH_ALIGN);
}

// B: batch, E: entry, e: entry that is not intact, X: bad area, .: end.
static void expect(struct image *image, const char *expected)
{
    struct sim_disk disk;
    sim_disk_init(&disk, 1);
    sim_disk_put(&disk, "file", bytes_make(image->bytes, SIZE));
    struct disk_request open = {.op = DISK_OPEN, .path = "file"};
    assert_int_equal(disk_run(&disk.disk, &open), 0);
    struct scan scan;
    struct scan_item item = {.kind = SCAN_BAD};
    char found[64] = "";
    scan_init(&scan, &disk.disk, open.file, FILE_ID, BATCH_ALIGN, SIZE);
    for (size_t n = 0; n < 63 && item.kind != SCAN_END; n++) {
        assert_int_equal(scan_next(&scan, &item), 0);
        found[n] = item.kind == SCAN_BATCH ? 'B'
                   : item.kind == SCAN_BAD ? 'X'
                   : item.kind == SCAN_END ? '.'
                   : item.intact           ? 'E'
                                           : 'e';
    }
    assert_string_equal(found, expected);
    scan_deinit(&scan);
    struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
    disk_run(&disk.disk, &close);
    sim_disk_deinit(&disk);
}

static struct image make(void)
{
    struct image image = {.position = 4096};
    add_batch(&image, 2, 104);
    add_batch(&image, 1, 9000);
    add_batch(&image, 3, 3968); // the third begins at a block
    return image;
}

static void everything_in_order(void **state)
{
    struct image image = make();
    expect(&image, "BEEBEBEEE.");
}

static void an_empty_file(void **state)
{
    struct image image = {.position = 4096};
    expect(&image, ".");
    memset(image.bytes, 'W', sizeof(image.bytes));
    expect(&image, ".");
}

static void a_bad_batch_header_costs_no_entries(void **state)
{
    struct image image = make();
    image.bytes[image.batches[1] + 20] ^= 1;
    expect(&image, "BEEXEBEEE.");
    image = make();
    image.bytes[image.batches[0] + 60] ^= 1;
    expect(&image, "XEEBEBEEE.");
    image.bytes[image.batches[2] + 1] ^= 1;
    expect(&image, "XEEBEXEEE.");
}

static void a_bad_entry_header_costs_that_entry(void **state)
{
    struct image image = make();
    image.bytes[image.entries[0] + 5] ^= 1;
    expect(&image, "BXEBEBEEE.");
    image = make();
    image.bytes[image.entries[4] + 50] ^= 1;
    expect(&image, "BEEBEBEXE.");
    image = make();
    image.bytes[image.entries[5] + 50] ^= 1;
    expect(&image, "BEEBEBEE.");
}

static void bad_records_are_told(void **state)
{
    struct image image = make();
    image.bytes[image.entries[2] + 5000] ^= 1;
    expect(&image, "BEEBeBEEE.");
}

static void what_was_elsewhere_does_not_count(void **state)
{
    struct image image = make();
    memcpy(image.bytes + 40960, image.bytes + 4096, 4096);
    expect(&image, "BEEBEBEEE.");
}

static void lengths_that_do_not_fit_are_bad(void **state)
{
    struct image image = make();
    put_u32(image.bytes + image.entries[5] + 4, 0x7ffffff8);
    entry_place(image.bytes + image.entries[5], FILE_ID, image.entries[5]);
    expect(&image, "BEEBEBEE.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_in_order),
        cmocka_unit_test(an_empty_file),
        cmocka_unit_test(a_bad_batch_header_costs_no_entries),
        cmocka_unit_test(a_bad_entry_header_costs_that_entry),
        cmocka_unit_test(bad_records_are_told),
        cmocka_unit_test(what_was_elsewhere_does_not_count),
        cmocka_unit_test(lengths_that_do_not_fit_are_bad),
    };
    return cmocka_run_group_tests_name("store/scan", tests, NULL, NULL);
}
