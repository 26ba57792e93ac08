import errno
import json
import math
import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.cli.views.units import age, size
from charrnn.config import ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import initial_weights, parameter_count
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint
from charrnn.runs.finding import find_checkpoint, find_run, list_runs
from charrnn.runs.folder import Run, create_run, runs_folder, shell_name
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary


def at_step(step: int, best_nats: float | None = 1.5) -> Checkpoint:
    model = ModelConfig(cell="lstm", layers=2, units=4)
    return Checkpoint(
        model=model,
        vocab=Vocabulary(("a", "b")),
        weights={**initial_weights(model, 2, 0), "output/b": np.full(2, step, np.float32)},
        slots={"m": np.full(3, step, np.float32)},
        progress=Progress(CorpusRecord((), "", 0), step=step, best_nats=best_nats),
    )


def new_run(folder: Path, name: str = "play", steps: tuple[int, ...] = (), best: int | None = None) -> Run:
    run = create_run(name, "unused", folder)
    for step in steps:
        run.save(at_step(step), step, best=step == best, keep=99)
    return run


def names(run: Run) -> set[str]:
    return {path.name for path in run.path.iterdir()}


def damage(path: Path, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Make an empty folder of runs the current one's `checkpoints`."""
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "checkpoints"


def test_the_folder_of_runs_is_the_environments(folder, tmp_path, monkeypatch):
    assert runs_folder() == Path("checkpoints")
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", "")
    assert runs_folder() == Path("checkpoints")
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(tmp_path / "elsewhere"))
    assert create_run(None, "play").path == tmp_path / "elsewhere" / "play"
    assert find_run("play").path == tmp_path / "elsewhere" / "play"
    assert not folder.exists()


def test_runs_are_named_after_the_corpus_and_never_overwritten(folder):
    assert [create_run(None, "play").name for _ in range(3)] == ["play", "play-2", "play-3"]
    assert create_run("mine", "play").name == "mine"
    with pytest.raises(CharRNNError, match="exists already") as caught:
        create_run("mine", "play")
    assert "rm -r checkpoints/mine" in caught.value.hint
    (folder / "mine/best.safetensors").touch()
    with pytest.raises(CharRNNError, match="exists already") as caught:
        create_run("mine", "play")
    assert "`resume`" in caught.value.hint
    assert create_run(None, "play", folder / "deeper" / "still").path == folder / "deeper" / "still" / "play"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "a\\b", "a\nb", "a\0b"])
def test_names_that_cannot_be_are_refused(folder, name):
    with pytest.raises(CharRNNError, match="cannot be the name of a run"):
        create_run(name, "play")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("default", "name"),
    [
        ("war and peace", "war-and-peace"),
        ("../../etc", "etc"),
        ("", "run"),
        (".bashrc", "bashrc"),
        ("Повесть", "Повесть"),
    ],
)
def test_any_corpus_gives_a_name(folder, default, name):
    assert create_run(None, default).name == name


def test_a_file_in_place_of_the_folder(folder):
    folder.write_text("")
    with pytest.raises(CharRNNError, match="is a file"):
        create_run(None, "play")


