"""The commands that help and pages show, run: on untrained models, with training left out."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from charrnn.cli.app import app, main
from charrnn.config import TextConfig
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND
from support.models import write_model
from support.probes import write_mean_probe
from support.untrained import train_nothing

# Those that start a backend or change the user's files, which tests of their own do, and that which downloads.
ONLY_PARSED = (
    "charrnn bench",
    "charrnn compare",
    "charrnn devices",
    "charrnn gradcheck",
    "charrnn gradflow",
    "charrnn tune",
    "charrnn corpus tinyshakespeare",
    "charrnn --install-completion",
)
# An untrained model hardly ever ends a line.
LIGHTER = {"--rank": "--rank --rank-samples 20", "--beam 50": "--beam 50 -n 40"}
TEXTS = ("corpus", "names", "other", "chapter", "books/one", "candidates", "endings", "pairs", "titles")
LOGS = ("app.log", "last-week.log")
OF_LINES = ("names", "passwords", "log", "ordinary", "sums")


def lay_out(folder: Path) -> Path:
    """Make a folder with the texts and the runs that examples name; return it."""
    (folder / "books").mkdir()
    for text in (*(f"{name}.txt" for name in TEXTS), *LOGS):
        (folder / text).write_text("".join(f"{n} green\tbottles\n" for n in range(60)))
    (folder / "questions.txt").write_text("1+2=\n3+4=\n")
    (folder / "answers.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (folder / "gaps.txt").write_text("12 ___ bottles\n")
    (folder / "qa.jsonl").write_text('{"question": "1+2=", "answer": "3"}\n')
    characters = Vocabulary.of("\t\n" + "".join(map(chr, range(32, 127))))
    for name in (*OF_LINES, "tunes", "backward", "corpus"):
        (folder / "checkpoints" / name).mkdir(parents=True)
        kept = TextConfig(
            one_per_line=name in OF_LINES,
            documents_between="\n\n" if name == "tunes" else None,
            loss_after="=" if name == "sums" else None,
            reverse=name == "backward",
        )
        source = folder / ("names.txt" if name in OF_LINES else "corpus.txt")
        read = read_text([source], kept)
        record = CorpusRecord((str(source),), read.sha256, len(read))
        progress = Progress(record, step=1, best_nats=2.0)
        attention = 9 if name == "sums" else None
        write_model(folder / f"checkpoints/{name}/best.safetensors", characters, kept, progress, attention)
    reviews = "".join(f"{mood}\t{mood} number {n}\n" for n in range(12) for mood in ("good", "bad"))
    (folder / "reviews.tsv").write_text(reviews)
    (folder / "lines.txt").write_text("a good one\na bad one\n")
    write_mean_probe(folder / "mood.safetensors", folder / "checkpoints/corpus/best.safetensors")
    # The newest run, whichever it is, knows what the others do.
    shutil.copytree(folder / "checkpoints/corpus", folder / "elsewhere/corpus")
    return folder


def run(line: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run an example in its folder; return its exit code."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    # --show-completion asks for it, and a machine without a person at it has none.
    monkeypatch.setenv("SHELL", "/bin/bash")
    train_nothing(monkeypatch)
    for heavy, light in LIGHTER.items():
        line = line.replace(heavy, light)
    if "|" in line or "=" in line.partition(" ")[0]:
        # A log that is followed has no end.
        path = f"{Path(COMMAND).parent}:{os.environ['PATH']}"
        script = ["bash", "-euo", "pipefail", "-c", line.replace("tail -f", "cat")]
        return subprocess.run(script, env={**os.environ, "PATH": path}).returncode
    words = shlex.split(line)
    if line.startswith(ONLY_PARSED) or "--resume" in words:
        group = typer.main.get_command(app)
        context = group.make_context("charrnn", words[1:2])
        if not words[1].startswith("-"):
            group.get_command(context, words[1]).make_context(words[1], words[2:], parent=context)
        return 0
    monkeypatch.setattr(sys, "argv", words)
    try:
        main()
    except SystemExit as exit:
        return int(exit.code or 0)
    return 0
