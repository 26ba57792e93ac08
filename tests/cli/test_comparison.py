"""`charrnn inspect` of several runs: the table, the chart, the picture, and what is said of them."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.views.chart import draw_together
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\n ab")
CORPUS = CorpusRecord(("/texts/a.txt", "/texts/b.txt"), "ab" * 32, 12345, ())
TRAINING = TrainConfig(batch=4, seq=9, steps=30, dropout=0.1)


def history(*bits: float | None) -> list[dict[str, Any]]:
    """Return records of validation losses, 10 steps apart."""
    return [
        {"step": 10 * (n + 1), "train_nats": 3.0, "val_nats": value and value * math.log(2), "learning_rate": 0.005}
        for n, value in enumerate(bits)
    ]


def write(folder: Path, *bits: float | None, model: ModelConfig = ModelConfig("lstm", 1, 5), **more: Any) -> Path:  # noqa: B008
    folder.mkdir()
    records = history(*bits)
    found = [record for record in records if record["val_nats"]]
    best = min(found, key=lambda record: record["val_nats"], default={"val_nats": None, "step": None})
    progress = Progress(
        CORPUS, 2, "jax", step=30, total=30, best_nats=best["val_nats"], best_step=best["step"], seconds=60.0
    )
    weights = dict(random_weights(model, VOCAB.size, "float32"))
    made = replace(Checkpoint(model, VOCAB, weights, TRAINING, progress, records), **more)
    write_checkpoint(folder / "best.safetensors", made)
    return folder


@pytest.fixture
def two(checkpoints: Path) -> list[Path]:
    """Return the folders of two runs that differ in cell, dropout and learning rate."""
    other = replace(TRAINING, dropout=0.2, lr=0.01)
    return [
        write(checkpoints / "first", 4.0, 3.0, 2.0),
        write(checkpoints / "second", 3.5, 3.0, 2.5, model=ModelConfig("gru", 1, 5), training=other),
    ]


def inspected(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: str | Path) -> CharRNNError:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exit_code == 1 and isinstance(result.exception, CharRNNError) and result.stdout == ""
    return result.exception


def rows(text: str) -> dict[str, list[str]]:
    """Return the rows of the first table."""
    return {label: values for label, *values in (re.split(r"  +", line) for line in text.split("\n\n")[0].splitlines())}


def test_facts_are_side_by_side_and_settings_only_where_they_differ(two):
    result = inspected("first", "second")
    found = rows(result.stdout)
    assert found == {
        "run": ["A first", "B second"],
        "model": ["lstm 1x5", "gru 1x5"],
        "parameters": ["244", "189"],
        "text": ["a.txt + 1", "a.txt + 1"],
        "steps": ["30", "30"],
        "time": ["1 min 0 s", "1 min 0 s"],
        # 30 steps of 4 x 9 characters in a minute.
        "characters/s": ["18", "18"],
        "best step": ["30", "30"],
        "best bits/char": ["2.0000", "2.5000"],
        "--dropout": ["0.1", "0.2"],
        "--lr": ["0.005", "0.01"],
    }
    assert result.stderr == ""


def test_the_exact_evaluation_is_shown(two):
    exact = {"step": 30, "part": "validation", "characters": 99, "nats_per_char": 2 * math.log(2)}
    (two[0] / "metrics.jsonl").write_text(json.dumps(exact) + "\n")
    found = rows(inspected("first", "second").stdout)
    assert found["exact bits/char"] == ["2.0000", "-"] and found["exact nats"] == ["1.3863", "-"]
    assert "exact bits/byte" not in found


def test_a_setting_without_effect_is_not_shown(two, checkpoints):
    write(checkpoints / "third", 2.0, training=replace(TRAINING, schedule="constant"))
    found = rows(inspected("first", "third").stdout)
    assert found["--schedule"] == ["cosine", "constant"] and found["--warmup"] == ["100", "-"]


def test_json_is_a_list_as_python_has_it(two, checkpoints):
    facts = json.loads(inspected("first", two[1] / "best.safetensors", "--json").stdout)
    assert facts == charrnn.inspect("first", two[1] / "best.safetensors")
    assert [one["run"] for one in facts] == ["first", None]
    (run,) = [run for run in charrnn.list_runs(checkpoints) if run.name == "second"]
    assert charrnn.inspect(run)[0]["run"] == "second"
    # One run is an object, as it has always been.
    assert json.loads(inspected("first", "--json").stdout) == facts[0]
    with pytest.raises(CharRNNError, match="`run` is 3"):
        charrnn.inspect(3)


def test_the_chart_marks_the_runs_with_letters(two):
    chart = inspected("first", "second").stdout.split("\n\n")[-1].splitlines()
    assert chart[0] == "bits per character, validation   A first   B second   * several"
    drawn = "\n".join(chart[1:])
    # 4.0, 3.0 (both), 2.0 and 3.5, 2.5 at the steps 10, 20, 30.
    assert [drawn.count(mark) for mark in "AB*"] == [2, 2, 1]
    tops = [next(row for row, line in enumerate(chart[1:]) if mark in line) for mark in "AB*"]
    assert tops[0] < tops[1] < tops[2]
    columns = {mark: [line.index(mark) for line in chart[1:] if mark in line] for mark in "AB*"}
    assert columns["A"] == columns["B"] and columns["A"][0] < columns["*"][0] < columns["A"][1] == 79


def test_colour_only_adds_to_the_chart():
    curves = [(f"run {n}", [(step, step * 0.1 + n) for step in range(1, 40, 7)]) for n in range(8)]
    plain, coloured = (draw_together(curves, 80, colour, "bits") for colour in (False, True))
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == plain
    assert len(set(re.findall("\x1b\\[[0-9;]*m", "".join(coloured)))) >= 6
    assert draw_together([("a", []), ("b", [])], 80, False, "bits") == []


def test_a_run_without_validation_shows_its_training_loss(two, checkpoints):
    write(checkpoints / "blind", None, None)
    text = inspected("first", "blind").stdout
    assert "bits per character, validation or training   A first   B blind" in text
    assert rows(text)["best bits/char"] == ["2.0000", "-"]


def test_what_cannot_be_compared_is_told(two, checkpoints):
    raw = write(checkpoints / "raw", 2.0, text=TextConfig(bytes=True))
    exact = {"step": 30, "part": "validation", "characters": 9, "nats_per_char": 1.0, "bits_per_byte": 1.25}
    (raw / "metrics.jsonl").write_text(json.dumps(exact) + "\n")
    result = inspected("first", "second", "raw")
    said = "first, second predict characters and raw predicts bytes: compare their bits per byte, not their other"
    assert said in result.stderr
    found = rows(result.stdout)
    assert found["unit"] == ["character", "character", "byte"] and found["exact bits/byte"] == ["-", "-", "1.2500"]
    assert "bits per character or byte, validation" in result.stdout and "best bits/unit" in found

    progress = Progress(replace(CORPUS, sha256="cd" * 32), 2, "jax", step=30)
    write(checkpoints / "elsewhere", 2.0, progress=progress)
    assert "trained on different texts" in inspected("first", "elsewhere").stderr
    write(checkpoints / "less", 2.0, training=replace(TRAINING, val=0.2))
    assert "have different validation parts" in inspected("first", "less").stderr


@pytest.mark.parametrize("count", [3, 26])
def test_no_line_is_too_wide_and_nothing_reaches_the_terminal(checkpoints, count):
    names = [f"{'名前 ' * 9}\x1b[31m{n}" for n in range(count)]
    for n, name in enumerate(names):
        write(checkpoints / name, 2.0 + n, 1.0, training=replace(TRAINING, batch=n + 1))
    text = inspected(*names, checkpoints / names[0] / "best.safetensors").stdout if count < 26 else inspected(
        *names
    ).stdout  # fmt: skip
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text and "名前" in text
    assert len(re.findall(r"^model ", text, re.M)) > 1
    assert count == 26 or "best.safetensors" in text


def test_what_cannot_be_shown_is_refused(two):
    assert "There is no run 'third'" in refused("first", "third").message
    assert refused(*["first"] * 27).message == "27 runs were named; at most 26 can be compared at once."


def test_models_without_a_training_are_shown(checkpoints, tmp_path):
    for name in "ab":
        write(checkpoints / name, training=None, progress=None)
    result = inspected("a", "b")
    assert rows(result.stdout) == {"run": ["A a", "B b"], "model": ["lstm 1x5"] * 2, "parameters": ["244"] * 2}
    assert "no training history" in refused("a", "b", "--plot", tmp_path / "a.svg").message


def test_one_picture_has_all_runs(two, tmp_path):
    path = tmp_path / "both.svg"
    result = inspected("first", "second", "--plot", path)
    svg = path.read_text()
    for said in ("validation loss", "bits per character", "first: 2.0000 at step 30", "second: 2.5000 at step 30"):
        assert f">{said}</text>" in svg, said
    assert f"Wrote {path}." in result.stderr and result.stdout == inspected("first", "second").stdout
    inspected("first", "second", "--plot", path)
    assert path.read_text() == svg


def test_a_picture_draws_any_name(two, checkpoints, tmp_path):
    two[0].rename(checkpoints / "a $b$ & c")
    inspected("a $b$ & c", "second", "--plot", tmp_path / "both.svg")
    assert ">a $b$ &amp; c: 2.0000 at step 30</text>" in (tmp_path / "both.svg").read_text()
