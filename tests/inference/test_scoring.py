"""What the characters of texts cost: side by side, in shards, in stretches; against plain loops over each alone."""

import math
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.data import parts
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.inference import scoring as score
from charrnn.inference import threads as shards
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.lines import UNKNOWN_BITS, Scorer
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\n\t abcdefghij☞")
LINES = TextConfig(one_per_line=True)
AFTER = TextConfig(one_per_line=True, loss_after="\t")
# What side by side may differ from alone, of the cost of a text.
ROUNDING = 1e-5


def model_of(
    cell: str = "lstm",
    stack: str = "plain",
    text: TextConfig = DEFAULT_TEXT,
    dtype: str = "float32",
    vocab: Vocabulary = VOCAB,
    layers: int = 2,
) -> Model:
    """Return a model whose predictions depend on all that it has read."""
    config = ModelConfig(cell, layers, 8, stack=stack)
    return Model(config, vocab, random_weights(config, vocab.size, dtype, scale=4.0), text)


def plain(model: Model, before: list[int], text: np.ndarray) -> list[float]:
    """Return the nats of each character in the plainest way: a step for each, the softmax written out in float64."""
    stream, costs = Stream(model), []
    *read, last = before
    for id in read:
        stream.step(id)
    for target in text.tolist():
        logits = stream.step(last).astype(np.float64)
        shares = np.exp(logits - logits.max())
        costs.append(-math.log(shares[target] / shares.sum()))
        last = target
    return costs


