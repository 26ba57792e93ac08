"""Generated texts against the plainest sampler there could be: one at a time, many side by side, where they end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice, product, repeat

import numpy as np
import pytest

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.inference.batch import generate
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.generation import Character, Ending, Generation, Sample, generate_one, sample_text
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.chi_squared import follows, probabilities
from support.models import gone_on, random_weights

LINES = TextConfig(one_per_line=True)
ABC = Vocabulary.of("\nabc")


def model_of(
    vocab: Vocabulary = ABC, text: TextConfig = DEFAULT_TEXT, cell: str = "lstm", dtype: str = "float64", seed: int = 0
) -> Model:
    """Return a model whose predictions depend on all that it has read; in float64 the way that it is read does not."""
    config = ModelConfig(cell, 2, 8)
    return Model(config, vocab, random_weights(config, vocab.size, dtype, scale=4.0, seed=seed), text)


def plain_text(model: Model, prime: str, how: Generation, number: int = 0) -> tuple[str, bool]:
    """Return a text and whether it came to its end, written out and cut: every character after reading all anew."""
    vocab, rng, end = model.vocab, np.random.Generator(np.random.Philox(key=[how.seed, number])), how.ending
    document, seen = model.before(vocab.encode(prime)).tolist(), model.before(vocab.encode(prime))[1:].tolist()
    begun, over = len(seen), []
    banned = {*how.banned, vocab.unknown_id} - {None}
    for _ in range(end.length):
        logits = Stream(model).feed(np.array(document)[:, None])[-1, 0]
        possible = [id for id in range(vocab.size) if id not in banned]
        if how.no_repeat:
            stretches = {tuple(seen[i : i + how.no_repeat]) for i in range(len(seen) - how.no_repeat + 1)}
            new = [id for id in possible if tuple([*seen, id][-how.no_repeat :]) not in stretches]
            # Where all would repeat something, something is repeated.
            possible = new or possible
        drawn_from = np.full(len(logits), -np.inf)
        drawn_from[possible] = logits[possible]
        chosen = int((np.cumsum(probabilities(drawn_from, how.sampling)) <= rng.random()).sum())
        seen.append(chosen)
        document = gone_on(model, document, chosen)
        over += [len(seen) - begun] if document == [vocab.start] else []
    last = None if end.documents is None or len(over) < end.documents else over[end.documents - 1]
    return cut(vocab.decode(seen[begun:]), [vocab.decode(stop) for stop in end.stops], end.lines, last)


def cut(text: str, stops: Sequence[str], lines: int | None, last: int | None = None) -> tuple[str, bool]:
    """Return what is before the first stop string to be whole, or up to the n-th line break or `last`; if it was so."""
    ends = [(text.find(stop) + len(stop), -len(stop)) for stop in stops if stop in text]
    if lines is not None and text.count("\n") >= lines:
        ends.append((len("\n".join(text.split("\n")[:lines])) + 1, 0))
    ends += [] if last is None else [(last, 0)]
    if not ends:
        return text, False
    # Of stop strings that end together the longest is left out; a stop string goes before a line's end.
    end, left_out = min(ends)
    return text[: end + left_out], True


def one(model: Model, prime: str, how: Generation, with_nats: bool = False) -> list[Character]:
    return list(generate_one(model, model.before(model.vocab.encode(prime)), how, with_nats))


def many(model: Model, primes: Sequence[str], how: Generation, side_by_side: int = 256, **settings) -> list[Sample]:
    """Return a text behind each prime, made side by side; what all primes share is read once."""
    befores = [model.before(model.vocab.encode(prime)) for prime in primes]
    shared = 0
    while shared < min(map(len, befores)) - 1 and len({int(before[shared]) for before in befores}) == 1:
        shared += 1
    own = [before[shared:] for before in befores]
    return list(generate(model, befores[0][:shared], iter(own), how, side_by_side, **settings))


def ending(length: int, *stops: str, lines: int | None = None, vocab: Vocabulary = ABC) -> Ending:
    ids = tuple(tuple(vocab.encode(stop).tolist()) for stop in stops)
    return Ending(length, ids, lines, vocab.symbols.index("\n"))


# One text and many are what the plainest sampler gives.

FORGETTING = TextConfig(separator="c", reset_at_documents=True)
# Of the others the end begins anew within itself.
MARKED = tuple(TextConfig(documents_between=marker) for marker in ("bc", "aa", "aba"))
HOW = {
    "plain": Generation(ending(30)),
    "filtered": Generation(ending(30), Sampling(1.3, 3, 0.95, 0.05, 0.9), seed=5),
    "greedy": Generation(ending(30), Sampling(0)),
    "stops": Generation(ending(40, "aba", "cc", "bca"), Sampling(2.0), seed=2**63 - 1),
    "lines": Generation(ending(40, "acb", lines=4), Sampling(1.5), seed=7),
    "no repeat": Generation(ending(40, "cba"), Sampling(2.0), no_repeat=3, seed=8),
    "without b": Generation(ending(30), Sampling(1.1), banned=(2,), no_repeat=4, seed=9),
    "of one": Generation(ending(1)),
}


@pytest.mark.parametrize(
    "text",
    [DEFAULT_TEXT, LINES, FORGETTING, *MARKED[:2]],
    ids=["carrying", "lines", "separator", "marker", "overlapping"],
)
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_texts_are_those_of_the_plainest_sampler(how, text):
    model = model_of(text=text, cell="gru")
    primes = ["", "ab", "", "abca", "abc\nab", "a", "", "ab", "\n", "a", ""]
    expected = [plain_text(model, prime, how, number) for number, prime in enumerate(primes)]
    if how.ending.length > 1 and how.sampling.temperature:
        assert len({text for text, _ in expected}) > 3
    assert model.vocab.decode([character.id for character in one(model, primes[0], how)]) == expected[0][0]
    for side_by_side in (1, 2, 7, 256):
        found = many(model, primes, how, side_by_side)
        assert [(model.vocab.decode(sample.ids), sample.ended) for sample in found] == expected, side_by_side
        assert all(len(sample.nats) == len(sample.ids) for sample in found)
    assert [(model.vocab.decode(sample.ids), sample.ended) for sample in many(model, primes[5:9], how, first=5)] == (
        expected[5:9]
    )


@pytest.mark.parametrize("text", [*MARKED, FORGETTING], ids=["bc", "aa", "aba", "separator"])
def test_a_text_ends_after_its_documents(text):
    """However much of the first one's end was there before."""
    model, primes, ended = model_of(text=text, cell="gru"), ["", "ab", "a", "b", "cb", "aba", "abcb"], Counter()
    # Where characters are about alike, many documents end; where not, what is forgotten makes a difference.
    for (number, temperature), seed in product(((1, 9.0), (2, 3.0)), range(2)):
        how = replace(ending(20, "cca"), documents=number, end=model.document_end)
        how = Generation(how, Sampling(temperature), seed=seed)
        expected = [plain_text(model, prime, how, place) for place, prime in enumerate(primes)]
        for side_by_side in (1, 3, 256):
            found = many(model, primes, how, side_by_side)
            assert [(model.vocab.decode(sample.ids), sample.ended) for sample in found] == expected
        for prime in primes:
            alone = [plain_text(model, prime, how, place) for place in range(2)]
            assert model.vocab.decode([character.id for character in one(model, prime, how)]) == alone[0][0]
            # What they share is read once.
            found = many(model, [prime] * 2, how)
            assert [(model.vocab.decode(sample.ids), sample.ended) for sample in found] == alone
        ended.update(text.endswith(model.text.document_end) for text, _ in expected)
    assert ended[True] >= 3


