"""What a checkpoint records of its training: the JSON of files old and new, and what is refused of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.runs.checkpoint import read_header
from charrnn.runs.progress import CorpusRecord, LogPosition, Progress, Stability
from charrnn.training.divergence import ABOUT

GOLDEN = Path(__file__).parents[1] / "golden/format-1.safetensors"
CORPUS = CorpusRecord(("/a.txt", "-"), "ab" * 32, 99, ("*.txt",), ("/v.txt",), "cd" * 32)
# No field has its default, and no two have the same value.
FULL = Progress(
    CORPUS, 3, "jax", "gpu", 12, 40, 1.25, 11, 10, 2, 7.5, 4, 61.5,
    Stability(1.5, 0.75, 0.125, 5, 8), LogPosition(450, "ef" * 32), 9, 0.0625, "compiled",
)  # fmt: skip
FILE = {
    "backend": "jax", "best_nats": 1.25, "best_step": 11,
    "corpus": {
        "characters": 99, "include": ["*.txt"], "sha256": "ab" * 32, "sources": ["/a.txt", "-"],
        "val_sha256": "cd" * 32, "val_sources": ["/v.txt"],
    },
    "device": "gpu", "engine": "compiled",
    "evaluated_step": 10, "evaluations_since_best": 2, "forgiven_step": 8, "loss_deviation": 0.75,
    "loss_mean": 1.5, "loss_steps": 4, "loss_sum": 7.5, "metrics": {"bytes": 450, "sha256": "ef" * 32},
    "rate_scale": 0.125, "rollbacks": 5, "schedule_rate": 0.0625, "schedule_step": 9,
    "seconds": 61.5, "shards": 3, "step": 12, "total": 40,
}  # fmt: skip
# What only some files have.
YOUNGER = {"engine", "schedule_rate", "schedule_step"}


def test_the_file_has_one_flat_object():
    # As text: the order of the keys, and 1.0 beside 1, are part of what `inspect --json` prints.
    assert json.dumps(FULL.to_json()) == json.dumps(FILE)
    assert Progress.from_json(FILE) == FULL


def test_a_run_that_begins():
    begun = Progress(CorpusRecord((), "", 0, ()), backend="tensorflow", device="cpu")
    data = begun.to_json()
    assert data["corpus"] == {"characters": 0, "include": [], "sha256": "", "sources": []}
    assert data["total"] is data["best_nats"] is data["best_step"] is data["loss_mean"] is None
    assert data["forgiven_step"] == -ABOUT and data.keys() == FILE.keys() - YOUNGER
    assert Progress.from_json(json.loads(json.dumps(data))) == begun


def test_what_old_files_lack_is_not_made_up():
    progress = read_header(GOLDEN).progress
    assert progress.backend is progress.device is progress.corpus.include is None and progress.step == 30
    assert not {"backend", "device"} & set(progress.to_json()) and "include" not in progress.to_json()["corpus"]
    assert Progress.from_json(progress.to_json()) == progress


def test_keys_of_a_newer_charrnn_are_passed_over():
    assert Progress.from_json({**FILE, "mood": "good", "corpus": {**FILE["corpus"], "poet": 1}}) == FULL


@pytest.mark.parametrize(
    "key, value",
    [
        ("step", "12"), ("step", 12.0), ("step", True), ("step", None), ("step", -1), ("shards", 0), ("total", 1.5),
        ("best_nats", "low"), ("best_nats", math.inf), ("loss_sum", math.nan), ("seconds", None), ("backend", 1),
        ("rate_scale", [1.0]), ("schedule_step", -1), ("schedule_step", 1.5), ("schedule_rate", -0.5),
        ("schedule_rate", math.inf), ("rollbacks", -1), ("loss_mean", -math.inf), ("corpus", None), ("corpus", []),
        ("corpus", {**FILE["corpus"], "sources": "a"}), ("corpus", {**FILE["corpus"], "sources": [1]}),
        ("corpus", {**FILE["corpus"], "characters": -1}), ("metrics", {"bytes": -1, "sha256": ""}), ("metrics", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(key, value):
    with pytest.raises((TypeError, ValueError)):
        Progress.from_json({**FILE, key: value})


@pytest.mark.parametrize("key", sorted(FILE.keys() - YOUNGER - {"backend", "device"}))
def test_what_every_file_has_must_be_there(key):
    with pytest.raises(KeyError, match=key):
        Progress.from_json({name: value for name, value in FILE.items() if name != key})


def test_a_whole_number_is_a_number():
    assert Progress.from_json({**FILE, "seconds": 60}) == replace(FULL, seconds=60)