def texts_of(lengths: list[int], vocab: Vocabulary = VOCAB, seed: int = 0) -> list[np.ndarray]:
    """Return random texts of these lengths."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, len(vocab.symbols), length).astype(np.int32) for length in lengths]


def started(model: Model) -> np.ndarray:
    return np.array([model.vocab.start, model.vocab.symbols.index("\n")])


# --- Texts ---


CELLS = ["rnn", "lstm", "lstm-peephole", "lstm-layernorm", "lstm-mogrifier", "slstm", "gru", "clockwork"]
STACKS = [("lstm", "residual"), ("lstm", "grid"), ("gru", "gated-feedback"), ("lstm-depth-gated", "plain")]


@pytest.mark.parametrize(("cell", "stack"), [*((cell, "plain") for cell in CELLS), *STACKS])
def test_the_probability_of_a_text_is_the_product_of_its_steps(cell, stack):
    model = model_of(cell, stack, dtype="float64")
    texts = texts_of([1, 7, 40, 40, 41])
    found = score.score(model, started(model), texts)
    for text, nats in zip(texts, found, strict=True):
        assert nats.tolist() == pytest.approx(plain(model, started(model).tolist(), text), rel=1e-6)
        # A text alone is read in another way, many characters at once.
        (alone,) = score.score(model, started(model), [text])
        assert alone.tolist() == pytest.approx(nats.tolist(), rel=1e-6)
        assert np.exp(-nats.sum(dtype=np.float64)) == pytest.approx(np.exp(-alone.sum(dtype=np.float64)), rel=1e-4)


def test_what_stands_before_a_text_matters_and_other_texts_do_not():
    model = model_of()
    text, *others = texts_of([30, 30, 29, 31])
    (behind_break,) = score.score(model, started(model), [text])
    (behind_start,) = score.score(model, started(model)[:1], [text])
    assert np.abs(behind_break - behind_start)[:5].max() > 0.1
    among = score.score(model, started(model), [*others, text])[-1]
    assert among.tolist() == pytest.approx(behind_break.tolist(), rel=ROUNDING)


lengths = st.lists(st.integers(0, 40), max_size=70)


@settings(max_examples=30, deadline=None)
@given(lengths, st.integers(1, 3), st.sampled_from([1, 2, 3, 16, 512]), st.sampled_from([1, 64, 1 << 20]))
@example([5] * 50, 3, 512, 1 << 20)
@example([0, 0, 0], 2, 512, 1 << 20)
@example([3], 2, 512, 1 << 20)
def test_texts_side_by_side_are_as_texts_alone(lengths, cores, side_by_side, block):
    """However they are grouped and sharded: fifty rows on three cores are shards of 16, 17 and 17."""
    model, texts = model_of("gru"), texts_of(lengths)
    expected = []
    for text in texts:
        reader = score.Reader(model)
        reader.nats(started(model)[1:, None])
        expected.append(reader.nats(text[:, None])[:, 0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "usable_cores", lambda: cores)
        patch.setattr(score, "SIDE_BY_SIDE", side_by_side)
        patch.setattr(score, "BLOCK", block)
        found = score.score(model, started(model), texts)
    assert [len(nats) for nats in found] == lengths
    assert all(nats.dtype == np.float32 for nats in found)
    for nats, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(nats, one, rtol=1e-4, atol=1e-5)
        assert nats.sum(dtype=np.float64) == pytest.approx(one.sum(dtype=np.float64), rel=ROUNDING)


def test_lengths_of_many_orders(monkeypatch):
    lengths = [0, 1, 10_000, 2, 1, 100, 0, 1000, 1001, 10, 3]
    model, texts = model_of(), texts_of(lengths)
    groups = list(score.groups(lengths, score.SIDE_BY_SIDE))
    assert sorted(chain(*groups)) == [place for place, length in enumerate(lengths) if length]
    assert all(lengths[group[-1]] == max(lengths[place] for place in group) for group in groups)
    # What is filled up behind shorter texts takes memory too: with few characters at once, the long are read alone.
    monkeypatch.setattr(score, "BLOCK", 3000)
    assert [len(group) for group in score.groups(lengths, score.SIDE_BY_SIDE)] == [1, 2, 6]
    found = score.score(model, started(model), texts)
    for text, nats in zip(texts, found, strict=True):
        expected = sum(plain(model, started(model).tolist(), text))
        assert nats.sum(dtype=np.float64) == pytest.approx(expected, rel=ROUNDING)


# --- Shards ---


@pytest.mark.parametrize(("cores", "sizes"), [(1, [50]), (2, [25, 25]), (3, [16, 17, 17]), (8, [16, 17, 17])])
def test_shards_step_as_one_stream(cores, sizes, monkeypatch):
    monkeypatch.setattr(shards, "usable_cores", lambda: cores)
    model, rng, reset = model_of("lstm", text=LINES), np.random.default_rng(0), 0
    stream = Stream(model, 50)
    with Shards(model, 50) as found:
        assert [rows.stop - rows.start for rows in found.rows] == sizes
        assert [rows.start for rows in found.rows] == [0, *np.cumsum(sizes)[:-1]]
        (end,) = model.end.ids
        for t in range(6):
            ids = rng.integers(0, VOCAB.size, 50)
            ended = np.flatnonzero(ids == end)
            stream.forget(ended)
            expected = stream.step(np.where(ids == end, VOCAB.start, ids))
            np.testing.assert_allclose(found.go_on(ids), expected, atol=1e-5)
            reset += len(ended)
            if t == 4:
                other = Stream(model)
                other.feed(rng.integers(0, VOCAB.size, (9, 1)))
                for row in (16, 49):
                    found.copy(other, row)
                    stream.copy(other, row)
        found.copy(other)
        assert reset > 6
        same = found.go_on(np.full(50, 3))
        np.testing.assert_allclose(same, np.repeat(other.step(3)[None], 50, axis=0), atol=1e-5)


def test_shards_leave_the_threads_of_blas_as_they_were(monkeypatch):
    monkeypatch.setattr(shards, "usable_cores", lambda: 2)

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with Shards(model_of(), 32):
            assert threads() == {1}
        assert threads() == before


def test_few_rows_are_one_shard(monkeypatch):
    monkeypatch.setattr(shards, "usable_cores", lambda: 64)
    assert [Shards(model_of(), batch).count for batch in (2, 16, 31, 32, 47, 48)] == [1, 1, 1, 2, 2, 3]


# --- Parts ---


def documents(lengths: list[int], text: TextConfig, seed: int = 0) -> Part:
    """Return a part of documents, each ended by a line break and with a tab where what follows it counts."""
    ids = np.random.default_rng(seed).integers(2, len(VOCAB.symbols), sum(lengths)).astype(np.int32)
    ends = np.cumsum(lengths)
    for low, high in pairwise([0, *ends.tolist()]):
        ids[low + (high - low) // 3] = VOCAB.symbols.index("\t")
        ids[high - 1] = VOCAB.symbols.index("\n")
    by_lines = {"line_end": VOCAB.symbols.index("\n")} if text.one_per_line else {"starts": np.array([0, *ends[:-1]])}
    after = VOCAB.symbols.index("\t") if text.loss_after else None
    return Part(ids, **by_lines, resets=text.resets, loss_after=after)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=25),
    st.sampled_from([DEFAULT_TEXT, LINES, AFTER, TextConfig(reset_at_documents=True)]),
    st.sampled_from([8, 50, 1 << 20]),
    st.sampled_from([2, 8192]),
)
@example([60, 1, 1, 59, 8, 9], LINES, 8, 2)
def test_a_part_costs_what_its_documents_cost(lengths, text, block, most):
    """In its order and without a gap, with documents longer than a block too."""
    model, part = model_of("gru", text=text, dtype="float64"), documents(lengths, text)
    bounds = np.cumsum([0, *lengths]).tolist() if text.resets else [0, len(part)]
    expected = [nats for low, high in pairwise(bounds) for nats in plain(model, [VOCAB.start], part.ids(low, high))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "BLOCK", block)
        patch.setattr(parts, "BLOCK", block)
        patch.setattr(score, "SORTED", most)
        stretches = list(score.score_part(model, part))
    assert [low for low, _, _ in stretches] == [0, *(high for _, high, _ in stretches[:-1])]
    assert stretches[-1].high == len(part)
    assert all(len(nats) == high - low for low, high, nats in stretches)
    # A document of more than a block comes in pieces of its own, and no more than that is ever held.
    longest = max(lengths) if text.resets else 0
    assert max(high - low for low, high, _ in stretches) <= block + min(longest, block)
    nats = np.concatenate([nats for _, _, nats in stretches])
    assert nats.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    counts = part.counts(np.arange(len(part)))
    if counts.any():
        total = nats[counts].sum(dtype=np.float64)
        assert total == pytest.approx(mean_nats(model, [part]) * part.counted(), rel=1e-6)


# --- Lines ---


def scored(text: list[str], config: TextConfig = DEFAULT_TEXT, vocab: Vocabulary = VOCAB, **how):
    model = model_of(text=config, vocab=vocab)
    return model, Scorer(model, config, **how).score(text)


def bits_of(model: Model, before: str, text: str) -> list[float]:
    ids = [VOCAB.start, *VOCAB.encode(before)]
    return [nats / math.log(2) for nats in plain(model, ids, VOCAB.encode(text))]


@pytest.mark.parametrize(
    ("config", "before"), [(DEFAULT_TEXT, "\n"), (LINES, ""), (TextConfig(reset_at_documents=True), "")]
)
def test_a_line_stands_behind_a_line_break_or_begins_a_document(config, before):
    texts = ["bad cafe ☞", "", "a", "bad cafe ☞", "a\tb" * 30]
    model, records = scored(texts, config)
    for number, (text, record) in enumerate(zip(texts, records, strict=True), 1):
        expected = bits_of(model, before, text)
        assert (record.line, record.text, record.read, record.unknown) == (number, text, text, 0)
        assert record.surprisal.tolist() == pytest.approx(expected, rel=1e-4)
        assert record.characters == len(text) and record.bits == pytest.approx(sum(expected), rel=ROUNDING)
        assert text == "" or record.bits_per_char == pytest.approx(sum(expected) / len(text), rel=ROUNDING)
    assert records[1].bits == 0 and math.isnan(records[1].bits_per_char)
    with_ends = Scorer(model, config, line_ends=True).score(texts)
    assert [record.characters for record in with_ends] == [len(text) + 1 for text in texts]
    assert with_ends[0].surprisal.tolist() == pytest.approx(bits_of(model, before, texts[0] + "\n"), rel=1e-4)
    assert with_ends[0].text == texts[0] and with_ends[0].read == texts[0] + "\n"


def test_lines_that_are_documents_cost_together_what_their_file_costs():
    rng = np.random.default_rng(5)
    texts = ["".join(rng.choice(list("ab c☞"), length)) for length in rng.integers(0, 60, 300)]
    model, records = scored(texts, LINES, line_ends=True)
    ids = VOCAB.encode("".join(text + "\n" for text in texts)).astype(np.int32)
    part = Part(ids, line_end=VOCAB.symbols.index("\n"), resets=True)
    total = sum(record.bits for record in records)
    assert total == pytest.approx(mean_nats(model, [part]) * len(part) / math.log(2), rel=ROUNDING)


def test_many_lines_are_scored_as_each_alone():
    rng = np.random.default_rng(6)
    texts = ["".join(rng.choice(list("ab c☞Z"), length)) for length in rng.integers(0, 200, 600)]
    model, records = scored(texts)
    for place in [*range(0, 600, 23), 599]:
        (alone,) = Scorer(model, DEFAULT_TEXT).score([texts[place]], first=place + 1)
        assert (alone.line, alone.text, alone.unknown) == (records[place].line, texts[place], texts[place].count("Z"))
        assert alone.bits == pytest.approx(records[place].bits, rel=ROUNDING)


def test_unknown_characters_cost_what_it_takes_to_name_them_and_are_not_read():
    assert math.log2(1_112_064) == UNKNOWN_BITS
    model, (record, nothing) = scored(["aZb☞ЯZ", "Z"])
    known = bits_of(model, "\n", "ab☞")
    expected = [known[0], UNKNOWN_BITS, known[1], known[2], UNKNOWN_BITS, UNKNOWN_BITS]
    assert record.surprisal.tolist() == pytest.approx(expected, rel=1e-4)
    assert (record.characters, record.unknown) == (6, 3)
    assert (nothing.characters, nothing.unknown, nothing.bits) == (1, 1, UNKNOWN_BITS)
    _, (skipped, nothing) = scored(["aZb☞ЯZ", "Z"], unknown="skip")
    assert np.isnan(skipped.surprisal).tolist() == [False, True, False, False, True, True]
    assert (skipped.characters, skipped.unknown, nothing.characters, nothing.unknown) == (3, 3, 0, 1)
    assert skipped.bits == pytest.approx(sum(known), rel=ROUNDING)
    # There is no U+FFFD and no question mark: a space stands in.
    _, (replaced, _) = scored(["aZb☞ЯZ", "Z"], unknown="replace")
    assert replaced.surprisal.tolist() == pytest.approx(bits_of(model, "\n", "a b☞  "), rel=1e-4)
    assert (replaced.characters, replaced.unknown, replaced.read) == (6, 3, "aZb☞ЯZ")
    with pytest.raises(CharRNNError, match=r"Line 2 has characters that .*: 'Z'.* x 2, first at column 3\.") as error:
        scored(["ab", "abZZ", "Z"], unknown="error")
    assert "Я" not in error.value.message


def test_the_unknown_symbol_stands_for_unknown_characters():
    vocab = replace(VOCAB, has_unknown=True)
    model, (record, as_asked) = scored(["aZb", "ab"], vocab=vocab)
    ids = np.array([vocab.symbols.index("a"), vocab.unknown_id, vocab.symbols.index("b")])
    expected = [nats / math.log(2) for nats in plain(model, [vocab.start, vocab.symbols.index("\n")], ids)]
    assert record.surprisal.tolist() == pytest.approx(expected, rel=1e-4) and record.unknown == 1
    assert Scorer(model, DEFAULT_TEXT, "replace").score(["aZb"])[0].bits == pytest.approx(record.bits, rel=ROUNDING)
    (skipped,) = Scorer(model, DEFAULT_TEXT, "skip").score(["aZb"])
    assert skipped.bits == pytest.approx(as_asked.bits, rel=ROUNDING) and (skipped.characters, skipped.unknown) == (
        2,
        1,
    )
    with pytest.raises(CharRNNError, match="Line 1"):
        Scorer(model, DEFAULT_TEXT, "error").score(["aZb"])


CONTEXTS = ["", "a", "bad cafe ☞\tj", "ab" * 700, "a", "j☞"]


@pytest.mark.parametrize("config", [DEFAULT_TEXT, LINES, TextConfig(reset_at_documents=True)])
def test_a_line_follows_what_it_is_given(config, monkeypatch):
    """As a loop over each text alone in float64 says: after one text, or each after its own; in chunks, in batches."""
    model = model_of(text=config, dtype="float64")
    lines = ["bad cafe ☞", "", "a", "bad cafe ☞", "a\tb" * 30, "b"]
    # A model of running text has read a line break where there is nothing to follow.
    follows = ["" if config.resets or context else "\n" for context in CONTEXTS]
    for chunk, side_by_side in ((score.CHUNK, 512), (16, 2)):
        monkeypatch.setattr(score, "CHUNK", chunk)
        monkeypatch.setattr(score, "SIDE_BY_SIDE", side_by_side)
        each = Scorer(model, config).score(lines, after=CONTEXTS)
        for line, context, begun, record in zip(lines, CONTEXTS, follows, each, strict=True):
            expected = bits_of(model, begun + context, line)
            assert record.surprisal.tolist() == pytest.approx(expected, rel=1e-6)
            assert (record.read, record.characters) == (line, len(line))
            assert record.bits == pytest.approx(sum(expected), rel=1e-6)
        for context, begun in zip(CONTEXTS, follows, strict=True):
            for line, record in zip(lines, Scorer(model, config, after=context).score(lines), strict=True):
                expected = bits_of(model, begun + context, line)
                assert record.surprisal.tolist() == pytest.approx(expected, rel=1e-6)


def test_what_lines_follow_is_read_once(monkeypatch):
    fed = []
    monkeypatch.setattr(
        score.Stream, "feed", lambda self, ids, feed=Stream.feed: fed.append(len(ids)) or feed(self, ids)
    )
    scorer = Scorer(model_of(), DEFAULT_TEXT, after="abc" * 10)
    assert sum(fed) == 30
    del fed[:]
    for _ in range(3):
        scorer.score(["a", "bad"])
        scorer.score(["bad"])
    # A line alone is fed too, but never what it follows.
    assert fed == [3] * 3


def test_unknown_characters_of_what_lines_follow():
    said = []
    model = model_of()

    def bits(after: str, unknown: str | None = None, model: Model = model) -> list[float]:
        (one,) = Scorer(model, DEFAULT_TEXT, unknown, after=after, notify=said.append).score(["ab"])
        (same,) = Scorer(model, DEFAULT_TEXT, unknown).score(["ab"], after=[after])
        assert same.surprisal.tolist() == pytest.approx(one.surprisal.tolist(), rel=1e-4)
        assert (one.characters, one.unknown) == (2, 0)
        return one.surprisal.tolist()

    assert bits("aZc") == bits("aZc", "skip") == pytest.approx(bits_of(model, "ac", "ab"), rel=1e-4)
    assert bits("aZc", "replace") == pytest.approx(bits_of(model, "a c", "ab"), rel=1e-4)
    left_out, skipped, replaced = said
    assert left_out == skipped == "1 character of `after` is unknown and was left out: 'Z' (U+005A) x 1."
    assert "was replaced by ' '" in replaced
    with pytest.raises(CharRNNError, match="`after` has characters that the model does not know: 'Z'"):
        bits("aZc", "error")
    with pytest.raises(CharRNNError, match="the context of line 2 has characters that the model does not know: 'Z'"):
        Scorer(model, DEFAULT_TEXT, "error").score(["a", "b"], after=["", "Z"])
    with_symbol = model_of(vocab=replace(VOCAB, has_unknown=True))
    ids = [VOCAB.start + 1, VOCAB.symbols.index("a"), with_symbol.vocab.unknown_id]
    expected = [nats / math.log(2) for nats in plain(with_symbol, ids, VOCAB.encode("ab"))]
    assert bits("aZ", None, with_symbol) == pytest.approx(expected, rel=1e-4)


def test_the_end_of_a_document_cannot_be_followed():
    for how in ({}, {"line_ends": True}):
        with pytest.raises(CharRNNError, match=r"The end of a document, '\\n', is in `after`"):
            Scorer(model_of(text=LINES), LINES, after="a\nb", **how)
        with pytest.raises(CharRNNError, match="is in the context of line 2"):
            Scorer(model_of(text=LINES), LINES, **how).score(["a", "b"], after=["a", "b\n"])
    assert Scorer(model_of(), DEFAULT_TEXT, after="a\nb").score(["a"])[0].characters == 1


def test_a_separator_that_lines_follow_lets_all_of_them_count():
    model = model_of(text=AFTER)
    lines = ["ab", "a\tb", ""]
    for after, counted in (("ab\t", [2, 3, 0]), ("ab", [0, 1, 0]), ("", [0, 1, 0])):
        for records in (
            Scorer(model, AFTER, after=after).score(lines),
            Scorer(model, AFTER).score(lines, after=[after] * 3),
        ):
            assert [record.characters for record in records] == counted
    assert bits_of(model, "ab\t", "ab") == pytest.approx(
        Scorer(model, AFTER, after="ab\t").score(["ab"])[0].surprisal.tolist(), rel=1e-4
    )


def test_only_what_follows_the_separator_counts():
    texts = ["ab\tcd", "\tab", "abcd", "ab\t", "a\tb\tc", "aZ\tcZ"]
    model, records = scored(texts, AFTER)
    assert [record.characters for record in records] == [2, 2, 0, 0, 3, 2]
    expected = bits_of(model, "", "ab\tcd")
    assert np.isnan(records[0].surprisal).tolist() == [True] * 3 + [False] * 2
    assert records[0].bits == pytest.approx(sum(expected[3:]), rel=ROUNDING)
    assert records[4].bits == pytest.approx(sum(bits_of(model, "", "a\tb\tc")[2:]), rel=ROUNDING)
    assert records[5].surprisal[-1] == UNKNOWN_BITS and records[5].unknown == 2
    assert math.isnan(records[2].bits_per_char) and records[2].bits == 0
    with_ends = Scorer(model, AFTER, line_ends=True).score(texts)
    assert [record.characters for record in with_ends] == [3, 3, 0, 1, 4, 3]


def test_lines_are_read_as_the_model_was_trained_to():
    text = TextConfig(newlines="lf", lower=True, normalize="nfc")
    vocab = Vocabulary.of("\nabé")
    model, (record,) = scored(["AbE\u0301\r"], text, vocab)
    assert (record.text, record.read, record.characters, record.unknown) == ("AbE\u0301\r", "abé", 3, 0)
    (plain_one,) = Scorer(model, DEFAULT_TEXT).score(["abé"])
    assert record.bits == pytest.approx(plain_one.bits, rel=ROUNDING)
    # Where line ends are kept, the carriage return is a character like any other.
    assert Scorer(model, DEFAULT_TEXT).score(["abé\r"])[0].unknown == 1
    _, (raw,) = scored(["é".encode().decode("latin-1")], TextConfig(bytes=True), Vocabulary.of(map(chr, range(256))))
    assert (raw.characters, raw.unknown, raw.read) == (2, 0, "Ã©")


def test_line_ends_need_a_model_that_has_seen_one():
    with pytest.raises(CharRNNError, match="has never seen a line break"):
        Scorer(model_of(vocab=Vocabulary.of("abc")), DEFAULT_TEXT, line_ends=True)
    # Without one, nothing but the start symbol stands before a line.
    model = model_of(vocab=Vocabulary.of("abc"))
    (record,) = Scorer(model, DEFAULT_TEXT).score(["abc"])
    ids = np.arange(3)
    assert record.bits == pytest.approx(sum(plain(model, [3], ids)) / math.log(2), rel=ROUNDING)
