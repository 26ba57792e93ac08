"""`charrnn inspect`: what it says of checkpoints and runs, held against what was written."""

import json
import math
import os
import re
import shlex
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from charrnn.api import inspection
from charrnn.api.history import history_of, losses
from charrnn.cells import CELLS
from charrnn.cli.app import app
from charrnn.cli.views.chart import draw
from charrnn.config import STACKS, ModelConfig, TextConfig, TrainConfig, to_json
from charrnn.errors import CharRNNError
from charrnn.network.parameters import parameter_count, parameter_shapes
from charrnn.network.stacks import layers_of
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text.vocabulary import Vocabulary
from support.commands import charrnn_in
from support.models import random_weights

VOCAB = Vocabulary.of("\n ab\\é\x1b")
MODEL = ModelConfig("lstm", 2, 5)
CORPUS = CorpusRecord(("/texts/a.txt", "/texts/b.txt"), "ab" * 32, 12345, ())
HEAVY = {"keras", "tensorflow", "jax"}


def record(step: int, train: float | None, val: float | None, **more: Any) -> dict[str, Any]:
    rate, seconds = 0.005 / step, 0.5 * step
    return {
        "step": step, "epoch": step / 40, "train_nats": train, "val_nats": val, "learning_rate": rate,
        "seconds": seconds, **more,
    }  # fmt: skip


HISTORY = [record(10, 3.0, 2.5), record(20, 2.0, 1.75), record(30, 1.5, 1.9)]


def checkpoint(history: list[dict[str, Any]] = HISTORY, model: ModelConfig = MODEL, **more: Any) -> Checkpoint:
    """Return what a run had after the last step of a history."""
    evaluated = [line for line in history if line["val_nats"] is not None]
    best = min(evaluated, key=lambda line: line["val_nats"], default={"val_nats": None, "step": None})
    progress = Progress(
        CORPUS, 2, "jax", step=history[-1]["step"], total=40, best_nats=best["val_nats"], best_step=best["step"],
        seconds=75.0,
    )  # fmt: skip
    weights = dict(random_weights(model, VOCAB.size, "float32"))
    training = TrainConfig(batch=4, seq=9, minutes=2.5, dropout=0.1)
    return replace(Checkpoint(model, VOCAB, weights, training, progress, list(history)), **more)


@pytest.fixture
def run(checkpoints: Path) -> Path:
    """Return the folder of a run of three steps of which the second was the best, with a log."""
    folder = checkpoints / "play"
    folder.mkdir()
    for count in (1, 2, 3):
        write_checkpoint(folder / f"step-{10 * count:08d}.safetensors", checkpoint(HISTORY[:count]))
    write_checkpoint(folder / "best.safetensors", checkpoint(HISTORY[:2]))
    return folder


