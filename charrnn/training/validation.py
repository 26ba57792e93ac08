"""The estimate of the validation loss during training: parallel streams, each warmed on the characters before it."""

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter

import numpy as np

from charrnn.data.batches import Window
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.training.backends.engine import Shards
from charrnn.training.learner_protocol import Estimate
from charrnn.training.network import CharRNN
from charrnn.training.step import EvalStep, fresh_states

STREAMS = 64
WARM = 256
WINDOW = 128
# The most characters of one stream that count: it limits the time of an estimate, however large the text is. Of
# documents with labels more are read, as each has a single label.
LONGEST, LONGEST_LABELLED = 2048, 16384


class Validation:
    """The validation text in windows, and the compiled step that reads them."""

    def __init__(self, net: CharRNN, segments: Sequence[Part], start: int, shards: int):
        whole = parallel_streams(segments, start, shards)
        assert whole.weights is not None
        self.characters = float(whole.weights.sum(dtype=np.float64))
        length, batch = whole.targets.shape
        self.net, self.shards = net, Shards(batch, shards)
        own = whole.each(itemgetter((slice(None), self.shards.own)))
        self.windows = [own.each(itemgetter(slice(low, low + WINDOW))) for low in range(0, length, WINDOW)]
        if not self.characters:
            raise CharRNNError(
                "The validation loss cannot be estimated: no character of the part for it counts with `loss_after`.",
                hint="Use another `val`, `val_file` or `split`.",
            )
        self.step = EvalStep(net, self.shards)

    def estimate(self) -> Estimate:
        """Return the estimated mean cross-entropy in nats and, for labels, how many of them are right."""
        states, total, right = fresh_states(self.net, self.shards), 0.0, 0.0
        for window in self.windows:
            (nats, hits), states = self.step(window, states)
            total, right = total + float(nats), right + float(hits)
        return Estimate(total / self.characters, None if self.net.model.classes is None else right / self.characters)


def parallel_streams(segments: Sequence[Part], start: int, shards: int = 1) -> Window:
    """Return one long window with weights, all (time, streams), multiples of WINDOW and of `shards`.

    Of several segments, each is a stream. Of documents with labels, streams are whole ones (`whole_documents`). Another
    single segment is cut into up to STREAMS streams. Each stream begins WARM characters early with weight 0, except the
    first, which begins with the text and counts from there. Characters that do not count in the loss have weight 0 too,
    and so have streams that only fill the last shard.
    """
    if len(segments) > 1:
        pieces = [(segment, 0, 0, min(len(segment), LONGEST + WARM)) for segment in segments]
    elif segments[0].classes is not None:
        pieces = [(segments[0], low, 0, high) for low, high in whole_documents(segments[0])]
    else:
        (text,) = segments
        n = len(text)
        streams = max(1, min(STREAMS, n // (4 * WARM)))
        stride = -(-max(1, n - WARM) // streams) if streams > 1 else n
        counted = min(stride, LONGEST)
        pieces = [(text, 0, 0, min(n, WARM + counted))]
        for low in range(WARM + stride, n, stride):
            pieces.append((text, low - WARM, WARM, min(low + counted, n)))
    length = max(high - low for _, low, _, high in pieces)
    length = -(-length // WINDOW) * WINDOW
    shape = length, -(-len(pieces) // shards) * shards
    inputs = np.full(shape, start, np.int32)
    targets = np.zeros(shape, np.int32)
    weights = np.zeros(shape, np.float32)
    reset = np.zeros(shape, bool)
    for column, (text, low, warm, high) in enumerate(pieces):
        ids, places = text.ids(low, high), np.arange(low, high)
        targets[: len(ids), column] = text.targets(places)
        inputs[1 : len(ids), column] = ids[:-1]
        if low:
            inputs[0, column] = text.ids(low - 1, low)[0]
        weights[warm : len(ids), column] = text.counts(places)[warm:]
        if text.resets:
            reset[: len(ids), column] = text.begins(places)
    resets = any(text.resets for text in segments)
    if resets:
        inputs[reset] = start
    return Window(inputs, targets, reset if resets else None, weights)


def whole_documents(part: Part) -> list[tuple[int, int]]:
    """Return the bounds of up to STREAMS stretches of whole documents with labels, of about the same length.

    They are the whole part or, of a large one, are spread over it: each then has at most LONGEST_LABELLED characters,
    unless its first document is longer.
    """
    begins = np.union1d(0, [] if part.starts is None else part.starts).astype(np.int64)
    ends = np.append(begins[1:], len(part))
    # The last document may have been cut.
    whole = part.counts(ends - 1)
    begins, ends = begins[whole], ends[whole]
    count = min(STREAMS, len(begins))
    firsts = np.unique(np.searchsorted(begins, len(part) * np.arange(count) // max(1, count)))
    firsts = firsts[firsts < len(begins)]
    limit = LONGEST_LABELLED if len(part) > STREAMS * LONGEST_LABELLED else len(part)
    bounds = []
    for first, after in pairwise([*firsts.tolist(), len(begins)]):
        fitting = int(np.searchsorted(ends[first:after], begins[first] + limit, side="right"))
        bounds.append((int(begins[first]), int(ends[first + max(1, fitting) - 1])))
    return bounds
