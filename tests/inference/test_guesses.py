"""Guess ranks: estimated from samples, against the exact ranks in a list of all likely texts."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.config import ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import guesses
from charrnn.inference import model as inference
from charrnn.inference.guesses import Guesses, Rank, draw
from charrnn.inference.lines import Score, Scorer
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

LETTERS = "abc"
VOCAB = Vocabulary.of("\n" + LETTERS)
LINES = TextConfig(one_per_line=True)
# Texts of more letters than so many are not listed; those that are ranked have LONGEST.
LISTED, LONGEST = 7, 4


def model_of(text: TextConfig = LINES, vocab: Vocabulary = VOCAB) -> inference.Model:
    """Return a model of a few letters, which writes short texts: what ends one is likely."""
    config = ModelConfig("lstm", 1, 8)
    weights = dict(random_weights(config, vocab.size, "float64", scale=2.0, seed=1))
    weights["output/b"] = np.zeros(vocab.size)
    weights["output/b"][0] = 1.0
    return inference.Model(config, vocab, weights, text)


def costs(model: inference.Model, length: int, after: str = "") -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return all texts of so many letters, what each costs in nats, and what its end costs after it; in float64."""
    texts = ["".join(letters) for letters in product(LETTERS, repeat=length)]
    # A stream of one text has arrays of another shape.
    read = [[model.vocab.start, *model.vocab.encode(after + text).tolist()] for text in [*texts, *texts]]
    ids, nats = np.array(read), np.zeros(len(read))
    stream = Stream(model, len(ids))
    for place in range(ids.shape[1]):
        logits = stream.step(ids[:, place]).astype(np.float64)
        costs = np.log(np.exp(logits).sum(axis=1))[:, None] - logits
        if len(after) <= place < len(after) + length:
            nats += costs[np.arange(len(ids)), ids[:, place + 1]]
    end = model.vocab.symbols.index(model.text.document_end)
    return texts, nats[: len(texts)], costs[: len(texts), end]


def exact(model: inference.Model, after: str = "") -> dict[str, tuple[float, int]]:
    """Return the nats and the rank of each text of at most LONGEST letters, as far as they are known.

    Texts of LISTED letters at most are listed. Where a longer beginning is likelier than a text, texts that are not
    listed may be likelier too.
    """
    listed = []
    for length in range(LISTED + 1):
        texts, nats, ends = costs(model, length, after)
        listed += zip(nats + ends, texts, strict=True)
    limit = costs(model, LISTED + 1, after)[1].min()
    ranks = enumerate(sorted(listed), 1)
    return {text: (nats, place) for place, (nats, text) in ranks if nats < limit and len(text) <= LONGEST}


def ranked(model: inference.Model, texts: list[str], samples: int, seed: int, after: str = "") -> list[Rank]:
    whole = charrnn.Model(model, Path("toy.safetensors"))
    return whole.guess_ranks(texts, samples=samples, seed=seed, after=after)


@pytest.mark.parametrize("after", ["", "bcab"])
def test_ranks_are_the_exact_ones_within_their_errors(after):
    model = model_of()
    known = exact(model, after)
    assert len(known) == 1 + 3 + 9 + 27 + 81
    found = ranked(model, list(known), 4000, 1, after)
    for (_, place), rank in zip(known.values(), found, strict=True):
        assert abs(rank.rank - place) <= 4 * rank.error
    # Not for want of precision: errors are small beside the ranks.
    assert np.median([rank.error / place for (_, place), rank in zip(known.values(), found, strict=True)]) < 0.1


def test_estimates_are_unbiased_and_scatter_as_their_errors_say():
    model = model_of()
    known = exact(model)
    places = np.array([place for _, place in known.values()])
    runs = [ranked(model, list(known), 300, seed) for seed in range(40)]
    ranks = np.array([[rank.rank for rank in run] for run in runs])
    errors = np.array([[rank.error for rank in run] for run in runs])
    scatter = ranks.std(axis=0, ddof=1)
    assert (np.abs(ranks.mean(axis=0) - places) <= 4 * scatter / math.sqrt(len(runs)) + 1e-9).all()
    # Of ranks that are not so low that none of the samples differs.
    ratio = np.sqrt((errors**2).mean(axis=0))[places > 10] / scatter[places > 10]
    assert 0.8 < np.median(ratio) < 1.3 and ratio.min() > 0.6


def test_the_unknown_symbol_takes_its_share_and_makes_no_guess():
    """Were it never drawn, samples would be likelier than the model says, and ranks too low."""
    vocab = replace(VOCAB, has_unknown=True)
    model = model_of(vocab=vocab)
    model.weights["output/b"][vocab.unknown_id] = 1.0
    known = exact(model)
    assert len(known) > 30
    for (_, place), rank in zip(known.values(), ranked(model, list(known), 4000, 1), strict=True):
        assert abs(rank.rank - place) <= 4 * rank.error
    assert ranked(model, ["aZ"], 100, 1) == [Rank(math.inf, 0.0)]


def test_texts_that_end_otherwise():
    text = TextConfig(separator="\x1e", reset_at_documents=True)
    model = model_of(text, Vocabulary.of("\x1e" + LETTERS))
    first = ranked(model, texts := ["", "a", "b", "c"], 2000, 1)
    known = exact(model)
    assert all(abs(rank.rank - known[text][1]) <= 4 * rank.error for text, rank in zip(texts, first, strict=True))
    # The end of another text within it, which no text can have.
    assert ranked(model, ["a\x1eb"], 100, 1) == [Rank(math.inf, 0.0)]