def inspected(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    if code == 0:
        assert result.exit_code == 0, result.output
    return result


def facts_of(*arguments: str | Path) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(inspected(*arguments, "--json").stdout, parse_constant=refuse)


def refused(*arguments: str | Path) -> CharRNNError:
    result = inspected(*arguments, code=1)
    assert isinstance(result.exception, CharRNNError) and result.stdout == ""
    return result.exception


def rows(text: str) -> dict[str, str]:
    """Return the labelled rows of the first section, the lines of each joined."""
    found: dict[str, str] = {}
    label = ""
    for line in text.split("\n\n")[0].splitlines():
        label = line[:14].strip() or label
        found[label] = (found.get(label, "") + " " + line[14:]).strip()
    return found


# Facts


def test_a_run_has_its_best_model_and_its_newest_history(run):
    facts = facts_of("play")
    assert facts == facts_of() == {**facts_of(run), "file": facts["file"]}
    assert (facts["file"], facts["run"], facts["format"], facts["step"]) == (
        str(run / "best.safetensors"),
        "play",
        1,
        20,
    )
    assert facts["progress"]["step"] == 30 and facts["history"] == HISTORY
    assert facts["model"] == {**to_json(MODEL), "title": "lstm 2x5"} and facts["training"] == to_json(
        checkpoint().training
    )
    assert facts["text"] == to_json(TextConfig())
    assert facts["vocabulary"] == {"size": 7, "unknown": False, "symbols": "\n\x1b \\abé"}


def test_a_file_that_is_named_speaks_for_itself_alone(run):
    facts = facts_of(run / "step-00000010.safetensors")
    assert (facts["run"], facts["step"], facts["history"], facts["checkpoints"]) == (None, 10, HISTORY[:1], [])
    assert facts["progress"]["step"] == 10


def test_the_golden_file_is_shown_as_its_own_format():
    facts = facts_of(Path(__file__).parent.parent / "golden/format-1.safetensors")
    assert facts["format"] == 1


def test_arrays_are_measured(run):
    spoilt = checkpoint()
    spoilt.weights["output/b"][:] = [3, -4, 0, 0, 0, 0, 0]
    spoilt.weights["layer0/U"][:] = 1e30
    write_checkpoint(run / "best.safetensors", spoilt)
    facts = facts_of("play")
    assert [layer["name"] for layer in facts["layers"]] == ["layer0", "layer1", "output"]
    arrays = {f"{layer['name']}/{array['name']}": array for layer in facts["layers"] for array in layer["arrays"]}
    assert list(arrays) == list(parameter_shapes(MODEL, VOCAB.size))
    # 8 inputs with the start symbol, 4 gates of 5 units, 7 characters.
    by_hand = 8 * 20 + 5 * 20 + 20 + 5 * 20 + 5 * 20 + 20 + 5 * 7 + 7
    assert (
        facts["parameters"]
        == facts["all"]["parameters"]
        == by_hand
        == sum(layer["parameters"] for layer in facts["layers"])
    )
    assert arrays["output/b"] == {
        "name": "b", "shape": [7], "parameters": 7, "rms": pytest.approx(5 / math.sqrt(7)), "largest": 4.0
    }  # fmt: skip
    # Its square is too large for float32.
    assert arrays["layer0/U"]["rms"] == pytest.approx(1e30)
    for layer in facts["layers"]:
        numbers = np.concatenate(
            [spoilt.weights[f"{layer['name']}/{array['name']}"].ravel() for array in layer["arrays"]]
        )
        assert layer["rms"] == pytest.approx(np.linalg.norm(numbers.astype(float)) / math.sqrt(len(numbers)))
        assert layer["largest"] == np.abs(numbers).max() and layer["parameters"] == len(numbers)


def test_what_a_mask_takes_out_is_not_counted(run):
    model = ModelConfig("clockwork", 1, 16)
    clockwork = checkpoint(model=model)
    mask = CELLS["clockwork"].mask(16)
    clockwork.weights["layer0/U"][:] = np.where(mask, 2.0, 9.0)
    write_checkpoint(run / "best.safetensors", clockwork)
    facts = facts_of("play")
    (array,) = [array for array in facts["layers"][0]["arrays"] if array["name"] == "U"]
    assert 0 < mask.sum() < 256 and array == {
        "name": "U", "shape": [16, 16], "parameters": mask.sum(), "rms": 2.0, "largest": 2.0
    }  # fmt: skip


def models() -> list[ModelConfig]:
    found = []
    for cell in CELLS:
        for stack in STACKS:
            model = ModelConfig(cell, 2, 8, 3 if stack == "grid" else None, stack)
            try:
                layers_of(model)
            except CharRNNError:
                continue
            found.append(model)
    return found


def test_every_cell_and_stack_is_shown_whole(run):
    assert len(models()) > 50
    for model in models():
        write_checkpoint(run / "best.safetensors", checkpoint(model=model))
        text, facts = inspected("play").stdout, facts_of("play")
        assert sum(layer["parameters"] for layer in facts["layers"]) == parameter_count(model, VOCAB.size)
        shapes = [tuple(array["shape"]) for layer in facts["layers"] for array in layer["arrays"]]
        assert shapes == list(parameter_shapes(model, VOCAB.size).values())
        assert max(map(cell_len, text.splitlines())) <= 80
        assert f"{model.cell} ({CELLS[model.cell].paper})" == rows(text)["cell"]
        assert re.search(rf"^all +{parameter_count(model, VOCAB.size):,} ", text, re.M)


def test_numbers_that_are_not_finite_are_null(run):
    spoilt = checkpoint()
    spoilt.weights["output/b"][2] = np.nan
    spoilt.weights["layer0/b"][2] = np.inf
    write_checkpoint(run / "best.safetensors", spoilt)
    (run / "metrics.jsonl").write_text("".join(json.dumps(record(n, math.nan, math.inf)) + "\n" for n in range(1, 9)))
    facts = facts_of("play")
    layers = {layer["name"]: layer for layer in facts["layers"]}
    assert layers["output"]["rms"] is layers["output"]["largest"] is layers["layer0"]["largest"] is None
    assert layers["layer1"]["rms"] > 0
    assert len(facts["history"]) == 8 and facts["history"][0]["train_nats"] is facts["history"][0]["val_nats"] is None
    assert re.search(r"^all .* not finite  not finite$", inspected("play").stdout, re.M)


# The history


def test_the_longer_history_is_taken(run):
    log = [record(n, 3.0 / n, None) for n in range(1, 21)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    assert facts_of("play")["history"] == log
    # Of a file alone the log is none of its own.
    assert facts_of(run / "best.safetensors")["history"] == HISTORY[:2]
    (run / "metrics.jsonl").write_text(json.dumps(log[0]) + "\n")
    assert facts_of("play")["history"] == HISTORY


def test_what_is_no_record_of_a_log_is_passed_over(tmp_path):
    log = tmp_path / "metrics.jsonl"
    good = [record(1, 2.0, None), record(2, None, None, rollback="the loss became nan"), record(3, 1.0, 1.0)]
    odd = [
        "",
        "[]",
        "3",
        '{"step": "4"}',
        '{"step": true}',
        '{"step": -1}',
        "{}",
        "[" * 100_000,
        '{"step": 1' + "0" * 400,
    ]
    lines = [json.dumps(line) for line in good]
    log.write_bytes("\n".join([*odd[:4], *lines, *odd[4:]]).encode() + b'\n\xff\xfe\n{"step": 9, "tr')
    assert history_of([], log) == good
    assert history_of([{"val_nats": 1.0}], tmp_path / "missing") == []


def test_losses_are_in_bits_and_nulls_are_none():
    history = [record(1, 2.0, None), record(2, None, 1.0), record(2, None, None), record(3, "x", True), record(4, 1, 3)]
    found = losses(history)
    assert found.train == [(1, pytest.approx(2 / math.log(2))), (4, pytest.approx(1 / math.log(2)))]
    assert [step for step, _ in found.validation] == [2, 4]
    assert found.best == (2, pytest.approx(1.4427, abs=1e-4))


# The list of checkpoints


def test_the_checkpoints_of_a_run(run):
    os.utime(run / "step-00000010.safetensors", (0, time.time() - 7200))
    files = facts_of("play")["checkpoints"]
    assert [(fact["file"], fact["step"], fact["best"]) for fact in files] == [
        ("step-00000010.safetensors", 10, False), ("step-00000020.safetensors", 20, True),
        ("step-00000030.safetensors", 30, False), ("best.safetensors", 20, True),
    ]  # fmt: skip
    for fact, nats in zip(files, (2.5, 1.75, 1.9, 1.75), strict=True):
        assert fact["bits_per_char"] == pytest.approx(nats / math.log(2))
        assert fact["bytes"] == (run / fact["file"]).stat().st_size
    table = inspected("play").stdout.split("\n\n")[-1].splitlines()
    assert table[1].split() == ["step-00000010.safetensors", "10", "3.6067", *table[1].split()[3:5], "2", "h", "ago"]
    assert [line.endswith("best") for line in table] == [False, False, True, False, True]


def test_a_checkpoint_between_evaluations_has_no_bits_of_its_own(run):
    later = replace(checkpoint().progress, step=33)
    write_checkpoint(run / "step-00000033.safetensors", checkpoint(progress=later))
    facts = facts_of("play")
    assert facts["checkpoints"][3]["bits_per_char"] is None and facts["progress"]["step"] == 33
    # 0.75 epochs at step 30.
    assert rows(inspected("play").stdout)["trained"] == "step 33 of 40, 0.82 epochs, 1 min 15 s"


def test_a_damaged_checkpoint_beside_the_best_is_only_marked(run):
    (run / "step-00000030.safetensors").write_bytes(b"short")
    facts = facts_of("play")
    assert [fact["readable"] for fact in facts["checkpoints"]] == [True, True, False, True]
    assert facts["progress"]["step"] == 20
    assert re.search(r"step-00000030.* -  .*cannot be read$", inspected("play").stdout, re.M)


def test_a_damaged_best_one_is_an_error(run):
    data = bytearray((run / "best.safetensors").read_bytes())
    data[-1] ^= 1
    (run / "best.safetensors").write_bytes(data)
    # The last bytes are of the output's weights.
    assert "best.safetensors is damaged" in refused("play").message
    (run / "foreign.safetensors").write_bytes(b"something else entirely")
    assert "not a checkpoint" in refused(run / "foreign.safetensors").message
    assert "There is no run" in refused("nothing").message


def test_a_file_that_is_gone_when_it_is_read_is_looked_for_again(run, monkeypatch):
    (run / "best.safetensors").unlink()
    read, gone = inspection.read_checkpoint, []

    def late(path: Path) -> Checkpoint:
        if not gone:
            gone.append(path)
            path.unlink()
        return read(path)

    monkeypatch.setattr(inspection, "read_checkpoint", late)
    assert facts_of("play")["step"] == 20 and [path.name for path in gone] == ["step-00000030.safetensors"]
    (run / "step-00000010.safetensors").unlink()
    gone.clear()
    assert "no checkpoint yet" in refused("play").message


def test_files_that_come_and_go_after_they_were_listed(run, monkeypatch):
    listed, calls = Run.checkpoints, []

    def then_changed(self: Run) -> list[Path]:
        found = listed(self)
        if not calls:
            (run / "step-00000010.safetensors").unlink()
            write_checkpoint(run / "step-00000040.safetensors", checkpoint([*HISTORY, record(40, 1.0, 1.8)]))
        calls.append(found)
        return found

    monkeypatch.setattr(Run, "checkpoints", then_changed)
    facts = facts_of("play")
    assert [fact["step"] for fact in facts["checkpoints"]] == [20, 30, 40, 20] and len(calls) > 1
    assert facts["progress"]["step"] == 40 and len(facts["history"]) == 4


def test_a_run_in_training_can_be_looked_at(run, monkeypatch):
    # Durability is not the subject, and a busy disk takes seconds for it.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    saved, over = [], threading.Event()

    def train() -> None:
        trained = Run(run)
        while not over.wait(0.02):
            step = 31 + len(saved)
            trained.log.append(record(step, 1.0, None))
            trained.save(checkpoint([*HISTORY, record(step, 1.0, 1.0)]), step, best=step % 3 == 0, keep=1)
            saved.append(step)

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        before = 0
        while len(saved) < 60 and trainer.is_alive():
            facts = facts_of("play")
            assert facts["progress"]["step"] >= before and all(fact["readable"] for fact in facts["checkpoints"])
            before = facts["progress"]["step"]
    finally:
        over.set()
        trainer.join()
    assert len(saved) >= 60


# What is shown


def test_what_is_shown_of_a_run(run):
    text = inspected("play").stdout
    found = rows(text)
    assert found["run"] == "play" and found["layers"] == "2 of 5 units, plain; the input is one-hot"
    assert found["characters"] == r"7 \n\x1b␣\\abé"
    assert found["training"] == ("batch 4, seq 9, optimizer adam, lr 0.005, minutes 2.5 not the default: dropout 0.1")
    assert found["corpus"] == "/texts/a.txt /texts/b.txt 12,345 characters" and found["SHA-256"] == "ab" * 32
    assert found["backend"] == "jax, 2 shards" and found["trained"] == "step 30 of 40, 0.75 epochs, 1 min 15 s"
    assert found["best"] == f"{1.75 / math.log(2):.4f} bits per character in validation, at step 20"
    assert "text" not in found and "went back" not in found
    assert "\x1b" not in text and "●" in text and "★" in text and " steps " in text


def test_other_settings_are_named(run):
    other = checkpoint(text=TextConfig(newlines="lf", separator="\x1e", lower=True))
    corpus = replace(CORPUS, sources=tuple(f"/t/{n}" for n in range(99)), val_sources=("-",))
    back = [*HISTORY, record(30, None, None, rollback="the loss became nan")]
    write_checkpoint(
        run / "best.safetensors", replace(other, history=back, progress=replace(other.progress, corpus=corpus))
    )
    found = rows(inspected(run / "best.safetensors").stdout)
    assert found["text"] == r"newlines lf, lower on, separator '\x1e'"
    assert found["corpus"].startswith("/t/0 /t/1 /t/2 and 96 more sources 12,345") and found["validation"] == "-"
    assert found["went back"] == "to step 30: the loss became nan"


def test_a_model_without_its_training_is_shown(run):
    bare = Checkpoint(MODEL, VOCAB, dict(random_weights(MODEL, VOCAB.size, "float32")))
    path = run.parent / "bare.safetensors"
    write_checkpoint(path, bare)
    found = rows(inspected(path).stdout)
    assert not {"training", "corpus", "trained", "best", "backend"} & set(found) and found["parameters"] == "542"
    facts = facts_of(path)
    assert (facts["training"], facts["history"], facts["progress"], facts["step"]) == (None, [], {}, None)
    assert "no training history" in refused(path, "--plot", run.parent / "a.png").message


def test_no_line_is_too_wide_and_nothing_reaches_the_terminal(checkpoints):
    """Names, sources, characters and settings of any length and of any kind."""
    folder = checkpoints / ("long " * 30 + "名前" * 12)
    folder.mkdir()
    symbols = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)] + [chr(code) for code in range(0x300, 0x303)]
    vocab = Vocabulary.of([*symbols, *map(chr, range(0x10))], has_unknown=True)
    strange = checkpoint(vocab=vocab, weights=dict(random_weights(MODEL, vocab.size, "float32")))
    corpus = replace(CORPUS, sources=("/x" * 200, "\x1b[31m\x07evil\n", "名" * 40))
    strange = replace(strange, progress=replace(strange.progress, corpus=corpus))
    write_checkpoint(folder / "best.safetensors", strange)
    text = inspected().stdout
    assert max(map(cell_len, text.splitlines())) <= 80
    assert set(text) >= {"一"} and all(c.isprintable() for c in text.replace("\n", ""))
    assert rows(text)["characters"].startswith("3,019 and the unknown symbol \\x00\\x01")
    assert re.search(r"and 2,9\d\d more: charrnn vocab", text) and r"\u0300" in text
    assert r"\x1b[31m\x07evil\n" in text


