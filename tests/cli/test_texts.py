"""Texts of all kinds from the command line: pipes, bytes, lines, rare characters, what validates and what tests."""

import gzip
import json
import os
import re
import threading

import numpy as np
import pytest

from charrnn.api import held_out
from charrnn.api.datasets import Sources, vocabulary
from charrnn.cli.views import report
from charrnn.config import ModelConfig, TextConfig
from charrnn.data.parts import Part
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.commands import charrnn_in, several

pytestmark = pytest.mark.trains

TINY = ("--cell", "rnn", "--layers", "1", "--units", "4", "--batch", "2", "--seq", "8", "--quiet")
BOTTLES = [f"{n} green bottles\n" for n in range(200)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of texts and of runs trained on them in all ways, and what each training said."""
    folder = tmp_path_factory.mktemp("texts")
    texts = {
        "a.txt": "".join(BOTTLES[:90]),
        "b.txt": "".join(BOTTLES[90:]),
        "other.txt": "no more bottles☞\n" * 60,
        "names.txt": "\n".join(f"name {n}" for n in range(300)),
        "rare.txt": "".join(BOTTLES) + "Zebra ☞\n",
        "tunes.txt": "\n\n".join(f"tune {n}\nla la" for n in range(60)),
        "many/1.txt": "first\n" * 70,
        "many/2.txt": "2nd\n" * 90,
        "many/3.txt": "the third\n" * 50,
        "many/4.txt": "no. 4\n" * 60,
    }
    (folder / "many").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "ab.txt").write_bytes((folder / "a.txt").read_bytes() + (folder / "b.txt").read_bytes())
    (folder / "image").write_bytes(bytes(range(0, 256, 2)) * 20)
    (folder / "song").write_bytes(bytes(range(1, 256, 2)) * 10)
    table = "id,text\r\n" + "".join(f'{n},"{n} green\n\nbottles"\r\n' for n in range(90))
    (folder / "bottles.csv.gz").write_bytes(gzip.compress(table.encode()))
    for name in ("a", "b"):
        os.mkfifo(folder / f"{name}.fifo")
        fill = (folder / f"{name}.fifo").write_bytes, [(folder / f"{name}.txt").read_bytes()]
        threading.Thread(target=fill[0], args=fill[1], daemon=True).start()
    calls = [
        ("files", "", "a.txt", "b.txt"),
        ("pipes", "", "a.fifo", "b.fifo"),
        ("piped", "ab.txt", "-"),
        ("lines", "", "names.txt", "--one-per-line", "--split", "tail", "--test", "0.1"),
        ("bytes", "", "image", "--bytes"),
        ("records", "", "bottles.csv.gz", "--field", "text", "--test", "0.2"),
        ("marked", "", "tunes.txt", "--documents-between", r"\n\n", "--bytes"),
        ("rare", "", "rare.txt", "--min-count", "20", "--val-file", "b.txt"),
        ("val", "", "a.txt", "--val-file", "other.txt", "--test", "0.2"),
        ("documents", "", "many", "--split", "documents", "--val", "0.3", "--separator", "|", "--reset-at-documents"),
    ]
    said = several(
        folder,
        *((name, stdin, "train", *rest, *TINY, "--steps", 3, "--name", name) for name, stdin, *rest in calls),
    )
    assert {name: text for name, (text, code) in said.items() if code} == {}
    return folder, {name: text for name, (text, code) in said.items()}


def checkpoint_of(folder, run, step=3):
    return read_checkpoint(folder / f"checkpoints/{run}/step-{step:08d}.safetensors", training=True)


def counted(said, what):
    """Return on how many characters the validation or the test was."""
    match = re.search(rf"^{what}: [\d.]+ bits per \w+ .* over all ([\d,]+) held-out (?:character|byte)s", said, re.M)
    assert match, said
    return int(match[1].replace(",", ""))


def evaluated(folder, *arguments):
    result = charrnn_in(folder, "eval", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def test_what_is_piped_in_trains_the_same_model_to_the_bit(trained):
    folder, said = trained
    files, piped = (checkpoint_of(folder, run) for run in ("files", "piped"))
    assert files.weights.keys() == piped.weights.keys()
    assert all(files.weights[name].tobytes() == piped.weights[name].tobytes() for name in files.weights)
    assert [name for name, weights in checkpoint_of(folder, "lines").weights.items() if weights.any()]
    records = [checkpoint.progress.corpus for checkpoint in (files, piped)]
    assert records[0].sha256 == records[1].sha256 and records[1].sources == ("-",)
    assert records[0].sources == (str(folder / "a.txt"), str(folder / "b.txt"))
    assert (folder / "checkpoints/piped/stdin.txt").read_bytes() == (folder / "ab.txt").read_bytes()
    assert not (folder / "checkpoints/files/stdin.txt").exists()
    assert re.findall("(Validation: .*)", said["files"]) == re.findall("(Validation: .*)", said["piped"])


def test_what_came_through_pipes_is_kept_in_the_run(trained):
    folder, _ = trained
    files, pipes = (checkpoint_of(folder, run) for run in ("files", "pipes"))
    assert all(files.weights[name].tobytes() == pipes.weights[name].tobytes() for name in files.weights)
    assert pipes.progress.corpus.sources == ("-", "-2")
    for kept, text in (("stdin.txt", "a.txt"), ("stdin-2.txt", "b.txt")):
        assert (folder / "checkpoints/pipes" / kept).read_bytes() == (folder / text).read_bytes()
    novel = charrnn_in(folder, "sample", "pipes", "--novel", "-n", 9)
    assert novel.returncode == 0 and novel.stderr.count("\n") == 1
    assert novel.stderr.rstrip().endswith("checkpoints/pipes/stdin.txt, checkpoints/pipes/stdin-2.txt")


def test_a_model_of_lines(trained):
    folder, said = trained
    checkpoint = checkpoint_of(folder, "lines")
    # The last line of the file had no end.
    text = (folder / "names.txt").read_text() + "\n"
    assert checkpoint.text == TextConfig(one_per_line=True) and checkpoint.progress.corpus.characters == len(text)
    # 80 % in whole lines, and the rest too.
    first, second = (text.index("\n", len(text) * percent // 100 - 1) + 1 for percent in (80, 90))
    assert (counted(said["lines"], "Validation"), counted(said["lines"], "Test")) == (
        second - first,
        len(text) - second,
    )
    for what, low, high in (("Validation", first, second), ("Test", second, len(text))):
        (folder / "part.txt").write_text(text[low:high])
        facts, _ = evaluated(folder, "lines", "part.txt")
        assert facts["characters"] == high - low
        assert f"{what}: {facts['bits_per_char']:.4f} bits per character" in said["lines"]
    # Each line by itself: their order makes no difference, as it would if anything were carried.
    (folder / "part.txt").write_text("name 1\nname 22\nname 333\n" * 3)
    (folder / "turned.txt").write_text("name 333\nname 22\nname 1\n" * 3)
    facts, turned = (evaluated(folder, "lines", name)[0]["nats_per_char"] for name in ("part.txt", "turned.txt"))
    assert facts == pytest.approx(turned, rel=1e-6)
    (folder / "part.txt").write_text("1 green\n22 green\n4 bottles\n")
    (folder / "turned.txt").write_text("4 bottles\n22 green\n1 green\n")
    carried, turned = (evaluated(folder, "files", name)[0]["nats_per_char"] for name in ("part.txt", "turned.txt"))
    assert carried != pytest.approx(turned, rel=1e-4)
    sampled = charrnn_in(folder, "sample", "lines", "-n", 500, "--seed", 1).stdout.decode()
    assert len(sampled) == 500 and set(sampled) <= set(text)


def test_models_of_documents_and_records(trained):
    folder, said = trained
    records, marked = checkpoint_of(folder, "records"), checkpoint_of(folder, "marked")
    assert records.text == TextConfig(field="text", documents_between="\x1e")
    assert marked.text == TextConfig(documents_between="\n\n", bytes=True)
    assert records.training.split == marked.training.split == "documents"
    # What was held out is found again, in the records.
    facts, _ = evaluated(folder, "records", "--part", "test")
    assert f"Test: {facts['bits_per_char']:.4f} bits per character" in said["records"]
    assert facts["characters"] == counted(said["records"], "Test")
    facts, _ = evaluated(folder, "records", "bottles.csv.gz", "--field", "text")
    assert facts["characters"] == len("".join(f"{n} green\n\nbottles|" for n in range(90)))
    resumed = charrnn_in(folder, "train", "--resume", "records", "--steps", 1, "-q")
    assert resumed.returncode == 0 and checkpoint_of(folder, "records", 4).text == records.text
    # It has learnt next to nothing: each of its documents is cut, and a line break is put after it.
    sampled = charrnn_in(folder, "sample", "marked", "--documents", 3, "-n", 40, "--seed", 1)
    assert len(sampled.stdout) == 3 * 41 and sampled.stdout[40::41] == b"\n\n\n"
    assert "3 of 3 samples were cut at 40 characters (--length)." in sampled.stderr


def test_a_model_of_bytes_reads_any_file(trained):
    folder, said = trained
    checkpoint = checkpoint_of(folder, "bytes")
    assert checkpoint.vocab.symbols == tuple(map(chr, range(256))) and not checkpoint.vocab.has_unknown
    # It has seen none of these bytes.
    facts, _ = evaluated(folder, "bytes", "song")
    assert facts["characters"] == 1280 and facts["bits_per_byte"] == pytest.approx(facts["bits_per_char"])
    assert 7 < facts["bits_per_char"] < 11
    assert counted(said["bytes"], "Validation") == 256
    sampled = charrnn_in(folder, "sample", "bytes", "-n", 999, "--seed", 1).stdout
    assert len(sampled) == 999 and max(sampled) > 127


def test_rare_characters_are_one_unknown_symbol(trained):
    folder, said = trained
    checkpoint = checkpoint_of(folder, "rare")
    assert checkpoint.vocab.has_unknown and set(checkpoint.vocab.symbols) == set("\n 0123456789 bottlesgren")
    assert "3 characters of rare.txt are unknown and were read as one unknown symbol: 'Z'" in said["rare"]
    (folder / "new.txt").write_text("9 green böttles\n☞")
    facts, talk = evaluated(folder, "rare", "new.txt")
    assert facts["characters"] == 17 and "2 characters of new.txt are unknown" in talk
    assert evaluated(folder, "rare", "new.txt", "--unknown", "skip")[0]["characters"] == 15
    sampled = charrnn_in(folder, "sample", "rare", "-n", 2000, "--temp", 9, "--seed", 1).stdout.decode()
    assert len(sampled) == 2000 and set(sampled) <= set(checkpoint.vocab.symbols)


def test_another_text_to_validate_on_and_a_test(trained):
    folder, said = trained
    checkpoint = checkpoint_of(folder, "val")
    assert checkpoint.progress.corpus.val_sources == (str(folder / "other.txt"),)
    # Its characters are known, though the training text lacks them.
    assert "☞" in checkpoint.vocab.symbols
    assert counted(said["val"], "Validation") == len((folder / "other.txt").read_text())
    facts, _ = evaluated(folder, "val", "other.txt")
    assert f"Validation: {facts['bits_per_char']:.4f} bits" in said["val"]
    text = (folder / "a.txt").read_text()
    held = len(text) - len(text) * 8 // 10
    assert counted(said["val"], "Test") == held
    (folder / "tail.txt").write_text(text[-held:])
    assert f"Test: {evaluated(folder, 'val', 'tail.txt')[0]['bits_per_char']:.4f} bits" in said["val"]
    assert "Test:" not in said["files"] and "which were not used to choose anything" in said["val"]


def test_whole_files_validate(trained):
    folder, said = trained
    checkpoint = checkpoint_of(folder, "documents")
    assert checkpoint.text == TextConfig(separator="|", reset_at_documents=True) and "|" in checkpoint.vocab.symbols
    sizes = {name: (folder / "many" / name).stat().st_size + 1 for name in os.listdir(folder / "many")}
    total = counted(said["documents"], "Validation")
    chosen = [[name for n, name in enumerate(sizes) if choice >> n & 1] for choice in range(1, 16)]
    assert total in [sum(sizes[name] for name in names) for names in chosen]


def test_runs_on_such_texts_go_on(trained):
    folder, _ = trained
    said = several(
        folder,
        *(
            (run, "", "train", "--resume", run, "--steps", 3, "--quiet")
            for run in ("piped", "pipes", "val", "documents", "rare")
        ),
    )
    assert {name: text for name, (text, code) in said.items() if code} == {}
    for run in said:
        before, after = checkpoint_of(folder, run), checkpoint_of(folder, run, 6)
        assert after.progress.corpus == before.progress.corpus and after.text == before.text, run
    (folder / "other.txt").write_text("changed\n" * 60)
    changed = charrnn_in(folder, "train", "--resume", "val", "--steps", 9)
    assert changed.returncode == 1 and "The text of --val-file has changed since this run began" in changed.stderr


def test_the_end_of_documents_is_kept_however_rare(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("aaaaaaaaaaz")
    text = read_text([tmp_path / "a", tmp_path / "b"], TextConfig(separator="|"))
    vocab = vocabulary(Sources(["a", "b"], min_count=9), text, None, None)
    assert (vocab.symbols, vocab.has_unknown) == (("a", "|"), True)


REFUSED = (
    (("a.txt", "--one-per-line", "--separator", "|"), "--one-per-line makes every line a document"),
    (("a.txt", "--one-per-line", "--reset-at-documents"), "--one-per-line makes every line a document"),
    (("a.txt", "--separator", "ab"), "--separator is 'ab'; it must be one character"),
    (("a.txt", "--separator", ""), "--separator is ''"),
    (("a.txt", "--bytes", "--separator", "☞"), "it must be one byte"),
    (("a.txt", "--bytes", "--lower", "--encoding", "latin-1"), "it excludes --encoding and --lower"),
    (("a.txt", "--split", "char-rnn", "--val-file", "b.txt"), "validates on a part of the training text"),
    (("a.txt", "--split", "tail", "--val-file", "b.txt"), "--split has no effect here"),
    (("a.txt", "--split", "char-rnn", "--test", "0.1"), "--split char-rnn has no test part"),
    (
        ("a.txt", "b.txt", "--split", "char-rnn", "--reset-at-documents"),
        "--split char-rnn does not work with documents",
    ),
    (("a.txt", "--split", "documents"), "needs 2 documents or more"),
    (("a.txt", "--split", "thirds"), "--split is 'thirds'"),
    (("a.txt", "--val", "0.5", "--test", "0.5"), "leave no text to train on"),
    (("a.txt", "--test", "1"), "--test is 1.0"),
    (("a.txt", "--min-count", "100000"), "No character occurs at least 100,000 times"),
    (("a.txt", "--min-count", "2", "--vocab", "v.json"), "--min-count is for making a vocabulary, but --vocab names"),
    (("a.txt", "--min-count", "2", "--bytes"), "With --bytes the vocabulary has all bytes"),
    (("a.txt", "--bytes", "--vocab", "far.json"), "far.json has characters that are not bytes"),
    (("a.txt", "--val-file", "missing.txt"), "missing.txt does not exist"),
    (("a.txt", "--val-file", "-"), "--val-file needs a file"),
    (("a.txt", "--val-file", "b.fifo"), "it cannot be stdin or a pipe. It cannot be combined with --val"),
    (("a.txt", "--init", "rare", "--bytes"), "--init names a model of characters"),
    (("a.txt", "--val-file", "b.txt", "--val", "0.2"), "--val-file needs a file"),
    (("image",), "is not UTF-8"),
    (("-",), "stdin is empty"),
    (("--resume", "lines", "--one-per-line"), "--one-per-line"),
    (("--resume", "val", "--val-file", "b.txt"), "--val-file"),
)


def test_what_does_not_go_together_is_told(trained):
    folder, _ = trained
    Vocabulary.of("ab☞").save(folder / "far.json")
    before = sorted((folder / "checkpoints").iterdir())
    said = several(folder, *((" ".join(arguments), "", "train", *arguments) for arguments, _ in REFUSED))
    for arguments, expected in REFUSED:
        text, code = said[" ".join(arguments)]
        assert code == 1 and text.startswith("charrnn: ") and expected in text and "Traceback" not in text, text
        assert len(text.splitlines()) <= 3, text
    assert sorted((folder / "checkpoints").iterdir()) == before


def test_of_long_parts_the_beginning_is_evaluated_and_that_is_said(monkeypatch, capsys):
    vocab, said = Vocabulary.of("ab"), {}

    def reported(part, parts):
        event = held_out.measure(part, model, parts)
        report.measured(event)
        said[part] = capsys.readouterr().err
        return event.evaluation.nats_per_char

    config = ModelConfig("rnn", 1, 2)
    model = Model(config, vocab, initial_weights(config, vocab.size, 0))
    monkeypatch.setattr(held_out, "EXACT", 60)
    for part, parts in (("validation", [Part(np.zeros(100, int))]), ("test", [Part(np.ones(30, int))] * 3)):
        assert reported(part, parts) == pytest.approx(
            mean_nats(model, [part.cut(0, 60 // len(parts)) for part in parts])
        )
    assert "over the first 60 of 100 held-out characters." in said["validation"]
    assert "over the first 60 of 90 held-out characters, which were not used to choose anything." in said["test"]
    reported("test", [Part(np.zeros(9, int))])
    assert said["test"].endswith("over all 9 held-out characters, which were not used to choose anything.\n")


def test_what_is_left_out_makes_no_bits_per_byte(trained):
    folder, _ = trained
    (folder / "few.txt").write_text("green bottles ☞\n", encoding="utf-8")
    facts, _ = evaluated(folder, "rare", "few.txt", "--unknown", "skip")
    assert facts["bits_per_byte"] is None and facts["bits_per_char"] > 0
    assert evaluated(folder, "bytes", "b.txt")[0]["bits_per_byte"] > 0


def test_a_models_vocabulary_is_saved_whole_and_found_by_its_folder(trained):
    folder, _ = trained
    assert charrnn_in(folder, "vocab", "checkpoints/rare", "-o", "rare.json").returncode == 0
    assert Vocabulary.load(folder / "rare.json") == checkpoint_of(folder, "rare").vocab
