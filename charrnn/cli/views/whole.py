"""Bytes as they are shown: as the characters that they make, each with the bits of all its bytes."""

import codecs
import math
from collections.abc import Sequence


class Whole:
    """Makes characters of the bytes of a text that comes in pieces; of a text that is not `of_bytes` nothing changes.

    A byte that is no part of a character stays alone, as Python's surrogateescape has it.
    """

    def __init__(self, of_bytes: bool):
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape") if of_bytes else None
        self._bits: list[float] = []

    def __call__(self, text: str, bits: Sequence[float], more: bool = False) -> tuple[str, Sequence[float]]:
        """Return the next piece and its bits, a number a character: if `more` follows, as far as it is settled.

        What does not count is NaN, of a character if none of its bytes does.
        """
        if self._decoder is None:
            return text, bits
        self._bits += bits
        text = self._decoder.decode(text.encode("latin-1"), final=not more)
        sums, begin = [], 0
        for character in text:
            end = begin + byte_count(character)
            counted = [cost for cost in self._bits[begin:end] if not math.isnan(cost)]
            sums.append(sum(counted) if counted else math.nan)
            begin = end
        del self._bits[:begin]
        return text, sums


def byte_count(character: str) -> int:
    """Return how many bytes a character is that was made of bytes."""
    return len(character.encode("utf-8", "surrogateescape"))
