"""The characters of a model: from characters to ids and back, exactly."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.atomic import check_replaceable, replacing
from charrnn.errors import CharRNNError

FORMAT = "charrnn-vocab"
VERSION = 1

# The UTF-32 form of a text is four times its size; encoding in blocks of this many characters keeps it small.
_BLOCK = 1 << 20
_SHOWN = 10

# Replacements of an unknown character: the first one that the vocabulary has is used.
STAND_INS = ("\ufffd", "?", " ")

# The hint where the caller can choose how to treat unknown characters.
READERS_HINT = "Use `unknown='skip'` or `unknown='replace'`, remove them from the text, or use a model that knows them."


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, sorted by code point; the id of a character is its place among them.

    With `has_unknown` there is one more id after them, for all other characters; it is never sampled.
    """

    symbols: tuple[str, ...]
    has_unknown: bool = False

    def __post_init__(self) -> None:
        if not self.symbols:
            raise CharRNNError("A vocabulary needs at least one character; this one has none.")
        for symbol in self.symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise CharRNNError(f"A vocabulary has single characters; {symbol!r} is not a single character.")
        for left, right in zip(self.symbols, self.symbols[1:], strict=False):
            if left == right:
                raise CharRNNError(f"The vocabulary has {_named(left)} twice; each character may occur only once.")
            if left > right:
                raise CharRNNError(
                    f"The vocabulary has {_named(left)} before {_named(right)}; it must be sorted by code point."
                )

    @classmethod
    def of(cls, text: Iterable[str], has_unknown: bool = False) -> "Vocabulary":
        """Return the vocabulary with exactly the characters of `text`."""
        return cls(tuple(sorted(set(text))), has_unknown)

    @property
    def size(self) -> int:
        """Return the number of ids that can be predicted."""
        return len(self.symbols) + self.has_unknown

    @property
    def unknown_id(self) -> int | None:
        """Return the id of all unknown characters, or None."""
        return len(self.symbols) if self.has_unknown else None

    @property
    def start(self) -> int:
        """Return the id of the start symbol: the model reads it before a text and never predicts it."""
        return self.size

    @cached_property
    def _codes(self) -> np.ndarray:
        symbols = (*self.symbols, STAND_INS[0]) if self.has_unknown else self.symbols
        return np.array([ord(symbol) for symbol in symbols], dtype="<u4")

    @cached_property
    def _table(self) -> np.ndarray:
        # No character has the id `start`, so it can mean "unknown" here; the last row is for all code points above.
        codes = self._codes[: len(self.symbols)]
        table = np.full(int(codes[-1]) + 2, self.start, dtype=np.min_scalar_type(self.start))
        table[codes] = np.arange(len(codes))
        return table

    def encode(self, text: str, where: str = "the text") -> np.ndarray:
        """Return the ids of `text`, (characters,), in the smallest unsigned type that also holds `start`.

        A character outside the vocabulary is a CharRNNError that names `where`.
        """
        ids = np.empty(len(text), self._table.dtype)
        for begin in range(0, len(text), _BLOCK):
            codes = np.frombuffer(text[begin : begin + _BLOCK].encode("utf-32-le", "surrogatepass"), "<u4")
            ids[begin : begin + _BLOCK] = self._table.take(codes, mode="clip")
        if (ids == self.start).any():
            self.admission(self.unknown(text), "error", where, lambda: _place(text, next(iter(self.unknown(text)))))
        return ids

    def table(self, symbols: str) -> np.ndarray:
        """Return the ids of some characters, int32; -1 for an unknown one."""
        points = np.frombuffer(symbols.encode("utf-32-le", "surrogatepass"), "<u4")
        ids = self._table.take(points, mode="clip").astype(np.int32)
        return np.where(ids == self.start, -1, ids)

    def decode(self, ids: Any) -> str:
        """Return the text of `ids`, an array or sequence of integers, each at least 0 and below `size`.

        The id of unknown characters becomes U+FFFD.
        """
        codes = self._codes[np.asarray(ids, dtype=np.intp)]
        return codes.tobytes().decode("utf-32-le", "surrogatepass")

    def unknown(self, text: str) -> dict[str, int]:
        """Return the characters of `text` outside the vocabulary with their counts, in order of appearance."""
        known = set(self.symbols)
        return {character: count for character, count in Counter(text).items() if character not in known}

    def admit(self, text: str, policy: str | None, where: str) -> tuple[np.ndarray, str | None]:
        """Return the ids of `text`, unknown characters treated by `policy` (`admission`), and a notice about them."""
        unknown = self.unknown(text)
        ids = self.table(text)
        if not unknown:
            return ids, None
        stand_in, notice = self.admission(unknown, policy, where, lambda: _place(text, next(iter(unknown))))
        ids = ids[ids >= 0] if stand_in is None else np.where(ids < 0, stand_in, ids)
        if not len(ids):
            raise nothing_left(where)
        return ids, notice

    def admission(
        self,
        unknown: Mapping[str, int],
        policy: str | None,
        where: str,
        first: Callable[[], str],
        hint: str = READERS_HINT,
    ) -> tuple[int | None, str]:
        """Return the id that replaces unknown characters (None: they are left out) and a notice about them.

        `policy` is one of config.UNKNOWN: "error" (a CharRNNError with the place of the `first`), "skip", or "replace",
        by the id of unknown characters, or else by the first of STAND_INS that the vocabulary has. None means "replace"
        if the vocabulary has that id, else "error". `hint` is for callers that cannot choose a policy.
        """
        policy = policy or ("replace" if self.has_unknown else "error")
        if policy == "error":
            subject = where.capitalize() if re.fullmatch(r"(line|query) [\d,]+|the \w+", where) else where
            raise CharRNNError(
                f"{subject} has characters that the model does not know: {self._shown(unknown)}, first at {first()}.",
                hint=hint,
            )
        done, stand_in = "left out", None
        if policy == "replace":
            stand_in, done = self.unknown_id, "read as one unknown symbol"
            if stand_in is None:
                symbol = next((c for c in STAND_INS if c in self.symbols), None)
                if symbol is None:
                    raise CharRNNError(
                        "Unknown characters cannot be replaced, because the vocabulary has none of these: "
                        f"{', '.join(map(_named, STAND_INS))}.",
                        hint="Leave unknown characters out: `unknown='skip'`",
                    )
                stand_in, done = self.symbols.index(symbol), f"replaced by {symbol!r}"
        count = sum(unknown.values())
        were = "character of {} is unknown and was" if count == 1 else "characters of {} are unknown and were"
        return stand_in, f"{count:,} {were.format(where)} {done}: {self._shown(unknown)}."

    @staticmethod
    def _shown(unknown: Mapping[str, int]) -> str:
        shown = [f"{_named(character)} x {count:,}" for character, count in list(unknown.items())[:_SHOWN]]
        return ", ".join(shown) + (f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else "")

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as a dict for JSON; CharRNNError for a lone surrogate, which JSON cannot hold."""
        symbols = "".join(self.symbols)
        if lone := _surrogate(symbols):
            # JSON would read an escaped pair of them back as one character.
            raise CharRNNError(
                f"The vocabulary has the lone surrogate {_named(lone)}, which no file can hold.",
                hint="Remove it from the text: it is not a character.",
            )
        unknown = {"unknown": True} if self.has_unknown else {}
        return {"format": FORMAT, "version": VERSION, "symbols": symbols, **unknown}

    @classmethod
    def from_json(cls, data: Any, where: str = "the vocabulary") -> "Vocabulary":
        """Return the vocabulary from what `to_json` returned; for other data a CharRNNError that names `where`."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise CharRNNError(
                f'{where} is not a vocabulary: it has no "format": "{FORMAT}".',
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
        if lone := _surrogate(symbols):
            raise CharRNNError(f"{where} is damaged: the lone surrogate {_named(lone)} is not a character.")
        unknown = data.get("unknown", False)
        if not isinstance(unknown, bool):
            raise CharRNNError(f'{where} is damaged: "unknown" must be true or false.')
        try:
            return cls(tuple(symbols), unknown)
        except CharRNNError as error:
            raise CharRNNError(f"{where} is damaged: {error.message}", error.hint) from None

    def save(self, path: str | Path) -> None:
        """Write vocab.json; only another vocabulary is replaced, and only by a complete file."""
        path = Path(path)
        check_replaceable(path, "vocabulary", _is_vocabulary)
        content = json.dumps(self.to_json(), ensure_ascii=False) + "\n"
        try:
            with replacing(path) as file:
                file.write(content.encode())
        except OSError as error:
            raise CharRNNError(
                f"The vocabulary cannot be written to {path}: {error.strerror}.",
                hint="Name a file in a folder that exists and may be written to.",
            ) from error

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
        except (ValueError, RecursionError):
            raise CharRNNError(f"{path} is not a vocabulary: it is not JSON.", hint) from None
        return cls.from_json(data, str(path))


def _is_vocabulary(path: Path) -> bool:
    with suppress(CharRNNError):
        Vocabulary.load(path)
        return True
    return False


def nothing_left(where: str) -> CharRNNError:
    """Return the error for a text from which `unknown='skip'` removed everything."""
    return CharRNNError(f"Nothing is left of {where}: the model knows none of its characters.")


def _surrogate(symbols: str) -> str | None:
    return next((symbol for symbol in symbols if "\ud800" <= symbol <= "\udfff"), None)


def _place(text: str, character: str) -> str:
    first = text.index(character)
    return f"line {text.count(chr(10), 0, first) + 1}, column {first - text.rfind(chr(10), 0, first)}"


def _named(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"
