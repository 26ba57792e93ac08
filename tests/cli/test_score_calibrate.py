"""Thresholds from ordinary lines: `model.calibrate`, `charrnn score --calibrate`; the exit code for what is found."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.api.calibration import Threshold, thresholds
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.config import RANKS
from charrnn.errors import CharRNNError
from charrnn.inference.lines import Score
from support.commands import COMMAND, charrnn_in
from support.models import write_bigrams

TEXT = "the cat sat on the mat and that hat\n" * 9


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Return a folder with a model, 400 ordinary lines, and a log with two odd lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    write_bigrams(tmp_path / "model.safetensors", TEXT, val_nats=1.0)
    rng = np.random.default_rng(0)
    words = TEXT.split()
    lines = [" ".join(rng.choice(words, 6)) for _ in range(400)]
    (tmp_path / "ordinary.txt").write_text("\n".join([*lines, "", ""]) + "\n")
    (tmp_path / "log.txt").write_text("the cat sat on the mat\nttt hhh sss\n\nthat hat and that\ndadada\n")
    return tmp_path


def run(*arguments, stdin="", code=0):
    result = CliRunner().invoke(app, ["score", "model.safetensors", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def ordinary() -> list[str]:
    return Path("ordinary.txt").read_text().splitlines()


def scored(numbers: list[float]) -> list[Score]:
    """Return lines with these bits per character."""
    return [Score(line, "", "", np.array([bits]), 1, bits, 0) for line, bits in enumerate(numbers, 1)]


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 0.995, 0.999, 0.9999])
@pytest.mark.parametrize("count", [1, 2, 100, 999, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_a_threshold_is_the_least_that_finds_no_more_than_the_rest(quantile, count, ties):
    rng = np.random.default_rng(count)
    numbers = rng.normal(size=count).round(1 if ties else 9)
    (found,) = thresholds(scored(numbers.tolist()), "mean", [quantile], lambda notice: None)
    fit = [number for number in numbers.tolist() if (numbers >= number).sum() <= (1 - quantile) * count + 1e-6]
    expected = min(fit, default=numbers.max())
    assert found == Threshold(quantile, expected, (numbers >= expected).mean(), count)


@pytest.mark.parametrize(
    ("numbers", "quantiles", "said"),
    [
        (
            range(500),
            (0.99, 0.999, 0.9999),
            "The 99.9 % and 99.99 % quantiles of 500 ordinary lines are only the highest score. Give 20,000 lines or "
            "more.",
        ),
        (
            range(1),
            (0.99, 0.999, 0.9999),
            "The 99 %, 99.9 % and 99.99 % quantiles of 1 ordinary line are only the highest score. Give 20,000 lines "
            "or more.",
        ),
        # One line may be at or above the threshold: it is the highest one.
        (
            range(1000),
            (0.999,),
            "The 99.9 % quantile of 1,000 ordinary lines is only the highest score. Give 2,000 lines or more.",
        ),
        (
            range(1999),
            (0.999,),
            "The 99.9 % quantile of 1,999 ordinary lines is only the highest score. Give 2,000 lines or more.",
        ),
        (range(2000), (0.999,), None),
        (range(20_000), (0.99, 0.999, 0.9999), None),
        # Several lines have the highest score; if they are not too many, the threshold is as good as any.
        ([*range(998), 1000, 1000], (0.99,), None),
        (
            [*range(900), *[1000] * 100],
            (0.99, 0.5),
            "The 99 % quantile of 1,000 ordinary lines is only the highest score. Several lines have this score.",
        ),
    ],
)
def test_a_threshold_that_is_the_highest_score_is_told(numbers, quantiles, said):
    told = []
    thresholds(scored([*numbers]), "mean", quantiles, told.append)
    assert told == ([said] if said else [])


@pytest.mark.parametrize("by", RANKS)
def test_the_table_is_what_python_returns(by):
    model = charrnn.load("model.safetensors")
    expected = model.calibrate(ordinary(), by=by)
    numbers = [score.by(by) for score in model.score(ordinary()) if score.characters]
    assert len(numbers) == 400
    for one in expected:
        assert (one.share, one.lines) == (sum(number >= one.bits for number in numbers) / 400, 400)
    result = run("--calibrate", "ordinary.txt", "--by", by)
    assert "quantiles of 400 ordinary lines are only the highest score. Give 20,000 lines" in result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split("  ") == ["QUANTILE", "THRESHOLD", "LINES AT OR ABOVE", "FALSE ALARMS PER 100,000 LINES"]
    assert [row.split() for row in rows] == [
        [
            f"{one.quantile * 100:g}",
            "%",
            f"{one.bits:.4f}",
            f"{one.share * 100:.3g}",
            "%",
            f"{one.share * 100_000:,.0f}",
        ]
        for one in expected
    ]
    rows = run("--calibrate", "ordinary.txt", "--by", by, "--per-day", 2_000_000).stdout.splitlines()
    assert rows[0].endswith("FALSE ALARMS A DAY")
    assert rows[1].endswith(f" {expected[0].share * 2_000_000:,.0f}")
    records = run("--calibrate", "ordinary.txt", "--by", by, "--jsonl", "--per-day", 50).stdout.splitlines()
    assert [json.loads(line) for line in records] == [
        {
            "quantile": one.quantile,
            "by": by,
            "threshold": one.bits,
            "share": one.share,
            "lines": 400,
            "false_alarms_per_day": one.share * 50,
            "run": "model.safetensors",
        }
        for one in expected
    ]


@pytest.mark.parametrize("by", RANKS)
def test_a_percentage_is_the_number_of_ordinary_lines(by):
    (one,) = charrnn.load("model.safetensors").calibrate(ordinary(), by=by, quantiles=[0.99])
    options = ("ordinary.txt", "--by", by)
    found = run(*options, "--calibrate", "ordinary.txt", "--threshold", "99%")
    assert found.stderr == (
        f"The threshold is {one.bits:.4f} bits (--by {by}), the 99 % quantile of 400 ordinary lines: about "
        f"{one.share * 100_000:,.0f} false alarms per 100,000 lines.\n"
    )
    assert len(found.stdout.splitlines()) == round(one.share * 400)
    assert found.stdout == run(*options, "--threshold", repr(one.bits)).stdout
    a_day = run(*options, "--calibrate", "ordinary.txt", "--threshold", "99 %", "--per-day", 50)
    assert f"about {one.share * 50:.2g} false alarms a day" in a_day.stderr and a_day.stdout == found.stdout
    # Lines that come through a pipe, one by one.
    piped = run(
        "--by",
        by,
        "--calibrate",
        "ordinary.txt",
        "--threshold",
        "99%",
        "--unbuffered",
        stdin=Path("log.txt").read_text(),
    )
    assert piped.stdout == run("log.txt", "--by", by, "--threshold", repr(one.bits)).stdout != ""


def test_ordinary_lines_are_read_as_the_others():
    objects = "".join(json.dumps({"t": line, "q": "the "}) + "\n" for line in ordinary())
    Path("ordinary.jsonl").write_text(objects)
    plain = run("--calibrate", "ordinary.txt", "--after", "the ").stdout
    assert plain == run("--calibrate", "ordinary.jsonl", "--field", "t", "--context-field", "q").stdout
    assert plain == run("--calibrate", "-", "--after", "the ", stdin=Path("ordinary.txt").read_text()).stdout
    assert (
        plain != run("--calibrate", "ordinary.txt").stdout != run("--calibrate", "ordinary.txt", "--line-ends").stdout
    )
    model = charrnn.load("model.safetensors")
    with_ends = model.calibrate(ordinary(), quantiles=[0.9], line_ends=True, after="the ")
    assert (
        f" {with_ends[0].bits:.4f} "
        in run("log.txt", "--calibrate", "ordinary.txt", "--threshold", "90%", "--line-ends", "--after", "the ").stderr
    )


def test_the_exit_code_says_whether_a_line_was_found(here):
    for options, code in (
        (("log.txt", "--threshold", "3"), 3),
        (("log.txt", "--threshold", "99"), 0),
        (("log.txt", "--calibrate", "ordinary.txt", "--threshold", "99.9%", "--jsonl"), 3),
        (("ordinary.txt", "--threshold", "99", "--unbuffered"), 0),
        (("log.txt", "--threshold", "3", "--top", "1"), 3),
    ):
        result = run(*options, "--exit-code", code=code)
        assert bool(result.stdout) == (code == 3)
        assert result.stdout == run(*options).stdout
    # As a process of its own.
    command = ("score", "model.safetensors", "log.txt", "--exit-code", "--threshold")
    assert [charrnn_in(here, *command, bits).returncode for bits in ("3", "99", "much")] == [3, 0, 1]


def test_the_exit_code_outlives_the_reader_of_the_output(here):
    """As with | head -1: the reader ends before all is written."""
    for bits, more, code in (("3", (), 0), ("99", ("--exit-code",), 0), ("3", ("--exit-code",), 3)):
        reader, writer = os.pipe()
        os.close(reader)
        command = [COMMAND, "score", "model.safetensors", "log.txt", "--threshold", bits, *more]
        result = subprocess.run(command, cwd=here, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (result.returncode, result.stderr) == (code, b"")


def test_mistakes_are_explained():
    for arguments, said in (
        (("--calibrate", "ordinary.txt", "log.txt"), "scores nothing; log.txt has no effect"),
        (("--calibrate", "ordinary.txt", "--sort"), "scores nothing; --sort has no effect"),
        (("--calibrate", "ordinary.txt", "--rank"), "scores nothing; --rank has no effect"),
        (("--calibrate", "ordinary.txt", "--html", "a.html"), "scores nothing; --html has no effect"),
        (("log.txt", "--calibrate", "ordinary.txt", "--threshold", "4"), "--calibrate has no effect"),
        (("log.txt", "--threshold", "99%"), "99% is a quantile of ordinary lines, but no file"),
        (("log.txt", "--calibrate", "ordinary.txt", "--threshold", "100%"), "must be above 0 and below 100"),
        (("log.txt", "--calibrate", "ordinary.txt", "--threshold", "0%"), "must be above 0 and below 100"),
        (("log.txt", "--calibrate", "ordinary.txt", "--threshold", "x%"), "must be above 0 and below 100"),
        (("log.txt", "--threshold", "inf"), "--threshold is inf; it must be a number of bits"),
        (("log.txt", "--threshold", ""), "it must be a number of bits"),
        (("--calibrate", "-", "--threshold", "99%"), "cannot both be read from stdin"),
        (("--calibrate", "nowhere.txt"), "nowhere.txt does not exist"),
        (("--calibrate", "."), ". is a folder"),
        (("--calibrate", "/dev/null"), "no ordinary lines with a character that counts"),
        (("log.txt", "--exit-code"), "--exit-code has no effect without --threshold"),
        (("log.txt", "--per-day", "5"), "--per-day has no effect without --calibrate"),
        (("log.txt", "--whole", "--calibrate", "ordinary.txt"), "--whole scores the text as a whole"),
    ):
        result = run(*arguments, code=1)
        assert isinstance(result.exception, CharRNNError) and result.stdout == ""
        assert said in as_options(result.exception.message)
    model = charrnn.load("model.safetensors")
    for wrong in (0, 1, 1.5, [0.5, -1], "0.9", None):
        with pytest.raises(CharRNNError, match=r"`quantiles` (has|is)"):
            model.calibrate(["a"], quantiles=wrong)
    with pytest.raises(CharRNNError, match="`by` is 'best'"):
        model.calibrate(["a"], by="best")
    with pytest.raises(CharRNNError, match="no ordinary lines"):
        model.calibrate(["", ""])
