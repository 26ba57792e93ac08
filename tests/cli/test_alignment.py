"""`complete --show-attention` and `score --attention`: where a model looked."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.views.alignment import shade
from charrnn.config import TextConfig
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

VOCAB = Vocabulary.of("\n\t abcdefgh☞漢")
PAIRS = TextConfig(one_per_line=True, loss_after="\t")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "pairs.safetensors", VOCAB, PAIRS, attention=30)
    write_model(folder / "plain.safetensors", VOCAB, attention=5)
    write_model(folder / "without.safetensors", VOCAB, PAIRS)
    bytes_ = Vocabulary.of(map(chr, range(256)))
    write_model(folder / "bytes.safetensors", bytes_, TextConfig(bytes=True), attention=9)
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)
    return models


def run(*arguments, stdin: str = "", code: int = 0):
    result = CliRunner().invoke(app, [*map(str, arguments)], input=stdin, catch_exceptions=code != 0)
    if code == 0:
        assert result.exit_code == 0, result.output
    return result


def test_completions_are_shown_with_a_row_for_each_character():
    lines = run("complete", "pairs.safetensors", "--show-attention", "-n", 6, stdin="bad ☞\n").stdout.splitlines()
    text, head, *rows = lines
    assert head == "     bad ☞→" and len(rows) == len(text)
    (sample,) = load("pairs.safetensors").complete_n_best(["bad ☞"], 1, 1, length=6)[0][:1]
    found = load("pairs.safetensors").alignment("bad ☞\t" + text)
    assert found.source == "bad ☞\t" and found.target == text and found.weights.shape == (len(text), 6)
    for row, character, weights in zip(rows, text, found.weights.tolist(), strict=True):
        assert row == f"  {character}  {''.join(map(shade, weights))}".rstrip()
    assert sample.text


def test_records_have_the_numbers():
    (record,) = map(
        json.loads,
        run("complete", "pairs.safetensors", "--show-attention", "--jsonl", "-n", 6, stdin="bad\n").stdout.splitlines(),
    )
    looked = record["attention"]
    assert looked["source"] == "bad\t" and looked["target"] == record["text"]
    weights = np.array(looked["weights"])
    expected = load("pairs.safetensors").alignment("bad\t" + record["text"]).weights
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    assert (weights.sum(axis=1) <= 1.001).all() and (weights.sum(axis=1) > 0).all()


def test_a_row_shows_each_weight_by_its_shade():
    assert [shade(weight) for weight in (0, 0.09, 0.1, 0.3, 0.5, 0.79, 0.8, 1)] == [*"  ░▒▓▓██"]


def test_wide_characters_make_all_columns_wide():
    head = run("complete", "pairs.safetensors", "--show-attention", "-n", 2, stdin="a漢\n").stdout.splitlines()[1]
    assert head == "     a 漢→ "


def test_a_line_that_is_too_wide_for_the_terminal_is_only_told(monkeypatch):
    monkeypatch.setattr("charrnn.cli.views.alignment.columns_of", lambda stream: 20)
    result = run("complete", "pairs.safetensors", "--show-attention", "-n", 3, stdin="abc\n" + "a" * 30 + "\n")
    assert "Line 2 is wider than the terminal." in result.stderr and "Line 1" not in result.stderr
    assert result.stdout.count("\n") == 1 + 4 + 1


def test_without_a_separator_the_columns_are_the_line():
    _, head, *rows = run(
        "complete", "plain.safetensors", "--show-attention", "-n", 3, stdin="bad\n"
    ).stdout.splitlines()
    assert head == "     bad" and len(rows) == 3


def test_bytes_are_shown_each_in_its_place():
    result = run("complete", "bytes.safetensors", "--show-attention", "-n", 3, stdin="é\n")
    assert result.stdout_bytes.decode("utf-8", "replace").splitlines()[-4].startswith("     ")


def test_a_page_has_a_table_for_each_line():
    stdin = "bad\tcafe\nab\t<&\nabcd\n"
    plain = run("score", "pairs.safetensors", stdin=stdin).stdout
    result = run("score", "pairs.safetensors", "--attention", "page.html", stdin=stdin)
    assert result.stdout == plain and "The attention page is page.html." in result.stderr
    page = Path("page.html").read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page) == ["line 1", "line 2", "line 3"]
    first, second, third = re.findall("<table>.*?</table>", page, re.S)
    assert re.findall("<th>(.)", first.partition("</thead>")[0]) == [*"bad→"]
    assert re.findall("<tr><th>(.)", first) == [*"cafe"]
    # What the model does not know it did not read: nothing follows the separator.
    assert re.findall("<tr><th>(.)", second) == [*"ab→"]
    # Without the separator, where the model looked in the whole line.
    assert re.findall("<tr><th>(.)", third) == [*"abcd"]
    titles = [float(title) for title in re.findall('title="(.*?)"', first)]
    weights = load("pairs.safetensors").alignment("bad\tcafe").weights
    assert "<h1>Attention of pairs.safetensors in stdin</h1>" in page
    assert titles == [round(weight, 2) for weight in weights.ravel().tolist() if round(weight * 10)]
    # Nothing is loaded, and nothing runs.
    assert "default-src 'none'" in page and "<script" not in page and "http:" not in page and "https:" not in page


def test_a_text_without_a_separator_looks_at_itself():
    found = load("plain.safetensors").alignment("abcabcabc")
    assert found.source == found.target == "abcabcabc"
    # It predicts a character from those before it, with attention to 5 characters before the one that was read last.
    assert not np.triu(found.weights).any() and not np.tril(found.weights, -7).any()
    seen = (found.weights > 0).sum(axis=1).tolist()
    assert seen == [0, 1, 2, 3, 4, 5, 6, 6, 6]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["complete", "without.safetensors", "--show-attention"], "This model has no attention"),
        (["score", "without.safetensors", "--attention", "x.html"], "This model has no attention"),
        (["complete", "pairs.safetensors", "--show-attention", "--check", "pairs.safetensors"], "--check prints no"),
        (["score", "pairs.safetensors", "--attention", "x.html", "--after", "a"], "--attention shows whole texts"),
        (["score", "pairs.safetensors", "--attention", "x.html", "--whole"], "--attention is for lines"),
        (["score", "pairs.safetensors", "--attention", "x.html", "--html", "./x.html"], "different pages"),
        (["score", "pairs.safetensors", "--attention", "none/x.html"], "cannot be written"),
        (["score", "pairs.safetensors", "--attention", "plain.safetensors"], "plain.safetensors"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    result = run(*arguments, stdin="abc\n", code=1)
    assert message in str(result.exception)
    assert (load("plain.safetensors").config.attention) == 5


def test_a_very_long_line_has_no_table():
    run("score", "pairs.safetensors", "--attention", "long.html", stdin="a" * 500 + "\n")
    page = Path("long.html").read_text(encoding="utf-8")
    assert "The line has 500 characters; at most 400 can be shown." in page and "<table>" not in page