def test_a_text_that_is_copied_knows_how_much_of_an_end_it_has_had():
    model = model_of(text=TextConfig(documents_between="abc"))
    start, (a, b, c) = ABC.start, ABC.encode("abc").tolist()
    read, one, many, fresh = Stream(model), Stream(model), Stream(model, 3), Stream(model)
    read.feed(np.array([[start], [a], [b]]))
    one.copy(read)
    many.copy(read, 1)
    # The end is whole now, in the text that was read and in its copies: another document begins.
    expected = fresh.step(start).copy()
    for logits in (read.go_on(c), one.go_on(c), many.go_on(np.array([c, c, c]))[1]):
        np.testing.assert_allclose(logits, expected, atol=1e-12)
    assert not np.allclose(many.go_on(np.array([c, c, c]))[0], expected)
    # It counts from the beginning again.
    assert not np.allclose(read.go_on(c), expected) and read.matched == 0


def test_a_document_that_is_gone_on_with_begins_after_the_last_end():
    """What repeats an end is no part of it, as in training."""
    for marker, prime, begun in (
        ("\n\n", "ab\n\n\nb", "b"),
        ("\n\n", "ab\n", "ab\n"),
        ("\n\n", "\n\na\n\n", ""),
        ("bc", "abcbca", "a"),
        ("aba", "cabababac", "c"),
    ):
        model = model_of(text=TextConfig(documents_between=marker))
        assert model.before(ABC.encode(prime)).tolist() == [ABC.start, *ABC.encode(begun).tolist()]


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
@pytest.mark.parametrize("how", [HOW["plain"], HOW["no repeat"]], ids=["plain", "no repeat"])
def test_what_all_primes_share_is_read_once_and_counts(how, text):
    model, primes = model_of(text=text, cell="gru"), ["abcaab", "abcaac", "abcaabc", "abcaabba"]
    expected = [plain_text(model, prime, how, number)[0] for number, prime in enumerate(primes)]
    assert [model.vocab.decode(sample.ids) for sample in many(model, primes, how, side_by_side=3)] == expected
    # Also all but the last character, as where one prime has many texts.
    expected = [plain_text(model, "abcaab", how, number)[0] for number in range(5)]
    assert [model.vocab.decode(sample.ids) for sample in many(model, ["abcaab"] * 5, how)] == expected


