"""Writing files so that a crash at any instant leaves the old one or the new one, whole."""

import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import NotWritten

# The end of the name of a file that is being written, or was when a crash came.
TEMPORARY = ".charrnn-tmp"


# What can be written: bytes, or a file that can be read from its beginning, as often as it takes.
Content = bytes | bytearray | BinaryIO


def write_durably(path: Path, data: Content) -> None:
    """Put `data` at `path` through a temporary file beside it; a failure before the renaming changes nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        try:
            with open(temporary, "xb") as file:
                if isinstance(data, bytes | bytearray):
                    file.write(data)
                else:
                    data.seek(0)
                    shutil.copyfileobj(data, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise NotWritten(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Free some space or choose another folder; the checkpoints written before are intact.",
        ) from error


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
