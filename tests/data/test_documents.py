"""A model that forgets where documents begin: in training, in its estimate, in evaluation and in sampling."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import ModelConfig, TextConfig, TrainConfig
from charrnn.data.batches import Streams, Window
from charrnn.data.parts import Part
from charrnn.inference import scoring as score
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.generation import Ending, Generation, sample_text
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.inference.stream import Stream
from charrnn.network.states import initial_states
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.engine import Shards, loss_and_gradients, xp
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import TrainStep, fresh_states
from charrnn.training.validation import Validation
from support.chi_squared import probabilities
from support.commands import charrnn_in
from support.models import random_weights

pytestmark = pytest.mark.trains

LINES = TextConfig(one_per_line=True)


def model_of(
    cell: str, vocab: Vocabulary, text: TextConfig = LINES, dtype: str = "float32", scale: float = 4.0
) -> Model:
    """Return a model whose predictions depend on all that it has read."""
    config = ModelConfig(cell, 2, 8)
    return Model(config, vocab, random_weights(config, vocab.size, dtype, scale=scale), text)


def text_of(lengths: list[int], vocab: Vocabulary, by_lines: bool, resets: bool = True, seed: int = 0) -> Part:
    """Return a text of documents of these lengths, random but for the line break that ends each of them."""
    ids = np.random.default_rng(seed).integers(1, len(vocab.symbols), sum(lengths)).astype(np.int32)
    ids[np.cumsum(lengths) - 1] = vocab.symbols.index("\n")
    starts = np.cumsum([0, *lengths[:-1]])
    return Part(ids, None, None if by_lines else starts, 0 if by_lines else None, resets)


def alone(model: Model, part: Part) -> list[float]:
    """Return what each document costs in nats, in the plainest way: each by itself, a character at a time."""
    begins = [place for place in range(len(part)) if part.begins(np.array([place]))[0]]
    costs = []
    for low, high in pairwise([*begins, len(part)]):
        stream, cost, before = Stream(model), 0.0, model.vocab.start
        for target in part.ids(low, high).tolist():
            logits = stream.step(before).astype(np.float64)
            cost += math.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target]
            before = target
        costs.append(cost)
    return costs


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=20)


# --- Windows ---


@given(lengths, st.booleans(), st.booleans(), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_a_window_forgets_just_where_documents_begin(lengths, by_lines, resets, batch, seq, seed):
    n = sum(lengths)
    if n < batch * seq:
        return
    codes = np.arange(n)
    ends = np.cumsum(lengths)
    # An id for each place; where lines are documents, one code ends all of them, and ids repeat there.
    table = None
    if by_lines:
        codes[ends - 1] = n
    part = Part(codes, table, None if by_lines else np.array([0, *ends[:-1]]), n if by_lines else None, resets)
    streams = Streams(part, batch, seq, seed, start=n + 1)
    begins = {0, *ends[:-1].tolist()}
    place = None
    for step in range(2 * streams.steps_per_epoch):
        inputs, targets, reset, weights = streams.window(step)
        assert (reset is not None) == resets and weights is None
        if streams.starts(step):
            plain = Streams(Part(np.arange(n)), batch, seq, seed, start=n + 1)
            place = plain.window(step).targets[0].tolist()
            if resets:
                # Streams start with a document, if one begins soon; the end of the text is its beginning.
                soon = [range(at, min(at + max(1, n // batch // 4), n + 1)) for at in place]
                place = [next((at for at in near if at % n in begins), near[0]) for near in soon]
        for t in range(seq):
            for row in range(batch):
                at = int(place[row] + step % streams.steps_per_epoch * seq + t) % n
                assert targets[t, row] == codes[at]
                fresh = at == 0 or (resets and at in begins)
                if resets:
                    assert reset[t, row] == fresh
                expected = n + 1 if fresh or (streams.starts(step) and t == 0) else codes[at - 1]
                assert inputs[t, row] == expected


# --- Training ---


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_two_documents_in_one_window_are_as_two_windows(cell, vocab):
    """Logits and gradients are the sums of what each document gives from a fresh state; whatever was there before."""
    config = ModelConfig(cell, 2, 8)
    rng, first, second = np.random.default_rng(1), 5, 8
    net = CharRNN(config, vocab.size, random_weights(config, vocab.size, "float32"))
    ids = rng.integers(0, vocab.size, (first + second, 3)).astype(np.int32)
    ids[[0, first]] = vocab.start
    d = rng.normal(size=(first + second, 3, vocab.size)).astype(np.float32)

    def run(low, high, reset=None, states=None):
        states = states or initial_states(xp, config, 3, "float32")

        def loss(values):
            logits, after = net.call(ids[low:high], states, reset=reset, values=values)
            return xp.sum(logits * d[low:high]), (logits, after)

        _, (logits, after), gradients = loss_and_gradients(loss, net.values())
        return np.array(logits), after, [np.array(gradients[name]) for name in net.parameters]

    reset = np.zeros((first + second, 3), bool)
    reset[[0, first]] = True
    _, dirty, _ = run(0, first + second)
    whole, after, gradients = run(0, first + second, reset, dirty)
    one, two = run(0, first), run(first, first + second)
    np.testing.assert_allclose(whole, np.concatenate([one[0], two[0]]), atol=1e-5)
    for expected, found in zip(two[1], after, strict=True):
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-6)
    for left, right, found in zip(one[2], two[2], gradients, strict=True):
        np.testing.assert_allclose(left + right, found, atol=1e-4)
    # The state matters: without the reset nothing of this is so.
    assert np.abs(run(0, first + second)[0] - whole).max() > 0.01
    # Rows are told apart.
    reset[first, 1] = False
    assert np.abs(run(0, first + second, reset)[0] - whole).max(axis=(0, 2)).tolist()[::2] == pytest.approx([0, 0])
    assert np.abs(run(0, first + second, reset)[0] - whole).max(axis=(0, 2))[1] > 0.01


def test_a_step_of_training_with_documents(vocab):
    """The whole step, compiled and in two shards: its loss is what the documents cost, whatever came before."""
    part, model = text_of([7, 3, 6, 1, 15], vocab, by_lines=False), model_of("lstm", vocab)
    reset = part.begins(np.arange(32))
    inputs = np.where(reset, vocab.start, np.roll(part.ids(), 1)).astype(np.int32)
    window = Window(*(np.stack([array] * 2, axis=1) for array in (inputs, part.ids(), reset)))
    net = CharRNN(model.config, vocab.size, model.weights)
    step = TrainStep(net, make_optimizer(TrainConfig(optimizer="sgd", clip_norm=None)), Shards(2, 2))
    states = fresh_states(net, step.shards)
    for number in range(2):
        loss, states = step(window, states, number, 0.0)
        assert float(loss) == pytest.approx(sum(alone(model, part)) / 32, abs=1e-5)


# --- Evaluation ---


@given(lengths, st.booleans(), st.integers(0, 9))
def test_documents_are_evaluated_each_by_itself(lengths, by_lines, seed):
    vocab = Vocabulary.of("\n abcdefghijkl")
    model, part = model_of("gru", vocab, dtype="float64"), text_of(lengths, vocab, by_lines, seed=seed)
    expected = sum(alone(model, part)) / len(part)
    with pytest.MonkeyPatch.context() as patch:
        assert mean_nats(model, [part]) == pytest.approx(expected, rel=1e-6)
        # Groups of a few, chunks and blocks of documents, documents longer than a block.
        for name, value in (("BLOCK", 16), ("SIDE_BY_SIDE", 3), ("SORTED", 5), ("CHUNK", 4), ("LOGITS", 1)):
            patch.setattr(score, name, value)
            assert mean_nats(model, [part]) == pytest.approx(expected, rel=1e-6), name


def test_parts_are_evaluated_together(vocab):
    model = model_of("lstm", vocab, dtype="float64")
    parts = [text_of([4, 9, 2], vocab, True), text_of([30, 1], vocab, True, seed=1), text_of([15], vocab, True, seed=2)]
    costs = [alone(model, part) for part in parts]
    assert mean_nats(model, parts) == pytest.approx(sum(map(sum, costs)) / 61, rel=1e-6)
    assert mean_nats(model, parts[:1] + parts[2:]) == pytest.approx((sum(costs[0]) + sum(costs[2])) / 30, rel=1e-6)


def test_without_forgetting_the_state_is_carried_over_documents(vocab, monkeypatch):
    model = model_of("lstm", vocab, dtype="float64")
    forgets, carries = (text_of([5, 5, 5, 30], vocab, False, resets) for resets in (True, False))
    expected = sum(alone(model, Part(carries.codes))) / 45
    for block in (1 << 20, 7):
        monkeypatch.setattr("charrnn.data.parts.BLOCK", block)
        assert mean_nats(model, [carries]) == pytest.approx(expected, rel=1e-6)
    assert abs(mean_nats(model, [forgets]) - expected) > 0.01


@pytest.mark.parametrize(("by_lines", "shards"), [(False, 1), (True, 2)])
def test_the_estimate_of_documents_is_their_exact_loss(by_lines, shards, vocab):
    model = model_of("lstm", vocab)
    net = CharRNN(model.config, vocab.size, model.weights)
    rng = np.random.default_rng(3)
    # Several streams, which begin anywhere in a document: it is warmed from its own beginning, or 256 characters.
    part = text_of(rng.integers(1, 120, 80).tolist(), vocab, by_lines)
    exact = sum(alone(model, part)) / len(part)
    assert len(part) > 4096
    assert mean_nats(model, [part]) == pytest.approx(exact, abs=1e-5)
    assert Validation(net, [part], vocab.start, shards).estimate().nats == pytest.approx(exact, abs=1e-5)
    # Several parts are streams of their own.
    several = [part.cut(low, high) for low, high in ((0, 150), (150, 151), (151, 700))]
    exact = sum(sum(alone(model, one)) for one in several) / 700
    assert mean_nats(model, several) == pytest.approx(exact, abs=1e-5)
    assert Validation(net, several, vocab.start, shards).estimate().nats == pytest.approx(exact, abs=1e-5)
    carried = Part(part.codes)
    assert abs(Validation(net, [carried], vocab.start, shards).estimate().nats - exact) > 0.01


# --- Sampling ---


def sampled(model: Model, prime: str, length: int, temperature: float, seed: int) -> str:
    how = Generation(Ending(length), Sampling(temperature), seed=seed)
    return sample_text(model, model.vocab.encode(prime), how)


def plain_sample(model: Model, prime: list[int], length: int, temperature: float, seed: int) -> str:
    """Return sampled text by the plainest sampler: for each character all of its document is read again."""
    vocab, rng = model.vocab, np.random.Generator(np.random.Philox(key=[seed, 0]))
    end = model.text.document_end if model.text.resets else None
    document, sampled = [vocab.start, *prime], ""
    while len(sampled) < length:
        logits = Stream(model).feed(np.array(document)[:, None])[-1, 0].astype(np.float64)
        shares = probabilities(logits, Sampling(temperature))
        if vocab.unknown_id is not None:
            shares = shares[: vocab.unknown_id]
        chosen = int((np.cumsum(shares / shares.sum()) <= rng.random()).sum())
        sampled += vocab.symbols[chosen]
        document = [vocab.start] if vocab.symbols[chosen] == end else [*document, chosen]
    return sampled


@pytest.mark.parametrize("prime", ["", "ab"])
@pytest.mark.parametrize(
    ("text", "end"),
    [
        (LINES, "\n"),
        (TextConfig(separator="k", reset_at_documents=True), "k"),
        (TextConfig(separator="k"), None),
        (TextConfig(reset_at_documents=True), None),
    ],
)
def test_a_document_is_sampled_from_the_start_symbol(text, end, prime, vocab):
    model = model_of("lstm", vocab, text, scale=2.0)
    found = sampled(model, prime, 150, 1.0, 1)
    ids = vocab.encode(prime or ("" if text.resets else "\n")).tolist()
    assert found == plain_sample(model, ids, 150, 1.0, 1)
    if end:
        assert found.count(end) >= 5
        carrying = model_of("lstm", vocab, TextConfig(), scale=2.0)
        assert found != plain_sample(carrying, ids, 150, 1.0, 1), "forgetting makes a difference"


def test_of_a_prime_with_several_lines_the_last_is_gone_on_with(vocab):
    model = model_of("lstm", vocab, LINES, scale=2.0)

    def follows(prime: str) -> str:
        return sampled(model, prime, 60, 1.0, 9)

    assert follows("abc\nde\nfg") == follows("fg") != follows("abc")
    assert follows("abc\n") == follows("") != follows("abc")


def test_greedy_lines_are_all_alike(vocab):
    weights = dict(model_of("rnn", vocab, scale=2.0).weights)
    weights["output/b"] = weights["output/b"].copy()
    weights["output/b"][0] += 1.5
    model = Model(ModelConfig("rnn", 2, 8), vocab, weights, LINES)
    found = sampled(model, "", 200, 0, 1).split("\n")
    assert len(found) > 3 and len(set(found[:-1])) == 1 and found[0].startswith(found[-1])


@pytest.mark.parametrize("temperature", [0, 0.5, 1.0, 100.0])
@pytest.mark.parametrize("text", [TextConfig(), LINES])
def test_the_unknown_symbol_is_never_sampled(temperature, text):
    vocab = Vocabulary.of("\nabc", has_unknown=True)
    weights = dict(model_of("lstm", vocab).weights)
    # By far the likeliest, always.
    weights["output/b"] = weights["output/b"] + np.float32(50) * (np.arange(5) == vocab.unknown_id)
    model = Model(ModelConfig("lstm", 2, 8), vocab, weights, text)
    how = Generation(Ending(300), Sampling(temperature), seed=1)
    found = sample_text(model, np.array([vocab.unknown_id]), how)
    assert len(found) == 300 and set(found) <= set("\nabc")
    if temperature == 1.0:
        assert found[:60] == plain_sample(model, [vocab.unknown_id], 60, 1.0, 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of untrained models: one that knows of unknown characters, one of bytes; and texts."""
    folder = tmp_path_factory.mktemp("models")
    config = ModelConfig("lstm", 1, 8)
    for name, vocab, text in (
        ("unknown", Vocabulary.of("abc\n", has_unknown=True), TextConfig()),
        ("plain", Vocabulary.of("abc\n?"), TextConfig()),
        ("bytes", Vocabulary(tuple(map(chr, range(256)))), TextConfig(bytes=True)),
    ):
        weights = random_weights(config, vocab.size, "float32")
        write_checkpoint(folder / f"{name}.safetensors", Checkpoint(config, vocab, weights, text=text))
    (folder / "new.txt").write_text("abZc☞\naZ\n", encoding="utf-8")
    (folder / "binary").write_bytes(bytes(range(256)) * 4)
    return folder


