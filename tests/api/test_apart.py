"""Training in a process of its own, and one run of many: begun, continued, complete."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charrnn.api import apart, own_cells
from charrnn.api.apart import Apart
from charrnn.api.events import Began, Ended, Evaluated, Measured, Saved, Stepped
from charrnn.api.trials import training_left
from charrnn.cells import CELLS
from charrnn.errors import CharRNNError, NotWritten

# JAX starts in half the time that TensorFlow takes.
JAX = {"backend": "jax"}
TINY = {"units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "rnn", "eval_every": 10}


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("a bad cafe\n" * 40)
    return "text.txt"


def run_by(monkeypatch, code):
    """Let another program run in place of the one that trains."""
    monkeypatch.setattr(apart, "_CHILD", f"import os, sys; pipe = input_fd; {code}")


@pytest.mark.trains
def test_a_run_apart_is_the_run_it_would_be_here_and_is_continued_and_complete(text):
    path = Path("runs/one")
    with training_left(path, text, {**TINY, "steps": 100_000}, JAX) as training:
        seen = []
        for event in training:
            seen.append(event)
            if isinstance(event, Evaluated):
                training.stop()
    assert [kind for kind in (Began, Stepped, Evaluated, Ended) if not any(isinstance(e, kind) for e in seen)] == []
    assert seen[-1] == Ended("interrupted", seen[-1].step) and all(
        e.weights == {} for e in seen if hasattr(e, "weights")
    )
    # Another process, killed after its first evaluation, and then a whole one.
    with training_left(path, text, {}, JAX) as training:
        next(event for event in training if isinstance(event, Evaluated))
        process = training.process
    assert process.returncode == -signal.SIGKILL
    with Apart(resume=path, steps=10, **JAX) as training:
        assert isinstance(list(training)[-1], Measured)
    assert training_left(path, text, {}, {}) is None


@pytest.mark.trains
def test_a_refusal_is_that_of_training(text):
    with pytest.raises(CharRNNError, match=r"nowhere.txt does not exist"):
        list(Apart("nowhere.txt", **TINY, **JAX))
    with pytest.raises(CharRNNError, match="not enough memory"):
        list(Apart(text, **{**TINY, "units": 200_000, "steps": 1}, **JAX, out="runs"))


def test_a_process_that_dies_is_told(text, monkeypatch):
    run_by(monkeypatch, "os.kill(os.getpid(), 9)")
    with pytest.raises(CharRNNError, match=r"signal 9 \(SIGKILL\).*not enough memory"):
        list(Apart(text))
    run_by(monkeypatch, "os.kill(os.getpid(), 11)")
    with pytest.raises(CharRNNError, match=r"signal 11 \(SIGSEGV\)\.$"):
        list(Apart(text))
    run_by(monkeypatch, "os.write(pipe, b'half a mess'); sys.exit('What it said last.')")
    with pytest.raises(CharRNNError, match=r"exit code 1\): What it said last\."):
        list(Apart(text))


def test_a_full_disk_is_told_as_what_it_is(text, monkeypatch):
    train = (
        "from charrnn.errors import NotWritten\ndef train(*_): raise NotWritten('The disk is full.', 'Free some.')\n"
    )
    run_by(monkeypatch, f"exec({train!r}); from charrnn.api import apart; apart._train = train; apart.child(pipe)")
    with pytest.raises(NotWritten, match=r"The disk is full\. Free some\."):
        list(Apart(text))


@pytest.mark.parametrize("asked", ["stop", "save"])
def test_a_signal_before_the_call_is_written_is_told_after_it(text, monkeypatch, asked):
    """A signal handler may run when the process exists and does not yet know what to train."""
    read = "import pickle; call = pickle.load(sys.stdin.buffer); sys.exit(repr(sys.stdin.buffer.readline()))"
    run_by(monkeypatch, read)
    begun = apart._begun

    def signalled(*arguments):
        training.process = begun(*arguments)
        getattr(training, asked)()
        return training.process

    monkeypatch.setattr(apart, "_begun", signalled)
    training = Apart(text)
    with pytest.raises(CharRNNError, match=rf"b'{asked}\\n'"):
        list(training)


def test_errors_that_are_not_of_charrnn_are_one_line():
    assert apart._explained(MemoryError())[0] == "There was not enough memory."
    assert apart._explained(ValueError("one\ntwo")) == ("ValueError: one", None)


@pytest.mark.trains
def test_a_process_apart_knows_the_cells_of_files_and_saves_when_asked(text, monkeypatch):
    monkeypatch.setattr(own_cells, "_loaded", {})
    Path("mine.py").write_text(
        "from charrnn.cells import CELLS\nfrom dataclasses import replace\n"
        "CELLS['mine'] = replace(CELLS['rnn'], name='mine')\n"
    )
    own_cells.load_cells(["mine.py"])
    try:
        with Apart(text, **{**TINY, "cell": "mine", "eval_every": 10**6}, steps=10**9, out="runs") as training:
            for event in training:
                if isinstance(event, Began):
                    training.save()
                if isinstance(event, Saved):
                    break
    finally:
        CELLS.pop("mine", None)
    assert list(Path("runs").glob("*/step-*.safetensors"))


def test_a_run_without_a_checkpoint_begins_again(text):
    path = Path("runs/one")
    path.mkdir(parents=True)
    for name in ("metrics.jsonl", ".charrnn-lock", ".step-00000002.safetensors.01234567.charrnn-tmp", "mine"):
        (path / name).write_text('{"step": 50}\n')
    training_left(path, text, {}, {})
    assert [left.name for left in path.iterdir()] == ["mine"]
    (path / "mine").unlink()
    training = training_left(path, text, {"units": 4}, {"engine": "framework"})
    assert not path.exists()
    assert training.call == {
        "corpus": text,
        "resume": None,
        "settings": {"name": "one", "out": Path("runs"), "units": 4, "engine": "framework"},
        "cells": [],
    }


@pytest.mark.trains
def test_it_does_not_outlive_who_began_it(text):
    code = (
        "from charrnn.api.apart import Apart\n"
        "training = Apart('text.txt', cell='rnn', steps=10**9, backend='jax', out='runs')\n"
        "for event in training:\n"
        "    print(training.process.pid, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(child, 0)
            time.sleep(0.02)
