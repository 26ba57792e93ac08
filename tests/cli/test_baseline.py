"""`charrnn baseline`, and `charrnn.baseline`: the part that is predicted, what is printed, and what is refused."""

import json
import math
import random

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.api import ngrams
from charrnn.api.held_out import compressors, held_out
from charrnn.cli.app import app
from charrnn.cli.console import as_options
from charrnn.data.parts import Part
from charrnn.data.turned import turned
from charrnn.inference.ngrams import predicted
from support.untrained import train_nothing

WORDS = ["".join(random.Random(seed).choices("abcdé", k=seed % 7)) for seed in range(40)]
LINES = [" ".join(random.Random(seed).choices(WORDS, k=6)) + f"\t{seed % 10}" for seed in range(500)]


@pytest.fixture(autouse=True)
def texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("".join(f"{line}\n" for line in LINES))
    (tmp_path / "other.txt").write_text("".join(f"{line}\n" for line in LINES[100:160]))
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"is": line}) + "\n" for line in LINES))
    (tmp_path / "empty.txt").touch()
    (tmp_path / "one.txt").write_text("a")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1") * 50)


def run(*arguments):
    return CliRunner().invoke(app, ["baseline", *map(str, arguments)], catch_exceptions=False)


def refused(*arguments):
    result = CliRunner().invoke(app, ["baseline", *map(str, arguments)])
    assert isinstance(result.exception, charrnn.CharRNNError) and result.stdout == ""
    return as_options(str(result.exception))


@pytest.mark.parametrize(
    ("corpus", "how"),
    [
        ("text.txt", {}),
        ("text.txt", {"one_per_line": True, "seed": 3, "lower": True}),
        ("text.txt", {"one_per_line": True, "split": "tail", "loss_after": "\t", "test": 0.2}),
        ("text.txt", {"documents_between": "\t0\n", "normalize": "nfd"}),
        ("text.txt", {"val_file": "other.txt", "min_count": 300}),
        ("text.txt", {"split": "char-rnn", "batch": 7}),
        ("text.txt", {"one_per_line": True, "reverse": True}),
        ("text.txt", {"reverse": True, "bytes": True, "val": 0.3}),
        ("text.jsonl", {"field": "is"}),
        (["text.txt", "other.txt"], {"reset_at_documents": True, "separator": "\x1e"}),
        ("latin.txt", {"encoding": "latin-1"}),
    ],
)
def test_the_parts_are_those_of_train(corpus, how, monkeypatch):
    jobs = []
    train_nothing(monkeypatch, jobs.append)
    list(charrnn.train_events(corpus, **how))
    data = jobs[0].data
    found = charrnn.baseline(corpus, order=5, **how)
    for parts, models in ((data.parts.val, found.orders), (data.parts.test, found.test)):
        read, train = held_out(parts) if parts else [], data.parts.train
        if how.get("reverse"):
            end = data.corpus.vocab.encode(data.corpus.text.config.document_end or "").tolist()
            read, train = [turned(part, end) for part in read], turned(train, end)
        wanted = predicted(train, read, data.corpus.vocab.size, 5)
        assert [model.ngrams for model in models] == list(wanted.ngrams if parts else ())
        nats = -np.log(wanted.probabilities).mean(axis=1) if parts else []
        assert [model.nats_per_char for model in models] == pytest.approx(list(nats), abs=1e-12)
    assert bool(found.test) == ("test" in how) and [model.order for model in found.orders] == [1, 2, 3, 4, 5]
    assert (found.trained, found.training) == (len(data.parts.train),) * 2
    assert found.characters == sum(part.counted() for part in data.parts.val)
    assert found.held_out == found.read == sum(map(len, data.parts.val))
    assert found.compressors == compressors(data) and found.unit == ("byte" if how.get("bytes") else "character")