def test_unknown_characters_are_the_unknown_symbol_by_default(models):
    def evaluated(model, *policy):
        return charrnn_in(models, "eval", f"{model}.safetensors", "new.txt", "--json", *policy)

    by_default = evaluated("unknown")
    assert (
        "3 characters of new.txt are unknown and were read as one unknown symbol: 'Z' (U+005A) x 2" in by_default.stderr
    )
    assert evaluated("plain").returncode == evaluated("unknown", "--unknown", "error").returncode == 1
    assert "replaced by '?'" in evaluated("plain", "--unknown", "replace").stderr
    assert json.loads(evaluated("unknown", "--unknown", "skip").stdout)["characters"] == 6
    model = Model.load(models / "unknown.safetensors")
    # Its id stands behind those of the known characters.
    ids = np.array(["\nabc".find(character) % 5 for character in (models / "new.txt").read_text()])
    exact = sum(alone(model, Part(ids))) / len(ids)
    found = json.loads(by_default.stdout)
    assert found["characters"] == 9 and found["nats_per_char"] == pytest.approx(exact, rel=1e-5)


def test_a_prime_with_unknown_characters(models):
    result = charrnn_in(models, "sample", "unknown.safetensors", "--prime", "aZ☞", "-n", 50, "--seed", 1)
    assert result.returncode == 0 and "2 characters of --prime are unknown" in result.stderr
    sampled = result.stdout.decode()
    assert sampled.startswith("a\ufffd\ufffd") and len(sampled) == 53 and set(sampled[3:]) <= set("abc\n")


