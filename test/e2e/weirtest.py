# SPDX-License-Identifier: Apache-2.0
"""What the tests in Python share: a server that is started, killed and started again, a client that speaks core NATS and NATS
Streaming by hand over one socket (so that it can also speak it wrongly), and a runner that prints TAP.
"""
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

sys.dont_write_bytecode = True
WEIR = os.environ.get("WEIR", "build/weir")
# What is not a server: CLIENT_WEIR, if it is another build, and CLIENT_UNDER, what it runs under (valgrind, for instance).
CLIENT = [*os.environ.get("CLIENT_UNDER", "").split(), os.environ.get("CLIENT_WEIR", WEIR)]
ROUNDS = int(os.environ.get("ROUNDS", "20"))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000000))
CLUSTER = "test-cluster"
LIMIT = 20  # seconds in which anything must have happened; the debug build on a busy machine is slow


class Server:
    """One data directory and the server on it. The log of all its lives is in `self.log_file`."""

    started = []  # processes; those that a failed test left are ended by run_tests()

    def __init__(self, directory, *flags, env=None, wrapper=()):
        self.directory, self.flags, self.env, self.wrapper = directory, flags, env or {}, wrapper
        self.port, self.http_port, self.process = -1, -1, None
        self.log_file = directory + ".log"

    def start(self, wait=True):
        command = [*self.wrapper, WEIR, "serve", "-a", "127.0.0.1", "-p", str(self.port), "-m", str(self.http_port), "--dir",
                   self.directory, *self.flags]
        with open(self.log_file, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.env})
        Server.started.append(self.process)
        if wait:
            self.wait_ready(begin)
        return self

    def wait_ready(self, begin=0):
        end = time.monotonic() + LIMIT
        while True:
            text = self.log()[begin:]
            if "Ready for clients" in text:
                break
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{text}")
            assert time.monotonic() < end, f"not ready after {LIMIT} s:\n{text}"
            pause(0.002)
        self.port = int(re.search(r"Ready for clients on [\d.]+:(\d+)", text)[1])
        self.http_port = int(re.search(r"http://[\d.]+:(\d+)/", text)[1])

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        """As hard as it goes. That it was alive until then is checked."""
        assert self.process.poll() is None, f"the server ended by itself with {self.process.returncode}:\n{self.log()[-4000:]}"
        self.process.kill()
        self.process.wait(LIMIT)

    def stop(self):
        """As a service manager does; a sanitizer's complaint is an error."""
        assert self.process.poll() is None, f"the server ended by itself with {self.process.returncode}:\n{self.log()[-4000:]}"
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        assert code == 0, f"the server ended with {code}:\n{self.log()[-4000:]}"

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.process.kill()
                self.process.wait()

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=LIMIT).read()

    def varz(self):
        return json.loads(self.get("/varz"))

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def slack_bytes(self):
        """How much more memory is nothing to worry about: the address sanitizer keeps what was freed for a while."""
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii") as file:
            return (300 if "libasan" in file.read() else 16) << 20


def weir(*arguments, **more):
    """The program with other arguments, until it ends."""
    return subprocess.run([*CLIENT, *arguments], capture_output=True, text=True, timeout=3 * LIMIT, check=False, **more)


def pause(seconds):
    select.select([], [], [], seconds)


# ---- protobuf, as much of it as NATS Streaming needs

def varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(**fields):
    """f1="text", f3=5, ...: the message with these field numbers."""
    out = bytearray()
    for name, value in fields.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return bytes(out)