def test_the_table_marks_the_best_order():
    result, found = run("text.txt", "--val", "0.5"), charrnn.baseline("text.txt", val=0.5)
    lines = (line.split("  ") for line in result.stdout.splitlines())
    heads, *rows = ([cell.strip() for cell in line if cell.strip()] for line in lines)
    assert heads == ["MODEL", "BITS PER CHARACTER", "NATS", "N-GRAMS"]
    assert [row[0] for row in rows] == [*(f"order {n}" for n in range(1, 9)), "bzip2", "xz"]
    assert [row[0] for row in rows if row[-1] == "best"] == [f"order {found.best.order}"]
    assert found.best.nats_per_char == min(model.nats_per_char for model in found.orders) and 1 < found.best.order < 8
    for row, model in zip(rows, found.orders, strict=False):
        assert row[1:4] == [f"{model.bits_per_char:.4f}", f"{model.nats_per_char:.4f}", f"{model.ngrams:,}"]
    assert rows[8][1:] == [f"{found.compressors['bzip2']:.4f}", f"{found.compressors['bzip2'] * math.log(2):.4f}", "-"]
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert f"trained on {found.training:,} characters, predict all {found.held_out:,} held-out" in result.stderr
    assert "training with" not in result.stderr
    assert json.loads(run("text.txt", "--val", "0.5", "--json").stdout) == found.to_json()


def test_of_a_test_part_the_bits_are_shown_too():
    found = charrnn.baseline("text.txt", order=2, test=0.2)
    heads, _, second, *_ = run("text.txt", "--order", "2", "--test", "0.2").stdout.splitlines()
    assert "BITS, TEST PART" in heads and second.split()[2:4] == [
        f"{models[1].bits_per_char:.4f}" for models in (found.orders, found.test)
    ]


def test_of_a_long_text_the_end_is_used_and_told(monkeypatch):
    whole = charrnn.baseline("text.txt", order=4)
    monkeypatch.setattr(ngrams, "TRAINED", 1000)
    monkeypatch.setattr("charrnn.api.baseline.TRAINED", 1000)
    monkeypatch.setattr("charrnn.api.held_out.EXACT", 300)
    found = charrnn.baseline("text.txt", order=4)
    assert (found.trained, found.training, found.read) == (1000, whole.training, 300)
    text = "".join(f"{line}\n" for line in LINES)
    symbols = sorted(set("".join(LINES) + "\n"))
    ids = np.array([symbols.index(symbol) for symbol in text], np.uint8)
    part = Part(ids)
    cut = whole.training
    wanted = predicted(part.cut(cut - 1000, cut), [part.cut(cut, cut + 300)], len(symbols), 4)
    assert found.best.nats_per_char == pytest.approx(np.min(-np.log(wanted.probabilities).mean(axis=1)), abs=1e-12)
    told = run("text.txt", "--order", "4").stderr
    assert f"the last 1,000 of {whole.training:,} characters, predict the first 300 of {whole.held_out:,}" in told
    assert "Counting the n-grams" not in told
    monkeypatch.setattr(ngrams, "QUICK", 10)
    assert "Counting the n-grams of 1,000 characters" in run("text.txt", "--order", "1").stderr


def test_what_only_counts_after_a_character_is_told():
    result = run("text.txt", "--one-per-line", "--loss-after", r"\t", "--order", "2")
    found = charrnn.baseline("text.txt", order=2, one_per_line=True, loss_after="\t")
    assert f"predict {found.characters:,} that count among all {found.held_out:,} held-out" in result.stderr
    assert found.characters * 5 < found.held_out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("text.txt", "--val", "0"), "Nothing is held out"),
        (("text.txt", "--batch", "4"), "--batch"),
        (("text.txt", "--order", "0"), "--order"),
        (("text.txt", "--order", "13"), "--order"),
        (("text.txt", "--labels"), "--labels"),
        (("empty.txt",), "empty"),
        (("one.txt",), "at least 2 characters"),
        (("latin.txt",), "--encoding"),
        (("missing.txt",), "missing.txt"),
        ((), "CORPUS"),
    ],
)
def test_what_cannot_be_measured_is_explained(arguments, said):
    assert said in refused(*arguments)


def test_arguments_of_a_wrong_type_are_refused():
    for how in ({"order": "8"}, {"order": 0}, {"labels": True}, {"units": 8}, {"notify": 1}):
        with pytest.raises(charrnn.CharRNNError, match=next(iter(how))):
            charrnn.baseline("text.txt", **how)
