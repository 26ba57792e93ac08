"""The cache of object code: what is stored, what is never trusted, and what must not be an error."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import charrnn.compiled.cache as cache
from charrnn.cells import CELLS
from charrnn.cells.trace import Trace
from charrnn.compiled.machine import Machine
from support.compiled_scans import Quick, compiled, errors
from support.toys import TOYS, UNITS, random_cell

CODE = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return the folder in which the cache has its files."""
    # pytest's own folder may be in one that others write to.
    (tmp_path / "ours").mkdir(mode=0o755)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "ours"))
    # The user who runs the tests may have a group alone.
    monkeypatch.setattr(cache, "_is_private", lambda gid: False)
    return tmp_path / "ours" / "code"


class Maker:
    """Makes code, and counts how often."""

    def __init__(self, code: bytes = CODE):
        self.code, self.calls = code, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.code


def made(key: bytes = b"key", code: bytes = CODE) -> bool:
    """Return whether the cache had the code made."""
    maker = Maker(code)
    assert cache.cached(key, maker) == code
    return bool(maker.calls)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_code_is_made_once_for_each_key(folder):
    assert made() and not made()
    assert made(b"other", b"other code") and not made(b"other", b"other code") and not made()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    # Without a key nothing is known about the code.
    assert made(b"") and made(b"")


def test_umask_does_not_matter(folder):
    for umask in (0o000, 0o002, 0o077):
        before = os.umask(umask)
        try:
            assert made(str(umask).encode()) and not made(str(umask).encode())
        finally:
            os.umask(before)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 100, len(CODE) + 31])
def test_a_truncated_file_is_made_anew(folder, size):
    made()
    with open(only(folder), "r+b") as file:
        file.truncate(size)
    assert made() and not made()


@pytest.mark.parametrize("place", [0, 31, 32, 1000, -1])
def test_a_changed_file_is_made_anew(folder, place):
    made()
    content = bytearray(only(folder).read_bytes())
    content[place] ^= 1
    only(folder).write_bytes(content)
    assert made() and not made()


def test_code_under_the_name_of_another_is_not_taken(folder):
    made()
    first = only(folder)
    made(b"other", b"other code")
    (second,) = {*folder.iterdir()} - {first}
    second.write_bytes(first.read_bytes())
    assert made(b"other", b"other code")


def is_used(folder: Path) -> bool:
    """Return whether code is read from the cache, or written to it."""
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} if folder.exists() else {}
    os_read = not made()
    os_written = made(b"new") and folder.exists() and {path.name for path in folder.iterdir()} != {*before}
    return os_read or os_written


@pytest.mark.parametrize("mode", [0o722, 0o770, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_not_used(folder, mode):
    made()
    folder.chmod(mode)
    assert not is_used(folder)


@pytest.mark.parametrize("mode, safe", [(0o757, False), (0o775, False), (0o1777, True), (0o755, True)])
def test_nor_one_inside_such_a_folder(folder, mode, safe):
    """Except in one in which only the owner of an entry can change it, such as /tmp."""
    made()
    folder.parent.chmod(mode)
    assert is_used(folder) == safe


def test_the_group_of_this_user_alone_may_write(folder, monkeypatch):
    made()
    folder.parent.chmod(0o775)
    monkeypatch.setattr(cache, "_is_private", lambda gid: gid == folder.stat().st_gid)
    assert is_used(folder)
    # A list of other users who may write.
    monkeypatch.setattr(os, "listxattr", lambda path: ["system.posix_acl_access"], raising=False)
    assert not is_used(folder)


def test_which_group_is_of_one_user(monkeypatch):
    """Some systems make a group for each user."""
    user, group = cache.pwd.struct_passwd, cache.grp.struct_group
    me = user(("me", "x", 7, 8, "", "/", "/"))
    monkeypatch.setattr(cache.pwd, "getpwuid", lambda uid: me)
    for found, private in (
        (("me", "x", 8, []), True),
        (("me", "x", 8, ["me"]), True),
        (("me", "x", 8, ["me", "you"]), False),
        (("users", "x", 8, []), False),
        (("me", "x", 9, []), False),
    ):
        monkeypatch.setattr(cache.grp, "getgrgid", lambda gid, found=found: group(found))
        assert cache._is_private(found[2]) == private


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_read(folder, mode):
    made()
    only(folder).chmod(mode)
    assert made()
    # It was replaced by our own.
    assert not made()


def test_what_another_user_owns_is_not_used(folder, monkeypatch):
    made()
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)
    assert not is_used(folder)


def test_a_link_is_not_read(folder, tmp_path):
    made()
    path = only(folder)
    path.rename(tmp_path / path.name)
    path.symlink_to(tmp_path / path.name)
    assert made()


def test_a_link_in_a_folder_of_others_is_not_followed(folder, tmp_path, monkeypatch):
    made()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "shared" / "link").symlink_to(folder.parent)
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "link")
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "link"))
    assert not is_used(folder)
    (tmp_path / "shared").chmod(0o755)
    assert is_used(folder)


