"""Models of labels on the command line: how good they are, what they are, and what they cannot do."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.views.confusion import confusion
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from support.labelled import LABELS, label_of, model_of, write_labelled
from support.untrained import train_nothing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    model = model_of(write_labelled(folder / "texts.tsv"), dtype="float32")
    write_checkpoint(
        folder / "model.safetensors", Checkpoint(model.config, model.vocab, model.weights, text=model.text)
    )
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run(*arguments, stdin: str = ""):
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin, catch_exceptions=False)


def test_eval_counts_the_right_labels_and_shows_the_mistakes(folder):
    texts = [line.split("\t")[1] for line in (folder / "texts.tsv").read_text().splitlines()]
    given = [one.label for one in load("model.safetensors").label(texts)]
    right = sum(label_of(text) == label for text, label in zip(texts, given, strict=True))
    shown = run("eval", "model.safetensors", "texts.tsv").stdout
    assert (
        f"right                     {right:,}\n" in shown and f"accuracy                  {right / 300:.4f}\n" in shown
    )
    counted = [
        [
            sum(label_of(text) == true and label == one for text, label in zip(texts, given, strict=True))
            for one in LABELS
        ]
        for true in LABELS
    ]
    rows = [line.split() for line in shown.splitlines()[-3:]]
    assert rows == [[label, *map(str, row)] for label, row in zip(LABELS, counted, strict=True)]
    facts = json.loads(run("eval", "model.safetensors", "texts.tsv", "--json").stdout)
    assert (facts["unit"], facts["characters"], facts["right"]) == ("label", 300, right)


def test_records_and_a_missing_column_are_told(folder):
    rows = [line.split("\t") for line in (folder / "texts.tsv").read_text().splitlines()]
    (folder / "texts.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for label, text in rows))
    fields = ("--field", "text", "--label-field", "label")
    told = run("eval", "model.safetensors", "texts.csv", *fields).stdout
    assert told == run("eval", "model.safetensors", "texts.tsv").stdout
    with pytest.raises(CharRNNError, match="has no column 'labels'"):
        run("eval", "model.safetensors", "texts.csv", "--field", "text", "--label-field", "labels")
    with pytest.raises(CharRNNError, match="are not named"):
        run("eval", "model.safetensors", "texts.csv")
    (folder / "other.tsv").write_text("unheard of\tabc\n")
    with pytest.raises(CharRNNError, match="does not know the label 'unheard of'"):
        run("eval", "model.safetensors", "other.tsv")


def test_inspect_names_the_labels():
    assert "labels        low, mid, top" in run("inspect", "model.safetensors").stdout
    assert json.loads(run("inspect", "model.safetensors", "--json").stdout)["model"]["classes"] == list(LABELS)


@pytest.mark.parametrize(
    "arguments", [["sample"], ["score", "texts.tsv"], ["score", "--whole", "texts.tsv"], ["next", "a"], ["complete"]]
)
def test_what_needs_characters_is_refused(arguments):
    with pytest.raises(CharRNNError, match=r"predicts labels \(low, mid, top\), not characters"):
        run(arguments[0], "model.safetensors", *arguments[1:], stdin="a\n")


def test_units_of_a_model_of_labels_are_those_of_each_line(folder):
    (folder / "lines.txt").write_text("ab\nxyc\n\nb\n")
    model = load("model.safetensors")
    part = model.part_of(["lines.txt"])
    assert model.vocab.decode(part.ids()) == "abxycb" and part.starts.tolist() == [0, 2, 5]
    found = model.activations(part, ["layer1/h/2"])[:, 0]
    alone = np.concatenate([model.activations(text, ["layer1/h/2"])[:, 0] for text in ("ab", "xyc", "b")])
    assert np.abs(found - alone).max() < 1e-6
    with pytest.raises(CharRNNError, match="`units` is empty"):
        model.activations("ab", [])


def test_odd_labels_are_told_before_training(folder, monkeypatch):
    train_nothing(monkeypatch)
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(folder / "runs"))
    (folder / "headed.tsv").write_text("label\ttext\n" + (folder / "texts.tsv").read_text())
    assert "Only one text has the label 'label'. If the first line" in run("train", "headed.tsv", "--labels").stderr
    (folder / "val.tsv").write_text("new\tabc\nnew\tb\n")
    told = run("train", "texts.tsv", "--labels", "--val-file", "val.tsv").stderr
    assert "The validation text has the label 'new', which no training text has" in told


def test_records_with_labels_may_come_from_stdin(folder):
    lines = [line.split("\t") for line in (folder / "texts.tsv").read_text().splitlines()][:9]
    given = "".join(json.dumps({"l": label, "t": text}) + "\n" for label, text in lines)
    shown = run("map", "model.safetensors", "--label-field", "l", "--field", "t", stdin=given).stdout.splitlines()
    assert [line.split("\t")[-1] for line in shown] == [label for label, _ in lines]


def test_vectors_of_a_model_of_labels_can_be_had():
    assert len(run("embed", "model.safetensors", stdin="ab\nx\n").stdout.splitlines()) == 2


def test_many_labels_are_shown_as_the_most_frequent_mistakes():
    labels = tuple(f"l{number}" for number in range(20))
    counts = np.diag(np.full(20, 9))
    counts[3, 5], counts[7, 1] = 4, 6
    lines = confusion(tuple(map(tuple, counts.tolist())), labels).splitlines()
    assert [line.split() for line in lines] == [["count", "true", "given"], ["6", "l7", "l1"], ["4", "l3", "l5"]]
