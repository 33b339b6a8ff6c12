# SPDX-License-Identifier: Apache-2.0
"""Core NATS beside nats-server: throughput, users, subscriptions, idle connections, workers.
"""
import json
import os
import random
import socket
import ssl
import statistics
import subprocess
import sys
import time

from harness import WEIR, Server, median, run_bench


def core(args, verdicts, scratch):
    print("\nCore NATS: Weir / nats-server (medians of %d alternating runs)" % args.rounds)
    print("  %-10s %6s  %23s  %17s  %23s  %5s" % ("mode", "bytes", "messages/s", "ratio of rates", "server CPU us/message",
                                                  "ratio"))
    servers = [Server("weir", os.path.join(scratch, "core")), Server("nats-server")]
    factor = 20 if args.quick else 1
    try:
        for mode, sizes, messages in (("pub", (16, 128, 4096), 5000000), ("pubsub", (16, 128, 4096), 2000000),
                                      ("fanout", (128,), 200000), ("queue", (128,), 1000000), ("request", (16,), 20000)):
            for size in sizes:
                count = messages // factor // (8 if size > 1000 else 1)
                runs = {server.kind: [] for server in servers}
                relays = []
                for _ in range(args.rounds):
                    if mode == "request":
                        relays.append(run_bench([WEIR, "bench", "relay", "--json", "--quiet", "--size", str(size), "--msgs",
                                                 str(count)]))
                    for server in servers:
                        runs[server.kind].append(server.bench(mode, size=size, msgs=count))
                ours, theirs = runs["weir"], runs["nats-server"]
                rate, peer_rate = median(ours, "rate"), median(theirs, "rate")
                cpu, peer_cpu = median(ours, "server_cpu_us"), median(theirs, "server_cpu_us")
                print("  %-10s %6d  %11.0f %11.0f  %17.2f  %11.3f %11.3f  %5.2f" %
                      (mode, size, rate, peer_rate, rate / peer_rate, cpu, peer_cpu, cpu / peer_cpu))
                if mode in ("pub", "pubsub") and size == 16:
                    verdicts.check(f"{mode} at 16 bytes: at most a third of the peer's CPU ({cpu / peer_cpu:.2f})",
                                   cpu <= peer_cpu / 3)
                if mode == "request":
                    verdicts.check(f"request: under 15 us of server CPU a round trip ({cpu:.1f}; peer {peer_cpu:.1f}; a bare relay "
                                   f"of the same bytes {median(relays, 'server_cpu_us'):.1f})", cpu < 15)
    finally:
        for server in servers:
            server.stop()


