"""The live view of training: on a terminal, on a pipe, on a terminal that goes, and of the command itself."""

import math
import os
import re
import signal
import subprocess
import sys
from collections import UserList
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import gmtime
from types import SimpleNamespace

import pytest
import rich.live
import rich.progress

from charrnn.api.evaluation import Evaluation
from charrnn.api.events import (
    Began,
    BudgetFixed,
    Ended,
    Evaluated,
    FolderMade,
    Loading,
    Measured,
    Noticed,
    RolledBack,
    Saved,
    SaveFailed,
    Stepped,
)
from charrnn.cli.views import beginning, live, speed
from charrnn.cli.views.bar import Shown, laid_out
from charrnn.cli.views.live import NO_SAMPLES, NOTHING, View
from charrnn.cli.views.reading import Reading
from charrnn.cli.views.wrapping import cells
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import NotWritten
from charrnn.runs.folder import Run
from support.commands import COMMAND
from support.terminal import SEQUENCE, Terminal, as_standard_streams, widths

LN2 = 0.6931471805599453
SAMPLE = "a sample\nof two lines"
MODEL, SETTINGS = ModelConfig("lstm", 2, 16), TrainConfig(batch=8, seq=16, minutes=1)
# A bar: the share that is done, a bar, the time left or taken, and the losses.
BAR = re.compile(r" *(\d+)% [━─]+ (?:(?:-:--|[\d:]+) left|took [\d:]+)  train (?:-|[\d.]+)  val (?:-|[\d.]+)(?=\s|$)")
# What is written for it, from where lines do not wrap to where they do again.
PAINTED = re.compile(rb"\x1b\[\?7l(.*?)\x1b\[\?7h\r")
SIZE_AND_COLOUR = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
EVIL = "safe\x1b[2J\x07\x08\t\u202ebad\x9b31m :key: [red]not markup[/red]\nsecond"


class FakeCorpus(UserList):
    text: SimpleNamespace


class FakeTraining:
    """As much of a training run as its view asks for."""

    def __init__(self, folder: Path, first: bool = True, form=DEFAULT_TEXT):
        parts = SimpleNamespace(train=range(900), val=[range(60), range(40)], test=[range(30), range(20)])
        corpus = FakeCorpus(range(1050))
        corpus.text = SimpleNamespace(
            config=form, symbols="abcdefghijklm", counted=dict.fromkeys("abcdefghijklm", 9), labelled={}
        )
        data = SimpleNamespace(corpus=corpus, parts=parts)
        corpus.text.sources = ("/home/me/toy.txt",)
        self.job = SimpleNamespace(data=data, config=SETTINGS, model=MODEL, resumed=None)
        self.began = 0.0
        self.run, self.progress = Run(folder / "toy"), SimpleNamespace(best_step=20)
        self.run.path.mkdir(parents=True)
        self.run.best.touch()
        self.is_first = first


class Clock:
    """Goes on by half a second with each step, so that speeds are always the same; it is 14:12 at first."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def time(self) -> float:
        return (14 * 60 + 12) * 60 + self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    for module in (speed, beginning):
        monkeypatch.setattr(module, "perf_counter", clock.perf_counter)
    monkeypatch.setattr(beginning, "time", clock.time)
    monkeypatch.setattr(beginning, "localtime", gmtime)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns; the bar is drawn only when something is printed."""
    monkeypatch.setattr(rich.live, "Live", partial(rich.live.Live, auto_refresh=False))
    monkeypatch.setattr(rich.progress, "Progress", partial(rich.progress.Progress, auto_refresh=False))
    for name in SIZE_AND_COLOUR:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal(80)
    yield terminal
    terminal.close()


@contextmanager
def on(terminal: Terminal) -> Iterator[None]:
    """Let stderr be the terminal."""
    before = sys.stderr
    with as_standard_streams(terminal.descriptor):
        sys.stderr = stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        try:
            yield
        finally:
            kept, sys.stderr = sys.stderr, before
            # What could not be written to a terminal that has gone is still to be written.
            with suppress(OSError):
                stderr.close()
            assert kept is stderr, "Rich kept stderr"


@contextmanager
def viewing(terminal: Terminal, training: FakeTraining, quiet: int = 0) -> Iterator[View]:
    """Let a view show the training on the terminal."""
    with on(terminal), View(training, quiet) as view:
        yield view


