"""Writing files so that a crash at any moment leaves either the whole old file or the whole new one."""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import CharRNNError, NotWritten

# Files that are being written, or that a crash left unfinished, have names with this ending.
TEMPORARY = ".charrnn-tmp"
# The name of a temporary file has at most this many bytes of the file's own name: a name may have 255 bytes in all.
_KEPT = 200


# The temporary files that this process is writing now.
_under_way: list[Path] = []

# What can be written: bytes, or a file that can be read from its beginning several times.
Content = bytes | bytearray | BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file beside `path` that replaces it when the block ends; a failure changes nothing.

    A file that cannot be written raises OSError: the caller knows what to tell the user.
    """
    # Not with_name: a path such as "/" has no name, and the system's own error says so.
    name = os.fsencode(path.name)[:_KEPT].decode(errors="ignore")
    temporary = path.parent / f".{name}.{secrets.token_hex(4)}{TEMPORARY}"
    _under_way.append(temporary)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        # If the folder does not exist, this fails too, and its error would hide the first one.
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        _under_way.remove(temporary)
    sync_folder(path.parent)


def tidy() -> None:
    """Remove the temporary files of this process: for a signal that ends it at once."""
    for temporary in _under_way:
        with suppress(OSError):
            temporary.unlink()


def check_replaceable(path: Path, kind: str, is_ours: Callable[[Path], bool] | None = None) -> None:
    """Raise CharRNNError if writing a file of a `kind`, such as "heat map", would destroy something of the user.

    An existing file is replaced only if it is empty, or a file of this kind according to `is_ours`. A link, a device
    and every other file are refused. Without `is_ours`, a file of this kind cannot be told from others.
    """
    if not os.path.lexists(path):
        return
    if path.is_dir():
        raise CharRNNError(f"{path} is a folder; a {kind} is a file.", hint="Name a file in it.")
    if path.is_symlink() or not path.is_file():
        raise CharRNNError(f"{path} is a link or a device.", hint=f"Name a file for the {kind}.")
    if path.stat().st_size and is_ours is None:
        raise CharRNNError(f"{path} exists already.", hint="Name another file, or remove this one first.")
    if is_ours and path.stat().st_size and not is_ours(path):
        raise CharRNNError(
            f"{path} exists already, and it is not a {kind} of charrnn.",
            hint=f"Name another file; charrnn replaces only a {kind}.",
        )


def write_durably(path: Path, data: Content) -> None:
    """Write the data of a run to `path`; if that fails, NotWritten is raised and the file there before is intact."""
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
    """Return the error for a file or folder of a run that could not be written, with a hint how to fix it."""
    advice = {
        errno.ENOSPC: "Free some space on the disk",
        errno.EDQUOT: "Free some space: your disk quota is used up",
        errno.EACCES: f"Make {path.parent} writeable",
        errno.EPERM: f"Make {path.parent} writeable",
        errno.EROFS: f"Make the disk of {path.parent} writeable",
        errno.ENOENT: f"Make the folder {path.parent} again",
        errno.ENOTDIR: f"Make {path.parent} a folder again",
    }.get(error.errno or 0, "Check the disk")
    return NotWritten(
        f"{path} could not be written: {error.strerror or error}.",
        hint=f"{advice}, or train in another folder (`out`). Earlier checkpoints are intact.",
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a renamed file's new name is safe only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do this for a folder; nothing better is possible there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
