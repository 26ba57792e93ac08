"""Training as Python asks for it: what is refused, what is left behind, how it is stopped."""

import os
import sys

import numpy as np
import pytest

import charrnn
from charrnn.errors import CharRNNError
from charrnn.runs.lock import LOCK
from support.untrained import train_nothing

TINY = {"units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "rnn"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a bad cafe\n" * 40)
    return tmp_path


def test_a_training_that_is_left_early_frees_its_run(folder, monkeypatch):
    seen = []
    train_nothing(monkeypatch, lambda job: seen.append((job.run.path / LOCK).exists()))
    with charrnn.train_events("text.txt", name="one", min_count=1, dropout=0.5) as training:
        for event in training:
            assert isinstance(event, charrnn.events.Noticed)
            break
    assert not (folder / "checkpoints/one").exists()
    list(charrnn.train_events("text.txt", name="one"))
    assert seen == [True] and not (folder / "checkpoints/one").exists()


def test_a_training_that_loads_nothing_leaves_the_choice_of_the_backend_open(folder, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    # TensorFlow imports it, perhaps in a test before this one.
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(CharRNNError, match="does not exist"):
        charrnn.train("typo.txt", backend="jax")
    assert "KERAS_BACKEND" not in os.environ


def test_what_cannot_be_is_refused_in_words(folder, monkeypatch):
    train_nothing(monkeypatch)
    for arguments, said in (
        ({"stepz": 3}, "There is no setting `stepz`"),
        ({"dropout": "much"}, "`dropout` is 'much'; it must be of the type float"),
        ({"device": "tpu"}, "`device` is 'tpu'"),
        ({"drop_unused": True}, "`drop_unused` needs a model"),
    ):
        with pytest.raises(CharRNNError, match=said):
            charrnn.train("text.txt", **arguments)
    with pytest.raises(CharRNNError, match="There is no run 'none'"):
        charrnn.resume("none")


def test_a_budget_that_is_none_is_no_budget(folder, monkeypatch):
    jobs = []
    train_nothing(monkeypatch, jobs.append)
    list(charrnn.train_events("text.txt", steps=None, minutes=None))
    list(charrnn.train_events("text.txt", steps=np.int64(3)))
    assert [(job.config.minutes, job.config.steps) for job in jobs] == [(10.0, None), (None, 3)]


def test_notices_reach_who_asks_for_them(folder, monkeypatch):
    train_nothing(monkeypatch)
    told = []
    charrnn.train("text.txt", notify=told.append)
    assert told[0].startswith("The text is short (440 characters): training with `batch=")


@pytest.mark.backend
def test_a_run_is_trained_stopped_and_resumed(folder):
    training = charrnn.train_events("text.txt", name="run", steps=50, eval_every=5, **TINY)
    training.save()
    kinds = []
    for event in training:
        kinds.append(type(event).__name__)
        if isinstance(event, charrnn.events.Stepped) and event.step == 7:
            training.stop()
    assert kinds[0] == "Noticed" or kinds[0] == "Loading"
    assert kinds.count("Stepped") == 7 and kinds[-1] == "Ended" and "Saved" in kinds
    assert training.ended.reason == "interrupted" and training.progress.step == 7
    with pytest.raises(CharRNNError, match="`steps` is 'many'"):
        charrnn.resume("run", steps="many")
    with pytest.raises(CharRNNError, match="`units` cannot be changed"):
        charrnn.resume("run", units=5)
    (listed,) = charrnn.list_runs()
    run = charrnn.resume(listed, steps=np.int64(2))
    assert run.steps == 9 and run.validation.characters == 44 and run.test is None
    assert [line["step"] for line in run.history()] == [5, 9]
    assert len(run.load().sample(20, seed=1)) == 20
    # One that is to stop before it begins takes no step.
    early = charrnn.resume_events("run", steps=20)
    early.stop()
    assert "Stepped" not in [type(event).__name__ for event in early]
