// SPDX-License-Identifier: Apache-2.0
// Disk requests on a real directory, each operation and its errors.
#include "os_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "os/directory.h"
#include "os/file.h"

struct rig {
    struct directory directory;
    char path[64];
    char *bounce; // NULL until a test lends one
};

static int rig_setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    snprintf(rig->path, sizeof(rig->path), "%s", os_test_directory());
    assert_int_equal(directory_open(&rig->directory, rig->path, false), 0);
    *state = rig;
    return 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    directory_close(&rig->directory);
    os_test_remove(rig->path);
    mem_free(rig->bounce);
    mem_free(rig);
    return 0;
}

static int run(struct rig *rig, struct disk_request *request)
{
    directory_execute(&rig->directory, request, rig->bounce);
    return request->result;
}

static struct disk_file *open_new(struct rig *rig, const char *path)
{
    struct disk_request request = {.op = DISK_OPEN, .path = path, .flags = DISK_FLAG_CREATE};
    assert_int_equal(run(rig, &request), 0);
    return request.file;
}

static void close_file(struct rig *rig, struct disk_file *file)
{
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_CLOSE, .file = file}), 0);
}

static uint64_t size_of(struct rig *rig, struct disk_file *file)
{
    struct disk_request request = {.op = DISK_SIZE, .file = file};
    assert_int_equal(run(rig, &request), 0);
    return request.transferred;
}

static void open_creates_once_and_finds_only_what_is_there(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_new(rig, "a");
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_OPEN, .path = "a", .flags = DISK_FLAG_CREATE}),
                     ERR_EXISTS);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_OPEN, .path = "b"}), ERR_NOT_FOUND);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_UNLINK, .path = "b"}), ERR_NOT_FOUND);
    close_file(rig, file);
}

static void spans_are_written_and_read_front_to_back(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_new(rig, "a");
    static char text[600];
    static struct disk_span spans[300];
    for (size_t i = 0; i < 300; i++) {
        text[2 * i] = (char)('a' + i % 26);
        text[2 * i + 1] = (char)('0' + i % 10);
        spans[i] = (struct disk_span){.ptr = text + 2 * i, .len = 2};
    }
    struct disk_request write = {
        .op = DISK_WRITE, .file = file, .offset = 100, .spans = spans, .span_count = 300, .flags = DISK_FLAG_SYNC};
    assert_int_equal(run(rig, &write), 0);
    assert_int_equal(write.transferred, 600);
    assert_true(write.duration_ns > 0);
    static char got[500];
    struct disk_span parts[] = {{.ptr = got, .len = 1}, {.ptr = got + 1, .len = 0}, {.ptr = got + 1, .len = 499}};
    struct disk_request read = {.op = DISK_READ, .file = file, .offset = 101, .spans = parts, .span_count = 3};
    assert_int_equal(run(rig, &read), 0);
    assert_int_equal(read.transferred, 500);
    assert_memory_equal(got, text + 1, 500);
    read.offset = 690; // ten bytes before the end
    assert_int_equal(run(rig, &read), 0);
    assert_int_equal(read.transferred, 10);
    struct disk_span each[] = {{.ptr = got, .len = 2, .offset = 104}, {.ptr = got + 2, .len = 2, .offset = 100}};
    struct disk_request gather = {.op = DISK_READ_EACH, .file = file, .spans = each, .span_count = 2};
    assert_int_equal(run(rig, &gather), 0);
    assert_memory_equal(got, "c2a0", 4);
    each[1].offset = 699;
    assert_int_equal(run(rig, &gather), ERR_IO);
    close_file(rig, file);
}

