"""Values of a wrong type: an error that names the parameter and what it must be, for each that Python can be given."""

from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.config import TextConfig
from charrnn.errors import CharRNNError
from charrnn.text.vocabulary import Vocabulary
from support.models import write_model
from support.untrained import train_nothing


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARRNN_CHECKPOINTS", raising=False)
    Path("checkpoints/one").mkdir(parents=True)
    write_model(Path("checkpoints/one/best.safetensors"), Vocabulary.of("\n abcdef"), TextConfig())
    Path("text.txt").write_text("bad cafe\n" * 40)
    return charrnn.load("one")


OF_A_MODEL = [
    ("prime", "a str, bytes, or an array of ids", lambda model: model.sample(prime=5)),
    ("prime", "a str, bytes, or an array of ids", lambda model: model.sample_many(2, 5, prime=None)),
    ("prime", "ids from 0 to 7, whole numbers", lambda model: model.sample(5, prime=np.array([8]))),
    ("prime", "ids from 0 to 7, whole numbers", lambda model: model.sample(5, prime=np.array([-1]))),
    ("prime", "ids from 0 to 7, whole numbers", lambda model: model.sample(5, prime=np.array([0.5]))),
    ("prime", "ids from 0 to 7, whole numbers", lambda model: model.sample(5, prime=np.array([[1]]))),
    ("temperature", "a number", lambda model: model.sample(temperature="hot")),
    ("top_k", "a whole number", lambda model: model.sample(top_k=1.5)),
    ("top_p", "a number", lambda model: model.complete(["a"], temperature=1.0, top_p="x")),
    ("until", "a str or bytes, or several in a list", lambda model: model.sample(until=5)),
    ("until", "a str or bytes, or several in a list", lambda model: model.sample(until=["a", 5])),
    ("keep_until", "True or False", lambda model: model.sample(until="a", keep_until="yes")),
    ("allow", "a str, or bytes", lambda model: model.likeliest(2, allow=["a"])),
    ("forbid", "a str, or bytes", lambda model: model.sample(forbid=3)),
    ("seed", "a whole number", lambda model: model.sample(seed="x")),
    ("novel", "True or False", lambda model: model.sample_many(1, novel="names.txt")),
    ("unique", "True or False", lambda model: model.sample_many(1, unique=["a"])),
    ("sort", "True or False", lambda model: model.sample_many(1, sort=2)),
    ("keep_until", "True or False", lambda model: model.sample(until="a", keep_until="b")),
    ("seed", "a whole number, at least 0", lambda model: model.sample(seed=-1)),
    ("seed", "a whole number, at least 0 and at most 9223372036854775807", lambda model: model.sample(seed=2**63)),
    ("novel_to", "a file, folder or pattern, or several", lambda model: model.sample_many(2, novel_to=5)),
    ("lines", "a list of lines, each a str", lambda model: model.score(5)),
    ("lines", "a list of lines, each a str", lambda model: model.score(["a", 1])),
    ("lines", "a list of lines, each a str", lambda model: model.score(None)),
    ("lines", "a list of lines, each a str", lambda model: model.complete(3)),
    ("append", "a str, or bytes", lambda model: model.complete(["a"], append=5)),
    ("sources", "a file, folder or pattern, or several", lambda model: model.evaluate(7)),
    ("sources", "a file, folder or pattern, or several", lambda model: model.evaluate([None])),
    ("include", "a pattern, or several", lambda model: model.evaluate("text.txt", include=5)),
    ("encoding", "a str", lambda model: model.evaluate("text.txt", encoding=5)),
    ("text", "a str, bytes, or an array of ids", lambda model: model.encode(5)),
    ("data", "bytes", lambda model: model.encode_file("abc")),
]
OF_ALL = [
    ("run", "the name of a run, or a path", lambda: charrnn.load(5)),
    ("run", "the name of a run, or a path", lambda: charrnn.load(b"one")),
    ("notify", "a function", lambda: charrnn.load("one", notify=5)),
    ("out", "a path", lambda: charrnn.list_runs(5)),
    ("run", "the name of a run, or a path", lambda: charrnn.resume(5)),
    ("run", "the name of a run, a path, or a Run", lambda: charrnn.resume(None)),
    ("corpus", "a file, folder or pattern, or several", lambda: charrnn.resume("one", corpus=5)),
    ("corpus", "a file, folder or pattern, or several", lambda: charrnn.train(5)),
    ("corpus", "a file, folder or pattern, or several", lambda: charrnn.train(None)),
    ("corpus", "a file, folder or pattern, or several", lambda: charrnn.train(b"text.txt")),
    *(
        (name, what, lambda given={name: value}: charrnn.train("text.txt", **given))
        for name, value, what in (
            ("units", "many", "of the type int"),
            ("units", np.array([1, 2]), "of the type int"),
            ("name", 5, "a str"),
            ("out", 5, "a path"),
            ("init", 5, "the name of a run, or a path"),
            ("vocab", 5, "a path"),
            ("include", 5, "a pattern, or several"),
            ("min_count", 1.5, "a whole number, at least 1"),
            ("val_file", 5, "a file, folder or pattern"),
            ("backend", 5, "a str"),
            ("device", None, "a str"),
            ("processes", "x", "a whole number"),
            ("watch", 5, "a function"),
            ("notify", "me", "a function"),
        )
    ),
]


@pytest.mark.parametrize(("name", "what", "call"), OF_A_MODEL)
def test_what_a_model_is_given(model, name, what, call):
    with pytest.raises(CharRNNError, match=rf"`{name}` is .*; it must be {what}"):
        call(model)


@pytest.mark.parametrize(("name", "what", "call"), OF_ALL)
def test_what_else_is_given(model, monkeypatch, name, what, call):
    train_nothing(monkeypatch)
    with pytest.raises(CharRNNError, match=rf"`{name}` is .*; it must be {what}"):
        call()
    with pytest.raises(CharRNNError, match="There is no preset "):
        charrnn.train("text.txt", preset=[])


def test_what_may_be_given(model, monkeypatch):
    train_nothing(monkeypatch)
    text = Path("text.txt")
    assert charrnn.load(Path("checkpoints/one")).run == "one"
    assert model.evaluate(text).characters == model.evaluate([text, text]).characters // 2
    assert len(model.sample_many(2, 3, novel_to=text)) == 2
    assert len(charrnn.list_runs(Path("checkpoints"))) == 1
    list(charrnn.train_events([text], out=Path("elsewhere"), init=Path("checkpoints/one"), val_file=text))
    assert len(model.sample(5, temperature=np.float32(0.5), top_k=np.int64(3), seed=np.uint8(3))) == 5
    assert len(model.sample(5, prime=np.array([]))) == len(model.sample(5, prime=model.encode("bad"))) == 5
    assert [score.characters for score in model.score(line for line in ("bad", "cafe"))] == [3, 4]
