"""The exact evaluation of the held-out parts at the end of training, with the figures of compressors to compare."""

import bz2
import lzma
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Measured
from charrnn.api.generation import Notify
from charrnn.api.history import number
from charrnn.api.ngrams import best_quick, seconds_of_ngrams
from charrnn.config import ModelConfig
from charrnn.data.corpus import Corpus, Dataset
from charrnn.data.parts import Part
from charrnn.data.repeated import Repeated
from charrnn.errors import CharRNNError
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.inference.scoring import Reader
from charrnn.network.parameters import initial_weights
from charrnn.runs.folder import Run
from charrnn.text.decoding import BYTES

COMPRESSED_AT_ONCE = 1 << 20
# At most this many held-out characters are evaluated exactly; `Model.evaluate` has no such limit.
EXACT = 500_000
# At most this many stretches of a training part are counted; they are spread over the whole part.
COUNTED_STRETCHES = 64
# Compressors make a text of fewer characters larger: they add headers, and the text hardly repeats itself.
COMPRESSIBLE = 5_000


def seconds_needed(model: ModelConfig, data: Dataset) -> float:
    """Return an estimate of the seconds that the exact evaluation at the end will take, from a few characters."""
    vocab, read = data.corpus.vocab, [held_out(parts) for parts in parts_of(data).values()]
    if not read:
        return 1.0
    network = Model(model, vocab, initial_weights(model, vocab.size, 0))
    network.limit_threads()
    reader = Reader(network, len(read[0]))
    ids = np.zeros((200, len(read[0])), np.int64)
    reader.nats(ids[:20])
    began = perf_counter()
    reader.nats(ids)
    # The 1.5 seconds are for the start and end of the process, reading the best checkpoint, and the compressors.
    evaluation = (perf_counter() - began) / 200 * sum(max(map(len, parts)) for parts in read) * 1.1
    return 1.5 + evaluation + (seconds_of_ngrams(data, held_out(data.parts.val)) if data.parts.val else 0.0)


def held_out(parts: Sequence[Part]) -> list[Part]:
    """Return what is evaluated exactly: of each part all characters or, if it is long, only the beginning."""
    each = EXACT // len(parts)
    return [part.cut(0, min(len(part), each)) for part in parts]


def measured(run: Run, data: Dataset, history: Sequence[dict[str, Any]]) -> Iterator[Measured]:
    """Evaluate the best checkpoint of a run exactly on each held-out part."""
    best = run.best if run.best.is_file() else run.newest()
    if best is None:
        # The folder was moved after the last save. The run is complete in its new place: `evaluate_part` measures it.
        return
    model = Model.load(best)
    model.limit_threads()
    # A model that has read a text once has not memorised it.
    read_again = bool(history) and (number(history[-1].get("epoch")) or 0) > 1
    train_nats = history[-1]["train_nats"] if read_again else None
    for part in parts_of(data):
        yield measure_in(part, model, data, train_nats)


def parts_of(data: Dataset) -> dict[str, Sequence[Part]]:
    """Return the held-out parts by name: "validation", "test", both or neither."""
    return {name: parts for name, parts in (("validation", data.parts.val), ("test", data.parts.test)) if parts}


def measure_in(part: str, model: Model, data: Dataset, train_nats: float | None = None) -> Measured:
    """Evaluate a model exactly on a held-out part, and add figures to compare that need no model."""
    parts = parts_of(data)[part]
    return replace(
        _in_bytes(measure(part, model, parts, data.repeated.get(part)), data),
        compressors=compressors(data) if part == "validation" else {},
        ngrams=best_quick(data, held_out(parts)) if part == "validation" else None,
        train_nats=train_nats,
        frequency_nats=frequency_nats(data.parts.train, parts, model.outputs),
        uniform_nats=math.log(model.outputs),
    )


def measure(part: str, model: Model, parts: Sequence[Part], repeated: Repeated | None = None) -> Measured:
    """Evaluate a model exactly on the held-out `part`, which may consist of several `parts`."""
    read = held_out(parts)
    evaluation = replace(evaluated(model, read), repeated=repeated)
    read_of = sum(map(len, read)), sum(map(len, parts))
    return Measured(part, evaluation, *read_of, loss_after=model.text.loss_after, step=model.step)


