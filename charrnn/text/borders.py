"""Where documents end in a text that comes piece by piece: what is put at their ends, and where each begins."""

import re
from itertools import accumulate

from charrnn.config import TextConfig


class Borders:
    """Ends the documents of texts, each of which comes in pieces; how a text is cut into pieces makes no difference.

    Documents inside a text are those between markers (`TextConfig.documents_between`): each ends with one marker, the
    last too, and none is empty. Several markers in a row are one border, as is a longer run of a marker's character
    ("\\n\\n\\n" where the marker is "\\n\\n"). Without a marker the end of a text is that of a file: of its last line,
    or the separator.
    """

    def __init__(self, config: TextConfig):
        self.config, self.marker = config, config.documents_between
        # The last character of the text so far, "" at its beginning; what is held back, as a marker may begin there.
        self._last = self._held = ""
        # Whether the next character begins a document.
        self._fresh = True
        if self.marker:
            # What repeats a marker that has just ended: what is left of it after its longest end that also begins it.
            self._again = self.marker[_begun(self.marker, self.marker) :]
            again = f"(?:{re.escape(self.marker)}|{re.escape(self._again)})*"
            self._border, self._empty = re.compile(re.escape(self.marker) + again), re.compile(again)

    def feed(self, text: str, last: bool = False) -> tuple[str, list[int]]:
        """Return the next piece of the text, as far as it is settled, and where in it documents begin.

        With `last` it is all that is left, and another text may follow. Without a marker a text is one document.
        """
        if self.marker is not None:
            return self._between(text, last, self.marker)
        begins = [0] if text and not self._last else []
        self._last = text[-1:] or self._last
        if last:
            text += self._end_of_file() if self._last else ""
            self._last = ""
        return text, begins

    def _end_of_file(self) -> str:
        # Records that are one stream would run into each other.
        stream = self.config.field is not None and not self.config.resets and self.config.separator is None
        if self.config.one_per_line or stream:
            return "" if self._last == "\n" else "\n"
        return self.config.separator or ""

    def _between(self, text: str, last: bool, marker: str) -> tuple[str, list[int]]:
        text, fresh = self._held + text, self._fresh
        if fresh:
            empty = self._empty.match(text)
            text = text[empty.end() :] if empty else text
        *whole, rest = self._border.split(text)
        begun = len(rest) - _begun(marker, rest)
        if (whole or fresh) and not last and self._again.startswith(rest):
            # It may be an empty document.
            begun = 0
        rest, self._held = rest[:begun], "" if last else rest[begun:]
        if last and (rest or not (whole or fresh)):
            whole, rest = [*whole, rest], ""
        lengths = (len(document) + len(marker) for document in whole)
        begins = list(accumulate(lengths, initial=0))[0 if fresh else 1 : len(whole) + bool(rest)]
        self._fresh = last or (not rest and (fresh or bool(whole)))
        return marker.join([*whole, rest]), begins


def _begun(marker: str, text: str) -> int:
    """Return how many characters at the end of a text are the beginning of a marker, but not all of it."""
    most = min(len(marker) - 1, len(text))
    return next((length for length in range(most, 0, -1) if text.endswith(marker[:length])), 0)
