"""`charrnn score --rank`: what is printed of guess ranks (tests/inference/test_guesses.py has what they are)."""

import json

import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.cli.views import reading
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

VOCAB = Vocabulary.of("\n\tabc")
MODELS = {
    "plain": TextConfig(),
    "lines": TextConfig(one_per_line=True),
    "after": TextConfig(one_per_line=True, loss_after="\t"),
}
LINES = ["a", "", "b", "aZ", "\t" * 40, "cab"]
PIPED = "\n".join(LINES) + "\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, text in MODELS.items():
        write_model(folder / f"{name}.safetensors", VOCAB, text)
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def run(model, *arguments, stdin=PIPED):
    return CliRunner().invoke(app, ["score", f"{model}.safetensors", *map(str, arguments)], input=stdin)


def test_ranks_come_first_and_are_those_of_python():
    model = charrnn.load("lines.safetensors")
    expected = model.guess_ranks(LINES, samples=300)
    result = run("lines", "--rank", "--rank-samples", 300)
    assert result.stderr == ""
    rows = [row.split("\t", 7) for row in result.stdout.splitlines()]
    for row, line, rank, score in zip(rows, LINES, expected, model.score(LINES, line_ends=True), strict=True):
        assert row[7] == line and float(row[3]) == pytest.approx(score.bits, abs=1e-3)
        if line == "\t" * 40:
            assert row[0] == f">{rank.rank:.3g}" or row[0] == f">{rank.rank:.1f}"
        else:
            assert float(row[0]) == pytest.approx(rank.rank, rel=0.01, abs=0.1)
        assert float(row[1]) == pytest.approx(rank.error, rel=0.01, abs=0.1)
    assert [rows[3][:2], rows[4][1]] == [["inf", "0.0"], "inf"]
    records = [json.loads(row) for row in run("lines", "--rank", "--rank-samples", 300, "--jsonl").stdout.splitlines()]
    for record, line, rank in zip(records, LINES, expected, strict=True):
        assert record["rank"] == (None if line == "aZ" else rank.rank)
        assert record["rank_error"] == (None if len(line) == 40 else rank.error)
    assert list(records[0])[:4] == ["line", "rank", "rank_error", "bits_per_char"]


def test_a_seed_and_a_text_before():
    first = run("lines", "--rank", "--rank-samples", 300).stdout
    assert run("lines", "--rank", "--rank-samples", 300, "--seed", 0).stdout == first
    assert run("lines", "--rank", "--rank-samples", 300, "--seed", 1).stdout != first
    for model in ("lines", "after"):
        result = run(model, "--rank", "--rank-samples", 300, "--after", r"ab\t", "--jsonl")
        ranks = charrnn.load(f"{model}.safetensors").guess_ranks(LINES, samples=300, after="ab\t")
        assert json.loads(result.stdout.splitlines()[0])["rank"] == ranks[0].rank


def test_fields_of_records_are_ranked_and_those_without_are_not():
    stdin = '{"t": "cab"}\n{"t": 1}\n{"t": "a\\nb", "rank": 7}\n'
    result = run("lines", "--rank", "--rank-samples", 300, "--field", "t", "--jsonl", stdin=stdin)
    cab, number, two_lines = map(json.loads, result.stdout.splitlines())
    assert cab["rank"] == charrnn.load("lines.safetensors").guess_ranks(["cab"], samples=300)[0].rank
    assert (number["rank"], number["rank_error"], number["bits"]) == (None, None, None)
    # A line that no line can be is never guessed.
    assert (two_lines["rank"], two_lines["rank_error"], two_lines["input_rank"]) == (None, 0, 7)
    rows = run("lines", "--rank", "--rank-samples", 300, "--field", "t", stdin=stdin).stdout.splitlines()
    assert rows[1].startswith("nan\tnan\tnan\t")


def test_progress_is_told_while_samples_are_drawn(monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(reading, "perf_counter", lambda: next(ticks))
    said = run("lines", "--rank", "--rank-samples", 300).stderr.splitlines()
    assert said[0] == "Sampling: 1 of 300 …" and 10 < len(said) < 40


def test_mistakes_are_explained():
    for model, arguments, said in (
        ("lines", ("--rank", "--per-char"), "--rank needs whole lines"),
        ("lines", ("--rank", "--heatmap"), "--rank needs whole lines"),
        ("lines", ("--rank", "--line-ends"), "--rank needs whole lines"),
        ("lines", ("--rank", "--whole"), "--whole scores the text as a whole"),
        ("lines", ("--rank", "--field", "a", "--context-field", "b"), "--rank needs whole lines"),
        ("lines", ("--seed", 1), "has no effect without --rank"),
        ("lines", ("--rank-samples", 10), "has no effect without --rank"),
        ("plain", ("--rank",), "Guess ranks are for whole texts"),
        ("after", ("--rank",), "has learned only what follows '\\t'"),
    ):
        result = run(model, *arguments)
        assert isinstance(result.exception, CharRNNError) and result.stdout == ""
        assert said in as_options(result.exception.message)
    assert (
        as_options(run("after", "--rank").exception.hint) == r"Rank the texts that follow another one: --after TEXT\t."
    )
