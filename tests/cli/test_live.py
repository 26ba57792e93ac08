"""The live view of training: on a terminal, on a pipe, on a terminal that goes, and of the command itself."""

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
from types import SimpleNamespace

import pytest
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
from charrnn.cli.views import live
from charrnn.cli.views.live import View
from charrnn.cli.views.reading import Reading
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig, TrainConfig
from charrnn.errors import NotWritten
from charrnn.runs.folder import Run
from support.commands import COMMAND
from support.terminal import SEQUENCE, Terminal, as_standard_streams, widths

LN2 = 0.6931471805599453
MODEL, SETTINGS = ModelConfig("lstm", 2, 16), TrainConfig(batch=8, seq=16, minutes=1)
# A bar: the share that is done, a bar, facts, and the time left.
BAR = re.compile(r" *(\d+)% .* (-:--:--|--:--|[\d:]+)$")
SIZE_AND_COLOUR = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
EVIL = "safe\x1b[2J\x07\x08\t\u202ebad\x9b31m :key: [red]not markup[/red]\nsecond"


class FakeCorpus(UserList):
    text: SimpleNamespace


class FakeTraining:
    """As much of a training run as its view asks for; every evaluation samples `text`."""

    def __init__(self, folder: Path, text: str = "a sample\nof two lines", first: bool = True, form=DEFAULT_TEXT):
        parts = SimpleNamespace(train=range(900), val=[range(60), range(40)], test=[range(30), range(20)])
        corpus = FakeCorpus(range(1050))
        corpus.text = SimpleNamespace(config=form, symbols="abcdefghijklm")
        data = SimpleNamespace(corpus=corpus, parts=parts)
        self.job = SimpleNamespace(data=data, config=SETTINGS)
        self.run, self.progress = Run(folder / "toy"), SimpleNamespace(best_step=20)
        self.run.path.mkdir(parents=True)
        self.run.best.touch()
        self.is_first, self.text = first, text

    def model(self, event):
        form = self.job.data.corpus.text.config
        return SimpleNamespace(sample=lambda length, temperature, seed: self.text, text=form)


class Clock:
    """Goes on by half a second with each step, so that speeds are always the same."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns; the bar is drawn only when something is printed."""
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
def viewing(terminal: Terminal, training: FakeTraining, quiet: bool = False) -> Iterator[View]:
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


def evaluated(step: int, bits: float | None = 2.5, best: bool = True) -> Evaluated:
    return Evaluated(step, step / 7, 3 * LN2, None if bits is None else bits * LN2, best, {})


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
    with View(FakeTraining(tmp_path), quiet=False) as view:
        show(view, clock, *story(tmp_path))
    assert said() == [
        "Training on 1 GPU.",
        "The batch is now cut into 3 parts.",
        "Loading JAX, and waiting for 1 other process …",
        "1,050 characters, 13 different; 900 to train on, 100 to validate, 50 to test.",
        "lstm 2x16, one-hot input, 4,317 parameters; batch 8, seq 16, dropout 0.3, adam at 0.005. Run: toy",
        "step 1, epoch 0.14, train 2.000, lr 2.0e-03",
        "step 2, epoch 0.29, train 2.000, lr 2.0e-03",
        "step 3, epoch 0.43, train 2.000, lr 2.0e-03",
        "12,346 characters/s: 40 steps fit the time, 5.7 passes over the text.",
        "step 4/40, epoch 0.57, train 2.000, lr 2.0e-03",
        "step 5/40, epoch 0.71, train 2.000, lr 2.0e-03",
        "step 6/40, epoch 0.86, train 2.000, lr 2.0e-03",
        # 128 characters in half a second.
        "step 7/40, epoch 1.00, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "step 8/40, epoch 1.14, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "step 9/40, epoch 1.29, 256 chars/s, train 2.000, lr 2.0e-03, 1 min left",
        "epoch 1.29, step 9: train 3.0000, validation 2.5000 bits per character (best so far)",
        "  | a sample",
        "  | of two lines",
        "step 10/40, epoch 1.43, 256 chars/s, train 2.000, val 2.500 bits/char, lr 2.0e-03, 1 min left",
        "Saved after step 10.",
        "Not saved after step 11: No space left on device: checkpoints/to\\x1by. Training goes on in memory.",
        "Training went wrong: the loss became nan. Back at step 9, from now on with 0.5 times the learning rate.",
        "step 10/40, epoch 1.43, 256 chars/s, train 2.000, val 2.500 bits/char, lr 2.0e-03, 1 min left",
        "epoch 1.43, step 10: train 3.0000, validation 2.7500 bits per character",
        "  | a sample",
        "  | of two lines",
        "epoch 1.57, step 11: train 3.0000 bits per character",
        "  | a sample",
        "  | of two lines",
        f"The model is {tmp_path / 'toy/best.safetensors'} (step 20).",
        "Validation: 2.1640 bits per character (1.5000 nats), exactly, on 100 held-out characters.",
        "  For comparison, compressors on the same text alone, bits per character: xz 3.250.",
        "  It has begun to learn its text by heart: training loss 0.50 nats, validation 1.50. "
        "More text, more --dropout or fewer --units would help.",
    ]