@pytest.mark.parametrize("cell", ["lstm", "slstm", "rnn"])
def test_texts_side_by_side_of_other_cells(cell):
    model, how = model_of(text=LINES, cell=cell), Generation(ending(40, "ab"), Sampling(0.9), seed=3)
    primes = ["", "ba", "c"] * 4
    expected = [plain_text(model, prime, how, number)[0] for number, prime in enumerate(primes)]
    for side_by_side in (5, 12):
        assert [model.vocab.decode(sample.ids) for sample in many(model, primes, how, side_by_side)] == expected


def test_rows_that_are_shared_among_the_cores_give_the_same(monkeypatch):
    monkeypatch.setattr("charrnn.inference.threads.usable_cores", lambda: 3)
    model, how = model_of(text=LINES), Generation(ending(70, "aba"), Sampling(1.1), seed=4)
    primes = ["", "ab", "c"] * 40
    alone = many(model, primes, how, side_by_side=2)
    for side_by_side in (47, 48, 100):
        together = many(model, primes, how, side_by_side)
        assert [sample.ids.tolist() for sample in together] == [sample.ids.tolist() for sample in alone]


def test_a_longer_text_begins_as_a_shorter_one():
    """Also across the blocks in which random numbers are drawn."""
    model = model_of()
    whole = one(model, "ab", Generation(ending(4500), seed=1))
    assert whole[:4097] == one(model, "ab", Generation(ending(4097), seed=1)) and len(whole) == 4500
    ids = [character.id for character in whole]
    for length in (0, 1, 63, 64, 65, 128, 129, 300):
        for sample in many(model, ["ab"] * 3, Generation(ending(length), seed=1))[:1]:
            assert sample.ids.tolist() == ids[:length] and not sample.ended
    how = Generation(ending(100), seed=1)
    others = [Generation(ending(100), seed=2), Generation(ending(100), Sampling(0.9), seed=1)]
    assert len({sample_text(model, ABC.encode("ab"), one_of_them) for one_of_them in (how, *others)}) == 3
    assert len({sample.ids.tobytes() for sample in many(model, ["ab"] * 50, how)}) == 50


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_in_float32_one_text_and_many_differ_by_rounding_alone(cell):
    model, how = model_of(cell=cell, dtype="float32"), Generation(ending(80), seed=3)
    found = one(model, "abc", how, with_nats=True)
    samples = many(model, ["abc"] * 40, how)
    assert samples[0].ids.tolist() == [character.id for character in found]
    np.testing.assert_allclose(samples[0].nats, [character.nats for character in found], rtol=1e-3, atol=1e-5)


