// SPDX-License-Identifier: Apache-2.0
#include "os/file_disk.h"

#include <sys/mman.h>

#include "base/memory.h"
#include "base/must.h"
#include "os/file.h"

struct file_disk_work {
    uv_work_t work;               // first
    struct file_disk *disk;       // borrowed
    struct disk_request *request; // borrowed
    char *bounce;                 // borrowed from the disk; NULL: none
};

static void file_disk_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request);
static void file_disk_run(struct disk *disk, struct disk_request *request);
static char *file_disk_lend(struct file_disk *disk, const struct disk_request *request);
static char *file_disk_lend_window(struct file_disk *disk);
static void file_disk_work(uv_work_t *work);
static void file_disk_after_work(uv_work_t *work, int status);

static const struct disk_ops file_disk_ops = {
    .submit = file_disk_submit,
    .run = file_disk_run,
};

int file_disk_open(struct file_disk *disk, struct loop *loop, struct directory directory)
{
    disk->disk.ops = &file_disk_ops;
    disk->loop = loop;
    disk->directory = directory;
    disk->pool_pending = 0;
    disk->bounce_count = disk->bounces_made = disk->window_count = 0;
    disk->window_memory = NULL;
    int error = log_thread_start(&disk->log, loop, &disk->directory);
    if (error)
        directory_close(&disk->directory);
    return error;
}

void file_disk_close(struct file_disk *disk)
{
    must(disk->pool_pending == 0);
    log_thread_stop(&disk->log);
    while (disk->bounce_count > 0)
        mem_free(disk->bounces[--disk->bounce_count]);
    mem_free(disk->window_memory);
    directory_close(&disk->directory);
}

size_t file_disk_pending(const struct file_disk *disk)
{
    return disk->pool_pending + disk->log.pending;
}

static void file_disk_submit(struct disk *base, enum disk_lane lane, struct disk_request *request)
{
    struct file_disk *disk = container_of(base, struct file_disk, disk);
    if (lane == DISK_LOG) {
        log_thread_submit(&disk->log, request);
        return;
    }
    struct file_disk_work *work = mem_alloc(sizeof(*work));
    work->disk = disk;
    work->request = request;
    work->bounce = file_disk_lend(disk, request);
    request->implementation = work;
    disk->pool_pending++;
    must(uv_queue_work(&disk->loop->uv, &work->work, file_disk_work, file_disk_after_work) == 0);
}

static void file_disk_run(struct disk *base, struct disk_request *request)
{
    directory_execute(&container_of(base, struct file_disk, disk)->directory, request, NULL);
}

static char *file_disk_lend(struct file_disk *disk, const struct disk_request *request)
{
    if (request->op == DISK_READ)
        return (request->flags & DISK_FLAG_AROUND) ? file_disk_lend_window(disk) : NULL;
    bool wants = request->op == DISK_READ_EACH || (request->op == DISK_WRITE && (request->flags & DISK_FLAG_SOON));
    if (!wants)
        return NULL;
    if (disk->bounce_count == 0 && disk->bounces_made < FILE_DISK_BOUNCES) {
        disk->bounces[disk->bounce_count++] = mem_alloc_aligned(FILE_BLOCK, FILE_BOUNCE_SIZE);
        disk->bounces_made++;
    }
    return disk->bounce_count ? disk->bounces[--disk->bounce_count] : NULL;
}

// They lie in one page of memory if the kernel has large ones: what a device fills in one piece it fills twice as fast.
static char *file_disk_lend_window(struct file_disk *disk)
{
    if (!disk->window_memory) {
        size_t size = (size_t)FILE_WINDOW_SIZE * FILE_DISK_WINDOWS;
        disk->window_memory = mem_alloc_aligned(size, size);
        (void)madvise(disk->window_memory, size, MADV_HUGEPAGE);
        for (size_t i = 0; i < FILE_DISK_WINDOWS; i++)
            disk->windows[disk->window_count++] = disk->window_memory + i * FILE_WINDOW_SIZE;
    }
    return disk->window_count ? disk->windows[--disk->window_count] : NULL;
}

// In a thread of the pool.
static void file_disk_work(uv_work_t *uv)
{
    struct file_disk_work *work = container_of(uv, struct file_disk_work, work);
    directory_execute(&work->disk->directory, work->request, work->bounce);
}

static void file_disk_after_work(uv_work_t *uv, int status)
{
    must(status == 0);
    struct file_disk_work *work = container_of(uv, struct file_disk_work, work);
    struct file_disk *disk = work->disk;
    struct disk_request *request = work->request;
    if (work->bounce && request->op == DISK_READ)
        disk->windows[disk->window_count++] = work->bounce;
    else if (work->bounce)
        disk->bounces[disk->bounce_count++] = work->bounce;
    mem_free(work);
    loop_enter(disk->loop);
    disk->pool_pending--;
    request->done(request);
}
