"""Beam search against looking at every text there is, and against greedy sampling."""

import math
from functools import cache
from itertools import product

import numpy as np
import pytest

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.beam import beam_search, n_best
from charrnn.inference.generation import Ending, Generation, generate_one
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.models import gone_on, random_weights

AB = Vocabulary.of("\nab")
LINES = TextConfig(one_per_line=True)


def model_of(text: TextConfig = DEFAULT_TEXT, seed: int = 0, vocab: Vocabulary = AB, scale: float = 3.0) -> Model:
    config = ModelConfig("lstm", 2, 8)
    return Model(config, vocab, random_weights(config, vocab.size, "float64", scale, seed), text)


def nats_of(model: Model, before: np.ndarray, ids: tuple[int, ...]) -> list[float]:
    """Return what characters cost, each after reading all anew."""
    document, nats = tuple(before.tolist()), []
    for id in ids:
        logits = logits_behind(model, document)
        nats.append(math.log(sum(math.exp(logit - logits[id]) for logit in logits)))
        document = tuple(gone_on(model, document, id))
    return nats


def documents_of(model: Model, before: np.ndarray, ids: tuple[int, ...]) -> int:
    """Return how many documents end with these ids, after what was there before."""
    document, ended = before.tolist(), 0
    for id in ids:
        document = gone_on(model, document, id)
        ended += document == [model.vocab.start]
    return ended


@cache
def logits_behind(model: Model, document: tuple[int, ...]) -> list[float]:
    return Stream(model).feed(np.array(document)[:, None])[-1, 0].tolist()


def likeliest(model: Model, before: np.ndarray, ending: Ending, allowed: set[int]) -> tuple[tuple[int, ...], bool]:
    """Return the likeliest of all texts and whether it came to its end: one that did goes before one that was cut."""
    text, ended, _ = ranked(model, before, ending, allowed)[0]
    return text, ended


def ranked(
    model: Model, before: np.ndarray, ending: Ending, allowed: set[int]
) -> list[tuple[tuple[int, ...], bool, float]]:
    """Return all texts, each with whether it came to its end and what it costs with it, the likeliest first."""
    texts: dict[tuple[int, ...], tuple[bool, float, int]] = {}
    for whole in product(sorted(allowed), repeat=ending.length):
        nats = nats_of(model, before, whole)
        length, stop, ended = ending.length, 0, False
        for n in range(ending.length, 0, -1):
            stops = [len(stop) for stop in ending.stops if n >= len(stop) and whole[n - len(stop) : n] == stop]
            documents = 0 if ending.documents is None else documents_of(model, before, whole[:n])
            over = ending.documents is not None and documents >= ending.documents
            if over or stops or (ending.lines is not None and whole[:n].count(0) >= ending.lines):
                length, stop, ended = n, max(stops, default=0), True
        texts[whole[:length]] = (not ended, sum(nats[:length]), stop)
    every: dict[tuple[int, ...], tuple[bool, float]] = {}
    for whole in sorted(texts, key=lambda text: texts[text]):
        cut, cost, stop = texts[whole]
        every.setdefault(whole[: len(whole) - (0 if ending.keep else stop)], (not cut, cost))
    return [(text, ended, cost) for text, (ended, cost) in every.items()]


STOPS = ((1, 2), (2, 2, 2), (2,))