def test_a_folder_that_was_made_again_is_told_even_when_quiet(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=True) as view:
        show(view, clock, began(tmp_path), FolderMade(Path("checkpoints/to\x1by")))
    assert said() == ["The folder of the run was moved or removed: it was made again at checkpoints/to\\x1by."]


def test_another_number_of_steps_is_said_if_it_is_another_one(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=False) as view:
        show(view, clock, began(tmp_path, total=None), BudgetFixed(40, 12345.6))
        said()
        show(view, clock, BudgetFixed(43, 13000.0, 40), BudgetFixed(80, 24000.0, 43))
        # What was said last is what it is compared with.
        show(view, clock, BudgetFixed(75, 22000.0, 80), BudgetFixed(73, 21000.0, 75))
        assert said() == ["24,000 characters/s: 80 steps fit the time instead of 40, 11 passes over the text."]
        show(view, clock, BudgetFixed(30, 9000.0, 73))
        assert said() == ["9,000 characters/s: 30 steps fit the time instead of 80, 4.3 passes over the text."]
        # So many were asked for: more would fit.
        view.began = replace(began(tmp_path), training=replace(SETTINGS, steps=7))
        show(view, clock, BudgetFixed(7, 9000.0))
        assert said() == []


def test_a_model_of_bytes_is_told_in_bytes(tmp_path, clock, said):
    sample = "Привет\n☞".encode() + b"\xff"
    of_bytes = FakeTraining(tmp_path, sample.decode("latin-1"), form=TextConfig(bytes=True))
    with View(of_bytes, quiet=False) as view:
        show(view, clock, *story(tmp_path)[:-1])
        measured = Evaluation(100, 1.5, unit="byte")
        view.show(Measured("validation", measured, 100, 100, {"xz": 3.25}, frequency_nats=1.0))
    lines = said()
    for expected in (
        "1,050 bytes, 13 different; 900 to train on, 100 to validate, 50 to test.",
        "12,346 bytes/s: 40 steps fit the time, 5.7 passes over the text.",
        "step 10/40, epoch 1.43, 256 bytes/s, train 2.000, val 2.500 bits/byte, lr 2.0e-03, 1 min left",
        "epoch 1.29, step 9: train 3.0000, validation 2.5000 bits per byte (best so far)",
        "Validation: 2.1640 bits per byte (1.5000 nats), exactly, on 100 held-out bytes.",
        "  For comparison, compressors on the same text alone, bits per byte: xz 3.250.",
        "  | Привет",
        "  | ☞\\xff",
    ):
        assert expected in lines
    assert not any("char" in line for line in lines)


