"""Comparisons: which candidates there are, how they are ranked, and that no interruption or failure changes that."""

import io
import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import charrnn
from charrnn.api.candidates import combinations, labels, name_of, nearest_units, typed_values
from charrnn.api.comparing import compare, compare_events
from charrnn.api.comparison import load_comparison
from charrnn.api.events import Measured, OfRun, Planned, RunBegan, RunEnded, Stepped
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.network.parameters import parameter_count
from charrnn.runs import lock
from charrnn.runs.checkpoint import read_checkpoint, read_header
from charrnn.runs.comparison import FILE, find_comparison, read
from charrnn.runs.folder import Run
from charrnn.text.vocabulary import Vocabulary
from support.comparisons import TEXT, TINY, compare_fakes
from support.labelled import write_labelled
from support.trainers import assert_same


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    Path("text.txt").write_text(TEXT)


# Candidates


def test_every_combination_is_a_candidate_with_a_name_for_its_folder():
    made = combinations(["lstm", "gru", "lstm"], {"units": [4, 8], "dropout": [0.0], "clip_norm": [None, 0.5]})
    assert [tuple(one.values()) for one in made] == list(itertools.product(["lstm", "gru"], [4, 8], [0.0], [None, 0.5]))
    assert [name_of(label) for label in labels(made)][:3] == [
        "lstm-units4-clip-norm-off",
        "lstm-units4-clip-norm0.5",
        "lstm-units8-clip-norm-off",
    ]
    assert name_of(labels(combinations(["gru"], {"units": [4]}))[0]) == "gru"


@pytest.mark.parametrize(
    "typed, wanted",
    [
        ("units=128, 256", ("units", [128, 256])),
        ("weight-decay=off,0.01", ("weight_decay", [None, 0.01])),
        ("clip_norm=0,1", ("clip_norm", [None, 1.0])),
        ("--sum-gradients=on,off", ("sum_gradients", [True, False])),
        ("schedule=constant", ("schedule", ["constant"])),
        ("dropout=0,.3", ("dropout", [0.0, 0.3])),
    ],
)
def test_values_are_typed_as_the_options_take_them(typed, wanted):
    found = typed_values(typed)
    assert found == wanted and list(map(type, found[1])) == list(map(type, wanted[1]))


@pytest.mark.parametrize(
    "typed, said",
    [
        ("units", "it must be a setting and its values"),
        ("units=", "it must be a setting and its values"),
        ("unit=3", "There is no setting `unit`.*Did you mean units"),
        ("units=x", "must be of the type int"),
        ("sum_gradients=perhaps", "on or off"),
        ("val=0.1,0.2", "it chooses the validation text"),
        ("minutes=1,2", "the budget is the same"),
        ("seed=1,2", "`seeds` says"),
    ],
)
def test_what_cannot_be_varied_is_refused(typed, said):
    with pytest.raises(CharRNNError, match=said):
        typed_values(typed)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "clockwork", "lstm-mogrifier"])
def test_units_are_those_of_the_nearest_number_of_parameters(cell):
    def count(model):
        return parameter_count(model, 30)

    model = ModelConfig(cell, 2)
    for params in (1, 5_000, 20_011):
        all_counts = [abs(count(replace(model, units=units)) - params) for units in range(1, 200)]
        assert nearest_units(model, params, count) == 1 + all_counts.index(min(all_counts))


# Whole comparisons


def test_candidates_are_ranked_and_each_run_is_an_ordinary_run(monkeypatch):
    bits = {"lstm-seed0": 2.0, "lstm-seed1": 2.2, "gru-seed0": 2.05, "gru-seed1": 2.25, "rnn-seed0": 4.0}
    began = compare_fakes(monkeypatch, {**bits, "rnn-seed1": 4.1})
    result = compare("text.txt", cell=["rnn", "gru", "lstm"], seeds=2, name="all", **TINY)
    assert began == [f"{cell}-seed{seed}" for seed in (0, 1) for cell in ("rnn", "gru", "lstm")]
    assert [(row.name, row.rank, row.ties) for row in result.rows] == [
        ("lstm", 1, ("gru",)),
        ("gru", 1, ("lstm",)),
        ("rnn", 3, ()),
    ]
    lstm, gru, rnn = result.rows
    assert lstm.bits_per_char == pytest.approx(2.1) and lstm.spread == pytest.approx(0.2 / 2**0.5)
    assert rnn.bits_per_char == pytest.approx(4.05)
    assert result.tied() == [["lstm", "gru"]] and result.best == lstm and result.has_spread and result.is_complete
    assert (lstm.steps, lstm.runs[0].characters) == (6, 6 * 4 * 8)
    assert [point[1] for point in lstm.runs[0].curve] == [64, 128, 192]
    assert gru.curve("characters") == [
        (x, pytest.approx(sum(run.curve[n][2] for run in gru.runs) / 2)) for n, x in enumerate((64, 128, 192))
    ]
    listed = charrnn.list_runs("checkpoints/all")
    assert {run.name: run.seed for run in listed} == {name: int(name[-1]) for name in began}
    assert {run.parameters for run in listed} == {row.parameters for row in result.rows}
    assert load_comparison("all") == load_comparison("checkpoints/all") == result
    assert json.loads(json.dumps(result.to_json()))["rows"][0]["runs"][1]["bits_per_char"] == pytest.approx(2.2)
    # All of it again: nothing is trained.
    began.clear()
    assert compare(resume="all") == result and not began


