"""How fast `charrnn train` trains, beside Keras's own layers and PyTorch: prints a Markdown table.

    python benchmarks/train.py --torch TORCH_VENV/bin/python

PyTorch lives in a venv of its own: python -m venv TORCH_VENV; TORCH_VENV/bin/pip install torch==2.13.0 numpy
(its CPU build, where the index offers one). Without --torch its column is left out.

The speed of charrnn is that of real `charrnn train` runs (dropout 0, one-hot input, adam, a process each): the
difference of two runs of different --steps, so that start-up, compilation and the exact evaluation at the end cancel,
while data and the evaluations on the way count. A peer's is the difference of two lengths inside its process, after a
warm-up. Contenders take turns; the table holds medians (lowest-highest). The GRU of charrnn and of Keras here is that
of Cho 2014; PyTorch's resets after the product. With --avx2, all do without AVX-512.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import machine
import numpy as np

from charrnn.api.benchmark import peak_gflops
from charrnn.cells import CELLS
from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.batches import Streams
from charrnn.data.corpus import Corpus, as_ids
from charrnn.data.splits import split
from charrnn.network.parameters import useful_products
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.trainer import STEPS_BETWEEN_EVALUATIONS

CHARRNN = [sys.executable, "-c", "from charrnn.cli.app import main; main()"]
# What lets all contenders, and what measures the peak, do without AVX-512.
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
COMPILE_FOR_AVX2 = """
from charrnn.compiled.machine import Machine
make = Machine.__init__
Machine.__init__ = lambda self, cpu="haswell", features="+avx2,+fma": make(self, cpu, features)
"""
PEERS = Path(__file__).parent / "peers"
# Small, so that a run reaches the end of an epoch and evaluates, and the exact evaluation at its end is short.
TEXT_SIZE = "500K"
SHORT = 10


class Size(NamedTuple):
    """Layers and units of a network; streams and characters of a window."""

    layers: int
    units: int
    batch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.layers}x{self.units}, batch {self.batch}, seq {self.seq}"


SIZES = {"2x128": Size(2, 128, 50, 50), "2x256": Size(2, 256, 32, 64), "2x512": Size(2, 512, 64, 128)}


def size(text: str) -> Size:
    """Return the size that is meant: one of SIZES, or LAYERSxUNITS:BATCH:SEQ."""
    if text in SIZES:
        return SIZES[text]
    shape, batch, seq = text.split(":")
    layers, units = shape.split("x")
    return Size(int(layers), int(units), int(batch), int(seq))


class Failed(Exception):
    """A contender's process failed; says how it ended."""


def run(command: list[str]) -> str:
    """Return what a process prints; TensorFlow's chatter is kept away."""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise Failed(f"exit {result.returncode}: {result.stderr.strip()[-2000:]}")
    return result.stdout


