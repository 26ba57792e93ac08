"""The end of a document in a text of ids: found in one that is there, and followed in one that is being made."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class End:
    """The ids that end a document, one or several, of a model whose ids (the start symbol too) are below `size`.

    How many of them a text has just had is its `matched`, 0 where a document begins. `after`, (ids, size): what that is
    after one more id; where it is the number of the ids, the document has ended.
    """

    def __init__(self, ids: Sequence[int], size: int):
        self.ids = tuple(ids)
        self.after = np.zeros((len(self.ids), size), np.int64)
        for matched in range(len(self.ids)):
            for id in set(self.ids):
                read = (*self.ids[:matched], id)
                self.after[matched, id] = next(
                    n for n in range(len(read), -1, -1) if read[len(read) - n :] == self.ids[:n]
                )

    def __len__(self) -> int:
        return len(self.ids)

    def matched(self, ids: np.ndarray) -> Any:
        """Return how many of the end's ids texts have just had, (batch,), or one text: ids are (time, ...).

        Ends that are whole are over: nothing of them counts any more.
        """
        matched = np.zeros(ids.shape[1:], np.int64)
        # What is further away says nothing.
        for now in ids[max(0, len(ids) - len(self) + 1) :]:
            matched = self.after[matched, now]
        return matched

    def places(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        """Return the places right after each end in a text."""
        ids = np.asarray(ids)
        last = len(ids) - len(self) + 1
        if last < 1:
            return []
        hits = np.logical_and.reduce([ids[place : last + place] == id for place, id in enumerate(self.ids)])
        found = [0]
        for hit in np.flatnonzero(hits).tolist():
            if hit >= found[-1]:
                found.append(hit + len(self))
        return found[1:]

    def begun(self, ids: np.ndarray) -> np.ndarray:
        """Return the ids of the document at the end of a text, after the last end; repetitions of that are no part."""
        places = self.places(ids)
        ids = ids[places[-1] :] if places else ids
        overlap = next(n for n in range(len(self) - 1, -1, -1) if self.ids[len(self) - n :] == self.ids[:n])
        again = self.ids[overlap:]
        while tuple(ids[: len(again)].tolist()) == again:
            ids = ids[len(again) :]
        return ids
