"""The exceptions that users are shown, and the hint of a mistyped word."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


class CharRNNError(Exception):
    """A mistake that its user can mend: what happened, what was expected, how to fix it.

    `message` is one sentence or two; `hint`, if there is one, says what to type or change.
    The command line prints both and exits with 1; a library user catches the exception.
    """

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class NotWritten(CharRNNError):
    """A file could not be written (the disk is full, say); what stood there before is intact."""


class NoText(CharRNNError):
    """What should be a text cannot be read as one; `ways` say what mends that, each by the parameter that it takes.

    Who reads texts and lacks some of these parameters says so: `readable_by`.
    """

    def __init__(self, message: str, hint: str, ways: Mapping[str, str]):
        super().__init__(message, " ".join(filter(None, [hint, *ways.values()])))
        self.general, self.ways = hint, ways


@contextmanager
def readable_by(*parameters: str) -> Iterator[None]:
    """Let a NoText name no other parameters than these, which are all that one has who reads here."""
    try:
        yield
    except NoText as error:
        ways = {name: way for name, way in error.ways.items() if name in parameters}
        hint = error.general or ("" if ways else "Use another text.")
        raise NoText(error.message, hint, ways) from None


def did_you_mean(word: str, known: Iterable[str], most: int = 1, command: str = "") -> str | None:
    """Return a hint, "Did you mean lstm?", with the nearest known words, `most` at most; None if none is near.

    Capitals do not count. `command` goes before each word.
    """
    # Imported here: every command imports this module, and nearly none has a mistyped word.
    from difflib import get_close_matches

    spelled = {word.lower(): word for word in known}
    near = [spelled[match] for match in get_close_matches(word.lower(), list(spelled), n=most)]
    return f"Did you mean {' or '.join(command + word for word in near)}?" if near else None