def test_texts_are_made_when_there_is_room_and_come_in_their_order():
    model, asked = model_of(text=LINES), []

    def endless() -> Iterator[np.ndarray]:
        for number in count():
            asked.append(number)
            yield np.array([ABC.start])

    how = Generation(ending(30, lines=1), seed=6)
    found = list(islice(generate(model, np.zeros(0, np.int64), endless(), how, side_by_side=4), 25))
    assert [ABC.decode(sample.ids) for sample in found] == [plain_text(model, "", how, n)[0] for n in range(25)]
    lengths = [len(sample.ids) for sample in found]
    assert len(set(lengths)) > 4 and lengths != sorted(lengths)
    assert 25 <= len(asked) <= 25 + 40
    for none in ([], iter(())):
        assert list(generate(model, np.zeros(0, np.int64), none, how)) == []
    nothing = Generation(ending(0))
    assert one(model, "", nothing) == [] and [sample.ids.tolist() for sample in many(model, ["", "a"], nothing)] == [
        [],
        [],
    ]


# Draws


@pytest.mark.parametrize(
    ("text", "sampling"),
    [
        (DEFAULT_TEXT, Sampling(0.8)),
        (DEFAULT_TEXT, Sampling(top_p=0.85, min_p=0.1)),
        (LINES, Sampling(1.2, typical=0.9)),
    ],
    ids=["temperature", "nucleus", "typical, forgetting"],
)
def test_texts_made_side_by_side_have_the_probabilities_of_the_model(text, sampling):
    vocab = Vocabulary.of("\nab")
    model = model_of(vocab, text, dtype="float32", seed=1)
    before, length = model.before(np.zeros(0, np.int64)), 3
    exact = np.array([_share(model, before.tolist(), ids, sampling) for ids in product(range(3), repeat=length)])
    assert exact.sum() == pytest.approx(1)
    how = Generation(Ending(length), sampling, seed=11)
    samples = generate(model, before[:-1], repeat(before[-1:], 20_000), how)
    # Which of the 27 texts each is.
    places = [int(np.ravel_multi_index(tuple(sample.ids), (3,) * length)) for sample in samples]
    assert follows(np.bincount(places, minlength=3**length), exact)
    # Neighbours know nothing of each other: their first characters are drawn apart.
    firsts = np.array(places) // 3 ** (length - 1)
    pairs = np.bincount(firsts[:-1] * 3 + firsts[1:], minlength=9)
    alone = exact.reshape(3, -1).sum(axis=1)
    assert follows(pairs, np.outer(alone, alone).ravel())


def _share(model: Model, document: list[int], ids: Sequence[int], sampling: Sampling) -> float:
    """Return how probable a text is, drawn so."""
    share = 1.0
    for id in ids:
        share *= probabilities(Stream(model).feed(np.array(document)[:, None])[-1, 0], sampling)[id]
        document = gone_on(model, document, id)
    return share


def test_transitions_of_one_long_text_have_the_probabilities_of_the_model():
    """A model that remembers nothing but the last character: what follows each is counted."""
    config = ModelConfig("rnn", 1, 8)
    weights = dict(random_weights(config, ABC.size, "float32", scale=3.0))
    weights["layer0/U"] = np.zeros_like(weights["layer0/U"])
    model = Model(config, ABC, weights)
    sampling = Sampling(0.9, top_p=0.97)
    ids = [character.id for character in one(model, "a", Generation(ending(30_000), sampling, seed=2))]
    counts = np.zeros((4, 4), int)
    np.add.at(counts, ([ABC.symbols.index("a"), *ids[:-1]], ids), 1)
    for last, followed_by in enumerate(counts):
        assert followed_by.sum() > 300
        assert follows(followed_by, probabilities(Stream(model).feed(np.array([[last]]))[-1, 0], sampling))


# Where texts end


