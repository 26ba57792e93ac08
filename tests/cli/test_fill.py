"""`charrnn fill`: what is missing between two ends."""

import json

import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

VOCAB = Vocabulary.of("\n abcdefgh☞")
MODELS = {
    "forth": (VOCAB, TextConfig(one_per_line=True)),
    "back": (VOCAB, TextConfig(one_per_line=True, reverse=True)),
    "bytes": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True)),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)


def fill(*arguments, stdin: str = ""):
    return CliRunner().invoke(app, ["fill", *map(str, arguments)], input=stdin, catch_exceptions=False)


def test_a_typed_text_is_printed_with_its_filling():
    result = fill("forth.safetensors", "bad ___ cafe", "-n", 4, "--candidates", 5)
    expected = load("forth.safetensors").fill("bad ___ cafe", length=4, candidates=5)[0]
    assert result.stdout == expected.text + "\n" and expected.text == f"bad {expected.filling} cafe"


def test_each_line_of_stdin_is_a_text():
    stdin = "a___b\n___\nbad☞____\n"
    forth, back = load("forth.safetensors"), load("back.safetensors")
    options = ("-n", 3, "--candidates", 4, "--reverse-run", "back.safetensors")
    lines = stdin.splitlines()
    expected = [forth.fill(line, reverse=back, length=3, candidates=4, best=2) for line in lines]
    assert fill("forth.safetensors", *options, stdin=stdin).stdout == "".join(f"{two[0].text}\n" for two in expected)
    assert fill("forth.safetensors", *options, "--best", 2, stdin=stdin).stdout == "".join(
        f"{number}\t{one.bits:.4f}\t{one.text}\n" for number, two in enumerate(expected, 1) for one in two
    )
    records = [
        json.loads(line) for line in fill("forth.safetensors", *options, "--jsonl", stdin=stdin).stdout.splitlines()
    ]
    assert [record["filling"] for record in records] == [two[0].filling for two in expected]
    assert [record["line"] for record in records] == [1, 2, 3] and records[0]["run"] == "forth.safetensors"


def test_bytes_are_filled_with_bytes():
    for given in ("漢___b", b"\xff___b"):
        (filling,) = load("bytes.safetensors").fill(given, length=2)
        whole = given.encode() if isinstance(given, str) else given
        left, right = whole.split(b"___")
        assert filling.text.encode("latin-1") == left + filling.filling.encode("latin-1") + right
    expected = load("bytes.safetensors").fill("漢___b", length=2)[0].text.encode("latin-1") + b"\n"
    assert fill("bytes.safetensors", "漢___b", "-n", 2).stdout_bytes == expected
    assert fill("bytes.safetensors", "-n", 2, stdin="漢___b\n").stdout_bytes == expected


def test_an_error_names_the_line_of_stdin():
    with pytest.raises(CharRNNError, match=r"Line 2: There is no"):
        fill("forth.safetensors", "-n", 2, stdin="a___b\nab\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["forth.safetensors", "no gap"], "There is no '___' in the text."),
        (["forth.safetensors", "a___b", "--reverse-run", "forth.safetensors"], "Both models read from the beginning"),
        (["forth.safetensors", "a___b", "--reverse-run", "bytes.safetensors"], "Both models read from the beginning"),
        (["forth.safetensors", "a___b", "--seed", 1], "`seed` has no effect"),
    ],
)
def test_mistakes_are_told(arguments, message):
    with pytest.raises(CharRNNError, match=message):
        fill(*arguments)


def test_a_file_is_no_text_to_fill(tmp_path, monkeypatch):
    file = tmp_path / "gaps of mine.txt"
    file.write_text("a___b\n")
    with pytest.raises(CharRNNError, match="which is a file") as told:
        fill("forth.safetensors", file)
    assert f"cat '{file}' | charrnn fill" in told.value.hint
