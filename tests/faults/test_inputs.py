"""Promise 9: whatever the text, the file or the option, a command ends with 0, 1 or 2 and without a traceback."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.api.datasets import corpus_record
from charrnn.api.session import Job
from charrnn.cli.app import main
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.batches import Streams
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, serialise, write_checkpoint
from charrnn.runs.progress import CorpusRecord, LogPosition, Progress
from charrnn.text.sources import Document
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.budget import counted_total
from support.odd import ACTS, NUMBERS, WORDS, Odd, changing, working_in
from support.tally import Tally, share
from support.untrained import train_nothing

pytestmark = pytest.mark.promise(9)

LIMIT = 600
KNOWN = "abcdefgh \n☞é"
# Models by how they take their text.
FORMS = {
    "plain": TextConfig(),
    "lines": TextConfig(one_per_line=True),
    "ends": TextConfig(separator="☞", reset_at_documents=True),
    "formed": TextConfig(newlines="lf", normalize="nfkc", lower=True),
    "bytes": TextConfig(bytes=True),
    "utf-16": TextConfig(encoding="utf-16", errors="replace"),
    "spoilt": TextConfig(),
}


class Hung(BaseException):
    """A command did not come to an end."""


class Outcome(NamedTuple):
    code: Any
    out: bytes
    err: str
    escaped: str


def outcome(arguments: list[str], stdin: bytes = b"") -> Outcome:
    """Run the command line in this process."""
    streams = io.TextIOWrapper(io.BytesIO(stdin)), io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    # As Python opens stderr: undecodable names in messages are escaped.
    streams[2].reconfigure(errors="backslashreplace")
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr
    sys.argv, (sys.stdin, sys.stdout, sys.stderr) = ["charrnn", *arguments], streams
    code, escaped = 0, ""
    try:
        with warnings.catch_warnings():
            # What Python would print about our own code, such as an overflow.
            warnings.simplefilter("error", RuntimeWarning)
            main()
    except SystemExit as exit:
        code = exit.code or 0
    except BaseException:
        escaped = traceback.format_exc()
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before
        for stream in streams[1:]:
            stream.flush()
    return Outcome(code, streams[1].buffer.getvalue(), streams[2].buffer.getvalue().decode(), escaped)  # type: ignore[attr-defined]


def _no_json(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def faults(arguments: list[str], found: Outcome) -> Iterator[str]:
    """Yield what is wrong with the way in which a command has ended."""
    if found.escaped:
        yield found.escaped[-800:]
    if found.code not in (0, 1):
        yield f"exit code {found.code!r}"
    if re.search(r"Traceback|^\s+File \".*\", line \d", found.err, re.MULTILINE):
        yield f"a traceback: {found.err[-800:]}"
    explained = re.search(r"^charrnn: ", found.err, re.MULTILINE)
    bad = arguments[0] == "verify" and re.search(rb'^bad: |"ok": false', found.out, re.MULTILINE)
    if found.code == 1 and not (explained or bad):
        yield f"exit 1 without a reason: {found.err[-300:]!r}"
    if found.code == 0 and "--json" in arguments and "--help" not in arguments:
        try:
            json.loads(found.out, parse_constant=_no_json)
        except ValueError as error:
            yield f"no JSON: {error}"


def holds(tally: Tally, arguments: list[str], found: Outcome, what: str = "") -> None:
    """Count an input, as landed if it was refused, and check how the command ended."""
    tally.inject(landed=found.code != 0)
    for fault in faults(arguments, found):
        tally.fail(f"{[argument[:80] for argument in arguments]} {what}: {fault}")


def checkpoint(text: TextConfig, **more: Any) -> Checkpoint:
    model = ModelConfig("rnn", layers=1, units=3)
    vocab = (
        Vocabulary(tuple(map(chr, range(256)))) if text.bytes else Vocabulary.of(KNOWN, has_unknown=text.one_per_line)
    )
    return Checkpoint(model, vocab, initial_weights(model, vocab.size, 1), text=text, **more)


def spoilt() -> Checkpoint:
    """Return a model whose predictions are as wrong as can be."""
    found = checkpoint(TextConfig())
    found.weights["output/b"][:2] = 1e30, -1e30
    return found


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of runs, the one that the commands use: models of every form, and runs that are odd."""
    folder = tmp_path / "runs"
    (tmp_path / "trained.txt").write_text(KNOWN * 9)
    corpus = CorpusRecord((str(tmp_path / "trained.txt"),), "0" * 64, 9 * len(KNOWN))
    progress = Progress(corpus, step=1, total=1, metrics=LogPosition(0, "0"))
    trained = checkpoint(TextConfig(), training=TrainConfig(batch=2, seq=4, steps=1), progress=progress)
    state = {"layer0/h": np.zeros((2, 3), np.float32)}
    trained.state.update(state)
    (folder / "trained").mkdir(parents=True)
    write_checkpoint(folder / "trained" / "step-00000001.safetensors", trained)
    good = bytes(serialise(checkpoint(TextConfig())))
    odd = {"cut": good[:-9], "none": b"", "text": b"bad cafe" * 99, "flipped": good[:900] + b"~" + good[901:]}
    for name, data in odd.items():
        (folder / name).mkdir()
        (folder / name / "best.safetensors").write_bytes(data)
    # The newest, which is what a command takes that was told none.
    for name, text in FORMS.items():
        (folder / name).mkdir(parents=True)
        made = spoilt() if name == "spoilt" else checkpoint(text)
        write_checkpoint(folder / name / "best.safetensors", made)
    for name in (b"undecodable\xff", b"new\nline"):
        (folder / os.fsdecode(name)).mkdir()
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "a file").write_bytes(b"")
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(folder))
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return folder


