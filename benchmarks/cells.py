"""How fast every cell trains, compiled and by TensorFlow, and beside the LSTM: prints a Markdown table.

    python benchmarks/cells.py

Bare training steps (Adam, no dropout, no evaluation, a process each) on random characters, a vocabulary of 65. Of a
cell, compiled and not, and the compiled LSTM take turns; ratios are of the same turn. "Per operation" compares useful
operations a second: products with recurrent matrices, between layers and to the output.
"""

import argparse
import json
import os
import subprocess
import sys
from statistics import median

import machine

from charrnn.cells import CELLS
from charrnn.config import ModelConfig
from charrnn.network.parameters import useful_products

VOCAB = 65
SPEED = """
import json, sys
from charrnn.api.benchmark import train_speed
from charrnn.config import ModelConfig, TrainConfig
task = json.loads(sys.argv[1])
model = ModelConfig(task["cell"], task["layers"], task["units"])
config = TrainConfig(batch=task["batch"], seq=task["seq"], dropout=0.0)
print(train_speed(model, config, task["vocab"], task["seconds"], "cpu", task["engine"]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seq", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each measurement lasts")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy", "tensorflow", "keras"))
    print(f"2x{args.units}, batch {args.batch}, seq {args.seq}; characters trained a second, median:\n")
    heads = (
        "cell",
        "compiled",
        "framework",
        "ratio",
        "to lstm",
        "useful products, of lstm's",
        "per operation, to lstm",
    )
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for cell in args.cells:
        turns = [
            (speed(cell, "compiled", args), speed(cell, "framework", args), speed("lstm", "compiled", args))
            for _ in range(args.repeats)
        ]
        gain = median(compiled / framework for compiled, framework, _ in turns)
        to_lstm = median(compiled / lstm for compiled, _, lstm in turns)
        work = products(cell, args.units) / products("lstm", args.units)
        compiled, framework, _ = (median(speeds) for speeds in zip(*turns, strict=True))
        print(
            f"| {cell} | {compiled:,.0f} | {framework:,.0f} | {gain:.2f}x | {to_lstm:.0%} | {work:.2f} | "
            f"{to_lstm * work:.0%} |",
            flush=True,
        )


def products(cell: str, units: int) -> int:
    return useful_products(ModelConfig(cell, 2, units), VOCAB)


def speed(cell: str, engine: str, args: argparse.Namespace) -> float:
    """Return characters trained a second, measured in a process of its own."""
    task = {"cell": cell, "engine": engine, "layers": 2, "vocab": VOCAB} | {
        k: vars(args)[k] for k in ("units", "batch", "seq", "seconds")
    }
    result = subprocess.run(
        [sys.executable, "-c", SPEED, json.dumps(task)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return float(result.stdout)


if __name__ == "__main__":
    main()
