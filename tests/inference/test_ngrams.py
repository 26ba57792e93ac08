"""The n-gram baseline, compared with plain dictionaries that count and interpolate one n-gram at a time."""

from collections import Counter, defaultdict
from itertools import groupby

import numpy as np
import pytest

from charrnn.data.parts import Part
from charrnn.inference.ngrams import FALLBACK, discounts, predicted

START, LINE_END, AFTER = -1, 0, 1


def part(ids, resets=False, after=False, dtype=np.uint8) -> Part:
    """Return ids as a part; with `resets` each line is a document, and with `after` only what follows a 1 counts."""
    return Part(
        np.array(ids, dtype), line_end=LINE_END if resets else None, resets=resets, loss_after=AFTER if after else None
    )


class Oracle:
    """Interpolated Kneser-Ney as its equations say it, with an n-gram as a tuple."""

    def __init__(self, train: Part, size: int, order: int):
        self.size, self.order = size, order
        plain: defaultdict[int, Counter] = defaultdict(Counter)
        for gram in (gram for text in documents(train) for gram in grams_of(*text, order)):
            plain[len(gram)][gram] += 1
        self.counts = {order: plain[order]}
        for n in range(1, order):
            before = Counter(gram[1:] for gram in plain[n + 1])
            self.counts[n] = {gram: plain[n][gram] if gram[0] == START else before[gram] for gram in plain[n]}
        self.stored = sum(map(len, plain.values()))
        self.discounts = {n: self.discount(list(self.counts[n].values())) for n in self.counts}

    @staticmethod
    def discount(counts: list[int]) -> list[float]:
        n = [counts.count(times) for times in range(5)]
        if 0 in n[1:4]:
            return [0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        d = [0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
        return d if all(0 < d[i] <= i for i in (1, 2, 3)) else [0, 0.5, 1.0, 1.5]

    def probability(self, context: tuple, character: int) -> float:
        """Return the probability of a character after a context, which is cut to what the model knows."""
        if len(context) >= self.order:
            context = context[len(context) - self.order + 1 :]
        below = 1 / self.size if not context else self.probability(context[1:], character)
        counts, d = self.counts[len(context) + 1], self.discounts[len(context) + 1]
        seen = {w: counts[(*context, w)] for w in range(self.size) if (*context, w) in counts}
        if not seen:
            return below
        total, own = sum(seen.values()), seen.get(character, 0)
        left = sum(d[min(count, 3)] for count in seen.values())
        return (own - d[min(own, 3)] + left * below) / total


def documents(text: Part):
    """Yield the ids of each document after a start symbol, and which of them count."""
    places = np.arange(len(text))
    begins = np.cumsum(text.begins(places)) if text.resets else np.zeros(len(text))
    for _, group in groupby(places, key=lambda place: begins[place]):
        inside = list(group)
        ids, after, counts = text.ids()[inside].tolist(), False, [False]
        for one in ids:
            counts.append(text.loss_after is None or after)
            after |= one == text.loss_after
        yield [START, *ids], counts


def grams_of(ids, counts, order):
    """Yield the n-grams of all lengths that end at each character that counts."""
    for end in range(1, len(ids)):
        if counts[end]:
            yield from (tuple(ids[end - n + 1 : end + 1]) for n in range(1, min(order, end + 1) + 1))


def wanted(oracle, held):
    """Return what the oracle says of each held-out character that counts."""
    for text in held:
        for ids, counts in documents(text):
            for end in range(1, len(ids)):
                if counts[end]:
                    yield oracle.probability(tuple(ids[:end]), ids[end])


def text(rng, n, symbols) -> list[int]:
    """Return ids whose next one depends on the last two, so that all orders have something to tell; some are rare."""
    ids = [symbols - 1, symbols - 2]
    for _ in range(n):
        likely = (ids[-1] * 5 + ids[-2] * 3) % symbols
        ids.append(int(rng.choice([likely, (likely + 1) % symbols, rng.integers(symbols)])))
    return ids


@pytest.mark.parametrize(
    ("symbols", "size", "how"),
    [
        (7, 9, {}),
        (7, 9, {"resets": True}),
        (7, 9, {"resets": True, "after": True}),
        (7, 9, {"after": True}),
        # Two numbers hold a context, then three.
        (9, 600, {"dtype": np.uint16}),
        (9, 70_000, {"dtype": np.uint16, "resets": True}),
        (2, 2, {}),
    ],
)
@pytest.mark.parametrize("block", [5, 1 << 20])
def test_probabilities_are_those_of_plain_dictionaries(symbols, size, how, block, monkeypatch):
    monkeypatch.setattr("charrnn.data.parts.BLOCK", block)
    rng = np.random.default_rng(symbols)
    train, *held = (part(text(rng, n, symbols), **how) for n in (900, 150, 40))
    # A character that training never saw.
    held.append(part([2, 3, symbols, 4, 2, 3] if size > symbols else [1, 0, 1], **how))
    found = predicted(train, held, size, 8)
    assert found.probabilities.shape == (8, sum(one.counted() for one in held))
    oracles = [Oracle(train, size, order) for order in range(1, 9)]
    if size < 1000:
        for row, oracle in zip(found.probabilities, oracles, strict=True):
            np.testing.assert_allclose(row, list(wanted(oracle, held)), rtol=0, atol=1e-9)
    assert found.ngrams == tuple(oracle.stored for oracle in oracles)
    # The discounts are not all those for small texts.
    own = [one for oracle in oracles for one in oracle.discounts.values() if one != [0, *FALLBACK]]
    assert symbols == 2 or len(own) > 5


@pytest.mark.parametrize("orders", [1, 2, 5])
def test_the_highest_order_changes_no_other(orders):
    rng = np.random.default_rng(1)
    train, held = part(text(rng, 500, 6)), [part(text(rng, 80, 6))]
    few, many = (predicted(train, held, 6, n) for n in (orders, 8))
    np.testing.assert_array_equal(few.probabilities, many.probabilities[:orders])
    assert few.ngrams == many.ngrams[:orders]


@pytest.mark.parametrize("resets", [False, True])
def test_probabilities_add_up_to_one_after_any_context(resets):
    rng = np.random.default_rng(2)
    train, size = part(text(rng, 1500, 8), resets=resets), 11
    contexts = [rng.integers(1, 8, rng.integers(0, 10)).tolist() for _ in range(25)]
    # Stretches of the training text are contexts that are known.
    contexts += [train.ids(low, low + 9).tolist() for low in range(100, 1000, 60)]
    contexts.append([size - 1, 2, 3])
    held = [part([*context, following], resets=resets) for context in contexts for following in range(size)]
    found = predicted(train, held, size, 8).probabilities
    last = found[:, np.cumsum([len(one) for one in held]) - 1].reshape(8, len(contexts), size)
    assert (last > 0).all()
    np.testing.assert_allclose(last.sum(axis=2), 1, rtol=0, atol=1e-12)
    # Different contexts of the highest order give different probabilities.
    assert len(np.unique(last[7].round(12), axis=0)) > 20


def test_a_single_character_is_enough():
    found = predicted(part([0]), [part([0, 1])], 2, 8)
    # Of the only count of 1, a half is kept; the other half is shared equally.
    assert found.probabilities[0].tolist() == [0.75, 0.25]
    # The character of the start: P(0) = 0.5 + 0.5 * 0.75.
    assert found.probabilities[1].tolist() == [0.875, 0.25] and found.ngrams == (1, *[2] * 7)
    assert predicted(part([0, 0, 1]), [], 2, 3).probabilities.shape == (3, 0)


@pytest.mark.parametrize("resets", [False, True])
def test_where_nothing_is_learned_all_characters_are_equally_likely(resets):
    held = part([1, 2, 3], resets, after=True)
    for train in (part([2, 3, 0, 2], resets, after=True), part([])):
        found = predicted(train, [held], 4, 3)
        assert found.probabilities.tolist() == [[0.25] * held.counted()] * 3 and found.ngrams == (0, 0, 0)


def test_discounts_are_those_of_the_paper():
    # n1 = 6, n2 = 3, n3 = 2, n4 = 1: Y = 6 / 12.
    counts = np.array([1] * 6 + [2] * 3 + [3] * 2 + [4] + [9] * 5)
    assert discounts(counts) == pytest.approx((1 - 2 / 2 * 3 / 6, 2 - 3 / 2 * 2 / 3, 3 - 4 / 2 * 1 / 2))
    assert discounts(np.array([1, 1, 2, 5])) == FALLBACK
    # With so many counts of 3, the discount of 2 would be negative.
    assert discounts(np.array([1] * 9 + [2] * 3 + [3] * 60 + [4])) == FALLBACK