def test_with_one_seed_nothing_ties(monkeypatch):
    compare_fakes(monkeypatch, {"lstm-seed5": 2.0, "gru-seed5": 2.0, "rnn-seed5": 1.0})
    result = compare("text.txt", cell=["lstm", "gru", "rnn"], seed=5, **TINY)
    assert [(row.name, row.rank, row.ties) for row in result.rows] == [("rnn", 1, ()), ("lstm", 2, ()), ("gru", 2, ())]
    assert not result.has_spread and result.tied() == [] and result.path == Path("checkpoints/text-compare")


def test_labels_are_ranked_by_accuracy(monkeypatch):
    compare_fakes(monkeypatch, {"lstm-seed0": 0.7, "gru-seed0": 0.9})
    write_labelled(Path("texts.tsv"))
    result = compare("texts.tsv", cell=["lstm", "gru"], labels=True, **TINY)
    assert [(row.name, row.accuracy) for row in result.rows] == [("gru", 0.9), ("lstm", 0.7)]
    assert (result.measure, result.unit) == ("accuracy", "label")


def test_each_candidate_reads_the_same_characters(monkeypatch):
    compare_fakes(monkeypatch)
    settings = {name: value for name, value in TINY.items() if name not in ("steps", "seq")}
    result = compare("text.txt", vary={"seq": [4, 8, 16]}, characters=640, name="read", **settings)
    assert {row.name: row.runs[0].steps for row in result.rows} == {"lstm-seq4": 40, "lstm-seq8": 20, "lstm-seq16": 10}
    assert {row.runs[0].characters for row in result.rows} == {640}


def test_settings_reach_the_runs(monkeypatch):
    compare_fakes(monkeypatch)
    settings = {name: value for name, value in TINY.items() if name not in ("units", "steps")}
    result = compare(
        "text.txt", cell="gru", vary={"optimizer": ["sgd", "adam"]}, params=600, minutes=0.01, dropout=0.1,
        lower=True, min_count=2, name="set", **settings,
    )  # fmt: skip
    for row in result.rows:
        header = read_header(Run(result.path / f"{row.name}-seed0").best)
        assert (header.model.cell, header.model.units) == ("gru", row.units)
        assert header.training == TrainConfig(
            batch=4, seq=8, eval_every=2, patience=None, dropout=0.1, minutes=0.01, optimizer=row.settings["optimizer"]
        )
        assert header.text.lower and header.vocab.has_unknown
        assert row.parameters == parameter_count(header.model, header.vocab.size)