def test_what_is_in_the_way_of_a_file_is_no_error(folder):
    made()
    path = only(folder)
    path.unlink()
    os.mkfifo(path)
    # A pipe would wait for a writer.
    assert made() and not made()
    path.unlink()
    path.mkdir()
    assert made() and made()


@pytest.mark.parametrize("base", ["/dev/null", "/dev/null/below", "~nobody-of-this-name/x"])
def test_an_impossible_folder_is_no_error(base, monkeypatch):
    monkeypatch.setattr(cache.caches, "folder", lambda: Path(base).expanduser())
    assert made() and made()


def test_links_in_a_circle_are_no_error(tmp_path, monkeypatch):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "a"))
    assert made() and made()


@pytest.mark.parametrize("call", ["mkdir", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_no_error(folder, call, number, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert made() and made()
    assert not folder.exists() or not [*folder.iterdir()]
    assert made() and not made()


def test_the_oldest_entries_go(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 5 * (len(CODE) + 32))
    for number in range(9):
        assert made(b"%d" % number)
        for path in folder.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100))
        # The first one is used again and again.
        assert not made(b"0")
    assert len([*folder.iterdir()]) == 5
    assert not made(b"8") and not made(b"0") and made(b"2")


def test_files_of_killed_processes_go(folder):
    made()
    old, new = (folder / f".x.{name}{cache.TEMPORARY}" for name in ("old", "new"))
    for path in (old, new, folder / "of-somebody-else"):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(folder / "of-somebody-else", (0, 0))
    made(b"other")
    assert not old.exists() and new.exists() and (folder / "of-somebody-else").exists()


def test_many_threads_at_once(folder):
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.cached(b"key", Maker()))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CODE] * 16
    assert not made() and only(folder)


def test_a_scan_from_the_cache_is_the_same(folder, monkeypatch):
    cell = CELLS["lstm-layernorm"]
    problem, scan = compiled(cell, 5, 3, 3, "float32")
    first = errors(scan, problem, "float32")

    def fail(*arguments):
        raise AssertionError("it was compiled again")

    for module in ("charrnn.compiled.scan.ScanCode", "charrnn.compiled.scan.Products"):
        monkeypatch.setattr(module, fail)
    assert errors(compiled(cell, 5, 3, 3, "float32")[1], problem, "float32") == first
    for options in (
        {"dtype": "float64"},
        {"units": 6},
        {"emitted": ("h",)},
        {"resets": False},
        {"machine": Machine()},
        {"cell": CELLS["lstm"]},
    ):
        with pytest.raises(AssertionError, match="compiled again"):
            compiled(**{"cell": cell, "units": 5, "steps": 3, "rows": 3, "dtype": "float32", **options})


def test_descriptions_tell_cells_apart():
    cells = [*CELLS.values(), *TOYS.values(), *(random_cell(seed) for seed in range(100))]
    descriptions = [repr(cache.described(Trace(cell, UNITS))) for cell in cells]
    assert len({*descriptions}) == len(cells)


def test_the_key_tells_machines_and_sources_apart(monkeypatch):
    machine, other = Quick(), Quick()
    assert cache.key(machine, 1) == cache.key(other, 1) != cache.key(machine, 2)
    other.cpu = "another"
    keys = {cache.key(machine, 1), cache.key(other, 1)}
    monkeypatch.setattr(cache, "_source", lambda: "another")
    keys.add(cache.key(machine, 1))
    monkeypatch.setattr(cache.llvm, "llvm_version_info", (1, 2, 3))
    keys.add(cache.key(machine, 1))
    assert len(keys) == 4

    def unreadable():
        raise OSError

    monkeypatch.setattr(cache, "_source", unreadable)
    assert cache.key(machine, 1) == b""


def test_keys_are_the_same_in_another_process():
    """Python orders sets of strings anew in every process."""
    program = (
        "import os; from charrnn.compiled import scan;"
        "scan.cached = lambda key, make: print(key.hex(), flush=True) or os._exit(0);"
        "from charrnn.cells import CELLS; scan.CompiledScan(CELLS['slstm'], 3, ('h',), True, 'float32')"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1 and len(keys.pop()) > 1000