def test_bytes_are_shown_as_bytes(run):
    vocab = Vocabulary.of("a\xe9")
    raw = checkpoint(vocab=vocab, text=TextConfig(bytes=True), weights=dict(random_weights(MODEL, 2, "float32")))
    write_checkpoint(run / "best.safetensors", raw)
    assert rows(inspected("play").stdout)["bytes"] == r"2 a\xe9"


# The chart


ODD = {
    "one": [(5, 2.0, 2.0)],
    "validation alone": [(0, None, 1.0)],
    "train alone": [(3, 1.0, None)],
    "two": [(1, 3.0, None), (2, 2.0, 1.0)],
    "equal": [(n, 1.0, 1.0) for n in range(1, 50, 9)],
    "zero": [(1, 0.0, 0.0), (2, 0.0, 0.0)],
    "the same step again": [(4, 1.0, 1.0), (4, None, None), (4, 2.0, 3.0)],
    "back": [(10, 1.0, None), (20, 5.0, None), (10, 1.0, None)],
    "a thousand": [(37 * n, 3 / n + 0.1 * (n % 7), 2 / n + 0.5) for n in range(1, 1001)],
    "enormous": [(2**62, 1e290, None), (2**61, 1.0, 1e10)],
}


@pytest.mark.parametrize("width", [60, 80, 131])
@pytest.mark.parametrize("points", ODD.values(), ids=ODD)
def test_a_chart_of_any_history(points, width):
    history = [record(step or 1, train, val) | {"step": step} for step, train, val in points]
    found = losses(history)
    lines = draw(found, width, colour=False)
    assert max(map(cell_len, lines)) <= width and len(lines) == 17
    drawn = "\n".join(lines[1:])
    assert drawn.count("★") == bool(found.validation) and " steps" in drawn and "bits per character" in lines[0]
    # A few points of training may lie below those of validation.
    assert found.validation or any("\u2800" < c <= "\u28ff" for c in drawn)
    assert found.train or not any("\u2800" <= c <= "\u28ff" for c in drawn)
    assert len(re.findall(r"^ *[\d,.e+]+ ┤", drawn, re.M)) >= 2