def test_a_text_ends_before_the_first_stop_string_to_be_whole():
    model = model_of()
    rng = np.random.default_rng(0)
    ended = overlapping = first = 0
    for seed in range(150):
        whole = sample_text(model, ABC.encode("a"), Generation(ending(50), Sampling(2.0), seed=seed))
        # Some stand in the text, most share beginnings or ends.
        places = rng.integers(0, 50, 2)
        stops = [whole[place : place + rng.integers(1, 6)] for place in places]
        stops += ["".join(rng.choice(list("\nabc"), rng.integers(1, 5))) for _ in range(rng.integers(0, 3))]
        stops += [stops[0][:-1], stops[0][1:], stops[1] + "a"][: rng.integers(0, 4)]
        stops = [stop for stop in rng.permutation(stops).tolist() if stop]
        lines = [None, 1, 3][seed % 3]
        how = Generation(ending(50, *stops, lines=lines), Sampling(2.0), seed=seed)
        expected = cut(whole, stops, lines)
        assert ABC.decode([character.id for character in one(model, "a", how)]) == expected[0], (whole, stops, lines)
        sample = many(model, ["a"], how)[0]
        assert (ABC.decode(sample.ids), sample.ended) == expected, (whole, stops, lines)
        ended += expected[1]
        first += expected[0] == ""
        overlapping += any(a != b and a.endswith(b) and whole.startswith(expected[0] + a) for a in stops for b in stops)
    assert ended > 100 and first > 10 and overlapping > 10


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES, FORGETTING], ids=["carrying", "lines", "separator"])
def test_one_and_many_follow_all_rules_at_once(text):
    """Every rule ends some of the texts, which are the same alone, side by side and of the plainest sampler."""
    vocab = Vocabulary.of("\nabcd", has_unknown=True)
    model, ends = model_of(vocab, text), Counter()
    stops = ("bab", "ab", "cc\n", "dd")
    for seed in range(60):
        end = ending(12, *stops, lines=3, vocab=vocab)
        how = Generation(end, Sampling(2.0, top_p=0.98), banned=(vocab.symbols.index("d"),) * (seed % 2), no_repeat=4)
        how = replace(how, seed=seed)
        expected = [plain_text(model, "ca", how, number) for number in range(5)]
        alone, together = one(model, "ca", how, with_nats=True), many(model, ["ca"] * 5, how, side_by_side=3)
        assert vocab.decode([character.id for character in alone]) == expected[0][0]
        assert [(vocab.decode(sample.ids), sample.ended) for sample in together] == expected
        np.testing.assert_allclose(together[0].nats, [character.nats for character in alone], rtol=1e-6)
        for made, ended in expected:
            ends["length" if not ended else "lines" if made.count("\n") == 3 else "stop"] += 1
        if seed % 2:
            assert not any("d" in made for made, _ in expected)
    assert min(ends[rule] for rule in ("length", "lines", "stop")) >= 3, ends


def test_what_may_be_a_stop_string_waits_and_nothing_else_does(monkeypatch):
    model, stops, length, waited = model_of(), ["abca", "bb", "cacc", "\n\na"], 60, 0
    step, steps = Stream.step, []
    monkeypatch.setattr(Stream, "step", lambda self, id: (steps.append(id), step(self, id))[1])
    for seed in range(40):
        whole = sample_text(model, ABC.encode("a"), Generation(ending(length), Sampling(2.0), seed=seed))
        how = Generation(ending(length, *stops), Sampling(2.0), seed=seed)
        steps.clear()
        for place, character in enumerate(generate_one(model, model.before(ABC.encode("a")), how)):
            # When a character has been drawn, all before it have been read.
            made = len(steps) + 1
            settled = (n for n in range(place + 1, length) if n - _held(whole[:n], stops) > place)
            assert ABC.symbols[character.id] == whole[place] and made == next(settled, length), (whole, place)
            waited += made > place + 1
    assert waited > 100


def _held(text: str, stops: Sequence[str]) -> int:
    """Return the length of the longest end of a text with which a stop string begins."""
    return max(n for stop in stops for n in range(len(stop)) if text.endswith(stop[:n]))


def test_a_stop_string_that_begins_in_the_prime_does_not_count():
    model, late = model_of(), 0
    for seed in range(20):
        whole = sample_text(model, ABC.encode("a"), Generation(ending(60), Sampling(1.5), seed=seed))
        how = Generation(ending(60, stop := "a" + whole[0]), Sampling(1.5), seed=seed)
        assert sample_text(model, ABC.encode("a"), how) == cut(whole, [stop], None)[0]
        assert ABC.decode(many(model, ["a", "a"], how)[0].ids) == cut(whole, [stop], None)[0]
        late += stop in whole[1:]
    assert late > 5


# What must not be drawn


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
@pytest.mark.parametrize(("n", "length"), [(1, 5), (2, 60), (3, 150), (5, 150)])
def test_no_stretch_comes_twice(n, length, text):
    vocab = Vocabulary.of("\nabcdefghijkl")
    model, primes = model_of(vocab, text), ["", "abc", "abcdefg"]
    free, how = (Generation(Ending(length), Sampling(0.8), no_repeat=repeats, seed=3) for repeats in (None, n))
    for prime, sample, other in zip(primes, many(model, primes, how), many(model, primes, free), strict=True):
        ids = [*model.before(vocab.encode(prime))[1:], *sample.ids]
        stretches = [tuple(ids[place : place + n]) for place in range(len(ids) - n + 1)]
        assert len(set(stretches)) == len(stretches) and len(sample.ids) == length
        assert sample.ids.tolist() != other.ids.tolist(), "it would have repeated itself"


