# SPDX-License-Identifier: Apache-2.0
"""NATS Streaming on one channel: publishing, delivery, memory at rest, start.
"""
import os
import socket
import statistics
import time

from harness import WEIR, Server, median, run_bench


def sync_us(scratch, size, count=500):
    return run_bench([WEIR, "bench", "sync", "--json", "--quiet", "--dir", scratch, "--size", str(size), "--msgs", str(count)])


def stan(args, verdicts, scratch):
    print("\nNATS Streaming, file store, every acknowledgement synced")
    server = Server("weir", os.path.join(scratch, "stan"), ("-mm", "0", "-mb", "0"))
    factor = 20 if args.quick else 1
    try:
        publish, syncs = [], []
        for _ in range(args.rounds):
            syncs.append(sync_us(scratch, 65536))
            publish.append(server.bench("stan-pub", size=128, window=512, msgs=2000000 // factor))
        sync = median(syncs, "p50_us") / 1e6
        rate, cpu = median(publish, "rate"), median(publish, "server_cpu_us")
        goal = 0.8 * min(1e6, 512 / (1.5 * sync + 0.0001))
        print("  stan-pub, 128 bytes, 512 in flight: %.0f messages/s, p50 %.0f us, p99 %.0f us; a sync of 64 KiB takes %.0f us" %
              (rate, median(publish, "p50_us"), median(publish, "p99_us"), sync * 1e6))
        verdicts.check("at least 0.8 x min(1 M/s, 512 / (1.5 x sync + 0.1 ms)) = %.0f a second (%.0f)" % (goal, rate), rate >= goal)
        verdicts.check("worker and log thread together at most 0.8 us of CPU a message (%.2f)" % cpu, cpu <= 0.8)
        one, floor = [], []
        for _ in range(args.rounds):
            syncs = sync_us(scratch, 4096, 500)
            request = server.bench("request", size=16, msgs=2000)
            one.append(server.bench("stan-pub", size=128, window=1, msgs=3000 // factor + 200))
            floor.append(syncs["p50_us"] + request["p50_us"])
        ratio = statistics.median(o["p50_us"] / f for o, f in zip(one, floor))
        verdicts.check("one in flight: at most 1.3 x (sync + core round trip), medians, interleaved (%.2f; %.0f us)" %
                       (ratio, median(one, "p50_us")), ratio <= 1.3)
        deliver = server.bench("stan-sub", size=128, window=1024, msgs=500000 // factor)
        print("  stan-sub, 128 bytes, MaxInflight 1024: %.0f messages/s, server CPU %.2f us a message" %
              (deliver["rate"], deliver["server_cpu_us"]))
    finally:
        server.stop()


def idle(args, verdicts, scratch):
    print("\nMemory")
    server = Server("weir", os.path.join(scratch, "idle"))
    connections = []
    try:
        time.sleep(0.2)
        before = server.rss_kb()
        verdicts.check("idle: RSS under 5 MB (%.1f MB)" % (before / 1024), before < 5 * 1024)
        count = 1000 if args.quick else 10000
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
            connections.append(connection)
        for connection in connections:
            data = b""
            while b"PONG" not in data:
                data += connection.recv(4096)
        each = (server.rss_kb() - before) * 1024 / count
        verdicts.check("%d idle connections: under 1,000 bytes more each (%.0f)" % (count, each), each < 1000)
    finally:
        for connection in connections:
            connection.close()
        server.stop()


def start(args, verdicts, scratch):
    messages = 200000 if args.quick else 10000000
    print(f"\nStart with {messages:,} messages stored")
    directory = os.path.join(scratch, "start")
    server = Server("weir", directory, ("-mm", "0", "-mb", "0"))
    try:
        server.bench("stan-pub", size=128, window=2048, msgs=messages, subject="start")
        rss = server.rss_kb()
    finally:
        server.stop()
    server = Server("weir", directory, ("-mm", "0", "-mb", "0"))
    try:
        verdicts.check("ready in under a second (%.2f s); RSS after the load %.0f MB, after the start %.0f MB" %
                       (server.start_seconds, rss / 1024, server.rss_kb() / 1024), server.start_seconds < 1)
    finally:
        server.stop()