def test_nothing_is_drawn_of_no_points():
    assert draw(losses([record(1, None, None)]), 80, False) == []


def test_a_chart_puts_points_where_they_belong():
    nats = [4 * math.log(2), 3 * math.log(2), 2 * math.log(2), 1 * math.log(2)]
    lines = draw(losses([record(25 * (n + 1), None, value) for n, value in enumerate(nats)]), 80, False)
    places = [(row, line.index(mark)) for row, line in enumerate(lines[1:]) for mark in "●★" if mark in line]
    # From the top row, 4 bits, to the bottom, 1 bit; the steps are as far from one another.
    assert [row for row, _ in places] == [0, 4, 9, 13] and lines[14][places[3][1]] == "★"
    assert lines[1].startswith("4 ┤") or lines[1].startswith("4.0 ┤")
    columns = [column for _, column in places]
    assert columns[3] == 79 and {b - a for a, b in pairwise(columns)} <= {18, 19}
    # A tick stands where its label says: 100 at the right end.
    assert lines[16].endswith("100") and lines[15][79] == "┬"


def test_a_train_line_goes_down_with_the_loss():
    lines = draw(losses([record(n, 11.0 - n, None) for n in range(1, 11)]), 80, False)
    firsts = [re.search(r"[\u2801-\u28ff]", line).start() for line in lines[1:15]]
    assert firsts == sorted(firsts) and len(set(firsts)) == 14