@pytest.mark.parametrize(
    "corpus, settings, said",
    [
        ("text.txt", {"cell": ["lstm", "grx"]}, "`cell` is 'grx'"),
        ("text.txt", {"vary": {"units": [4, 0]}}, "`units` is 0"),
        ("text.txt", {"vary": {"units": 4}}, "lists of values"),
        ("text.txt", {"vary": {"units": []}}, "no value"),
        ("text.txt", {"steps": None, "epochs": 2}, "`epochs` is no budget"),
        ("text.txt", {"minutes": 2}, "each run has one budget"),
        ("text.txt", {"val": 0.0}, "no text is left for validation"),
        ("text.txt", {"params": 600}, "`params` chooses the units"),
        ("text.txt", {"vary": {"units": [4, 8]}}, "both a setting of all candidates and one of `vary`"),
        ("text.txt", {"unitz": 4}, "There is no setting `unitz`"),
        ("text.txt", {"seeds": 0}, "`seeds`"),
        ("text.txt", {"seeds": 10**15}, "at most 10,000"),
        (
            "text.txt",
            {"vary": {name: range(1, 200) for name in ("eval_every", "seq", "batch", "keep")}},
            "at most 10,000",
        ),
        ("text.txt", {"stack": "residual"}, "only from the second layer on"),
        ("text.txt", {"name": "a/b"}, "cannot be the name"),
        ("empty.txt", {}, "empty.txt is empty"),
        ("nowhere.txt", {}, "does not exist"),
        ((), {}, "No text was named"),
        ("text.txt", {"resume": "nowhere"}, "keeps its text"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(monkeypatch, corpus, settings, said):
    began = compare_fakes(monkeypatch)
    Path("empty.txt").touch()
    with pytest.raises(CharRNNError, match=said):
        compare(corpus, **{**TINY, **settings})
    assert not began and not list(Path("checkpoints").glob("*"))


@pytest.mark.parametrize(
    "given", [{"cell": "gru"}, {"seed": 1}, {"seeds": 2}, {"minutes": 1}, {"backend": "jax"}, {"units": 4}]
)
def test_a_comparison_that_goes_on_takes_no_settings(given):
    with pytest.raises(CharRNNError, match=f"leave out `{next(iter(given))}`"):
        compare_events(resume="one", **given)


def test_a_text_of_one_character_is_refused(monkeypatch):
    compare_fakes(monkeypatch)
    Path("one.txt").write_text("a")
    with pytest.raises(CharRNNError, match="at least 2 characters"):
        compare("one.txt", **TINY)
    assert not list(Path("checkpoints").glob("*"))


# Failures and interruptions


def test_a_run_that_fails_does_not_end_the_others_and_is_tried_again(monkeypatch):
    broken = ["gru-seed0"]

    def before_step(run, step):
        if run in broken and step == 4:
            raise CharRNNError("It diverged.", "Use a lower `lr`.")

    began = compare_fakes(monkeypatch, {"gru-seed0": 1.0}, before_step)
    with compare_events("text.txt", cell=["gru", "lstm"], name="some", **TINY) as events:
        seen = [event for event in events if not isinstance(event, OfRun)]
    assert [type(event) for event in seen if "Notic" not in type(event).__name__] == [
        Planned, RunBegan, RunEnded, RunBegan, RunEnded,
    ]  # fmt: skip
    lstm, gru = events.result().rows
    assert (lstm.name, lstm.rank, gru.rank) == ("lstm", 1, None)
    assert gru.failure == "seed 0: It diverged. Use a lower `lr`." and events.result().is_complete
    assert read(Path("checkpoints/some")).failures == {"gru-seed0": "It diverged. Use a lower `lr`."}
    broken.clear()
    with compare_events(resume="some") as events:
        # It is killed when the run has ended, and before that is recorded.
        next(e for e in events if isinstance(e, OfRun) and isinstance(e.event, Measured))
    assert read(Path("checkpoints/some")).failures
    result = compare(resume="some")
    assert began == ["gru-seed0", "lstm-seed0", "gru-seed0"]
    assert [row.name for row in result.rows] == ["gru", "lstm"] and result.rows[0].failure is None
    assert read(Path("checkpoints/some")).failures == {}


def test_a_bad_combination_is_left_out(monkeypatch):
    began = compare_fakes(monkeypatch)
    settings = {name: value for name, value in TINY.items() if name != "layers"}
    result = compare("text.txt", vary={"layers": [1, 2]}, stack="residual", **settings)
    assert began == ["lstm-layers2-seed0"] and result.is_complete
    assert [(row.rank, row.parameters is None) for row in result.rows] == [(1, False), (None, True)]
    assert "second layer" in result.rows[1].failure


def test_a_stopped_comparison_goes_on_to_the_same_result(monkeypatch):
    began = compare_fakes(monkeypatch)
    whole = compare("text.txt", cell=["lstm", "gru"], seeds=2, name="whole", **TINY)
    for run, step in [("lstm-seed0", 1), ("gru-seed0", 3), ("lstm-seed1", 6)]:
        resume = {"resume": "cut"} if find_or_none("cut") else {"corpus": "text.txt", "name": "cut", **TINY}
        cells = {} if "resume" in resume else {"cell": ["lstm", "gru"], "seeds": 2}
        with compare_events(**resume, **cells) as events:
            for event in events:
                if isinstance(event, OfRun) and isinstance(event.event, Stepped):
                    assert events.is_stepping
                    if (event.name, event.event.step) == (run, step):
                        events.stop()
        assert events.is_stopped and not events.has_ended and not events.result().is_complete
    began.clear()
    cut = compare(resume="cut")
    # The run that was stopped after its last step had nothing left to do.
    assert began == ["gru-seed1"]
    for name, _, _ in read(whole.path).runs():
        for file in (Run(whole.path / name).newest().name, "best.safetensors"):
            assert_same(*(read_checkpoint(result.path / name / file, training=True) for result in (whole, cut)))
    assert [row.bits_per_char for row in cut.rows] == [row.bits_per_char for row in whole.rows]


def find_or_none(name):
    return find_comparison(name) if Path("checkpoints", name, FILE).is_file() else None


def test_the_text_of_stdin_is_kept(monkeypatch):
    compare_fakes(monkeypatch)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode())))
    result = compare("-", cell="lstm", **TINY)
    assert result.text == (str(Path("checkpoints/stdin-compare/stdin.txt").absolute()),)
    assert Path(result.text[0]).read_text() == TEXT and result.best is not None


