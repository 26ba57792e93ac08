"""`charrnn score`: what is printed, in every form, of lines and of whole texts; and how it behaves in a pipe."""

import gzip
import json
import math
import os
import random
import re
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import RANKS, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.lines import UNKNOWN_BITS, Scorer
from charrnn.inference.model import Model
from charrnn.runs.checkpoint import read_checkpoint, write_checkpoint
from charrnn.runs.progress import CorpusRecord, Progress
from charrnn.text import lines as records
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, HEAVY, charrnn_in, loaded_by
from support.models import write_bigrams, write_model
from support.pages import SGR, Reader

VOCAB = Vocabulary.of("\n\t abcdefgh☞é")
MODELS = {
    "plain": (VOCAB, TextConfig()),
    "unknown": (Vocabulary(VOCAB.symbols, has_unknown=True), TextConfig()),
    "lines": (VOCAB, TextConfig(one_per_line=True)),
    "after": (VOCAB, TextConfig(one_per_line=True, loss_after="\t")),
    "files": (VOCAB, TextConfig(reset_at_documents=True)),
    "windows": (VOCAB, TextConfig(newlines="lf", lower=True)),
    "bytes": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True)),
    "byte pairs": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True, one_per_line=True, loss_after="Ã")),
}
TEXT = "bad cafe ☞\n\na\tb\thaZ\nfeed\n" + "dead beef ab\n" * 2 + "Z\nhéa"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of untrained models, one of each kind, and texts."""
    folder = tmp_path_factory.mktemp("models")
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "known.txt").write_text(TEXT.replace("Z", "") + "\tabc\nab\tc\tab", encoding="utf-8")
    (folder / "objects.jsonl").write_text("".join(json.dumps({"n": 1, "t": t}) + "\n" for t in TEXT.split("\n")))
    (folder / "folder").mkdir()
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(models / "checkpoints"))
    return models


def run(*arguments, stdin: bytes = b"", command="score"):
    result = CliRunner().invoke(app, [command, *map(str, arguments)], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def score(model, *arguments, stdin: bytes = b"") -> str:
    result = run(f"{model}.safetensors", *arguments, stdin=stdin)
    assert result.stderr == ""
    return result.stdout_bytes.decode()


def as_records(model, *arguments, stdin: bytes = b"") -> list[dict]:
    return [json.loads(line) for line in score(model, *arguments, "--jsonl", stdin=stdin).splitlines()]


def costs_in(rows: str) -> list[float]:
    """Return the bits that --per-char prints, but for those that do not count."""
    costs = [float(row.split("\t")[2]) for row in rows.splitlines()]
    return [cost for cost in costs if not math.isnan(cost)]


# --- Lines ---


def test_fields_are_what_they_are_said_to_be():
    lines = TEXT.split("\n")
    model = Model.load(Path("plain.safetensors"))
    expected = Scorer(model, model.text).score(lines)
    printed = score("plain", "text.txt")
    assert printed.endswith("\n")
    for row, line, record in zip(printed.splitlines(), lines, expected, strict=True):
        # The text comes last, for it may have tabs.
        *numbers, text = row.split("\t", 5)
        assert text == line
        assert numbers[2:] == [str(len(line)), str(line.count("Z")), str(record.line)]
        assert float(numbers[0]) == pytest.approx(record.bits_per_char, abs=1e-3, nan_ok=True)
        assert float(numbers[1]) == pytest.approx(record.bits, abs=1e-3)
        assert re.fullmatch(r"(\d+\.\d{4}|nan)\t\d+\.\d{4}", "\t".join(numbers[:2]))
    assert printed.splitlines()[1] == "nan\t0.0000\t0\t0\t2\t"
    assert printed.splitlines()[6] == f"{UNKNOWN_BITS:.4f}\t{UNKNOWN_BITS:.4f}\t1\t1\t7\tZ"


def test_records_of_json_have_the_same_numbers():
    rows = [row.split("\t", 5) for row in score("plain", "text.txt").splitlines()]
    found = as_records("plain", "text.txt")
    for row, record in zip(rows, found, strict=True):
        assert list(record) == [
            "line",
            "bits_per_char",
            "worst",
            "excess",
            "bits",
            "characters",
            "unknown",
            "text",
            "run",
        ]
        assert [str(record[name]) for name in ("characters", "unknown", "line", "text")] == row[2:]
        assert record["bits"] == pytest.approx(float(row[1]), abs=1e-4)
    ranks = {"bits_per_char": None, "worst": None, "excess": None}
    blank = {"line": 2, **ranks, "bits": 0, "characters": 0, "unknown": 0, "text": ""}
    assert found[1] == {**blank, "run": "plain.safetensors"}
    with_characters = as_records("plain", "text.txt", "--per-char")
    assert [len(record["surprisal"]) for record in with_characters] == [len(line) for line in TEXT.split("\n")]
    assert [record["read"] for record in with_characters] == TEXT.split("\n")
    assert sum(with_characters[0]["surprisal"]) == pytest.approx(found[0]["bits"], rel=1e-5)


@pytest.mark.parametrize("options", [(), ("--unbuffered",), ("--field", "t")])
def test_portions_keep_order_and_numbers(options, monkeypatch):
    source = "objects.jsonl" if "--field" in options else "text.txt"
    whole = as_records("plain", source, *options)
    for name, value in (("PORTION", 3), ("CHARACTERS", 10)):
        monkeypatch.setattr(records, name, value)
        small = as_records("plain", source, *options)
        assert [record["text"] for record in small] == TEXT.split("\n")
        assert [record["line"] for record in small] == list(range(1, 9))
        assert [r["bits"] for r in small] == pytest.approx([r["bits"] for r in whole], rel=1e-5)


def test_the_text_may_come_in_many_ways(here):
    expected = score("plain", "text.txt")
    (here / "packed.gz").write_bytes(gzip.compress(TEXT.encode()))
    (here / "wide.txt").write_bytes(TEXT.encode("utf-16"))
    assert score("plain", "packed.gz") == score("plain", "wide.txt") == expected
    assert score("plain", stdin=TEXT.encode()) == score("plain", "-", stdin=TEXT.encode()) == expected
    latin = TEXT.replace("☞", "").encode("latin-1")
    as_utf8 = score("plain", stdin=latin.decode("latin-1").encode())
    assert run("plain.safetensors", "--encoding", "latin-1", stdin=latin).stdout_bytes == as_utf8.encode("latin-1")
    assert score("plain", stdin=b"") == score("plain", "--jsonl", stdin=b"") == ""
    assert score("plain", stdin=b"\n") == "nan\t0.0000\t0\t0\t1\t\n"


def test_the_newest_run_scores_by_default(here):
    (here / "checkpoints/new").mkdir(parents=True)
    write_model(here / "checkpoints/new/best.safetensors", VOCAB)
    by_name = run("new", "text.txt")
    assert run("text.txt").stdout == run(stdin=TEXT.encode()).stdout == by_name.stdout == score("plain", "text.txt")


def test_unknown_characters_by_each_policy():
    counts = {policy: as_records("plain", "text.txt", "--unknown", policy) for policy in ("skip", "replace")}
    assert [record["unknown"] for record in counts["skip"]] == [0, 0, 1, 0, 0, 0, 1, 0]
    assert [record["characters"] for record in counts["skip"]] == [10, 0, 6, 4, 12, 12, 0, 3]
    assert counts["skip"][6]["bits_per_char"] is None
    replaced = as_records("plain", stdin=TEXT.replace("Z", " ").encode())
    assert [r["bits"] for r in counts["replace"]] == pytest.approx([r["bits"] for r in replaced], rel=1e-5)
    with pytest.raises(CharRNNError, match=r"Line 3 has characters that .*: 'Z'.*first at column 7"):
        run("plain.safetensors", "text.txt", "--unknown", "error")
    # The unknown symbol is what a model with one was trained to read.
    by_default = as_records("unknown", "text.txt")
    assert by_default == as_records("unknown", "text.txt", "--unknown", "replace")
    assert by_default[6]["unknown"] == 1 and by_default[6]["bits"] != pytest.approx(UNKNOWN_BITS)


def test_bytes_that_are_no_text_are_unknown_characters():
    odd = b"bad\nc\xffafe\n"
    scored = run("plain.safetensors", "--jsonl", stdin=odd)
    records = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [record["unknown"] for record in records] == [0, 1] and records[1]["text"] == "c\ufffdafe"
    said = "stdin has bytes that are not UTF-8, the first in line 2: they are read as U+FFFD."
    assert scored.stderr.startswith(said) and "--encoding" in scored.stderr and scored.stderr.count("\n") == 1
    # U+FFFD that stood in the text is a character like any other.
    assert run("plain.safetensors", stdin="c\ufffd\n".encode()).stderr == ""
    with pytest.raises(CharRNNError, match="not UTF-8: byte 0xff at offset 5, line 2"):
        run("plain.safetensors", "--errors", "strict", stdin=odd)


def test_what_counts_of_a_line():
    text = "ab\tcd\nabc\nab\t\n"
    found = as_records("after", "--per-char", stdin=text.encode())
    assert [record["characters"] for record in found] == [2, 0, 0]
    assert [value is None for value in found[0]["surprisal"]] == [True, True, True, False, False]
    with_ends = as_records("after", "--line-ends", stdin=text.encode())
    assert [record["characters"] for record in with_ends] == [3, 0, 1]
    assert [record["characters"] for record in as_records("lines", stdin=text.encode())] == [5, 3, 3]
    assert "Colours" not in score("after", "--top", 2, stdin=text.encode())
    assert len(score("after", "--top", 2, stdin=text.encode()).splitlines()) == 1


def test_lines_of_windows_are_seen_as_in_training_and_printed_without_their_ends():
    (record,) = as_records("windows", stdin=b"Bad\r\n")
    (expected,) = as_records("plain", stdin=b"bad\n")
    assert record["bits"] == pytest.approx(expected["bits"], rel=1e-5)
    assert (record["text"], record["characters"], record["unknown"]) == ("Bad", 3, 0)
    assert score("windows", stdin=b"Bad\r\n").endswith("\tBad\n")


# --- Choosing and sorting ---


def test_sorting_and_choosing_are_what_python_makes_of_the_whole():
    rows = score("plain", "text.txt").splitlines()
    found = dict(zip(rows, as_records("plain", "text.txt"), strict=True))

    def by_surprise(row):
        cost = found[row]["bits_per_char"]
        return (math.inf if cost is None else -cost, found[row]["line"])

    in_order = sorted(rows, key=by_surprise)
    assert score("plain", "text.txt", "--sort").splitlines() == in_order
    # Two lines are equal, and stay in their order; an empty one surprises nobody.
    assert in_order[-1].startswith("nan")
    twins = [row for row in in_order if row.endswith("dead beef ab")]
    assert [row.split("\t")[4] for row in twins] == ["5", "6"]
    for top in (1, 3, 7):
        assert score("plain", "text.txt", "--top", top).splitlines() == in_order[:top]
    assert score("plain", "text.txt", "--top", 1000, "--sort").splitlines() == in_order[:-1]
    limit = found[in_order[2]]["bits_per_char"]
    above = [row for row in rows if found[row]["characters"] and found[row]["bits_per_char"] >= limit]
    assert len(above) == 3
    assert score("plain", "text.txt", "--threshold", repr(limit)).splitlines() == above
    assert score("plain", "text.txt", "--threshold", repr(limit), "--sort").splitlines() == in_order[:3]
    assert score("plain", "text.txt", "--threshold", repr(limit), "--top", 2).splitlines() == in_order[:2]
    assert score("plain", "text.txt", "--threshold", 1000) == ""
    assert score("plain", "text.txt", "--threshold", -1).splitlines() == [row for row in rows if row[:3] != "nan"]


USUAL = 1.25


@pytest.fixture(scope="module")
def known(models):
    """A model that records what validation cost it, as a trained one does."""
    model = read_checkpoint(models / "plain.safetensors")
    progress = Progress(CorpusRecord(("text.txt",), "0" * 64, 50), best_nats=USUAL * math.log(2))
    write_checkpoint(models / "known.safetensors", replace(model, progress=progress))
    return "known"


def ranks_of(costs: list[float]) -> dict[str, float]:
    """Return what each rank says of a line's bits, in the plainest way."""
    stretches = [sum(costs[place : place + 8]) / 8 for place in range(max(1, len(costs) - 7))]
    excess = (sum(costs) - USUAL * len(costs)) / len(costs) ** 0.5
    return {"mean": sum(costs) / len(costs), "worst": max(stretches), "excess": excess}


