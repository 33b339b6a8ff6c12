// SPDX-License-Identifier: Apache-2.0
// The lanes: the log's in order of submission, the pool's at all, `done` always within a turn and never inside submit.
#include "os_test.h"

#include "base/error.h"
#include "os/file_disk.h"

#include <errno.h>
#include <sys/stat.h>

#define COUNT 200

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static int sync_error; // errno of the next syncs; 0: they are done

int __wrap_fdatasync(int fd)
{
    errno = sync_error;
    return sync_error ? -1 : __real_fdatasync(fd);
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);

static int allocate_error; // errno of the next fallocate(), which takes half of the space before

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
    int result = __real_fallocate64(fd, mode, offset, allocate_error ? len / 2 : len);
    errno = allocate_error ? allocate_error : errno;
    return allocate_error ? -1 : result;
}

struct rig;

struct job {
    struct disk_request request;
    struct disk_span span;
    struct rig *rig;
    unsigned number;
};

struct rig {
    struct os_test_loop test;
    struct file_disk disk;
    struct file_disk *open; // the one to close at the end
    char path[64];
    struct job jobs[COUNT];
    unsigned done;
    bool in_order;
    bool submitting;
};

static void job_done(struct disk_request *request)
{
    struct job *job = container_of(request, struct job, request);
    assert_false(job->rig->submitting);
    if (job->number != job->rig->done)
        job->rig->in_order = false;
    job->rig->done++;
}

static int rig_setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    snprintf(rig->path, sizeof(rig->path), "%s", os_test_directory());
    struct directory directory;
    assert_int_equal(directory_open(&directory, rig->path, false), 0);
    assert_int_equal(file_disk_open(&rig->disk, &rig->test.loop, directory), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        rig->jobs[i].rig = rig;
        rig->jobs[i].number = i;
        rig->jobs[i].request.done = job_done;
    }
    rig->open = &rig->disk;
    rig->in_order = true;
    *state = rig;
    return 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;
    file_disk_close(rig->open);
    loop_deinit(&rig->test.loop);
    os_test_remove(rig->path);
    mem_free(rig);
    return 0;
}

static void submit(struct rig *rig, enum disk_lane lane, struct disk_request *request)
{
    rig->submitting = true;
    disk_submit(&rig->open->disk, lane, request);
    rig->submitting = false;
}

static struct disk_file *open_file(struct rig *rig)
{
    struct disk_request request = {.op = DISK_OPEN, .path = "f", .flags = DISK_FLAG_CREATE};
    assert_int_equal(disk_run(&rig->open->disk, &request), 0);
    return request.file;
}

static void prepare_writes(struct rig *rig, struct disk_file *file)
{
    for (unsigned i = 0; i < COUNT; i++) {
        struct job *job = &rig->jobs[i];
        job->span = (struct disk_span){.ptr = (char *)&job->number, .len = sizeof(job->number)};
        job->request.op = DISK_WRITE;
        job->request.file = file;
        job->request.offset = i * sizeof(job->number);
        job->request.spans = &job->span;
        job->request.span_count = 1;
    }
}

static void expect_written(struct rig *rig, struct disk_file *file)
{
    unsigned got[COUNT];
    struct disk_span span = {.ptr = (char *)got, .len = sizeof(got)};
    struct disk_request read = {.op = DISK_READ, .file = file, .spans = &span, .span_count = 1};
    assert_int_equal(disk_run(&rig->open->disk, &read), 0);
    assert_int_equal(read.transferred, sizeof(got));
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(got[i], i);
    assert_int_equal(disk_run(&rig->open->disk, &(struct disk_request){.op = DISK_CLOSE, .file = file}), 0);
}

static bool all_done(void *context)
{
    return ((struct rig *)context)->done == COUNT;
}

