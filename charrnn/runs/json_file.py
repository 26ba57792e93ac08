"""Files of JSON in the folder of a comparison or a search: one object, with the number of its format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.atomic import write_durably
from charrnn.errors import CharRNNError


def write_json(path: Path, form: int, record: Mapping[str, Any]) -> None:
    """Write an object as JSON; NotWritten if that fails. Names of files may be any bytes."""
    text = json.dumps({"format": form, **record}, ensure_ascii=False, allow_nan=False, indent=1)
    write_durably(path, text.encode("utf-8", "surrogateescape") + b"\n")


def read_json(path: Path, form: int, again: str) -> Any:
    """Return what a file holds, without its format.

    Raise CharRNNError if it cannot be read, is not JSON (with the hint `again`), or has a format above `form`.
    """
    try:
        told = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise CharRNNError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        raise CharRNNError(f"{path} is damaged: it is not JSON.", again) from None
    known = told.pop("format", None) if isinstance(told, dict) else None
    if isinstance(known, int) and known > form:
        raise CharRNNError(f"{path} has format {known}; this charrnn reads format {form}.", "Upgrade charrnn.")
    return told