// Through the page cache and around it, with spans that fit nothing: the file is the same.
static void aligned_synced_writes_may_go_around_the_cache(void **state)
{
    struct rig *rig = *state;
    rig->bounce = mem_alloc_aligned(FILE_BLOCK, FILE_BOUNCE_SIZE);
    size_t size = 3 * FILE_BOUNCE_SIZE + FILE_BLOCK;
    char *text = mem_alloc(size);
    char *got = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 31 + i / 4096);
    struct disk_span spans[] = {{.ptr = text, .len = 1},
                                {.ptr = text + 1, .len = 0},
                                {.ptr = text + 1, .len = FILE_BOUNCE_SIZE + 7},
                                {.ptr = text + FILE_BOUNCE_SIZE + 8, .len = size - FILE_BOUNCE_SIZE - 8}};
    struct disk_file *file = open_new(rig, "a");
    static const uint64_t offsets[] = {FILE_BLOCK, 100, 8 * FILE_BLOCK};
    for (size_t i = 0; i < 3; i++) {
        struct disk_request write = {.op = DISK_WRITE,
                                     .file = file,
                                     .offset = offsets[i],
                                     .spans = spans,
                                     .span_count = 4,
                                     .flags = DISK_FLAG_SYNC};
        assert_int_equal(run(rig, &write), 0);
        assert_int_equal(write.transferred, size);
        struct disk_span span = {.ptr = got, .len = size};
        struct disk_request read = {
            .op = DISK_READ, .file = file, .offset = offsets[i], .spans = &span, .span_count = 1};
        assert_int_equal(run(rig, &read), 0);
        assert_int_equal(read.transferred, size);
        assert_memory_equal(got, text, size);
    }
    assert_int_equal(size_of(rig, file), size + offsets[2]);
    mem_free(got);
    mem_free(text);
    close_file(rig, file);
}

// One behind the other, of lengths that leave parts of blocks: what goes around the cache and what does not fit together.
static void writes_that_are_synced_soon_keep_every_byte(void **state)
{
    struct rig *rig = *state;
    rig->bounce = mem_alloc_aligned(FILE_BLOCK, FILE_BOUNCE_SIZE);
    size_t lengths[] = {FILE_BOUNCE_SIZE, 2 * FILE_BLOCK, FILE_BOUNCE_SIZE + FILE_BLOCK + 5, 100, 2 * FILE_BLOCK, 1};
    size_t size = 0;
    for (size_t i = 0; i < 6; i++)
        size += lengths[i];
    char *text = mem_alloc(size);
    char *got = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 31 + i / 4096);
    struct disk_file *file = open_new(rig, "a");
    for (size_t i = 0, at = 0; i < 6; at += lengths[i++]) {
        struct disk_span span = {.ptr = text + at, .len = lengths[i]};
        struct disk_request write = {
            .op = DISK_WRITE, .file = file, .offset = at, .spans = &span, .span_count = 1, .flags = DISK_FLAG_SOON};
        assert_int_equal(run(rig, &write), 0);
        assert_int_equal(write.transferred, lengths[i]);
    }
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_SYNC, .file = file}), 0);
    assert_int_equal(size_of(rig, file), size);
    struct disk_span span = {.ptr = got, .len = size};
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_READ, .file = file, .spans = &span, .span_count = 1}),
                     0);
    assert_memory_equal(got, text, size);
    mem_free(got);
    mem_free(text);
    close_file(rig, file);
}

// Close together, far apart, backwards, across windows, up to the last byte: each span has its own bytes.
static void gathers_may_go_around_the_cache(void **state)
{
    struct rig *rig = *state;
    rig->bounce = mem_alloc_aligned(FILE_BLOCK, FILE_BOUNCE_SIZE);
    size_t size = 3 * FILE_BOUNCE_SIZE + 100;
    char *text = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 31 + i / 4096);
    struct disk_file *file = open_new(rig, "a");
    struct disk_span all = {.ptr = text, .len = size};
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_WRITE, .file = file, .spans = &all, .span_count = 1}),
                     0);
    static const struct {
        size_t count;
        uint64_t offsets[6];
        size_t lens[6];
    } cases[] = {
        {6, {4100, 7000, 9000, 14000, 17000, 20000}, {100, 1, 200, 96, 30, 3000}}, // read through, out of the cache
        {4, {777532, 780532, 783532, 786522}, {10, 10, 10, 10}},
        {5, {10, 300, 5000, 9000, 250000}, {290, 4700, 4000, 240000, 262144}},
        {3, {100, 200000, 700000}, {10, 10, 10}},
        {3, {600000, 5000, 5000}, {9000, 9000, 9000}},
        {2, {786432 - 4096, 786432}, {4096, 100}},
        {1, {300000}, {300000}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct disk_span spans[6];
        uint64_t sum = 0;
        for (size_t j = 0; j < cases[i].count; j++) {
            spans[j] = (struct disk_span){mem_alloc(cases[i].lens[j]), cases[i].lens[j], cases[i].offsets[j]};
            sum += cases[i].lens[j];
        }
        struct disk_request gather = {.op = DISK_READ_EACH, .file = file, .spans = spans, .span_count = cases[i].count};
        assert_int_equal(run(rig, &gather), 0);
        assert_int_equal(gather.transferred, sum);
        for (size_t j = 0; j < cases[i].count; j++) {
            assert_memory_equal(spans[j].ptr, text + spans[j].offset, spans[j].len);
            mem_free(spans[j].ptr);
        }
    }
    struct disk_span beyond = {.ptr = text, .len = 4097, .offset = size - 4096};
    struct disk_request gather = {.op = DISK_READ_EACH, .file = file, .spans = &beyond, .span_count = 1};
    assert_int_equal(run(rig, &gather), ERR_IO);
    mem_free(text);
    close_file(rig, file);
}

