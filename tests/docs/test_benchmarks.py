"""That the benchmarks run and print their tables; the figures are for docs/benchmarks.md."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from support.models import write_bigrams

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

slow = pytest.mark.slow


def table(script, *arguments):
    """Run a benchmark; return the cells of its rows."""
    result = subprocess.run([sys.executable, BENCHMARKS / script, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Machine: ")
    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines() if line.startswith("| ")]
    return rows, result


@slow
def test_train(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    sizes = ("--sizes", "1x8:4:8", "--repeats", "1", "--seconds", "1")
    (heads, *rows), result = table("train.py", "--text", str(text), "--cells", "lstm", "gru", "rnn", *sizes)
    assert heads == ["cell", "size", "charrnn", "Keras", "to Keras", "of the peak"]
    assert [row[:2] for row in rows] == [[cell, "1x8, batch 4, seq 8"] for cell in ("lstm", "gru", "rnn")]
    assert all(row[4].endswith("x") and float(row[4][:-1]) > 0 for row in rows)
    assert "28 different" in result.stdout


@slow
def test_train_says_what_failed(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    arguments = ("--text", str(text), "--cells", "rnn", "--sizes", "1x8:4:8", "--repeats", "1", "--seconds", "0.2")
    # A Python without torch that passes for one with it until the work begins.
    torch = tmp_path / "python"
    torch.write_text('#!/bin/sh\n[ "$1" = -c ] && echo 0.0 || exit 3\n')
    torch.chmod(0o755)
    (_, row), result = table("train.py", *arguments, "--torch", str(torch), "--keep-going")
    assert row[4] == "failed" and "torch failed: exit 3" in result.stderr


@slow
def test_sample():
    rows, _ = table("sample.py", "--sizes", "1x8", "--repeats", "1", "--starts", "1", "--seconds", "0.2")
    assert [row[0] for row in rows[:2]] == ["LSTM", "1x8"]
    assert rows[1][2].endswith(" MB")
    assert [row[0] for row in rows[4:]] == ["`charrnn --help`", "`charrnn sample, 1x8, to the first character`"]


@slow
@pytest.mark.trains
def test_start():
    (heads, *rows), _ = table("start.py", "--repeats", "1")
    assert heads == ["from the shell", "seconds", "peak memory"] and len(rows) == 4
    assert all(float(row[1].split()[0]) > 0 and row[2].endswith(" MB") for row in rows)


@slow
def test_embedding():
    (heads, *rows), result = table("embedding.py", "--size", "1x8", "--lines", "300", "--repeats", "1")
    assert heads[-2:] == ["embed to score", "in processor time"] and [row[0][:4] for row in rows] == ["mean", "mean"]
    assert all("%" in row[3] for row in rows)
    assert "Memory of embedding 300 lines: " in result.stdout and float(result.stdout.split("alone: ")[1][:7]) < 1e-5


@slow
def test_corpus():
    (heads, *rows), _ = table("corpus.py", "--megabytes", "1", "--repeats", "1")
    assert heads == ["time", "peak memory"] and len(rows) == 5
    assert float(rows[1][1]) > 0 and rows[0][2].endswith(" MB")


@slow
def test_ngrams(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    (heads, *rows), _ = table("ngrams.py", str(text), "--random", "5_000")
    assert heads[0] == "text" and [row[:3] for row in rows] == [
        ["text.txt", "2,376", "2,376"],
        ["random.txt", "4,500", "4,500"],
    ]
    # Nothing is learned of random letters: a letter needs log2(26) bits.
    assert float(rows[1][6]) > 4.6 and float(rows[0][6]) < 0.5


@slow
def test_vocabulary():
    small = ("--shape", "1x8:4:8", "--characters", "4000", "--repeats", "1", "--seconds", "0.2")
    (heads, *rows), _ = table("vocabulary.py", "--sizes", "5", "300", *small)
    assert heads[0] == "symbols" and [row[0] for row in rows] == ["5", "300"]
    assert rows[0][3] == "100%" and rows[1][5].endswith("x")


@slow
def test_cells():
    small = ("--units", "4", "--batch", "4", "--seq", "8", "--repeats", "1", "--seconds", "0.2")
    (heads, *rows), _ = table("cells.py", "--cells", "rnn", "mingru", *small)
    assert heads[:5] == ["cell", "compiled", "framework", "ratio", "to lstm"]
    assert [row[0] for row in rows] == ["rnn", "mingru"]
    assert all(row[3].endswith("x") and row[4].endswith("%") for row in rows)


def shell(script, *arguments):
    """Run a script for a GPU on this processor; return what it prints."""
    environment = {**os.environ, "DEVICE": "cpu", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [BENCHMARKS / script, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=BENCHMARKS.parent)
    assert result.returncode == 0, result.stderr
    return result.stdout


@slow
def test_the_checks_of_a_gpu_on_a_processor():
    small = ("--sizes", "1x16", "--batches", "4", "--seq", "8", "--seconds", "0.1", "--peak-size", "64")
    few = ("--cells", "rnn", "--unroll", "2", "--precisions", "bf16", "--torch", "true")
    printed = shell("gpu_check.sh", 60, *small, *few)
    losses, speeds = printed.partition("## Losses")[2].split("## Speed")
    (heads, *rows) = [line.strip("| ").split(" | ") for line in losses.splitlines() if line.startswith("| ")]
    assert heads[:3] == ["cell", "processor", "float32"]
    assert [row[0] for row in rows] == ["lstm", "gru", "gru-reset-after", "lstm-mogrifier"]
    # The same device and engine twice: the losses are the same. "Kernels" are compiled cells here.
    assert all(row[3].endswith("(0.0e+00)") and len(row) == 7 for row in rows)
    (heads, *rows) = [line.strip("| ").split(" | ") for line in speeds.splitlines() if line.startswith("| ")]
    assert heads == ["cell", "size", "precision", "contender", "characters/s", "of the peak"]
    contenders = [(row[0], row[2], row[3]) for row in rows]
    for contender in ("charrnn", "charrnn, scan", "Keras", "charrnn, scan, unroll 2"):
        assert ("lstm", "bf16", contender) in contenders
    assert {("gru", "bf16", "charrnn"), ("rnn", "bf16", "charrnn")} < set(contenders)
    assert all(float(row[4].replace(",", "")) > 0 for row in rows)


@slow
@pytest.mark.trains
def test_gpu_kernels_without_a_gpu(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    rows, _ = table("gpu_kernels.py", "--cells", "lstm", "--of", "gru", "--shapes", "16:2", "--seq", "4")
    assert rows[0] == ["cell", "float32", "bf16"] and rows[1][0] == "lstm" and "no kernel: " in rows[1][1]
    assert [row[:2] for row in rows[3:]] == [["gru 16, batch 2", "float32"], ["gru 16, batch 2", "bf16"]]
    assert all(float(number) > 0 for row in rows[3:] for number in row[3].split(", "))


@slow
def test_the_trainings_on_a_gpu_on_a_processor(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 600)
    printed = shell("gpu_train.sh", text, 0.1, "--units", 16, "--batch", 4, "--seq", 8)
    assert "1.4697 nats" in printed and "nats per character" in printed
    assert "step-00000100.safetensors" in printed and printed.rstrip().endswith("the weights are equal")


@slow
def test_gpu_within_its_budget(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    small = ("--sizes", "1x8", "--batches", "4", "--seq", "8", "--seconds", "0.1", "--peak-size", "64")
    stopped, result = table("gpu.py", "--device", "cpu", "--budget", "0", *small)
    assert len(stopped) == 1 and "The budget was spent" in result.stdout


@slow
def test_backends():
    small = ("--sizes", "1x8:4:8", "--repeats", "1", "--seconds", "0.1")
    (heads, *rows), _ = table("backends.py", *small)
    assert heads == ["LSTM", "way", "characters/s", "to TensorFlow, compiled"]
    ways = ["TensorFlow, compiled", "TensorFlow", "TensorFlow, bf16"]
    assert [row[1] for row in rows] == [*ways, "JAX, compiled", "JAX", "JAX, bf16", "JAX, one device"]
    assert rows[0][3] == "1.00x" and all(float(row[3][:-1]) > 0 for row in rows)


@slow
def test_strangers(tmp_path):
    rng = random.Random(0)
    lines = [" ".join(rng.choices(["quick", "brown", "fox", "jumps", "over", "lazy"], k=8)) for _ in range(13_000)]
    (tmp_path / "text.txt").write_text("".join(line + "\n" for line in lines))
    model = tmp_path / "model.safetensors"
    write_bigrams(model, "".join(line + "\n" for line in lines[:100]), val_nats=1.0)
    (heads, *rows), _ = table("strangers.py", model, tmp_path / "text.txt", "--draws", "1")
    assert heads == ["rank", "last eight replaced", "shuffled"] and len(rows) == 8
    # A stranger has pairs of characters that the text has not.
    assert all(0.9 < float(area) <= 1 for row in rows for area in row[1:])


def test_languages(tmp_path):
    for code, word in (("de", "Datei"), ("fr", "fichier"), ("pt_BR", "arquivo"), ("sv", "fil")):
        folder = tmp_path / "package" / "locale" / code / "LC_MESSAGES"
        folder.mkdir(parents=True)
        entries = [
            f'msgid "file {number}"\nmsgstr ""\n"{word} {number} "\n"{word} und so weiter\\n"\n'
            for number in range(600)
        ]
        entries += [
            'msgid "kept"\nmsgstr "kept"\n',
            'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "in all"\nmsgstr[1] "in all"\n',
        ]
        (folder / "django.po").write_text("\n".join(entries), encoding="utf-8")
    script = [sys.executable, BENCHMARKS / "languages.py", tmp_path / "package", tmp_path / "lines"]
    subprocess.run(script, check=True, capture_output=True)
    test, train = ((tmp_path / "lines" / f"{part}.tsv").read_text().splitlines() for part in ("test", "train"))
    # Only 500 to 599 and so on are long enough in Swedish; what all languages have, and what is not translated, is out.
    counts = [[line.split("\t")[0] for line in part].count("de") for part in (test, train)]
    assert counts == [300, 200] and not set(test) & set(train)
    lines = (tmp_path / "lines" / "lines.txt").read_text().splitlines()
    assert "Datei 5 Datei und so weiter" in {*lines, *(line.split("\t")[1] for line in test)}
    assert not {"in all", "kept"} & set(lines) and not {line.split("\t")[1] for line in test} & set(lines)


@slow
def test_labels(tmp_path):
    rng = random.Random(0)
    for part in ("train", "test"):
        words = ["".join(rng.choices("abcd", k=8)) for _ in range(400)]
        rows = "".join(f"{'a' in word},{word}\n" for word in words)
        (tmp_path / f"{part}.csv").write_text(f"label,text\n{rows}")
    files = (str(tmp_path / "train.csv"), str(tmp_path / "test.csv"))
    more = ("--more", "--steps", "4", "--units", "8", "--batch", "8", "--seq", "16")
    result = subprocess.run(
        [sys.executable, BENCHMARKS / "labels.py", *files, *more], capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Machine: ") and [line.split()[0] for line in lines[2:]] == [
        "nothing-1",
        "most",
        "n-grams",
    ]
    assert " of 400 " in lines[2] and float(lines[4].split()[-1].rstrip("%")) > 90
