"""Lines as records, read one by one as they come."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from charrnn.config import TextConfig
from charrnn.errors import readable_by
from charrnn.text.decoding import BYTES, Decoder, prepare
from charrnn.text.sources import Document, one_document

# The size of a portion of lines that is processed at once: at most this many lines, and about this many characters.
PORTION = 8192
CHARACTERS = 1 << 20
# The zeros among this many bytes tell UTF-16 from other encodings; the longest byte order mark fits too.
_HEAD = 4
# Numbers are kept in their written form, so their parsed value need not be exact.
_JSON = json.JSONDecoder(parse_int=float)
_BEFORE_NAME, _BEFORE_VALUE = re.compile(r"[ \t\n\r{,]*"), re.compile(r"[ \t\n\r:]*")


def portions(
    source: str, config: TextConfig, as_they_come: bool = False, notify: Callable[[str], None] | None = None
) -> Iterator[list[str]]:
    """Yield the lines of `lines` in portions of about one size; with `as_they_come`, in the portions that arrive."""
    waiting: list[str] = []
    characters = 0
    # Lines are read for a model, which fixes the other settings.
    with readable_by("encoding", "errors"):
        for some in lines(source, config, as_they_come, notify):
            for line in some:
                waiting.append(line)
                characters += len(line)
                if len(waiting) == PORTION or characters > CHARACTERS:
                    yield waiting
                    waiting, characters = [], 0
            if as_they_come and waiting:
                yield waiting
                waiting, characters = [], 0
    if waiting:
        yield waiting


def lines(
    source: str, config: TextConfig, as_they_come: bool = False, notify: Callable[[str], None] | None = None
) -> Iterator[list[str]]:
    """Yield the lines of a file, or of stdin (-), without their ends, several at a time (`as_they_come`).

    Bytes are only decoded as `config` says; CRLF is a line end if `newlines` is "lf". `notify` is called once if bytes
    were replaced.
    """
    document = one_document(source)
    as_written = replace(config, newlines="keep", normalize=None, lower=False)
    decoder = Decoder(as_written, document.name, head=1)
    begun: list[str] = []
    passed = 0
    for data in telling_blocks(document, as_they_come, config.bytes):
        text = decoder.feed(data)
        if notify and _were_replaced(data, text, config):
            line = passed + text[: text.index("\ufffd")].count("\n") + 1
            notify(
                f"{document.name} has bytes that are not {decoder.encoding.upper()}, the first in line {line:,}: they "
                "are read as U+FFFD. If it is in another encoding, name it with `encoding`."
            )
            notify = None
        passed += text.count("\n")
        first, *rest = text.split("\n")
        begun.append(first)
        if rest:
            yield without_returns(["".join(begun), *rest[:-1]], config)
            begun = [rest[-1]]
    *whole, last = ("".join(begun) + decoder.close()).split("\n")
    yield without_returns([*whole, last] if last else whole, config)


def _were_replaced(data: bytes, text: str, config: TextConfig) -> bool:
    """Return whether text has U+FFFD because bytes of the data were replaced."""
    return "\ufffd" in text and not config.bytes and "\ufffd".encode() not in data


def without_returns(lines: list[str], config: TextConfig) -> list[str]:
    """Return lines without the carriage returns at their ends if CRLF ends a line."""
    return [line.removesuffix("\r") for line in lines] if config.newlines == "lf" else lines


def telling_blocks(document: Document, as_they_come: bool, raw: bool = False) -> Iterator[bytes]:
    """Yield a document's bytes in blocks; the first one is long enough to tell the encoding, or has a whole line."""
    head: bytes | None = b""
    for data, _ in document.blocks(as_they_come, raw):
        if head is not None:
            head += data
            if len(head) < _HEAD and b"\n" not in head:
                continue
            data, head = head, None
        yield data
    if head:
        yield head


def seen(line: str, config: TextConfig) -> str:
    """Return a line in the form that the model was trained on."""
    if config.bytes:
        # Its bytes were decoded as one character each.
        return line
    return prepare("".join(without_returns([line], config)), config)


class Member(NamedTuple):
    """A member of a JSON object: its name, its value as it was `written`, and its value in Python (no integers)."""

    name: str
    written: str
    value: Any

    def text(self, config: TextConfig) -> str | None:
        """Return the value as `lines` would have decoded it; None if it is not a text."""
        if not isinstance(self.value, str):
            return None
        # JSON can contain half of a character, which no encoding can represent.
        text = re.sub("[\ud800-\udfff]", "\ufffd", self.value)
        return text.encode().decode(BYTES) if config.bytes else text


def json_object(line: str, config: TextConfig) -> list[Member] | None:
    """Return the members of a line that is a JSON object, in their order; None if it is not one."""
    try:
        text = line.encode(BYTES).decode("utf-8-sig") if config.bytes else line
        if not isinstance(_JSON.decode(text), dict):
            return None
    except (ValueError, RecursionError):
        return None
    # It is valid JSON, so the characters between names and values need no check.
    members = []
    place = _end(_BEFORE_NAME, text, 0)
    while text[place] == '"':
        name, place = _JSON.raw_decode(text, place)
        begin = _end(_BEFORE_VALUE, text, place)
        value, place = _JSON.raw_decode(text, begin)
        members.append(Member(name, text[begin:place], value))
        place = _end(_BEFORE_NAME, text, place)
    return members


def _end(between: re.Pattern[str], text: str, place: int) -> int:
    found = between.match(text, place)
    return found.end() if found else place


def member_of(members: Sequence[Member] | None, name: str) -> Member | None:
    """Return the member with a name, the last one if there are several, as is usual for JSON; None if there is none."""
    return next((member for member in reversed(members or ()) if member.name == name), None)
