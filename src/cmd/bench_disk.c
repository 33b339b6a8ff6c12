// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_disk
// weir bench sync: what one write and fdatasync to a preallocated file costs here, the floor of every acknowledgement.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/memory.h"
#include "cmd/bench.h"

enum { BLOCK = 4096, FILE_BYTES = 16 << 20 };

static int fail(const char *what)
{
    fprintf(stderr, "weir bench: %s: %s\n", what, strerror(errno));
    return 1;
}

// The sizes that the server writes: whole blocks.
static size_t block_bytes(const struct bench *bench)
{
    size_t size = (bench->size + BLOCK - 1) / BLOCK * BLOCK;
    return size > FILE_BYTES ? FILE_BYTES : size;
}

int bench_disk_sync(struct bench *bench)
{
    char path[512];
    snprintf(path, sizeof(path), "%.480s/weir-bench.%d", bench->directory, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(path);
    unlink(path);
    char *zeros = mem_alloc_zero(FILE_BYTES);
    size_t size = block_bytes(bench);
    int status = 0;
    if (pwrite(fd, zeros, FILE_BYTES, 0) != FILE_BYTES || fsync(fd) != 0)
        status = fail("preparing the file");
    bench_start(bench);
    for (uint64_t i = 0; i < bench->messages && !status; i++) {
        uint64_t start = client_now_ns();
        put_u64(zeros, i);
        off_t offset = (off_t)(i * size % (FILE_BYTES - size + 1) / BLOCK * BLOCK);
        if (pwrite(fd, zeros, size, offset) != (ssize_t)size || fdatasync(fd) != 0)
            status = fail("fdatasync");
        histogram_record(&bench->latency, client_now_ns() - start);
        bench->done++;
        bench_progress(bench);
    }
    bench_stop(bench);
    mem_free(zeros);
    close(fd);
    return status;
}
