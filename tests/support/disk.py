"""A disk that notes what is done to one folder, fails on order, and can be rebuilt as a power cut would leave it.

What an fsync has not covered may be lost, in any part and order: file contents in pieces of 512 bytes, and the names
in the folder (creations, renames, removals) each by itself.
"""

import io
import os
import random
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import charrnn.atomic
import charrnn.runs.log

SECTOR = 512


class Content:
    """A file's bytes: those that are safe, and the changes since, in order."""

    def __init__(self, safe: bytes = b""):
        self.safe = safe
        self.since: list[tuple[str, int, bytes]] = []

    def after(self, changes: list[tuple[str, int, bytes]]) -> bytes:
        data = bytearray(self.safe)
        for kind, place, piece in changes:
            if kind == "truncate":
                data = data[:place].ljust(place, b"\0")
            else:
                data = data.ljust(place, b"\0")
                data[place : place + len(piece)] = piece
        return bytes(data)

    def copy(self) -> "Content":
        other = Content(self.safe)
        other.since = list(self.since)
        return other


class State:
    """What a folder holds at one instant: safe names, changes of names since, and the contents of all files."""

    def __init__(self) -> None:
        self.safe: dict[str, int] = {}
        self.since: list[tuple[str, str, Any]] = []
        self.contents: dict[int, Content] = {}

    def copy(self) -> "State":
        other = State()
        other.safe, other.since = dict(self.safe), list(self.since)
        other.contents = {number: content.copy() for number, content in self.contents.items()}
        return other

    def names(self, changes: list[tuple[str, str, Any]]) -> dict[str, int]:
        names = dict(self.safe)
        for kind, name, detail in changes:
            if kind == "create":
                names[name] = detail
            elif kind == "remove":
                names.pop(name, None)
            else:
                target, number = detail
                names.pop(name, None)
                names[target] = number
        return names

    def rebuild(self, folder: Path, rng: random.Random) -> bool:
        """Write into an empty folder what a power cut may leave of this; return whether anything was lost."""
        mode = rng.choice(["nothing lost", "all lost", "some", "some", "some"])
        names = self.names(_kept(self.since, mode, rng))
        lost = mode != "nothing lost" and bool(self.since)
        for name, number in names.items():
            content = self.contents[number]
            kept = _torn(_kept(content.since, mode, rng), rng) if mode == "some" else _kept(content.since, mode, rng)
            lost |= mode != "nothing lost" and bool(content.since)
            (folder / name).write_bytes(content.after(kept))
        return lost


def _kept(changes: list, mode: str, rng: random.Random) -> list:
    if mode == "some":
        return [change for change in changes if rng.random() < 0.5]
    return list(changes) if mode == "nothing lost" else []


def _torn(changes: list[tuple[str, int, bytes]], rng: random.Random) -> list[tuple[str, int, bytes]]:
    """Return the changes with each write cut into sectors, of which some are lost."""
    torn = []
    for kind, place, piece in changes:
        if kind == "truncate":
            torn.append((kind, place, piece))
            continue
        for low in range(0, len(piece), SECTOR):
            if rng.random() < 0.8:
                torn.append((kind, place + low, piece[low : low + SECTOR]))
    return torn


class Disk:
    """Watches a folder while `at_work`; `before(kind)` is called ahead of every operation and may raise OSError."""

    def __init__(self, folder: Path, before: Callable[[str], None] = lambda kind: None):
        self.folder, self.before = folder, before
        self.state = State()
        self.states: list[State] = []
        self.open_numbers: dict[int, int] = {}
        self.operations: list[str] = []

    @contextmanager
    def at_work(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Take the place of what charrnn writes with."""
        with monkeypatch.context() as patch:
            for module in (charrnn.atomic, charrnn.runs.log):
                patch.setattr(module, "open", self._open_file, raising=False)
            self.real = {name: getattr(os, name) for name in ("open", "fsync", "replace", "unlink")}
            patch.setattr(os, "open", self._open)
            patch.setattr(os, "fsync", self._fsync)
            patch.setattr(os, "replace", self._replace)
            patch.setattr(os, "unlink", self._unlink)
            yield self

    def note(self, kind: str) -> None:
        """Keep the state after an operation: a crash may come now."""
        self.operations.append(kind)
        self.states.append(self.state.copy())

    def is_ours(self, path: Any) -> bool:
        return isinstance(path, str | Path) and Path(path).parent == self.folder

    def created(self, name: str) -> None:
        number = len(self.state.contents)
        self.state.contents[number] = Content()
        self.state.since.append(("create", name, number))
        self.note("create")

    def number(self, name: str) -> int:
        return self.state.names(self.state.since)[name]

    def _open(self, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if not self.is_ours(path):
            return self.real["open"](path, flags, *rest, **more)
        is_new = not os.path.exists(path)
        if is_new and flags & os.O_CREAT:
            self.before("create")
        descriptor = self.real["open"](path, flags, *rest, **more)
        if is_new:
            self.created(Path(path).name)
        self.open_numbers[descriptor] = self.number(Path(path).name)
        return descriptor

    def _open_file(self, path: Any, mode: str = "r", buffering: int = -1) -> Any:
        if isinstance(path, int):
            raw = _Raw(self, self.open_numbers[path], path, mode)
        elif self.is_ours(path) and mode != "rb":
            is_new = not os.path.exists(path)
            if is_new:
                self.before("create")
            raw = _Raw(self, -1, path, mode)
            if is_new:
                self.created(Path(path).name)
            raw.number = self.open_numbers[raw.fileno()] = self.number(Path(path).name)
        else:
            return open(path, mode, buffering)
        return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

    def _fsync(self, descriptor: int) -> None:
        self.before("fsync")
        self.real["fsync"](descriptor)
        if os.path.samestat(os.fstat(descriptor), os.stat(self.folder)):
            self.state.safe, self.state.since = self.state.names(self.state.since), []
        elif descriptor in self.open_numbers:
            content = self.state.contents[self.open_numbers[descriptor]]
            content.safe, content.since = content.after(content.since), []
        self.note("fsync")

    def _replace(self, source: Any, target: Any) -> None:
        self.before("rename")
        number = self.number(Path(source).name)
        self.real["replace"](source, target)
        self.state.since.append(("rename", Path(source).name, (Path(target).name, number)))
        self.note("rename")

    def _unlink(self, path: Any, *rest: Any, **more: Any) -> None:
        if self.is_ours(path) and os.path.lexists(path):
            self.before("unlink")
            self.state.since.append(("remove", Path(path).name, None))
            self.real["unlink"](path, *rest, **more)
            self.note("unlink")
        else:
            self.real["unlink"](path, *rest, **more)


class _Raw(io.FileIO):
    """A file whose writes are noted."""

    def __init__(self, disk: Disk, number: int, path: Any, mode: str):
        super().__init__(path, mode)
        self.disk, self.number = disk, number

    def write(self, data: Any) -> int:
        self.disk.before("write")
        place = self.tell()
        written = super().write(data)
        self.disk.state.contents[self.number].since.append(("write", place, bytes(data)[:written]))
        self.disk.note("write")
        return written

    def truncate(self, size: int | None = None) -> int:
        self.disk.before("truncate")
        place = self.tell() if size is None else size
        super().truncate(place)
        self.disk.state.contents[self.number].since.append(("truncate", place, b""))
        self.disk.note("truncate")
        return place