def test_racing_processes_never_get_the_same_run(folder):
    threads, got, refused = 8, [], []
    start = threading.Barrier(threads)

    def race() -> None:
        start.wait()
        got.extend(create_run(None, "play").name for _ in range(5))
        try:
            create_run("one", "play")
        except CharRNNError:
            refused.append(1)

    racers = [threading.Thread(target=race) for _ in range(threads)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(got) == sorted(["play", *(f"play-{n}" for n in range(2, 5 * threads + 1))])
    assert len(refused) == threads - 1


def test_saving_keeps_the_newest_and_the_best(folder):
    run = create_run("play", "")
    for step in (5, 100, 99_999_999, 100_000_000):
        run.save(at_step(step), step, best=step == 100, keep=2)
    assert names(run) == {"best.safetensors", "step-99999999.safetensors", "step-100000000.safetensors"}
    assert [path.name for path in run.checkpoints()] == ["step-99999999.safetensors", "step-100000000.safetensors"]
    assert run.newest() == run.path / "step-100000000.safetensors"
    assert read_checkpoint(run.best, training=True).step == 100


def test_nothing_that_is_not_ours_is_removed(folder):
    run = create_run("play", "")
    strays = [
        "step-1.safetensors", "step-00000001.safetensors.bak", "my-step-00000001.safetensors",
        "step-0000000a.safetensors", "step-00000001.safetensors.x.safetensors",
        "step-000000001.safetensors", "step-00000001.txt", "notes.md", ".x.charrnn-tmp", "best.safetensors.old",
        ".best.safetensors.0123abcX.charrnn-tmp", "step-٠٠٠٠٠٠٠١.safetensors", "STEP-00000001.safetensors",
    ]  # fmt: skip
    for name in strays:
        (run.path / name).write_text("stray")
    (run.path / "step-00000002.safetensors").mkdir()
    (run.path / "step-00000003.safetensors").symlink_to("notes.md")
    for step in (10, 11, 12):
        run.save(at_step(step), step, best=False, keep=1)
    assert names(run) == {
        *strays, "step-00000002.safetensors", "step-00000003.safetensors", "step-00000012.safetensors"
    }  # fmt: skip
    assert all((run.path / name).read_text() == "stray" for name in strays)


def test_what_a_crash_left_of_a_save_is_removed_by_the_next(folder):
    run = create_run("play", "")
    for name in ("best", "step-00000007"):
        (run.path / f".{name}.safetensors.0123abcd.charrnn-tmp").write_bytes(b"half")
    run.save(at_step(8), 8, best=False, keep=3)
    assert names(run) == {"step-00000008.safetensors"}


def test_random_histories_keep_exactly_what_they_should(folder):
    rng = random.Random(2)
    run, saved, best = create_run("play", ""), set(), None
    for step in sorted(rng.sample(range(1, 10_000), 60)):
        keep, is_best = rng.randint(1, 4), rng.random() < 0.3
        run.save(at_step(step), step, is_best, keep)
        saved = set(sorted(saved | {step})[-keep:])
        best = step if is_best else best
        expected = {f"step-{step:08d}.safetensors" for step in saved} | ({"best.safetensors"} if best else set())
        assert names(run) == expected
    assert best and read_checkpoint(run.best).step == best


def test_after_falling_back_the_damaged_later_file_does_not_push_out_the_good_ones(folder):
    run = new_run(folder, steps=(1, 2, 9))
    damage(run.newest())
    assert run.load_newest()[0].step == 2
    run.save(at_step(3), 3, best=False, keep=1)
    assert run.load_newest()[0].step == 3
    run.save(at_step(10), 10, best=False, keep=1)
    assert names(run) == {"step-00000010.safetensors"}


@pytest.mark.parametrize("failing", range(1, 5))
def test_a_full_disk_never_costs_a_good_checkpoint(folder, monkeypatch, failing):
    run = new_run(folder, steps=(1, 2), best=1)
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CharRNNError, match="No space left"):
        run.save(at_step(3), 3, best=True, keep=1)
    monkeypatch.undo()
    assert len(calls) == failing
    assert not [name for name in names(run) if name.endswith("charrnn-tmp")]
    newest, _, warnings = run.load_newest()
    assert newest.step == (3 if failing == 4 else 2) and warnings == []
    assert read_checkpoint(run.best, training=True).step == (1 if failing == 1 else 3)
    assert {"step-00000001.safetensors", "step-00000002.safetensors"} <= names(run)


def test_loading_falls_back_by_name(folder):
    run = new_run(folder, steps=(1, 2, 3, 4))
    checkpoint, path, warnings = run.load_newest()
    assert (checkpoint.step, path.name, warnings) == (4, "step-00000004.safetensors", [])
    damage(run.path / "step-00000004.safetensors")
    (run.path / "step-00000003.safetensors").write_bytes(b"")
    checkpoint, path, warnings = run.load_newest()
    assert (checkpoint.step, path.name) == (2, "step-00000002.safetensors")
    np.testing.assert_array_equal(checkpoint.slots["m"], [2, 2, 2])
    assert len(warnings) == 2
    assert "step-00000004.safetensors is damaged" in warnings[0] and "step-00000003.safetensors" in warnings[1]
    assert all("Using step-00000002.safetensors instead" in warning for warning in warnings)


def test_a_sound_file_with_unsound_numbers_is_passed_over_too(folder):
    run = new_run(folder, steps=(1, 2))
    bad = at_step(3)
    bad.slots["m"][0] = math.nan
    run.save(bad, 3, best=False, keep=9)
    _, path, warnings = run.load_newest()
    assert path.name == "step-00000002.safetensors" and "not finite" in warnings[0]


def test_the_best_checkpoint_stands_in_for_the_step_that_it_is(folder):
    run = new_run(folder, steps=(1, 2, 3), best=3)
    damage(run.newest())
    checkpoint, path, _ = run.load_newest()
    assert (checkpoint.step, path) == (3, run.best)


def test_the_best_checkpoint_is_the_last_resort(folder):
    run = new_run(folder, steps=(1, 2), best=1)
    for path in run.checkpoints():
        damage(path)
    checkpoint, path, warnings = run.load_newest()
    assert checkpoint.step == 1 and path == run.best and len(warnings) == 2
    damage(run.best)
    with pytest.raises(CharRNNError, match=r"No checkpoint of the run .*step-00000002\.safetensors is damaged"):
        run.load_newest()


