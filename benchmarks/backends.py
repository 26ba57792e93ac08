"""How fast each backend trains on this processor: compiled, by its own operations, in bfloat16: a Markdown table.

    python benchmarks/backends.py

Bare training steps of LSTMs (Adam, no dropout, no evaluation, a process each) on random characters, a vocabulary of
65. The ways take turns; the table holds medians (lowest-highest), and the median of the ratios to the first way. "One
device" is JAX without shards: its products are shared among threads.
"""

import argparse
import json
import os
import subprocess
import sys
from statistics import median

import machine

VOCAB = 65
# Backend, engine, precision, and how many shards; None is as many as `charrnn train` would make.
WAYS = {
    "TensorFlow, compiled": ("tensorflow", "compiled", "float32", None),
    "TensorFlow": ("tensorflow", "framework", "float32", None),
    "TensorFlow, bf16": ("tensorflow", "framework", "bf16", None),
    "JAX, compiled": ("jax", "compiled", "float32", None),
    "JAX": ("jax", "framework", "float32", None),
    "JAX, bf16": ("jax", "framework", "bf16", None),
    "JAX, one device": ("jax", "framework", "float32", 1),
}
SPEED = """
import json, sys
from charrnn.api.benchmark import steps_per_second
from charrnn.config import ModelConfig, TrainConfig
from charrnn.training.backends.start import shard_count, start
task = json.loads(sys.argv[1])
model = ModelConfig("lstm", task["layers"], task["units"])
config = TrainConfig(batch=task["batch"], seq=task["seq"], dropout=0.0, precision=task["precision"])
shards = start(task["shards"] or shard_count(config.batch), device="cpu")
steps = steps_per_second(model, config, task["vocab"], task["seconds"], shards, task["engine"])
print(steps * config.batch * config.seq)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["2x128:50:50", "2x512:64:128"], help="LxU:BATCH:SEQ")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each measurement lasts")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy", "tensorflow", "jax", "keras"))
    print(f"Characters trained a second, median of {args.repeats} (lowest-highest):\n")
    print(f"| LSTM | way | characters/s | to {args.ways[0]} |\n|---|---|---|---|")
    for size in args.sizes:
        speeds: dict[str, list[float]] = {way: [] for way in args.ways}
        for _ in range(args.repeats):
            for way in args.ways:
                speeds[way].append(speed(size, way, args.seconds))
        for way, own in speeds.items():
            to_first = median(a / b for a, b in zip(own, speeds[args.ways[0]], strict=True))
            shape = "{}, batch {}, seq {}".format(*size.split(":"))
            print(f"| {shape} | {way} | {median(own):,.0f} ({min(own):,.0f}-{max(own):,.0f}) | {to_first:.2f}x |")
        sys.stdout.flush()


def speed(size: str, way: str, seconds: float) -> float:
    """Return characters trained a second, measured in a process of its own."""
    shape, batch, seq = size.split(":")
    layers, units = map(int, shape.split("x"))
    backend, engine, precision, shards = WAYS[way]
    task = {"layers": layers, "units": units, "batch": int(batch), "seq": int(seq), "precision": precision}
    task |= {"engine": engine, "shards": shards, "seconds": seconds, "vocab": VOCAB}
    result = subprocess.run(
        [sys.executable, "-c", SPEED, json.dumps(task)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return float(result.stdout)


if __name__ == "__main__":
    main()