// From anywhere to anywhere, into spans of any length, across windows, up to the end of the file and beyond.
static void reads_may_go_around_the_cache(void **state)
{
    struct rig *rig = *state;
    rig->bounce = mem_alloc_aligned(FILE_BLOCK, FILE_WINDOW_SIZE);
    size_t size = 2 * FILE_WINDOW_SIZE + 4321;
    char *text = mem_alloc(size), *got = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(i * 31 + i / 4096);
    struct disk_file *file = open_new(rig, "a");
    struct disk_span all = {.ptr = text, .len = size};
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_WRITE, .file = file, .spans = &all, .span_count = 1}),
                     0);
    close_file(rig, file);
    struct disk_request open = {.op = DISK_OPEN, .path = "a", .flags = DISK_FLAG_READ_ONLY};
    assert_int_equal(run(rig, &open), 0);
    static const struct {
        uint64_t offset;
        size_t first, second;
    } cases[] = {{0, 4096, 4096},
                 {1, 1, 1},
                 {4095, 5000, 300000},
                 {8192, FILE_WINDOW_SIZE, FILE_WINDOW_SIZE - 8192},
                 {100, 2 * FILE_WINDOW_SIZE, 100},
                 {2 * FILE_WINDOW_SIZE, 4000, 4000},
                 {3 * FILE_WINDOW_SIZE, 10, 10}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = cases[i].first + cases[i].second, left = cases[i].offset < size ? size - cases[i].offset : 0;
        memset(got, 0x55, size);
        struct disk_span spans[] = {{.ptr = got, .len = cases[i].first},
                                    {.ptr = got + cases[i].first, .len = cases[i].second}};
        struct disk_request read = {.op = DISK_READ,
                                    .flags = DISK_FLAG_AROUND,
                                    .file = open.file,
                                    .offset = cases[i].offset,
                                    .spans = spans,
                                    .span_count = 2};
        assert_int_equal(run(rig, &read), 0);
        assert_int_equal(read.transferred, len < left ? len : left);
        assert_memory_equal(got, text + (left ? cases[i].offset : 0), read.transferred);
        assert_true(read.transferred == size || got[read.transferred] == 0x55);
    }
    mem_free(got);
    mem_free(text);
    close_file(rig, open.file);
}

static void allocate_makes_zeros_and_keeps_what_is_there(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_new(rig, "a");
    struct disk_span span = {.ptr = (char[]){"keep"}, .len = 4};
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_WRITE, .file = file, .spans = &span, .span_count = 1}),
                     0);
    struct disk_request allocate = {.op = DISK_ALLOCATE, .file = file, .length = FILE_ALLOCATE_SLICE * 2 + 5};
    assert_int_equal(run(rig, &allocate), 0);
    assert_int_equal(size_of(rig, file), FILE_ALLOCATE_SLICE * 2 + 5);
    struct stat status;
    assert_int_equal(fstatat(rig->directory.fd, "a", &status, 0), 0);
    assert_true((uint64_t)status.st_blocks * 512 >= FILE_ALLOCATE_SLICE * 2);
    char got[8];
    struct disk_span back = {.ptr = got, .len = 8};
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_READ, .file = file, .spans = &back, .span_count = 1}),
                     0);
    assert_memory_equal(got, "keep\0\0\0\0", 8);
    allocate.length = 10;
    assert_int_equal(run(rig, &allocate), 0);
    assert_int_equal(size_of(rig, file), FILE_ALLOCATE_SLICE * 2 + 5);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_TRUNCATE, .file = file, .length = 3}), 0);
    assert_int_equal(size_of(rig, file), 3);
    close_file(rig, file);
}

