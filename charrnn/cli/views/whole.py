"""Bytes as they are shown: as the characters that they encode, each with the sum of the bits of its bytes."""

import codecs
import math
from collections.abc import Sequence


class Whole:
    """Decodes the bytes of a text that is given in pieces; a text that is not `of_bytes` is not changed.

    A byte that is not part of a valid character becomes a lone surrogate, as in Python's surrogateescape.
    """

    def __init__(self, of_bytes: bool):
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape") if of_bytes else None
        self._bits: list[float] = []

    def __call__(self, text: str, bits: Sequence[float], more: bool = False) -> tuple[str, Sequence[float]]:
        """Return the next piece and its bits, one number per character.

        If `more` follows, an incomplete character at the end waits for the next call. Bits are NaN for a character of
        which no byte counts.
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
    """Return how many bytes encode a character that `Whole` returned."""
    return len(character.encode("utf-8", "surrogateescape"))