def test_between_evaluations_a_line_comes_now_and_then(tmp_path, clock, said, monkeypatch):
    monkeypatch.setattr(live, "LINE_EVERY", 1.75)
    with View(FakeTraining(tmp_path), quiet=False) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)))
    # Every half second is a step.
    assert [line.split("/")[0] for line in said()[2:]] == ["step 4", "step 8"]


def test_quiet_says_warnings_and_the_last_lines(tmp_path, clock, said):
    training = FakeTraining(tmp_path, EVIL)
    training.model = None
    with View(training, quiet=True) as view:
        show(view, clock, *story(tmp_path))
    lines = said()
    assert lines[:4] == [
        "The batch is now cut into 3 parts.",
        "Not saved after step 11: No space left on device: checkpoints/to\\x1by. Training goes on in memory.",
        "Training went wrong: the loss became nan. Back at step 9, from now on with 0.5 times the learning rate.",
        f"The model is {tmp_path / 'toy/best.safetensors'} (step 20).",
    ]
    assert lines[4].startswith("Validation: ") and len(lines) == 7


@pytest.mark.parametrize("reason", ["interrupted", "patience"])
def test_why_it_ended(reason, tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=True) as view:
        show(view, clock, Ended(reason, 12))
    patience = f"Stopped early: no better for {SETTINGS.patience} evaluations."
    assert said()[:1] == ([patience] if reason == "patience" else [])


def test_one_of_several_processes_says_nothing_of_the_end(tmp_path, clock, said):
    with View(FakeTraining(tmp_path, first=False), quiet=True) as view:
        show(view, clock, Ended("budget", 40))
    assert said() == []


def test_a_pipe_that_nobody_reads_any_more_does_not_stop_training(tmp_path, clock, monkeypatch):
    reader, writer = os.pipe()
    with open(writer, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with View(FakeTraining(tmp_path), quiet=False) as view:
            show(view, clock, began(tmp_path), stepped(1))
            os.close(reader)
            show(view, clock, *story(tmp_path)[5:])
        # Later writes of others do not fail either.
        print("lost", file=stderr, flush=True)


# On a terminal


def test_lines_above_a_bar(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, Noticed("Training on 1 GPU.", is_advice=True), Loading("JAX"), began(tmp_path, total=None))
        terminal.sync()
        assert not terminal.shows_cursor
        assert re.fullmatch(r"  0% ━+ compiling", terminal.lines()[-1])
        show(view, clock, *map(stepped, range(1, 20)), evaluated(19), stepped(20), RolledBack(19, "nan", 0.5))
        show(view, clock, stepped(20))
        view.bar.refresh()
        terminal.sync()
        assert terminal.lines()[:-1] == [
            "Training on 1 GPU.",
            "Loading JAX …",
            "1,050 characters, 13 different; 900 to train on, 100 to validate, 50 to test.",
            # Broken between words, where it is too long.
            "lstm 2x16, one-hot input, 4,317 parameters; batch 8, seq 16, dropout 0.3, adam",
            "at 0.005. Run: toy",
            "epoch 2.71, step 19: train 3.0000, validation 2.5000 bits per character (best so",
            "far)",
            "  | a sample",
            "  | of two lines",
            "Training went wrong: nan. Back at step 19, from now on with 0.5 times the",
            "learning rate.",
        ]
        bar = terminal.lines()[-1]
        assert bar.startswith(" 50% ") and BAR.match(bar)
        # The learning rate is left out: the time left is not.
        assert "epoch 2.86, 256 chars/s, train 2.000, val 2.500 bits/char" in bar and "lr" not in bar
        show(view, clock, *map(stepped, range(21, 41)), Ended("budget", 40))
    terminal.sync()
    above, bar, below = "\n".join(terminal.lines()).partition(terminal.lines()[11])
    assert above.endswith("\nlearning rate.\n") and bar.startswith("100% ") and below.startswith("\nThe model is ")
    assert terminal.shows_cursor
    assert sum(bool(BAR.match(line)) for line in terminal.lines()) == 1


def test_the_bar_that_stays_has_the_last_evaluation(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path)) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)), evaluated(9), stepped(10))
        show(view, clock, evaluated(10, bits=1.25))
    terminal.sync()
    assert "val 1.250 bits/char" in terminal.lines()[-1]


