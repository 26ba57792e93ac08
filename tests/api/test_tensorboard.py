"""What TensorBoard's own readers find in a run's event files; a fake learner trains, TensorFlow writes."""

import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from typer.testing import CliRunner

import charrnn
from charrnn.api.events import Evaluated, Noticed, RolledBack, Stepped
from charrnn.cli.app import app
from charrnn.errors import CharRNNError
from charrnn.training.tensorboard import EventFiles
from support.fake_training import train_fakes

pytestmark = pytest.mark.trains

TINY = {"units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "lstm", "steps": 180, "eval_every": 40, "save_every": 30}
TEXT = "a bad cafe\n" * 40
RUN = Path("checkpoints/run")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_fakes(monkeypatch)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def train(name="run", **settings):
    return charrnn.train_events("text.txt", name=name, **{**TINY, "tensorboard": True, **settings})


def stopped_at(step, training):
    """Train until a step, and end there as a kill would, but that what waited in memory is written too."""
    with training:
        for event in training:
            if isinstance(event, Stepped) and event.step == step:
                return


def events(path):
    """Return everything in the event files of a folder, in the order in which a reader gets it, nothing purged."""
    files = sorted(file for file in os.listdir(path) if "tfevents" in file)
    return [event for file in files for event in EventFileLoader(str(path / file)).Load()]


def points(path=RUN / "tensorboard"):
    """Return the steps and the values of each tag."""
    found: dict[str, list] = {}
    for event in events(path):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, make_ndarray(value.tensor)))
    return found


def logged(name, path=RUN):
    """Return the steps and the values of a number in the log of a training."""
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], np.float32(line[name])) for line in lines if line.get(name) is not None]


def check_whole(run=RUN, board=None):
    """Assert that each step of the log is there once, with its values, and each evaluation with its histograms."""
    found = points(board or run / "tensorboard")
    assert found["loss/train"] == logged("train_nats", run)
    assert found["loss/validation"] == logged("val_nats", run) != []
    evaluated = [step for step, _ in logged("val_nats", run)]
    for tag, series in found.items():
        assert [step for step, _ in series] == sorted({step for step, _ in series}), tag
        if tag.startswith(("gates/", "states/", "gradients/")):
            assert [step for step, _ in series] == evaluated, tag
    return found


def test_a_run_is_there_whole(folder):
    list(train())
    found = check_whole()
    rates = [(step, rate) for step, rate in logged("learning_rate")]
    assert found["training/learning_rate"] == rates and len({rate for _, rate in rates}) > 3
    for step, bits in found["bits_per_character/validation"]:
        assert bits == pytest.approx(dict(logged("val_nats"))[step] / math.log(2))
    # The fake's norms are step + 1, for each parameter.
    parameters = [tag for tag in found if tag.startswith("gradients/") and tag != "gradients/global"]
    assert len(parameters) == 5 and all(norm == 1 + step for tag in parameters for step, norm in found[tag])
    for step, norm in found["gradients/global"]:
        assert norm == pytest.approx(math.sqrt(5) * (1 + step))
    assert {tag for tag in found if tag.startswith(("gates", "states"))} == {
        *("gates/layer0/i", "gates/layer0/f", "gates/layer0/o", "states/layer0/h", "states/layer0/c")
    }
    # The validation part has 44 characters, the network 4 units.
    for tag in ("gates/layer0/f", "states/layer0/c"):
        for _, bins in found[tag]:
            left, right, counts = bins.T
            assert counts.sum() == 44 * 4 and (left[1:] == right[:-1]).all() and (left < right).all()
    assert all(value > 0 for _, value in found["training/characters_per_second"])


def test_the_histograms_are_those_of_the_weights_of_then(folder):
    with train() as training:
        event = next(event for event in training if isinstance(event, Evaluated))
        model, part = training.model(event), training.job.data.parts.val[0]
        values = model.activations(part, [f"layer0/c/{unit}" for unit in range(4)])
    bins = points()["states/layer0/c"][0][1]
    assert (bins[:, 2] == np.histogram(values.astype(np.float64), 30)[0]).all()


def test_tensorboard_itself_reads_them(folder):
    list(train())
    accumulator = EventAccumulator(str(RUN / "tensorboard"))
    accumulator.Reload()
    plugins = {tag: accumulator.SummaryMetadata(tag).plugin_data.plugin_name for tag in accumulator.Tags()["tensors"]}
    assert plugins["loss/train"] == plugins["gradients/global"] == "scalars"
    assert plugins["gates/layer0/f"] == plugins["states/layer0/h"] == "histograms"
    assert "nats per character" in accumulator.SummaryMetadata("loss/train").summary_description


