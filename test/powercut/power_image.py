# SPDX-License-Identifier: Apache-2.0
"""From a directory as it was and the journal of powercut.c: the directory as it is, and what a power cut could leave of it.

A file's content is durable up to the writes noted before a sync of it began that succeeded; a name up to a sync of the folder that
it is in. Of what is not durable, `image()` keeps nothing, or, given a generator of random numbers, any 4 KiB blocks of data and any
beginning of the changes of names in each folder. Nothing here shares code with what it tests.
"""
import os
import struct

NOTE = struct.Struct("<B3xIQQQ")
BLOCK = 4096


class File:
    """Content as a list of operations: ("write", offset, bytes or the count of zeros) and ("truncate", length)."""

    def __init__(self, content=b""):
        self.base, self.operations, self.durable = content, [], 0

    def content(self, count, survives=None):
        data = bytearray(self.base)
        for index, (kind, offset, what) in enumerate(self.operations[:len(self.operations) if survives else count]):
            if index < count:
                apply(data, kind, offset, what)
            elif kind == "truncate":
                if survives():
                    apply(data, kind, offset, what)
            else:
                write_some(data, offset, what, survives)
        return bytes(data)


def apply(data, kind, offset, what):
    size = offset if kind == "truncate" else offset + (what if isinstance(what, int) else len(what))
    if kind == "truncate":
        del data[size:]
    if len(data) < size:
        data.extend(bytes(size - len(data)))
    if kind == "write":
        data[offset:size] = bytes(what) if isinstance(what, int) else what


def write_some(data, offset, what, survives):
    what = bytes(what) if isinstance(what, int) else what
    at = 0
    while at < len(what):
        size = min(BLOCK - (offset + at) % BLOCK, len(what) - at)
        if survives():
            apply(data, "write", offset + at, what[at:at + size])
        at += size


class Folder:
    """Names as a list of operations: (name, File, Folder or None)."""

    def __init__(self):
        self.operations, self.durable = [], 0

    def put(self, name, what):
        self.operations.append((name, what))

    def names(self, count=None):
        names = {}
        for name, what in self.operations[:count]:
            names.pop(name, None)
            if what is not None:
                names[name] = what
        return names


class Image:
    """A directory and its history."""

    def __init__(self, directory):
        self.root = self.load(directory)
        self.syncs = {}  # folder or first part of the path → how many syncs of files in it succeeded

    def load(self, directory):
        folder = Folder()
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.is_dir():
                folder.put(entry.name, self.load(entry.path))
            else:
                with open(entry.path, "rb") as file:
                    folder.put(entry.name, File(file.read()))
        folder.durable = len(folder.operations)
        return folder

    def find(self, path):
        """(folder, name) of a relative path; the root itself is (None, "")."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        folder = self.root
        for part in parts[:-1]:
            folder = folder.names()[part]
        return (folder, parts[-1]) if parts else (None, "")

    def open(self, path, created):
        folder, name = self.find(path)
        if folder is None:
            return self.root
        if created:
            folder.put(name, File())
        return folder.names()[name]

    def replay(self, journal):
        """Takes in a journal, up to a note that is not whole."""
        with open(journal, "rb") as file:
            data = file.read()
        files, begun, at = {}, {}, 0
        while at + NOTE.size <= len(data):
            kind, number, offset, count, size = NOTE.unpack_from(data, at)
            body = data[at + NOTE.size:at + NOTE.size + size]
            if len(body) < size:
                break
            at += NOTE.size + size
            self.take(chr(kind), number, offset, count, body, files, begun)

    def take(self, kind, number, offset, count, body, files, begun):
        if kind == "O":
            files[number] = (self.open(body.decode(), offset), body.decode())
        elif kind == "W":
            files[number][0].operations.append(("write", offset, body))
        elif kind == "Z":
            files[number][0].operations.append(("write", offset, count))
        elif kind == "T":
            files[number][0].operations.append(("truncate", offset, None))
        elif kind == "B":
            begun[count] = len(files[number][0].operations)
        elif kind == "E":
            what, path = files[number]
            what.durable = max(what.durable, begun[count])
            place = path.split("/")[0]
            self.syncs[place] = self.syncs.get(place, 0) + 1
        elif kind == "R":
            old, new = body.decode().split("\0")
            folder, name = self.find(old)
            moved = folder.names()[name]
            folder.put(name, None)
            folder, name = self.find(new)
            folder.put(name, moved)
        elif kind == "U":
            folder, name = self.find(body.decode())
            folder.put(name, None)
        elif kind == "M":
            folder, name = self.find(body.decode())
            folder.put(name, Folder())
        else:
            raise AssertionError(f"the journal has a note of kind {kind!r}")

    def write(self, directory, random=None, everything=False, share=0.5):
        """Makes the directory: with `everything` as the process saw it; else what a power cut leaves."""
        self.write_folder(self.root, directory, random, everything, share)

    def write_folder(self, folder, directory, random, everything, share):
        os.mkdir(directory)
        count = len(folder.operations) if everything else folder.durable
        if random and not everything:
            count = random.randint(count, len(folder.operations))
        for name, what in folder.names(count).items():
            path = os.path.join(directory, name)
            if isinstance(what, Folder):
                self.write_folder(what, path, random, everything, share)
                continue
            survives = (lambda: random.random() < share) if random and not everything else None
            with open(path, "wb") as file:
                file.write(what.content(len(what.operations) if everything else what.durable, survives))
