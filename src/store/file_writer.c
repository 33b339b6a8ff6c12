// SPDX-License-Identifier: Apache-2.0
// Immutable files in slices (see file_writer.h). Never touches a sealed file again.
#include "store/file_writer.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

enum { WRITER_RETRY_NS = 50 * 1000 * 1000 };

static void writer_submit(struct file_writer *writer, enum disk_op op, unsigned flags);
static void writer_done(struct disk_request *request);
static void writer_step(struct file_writer *writer, int result);
static void writer_written(struct file_writer *writer, int result);
static void writer_clean(struct file_writer *writer);

struct file_writer *file_writer_new(struct store_context *context, const char *folder, const char *name,
                                    void (*wake)(void *owner), void *owner)
{
    struct file_writer *writer = mem_alloc_zero(sizeof(*writer));
    writer->context = context;
    writer->owner = owner;
    writer->wake = wake;
    writer->folder = folder;
    buffer_init(&writer->out, SIZE_MAX / 2);
    snprintf(writer->name, sizeof(writer->name), "%s", name);
    int length = snprintf(writer->temporary, sizeof(writer->temporary), "%s.tmp", name);
    must(length > 0 && (size_t)length < sizeof(writer->temporary));
    writer->state = FILE_WRITER_OPENING;
    writer_submit(writer, DISK_OPEN, DISK_FLAG_CREATE);
    return writer;
}

void file_writer_free(struct file_writer *writer)
{
    if (!writer) {
        return;
    }
    if (writer->state == FILE_WRITER_SEALED) {
        file_writer_drop(writer);
        return;
    }
    bool idle = writer->state == FILE_WRITER_READY || writer->state == FILE_WRITER_BROKEN;
    writer->abandoned = true;
    if (idle) {
        writer_clean(writer);
    }
}

void file_writer_drop(struct file_writer *writer)
{
    if (!writer) {
        return;
    }
    if (writer->request.file) {
        struct disk_request close = {.op = DISK_CLOSE, .file = writer->request.file};
        disk_run(writer->context->disk, &close);
    }
    writer->context->claims -= writer->claims;
    buffer_deinit(&writer->out);
    mem_free(writer);
}

void file_writer_write(struct file_writer *writer)
{
    must(writer->state == FILE_WRITER_READY);
    size_t len = file_writer_pending(writer);
    if (len == 0 || writer->context->now.mono_ns < writer->retry_ns) {
        return;
    }
    writer->span.ptr = writer->out.ptr + writer->flushed;
    writer->span.len = len < STORE_SLICE ? len : STORE_SLICE;
    writer->state = FILE_WRITER_WRITING;
    writer_submit(writer, DISK_WRITE, DISK_FLAG_SOON);
}

void file_writer_seal(struct file_writer *writer)
{
    must(writer->state == FILE_WRITER_READY && file_writer_pending(writer) == 0);
    writer->state = FILE_WRITER_SEALING;
    writer_submit(writer, DISK_SYNC, 0);
}

static void writer_submit(struct file_writer *writer, enum disk_op op, unsigned flags)
{
    struct disk_file *file = writer->request.file;
    writer->request = (struct disk_request){
        .op = op,
        .flags = flags,
        .path = op == DISK_SYNC_DIR ? writer->folder : writer->temporary,
        .path2 = writer->name,
        .file = file,
        .offset = writer->offset,
        .spans = &writer->span,
        .span_count = 1,
        .done = writer_done,
    };
    writer->context->requests++;
    disk_submit(writer->context->disk, DISK_POOL, &writer->request);
}

static void writer_done(struct disk_request *request)
{
    struct file_writer *writer = container_of(request, struct file_writer, request);
    writer->context->requests--;
    if (writer->request.op == DISK_CLOSE) {
        writer->request.file = NULL;
    }
    if (writer->abandoned) {
        writer_clean(writer);
        return;
    }
    writer_step(writer, request->result);
    if (writer->state != FILE_WRITER_SEALING && writer->state != FILE_WRITER_OPENING) {
        writer->wake(writer->owner);
    }
}

// What follows the request that has just completed.
static void writer_step(struct file_writer *writer, int result)
{
    enum disk_op op = writer->request.op;
    if (op == DISK_WRITE) {
        writer_written(writer, result);
    } else if (op == DISK_OPEN && result == ERR_EXISTS) {
        writer_submit(writer, DISK_UNLINK, 0);
    } else if (result != 0) {
        writer->error = result;
        writer->state = FILE_WRITER_BROKEN;
    } else if (op == DISK_UNLINK) {
        writer_submit(writer, DISK_OPEN, DISK_FLAG_CREATE);
    } else if (op == DISK_OPEN) {
        writer->state = FILE_WRITER_READY;
    } else if (op == DISK_SYNC) {
        writer_submit(writer, DISK_CLOSE, 0);
    } else if (op == DISK_CLOSE) {
        writer_submit(writer, DISK_RENAME, 0);
    } else if (op == DISK_RENAME) {
        writer_submit(writer, DISK_SYNC_DIR, 0);
    } else {
        must(op == DISK_SYNC_DIR);
        writer->state = FILE_WRITER_SEALED;
    }
}

static void writer_written(struct file_writer *writer, int result)
{
    struct store_context *context = writer->context;
    if (result == ERR_NO_SPACE && writer->worth != FILE_WRITER_OPTIONAL) {
        context->claims += !writer->claims;
        writer->claims = true;
        if (context->log.give_space(context->log.owner, writer->worth == FILE_WRITER_VITAL)) {
            writer->retry_ns = context->now.mono_ns + WRITER_RETRY_NS;
            writer->state = FILE_WRITER_READY;
            return;
        }
    }
    if (result != 0) {
        writer->error = result;
        writer->state = FILE_WRITER_BROKEN;
        return;
    }
    writer->flushed += writer->span.len;
    writer->offset += writer->span.len;
    if (writer->flushed == writer->out.len) {
        buffer_clear(&writer->out);
        writer->flushed = 0;
    }
    writer->state = FILE_WRITER_READY;
}

// Closes, removes the .tmp, frees: one step after each request.
static void writer_clean(struct file_writer *writer)
{
    if (writer->request.file) {
        writer_submit(writer, DISK_CLOSE, 0);
    } else if (writer->deleted++ == 0) {
        writer_submit(writer, DISK_UNLINK, 0);
    } else {
        file_writer_drop(writer);
    }
}