def evaluated(model: Model, parts: Sequence[Part]) -> Evaluation:
    """Return the exact loss of a model over parts of a text, and for labels how many are right."""
    if model.config.classes is None:
        return Evaluation(sum(part.counted() for part in parts), mean_nats(model, parts), unit=model.text.unit)
    from charrnn.inference.labelling import figures

    confusion, nats = figures(model, parts)
    return Evaluation(
        int(confusion.sum()),
        nats,
        unit=model.config.predicted(model.text.unit),
        right=int(np.trace(confusion)),
        most_frequent=int(confusion.sum(axis=1).max()),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def evaluate_part(part: str, model: Model, data: Dataset, notify: Notify) -> Evaluation:
    """Evaluate a model exactly on a held-out part, also in bits per byte if all of the part is predicted.

    Raise CharRNNError if there is no such part.
    """
    held = parts_of(data)
    if part not in tuple(held):
        there_is = f"it has {' and '.join(held)}" if held else "nothing was held out"
        raise CharRNNError(f"The run has no part {part!r}; {there_is}.", hint="Evaluate your own text.")
    parts, of = held[part], data.repeated.get(part)
    if of:
        notify(f"{of} of this part also occur in the training part: the loss is lower than for new text.")
    return _in_bytes(measure(part, model, parts, of), data).evaluation


def _in_bytes(measured: Measured, data: Dataset) -> Measured:
    """Return what was measured, with the bits per byte if all of the part was predicted."""
    part, evaluation = measured.part, measured.evaluation
    corpus = data.validation if data.validation and part == "validation" else data.corpus
    if not corpus.complete or corpus.text.config.loss_after is not None or data.classes is not None:
        return measured
    bits = evaluation.bits_per_char * evaluation.characters / _byte_count(held_out(parts_of(data)[part]), corpus)
    return replace(measured, evaluation=replace(evaluation, bits_per_byte=bits))


def _byte_count(parts: Sequence[Part], corpus: Corpus) -> float:
    """Return how many bytes of a corpus's files some parts take: the share of the bytes of their characters.

    This is exact unless reading changed the text, or a byte order mark set another encoding than the settings.
    """
    config = corpus.text.config
    encoding = BYTES if config.bytes else config.encoding

    def size(counted: Mapping[str, int]) -> int:
        # The second of two equal symbols has no byte order mark before it.
        return sum(
            count * (len((2 * symbol).encode(encoding, "replace")) - len(symbol.encode(encoding, "replace")))
            for symbol, count in counted.items()
        )

    here = sum(size(Counter(corpus.vocab.decode(part.ids()))) for part in parts)
    return corpus.text.byte_count * here / size(corpus.text.counted)


def frequency_nats(train: Part, parts: Sequence[Part], outputs: int) -> float:
    """Return the loss, in nats per character, of guessing held-out text by the frequencies of characters in `train`.

    If labels are predicted, those of labels. Only what counts is used. Each character or label gets one extra
    occurrence, so that none is impossible. The loss is NaN if nothing that is held out counts.
    """
    blocks = list(train.blocks())
    spread = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), COUNTED_STRETCHES)).astype(int))
    trained, held = np.ones(outputs), np.zeros(outputs)
    for low, high in (blocks[place] for place in spread):
        trained += _frequencies(train, low, high, outputs)
    for part in held_out(parts):
        held += _frequencies(part, 0, len(part), outputs)
    return float(held @ np.log(trained.sum() / trained) / held.sum()) if held.sum() else math.nan


def _frequencies(part: Part, low: int, high: int, outputs: int) -> np.ndarray:
    """Return how often each id, or label, counts in a stretch of a part, (outputs,)."""
    places = np.arange(low, high)
    return np.bincount(part.targets(places[part.counts(places)]), minlength=outputs)


def compressors(data: Dataset) -> dict[str, float]:
    """Return the bits per character that compressors need for the validation part; {} if too few characters count."""
    corpus = data.corpus
    if data.classes is not None:
        return {}
    encoding = BYTES if corpus.text.config.bytes else "utf-8"
    texts = [corpus.vocab.decode(counted_ids(part)) for part in held_out(data.parts.val)]
    characters = sum(map(len, texts))
    if characters < COMPRESSIBLE:
        return {}
    sizes = compressed_sizes(b"".join(text.encode(encoding) for text in texts))
    return {name: 8 * size / characters for name, size in sizes.items()}


def counted_ids(part: Part) -> np.ndarray:
    """Return the ids of the characters of a part that count in its loss."""
    return part.ids()[part.counts(np.arange(len(part)))]


def compressed_sizes(data: bytes) -> dict[str, int]:
    """Return the number of bytes that bzip2 and xz compress `data` to, in bounded memory."""
    sizes = {}
    compressors: dict[str, Any] = {"bzip2": bz2.BZ2Compressor(9), "xz": lzma.LZMACompressor(preset=6)}
    for name, compressor in compressors.items():
        size = 0
        for low in range(0, len(data), COMPRESSED_AT_ONCE):
            size += len(compressor.compress(data[low : low + COMPRESSED_AT_ONCE]))
        sizes[name] = size + len(compressor.flush())
    return sizes
