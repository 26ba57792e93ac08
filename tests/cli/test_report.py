"""`charrnn report`: what the page has, of odd runs and without their text, and which files it replaces."""

import json
import math
import os
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.api import held_out, session
from charrnn.api.datasets import corpus_record
from charrnn.api.report import compared, ends_and_best, mistakes_in
from charrnn.cli.app import app
from charrnn.cli.views.heat import level
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.corpus import dataset
from charrnn.errors import CharRNNError
from charrnn.inference.model import Model
from charrnn.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import HEAVY, loaded_by
from support.models import random_weights

EVIL = "</script><b>&\x07\u202e☞é\n\t"
TEXT = "".join(np.random.default_rng(0).choice(list(EVIL), 6000))
VOID = {"meta", "br", "p", "dt", "dd", "tr", "td", "th", "line", "polyline", "circle"}
SETTINGS = {"batch": 2, "seq": 8, "val": 0.1, "test": 0.1, "steps": 30, "seed": 3}


def made(name="toy", form=None, model=None, text=TEXT, samples=True, **settings) -> Run:
    """Make a run as training leaves it, of random weights."""
    form, source = form or TextConfig(), f"{name}.txt"
    with open(source, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    run = Run(Path("checkpoints").resolve() / name)
    run.path.mkdir(parents=True)
    training = TrainConfig(**{**SETTINGS, **settings})
    given = read_text([source], form)
    vocab = Vocabulary.of("ab\n\t " if form.labels else sorted(set(given.symbols)))
    model = model or ModelConfig("rnn", 1, 8)
    data = dataset(given, vocab, training, None, classes=model.classes)
    history = []
    for step in (10, 20, 30):
        record = {"step": step, "train_nats": 3.0 - step / 20, "val_nats": 2.5 - step / 20, "learning_rate": 1 / step}
        history.append(record)
        run.log.append({**record, "sample": f"{EVIL}sample {step}"} if samples else record)
    progress = Progress(corpus_record(data), step=30, best_step=30, best_nats=1.0, metrics=run.log.position())
    weights = random_weights(model, vocab.size, "float32", seed=3)
    state = {"layer0/h": np.zeros((2, 8), np.float32)}
    checkpoint = Checkpoint(model, vocab, weights, training, progress, history, state=state, text=form)
    for file in (run.best, run.path / "step-00000030.safetensors"):
        write_checkpoint(file, checkpoint)
    for event in held_out.measured(run, data, history):
        list(session._recorded(run, event))
    return run


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    return tmp_path


def page_of(*arguments) -> str:
    """Return the page that a command writes as page.html."""
    result = CliRunner().invoke(app, ["report", *map(str, arguments), "--html", "page.html", "--force"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0 and result.stdout == ""
    with open("page.html", encoding="utf-8") as file:
        return file.read()


class Outline(HTMLParser):
    """The elements of a page, and whether each that needs an end has one."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.open, self.wrong, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text += "" if self.open and self.open[-1] == "style" else data


def test_the_page_has_everything_and_runs_nothing(here):
    made()
    page = page_of("toy")
    outline = Outline(page)
    assert not outline.wrong and outline.open == []
    kinds = {tag for tag, _ in outline.tags}
    assert not kinds & {"script", "img", "link", "iframe", "object", "form"} and "http" not in page.lower().replace(
        "http-equiv", ""
    )
    assert not any(name.startswith("on") for _, given in outline.tags for name in given)
    assert "\x07" not in page and "\u202e" not in page and "\\x07" in outline.text
    for section in ("Settings", "Losses", "Samples", "Held-out text", "Surprisal", "Mistakes"):
        assert f">{section}</h2>" in page
    ids = {given["id"] for _, given in outline.tags if "id" in given}
    assert {given["href"][1:] for tag, given in outline.tags if tag == "a"} <= ids
    assert [unescape(why) for why in re.findall(r"<h3>(Step[^<]*)<", page)] == [
        "Step 10 (first)", "Step 30 (best, last)", "Step 20",
    ]  # fmt: skip
    assert "</script><b>&\\x07\\u202e☞é\n\tsample 20" in outline.text


def test_what_the_page_says_is_what_the_model_does(here):
    made()
    report = charrnn.report("toy")
    bits = np.array(report.stretch.bits)
    held = TEXT[len(TEXT) * 8 // 10 : len(TEXT) * 9 // 10]
    assert report.stretch.part == "validation" and report.stretch.text in TEXT and len(report.stretch.text) == len(bits)
    assert len(bits) == report.read == len(held)
    exact = report.facts["validation"]["bits_per_char"]
    assert bits.mean() == pytest.approx(exact, rel=1e-3)
    assert report.compared["validation"]["this model"] == exact and report.losses.best == (30, 1.0 / math.log(2))
    page = page_of("toy")
    heat = page.split("<div id=heat>")[1]
    levels = [int(found) for found in re.findall(r'<b class="?h(\d)', heat)]
    assert levels == [level(cost) for cost in bits]
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize("test", [0.0, 0.1])
def test_the_command_of_a_run_with_another_validation_text_can_be_typed(test, here, monkeypatch):
    monkeypatch.setattr("charrnn.cli.views.report_page.with_cells", lambda: " --cells 'my cells.py'")
    run = made()
    best = read_checkpoint(run.best, training=True)
    record = replace(best.progress.corpus, val_sources=("held.txt",), val_sha256="0")
    # `train` records no share for validation then.
    training = replace(best.training, val=0.0, test=test, split="documents")
    write_checkpoint(run.best, replace(best, training=training, progress=replace(best.progress, corpus=record)))
    page = unescape(page_of("toy"))
    command = re.search(r"<pre>(charrnn train[^<]*)</pre>", page)[1]
    assert "--val-file held.txt" in command and "--val " not in command and command.endswith(" --cells 'my cells.py'")
    assert ("--split documents" in command) == bool(test)
    assert "--min-count and --drop-unused are not recorded" in page


def test_the_page_of_a_file_in_this_folder_has_its_name(here):
    run = made()
    (here / "model.safetensors").write_bytes(run.best.read_bytes())
    for name in ("model.safetensors", "./model.safetensors"):
        result = CliRunner().invoke(app, ["report", name, "--force"], catch_exceptions=False)
        assert "The report is model.html." in result.stderr and (here / "model.html").exists()
        (here / "model.html").unlink()


def test_mistakes_among_very_many_characters_are_counted():
    vocab = Vocabulary.of(map(chr, range(0x10000, 0x10000 + 70_000)))
    true, guessed = np.array([69_000], np.int32), np.array([68_000], np.int32)
    (found,) = mistakes_in(SimpleNamespace(vocab=vocab), true, guessed, np.array([1.0]))
    assert (found.true, found.predicted) == (vocab.decode([69_000]), vocab.decode([68_000]))


def test_mistakes_are_counted():
    vocab = Vocabulary.of("abc")
    config = ModelConfig("rnn", 1, 2)
    network = Model(config, vocab, random_weights(config, vocab.size, "float32"))
    a, b, c = vocab.encode("abc").tolist()
    true, guessed = np.array([a, a, a, b, b, c]), np.array([a, b, b, a, b, b])
    found = mistakes_in(network, true, guessed, np.array([0.5, 2.0, 3.0, 9.0, 0.5, 1.0]))
    assert [(one.true, one.predicted, one.count, one.bits) for one in found] == [
        ("b", "a", 1, 9.0), ("a", "b", 2, 5.0), ("c", "b", 1, 1.0),
    ]  # fmt: skip
    assert [one.share for one in found] == [0.5, 2 / 3, 1.0]


def test_whatever_the_record_compares_is_compared():
    record = {"bits_per_char": 2.0, "frequency_nats": math.log(2) * 4, "compressors": {"xz": 3.0, "odd": "x"}}
    record |= {"ngrams": {"order": 5, "bits_per_char": 2.5, "ngrams": 99}, "characters": 9}
    record["repeated"] = {"pieces": 3, "count": 9, "kind": "lines"}
    assert compared(record) == {
        "this model": 2.0, "5-grams": 2.5, "xz": 3.0, "frequencies of the characters": 4.0,
    }  # fmt: skip
    assert compared({}) == {} and compared({"frequency_nats": 0.0}, "label") == {"frequencies of the labels": 0.0}


def test_the_samples_that_say_most():
    samples = [(1, "a"), (2, "b"), (3, "c")]
    assert ends_and_best(samples, 2) == {0: ["first"], 1: ["best"], 2: ["last"]}
    assert ends_and_best(samples, 99) == {0: ["first"], 2: ["last"]}
    assert ends_and_best(samples[:1], 1) == {0: ["first", "best", "last"]} and ends_and_best([], 1) == {}


def test_settings_that_differ_are_marked_and_repeated(here):
    made("two words", dropout=0.1, clip_norm=None)
    page = page_of("two words")
    marked = re.findall(r"<div class=changed><dt>([^<]*)<dd>([^<]*)", page)
    assert ("dropout", "0.1") in marked and ("cell", "rnn") in marked and "optimizer" not in dict(marked)
    command = unescape(re.search(r"<pre>(charrnn train[^<]*)</pre>", page)[1])
    assert (
        f"'{here}/two words.txt'" in command
        and "--dropout 0.1" in command
        and "--steps 30" in command
        and "--clip-norm 0" in command
    )


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_without_the_text_the_page_says_why(here, what):
    made()
    with open("toy.txt", "a") as file:
        file.write("more")
    if what == "gone":
        os.remove("toy.txt")
    page = page_of("toy")
    assert ("does not exist" if what == "gone" else "has changed since the run began") in page
    told = CliRunner().invoke(app, ["report", "toy", "--html", "page.html", "--force"]).stderr
    assert "How the model reads held-out text is not shown." in told
    assert "Surprisal</h2>" not in page and "Mistakes</h2>" not in page and "Samples</h2>" in page
    assert charrnn.report("toy").stretch is None


def test_runs_of_other_kinds_have_pages(here):
    made("bytes", TextConfig(bytes=True))
    assert "☞" in page_of("bytes") and "\u202e" not in page_of("bytes")
    made("noval", val=0.0, test=0.0)
    page = page_of("noval")
    assert "No text was held out." in page and "Losses</h2>" in page and "Held-out text</h2>" not in page
    made("old", samples=False)
    page = page_of("old")
    assert "The log has no samples" in page and "Samples</h2>" not in page
    made("lines", TextConfig(one_per_line=True, loss_after="b", reverse=False))
    assert any(math.isnan(bits) for bits in charrnn.report("lines").stretch.bits)
    page_of("lines")


def test_labels_have_a_table_of_confusion(here):
    text = "".join(f"{label}\t{'ab ' * (1 + n % 3)}\n" for n in range(200) for label in ("<x>", "y"))
    run = made("labels", TextConfig(labels=True), ModelConfig("rnn", 1, 8, classes=("<x>", "y")), text, samples=False)
    report = charrnn.report(run.path)
    assert np.array(report.confusion).shape == (2, 2) and np.sum(report.confusion) > 10 and not report.missing
    page = page_of("labels")
    assert "<td>&lt;x&gt;<td" in page and "<x>" not in page


def test_a_log_that_is_not_ours_or_diverged_is_shown_as_far_as_it_goes(here):
    run = made()
    lines = [
        {"step": 10, "train_nats": float("nan"), "val_nats": 1e400, "rollback": "<the loss> became nan"},
        {"step": 11},
    ]
    run.log.path.write_text("".join(json.dumps(line) + "\n" for line in lines * 9) + "not JSON")
    page = page_of("toy")
    assert "&lt;the loss&gt; became nan" in page and "nan," not in page
    run.log.path.unlink()
    assert "Loss" in page_of("toy")


def test_a_checkpoint_alone_has_a_page(here):
    run = made()
    checkpoint = Checkpoint(ModelConfig("rnn", 1, 8), Vocabulary.of("ab"), {})
    weights = random_weights(checkpoint.model, checkpoint.vocab.size, "float32")
    write_checkpoint(here / "alone.safetensors", replace(checkpoint, weights=weights))
    page = page_of("alone.safetensors")
    assert "Checkpoint alone" in page and "does not say" in page
    assert "Checkpoint step-00000030" in page_of(run.path / "step-00000030.safetensors")


def test_files_are_replaced_only_with_force_and_only_pages(here):
    made()
    runner = CliRunner()
    first = runner.invoke(app, ["report"])
    assert first.exit_code == 0 and "The report is toy.html." in first.stderr
    assert "The model is toy (best.safetensors" in first.stderr
    before = (here / "toy.html").read_bytes()
    refused = runner.invoke(app, ["report", "toy"])
    assert isinstance(refused.exception, CharRNNError) and "--force" in refused.exception.hint
    assert (here / "toy.html").read_bytes() == before
    (here / "letter.html").write_text("Dear …")
    mine = runner.invoke(app, ["report", "toy", "--html", "letter.html", "--force"])
    assert "not a report of charrnn" in str(mine.exception) and (here / "letter.html").read_text() == "Dear …"
    nowhere = runner.invoke(app, ["report", "toy", "--html", "no/such/page.html"])
    assert "cannot be written" in str(nowhere.exception)
    unknown = runner.invoke(app, ["report", "nothing"])
    assert isinstance(unknown.exception, CharRNNError) and not (here / "nothing.html").exists()


def test_it_loads_no_backend(here):
    made()
    _, modules = loaded_by(here, "report", "toy", "--html", "page.html")
    assert not HEAVY & modules
