"""One trainer a run: a lock on a file in the run's folder, which dies with the process that holds it."""

import contextlib
import errno
import fcntl
import os
import re
from pathlib import Path

from charrnn.errors import CharRNNError, NotWritten

LOCK = ".charrnn-lock"


class Lock:
    """The lock of a folder: advisory (flock), taken by trainers and by nobody who only reads."""

    def __init__(self, folder: Path):
        self.path = folder / LOCK
        self.descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; CharRNNError, naming the holder, if a living process has it.

        Where the file system knows no locks there is none to take, and nothing is refused.
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
            # Its holder may have removed the file between our opening it and our locking it.
            if self._is_still(descriptor):
                self.descriptor = descriptor
                self._sign()
            else:
                os.close(descriptor)

    def release(self) -> None:
        """Give the lock back, if it is held, and remove its file."""
        # A signal handler may call this while it runs.
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            # While it is still held: a file removed after that might be another holder's, as one in a folder that has
            # taken this one's place is.
            if self._is_still(descriptor):
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)
            os.close(descriptor)

    @property
    def is_lost(self) -> bool:
        """Return whether the lock was taken and its file is not there any more, or is another one."""
        return self.descriptor is not None and not self._is_still(self.descriptor)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except OSError:
            return False

    def _sign(self) -> None:
        assert self.descriptor is not None
        # On a full disk the lock holds all the same, without a name.
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.write(self.descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode())

    def _held(self, descriptor: int) -> CharRNNError:
        text = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        holder = text if re.fullmatch(r"process [0-9]+ on [\w.-]+", text) else "another process has its lock"
        return CharRNNError(
            f"The run {self.path.parent} is being trained: {holder}.",
            hint="Wait for it or stop it, or train a run of another `name`.",
        )
