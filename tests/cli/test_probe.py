"""`charrnn probe`: what is printed, and what is refused."""

import json
import re

import pytest
from typer.testing import CliRunner

from charrnn.api.fitting import probe as fitted
from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.views.probe import shown
from charrnn.errors import CharRNNError
from support.commands import charrnn_in, refused
from support.occurrence import UNIT, texts_with_and_without, write_occurrence

TEXTS, LABELS = texts_with_and_without(120)
TEST = texts_with_and_without(40, seed=2)
# Options of a probe that finds the planted unit.
LAST = ("--pool", "last")


def lines(texts, labels) -> str:
    return "".join(f"{label}\t{text}\n" for text, label in zip(texts, labels, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    write_occurrence(folder / "model.safetensors")
    write_occurrence(folder / "other.safetensors", seed=4, of="a")
    (folder / "train.tsv").write_text(lines(TEXTS, LABELS))
    (folder / "test.tsv").write_text(lines(*TEST))
    rows = "".join(f"{text},{label},1\n" for text, label in zip(TEXTS, LABELS, strict=True))
    (folder / "train.csv").write_text("what,mood,stars\n" + rows)
    records = (json.dumps({"what": text, "mood": label}) for text, label in zip(TEXTS, LABELS, strict=True))
    (folder / "train.jsonl").write_text("\n".join(records))
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def probe(*arguments, stdin: str = ""):
    return CliRunner().invoke(app, ["probe", *map(str, arguments)], input=stdin, catch_exceptions=False)


def test_the_report_is_that_of_the_library():
    result = probe("model.safetensors", "--train", "train.tsv", "--test", "test.tsv", *LAST)
    _, report = fitted(load("model.safetensors"), TEXTS, LABELS, test=TEST, pool="last")
    assert result.stdout == shown(report)
    assert "160 texts were read." in result.stderr
    as_json = probe("model.safetensors", "--train", "train.tsv", "--test", "test.tsv", *LAST, "--json")
    assert json.loads(as_json.stdout) == json.loads(json.dumps(report.to_json()))


def test_the_report_names_the_planted_unit_and_what_is_beside_it():
    shown = probe("model.safetensors", "--train", "train.tsv", "--test", "test.tsv", *LAST).stdout
    assert shown.startswith(
        "120 texts to train on, 40 held out, 2 labels.\nEach text is a vector of 8 numbers (penalty l2, C = "
    )
    # By hand: Wilson's interval of 40 of 40 is from 1 / (1 + 1.96^2 / 40) to 1.
    assert re.search(r"^probe +100\.00% +91\.2% to 100\.0% +1\.0000 +1\.000 to 1\.000$", shown, re.M)
    assert re.search(rf"^one unit alone: layer0/h/{UNIT} +100\.00% +91\.2% to 100\.0% +- +-$", shown, re.M)
    count = {label: TEST[1].count(label) for label in ("with", "without")}
    most = max(LABELS, key=LABELS.count)
    assert re.search(rf"^no model: always {most} +{count[most] / 40:.2%} ", shown, re.M)
    assert re.search(r"^no model: n-grams of characters +\d", shown, re.M)
    assert re.search(
        rf"^true, given: +with +without\nwith +{count['with']} +0\nwithout +0 +{count['without']}$", shown, re.M
    )
    assert re.search(rf"^STRONGEST UNITS +WEIGHT +LABEL\nlayer0/h/{UNIT} +\+\d\.\d+ +with$", shown, re.M)


@pytest.mark.parametrize("file", ["train.csv", "train.jsonl"])
def test_records_say_the_same_as_lines(file):
    fields = ("--label-field", "mood", "--field", "what")
    assert (
        probe("model.safetensors", "--train", file, *fields, *LAST).stdout
        == probe("model.safetensors", "--train", "train.tsv", *LAST).stdout
    )


def test_lines_may_come_from_stdin_and_are_held_out_by_the_seed():
    first = probe("model.safetensors", "--train", "-", *LAST, stdin=lines(TEXTS, LABELS)).stdout
    assert first == probe("model.safetensors", "--train", "train.tsv", *LAST).stdout
    assert "96 texts to train on, 24 held out" in first
    assert first != probe("model.safetensors", "--train", "train.tsv", *LAST, "--seed", 3).stdout


def test_models_and_halves_are_named_and_l1_leaves_units_out():
    result = probe(
        "model.safetensors", "other.safetensors", "--train", "train.tsv", "--pool", "first-last", "--penalty", "l1"
    ).stdout
    assert re.search(r"a vector of 32 numbers, of which \d+ have a weight \(penalty l1", result)
    assert re.search(rf"^model\.safetensors last layer0/h/{UNIT} ", result, re.M)


def test_many_labels_are_shown_as_the_most_frequent_mistakes():
    many = [f"label {len(text)}" for text in TEXTS]
    known = [(text, label) for text, label in zip(TEXTS, many, strict=True) if many.count(label) > 2]
    shown = probe("model.safetensors", "--train", "-", stdin=lines(*zip(*known, strict=True))).stdout
    assert "count  true" in shown and len(shown.splitlines()) < 36


def test_labels_with_strange_characters_are_escaped():
    odd = {"with": "w\x1b[2Jith", "without": "o" * 40}
    shown = probe("model.safetensors", "--train", "-", stdin=lines(TEXTS, [odd[label] for label in LABELS])).stdout
    assert "w\\x1b[2Jith" in shown and "\x1b" not in shown and "o" * 15 + "…" in shown


def test_a_probe_is_written_before_nothing_else_is_lost(folder):
    result = probe("model.safetensors", "--train", "train.tsv", *LAST, "-o", "new probe")
    assert "charrnn label 'new probe' TEXT" in result.stderr
    data = (folder / "new probe").read_bytes()
    probe("model.safetensors", "--train", "train.tsv", *LAST, "-o", "new probe")
    assert (folder / "new probe").read_bytes() == data
    # The file is checked before anything is read.
    with pytest.raises(CharRNNError, match="not a probe of charrnn"):
        probe("nowhere", "--train", "nothing", "-o", "train.tsv")


@pytest.mark.parametrize(
    "arguments, message, hint",
    [
        (["model.safetensors"], "needs labelled texts", "--train FILE"),
        (["model.safetensors", "train.tsv"], "needs labelled texts", "--train train.tsv"),
        (["model.safetensors", "--train", "-", "--test", "-"], "cannot both be read from stdin", "Name a file"),
        (["model.safetensors", "--train", "-"], "has no labelled text", ""),
        (["model.safetensors", "--train", "nothing"], "nothing does not exist", ""),
        (["model.safetensors", "--train", "train.csv"], "are not named", "`label_field` and `field`"),
        (["model.safetensors", "--train", "train.csv", "--label-field", "mood"], "nothing names its text", "`field="),
        (
            ["model.safetensors", "--train", "train.csv", "--label-field", "moods", "--field", "what"],
            "no column 'moods'",
            "Did you mean mood",
        ),
        (
            ["model.safetensors", "--train", "train.csv", "--label-field", "stars", "--field", "what"],
            "have the same label, '1'",
            "which field",
        ),
        (["model.safetensors", "--train", "train.tsv", "--penalty", "l3"], "`penalty` is 'l3'", ""),
        (["model.safetensors", "--train", "train.tsv", "--layer", "top"], "--layer is 'top'", ""),
    ],
)
def test_mistakes_are_told(arguments, message, hint):
    with pytest.raises(CharRNNError, match=message) as told:
        probe(*arguments)
    assert hint in (told.value.hint or "")


def test_the_command_says_it_in_options(folder):
    said = refused(charrnn_in(folder, "probe", "model.safetensors", "--train", "train.csv"))
    assert "Name them: --label-field and --field." in said