def test_a_changed_text_is_noticed(monkeypatch):
    def before_step(run, step):
        Path("text.txt").write_text(TEXT + "!")

    compare_fakes(monkeypatch, before_step=before_step)
    result = compare("text.txt", cell=["lstm", "gru"], name="changed", **TINY)
    assert [row.failure for row in result.rows] == [None, "seed 0: The text has changed since the comparison began."]
    with pytest.raises(CharRNNError, match=r"text of the comparison .* has changed"):
        compare(resume="changed")


@pytest.mark.parametrize("given, what", [("val_file", "validation text"), ("vocab", "vocabulary")])
def test_another_changed_file_is_noticed(monkeypatch, given, what):
    file = Path("other.txt")
    file.write_text(TEXT[:2_000]) if given == "val_file" else Vocabulary.of(TEXT).save(file)

    def before_step(run, step):
        file.write_text(TEXT[:2_001]) if given == "val_file" else Vocabulary.of(TEXT + "#").save(file)

    compare_fakes(monkeypatch, before_step=before_step)
    result = compare("text.txt", cell=["lstm", "gru"], name="changed", **{**TINY, given: file.name})
    assert f"The {what} has changed since the comparison began." in result.rows[1].failure
    with pytest.raises(CharRNNError, match=f"The {what} of the comparison .* has changed"):
        compare(resume="changed")


def test_a_folder_that_was_left_empty_is_used(monkeypatch):
    compare_fakes(monkeypatch)
    left = Path("checkpoints/left")
    left.mkdir(parents=True)
    other = lock.Lock(left)
    other.acquire()
    with pytest.raises(CharRNNError, match="exists already"):
        compare("text.txt", name="left", **TINY)
    assert (left / lock.LOCK).exists()
    other.release()
    (left / lock.LOCK).touch()
    assert compare("text.txt", name="left", **TINY).is_complete
    with pytest.raises(CharRNNError, match="exists already"):
        compare("text.txt", name="left", **TINY)


def test_a_text_that_is_gone_is_named(monkeypatch):
    broken = [True]

    def before_step(run, step):
        if broken:
            raise CharRNNError("It diverged.")

    compare_fakes(monkeypatch, before_step=before_step)
    compare("text.txt", name="gone", **{**TINY, "units": np.int64(4), "dropout": np.float32(0.5)})
    broken.clear()
    Path("text.txt").unlink()
    with pytest.raises(CharRNNError, match=r"The comparison names .*text.txt as its text, but it does not exist"):
        compare(resume="gone")


def test_only_one_process_trains_a_comparison_and_one_that_died_does_not_block_it(monkeypatch):
    compare_fakes(monkeypatch)
    with compare_events("text.txt", name="one", **TINY) as events:
        next(event for event in events if isinstance(event, OfRun))
        with pytest.raises(CharRNNError, match=f"The comparison .*one is being trained: process {os.getpid()} on"):
            compare(resume="one")
    # A dead process took the lock, and one that it began still has it.
    code = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom charrnn.runs.lock import Lock\n"
        "lock = Lock(Path('checkpoints/one'))\nlock.acquire()\n"
        "print(subprocess.Popen(['sleep', '600'], pass_fds=[lock.descriptor], stdout=subprocess.DEVNULL).pid)\n"
    )
    orphan = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)
    waited = []
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: waited.append(seconds) or os.kill(orphan, 9))
    assert compare(resume="one").is_complete and waited


_EMPTY = {"format": 1, "text": [], "sha256": "", "reading": {}, "place": {}, "budget": {"steps": 1}, "seeds": [0]}
_EMPTY["candidates"] = []


@pytest.mark.parametrize(
    "content, said",
    [
        (b"{", "is damaged"),
        (b'{"format": 99}', "has format 99"),
        (b"[]", "is not the file of a comparison"),
        (b'{"format": 1, "candidates": [{"colour": 1}]}', "is not the file of a comparison"),
        (
            b'{"format": 1, "candidates": [{"name": "../..", "settings": {}, "units": 1, "parameters": 1}], '
            b'"text": [], "sha256": "", "reading": {}, "place": {}, "budget": {}, "seeds": [0]}',
            "is not the file of a comparison",
        ),
        *(
            (json.dumps({**_EMPTY, **wrong}).encode(), "is not the file of a comparison")
            for wrong in ({"budget": []}, {"budget": {}}, {"text": "text"}, {"sha256": 3}, {"failures": 3})
        ),
    ],
)
def test_a_damaged_file_is_refused(content, said):
    with pytest.raises(CharRNNError, match="There is no comparison 'bad'"):
        compare(resume="bad")
    Path("checkpoints/bad").mkdir(parents=True)
    Path("checkpoints/bad", FILE).write_bytes(content)
    with pytest.raises(CharRNNError, match=said):
        load_comparison("bad")