def test_a_model_of_bytes_writes_bytes(models):
    sample = ("sample", "bytes.safetensors", "-n", 3000, "--temp", 1.5, "--seed", 1)
    result = charrnn_in(models, *sample)
    assert result.returncode == 0 and len(result.stdout) == 3000 and len(set(result.stdout)) > 250
    model = Model.load(models / "bytes.safetensors")
    assert result.stdout == sampled(model, "", 3000, 1.5, 1).encode("latin-1")
    # A prime is the bytes that the shell gave, whether they are text or not.
    primed = charrnn_in(models, *sample, "--prime", "☞\udcff")
    assert primed.returncode == 0 and len(primed.stdout) == 3004 and primed.stdout.startswith("☞".encode() + b"\xff")
    evaluated = charrnn_in(models, "eval", "bytes.safetensors", "binary", "--json")
    assert evaluated.returncode == 0 and b'"characters": 1024' in evaluated.stdout
    refused = charrnn_in(models, "eval", "bytes.safetensors", "binary", "--encoding", "utf-16")
    assert refused.returncode == 1 and "is a model of bytes, which have no encoding" in refused.stderr


@pytest.mark.parametrize("block", [1, 3, 4096])
@pytest.mark.parametrize("by_lines", [True, False])
def test_the_next_document_is_looked_for_within_a_limit(by_lines, block, monkeypatch):
    monkeypatch.setattr("charrnn.data.parts.LOOK_AHEAD", block)
    #                         0  1  2  3  4  5  6  7  8  9
    codes = np.array([5, 5, 0, 5, 5, 5, 0, 0, 5, 5])
    part = Part(codes, line_end=0) if by_lines else Part(codes, starts=np.array([0, 3, 7, 8]))
    for place in range(10):
        for limit in range(1, 12):
            begins = [at for at in range(place, place + limit) if at in (0, 3, 7, 8, 10)]
            assert part.next_begin(place, limit) == (begins[0] if begins else None)


def test_streams_of_lines_start_with_a_line_and_read_all_text():
    lines = [f"{number:03}"[:: 1 if number % 2 else -1] + "\n" for number in range(400)]
    text = "".join(lines)
    part = Part(np.frombuffer(text.encode(), np.uint8).astype(np.int32), line_end=10, resets=True)
    streams, seen = Streams(part, 8, 16, 3, start=99), set()
    for epoch in range(20):
        first = streams.window(epoch * streams.steps_per_epoch)
        assert first.reset[0].all() and (first.inputs[0] == 99).all()
        starts = streams._first(epoch)
        assert (np.diff(np.sort(starts % len(part))) >= 150).all(), "no text is read by two streams"
        for step in range(streams.steps_per_epoch):
            place = (starts + step * 16 + np.arange(16)[:, None]) % len(part)
            seen.update(place.ravel().tolist())
    assert len(seen) == len(part)
