"""From an older checkpoint, or a copy of one, a run goes on in a run of its own; a fake learner trains."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import pytest

import charrnn
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import read_checkpoint, serialise
from charrnn.runs.folder import Run
from support.checkpoints import checkpoint
from support.fake_training import train_fakes

SETTINGS = {
    "units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "rnn", "steps": 90, "eval_every": 10, "save_every": 15,
    "keep": 20, "patience": None, "lr": 0.5,
}  # fmt: skip
TEXT = "a bad cafe\n" * 40
OLD = Path("checkpoints/old")
FILE = OLD / "step-00000030.safetensors"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a run `old` of 90 steps, whose best is that of step 90."""
    monkeypatch.chdir(tmp_path)
    train_fakes(monkeypatch)
    (tmp_path / "text.txt").write_text(TEXT)
    charrnn.train("text.txt", name="old", **SETTINGS)
    return tmp_path


def digests(path=OLD):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}


def resumed(path, **settings):
    """Resume; return what was noticed, and the run."""
    said: list[str] = []
    run = charrnn.resume(path, notify=said.append, **settings)
    assert said.pop(0).startswith("Reading the text that the run names: ")
    return said, Run(run.path)


def losses(path):
    return [
        (line["step"], line["train_nats"], line["val_nats"])
        for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
        if "part" not in line
    ]


def test_an_older_checkpoint_goes_on_in_a_run_of_its_own(folder):
    before = digests()
    said, run = resumed(FILE)
    assert said == ["Continuing from step 30 of old in a new run: old-2."]
    assert run.path.name == "old-2" and digests() == before
    # It takes the same steps, from there on, and has the log of the steps before.
    assert losses(run.path) == losses(OLD)
    one, other = (read_checkpoint(Run(path).newest(), training=True) for path in (OLD, run.path))
    assert all((one.weights[name] == array).all() for name, array in other.weights.items())
    assert one.progress.step == other.progress.step == other.progress.total == 90
    assert str(run.path) == "checkpoints/old-2"
    # It is a run as any other.
    assert resumed("old-2", steps=10)[0][0] == "Resuming old-2 after step 90."


def test_its_name_its_folder_and_its_budget_may_be_given(folder):
    said, run = resumed(FILE, name="other", out="elsewhere", steps=5)
    assert said[0] == "Continuing from step 30 of old in a new run: other."
    assert run.path.resolve() == folder / "elsewhere/other" and "goes on from" in said[1]
    assert read_checkpoint(run.newest()).progress.total == 35
    with pytest.raises(CharRNNError, match="exists already"):
        resumed(FILE, name="old")
    assert resumed(FILE)[1].name == "old-2" and resumed(FILE)[1].name == "old-3"


def test_another_folder_is_of_no_use_to_a_run_that_goes_on_where_it_is(folder):
    (folder / "elsewhere").mkdir()
    for path in (OLD, OLD / "step-00000090.safetensors", f"{OLD}/"):
        with pytest.raises(CharRNNError, match=r"`out` has no effect: .* is the run in checkpoints/old"):
            charrnn.resume(path, out="elsewhere", steps=1)
    assert not list(Path("elsewhere").iterdir())
    # The folder that it is in may be named, in any way; a name is looked for there.
    Path("link").symlink_to("checkpoints")
    assert resumed(OLD, out="link", steps=1)[1].path == OLD
    assert resumed("old", out=folder / "checkpoints", steps=1)[1].name == "old"


def test_from_inside_the_folder_it_is_made_beside_it(folder, monkeypatch):
    monkeypatch.chdir(OLD)
    assert resumed(FILE.name)[1].path == folder / "checkpoints/old-2"


def test_the_newest_named_as_a_file_goes_on_in_its_run(folder):
    for path in (OLD / "step-00000090.safetensors", f"{OLD}/../old/step-00000090.safetensors"):
        said, run = resumed(path, steps=1)
        assert said[0].startswith("Resuming old after step 9") and run.name == "old"
        (run.path / "step-00000091.safetensors").unlink()
    assert [path.name for path in Path("checkpoints").iterdir()] == ["old"]
    with pytest.raises(CharRNNError, match="`name` cannot be changed"):
        charrnn.resume(OLD / "step-00000090.safetensors", name="other", steps=1)


