"""One trainer for each run: a lock on a file in the run's folder, released when the process that holds it ends."""

import contextlib
import errno
import fcntl
import os
import re
import time
from pathlib import Path

from charrnn.errors import CharRNNError, NotWritten

LOCK = ".charrnn-lock"
# Seconds to wait for a process whose parent has died: it ends by itself.
ORPHAN_ENDS = 60.0
_HOLDER = re.compile(r"process ([0-9]+) on ([\w.-]+)")


class Lock:
    """The lock of a folder: advisory (flock), taken by trainers; programs that only read do not take it.

    what: is in the folder, for messages: "run", "comparison".
    """

    def __init__(self, folder: Path, what: str = "run"):
        self.path = folder / LOCK
        self.what = what
        self.descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; CharRNNError, naming the holder, if a living process has it.

        If the file system has no locks, no lock is taken, and nothing is refused.
        """
        while self.descriptor is None:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                hint = "Training saves its checkpoints there: make it writeable, or copy the run to another folder."
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    hint = "Training saves its checkpoints there: free some space, or copy the run to another disk."
                raise NotWritten(f"{self.path.parent} cannot be written to: {error.strerror}.", hint) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    raise self._held(descriptor) from None
                os.close(descriptor)
                self.path.unlink(missing_ok=True)
                return
            # The last holder may have removed the file after we opened it and before we locked it.
            if self._is_still(descriptor):
                self.descriptor = descriptor
                self._sign()
            else:
                os.close(descriptor)

    def acquire_after_orphans(self) -> None:
        """Take the lock as `acquire` does, but wait for a process whose parent, which took the lock, has died."""
        until = time.monotonic() + ORPHAN_ENDS
        while True:
            try:
                # Without locks in the file system there is no descriptor after it.
                return self.acquire()
            except NotWritten:
                raise
            except CharRNNError:
                if not self.is_orphaned or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @property
    def is_orphaned(self) -> bool:
        """Return whether the process that took the lock has died; one that it began may still have it."""
        try:
            holder = _HOLDER.fullmatch(self.path.read_text(errors="replace").strip())
            if holder and holder[2] == os.uname().nodename:
                os.kill(int(holder[1]), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False

    def release(self) -> None:
        """Release the lock, if it is held, and remove its file."""
        # A signal handler may call this while it is running already.
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            # Remove it while the lock is still held: after that, the file might belong to another holder.
            if self._is_still(descriptor):
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)
            os.close(descriptor)

    @property
    def is_lost(self) -> bool:
        """Return whether the lock was taken and its file has been removed or replaced since."""
        return self.descriptor is not None and not self._is_still(self.descriptor)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except OSError:
            return False

    def _sign(self) -> None:
        assert self.descriptor is not None
        # On a full disk the lock still works, but without the name of its holder.
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())

    def _held(self, descriptor: int) -> CharRNNError:
        text = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        holder = text if _HOLDER.fullmatch(text) else "another process has its lock"
        return CharRNNError(
            f"The {self.what} {self.path.parent} is being trained: {holder}.",
            hint=f"Wait for it or stop it, or train a {self.what} with another `name`.",
        )