def test_a_run_without_checkpoints_cannot_be_loaded(folder):
    with pytest.raises(CharRNNError, match="no checkpoint yet"):
        create_run("play", "").load_newest()


def test_a_run_is_found_by_name_by_path_and_by_file(folder, tmp_path, monkeypatch):
    run = new_run(folder, steps=(1, 2), best=1)
    for name in ("play", "checkpoints/play", str(run.path), "checkpoints/play/step-00000002.safetensors"):
        assert find_run(name).path.resolve() == run.path
    assert find_checkpoint("play") == Path("checkpoints/play/best.safetensors")
    assert find_checkpoint(str(run.newest())) == run.newest()
    run.best.unlink()
    assert find_checkpoint("play") == Path("checkpoints/play/step-00000002.safetensors")
    monkeypatch.chdir(run.path)
    assert find_run(".").name == "play" and find_checkpoint(".").name == "step-00000002.safetensors"


def test_a_name_comes_before_a_path(folder):
    run = new_run(folder, steps=(1,))
    other = new_run(folder.parent, steps=(7,))
    assert find_run("play").path.resolve() == run.path
    assert find_run("./play").path.resolve() == other.path.resolve()
    assert find_run(str(other.path)).path == other.path


def test_no_run_named_is_the_run_that_was_trained_last(folder):
    for n, name in enumerate(("old", "newer", "newest")):
        run = new_run(folder, name, steps=(1,))
        os.utime(run.checkpoints()[0], (1000 + n, 1000 + n))
    create_run("without", "")
    assert find_checkpoint(None).parent.name == "newest"
    os.utime(folder / "old" / "step-00000001.safetensors", (5000, 5000))
    assert find_checkpoint(None).parent.name == "old"
    assert [run.name for run in list_runs()] == ["without", "old", "newest", "newer"]


def test_folders_and_files_that_are_no_run_are_not_listed(folder):
    new_run(folder, steps=(1,))
    (folder / "README.md").write_text("Runs land here.")
    (folder / ".cache").mkdir()
    (folder / "photos").mkdir()
    (folder / "photos" / "cat.jpg").write_text("")
    assert [run.name for run in list_runs()] == ["play"]
    with pytest.raises(CharRNNError, match="no run 'photos'"):
        find_run("photos")


def test_errors_help(folder):
    for call in (lambda: find_checkpoint(None), lambda: find_run("play"), lambda: find_checkpoint("play")):
        with pytest.raises(CharRNNError) as caught:
            call()
        assert "charrnn train corpus.txt" in caught.value.hint
    for name in ("shakespeare", "goethe", "c", "d", "e", "f"):
        create_run(name, "")
    with pytest.raises(CharRNNError, match="no checkpoint yet"):
        find_checkpoint(None)
    with pytest.raises(CharRNNError, match="no checkpoint yet"):
        find_checkpoint("goethe")
    for wrong, right in (("shakespear", "shakespeare"), ("zzz", "charrnn runs")):
        with pytest.raises(CharRNNError, match=f"no run '{wrong}'") as caught:
            find_checkpoint(wrong)
        assert right in caught.value.hint
        assert sum(name in caught.value.hint.split(";")[0] for name in ("shakespeare", "goethe")) >= 1
    for wrong in ("", "missing.safetensors", "a\0b", "-"):
        with pytest.raises(CharRNNError):
            find_checkpoint(wrong)


