"""Documents inside files, and records: split, compared, measured and told as lines are."""

import json
import random
from itertools import chain

import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.api.events import Noticed
from charrnn.cli.app import app
from charrnn.config import DEFAULT_TEXT, TextConfig, TrainConfig, from_json, to_json
from charrnn.data.corpus import as_ids
from charrnn.data.repeated import repeated
from charrnn.errors import CharRNNError
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model
from support.untrained import train_nothing

TUNES = [
    f"X:{n}\nK:{random.Random(n).choice('CDG')}\n" + "".join(random.Random(n).choices("abcd|", k=20 + n % 7))
    for n in range(60)
]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return a function from settings to what is noticed before training, and to what there is to train."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tunes.abc").write_text("\n\n\n".join(TUNES) + "\n")
    (tmp_path / "tunes.jsonl").write_text("".join(json.dumps({"n": 1, "tune": tune}) + "\n" for tune in TUNES))

    def tell(corpus="tunes.abc", **settings):
        jobs = []
        train_nothing(monkeypatch, jobs.append)
        if "field" not in settings:
            settings.setdefault("documents_between", "\n\n")
        events = list(charrnn.train_events(corpus, **{"batch": 2, "seq": 8, **settings}))
        return "\n".join(event.message for event in events if isinstance(event, Noticed)), jobs[0]

    return tell


def documents_of(part, vocab) -> list[str]:
    begins = np.flatnonzero(part.begins(np.arange(len(part)))).tolist()
    return [vocab.decode(part.ids(low, high)) for low, high in zip(begins, [*begins[1:], len(part)], strict=True)]


@pytest.mark.parametrize(
    ("settings", "end"),
    [({}, "\n\n"), ({"field": "tune"}, "\x1e"), ({"field": "tune", "documents_between": "%"}, "%")],
)
def test_documents_train_validate_and_test_whole(told, settings, end):
    corpus = "tunes.jsonl" if "field" in settings else "tunes.abc"
    said, job = told(corpus, test=0.2, **settings)
    parts, vocab = job.data.parts, job.data.corpus.vocab
    assert job.config.split == "documents" and job.data.corpus.text.config.document_end == end
    found = [documents_of(part, vocab) for part in (parts.train, *parts.val, *parts.test)]
    assert all(part.resets for part in (parts.train, *parts.val, *parts.test))
    assert sorted(chain(*found)) == sorted(tune + end for tune in TUNES) and min(map(len, found)) >= 1
    # The last ones, if that is wanted, are whole as well.
    _, job = told(corpus, split="tail", val=0.3, **settings)
    (val,) = job.data.parts.val
    last = documents_of(val, vocab)
    assert documents_of(job.data.parts.train, vocab) + last == [tune + end for tune in TUNES] and len(last) > 10
    assert "does not occur" not in said


def test_few_documents_validate_at_the_end(told, tmp_path):
    (tmp_path / "few.abc").write_text("\n\n".join(TUNES[:19]))
    assert told("few.abc")[1].config.split == "tail"


def test_documents_are_compared_whole(told, tmp_path):
    (tmp_path / "twice.abc").write_text("\n\n".join([*TUNES[:-5], *TUNES[:40], *TUNES[-5:]]))
    said, job = told("twice.abc", split="tail", val=0.3)
    of = job.data.repeated["validation"]
    assert of.kind == "documents" and 20 < of.count < of.pieces
    assert (
        f"{of} of the validation part also occur in the training part" in said
        and "Leave out text that occurs twice" in said
    )
    alone = told("tunes.abc")[1].data.parts
    assert repeated(alone.train, alone.val).count == 0
    assert repeated(alone.train, [alone.train]).count == len(documents_of(alone.train, job.data.corpus.vocab))


def test_what_follows_the_first_separator_of_each_counts(told):
    _, job = told(loss_after="K", val=0.0)
    part, vocab = job.data.parts.train, job.data.corpus.vocab
    counted = vocab.decode(part.ids()[part.counts(np.arange(len(part)))])
    assert counted == "".join(tune.split("K", 1)[1] + "\n\n" for tune in TUNES)


def test_a_marker_that_never_occurs_is_told(told, tmp_path):
    (tmp_path / "windows.abc").write_bytes("\r\n\r\n".join(TUNES).encode())
    said, _ = told(documents_between="%%\n")
    assert "'%%\\n' does not occur in tunes.abc as it is read, so each file is one document." in said
    assert "newlines" not in said.split("does not occur")[1]
    said, _ = told("windows.abc")
    assert "It has Windows line ends; `newlines='lf'`" in said
    assert "does not occur" not in told("windows.abc", newlines="lf")[0]