@pytest.fixture
def said(capfd, monkeypatch):
    """Return a function that returns the lines on stderr, which is no terminal."""
    monkeypatch.setattr(live, "LINE_EVERY", 0.0)

    def lines() -> list[str]:
        out, err = capfd.readouterr()
        assert out == "" and "\x1b" not in err
        return err.splitlines()

    return lines


def began(folder: Path, step: int = 0, total: int | None = 40) -> Began:
    return Began(folder / "toy", MODEL, SETTINGS, 13, step, total, None, 7)


def stepped(step: int, total: int | None = 40) -> Stepped:
    return Stepped(step, total, step / 7, 2 * LN2, 2e-3)


def evaluated(step: int, bits: float | None = 2.5, best: bool = True, sample: str | None = SAMPLE) -> Evaluated:
    nats = None if bits is None else bits * LN2
    return Evaluated(step, step / 7, 3 * LN2, nats, best, {}, sample=sample)


def show(view: View, clock: Clock, *events) -> None:
    for event in events:
        clock.now += 0.5
        view.show(event)


def story(folder: Path) -> list:
    """Return the events of a run to which everything happens."""
    failed = NotWritten("No space left on device: checkpoints/to\x1by.")
    return [
        Noticed("Training on 1 GPU.", is_advice=True),
        Noticed("The batch is now cut into 3 parts."),
        Loading("JAX", 1),
        began(folder, total=None),
        *(stepped(step, None) for step in range(1, 4)),
        BudgetFixed(40, 12345.6),
        *(stepped(step) for step in range(4, 10)),
        evaluated(9),
        stepped(10),
        Saved(10),
        SaveFailed(11, failed),
        RolledBack(9, "the loss became nan", 0.5),
        stepped(10),
        evaluated(10, bits=2.75, best=False),
        evaluated(11, bits=None),
        Ended("budget", 40),
        Measured("validation", Evaluation(100, 1.5), 100, 100, {"xz": 3.25}, train_nats=0.5),
    ]


# Where stderr is no terminal


def test_plain_lines(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, *story(tmp_path))
    assert said() == [
        "Training on 1 GPU.",
        "The batch is now cut into 3 parts.",
        "Training lstm 2x16 on toy.txt for 1 minute, done about 14:13.",
        "Loading JAX, and waiting for 1 other process …",
        "Text: 1,050 characters, 13 different; 900 to train on, 100 to validate, 50 to test.",
        "Network: 4,317 parameters, one-hot input, dropout 0.3.",
        "Run toy: batch 8, seq 16, adam, learning rate 0.005.",
        "step 1, epoch 0.14, train 2.000, lr 2.0e-03, 1 min left",
        "step 2, epoch 0.29, train 2.000, lr 2.0e-03, 1 min left",
        "step 3, epoch 0.43, train 2.000, lr 2.0e-03, 1 min left",
        "12,346 characters/s: there is time for 40 steps, or 5.7 passes over the text.",
        "step 4/40, epoch 0.57, train 2.000, lr 2.0e-03, 1 min left",
        "step 5/40, epoch 0.71, train 2.000, lr 2.0e-03, 1 min left",
        "step 6/40, epoch 0.86, train 2.000, lr 2.0e-03, 1 min left",
        # 128 characters in half a second.
        "step 7/40, epoch 1.00, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "step 8/40, epoch 1.14, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "step 9/40, epoch 1.29, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "epoch 1.29, step 9: train 3.0000, val 2.5000 bits, best",
        "  | a sample",
        "  | of two lines",
        "step 10/40, epoch 1.43, 256 chars/s, train 2.000, val 2.500 bits/char, lr 2.0e-03, 1 min left",
        "Saved after step 10.",
        "Not saved after step 11: No space left on device: checkpoints/to\\x1by. Training continues in memory.",
        "Training went wrong: the loss became nan. It continues from step 9 with 0.5 times the learning rate.",
        "step 10/40, epoch 1.43, 256 chars/s, train 2.000, val 2.500 bits/char, lr 2.0e-03, 1 min left",
        "epoch 1.43, step 10: train 3.0000, val 2.7500 bits",
        "  | a sample",
        "  | of two lines",
        "epoch 1.57, step 11: train 3.0000 bits",
        "  | a sample",
        "  | of two lines",
        f"The model is {tmp_path / 'toy/best.safetensors'} (step 20).",
        "Validation: 2.1640 bits per character (1.5000 nats), computed over all 100 held-out characters.",
        "  For comparison, compressors that see only the held-out text, in bits per character: xz 3.250.",
        "  The model overfits: the training loss is 0.50 nats, the validation loss 1.50. "
        "More text, more --dropout or fewer --units would help.",
    ]