def users(args, verdicts, scratch):
    """The same as a user with permissions, to whom some subjects are denied."""
    print("\nUsers with permissions: Weir / nats-server (medians of %d alternating runs)" % args.rounds)
    config = os.path.join(scratch, "users.conf")
    with open(config, "w") as file:
        file.write('authorization { users = [ { user: a, password: a, permissions {\n'
                   '  publish { allow: ["bench.>", "_INBOX.>"], deny: ["bench.secret"] }\n'
                   '  subscribe { allow: ">", deny: ["bench.hidden"] } } } ] }\n')
    flags = ("-c", config)
    servers = [Server("weir", os.path.join(scratch, "users"), flags, "a:a@"), Server("nats-server", None, flags, "a:a@")]
    factor = 20 if args.quick else 1
    try:
        for mode, messages in (("pub", 5000000), ("pubsub", 2000000)):
            runs = {server.kind: [] for server in servers}
            for _ in range(args.rounds):
                for server in servers:
                    runs[server.kind].append(server.bench(mode, size=16, msgs=messages // factor))
            cpu, peer_cpu = (median(runs[server.kind], "server_cpu_us") for server in servers)
            rate, peer_rate = (median(runs[server.kind], "rate") for server in servers)
            print("  %-10s  %11.0f %11.0f messages/s, ratio %.2f" % (mode, rate, peer_rate, rate / peer_rate))
            verdicts.check(f"{mode} as a user, 16 bytes: at most a third of the peer's CPU ({cpu:.3f}, peer {peer_cpu:.3f} us)",
                           cpu <= peer_cpu / 3)
    finally:
        for server in servers:
            server.stop()


def connected(server, context=None):
    """A connection that has said CONNECT; with a context it became a secure one."""
    connection = socket.create_connection(("127.0.0.1", server.port), 60)
    read_until(connection, b"\r\n")
    if context:
        connection = context.wrap_socket(connection)
    connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
    return connection


def read_until(connection, end):
    data = b""
    while end not in data:
        part = connection.recv(65536)
        if not part:
            sys.exit(f"bench: the server closed the connection: {data[-200:]}")
        data = (data + part)[-200:]


def say(server, connection, data):
    """Until it is worked through; gives (seconds, the server's CPU seconds)."""
    cpu, begin = server.cpu_seconds(), time.monotonic()
    connection.sendall(data)
    connection.sendall(b"PING\r\n")
    read_until(connection, b"PONG")
    return time.monotonic() - begin, server.cpu_seconds() - cpu


def match_us(server, publisher, count, rounds):
    """CPU of a message to a subject that no cache knows and nobody listens to, beside all those that somebody does."""
    chance = random.Random(1)
    costs = []
    for _ in range(rounds):
        numbers = [chance.randrange(count) for _ in range(100000)]
        messages = b"".join(b"PUB many.%08d.zz 2\r\nhi\r\n" % number for number in numbers)
        costs.append(say(server, publisher, messages)[1] * 1e6 / len(numbers))
    return statistics.median(costs)


def longest_wait_ms(connection, seconds):
    """Of pings, one after the other."""
    longest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        connection.sendall(b"PING\r\n")
        read_until(connection, b"PONG")
        longest = max(longest, time.monotonic() - begin)
    return longest * 1000


def subs(args, verdicts, scratch):
    """Subjects of 16 bytes, all of one connection, as a gateway of many clients has them."""
    count = 200000 if args.quick else 1000000
    print(f"\nSubscriptions: 1 and {count:,}, one connection")
    lines = b"".join(b"SUB many.%08d.ab %d\r\n" % (number, number) for number in range(1, count + 1))
    rates, ours = {}, {}
    for kind in ("nats-server", "weir"):
        server = Server(kind, os.path.join(scratch, "subs"), ("--threads", "1") if kind == "weir" else ())
        try:
            subscriber, publisher = connected(server), connected(server)
            subscriber.sendall(b"SUB many.00000000.ab 0\r\n")
            say(server, subscriber, b"")
            one = match_us(server, publisher, count, 5)
            before = server.rss_kb()
            seconds, cpu = say(server, subscriber, lines)
            each = (server.rss_kb() - before) * 1024 / count
            many = match_us(server, publisher, count, 5)
            rates[kind] = count / seconds
            ours = {"one": one, "many": many, "bytes": each}
            calm = longest_wait_ms(publisher, 1)
            subscriber.close()
            waited = longest_wait_ms(publisher, 2)
            print("  %-12s a match %.2f us, then %.2f us of server CPU; %.0f subscribed a second (%.2f us of CPU), %.0f bytes each; "
                  "the longest ping %.1f ms, and %.1f ms while they go" %
                  (kind, one, many, count / seconds, cpu * 1e6 / count, each, calm, waited))
            publisher.close()
        finally:
            server.stop()
    for workers in (2, 3):
        server = Server("weir", os.path.join(scratch, f"subs{workers}"), ("--threads", str(workers)))
        try:
            subscriber = connected(server)
            say(server, subscriber, b"")
            before = server.rss_kb()
            say(server, subscriber, lines)
            print("  %-12s with %d workers, each of which knows them: %.0f bytes each" %
                  ("weir", workers, (server.rss_kb() - before) * 1024 / count))
            subscriber.close()
        finally:
            server.stop()
    verdicts.check("a match costs the same with all of them: at most 0.2 us more (%.2f)" % (ours["many"] - ours["one"]),
                   ours["many"] - ours["one"] <= 0.2)
    ratio = rates["weir"] / rates["nats-server"]
    verdicts.check("subscribing at five times the peer's rate (%.1f)" % ratio, ratio >= 5)
    verdicts.check("under 200 bytes a subscription (%.0f)" % ours["bytes"], ours["bytes"] < 200)


def idle_mb(server, count, context=None):
    """RSS with so many connections that have one subscription each."""
    connections = []
    try:
        for number in range(count):
            connection = connected(server, context)
            connections.append(connection)
            connection.sendall(b"SUB idle.%08d.ab 1\r\nPING\r\n" % number)
        for connection in connections:
            read_until(connection, b"PONG")
        return server.rss_kb() / 1024
    finally:
        for connection in connections:
            connection.close()


def idle3(args, verdicts, scratch):
    count = 1000 if args.quick else 10000
    print(f"\n{count:,} idle connections with one subscription each")
    figures = {}
    for kind in ("nats-server", "weir"):
        server = Server(kind, os.path.join(scratch, "idle3"))
        try:
            figures[kind] = idle_mb(server, count)
        finally:
            server.stop()
    verdicts.check("under 30 MB of RSS (%.1f; peer %.1f)" % (figures["weir"], figures["nats-server"]), figures["weir"] < 30)


def tls(args, verdicts, scratch):
    count = 300 if args.quick else 10000
    print(f"\n{count:,} idle connections with TLS and one subscription each")
    key, cert = os.path.join(scratch, "key.pem"), os.path.join(scratch, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    figures = {}
    for kind in ("nats-server", "weir"):
        server = Server(kind, os.path.join(scratch, "tls"), ("--tls", "--tlscert", cert, "--tlskey", key))
        try:
            figures[kind] = idle_mb(server, count, context)
        finally:
            server.stop()
    verdicts.check("under 150 MB of RSS (%.1f; peer %.1f)" % (figures["weir"], figures["nats-server"]), figures["weir"] < 150)


def threads(args, verdicts, scratch):
    """Two publishers at once, nobody listens. Where clients and workers share processors, rates show how those are shared out; what a
    second worker adds is then what its messages cost: twice the workers, each at that cost."""
    print("\nA second worker: two publishers, 16 bytes")
    servers = {number: Server("weir", os.path.join(scratch, f"threads{number}"), ("--threads", str(number))) for number in (1, 2)}
    messages = 200000 if args.quick else 5000000
    rates, cpus = {1: [], 2: []}, {1: [], 2: []}
    try:
        for _ in range(args.rounds):
            for number, server in servers.items():
                cpu = server.cpu_seconds()
                both = [subprocess.Popen([WEIR, "bench", "pub", "--json", "--quiet", "--server", f"127.0.0.1:{server.port}", "--size",
                                          "16", "--msgs", str(messages)], stdout=subprocess.PIPE) for _ in range(2)]
                rates[number].append(sum(json.loads(one.communicate()[0])["rate"] for one in both))
                cpus[number].append((server.cpu_seconds() - cpu) * 1e6 / (2 * messages))
    finally:
        for server in servers.values():
            server.stop()
    rate, cpu = ({number: statistics.median(runs[number]) for number in (1, 2)} for runs in (rates, cpus))
    by_rate, by_cost = rate[2] / rate[1] - 1, 2 * cpu[1] / cpu[2] - 1
    print("  one worker %.0f messages/s at %.3f us of CPU, two %.0f at %.3f us" % (rate[1], cpu[1], rate[2], cpu[2]))
    if os.cpu_count() >= 4:
        verdicts.check("it adds at least 0.8 of the first (%.2f)" % by_rate, by_rate >= 0.8)
    else:
        verdicts.check("by cost it adds at least 0.8 of the first (%.2f; by rate %.2f: two processors are too few for two workers and "
                       "two clients)" % (by_cost, by_rate), by_cost >= 0.8)