def prepare(job: Job) -> None:
    """Do what training does with what was asked of it, as far as that needs no TensorFlow."""
    data, config = job.data, job.config
    streams = Streams(data.parts.train, config.batch, config.seq, config.seed, data.corpus.vocab.start)
    for step in {0, 1, streams.steps_per_epoch}:
        streams.window(step)
    counted_total(config, streams.steps_per_epoch)
    record = Progress(corpus_record(data))
    serialise(Checkpoint(job.model, data.corpus.vocab, {}, config, record, text=data.corpus.text.config))


def command(odd: Odd, runs: Path) -> list[str]:
    """Return the arguments of an odd command."""
    rng = odd.rng

    def run() -> str:
        names = [*FORMS, *FORMS, "trained", *sorted(path.name for path in runs.iterdir())]
        return rng.choice([*names, odd.source(), str(runs / rng.choice(names) / "best.safetensors"), *WORDS])

    def sources() -> list[str]:
        return [odd.source() for _ in range(rng.choice([1] * 9 + [2, 2, 0]))]

    def unknown() -> list[str]:
        policy = rng.choice(["skip", "replace"] if odd.mild else ["error", *WORDS])
        return ["--unknown", policy] if odd.mild or rng.random() < 0.2 else []

    def vocab() -> list[str]:
        output = rng.choice(
            ["new.json", "", "/", ".", "..", "nowhere/new.json", "x" * 300, os.fsdecode(b"\xff"), *WORDS]
        )
        against = rng.choice([odd.vocabulary, odd.vocabulary, run])
        more = rng.choice([[], [], ["--json"], ["--output", output], ["--against", against()]])
        json = ["--json"] if rng.random() < 0.3 and "--json" not in more else []
        return ["vocab", *sources(), *odd.text_options(), *more, *json]

    def eval() -> list[str]:
        read = [word for word in odd.text_options() if word not in ("--lower", "--bytes")]
        kept = [
            w
            for o, v in zip(read[::2], read[1::2], strict=True)
            if o in ("--encoding", "--errors", "--include")
            for w in (o, v)
        ]
        form = rng.choice([[], ["--json"]])
        return [
            "eval",
            *([rng.choice([*FORMS])] if odd.mild else rng.choice([[run()], []])),
            *sources(),
            *kept,
            *unknown(),
            *form,
        ]

    def sample() -> list[str]:
        prime = rng.choice(
            [*WORDS, "bad\n", os.fsdecode(odd.data()[:5000]).replace("\0", ""), odd.strange().replace("\0", "")]
        )
        numbers = [
            (o, v) for o in ("--temp", "--seed") for v in [rng.choice(NUMBERS)] if not odd.mild and rng.random() < 0.5
        ]
        length = "30" if odd.mild else rng.choice(["0", "1", "30", "-1", "nan", "x", ""])
        more = [word for pair in numbers for word in pair]
        return [
            "sample",
            rng.choice([*FORMS]) if odd.mild else run(),
            "-n",
            length,
            "--prime",
            prime,
            *unknown(),
            *more,
        ]

    def train() -> list[str]:
        resume = rng.choice(
            [[]] * 9 + [["--resume", rng.choice(["trained", run()]), "--steps", "9", "--allow-changed-text"]]
        )
        return ["train", *sources(), *(resume or [*odd.text_options(), *odd.train_options()])]

    def corpus() -> list[str]:
        size = rng.choice([*NUMBERS, "K", "5K", "20k", "nanK", "1e-9M"])
        size = "1K" if size.startswith("1") or size in ("999999999999999999999", "+1") else size
        output = rng.choice(["new.txt", "", "/", ".", os.devnull + "/x", "x" * 300, odd.source()])
        name = rng.choice(["python", "python", *WORDS])
        return ["corpus", *rng.choice([[], [name], [name, "--size", size], [name, "-o", output, "--size", "1K"]])]

    def listing() -> list[str]:
        return [
            "runs",
            *rng.choice([[], ["--json"], ["--checkpoints", odd.source()], ["--json", "--checkpoints", odd.source()]]),
        ]

    def verify() -> list[str]:
        return ["verify", *(run() for _ in range(rng.choice([0, 1, 1, 2]))), *rng.choice([[], ["--json"]])]

    def bench() -> list[str]:
        refused = [
            "--units 0",
            "--layers -1",
            "--cell x",
            "--dropout 1",
            "--batch x",
            "--seconds 0",
            "--seq 0",
            "--x",
            "nowhere",
        ]
        return [
            "bench",
            *rng.choice(refused).split(),
            *rng.choice([[], ["--json"], ["--embedding", rng.choice(NUMBERS)]]),
        ]

    kinds: list[Callable[[], list[str]]] = [vocab, eval, sample, train, corpus, listing, verify, bench]
    words = rng.choices(kinds, [30, 20, 12, 40, 3, 3, 4, 1])[0]()
    if rng.random() < 0.02:
        words.insert(rng.randint(0, len(words)), rng.choice(["--help", "--version", *WORDS]))
    return words


