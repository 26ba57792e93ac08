"""`charrnn sample` from the command line: every option, what it refuses, what goes to stdout and what to stderr."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from charrnn.api.datasets import corpus_record
from charrnn.api.model import load
from charrnn.api.novelty import Known
from charrnn.cli.app import main
from charrnn.cli.escapes import unescaped
from charrnn.cli.views.heat import coloured
from charrnn.cli.views.sample_files import SampleFiles
from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.corpus import dataset
from charrnn.data.parts import Part
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.generation import Ending, Generation, Sample, generate_one
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.runs.progress import Progress
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, charrnn_in
from support.models import random_weights

LINES = TextConfig(one_per_line=True)
NAMES = ["a", "b", "ab", "ac", "ba", "aab", "cab"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of untrained models that record a text as a real run does, and texts.

    `names` has lines for documents, which are short, `marked` what "cb" ends; `story` carries on; `bytes` is of bytes,
    `unknown` of a few characters and the unknown symbol, `lower` of small letters alone; `flat` knows no line break.
    """
    folder = tmp_path_factory.mktemp("sampling")
    (folder / "names.txt").write_text("\n".join([*NAMES, ""]))
    (folder / "story.txt").write_text("abc\ncab ☞\nbab bac cab\n", encoding="utf-8")
    (folder / "marked.txt").write_text("cb".join([*NAMES[:3], "a\nb", "\n", "acb"]))
    config = ModelConfig("lstm", 1, 12)
    for name, vocab, text, source in (
        ("names", Vocabulary.of("\nabc"), LINES, "names.txt"),
        ("marked", Vocabulary.of("\nabc"), TextConfig(documents_between="cb"), "marked.txt"),
        ("story", Vocabulary.of("\n abc☞"), TextConfig(), "story.txt"),
        ("bytes", Vocabulary(tuple(map(chr, range(256)))), TextConfig(bytes=True), "story.txt"),
        ("unknown", Vocabulary.of("\nabc", has_unknown=True), TextConfig(), "names.txt"),
        ("lower", Vocabulary.of("\n abc☞"), TextConfig(lower=True), "story.txt"),
        ("flat", Vocabulary.of("abc"), TextConfig(), None),
    ):
        weights = random_weights(config, vocab.size, "float32", scale=3.0)
        progress = None
        if source:
            read = read_text([folder / source], text)
            data = dataset(read, Vocabulary.of(read.symbols), TrainConfig(val=0))
            progress = Progress(corpus_record(data), step=1)
        (folder / "checkpoints" / name).mkdir(parents=True)
        path = folder / "checkpoints" / name / "best.safetensors"
        write_checkpoint(path, Checkpoint(config, vocab, dict(weights), progress=progress, text=text))
    return folder


