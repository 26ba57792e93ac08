"""How fast a large text is read, with how much memory, and how soon training on it starts: prints a Markdown table.

    python benchmarks/corpus.py --megabytes 2000

The text is made here: lines of Python's own sources in a random order, one in twenty in Greek letters, one in fifty
with Chinese characters and an emoji; eight files, of which one is gzipped. Each row is a real command in a process of
its own.
"""

import argparse
import gzip
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

import machine

from charrnn.api.corpora import python_sources
from charrnn.text.reader import SETTLED

FILES = 8
BASE = 40_000_000
BLOCK_LINES = 500
GREEK = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβξδεφγηιςκλμνοπθρστυωχψζά")
CHINESE = ("天地玄黃", "宇宙洪荒", "日月盈昃", "辰宿列張")
TRAIN = ["--cell", "lstm", "--layers", "2", "--units", "128", "--steps", "5", "--quiet"]


class Taken(NamedTuple):
    """What a command took: seconds, and the most memory that it held, in MB."""

    seconds: float
    megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000, help="of the text, unpacked")
    parser.add_argument("--repeats", type=int, default=3, help="starts of training that are timed")
    args = parser.parse_args()
    print(machine.describe("charrnn", "numpy", "tensorflow", "keras"))
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        # In a process of its own: what this one holds when it starts a command counts as the command's memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
            size = elsewhere.submit(make_text, folder / "text", args.megabytes * 1_000_000).result()
        small = folder / "small.txt"
        with open(min((folder / "text").glob("*.txt")), "rb") as file:
            small.write_bytes(file.read(1 << 20).rpartition(b"\n")[0])
        # A file that was changed a moment ago is not known again by its time of change.
        sleep(SETTLED + 0.5)
        read = take(folder, "vocab", "text", "--json")
        starts = [
            {what: take(folder, "train", what, "--val", "0", *TRAIN).seconds for what in ("text", "small.txt")}
            for _ in range(args.repeats)
        ]
        default = take(folder, "train", "text", "--steps", "5", "--quiet")
        cache = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
    print(f"Text: {size / 1e6:,.0f} MB in {FILES} files, one of them gzipped; in the cache {cache / 1e6:,.0f} MB.\n")
    rows = [
        ("`charrnn vocab`, nothing in the cache", f"{read.seconds:.1f} s", f"{read.megabytes:.0f} MB"),
        ("… MB/s", f"{size / 1e6 / read.seconds:.0f}", ""),
        ("`charrnn train --steps 5`, everything at its default, from the cache", "", f"{default.megabytes:.0f} MB"),
    ]
    for what, label in (("text", "2x128, `--val 0`, from the cache"), ("small.txt", "the same on 1 MB of it")):
        seconds = sorted(start[what] for start in starts)
        rows.append((f"`charrnn train --steps 5`, {label}", f"{seconds[len(seconds) // 2]:.2f} s", ""))
    print("| | time | peak memory |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def make_text(folder: Path, size: int) -> int:
    """Write `size` bytes of text as files into a folder; return how many there are."""
    folder.mkdir()
    rng = random.Random(0)
    lines = [odd(line, rng) for line in source_lines()]
    blocks = []
    total = 0
    while total < BASE:
        block = "".join(rng.choices(lines, k=BLOCK_LINES)).encode()
        blocks.append(block)
        total += len(block)
    written = 0
    for number in range(FILES):
        packed = number == FILES - 1
        path = folder / f"part{number}.txt{'.gz' if packed else ''}"
        with gzip.open(path, "wb", 6) if packed else open(path, "wb") as file:
            while written < size * (number + 1) // FILES:
                written += file.write(rng.choice(blocks))
    return written


def source_lines() -> list[str]:
    """Return lines of the sources of this Python's standard library."""
    return b"".join(python_sources(8_000_000)).decode().splitlines(keepends=True)


def odd(line: str, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.05:
        return line.translate(GREEK)
    return line if draw < 0.98 else line.rstrip("\n") + f"  # {rng.choice(CHINESE)} 🙂\n"


def take(folder: Path, *arguments: str) -> Taken:
    """Run a charrnn command in a folder and return what it took."""
    environment = {**os.environ, "CHARRNN_CACHE": str(folder / "cache"), "CHARRNN_CHECKPOINTS": str(folder / "runs")}
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"charrnn {' '.join(arguments)} failed.")
    return Taken(perf_counter() - began, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