# Each step once


@pytest.mark.parametrize("step", [121, 163])
def test_a_killed_run_that_goes_on_has_each_step_once(step, folder):
    stopped_at(step, train())
    # What a kill leaves unfinished.
    (last,) = (RUN / "tensorboard").glob("*tfevents*")
    last.write_bytes(last.read_bytes() + last.read_bytes()[:30])
    charrnn.resume("run", tensorboard=True)
    check_whole()


def test_points_after_the_checkpoint_are_removed(folder):
    stopped_at(152, train(save_every=None, eval_every=60))
    assert [step for step, _ in points()["loss/train"]] == [50, 60, 100, 120, 150]
    charrnn.resume("run", tensorboard=True)
    check_whole()


def test_an_open_tensorboard_forgets_what_is_taken_again(folder):
    stopped_at(152, train(save_every=None, eval_every=60))
    accumulator = EventAccumulator(str(RUN / "tensorboard"))
    accumulator.Reload()
    assert [event.step for event in accumulator.Tensors("loss/train")] == [50, 60, 100, 120, 150]
    charrnn.resume("run", tensorboard=True)
    accumulator.Reload()
    for tag, series in points().items():
        assert [event.step for event in accumulator.Tensors(tag)] == [step for step, _ in series]


def test_a_rollback_leaves_each_step_once(folder, monkeypatch):
    spoilt = []

    def spoil(learner, number):
        if number == 158 and not spoilt:
            spoilt.append(number)
            return math.nan
        return None

    train_fakes(monkeypatch, lambda learner, training: setattr(learner, "spoilt", spoil))
    told = list(train(save_every=None, eval_every=60))
    assert [event.step for event in told if isinstance(event, RolledBack)] == [120]
    assert [step for step, _ in check_whole()["loss/train"]] == [50, 60, 100, 120, 150, 180]


def test_what_was_trained_without_it_is_there_too(folder):
    stopped_at(125, train(tensorboard=False))
    charrnn.resume("run", tensorboard=True)
    found = points()
    assert found["loss/train"] == logged("train_nats") and found["loss/validation"] == logged("val_nats")
    assert [step for step, _ in found["gates/layer0/f"]] == [160, 180]
    # A run that continues from an older checkpoint has the history up to there.
    older = shutil.copy(next(RUN.glob("step-*150*")), folder / "older.safetensors")
    shutil.copy(older, RUN / "step-00000150.safetensors")
    charrnn.resume(RUN / "step-00000150.safetensors", name="other", tensorboard=True)
    other = RUN.with_name("other")
    assert points(other / "tensorboard")["loss/train"] == logged("train_nats", other)
    assert points()["loss/train"] == logged("train_nats")


def test_a_folder_that_was_moved_is_made_again_with_all_curves(folder):
    with train() as training:
        for event in training:
            if isinstance(event, Stepped) and event.step == 101:
                RUN.rename(folder / "moved")
    found = points()
    assert found["loss/train"] == logged("train_nats") and found["loss/validation"] == logged("val_nats")


# Where


def test_another_folder_is_of_one_run(folder):
    stopped_at(152, train(tensorboard=False, tensorboard_dir="boards/one", save_every=None, eval_every=60))
    assert not (RUN / "tensorboard").exists()
    (folder / "boards/one/events.out.tfevents.1.other").write_bytes(b"")
    charrnn.resume("run", tensorboard_dir="boards/one")
    check_whole(board=Path("boards/one"))
    for place, why in (("boards/one", "has the TensorBoard files of another run"), ("text.txt", "is a file")):
        with pytest.raises(CharRNNError, match=f"`tensorboard_dir` is {place}, which {why}"):
            list(train("other", tensorboard_dir=place))
    assert [path.name for path in Path("checkpoints").iterdir()] == ["run"]


@pytest.mark.parametrize("place", [Path("boards"), RUN / "tensorboard"])
def test_a_run_that_goes_on_leaves_the_files_of_another_run(place, folder):
    list(train(tensorboard_dir=place))
    before = points(place)
    with pytest.raises(CharRNNError, match=r"has the TensorBoard files of another run.*was never saved"):
        list(charrnn.resume_events(RUN / "step-00000150.safetensors", name="new", tensorboard_dir=place))
    list(train("other", tensorboard=False, steps=30))
    with pytest.raises(CharRNNError, match=r"has the TensorBoard files of another run, /.*/checkpoints/run"):
        list(charrnn.resume_events("other", steps=30, tensorboard_dir=place))
    assert str(points(place)) == str(before)
    # The run was moved.
    RUN.rename("checkpoints/moved")
    if place == Path("boards"):
        with pytest.raises(CharRNNError, match=f"which was elsewhere, remove {place}/run.charrnn"):
            charrnn.resume("moved", steps=30, tensorboard_dir=place)
        (place / "run.charrnn").unlink()
        charrnn.resume("moved", steps=30, tensorboard_dir=place)
        check_whole(Path("checkpoints/moved"), place)


