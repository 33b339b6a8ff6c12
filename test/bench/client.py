# SPDX-License-Identifier: Apache-2.0
"""What libweir costs a program, beside programs that have libnats only: client_peers.c says what each of those does and does not do.

The target is held against `plain`, the least that a correct publisher has to do itself; beside it stand `floor`, which could not live in a program,
and libnats's own client for NATS Streaming.
"""
import os
import re
import shutil
import statistics
import subprocess

from harness import ROOT, WEIR, Server, run_bench

# What, its peer, and the others of the same run.
PARTS = (
    ("pub", "published, 512 in flight", "plain", ("floor", "stan", "fleet"), 300000),
    ("ask", "published one by one", "plain", ("fleet",), 20000),
    ("sub", "delivered and acknowledged", "floor", (), 150000),
)
NAMES = {
    "plain": "a plain publisher on libnats",
    "floor": "the least that moves the bytes",
    "stan": "libnats's own client",
    "weir": "libweir",
    "fleet": "a fleet",
}


def instructions(program, port, kind, what):
    """Of one message: the difference of two runs, so that starting does not count."""
    counts = []
    for messages in (2000, 12000):
        done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program,
                               f"nats://127.0.0.1:{port}", str(messages), "128", kind, what], capture_output=True, text=True, check=True)
        counts.append(int(re.search(r"Collected : (\d+)", done.stderr)[1]))
    return (counts[1] - counts[0]) / 10000


def client(args, verdicts, scratch):
    print("\nlibweir beside libnats alone, 128 bytes: CPU of the program for each message (medians of alternating runs)")
    build = os.path.dirname(WEIR)
    subprocess.run(["ninja", "-C", build, "test/bench/client-bench"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    program = os.path.join(build, "test/bench/client-bench")
    server = Server("weir", os.path.join(scratch, "client"),
                    ("--store", "memory", "-mm", "500000", "-mb", "0", "--duplicate_window", "0s"))
    try:
        for what, words, peer, others, count in PARTS:
            runs = {kind: [] for kind in ("weir", peer, *others)}
            for _ in range(args.rounds if args.quick else 3 * args.rounds): # short ones: a busy machine spoils some, not the median
                for kind, results in runs.items():
                    results.append(run_bench([program, f"nats://127.0.0.1:{server.port}", str(count // 10 if args.quick else count), "128", kind, what]))
            cpu = {kind: statistics.median(result["cpu_us"] for result in results) for kind, results in runs.items()}

            def ratio(of, to):
                return statistics.median(ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(runs[of], runs[to]))

            def least(of, to):
                return min(one["cpu_us"] for one in runs[of]) / min(one["cpu_us"] for one in runs[to])

            verdicts.check("%s: at most 1.2 x %s (%.2f, of the least %.2f; %.2f us, it %.2f us)" %
                           (words, NAMES[peer], ratio("weir", peer), least("weir", peer), cpu["weir"], cpu[peer]), ratio("weir", peer) <= 1.2)
            for kind in others:
                if kind == "fleet":
                    print("         a fleet of one server %.2f x libweir (of the least %.2f; %.2f us)" % (ratio("fleet", "weir"), least("fleet", "weir"), cpu["fleet"]))
                else:
                    print("         %.2f x %s (of the least %.2f; %.2f us)" % (ratio("weir", kind), NAMES[kind], least("weir", kind), cpu[kind]))
            if what == "ask":
                took = {kind: 1e6 / statistics.median(result["rate"] for result in results) for kind, results in runs.items()}
                print("         it takes %.0f us, %s %.0f us, a fleet %.0f us" % (took["weir"], NAMES[peer], took[peer], took["fleet"]))
            if shutil.which("valgrind") and not args.quick and what == "pub": # the others spin while they wait
                print("         instructions: %s" % ", ".join(
                    "%s %.0f" % (NAMES[kind], instructions(program, server.port, kind, what)) for kind in runs))
    finally:
        server.stop()