class Bench:
    """Measures contenders on one text."""

    def __init__(self, text: Path, corpus: Corpus, folder: Path, torch: str | None, seconds: float):
        self.text, self.corpus, self.folder, self.torch, self.seconds = text, corpus, folder, torch, seconds
        self.train = split(corpus.part, TrainConfig()).train
        self.ids = folder / "ids.npy"
        np.save(self.ids, self.train.ids())
        self.runs, self.warm = 0, set[tuple[str, Size]]()

    def speeds(self, contender: str, cell: str, size: Size) -> dict[str, float]:
        """Return characters trained a second, by way of training."""
        if contender == "charrnn":
            return {"charrnn train": self.charrnn_speed(cell, size)}
        python, script = {"keras": (sys.executable, "keras_train.py"), "torch": (self.torch, "torch_train.py")}[
            contender
        ]
        task = {"ids": str(self.ids), "vocab": self.corpus.vocab.size, "cell": cell, **size._asdict()}
        task |= {"seconds": self.seconds, "threads": machine.cores()}
        return json.loads(run([str(python), str(PEERS / script), json.dumps(task)]))

    def charrnn_speed(self, cell: str, size: Size) -> float:
        epoch = Streams(self.train, size.batch, size.seq, 0, 0).steps_per_epoch
        characters = size.batch * size.seq
        # The difference holds whole rounds from evaluation to evaluation, so that these count in proportion.
        distance = -(-STEPS_BETWEEN_EVALUATIONS // epoch) * epoch
        rough = 1e11 / (6 * useful_products(ModelConfig(cell, size.layers, size.units), self.corpus.vocab.size))
        rounds = max(1, round(self.seconds * min(rough, 1e5) / (distance * characters)))
        if (cell, size) not in self.warm:
            # The first run compiles, and reads its programs from the disk.
            self.charrnn_run(cell, size, SHORT)
            self.warm.add((cell, size))
        short, _ = self.charrnn_run(cell, size, SHORT)
        long, evaluations = self.charrnn_run(cell, size, SHORT + rounds * distance)
        if evaluations != rounds + 1:
            raise Failed(f"{evaluations} evaluations in {rounds} rounds: STEPS_BETWEEN_EVALUATIONS has changed")
        if long <= short:
            raise Failed(f"{rounds * distance} steps more took no longer; --seconds is too short")
        return rounds * distance * characters / (long - short)

    def charrnn_run(self, cell: str, size: Size, steps: int) -> tuple[float, int]:
        """Return how long a real run took and how often it evaluated."""
        self.runs += 1
        name = f"run-{self.runs}"
        settings = {"cell": cell, **size._asdict(), "dropout": 0, "embedding": 0, "optimizer": "adam", "steps": steps}
        settings |= {"eval-every": 0, "patience": 0, "checkpoints": self.folder, "name": name}
        options = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
        began = perf_counter()
        run([*CHARRNN, "train", str(self.text), "--quiet", *options])
        elapsed = perf_counter() - began
        records = (self.folder / name / "metrics.jsonl").read_text().splitlines()
        return elapsed, sum(json.loads(record)["val_nats"] is not None for record in records)


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=["lstm", "gru", "rnn"])
    parser.add_argument(
        "--sizes", nargs="+", type=size, default=list(SIZES.values()), help=f"{', '.join(SIZES)} or LxU:BATCH:SEQ"
    )
    parser.add_argument("--repeats", type=int, default=5, help="how often each contender is measured")
    parser.add_argument("--seconds", type=float, default=15.0, help="about how long a measurement lasts, at least")
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has torch")
    parser.add_argument("--text", type=Path, help=f"the text; by default {TEXT_SIZE} of `charrnn corpus python`")
    parser.add_argument("--avx2", action="store_true", help="let all do without AVX-512")
    parser.add_argument("--keep-going", action="store_true", help="leave out what fails, rather than stop")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.avx2:
        os.environ.update(AVX2)
        CHARRNN[2] = COMPILE_FOR_AVX2 + CHARRNN[2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = args.text or folder / "python.txt"
        if not args.text:
            run([*CHARRNN, "corpus", "python", "--size", TEXT_SIZE, "-o", str(text)])
        read = read_text([text])
        corpus = as_ids(read, Vocabulary.of(read.symbols))
        contenders = ["charrnn", "keras", *(["torch"] if args.torch else [])]
        others = (
            {"torch": run([args.torch, "-c", "import torch; print(torch.__version__)"]).strip()} if args.torch else {}
        )
        print(machine.describe("charrnn", "numpy", "tensorflow", "keras", others=others))
        print("Without AVX-512." if args.avx2 else "With all instructions of the processor.")
        print(f"Text: {text.name}, {len(corpus):,} characters, {corpus.vocab.size} different.", flush=True)
        bench = Bench(text, corpus, folder, args.torch, args.seconds)
        # Files and libraries are read from the disk once, before anything counts.
        bench.charrnn_run("rnn", Size(1, 8, 8, 8), 1)
        peaks, rows, notes = [], [], []
        for dims in args.sizes:
            for cell in args.cells:
                measured: dict[str, dict[str, list[float]]] = {contender: {} for contender in contenders}
                for _ in range(args.repeats):
                    peaks.append(peak_gflops("tensorflow"))
                    for contender in contenders:
                        try:
                            for way, speed in bench.speeds(contender, cell, dims).items():
                                measured[contender].setdefault(way, []).append(speed)
                                show = f"{cell} {dims}: {contender}, {way}: {speed:,.0f} characters/s"
                                print(show, file=sys.stderr, flush=True)
                        except Failed as failure:
                            if not args.keep_going:
                                raise
                            print(f"{cell} {dims}: {contender} failed: {failure}", file=sys.stderr, flush=True)
                useful = 6 * useful_products(ModelConfig(cell, dims.layers, dims.units), corpus.vocab.size)
                rows.append((cell, dims, useful, {c: fastest(ways) for c, ways in measured.items()}))
                notes += [f"{cell} {dims}: {c} by {w[0]}" for c, w in rows[-1][3].items() if w and c != "charrnn"]
        print_table(contenders, rows, peaks)
        print(f"\nThe faster way of each peer: {'; '.join(notes)}.")


def fastest(ways: dict[str, list[float]]) -> tuple[str, list[float]] | None:
    """Return the way of training with the highest median."""
    return max(ways.items(), key=lambda way: median(way[1]), default=None)


def print_table(contenders: list[str], rows: list[Any], peaks: list[float]) -> None:
    """Print the Markdown table: characters/s, ratios of medians, share of the sgemm peak."""
    print(f"Peak of float32 matrix products: {median(peaks):,.0f} GFLOPS ({min(peaks):,.0f}-{max(peaks):,.0f}).")
    print("Characters trained a second, median (lowest-highest):\n")
    titles = {"charrnn": "charrnn", "keras": "Keras", "torch": "PyTorch"}
    ratios = [contender for contender in contenders if contender != "charrnn"]
    heads = ["cell", "size", *(titles[c] for c in contenders), *(f"to {titles[c]}" for c in ratios), "of the peak"]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for cell, dims, useful, best in rows:
        cells = [cell, str(dims)]
        for contender in contenders:
            speeds = best[contender] and best[contender][1]
            cells.append(f"{median(speeds):,.0f} ({min(speeds):,.0f}-{max(speeds):,.0f})" if speeds else "failed")
        ours = best["charrnn"]
        for contender in ratios:
            both = ours and best[contender]
            cells.append(f"{median(ours[1]) / median(best[contender][1]):.2f}x" if both else "-")
        cells.append(f"{median(ours[1]) * useful / (median(peaks) * 1e9):.0%}" if ours else "-")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"benchmarks/train.py: {failure}")