def test_a_folder_that_was_made_again_is_told_even_when_quiet(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=NOTHING) as view:
        show(view, clock, began(tmp_path), FolderMade(Path("checkpoints/to\x1by")))
    assert said() == ["The folder of the run was moved or removed: it was made again at checkpoints/to\\x1by."]


def test_another_number_of_steps_is_said_if_it_is_another_one(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, began(tmp_path, total=None), BudgetFixed(40, 12345.6))
        said()
        show(view, clock, BudgetFixed(43, 13000.0, 40), BudgetFixed(80, 24000.0, 43))
        # What was said last is what it is compared with.
        show(view, clock, BudgetFixed(75, 22000.0, 80), BudgetFixed(73, 21000.0, 75))
        assert said() == ["24,000 characters/s: there is time for 80 steps instead of 40, or 11 passes over the text."]
        show(view, clock, BudgetFixed(30, 9000.0, 73))
        assert said() == ["9,000 characters/s: there is time for 30 steps instead of 80, or 4.3 passes over the text."]
        # So many were asked for: more would fit.
        view.began = replace(began(tmp_path), training=replace(SETTINGS, steps=7))
        show(view, clock, BudgetFixed(7, 9000.0))
        assert said() == []


def test_a_model_of_bytes_is_told_in_bytes(tmp_path, clock, said):
    of_bytes = FakeTraining(tmp_path, form=TextConfig(bytes=True))
    with View(of_bytes, quiet=0) as view:
        show(view, clock, *story(tmp_path)[:-1])
        measured = Evaluation(100, 1.5, unit="byte")
        view.show(Measured("validation", measured, 100, 100, {"xz": 3.25}, frequency_nats=1.0))
    lines = said()
    for expected in (
        "Text: 1,050 bytes, 13 different; 900 to train on, 100 to validate, 50 to test.",
        "12,346 bytes/s: there is time for 40 steps, or 5.7 passes over the text.",
        "step 10/40, epoch 1.43, 256 bytes/s, train 2.000, val 2.500 bits/byte, lr 2.0e-03, 1 min left",
        "Validation: 2.1640 bits per byte (1.5000 nats), computed over all 100 held-out bytes.",
        "  For comparison, compressors that see only the held-out text, in bits per byte: xz 3.250.",
    ):
        assert expected in lines
    assert not any("char" in line for line in lines)


def test_between_evaluations_a_line_comes_now_and_then(tmp_path, clock, said, monkeypatch):
    monkeypatch.setattr(live, "LINE_EVERY", 1.75)
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)))
    # Every half second is a step.
    assert [line.split("/")[0] for line in said()[3:]] == ["step 4", "step 8"]


def test_quiet_leaves_out_samples_and_then_all_but_warnings(tmp_path, clock, said):
    with View(FakeTraining(tmp_path / "all"), quiet=0) as view:
        show(view, clock, *story(tmp_path))
    everything = [line.replace(str(tmp_path / "all"), "") for line in said()]
    clock.now = 0.0
    training = FakeTraining(tmp_path / "once")
    with View(training, quiet=NO_SAMPLES) as view:
        show(view, clock, *story(tmp_path))
    lines = [line.replace(str(tmp_path / "once"), "") for line in said()]
    assert lines == [line for line in everything if not line.startswith("  | ")] and len(lines) < len(everything)
    bad = Measured("validation", Evaluation(100, 4.5), 100, 100, {"xz": 3.25}, frequency_nats=3.0)
    with View(training, quiet=NOTHING) as view:
        show(view, clock, *story(tmp_path), bad)
    assert said() == [
        "The batch is now cut into 3 parts.",
        "Not saved after step 11: No space left on device: checkpoints/to\\x1by. Training continues in memory.",
        "Training went wrong: the loss became nan. It continues from step 9 with 0.5 times the learning rate.",
        "The model predicts worse than the frequencies of the characters alone (3.00 nats): it was not trained enough, "
        "or with a wrong learning rate. Train again, for longer or with another --lr.",
    ]


