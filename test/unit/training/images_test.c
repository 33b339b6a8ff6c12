// SPDX-License-Identifier: Apache-2.0
// Sets of images: what the file says is believed only as far as it is true.
#include "images.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/weir-images-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/train-images-idx3-ubyte.gz", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *bytes, unsigned count)
{
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, count), count);
    assert_int_equal(gzclose(file), Z_OK);
}

static void a_set_is_read(void **state)
{
    static const uint8_t bytes[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
    struct images images;
    struct complaint complaint;
    (void)state;
    write_file(bytes, sizeof(bytes));
    assert_int_equal(images_load(folder, IMAGES_TRAIN, &images, &complaint), 0);
    assert_true(images.count == 2 && images.rows == 1 && images.columns == 3);
    assert_memory_equal(images_at(&images, 1), bytes + 19, 3);
    images_free(&images);
}

static void what_is_no_set_is_refused(void **state)
{
    static const struct {
        uint8_t bytes[20];
        unsigned count;
        const char *why;
    } cases[] = {
        {{0, 0, 8}, 3, "too early"},
        {{0, 0, 8, 3, 0, 0, 0, 1}, 8, "too early"},
        {{0, 0, 8, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9}, 17, "no IDX"},
        {{1, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9}, 17, "no IDX"},
        {{0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9}, 17, "dimension 1 is 0"},
        {{0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1, 9}, 17, "dimension 1 is 4294967295"},
        {{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 255, 0, 0, 0, 0, 1, 9}, 17, "dimension 2"},
        {{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 16, 0, 0, 0, 16, 0, 9}, 17, "pixels"},
        {{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9}, 17, "too early"},
    };
    struct images images;
    struct complaint complaint;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(cases[i].bytes, cases[i].count);
        if (images_load(folder, IMAGES_TRAIN, &images, &complaint) != -1 || !strstr(complaint.text, cases[i].why))
            fail_msg("case %zu: %s", i, complaint.text);
    }
}

static void a_file_that_is_not_there_has_its_package_named(void **state)
{
    struct images images;
    struct complaint complaint;
    (void)state;
    assert_int_equal(images_load(folder, IMAGES_TEST, &images, &complaint), -1);
    assert_non_null(strstr(complaint.text, "No such file"));
    assert_non_null(strstr(complaint.text, "dataset-fashion-mnist"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_is_read),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_has_its_package_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
