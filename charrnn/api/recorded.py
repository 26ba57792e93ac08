"""The text that a checkpoint names, which may come from anybody: what is opened of it is ordinary, and is named."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from charrnn.errors import CharRNNError
from charrnn.text.sources import documents

# Sources that a notice names.
_SHOWN = 5


def shown(sources: Sequence[str]) -> str:
    """Return sources as a notice names them."""
    more = f" and {len(sources) - _SHOWN:,} more" if len(sources) > _SHOWN else ""
    return ", ".join(sources[:_SHOWN]) + more


def check_ordinary(sources: Sequence[str], include: Sequence[str], hint: str) -> None:
    """Raise CharRNNError, with a hint of how to name another, unless a checkpoint's sources lead to ordinary files.

    They may be files, folders and patterns, but no device, FIFO or socket: reading one may never end.
    """
    for source in sources:
        try:
            found = documents(source, include)
            odd = [document.name for document in found if not _is_ordinary(document.path)]
        except FileNotFoundError as error:
            raise CharRNNError(
                f"{error.filename} does not exist, which the checkpoint names as its text.", hint
            ) from None
        except CharRNNError as error:
            raise CharRNNError(error.message, hint) from None
        except ValueError:
            # A NUL, or what no name of a file can be.
            odd = [source]
        if odd:
            raise CharRNNError(f"The checkpoint names {odd[0]:.200} as its text, which is no ordinary file.", hint)


def _is_ordinary(path: Path | None) -> bool:
    try:
        return path is not None and stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        raise
    except OSError:
        # What reads it says what is the matter.
        return True