@pytest.mark.parametrize(
    ("settings", "progress", "first"),
    [
        ({"minutes": 10}, None, "Training lstm 2x16 on toy.txt for 10 minutes, done about 14:22."),
        ({"minutes": 0.5}, None, "Training lstm 2x16 on toy.txt for 0.5 minutes, done about 14:12."),
        ({"minutes": 3000}, None, "Training lstm 2x16 on toy.txt for 3,000 minutes, done about Sat 03 Jan, 16:12."),
        ({"steps": 2000}, None, "Training lstm 2x16 on toy.txt for 2,000 steps."),
        ({"epochs": 1.0}, None, "Training lstm 2x16 on toy.txt for 1 epoch."),
        (
            {"steps": 1, "minutes": 10},
            None,
            "Training lstm 2x16 on toy.txt for 10 minutes or 1 step, whichever ends first, done by 14:22.",
        ),
        ({"steps": 2000}, (1500, 2000), "Training lstm 2x16 on toy.txt from step 1,500 to step 2,000."),
        (
            {"minutes": 2},
            (1500, None),
            "Training lstm 2x16 on toy.txt from step 1,500 for 2 minutes, done about 14:14.",
        ),
    ],
)
def test_the_first_line_says_what_will_happen(settings, progress, first, tmp_path, clock, said):
    training = FakeTraining(tmp_path)
    training.job.config = TrainConfig(**settings)
    if progress:
        training.job.resumed = SimpleNamespace(progress=SimpleNamespace(step=progress[0], total=progress[1]))
    with View(training, quiet=NO_SAMPLES) as view:
        show(view, clock, Loading("JAX"))
    assert said() == [first, "Loading JAX …"]


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        (("-",), "stdin"),
        (("/home/me/books",), "books"),
        (("/home/me/a\x1b.txt", "/home/me/b.txt", "-2"), r"a\x1b.txt and 2 more"),
    ],
)
def test_the_first_line_names_the_text(sources, named, tmp_path, clock, said):
    training = FakeTraining(tmp_path)
    training.job.data.corpus.text.sources = sources
    with View(training, quiet=0) as view:
        show(view, clock, Loading("JAX"))
    assert said()[0] == f"Training lstm 2x16 on {named} for 1 minute, done about 14:13."


def test_when_a_run_of_so_many_steps_is_done_is_said_once_its_speed_is_known(tmp_path, clock, said, monkeypatch):
    monkeypatch.setattr(live, "LINE_EVERY", math.inf)
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, began(tmp_path, total=1000), *(stepped(step, 1000) for step in range(1, 50)))
    # 979 steps of half a second are left after 10.5 seconds.
    assert said()[3:] == ["256 characters/s: done about 14:20."]
    with View(FakeTraining(tmp_path / "short"), quiet=0) as view:
        show(view, clock, began(tmp_path, total=50), *(stepped(step, 50) for step in range(1, 50)))
    # It is not worth a line.
    assert said()[3:] == []


@pytest.mark.parametrize("reason", ["interrupted", "patience"])
def test_why_it_ended(reason, tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=NO_SAMPLES) as view:
        show(view, clock, Ended(reason, 12))
    patience = f"Stopped early: no improvement in {SETTINGS.patience} evaluations."
    assert said()[:1] == ([patience] if reason == "patience" else [])


def test_one_of_several_processes_says_nothing_of_the_end(tmp_path, clock, said):
    with View(FakeTraining(tmp_path, first=False), quiet=0) as view:
        show(view, clock, Ended("budget", 40))
    assert said() == []


