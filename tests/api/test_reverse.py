"""Models that read from the end: the same network forwards, on texts that are written from the end, is the truth."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.api.model import Model
from charrnn.api.scoring import Pieces
from charrnn.api.training import train
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.data.corpus import as_ids
from charrnn.errors import CharRNNError
from charrnn.inference import model as inference
from charrnn.inference.evaluation import mean_nats
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from support.fake_training import train_fakes
from support.models import random_weights

VOCAB = Vocabulary.of("\n%|abcde")
CONFIG = ModelConfig("lstm", 2, 12)
LINES, MARKED = TextConfig(one_per_line=True), TextConfig(documents_between="%%")
# An end that is another one backwards, and one that occurs inside documents too.
UNEVEN, FILES = TextConfig(documents_between="%%\n"), TextConfig(separator="|", reset_at_documents=True)


def model_of(text: TextConfig, reverse: bool) -> Model:
    weights = dict(random_weights(CONFIG, VOCAB.size, "float32", scale=4.0))
    # So that texts end.
    weights["output/b"][:] = 0
    weights["output/b"][VOCAB.encode("%\n")] = 8.0, 3.0
    return Model(inference.Model(CONFIG, VOCAB, weights, replace(text, reverse=reverse)), Path("model.safetensors"))


def pair(text: TextConfig) -> tuple[Model, Model]:
    """Return a model that reads from the end, and the same network reading forwards."""
    return model_of(text, True), model_of(text, False)


@pytest.mark.parametrize(
    "text, ends", [(DEFAULT_TEXT, False), (DEFAULT_TEXT, True), (LINES, False), (LINES, True), (MARKED, False)]
)
def test_lines_are_scored_from_their_end(text, ends):
    back, forth = pair(text)
    lines = ["abcde", "ea", "", "b", "dabadc"]
    found = back.score(lines, line_ends=ends)
    expected = forth.score([line[::-1] for line in lines], line_ends=ends)
    for one, other in zip(found, expected, strict=True):
        turned = other.surprisal[::-1] if not ends else np.append(other.surprisal[:-1][::-1], other.surprisal[-1])
        np.testing.assert_allclose(one.surprisal, turned, atol=1e-4)
        assert one.bits == pytest.approx(other.bits, abs=1e-3)
    assert found[0].text == "abcde"


def test_unknown_characters_stay_where_they_are():
    back, forth = pair(LINES)
    (found,), (expected,) = back.score(["a☞bc"]), forth.score(["cb☞a"])
    np.testing.assert_allclose(found.surprisal, expected.surprisal[::-1], atol=1e-4)
    assert found.unknown == 1 and found.surprisal[1] > 20


TURNED = {
    DEFAULT_TEXT: ("ab\ncde\nabcabd", "dbacba\nedc\nba"),
    LINES: ("ab\ncde\n\nabcabd\n", "ba\nedc\n\ndbacba\n"),
    MARKED: ("ab%%cde%%a\nb%%", "ba%%edc%%b\na%%"),
    FILES: ("a\nb|cd|", "dc|b\na|"),
}


@pytest.mark.parametrize("text", TURNED)
def test_whole_texts_are_evaluated_and_printed_in_reading_order(text, tmp_path, monkeypatch):
    costs = {}
    for name, content, reverse in zip(("back", "forth"), TURNED[text], (True, False), strict=True):
        file = tmp_path / name
        # The separator is added after a file.
        file.write_text(content.removesuffix("|"))
        model = model_of(text, reverse).network
        corpus = as_ids(read_text([file], model.reads), VOCAB)
        pieces = Pieces(model, str(file), model.reads, None, None, print)
        shown = list(pieces)
        assert "".join(piece for piece, _ in shown) == content
        costs[name] = np.concatenate([bits for _, bits in shown])
        assert mean_nats(model, [corpus.part]) == pytest.approx(costs[name].mean() * math.log(2), rel=1e-5)
    # Each document from its end, but its end last.
    ends, content = text.document_end, TURNED[text][0]
    order, place = [], 0
    for document in content.split(ends) if text.divided else [content.removesuffix("|")]:
        order += [*range(place, place + len(document))][::-1]
        place += len(document)
        if ends and place < len(costs["back"]):
            order += range(place, place + len(ends))
            place += len(ends)
    np.testing.assert_allclose(costs["back"][order], costs["forth"], atol=1e-4)


def test_a_long_text_is_read_from_its_end_in_blocks(tmp_path, monkeypatch):
    from charrnn.data import parts

    monkeypatch.setattr(parts, "BLOCK", 7)
    text = "abcde\ncab\n" * 5
    (tmp_path / "text").write_text(text)
    (tmp_path / "turned").write_text(text[::-1])
    back, forth = pair(DEFAULT_TEXT)
    found = np.concatenate([bits for _, bits in back.pieces(str(tmp_path / "text"))])
    expected = np.concatenate([bits for _, bits in forth.pieces(str(tmp_path / "turned"))])
    np.testing.assert_allclose(found, expected[::-1], atol=1e-4)
    assert back.evaluate(str(tmp_path / "text")).bits_per_char == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("how", [{"seed": 3}, {"temperature": 0}, {"seed": 4, "until": "abc"}, {"seed": 5, "lines": 2}])
def test_text_is_written_from_its_end(how):
    back, forth = pair(DEFAULT_TEXT)
    turned = {**how, "until": how["until"][::-1]} if "until" in how else how
    expected = forth.sample(60, **turned)
    assert ("lines" not in how) or expected.endswith("\n")
    # The line break that ended it was the one before it.
    end = "\n" if "lines" in how else ""
    assert back.sample(60, **how) == expected.removesuffix(end)[::-1] + end
    assert "".join(back.stream(60, **how)) == back.sample(60, **how)


def test_a_prime_is_what_comes_after():
    back, forth = pair(DEFAULT_TEXT)
    assert back.sample(20, prime="abc", temperature=0) == forth.sample(20, prime="cba", temperature=0)[::-1]
    assert back.complete(["abc"], length=5, until="\n")[0][::-1] == forth.complete(["cba"], length=5, until="\n")[0]


@pytest.mark.parametrize("text, end", [(LINES, "\n"), (MARKED, "%%")])
def test_documents_keep_their_ends(text, end):
    back, forth = pair(text)
    for seed in range(4):
        found = back.sample_many(3, 500, seed=seed)
        expected = forth.sample_many(3, 500, seed=seed)
        for one, other in zip(found, expected, strict=True):
            assert other.endswith(end)
            assert one == other.removesuffix(end)[::-1] + end
    # Before a prime there is no end: that of the document before does not belong to the text.
    for one, other in zip(
        back.sample_many(3, 500, prime="ab", seed=1), forth.sample_many(3, 500, prime="ba", seed=1), strict=True
    ):
        assert one == other.removesuffix(end)[::-1]
    (best, *_), (expected, *_) = (model.n_best(4, 2, 30) for model in (back, forth))
    assert best.text == expected.text.removesuffix(end)[::-1] + end
    assert best.bits == pytest.approx(expected.bits, rel=1e-5)


def test_of_several_documents_the_first_one_written_is_the_last():
    back, forth = pair(LINES)
    lines = [line[::-1] + "\n" for line in forth.sample(500, lines=3, seed=2).splitlines()]
    assert len(lines) == 3 and back.sample(500, lines=3, seed=2) == "".join(lines[::-1])
    # So it is the one before a prime.
    lines = forth.sample(500, lines=3, seed=2, prime="ab").splitlines()
    assert back.sample(500, lines=3, seed=2, prime="ba") == "\n".join(line[::-1] for line in lines[::-1])
    # Of a text that was cut, the last document is not whole.
    cut = forth.sample(14, seed=2, lines=9)
    assert back.sample(14, seed=2, lines=9) == cut[::-1].removeprefix("\n") + ("\n" if cut.endswith("\n") else "")


def test_an_end_is_written_as_it_is():
    back, forth = pair(UNEVEN)
    how = {"length": 4000, "temperature": 1.0, "seed": 2}
    (found,), (expected,) = back.complete(["ab"], **how), forth.complete(["ba"], **how)
    assert found == expected[::-1] and len(expected) < 4000
    assert back.sample(500, documents=1, seed=1).endswith("%%\n")


def test_a_text_that_begins_with_a_line_break_is_scored_as_it_is_read():
    back, forth = pair(DEFAULT_TEXT)
    (found,), (expected,) = back.score(["\nabc"]), forth.score(["cba\n"])
    np.testing.assert_allclose(found.surprisal, expected.surprisal[::-1], atol=1e-4)


def test_a_prime_counts_up_to_its_first_end(tmp_path):
    back, _ = pair(LINES)
    assert back.sample(20, prime="ab\ncd", seed=1) == back.sample(20, prime="ab", seed=1)
    (tmp_path / "known").write_text("".join(f"{text}ab\n" for text in back.sample_many(20, 30, prime="ab", seed=3)))
    new = back.sample_many(5, 30, prime="ab\ncd", seed=3, novel_to=str(tmp_path / "known"))
    known = (tmp_path / "known").read_text().splitlines()
    assert len(new) == 5 and not {text + "ab" for text in new} & {*known}


def test_a_model_that_reads_from_the_end_looks_at_what_comes_after():
    config = ModelConfig("lstm", 2, 12, attention=30)
    weights = random_weights(config, VOCAB.size, "float32", scale=4.0)
    back, forth = (
        Model(inference.Model(config, VOCAB, weights, replace(LINES, reverse=reverse)), Path("m")) for reverse in (1, 0)
    )
    found, expected = back.alignment("abcd").weights, forth.alignment("dcba").weights
    np.testing.assert_allclose(found, expected[::-1, ::-1], atol=1e-6)


def test_ids_belong_to_the_text():
    back, _ = pair(LINES)
    for sample in back.samples(5, 300, seed=1):
        assert VOCAB.decode(sample.ids) == sample.text
        (score,) = back.score([sample.text.removesuffix("\n")], line_ends=True)
        np.testing.assert_allclose(score.surprisal * math.log(2), sample.nats, atol=1e-3)


@pytest.mark.parametrize("lines", [False, True])
def test_training_reads_its_parts_from_their_ends(lines, tmp_path, monkeypatch):
    read = []
    train_fakes(monkeypatch, lambda learner, training: read.append((learner.parts, training.job.data)))
    (tmp_path / "text.txt").write_text("abcde\n" * 50)
    train(
        tmp_path / "text.txt", reverse=True, one_per_line=lines, steps=1, batch=2, seq=4, out=tmp_path, name="backward"
    )
    ((parts, data),) = read
    for part, own in ((parts.train, data.parts.train), (parts.val[0], data.parts.val[0])):
        text, turned = (data.corpus.vocab.decode(one.ids()) for one in (own, part))
        assert turned == ("edcba\n" * text.count("\n") if lines else text[::-1])


def test_what_needs_the_other_order_is_refused():
    back, _ = pair(LINES)
    with pytest.raises(CharRNNError, match="reads from the end"):
        back.score(["ab"], after="cd")
    with pytest.raises(CharRNNError, match="cannot be combined with `loss_after`"):
        TextConfig(one_per_line=True, loss_after="\t", reverse=True)
