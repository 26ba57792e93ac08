"""How fast charrnn trains on a GPU, beside Keras's LSTM and PyTorch's: prints a Markdown table, row by row.

    KERAS_BACKEND=jax python benchmarks/gpu.py --torch python

The most important rows come first; none is begun after --budget seconds. Each is bare training steps (Adam, no dropout)
on random characters, a vocabulary of 65: of charrnn by what `charrnn bench` calls, of the peers by
benchmarks/peers/keras_train.py and torch_train.py, in processes of their own. "Of the peak" counts useful operations
(products with recurrent matrices, between layers and to the output) against a product of two large matrices of the
row's precision. What the rows are worth is said by gpu_parity.py: the
losses of real runs on this device and on the processor.

    KERAS_BACKEND=jax python benchmarks/gpu.py --train tinyshakespeare.txt

is one real training instead: how long `charrnn train` takes to a validation loss of 1.4697 nats, nanoGPT's published
one.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import machine
import numpy as np

from charrnn.cells import CELLS
from charrnn.config import PRECISIONS, ModelConfig, TrainConfig
from charrnn.engines import AUTO, FRAMEWORK
from charrnn.network.parameters import useful_products

VOCAB = 65
PEERS = Path(__file__).parent / "peers"
# nanoGPT's, on the last tenth of Tiny Shakespeare.
TARGET = 1.4697
# Seconds that the row which is begun last may take.
LAST_ROW = 30.0
CHARRNN = (sys.executable, "-m", "charrnn")
# XLA drives a loop from the host unless it may record it.
COMMAND_BUFFERS = "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL --xla_gpu_graph_min_graph_size=1"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="gpu", help="as of charrnn train")
    parser.add_argument("--budget", type=float, default=450.0, help="seconds after which no row is begun")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a measurement lasts")
    parser.add_argument("--sizes", nargs="+", default=["2x512", "3x1024"], help="the first is the main one")
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256], help="the first is the main one")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument(
        "--cells", nargs="*", choices=CELLS, default=[c for c in CELLS if c not in BOTH], help="besides"
    )
    parser.add_argument("--unroll", nargs="*", type=int, default=[1, 4, 16, 32], help="steps that share a turn")
    parser.add_argument("--peak-size", type=int, default=8192, help="rows of the matrices that tell the peak")
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has torch; without one its rows are left out")
    parser.add_argument("--train", type=Path, metavar="TEXT", help="one real training on this text")
    parser.add_argument("--minutes", type=float, default=6.0, help="of --train")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="the rest goes to charrnn train")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


BOTH = ("lstm", "gru")


def tasks(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what is measured, the most important first."""

    def task(contender: str, cell: str, size: str, batch: int, precision: str, **more: Any) -> dict[str, Any]:
        layers, units = map(int, size.split("x"))
        shape = {"cell": cell, "layers": layers, "units": units, "batch": batch, "seq": args.seq}
        return {
            "contender": contender,
            **shape,
            "precision": precision,
            "seconds": args.seconds,
            "vocab": VOCAB,
            **more,
        }

    shapes = [(size, batch) for batch in args.batches for size in args.sizes]
    for size, batch in shapes:
        for precision in args.precisions:
            yield task("charrnn", "lstm", size, batch, precision)
            if args.torch:
                yield task("PyTorch", "lstm", size, batch, precision)
            yield task("charrnn", "gru", size, batch, precision)
    for size, batch in shapes:
        for precision in args.precisions:
            for cell in BOTH:
                yield task("charrnn, scan", cell, size, batch, precision, scan=True)
    size, batch = shapes[0]
    for cell in args.cells:
        yield task("charrnn", cell, size, batch, "bf16")
    for unroll in args.unroll:
        yield task(f"charrnn, scan, unroll {unroll}", "lstm", size, batch, "bf16", scan=True, unroll=unroll)
    if args.device != "cpu":
        flags = {"XLA_FLAGS": COMMAND_BUFFERS}
        yield task("charrnn, scan, command buffers", "lstm", size, batch, "bf16", scan=True, flags=flags)
    for precision in args.precisions:
        yield task("Keras", "lstm", size, batch, precision)


