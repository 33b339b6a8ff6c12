# SPDX-License-Identifier: Apache-2.0
"""Servers under libpowercut.so, and what a power cut leaves of their directories."""
import os
import shutil

from power_image import Image
from weirtest import LIMIT, Server, eventually

SHIM = os.path.join(os.environ.get("BUILD", "build"), "test/powercut/libpowercut.so")
FLAGS = ("--log_bytes", "16M")


def start(directory, number, *flags, wait=True, aim=None):
    """A server on directory/NUMBER, whose state at the beginning is kept beside it. `aim`: more of the environment (aim.h)."""
    data = os.path.join(directory, str(number))
    os.makedirs(data, exist_ok=True)
    shutil.copytree(data, data + ".before")
    env = {"LD_PRELOAD": SHIM, "POWERCUT_DIR": os.path.realpath(data), "POWERCUT_JOURNAL": data + ".journal",
           "POWERCUT_DELAY": data + ".delay", **(aim or {})}
    server = Server(data, *FLAGS, *flags, env=env)
    server.delay = lambda ms: set_delay(data + ".delay", ms)
    return server.start(wait)


def wait_touched(directory, number):
    """Waits until a server that was started without waiting has touched its directory: a process that a busy machine has only just made
    has no journal yet, and a cut then would be a cut of nothing."""
    journal = os.path.join(directory, f"{number}.journal")
    eventually(lambda: os.path.exists(journal) and os.path.getsize(journal) > 0, "the server touches its directory", 3 * LIMIT)


def set_delay(path, ms):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(str(ms))
    os.rename(path + ".new", path)


def cut(server, directory, number, chance=None):
    """Kills the server, unless an aim has, and makes directory/NUMBER+1 as the power cut left it. Gives the image."""
    if not server.process.returncode:
        server.kill()
    data = os.path.join(directory, str(number))
    image = Image(data + ".before")
    image.replay(data + ".journal")
    image.write(os.path.join(directory, str(number + 1)), chance)
    return image


def forget(directory, number):
    for name in (f"{number}", f"{number}.before", f"{number}.journal"):
        path = os.path.join(directory, name)
        (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
