"""What is held out and occurs in the training part as well: counted, and said before training and after it."""

import random
from collections import Counter

import numpy as np
import pytest

import charrnn
from charrnn.api import held_out
from charrnn.api.evaluation import Evaluation
from charrnn.api.events import Measured, Noticed
from charrnn.cli.views import report
from charrnn.data import repeated as counting
from charrnn.data.parts import Part
from charrnn.data.repeated import Repeated, repeated
from support.untrained import train_nothing

RANDOM = ["".join(random.Random(seed).choices("abcdefgh", k=40)) for seed in range(600)]
NAMES = sorted({"".join(random.Random(seed).choices("abcdefgh", k=6)) for seed in range(400)})


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return a function from lines and settings to what is noticed before training, and to what there is to train."""
    monkeypatch.chdir(tmp_path)

    def tell(rows, **settings):
        (tmp_path / "text.txt").write_text("".join(f"{row}\n" for row in rows))
        jobs = []
        train_nothing(monkeypatch, jobs.append)
        corpus = settings.pop("corpus", "text.txt")
        events = list(charrnn.train_events(corpus, **{"one_per_line": True, "batch": 2, "seq": 8, **settings}))
        said = "\n".join(event.message for event in events if isinstance(event, Noticed))
        return said, jobs[0]

    return tell


def part(lines, dtype=np.uint8) -> Part:
    """Return lines as a part whose table turns codes into other ids."""
    text = "".join(f"{line}\n" for line in lines)
    symbols = "".join(dict.fromkeys(text))
    table = np.array([ord(symbol) for symbol in symbols])
    return Part(np.array([symbols.index(c) for c in text], dtype), table, line_end=symbols.index("\n"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_lines_are_counted_wherever_blocks_end(monkeypatch, block, dtype):
    monkeypatch.setattr("charrnn.data.parts.BLOCK", block)
    rng = random.Random(block)
    train, held = (["".join(rng.choices("ab", k=rng.randint(0, 4))) for _ in range(n)] for n in (60, 40))
    held += ["", "never", "néver"]
    # Blank lines say nothing of a model: they are passed by.
    expected = sum(number for line, number in Counter(held).items() if line and line in train)
    assert repeated(part(train, dtype), [part(held[:20]), part(held[20:])]) == Repeated(
        sum(map(bool, held)), expected, "lines"
    )
    assert expected > 5


@pytest.mark.parametrize("block", [100, 1 << 20])
def test_stretches_are_counted_wherever_they_begin(monkeypatch, block):
    monkeypatch.setattr("charrnn.data.parts.BLOCK", block)
    train = np.random.default_rng(1).integers(0, 90, 2_000).astype(np.uint8)
    other = np.random.default_rng(2).integers(0, 90, 2_000).astype(np.uint8)
    copied = np.concatenate([train[333:461], other[:64], train[937:1_001], np.full(64, 3), train[-64:], other[64:100]])
    # A table of ids is looked through; what is all one character says nothing, what is left at the end neither.
    table = np.arange(7, 107)
    found = repeated(Part(train, table), [Part(copied, table), Part(other[:63], table)])
    assert found == Repeated(5, 4, "stretches of 64 characters")
    # Everything else the same, one character decides.
    copied[100] += 1
    assert repeated(Part(train, table), [Part(copied, table)]).count == 3
    assert repeated(Part(train), [], "byte") == Repeated(0, 0, "stretches of 64 bytes")
    assert not repeated(Part(train), []).matters
    assert repeated(Part(train[:9]), [Part(train[:100])]).count == 0


def test_a_single_stretch_is_found_whatever_its_number():
    # NumPy 2.0 cannot look for numbers of 64 bits in its quickest way, the one for few numbers.
    train = np.random.default_rng(3).integers(0, 90, 500).astype(np.uint8)
    for low in range(20):
        found = repeated(Part(train), [Part(train[low : low + 64])])
        assert (found.pieces, found.count) == (1, 1)


def test_of_what_is_large_the_beginning_is_looked_at(monkeypatch):
    monkeypatch.setattr(counting, "PIECES", 3)
    monkeypatch.setattr(counting, "CHARACTERS", 8)
    assert repeated(part(["aaa", "bbb", "ccc"]), [part(["b", "aaa", "d", "ccc"])]) == Repeated(3, 1, "lines")


def test_a_list_that_repeats_itself_is_told_before_training(told):
    said, job = told(5 * NAMES, split="documents")
    shared = job.data.repeated["validation"]
    assert shared.count > 0.9 * shared.pieces > 100
    assert f"{shared} of the validation part also occur in the training part" in said and "`sort -u`" in said
    # Wherever the validation part lies, and if it is another text.
    assert "of the validation part also occur in" in told(2 * NAMES, split="tail")[0]
    assert "400 of 400 lines of the validation part also occur in" in told(NAMES, val_file="text.txt")[0]
    assert "of the test part also occur in" in told(5 * NAMES, val=0.0, test=0.1)[0]
    assert "also occur" not in told(NAMES, test=0.1)[0]


def test_copies_are_told_where_lines_are_no_documents(told, tmp_path):
    (tmp_path / "folder").mkdir()
    for number in range(20):
        for copy in "ab":
            (tmp_path / f"folder/{number}{copy}.txt").write_text(" ".join(NAMES[number : number + 40]))
    said, _ = told([], corpus="folder", split="documents", val=0.3, one_per_line=False)
    assert (
        " stretches of 64 characters of the validation part also occur in the training part" in said
        and "occurs twice" in said
    )
    # Of a stream, of a file of its own, and of bytes.
    assert "also occur in the training part" in told(2 * NAMES, one_per_line=False)[0]
    assert (
        "43 of 43 stretches of 64 characters of the validation part"
        in told(NAMES, one_per_line=False, val_file="text.txt")[0]
    )
    assert (
        " stretches of 64 bytes of the test part also"
        in told(2 * NAMES, one_per_line=False, bytes=True, val=0.0, test=0.3)[0]
    )
    assert "also occur" not in told(NAMES, one_per_line=False)[0]


def test_the_report_does_not_claim_what_is_not_so(capsys):
    def reported(part, shared):
        report.measured(Measured(part, Evaluation(900, 2.0, repeated=shared), 900, 900))
        return capsys.readouterr().err

    many = Repeated(200, 180, "lines")
    assert "over all 900 held-out characters; 180 of 200 lines also occur in the training part.\n" in reported(
        "validation", many
    )
    assert "which were not used to choose anything; 180 of 200 lines also" in reported("test", many)
    assert "over all 900 held-out characters.\n" in reported("validation", None)
    assert many.matters and not Repeated(200, 4, "lines").matters


def test_lines_validate_at_random_unless_it_is_said_otherwise(told):
    def split_of(rows=NAMES, **settings):
        return told(rows, **settings)[1].config.split

    assert split_of() == "documents"
    # A sorted list is validated on all of its letters.
    data = told(NAMES)[1].data
    firsts = {line[0] for line in data.corpus.vocab.decode(data.parts.val[0].ids()).split()}
    assert firsts == set("abcdefgh")
    assert split_of(split="tail") == "tail"
    assert split_of(NAMES[:19]) == "tail" and split_of(NAMES[:20]) == "documents"
    assert split_of(one_per_line=False) == split_of(one_per_line=False, reset_at_documents=True) == "tail"
    assert split_of(preset="char-rnn") == "char-rnn"


def test_so_little_that_it_is_noise_is_told(told, tmp_path):
    said, job = told(NAMES * 10, val=0.0002, one_per_line=False)
    assert "Only 6 characters are used for validation" in said and "`val`" in said
    assert held_out.compressors(job.data) == {}
    # What counts is counted.
    lines = [f"{name}{name}{name}\t{name}" for name in NAMES]
    said, job = told(lines, loss_after="\t")
    assert "Only " in said and len(job.data.parts.val[0]) > 1_000
    (tmp_path / "short.txt").write_text("abc\n" * 14)
    said, _ = told(NAMES, val_file="short.txt", one_per_line=False)
    assert "Only 56 characters are used for validation" in said and "`val_file`" in said
    assert "validate" not in told(RANDOM, split="tail", one_per_line=False)[0]
    assert "validate" not in told(NAMES, val=0.0)[0]


def test_compressors_are_compared_where_there_is_something_to_compress(told):
    assert set(held_out.compressors(told(NAMES * 20, one_per_line=False)[1].data)) == {"bzip2", "xz"}
    assert held_out.compressors(told(NAMES * 15, one_per_line=False)[1].data) == {}