def new_folders(folder: Path, before: set[Path], arguments: list[str]) -> list[Path]:
    """Return the folders that a command has left behind, but for those of all runs, of corpora and of the cache."""
    made = [folder / out for option, out in pairwise(arguments) if option == "--checkpoints"]
    own = [*made, *(folder / name for name in ("checkpoints", "corpora", "new", "new/cache"))]
    allowed = {place for path in own for place in (path, *path.parents)}
    return [path for path in folder.rglob("*/") if path not in before | allowed and path.parent.name != "cache"]


@pytest.fixture
def limited() -> Iterator[Callable[[], None]]:
    """Return what starts the time that one command may take."""

    def hung(number: int, frame: Any) -> None:
        raise Hung(f"no end after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, hung)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, LIMIT) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("part", range(4))
def test_no_input_gives_a_traceback(
    part: int, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally, limited: Callable[[], None]
) -> None:
    train_nothing(monkeypatch, prepare)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    blocks, there = Document.blocks, sorted(os.listdir(runs))
    codes: Counter[Any] = Counter()
    changes: Counter[str] = Counter()
    only = os.environ.get("CHARRNN_ODD")
    for number in range(share(50, 2500)) if only is None else [int(only)]:
        odd = Odd(random.Random(f"{part} {number}"), tmp_path / "work")
        rng = odd.rng
        with working_in(odd.folder), monkeypatch.context() as patch:
            arguments = command(odd, runs)
            happened: list[str] = []
            if rng.random() < 0.5:
                changed, happened = changing(blocks, rng.choice(list(ACTS)), rng.choice([0, 1, 1, 2]))
                patch.setattr(Document, "blocks", changed)
            if rng.random() < 0.5:
                patch.setattr("charrnn.text.sources.BLOCK", rng.choice([64, 4096]))
            if rng.random() < 0.3:
                for module in ("cache", "codes"):
                    patch.setattr(f"charrnn.text.{module}.IN_MEMORY", rng.choice([0, 500]))
                if rng.random() < 0.1:
                    patch.setenv("CHARRNN_CACHE", rng.choice([os.devnull, str(odd.file()), "", "new/cache"]))
            if rng.random() < 0.05:
                patch.setenv(
                    "CHARRNN_CHECKPOINTS", rng.choice([os.devnull, str(odd.file()), "", "new", str(odd.tree())])
                )
            folders = set(odd.folder.rglob("*/"))
            limited()
            found = outcome(arguments, odd.data())
            signal.setitimer(signal.ITIMER_REAL, 0)
            odd.close()
            holds(tally, arguments, found, f"(part {part}, number {number}, {happened})")
            left = [] if happened else new_folders(odd.folder, folders, arguments)
            tally.check(sorted(os.listdir(runs)) == there and not left, f"{arguments} (number {number}) left {left}")
            tally.check(not list(odd.folder.rglob("*.part")), f"{arguments} (number {number}) left a part behind")
        codes[found.code] += 1
        changes.update(happened)
    for signals, handler in handlers.items():
        signal.signal(signals, handler)
    tally.check(not list((tmp_path / "cache").glob("*.part")), "something half made was left in the cache")
    if only is None:
        # Enough of them were odd, and enough were not.
        tally.check(min(codes[0], codes[1]) > 0.1 * codes.total(), f"{codes}")
        tally.check(changes.total() > 0.02 * codes.total(), f"only {changes} changed while they were read")


# One process for all: it is a backend that takes time to load.
TRAINER = """
import json, sys
from test_inputs import outcome
for line in sys.stdin:
    found = outcome(json.loads(line))
    print(json.dumps([found.code, found.out.decode("latin-1"), found.err, found.escaped]), flush=True)
"""
# Few shards, always as many: TensorFlow takes their number only once.
TINY = {"cell": "rnn", "layers": 1, "units": 2, "batch": 4, "seq": 8, "dropout": 0, "patience": 1}
# What goes wrong in training itself, if it does: options, each with a number that is far from any other.
FAR = ["lr 1e12", "lr 1e-300", "weight-decay 1e12", "clip-value 1e-300", "epochs 1e308", "warmup 1e12", "decay 1e-300"]
FAR += [
    "units 1000000",
    "keep 1e12",
    "minutes 1e308",
    "dropout 0.999999",
    "epsilon 1e12",
    "momentum 0.999",
    "seed 9" + "0" * 17,
]


@pytest.mark.trains
def test_training_on_odd_inputs(runs: Path, tmp_path: Path, tally: Tally) -> None:
    folder = tmp_path / "work"
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    tiny = [f"--{option}={value}" for option, value in TINY.items()]
    with working_in(folder), subprocess.Popen([sys.executable, "-c", TRAINER], cwd=folder, **pipe) as trainer:
        for number in range(share(12, 100)):
            odd = Odd(random.Random(number), folder)
            odd.mild = True
            far = FAR[number % len(FAR)].split() if number % 2 else ["seq", "3"]
            budget = [] if far[0] in ("epochs", "minutes") else ["--steps", "1"]
            written = odd.file(odd.plain() + odd.data()) if number % 3 else folder / os.fsdecode(b"\xff\n.txt")
            if not written.exists():
                written.write_bytes(odd.plain() * 9)
            arguments = ["train", str(written), *odd.text_options(), "--quiet", *tiny, *budget, f"--{far[0]}", far[1]]
            there = set(runs.iterdir())
            trainer.stdin.write(json.dumps(arguments) + "\n")
            trainer.stdin.flush()
            code, out, err, escaped = json.loads(trainer.stdout.readline())
            odd.close()
            holds(tally, arguments, Outcome(code, out.encode("latin-1"), err, escaped), f"(number {number})")
            # A run that went wrong after its first step keeps its log, which says how.
            left = [path for path in set(runs.iterdir()) - there if code and not (path / "metrics.jsonl").exists()]
            tally.check(not left, f"{arguments} failed and left {left}")
        trainer.stdin.close()
        tally.check(trainer.wait(LIMIT) == 0, "the process died")
    tally.check(tally.landed < 0.6 * tally.injected, f"only {tally.injected - tally.landed} were trained on")


def test_a_very_long_line(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally, limited: Callable[[], None]
) -> None:
    train_nothing(monkeypatch, prepare)
    line = tmp_path / "line.txt"
    line.write_bytes("a bad é ☞ ".encode() * (share(1_000_000, 100_000_000) // 13))
    for arguments in (
        ["vocab", str(line)],
        ["vocab", str(line), "--json", "--against", "plain"],
        ["vocab", str(line), "--bytes"],
        ["train", str(line), "--one-per-line"],
        ["train", str(line), "--lower", "--normalize", "nfd", "--newlines", "lf"],
    ):
        limited()
        holds(tally, arguments, outcome(arguments))


def test_what_once_gave_a_traceback(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    train_nothing(monkeypatch, prepare)
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("bad cafe zz\n" * 20)
    name = os.fsdecode(b"\xff\n.txt")
    Path(name).write_text("bad cafe zz\n" * 20)
    Path("deep.json").write_text("[" * 100_000)
    Path("lone.json").write_text('{"format":"charrnn-vocab","version":1,"symbols":"a\\ud800"}')
    for code, *arguments in (
        (1, "vocab", "text.txt", "--output", ""),
        (1, "vocab", "text.txt", "--output", "/"),
        (1, "vocab", "text.txt", "--against", "deep.json"),
        (1, "vocab", "text.txt", "--against", "lone.json", "--json"),
        (0, "vocab", name, "--against", "plain", "--json"),
        (0, "eval", "spoilt", "text.txt", "--unknown", "skip"),
        (0, "eval", "spoilt", "text.txt", "--unknown", "skip", "--json"),
        (1, "train", "text.txt", "--vocab", "deep.json"),
        (1, "train", "text.txt", "--vocab", "lone.json"),
        (1, "train", "text.txt", "--epochs", "1e308"),
        (1, "train", "text.txt", "--minutes", "1e308"),
        (1, "train", "text.txt", "--lr", "1e308"),
        (1, "train", "text.txt", "--weight-decay", "inf"),
        (1, "train", "text.txt", "--warmup", "1" + "0" * 400),
        (1, "train", "text.txt", "--decay", "1e300"),
        (1, "train", "text.txt", "--units", "1" + "0" * 30),
    ):
        found = outcome(arguments)
        holds(tally, arguments, found)
        tally.check(found.code == code, f"{arguments} ended with {found.code}: {found.err}")

    def needs_more(job: Job) -> None:
        raise MemoryError("Unable to allocate 7.28 TiB")

    train_nothing(monkeypatch, needs_more)
    holds(tally, ["train", "text.txt"], outcome(["train", "text.txt"]))