class Done(NamedTuple):
    code: int
    out: str
    said: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def sample(folder, monkeypatch, capfdbinary):
    """Return a function that runs `charrnn sample` in this process."""
    monkeypatch.chdir(folder)
    for name in ("CHARRNN_CHECKPOINTS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments, stdin: bytes = b"", encoding: str = "utf-8") -> Done:
        monkeypatch.setattr(sys, "argv", ["charrnn", "sample", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code: Any = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code or 0
        out, said = capfdbinary.readouterr()
        assert b"Traceback" not in said
        return Done(code, out.decode(encoding), said.decode())

    return run


def model_named(folder, name: str) -> Model:
    return Model.load(folder / "checkpoints" / name / "best.safetensors")


def text_of(model: Model, prime: str, ending: Ending, sampling: Sampling, **settings: Any) -> str:
    how = Generation(ending, sampling, **settings)
    generated = generate_one(model, model.before(model.vocab.encode(prime)), how)
    return model.vocab.decode([character.id for character in generated])


# What is written


@pytest.mark.parametrize(
    ("options", "sampling"),
    [
        ((), Sampling()),
        (("--temp", "0.5"), Sampling(0.5)),
        (("-t", "0"), Sampling(0)),
        (("--temp", "1e300"), Sampling(1e300)),
        (("--top-k", "2"), Sampling(top_k=2)),
        (("--top-p", "0.6"), Sampling(top_p=0.6)),
        (("--min-p", "0.5"), Sampling(min_p=0.5)),
        (("--typical", "0.4"), Sampling(typical=0.4)),
        (
            ("--temp", "2", "--top-k", "4", "--top-p", "0.9", "--min-p", "0.1", "--typical", "0.8"),
            Sampling(2, 4, 0.9, 0.1, 0.8),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_filter_reaches_the_text(options, sampling, sample, folder):
    expected = text_of(model_named(folder, "story"), "ab", Ending(120), sampling, seed=3)
    assert sample("story", "-n", 120, "--prime", "ab", "--seed", 3, *options) == (0, "ab" + expected, "")


def test_a_text_is_written_exactly_and_samples_each_end_with_a_line(sample, folder):
    model = model_named(folder, "story")
    whole = text_of(model, "", Ending(50), Sampling(), seed=1)
    assert sample("story", "-n", 50, "--seed", 1).out == whole
    assert sample("story", "-n", 0, "--prime", "ab").out == "ab"
    assert sample("story", "-n", 50, "--count", 0) == (0, "", "")
    # Several have an empty line between them.
    several = sample("story", "-n", 50, "--seed", 1, "-c", 3, "--prime", "a").out
    texts = several.removesuffix("\n").split("\n\na")
    assert several.count("a") > 3 and several.startswith("a") and several.endswith("\n") and len(texts) >= 3
    records = sample("story", "-n", 50, "--seed", 1, "-c", 3, "--prime", "a", "--jsonl").records
    ended = ["a" + record["text"].removesuffix("\n") + "\n" for record in records]
    assert several == "\n".join(ended)
    # Unless each is one line; however the line break was typed.
    for until in (r"\n", "\n"):
        lines = sample("story", "-n", 50, "--seed", 1, "-c", 5, "--until", until).out
        assert len(lines.splitlines()) == lines.count("\n") == 5


def test_a_seed_tells_every_text_and_how_many_are_made_tells_none(sample):
    def texts(*options: Any) -> list[str]:
        return [record["text"] for record in sample("story", "-n", 40, "--jsonl", *options).records]

    twenty = texts("--seed", 5, "--count", 20)
    assert len(set(twenty)) == 20
    for count in (1, 2, 19):
        assert texts("--seed", 5, "--count", count) == twenty[:count]
    assert sample("story", "-n", 40, "--seed", 5).out == twenty[0]
    assert not set(texts("--seed", 6, "--count", 20)) & set(twenty)
    assert texts() != texts()


def test_ids(sample, folder):
    model = model_named(folder, "story")
    whole = "ab" + text_of(model, "ab", Ending(30), Sampling(), seed=2)
    options = ("story", "-n", 30, "--prime", "ab", "--seed", 2)
    assert list(map(int, sample(*options, "--ids").out.split())) == model.vocab.encode(whole).tolist()
    lines = sample(*options, "--ids", "-c", 3).out.splitlines()
    assert len(lines) == 3 and list(map(int, lines[0].split())) == model.vocab.encode(whole).tolist()
    (record,) = sample(*options, "--ids", "--jsonl").records
    assert record["ids"] == model.vocab.encode(whole[2:]).tolist()


def test_records_tell_what_a_text_cost_before_any_filter(sample, folder):
    model = model_named(folder, "names")
    filters = ("--temp", 0.7, "--top-p", 0.9, "--forbid", "c")
    records = sample("names", "--lines", 30, "--jsonl", "--seed", 1, "-n", 40, *filters).records
    assert len(records) == 30 and all("c" not in record["text"] for record in records)
    assert any(not record["text"] for record in records)
    for record in records:
        names = [
            "prime",
            "temperature",
            "text",
            "characters",
            "log_probability",
            "bits",
            "bits_per_char",
            "ended",
            "run",
        ]
        assert list(record) == names
        assert record["characters"] == len(record["text"]) and "\n" not in record["text"]
        assert record["ended"] == (record["characters"] < 40)
        if not record["text"]:
            assert (record["bits"], record["bits_per_char"]) == (0, None)
            continue
        # Every line by itself, as eval reads it.
        part = Part(model.vocab.encode(record["text"]).astype(np.int64), None, None, 0, True)
        nats = mean_nats(model, [part]) * len(record["text"])
        assert record["log_probability"] == pytest.approx(-nats, rel=1e-5)
        assert record["bits"] == pytest.approx(nats / np.log(2), rel=1e-5)
        assert record["bits_per_char"] == pytest.approx(record["bits"] / record["characters"])
    (empty,) = sample("names", "-n", 0, "--jsonl", "--prime", "a").records
    assert empty == {
        "prime": "a", "temperature": 1.0, "text": "", "characters": 0,
        "log_probability": 0.0, "bits": 0.0, "bits_per_char": None,
        "ended": False, "run": "names",
    }  # fmt: skip
    assert str(empty["log_probability"]) == "0.0"


@pytest.mark.parametrize(
    "options",
    [
        ("names", "-c", 12, "--ids"),
        ("names", "--lines", 12),
        ("names", "-c", 12, "--until", r"\n"),
        ("names", "--beam", 3),
        ("story", "--lines", 1, "-c", 12),
        ("story", "--until", r"\n", "-c", 12),
        ("flat", "-n", 5, "-c", 3),
    ],
)
def test_a_line_costs_what_score_says_of_it(options, sample, folder):
    drawn = () if "--beam" in options else ("--seed", 3)
    records = sample(*options, "--jsonl", *drawn).records
    model = load(folder / "checkpoints" / options[0] / "best.safetensors")
    assert any(record["ended"] for record in records) == (options[0] != "flat")
    for record, scored in zip(records, model.score([record["text"] for record in records]), strict=True):
        assert record["characters"] == scored.characters == len(record.get("ids", record["text"]))
        assert "\n" not in record["text"]
        assert record["bits"] == pytest.approx(scored.bits, rel=1e-4, abs=1e-4)
    # So does what completes a line.
    begun = [record["text"][:2] for record in records]
    answers = model.answers(20, temperature=1.0, seed=1)
    for line, answer in zip(begun, answers.to(begun), strict=True):
        (scored,) = model.score([line + answer.text])
        assert answer.bits == pytest.approx(scored.surprisal[len(line) :].sum(), rel=1e-4, abs=1e-4)


def test_surprisal_is_coloured_where_there_are_colours(sample, folder, monkeypatch):
    model = model_named(folder, "story")
    options = ("story", "-n", 60, "--prime", "ab", "--seed", 4, "--show-surprisal")
    plain = sample(*options)
    assert plain.out == "ab" + text_of(model, "ab", Ending(60), Sampling(), seed=4)
    assert plain.said == "Colours are printed only to terminals; set FORCE_COLOR=1 to print them anywhere.\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    how = Generation(Ending(60), seed=4)
    drawn = list(generate_one(model, model.before(model.vocab.encode("ab")), how, True))
    bits = [character.nats / np.log(2) for character in drawn]
    expected = [coloured(model.vocab.decode([one.id]), [cost]) for one, cost in zip(drawn, bits, strict=True)]
    painted = sample(*options)
    # Neighbours of one colour are painted together.
    assert _cells(painted.out) == _cells("ab" + "".join(expected)) and painted.said == ""
    assert "\x1b[38;5;" in painted.out and "↵" in painted.out
    assert _cells(sample(*options, "-c", 2).out)[:62] == _cells(painted.out)[:62]
    # In colours, bytes are text: the mark of a line break is none of them.
    of_bytes = sample("bytes", "-n", 2000, "--temp", 3, "--seed", 1, "--show-surprisal")
    assert of_bytes.code == 0 and "↵" in of_bytes.out and "\\x00" in of_bytes.out
    assert "\x1b" not in sample(*options, "--jsonl").out + sample(*options, "--ids").out


def test_bytes_are_shown_as_the_characters_that_they_make(sample, monkeypatch):
    options = ("bytes", "-n", 300, "--allow", "é☞", "--prime", "☞\\xe2", "--seed", 2)
    (record,) = sample(*options, "--jsonl", "--ids").records
    assert record["prime"] == "☞\udce2" and len(record["ids"]) == record["characters"] == 300
    assert record["text"].encode("utf-8", "surrogateescape") == bytes(record["ids"])
    # The byte that the prime ends with may be the first of a character.
    text = "☞".encode() + b"\xe2" + bytes(record["ids"])
    shown = text.decode("utf-8", "backslashreplace")
    assert {"é", "☞", "\\"} <= {*shown[1:]}
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = sample(*options, "--show-surprisal").out
    assert "".join(character for character, _ in _cells(coloured)) == shown
    first = sample(*options, "--show-surprisal", "-c", 2).out.splitlines()[0]
    assert _cells(first) == _cells(coloured)


def _cells(text: str) -> list[tuple[str, str]]:
    """Return each character that is shown with its colour."""
    cells, colour = [], ""
    for code, shown in re.findall(r"(\x1b\[[0-9;]*m)|(.)", text, re.DOTALL):
        if code:
            colour = "" if code == "\x1b[0m" else code
        else:
            cells.append((shown, colour))
    return cells


# Where a text ends


def test_until(sample):
    options = ("story", "-n", 400, "--seed", 7, "--prime", "a")
    whole = sample(*options).out[1:]
    for stops in (["ab"], ["bc", "cb"], [r"\n"], [r"b\nc", "cc", "ab"], [whole[0]], [whole[:3], whole[1:3]]):
        meant = [stop.replace(r"\n", "\n") for stop in stops]
        ends = [(whole.find(stop) + len(stop), -len(stop)) for stop in meant if stop in whole]
        end, stop = min(ends, default=(400, 0))
        until = [argument for stop in stops for argument in ("--until", stop)]
        cut = "" if ends else "The sample was cut at 400 characters (--length).\n"
        assert sample(*options, *until) == (0, "a" + whole[: end + stop], cut)
        (record,) = sample(*options, *until, "--jsonl").records
        assert (record["text"], record["ended"]) == (whole[: end + stop], bool(ends))
        # With the text that ends it, streamed and made side by side.
        assert sample(*options, *until, "--keep-until").out == "a" + whole[:end]
        kept = sample(*options, *until, "--keep-until", "--jsonl", "--ids").records[0]
        assert (kept["text"], kept["ended"], len(kept["ids"])) == (whole[:end], bool(ends), kept["characters"])
        assert not ends or kept["bits"] > record["bits"]
    never = sample(*options, "--until", "x\x07", "--until", "Zb")
    assert never.out == "a" + whole
    assert never.said.splitlines() == [
        rf"--until {stop}: the model does not know all of these characters, so it will never write them."
        for stop in (r"x\x07", "Zb")
    ]
    # As the model sees its text.
    lower = sample("lower", "-n", 300, "--seed", 1, "--until", "AB", "--prime", "CA")
    assert lower.out.startswith("ca") and "ab" not in lower.out and len(lower.out) < 300


def test_lines(sample, folder):
    whole = sample("story", "-n", 300, "--seed", 1).out
    for lines in (1, 3):
        assert sample("story", "-n", 300, "--seed", 1, "--lines", lines).out == "".join(
            whole.splitlines(keepends=True)[:lines]
        )
    cut = sample("story", "-n", 5, "--seed", 1, "--lines", 9)
    assert cut == (0, whole[:5], "The sample was cut at 5 characters (--length).\n")
    # Where lines are documents, each is a sample of its own: so many of them, and one more or less changes no other.
    five = sample("names", "--lines", 5, "--seed", 1).out
    assert len(five.splitlines()) == 5 and five.endswith("\n")
    assert sample("names", "--lines", 3, "--seed", 1).out == "".join(five.splitlines(keepends=True)[:3])
    assert sample("names", "--lines", 3, "--seed", 1, "--count", 2).out.startswith(five)
    primed = sample("names", "--lines", 4, "--seed", 1, "--prime", "ca").out.splitlines()
    assert len(primed) == 4 and all(line.startswith("ca") for line in primed)
    # A line that is cut at the length is ended all the same.
    assert re.fullmatch("(.?\n){6}", sample("names", "--lines", 6, "-n", 1).out)


def test_in_a_model_of_lines_a_sample_is_a_line(sample):
    five = sample("names", "--lines", 5, "--seed", 1)
    assert sample("names", "--count", 5, "--seed", 1) == sample("names", "-c", 5, "-n", 300, "--seed", 1) == five
    assert all(re.fullmatch("[abc]*", record["text"]) for record in sample("names", "-c", 5, "--jsonl").records)
    (one,) = sample("names", "--jsonl", "--seed", 1).records
    assert one["text"] == five.out.splitlines()[0] and one["ended"]
    # What is compared is a line, one or many.
    lines = {sample("names", *new, "--seed", seed).out for new in (("--novel",), ("--unique",)) for seed in range(9)}
    assert len(lines) > 5 and {line.count("\n") for line in lines} == {1}
    many = sample("names", "--unique", "--novel", "--count", 60, "--seed", 1)
    assert many == sample("names", "--unique", "--novel", "--lines", 60, "--seed", 1)
    assert len(set(many.out.splitlines())) == 60 and not set(many.out.splitlines()) & set(NAMES)
    other = sample("names", "--novel-to", "names.txt", "--count", 3, "--seed", 1).out.splitlines()
    assert len(other) == 3 and not set(other) & set(NAMES)
    beam = sample("names", "--beam", 3).out
    assert beam.count("\n") == 1 and beam == sample("names", "--beam", 3, "--lines", 1).out
    # Where an end is named it holds, and a plain text goes on.
    until = sample("names", "-n", 300, "-c", 3, "--until", "bb", "--seed", 1, "--jsonl").records
    assert any("\n" in record["text"][:-1] for record in until)
    plain = sample("names", "-n", 300, "--seed", 1).out
    assert 300 <= len(plain) < 400 and plain.count("\n") > 5
    assert sample("names", "-n", 300, "--seed", 1, "--prime", "ca").out.count("\n") > 5
    # Elsewhere a sample is a text of its length.
    assert all(len(record["text"]) == 300 for record in sample("story", "-c", 3, "-n", 300, "--jsonl").records)


def test_in_a_model_of_documents_a_sample_is_a_document(sample):
    five = sample("marked", "--documents", 5, "--seed", 1)
    assert five.code == 0 and five.out.endswith("cb")
    # Each with its end, or without it and a blank line between; a document may have several lines.
    parts = five.out.split("cb")[:-1]
    assert len(parts) == 5 and any("\n" in part for part in parts)
    counted = sample("marked", "--count", 5, "--seed", 1)
    assert counted.out == "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
    records = sample("marked", "--documents", 5, "--seed", 1, "--jsonl").records
    assert [record["text"] for record in records] == parts
    assert records == sample("marked", "-c", 5, "--seed", 1, "--jsonl").records
    assert all(record["ended"] and record["characters"] == len(record["text"]) for record in records)
    # A document that a length has cut has no end; the next one begins on a new line.
    cut = sample("marked", "--documents", 9, "-n", 3, "--seed", 1)
    ended = [record["ended"] for record in sample("marked", "-c", 9, "-n", 3, "--seed", 1, "--jsonl").records]
    assert 0 < cut.out.count("cb") == sum(ended) < 9 and "were cut at 3 characters (--length)" in cut.said
    # A stop text ends a document before its end; both count. A stop text that never comes leaves one document each.
    stops = ("marked", "--seed", 1, "-n", 60, "--jsonl")
    assert sample(*stops, "--documents", 5, "--until", "ccccc").records == sample(*stops, "--documents", 5).records
    lines = ("names", "--seed", 1, "--lines", 4, "--jsonl")
    assert sample(*lines, "--until", "ccccc").records == sample(*lines).records
    primed = sample("marked", "--documents", 3, "--prime", "ba", "--seed", 1).out.split("cb")
    assert len(primed) == 4 and all(part.startswith("ba") for part in primed[:-1])
    # Half an end in the prime is an end with the other half.
    half = ("marked", "-t", 5, "--prime", "ac", "--seed", 1)
    assert "" in [record["text"] for record in sample(*half, "-c", 40, "--jsonl").records]
    parts = sample(*half, "--documents", 40).out.split("cb")
    assert len(parts) == 41 and "a" in parts and all(part.startswith("a") for part in parts[:-1])
    many = sample("marked", "--unique", "--novel", "--documents", 40, "--seed", 1).out.split("cb")[:-1]
    assert len(set(many)) == 40 and not set(many) & {*NAMES[:3], "a\nb", "a"}
    beam = sample("marked", "--beam", 3).out
    assert beam == sample("marked", "--beam", 3, "--documents", 1).out.removesuffix("cb") + "\n"
    # Where an end is named it holds, and a plain text goes on, to the end of its last document.
    flowing = sample("marked", "-n", 200, "--seed", 1)
    assert flowing.out.count("cb") > 5 and len(flowing.out) >= 200 and flowing.out.endswith("cb") and not flowing.said
    assert flowing.out.startswith(sample("marked", "-n", 100, "--seed", 1).out)
    endless = sample("marked", "-n", 20, "--seed", 1, "--forbid", "b")
    assert len(endless.out) == 20
    assert sample("marked", "--lines", 2, "--seed", 1).out.count("\n") == 2
    assert sample("names", "--documents", 5, "--seed", 1) == sample("names", "--lines", 5, "--seed", 1)
    for arguments, said in (
        (("story", "--documents", 2), "--documents counts documents, but nothing ends the documents of this model"),
        (("marked", "--documents", 2, "--lines", 2), "--lines and --documents exclude each other"),
        (("names", "--documents", 2, "--lines", 2), "--lines and --documents exclude each other"),
        (("marked", "--documents", 2, "--beam", 2), "--documents has no effect with --beam"),
    ):
        done = sample(*arguments)
        assert (done.code, done.out) == (1, "") and said in done.said, arguments


# What a text goes on from


def test_what_is_no_escape_stands_for_itself():
    texts = {r"\\section\\\t": "\\section\\\t", "\\section": "\\section", "a\\": "a\\", r"\N{DASH}\x4": r"\N{DASH}\x4"}
    texts |= {r"\U00110000": r"\U00110000", r"\\n": r"\n", r"\U0010ffff\r": "\U0010ffff\r"}
    assert {text: unescaped(text, False) for text in texts} == texts
    assert {text: unescaped(text, True) for text in texts} == texts


def test_primes(sample, folder):
    (folder / "prime.txt").write_bytes("ab\n☞c".encode())
    (folder / "empty.txt").write_bytes(b"")
    options = ("story", "-n", 40, "--seed", 3)
    expected = "ab\n☞c" + text_of(model_named(folder, "story"), "ab\n☞c", Ending(40), Sampling(), seed=3)
    for prime in ("ab\n☞c", r"ab\n☞c", r"\x61b\n\u261ec", r"ab\n\U0000261ec"):
        assert sample(*options, "--prime", prime) == (0, expected, ""), prime
    assert sample(*options, "--prime", "-", stdin="ab\n☞c".encode()) == (0, expected, "")
    assert sample(*options, "--prime-file", "prime.txt") == (0, expected, "")
    assert sample(*options, "--prime-file", "-", stdin="ab\n☞c".encode()) == (0, expected, "")
    unprimed = sample(*options).out
    for none in (("--prime", ""), ("--prime", "-"), ("--prime-file", "empty.txt")):
        assert sample(*options, *none) == (0, unprimed, "")
    # Stdin is not read unless it is asked for, and a file's text is no escape.
    assert sample(*options, stdin=b"abc").out == unprimed
    bytes_ = sample("bytes", "-n", 5, "--prime", "-", stdin=bytes(range(256)), encoding="latin-1").out
    assert len(bytes_) == 261 and bytes_.startswith("".join(map(chr, range(256))))


def test_primes_with_unknown_characters(sample):
    options = ("-n", 20, "--seed", 1, "--prime", "aZb")
    refused = sample("story", *options)
    assert refused[:2] == (1, "") and "characters that the model does not know: 'Z' (U+005A) x 1" in refused.said
    skipped = sample("story", *options, "--unknown", "skip")
    assert skipped.out == sample("story", "-n", 20, "--seed", 1, "--prime", "ab").out
    assert skipped.said == "1 character of --prime is unknown and was left out: 'Z' (U+005A) x 1.\n"
    assert sample("story", *options, "--unknown", "replace").out.startswith("a b")
    symbol = sample("unknown", *options)
    assert symbol.out.startswith("a\ufffdb") and "\ufffd" not in symbol.out[3:] and len(symbol.out) == 23
    nothing = sample("story", "-n", 20, "--prime", "Z", "--unknown", "skip")
    assert nothing[:2] == (1, "") and "Nothing is left of --prime" in nothing.said
    from_stdin = sample("story", "--prime", "-", stdin=b"ab\xff")
    assert from_stdin[:2] == (1, "") and "stdin is not UTF-8" in from_stdin.said


# What is drawn


def test_allow_and_forbid(sample):
    options = ("-n", 200, "--seed", 2)

    def drawn(model: str, *more: str) -> set[str]:
        return set(sample(model, *options, *more).out)

    assert drawn("story") == set("\n abc☞")
    assert drawn("story", "--allow", "ab") == set("ab") and drawn("story", "--allow", "aaa") == {"a"}
    assert drawn("story", "--allow", r"b\n\u261eZ") == set("b\n☞")
    assert drawn("story", "--forbid", r"\n ") == set("abc☞") and drawn("story", "--forbid", "Z") == set("\n abc☞")
    assert drawn("story", "--allow", "ab", "--forbid", "b") == {"a"}
    assert drawn("lower", "--allow", "AB") == set("ab")
    # A prime may have what is forbidden; what ends a text is allowed with --allow.
    assert set(sample("story", *options, "--allow", "b", "--prime", "ac").out[2:]) == {"b"}
    until = sample("story", "-n", 10**6, "--seed", 4, "--allow", "ab", "--until", "c").out
    assert set(until) <= set("ab") and 0 < len(until) < 10**5
    lines = sample("names", "--lines", 20, "--allow", "b", "--seed", 1, "--jsonl").records
    assert len(lines) == 20 and all(line["ended"] and set(line["text"]) <= set("b\n") for line in lines)


def test_no_repeat(sample):
    for count in ((), ("--count", 8)):
        texts = sample("story", "-n", 120, "--seed", 1, "--prime", "abcab", "--no-repeat", 4, "--jsonl", *count).records
        for text in (record["prime"] + record["text"] for record in texts):
            assert len({text[i : i + 4] for i in range(len(text) - 3)}) == len(text) - 3 == 122
    # Where the characters are used up it is said, once.
    said = "--no-repeat {}: every character that can be drawn would repeat text, so from here on text repeats.\n"
    for n, more in ((1, ("-n", 9)), (1, ("-n", 9, "--count", 3)), (2, ("-n", 90, "--allow", "ab"))):
        assert sample("story", "--no-repeat", n, *more).said == said.format(n)
    assert sample("story", "--no-repeat", 1, "-n", 5).said == sample("story", "--no-repeat", 4, "-n", 90).said == ""
    free = sample("story", "-n", 120, "--seed", 1, "--prime", "abcab").out
    assert len({free[i : i + 4] for i in range(len(free) - 3)}) < 122


def test_beam(sample):
    beam = sample("names", "--beam", 6, "--lines", 1, "--prime", "ca", "--jsonl").records
    greedy = sample("names", "--temp", 0, "--lines", 1, "--prime", "ca", "--jsonl").records
    assert len(beam) == 1 and beam[0]["ended"] and beam[0]["log_probability"] >= greedy[0]["log_probability"]
    one = sample("names", "--beam", 1, "--lines", 1, "--prime", "ca", "--jsonl").records
    assert one[0]["ended"] and greedy[0]["text"].startswith(one[0]["text"])
    assert set(sample("story", "--beam", 3, "-n", 30, "--allow", "ab").out) <= set("ab\n")
    skipping = (("--novel-to", "names.txt"), ("--sort",), ("--min-length", 2), ("--max-length", 3))
    for more in (("--count", 2), ("--unique",), ("--novel",), *skipping):
        refused = sample("names", "--beam", 2, *more)
        assert refused[:2] == (1, "") and refused.said.startswith("charrnn: --beam searches for the likeliest")


def test_the_best_of_a_beam(sample, folder):
    model = load(folder / "checkpoints" / "names" / "best.safetensors")
    found = model.n_best(12, 5, prime="c")
    assert found[0].text == model.likeliest(12, prime="c").text
    chances = [one.probability_with_end for one in found]
    assert len(set(one.text for one in found)) == 5 and chances == sorted(chances, reverse=True)
    # That of the line and its end, as the model predicts them.
    for one in found:
        assert one.text.endswith("\n")
        bits = model.scorer(line_ends=True).score(["c" + one.text[:-1]])[0].surprisal[1:].sum()
        assert one.probability_with_end == pytest.approx(2.0**-bits, rel=1e-4)
    options = ("names", "--beam", 12, "--best", 5, "--prime", "c")
    rows = [line.split("\t") for line in sample(*options).out.splitlines()]
    assert [float(row[0]) for row in rows] == pytest.approx(chances, rel=1e-4)
    assert [float(row[1]) for row in rows] == pytest.approx(-np.log2(chances), abs=1e-3)
    assert [row[2] for row in rows] == ["c" + one.text[:-1] for one in found]
    assert [line.split("\t")[2] for line in sample(*options, "--no-prime").out.splitlines()] == [
        one.text[:-1] for one in found
    ]
    records = sample(*options, "--jsonl").records
    assert [record["rank"] for record in records] == [1, 2, 3, 4, 5]
    assert [record["probability_with_end"] for record in records] == pytest.approx(chances, rel=1e-9)
    assert [record["text"] for record in records] == [one.text[:-1] for one in found]
    # A text of several lines is one line of the table; what the length cuts comes last, and is said.
    several = sample("story", "--beam", 40, "--best", 40, "-n", 3, "--until", "b", "--prime", r"a\n")
    assert len(several.out.splitlines()) == 40 and all(
        row.split("\t")[2].startswith(r"a\n") for row in several.out.splitlines()
    )
    cut = sum(
        not one.ended
        for one in load(model.path.parent.parent / "story/best.safetensors").n_best(40, 40, 3, until="b", prime="a\n")
    )
    assert 0 < cut < 40 and several.said == f"{cut} of 40 samples were cut at 3 characters (--length).\n"
    few = sample("names", "--beam", 3, "--best", 3, "--allow", "a", "--until", "a", "-n", 4)
    assert few.out.count("\n") == 1 and few.said.startswith("Found 1 of 3 texts; a wider --beam may find more")


# What is new


def test_unique(sample):
    options = ("names", "--lines", 30, "-n", 3, "--seed", 1)
    every, unique = sample(*options).out.splitlines(), sample(*options, "--unique").out.splitlines()
    assert len(every) == 30 > len(set(every))
    # Skipped is what came before, and what is blank; what comes is in its order.
    new = [line for line in dict.fromkeys(every) if line]
    assert "" in every and "" not in unique
    assert unique[: len(new)] == new and len(unique) == len(set(unique)) == 30
    given_up = sample("names", "--lines", 40, "-n", 3, "--temp", 0, "--unique")
    assert given_up.code == 0 and len(given_up.out.splitlines()) == 1
    assert given_up.said == (
        "Found 1 of 40: 1,000 samples in a row were not new. A higher --temp may help.\n"
        "The sample was cut at 3 characters (--length).\n"
    )
    assert sample("names", "--count", 2, "--unique", "-n", 0)[:2] == (0, "")


def test_a_thousand_in_a_row_that_are_not_new_are_enough(sample, monkeypatch):
    one, two, three = (Sample(np.array([id, 0]), np.zeros(2, np.float32), True) for id in (1, 2, 3))
    made = [one, *[one] * 999, two, *[one, two] * 500, three]
    monkeypatch.setattr("charrnn.api.sampling.drawn", lambda *_, **more: iter(made))
    given_up = sample("names", "--count", 3, "--unique")
    assert given_up.out == "a\nb\n" and given_up.said.startswith("Found 2 of 3: 1,000 samples in a row were not new.")


def test_novel(sample, folder):
    options = ("names", "--lines", 60, "--seed", 1, "-n", 200)
    every, novel = sample(*options).out.splitlines(), sample(*options, "--novel")
    assert novel.said == f"Comparing with the training text that the model names: {folder / 'names.txt'}\n"
    assert len(novel.out.splitlines()) == 60
    assert set(every) & set(NAMES) and not set(novel.out.splitlines()) & {*NAMES, ""}
    # None that is new was left out, and what is part of a line is new.
    new = [line for line in every if line not in {*NAMES, ""}]
    assert novel.out.splitlines()[: len(new)] == new and {"ca", "aa"} & set(new)
    # With the prime that they stand behind, of which the last line alone is not forgotten.
    primed = ("names", "--lines", 60, "--seed", 1, "--prime", r"cc\na")
    every, new = (sample(*primed, *novel).out.splitlines()[1::2] for novel in ((), ("--novel",)))
    assert len(every) == len(new) == 60 and all(line.startswith("a") for line in new)
    assert {"a", "ab", "ac"} <= set(every) and not set(new) & set(NAMES)
    (folder / "other.txt").write_text("b\nbb\n")
    to_other = set(sample(*options, "--novel-to", "other.txt").out.splitlines())
    assert to_other & set(NAMES) and not to_other & {"b", "bb"}
    both = sample(*options, "--novel-to", "other.txt", "--novel-to", "names.txt", "--unique").out.splitlines()
    assert len(set(both)) == 60 and not set(both) & {*NAMES, "b", "bb"}
    # In whatever case; of bytes those of ASCII alone have one.
    (folder / "capitals.txt").write_text("B\nAB\nCAB\n")
    (folder / "other.txt").write_text("b\nab\ncab\n")
    capitals = sample(*options, "--novel-to", "capitals.txt")
    assert capitals.out == sample(*options, "--novel-to", "other.txt").out != sample(*options, "--unique").out
    # In a text that carries on, any stretch of it counts.
    story = (folder / "story.txt").read_text(encoding="utf-8")
    texts = [record["text"] for record in sample("story", "-n", 3, "-c", 80, "--jsonl", "--seed", 1).records]
    new = [text for text in texts if text.strip() and text.removesuffix("\n") not in story]
    assert 0 < len(new) < 80
    found = [
        record["text"] for record in sample("story", "-n", 3, "-c", len(new), "--novel", "--jsonl", "--seed", 1).records
    ]
    assert found == new


def test_what_is_known_has_no_case_but_of_bytes_only_letters_of_ascii_have_one():
    known = Known("Ärger\nSTRASSE\n", TextConfig())
    assert "äRG" in known and "Straße" in known and "Straßen" not in known
    raw = Known("Ärger\n".encode().decode("latin-1"), TextConfig(bytes=True))
    assert "RGE" in raw and "Ä".encode().decode("latin-1") in raw and "ä".encode().decode("latin-1") not in raw
    lines = Known("Anna\nBen\n", LINES)
    assert "anna\n" in lines and "ann" not in lines


def test_novel_needs_a_text_and_says_when_it_is_another(sample, folder, tmp_path):
    kept = (folder / "names.txt").read_text()
    options = ("names", "--lines", 5, "--novel", "--seed", 1)
    try:
        (folder / "names.txt").write_text(kept + "c\n")
        changed = sample(*options)
        assert changed.code == 0 and len(changed.out.splitlines()) == 5
        assert changed.said.endswith(
            "\nThe training text has changed since training: --novel compares with the text as it is now.\n"
        )
        (folder / "names.txt").unlink()
        gone = sample(*options)
    finally:
        (folder / "names.txt").write_text(kept)
    assert gone[:2] == (1, "") and re.fullmatch(
        r"Comparing with .*\ncharrnn: The checkpoint names .*names\.txt as its text, but it does not exist\.\n"
        r"  Name a text to compare with: --novel-to\.\n",
        gone.said,
    )
    unrecorded = sample("flat", "-n", 5, "--novel")
    assert unrecorded[:2] == (1, "") and "does not say what it was trained on" in unrecorded.said
    assert "--novel-to" in unrecorded.said
    assert sample("flat", "-n", 5, "--novel-to", "names.txt").code == 0


def test_a_text_that_came_through_a_pipe_is_found_where_it_was_kept(sample, folder):
    path = folder / "checkpoints" / "names" / "best.safetensors"
    model = Model.load(path)
    run = folder / "checkpoints" / "piped"
    run.mkdir()
    text = read_text([folder / "names.txt"], LINES)
    record = corpus_record(dataset(text, Vocabulary.of(text.symbols), TrainConfig(val=0)))
    progress = Progress(replace(record, sources=("-",)))
    checkpoint = Checkpoint(model.config, model.vocab, model.weights, progress=progress, text=LINES)
    write_checkpoint(run / "best.safetensors", checkpoint)
    (run / "stdin.txt").write_bytes((folder / "names.txt").read_bytes())
    options = ("--lines", 30, "--novel", "--seed", 1)
    piped = sample("piped", *options)
    assert piped.out == sample("names", *options).out and "checkpoints/piped/stdin.txt" in piped.said


# What is refused


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("story", "--top-p", "0"), "--top-p is 0.0; it must be above 0 and at most 1."),
        (("story", "--top-p", "nan"), "--top-p is nan"),
        (("story", "--temp", "nan"), "--temp is nan"),
        (("story", "--min-p", "1.5"), "--min-p is 1.5"),
        (("story", "--typical", "-1"), "--typical is -1.0"),
        (("story", "--until", ""), "--until is empty"),
        (("flat", "--lines", "2"), "the model has never seen one"),
        (("story", "--keep-until"), "--keep-until keeps the text of --until, but none was given."),
        (("story", "--best", "2"), "--best ranks the texts that --beam finds."),
        (("story", "--beam", "2", "--best", "3"), "--best is 3; it must be a whole number, at least 1 and at most 2."),
        (("story", "--beam", "2", "--best", "2", "--show-surprisal"), "--show-surprisal colours the printed text"),
        (("story", "--no-prime"), "--no-prime has no effect without a prime."),
        (("story", "--csv", "--jsonl"), "--csv and --jsonl print different tables."),
        (("story", "--csv", "--beam", "2", "--best", "2"), "--csv and --best print different tables."),
        (("story", "--csv", "--show-surprisal"), "--show-surprisal colours the printed text"),
        (("story", "--csv", "-o", "{n}.csv"), "{n} in --output writes each sample to its own file, but --csv and"),
        (("story", "-o", "names.txt"), "names.txt exists already."),
        (("story", "-c", "2", "-o", "o{n}/{n}.txt"), "--output has {n} in the name of a folder; it must be in"),
        (("story", "-o", "-"), "--output needs a file, not '-'; without --output, samples go to stdout."),
        (("story", "-o", "checkpoints"), "checkpoints is a folder; a sample is a file."),
        (("story", "-o", "nowhere/x.txt"), "There is no folder nowhere."),
        (("names", "--sort"), "--sort ranks several samples, but only one is made."),
        (("story", "--min-length", "5"), "--min-length and --max-length are for samples that come to an end."),
        (("names", "--min-length", "5", "--max-length", "4"), "--min-length 5 is more than --max-length 4."),
        (("names", "--min-length", "50", "-n", "40"), "--min-length 50 is more than --length 40."),
        (("story", "--prime", "a", "--prime-file", "story.txt"), "--prime and --prime-file cannot be combined."),
        (("story", "--prime-file", "missing.txt"), "missing.txt does not exist."),
        (("story", "--prime-file", "checkpoints"), "checkpoints is a folder; a file was expected."),
        (("story", "--allow", ""), "--allow is empty; it must be the characters that may be drawn."),
        (("names", "--forbid", "abc"), r"--forbid leaves no character to draw except '\n', so every text would"),
        (("names", "--lines", "3", "--allow", r"\n"), r"--allow leaves no character to draw except '\n', so every"),
        (("story", "--allow", "Z\x1b"), r"knows none of the characters of --allow Z\x1b."),
        (("story", "--forbid", r"\n abc☞"), "--forbid leaves no character to draw."),
        (("story", "--allow", "a", "--forbid", "ab"), "--allow and --forbid leave no character to draw."),
        (("story", "--unknown", "never"), "--unknown is 'never'"),
        (("story", "--novel-to", "missing.txt"), "missing.txt does not exist"),
        (("story", "--novel-to", ""), "The name of a text is empty."),
        (("nobody",), "There is no run 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_cannot_be_is_one_clear_message(arguments, said, sample):
    refused = sample(*arguments)
    assert refused[:2] == (1, "") and refused.said.startswith("charrnn: ") and said in refused.said
    assert len(refused.said.splitlines()) <= 2 and "\x1b" not in refused.said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temp", "-0.1"), ("--temp", "hot"), ("--top-k", "0"), ("--top-k", "2.5"),
        ("--top-p", "x"), ("--length", "-1"), ("--length", "many"), ("--lines", "0"), ("--count", "-1"),
        ("--no-repeat", "0"), ("--beam", "0"), ("--seed", "-1"), ("--seed", str(2**63)), ("--seed", "x"),
        ("--lenght", "5"),
    ],
)  # fmt: skip
def test_wrong_usage_is_explained(option, value, sample):
    refused = sample("story", option, value)
    assert refused[:2] == (1, "") and re.match(rf"charrnn: .*{option}", refused.said)


# As a shell runs it


def test_sampling_imports_no_framework_whatever_is_asked(folder):
    script = """
import shlex, sys
from charrnn.api.datasets import corpus_record
from charrnn.api.model import load
from charrnn.cli.app import main
for line in sys.argv[1:]:
    sys.argv = ["charrnn", "sample", *shlex.split(line)]
    try: main()
    except SystemExit as exit: assert not exit.code, line
print(*sys.modules, sep="\\n", file=sys.stderr)
"""
    asked = (
        "story -n 5 --top-p 0.9",
        "names --lines 3 --novel --unique --jsonl",
        "story -c 40 -n 5 --typical 0.5 --no-repeat 3",
        "names --beam 3 --lines 1",
        "story -n 5 --show-surprisal",
    )
    result = charrnn_in(folder, "-c", script, *asked, command=shlex.quote(sys.executable))
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in result.stderr.split()}
    assert "numpy" in loaded and not loaded & {"keras", "tensorflow", "jax", "torch", "rich", "matplotlib"}


def test_pipes_and_interrupts(folder):
    """A reader that leaves ends it quietly, whatever is written; Ctrl-C says so."""

    def started(*arguments: Any) -> subprocess.Popen:
        command = [COMMAND, "sample", *map(str, arguments)]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)

    environment = {key: value for key, value in os.environ.items() if not key.startswith("CHARRNN_CHECK")}
    endless = (
        ("story", "-n", 10**9, "--until", "cabcabcabcabc"),
        ("names", "--lines", 10**9),
        ("names", "--lines", 10**9, "--jsonl", "--novel"),
    )
    processes = [started(*arguments) for arguments in endless]
    try:
        for process in processes:
            assert len(process.stdout.read(300)) == 300
            process.stdout.close()
        for process in processes:
            assert process.wait(timeout=600) == 0
            said = process.stderr.read()
            # Only --novel has something to say: what it reads.
            assert said == b"" or (said.startswith(b"Comparing with ") and said.count(b"\n") == 1)
        for arguments in endless[::2]:
            processes.append(process := started(*arguments))
            assert process.stdout.read(300)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=600)
            assert process.returncode == 130 and said.endswith(b"Interrupted.\n")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_one_sample_of_a_model_of_lines_is_a_line(sample):
    (line,) = sample("names", "-c", 1, "--seed", 2).out.splitlines()
    assert sample("names", "-c", 2, "--seed", 2).out.splitlines()[0] == line
    # Unless it is asked for, text flows; so it does where lines are no documents.
    assert len(sample("names", "--seed", 2).out) >= 2000 <= len(sample("story", "-c", 1, "--seed", 2).out)


def test_a_beam_of_several_lines_is_refused(sample, folder):
    for options in (("--lines", 3), ("--lines", 2, "-n", 9)):
        done = sample("names", "--beam", 3, *options)
        assert done.code == 1 and "--lines has no effect with --beam" in done.said and not done.out
    assert load(folder / "checkpoints/names/best.safetensors").likeliest(3, lines=1).text.endswith("\n")


def test_the_last_line_of_a_model_of_lines_comes_to_its_end(sample, folder, monkeypatch):
    model = model_named(folder, "names")
    whole = text_of(model, "", Ending(3000), Sampling(), seed=1)
    lengths = [60, 61, whole.index("\n", 60) + 1, whole.index("\n", 60) + 2, 2000]
    assert whole[59] != "\n"
    for length in lengths:
        done = sample("names", "-n", length, "--seed", 1)
        assert done == (0, whole[: whole.index("\n", length - 1) + 1], "")
    assert sample("names", "--seed", 1).out == sample("names", "-n", 2000, "--seed", 1).out
    assert sample("names", "-n", 0, "--prime", "ca") == (0, "ca", "")
    # Not where something else ends the text, where no line can end, nor in another model.
    until = sample("names", "-n", 60, "--seed", 1, "--until", "cabcabcabcabcabc")
    assert until == (0, whole[:60], "The sample was cut at 60 characters (--length).\n")
    endless = sample("names", "-n", 60, "--seed", 1, r"--forbid", r"\n")
    assert len(endless.out) == 60 and endless.said == ""
    plain = sample("story", "-n", 60, "--seed", 1)
    assert len(plain.out) == 60 and plain.said == ""
    # A line that does not end is cut after all.
    monkeypatch.setattr("charrnn.api.generation.FINISH", 2)
    place = next(place for place in range(60, 2000) if "\n" not in whole[place - 1 : place + 2])
    cut = "The last line was cut 2 characters after --length: it did not end.\n"
    assert sample("names", "-n", place, "--seed", 1) == (0, whole[: place + 2], cut)


def test_a_prime_that_is_not_printed(sample):
    for model, options in (("story", ("-n", 20)), ("story", ("-n", 20, "-c", 3)), ("names", ("--lines", 4))):
        asked = (model, *options, "--prime", "ca", "--seed", 5)
        between = "" if model == "names" else "\n"
        with_prime, without = sample(*asked).out, sample(*asked, "--no-prime").out
        texts = [record["text"] for record in sample(*asked, "--jsonl").records]
        if "-c" in options or model == "names":
            assert with_prime == between.join(f"ca{text.removesuffix(chr(10))}\n" for text in texts)
            assert without == between.join(f"{text.removesuffix(chr(10))}\n" for text in texts)
        else:
            assert (with_prime, without) == (f"ca{texts[0]}", texts[0])
        (first, *_) = sample(*asked, "--no-prime", "--jsonl").records
        assert "prime" not in first and first["text"] == texts[0]
    ids = ("story", "-n", 4, "--prime", "ca", "--seed", 5, "--ids")
    assert len(sample(*ids).out.split()) == 6 and len(sample(*ids, "--no-prime").out.split()) == 4
    assert sample("story", "-n", 5, "--prime", "-", "--no-prime", stdin=b"").code == 0


def test_a_line_end_that_is_kept_is_part_of_the_record(sample):
    options = ("names", "-c", 4, "--seed", 1, "--until", r"\n")
    lines, kept = sample(*options), sample(*options, "--keep-until")
    assert lines.out == kept.out and lines.out.count("\n") == 4
    without, records = (sample(*options, *more, "--jsonl").records for more in ((), ("--keep-until",)))
    assert [record["text"] + "\n" for record in without] == [record["text"] for record in records]
    assert all(one["bits"] < other["bits"] for one, other in zip(without, records, strict=True))


def test_what_the_length_cuts_is_said_once(sample):
    drawn = sample("names", "--lines", 40, "-n", 4, "--seed", 1, "--jsonl")
    cut = sum(not record["ended"] for record in drawn.records)
    assert 1 < cut < 40 and drawn.said == f"{cut} of 40 samples were cut at 4 characters (--length).\n"
    until = sample("story", "-n", 30, "-c", 20, "--until", "ab", "--seed", 1, "--jsonl")
    cut = sum(not record["ended"] for record in until.records)
    assert 0 < cut < 20 and until.said.startswith(f"{cut} of 20 samples w")
    beam = sample("names", "--beam", 2, "-n", 1, "--forbid", r"\n")
    assert beam.said == "The sample was cut at 1 character (--length).\n"
    # A text that nothing was to end is as long as was asked for.
    assert sample("story", "-n", 30, "-c", 20).said == sample("names", "--lines", 5, "-n", 0).said == ""


# Lengths, order, several primes and temperatures, files


def test_lengths_and_order(sample):
    options = ("names", "--lines", 60, "--seed", 1)
    lines = sample(*options).out.splitlines()
    for more, fits in (
        (("--min-length", 4), lambda line: len(line) >= 4),
        (("--max-length", 2), lambda line: len(line) <= 2),
        (("--min-length", 2, "--max-length", 3), lambda line: 2 <= len(line) <= 3),
        (("--min-length", 3, "--unique"), lambda line: len(line) >= 3),
    ):
        found = sample(*options, *more)
        expected = [line for line in lines if fits(line)]
        if "--unique" in more:
            expected = list(dict.fromkeys(expected))
        assert found.out.splitlines()[: len(expected)] == expected and 5 < len(expected) < 60
        assert len(found.out.splitlines()) == 60 and all(map(fits, found.out.splitlines())) and found.said == ""
    # The prime does not count, and blank lines are skipped by --unique alone.
    primed = sample(*options, "--prime", "ca", "--max-length", 1).out.splitlines()
    assert {len(line) for line in primed} == {2, 3}
    until = sample("story", "--until", "ab", "-c", 9, "--min-length", 5, "--seed", 1, "--jsonl").records
    assert len(until) == 9 and all(record["characters"] >= 5 and record["ended"] for record in until)
    # This text never ends by itself; what is longer is not awaited.
    none = sample("names", "-c", 3, "--temp", 0, "--max-length", 5, "-n", 10**9)
    few = "1,000 samples in a row did not have the length that --min-length and --max-length allow."
    assert none[1:] == ("", f"Found 0 of 3: {few}\n")
    ranked = sample(*options, "--sort", "--jsonl").records
    bits = [record["bits_per_char"] for record in ranked]
    given = [one for one in bits if one is not None]
    assert given == sorted(given) and bits[: len(given)] == given and None in bits
    assert sorted(record["text"] for record in ranked) == sorted(lines)


def test_several_primes_and_temperatures(sample):
    options = ("names", "--lines", 3, "--seed", 2)
    whole = sample(*options, "-p", "c", "-p", "ab", "-t", 0.5, "-t", 2)
    alone = {
        (prime, heat): sample(*options, "-p", prime, "-t", heat).out for prime in ("c", "ab") for heat in (0.5, 2.0)
    }
    assert whole.out == "".join(alone.values()) and len(set(alone.values())) == 4
    assert whole.said == "".join(f"prime {prime!r}, temperature {heat}:\n" for prime, heat in alone)
    # What does not differ is not told; a table says it itself.
    assert sample(*options, "-t", 0.5, "-t", 2).said == "temperature 0.5:\ntemperature 2.0:\n"
    assert sample(*options, "-p", "c", "-p", "a", "-p", "c").said == "prime 'c':\nprime 'a':\n"
    records = sample(*options, "-p", "c", "-p", "ab", "-t", 0.5, "-t", 2, "--jsonl")
    assert records.said == "" and [(one["prime"], one["temperature"]) for one in records.records] == [
        combination for combination in alone for _ in range(3)
    ]
    # One long text each, and the likeliest of each.
    texts = sample("story", "-n", 9, "-p", "a", "-p", "b", "--seed", 1)
    assert texts.said == "prime 'a':\nprime 'b':\n" and re.fullmatch(r"a(.|\n){9}\n?\nb(.|\n){9}\n", texts.out)
    beams = sample("names", "--beam", 4, "--best", 2, "-p", "a", "-p", "b")
    assert [row.split("\t")[2][0] for row in beams.out.splitlines()] == ["a", "a", "b", "b"]
    ranks = sample("names", "--beam", 4, "--best", 2, "-p", "a", "-p", "b", "--jsonl").records
    assert [(one["prime"], one["rank"], one["temperature"]) for one in ranks] == [
        ("a", 1, None), ("a", 2, None), ("b", 1, None), ("b", 2, None)
    ]  # fmt: skip
    # No text comes twice, whichever prime it goes on from.
    unique = sample("names", "--lines", 20, "--seed", 1, "--unique", "-p", "a", "-p", "ab", "-p", "").out.splitlines()
    assert len(unique) == len(set(unique)) == 60
    one = sample("story", "-n", 40, "-t", 0.5, "-p", "a", "--seed", 1)
    assert one.said == "" and one.out == sample("story", "-n", 40, "-t", 0.5, "-p", "a", "--seed", 1, "-c", 1).out


def test_a_table(sample):
    options = ("story", "-n", 12, "-c", 4, "--seed", 1, "-p", 'a\n"', "--unknown", "skip")
    done = sample(*options, "--csv")
    head, *rows = csv.reader(io.StringIO(done.out))
    records = sample(*options, "--jsonl").records
    assert head == ["n", "prime", "temperature", "bits", "bits_per_char", "text"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"] and {row[1] for row in rows} == {"a\n"}
    assert [row[5] for row in rows] == [record["text"] for record in records] and {row[2] for row in rows} == {"1"}
    assert any("\n" in row[5] for row in rows)
    for place, name in ((3, "bits"), (4, "bits_per_char")):
        assert [float(row[place]) for row in rows] == pytest.approx([one[name] for one in records], abs=1e-4)
    assert sample("names", "-c", 0, "--csv").out == "n,prime,temperature,bits,bits_per_char,text\n"
    assert sample("names", "--beam", 2, "--csv", "-p", "a", "--no-prime").out.startswith("n,temperature,bits,bits_per")
    ids = sample("names", "-c", 2, "--csv", "--ids", "--seed", 1).out.splitlines()
    assert re.fullmatch(r"1,,1,[\d.]+,[\d.]*,[\d ]*", ids[1])
    of_bytes = sample("bytes", "-n", 40, "--csv", "-p", "☞", encoding="latin-1").out
    assert of_bytes.encode("latin-1").splitlines()[1].startswith("1,☞,1,".encode())


def test_of_a_folder_only_the_files_of_samples_are_checked(tmp_path, monkeypatch):
    for name in ("a-0003-0003", "a-0003-0004", "a-9999-9999", "a-0000-0000", "a-7-7", "a-0002-0002"):
        (tmp_path / name).touch()
    checked = []
    monkeypatch.setattr(
        "charrnn.cli.views.sample_files.check_replaceable", lambda path, kind: checked.append(path.name)
    )
    SampleFiles(str(tmp_path / "a-{n}-{n}"), 5000)
    assert checked == ["a-0002-0002", "a-0003-0003"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_unfinished_file(number, folder, tmp_path):
    command = [COMMAND, "sample", "story", "-n", str(10**9), "-o", str(tmp_path / "long.txt")]
    # Under nohup, say, a child would ignore SIGHUP as its parent does.
    heard = partial(signal.signal, number, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, preexec_fn=heard)
    try:
        while process.poll() is None and not any(file.stat().st_size for file in tmp_path.iterdir()):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(timeout=120) == -number
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.wait()


def test_a_signal_tidies_what_every_block_has_begun():
    script = (
        "import os, signal; from charrnn.cli.signals import tidied\n"
        "with tidied(lambda: os.write(1, b'outer ')), tidied(lambda: os.write(1, b'inner ')):\n"
        "    with tidied(lambda: os.write(1, b'ended ')): pass\n"
        "    os.kill(os.getpid(), signal.SIGTERM)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (result.returncode, result.stdout) == (-signal.SIGTERM, b"outer inner ")


def test_files(sample, tmp_path):
    options = ("story", "-n", 50, "--seed", 1, "-p", "a")
    whole = sample(*options).out
    assert sample(*options, "-o", tmp_path / "one.txt") == (0, "", "")
    assert (tmp_path / "one.txt").read_text(encoding="utf-8") == whole
    several = sample(*options, "-c", 12).out
    assert sample(*options, "-c", 12, "-o", tmp_path / "all.txt") == (0, "", "")
    assert (tmp_path / "all.txt").read_text(encoding="utf-8") == several
    # One file a sample, in the order of their names.
    assert sample(*options, "-c", 12, "-o", tmp_path / "s-{n}.txt") == (0, "", "")
    files = sorted(tmp_path.glob("s-*.txt"))
    assert [file.name for file in files] == [f"s-{number:02}.txt" for number in range(1, 13)]
    assert "\n".join(file.read_text(encoding="utf-8") for file in files) == several
    each = sample("names", "--lines", 2, "-t", 1, "-t", 2, "-o", tmp_path / "n{n}")
    assert each == (0, "", "") and len(list(tmp_path.glob("n?"))) == 4
    assert sample("story", "-n", 5, "-o", tmp_path / "only-{n}").code == 0 and (tmp_path / "only-1").exists()
    # Nothing that is there is replaced, and then nothing is sampled; an empty file may be.
    again = sample(*options, "-o", tmp_path / "one.txt")
    assert again.code == 1 and (tmp_path / "one.txt").read_text(encoding="utf-8") == whole
    files[5].write_bytes(b"mine")
    files[6].unlink()
    refused = sample(*options, "-c", 12, "-o", tmp_path / "s-{n}.txt")
    assert refused.code == 1 and "s-01.txt exists already." in refused.said
    assert not files[6].exists() and files[5].read_bytes() == b"mine"
    (tmp_path / "empty").touch()
    assert sample(*options, "-o", tmp_path / "empty").code == 0 and (tmp_path / "empty").stat().st_size
    # Of a folder with many files only those that would be written are looked at.
    for name in ("t-13-13", "t-00-00", "t-07-08", "t-7-7", "t-07-07x"):
        (tmp_path / name).write_bytes(b"other")
    assert sample(*options, "-c", 12, "-o", tmp_path / "t-{n}-{n}").code == 0
    assert len(list(tmp_path.glob("t-*"))) == 12 + 5 and (tmp_path / "t-07-08").read_bytes() == b"other"
    # As it is, in an encoding; a table too; and bytes.
    assert sample(*options, "-o", tmp_path / "wide", "--encoding", "utf-16").code == 0
    assert (tmp_path / "wide").read_text(encoding="utf-16") == whole
    assert sample(*options, "--csv", "-o", tmp_path / "table").out == ""
    assert (tmp_path / "table").read_text(encoding="utf-8") == sample(*options, "--csv").out
    assert sample("bytes", "-n", 99, "--seed", 1, "-o", tmp_path / "bytes").code == 0
    assert (tmp_path / "bytes").stat().st_size == 99
    # A failure leaves nothing.
    failed = sample("story", "-n", 90, "--encoding", "latin-1", "--allow", "☞", "-o", tmp_path / "failed")
    assert failed.code == 1 and "cannot be written in latin-1" in failed.said
    assert not [path for path in tmp_path.iterdir() if "failed" in path.name]
