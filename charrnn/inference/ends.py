"""The end of a document in a text of ids: found in a text, followed while one is generated, kept when one is turned."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def turned_ids(ids: np.ndarray, end: int = 0) -> np.ndarray:
    """Return a document from its end to its beginning, except its last `end` characters; or turn it back."""
    place = len(ids) - end
    return np.concatenate([ids[:place][::-1], ids[place:]])


class End:
    """The ids that end a document, one or several; all ids of the model (and the start symbol) are below `size`.

    `matched` is how many ids of the end the last ids of a text match, 0 at the beginning of a document. `after`,
    (ids, size), is `matched` after one more id. If it equals the number of ids, the document has ended.
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
        """Return how many ids of the end the last ids of each text match, (batch,), or of one text; ids: (time, ...).

        Ends that are complete do not count.
        """
        matched = np.zeros(ids.shape[1:], np.int64)
        # Earlier ids make no difference.
        for now in ids[max(0, len(ids) - len(self) + 1) :]:
            matched = self.after[matched, now]
        return matched

    def places(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        """Return the place after each end in a text."""
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
        """Return the ids of the last document of a text: those after the last end, without repetitions of the end."""
        places = self.places(ids)
        ids = ids[places[-1] :] if places else ids
        overlap = next(n for n in range(len(self) - 1, -1, -1) if self.ids[len(self) - n :] == self.ids[:n])
        again = self.ids[overlap:]
        while tuple(ids[: len(again)].tolist()) == again:
            ids = ids[len(again) :]
        return ids