def test_a_pipe_that_nobody_reads_any_more_does_not_stop_training(tmp_path, clock, monkeypatch):
    reader, writer = os.pipe()
    with open(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with View(FakeTraining(tmp_path), quiet=0) as view:
            show(view, clock, began(tmp_path), stepped(1))
            os.close(reader)
            show(view, clock, *story(tmp_path)[5:])
        # Later writes of others do not fail either.
        print("lost", file=stderr, flush=True)


# On a terminal


def test_lines_above_a_bar(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, Noticed("Training on 1 GPU.", is_advice=True), Loading("JAX"), began(tmp_path, total=40))
        terminal.sync()
        assert not terminal.shows_cursor
        assert re.fullmatch(r"  0% ─{28} -:-- left  train -  val - bits/char  compiling", terminal.lines()[-1])
        show(view, clock, *map(stepped, range(1, 20)), evaluated(19), stepped(20), RolledBack(19, "nan", 0.5))
        show(view, clock, stepped(20))
        view.bar.refresh()
        terminal.sync()
        assert terminal.lines()[:-1] == [
            "Training on 1 GPU.",
            "Training lstm 2x16 on toy.txt for 1 minute, done about 14:13; Ctrl-C saves and",
            "stops.",
            "Loading JAX …",
            # Broken between words, where it is too long.
            "Text: 1,050 characters, 13 different; 900 to train on, 100 to validate, 50 to",
            "test.",
            "Network: 4,317 parameters, one-hot input, dropout 0.3.",
            "Run toy: batch 8, seq 16, adam, learning rate 0.005.",
            "epoch 2.71, step 19: train 3.0000, val 2.5000 bits, best",
            "  | a sample",
            "  | of two lines",
            "Training went wrong: nan. It continues from step 19 with 0.5 times the learning",
            "rate.",
        ]
        # Epoch and learning rate are left out: the time left is not.
        bar = r" 50% ━+─+ 0:11 left  train 2\.000  val 2\.500 bits/char  256 chars/s"
        assert re.fullmatch(bar, terminal.lines()[-1]) and len(terminal.lines()[-1]) == 80
        show(view, clock, *map(stepped, range(21, 41)), Ended("budget", 40))
    terminal.sync()
    above, bar, below = "\n".join(terminal.lines()).partition(terminal.lines()[13])
    assert above.endswith("\nrate.\n") and below.startswith("\nThe model is")
    # What is of interest at the end is how long it took.
    assert re.fullmatch(r"100% ━+ took 0:24  train 2\.000  val 2\.500 bits/char  256 chars/s", bar)
    assert terminal.shows_cursor
    assert sum(bool(BAR.match(line)) for line in terminal.lines()) == 1


def painted(raw: bytes) -> list[str]:
    """Return the bars that were painted, each as it is seen."""
    return [SEQUENCE.sub("", bar.decode()) for bar in PAINTED.findall(raw)]


@pytest.mark.parametrize("minutes", [1, None])
@pytest.mark.parametrize(("columns", "then"), [(60, 120), (80, 60), (120, 80)])
def test_every_bar_fits_and_shows_share_time_and_losses(columns, then, minutes, tmp_path, clock, terminal):
    terminal.resize(columns)
    text = "Two words and a-word-that-is-longer-than-the-widest-terminal" + "-of-them" * 20 + "\n漢字かな" * 40
    training = FakeTraining(tmp_path)
    training.job.config = settings = replace(SETTINGS, minutes=minutes)
    total = None if minutes else 1_234_567
    with viewing(terminal, training) as view:

        def follow(*events) -> None:
            for event in events:
                show(view, clock, event)
                if view.bar:
                    view.bar.refresh()

        follow(Noticed("A notice of many words. " * 9, is_advice=True), Loading("JAX", 2))
        follow(replace(began(tmp_path, total=total), training=settings))
        follow(*(stepped(step, total) for step in range(1, 8)), *([BudgetFixed(1_234_567, 1.25e6)] if minutes else []))
        total = 1_234_567
        follow(*(stepped(step, total) for step in range(8, 30)), evaluated(29, sample=text))
        start = terminal.resize(then)
        before = terminal.raw[:start]
        follow(*(stepped(step, total) for step in range(30, 60)), evaluated(1_000_000, sample=text))
        follow(RolledBack(50, "a " * 99, 0.5), stepped(51, total), SaveFailed(51, NotWritten("No space left. " * 9)))
        follow(evaluated(52, best=False, sample=text))
        follow(Ended("interrupted", 52))
    terminal.sync()
    for raw, width in ((before, columns), (terminal.raw[len(before) :], then)):
        bars = painted(raw)
        assert len(bars) > 30 and {len(bar) for bar in bars} == {width}
        assert all(BAR.match(bar) for bar in bars)
        assert [bar for bar in bars if " took " in bar] == (bars[-1:] if width == then else [])
        # No line is broken by the terminal: each takes at most its columns.
        assert len(widths(raw)) > 60 and max(widths(raw)) <= width
        text = "".join(SEQUENCE.sub("", raw.decode()).split())
        assert "漢字かな" in text


def test_a_bar_leaves_out_what_does_not_fit():
    shown = Shown(0.256, "3:24 left", ["train 2.345", "val 2.456"], "bits/char", ["31,867 chars/s", "epoch 1.50"])
    lines = {columns: laid_out(shown, columns) for columns in range(200)}
    assert all(cells(before + after) + bar <= columns for columns, (before, bar, after) in lines.items() if columns > 3)
    # What is shown at some width is shown at all that are larger, with a bar of some length.
    first = {part: next(n for n in lines if part in "".join(map(str, lines[n]))) for part in ("3:24", "2.456", "2.345")}
    assert list(first.values()) == [15, 26, 39]
    assert [next(n for n in lines if part in lines[n][2]) for part in ("train", "/char", "chars/s", "epoch")] == [
        47, 57, 73, 85,
    ]  # fmt: skip
    assert lines[120] == (" 25% ", 43, " 3:24 left  train 2.345  val 2.456 bits/char  31,867 chars/s  epoch 1.50")
    assert lines[45] == (" 25%  3:24 left  train 2.345  val 2.456", 0, "")
    # Nearly done is not done.
    assert laid_out(replace(shown, share=0.999), 80)[0] == " 99% "


def test_a_bar_does_without_what_there_is_not(tmp_path, clock, terminal):
    training = FakeTraining(tmp_path)
    training.job.data.parts.val = []
    with viewing(terminal, training) as view:
        show(view, clock, began(tmp_path), replace(stepped(1), nats=None))
        view.bar.refresh()
        terminal.sync()
        assert re.fullmatch(r"  2% ━─+ -:-- left  train - bits/char  epoch 0\.14  lr 2\.0e-03", terminal.lines()[-1])


def test_what_is_typed_on_the_bar_is_painted_over(tmp_path, clock, terminal):
    """A terminal shows ^C where the cursor is: at the end of a full line it would break the line."""
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        os.write(terminal.descriptor, b"^C^C")
        terminal.sync()
        assert terminal.lines()[-1].startswith("^C^C")
        show(view, clock, Ended("interrupted", 1))
    terminal.sync()
    assert sum(bool(BAR.match(line)) for line in terminal.lines()) == 1
    assert "^C" not in "".join(terminal.lines()) and terminal.screen.cursor.x == 0


def test_a_bar_that_a_terminal_has_broken_is_erased_whole(tmp_path, clock, terminal):
    """Many terminals break the lines that are there when they are made narrower; the cursor stays at the beginning."""
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        view.bar.refresh()
        terminal.sync()
        assert terminal.screen.cursor.x == 0
        row, bar = terminal.screen.cursor.y, terminal.lines()[-1]
        terminal.resize(60)
        terminal.screen.cursor_position(row + 2, 1)
        terminal.screen.draw(bar[60:])
        terminal.screen.cursor_position(row + 1, 1)
        assert len(terminal.lines()) == row + 2
        view.bar.refresh()
        terminal.sync()
        assert len(terminal.lines()) == row + 1
        show(view, clock, Saved(1))
        terminal.sync()
        assert terminal.lines()[row] == "Saved after step 1." and BAR.match(terminal.lines()[-1])
        assert len(terminal.lines()) == row + 2


def test_a_terminal_without_unicode_has_a_bar_too(tmp_path, clock, terminal):
    with on(terminal):
        sys.stderr.reconfigure(encoding="ascii")
        with View(FakeTraining(tmp_path), 0) as view:
            show(view, clock, began(tmp_path), *map(stepped, range(1, 21)))
    terminal.sync()
    assert re.match(r" 50% (#+)(-+) took ", terminal.lines()[-1])


def test_last_words_are_said_in_place_of_the_bar(terminal):
    ending = (
        "import os; from charrnn.cli import signals; signals.leave_early(); os.write(2, b'\\x1b[?25l 50% a bar\\r^C'); "
    )
    subprocess.run([sys.executable, "-c", ending + "signals.leave(2, 'Saved.')"], stderr=terminal.descriptor)
    terminal.sync()
    assert terminal.lines() == ["Saved."] and terminal.shows_cursor


def test_colours_are_readable_on_light_and_dark_terminals(tmp_path, clock, terminal, monkeypatch):
    for no_color in ("", "1"):
        if no_color:
            monkeypatch.setenv("NO_COLOR", no_color)
        start = len(terminal.raw)
        with viewing(terminal, FakeTraining(tmp_path / f"x{no_color}")) as view:
            show(view, clock, began(tmp_path), *map(stepped, range(1, 20)), evaluated(19))
        terminal.sync()
        colours = set(re.findall(rb"\x1b\[([\d;]*)m", terminal.raw[start:]))
        # Magenta, the one colour of the old eight that has contrast on both.
        assert colours == (set() if no_color else {b"35", b"0"})


def test_the_bar_that_stays_has_the_last_evaluation(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)), evaluated(9), stepped(10))
        show(view, clock, evaluated(10, bits=1.25))
    terminal.sync()
    assert "val 1.250 bits/char" in terminal.lines()[-1]


