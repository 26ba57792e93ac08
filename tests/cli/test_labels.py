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


def test_vectors_of_a_model_of_labels_can_be_had():
    assert len(run("embed", "model.safetensors", stdin="ab\nx\n").stdout.splitlines()) == 2


def test_many_labels_are_shown_as_the_most_frequent_mistakes():
    labels = tuple(f"l{number}" for number in range(20))
    counts = np.diag(np.full(20, 9))
    counts[3, 5], counts[7, 1] = 4, 6
    lines = confusion(tuple(map(tuple, counts.tolist())), labels).splitlines()
    assert [line.split() for line in lines] == [["count", "true", "given"], ["6", "l7", "l1"], ["4", "l3", "l5"]]
