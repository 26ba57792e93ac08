"""Whether a GPU trains as the processor does: prints a Markdown table of losses, and what the trained models write.

    python benchmarks/gpu_parity.py

Each row is one cell, trained by `charrnn train` for --steps steps with dropout: on the processor in float32, and on the
GPU with float32 products as precise as the processor's, with those of TF32 (the default), and in bf16, by the
framework's scan and by charrnn's kernels (a cell that has none is computed by the scan). A cell of the table has the
validation loss and its relative distance from the processor's. All runs of a row start together.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import numpy as np

CHARRNN = (sys.executable, "-m", "charrnn")
# What is trained, and how: the options of `charrnn train`, and JAX's precision of float32 products.
WAYS = {
    "processor": (["--device", "cpu", "--engine", "framework"], "highest"),
    "float32": ([], "highest"),
    "TF32": (["--engine", "framework"], "tensorfloat32"),
    "TF32, kernels": ([], "tensorfloat32"),
    "bf16": (["--engine", "framework", "--precision", "bf16"], "tensorfloat32"),
    "bf16, kernels": (["--precision", "bf16"], "tensorfloat32"),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", help="as of charrnn train")
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "gru-reset-after", "lstm-mogrifier"])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=120.0, help="after which a run is given up")
    return parser.parse_args()


def write_text(path: Path) -> None:
    """Write a text of random words, which a model learns within a few steps."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), rng.integers(1, 7))) for _ in range(40)]
    path.write_text(" ".join(rng.choice(words, 6000)))


def begun(args: argparse.Namespace, cell: str, way: str, text: Path) -> subprocess.Popen[str]:
    """Start to train a cell in one way; the run is in the folder of the text."""
    options, precision = WAYS[way]
    command = [
        *CHARRNN,
        "train",
        str(text),
        "--checkpoints",
        str(text.parent),
        "--name",
        f"{cell}-{way}",
        "--cell",
        cell,
    ]
    command += ["--layers", "2", "--units", str(args.units), "--batch", "32", "--seq", "32", "--steps", str(args.steps)]
    command += ["--backend", "jax", "--seed", "1", "--quiet"]
    command += ["--device", args.device, *options]
    environment = {**os.environ, "JAX_DEFAULT_MATMUL_PRECISION": precision}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def row(args: argparse.Namespace, cell: str, text: Path) -> tuple[list[str], list[str]]:
    """Return the cells of a row, and notes: why a run failed, what a model writes."""
    facts, notes, expected = [], [], None
    for way, process in [(way, begun(args, cell, way, text)) for way in WAYS]:
        try:
            errors = process.communicate(timeout=args.seconds)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            errors = f"it took more than {args.seconds:.0f} s"
        log = text.parent / f"{cell}-{way}/metrics.jsonl"
        if process.returncode or not log.exists():
            facts.append("failed")
            notes.append(f"{cell}, {way}, failed: {errors.strip()[-1500:]}")
            continue
        found = np.array([json.loads(log.read_text().splitlines()[0])[name] for name in ("train_nats", "val_nats")])
        expected = found if expected is None else expected
        apart = float(np.abs(found / expected - 1).max())
        facts.append(f"{found[1]:.6f}" + ("" if way == "processor" else f" ({apart:.1e})"))
    return facts, notes


def written(cell: str, way: str, text: Path) -> str:
    """Return what a trained model writes, on the processor."""
    command = [*CHARRNN, "sample", str(text.parent / f"{cell}-{way}"), "--length", "60", "--seed", "1", "--temp", "0.5"]
    result = subprocess.run(command, capture_output=True, text=True)
    return f"{cell}, {way}, writes: " + (result.stdout.strip() if result.returncode == 0 else result.stderr[-500:])


def main() -> None:
    args = arguments()
    print(machine.describe("charrnn", "numpy", "jax", "keras"), flush=True)
    print("| cell | " + " | ".join(WAYS) + " |\n" + (1 + len(WAYS)) * "|---" + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        text, notes = Path(folder, "text.txt"), []
        write_text(text)
        for cell in args.cells:
            facts, more = row(args, cell, text)
            print("| " + " | ".join([cell, *facts]) + " |", flush=True)
            notes += more
        notes += [written(args.cells[0], way, text) for way in ("processor", "TF32, kernels", "bf16, kernels")]
        print("\n" + "\n".join(notes))


if __name__ == "__main__":
    main()