def test_a_text_that_its_end_would_cut_short_is_never_written():
    guesses = Guesses(np.array([1.0, 2.0]), 2, "\n\n")

    def rank(read: str) -> Rank:
        return guesses.of(Score(1, read, read, np.ones(len(read)), len(read), float(len(read)), 0))

    assert rank("a\n\n").rank < math.inf
    for read in ("a\n\n\n", "a\n\nb\n\n", "\n\n\n"):
        assert rank(read) == Rank(math.inf, 0.0)


def test_what_is_beyond_the_samples_is_a_lower_bound():
    found = Guesses(np.array([1.0, 2.0, 3.0, 3.0]), 4, "\n")
    likelier = [0.25 * sum(math.exp(nats) for nats in below) for below in ([], [1], [1, 2], [1, 2, 3, 3])]
    assert [found.rank(nats).rank for nats in (0.5, 1.5, 2.5, 9)] == pytest.approx([1 + one for one in likelier])
    assert math.isinf(found.rank(9).error) and math.isinf(found.rank(3.1).error)
    # A sample of the same probability, but for rounding, is the text itself.
    for nats in (2 - 1e-6, 2 + 1e-6):
        assert found.rank(nats).rank == found.rank(2.0).rank == pytest.approx(1 + likelier[1])
    assert math.isfinite(found.rank(3.0).error)
    # So is what is less likely than a sample that had not ended, whatever that would have become.
    cut = Guesses(np.array([1.0, 2.0, 3.0]), 4, "\n", limit=1.7)
    assert cut.rank(1.5) == found.rank(1.5) and cut.rank(2.5) == Rank(found.rank(2.5).rank, math.inf)
    # As the sum over samples, and one more of the text's own probability.
    counts = np.array([math.exp(1), math.exp(2), 0, 0])
    expected = math.hypot(counts.std() / math.sqrt(4), math.exp(2.5) / 4)
    assert found.rank(2.5).error == pytest.approx(expected)


def test_texts_beyond_what_numbers_can_hold():
    found = Guesses(np.array([700.0, 800.0, 900.0]), 3, "\n")
    rank = found.rank(850.0)
    assert rank.rank == pytest.approx(1.797e308, rel=1e-3) and math.isinf(rank.error)
    assert found.rank(705.0).rank == pytest.approx(math.exp(700) / 3)


def test_samples_that_do_not_end_bound_what_is_known(monkeypatch):
    monkeypatch.setattr(guesses, "LONGEST", 2)
    model, said = model_of(), []
    whole = charrnn.Model(model, Path("toy.safetensors"), said.append)
    ranks = dict(zip(("", "ab", "cccc"), whole.guess_ranks(["", "ab", "cccc"], samples=500, seed=1), strict=True))
    assert math.isfinite(ranks[""].error) and math.isinf(ranks["cccc"].error)
    assert len(said) == 1 and "of 500 samples had not ended after" in said[0]
    never = model_of()
    never.weights["output/b"][VOCAB.symbols.index("\n")] = -99.0
    monkeypatch.setattr(guesses, "LONGEST", 10)
    assert ranked(never, ["a"], 20, 1) == [Rank(1.0, math.inf)]


def test_samples_are_those_of_the_model(monkeypatch):
    """However many are scored together; and the same of a seed."""
    scorer = Scorer(model_of(), LINES, whole=True)
    first, unended = draw(scorer, 700, 5)
    assert unended == 0 and len(first.nats) == 700
    monkeypatch.setattr(guesses, "_TOGETHER", 64)
    seen = []
    again, _ = draw(scorer, 700, 5, lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(again.nats, first.nats, rtol=1e-5)
    assert seen == [(done, 700) for done in range(1, 701)]
    assert not np.allclose(draw(scorer, 700, 6)[0].nats, first.nats)
    assert len(draw(scorer, 1, 5)[0].nats) == 1


def test_models_that_cannot_tell_say_so():
    vocab = Vocabulary.of("\n\t" + LETTERS)
    for text, said in (
        (TextConfig(), "has not learned where a text ends"),
        (TextConfig(reset_at_documents=True), "has not learned where a text ends"),
        (TextConfig(separator="\n"), "has not learned where a text ends"),
        (TextConfig(one_per_line=True, loss_after="\t"), "has learned only what follows '\\\\t'"),
    ):
        with pytest.raises(CharRNNError, match=said):
            ranked(model_of(text, vocab), ["a"], 10, 1)
    with pytest.raises(CharRNNError, match="has not learned where a text ends"):
        ranked(model_of(vocab=Vocabulary.of("abc")), ["a"], 10, 1)
    answers = model_of(TextConfig(one_per_line=True, loss_after="\t"), vocab)
    assert len(ranked(answers, ["a"], 10, 1, after="b\t")) == 1
    for wrong in (0, -1, 2.5):
        with pytest.raises(CharRNNError, match="`samples` is"):
            ranked(model_of(), ["a"], wrong, 1)
    with pytest.raises(CharRNNError, match="`seed` is"):
        ranked(model_of(), ["a"], 10, -1)
