"""The estimate of the validation loss during training: many streams side by side, each warmed on what stands before."""

from collections.abc import Sequence

import numpy as np

from charrnn.training.layers import CharRNN
from charrnn.training.step import EvalStep, fresh_states

STREAMS = 64
WARM = 256
WINDOW = 128
# Characters of one stream that count: bounds the time of an estimate however large the corpus.
LONGEST = 2048


class Validation:
    """The validation text laid out as windows, and the compiled step that reads them."""

    def __init__(self, net: CharRNN, segments: Sequence[np.ndarray], start: int, shards: int):
        inputs, targets, weights = parallel_streams(segments, start)
        self.net, self.shards, self.batch = net, min(shards, inputs.shape[1]), inputs.shape[1]
        self.windows = [
            (inputs[low : low + WINDOW], targets[low : low + WINDOW], weights[low : low + WINDOW])
            for low in range(0, len(inputs), WINDOW)
        ]
        self.characters = float(weights.sum(dtype=np.float64))
        self.step = EvalStep(net, self.batch, self.shards)

    def estimate(self) -> float:
        """Return the estimated mean cross-entropy in nats a character."""
        states, total = fresh_states(self.net, self.batch, self.shards), 0.0
        for inputs, targets, weights in self.windows:
            nats, states = self.step(inputs, targets, weights, states)
            total += float(nats)
        return total / self.characters


def parallel_streams(segments: Sequence[np.ndarray], start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, targets (int32) and weights (float32), all (time, streams), time a multiple of WINDOW.

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
    for column, (text, low, warm, high) in enumerate(pieces):
        part = text[low:high]
        targets[: len(part), column] = part
        inputs[1 : len(part), column] = part[:-1]
        if low:
            inputs[0, column] = text[low - 1]
        weights[warm : len(part), column] = 1.0
    return inputs, targets, weights
