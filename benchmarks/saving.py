"""What a checkpoint costs training: prints a Markdown table.

    python benchmarks/saving.py

An LSTM trains a few steps and saves a few times in one process, and the medians are compared as if it saved every 100
steps: once as the newest checkpoint alone, and once as the best one too.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import machine
import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.parts import Part
from charrnn.data.splits import Split
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.start import shard_count, start

SIZES = {"2x128": (2, 128, 50, 50), "2x512": (2, 512, 64, 128)}
EVERY = 100
VOCAB = Vocabulary(tuple(chr(code) for code in range(33, 98)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=15, help="steps and saves that are timed")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy", "tensorflow", "keras"))
    heads = ["LSTM", "a step, s", "a save, s", "as best too, s", "file, MB", f"cost every {EVERY} steps", "as best too"]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    shards = {name: shard_count(SIZES[name][2]) for name in args.sizes}
    start(max(shards.values()))
    for name in args.sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            step, plain, best, size = measure(*SIZES[name], shards[name], Path(folder), args.repeats)
        costs = [f"{save / (EVERY * step + save):.2%}" for save in (plain, best)]
        cells = [name, f"{step:.4f}", f"{plain:.3f}", f"{best:.3f}", f"{size / 1e6:.1f}", *costs]
        print("| " + " | ".join(cells) + " |", flush=True)


def measure(
    layers: int, units: int, batch: int, seq: int, shards: int, folder: Path, repeats: int
) -> tuple[float, float, float, int]:
    """Return the median seconds of a step, of a save and of a save as best, and a checkpoint's size in bytes."""
    from charrnn.training.learner import KerasLearner
    from charrnn.training.trainer import Trainer

    ids = np.random.default_rng(0).integers(0, VOCAB.size, 500_000).astype(np.uint8)
    config = TrainConfig(batch=batch, seq=seq, dropout=0.0, steps=10**6)
    corpus = CorpusRecord((), "", len(ids))
    model = ModelConfig("lstm", layers, units)
    learner = KerasLearner(model, VOCAB, config, Split(Part(ids)), shards)
    trainer = Trainer(Run(folder), learner, model, VOCAB, config, corpus)
    events = trainer.events()
    # The first event is that training begins.
    for _ in range(4):
        next(events)
    steps = [timed(lambda: next(events)) for _ in range(repeats)]
    plain = [timed(trainer.save) for _ in range(repeats)]
    best = [timed(lambda: trainer.save(best=True)) for _ in range(repeats)]
    return median(steps), median(plain), median(best), trainer.run.best.stat().st_size


def timed(action: Any) -> float:
    began = perf_counter()
    action()
    return perf_counter() - began


if __name__ == "__main__":
    main()
