"""What goes in and out of a model as bytes: encodings, line ends, bytes that only an escape can name."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.arguments import as_trained
from charrnn.cli.console import as_options
from charrnn.cli.escapes import unescaped
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model

LETTERS = "\n abcdeé€"
BYTES = Vocabulary(tuple(map(chr, range(256))))
MODELS = {
    "latin": (Vocabulary.of("\n abcdeé"), TextConfig(encoding="latin-1")),
    "cp1252": (Vocabulary.of(LETTERS), TextConfig(encoding="cp1252")),
    "utf16": (Vocabulary.of(LETTERS), TextConfig(encoding="utf-16")),
    "plain": (Vocabulary.of(LETTERS), TextConfig()),
    "returns": (Vocabulary.of(LETTERS + "\r"), TextConfig()),
    "pairs": (Vocabulary.of(LETTERS + "\t"), TextConfig(one_per_line=True, loss_after="\t")),
    "bytes": (BYTES, TextConfig(bytes=True)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encodings")
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def charrnn(*arguments, stdin=b"") -> bytes:
    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert re.sub(".* completions? w.* cut at .*\n", "", result.stderr) == ""
    return result.stdout_bytes


def refused(*arguments) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, CharRNNError), result.exception
    return as_options(str(result.exception))


# --- A model can read what it wrote ---


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        *((model, None) for model in ("latin", "cp1252", "utf16", "bytes")),
        ("latin", "latin-1"),
        ("cp1252", "cp1252"),
        ("utf16", "utf-16"),
        ("plain", "utf-16-be"),
    ],
)
def test_a_model_reads_what_it_wrote(model, encoding, here):
    """`sample` writes UTF-8, bytes or what was asked for; `eval`, `score`, `complete` and --prime-file read that."""
    told = ("--encoding", encoding) if encoding else ()
    model = f"{model}.safetensors"
    written = charrnn("sample", model, "-n", 400, "--seed", 4, *told)
    (here / "sample.txt").write_bytes(written)
    text = written.decode("latin-1" if model.startswith("bytes") else encoding or "utf-8")
    assert len(text) == 400 and "é" in text
    facts = json.loads(charrnn("eval", model, "sample.txt", "--json", *told))
    assert facts["characters"] == 400
    records = [json.loads(line) for line in charrnn("score", model, "sample.txt", "--jsonl", *told).splitlines()]
    in_json = written.decode("utf-8", "surrogateescape") if model.startswith("bytes") else text
    assert [record["text"] for record in records] == in_json.removesuffix("\n").split("\n")
    assert not any(record["unknown"] for record in records)
    as_fields = charrnn("score", model, "sample.txt", *told)
    assert text.split("\n")[0].encode(encoding or ("latin-1" if model.startswith("bytes") else "utf-8")) in as_fields
    primed = charrnn("sample", model, "--prime-file", "sample.txt", "-n", 0, *told)
    piped = charrnn("sample", model, "--prime", "-", "-n", 0, *told, stdin=written)
    assert primed == piped == (text.removesuffix("\n")).encode(told[1] if told else facts_encoding(model))
    answers = charrnn("complete", model, "sample.txt", "-n", 3, "--temp", 1, "--seed", 1, *told)
    assert len(answers.decode(told[1] if told else facts_encoding(model)).splitlines()) >= len(records)


def facts_encoding(model: str) -> str:
    return "latin-1" if model.startswith("bytes") else "utf-8"


def test_the_characters_of_a_model_of_bytes_are_bytes(here):
    rows = charrnn("vocab", "bytes.safetensors").decode().splitlines()
    assert rows[1].split(maxsplit=2)[1:] == ["0x00", "BYTE 0"] and rows[256].startswith(
        "'\\xff'     0xFF        BYTE 255"
    )
    # A text is read as the model reads it, and a model of bytes has seen every byte.
    (here / "russian.txt").write_text("Привет\n" * 3, encoding="utf-8")
    for options in ((), ("--bytes",)):
        printed = charrnn("vocab", "russian.txt", "--against", "bytes.safetensors", *options).decode()
        assert "0 of the distinct are unknown" in printed and "39 characters, " in printed
        assert "known ones do not occur: \\x00\\x01" in printed
    back = charrnn("vocab", "bytes.safetensors", "--against", "bytes.safetensors").decode()
    assert back == "256 distinct\n0 of the distinct are unknown\n0 known ones do not occur\n"
    for one, other in (("bytes", "latin"), ("latin", "bytes")):
        said = refused("vocab", f"{one}.safetensors", "--against", f"{other}.safetensors")
        assert "one is a model of bytes, and one is not." in said
    said = refused("vocab", "russian.txt", "--bytes", "--against", "latin.safetensors")
    assert "latin.safetensors is a model of characters, which does not read bytes." in said


def test_a_mark_is_written_once():
    written = charrnn("sample", "utf16.safetensors", "-c", 5, "-n", 9, "--encoding", "utf-16")
    assert written.decode("utf-16").count("\ufeff") == 0 and written.startswith((b"\xff\xfe", b"\xfe\xff"))


def test_records_are_utf8_whatever_is_read():
    record = json.loads(charrnn("score", "cp1252.safetensors", "--jsonl", "--encoding", "cp1252", stdin=b"\xe9\x80\n"))
    assert record["text"] == "é€" and record["unknown"] == 0


def test_what_an_encoding_cannot_write_is_said():
    said = refused("sample", "cp1252.safetensors", "-n", 3, "--allow", "€", "--encoding", "latin-1")
    assert "'€' (U+20AC) cannot be written in latin-1" in said and "UTF-8" in said
    assert "--encoding is 'klingon'" in refused("sample", "plain.safetensors", "--encoding", "klingon")
    assert "is a model of bytes, which have no encoding. Leave out --encoding." in refused(
        "sample", "bytes.safetensors", "--encoding", "latin-1"
    )


def test_another_text_to_compare_with_is_read_as_told(here):
    (here / "known.txt").write_bytes("é\n".encode("latin-1") * 2)
    drawn = ("sample", "latin.safetensors", "-c", 2, "-n", 1, "--allow", "éa", "--novel-to", "known.txt", "--unique")
    result = CliRunner().invoke(app, [*map(str, drawn), "--encoding", "latin-1"])
    assert result.stdout_bytes == b"a\n" and "Found 1 of 2" in result.stderr


# --- Line ends ---


def test_a_return_before_a_line_break_ends_a_line(here):
    """Lines of Windows cost what other lines do; a model that knows the carriage return keeps it."""
    plain = charrnn("score", "plain.safetensors", stdin=b"bad ace\ndeed\n")
    assert charrnn("score", "plain.safetensors", stdin=b"bad ace\r\ndeed\r\n") == plain
    kept = [
        json.loads(line) for line in charrnn("score", "returns.safetensors", "--jsonl", stdin=b"ab\r\n").splitlines()
    ]
    assert (kept[0]["text"], kept[0]["characters"], kept[0]["unknown"]) == ("ab\r", 3, 0)
    bytes_kept = json.loads(charrnn("score", "bytes.safetensors", "--jsonl", stdin=b"ab\r\n"))
    assert bytes_kept["characters"] == 3


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_a_whole_text_of_windows_is_read_like_any_other(end, here):
    text = "bad ace\ndeed\n\nab\n"
    (here / "lf.txt").write_text(text)
    (here / "other.txt").write_bytes(text.replace("\n", end).encode())
    assert json.loads(charrnn("eval", "plain.safetensors", "other.txt", "--json"))["bits_per_char"] == pytest.approx(
        json.loads(charrnn("eval", "plain.safetensors", "lf.txt", "--json"))["bits_per_char"]
    )
    primed = charrnn("sample", "plain.safetensors", "--prime-file", "other.txt", "-n", 0)
    assert primed == text.removesuffix("\n").encode()
    assert (
        load("plain.safetensors").encode(text.replace("\n", end)).tolist()
        == load("plain.safetensors").encode(text).tolist()
    )


def test_targets_of_windows_are_right_too(here):
    lines = "ab\ncad\n"
    answers = charrnn("complete", "pairs.safetensors", "-n", 5, stdin=lines.encode())
    (here / "targets.txt").write_bytes(answers.replace(b"\n", b"\r\n"))
    (here / "lines.txt").write_bytes(lines.replace("\n", "\r\n").encode())
    checked = charrnn("complete", "pairs.safetensors", "lines.txt", "-n", 5, "--check", "targets.txt")
    assert checked.startswith(b"exact: 2 of 2")


# --- Escapes mean bytes in models of bytes ---


def ids(*arguments) -> list[int]:
    return [int(number) for number in charrnn("sample", "bytes.safetensors", "--ids", *arguments).split()]


def test_an_escape_is_a_byte_and_a_character_is_its_utf8():
    assert ids("-n", 0, "--prime", r"a\xff\x0a") == [97, 255, 10]
    assert ids("-n", 0, "--prime", "ÿ") == [195, 191]
    assert ids("-n", 0, "--prime", r"\u00ff") == [195, 191]
    assert set(ids("-n", 30, "--allow", r"\x80\xfe", "--seed", 1)) == {128, 254}
    assert set(ids("-n", 30, "--allow", "é", "--seed", 1)) == {195, 169}
    assert set(ids("-n", 60, "--allow", r"a\x80", "--forbid", r"\x80", "--seed", 1)) == {97}
    assert ids("-n", 9, "--allow", r"\x80", "--until", r"\x80") == []
    typed = ("complete", "bytes.safetensors", "--allow", r"\x80", "--forbid", r"\n", "-n", 2)
    assert charrnn(*typed, "--append", r"\xe9", stdin=b"a\n") == b"\x80\x80\n"
    # The byte was read, and not the two of a character.
    as_records = (
        charrnn(*typed, "--jsonl", "--append", r"\xe9", stdin=b"a\n"),
        charrnn(*typed, "--jsonl", stdin=b"a\xe9\n"),
    )
    costs = [json.loads(record)["bits"] for record in as_records]
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)
    # In a model of characters the same escape is a character.
    assert charrnn("sample", "plain.safetensors", "-n", 0, "--prime", r"\xe9").decode() == "é"


def test_bytes_can_be_given_in_python():
    model = load("bytes.safetensors")
    assert set(model.sample(20, allow=b"\x80\xfe", seed=1)) == {"\x80", "\xfe"}
    assert model.sample(5, prime=b"\xff", allow=b"\x80", until=b"\x80") == ""
    assert model.encode(b"\xff").tolist() == [255] and model.encode("ÿ").tolist() == [195, 191]
    assert model.complete(["a"], append=b"\xff", allow=b"\x80", forbid="\n", length=1) == ["\x80"]
    assert np.isclose(model.score(["ÿ"])[0].bits, model.score(["ÿ"])[0].surprisal.sum())


def test_half_a_character_is_refused():
    for model in ("plain", "bytes"):
        assert r"\ud800 is a surrogate, half of a UTF-16 pair" in refused(
            "sample", f"{model}.safetensors", "--prime", r"\ud800"
        )


def test_what_training_takes_for_a_character(here):
    def trained(typed, **others):
        return as_trained({"separator": typed, **others})["separator"]

    assert trained(r"\xff", bytes=True) == "\xff" and trained(r"\xff") == "ÿ"
    assert trained("ÿ") == "ÿ" and trained(r"\t", bytes=True) == "\t"
    # A model to begin with says whether it is of bytes.
    assert trained(r"\xff", init="bytes.safetensors") == "\xff"
    assert trained(r"\xff", init="plain.safetensors") == "ÿ"
    with pytest.raises(CharRNNError, match=r"must be one byte"):
        TextConfig(bytes=True, separator=trained("ÿ", bytes=True))
    given = {"documents_between": r"\n", "loss_after": r"\t", "field": r"\n"}
    assert as_trained(given) == {"documents_between": "\n", "loss_after": "\t", "field": r"\n"}
    assert unescaped(None, True) is None


# --- What a prime from a file ends with ---


def test_one_line_break_at_the_end_of_a_file_is_left_out(here):
    (here / "prime.txt").write_bytes(b"ab\ncd\n")
    (here / "kept.txt").write_bytes(b"ab\ncd\n\n")
    (here / "windows.txt").write_bytes(b"ab\r\ncd\r\n")
    for name, expected in (("prime.txt", b"ab\ncd"), ("kept.txt", b"ab\ncd\n"), ("windows.txt", b"ab\ncd")):
        assert charrnn("sample", "plain.safetensors", "-n", 0, "--prime-file", name) == expected
        stdin = (here / name).read_bytes()
        assert charrnn("sample", "plain.safetensors", "-n", 0, "--prime", "-", stdin=stdin) == expected
    assert charrnn("sample", "returns.safetensors", "-n", 0, "--prime-file", "windows.txt") == b"ab\r\ncd"
    # What is typed is taken as it is.
    assert charrnn("sample", "plain.safetensors", "-n", 0, "--prime", r"ab\n") == b"ab\n"


def test_a_prime_that_is_no_text_is_refused_for_what_it_is(here):
    (here / "prime.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj")
    assert "prime.pdf is a PDF document, not a text." in refused(
        "sample", "plain.safetensors", "--prime-file", "prime.pdf"
    )
    assert ids("-n", 0, "--prime-file", "prime.pdf")[:4] == list(b"%PDF")