def test_the_best_is_what_its_step_is(folder):
    shutil.copy(OLD / f"step-{90:08d}.safetensors", OLD / "best.safetensors")
    assert resumed(OLD / "best.safetensors", steps=1)[0][0] == "Resuming old after step 90."
    shutil.copy(FILE, OLD / "best.safetensors")
    said, _ = resumed(OLD / "best.safetensors")
    assert said == ["Continuing from step 30 of old in a new run: old-2."]


def test_a_copied_file_goes_on_under_its_own_name(folder):
    (folder / "away").mkdir()
    copy = shutil.copy(FILE, folder / "away/my model.safetensors")
    before = digests(folder / "away")
    said, run = resumed(copy)
    assert said == ["Continuing from step 30 of my model in a new run: my-model."]
    assert run.path.resolve() == folder / "checkpoints/my-model" and digests(folder / "away") == before
    # The log of the old run is not there: it begins here.
    assert [step for step, *_ in losses(run.path)] == [step for step, *_ in losses(OLD) if step > 30]


def test_the_best_so_far_goes_with_it_or_the_next_is_the_best(folder):
    begun = read_checkpoint(FILE, training=True)
    assert begun.progress.best_step is not None
    for there in (True, False):
        if there:
            shutil.copy(OLD / f"step-{begun.progress.best_step:08d}.safetensors", OLD / "best.safetensors")
        else:
            shutil.copy(OLD / "step-00000090.safetensors", OLD / "best.safetensors")
        training = charrnn.resume_events(OLD / "step-00000045.safetensors", steps=3, eval_every=None)
        training.save()
        for event in training:
            if isinstance(event, charrnn.events.Saved):
                saved = read_checkpoint(training.run.newest()).progress
                kept = read_checkpoint(OLD / "step-00000045.safetensors").progress.best_step
                has = training.run.best.is_file()
                assert saved.best_step == (kept if has else None)
        assert training.run.best.is_file()


@pytest.mark.parametrize("log", ["gone", "another"])
def test_without_the_log_of_then_it_begins_its_own(log, folder):
    if log == "gone":
        (OLD / "metrics.jsonl").unlink()
    else:
        (OLD / "metrics.jsonl").write_text("{}\n" * 100)
    _, run = resumed(FILE)
    assert [step for step, *_ in losses(run.path)][:2] == [40, 50]


def test_a_text_that_came_through_a_pipe_goes_with_it(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    charrnn.train("-", name="piped", **SETTINGS)
    before = digests(Path("checkpoints/piped"))
    _, run = resumed("checkpoints/piped/step-00000030.safetensors")
    assert run.kept("-").read_bytes() == TEXT.encode() and digests(Path("checkpoints/piped")) == before
    shutil.rmtree("checkpoints/piped")
    assert read_checkpoint(run.newest()).progress.corpus.sources == ("-",)
    assert resumed(run.name, steps=2)[1].name == run.name


def test_without_a_step_no_trace_is_left(folder):
    before = sorted(os.listdir("checkpoints"))
    training = charrnn.resume_events(FILE)
    for event in training:
        if isinstance(event, charrnn.events.Began):
            assert sorted(os.listdir("checkpoints")) == [*before, "old-2"]
            training.close()
            break
    assert sorted(os.listdir("checkpoints")) == before
    for refused in ({"units": 5}, {"corpus": "missing.txt"}):
        with pytest.raises(CharRNNError):
            charrnn.resume(FILE, **refused)
    assert sorted(os.listdir("checkpoints")) == before


def test_what_cannot_go_on_is_refused_and_names_what_can(folder):
    data = bytearray(FILE.read_bytes())
    data[-1] ^= 1
    FILE.write_bytes(data)
    with pytest.raises(CharRNNError, match=r"step-00000030\.safetensors is damaged"):
        charrnn.resume(FILE)
    shutil.copy(OLD / "step-00000090.safetensors", "end.safetensors")
    with pytest.raises(CharRNNError, match=r"The run of end\.safetensors has taken 90 steps") as caught:
        charrnn.resume("end.safetensors")
    assert caught.value.hint.endswith(" For 90 steps more: `charrnn.resume('end.safetensors', steps=90)`")
    (folder / "small.safetensors").write_bytes(serialise(checkpoint(Run(OLD), 3, None)))
    with pytest.raises(CharRNNError, match="holds a model but no training to resume") as caught:
        charrnn.resume("small.safetensors")
    assert caught.value.hint.endswith("`charrnn.train('corpus.txt', init='small.safetensors')`")