def test_colour_only_adds_to_the_chart():
    plain, coloured = (draw(losses(HISTORY), 80, colour) for colour in (False, True))
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in coloured] == plain
    assert {"\x1b[36m", "\x1b[33m"} <= set(re.findall("\x1b\\[[0-9;]*m", "".join(coloured)))


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(run, environment, coloured, monkeypatch):
    from charrnn.cli.views.contents import shown

    for name, value in {"TERM": "xterm", "NO_COLOR": "", "COLUMNS": "100", **environment}.items():
        monkeypatch.setenv(name, value)
    facts = facts_of("play")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    text = shown(facts)
    assert ("\x1b[" in text) == coloured
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    assert max(map(cell_len, plain.splitlines())) == 100


# The picture


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("PDF", b"%PDF-")])
def test_a_picture_is_written(run, tmp_path, suffix, magic):
    path = tmp_path / f"curve.{suffix}"
    result = inspected("play", "--plot", path)
    assert path.read_bytes().startswith(magic) and path.stat().st_size > 5000
    assert result.stdout == inspected("play").stdout and f"Wrote {path}." in result.stderr
    first = path.read_bytes()
    inspected("play", "--plot", path)
    assert path.read_bytes() == first


def test_a_picture_says_what_it_shows(run, tmp_path):
    name = run.parent / "a $b$ 名 & c"
    run.rename(name)
    inspected("--plot", tmp_path / "curve.svg")
    svg = (tmp_path / "curve.svg").read_text()
    bits = 1.75 / math.log(2)
    for said in (
        "a $b$ 名 &amp; c: lstm 2x5, 542 parameters", "bits per character", "steps", "learning rate", "train",
        "validation", f"best: {bits:.4f} at step 20",
    ):  # fmt: skip
        assert f">{said}</text>" in svg, said


