"""Similar lines: those whose vectors are nearest to the vector of a query."""

from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from charrnn.api.vectors import Joined
from charrnn.inference.nearest import STEP, Nearest
from charrnn.text.cache import explained, spool


@dataclass(frozen=True)
class Similar:
    """A line that is similar to a query: how similar, at most 1, its number, from 1, and its text.

    For a model of bytes, each character of the text is one byte.
    """

    similarity: float
    line: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the values by name."""
        return {"similarity": self.similarity, "line": self.line, "text": self.text}


class Search:
    """Searches lines for those that are similar to queries; first all lines are added. A context manager.

    joined: makes the vectors. whiten: see `Nearest`. The lines and their vectors are on disk if they are many.
    """

    def __init__(self, joined: Joined, whiten: bool = False):
        self.joined = joined
        self._nearest = Nearest(joined.width, whiten)
        self._texts = spool()
        # Where the text of each line ends in its file, after where the first one begins.
        self._ends = array("q", [0])

    def __enter__(self) -> "Search":
        return self

    def __exit__(self, *exception: object) -> None:
        self._nearest.close()
        # What a full disk did not take is not needed any more.
        with suppress(OSError):
            self._texts.close()

    @property
    def count(self) -> int:
        """Return the number of lines."""
        return len(self._ends) - 1

    def add(self, lines: Sequence[str]) -> None:
        """Add lines after the others."""
        self._nearest.add(self.joined.embed(lines, self.count + 1))
        with explained():
            for line in lines:
                # A caller's text may have half of a character.
                self._ends.append(self._ends[-1] + self._texts.write(line.encode("utf-8", "surrogatepass")))

    def nearest(self, queries: Sequence[str], top: int, first: int = 1) -> list[list[Similar]]:
        """Return for each query the `top` most similar lines, the most similar first; queries count from `first`."""
        found = self._nearest.search(self.joined.embed(queries, first, "query"), top)
        return [
            [
                Similar(round(steps * STEP, 5), place + 1, self._text(place))
                for place, steps in zip(nearest.places.tolist(), nearest.steps.tolist(), strict=True)
            ]
            for nearest in found
        ]

    def _text(self, place: int) -> str:
        low, high = self._ends[place : place + 2]
        with explained():
            self._texts.seek(low)
            return self._texts.read(high - low).decode("utf-8", "surrogatepass")
