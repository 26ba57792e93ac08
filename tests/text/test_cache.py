"""Large texts on disk: read once, noticed when they change, rebuilt when damaged, and nothing left half made."""

import array
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text import cache, codes
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import charrnn_in
from support.models import write_model

LIMIT = 1000
LONG_AGO = 1_000_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Return the folder of the cache; what is longer than LIMIT goes there."""
    monkeypatch.setattr(cache, "IN_MEMORY", LIMIT)
    monkeypatch.setattr(codes, "IN_MEMORY", LIMIT)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def book(tmp_path):
    return write(tmp_path / "book.txt", "One two, thrée ☞\n" * 100)


def write(path, content, when=LONG_AGO):
    """Write a file that was last changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (when, when))
    return path


def read(*sources, **settings):
    """Return a text, and how many bytes of it had to be read."""
    read_so_far = [0]
    text = read_text(sources, TextConfig(**settings), watch=lambda done, total: read_so_far.append(done))
    return text, read_so_far[-1]


def entries(folder):
    return [path for path in folder.iterdir() if path.is_dir()] if folder.exists() else []


def facts(text):
    """Return all that is known of a text but its codes' place."""
    arrays = {name: value.tolist() for name, value in vars(text).items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in (vars(text) | arrays).items() if name != "_points"}


# --- What is kept, and used again ---


def test_a_large_text_is_read_once(book, folder):
    first, size = read(book)
    assert size == book.stat().st_size > LIMIT
    (entry,) = entries(folder)
    assert sorted(path.name for path in entry.iterdir()) == ["about.json", "codes"]
    assert (entry / "codes").stat().st_size == len(first) == 1700
    again, size = read(book)
    assert size == 0 and facts(again) == facts(first) and entries(folder) == [entry]
    assert again.decode() == first.decode() == book.read_text()
    # Mapped, not in memory, and not to be written to.
    assert isinstance(again.codes.base, np.memmap) and not again.codes.flags.writeable


def test_a_small_text_leaves_nothing(tmp_path, folder):
    path = write(tmp_path / "small.txt", b"x" * LIMIT)
    assert [read(path)[1], read(path)[1]] == [LIMIT, LIMIT] and not folder.exists()