class Worker:
    """A process that measures charrnn, one task after the other: the backend is loaded once."""

    def __init__(self, args: argparse.Namespace, flags: dict[str, str]):
        command = [sys.executable, __file__, "--work", "--device", args.device, "--peak-size", str(args.peak_size)]
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **flags},
        )

    def ask(self, task: dict[str, Any], within: float) -> Any:
        assert self.process.stdin and self.process.stdout
        alarm = threading.Timer(within, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            alarm.cancel()
        if not answer:
            if self.process.wait() == -signal.SIGKILL:
                raise Failed(f"it took more than {within:.0f} s")
            self.log.seek(0)
            raise Failed(self.log.read().decode(errors="replace").strip()[-2000:] or "it ended without a word")
        return json.loads(answer)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


class Failed(Exception):
    """A contender failed; says how."""


@contextmanager
def workers(args: argparse.Namespace) -> Iterator[Any]:
    """Give a function that asks the worker with these flags, begun anew after a failure."""
    known: dict[str, Worker] = {}

    def ask(task: dict[str, Any], flags: dict[str, str], within: float) -> Any:
        key = json.dumps(flags)
        known[key] = known.get(key) or Worker(args, flags)
        try:
            return known[key].ask(task, within)
        except Failed:
            known.pop(key).close()
            raise

    try:
        yield ask
    finally:
        for worker in known.values():
            worker.close()


def work(args: argparse.Namespace) -> None:
    """Measure what is asked for on stdin, a task a line, and answer a line each."""
    from charrnn.api.benchmark import steps_per_second
    from charrnn.training.backends.choice import choose
    from charrnn.training.backends.engines import choose_engine
    from charrnn.training.backends.start import start

    shards: dict[int, int] = {}
    for line in sys.stdin:
        task = json.loads(line)
        if not shards:
            shards[0] = start(1, device=args.device)
        if "peak" in task:
            answer: Any = peak(task["peak"], args.peak_size)
        else:
            from charrnn.training.backends.jax import scan as scan_jax

            unroll = scan_jax.UNROLL_ON_GPU
            scan_jax.UNROLL_ON_GPU = task.get("unroll", unroll)
            config = TrainConfig(batch=task["batch"], seq=task["seq"], dropout=0.0, precision=task["precision"])
            model = ModelConfig(task["cell"], task["layers"], task["units"])
            on_gpu, wanted = choose().engine().on_gpu(), FRAMEWORK if task.get("scan") else AUTO
            engine, _ = choose_engine(wanted, None, model, config.precision, on_gpu, resets=False)
            rate = steps_per_second(model, config, task["vocab"], task["seconds"], shards[0], engine)
            answer = rate * config.batch * config.seq
            scan_jax.UNROLL_ON_GPU = unroll
        print(json.dumps(answer), flush=True)


def peak(precision: str, size: int) -> float:
    """Return the operations a second of a product of two square matrices, the best of five."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (size, size)).astype("bfloat16" if precision == "bf16" else "float32")
    product = jax.jit(lambda a: jnp.matmul(a, a, preferred_element_type=jnp.float32))
    product(a).block_until_ready()
    best = float("inf")
    for _ in range(5):
        began = perf_counter()
        product(a).block_until_ready()
        best = min(best, perf_counter() - began)
    return 2 * size**3 / best


def finished(command: list[str], within: float, environment: dict[str, str] | None = None) -> str:
    """Return what a process prints, or raise Failed."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=within)
    except subprocess.TimeoutExpired:
        raise Failed(f"it took more than {within:.0f} s") from None
    if result.returncode:
        raise Failed(result.stderr.strip()[-2000:])
    return result.stdout


def peer_speed(task: dict[str, Any], args: argparse.Namespace, ids: Path, within: float) -> float:
    """Return the characters a second of Keras's or PyTorch's LSTM, by its fastest way."""
    python, script = {"Keras": (sys.executable, "keras_train.py"), "PyTorch": (args.torch, "torch_train.py")}[
        task["contender"]
    ]
    device = "cpu" if args.device == "cpu" else "cuda"
    task = {**task, "ids": str(ids), "threads": machine.cores(), "device": device}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {}
    printed = finished([python, str(PEERS / script), json.dumps(task)], within, environment)
    if not printed.strip():
        raise Failed("it printed nothing")
    return max(json.loads(printed.splitlines()[-1]).values())


def rows(args: argparse.Namespace) -> None:
    """Measure and print row by row until the budget is spent."""
    began, notes = perf_counter(), []
    with tempfile.TemporaryDirectory() as name, workers(args) as ask:
        ids = Path(name, "ids.npy")
        np.save(ids, np.random.default_rng(0).integers(0, VOCAB, 4_000_000).astype(np.int32))
        peaks = {precision: ask({"peak": precision}, {}, LAST_ROW) for precision in PRECISIONS}
        told = ", ".join(f"{precision} {speed / 1e12:,.1f}" for precision, speed in peaks.items())
        print(f"Peak of matrix products, TFLOPS: {told}.\n")
        print("| cell | size | precision | contender | characters/s | of the peak |\n" + 6 * "|---" + "|", flush=True)
        for task in tasks(args):
            left = args.budget - (perf_counter() - began)
            if left < 0:
                notes.append("The budget was spent before the rows that are missing.")
                break
            try:
                peer = task["contender"] in ("Keras", "PyTorch")
                within = left + LAST_ROW
                speed = peer_speed(task, args, ids, within) if peer else ask(task, task.get("flags", {}), within)
            except Failed as failure:
                notes.append(f"{task['contender']} {task.get('cell', '')} failed: {failure}")
                continue
            useful = 6 * useful_products(ModelConfig(task["cell"], task["layers"], task["units"]), VOCAB)
            size = f"{task['layers']}x{task['units']}, batch {task['batch']}"
            share = speed * useful / peaks[task["precision"]]
            facts = (task["cell"], size, task["precision"], task["contender"], f"{speed:,.0f}", f"{share:.1%}")
            print("| " + " | ".join(facts) + " |", flush=True)
    print("\n" + "\n".join(notes) + f"\n{perf_counter() - began:.0f} s in all.")


def train(args: argparse.Namespace) -> None:
    """Train once for real, and tell when the validation loss came to TARGET."""
    with tempfile.TemporaryDirectory() as name:
        options = ["--device", args.device, "--minutes", str(args.minutes), "--eval-every", "500", "--patience", "0"]
        words = [*CHARRNN, "train", str(args.train), *options, "--checkpoints", name, "--name", "run", *args.options]
        print(" ".join(words[3:]), flush=True)
        began, best, log = perf_counter(), float("inf"), Path(name, "run/metrics.jsonl")
        process = subprocess.Popen(words)
        while True:
            ended = process.poll() is not None
            lines = log.read_text().splitlines() if log.exists() else []
            losses = [(record["val_nats"], record["step"]) for record in map(json.loads, lines) if record["val_nats"]]
            if best > TARGET and losses and min(losses)[0] <= TARGET:
                print(f"{TARGET} nats after {perf_counter() - began:.1f} s, step {losses[-1][1]:,}, start-up included.")
            best = min(losses, default=(best,))[0]
            if ended:
                break
            time.sleep(0.2)
        if process.returncode:
            sys.exit(process.returncode)
        print(f"The best estimate: {best:.4f} nats." + (f" {TARGET} nats were not reached." if best > TARGET else ""))
        print(finished([*CHARRNN, "eval", f"{name}/run", "--part", "validation"], 600).strip())


def main() -> None:
    args = arguments()
    if args.work:
        work(args)
        return
    print(machine.describe("charrnn", "numpy", "jax", "keras", "torch"), flush=True)
    train(args) if args.train else rows(args)


if __name__ == "__main__":
    main()
