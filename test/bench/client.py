# SPDX-License-Identifier: Apache-2.0
"""What libweir costs a program, beside libnats moving the same bytes with the least that can be done (client_bench.c).
"""
import os
import statistics
import subprocess

from harness import ROOT, WEIR, Server, run_bench


def client(args, verdicts, scratch):
    print("\nlibweir beside bare libnats, 128 bytes: CPU of the program for each message (medians of alternating runs)")
    build = os.path.dirname(WEIR)
    subprocess.run(["ninja", "-C", build, "test/bench/client-bench"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    program = os.path.join(build, "test/bench/client-bench")
    server = Server("weir", os.path.join(scratch, "client"), ("--store", "memory", "-mm", "0", "-mb", "0"))
    count = 20000 if args.quick else 150000
    try:
        for what, words in (("pub", "published, 512 in flight"), ("sub", "delivered and acknowledged")):
            runs = {"raw": [], "weir": []}
            for _ in range(args.rounds):
                for kind, results in runs.items():
                    results.append(run_bench([program, f"nats://127.0.0.1:{server.port}", str(count), "128", kind, what])["cpu_us"])
            ratio = statistics.median(ours / raw for ours, raw in zip(runs["weir"], runs["raw"]))
            verdicts.check("%s: at most 1.2 x bare libnats (%.2f; %.2f us, bare %.2f us)" %
                           (words, ratio, statistics.median(runs["weir"]), statistics.median(runs["raw"])), ratio <= 1.2)
    finally:
        server.stop()