def charrnn_runs(*options: str) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["runs", *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_runs_command_lists_the_newest_first(folder):
    for n, name in enumerate(("first", "second")):
        run = new_run(folder, name, steps=(1, 12_000 + n), best=1)
        for path in run.path.iterdir():
            os.utime(path, (1000 + n, 1000 + n))
    out, err = charrnn_runs()
    assert err == ""
    heading, second, first = out.splitlines()
    assert heading.split()[:3] == ["run", "steps", "model"]
    assert second.split()[:4] == ["second", "12,001", "lstm", "2x4"] and f"{1.5 / math.log(2):.3f} /char" in second
    assert first.split()[:2] == ["first", "12,000"] and "days ago" in first
    assert second.index("lstm") == first.index("lstm") == heading.index("model")


def test_the_unit_of_bits_is_named(folder):
    characters, others = create_run("characters", "", folder), create_run("bytes", "", folder)
    characters.save(at_step(1), 1, best=True, keep=1)
    others.save(replace(at_step(1, 1.0), text=TextConfig(bytes=True)), 1, best=True, keep=1)
    found = {line.split()[0]: line for line in charrnn_runs()[0].splitlines()[1:]}
    assert f"  {1.5 / math.log(2):.3f} /char  " in found["characters"]
    assert f"  {1 / math.log(2):.3f} /byte  " in found["bytes"]
    assert {fact["name"]: fact["unit"] for fact in json.loads(charrnn_runs("--json")[0])} == {
        "characters": "character",
        "bytes": "byte",
    }


def test_runs_command_gives_json(folder):
    run = new_run(folder, steps=(1, 2), best=1)
    os.utime(run.best, (2_000_000_000, 2_000_000_000))
    [fact] = json.loads(charrnn_runs("--json")[0])
    assert fact == {
        "name": "play",
        "steps": 2,
        "cell": "lstm",
        "layers": 2,
        "units": 4,
        "stack": "plain",
        "model": "lstm 2x4",
        "parameters": parameter_count(ModelConfig(units=4), 2),
        "seed": None,
        "sources": [],
        "sha256": "",
        "best_bits_per_char": pytest.approx(1.5 / math.log(2)),
        "unit": "character",
        "validation": None,
        "test": None,
        "modified": "2033-05-18T03:33:20+00:00",
        "bytes": sum(path.stat().st_size for path in run.path.iterdir()),
        "path": "checkpoints/play",
        "note": None,
        "why": None,
    }
    assert json.loads(charrnn_runs("--json", "--checkpoints", "nowhere")[0]) == []


def test_runs_command_lists_what_is_damaged_empty_or_odd(folder):
    broken = new_run(folder, "broken", steps=(1, 2))
    for path in broken.checkpoints():
        path.write_bytes(path.read_bytes()[:-1])
    create_run("empty", "")
    half = new_run(folder, "half", steps=(1, 2))
    (half.path / "step-00000002.safetensors").write_bytes(b"")
    odd = create_run("odd", "")
    odd.save(
        replace(at_step(1), progress=Progress(CorpusRecord((), "", 0), step="1", best_nats="x")), 1, best=False, keep=1
    )
    (folder / "bad\x1b[2Jname").mkdir()
    facts = {fact["name"]: fact for fact in json.loads(charrnn_runs("--json")[0])}
    assert facts["broken"]["note"] == "no checkpoint can be used" and facts["broken"]["steps"] is None
    assert facts["empty"]["note"] == "no checkpoint yet" and facts["empty"]["bytes"] == 0
    assert facts["half"]["steps"] == 1 and facts["half"]["note"] is None
    assert facts["odd"]["steps"] is None and facts["odd"]["note"] == "no checkpoint can be used"
    assert "is cut short" in facts["broken"]["why"] and facts["half"]["why"] is facts["empty"]["why"] is None
    out, said = charrnn_runs()
    assert len(said.splitlines()) == 2 and "broken/step-00000001.safetensors is" in said
    assert len(out.splitlines()) == 6 and "no checkpoint can be used" in out and "\x1b" not in out


def test_runs_command_without_runs_says_what_to_type(folder):
    out, err = charrnn_runs()
    assert out == "" and "charrnn train corpus.txt" in err


def test_ages_and_sizes_are_in_their_largest_unit():
    ages = [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (3600, "1 h ago")]
    ages += [(86399, "23 h ago"), (86400, "1 day ago"), (10 * 86400, "10 days ago")]
    assert [age(seconds) for seconds, _ in ages] == [text for _, text in ages]
    assert [size(count) for count in (0, 999, 1000, 41_200_000, 2 * 10**9)] == [
        "0 B", "999 B", "1.0 kB", "41.2 MB", "2.0 GB"
    ]  # fmt: skip


def test_what_has_a_slash_is_a_path(tmp_path, monkeypatch, checkpoints):
    monkeypatch.chdir(tmp_path)
    for path in ("p", "checkpoints/p", "checkpoints/sub/q"):
        (tmp_path / path).mkdir(parents=True)
    assert find_run("p").path.resolve() == tmp_path / "checkpoints/p"
    assert find_run("./p").path.resolve() == tmp_path / "p"
    assert find_run("sub/q").path.resolve() == tmp_path / "checkpoints/sub/q"
    # How a run is named on a command line leads back to it.
    for path in (Path("p"), Path("checkpoints/p")):
        assert find_run(shell_name(Run(path))).path.resolve() == tmp_path / path


def test_a_run_that_may_not_be_read_hides_no_other(checkpoints, monkeypatch):
    for name in ("good", "closed"):
        (checkpoints / name).mkdir()
        (checkpoints / name / "metrics.jsonl").write_text("")
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert [run.name for run in list_runs()] == ["good"]
