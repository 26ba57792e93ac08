"""The estimate of the validation loss during training: many streams side by side, each warmed on what stands before."""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from charrnn.parts import Part
from charrnn.streams import Window
from charrnn.training.layers import CharRNN
from charrnn.training.step import EvalStep, fresh_states

STREAMS = 64
WARM = 256
WINDOW = 128
# Characters of one stream that count: bounds the time of an estimate however large the corpus.
LONGEST = 2048


class Validation:
    """The validation text laid out as windows, and the compiled step that reads them."""

    def __init__(self, net: CharRNN, segments: Sequence[Part], start: int, shards: int):
        window, weights = parallel_streams(segments, start)
        self.net, self.shards, self.batch = net, min(shards, weights.shape[1]), weights.shape[1]
        self.windows = []
        for low in range(0, len(weights), WINDOW):
            stretch = slice(low, low + WINDOW)
            self.windows.append((window.each(itemgetter(stretch)), weights[stretch]))
        self.characters = float(weights.sum(dtype=np.float64))
        self.step = EvalStep(net, self.batch, self.shards)

    def estimate(self) -> float:
        """Return the estimated mean cross-entropy in nats a character."""
        states, total = fresh_states(self.net, self.batch, self.shards), 0.0
        for window, weights in self.windows:
            nats, states = self.step(window, weights, states)
            total += float(nats)
        return total / self.characters


def parallel_streams(segments: Sequence[Part], start: int) -> tuple[Window, np.ndarray]:
    """Return one long window and the weights of its targets, float32, all (time, streams), time a multiple of WINDOW.

    Several segments are a stream each. One segment is cut into up to STREAMS streams; a stream begins WARM characters
    early with weight 0, but for the first, which begins with the text and counts from there.
    """
    if len(segments) > 1:
        pieces = [(segment, 0, 0, min(len(segment), LONGEST + WARM)) for segment in segments]
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
    inputs = np.full((length, len(pieces)), start, np.int32)
    targets = np.zeros((length, len(pieces)), np.int32)
    weights = np.zeros((length, len(pieces)), np.float32)
    reset = np.zeros((length, len(pieces)), bool)
    for column, (text, low, warm, high) in enumerate(pieces):
        ids = text.ids(low, high)
        targets[: len(ids), column] = ids
        inputs[1 : len(ids), column] = ids[:-1]
        if low:
            inputs[0, column] = text.ids(low - 1, low)[0]
        weights[warm : len(ids), column] = 1.0
        if text.resets:
            reset[: len(ids), column] = text.begins(np.arange(low, high))
    resets = any(text.resets for text in segments)
    if resets:
        inputs[reset] = start
    return Window(inputs, targets, reset if resets else None), weights