static void the_log_lane_keeps_the_order(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_file(rig);
    prepare_writes(rig, file);
    for (unsigned i = 0; i < COUNT; i++)
        submit(rig, DISK_LOG, &rig->jobs[i].request);
    assert_int_equal(file_disk_pending(&rig->disk), COUNT);
    os_test_run_until(&rig->test, all_done, rig);
    assert_true(rig->in_order);
    assert_int_equal(file_disk_pending(&rig->disk), 0);
    expect_written(rig, file);
}

static void the_pool_lane_does_them_all(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_file(rig);
    prepare_writes(rig, file);
    for (unsigned i = 0; i < COUNT; i++)
        submit(rig, DISK_POOL, &rig->jobs[i].request);
    assert_int_equal(file_disk_pending(&rig->disk), COUNT);
    os_test_run_until(&rig->test, all_done, rig);
    assert_int_equal(file_disk_pending(&rig->disk), 0);
    expect_written(rig, file);
}

// A write without space can be given back; after a sync that says so, what the file holds is unknown.
static void a_failed_sync_is_an_error_of_the_device(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_file(rig);
    char bytes[16] = "0123456789abcde";
    struct disk_span span = {.ptr = bytes, .len = sizeof(bytes)};
    struct disk_request write = {
        .op = DISK_WRITE, .flags = DISK_FLAG_SYNC, .file = file, .spans = &span, .span_count = 1};
    struct disk_request sync = {.op = DISK_SYNC, .file = file};
    int errors[] = {ENOSPC, EDQUOT, EIO, 0};
    for (size_t i = 0; i < 4; i++) {
        sync_error = errors[i];
        write.transferred = 0;
        assert_int_equal(disk_run(&rig->open->disk, &write), errors[i] ? ERR_IO : 0);
        assert_int_equal(disk_run(&rig->open->disk, &sync), errors[i] ? ERR_IO : 0);
    }
    assert_int_equal(disk_run(&rig->open->disk, &(struct disk_request){.op = DISK_CLOSE, .file = file}), 0);
}

static blkcnt_t blocks_of(struct rig *rig)
{
    struct stat status;
    char path[80];
    snprintf(path, sizeof(path), "%s/f", rig->path);
    assert_int_equal(stat(path, &status), 0);
    return status.st_blocks;
}

static void an_allocation_that_fails_gives_back_what_it_took(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_file(rig);
    struct disk_request allocate = {.op = DISK_ALLOCATE, .file = file, .length = 64 * 1024};
    assert_int_equal(disk_run(&rig->open->disk, &allocate), 0);
    blkcnt_t before = blocks_of(rig);
    allocate.length = 1024 * 1024;
    allocate_error = ENOSPC;
    assert_int_equal(disk_run(&rig->open->disk, &allocate), ERR_NO_SPACE);
    assert_int_equal(blocks_of(rig), before);
    // A file system that cannot allocate gets zeros.
    static const int refusals[] = {EOPNOTSUPP, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        allocate_error = refusals[i];
        allocate.length += 64 * 1024;
        assert_int_equal(disk_run(&rig->open->disk, &allocate), 0);
    }
    allocate_error = 0;
    assert_int_equal(disk_run(&rig->open->disk, &(struct disk_request){.op = DISK_CLOSE, .file = file}), 0);
}

static void closing_executes_what_was_submitted(void **state)
{
    struct rig *rig = *state;
    struct disk_file *file = open_file(rig);
    prepare_writes(rig, file);
    for (unsigned i = 0; i < COUNT; i++)
        submit(rig, DISK_LOG, &rig->jobs[i].request);
    file_disk_close(&rig->disk);
    assert_int_equal(rig->done, COUNT);
    struct directory directory;
    assert_int_equal(directory_open(&directory, rig->path, false), 0);
    static struct file_disk second;
    assert_int_equal(file_disk_open(&second, &rig->test.loop, directory), 0);
    rig->open = &second;
    expect_written(rig, file);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(the_log_lane_keeps_the_order),
        T(the_pool_lane_does_them_all),
        T(a_failed_sync_is_an_error_of_the_device),
        T(an_allocation_that_fails_gives_back_what_it_took),
        T(closing_executes_what_was_submitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