def test_each_rank_is_printed_first_and_chooses(known):
    found = as_records(known, "text.txt", "--per-char")
    ranks = {record["line"]: ranks_of(record["surprisal"]) for record in found if record["characters"]}
    for record in found:
        for name, rank in (("bits_per_char", "mean"), ("worst", "worst"), ("excess", "excess")):
            expected = ranks.get(record["line"], {}).get(rank)
            assert record[name] == (expected and pytest.approx(expected, rel=1e-5))
    orders = set()
    for rank in RANKS:
        order = sorted(ranks, key=lambda line: (-ranks[line][rank], line))
        rows = score(known, "text.txt", "--by", rank, "--sort").splitlines()
        lines = [int(row.split("\t")[4]) for row in rows]
        # Lines that are the same, and the empty one, are where they were.
        assert lines == [*order, 2]
        assert [row.split("\t")[0] for row in rows[:-1]] == [f"{ranks[line][rank]:.4f}" for line in order]
        assert rows[-1] == "nan\t0.0000\t0\t0\t2\t"
        assert score(known, "text.txt", "--by", rank, "--top", 3).splitlines() == rows[:3]
        # Equal lines differ by rounding at most.
        numbers = [ranks[line][rank] for line in order]
        count = next(count for count in range(2, 7) if numbers[count - 1] - numbers[count] > 0.01)
        limit = (numbers[count - 1] + numbers[count]) / 2
        above = score(known, "text.txt", "--by", rank, "--threshold", limit, "--unbuffered").splitlines()
        assert sorted(above) == sorted(rows[:count])
        heat = run(f"{known}.safetensors", "text.txt", "--heatmap", "--by", rank, "--top", 1).stdout
        assert heat.startswith(f"{ranks[order[0]][rank]:>7.3f}  ")
        orders.add(tuple(order))
    assert len(orders) == 3
    assert score(known, "text.txt", "--by", "mean") == score(known, "text.txt") == score("plain", "text.txt")


