"""The cache on disk of object code, so that a cell is compiled once.

What is in it will be executed. So nobody else may be able to change it: every folder and link on the way to it, and the
file itself, must belong to this user (a folder also to the system), and no other user may write there. Otherwise the
cache is neither read nor written. A file begins with a digest of its name and the rest: what is damaged is made anew.
"""

import contextlib
import grp
import hashlib
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

import charrnn.cells.cell
import charrnn.cells.trace
from charrnn import caches
from charrnn.atomic import TEMPORARY, replacing
from charrnn.cells.trace import Node, Trace
from charrnn.compiled.machine import Machine

# When there are more bytes than this, the entries that were not used for the longest time go.
LIMIT = 64 << 20
_ENDING = ".code"
_DIGEST = hashlib.sha256().digest_size
# More links than this on the way to a file are a circle.
_LINKS = 40


def key(machine: Machine, *facts: object) -> bytes:
    """Return a key for code that is made for a machine from `facts`, whose `repr` says all about them.

    The versions of the compiler and the source of this package are part of it. If that cannot be read, the key is
    empty, and nothing is cached.
    """
    of_machine = [type(machine).__name__, *(value for _, value in sorted(vars(machine).items()))]
    try:
        return repr([llvmlite.__version__, llvm.llvm_version_info, _source(), of_machine, facts]).encode()
    except OSError:
        return b""


def described(trace: Trace) -> list[object]:
    """Return all that a trace says, for `key`."""
    places = {node: place for place, node in enumerate(trace.nodes)}

    def operand(x: object) -> object:
        return f"node {places[x]}" if isinstance(x, Node) else float(x)  # type: ignore[arg-type]

    return [
        [
            *(node.operation, node.name, node.width, node.low, [operand(x) for x in node.operands]),
            None if node.value is None else [float(x) for x in node.value],
        ]
        for node in trace.nodes
    ] + [places[node] for node in trace.new]


@cache
def _source() -> str:
    """Return the digest of the code that makes code."""
    files = [Path(module.__file__ or "") for module in (charrnn.cells.trace, charrnn.cells.cell)]
    files += sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def cached(key: bytes, make: Callable[[], bytes]) -> bytes:
    """Return the code for a key: from the cache, or made and stored there. A cache that cannot be used is no error."""
    if not key:
        return make()
    path = None
    # RuntimeError: the user has no home.
    with contextlib.suppress(OSError, RuntimeError):
        path = caches.folder().absolute() / "code" / f"{hashlib.sha256(key).hexdigest()}{_ENDING}"
        with contextlib.suppress(FileNotFoundError):
            code = _read(path)
            if code is not None:
                return code
    code = make()
    if path is not None:
        with contextlib.suppress(OSError):
            _write(path, code)
    return code


def _read(path: Path) -> bytes | None:
    """Return the code in a file, or None if it is damaged or cannot be trusted."""
    if not _is_safe(path.parent):
        return None
    # Neither a link nor a pipe is followed.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or _others_write(file.fileno(), facts):
            return None
        content = file.read()
    code = content[_DIGEST:]
    if content[:_DIGEST] != _digest(path, code):
        return None
    # It is used now, so others go first. A read-only cache works too.
    with contextlib.suppress(OSError):
        os.utime(path)
    return code


def _write(path: Path, code: bytes) -> None:
    folder = path.parent
    if not _is_safe(folder):
        return
    for missing in reversed([parent for parent in (folder, *folder.parents) if not parent.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if not _is_safe(folder) or folder.stat().st_uid != os.geteuid():
        return
    with replacing(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(_digest(path, code) + code)
    _make_room(folder, path)


def _digest(path: Path, code: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + code).digest()


def _make_room(folder: Path, new: Path) -> None:
    """Remove files of killed processes, and, except for the new one, the entries that were not used for longest."""
    ages = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            facts = path.stat()
            if path.name.endswith(TEMPORARY):
                if time.time() - facts.st_mtime > 3600:
                    path.unlink()
            elif path.name.endswith(_ENDING) and path != new:
                ages.append((facts.st_mtime, facts.st_size, path))
    left = LIMIT - new.stat().st_size
    for _, size, path in sorted(ages, reverse=True):
        left -= size
        if left < 0:
            path.unlink(missing_ok=True)


def _is_safe(folder: Path) -> bool:
    """Return whether nobody else can change what a folder's name leads to; what does not exist yet is safe."""
    with contextlib.suppress(FileNotFoundError):
        for path in _way(folder):
            facts = path.lstat()
            # In a folder with this mark, such as /tmp, only the owner of an entry can change it.
            marked = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX and path != folder
            if facts.st_uid not in (0, os.geteuid()):
                return False
            if not stat.S_ISLNK(facts.st_mode) and not marked and _others_write(path, facts):
                return False
    return True


def _way(path: Path) -> Iterator[Path]:
    """Yield every folder and every link that is passed on the way to a path."""
    way, pending, links = Path(path.anchor), list(reversed(path.parts)), 0
    while pending:
        step = way / pending.pop()
        yield step
        if step.is_symlink():
            links += 1
            if links > _LINKS:
                raise OSError("too many links")
            pending += reversed(Path(os.readlink(step)).parts)
        else:
            way = step


def _others_write(path: Path | int, facts: os.stat_result) -> bool:
    """Return whether another user may write to a file or folder."""
    if facts.st_mode & stat.S_IWOTH:
        return True
    if not facts.st_mode & stat.S_IWGRP:
        return False
    # With a list of users who may write, these bits are not those of the group.
    listed = hasattr(os, "listxattr") and "system.posix_acl_access" in os.listxattr(path)
    return listed or not _is_private(facts.st_gid)


def _is_private(gid: int) -> bool:
    """Return whether a group is the one that some systems make for each user alone."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