def test_the_rate_of_the_settings_is_not_that_of_a_run_that_goes_on(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, replace(began(tmp_path), step=20))
    assert said()[2] == "Run toy: batch 8, seq 16, adam."


def test_quiet_draws_nothing(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path), quiet=NOTHING) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)), evaluated(9), RolledBack(9, "nan", 0.5))
    terminal.sync()
    assert "".join(terminal.lines()).startswith("Training went wrong: nan.")
    assert b"\x1b[" not in terminal.raw


def test_a_sample_is_shown_as_characters_and_nothing_else(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        terminal.sync()
        before = len(terminal.raw)
        show(view, clock, evaluated(1, sample=EVIL))
        terminal.sync()
    shown = [line for line in terminal.lines() if line.startswith("  | ")]
    # Rich would have made a key of :key:, and colours of [red].
    escaped = r"safe\x1b[2J\x07\x08\t\u202ebad\x9b31m :key: [red]not markup[/red]"
    assert shown == ["  | " + escaped, "  | second"]
    raw = terminal.raw[before:]
    assert escaped.encode() in raw
    assert not set(b"\x07\x08\t") & set(raw.partition(b"\x1b]0;")[0]) and "\u202e".encode() not in raw


def test_without_a_sample_none_is_shown(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=0) as view:
        show(view, clock, began(tmp_path), stepped(1), evaluated(1, sample=None))
    assert said()[-1] == "epoch 0.14, step 1: train 3.0000, val 2.5000 bits, best"


def test_a_long_line_of_a_sample_is_broken_between_words_after_the_same_prefix(tmp_path, clock, terminal):
    sample = "    " + "word " * 40 + "e\u0301nd " + "漢" * 50
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1), evaluated(1, sample=sample))
        terminal.sync()
    shown = [line for line in terminal.lines() if line.startswith("  | ")]
    assert shown[0] == "  |     " + " ".join(["word"] * 14) and shown[1] == "  | " + " ".join(["word"] * 15)
    # Each of these characters takes two columns, one of the terminal's cells after it.
    assert shown[2].startswith("  | " + "word " * 11 + "énd 漢") and shown[3].startswith("  | 漢")
    assert "".join(shown).count("漢") == 50
    assert BAR.match(terminal.lines()[-1])


