"""The exceptions that users see, and the hint for a mistyped word."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class CharRNNError(Exception):
    """A mistake that the user can fix: what happened, what was expected, how to fix it.

    `message` is one sentence or two; `hint`, if there is one, says what to type or change.
    The command line prints both and exits with 1; a user of the library catches the exception.
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class NotWritten(CharRNNError):
    """A file could not be written (for example, the disk is full); the file that was there before is intact."""


class NoText(CharRNNError):
    """A text cannot be read; `ways` says how to fix that, by the name of the parameter that each way uses.

    A caller that does not have all of these parameters uses `readable_by`.
    """

    def __init__(self, message: str, hint: str, ways: Mapping[str, str]):
        super().__init__(message, " ".join(filter(None, [hint, *ways.values()])))
        self.general, self.ways = hint, ways


@contextmanager
def readable_by(*parameters: str) -> Iterator[None]:
    """Remove from a NoText the ways whose parameters the caller does not have; it has only `parameters`."""
    try:
        yield
    except NoText as error:
        ways = {name: way for name, way in error.ways.items() if name in parameters}
        hint = error.general or ("" if ways else "Use another text.")
        raise NoText(error.message, hint, ways) from None


def did_you_mean(word: str, known: Iterable[str], most: int = 1, command: str = "") -> str | None:
    """Return a hint, "Did you mean lstm?", with the nearest known words, at most `most`; None if no word is near.

    Upper and lower case count as equal. `command` is put before each word.
    """
    # Imported here because every command imports this module, and a mistyped word is rare.
    from difflib import get_close_matches

    spelled = {word.lower(): word for word in known}
    near = [spelled[match] for match in get_close_matches(word.lower(), list(spelled), n=most)]
    return f"Did you mean {' or '.join(command + word for word in near)}?" if near else None
