"""Writing files so that a crash at any instant leaves the old one or the new one, whole."""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import CharRNNError, NotWritten

# The end of the name of a file that is being written, or was when a crash came.
TEMPORARY = ".charrnn-tmp"
# So many bytes of a name are in that of its temporary file: a name that is barely short enough leaves room for no more.
_KEPT = 200


# What can be written: bytes, or a file that can be read from its beginning, as often as it takes.
Content = bytes | bytearray | BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file beside `path` that takes its place when the block ends; a failure changes nothing.

    What is not written is an OSError: who writes knows what to tell the user.
    """
    # Not with_name: a path such as "/" has no name, and that is for the system to say.
    name = os.fsencode(path.name)[:_KEPT].decode(errors="ignore")
    temporary = path.parent / f".{name}.{secrets.token_hex(4)}{TEMPORARY}"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        # Where there is no such folder, this fails too, and would hide the reason.
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def check_replaceable(path: Path, kind: str, is_ours: Callable[[Path], bool]) -> None:
    """Raise CharRNNError if a file cannot be written as `kind`, such as "heat map", without a loss to the user.

    What is there may be empty or, as `is_ours` tells, a file of this kind; no other one, no link and no device.
    """
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise CharRNNError(f"{path} is a folder; a {kind} is a file.", hint="Name a file in it.")
    if path.is_symlink() or not path.is_file():
        raise CharRNNError(f"{path} is a link or a device.", hint=f"Name a file for the {kind}.")
    if path.stat().st_size and not is_ours(path):
        raise CharRNNError(
            f"{path} exists already, and is no {kind} of charrnn.",
            hint=f"Name another file; only a {kind} is replaced.",
        )


def write_durably(path: Path, data: Content) -> None:
    """Put the data of a run at `path`; NotWritten if it cannot be, and then what was there before is intact."""
    try:
        with replacing(path) as file:
            if isinstance(data, bytes | bytearray):
                file.write(data)
            else:
                data.seek(0)
                shutil.copyfileobj(data, file)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> NotWritten:
    """Return the error of a file or folder of a run that could not be written, with what mends its reason."""
    advice = {
        errno.ENOSPC: "Free some space on the disk",
        errno.EDQUOT: "Free some space: your quota of the disk is used up",
        errno.EACCES: f"Make {path.parent} writeable",
        errno.EPERM: f"Make {path.parent} writeable",
        errno.EROFS: f"Make the disk of {path.parent} writeable",
        errno.ENOENT: f"Make the folder {path.parent} again",
        errno.ENOTDIR: f"Make {path.parent} a folder again",
    }.get(error.errno or 0, "Look whether the disk is in order")
    return NotWritten(
        f"{path} could not be written: {error.strerror or error}.",
        hint=f"{advice}, or train in another folder (`out`). Checkpoints that were written before are intact.",
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file's new name is safe only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do this for a folder; there is nothing better to do there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