def test_where_everything_would_repeat_something_a_text_goes_on():
    how = Generation(ending(40), no_repeat=1)
    assert len(one(model_of(), "abc", how)) == len(many(model_of(), ["abc"], how)[0].ids) == 40


@pytest.mark.parametrize(
    "sampling", [Sampling(0), Sampling(0.5), Sampling(1e300), Sampling(top_k=1), Sampling(top_p=0.5)]
)
@pytest.mark.parametrize("no_repeat", [None, 1])
def test_what_is_banned_and_the_unknown_symbol_are_never_drawn(sampling, no_repeat):
    vocab = Vocabulary.of("\nabc", has_unknown=True)
    model = model_of(vocab, LINES)
    # By far the likeliest, always.
    bias = np.array([0, 0, 30, 0, 50.0])
    model.weights["output/b"] = model.weights["output/b"] + bias
    how = Generation(Ending(60), sampling, banned=(2,), no_repeat=no_repeat, seed=1)
    prime = np.array([vocab.unknown_id, 2])
    texts = [[character.id for character in generate_one(model, model.before(prime), how)]]
    texts += [sample.ids.tolist() for sample in generate(model, model.before(prime), repeat(np.array([1]), 20), how)]
    for ids in texts:
        assert len(ids) == 60 and set(ids) <= {0, 1, 3}
    # To be banned costs nothing in the account: that is the model's own.
    assert min(character.nats for character in generate_one(model, model.before(prime), how, True)) > 40


# What texts cost


@pytest.mark.parametrize("text", [DEFAULT_TEXT, LINES], ids=["carrying", "lines"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nats_are_those_of_the_model_before_any_filter(text, dtype):
    model = model_of(text=text, dtype=dtype)
    for how in (
        Generation(ending(70), seed=1),
        Generation(ending(70, "cb", lines=4), Sampling(0.4, 2, 0.9, 0.1, 0.9), banned=(1,), no_repeat=5, seed=2),
    ):
        for prime in ("", "ab", "ca\nb"):
            samples = many(model, [prime] * 9, how)
            streamed = one(model, prime, how, with_nats=True)
            assert [character.nats for character in one(model, prime, how)] == [0] * len(streamed)
            for ids, nats in [
                *((sample.ids, sample.nats) for sample in samples),
                (np.array([character.id for character in streamed], int), [character.nats for character in streamed]),
            ]:
                np.testing.assert_allclose(nats, _nats(model, prime, ids.tolist()), rtol=1e-4, atol=1e-5)


def _nats(model: Model, prime: str, ids: list[int]) -> list[float]:
    """Return what characters cost, in float64, a step at a time."""
    stream, nats = Stream(model), []
    *read, last = model.before(model.vocab.encode(prime)).tolist()
    for id in read:
        stream.step(id)
    for id in ids:
        logits = stream.step(last).astype(np.float64)
        nats.append(float(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[id]))
        last = id
        if model.end and id == model.end.ids[0]:
            stream, last = Stream(model), model.vocab.start
    return nats


def test_nats_are_those_of_evaluation():
    model = model_of(text=LINES, dtype="float32")
    samples = many(model, [""] * 60, Generation(ending(200, lines=1), Sampling(0.7)))
    ids = np.concatenate([sample.ids for sample in samples if sample.ended])
    evaluated = mean_nats(model, [Part(ids.astype(np.int64), None, None, 0, True)])
    total = sum(float(sample.nats.sum(dtype=np.float64)) for sample in samples if sample.ended)
    assert total / len(ids) == pytest.approx(evaluated, rel=1e-6)


def test_a_model_that_predicts_no_numbers_is_told_of():
    model = model_of()
    model.weights["output/b"] = model.weights["output/b"] + np.array([0, 0, np.nan, 0])
    for sampling in (Sampling(), Sampling(0.5, 2, 0.9, 0.1, 0.5)):
        how = Generation(ending(5), sampling)
        for texts in (lambda how=how: one(model, "a", how), lambda how=how: many(model, ["a"] * 3, how)):
            with pytest.raises(CharRNNError, match="not numbers"):
                texts()