def test_only_what_counts_is_ranked():
    (one,) = as_records("after", "--per-char", stdin=b"ab\tdead beef\n")
    costs = [cost for cost in one["surprisal"] if cost is not None]
    assert len(costs) == 9 and one["worst"] == pytest.approx(ranks_of(costs)["worst"], rel=1e-5)
    assert as_records("plain", "--unknown", "skip", stdin=b"ZZ\n")[0]["worst"] is None


WORDS = ["the", "model", "reads", "each", "line", "and", "learns", "which", "letters", "follow", "whatever", "was"]
SHORT = ["+----+", "%%", "qq", "[x]", "-->", "z", "#!", "| |", "*", "k?", "==", "{}", "$$", "~", ";;", "@@", "^^", "<>"]


@pytest.mark.parametrize("tail", ["qzxj#@~", "wntohoew", "]x{k;z"])
def test_a_long_line_with_an_odd_end_is_found_among_short_ones(tail, tmp_path, monkeypatch):
    """The text has short lines of signs, which are rare and cost much a character, and one line was tampered with."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(1)
    lines = [" ".join(rng.choices(WORDS, k=12)) for _ in range(300)]
    text = "\n".join([*lines, *SHORT, "abcdefghijklmnopqrstuvwxyz#@~;{}[]", ""])
    write_bigrams(tmp_path / "pairs.safetensors", text)
    odd = lines[7][:50] + tail
    (tmp_path / "mixed.txt").write_text("\n".join([*lines[:150], *SHORT, odd, *lines[150:], ""]))

    def place(rank):
        rows = score("pairs", "mixed.txt", "--top", 15, "--by", rank).splitlines()
        found = [row.split("\t")[5] for row in rows]
        return found.index(odd) if odd in found else None

    assert place("mean") is None
    assert place("worst") < 3


def test_per_char_lists_every_character_of_a_line():
    rows = [row.split("\t") for row in score("plain", "text.txt", "--per-char").splitlines()]
    shown = {"\t": "\\t", "Z": "Z", " ": " "}
    expected = [
        (str(number), str(column), shown.get(character, character))
        for number, line in enumerate(TEXT.split("\n"), 1)
        for column, character in enumerate(line, 1)
    ]
    assert [(line, column, character) for line, column, _, character in rows] == expected
    bits = as_records("plain", "text.txt")
    for record in bits:
        own = [float(row[2]) for row in rows if row[0] == str(record["line"])]
        assert sum(own) == pytest.approx(record["bits"], abs=1e-3)
    ends = score("plain", "--per-char", "--line-ends", stdin=b"a\nb\n").splitlines()
    assert [row.split("\t")[:2] + row.split("\t")[3:] for row in ends] == [
        ["1", "1", "a"],
        ["1", "2", "\\n"],
        ["2", "1", "b"],
        ["2", "2", "\\n"],
    ]


# --- Members of JSON ---


def test_the_member_of_an_object_is_scored_as_a_line():
    objects, lines = as_records("plain", "objects.jsonl", "--field", "t"), as_records("plain", "text.txt")
    assert objects == [{"n": 1} | line for line in lines]
    several = [{"t": "a\nb"}, {"t": "c\ud800"}]
    stdin = "".join(json.dumps(one) + "\n" for one in several).encode()
    # A record is one line, and its characters are the record's.
    rows = score("plain", "--field", "t", stdin=stdin).splitlines()
    assert [row.split("\t")[2:] for row in rows] == [["3", "0", "1", "a\\nb"], ["2", "1", "2", "c\ufffd"]]
    rows = score("plain", "--field", "t", "--per-char", stdin=stdin).splitlines()
    assert [row.split("\t")[:2] for row in rows] == [["1", "1"], ["1", "2"], ["1", "3"], ["2", "1"], ["2", "2"]]
    assert [record["text"] for record in as_records("plain", "--field", "t", stdin=stdin)] == ["a\nb", "c\ud800"]


def test_the_other_members_come_out_as_they_came_in():
    deep = "[" * 600 + "]" * 600
    others = (
        '"id": [1,  {"x": "☞"}], "z": 1.10, "big": 12345678901234567890, "e": 1e400, "half": "\\ud800", '
        f'"d": 1, "d": 2, "deep": {deep}, "": null'
    )
    result = run("plain.safetensors", "--field", "t", "--jsonl", stdin=f'{{{others}, "t": "a"}}\n'.encode())
    assert result.stdout.startswith(f'{{{others}, "line": 1, ') and result.stderr == ""
    (plain,) = as_records("plain", stdin=b"a\n")
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert {name: found[name] for name in plain} == plain and "t" not in found
    # Half of a character is scored as U+FFFD, and comes out as it came in.
    half = as_records("plain", "--field", "t", stdin=b'{"t": "c\\ud800"}\n')
    assert half == [as_records("plain", stdin="c\ufffd\n".encode())[0] | {"text": "c\ud800"}]


def test_a_member_that_has_the_name_of_one_of_ours_gets_another_and_that_is_told():
    several = [
        {"t": "a", "run": "mine", "line": [7]},
        {"t": "b", "run": "mine", "input_run": 3, "surprisal": 1},
        {"t": 5, "text": "c", "bits": "seven"},
    ]
    stdin = "".join(json.dumps(one) + "\n" for one in several).encode()
    result = run("plain.safetensors", "--field", "t", "--jsonl", stdin=stdin)
    first, second, third = map(json.loads, result.stdout.splitlines())
    ours, other = as_records("plain", stdin=b"a\nb\n")
    assert first == {"input_run": "mine", "input_line": [7]} | ours
    assert second == {"input_input_run": "mine", "input_run": 3, "surprisal": 1} | other
    assert third == {"t": 5, "input_text": "c", "input_bits": "seven"} | dict.fromkeys(ours) | {
        "line": 3, "run": "plain.safetensors",
    }  # fmt: skip
    said = "Line {} has a member '{}', as the score has: it is renamed to '{}', also in other lines."
    clashes = [(1, "run", "input_run"), (1, "line", "input_line"), (2, "run", "input_input_run")]
    clashes += [(3, "text", "input_text"), (3, "bits", "input_bits")]
    told = result.stderr.splitlines()
    assert [line for line in told if "scored" not in line] == [said.format(*clash) for clash in clashes]
    # A name is ours only where we use it.
    per_char = run("plain.safetensors", "--field", "t", "--jsonl", "--per-char", stdin=stdin)
    assert json.loads(per_char.stdout.splitlines()[1])["input_surprisal"] == 1
    assert said.format(2, "surprisal", "input_surprisal") in per_char.stderr
    # As fields nothing of them is printed, so there is nothing to tell.
    assert "is renamed" not in run("plain.safetensors", "--field", "t", stdin=stdin).stderr


@pytest.mark.parametrize("name", ["a.csv", "A.TSV", "a.csv.gz"])
def test_a_table_is_refused_at_once(name, models):
    """Only JSON lines have a field for score, though train, eval and vocab read tables too."""
    table = b"t,n\na,1\n"
    (models / name).write_bytes(gzip.compress(table) if name.endswith("gz") else table)
    for words in ([name], ["objects.jsonl", "--threshold", "99%", "--calibrate", name]):
        result = CliRunner().invoke(app, ["score", "plain.safetensors", *words, "--field", "t"])
        assert isinstance(result.exception, CharRNNError) and result.output == ""
        assert (
            as_options(result.exception.message) == f"{name} is a table, but score reads --field only from JSON lines."
        )
    assert score("plain", name).count("\n") == 2
    assert "not a JSON object" in run("plain.safetensors", "--field", "t", stdin=table + b'{"t": "a"}\n').stderr


def test_what_json_has_not_becomes_null_and_that_is_told_once():
    lines = ['{"t": "a", "n": NaN, "x": 1}', '{"t": "b", "n": {"NaN": [-Infinity, "NaN, \\"Infinity", 1e400]}}']
    for first, constant in ((0, "NaN"), (1, "-Infinity")):
        stdin = "".join(line + "\n" for line in ['{"t": "NaN"}', *lines[first:]]).encode()
        result = run("plain.safetensors", "--field", "t", "--jsonl", stdin=stdin)
        found = [json.loads(line, parse_constant=pytest.fail) for line in result.stdout.splitlines()]
        assert found[0]["text"] == "NaN" and found[-1]["n"] == {"NaN": [None, 'NaN, "Infinity', math.inf]}
        assert "[null, " in result.stdout and "1e400" in result.stdout
        said = f"Line 2 has {constant} in 'n', which is not valid JSON: it becomes null, also in other lines.\n"
        assert result.stderr == said


ODD = {
    "x": "Line 4 is not a JSON object, but --field needs one: it is not scored.",
    "": "Line 4 is not a JSON object, but --field needs one: it is not scored.",
    '["t"]': "Line 4 is not a JSON object, but --field needs one: it is not scored.",
    '{"u": "a", "v": 1}': "Line 4 has no member 't', only u, v: it is not scored.",
    '{"t": 3, "v": 1}': "Line 4 has a member 't', but it is not a text: it is not scored.",
    '{"t": null}': "Line 4 has a member 't', but it is not a text: it is not scored.",
}


@pytest.mark.parametrize("bad", ODD)
def test_a_line_without_the_member_is_told_of_and_passed_over(bad, monkeypatch):
    monkeypatch.setattr(records, "PORTION", 2)
    texts = ["a", "bad", "cafe", None, "dead"]
    lines = [bad if text is None else json.dumps({"t": text}) for text in texts]
    stdin = "".join(line + "\n" for line in lines).encode()
    numbers = ("bits_per_char", "worst", "excess", "bits", "characters", "unknown", "surprisal", "read")
    nothing = dict.fromkeys((*numbers, "text")) | {"line": 4, "run": "plain.safetensors"}
    kept = json.loads(bad) if bad.startswith("{") else {}
    for options in ((), ("--unbuffered",)):
        result = run("plain.safetensors", "--field", "t", "--jsonl", "--per-char", *options, stdin=stdin)
        assert result.stderr == ODD[bad] + "\n"
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [record["line"] for record in found] == [1, 2, 3, 4, 5]
        assert [record["text"] for record in found] == texts
        assert found[3] == kept | nothing
        # As fields an odd line is like an empty one, and as it was.
        rows = run("plain.safetensors", "--field", "t", *options, stdin=stdin).stdout.splitlines()
        assert rows[3] == f"nan\t0.0000\t0\t0\t4\t{bad}" and len(rows) == 5
    for options in (("--top", 9), ("--threshold", -1)):
        rows = run("plain.safetensors", "--field", "t", *options, stdin=stdin).stdout.splitlines()
        assert sorted(row.split("\t")[4] for row in rows) == ["1", "2", "3", "5"]
    assert run("plain.safetensors", "--field", "t", "--sort", stdin=stdin).stdout.splitlines()[-1].endswith("\t" + bad)
    heat = run("plain.safetensors", "--field", "t", "--heatmap", stdin=stdin).stdout.splitlines()
    assert heat[3] == f"      -  {bad}"


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (['{"u": "a", "v": 1}', '{"w": 2}'], "has no member 't', only u, v"),
        (["", '{"u": "a"}'], "is not a JSON object, but --field needs one"),
        (['{"t": 1}'] * 30, "has a member 't', but it is not a text"),
    ],
)
def test_that_no_line_has_the_member_is_an_error_in_the_end(lines, first, monkeypatch):
    monkeypatch.setattr(records, "PORTION", 2)
    stdin = "".join(line + "\n" for line in lines).encode()
    for options in ((), ("--jsonl",), ("--unbuffered",), ("--top", "2"), ("--threshold", "0"), ("--sort",)):
        arguments = ["score", "plain.safetensors", "--field", "t", *options]
        result = CliRunner().invoke(app, arguments, input=stdin)
        assert isinstance(result.exception, CharRNNError) and result.exit_code == 1
        said = f"No line could be scored: the first one {first}."
        assert as_options(result.exception.message) == said
        assert len(result.stdout.splitlines()) == (0 if {"--top", "--threshold", "--sort"} & {*options} else len(lines))
        # One that has it is enough, and a text without lines lacks nothing.
        for enough in (b'{"t": ""}\n', b""):
            run("plain.safetensors", "--field", "t", *options, stdin=stdin + enough if enough else b"")


def test_of_many_odd_lines_the_first_few_are_told():
    result = run("plain.safetensors", "--field", "t", "--unbuffered", stdin=b"x\n" * 30 + b'{"t": "a"}\n' + b"x\n")
    said = result.stderr.splitlines()
    assert len(said) == 11 and said[9].startswith("Line 10 ") and said[10] == "… and also in other lines."
    assert len(result.stdout.splitlines()) == 32
    many = json.dumps(dict.fromkeys("abcdefghijklmnop"))
    assert (
        "only a, b, c, d, e, f, g, h, i, j …: it"
        in run("plain.safetensors", "--field", "t", stdin=many.encode() + b'\n{"t": "a"}').stderr
    )


def test_the_member_of_bytes_that_are_no_text():
    result = run(
        "bytes.safetensors", "--field", "t", "--jsonl", stdin=b'{"t": "\xff"}\n{"t": "a", "u": "\xc3\xa9\\ud800"}\n'
    )
    first, second = map(json.loads, result.stdout.splitlines())
    assert "Line 1 is not a JSON object" in result.stderr and first["text"] is None
    assert (second["text"], second["u"]) == ("a", "é\ud800")


# --- Whole texts ---


@pytest.mark.parametrize("model", ["plain", "lines", "after", "files", "unknown", "windows"])
def test_the_score_of_a_text_is_what_eval_says(model):
    (facts,) = as_records(model, "known.txt", "--whole")
    evaluated = json.loads(run(f"{model}.safetensors", "known.txt", "--json", command="eval").stdout)
    assert list(facts) == ["file", "bits_per_char", "bits", "characters", "unknown", "run"]
    assert (facts["file"], facts["characters"], facts["unknown"]) == ("known.txt", evaluated["characters"], 0)
    assert facts["bits_per_char"] == pytest.approx(evaluated["bits_per_char"], rel=1e-6)
    assert facts["bits"] == pytest.approx(evaluated["bits_per_char"] * evaluated["characters"], rel=1e-6)
    costs = costs_in(score(model, "known.txt", "--whole", "--per-char"))
    assert len(costs) == facts["characters"] and sum(costs) == pytest.approx(facts["bits"], rel=1e-5)
    (with_characters,) = as_records(model, "known.txt", "--whole", "--per-char")
    counted = [cost for cost in with_characters.pop("surprisal") if cost is not None]
    assert sum(counted) == pytest.approx(facts["bits"], rel=1e-6) and with_characters == facts
    numbers = f"{facts['bits_per_char']:.4f}\t{facts['bits']:.4f}\t{facts['characters']}\t0"
    assert score(model, "known.txt", "--whole") == f"{numbers}\tknown.txt\n"


def test_the_characters_of_a_text_have_lines_and_columns():
    text = TEXT.replace("Z", "")
    rows = [row.split("\t") for row in score("plain", "-", "--whole", "--per-char", stdin=text.encode()).splitlines()]
    shown = {"\t": "\\t", "\n": "\\n"}
    assert [row[3] for row in rows] == [shown.get(character, character) for character in text]
    lines = text.splitlines(keepends=True)
    assert [(int(row[0]), int(row[1])) for row in rows] == [
        (number, column) for number, line in enumerate(lines, 1) for column in range(1, len(line) + 1)
    ]


def test_a_text_with_unknown_characters_follows_the_policy_of_eval():
    with pytest.raises(CharRNNError, match=r"text\.txt has characters that"):
        run("plain.safetensors", "text.txt", "--whole")
    for policy in ("skip", "replace"):
        result = run("plain.safetensors", "text.txt", "--whole", "--jsonl", "--unknown", policy)
        evaluated = run("plain.safetensors", "text.txt", "--json", "--unknown", policy, command="eval")
        facts = json.loads(result.stdout)
        assert facts["unknown"] == 2 and "2 characters of text.txt are unknown" in result.stderr
        assert facts["bits_per_char"] == pytest.approx(json.loads(evaluated.stdout)["bits_per_char"], rel=1e-6)
    with pytest.raises(CharRNNError, match="stdin is empty"):
        run("plain.safetensors", "--whole")
    with pytest.raises(CharRNNError, match="not UTF-8"):
        run("plain.safetensors", "--whole", stdin=b"ab\xff")
    replaced = run("unknown.safetensors", "--whole", "--errors", "replace", "--jsonl", stdin=b"ab\xff")
    assert json.loads(replaced.stdout)["unknown"] == 1


def test_a_file_whose_name_is_no_text(here):
    name = os.fsdecode(b"odd\xff\n.txt")
    (here / name).write_text("abc")
    assert score("plain", name, "--whole").endswith("\todd\\xff\\n.txt\n")
    assert as_records("plain", name, "--whole")[0]["file"] == "odd\\xff\\n.txt"
    assert len(score("plain", name).splitlines()) == 1


# --- Models of bytes ---


def test_lines_of_bytes_are_printed_as_they_are():
    odd = "a\té☞\n".encode() + b"\xff\0\r\n"
    printed = run("bytes.safetensors", stdin=odd).stdout_bytes
    assert [row.split(b"\t", 5)[2:] for row in printed.split(b"\n")[:2]] == [
        [b"7", b"0", b"1", "a\té☞".encode()],
        [b"3", b"0", b"2", b"\xff\0\r"],
    ]
    found = as_records("bytes", stdin=odd)
    assert [record["text"] for record in found] == ["a\té☞", "\udcff\0\r"]
    objects = as_records("bytes", "--field", "t", stdin='{"t": "é\\u263a"}\n'.encode())
    assert objects[0]["text"] == "é☺" and objects[0]["unknown"] == 0


# Text, a byte that is none, the beginning of a character that has no end, half of one as no UTF-8 has it.
ODD_BYTES = "é\t☞Ã".encode() + b"\xff\xe2\x98a\xed\xa0\x80\xf0\x9f\n"
SHOWN = ["é", "\t", "☞", "Ã", r"\xff", r"\xe2", r"\x98", "a", r"\xed", r"\xa0", r"\x80", r"\xf0", r"\x9f", "\n"]


@pytest.mark.parametrize("block", [1, 2, 7, 100])
def test_bytes_are_shown_as_the_characters_that_they_make(block, monkeypatch):
    """A text is read in blocks, which cut characters anywhere."""
    monkeypatch.setattr("charrnn.data.parts.BLOCK", block)
    (record,) = as_records("bytes", "--per-char", stdin=ODD_BYTES)
    # In JSON each byte has its bits, and the text its bytes.
    raw = record["text"].encode("utf-8", "surrogateescape")
    assert raw == ODD_BYTES[:-1] and record["text"].startswith("é\t☞Ã\udcff\udce2")
    assert len(record["surprisal"]) == record["characters"] == len(raw)
    (of_text,) = as_records("bytes", "--per-char", "--whole", stdin=ODD_BYTES)
    assert len(of_text["surprisal"]) == len(ODD_BYTES)
    sizes = [len(c.encode()) if len(c) == 1 else 1 for c in SHOWN]
    begins = [sum(sizes[:place]) for place in range(len(sizes))]
    for options, costs in (((), record["surprisal"]), (("--whole",), of_text["surprisal"])):
        rows = [row.split("\t") for row in score("bytes", "--per-char", *options, stdin=ODD_BYTES).splitlines()]
        shown = SHOWN if options else SHOWN[:-1]
        assert [row[3] for row in rows] == [{"\t": "\\t", "\n": "\\n"}.get(c, c) for c in shown]
        # A character begins at its first byte, and costs what its bytes cost.
        assert [int(row[1]) for row in rows] == [begin + 1 for begin in begins[: len(rows)]]
        sums = [sum(costs[begin : begin + size]) for begin, size in zip(begins, sizes, strict=True)][: len(rows)]
        assert [float(row[2]) for row in rows] == pytest.approx(sums, abs=2e-4)
    plain = [run("bytes.safetensors", "--heatmap", *file, stdin=ODD_BYTES).stdout_bytes for file in ((), ("--whole",))]
    assert plain[0].endswith(b"  " + ODD_BYTES) and plain[1] == ODD_BYTES
    monkeypatch.setenv("FORCE_COLOR", "1")
    for options in ((), ("--whole",)):
        heat = run("bytes.safetensors", "--heatmap", *options, "--html", "bytes.html", stdin=ODD_BYTES).stdout
        assert re.sub("[→↵]", "", SGR.sub("", heat)).endswith("".join(SHOWN))
        page = Reader(Path("bytes.html").read_text(encoding="utf-8"))
        assert [character for _, character in page.characters] == (SHOWN if options else SHOWN[:-1])


def test_what_does_not_count_of_bytes_is_nothing_of_a_character():
    rows = [row.split("\t") for row in score("byte pairs", "--per-char", stdin="☞é☞\n".encode()).splitlines()]
    (record,) = as_records("byte pairs", "--per-char", stdin="☞é☞\n".encode())
    # The separator is the first byte of é.
    assert record["surprisal"][:4] == [None] * 4 and record["characters"] == 4
    assert [row[3] for row in rows] == ["☞", "é", "☞"] and rows[0][2] == "nan"
    assert float(rows[1][2]) == pytest.approx(record["surprisal"][4], abs=1e-4)


# --- Heat maps ---


@pytest.mark.parametrize("options", [(), ("--whole", "--unknown", "replace"), ("--line-ends",)])
def test_the_heat_map_on_the_terminal(options, monkeypatch):
    plain = run("plain.safetensors", "text.txt", "--heatmap", *options)
    assert (
        "\x1b" not in plain.stdout + plain.stderr
        and "Colours are printed only to terminals; set FORCE_COLOR=1" in plain.stderr
    )
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run("plain.safetensors", "text.txt", "--heatmap", *options)
    assert SGR.search(coloured.stdout) and "bits:" in SGR.sub("", coloured.stderr)
    # Marks apart, the text is what it was.
    bare = re.sub("[↵→]", "", SGR.sub("", coloured.stdout))
    assert bare == re.sub("[↵→]", "", plain.stdout)
    if "--whole" in options:
        assert plain.stdout == TEXT.replace("Z", " ")
    else:
        assert [row[9:] for row in plain.stdout.splitlines()] == TEXT.split("\n")
        assert plain.stdout.splitlines()[6][:9] == " 20.085  " or "--line-ends" in options


@pytest.mark.parametrize("options", [(), ("--whole",), ("--sort",), ("--jsonl",), ("--line-ends",)])
def test_the_heat_map_as_a_page(options, here):
    text = "<b>☞</b>&amp;\t\x1b[2J\x00\n\n\u202ebad\n"
    (here / "odd.txt").write_text(text, encoding="utf-8")
    with_unknown = ("--unknown", "replace") if "--whole" in options else ()
    result = run("plain.safetensors", "odd.txt", "--html", "page.html", *options, *with_unknown)
    plain = run("plain.safetensors", "odd.txt", *options, *with_unknown)
    assert result.stdout == plain.stdout
    assert result.stderr == plain.stderr + "The heat map is page.html.\n"
    page = Reader((here / "page.html").read_text(encoding="utf-8"))
    expected = {"--whole": re.sub("[^\n\t ab☞deéc]", " ", text), "--line-ends": text}.get(options[0] if options else "")
    expected = text.replace("\n", "") if expected is None else expected
    shown = "".join(character for _, character in page.characters)
    if "--sort" in options:
        assert sorted(shown) == sorted(expected.translate({0x1B: "\\x1b", 0: "\\x00", 0x202E: "\\u202e"}))
    else:
        assert shown == expected.translate({0x1B: "\\x1b", 0: "\\x00", 0x202E: "\\u202e"})
    total = sum(
        len(json.loads(line)["text"]) for line in run("plain.safetensors", "odd.txt", "--jsonl").stdout.splitlines()
    )
    count = len(text) if {"--whole", "--line-ends"} & {*options} else total
    assert f"characters {count:,} · " in page.texts["footer"]
    assert page.texts["h1"] == "Surprisal of odd.txt by plain.safetensors"


def test_a_page_of_what_is_chosen(here):
    run("plain.safetensors", "text.txt", "--top", 1, "--html", "top.html")
    page = Reader((here / "top.html").read_text(encoding="utf-8"))
    assert [character for _, character in page.characters] == ["Z"]
    assert page.texts["footer"] == "characters 1 · bits per character 20.0848 · unknown 1"


def test_a_page_is_whole_even_if_a_line_is_not(here, monkeypatch):
    monkeypatch.setattr(records, "PORTION", 1)
    with pytest.raises(CharRNNError, match="Line 2 has characters that"):
        run("plain.safetensors", "--unknown", "error", "--unbuffered", "--html", "half.html", stdin=b"ab\nx\n")
    assert (here / "half.html").read_text().endswith("</footer>\n")


def test_of_what_failed_there_is_no_page(here):
    (here / "program").write_bytes(b"\x7fELF\2\1\1" + bytes(200))
    for arguments in (("program",), ("program", "--whole"), ("text.txt", "--whole")):
        result = CliRunner().invoke(app, ["score", "plain.safetensors", *arguments, "--html", "failed.html"])
        assert isinstance(result.exception, CharRNNError) and result.stdout == ""
        # Nothing came before the error, so there is no page.
        assert "heat map" not in result.stderr and not (here / "failed.html").exists()


# --- What is refused ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plain.safetensors", "missing.txt"), "neither a run nor a file 'missing.txt'"),
        (("missing", "text.txt"), "no run 'missing'"),
        (("missing.safetensors", "text.txt"), "missing.safetensors"),
        (("text.txt",), "There is no run in"),
        (("plain.safetensors", "folder"), "folder is a folder; charrnn score reads the lines of one text"),
        (
            ("plain.safetensors", "text.txt", "known.txt"),
            "2 texts were named: text.txt, known.txt; charrnn",
        ),
        (("plain.safetensors", "text.txt", "--unbuffered", "--sort"), "--unbuffered prints each line immediately, but"),
        (("plain.safetensors", "text.txt", "--unbuffered", "--top", "2"), "--unbuffered"),
        (("plain.safetensors", "text.txt", "--unbuffered", "--whole"), "--unbuffered"),
        (("plain.safetensors", "text.txt", "--whole", "--field", "t"), "--whole scores the text as a whole"),
        (("plain.safetensors", "text.txt", "--whole", "--line-ends"), "--whole"),
        (("plain.safetensors", "text.txt", "--whole", "--sort"), "--whole"),
        (("plain.safetensors", "text.txt", "--whole", "--top", "1"), "--whole"),
        (("plain.safetensors", "text.txt", "--whole", "--threshold", "0"), "--whole"),
        (("plain.safetensors", "text.txt", "--whole", "--by", "worst"), "--whole"),
        (("plain.safetensors", "text.txt", "--by", "best"), "--by is 'best'; it must be one of mean, worst, excess."),
        (("plain.safetensors", "text.txt", "--by", "excess"), "plain.safetensors does not record"),
        (("plain.safetensors", "text.txt", "--threshold", "nan"), "--threshold is nan"),
        (("plain.safetensors", "text.txt", "--heatmap", "--jsonl"), "--heatmap prints the text in colours"),
        (("plain.safetensors", "text.txt", "--heatmap", "--per-char"), "--heatmap"),
        (("plain.safetensors", "text.txt", "--unknown", "forget"), "--unknown is 'forget'"),
        (("plain.safetensors", "text.txt", "--encoding", "klingon"), "--encoding is 'klingon'"),
        (("plain.safetensors", "text.txt", "--errors", "ignore"), "errors"),
        (("plain.safetensors", "text.txt", "--html", "nowhere/page.html"), "nowhere/page.html cannot be written"),
        (
            ("plain.safetensors", "text.txt", "--html", "./text.txt"),
            "text.txt exists already, and it is not a heat map",
        ),
        (("plain.safetensors", "text.txt", "--html", "."), ". is a folder; a heat map is a file."),
        (("plain.safetensors", "text.txt", "--html", "/dev/null"), "/dev/null is a link or a device."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_requests_get_one_clear_message(arguments, said, here, monkeypatch):
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(here / "none"))
    before = {path: path.read_bytes() for path in here.iterdir() if path.is_file()}
    result = CliRunner().invoke(app, ["score", *arguments])
    assert isinstance(result.exception, CharRNNError) and said in as_options(result.exception.message)
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in here.iterdir() if path.is_file()} == before


def test_wrong_usage_is_explained():
    for wrong in (("--top", "0"), ("--top", "many"), ("--threshold", "much"), ("--tpo", "1")):
        assert CliRunner().invoke(app, ["score", "plain.safetensors", "text.txt", *wrong]).exit_code == 1


# --- In pipes, as processes of their own ---


def piped(folder, *arguments):
    return subprocess.Popen(
        [COMMAND, "score", *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )


def test_unbuffered_a_line_in_is_a_line_out_and_ctrl_c_ends_it(here):
    """Were a line waited for in vain, reading would block: then the alarm ends the test."""
    process = piped(here, "plain.safetensors", "--unbuffered", "--html", "live.html")
    watchdog = signal.signal(signal.SIGALRM, lambda *signal: process.kill())
    signal.alarm(60)
    try:
        for number, line in enumerate((b"a", b"", b"bad cafe", b"Z"), 1):
            process.stdin.write(line + b"\n")
            assert process.stdout.readline().split(b"\t")[4:] == [b"%d" % number, line + b"\n"]
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, watchdog)
        process.kill()
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in said and said.endswith(b"Interrupted.\n")
    page = Reader((here / "live.html").read_text(encoding="utf-8"))
    # The signal may have come before the last line was drawn.
    assert "".join(character for _, character in page.characters) in ("abad cafe", "abad cafeZ")


def test_a_reader_that_leaves_is_no_error_and_a_full_disk_is_one(here):
    (here / "long.txt").write_text("bad cafe\n" * 30_000)
    script = '"$0" score plain.safetensors long.txt | head -1; exit ${PIPESTATUS[0]}'
    left = charrnn_in(here, "-c", script, COMMAND, command="bash")
    assert (left.returncode, left.stderr) == (0, "") and left.stdout.count(b"\n") == 1
    full = charrnn_in(here, "-c", '"$0" score plain.safetensors text.txt >/dev/full', COMMAND, command="sh")
    assert (full.returncode, full.stderr) == (1, "charrnn: No space left on device.\n")


def test_scoring_imports_no_framework(here):
    result, loaded = loaded_by(here, "score", "plain.safetensors", "text.txt", "--html", "page.html", "--per-char")
    assert result.returncode == 0 and "charrnn.inference.scoring" in loaded
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()


def test_the_text_as_it_was_read_is_as_long_as_its_numbers(here):
    write_model(here / "lower.safetensors", Vocabulary.of("abi\u0307"), TextConfig(lower=True))
    (record,) = map(
        json.loads, run("lower.safetensors", "--jsonl", "--per-char", stdin="İA\n".encode()).stdout.splitlines()
    )
    assert record["text"] == "İA" and record["read"] == "i\u0307a" and len(record["surprisal"]) == 3


def test_a_page_stays_if_nothing_could_be_scored(here):
    run("plain.safetensors", "text.txt", "--html", "page.html")
    before = Path("page.html").read_bytes()
    Path("other.txt").write_text("ZZZ\n")
    for page in ("page.html", "new.html"):
        arguments = ["score", "plain.safetensors", "--whole", "other.txt", "--unknown", "error", "--html", page]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, CharRNNError) and "heat map" not in result.stderr
    assert Path("page.html").read_bytes() == before and not Path("new.html").exists()