def decode(data):
    """{field number: last value}; only the two wire types that occur, and 32 bits."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        elif key & 7 == 2:
            size = number()
            fields[key >> 3] = bytes(data[at:at + size])
            at += size
        else:
            at += 4
    return fields


# ---- the client

class Message:
    def __init__(self, subject, reply, data):
        self.subject, self.reply, self.data = subject, reply, data


class Client:
    """One connection. Nothing happens behind the caller's back but PONGs."""
    made = 0
    source = None  # address and port to come from

    def __init__(self, server, **options):
        Client.made += 1
        self.name = f"client-{os.getpid()}-{Client.made}"
        self.socket = socket.create_connection(("127.0.0.1", server.port), LIMIT, self.source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.at = b"", 0
        self.messages, self.pongs, self.requests, self.sids = [], 0, 0, 0
        self.inbox = f"_INBOX.{self.name}"
        self.info = json.loads(self.line()[5:])
        self.send(b"CONNECT " + json.dumps({"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                                            **options}).encode() + b"\r\n")
        self.subscribe(self.inbox + ".*")
        self.ping()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def subscribe(self, subject):
        """Gives the subscription's number."""
        self.sids += 1
        self.send(f"SUB {subject} {self.sids}\r\n".encode())
        return self.sids

    def publish_raw(self, subject, data, reply=""):
        self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("the server closed the connection")
        self.buffer = self.buffer[self.at:] + data
        self.at = 0

    def line(self):
        while True:
            end = self.buffer.find(b"\r\n", self.at)
            if end >= 0:
                line = self.buffer[self.at:end]
                self.at = end + 2
                return line
            self.fill()

    def read(self, size):
        while len(self.buffer) - self.at < size:
            self.fill()
        data = self.buffer[self.at:self.at + size]
        self.at += size
        return data

    def step(self):
        """Takes one operation of the server."""
        words = self.line().split()
        if words[0] in (b"MSG", b"HMSG"):
            data = self.read(int(words[-1]) + 2)[:-2]
            plain = words[0] == b"MSG"
            reply = words[3] if len(words) == (5 if plain else 6) else b""
            if not plain:
                data = data[int(words[-2]):]
            self.messages.append(Message(words[1].decode(), reply.decode(), data))
        elif words[0] == b"PING":
            self.send(b"PONG\r\n")
        elif words[0] == b"PONG":
            self.pongs += 1
        elif words[0] == b"-ERR":
            raise AssertionError(b" ".join(words).decode())

    def ping(self):
        """Waits until the server has handled everything sent before."""
        self.send(b"PING\r\n")
        want = self.pongs + 1
        while self.pongs < want:
            self.step()

    def has_message(self, seconds):
        """Whether a message is there or comes within so long."""
        end = time.monotonic() + seconds
        while not self.messages:
            if self.buffer.find(b"\r\n", self.at) < 0:
                if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
                    return False
            self.step()
        return True

    def next(self, seconds=LIMIT):
        assert self.has_message(seconds), f"no message within {seconds} s"
        return self.messages.pop(0)

    def send_request(self, subject, data):
        """Sends; gives the inbox on which the answer comes."""
        self.requests += 1
        reply = f"{self.inbox}.{self.requests}"
        self.publish_raw(subject, data, reply)
        return reply

    def wait_answer(self, reply, seconds=LIMIT):
        end = time.monotonic() + seconds
        while True:
            for index, message in enumerate(self.messages):
                if message.subject == reply:
                    return self.messages.pop(index).data
            kept, self.messages = self.messages, []
            arrived = self.has_message(end - time.monotonic())
            self.messages = kept + self.messages
            assert arrived, f"no answer within {seconds} s"

    def request(self, subject, data, seconds=LIMIT):
        return self.wait_answer(self.send_request(subject, data), seconds)


class StanClient(Client):
    """A registered client. Requests that are refused raise AssertionError with the server's words."""

    def __init__(self, server, client_id=None, cluster=CLUSTER, register=True):
        super().__init__(server)
        self.client_id = client_id or self.name
        self.cluster = cluster
        self.guids = 0
        if register:
            self.register()

    def connect_request(self):
        # Heartbeats go to a subject of which nobody but the server knows whether it is answered.
        return encode(f1=self.client_id, f2=self.inbox + ".heartbeat", f3=1, f4=self.name, f5=30, f6=100)

    def register(self):
        answer = decode(self.request(f"_STAN.discover.{self.cluster}", self.connect_request(), 3 * LIMIT))
        assert 5 not in answer, answer[5].decode()
        self.take(answer)

    def take(self, answer):
        self.pub, self.sub, self.unsub = answer[1].decode(), answer[2].decode(), answer[3].decode()
        self.close_subject, self.subclose = answer[4].decode(), answer[6].decode()

    def send_publish(self, channel, data, guid=None):
        """Gives (the answer's inbox, guid)."""
        self.guids += 1
        guid = guid or f"{self.name}-{self.guids}"
        message = encode(f1=self.client_id, f2=guid, f3=channel, f5=data, f6=self.name)
        return self.send_request(f"{self.pub}.{channel}", message), guid

    def publish(self, channel, data, guid=None, seconds=LIMIT):
        """Gives the error, "" if it was stored."""
        reply, _ = self.send_publish(channel, data, guid)
        return decode(self.wait_answer(reply, seconds)).get(2, b"").decode()

    def subscribe_request(self, channel, inbox, group="", durable="", max_in_flight=1024, ack_wait=30, start=4):
        return encode(f1=self.client_id, f2=channel, f3=group, f4=inbox, f5=max_in_flight, f6=ack_wait, f7=durable, f10=start)

    def stan_subscribe(self, channel, **more):
        inbox = f"{self.inbox}.sub{self.requests}"
        answer = decode(self.request(self.sub, self.subscribe_request(channel, inbox, **more)))
        assert 3 not in answer, answer[3].decode()
        return Subscription(self, channel, inbox, answer[2].decode())


class Subscription:
    def __init__(self, client, channel, inbox, ack_inbox):
        self.client, self.channel, self.inbox, self.ack_inbox = client, channel, inbox, ack_inbox

    def next(self, seconds=LIMIT):
        """The next delivery as its fields: 1 sequence, 4 data, 6 redelivered, 7 count. Or None."""
        message = self.client.wait_answer(self.inbox, seconds)
        fields = decode(message)
        return {"seq": fields[1], "data": fields.get(4, b""), "again": bool(fields.get(6)), "time": fields[5]}

    def ack(self, seq):
        self.client.publish_raw(self.ack_inbox, encode(f1=self.channel, f2=seq))

    def read(self, count, seconds=LIMIT):
        """The next so many, each acknowledged."""
        taken = []
        for _ in range(count):
            taken.append(self.next(seconds))
            self.ack(taken[-1]["seq"])
        return taken


def last_sequence(client, channel):
    """Of a channel that is not empty."""
    subscription = client.stan_subscribe(channel, start=1)
    return subscription.next()["seq"]


def read_channel(server, channel):
    """All that a channel holds."""
    with StanClient(server) as client:
        end = last_sequence(client, channel)
    with StanClient(server) as client:
        subscription = client.stan_subscribe(channel, max_in_flight=end)
        messages = []
        while not messages or messages[-1]["seq"] < end:
            messages.append(subscription.next())
        return messages


def eventually(condition, what, seconds=LIMIT):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        pause(0.01)


def same(got, wanted, what=""):
    assert got == wanted, f"{what}{': ' if what else ''}{str(got)[:2000]} instead of {str(wanted)[:2000]}"


def run_tests(tests, prefix):
    """Each test gets an empty directory's path. Prints TAP; gives the exit code. Arguments of the program choose tests."""
    chosen = [test for test in tests if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    failed = 0
    print(f"1..{len(chosen)}\n# SEED={SEED}")
    for number, test in enumerate(chosen, 1):
        directory = tempfile.mkdtemp(prefix=prefix)
        begin = time.monotonic()
        try:
            test(directory)
            print(f"ok {number} - {test.__name__} # {time.monotonic() - begin:.1f} s", flush=True)
            shutil.rmtree(directory, ignore_errors=True)
        except Exception as error:  # whatever it is, the test failed, and the next one should run
            failed += 1
            print(f"not ok {number} - {test.__name__}\n    {type(error).__name__}: {error}\n    files: {directory}; SEED={SEED}")
            print("    " + traceback.format_exc().replace("\n", "\n    "), flush=True)
        for process in Server.started:
            if process.poll() is None:
                process.kill()
                process.wait()
    return 1 if failed else 0
