"""How fast `charrnn sample` samples and starts, and what memory it takes: prints Markdown tables.

    python benchmarks/sample.py --torch TORCH_VENV/bin/python

PyTorch lives in a venv of its own: python -m venv TORCH_VENV; TORCH_VENV/bin/pip install torch==2.13.0 numpy
(its CPU build, where the index offers one). Without --torch its column is left out.

Speed is that of the real command on an untrained LSTM, its output read from a pipe: the difference of two lengths, so
that start-up cancels. PyTorch steps an nn.LSTM inside one process, with one thread and with all, whichever is faster.
Start-up is the time from starting the process to its first byte, beside `python -c "import numpy, typer"`. Contenders
take turns; the tables hold medians (lowest-highest).
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import machine

from charrnn.config import ModelConfig
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary

CHARRNN = str(Path(sysconfig.get_path("scripts"), "charrnn"))
PEER = Path(__file__).parent / "peers" / "torch_sample.py"
VOCAB = Vocabulary(tuple(chr(code) for code in range(33, 98)))
# A parent of its own, small: at its start a process's peak memory counts as no less than its parent's.
PEAK_MEMORY = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))"
)


def sampling(path: Path, length: int) -> list[str]:
    """Return the command that samples so many characters."""
    return [CHARRNN, "sample", str(path), "--length", str(length), "--seed", "0"]


def seconds_to_sample(path: Path, length: int) -> float:
    """Return how long the command takes until all it says has been read."""
    began = perf_counter()
    output = subprocess.run(sampling(path, length), stdout=subprocess.PIPE, check=True).stdout
    elapsed = perf_counter() - began
    if len(output) != length:
        raise SystemExit(f"{length} characters were asked for, {len(output)} came")
    return elapsed


def sample_speed(path: Path, seconds: float) -> float:
    """Return characters a second."""
    short = 500
    seconds_to_sample(path, short)
    rough = 2000 / max(1e-3, seconds_to_sample(path, short + 2000) - seconds_to_sample(path, short))
    more = max(2000, int(rough * seconds))
    return more / (seconds_to_sample(path, short + more) - seconds_to_sample(path, short))


def torch_speed(python: str, size: tuple[int, int], threads: int, seconds: float) -> float:
    """Return characters a second."""
    task = {"vocab": VOCAB.size, "layers": size[0], "units": size[1], "threads": threads, "seconds": seconds}
    return float(subprocess.run([python, str(PEER), json.dumps(task)], stdout=subprocess.PIPE, check=True).stdout)


def first_byte(command: list[str]) -> float:
    """Return the seconds from starting a command to the first byte of its output, or to its end if there is none."""
    began = perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        elapsed = perf_counter() - began
        process.stdout.read()
    return elapsed


def whole(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    began = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - began


def peak_memory(command: list[str]) -> float:
    """Return the largest resident set of a command in MB."""
    result = subprocess.run([sys.executable, "-c", PEAK_MEMORY, *command], stdout=subprocess.PIPE, check=True)
    return int(result.stdout) / 1e6


def size(text: str) -> tuple[int, int]:
    """Return (layers, units) for a text like 2x128."""
    layers, units = text.split("x")
    return int(layers), int(units)


def spread(values: list[float], digits: str) -> str:
    """Return the median with the lowest and the highest."""
    return f"{median(values):{digits}} ({min(values):{digits}}-{max(values):{digits}})"


def write_models(sizes: list[tuple[int, int]], folder: Path) -> dict[tuple[int, int], Path]:
    """Write an untrained LSTM of each size."""
    paths = {}
    for layers, units in sizes:
        model = ModelConfig("lstm", layers, units)
        paths[layers, units] = folder / f"{layers}x{units}.safetensors"
        write_checkpoint(paths[layers, units], Checkpoint(model, VOCAB, initial_weights(model, VOCAB.size, 0)))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=size, default=[(2, 128), (3, 512)], help="as 2x128, of LSTMs")
    parser.add_argument("--repeats", type=int, default=5, help="how often each speed is measured")
    parser.add_argument("--starts", type=int, default=9, help="how often each start is measured")
    parser.add_argument("--seconds", type=float, default=8.0, help="about how long a measurement of speed lasts")
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has torch")
    args = parser.parse_args()
    others = {}
    if args.torch:
        asked = [args.torch, "-c", "import torch; print(torch.__version__)"]
        others["torch"] = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(machine.describe("charrnn", "numpy", "typer", others=others))
    print(f"Vocabulary: {VOCAB.size} characters.\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        paths = write_models(args.sizes, Path(name))
        print_speeds(paths, args.repeats, args.seconds, args.torch)
        print_starts(paths, args.starts)


def print_speeds(paths: dict[tuple[int, int], Path], repeats: int, seconds: float, torch: str | None) -> None:
    """Print the table of characters a second, and of memory."""
    print(
        "| LSTM | charrnn sample, characters/s | peak memory | " + ("PyTorch, characters/s | ratio |" if torch else "")
    )
    print("|---|---|---|" + ("---|---|" if torch else ""))
    for (layers, units), path in paths.items():
        ours: list[float] = []
        theirs: dict[int, list[float]] = {threads: [] for threads in {1, machine.cores()}} if torch else {}
        for _ in range(repeats):
            ours.append(sample_speed(path, seconds))
            for threads, speeds in theirs.items():
                speeds.append(torch_speed(str(torch), (layers, units), threads, seconds))
        row = f"| {layers}x{units} | {spread(ours, ',.0f')} | {peak_memory(sampling(path, 2000)):,.0f} MB |"
        if theirs:
            best = max(theirs.values(), key=median)
            row += f" {spread(best, ',.0f')} | {median(ours) / median(best):.1f}x |"
        print(row, flush=True)


def print_starts(paths: dict[tuple[int, int], Path], starts: int) -> None:
    """Print the table of times to the first byte."""
    imports = 'python -c "import numpy, typer"'
    contenders: dict[str, tuple[Callable[[list[str]], float], list[str]]] = {
        imports: (whole, [sys.executable, "-c", "import numpy, typer"]),
        "charrnn --help": (whole, [CHARRNN, "--help"]),
    }
    for (layers, units), path in paths.items():
        contenders[f"charrnn sample, {layers}x{units}, to the first character"] = (first_byte, sampling(path, 10))
    times: dict[str, list[float]] = {contender: [] for contender in contenders}
    for measure, command in contenders.values():
        measure(command)
    for _ in range(starts):
        for contender, (measure, command) in contenders.items():
            times[contender].append(measure(command))
    print(f"\n| from the shell | seconds | to `{imports}` |\n|---|---|---|")
    for contender, seconds in times.items():
        print(f"| `{contender}` | {spread(seconds, '.3f')} | {median(seconds) / median(times[imports]):.2f}x |")


if __name__ == "__main__":
    main()
