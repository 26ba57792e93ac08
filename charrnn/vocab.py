"""The alphabet of a model: characters to ids and back, exactly."""

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError

FORMAT = "charrnn-vocab"
VERSION = 1

# The UTF-32 form of a text is four times its size; encoding in blocks of this many characters keeps it small.
_BLOCK = 1 << 20
_SHOWN = 10

# What may stand for an unknown character, the first that a vocabulary has.
STAND_INS = ("\ufffd", "?", " ")


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, sorted by code point; the id of a character is its place among them."""

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.symbols:
            raise CharRNNError("A vocabulary needs at least one character; this one has none.")
        for symbol in self.symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise CharRNNError(f"A vocabulary is made of single characters; {symbol!r} is none.")
        for left, right in zip(self.symbols, self.symbols[1:], strict=False):
            if left == right:
                raise CharRNNError(f"The vocabulary has {_named(left)} twice; each character may stand in it once.")
            if left > right:
                raise CharRNNError(
                    f"The vocabulary has {_named(left)} before {_named(right)}; it must be sorted by code point."
                )

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the vocabulary of just the characters of `text`."""
        return cls(tuple(sorted(set(text))))

    @property
    def size(self) -> int:
        """Return how many characters can be predicted."""
        return len(self.symbols)

    @property
    def start(self) -> int:
        """Return the id of the symbol that stands before a text: read by the model, never predicted."""
        return self.size

    @cached_property
    def _codes(self) -> np.ndarray:
        return np.array([ord(symbol) for symbol in self.symbols], dtype="<u4")

    @cached_property
    def _table(self) -> np.ndarray:
        # No character has the id `start`, so it can mean "unknown" here; the last row is for all code points above.
        table = np.full(int(self._codes[-1]) + 2, self.start, dtype=np.min_scalar_type(self.start))
        table[self._codes] = np.arange(self.size)
        return table

    def encode(self, text: str, where: str = "the text") -> np.ndarray:
        """Return the ids of `text`, (characters,), in the smallest unsigned type that also holds `start`.

        A character outside the vocabulary is a CharRNNError that names `where`.
        """
        ids = np.empty(len(text), self._table.dtype)
        for begin in range(0, len(text), _BLOCK):
            codes = np.frombuffer(text[begin : begin + _BLOCK].encode("utf-32-le", "surrogatepass"), "<u4")
            ids[begin : begin + _BLOCK] = self._table.take(codes, mode="clip")
        strange = ids == self.start
        if strange.any():
            raise self._unknown_error(text, where, int(strange.argmax()))
        return ids

    def decode(self, ids: Any) -> str:
        """Return the text of `ids`, an array or sequence of integers, each at least 0 and below `size`."""
        codes = self._codes[np.asarray(ids, dtype=np.intp)]
        return codes.tobytes().decode("utf-32-le", "surrogatepass")

    def unknown(self, text: str) -> dict[str, int]:
        """Return the characters of `text` outside the vocabulary with their counts, in order of appearance."""
        known = set(self.symbols)
        return {character: count for character, count in Counter(text).items() if character not in known}

    def admit(self, text: str, policy: str, where: str) -> tuple[str, str | None]:
        """Return `text` without the characters outside the vocabulary, and a notice of what was done about them.

        `policy` is one of config.UNKNOWN: "error" (a CharRNNError), "skip", or "replace" by the first of STAND_INS that
        the vocabulary has.
        """
        unknown = self.unknown(text)
        if not unknown:
            return text, None
        if policy == "error":
            self.encode(text, where)
        stand_in = None if policy == "skip" else next((c for c in STAND_INS if c in self.symbols), None)
        if policy == "replace" and stand_in is None:
            raise CharRNNError(
                f"The vocabulary has none of {', '.join(map(_named, STAND_INS))} to stand in for unknown characters.",
                hint="Leave them out: --unknown skip",
            )
        done = "left out" if stand_in is None else f"replaced by {stand_in!r}"
        notice = f"{sum(unknown.values()):,} characters of {where} are unknown and were {done}: {self._shown(unknown)}."
        return text.translate({ord(character): stand_in for character in unknown}), notice

    @staticmethod
    def _shown(unknown: dict[str, int]) -> str:
        shown = [f"{_named(character)} x {count:,}" for character, count in list(unknown.items())[:_SHOWN]]
        return ", ".join(shown) + (f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else "")

    def _unknown_error(self, text: str, where: str, first: int) -> CharRNNError:
        line = text.count("\n", 0, first) + 1
        column = first - text.rfind("\n", 0, first)
        return CharRNNError(
            f"The vocabulary of {self.size:,} lacks characters of {where}: {self._shown(self.unknown(text))}; "
            f"the first at line {line}, column {column}.",
            hint="Remove or replace them (eval and sample: --unknown skip), or use a vocabulary that has them.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as a dict that JSON can hold; lone surrogates, which it cannot, are a CharRNNError."""
        symbols = "".join(self.symbols)
        surrogates = [symbol for symbol in self.symbols if "\ud800" <= symbol <= "\udfff"]
        if surrogates:
            # JSON would read an escaped pair of them back as one character.
            raise CharRNNError(
                f"The vocabulary has the lone surrogate {_named(surrogates[0])}, which no file can hold.",
                hint="Remove it from the text: it is no character.",
            )
        return {"format": FORMAT, "version": VERSION, "symbols": symbols}

    @classmethod
    def from_json(cls, data: Any, where: str = "the vocabulary") -> "Vocabulary":
        """Return the vocabulary that `to_json` gave `data` for; anything else is a CharRNNError that names `where`."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise CharRNNError(
                f'{where} is no vocabulary: it has no "format": "{FORMAT}".',
                hint="Make one with: charrnn vocab CORPUS -o vocab.json",
            )
        version = data.get("version")
        if not isinstance(version, int) or version < 1:
            raise CharRNNError(f"{where} is damaged: its version is {version!r}; it must be a whole number from 1.")
        if version > VERSION:
            raise CharRNNError(
                f"{where} is a vocabulary of version {version}; this charrnn reads version {VERSION}.",
                hint="Upgrade charrnn.",
            )
        symbols = data.get("symbols")
        if not isinstance(symbols, str):
            raise CharRNNError(f'{where} is damaged: "symbols" must be a string of its characters.')
        try:
            return cls(tuple(symbols))
        except CharRNNError as error:
            raise CharRNNError(f"{where} is damaged: {error.message}", error.hint) from None

    def save(self, path: str | Path) -> None:
        """Write vocab.json; what stood at `path` is replaced only when the new file is whole."""
        path = Path(path)
        content = json.dumps(self.to_json(), ensure_ascii=False) + "\n"
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content.encode())
            part.replace(path)
        except OSError as error:
            raise CharRNNError(
                f"The vocabulary cannot be written to {path}: {error.strerror}.",
                hint="Name a file in a folder that exists and may be written to.",
            ) from error
        finally:
            # Where the write failed because there is no such folder, this fails too, and would hide the reason.
            with suppress(OSError):
                part.unlink()

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Return the vocabulary that `save` wrote to `path`."""
        hint = "Make one with: charrnn vocab CORPUS -o vocab.json"
        try:
            data = json.loads(Path(path).read_bytes())
        except FileNotFoundError:
            raise CharRNNError(f"The vocabulary file {path} does not exist.", hint) from None
        except OSError as error:
            raise CharRNNError(f"The vocabulary file {path} cannot be read: {error.strerror}.", hint) from error
        except ValueError:
            raise CharRNNError(f"{path} is no vocabulary: it is not JSON.", hint) from None
        return cls.from_json(data, str(path))


def _named(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"
