"""One trainer a run, and the lock of a dead one is free (races: tests/faults)."""

import errno
import os
import subprocess
import sys

import pytest

from charrnn.errors import CharRNNError, NotWritten
from charrnn.runs.lock import LOCK, Lock


def test_a_second_trainer_is_refused_by_the_name_of_the_first(tmp_path):
    first = Lock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(CharRNNError, match=f"is being trained: process {os.getpid()} on "):
        Lock(tmp_path).acquire()
    first.release()
    first.release()
    assert not list(tmp_path.iterdir())
    second = Lock(tmp_path)
    second.acquire()
    assert second.descriptor is not None
    second.release()


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    take = "import os; from pathlib import Path; from charrnn.runs.lock import Lock"
    take += f"; Lock(Path({str(tmp_path)!r})).acquire()"
    subprocess.run([sys.executable, "-c", take + "; os._exit(9)"])
    assert (tmp_path / LOCK).exists()
    lock = Lock(tmp_path)
    lock.acquire()
    assert lock.descriptor is not None and f"process {os.getpid()} on" in (tmp_path / LOCK).read_text()
    lock.release()


def test_a_lock_file_that_is_removed_while_one_waits_for_it_is_no_lock(tmp_path, monkeypatch):
    """Its holder removes the file between our opening and our locking it: the name must lead to what we lock."""
    import charrnn.runs.lock

    real = charrnn.runs.lock.fcntl.flock
    removed = []

    def flock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append((tmp_path / LOCK).unlink())
        real(descriptor, operation)

    monkeypatch.setattr(charrnn.runs.lock.fcntl, "flock", flock)
    lock = Lock(tmp_path)
    lock.acquire()
    with pytest.raises(CharRNNError, match="being trained"):
        Lock(tmp_path).acquire()
    assert removed


def test_what_another_wrote_into_the_lock_file_is_not_shown(tmp_path):
    first = Lock(tmp_path)
    first.acquire()
    (tmp_path / LOCK).write_text("\x1b[31mprocess 1 on host")
    with pytest.raises(CharRNNError, match=r"being trained: another process has its lock\."):
        Lock(tmp_path).acquire()


def test_a_file_system_without_locks_refuses_nothing(tmp_path, monkeypatch):
    import charrnn.runs.lock

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(charrnn.runs.lock.fcntl, "flock", flock)
    Lock(tmp_path).acquire()
    Lock(tmp_path).acquire()
    tries = iter([Lock.acquire])
    monkeypatch.setattr(Lock, "acquire", lambda lock: next(tries)(lock))
    Lock(tmp_path).acquire_after_orphans()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(NotWritten, match="cannot be written to: No such file"):
        Lock(tmp_path / "gone").acquire()
