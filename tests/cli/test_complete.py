"""`charrnn complete`: what follows each line, likeliest, searched for or drawn; and how many answers are right."""

import json
import math
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from charrnn.api.model import load
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.beam import beam_search
from charrnn.inference.generation import Ending
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.text import lines as records
from charrnn.text.vocabulary import Vocabulary
from support.commands import COMMAND, HEAVY, loaded_by
from support.models import write_model

VOCAB = Vocabulary.of("\n\t abcdefgh☞é")
MODELS = {
    "plain": (VOCAB, TextConfig()),
    "lines": (VOCAB, TextConfig(one_per_line=True)),
    "after": (VOCAB, TextConfig(one_per_line=True, loss_after="\t")),
    "files": (VOCAB, TextConfig(reset_at_documents=True, separator="☞")),
    "windows": (VOCAB, TextConfig(newlines="lf", lower=True)),
    "bytes": (Vocabulary.of(map(chr, range(256))), TextConfig(bytes=True)),
}
# What is said of completions that --length cut.
CUT = r"(.*completions? (was|were) cut at [\d,]+ characters \(--length\)\.\n)?"
LINES = ["bad", "", "cafe ☞", "a", "dead beef", "bad", "f" * 70, "he"]
TEXT = "".join(line + "\n" for line in LINES).encode()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of untrained models, one of each kind."""
    folder = tmp_path_factory.mktemp("models")
    for name, (vocab, text) in MODELS.items():
        write_model(folder / f"{name}.safetensors", vocab, text)
    (folder / "lines.txt").write_bytes(TEXT)
    return folder


@pytest.fixture(autouse=True)
def here(models, monkeypatch):
    monkeypatch.chdir(models)
    return models


def run(model, *arguments, stdin: bytes = TEXT):
    arguments = ["complete", f"{model}.safetensors", *map(str, arguments)]
    result = CliRunner().invoke(app, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def complete(model, *arguments, stdin: bytes = TEXT) -> list[str]:
    result = run(model, *arguments, stdin=stdin)
    assert re.fullmatch(CUT, result.stderr)
    *lines, nothing = result.stdout_bytes.decode().split("\n")
    assert nothing == ""
    return lines


def as_records(model, *arguments, stdin: bytes = TEXT) -> list[dict]:
    return [json.loads(line) for line in run(model, *arguments, "--jsonl", stdin=stdin).stdout.splitlines()]


def likeliest(model: Model, before: str, length: int, until: str = "\n") -> tuple[str, float, bool]:
    """Return what follows in the plainest way, what it costs in nats, and whether it came to its end."""
    stream, ids = Stream(model), [model.vocab.start, *model.vocab.encode(before)]
    text, cost = "", 0.0
    for id in ids[:-1]:
        stream.step(id)
    last = ids[-1]
    while len(text) < length:
        logits = stream.step(last).astype(np.float64)
        last = int(logits.argmax())
        if model.vocab.symbols[last] == until:
            return text, cost, True
        text += model.vocab.symbols[last]
        cost += math.log(np.exp(logits - logits.max()).sum())
    return text, cost, False


def test_the_best_completions_of_each_line(models):
    loaded = load(models / "plain.safetensors")
    found = loaded.complete_n_best(LINES[:3], 6, 4, length=5)
    assert [len(every) for every in found] == [4, 4, 4]
    assert [every[0].text for every in found] == loaded.complete(LINES[:3], length=5, beam=6)
    for every in found:
        kept = [(not one.ended, one.bits_with_end) for one in every]
        assert kept == sorted(kept) and len({one.text for one in every}) == 4
        # Without the line break that ends it a text costs less.
        assert all((one.bits < one.bits_with_end) == one.ended for one in every)
    stdin = "".join(line + "\n" for line in LINES[:3]).encode()
    options = ("plain", "--beam", 6, "--best", 4, "-n", 5)
    rows = [line.split("\t", 3) for line in complete(*options, stdin=stdin)]
    flat = [(number, one) for number, every in enumerate(found, 1) for one in every]
    assert [(int(row[0]), row[3]) for row in rows] == [(number, one.text) for number, one in flat]
    assert [float(row[1]) for row in rows] == pytest.approx([one.probability_with_end for _, one in flat], rel=1e-3)
    records = as_records(*options, stdin=stdin)
    assert [(one["line"], one["rank"]) for one in records] == [
        (line, rank) for line in (1, 2, 3) for rank in (1, 2, 3, 4)
    ]
    assert [one["probability_with_end"] for one in records] == [one.probability_with_end for _, one in flat]
    for wrong, said in (
        ((), "ranks the texts"),
        (("--beam", 2), "at most 2"),
        (("--beam", 5, "--check", "x"), "Leave"),
    ):
        with pytest.raises(CharRNNError) as refused:
            run("plain", "--best", 3, *wrong)
        assert said in f"{refused.value.message} {refused.value.hint}"


# --- The likeliest ---


@pytest.mark.parametrize(
    ("model", "before", "until"), [("plain", "\n", "\n"), ("lines", "", "\n"), ("after", "", "\n"), ("files", "", "☞")]
)
def test_a_completion_is_what_is_likeliest_behind_its_line(model, before, until):
    loaded, separator = Model.load(Path(f"{model}.safetensors")), "\t" if model == "after" else ""
    # In a model of files that end in ☞ this would be the end of one.
    lines = [line.replace("☞", "a" if model == "files" else "☞") for line in LINES]
    stdin = "".join(line + "\n" for line in lines).encode()
    expected = [likeliest(loaded, before + line + separator, 18, until) for line in lines]
    assert any(ended for *_, ended in expected) and not all(ended for *_, ended in expected)
    found = as_records(model, "-n", 18, stdin=stdin)
    assert [record["text"] for record in found] == [text for text, *_ in expected]
    assert [record["ended"] for record in found] == [ended for *_, ended in expected]
    assert [record["line"] for record in found] == list(range(1, len(LINES) + 1))
    assert [record["source"] for record in found] == lines
    for record, (text, cost, _) in zip(found, expected, strict=True):
        assert record["characters"] == len(text)
        assert record["log_probability"] == pytest.approx(-cost, rel=1e-4, abs=1e-4)
    assert complete(model, "-n", 18, stdin=stdin) == [record["text"].replace("\n", "\\n") for record in found]


def test_the_separator_is_put_where_a_line_lacks_it():
    with_it = "".join(line + "\t\n" for line in LINES).encode()
    assert complete("after", stdin=with_it) == complete("after") != complete("after", "--append", "")
    assert complete("after", "--append", "\\t") == complete("after")
    # An answer that was begun goes on.
    loaded = Model.load(Path("after.safetensors"))
    assert complete("after", "-n", 9, stdin=b"bad\tca\n") == [likeliest(loaded, "bad\tca", 9)[0]]
    plain = Model.load(Path("plain.safetensors"))
    assert complete("plain", "-n", 9, "--append", " é", stdin=b"bad\n") == [likeliest(plain, "\nbad é", 9)[0]]


def test_what_is_appended_is_seen_as_lines_are():
    assert complete("windows", "--append", "CAFE", "-n", 9, stdin=b"Bad\r\n") == complete(
        "windows", "-n", 9, stdin=b"badcafe\n"
    )
    appended, whole = (
        run("bytes", "-n", 9, *options, stdin=line.encode()).stdout_bytes
        for options, line in ((("--append", "é☞"), "a\n"), ((), "aé☞\n"))
    )
    assert appended == whole and len(whole) == 10


def test_a_completion_ends_where_it_is_asked_to():
    text, _, ended = likeliest(Model.load(Path("plain.safetensors")), "\ndead beef", 40, until="f")
    assert ended and "☞\n" in text

    def until(*stops):
        options = [option for stop in stops for option in ("--until", stop)]
        (record,) = as_records("plain", "-n", 40, *options, stdin=b"dead beef\n")
        # However many lines it has, one is printed.
        assert complete("plain", "-n", 40, *options, stdin=b"dead beef\n") == [record["text"].replace("\n", "\\n")]
        return record["text"]

    assert until("f") == text
    # Several may be given, with escapes; the first that comes ends it, and is no part of it.
    assert until("f", "☞\\n", "gg☞") == text[: text.index("☞\n")]
    assert complete("plain", "-n", 0) == [""] * len(LINES)
    assert complete("plain", stdin=b"") == []
    kept = complete("plain", "-n", 40, "--until", "f", "--keep-until", stdin=b"dead beef\n")
    assert kept == [(text + "f").replace("\n", "\\n")]
    with pytest.raises(CharRNNError, match="`keep_until` keeps the text of `until`, but none was given"):
        run("plain", "--keep-until")
    without_end = complete("plain", "-n", 5, stdin=b"a\nbad")
    assert without_end == complete("plain", "-n", 5, stdin=b"a\nbad\n") and len(without_end) == 2
    with pytest.raises(CharRNNError, match="`until` is empty"):
        run("plain", "--until", "")


def test_a_beam_finds_what_the_search_finds():
    loaded = Model.load(Path("after.safetensors"))
    ending = Ending(12, ((VOCAB.symbols.index("\n"),),))
    found = as_records("after", "--beam", 4, "-n", 12)
    for line, record in zip(LINES, found, strict=True):
        best = beam_search(loaded, np.array([VOCAB.start, *VOCAB.encode(line + "\t")]), 4, ending)
        assert (record["text"], record["ended"]) == (VOCAB.decode(best.ids), best.ended)
    assert [record["text"] for record in found] != [record["text"] for record in as_records("after", "-n", 12)]


# --- Drawn ---


def test_drawn_completions_repeat_with_their_seed_alone():
    drawn = complete("plain", "--temp", 1, "--seed", 3)
    assert complete("plain", "--temp", 1, "--seed", 3) == drawn
    others = [complete("plain", "--temp", 1, *seed) for seed in (("--seed", 4), (), ())]
    assert len({tuple(lines) for lines in [drawn, *others]}) == 4
    # The same line twice is completed twice.
    assert drawn[0] != drawn[5]


@pytest.mark.parametrize("beam", [(), ("--beam", 2, "-n", 5)])
def test_portions_make_no_difference(beam, monkeypatch):
    lines = TEXT * 3
    how = beam or ("--temp", 1, "--seed", 3, "-n", 20)
    whole = as_records("after", *how, stdin=lines)
    assert len(whole) == 24
    for name, value in (("PORTION", 5), ("CHARACTERS", 10), ("PORTION", 1)):
        monkeypatch.setattr(records, name, value)
        found = as_records("after", *how, stdin=lines)
        assert [(r["line"], r["source"], r["text"]) for r in found] == [
            (r["line"], r["source"], r["text"]) for r in whole
        ]
    unbuffered = as_records("after", *how, "--unbuffered", stdin=lines)
    assert [record["text"] for record in unbuffered] == [record["text"] for record in whole]


def test_what_may_be_drawn_is_as_in_sampling():
    drawn = complete("plain", "--temp", 3, "--allow", "ab", "-n", 50, "--seed", 1)
    assert set("".join(drawn)) == {"a", "b"} and any(len(line) < 50 for line in drawn)
    assert "a" not in "".join(complete("plain", "--temp", 3, "--forbid", "a", "--seed", 1))
    assert complete("plain", "--temp", 3, "--top-k", 1) == complete("plain")
    (novel,) = complete("plain", "--no-repeat", 1, "-n", 8, stdin=b"abcd\n")
    assert len(set(novel)) == len(novel) == 8 and not set(novel) & set("abcd")


# --- Against targets ---


def targets_of(answers: list[str]) -> bytes:
    return "".join(answer + "\n" for answer in answers).encode()


def test_exact_answers_are_counted(here, monkeypatch):
    answers = complete("after", "-n", 9)
    wrong = [*answers[:2], answers[2] + "a", answers[3][:-1] + "\t", *answers[4:]]
    (here / "targets.txt").write_bytes(targets_of(wrong))
    for portion in (8192, 3):
        monkeypatch.setattr(records, "PORTION", portion)
        assert complete("after", "-n", 9, "--check", "targets.txt") == ["exact: 6 of 8 (75.00%)"]
        result = run("after", "-n", 9, "--check", "targets.txt", "--jsonl")
        assert re.fullmatch(rf"{CUT}exact: 6 of 8 \(75\.00%\)\n", result.stderr)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [record["right"] for record in found] == [True, True, False, False, *[True] * 4]
        assert [record["target"] for record in found] == wrong
    # The last target may lack its line end, and a target is seen as lines are.
    (here / "targets.txt").write_bytes(targets_of(answers)[:-1])
    assert complete("after", "-n", 9, "--check", "targets.txt") == ["exact: 8 of 8 (100.00%)"]
    answers = complete("windows", "-n", 9)
    (here / "targets.txt").write_bytes(targets_of(answers).upper().replace(b"\n", b"\r\n"))
    assert complete("windows", "-n", 9, "--check", "targets.txt") == ["exact: 8 of 8 (100.00%)"]


@pytest.mark.parametrize(
    ("targets", "lines", "said"),
    [
        (b"a\n" * 7, TEXT, "`check` has no line 8."),
        (b"", TEXT, "`check` has no line 1."),
        (b"a\n" * 9, TEXT, "`check` has more than 8 lines."),
        (b"a\n", b"", "`check` has more than 0 lines."),
        (b"", b"", "There were no lines to complete."),
        (b"a\n\xff\n" * 4, TEXT, "targets.txt is not UTF-8: byte 0xff at offset 2, line 2."),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, lines, said, here, monkeypatch):
    (here / "targets.txt").write_bytes(targets)
    for portion in (8192, 4):
        monkeypatch.setattr(records, "PORTION", portion)
        with pytest.raises(CharRNNError, match=re.escape(said)):
            run("after", "--check", "targets.txt", stdin=lines)


# --- Odd lines, and what is refused ---


def test_unknown_characters_by_each_policy():
    for options in ((), ("--unknown", "error")):
        with pytest.raises(CharRNNError, match=r"Line 3 has characters that .*: 'Z' .* first at column 2\."):
            run("plain", *options, stdin=b"a\n\nbZ\n")
    skipped = run("plain", "-n", 9, "--unknown", "skip", stdin=b"a\nbZ\nZ\n")
    assert skipped.stdout == run("plain", "-n", 9, stdin=b"a\nb\n\n").stdout
    assert skipped.stderr.count("\n") == 3 and "1 character of line 2 is unknown and was left" in skipped.stderr
    replaced = run("plain", "-n", 9, "--unknown", "replace", stdin=b"a\nbZ\n")
    assert replaced.stdout == run("plain", "-n", 9, stdin=b"a\nb \n").stdout


def test_a_model_of_bytes_completes_bytes():
    found = run("bytes", "--temp", 1, "--seed", 1, "-n", 100, stdin=b"\xff\0\n\n").stdout_bytes
    assert found.count(b"\n") == 2 and set(found) & set(range(128, 256))
    records = as_records("bytes", "--temp", 1, "--seed", 1, "-n", 100, stdin=b"\xff\0\n\n")
    assert records[0]["source"] == "\udcff\0"
    assert "".join(record["text"] + "\n" for record in records).encode("utf-8", "surrogateescape") == found
    # What is UTF-8 is text in records, and so is what it is compared with.
    Path("targets.txt").write_text("éa\n", encoding="utf-8")
    (checked,) = as_records("bytes", "--allow", "é", "-n", 8, "--check", "targets.txt", stdin="☞é\n".encode())
    assert (checked["source"], checked["target"]) == ("☞é", "éa")
    assert set(checked["text"].encode("utf-8", "surrogateescape")) <= set("é".encode())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plain.safetensors", "missing.txt"), "neither a run nor a file 'missing.txt'"),
        (("plain.safetensors", "."), ". is a folder; charrnn complete reads the lines of one text"),
        (("missing.safetensors", "lines.txt"), "missing.safetensors"),
        (("plain.safetensors", "lines.txt", "--check", "missing.txt"), "missing.txt does not exist"),
        (("plain.safetensors", "--check", "-"), "cannot both be read from stdin"),
        (("plain.safetensors", "lines.txt", "--unknown", "forget"), "--unknown is 'forget'"),
        (("plain.safetensors", "lines.txt", "--temp", "1", "--top-p", "2"), "--top-p is 2"),
        (("plain.safetensors", "lines.txt", "--beam", "2", "--no-repeat", "2"), "--beam searches"),
        (("plain.safetensors", "lines.txt", "--beam", "2", "--temp", "0"), "--temp has no effect with it"),
        (("plain.safetensors", "lines.txt", "--seed", "2"), "--temp 0 takes the likeliest"),
        (("plain.safetensors", "lines.txt", "--top-k", "2"), "--top-k has no effect with it"),
        (("plain.safetensors", "lines.txt", "--allow", "Z"), "knows none of the characters of --allow Z"),
        (
            ("plain.safetensors", "lines.txt", "--append", "Z"),
            "Line 1 has characters that the model",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_requests_get_one_clear_message(arguments, said):
    result = CliRunner().invoke(app, ["complete", *arguments], input=TEXT)
    assert isinstance(result.exception, CharRNNError) and said in as_options(result.exception.message)
    assert result.stdout == ""


# --- As processes of their own ---


def test_unbuffered_a_line_in_is_a_line_out(here):
    """Were a line waited for in vain, reading would block: then the alarm ends the test."""
    expected = complete("plain", "-n", 9)
    process = subprocess.Popen(
        [COMMAND, "complete", "plain.safetensors", "--unbuffered", "-n", "9"],
        cwd=here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    watchdog = signal.signal(signal.SIGALRM, lambda *signal: process.kill())
    signal.alarm(60)
    try:
        for line, completion in zip(LINES, expected, strict=True):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode() == completion + "\n"
        assert process.communicate() == (b"", None) and process.returncode == 0
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, watchdog)
        process.kill()


def test_completing_imports_no_framework(here):
    result, loaded = loaded_by(here, "complete", "plain.safetensors", "lines.txt", "--temp", "1", "-n", "9")
    assert result.returncode == 0 and "charrnn.inference.batch" in loaded
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()