def test_no_error_of_what_observes_ends_the_training(folder, monkeypatch):
    def fail(*arguments):
        raise ValueError("odd")

    monkeypatch.setattr("charrnn.api.tensorboard.distributions", fail)
    told = [event.message for event in train() if isinstance(event, Noticed)]
    assert [message for message in told if "TensorBoard" in message] == [
        "TensorBoard's files could not be written: ValueError: odd. Training continues without them."
    ]
    assert logged("val_nats")[-1][0] == 180


def test_a_tensorflow_that_cannot_be_imported_is_told(folder, monkeypatch):
    monkeypatch.setattr("charrnn.training.tensorboard.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(CharRNNError, match=r"`tensorboard` needs TensorFlow, .* cannot be imported"):
        list(train())


def test_a_sample_that_was_drawn_in_training_is_written(folder):
    told = [event for event in train() if isinstance(event, Evaluated)]
    shown = {step: text.item().decode() for step, text in points()["sample"]}
    assert [event.step for event in told] == list(shown)
    for event in told:
        lines = shown[event.step].removesuffix("\n").split("\n")
        assert event.sample and [line.removeprefix("    ") for line in lines] == event.sample.split("\n")


@pytest.mark.parametrize("when", ["before", "later"])
def test_what_cannot_be_written_is_told_once(when, folder, monkeypatch):
    """A file is in the way of the folder; or the disk is full after a while."""
    list(train("unbroken", tensorboard=False))

    told = []
    with train() as training:
        for event in training:
            if isinstance(event, Noticed):
                told.append(event.message)
            if isinstance(event, Stepped) and event.step == 1 and when == "before":
                (RUN / "tensorboard").write_text("in the way")
            if isinstance(event, Stepped) and event.step == 90 and when == "later":
                (RUN / "tensorboard").rename(RUN / "was")
                (RUN / "tensorboard").write_text("in the way")
    told = [message for message in told if "TensorBoard" in message]
    assert len(told) == 1 and told[0].endswith("Training continues without them.")
    assert logged("train_nats") == logged("train_nats", RUN.with_name("unbroken"))


def test_without_tensorflow_nothing_is_read_or_trained(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(CharRNNError, match="`tensorboard` needs TensorFlow") as caught:
        next(iter(train(tensorboard_dir="boards")))
    assert caught.value.hint.startswith("pip install tensorflow")
    assert not Path("checkpoints").exists()
    list(train(tensorboard=False))


def test_the_command_writes_them(folder):
    options = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    for place, words in ((RUN / "tensorboard", ["--tensorboard"]), (Path("logs"), ["--tensorboard-dir", "logs"])):
        given = ["train", "text.txt", "-qq", "--name", place.parts[0] if place == Path("logs") else "run", *words]
        assert CliRunner().invoke(app, [*given, *options], catch_exceptions=False).exit_code == 0
        assert points(place)["loss/train"]
    again = CliRunner().invoke(app, ["train", "--resume", "run", "--tensorboard", "--steps", "60", "-qq"])
    assert again.exit_code == 0
    check_whole()


# Event files


def test_a_text_is_shown_as_it_is(tmp_path):
    files = EventFiles(tmp_path, 0)
    files.text("sample", "# one\n```<b>two\n\ud800", 3, "a text")
    files.close()
    ((step, text),) = points(tmp_path)["sample"]
    assert (step, text.item().decode()) == (3, "    # one\n    ```<b>two\n    ?\n")


def test_values_that_are_equal_or_not_finite_are_no_trouble(tmp_path):
    files = EventFiles(tmp_path, 0)
    files.histogram("equal", np.ones(5), 1, "")
    files.histogram("odd", np.array([1.0, np.inf, np.nan]), 1, "")
    files.histogram("none", np.array([np.nan]), 1, "")
    files.close()
    found = points(tmp_path)
    assert found["equal"][0][1][:, 2].sum() == 5 and found["odd"][0][1][:, 2].sum() == 1 and "none" not in found