// /dev/full and a file-size limit are the two failures that need no privileges.
static void a_failure_is_reported_once_and_leaves_the_size(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(file_error(ENOSPC), ERR_NO_SPACE);
    assert_int_equal(file_error(EDQUOT), ERR_NO_SPACE);
    assert_int_equal(file_error(EIO), ERR_IO);
    assert_int_equal(file_error(EROFS), ERR_PERMISSION);
    struct disk_file *full;
    assert_int_equal(file_open(AT_FDCWD, "/dev/full", 0, &full), 0);
    struct disk_span span = {.ptr = (char[]){"x"}, .len = 1};
    struct disk_request write = {.op = DISK_WRITE, .file = full, .spans = &span, .span_count = 1};
    assert_int_equal(run(rig, &write), ERR_NO_SPACE);
    assert_int_equal(write.transferred, 0);
    close_file(rig, full);

    struct disk_file *file = open_new(rig, "a");
    struct rlimit before, low;
    getrlimit(RLIMIT_FSIZE, &before);
    low = (struct rlimit){.rlim_cur = FILE_ALLOCATE_SLICE, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &low);
    assert_int_equal(
        run(rig, &(struct disk_request){.op = DISK_ALLOCATE, .file = file, .length = 3 * FILE_ALLOCATE_SLICE}), ERR_IO);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(size_of(rig, file), 0);
    close_file(rig, file);
}

static void names_are_listed_in_order(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_MKDIR, .path = "wal"}), 0);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_MKDIR, .path = "wal"}), 0);
    struct disk_request list = {.op = DISK_LIST, .path = "wal"};
    assert_int_equal(run(rig, &list), 0);
    assert_int_equal(list.names.count, 0);
    assert_null(list.names.names);
    close_file(rig, open_new(rig, "wal/10"));
    close_file(rig, open_new(rig, "wal/09"));
    close_file(rig, open_new(rig, "wal/1"));
    assert_int_equal(run(rig, &list), 0);
    assert_int_equal(list.names.count, 3);
    assert_memory_equal(list.names.names,
                        "09\0"
                        "1\0"
                        "10",
                        8);
    mem_free(list.names.names);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_RENAME, .path = "wal/09", .path2 = "wal/10"}), 0);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_UNLINK, .path = "wal/1"}), 0);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_SYNC_DIR, .path = "wal"}), 0);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_SYNC_DIR, .path = "."}), 0);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_SYNC_DIR, .path = "nowhere"}), ERR_NOT_FOUND);
    assert_int_equal(run(rig, &list), 0);
    assert_int_equal(list.names.count, 1);
    mem_free(list.names.names);
    list.path = "nowhere";
    assert_int_equal(run(rig, &list), ERR_NOT_FOUND);
}

static void the_lock_is_held_by_one(void **state)
{
    struct rig *rig = *state;
    struct directory second;
    assert_int_equal(directory_open(&second, rig->path, false), 0);
    assert_int_equal(directory_lock(&second, false), 0);
    assert_int_equal(second.lock_fd, -1);
    assert_int_equal(run(rig, &(struct disk_request){.op = DISK_OPEN, .path = "LOCK"}), ERR_NOT_FOUND);
    assert_int_equal(directory_lock(&rig->directory, true), 0);
    assert_int_equal(directory_lock(&second, true), ERR_IN_USE);
    assert_int_equal(directory_lock(&second, false), ERR_IN_USE);
    close(rig->directory.lock_fd);
    rig->directory.lock_fd = -1;
    assert_int_equal(directory_lock(&second, true), 0);
    directory_close(&second);
}

static void missing_parents_are_made_on_demand(void **state)
{
    struct rig *rig = *state;
    char path[96];
    snprintf(path, sizeof(path), "%s/x/y/z", rig->path);
    struct directory deep;
    assert_int_equal(directory_open(&deep, path, false), ERR_NOT_FOUND);
    assert_int_equal(directory_open(&deep, path, true), 0);
    directory_close(&deep);
    close_file(rig, open_new(rig, "file"));
    snprintf(path, sizeof(path), "%s/file", rig->path);
    assert_int_equal(directory_open(&deep, path, true), ERR_INVALID);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(open_creates_once_and_finds_only_what_is_there),
        T(spans_are_written_and_read_front_to_back),
        T(aligned_synced_writes_may_go_around_the_cache),
        T(writes_that_are_synced_soon_keep_every_byte),
        T(gathers_may_go_around_the_cache),
        T(reads_may_go_around_the_cache),
        T(allocate_makes_zeros_and_keeps_what_is_there),
        T(a_failure_is_reported_once_and_leaves_the_size),
        T(names_are_listed_in_order),
        T(the_lock_is_held_by_one),
        T(missing_parents_are_made_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