def test_rare_ends_are_no_unknown_symbols(told):
    _, job = told(documents_between="☞é", min_count=30)
    assert {"☞", "é"} <= set(job.data.corpus.vocab.symbols)


def test_a_model_of_anything_is_measured_on_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = ["ab\nb", "c", "\n\na"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    vocab = Vocabulary.of("\nabc%")
    forms = {
        "plain": (DEFAULT_TEXT, "ab\nb\nc\n\n\na\n"),
        "lines": (TextConfig(one_per_line=True), "ab\nb\nc\n\n\na\n"),
        "marked": (TextConfig(documents_between="%"), "ab\nb%c%\n\na%"),
        "record": (TextConfig(documents_between="%", field="other"), "ab\nb%c%\n\na%"),
        "files": (TextConfig(separator="%", reset_at_documents=True), None),
    }
    for name, (form, text) in forms.items():
        write_model(tmp_path / f"{name}.safetensors", vocab, form)
        model = charrnn.load(f"{name}.safetensors")
        found = model.evaluate("a.jsonl", field="text")
        # What is not said to be records is a text.
        assert model.text == form and model.read_as().field is None
        if text is not None:
            (tmp_path / "same.txt").write_text(text)
            assert found.nats_per_char == pytest.approx(model.evaluate("same.txt").nats_per_char, rel=1e-6), name
            assert found.characters == len(text)
            continue
        # A record is as a file of its own.
        for number, one in enumerate(texts):
            (tmp_path / f"{number}.txt").write_text(one)
        same = model.evaluate([f"{number}.txt" for number in range(3)])
        assert found.nats_per_char == pytest.approx(same.nats_per_char, rel=1e-6)


def test_the_characters_of_records_are_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text('id,text\n1,"a\na"\n2,b\n')
    (tmp_path / "b.txt").write_text("a--b")

    def counted(*arguments):
        done = CliRunner().invoke(app, ["vocab", *arguments, "--json"], catch_exceptions=False)
        return {one["character"]: one["count"] for one in json.loads(done.stdout)["symbols"]}

    # What ends a document is a character of the text too.
    assert counted("a.csv", "--field", "text") == {"a": 2, "b": 1, "\n": 1, "\x1e": 2}
    assert counted("b.txt", "--documents-between", r"\x2d") == {"a": 1, "b": 1, "-": 2}
    with pytest.raises(CharRNNError, match="has no column 'texts', only id, text"):
        counted("a.csv", "--field", "texts")


def test_a_document_is_measured_by_itself(tmp_path):
    (tmp_path / "a.txt").write_text("ab\n\nba\nc\n\nca")
    write_model(tmp_path / "a.safetensors", Vocabulary.of("\nabc"), TextConfig(documents_between="\n\n"))
    model = Model.load(tmp_path / "a.safetensors")
    part = as_ids(read_text([tmp_path / "a.txt"], model.reads), model.vocab).part
    whole = mean_nats(model, [part]) * len(part)
    each = [mean_nats(model, [part.cut(low, high)]) * (high - low) for low, high in ((0, 4), (4, 10), (10, 14))]
    assert whole == pytest.approx(sum(each), rel=1e-5)


def test_files_that_say_nothing_of_it_are_as_before():
    assert not {"documents_between", "field"} & set(to_json(DEFAULT_TEXT))
    form = TextConfig(documents_between="\n\n", field="text")
    assert from_json(TextConfig, to_json(form)) == form and form.resets and form.divided
    assert TrainConfig().split == "tail"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"documents_between": ""}, "`documents_between` is ''; it must be a text of one or more characters"),
        ({"documents_between": "é☞", "bytes": True}, "it must be a text of one or more bytes"),
        ({"documents_between": "a\ud800"}, "`documents_between` is 'a\\ud800'"),
        ({"documents_between": "a", "one_per_line": True}, "`one_per_line` and `documents_between` exclude each other"),
        ({"documents_between": "a", "separator": "b"}, "for documents that are files"),
        ({"documents_between": "a", "reset_at_documents": True}, "for documents that are files"),
        ({"documents_between": "\t", "loss_after": "\t"}, "which ends every document"),
        ({"field": ""}, "`field` is empty"),
    ],
)
def test_what_cannot_be_is_told(settings, said):
    with pytest.raises(CharRNNError) as error:
        TextConfig(**settings)
    assert said in error.value.message
