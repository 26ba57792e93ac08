"""`charrnn verify` (every bit of a file: tests/faults/test_corruption.py)."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, LogPosition, Progress
from charrnn.runs.verify import fault
from charrnn.text.vocabulary import Vocabulary
from support.commands import charrnn_in

MODEL, VOCAB = ModelConfig("lstm", 1, 3), Vocabulary.of("ab\n")


def whole() -> Checkpoint:
    state = {f"layer0/{name}": np.zeros((2, 3), np.float32) for name in ("h", "c")}
    weights = initial_weights(MODEL, VOCAB.size, 0)
    log = LogPosition(3, hashlib.sha256(b"{}\n").hexdigest())
    progress = Progress(CorpusRecord((), "", 0), step=1, metrics=log)
    return Checkpoint(MODEL, VOCAB, weights, TrainConfig(batch=2), progress, state=state)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a run of three good checkpoints."""
    run = tmp_path / "checkpoints/play"
    run.mkdir(parents=True)
    for name in ("step-00000001", "step-00000002", "best"):
        write_checkpoint(run / f"{name}.safetensors", whole())
    (run / "metrics.jsonl").write_text("{}\n{}\n")
    (run / "notes.safetensors").write_text("not ours")
    return tmp_path


def test_a_good_run_is_ok(folder):
    result = charrnn_in(folder, "verify", "play")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.rpartition("/")[2] for line in result.stdout.decode().splitlines()] == [
        "step-00000001.safetensors: ok",
        "step-00000002.safetensors: ok",
        "best.safetensors: ok",
        "metrics.jsonl: ok",
    ]
    (folder / "checkpoints/play/metrics.jsonl").write_text("{ }\n")
    result = charrnn_in(folder, "verify", "play")
    assert result.returncode == 1 and "metrics.jsonl does not begin with the 3 bytes" in result.stdout.decode()


def test_a_bad_file_is_named_with_its_reason_and_gives_exit_1(folder):
    bad = folder / "checkpoints/play/step-00000002.safetensors"
    data = bytearray(bad.read_bytes())
    data[-1] ^= 1
    bad.write_bytes(data)
    result = charrnn_in(folder, "verify", "play")
    lines = result.stdout.decode().splitlines()
    assert (result.returncode, result.stderr.count("\n")) == (1, 1) and len(lines) == 4
    assert "step-00000002.safetensors is damaged: its training state does not match" in lines[1]
    facts = json.loads(charrnn_in(folder, "verify", "play", "--json").stdout)
    assert [list(fact) for fact in facts] == [["path", "ok", "fault"]] * 4
    assert [fact["ok"] for fact in facts] == [True, False, True, True] and "is damaged" in facts[1]["fault"]
    # Only the others were asked about.
    assert charrnn_in(folder, "verify", "checkpoints/play/best.safetensors").returncode == 0


def test_any_file_may_be_asked_about(folder):
    result = charrnn_in(folder, "verify", "checkpoints/play/notes.safetensors", "play")
    assert result.returncode == 1 and result.stdout.decode().startswith("bad: checkpoints/play/notes.safetensors is no")
    (folder / "checkpoints/new").mkdir()
    for target, said in (("new", "no checkpoint yet"), ("nothing", "There is no run")):
        result = charrnn_in(folder, "verify", target)
        assert (result.returncode, result.stdout) == (1, b"") and said in result.stderr


@pytest.mark.parametrize("part", ["weights", "slots", "state"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_are_bad(part, number, tmp_path):
    good = replace(whole(), slots={"000": np.zeros(3, np.float32)})
    spoilt = {name: array.copy() for name, array in getattr(good, part).items()}
    name = next(iter(spoilt))
    spoilt[name].reshape(-1)[0] = number
    path = tmp_path / "best.safetensors"
    write_checkpoint(path, good)
    assert fault(path) is None
    write_checkpoint(path, replace(good, **{part: spoilt}))
    assert f"{name} has numbers that are not finite" in fault(path).message


@pytest.mark.parametrize(
    "change, said",
    [
        ({"weights": {}}, "does not have the parameters"),
        ({"vocab": Vocabulary.of("abc\n")}, "has shape"),
        ({"state": {}}, "hidden state has shapes"),
        ({"training": TrainConfig(batch=3)}, "hidden state has shapes"),
    ],
)
def test_shapes_that_do_not_fit_are_bad(change, said, tmp_path):
    path = tmp_path / "best.safetensors"
    write_checkpoint(path, replace(whole(), **change))
    assert said in fault(path).message


def test_a_file_that_may_not_be_read_is_bad(folder):
    path = folder / "checkpoints/play/best.safetensors"
    path.chmod(0)
    if not os.access(path, os.R_OK):
        assert "Permission denied" in fault(path).message