@pytest.mark.parametrize("symbols", [3, 300, 66_000])
def test_the_text_of_the_cache_is_that_of_memory(symbols, tmp_path, monkeypatch):
    letters = "".join(chr(0x100 + n + 2048 * (n >= 0xD700)) for n in range(symbols))
    paths = [write(tmp_path / f"{n}.txt", letters[n:] + "\r\n" + letters * (1 + 1000 // symbols)) for n in range(3)]
    for settings in (
        {},
        {"newlines": "lf", "lower": True},
        {"one_per_line": True},
        {"separator": "\x1e"},
        {"bytes": True},
        {"documents_between": "\r\n"},
    ):
        on_disk = [facts(read(*paths, **settings)[0]) for _ in range(2)]
        assert read(*paths, **settings)[1] == 0
        with monkeypatch.context() as patch:
            patch.setattr(codes, "IN_MEMORY", 1 << 30)
            patch.setenv("CHARRNN_CACHE", str(tmp_path / "another"))
            in_memory = facts(read(*paths, **settings)[0])
        assert on_disk == [in_memory, in_memory]


def test_what_was_named_is_told_anew(tmp_path, monkeypatch):
    """The run's name and its sources are of this command line, whichever filled the cache."""
    path = write(tmp_path / "deep" / "book.txt", b"book\n" * 300)
    read(tmp_path / "deep")
    monkeypatch.chdir(tmp_path)
    text = read_text(["deep/*.txt"], include=["*.md"])
    assert (text.sources, text.include) == ((str(tmp_path / "deep" / "*.txt"),), ("*.md",))
    assert read_text([path]).name == "book"


# --- What is noticed ---


def change_size(path):
    write(path, path.read_bytes() + b"!")


def change_time(path):
    os.utime(path, (LONG_AGO, LONG_AGO + 1))


def change_time_by_a_tick(path):
    os.utime(path, ns=(LONG_AGO * 10**9, LONG_AGO * 10**9 + 1))


def replace_file(path):
    other = write(path.with_name("other"), path.read_bytes()[::-1])
    other.replace(path)


@pytest.mark.parametrize("change", [change_size, change_time, change_time_by_a_tick, replace_file])
def test_a_change_is_noticed(change, tmp_path):
    one, two = (write(tmp_path / name, f"{name} is fine\n" * 100) for name in ("one", "two"))
    read(one, two)
    assert read(one, two)[1] == 0
    change(two)
    text, size = read(one, two)
    assert size == text.byte_count and text.sha256 == hashlib.sha256(one.read_bytes() + two.read_bytes()).hexdigest()
    text, size = read(one, two)
    assert size == 0 and text.sha256 == hashlib.sha256(one.read_bytes() + two.read_bytes()).hexdigest()


def test_other_options_are_another_text(book):
    read(book)
    for settings in (
        {"encoding": "latin-1"},
        {"errors": "replace"},
        {"newlines": "lf"},
        {"normalize": "nfd"},
        {"lower": True},
        {"bytes": True},
        {"one_per_line": True},
        {"documents_between": "a"},
        {"separator": "|"},
        {"reset_at_documents": True},
    ):
        text, size = read(book, **settings)
        assert size == book.stat().st_size and text.config == TextConfig(**settings), settings
        again, size = read(book, **settings)
        assert size == 0 and facts(again) == facts(text), settings


def test_other_files_and_another_order_are_another_text(tmp_path):
    one, two = (write(tmp_path / "folder" / name, f"{name}\n" * 400) for name in ("one", "two"))
    assert read(one, two)[1] and read(two, one)[1] and read(one)[1] and read(one, one)[1]
    assert read(two, one)[0].decode().startswith("two")
    write(tmp_path / "folder" / "zwei", b"new")
    read(tmp_path / "folder")
    assert read(tmp_path / "folder")[1] == 0
    write(tmp_path / "folder" / "third", b"newer")
    assert "newer" in read(tmp_path / "folder")[0].decode()


def test_a_binary_file_that_a_folder_passes_over_is_read_when_it_is_named(tmp_path):
    one, two = write(tmp_path / "of" / "a.txt", b"text\n" * 300), write(tmp_path / "of" / "b", b"\0binary\n" * 300)
    assert len(read(tmp_path / "of")[0]) == 1500
    assert len(read(one, two)[0]) == 1500 + 2400
    assert len(read(tmp_path / "of")[0]) == 1500


def test_a_file_that_was_just_written_is_not_trusted(book, folder):
    now = time.time()
    for when in (now, now - 1, now + 3600):
        os.utime(book, (when, when))
        assert [read(book)[1], read(book)[1]] == [book.stat().st_size] * 2
    assert not list(folder.glob("*.seen"))
    # What nobody would find again is not kept.
    assert not list(folder.iterdir())
    os.utime(book, (now - 60, now - 60))
    assert read(book)[1] and not read(book)[1]


def test_a_file_that_changes_while_it_is_read_is_not_trusted(book, folder):
    appended = []

    def append(done, total):
        if not appended:
            with open(book, "ab") as file:
                appended.append(file.write(b"more"))
            os.utime(book, (LONG_AGO, LONG_AGO))

    read_text([book], watch=append)
    assert not list(folder.glob("*.seen"))
    text, size = read(book)
    assert size == len(book.read_bytes()) and text.decode().endswith("more")


def test_a_pipe_is_never_taken_for_what_came_before(tmp_path, folder):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for content in (b"first\n" * 3000, b"other\n" * 3000):
        # A descriptor for both ways, so that nobody waits for anybody; it is closed when the first block was read.
        writer = os.open(path, os.O_RDWR)
        os.write(writer, content)
        done = []

        def close(done_now, total, writer=writer, done=done):
            if not done:
                os.close(writer)
            done.append(total)

        assert read_text([path], watch=close).decode() == content.decode()
        # How much there is, is known only at its end.
        assert set(done[:-1]) == {None} and done[-1] == len(content)
    assert not list(folder.glob("*.seen"))


# --- Damage ---


def truncate(entry):
    os.truncate(entry / "codes", 500)


def lengthen(entry):
    with open(entry / "codes", "ab") as file:
        file.write(b"\0")


def blank(entry):
    os.truncate(entry / "codes", 0)


def lose_codes(entry):
    (entry / "codes").unlink()


def lose_about(entry):
    (entry / "about.json").unlink()


def change_about(entry):
    about = (entry / "about.json").read_bytes()
    assert b"book.txt" in about
    (entry / "about.json").write_bytes(about.replace(b"book.txt", b"cook.txt"))


def lose_all(entry):
    lose_codes(entry)
    lose_about(entry)
    entry.rmdir()


@pytest.mark.parametrize("damage", [truncate, lengthen, blank, lose_codes, lose_about, change_about, lose_all])
def test_a_damaged_entry_is_made_anew(damage, book, folder):
    before = facts(read(book)[0])
    (entry,) = entries(folder)
    damage(entry)
    text, size = read(book)
    assert size == book.stat().st_size and facts(text) == before
    text, size = read(book)
    assert size == 0 and facts(text) == before
    assert entries(folder) == [entry]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"..", b"\0", b"/", b"0" * 64])
def test_a_damaged_name_of_an_entry_is_made_anew(content, book, folder):
    before = facts(read(book)[0])
    (seen,) = folder.glob("*.seen")
    seen.write_bytes(content)
    assert [read(book)[1], read(book)[1]] == [book.stat().st_size, 0]
    assert facts(read(book)[0]) == before


# --- Interruptions ---


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(error, tmp_path, folder):
    book = write(tmp_path / "large.txt", b"line\n" * 20_000)
    met = []

    def stop(done, total):
        met.append(done)
        assert total == 100_000
        if len(met) == 2:
            assert [path.suffix for path in entries(folder)] == [".part"]
            raise error

    with pytest.raises(error):
        read_text([book], watch=stop)
    assert len(met) == 2 and list(folder.iterdir()) == []
    assert read(book)[0].decode() == book.read_text() and len(entries(folder)) == 1


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("reentrant call")])
def test_a_file_that_cannot_be_closed_is_removed(error, folder):
    """A signal may come within a write to it, and a full disk does not take the rest of it."""

    def close():
        raise error

    with cache.working() as work:
        opened = work.file()
        work._file = SimpleNamespace(close=close)
        cache.tidy()
        assert list(folder.iterdir()) == []
    opened.close()


