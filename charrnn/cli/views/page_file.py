"""A file that becomes a web page of ours: it replaces an older page, but no other file, and not before it is needed."""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from charrnn.atomic import check_replaceable
from charrnn.cli.console import printable, say
from charrnn.errors import CharRNNError

# Our pages begin with this, so that they can be recognized.
BEGIN = '<!doctype html>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'


def head(script: str | None = None) -> str:
    """Return the beginning of a page that loads nothing from anywhere, and runs no script but this one."""
    allowed = "" if script is None else f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'{allowed}"
    return f'{BEGIN}<meta http-equiv="Content-Security-Policy" content="{policy}">\n'


HEAD = head()


class PageFile(ABC):
    """The file of a page, which is `what` to users. Use it as a context manager."""

    what: str

    def __init__(self, path: Path):
        self.path = path

    @abstractmethod
    def begin(self, file: TextIO) -> Any:
        """Write the beginning of the page, and return an object that writes the rest."""

    @abstractmethod
    def finish(self) -> None:
        """Write the end of the page."""

    def check(self) -> None:
        """Raise CharRNNError if no page can be written; nothing is left on disk."""
        with self._explained():
            self._check()
            if self.is_new:
                self.path.unlink()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CharRNNError(
                f"{self.path} cannot be written: {error.strerror}.",
                hint="Name a file in a folder that exists and is writeable.",
            ) from None

    def _check(self) -> None:
        check_replaceable(self.path, self.what, lambda before: before.read_bytes().startswith(BEGIN.encode()))
        # The old page is not replaced yet: something may fail before the first line.
        self.is_new = not self.path.exists()
        open(self.path, "a").close()

    def __enter__(self) -> Any:
        with self._explained():
            self._check()
        return self

    @cached_property
    def page(self) -> Any:
        """Return what writes the page; its file is opened when this is used for the first time."""
        self.file: TextIO = open(self.path, "w", encoding="utf-8")  # noqa: SIM115
        return self.begin(self.file)

    def __exit__(self, *exception: object) -> None:
        if exception[1] is not None and "page" not in vars(self):
            if self.is_new:
                self.path.unlink()
            return
        self.page  # noqa: B018
        with self.file:
            self.finish()
        failed = isinstance(exception[1], CharRNNError)
        part = " of the part before the error" if failed else ""
        say(f"The {self.what}{part} is {printable(str(self.path))}.")
