"""`charrnn label`: the labels of lines, by a probe or by a model of labels."""

import json

import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.api.probing import Probe
from charrnn.cli.app import app
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from support.commands import charrnn_in
from support.labelled import LABELS, model_of, write_labelled
from support.occurrence import UNIT, write_occurrence
from support.probes import write_mean_probe

LINES = ["abx", "", "abc", "tab\there", "x" * 3000]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label")
    write_occurrence(folder / "model.safetensors")
    write_mean_probe(folder / "probe.safetensors", folder / "model.safetensors", ("no", "yes"), UNIT)
    write_mean_probe(folder / "odd", folder / "model.safetensors", ("tab\tand\nline", "\x1b[2J", "漢"), UNIT)
    model = model_of(write_labelled(folder / "texts.tsv"), dtype="float32")
    write_checkpoint(
        folder / "labels.safetensors", Checkpoint(model.config, model.vocab, model.weights, text=model.text)
    )
    (folder / "lines.txt").write_text("\n".join(LINES) + "\n")
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def label(*arguments, stdin: str = ""):
    return CliRunner().invoke(app, ["label", *map(str, arguments)], input=stdin, catch_exceptions=False)


def test_each_line_has_its_label_and_probability():
    rows = [row.split("\t", 2) for row in label("probe.safetensors", "lines.txt").stdout.splitlines()]
    assert [row[2] for row in rows] == LINES
    expected = Probe.load("probe.safetensors").label(LINES)
    assert [row[:2] for row in rows] == [[one.label, f"{one.probability:.4f}"] for one in expected]
    # The unit is 1 for the last third of "abx": p = 1 / (1 + exp(-4 / 3)); of a text without an x both are equal.
    assert rows[0][:2] == ["yes", "0.7914"] and rows[2][1] == "0.5000" and rows[4][:2] == ["yes", "0.9820"]
    assert label("probe.safetensors", stdin="\n".join(LINES)).stdout == label("probe.safetensors", "lines.txt").stdout


def test_json_has_the_probabilities_of_all_labels():
    records = list(map(json.loads, label("probe.safetensors", "lines.txt", "--jsonl").stdout.splitlines()))
    assert [record["line"] for record in records] == [1, 2, 3, 4, 5] and [one["text"] for one in records] == LINES
    for record in records:
        assert record["probabilities"].keys() == {"no", "yes"} and sum(
            record["probabilities"].values()
        ) == pytest.approx(1)
        assert record["probability"] == max(record["probabilities"].values())
        assert record["probabilities"][record["label"]] == record["probability"]


def test_a_model_of_labels_labels_lines_too():
    model = load("labels.safetensors")
    rows = [row.split("\t", 2) for row in label("labels.safetensors", "lines.txt").stdout.splitlines()]
    assert [row[0] for row in rows] == [one.label for one in model.label(LINES)]
    assert {row[0] for row in rows} <= set(LABELS)
    assert [row[2] for row in rows] == LINES
    with pytest.raises(CharRNNError, match="predicts characters, not labels"):
        label("model.safetensors", "lines.txt")
    with pytest.raises(CharRNNError, match=r"labels\.safetensors is not a probe"):
        label("labels.safetensors", "lines.txt", "--run", "model.safetensors")


def test_records_have_their_texts_under_a_name(folder):
    (folder / "lines.jsonl").write_text('{"a": "x", "b": "c"}\n{"a": "two\\nlines", "b": "x"}\n')
    rows = label("probe.safetensors", "lines.jsonl", "--field", "a").stdout.splitlines()
    assert rows == ["yes\t0.9820\tx", "no\t0.5000\ttwo\\nlines"]


def test_labels_with_strange_characters_keep_the_fields_apart():
    rows = label("odd", "lines.txt").stdout.splitlines()
    assert len(rows) == 5 and {row.split("\t")[0] for row in rows} <= {"tab\\tand\\nline", "\x1b[2J", "漢"}
    record = json.loads(label("odd", "lines.txt", "--jsonl").stdout.splitlines()[0])
    assert set(record["probabilities"]) == {"tab\tand\nline", "\x1b[2J", "漢"}


def test_nothing_is_labelled_as_nothing():
    assert label("probe.safetensors", stdin="").stdout == ""
    assert label("probe.safetensors", stdin="\n").stdout.startswith("no\t0.5000\t\n")


def test_lines_are_labelled_as_they_come(folder):
    result = charrnn_in(folder, "label", "probe.safetensors", "--unbuffered", stdin=b"x\r\nab\xffx")
    assert result.stdout.decode().splitlines() == ["yes\t0.9820\tx", "yes\t0.7914\tab\ufffdx"] or result.stderr
    assert result.returncode == 0 and "U+FFFD" in result.stderr


def test_the_model_can_be_named_and_is_checked(folder, tmp_path):
    assert label("probe.safetensors", "lines.txt", "--run", "./model.safetensors").exit_code == 0
    with pytest.raises(CharRNNError, match=r"labels\.safetensors is not the model with which probe") as told:
        label("probe.safetensors", "lines.txt", "--run", "labels.safetensors")
    assert "`run`" in told.value.hint
    with pytest.raises(CharRNNError, match="1 model, but 2 were named"):
        label("probe.safetensors", "lines.txt", "--run", "a", "--run", "b")
    data = bytearray((folder / "probe.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(CharRNNError, match="damaged: it does not match its SHA-256"):
        label(tmp_path / "damaged", "lines.txt")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing"], "no run 'nothing'"),
        (["lines.txt"], "is a file, not a run"),
        (["probe.safetensors", "nothing"], "nothing does not exist"),
        (["probe.safetensors", "."], "is a folder"),
        (["probe.safetensors", "texts.tsv", "--field", "a"], "no column 'a'"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(CharRNNError, match=message):
        label(*arguments)