@pytest.mark.parametrize("marker", ["ab", "bb"])
def test_a_beam_ends_with_a_document(marker):
    """Also one whose end was half there before."""
    text = TextConfig(documents_between=marker)
    for (seed, prime), documents in product(enumerate(["", "ab", "b", "a"]), (1, 2)):
        model = model_of(text, seed)
        ending = Ending(5, STOPS[1:2], documents=documents, end=model.document_end)
        before = model.before(AB.encode(prime))
        found = beam_search(model, before, 3**ending.length, ending)
        assert (tuple(found.ids.tolist()), found.ended) == likeliest(model, before, ending, {0, 1, 2})


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
@pytest.mark.parametrize(
    ("ending", "banned"),
    [
        (Ending(4), ()),
        (Ending(4), (1,)),
        (Ending(5, STOPS[:1]), ()),
        (Ending(4, STOPS[:2]), (0,)),
        (Ending(4, STOPS), ()),
        (Ending(4, lines=1, line_break=0), ()),
        (Ending(5, STOPS[1:2], lines=2, line_break=0), ()),
        (Ending(1, STOPS[:1]), ()),
        (Ending(4, STOPS[:2], keep=True), ()),
    ],
    ids=str,
)
def test_a_beam_that_is_wide_enough_finds_the_likeliest_of_all_texts(ending, banned, text):
    for seed, prime in enumerate(["", "ab", "b", "a\nb"]):
        model = model_of(text, seed)
        before = model.before(AB.encode(prime))
        found = beam_search(model, before, 3**ending.length, ending, banned)
        expected = likeliest(model, before, ending, {0, 1, 2} - set(banned))
        assert (tuple(found.ids.tolist()), found.ended) == expected
        np.testing.assert_allclose(found.nats, nats_of(model, before, expected[0]), rtol=1e-5)


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
@pytest.mark.parametrize(
    "ending",
    [
        Ending(3),
        Ending(4, STOPS[:2]),
        # Different stop strings end the same text.
        Ending(3, ((1,), (2,))),
        Ending(4, lines=1, line_break=0),
        Ending(4, STOPS[:1], lines=1, line_break=0, keep=True),
    ],
    ids=str,
)
def test_the_n_best_are_the_first_of_all_texts(ending, text):
    width = 3**ending.length
    for seed, prime in enumerate(["", "ab", "a\nb"]):
        model = model_of(text, seed)
        before = model.before(AB.encode(prime))
        expected = ranked(model, before, ending, {0, 1, 2})
        cost_of = {(ids, ended): cost for ids, ended, cost in expected}
        for best in (1, 2, 7, width):
            found = n_best(model, before, width, best, ending)
            texts = [(tuple(sample.ids.tolist()), sample.ended) for sample in found]
            assert [ended for _, ended in texts] == [ended for _, ended, _ in expected[:best]]
            # Documents in another order cost the same: of equals any may come first.
            assert len(set(texts)) == len(texts)
            np.testing.assert_allclose([cost_of[text] for text in texts], [cost for *_, cost in expected[:best]])
            costs = [sample.nats.sum(dtype="float64") + sample.end_nats for sample in found]
            np.testing.assert_allclose(costs, [cost for *_, cost in expected[:best]], rtol=1e-5)
        # What ended and what was cut is all that there is.
        assert math.fsum(math.exp(-cost) for cost in costs) == pytest.approx(1, rel=1e-5) or ending.stops
        assert len(found) == min(width, len(expected))


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
def test_a_beam_of_one_goes_the_greedy_way_and_takes_the_likeliest_text_that_ends_there(text):
    vocab = Vocabulary.of("\nabcd", has_unknown=True)
    for seed in range(8):
        model = model_of(text, seed, vocab)
        before = model.before(vocab.encode("ab"))
        for ending in (Ending(40), Ending(40, ((1, 2), (3,))), Ending(40, ((4, 3),), 2, 0), Ending(0)):
            found = beam_search(model, before, 1, ending, (2,))
            greedy = list(generate_one(model, before, Generation(ending, Sampling(0), (2,)), with_nats=True))
            ids, nats = (np.array([getattr(one, name) for one in greedy]) for name in ("id", "nats"))
            # A line break that ends a text is part of it, and need not be the likeliest character.
            broken = found.ended and ending.lines is not None and found.ids[-1:].tolist() == [0]
            length = len(found.ids) - broken
            assert found.ids.tolist()[:length] == ids.tolist()[:length]
            np.testing.assert_allclose(found.nats[:length], nats[:length], rtol=1e-5, atol=1e-6)
            if not found.ended:
                assert len(found.ids) == len(ids)
            assert not {2, vocab.unknown_id} & set(found.ids.tolist())


def test_texts_that_end_are_found_however_many_beginnings_are_likelier():
    """The empty line ends at once: a beam prints nothing that is less likely, however narrow it is."""
    vocab = Vocabulary.of("\nabcd")
    for seed in range(6):
        model = model_of(LINES, seed, vocab)
        before = model.before(np.array([], np.int64))
        for width in (2, 3, 5):
            found = n_best(model, before, width, width, Ending(4, lines=1, line_break=0))
            costs = [nats_of(model, before, tuple(one.ids.tolist())) for one in found if one.ended]
            empty = sum(nats_of(model, before, (0,)))
            assert sum(costs[-1]) <= empty or () in {tuple(one.ids[:-1].tolist()) for one in found}


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
def test_each_beginning_has_the_state_that_is_its_own(text):
    """What a text costs is what the model says of it, however often beginnings changed their places."""
    vocab = Vocabulary.of("\nabcdefg")
    for seed in (3, 10, 11):
        model, costs = model_of(text, seed, vocab), []
        before = model.before(vocab.encode("abc"))
        for width in (1, 2, 3, 7, 20):
            found = beam_search(model, before, width, Ending(30))
            exact = nats_of(model, before, tuple(found.ids.tolist()))
            np.testing.assert_allclose(found.nats, exact, rtol=1e-5, atol=1e-6)
            assert len(found.ids) == 30 and not found.ended
            costs.append(sum(exact))
        assert costs[-1] < costs[0], "a wider beam finds what is likelier than greedy"


def test_a_model_that_predicts_no_numbers_is_told_of():
    model = model_of()
    model.weights["output/b"] = np.full(3, np.nan)
    with pytest.raises(CharRNNError, match="not numbers"):
        beam_search(model, model.before(AB.encode("a")), 3, Ending(5))
