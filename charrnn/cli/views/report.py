"""What `charrnn train` says at the end: where the model is, how good, beside which baselines, what to type next."""

import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from charrnn.cli.console import printable, say
from charrnn.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np

    from charrnn.data.corpus import Dataset
    from charrnn.data.parts import Part
    from charrnn.data.splits import Split
    from charrnn.inference.model import Model
    from charrnn.runs.folder import Run
    from charrnn.training.events import Ended
    from charrnn.training.trainer import Trainer

# Training this far below validation, in nats a character, means that the text is being learnt by heart.
MEMORISED = 0.5
COMPRESSED_AT_ONCE = 1 << 20
# Of held-out text, at most so many characters are evaluated exactly: `charrnn eval` reads more.
EXACT = 500_000


def seconds_needed(model: ModelConfig, vocab: Vocabulary, parts: "Split") -> float:
    """Return about how long the exact evaluation at the end will take, measured on a few characters."""
    from time import perf_counter

    import numpy as np

    from charrnn.inference.model import Model
    from charrnn.inference.scoring import Reader
    from charrnn.network.parameters import initial_weights

    read = [held_out(part) for part in (parts.val, parts.test) if part]
    if not read:
        return 1.0
    network = Model(model, vocab, initial_weights(model, vocab.size, 0))
    network.limit_threads()
    reader = Reader(network, len(read[0]))
    ids = np.zeros((200, len(read[0])), np.int64)
    reader.nats(ids[:20])
    began = perf_counter()
    reader.nats(ids)
    return 1.0 + (perf_counter() - began) / 200 * sum(max(map(len, parts)) for parts in read) * 1.1


def held_out(parts: "Sequence[Part]") -> list["Part"]:
    """Return what is evaluated exactly of some parts: all of them, but of long ones only the beginning."""
    each = EXACT // len(parts)
    return [part.cut(0, min(len(part), each)) for part in parts]


def at_the_end(run: "Run", trainer: "Trainer", data: "Dataset", ended: "Ended") -> None:
    """Evaluate the best checkpoint exactly and say what there is to say, on stderr."""
    from charrnn.inference.model import Model
    from charrnn.text.decoding import BYTES

    parts = data.parts
    if ended.reason == "patience":
        say(f"Stopped early: no better for {trainer.config.patience} evaluations.")
    best = run.best if run.best.is_file() else run.newest()
    assert best is not None
    say(f"The model is {printable(str(best))} (step {trainer.progress.best_step:,}).")
    model = Model.load(best)
    model.limit_threads()
    if parts.val:
        nats = _exactly("Validation", model, parts.val, "it was not trained on")
        encoding = BYTES if data.corpus.text.config.bytes else "utf-8"
        texts = [data.corpus.vocab.decode(counted_ids(part)) for part in held_out(parts.val)]
        if characters := sum(map(len, texts)):
            found = compressed_sizes(b"".join(text.encode(encoding) for text in texts))
            sizes = ", ".join(f"{name} {8 * size / characters:.3f}" for name, size in found.items())
            say(f"  For comparison, compressors on the same text alone, bits per character: {sizes}.")
        train = trainer.history[-1]["train_nats"] if trainer.history else None
        if train is not None and train < nats - MEMORISED:
            say(
                f"  It has begun to learn its text by heart: training loss {train:.2f} nats, validation {nats:.2f}. "
                "More text, more --dropout or fewer --units would help."
            )
    if parts.test:
        _exactly("Test", model, parts.test, "that nothing was chosen by")
    say(f"Sample from it: charrnn sample {shell_name(run)} --temp 0.8")


def counted_ids(part: "Part") -> "np.ndarray":
    """Return the ids of the characters of a part that count in its loss."""
    import numpy as np

    return part.ids()[part.counts(np.arange(len(part)))]


def _exactly(what: str, model: "Model", parts: "Sequence[Part]", which: str) -> float:
    """Evaluate held-out parts, say what came of it, and return the mean nats a character."""
    from charrnn.inference.evaluation import mean_nats

    read = held_out(parts)
    nats = mean_nats(model, read)
    characters, of_all, counted = sum(map(len, read)), sum(map(len, parts)), sum(part.counted() for part in read)
    separator, behind = model.text.loss_after, ""
    of = f" (the first of {of_all:,})" if characters < of_all else ""
    if separator is not None:
        behind = f" after {separator!r}"
        of = f" (of the first {characters:,} of {of_all:,})" if of else f" (of {characters:,})"
    if not counted:
        say(f"{what}: none of the first {characters:,} characters stands{behind}; charrnn eval reads more.")
        return nats
    say(
        f"{what}: {nats / math.log(2):.4f} bits per character ({nats:.4f} nats), exactly, on {counted:,} characters"
        f"{behind} {which}{of}."
    )
    return nats


def compressed_sizes(data: bytes) -> dict[str, int]:
    """Return how many bytes bzip2 and xz make of `data`, in bounded memory."""
    import bz2
    import lzma

    sizes = {}
    compressors: dict[str, Any] = {"bzip2": bz2.BZ2Compressor(9), "xz": lzma.LZMACompressor(preset=6)}
    for name, compressor in compressors.items():
        size = 0
        for low in range(0, len(data), COMPRESSED_AT_ONCE):
            size += len(compressor.compress(data[low : low + COMPRESSED_AT_ONCE]))
        sizes[name] = size + len(compressor.flush())
    return sizes


def go_on(run: "Run") -> str:
    """Return how to say that a run can be resumed."""
    return f"Go on with: charrnn train --resume {shell_name(run)}"


def shell_name(run: "Run") -> str:
    """Return how to name a run on the command line: its name if it lies in the folder of runs, else its path."""
    from charrnn.runs.folder import runs_folder

    inside = run.path.parent.resolve() == runs_folder().resolve()
    return shlex.quote(run.name if inside else str(run.path))
