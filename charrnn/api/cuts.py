"""Texts that are cut at `length`: they are counted, and reported once."""

from collections.abc import Iterable, Iterator

from charrnn.api.generation import Notify, Sample
from charrnn.inference.generation import Character, Characters, Ending


class Cuts:
    """Counts texts that were cut at their length before they came to their end, and reports them once."""

    def __init__(self, ending: Ending, notify: Notify, what: str = "sample"):
        self.ending, self.notify, self.what = ending, notify, what
        # With a length of 0 every text is cut, as expected.
        self.expected = ending.length > 0 and ending.is_told
        self.made = self.cut = 0

    def count(self, ended: bool) -> None:
        """Count one text."""
        self.made += 1
        self.cut += not ended

    def watched(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield samples and count them; report after the last one."""
        for sample in samples:
            self.count(sample.ended)
            yield sample
        self.tell()

    def watched_one(self, characters: Characters) -> Iterator[Character]:
        """Yield the characters of the only text; report after the last one."""
        self.count((yield from characters))
        self.tell()

    def tell(self) -> None:
        """Report how many texts were cut, if any text was cut that should have ended."""
        if not self.cut or not self.expected:
            return
        if self.ending.finish:
            last = "line" if self.ending.end is None else "document"
            self.notify(f"The last {last} was cut {self.ending.finish:,} characters after `length`: it did not end.")
            return
        some = f"The {self.what}" if self.made == 1 else f"{self.cut:,} of {self.made:,} {self.what}s"
        were = "was" if self.cut == 1 else "were"
        characters = f"{self.ending.length:,} character{'' if self.ending.length == 1 else 's'}"
        self.notify(f"{some} {were} cut at {characters} (`length`).")
