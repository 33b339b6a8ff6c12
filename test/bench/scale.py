# SPDX-License-Identifier: Apache-2.0
"""NATS Streaming at size: many channels, many members of a queue group, many messages, and a backlog that no cache holds.

Costs are the server's CPU time a message. What is compared runs in turn, round after round, on one server, and what is printed is
the median of the rounds' ratios, so that a machine that others use as well, or that slows down, says little.
"""
import os
import re
import statistics
import subprocess
import time

from harness import WEIR, Server, median, run_bench

UNLIMITED = ("-mm", "0", "-mb", "0", "-mc", "0", "-msu", "0")
MIB = 1 << 20
FLAT = 1.5  # times the CPU of one; what many things at a time cost beyond it is memory that no cache holds


def compared(rounds, runs):
    """runs: name -> a function that gives a result. Gives name -> results, one for each round, after one round that does not count.
    Each round begins with another one: what the server does now and then would else always happen to the same."""
    results = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            result = runs[name]()
            if number:
                results[name].append(result)
    return results


def ratio(results, name, base):
    return statistics.median(a["server_cpu_us"] / b["server_cpu_us"] for a, b in zip(results[name], results[base]))


def show(what, results):
    for count, runs in results.items():
        print("  %-46s %9.0f messages/s, server CPU %.2f us a message" %
              (what % count, median(runs, "rate"), median(runs, "server_cpu_us")))