def test_the_rate_of_the_settings_is_not_that_of_a_run_that_goes_on(tmp_path, clock, said):
    with View(FakeTraining(tmp_path), quiet=False) as view:
        show(view, clock, replace(began(tmp_path), step=20))
    assert ", adam. Run: toy" in said()[1]


def test_quiet_draws_nothing(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path), quiet=True) as view:
        show(view, clock, began(tmp_path), *map(stepped, range(1, 10)), evaluated(9), RolledBack(9, "nan", 0.5))
    terminal.sync()
    assert "".join(terminal.lines()).startswith("Training went wrong: nan.")
    assert b"\x1b[" not in terminal.raw


def test_a_sample_is_shown_as_characters_and_nothing_else(tmp_path, clock, terminal):
    with viewing(terminal, FakeTraining(tmp_path, EVIL)) as view:
        show(view, clock, began(tmp_path), stepped(1))
        terminal.sync()
        before = len(terminal.raw)
        show(view, clock, evaluated(1))
        terminal.sync()
    shown = [line for line in terminal.lines() if line.startswith("  | ")]
    # Rich would have made a key of :key:, and colours of [red].
    escaped = r"safe\x1b[2J\x07\x08\t\u202ebad\x9b31m :key: [red]not markup[/red]"
    assert shown == ["  | " + escaped, "  | second"]
    raw = terminal.raw[before:]
    assert escaped.encode() in raw
    assert not set(b"\x07\x08\t") & set(raw.partition(b"\x1b]0;")[0]) and "\u202e".encode() not in raw


def test_a_long_line_of_a_sample_is_not_broken(tmp_path, clock, terminal):
    """Only the terminal does that: what is copied from it has no newline that the model did not write."""
    text = "word " * 40 + "end"
    with viewing(terminal, FakeTraining(tmp_path, text)) as view:
        show(view, clock, began(tmp_path), stepped(1), evaluated(1))
        terminal.sync()
    assert f"  | {text}".encode() in terminal.raw
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
        terminal.sync()
        start = terminal.resize(columns)
        for step in range(10, 20):
            show(view, clock, stepped(step))
            view.bar.refresh()
        show(view, clock, evaluated(19), RolledBack(19, "the loss became nan", 0.5), stepped(20))
        view.bar.refresh()
        terminal.sync()
        raw = terminal.raw[start:]
        assert len(widths(raw)) > 20 and max(widths(raw)) <= columns
        # What is left of the facts leaves room for the share that is done and for the time that is left.
        if columns >= 40:
            assert BAR.match(terminal.lines()[-1]) and "val 2.500 bits/char" in terminal.lines()[-1]
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
        wait_for_evaluations(3, start)
        os.write(terminal.keyboard, b"\x03")
        code = process.wait(300)
    finally:
        process.kill()
        process.wait()
    terminal.sync()
    assert code == 128 + signal.SIGINT
    assert terminal.shows_cursor and terminal.modes == modes
    assert b"Traceback" not in terminal.raw
    # A frame that was being drawn when the terminal was resized may be as wide as that was before.
    match = EVALUATION.search(terminal.raw, start)
    assert match
    shown, last, said = terminal.raw[match.start() :].partition(b"Stopped after")
    assert max(widths(re.sub(rb"  \\| .*", b"", shown))) <= 50
    said = SEQUENCE.sub("", (last + said).decode())
    assert re.fullmatch(r"Stopped after step [\d,]+, saved\. Go on with: charrnn train --resume toy\r\n", said)
    terminal.close()