@pytest.mark.parametrize("points", ODD.values(), ids=ODD)
def test_a_picture_of_any_history(points, tmp_path):
    from charrnn.cli.views.plot import write_picture

    history = [record(step or 1, train, val) | {"step": step} for step, train, val in points]
    write_picture(tmp_path / "a.svg", history, "title")
    assert "bits per character" in (tmp_path / "a.svg").read_text()


def test_a_picture_that_cannot_be(run, tmp_path):
    for name in ("curve.gif", "curve", ".png"):
        assert ".png, .svg, .pdf" in refused("play", "--plot", tmp_path / name).message
    error = refused("play", "--plot", tmp_path / "nowhere/curve.png")
    assert "cannot be written" in error.message and "No such file" in error.message
    assert not list(tmp_path.glob("*curve*"))


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_only_a_picture_of_ours_is_replaced(run, tmp_path, suffix):
    from matplotlib.figure import Figure

    path = tmp_path / f"curve.{suffix}"
    # Another picture, even one that the same library drew.
    Figure().savefig(path)
    theirs = path.read_bytes()
    (tmp_path / f"link.{suffix}").symlink_to(path)
    assert "exists already, and it is not a picture of charrnn" in refused("play", "--plot", path).message
    for name in ("link", "dangling", "folder"):
        other = tmp_path / f"{name}.{suffix}"
        if name == "dangling":
            other.symlink_to("nowhere")
        elif name == "folder":
            other.mkdir()
        said = "is a folder; a picture is a file" if name == "folder" else "is a link or a device"
        assert said in refused("play", "--plot", other).message
    assert path.read_bytes() == theirs
    path.write_bytes(b"")
    for _ in range(2):
        inspected("play", "--plot", path)
    assert path.stat().st_size > 5000


