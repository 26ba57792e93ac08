"""The documents of a text that is read in pieces: adds the end of each, and finds where each begins."""

import re
from itertools import accumulate

from charrnn.config import TextConfig


class Borders:
    """Adds the ends of the documents of texts. Each text is read in pieces; their sizes make no difference.

    With a marker (`TextConfig.documents_between`) the documents of a text are the parts between markers. Each document
    ends with one marker, also the last one, and no document is empty. Several markers in a row are one border, and so
    is a longer run of a marker's character ("\\n\\n\\n" if the marker is "\\n\\n"). Without a marker, a text ends like
    a file: with the end of its last line, or with the separator.
    """

    def __init__(self, config: TextConfig):
        self.config, self.marker = config, config.documents_between
        # The last character of the text so far, "" at its beginning; and the text that waits for the next piece,
        # because it may be the beginning of a marker.
        self._last = self._held = ""
        # Whether the next character begins a document.
        self._fresh = True
        if self.marker:
            # The text that repeats a marker that has just ended: the marker without its longest end that is also its
            # beginning.
            self._again = self.marker[_begun(self.marker, self.marker) :]
            again = f"(?:{re.escape(self.marker)}|{re.escape(self._again)})*"
            self._border, self._empty = re.compile(re.escape(self.marker) + again), re.compile(again)

    def feed(self, text: str, last: bool = False) -> tuple[str, list[int]]:
        """Return the next piece of the text, as far as its documents are known, and where documents begin in it.

        `last` ends the text: the whole rest is returned, and another text may follow. Without a marker a text is one
        document.
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
        # In a stream of records, nothing else separates them.
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
