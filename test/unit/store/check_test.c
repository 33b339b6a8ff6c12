// SPDX-License-Identifier: Apache-2.0
// What `weir check` says of good, damaged and foreign directories; and that it changes nothing.
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/error.h"
#include "store_model.h"

struct lines {
    char text[64 * 1024];
    size_t used;
};

static void collect(void *owner, const char *line)
{
    struct lines *lines = owner;
    lines->used += (size_t)snprintf(lines->text + lines->used, sizeof(lines->text) - lines->used, "%s\n", line);
}

static int check(struct sim_disk *disk, struct lines *lines)
{
    *lines = (struct lines){0};
    size_t changes = disk->change_count, handles = disk->open_handles;
    uint64_t syncs = disk->syncs;
    int problems = store_check(&disk->disk, NULL, collect, lines);
    assert_int_equal(disk->change_count, changes);
    assert_int_equal(disk->open_handles, handles);
    assert_int_equal(disk->syncs, syncs);
    return problems;
}

static void fill(struct sim_disk *disk)
{
    struct model model;
    model_init(&model, disk, 1);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(model_open(&model), 0);
        while (model.appended < (life ? 500u : 250u)) {
            for (int n = 0; n < 5; n++)
                model_append(&model, 500);
            model_turn(&model);
            sim_disk_drain(disk);
        }
        model_stop(&model);
    }
    assert_string_equal(model.complaint, "");
    assert_int_equal(model.state_last, 500);
}

static void a_good_directory_is_described(void **state)
{
    static struct lines lines;
    struct sim_disk disk;
    sim_disk_init(&disk, 1);
    fill(&disk);
    assert_int_equal(check(&disk, &lines), 0);
    assert_non_null(strstr(lines.text, "cluster id \"model\""));
    assert_non_null(strstr(lines.text, "(message): 500\n"));
    assert_non_null(strstr(lines.text, "stream 7: 500 messages in the log, sequences 1 to 500\n"));
    assert_non_null(strstr(lines.text, "spare\n"));
    assert_non_null(strstr(lines.text, "no problems\n"));
    sim_disk_deinit(&disk);
}

static void damage_is_named_with_file_and_offset(void **state)
{
    static struct lines lines;
    struct sim_disk disk;
    sim_disk_init(&disk, 1);
    fill(&disk);
    sim_disk_flip(&disk, "wal/0000000000000001.wal", 4096 + 64 + 64 + 30, 3);
    assert_int_equal(check(&disk, &lines), 1);
    assert_non_null(strstr(lines.text, "DAMAGE wal/0000000000000001.wal at 4160: entry 1 of shard 1 is damaged\n"));
    sim_disk_flip(&disk, "wal/0000000000000001.wal", 100, 3);
    assert_true(check(&disk, &lines) > 1);
    assert_non_null(strstr(lines.text, "header is damaged"));
    sim_disk_deinit(&disk);
}

static void others_directories_are_refused(void **state)
{
    static struct lines lines;
    struct sim_disk disk;
    sim_disk_init(&disk, 1);
    assert_int_equal(check(&disk, &lines), ERR_NOT_OURS);
    sim_disk_put(&disk, "server.dat", BYTES("x"));
    assert_int_equal(check(&disk, &lines), ERR_NOT_OURS);
    assert_non_null(strstr(lines.text, "server.dat"));
    sim_disk_deinit(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_directory_is_described),
        cmocka_unit_test(damage_is_named_with_file_and_offset),
        cmocka_unit_test(others_directories_are_refused),
    };
    return cmocka_run_group_tests_name("store/check", tests, NULL, NULL);
}
