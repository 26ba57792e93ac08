"""A run's folder that is moved or removed while it is trained is made again, with all that the run needs."""

import errno
import io
import os
import shutil
from pathlib import Path

import pytest

import charrnn
from charrnn.errors import NotWritten
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run, create_run
from charrnn.runs.lock import LOCK, Lock
from charrnn.training.events import Ended, FolderMade, SaveFailed, Stepped
from support.fake_training import train_fakes
from support.trainers import assert_same, last, make_trainer, metrics, of


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    list(make_trainer(path).events())
    return path


def held(path: Path, **settings):
    path.mkdir(parents=True, exist_ok=True)
    trainer = make_trainer(path, **settings)
    trainer.run.hold()
    return trainer


def at(step, trainer, action):
    """Return the trainer's events, with something done after a step."""
    events = []
    for event in trainer.events():
        events.append(event)
        if isinstance(event, Stepped) and event.step == step:
            action()
    trainer.run.abandon()
    return events


def same_end(path, unbroken):
    """Assert that a run ended as the one that nothing happened to, in its newest checkpoint, best and log."""
    assert_same(last(Run(path)), last(Run(unbroken)))
    assert_same(*(read_checkpoint(folder / "best.safetensors", training=True) for folder in (path, unbroken)))
    assert metrics(path) == metrics(unbroken)


def move(path):
    path.rename(path.with_name("moved"))


def remove(path):
    shutil.rmtree(path)


def remove_all_above(path):
    shutil.rmtree(path.parent)


# Between saves; long after the best checkpoint; just before the end.
@pytest.mark.parametrize("step", [3, 12, 29, 39])
@pytest.mark.parametrize("action", [move, remove, remove_all_above])
def test_the_next_save_makes_it_again(action, step, unbroken, tmp_path):
    path = tmp_path / "runs" / "run"
    trainer = held(path)
    events = at(step, trainer, lambda: action(path))
    assert of(FolderMade, events) == [FolderMade(path)] and not of(SaveFailed, events)
    assert events[-1] == Ended("budget", 40)
    same_end(path, unbroken)
    assert not (path / LOCK).exists()


def test_what_was_moved_away_is_not_touched(tmp_path):
    path = tmp_path / "run"
    found = []

    def away():
        move(path)
        found.append({file.name: file.read_bytes() for file in (tmp_path / "moved").iterdir()})

    at(12, held(path), away)
    assert {file.name: file.read_bytes() for file in (tmp_path / "moved").iterdir()} == found[0]
    # Nobody holds it.
    Lock(tmp_path / "moved").acquire()


def test_while_it_is_trained_it_is_locked_again(tmp_path):
    path = tmp_path / "run"
    trainer = held(path)
    for event in trainer.events():
        if isinstance(event, Stepped) and event.step == 12:
            remove(path)
        if isinstance(event, FolderMade):
            with pytest.raises(charrnn.CharRNNError, match="is being trained"):
                Lock(path).acquire()
            break


def test_an_emptied_folder_gets_its_files_again(unbroken, tmp_path):
    path = tmp_path / "run"
    events = at(38, held(path), lambda: [file.unlink() for file in path.iterdir() if file.name != LOCK])
    assert not of(FolderMade, events)
    same_end(path, unbroken)


def test_a_lock_that_was_removed_is_taken_again(unbroken, tmp_path):
    path = tmp_path / "run"
    events = at(12, held(path), lambda: (path / LOCK).unlink())
    assert not of(FolderMade, events) and not (path / LOCK).exists()
    same_end(path, unbroken)


@pytest.mark.parametrize("other", ["a finished run", "a run in training", "a folder of the user's", "a file"])
def test_what_has_taken_its_place_is_left_alone(other, unbroken, tmp_path):
    path, locks = tmp_path / "run", []

    def replaced():
        move(path)
        if other == "a file":
            path.write_text("mine")
            return
        create_run("run", "", tmp_path)
        if other == "a run in training":
            locks.append(Lock(path))
            locks[0].acquire()
        else:
            (path / ("metrics.jsonl" if "run" in other else "letter.txt")).write_text("mine")

    trainer = held(path)
    events = at(12, trainer, replaced)
    assert of(FolderMade, events) == [FolderMade(tmp_path / "run-2")]
    assert trainer.run.path == tmp_path / "run-2"
    same_end(tmp_path / "run-2", unbroken)
    files = [path] if path.is_file() else list(path.iterdir())
    assert [file.name if file.name == LOCK else file.read_text() for file in files] == [LOCK if locks else "mine"]


def test_one_that_cannot_be_made_again_says_why(tmp_path, monkeypatch):
    path = tmp_path / "run"

    def away():
        remove(path)

        def refused(*arguments, **settings):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "mkdir", refused)

    trainer = held(path)
    failed = []
    with pytest.raises(NotWritten, match="run could not be written: Permission denied") as caught:
        for event in trainer.events():
            if isinstance(event, SaveFailed):
                failed.append(event.step)
            if isinstance(event, Stepped) and event.step == 12:
                away()
            if isinstance(event, Stepped) and event.step == 33:
                break
        monkeypatch.undo()
        assert failed == [14, 20, 21, 28, 30]
        monkeypatch.setattr(Path, "mkdir", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, os.strerror(13))))
        trainer.save()
    assert "writeable" in caught.value.hint and "space" not in caught.value.hint


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"), (errno.EDQUOT, "quota"), (errno.EACCES, "writeable"),
        (errno.EROFS, "writeable"), (errno.ENOENT, "again"), (errno.EIO, "Check the disk"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["charrnn.runs.log.sync_folder", "charrnn.atomic.os.replace"])
def test_each_reason_has_its_advice(number, advice, place, tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path / "run")

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    for event in trainer.events():
        if isinstance(event, Stepped) and event.step == 12:
            break
    monkeypatch.setattr(place, fail)
    with pytest.raises(NotWritten, match=os.strerror(number)) as caught:
        trainer.save()
    assert advice in caught.value.hint and "are intact" in caught.value.hint
    assert ("space" in caught.value.hint) == (number in (errno.ENOSPC, errno.EDQUOT))


@pytest.mark.parametrize("resumed", [False, True])
def test_a_whole_training_keeps_its_text_too(resumed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_fakes(monkeypatch)
    text = b"a bad cafe\n" * 40
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    settings = {"units": 4, "layers": 1, "batch": 2, "seq": 8, "cell": "rnn", "eval_every": 10}
    path = Path("checkpoints/run")
    training = charrnn.train_events("-", name="run", steps=60, **settings)
    if resumed:
        list(training)
        training = charrnn.resume_events("run", steps=60)
    events = []
    for event in training:
        events.append(event)
        if isinstance(event, Stepped) and event.step == training.progress.total - 25:
            shutil.rmtree(path)
    assert len(of(FolderMade, events)) == 1
    assert (path / "stdin.txt").read_bytes() == text and (path / "best.safetensors").is_file()
    assert sorted(os.listdir("checkpoints")) == ["run"] and LOCK not in os.listdir(path)
    before = read_checkpoint(Run(path).newest()).step
    assert charrnn.resume("run", steps=5).steps == before + 5