def test_the_cursor_is_shown_when_an_exception_passes_through(tmp_path, clock, terminal):
    for failure in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(failure), viewing(terminal, FakeTraining(tmp_path / failure.__name__)) as view:
            show(view, clock, began(tmp_path), stepped(1))
            terminal.sync()
            assert not terminal.shows_cursor
            raise failure
        terminal.sync()
        assert terminal.shows_cursor
        # What is said next begins a line.
        assert terminal.screen.cursor.x == 0


@pytest.mark.parametrize("columns", [60, 40, 20])
def test_no_line_is_wider_than_a_terminal_that_was_made_narrow(columns, tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)), evaluated(9))
        start = terminal.resize(columns)
        for step in range(10, 20):
            show(view, clock, stepped(step))
            view.bar.refresh()
        show(view, clock, evaluated(19), RolledBack(19, "the loss became nan", 0.5), stepped(20))
        view.bar.refresh()
        terminal.sync()
        # A line that is too long is broken between its parts.
        assert columns == 20 or any(line.endswith("val 2.5000 bits, best") for line in terminal.lines())
        raw = terminal.raw[start:]
        assert len(widths(raw)) > 20 and max(widths(raw)) <= columns
        # What is left out last is the share that is done, the time that is left and the validation loss.
        bar = terminal.lines()[-1]
        assert bar.startswith(" 50%") and " left" in bar and (columns < 40 or "val 2.500" in bar)
        start = terminal.resize(120)
        show(view, clock, stepped(21))
        view.bar.refresh()
        terminal.sync()
        assert "lr 2.0e-03" in terminal.lines()[-1] and 100 < max(widths(terminal.raw[start:])) <= 120


