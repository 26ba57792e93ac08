"""A checkpoint from a stranger: right digests, odd contents. Whatever it holds, a reader explains or reads it."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn.api.inspection import facts_of
from charrnn.api.json_text import json_text
from charrnn.api.model import load
from charrnn.api.runs import list_runs
from charrnn.api.training import resume, resume_events
from charrnn.api.verification import findings
from charrnn.api.vocabulary import vocabulary_of
from charrnn.cli.commands.runs import _row
from charrnn.cli.views.contents import shown
from charrnn.errors import CharRNNError
from support.mutated import Stranger, packed
from support.tally import share
from support.untrained import train_nothing

FILES = share(600, 2000)


def inspected(path: Path) -> None:
    facts = facts_of(str(path.parent))
    json_text(facts), shown(facts).encode()


def listed(path: Path) -> None:
    for run in list_runs(path.parents[1]):
        json_text(run.to_json()), "".join(_row(run)).encode()
        run.history()


def resumed(path: Path) -> None:
    for _ in resume_events(str(path.parent), steps=20):
        pass


READERS: dict[str, Callable[[Path], object]] = {
    "sample": lambda path: load(str(path)).sample(5, seed=0),
    "score": lambda path: load(str(path)).score(["ab"]),
    "eval": lambda path: load(str(path)).evaluate([str(path.parents[2] / "text.txt")], unknown="skip"),
    "complete": lambda path: load(str(path)).complete(["ab"], length=5),
    "inspect": inspected,
    "verify": lambda path: list(findings(str(path.parent))),
    "runs": listed,
    "vocab": lambda path: vocabulary_of(str(path)),
    "sample --novel": lambda path: load(str(path)).sample_many(2, 5, novel=True, seed=0),
    "train --resume": resumed,
}


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    train_nothing(monkeypatch)
    return Stranger(tmp_path, seed=1)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_odd_contents_are_explained_or_read(stranger: Stranger) -> None:
    path = stranger.folder / "runs/r/step-00000006.safetensors"
    path.parent.mkdir(parents=True)
    read: Counter[str] = Counter()
    for number in range(FILES):
        stranger.write(path)
        for name, reader in READERS.items():
            if name == "train --resume" and number % 3:
                # It costs as much as all others together.
                continue
            try:
                reader(path)
            except CharRNNError as error:
                assert error.message
            except Exception as error:
                raise AssertionError(f"{name} of file {number}: {error!r}") from error
            else:
                read[name] += 1
    # Of files that are all refused at once nothing would be learnt.
    assert min(read[name] for name in READERS) > FILES / 30, read


def special(stranger: Stranger, source: str, **more: Any) -> Path:
    """Write a run that says that it was trained on `source`; return its folder."""
    metadata, arrays = stranger.models[0]
    metadata = json.loads(metadata)
    metadata["progress"]["corpus"] |= {"sources": [source], **more}
    path = stranger.folder / "runs/special/step-00000006.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(packed(metadata, arrays))
    return path.parent


@pytest.mark.parametrize("source", ["/dev/zero", "FIFO", "SOCKET", "/dev/z*", "texts\0"])
def test_what_is_no_ordinary_file_is_not_opened(stranger: Stranger, source: str) -> None:
    run = special(stranger, stranger.named(source))
    told: list[str] = []
    with pytest.raises(CharRNNError, match=r"as its text, but (there is no|that is not a) regular file") as refused:
        load(run, told.append).sample_many(1, 5, novel=True)
    assert "`novel_to`" in (refused.value.hint or "")
    assert told == [f"Comparing with the training text that the model names: {stranger.named(source)}"]
    with pytest.raises(CharRNNError, match=r"as its text, but (there is no|that is not a) regular file") as refused:
        resume(run, steps=20, notify=told.append)
    assert f"`charrnn.resume({str(run)!r}, corpus='NEWPLACE')`" in (refused.value.hint or "")
    assert told[1:] == [f"Reading the text that the run names: {stranger.named(source)}"]


def test_a_folder_that_is_named_is_read_but_for_its_fifo(stranger: Stranger) -> None:
    run = special(stranger, stranger.named("FOLDER"))
    assert load(run).sample_many(1, 5, novel=True, seed=1)


def test_the_text_that_validates_is_no_device_either(stranger: Stranger) -> None:
    run = special(stranger, stranger.named("TEXT"), val_sources=["/dev/zero"], val_sha256="0" * 64)
    with pytest.raises(CharRNNError, match="names /dev/zero as its text"):
        resume(run, steps=20)


def test_a_text_that_was_moved_can_be_named_anew(stranger: Stranger) -> None:
    run = special(stranger, stranger.named("TEXT"))
    (stranger.folder / "text.txt").rename(stranger.folder / "elsewhere.txt")
    with pytest.raises(CharRNNError, match=r"text\.txt as its text, but it does not exist") as refused:
        resume(run, steps=20)
    assert f"`charrnn.resume({str(run)!r}, corpus='NEWPLACE')`" in (refused.value.hint or "")
    resume(run, steps=20, corpus=[str(stranger.folder / "elsewhere.txt")])


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": 5},
        {"corpus": {"sources": "/dev/zero"}},
        {"metrics": None},
        {"best_nats": "low"},
        {"best_nats": 10**400},
        {"shards": 2**63},
        {"step": [1]},
        {"step": 10**4000},
    ],
    ids=lambda change: str(change)[:40],
)
def test_another_kind_of_value_is_damage(stranger: Stranger, change: dict[str, Any]) -> None:
    metadata, arrays = stranger.models[0]
    metadata = json.loads(metadata)
    metadata["progress"] |= change
    path = stranger.folder / "odd.safetensors"
    path.write_bytes(packed(metadata, arrays))
    with pytest.raises(CharRNNError, match="is damaged: its metadata are not valid"):
        load(path)


def test_layers_without_end_are_refused_before_they_are_counted(stranger: Stranger) -> None:
    metadata, arrays = stranger.models[1]
    path = stranger.folder / "deep.safetensors"
    for layers, reason in ((10**6, "at most 1000"), (999, "does not have the parameters of its own model")):
        path.write_bytes(
            packed(
                json.loads(metadata)
                | {"model": {"cell": "gru", "layers": layers, "units": 2, "embedding": 2, "stack": "gated-feedback"}},
                arrays,
            )
        )
        with pytest.raises(CharRNNError, match=reason):
            load(path)
