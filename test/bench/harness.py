# SPDX-License-Identifier: Apache-2.0
"""What the parts of script/bench share: servers, runs of `weir bench`, verdicts.
"""
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIR = os.environ.get("WEIR", os.path.join(ROOT, "build", "weir"))
PEER = shutil.which("nats-server") or "/usr/sbin/nats-server"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server on a free port of 127.0.0.1, ended by its pid."""

    def __init__(self, kind, directory=None, extra=(), login=""):
        self.kind = kind
        self.login = login  # "user:password@"
        self.port = free_port()
        self.http = free_port()
        if kind == "weir":
            command = [WEIR, "serve", "-a", "127.0.0.1", "-p", str(self.port), "-m", str(self.http),
                       "--dir", directory, *extra]
        else:
            command = [PEER, "-a", "127.0.0.1", "-p", str(self.port), *extra]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_ready()
        self.start_seconds = time.monotonic() - self.started

    def wait_ready(self):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - self.started > 120:
                sys.exit(f"bench: {self.kind} did not start")
            time.sleep(0.002)

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def read_bytes(self):
        """From the disk."""
        with open(f"/proc/{self.process.pid}/io") as counters:
            return next(int(line.split()[1]) for line in counters if line.startswith("read_bytes"))

    def cpu_seconds(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as times:
                total += int(times.read().split()[0])
        return total / 1e9

    def varz(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/varz", timeout=10) as answer:
            return json.load(answer)

    def wait_healthy(self):
        """Gives the seconds since it was started."""
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/healthz", timeout=10):
                    return time.monotonic() - self.started
            except urllib.error.HTTPError:
                time.sleep(0.002)

    def bench(self, mode, *flags, **options):
        command = [WEIR, "bench", mode, *flags, "--json", "--quiet", "--server", f"nats://{self.login}127.0.0.1:{self.port}",
                   "--server-pid", str(self.process.pid)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        return run_bench(command)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_bench(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)}\n{done.stderr}{done.stdout}")
    result = json.loads(done.stdout)
    if result["wrong"]:
        sys.exit(f"bench: {result['wrong']} wrong payloads in {' '.join(command)}")
    return result


def median(results, field):
    return statistics.median(result[field] for result in results)


class Verdicts:
    def __init__(self, quick):
        self.quick, self.missed = quick, 0

    def check(self, text, fine):
        if self.quick:
            return print(f"  {text}")
        print(f"  {'ok    ' if fine else 'MISSED'} {text}")
        self.missed += not fine