def test_without_matplotlib_the_way_to_it_is_told(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    error = refused("play", "--plot", tmp_path / "curve.png")
    assert "matplotlib" in error.message and error.hint == "Install it: pip install 'charrnn[plot]'"
    # All else is as it was.
    assert "parameters" in inspected("play").stdout


# As a process


def test_inspecting_imports_no_framework(small):
    script = (
        "import sys; from charrnn.cli.app import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    result = charrnn_in(small, "-c", script, "inspect", "small", command=shlex.quote(sys.executable))
    loaded = set(result.stderr.split())
    assert b"lstm (" in result.stdout and "charrnn.cli.commands.inspect" in loaded
    assert {name for name in loaded if name.split(".")[0] in {*HEAVY, "matplotlib"}} == set()


def test_its_help_imports_nothing_heavy(tmp_path):
    script = "import sys; from charrnn.cli.app import app\ntry: app()\nfinally: print(*sys.modules, file=sys.stderr)"
    result = charrnn_in(tmp_path, "-c", script, "inspect", "--help", command=shlex.quote(sys.executable))
    assert b"--plot" in result.stdout
    assert {name.split(".")[0] for name in result.stderr.split()} & {*HEAVY, "numpy", "rich", "matplotlib"} == set()


def test_a_damaged_file_gives_one_message(small):
    result = charrnn_in(small, "inspect", "damaged.safetensors")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith("charrnn: damaged.safetensors is damaged") and "Traceback" not in result.stderr


RATES = (("sgd", None, "0.5"), ("adadelta", None, "1"), ("adam", 0.25, "0.25"))


@pytest.mark.parametrize(("optimizer", "given", "rate"), RATES)
def test_the_learning_rate_is_a_number(tmp_path, optimizer, given, rate):
    training = TrainConfig(optimizer=optimizer, lr=given)
    write_checkpoint(tmp_path / "own.safetensors", checkpoint(training=training))
    assert f"optimizer {optimizer}, lr {rate}" in inspected(tmp_path / "own.safetensors").stdout
