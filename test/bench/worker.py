# SPDX-License-Identifier: Apache-2.0
"""`weir work` with a command that does nothing, beside starting that command and waiting for its end.
"""
import os
import statistics
import subprocess
import time

from harness import WEIR, Server

PROGRAM = "/bin/true"


def spawn_ms(count):
    begin = time.monotonic()
    for _ in range(count):
        os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], os.environ), 0)
    return (time.monotonic() - begin) / count * 1e3


def job_ms(server, channel, count):
    """From the end of the first job to the end of the last one."""
    url = f"nats://127.0.0.1:{server.port}"
    lines = b"".join(b"%d\n" % number for number in range(count))
    subprocess.run([WEIR, "enqueue", "-s", url, "--lines", channel], input=lines, stdout=subprocess.DEVNULL, check=True)
    command = [WEIR, "work", channel, "--group", "bench", "--log_format", "json", "-s", url, "--", PROGRAM]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as worker:
        done, begin = 0, None
        for line in worker.stderr:
            done += b'"outcome":"done"' in line
            if done == 1 and begin is None:
                begin = time.monotonic()
            if done == count:
                break
        each = (time.monotonic() - begin) / (count - 1) * 1e3
        worker.terminate()
        worker.communicate()
    return each


def worker(args, verdicts, scratch):
    print("\nA job of `weir work` whose command does nothing, one at a time")
    server = Server("weir", os.path.join(scratch, "worker"))
    count = 100 if args.quick else 1000
    try:
        bare, jobs = [], []
        for number in range(args.rounds):
            bare.append(spawn_ms(count))
            jobs.append(job_ms(server, f"jobs.{number}", count))
        more = statistics.median(jobs) - statistics.median(bare)
        verdicts.check("work: under 2 ms a job beside the command (%.2f; a job %.2f, the command alone %.2f)"
                       % (more, statistics.median(jobs), statistics.median(bare)), more < 2)
    finally:
        server.stop()