def channels(args, verdicts, scratch):
    """Publishing to channels in turn, with all of it in the log and with older messages rolling over into segments all the while; then
    a subscription to each channel, with about as many messages in flight over all.

    One channel with many in flight shares among hundreds of messages what a turn costs a consumer: a record, being woken, being looked
    up. So what lies between is measured too: all of that for each message (one in flight), and ten messages that share it in each of many
    channels, beside as many in flight in one."""
    most, messages = (1000, 20000) if args.quick else (10000, 300000)
    counts = [count for count in (1, 100, 1000, 10000) if count <= most]
    print(f"\nNATS Streaming: 1 to {most:,} channels in turn; 128 bytes")

    def published(servers, messages):
        return compared(args.rounds, {count: lambda count=count: servers[count].bench(
            "stan-pub", msgs=messages, window=2048, channels=count, subject=f"p{count}") for count in servers})

    server = Server("weir", os.path.join(scratch, "channels"), (*UNLIMITED, "--log_bytes", "16G"))
    try:
        publish = published({count: server for count in counts}, messages)
        show("published to %d channels", publish)
        deliver = compared(args.rounds, {count: lambda count=count: server.bench(
            "stan-queue", msgs=messages, window=most // count, channels=count, subscribers=1) for count in counts})
        show("delivered from %d channels, acknowledged", deliver)
        alone, many, deep = "1 channel, 1", f"{most:,} channels, 10", f"1 channel, {10 * most:,}"
        shares = {alone: (1, 1, messages // 30), many: (most, 10, messages), deep: (1, 10 * most, messages)}
        between = compared(args.rounds, {name: lambda case=case: server.bench(
            "stan-queue", msgs=case[2], window=case[1], channels=case[0], subscribers=1) for name, case in shares.items()})
        show("delivered, in flight in each of %s", between)
        print("  ten in flight in each of %s channels: %.2f x the CPU of one with as many" % (f"{most:,}", ratio(between, many, deep)))
    finally:
        server.stop()
    # A server for each, in turn: what rolls over is mainly what the run before published.
    servers = {count: Server("weir", os.path.join(scratch, f"rolling{count}"), (*UNLIMITED, "--log_bytes", "128M")) for count in (1, 1000)}
    try:
        rolling = published(servers, 2 * messages)
        show("published to %d channels, rolling over", rolling)
    finally:
        for server in servers.values():
            server.stop()
    for what, results in (("publishing to 1,000 channels", publish), ("the same, rolling over", rolling)):
        cost = ratio(results, 1000, 1)
        verdicts.check("%s: at most 1.3 x the CPU of one (%.2f)" % (what, cost), cost <= 1.3)
    for what, results in (("publishing", publish), ("delivery", deliver)):
        cost = ratio(results, most, 1)
        verdicts.check("%s is flat: %s channels at most %.1f x the CPU of one (%.2f)" % (what, f"{most:,}", FLAT, cost), cost <= FLAT)


def members(args, verdicts, scratch):
    """One queue group of so many members. What is in flight is the same for all: about as many messages as the largest group has
    members, each of which has one. So all have as many messages pending and acknowledge in runs as long; what the largest has
    beyond the smallest is what belongs to a member: the member, its subscriptions, its inbox, its part of the record of deliveries."""
    most, messages = (1000, 20000) if args.quick else (10000, 300000)
    counts = [count for count in (1, 10, 100, 1000, 10000) if count <= most]
    print(f"\nNATS Streaming: a queue group of 1 to {most:,} members that acknowledge; 128 bytes, {most:,} in flight")
    server = Server("weir", os.path.join(scratch, "members"), UNLIMITED)
    try:
        results = compared(args.rounds, {count: lambda count=count: server.bench(
            "stan-queue", msgs=messages, window=most // count, subscribers=count) for count in counts})
    finally:
        server.stop()
    show("delivered to %d members, acknowledged", results)
    rate, cpu = median(results[10], "rate"), median(results[10], "server_cpu_us")
    verdicts.check("10 members: 1,000,000 a second (%.0f) or at most 0.9 us of CPU a message (%.2f)" % (rate, cpu),
                   rate >= 1e6 or cpu <= 0.9)
    cost = ratio(results, most, 1)
    verdicts.check("delivery is flat: %s members at most %.1f x the CPU of one (%.2f)" % (f"{most:,}", FLAT, cost), cost <= FLAT)


def drop_caches(directory, everything):
    """What is not in memory any more is cold. Only the files' own pages where the kernel's switch is not ours, or others are to be spared."""
    os.sync()
    try:
        if everything:
            with open("/proc/sys/vm/drop_caches", "w") as switch:
                switch.write("1\n")
    except OSError:
        pass
    for path in files_below(directory):
        try:
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except FileNotFoundError:
            pass  # a server renames what it has just written


def files_below(directory):
    return [os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names]


def dd_seconds(paths):
    """As dd counts them, without what it takes to start it."""
    seconds = 0
    for path in paths:
        done = subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M"], check=True, capture_output=True, text=True,
                              env={**os.environ, "LC_ALL": "C"})
        seconds += float(re.search(r"copied, ([0-9.e+-]+) s", done.stderr).group(1))
    return seconds


def replay(args, verdicts, scratch):
    """A backlog on a server that has just started, by a subscription from the first message on, beside dd of the server's files, and
    beside the floor: a process that reads these files and sends them on in the frames of deliveries, to the same client."""
    total = 32 * MIB if args.quick else 1024 * MIB
    print("\nReplay of a cold backlog of %d MiB beside dd of the same files, and beside sending them on" % (total // MIB))
    for size in (65536, 4096, 128):
        directory = os.path.join(scratch, f"replay{size}")
        load = {"size": size, "msgs": total // size // (8 if size == 128 else 1), "subject": "cold"}
        server = Server("weir", directory, UNLIMITED)
        try:
            server.bench("stan-pub", window=512, **load)
        finally:
            server.stop()
        rounds = [replay_round(args, directory, load) for _ in range(args.rounds)]
        rates, dds, floors, cpus, floor_cpus, reads, stored = (list(column) for column in zip(*rounds))
        print("  %6d bytes: %.0f MiB/s of payload, server CPU %.2f us a message, %d MiB read; dd of %d MiB %.0f MiB/s; sending them on "
              "%.0f MiB/s, CPU %.2f us" % (size, statistics.median(rates), statistics.median(cpus), statistics.median(reads), stored[-1],
                                           statistics.median(dds), statistics.median(floors), statistics.median(floor_cpus)))
        of_dd, of_floor, floor = (statistics.median(a / b for a, b in zip(*pair)) for pair in ((rates, dds), (rates, floors), (floors, dds)))
        verdicts.check("%d bytes: at least 0.7 of dd (%.2f; sending them on comes to %.2f of dd, and this to %.2f of that)" %
                       (size, of_dd, floor, of_floor), of_dd >= 0.7)


def replay_round(args, directory, load):
    """MiB/s of payload, of dd and of the floor; CPU of a message in server and floor; MiB that the server read, and in all files."""
    drop_caches(directory, not args.quick)
    paths = [path for path in files_below(directory) if path.endswith((".wal", ".seg"))]
    stored = sum(os.path.getsize(path) for path in paths)
    seconds = dd_seconds(paths)
    drop_caches(directory, not args.quick)
    floor = run_bench([WEIR, "bench", "floor", "--json", "--quiet", "--dir", directory, "--size", str(load["size"]),
                       "--msgs", str(load["msgs"])])
    server = Server("weir", directory, UNLIMITED)
    try:
        drop_caches(directory, not args.quick)
        read = server.read_bytes()
        done = server.bench("stan-sub", "--stored", window=1024, **load)
        read = server.read_bytes() - read
    finally:
        server.stop()
    rate, floor_rate = (run["messages"] * load["size"] / run["seconds"] / MIB for run in (done, floor))
    return (rate, stored / seconds / MIB, floor_rate, done["server_cpu_us"], floor["server_cpu_us"], read / MIB, stored // MIB)


def size(args, verdicts, scratch):
    """A tenth of the load, and all of it: what a start takes, and what stays in memory."""
    most = 200000 if args.quick else 10000000
    print(f"\n{most // 10:,} and {most:,} messages of 128 bytes over 1,000 channels")
    for messages in (most // 10, most):
        directory = os.path.join(scratch, f"size{messages}")
        loaded = fill(directory, messages, ())
        server = Server("weir", directory, UNLIMITED)
        try:
            listens, ready, rss = server.start_seconds, server.wait_healthy(), server.rss_kb() / 1024
        finally:
            server.stop()
        print("  %11s messages: RSS %.0f MB with the load; started again it listens after %.2f s, is ready (/healthz) after %.2f s, "
              "and has %.0f MB" % (f"{messages:,}", loaded, listens, ready, rss))
    verdicts.check("it listens in under a second (%.2f s)" % listens, listens < 1)
    verdicts.check("it is ready in under a second, all ids of the last two minutes read (%.2f s)" % ready, ready < 1)
    # The same with what does not depend on the messages stored made small: no ids, and little log whose messages have an index.
    small = ("--duplicate_window", "0s", "--log_bytes", "128M")
    few, many = (fill(os.path.join(scratch, f"small{messages}"), messages, small) for messages in (most // 10, most))
    verdicts.check("ten times the backlog, ids and index apart: at most 1.25 x the RSS and 8 MB (%.0f MB, then %.0f MB)" % (few, many),
                   many <= 1.25 * few + 8)


def fill(directory, messages, flags):
    """The server's RSS in MB with that load."""
    server = Server("weir", directory, (*UNLIMITED, *flags))
    try:
        server.bench("stan-pub", size=128, window=4096, msgs=messages, subject="size", channels=1000)
        return server.rss_kb() / 1024
    finally:
        server.stop()