def test_an_undecodable_text_leaves_nothing(tmp_path, folder):
    path = write(tmp_path / "large.txt", b"line\n" * 20_000 + b"\xff")
    with pytest.raises(CharRNNError, match="is not UTF-8"):
        read(path)
    assert list(folder.iterdir()) == []


# The command with another limit; it reads from a pipe, and waits there for as long as nothing comes.
COMMAND = "import charrnn.text.codes; charrnn.text.codes.IN_MEMORY = 1000; from charrnn.__main__ import main; main()"


def in_pipe(file):
    """Return how many bytes of a pipe nobody has read yet."""
    waiting = array.array("i", [0])
    fcntl.ioctl(file, termios.FIONREAD, waiting)
    return waiting[0]


@contextlib.contextmanager
def reading_process(tmp_path, folder, command):
    """Give a process that has read a part of its text and waits for more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = [sys.executable, "-c", COMMAND, *command.split(), str(pipe)]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        with open(pipe, "wb") as file:
            file.write(b"line\n" * 200_000)
            file.flush()
            while not entries(folder) or in_pipe(file):
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("train", signal.SIGTERM),
        ("train", signal.SIGINT),
        ("vocab", signal.SIGINT),
        ("vocab", signal.SIGTERM),
        ("eval model.safetensors", signal.SIGTERM),
        ("score --whole model.safetensors", signal.SIGHUP),
    ],
)
def test_a_signal_leaves_nothing(command, number, tmp_path, folder):
    write_model(tmp_path / "model.safetensors", Vocabulary.of("line\n"))
    with reading_process(tmp_path, folder, command) as process:
        # One that comes just before the process waits for the pipe is heard when it has waited.
        for _ in range(30):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
                break
        # Of the signal itself, or with the code by which a shell knows that.
        assert process.returncode in (128 + number, -number)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "checkpoints").exists()


def test_what_a_killed_process_leaves_is_swept_by_the_next(book, tmp_path, folder):
    with reading_process(tmp_path, folder, "vocab") as process:
        (part,) = entries(folder)
        # It is at work: its lock says so.
        read(book)
        assert part.exists() and len(entries(folder)) == 2
        process.kill()
        process.wait()
    assert part.exists() and part.suffix == ".part"
    # Whatever is read next, and be it small.
    read(write(tmp_path / "small.txt", b"small\n"))
    assert not part.exists() and {path.suffix for path in folder.iterdir()} == {"", ".seen"}


def test_what_is_old_or_half_made_is_swept_and_nothing_else(book, folder, tmp_path):
    read(book)
    (old,) = entries(folder)
    (seen,) = folder.glob("*.seen")
    os.utime(old / "about.json", (LONG_AGO, LONG_AGO))
    hour_ago = time.time() - 3600
    known_by = f".{'4' * 64}.seen.{{}}.charrnn-tmp"
    left = [folder / name for name in ("0" * 16 + ".part", "1" * 16 + ".seen.part", known_by.format("0" * 8))]
    left[0].mkdir()
    left[1].touch()
    left[2].touch()
    for path in left:
        os.utime(path, (hour_ago, hour_ago))
    # A process may have made these a moment ago.
    fresh = [folder / name for name in ("2" * 16 + ".part", "3" * 16 + ".seen.part", known_by.format("1" * 8))]
    fresh[0].mkdir()
    fresh[1].touch()
    fresh[2].touch()
    # Whoever names a folder for the cache may have other things in it.
    others = [folder / "film.part", folder / "film.mp4.part", folder / "project" / "about.json", folder / "x.seen"]
    others[0].mkdir()
    for path in others[1:]:
        write(path, b"mine")
    os.utime(others[0], (LONG_AGO, LONG_AGO))
    read(write(tmp_path / "new.txt", b"new\n" * 500))
    assert not any(path.exists() for path in [old, *left])
    assert all(path.exists() for path in [*fresh, *others])
    # What it was known by goes with the next.
    read(write(tmp_path / "new.txt", b"newer\n" * 500))
    assert not seen.exists() and len(list(folder.glob("*.seen"))) == 3


def test_an_entry_is_on_disk_for_good_before_it_has_its_name(book, folder, monkeypatch):
    synced: list[int | str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_ino), fsync(descriptor)))
    monkeypatch.setattr(Path, "rename", lambda path, to: (synced.append("rename"), rename(path, to))[1])
    read(book)
    (entry,) = entries(folder)
    before = synced[: synced.index("rename")]
    assert {path.stat().st_ino for path in (entry, entry / "codes", entry / "about.json")} <= set(before)


def test_an_entry_that_is_used_is_not_old(book, folder):
    read(book)
    (entry,) = entries(folder)
    os.utime(entry / "about.json", (LONG_AGO, LONG_AGO))
    assert read(book)[1] == 0
    change_size(book)
    read(book)
    assert entry.exists() and len(entries(folder)) == 2


# --- A cache that cannot be written ---


def test_a_cache_that_cannot_be_written_is_told_with_a_way_out(book, folder):
    folder.write_bytes(b"a file where the folder should be")
    with pytest.raises(CharRNNError, match=r"The cache .*cache cannot be written: ") as caught:
        read(book)
    assert "CHARRNN_CACHE=FOLDER" in caught.value.hint
    with pytest.raises(CharRNNError, match=r"The cache .*cache cannot be written: "):
        cache.collect((np.zeros(LIMIT, np.uint8) for _ in range(3)), np.dtype(np.uint8))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_is_told_with_a_way_out(book, folder, monkeypatch):
    opened = []

    def full(path, mode="r", **more):
        if not str(path).endswith("codes") or "w" not in mode:
            return open(path, mode, **more)
        opened.append(path)
        return open("/dev/full", "wb")

    monkeypatch.setattr(cache, "open", full, raising=False)
    write(book, book.read_bytes() * 100)
    with pytest.raises(CharRNNError, match="No space left on device") as caught:
        read(book)
    assert "Free some space" in caught.value.hint and len(opened) == 1
    assert list(folder.iterdir()) == []


def test_a_cache_that_can_only_be_read_serves_all_the_same(book, monkeypatch):
    before = facts(read(book)[0])
    refused = []

    def refuse(path, *more):
        refused.append(path)
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(cache.os, "utime", refuse)
    text, size = read(book)
    assert (size, len(refused)) == (0, 1) and facts(text) == before


def test_the_folder_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.setenv("CHARRNN_CACHE", "~/there")
    assert cache.folder() == tmp_path / "there"
    monkeypatch.delenv("CHARRNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "charrnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache.folder() == tmp_path / ".cache" / "charrnn"


# --- Blocks put together ---


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("sizes", [(), (0, 0), (3, 0, 5), (400, 500), (LIMIT,), (LIMIT + 1,), (700, 0, 900, 5, 0, 1)])
def test_blocks_are_put_together(sizes, dtype, folder):
    blocks = [np.random.default_rng(size).integers(0, 250, 2 * size).astype(dtype)[::2] for size in sizes]
    found = cache.collect(iter(blocks), np.dtype(dtype))
    assert found.dtype == dtype and np.array_equal(found, np.concatenate([*blocks, np.zeros(0, dtype)]))
    on_disk = found.nbytes > LIMIT
    assert isinstance(found.base, np.memmap) == on_disk
    # The file has no name.
    assert folder.exists() == on_disk and not (on_disk and list(folder.iterdir()))


# --- By the command ---


def test_commands_share_the_cache(tmp_path, folder, monkeypatch):
    book = write(tmp_path / "book.txt", b"line\n" * 400)
    monkeypatch.chdir(tmp_path)
    shell = f"env CHARRNN_CACHE={shlex.quote(str(folder))} {shlex.quote(sys.executable)} -c {shlex.quote(COMMAND)}"
    results = [charrnn_in(tmp_path, "vocab", "book.txt", "--json", command=shell) for _ in range(2)]
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    assert results[0].stdout == results[1].stdout
    (entry,) = entries(folder)
    assert json.loads((entry / "about.json").read_text())["characters"] == 2000
    assert read("book.txt")[1] == 0
    # Places in it are told by its name: named otherwise, it is another text.
    assert read(book)[1] == 2000
