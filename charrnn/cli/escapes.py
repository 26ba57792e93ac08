"""Escapes in typed text, for characters and bytes that are hard to write in a shell."""

import re
from typing import overload

from charrnn.errors import CharRNNError

_SHORT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_ESCAPE = re.compile(r"\\([ntr\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})")


@overload
def unescaped(value: str, of_bytes: bool) -> str: ...


@overload
def unescaped(value: None, of_bytes: bool) -> None: ...


def unescaped(value: str | None, of_bytes: bool) -> str | None:
    """Return a text with its escapes replaced: \\n, \\t, \\r, \\\\, \\x1e, \\u2026, \\U0001f600; there are no others.

    \\x1e is a character or, for a model of bytes, a byte. A byte above 127 becomes a surrogate, as in Python's
    surrogateescape.
    """

    def meant(escape: re.Match[str]) -> str:
        name = escape[1]
        if name in _SHORT:
            return _SHORT[name]
        code = int(name[1:], 16)
        if 0xD800 <= code <= 0xDFFF:
            raise CharRNNError(
                f"{escape[0]} is a surrogate, half of a UTF-16 pair, and not a character.",
                hint="Write the code point of the whole character, such as \\U0001f600.",
            )
        return chr(0xDC00 + code if of_bytes and name[0] == "x" and code > 0x7F else code)

    return value if value is None else _ESCAPE.sub(meant, value)


def each_unescaped(values: list[str] | None, of_bytes: bool) -> list[str]:
    """Return texts with their escapes replaced (`unescaped`)."""
    return [unescaped(value, of_bytes) for value in values or ()]