def test_a_terminal_that_cannot_go_back_gets_plain_lines(tmp_path, clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(live, "LINE_EVERY", 0.0)
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
    terminal.sync()
    assert terminal.lines()[-1] == "step 1/40, epoch 0.14, train 2.000, lr 2.0e-03"
    assert b"\x1b[" not in terminal.raw


def test_a_terminal_that_has_gone_does_not_stop_training(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        terminal.sync()
        terminal.hang_up()
        with pytest.raises(OSError):
            os.write(terminal.descriptor, b"x")
        show(view, clock, *story(tmp_path)[4:])
        assert view.bar is None


def test_a_terminal_that_has_gone_before_the_bar_is_closed_hides_no_exception(tmp_path, clock, terminal):
    with pytest.raises(ValueError, match="of training"), viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        terminal.hang_up()
        raise ValueError("of training")


# While a text is read


@pytest.fixture
def reading(clock, monkeypatch):
    monkeypatch.setattr("charrnn.cli.views.reading.perf_counter", clock.perf_counter)
    return Reading


def read(reading: Reading, clock: Clock, *megabytes: int) -> None:
    """Tell that so many of 900 MB have been read, one after the other, at two a second."""
    for done in megabytes:
        clock.now += 0.5
        reading.show(done * 10**6, 900 * 10**6)


def test_reading_takes_a_line_now_and_then(reading, clock, said):
    with reading() as shown:
        read(shown, clock, *range(1, 41), 900)
    # After 0.7 seconds, and then every 15.
    assert said() == ["Reading: 2 of 900 MB …", "Reading: 33 of 900 MB …"]


def test_a_text_that_is_read_at_once_says_nothing(reading, clock, said):
    with reading() as shown:
        read(shown, clock, 1, 900)
    assert said() == []


def test_reading_says_nothing_if_quiet(reading, clock, said):
    with reading(quiet=True) as shown:
        read(shown, clock, *range(1, 41))
    assert said() == []


def test_the_bar_of_reading_leaves_nothing_behind(reading, clock, terminal):
    with on(terminal), reading() as shown:
        read(shown, clock, 1, 2, 3)
        shown.bar.refresh()
        terminal.sync()
        assert re.match(r"Reading ━.* 3\.0/900\.0 MB ", terminal.lines()[0]) and not terminal.shows_cursor
        read(shown, clock, 900)
        terminal.sync()
        assert terminal.lines() == [] and terminal.shows_cursor


def test_a_terminal_that_has_gone_does_not_stop_reading(reading, clock, terminal):
    with on(terminal), reading() as shown:
        read(shown, clock, 1, 2, 3)
        terminal.hang_up()
        read(shown, clock, 4, 900)


# The command itself

EVALUATION = re.compile(rb"step [\d,]+: train")
# The command is the first process of a session, whose terminal is what its streams are.
IN_FOREGROUND = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.trains
def test_the_command_on_a_terminal_that_is_resized_and_interrupted(tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"{n} green bottles hanging on the wall,\n" for n in range(300)))
    terminal = Terminal(80)
    modes = terminal.modes
    settings = {"--units": 8, "--batch": 8, "--seq": 16, "--steps": 1_000_000, "--eval-every": 20, "--name": "toy"}
    settings |= {"--schedule": "constant", "--patience": 0}
    arguments = ["train", "text.txt", *(str(word) for pair in settings.items() for word in pair)]
    environment = {key: value for key, value in os.environ.items() if key not in SIZE_AND_COLOUR}
    environment = {key: value for key, value in environment.items() if key == "CHARRNN_CACHE" or "CHARRNN_" not in key}
    process = subprocess.Popen(
        [sys.executable, "-c", IN_FOREGROUND, COMMAND, *arguments],
        cwd=tmp_path,
        env=environment | {"KERAS_BACKEND": "jax", "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        stdin=terminal.descriptor,
        stdout=terminal.descriptor,
        stderr=terminal.descriptor,
        start_new_session=True,
    )
    try:

        def wait_for_evaluations(count: int, start: int = 0) -> None:
            """Wait until so many have been shown; between them are steps and frames."""
            terminal.wait_for(
                lambda raw: len(EVALUATION.findall(raw, start)) >= count, "evaluations", lambda: process.poll() is None
            )

        wait_for_evaluations(3)
        start = terminal.resize(50)
        wait_for_evaluations(4, start)
        os.write(terminal.keyboard, b"\x03")
        code = process.wait(300)
    finally:
        process.kill()
        process.wait()
    terminal.sync()
    assert code == 128 + signal.SIGINT
    assert terminal.shows_cursor and terminal.modes == modes
    assert b"Traceback" not in terminal.raw
    # What was being drawn when the terminal was resized, such as an evaluation, may be as wide as that was before.
    _, match, *_ = EVALUATION.finditer(terminal.raw, start)
    shown, last, said = terminal.raw[match.start() :].partition(b"Stopped after")
    assert max(widths(shown)) <= 50 and all(map(BAR.match, painted(shown)))
    said = SEQUENCE.sub("", (last + said).decode())
    assert re.fullmatch(r"Stopped after step [\d,]+, saved\. Continue with:\r\n  charrnn train --resume toy\r\n", said)
    # The bar is there once, and no ^C.
    assert sum(bool(re.match(r" *\d+% ", line)) for line in terminal.lines()) == 1
    assert "^C" not in "".join(terminal.lines())
    terminal.close()
