"""The exact figures at the end of training: kept in the log, listed, shown, and computed again."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.api import held_out, history, session
from charrnn.api.datasets import corpus_record
from charrnn.api.events import Measured, Noticed
from charrnn.cli.app import app
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.corpus import dataset
from charrnn.errors import CharRNNError, NotWritten
from charrnn.network.parameters import parameter_count
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import HEAVY, loaded_by
from support.models import random_weights
from support.untrained import train_nothing

MODEL, VOCAB = ModelConfig("rnn", 1, 8), Vocabulary.of("\n abcdefgh")
TEXT = "".join(np.random.default_rng(0).choice(list("abcdefgh \n"), 3000))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of texts, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "other.txt").write_text(TEXT[:500][::-1])
    return tmp_path


def finished(folder, name="toy", form=TextConfig(), validation=None, seed=3, **settings):  # noqa: B008
    """Make a run as training leaves it, its figures in its log; return it and what was measured."""
    run = Run(folder / "checkpoints" / name)
    run.path.mkdir(parents=True)
    training = TrainConfig(**{"batch": 2, "seq": 8, "val": 0.1, "test": 0.2, "steps": 20, "seed": seed, **settings})
    text = read_text(["text.txt"], form)
    data = dataset(text, VOCAB, training, validation and read_text([validation], form))
    run.log.append({"step": 10, "train_nats": 2.5, "val_nats": 2.25})
    run.log.append({"step": 20, "train_nats": 2.25, "val_nats": 2.0})
    record = [{"step": 20, "train_nats": 2.25, "val_nats": 2.0}]
    progress = Progress(corpus_record(data), step=20, best_step=20, best_nats=2.0, metrics=run.log.position())
    weights = random_weights(MODEL, VOCAB.size, "float32", seed=seed)
    state = {"layer0/h": np.zeros((2, 8), np.float32)}
    made = Checkpoint(MODEL, VOCAB, weights, training, progress, record, state=state, text=form)
    for file in (run.best, run.path / "step-00000020.safetensors"):
        write_checkpoint(file, made)
    events = [event for measured in held_out.measured(run, data, record) for event in session._recorded(run, measured)]
    return run, {event.part: event for event in events if isinstance(event, Measured)}


def said(*arguments, code=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.stdout


def refused(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, CharRNNError) and result.stdout == ""
    return str(result.exception)


def test_the_figures_end_the_log_and_are_listed(folder):
    run, events = finished(folder)
    lines = [json.loads(line) for line in run.log.path.read_text().splitlines()]
    assert [(line["step"], line.get("part")) for line in lines] == [
        (10, None), (20, None), (20, "validation"), (20, "test"),
    ]  # fmt: skip
    assert lines[2]["nats_per_char"] == events["validation"].evaluation.nats_per_char
    assert (lines[2]["characters"], lines[2]["characters_read"], lines[3]["characters"]) == (300, 300, 600)
    assert lines[2]["frequency_nats"] == events["validation"].frequency_nats
    assert lines[2]["ngrams"] == events["validation"].ngrams.to_json() and "ngrams" not in lines[3]
    (listed,) = charrnn.list_runs()
    assert listed.test.bits_per_byte == pytest.approx(listed.test.bits_per_char)
    assert (listed.validation, listed.test) == tuple(events[part].evaluation for part in ("validation", "test"))
    (facts,) = json.loads(said("runs", "--json"))
    assert (facts["seed"], facts["sources"]) == (3, [str(folder / "text.txt")])
    assert facts["parameters"] == parameter_count(MODEL, VOCAB.size) and len(facts["sha256"]) == 64
    assert facts["test"]["bits_per_char"] == events["test"].evaluation.bits_per_char
    looked = json.loads(said("inspect", "toy", "--json"))
    assert looked["validation"] == lines[2] and looked["test"] == lines[3]
    bits = f"{events['test'].evaluation.bits_per_char:.4f} bits per character"
    assert any(line.startswith("test ") and bits in line for line in said("inspect", "toy").splitlines())


def test_they_are_no_part_of_the_course_of_training(folder):
    run, _ = finished(folder)
    assert [record["step"] for record in charrnn.list_runs()[0].history()] == [10, 20]
    assert [record["step"] for record in json.loads(said("inspect", "toy", "--json"))["history"]] == [10, 20]
    assert "metrics.jsonl: ok" in said("verify", "toy")
    # A run that goes on cuts them off with its first line.
    again = Run(run.path)
    again.log.resume(read_checkpoint(run.best).progress.metrics)
    again.log.append({"step": 25})
    assert history.figures_of(run.log.path, 20) == {} and charrnn.list_runs()[0].validation is None


def test_figures_of_another_step_or_kind_are_none(folder):
    run, _ = finished(folder)
    newer = read_checkpoint(run.best, training=True)
    write_checkpoint(
        run.path / "step-00000030.safetensors",
        replace(newer, progress=replace(newer.progress, step=30, best_step=30)),
    )
    assert charrnn.list_runs()[0].validation is None
    for odd in ('{"step": 30, "part": 3}', '{"step": 30, "part": "validation", "characters": "x"}', '{"part": {}}'):
        run.log.path.write_text(f"{odd}\n")
        assert charrnn.list_runs()[0].validation is None
    run.log.path.write_text("x" * 100_000)
    assert history.figures_of(run.log.path, 30) == {}


def test_what_occurs_in_what_trains_is_told_wherever_the_figure_is(folder):
    (folder / "text.txt").write_text(TEXT + TEXT[:1200])
    _, events = finished(folder, val=0.1, test=0.1)
    shared = events["test"].evaluation.repeated
    assert str(shared) == "6 of 6 stretches of 64 characters"
    assert charrnn.list_runs()[0].test.repeated == shared
    (facts,) = json.loads(said("runs", "--json"))
    assert facts["test"]["repeated"] == {"pieces": 6, "count": 6, "kind": "stretches of 64 characters"}
    assert "6 of 6 stretches of 64 characters also occur in the training part" in " ".join(
        said("inspect", "toy").split()
    )
    result = CliRunner().invoke(app, ["eval", "toy", "--part", "test", "--json"])
    assert "6 of 6 stretches of 64 characters of this part also occur in the training part" in result.stderr
    assert json.loads(result.stdout)["repeated"] == facts["test"]["repeated"]
    # A log from a stranger may say anything.
    for odd in ({"pieces": "6", "count": 6, "kind": "x"}, [1], {"pieces": 6, "count": 6, "kind": 3}):
        assert history.evaluation_of({"characters": 9, "nats_per_char": 1.0, "repeated": odd}, "byte").repeated is None


def test_a_disk_that_does_not_take_them_is_told(folder, monkeypatch):
    run, events = finished(folder)

    def full():
        raise NotWritten("The disk is full.")

    monkeypatch.setattr(run.log, "sync", full)
    told, event = session._recorded(run, events["test"])
    assert isinstance(told, Noticed) and "test part could not be written to the log: The disk is full." in told.message
    assert event is events["test"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"form": TextConfig(one_per_line=True), "split": "documents"},
        {"form": TextConfig(one_per_line=True, loss_after="a")},
        {"validation": "other.txt", "val": 0.0},
        {"split": "char-rnn", "test": 0.0, "val": 0.1},
        {"form": TextConfig(encoding="latin-1", newlines="lf")},
    ],
)
def test_a_part_is_evaluated_again_exactly(folder, settings):
    _, events = finished(folder, **settings)
    for part, event in events.items():
        facts = json.loads(said("eval", "toy", "--part", part, "--json"))
        assert facts["nats_per_char"] == event.evaluation.nats_per_char
        assert facts["characters"] == event.evaluation.characters
        # The text is ASCII; its last line may get an end.
        whole = settings.get("form", TextConfig()).loss_after is None
        assert facts["bits_per_byte"] == (pytest.approx(facts["bits_per_char"], rel=1e-3) if whole else None)
    assert "bits per character" in said("eval", "--part", "validation")


@pytest.mark.parametrize(
    ("form", "encoding", "exact"),
    [
        (TextConfig(), "utf-8", True),
        (TextConfig(), "utf-16", False),
        (TextConfig(encoding="utf-16-le"), "utf-16-le", True),
        (TextConfig(encoding="utf-16"), "utf-16", False),
        (TextConfig(encoding="shift_jis"), "shift_jis", True),
        (TextConfig(bytes=True), "utf-8", True),
        (TextConfig(newlines="lf"), "utf-8", False),
    ],
)
def test_a_part_has_bits_a_byte_as_a_text_of_its_own_has(folder, form, encoding, exact, monkeypatch):
    """What is held out, in a file of its own, costs as much a byte; but for rounding where reading changes the text."""
    text = "a☆bд" * 250 + "aaaдb" * 400
    held = text[int(len(text) * 0.7) :]
    if form.newlines == "lf":
        text, held = text.replace("b", "\r\n"), held.replace("b", "\r\n")
    symbols = map(chr, range(256)) if form.bytes else set(text)
    monkeypatch.setattr(sys.modules[__name__], "VOCAB", Vocabulary.of(symbols))
    (folder / "text.txt").write_bytes(text.encode(encoding))
    finished(folder, form=form, val=0.0, test=0.3)
    part = charrnn.load("toy").evaluate_part("test")
    if form.bytes:
        assert part.bits_per_byte == pytest.approx(part.bits_per_char)
        return
    (folder / "held.txt").write_bytes(held.encode(encoding))
    alone = charrnn.load("toy").evaluate("held.txt", encoding=form.encoding)
    # The state at the beginning is another.
    assert part.bits_per_char == pytest.approx(alone.bits_per_char, rel=0.02)
    ratio = part.bits_per_byte / part.bits_per_char
    assert ratio == pytest.approx(alone.bits_per_byte / alone.bits_per_char, rel=1e-9 if exact else 0.2)
    assert "bits per byte" in said("eval", "toy", "--part", "test")


def test_a_part_with_characters_that_became_the_unknown_symbol_has_no_bits_a_byte(folder, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "VOCAB", Vocabulary.of("abcdefg \n", has_unknown=True))
    finished(folder)
    facts = json.loads(said("eval", "toy", "--part", "test", "--json"))
    assert facts["bits_per_byte"] is None and facts["bits_per_char"] > 0


def test_a_part_is_that_of_the_text_on_which_the_run_goes_on(folder):
    run, events = finished(folder)
    (folder / "text.txt").write_text(TEXT[::-1])
    assert "has changed since the run began" in refused("eval", "toy", "--part", "test")
    # A newer checkpoint is of the new text; the best one is still that of the old one.
    newest = run.path / "step-00000030.safetensors"
    best = read_checkpoint(run.best, training=True)
    data = dataset(read_text(["text.txt"]), VOCAB, best.training)
    write_checkpoint(newest, replace(best, progress=replace(best.progress, corpus=corpus_record(data), step=30)))
    again = json.loads(said("eval", "toy", "--part", "test", "--json"))
    assert again["characters"] == 600 and again["nats_per_char"] != events["test"].evaluation.nats_per_char
    # Of an older file by itself it is its own.
    assert "has changed" in refused("eval", run.path / "step-00000020.safetensors", "--part", "test")


def test_of_a_model_of_bytes_all_is_in_bytes(folder):
    _, events = finished(folder, form=TextConfig(bytes=True))
    part = json.loads(said("eval", "toy", "--part", "test", "--json"))
    assert part["unit"] == "byte" and part["bits_per_byte"] == pytest.approx(part["bits_per_char"])
    assert events["test"].evaluation.unit == charrnn.list_runs()[0].test.unit == "byte"
    facts, told = json.loads(said("eval", "text.txt", "--json")), said("eval", "text.txt")
    assert facts["unit"] == "byte" and facts["bits_per_byte"] == pytest.approx(facts["bits_per_char"])
    assert [line.rpartition(" ")[0].strip() for line in told.splitlines()] == [
        "bytes", "bits per byte", "nats per byte", "perplexity per byte",
    ]  # fmt: skip
    looked = said("inspect")
    assert "char" not in looked.replace("charrnn", "") and "bits per byte" in looked and "bits/byte" in looked


def test_of_a_model_of_characters_perplexity_is_per_character(folder):
    finished(folder)
    told = said("eval", "text.txt").splitlines()
    assert [line.rpartition(" ")[0].strip() for line in told] == [
        "characters", "bits per character", "nats per character", "perplexity per character", "bits per byte",
    ]  # fmt: skip


def test_a_text_that_came_through_a_pipe_is_found_in_the_run(folder):
    run, events = finished(folder)
    for file in (run.best, run.newest()):
        made = read_checkpoint(file, training=True)
        recorded = replace(made.progress.corpus, sources=("-",))
        write_checkpoint(file, replace(made, progress=replace(made.progress, corpus=recorded)))
    shutil.move("text.txt", run.kept("-"))
    again = charrnn.load("toy").evaluate_part("test")
    assert again.nats_per_char == events["test"].evaluation.nats_per_char


def test_a_part_that_cannot_be_had_is_told(folder):
    finished(folder, test=0.0)
    assert "has no part 'test'; it has validation." in refused("eval", "toy", "--part", "test")
    assert "has no part 'train'" in refused("eval", "toy", "--part", "train")
    for more in (("text.txt",), ("--unknown", "skip"), ("--encoding", "latin-1"), ("--include", "*.txt")):
        assert "--part evaluates a part of the run's own text" in refused("eval", "toy", *more, "--part", "validation")
    assert "No text was named" in refused("eval", "toy") and "No text was named" in refused("eval")
    (folder / "text.txt").write_text(TEXT + "a")
    assert "text.txt has changed since the run began" in refused("eval", "toy", "--part", "validation")
    (folder / "text.txt").unlink()
    assert "as its text, but it does not exist" in refused("eval", "toy", "--part", "validation")


def test_a_part_is_evaluated_without_keras(folder):
    finished(folder)
    result, modules = loaded_by(folder, "eval", "toy", "--part", "validation")
    assert result.returncode == 0 and not HEAVY & modules


def test_weights_are_compared(folder):
    run, _ = finished(folder, "one")
    shutil.copytree(run.path, folder / "checkpoints/copy")
    other, _ = finished(folder, "other", seed=4)
    assert said("verify", "one", "copy", "--equal").endswith("the weights are equal\n")
    assert said("verify", run.best, "copy", "--equal", "--json").startswith('{"paths": ')
    assert "the weights differ: the largest difference is" in said("verify", "one", "other", "--equal", code=1)
    made = read_checkpoint(run.best)
    made.weights["output/b"][0] = np.nextafter(made.weights["output/b"][0], 9)
    write_checkpoint(folder / "near.safetensors", made)
    assert ", in output/b" in said("verify", "one", folder / "near.safetensors", "--equal", code=1)
    wide = ModelConfig("rnn", 1, 9)
    write_checkpoint(other.best, replace(made, model=wide, weights=random_weights(wide, VOCAB.size, "float32")))
    facts = json.loads(said("verify", "one", "other", "--equal", "--json", code=1))
    assert facts["equal"] is False and facts["why"] == "one is rnn 1x8, the other rnn 1x9"
    few = Vocabulary.of("\n abcdefgi")
    write_checkpoint(other.best, replace(made, vocab=few))
    assert "their characters differ" in said("verify", "one", "other", "--equal", code=1)
    assert "--equal compares exactly two" in refused("verify", "one", "--equal")


def test_training_prints_its_result_as_json(folder, monkeypatch):
    train_nothing(monkeypatch)
    facts = json.loads(said("train", "text.txt", "--name", "new", "--json"))
    assert (facts["name"], facts["steps"], facts["ended"]) == ("new", None, "budget")
    assert said("train", "text.txt") == ""
