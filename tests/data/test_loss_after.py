"""Training on what follows a separator (--loss-after): which characters count, and that only they do."""

import json
import math
import re
import shutil
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from charrnn.api import held_out
from charrnn.api.datasets import Sources, vocabulary
from charrnn.cli.views import report
from charrnn.config import ModelConfig, TextConfig, TrainConfig, from_json, to_json
from charrnn.data import parts
from charrnn.data.batches import Streams, Window
from charrnn.data.corpus import as_ids, dataset
from charrnn.data.parts import Part
from charrnn.data.splits import Split, split
from charrnn.errors import CharRNNError
from charrnn.inference import scoring as score
from charrnn.inference.evaluation import mean_nats
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.states import initial_states
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.runs.folder import Run
from charrnn.runs.progress import CorpusRecord, Stability
from charrnn.text.reader import read_text
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import divergence as guard
from charrnn.training.backends.engine import loss_and_gradients, xp
from charrnn.training.events import Evaluated, Stepped
from charrnn.training.learner import KerasLearner
from charrnn.training.network import CharRNN
from charrnn.training.optimizers import make_optimizer
from charrnn.training.step import TrainStep, cross_entropy, fresh_states
from charrnn.training.trainer import Trainer
from charrnn.training.validation import Validation
from support.commands import charrnn_in, several
from support.models import random_weights
from support.representatives import case, slow_on_jax
from support.shards import shards_of

pytestmark = pytest.mark.trains

END, SEPARATOR = 0, 1
TABBED = TextConfig(one_per_line=True, loss_after="\t")


def begins_of(part: Part) -> list[bool]:
    return [bool(part.begins(np.array([place]))[0]) for place in range(len(part))]


def counting(part: Part) -> list[bool]:
    """Return which characters count, found the plainest way: one after the other."""
    found, passed = [], False
    for code, begins in zip(part.codes.tolist(), begins_of(part), strict=True):
        passed = passed and not begins
        found.append(passed)
        passed = passed or code == SEPARATOR
    return found


def text_of(documents, by_lines: bool) -> Part:
    """Return a text of documents (lists of codes above END), each with END behind it."""
    codes = [code for document in documents for code in (*document, END)]
    starts = np.cumsum([0, *(len(document) + 1 for document in documents)])[:-1]
    return Part(np.array(codes, np.uint8), None, None if by_lines else starts, END if by_lines else None, True, 1)


# Separators are rare or frequent, lines and files short, or much longer than what is looked back at once.
documents = st.lists(
    st.lists(st.sampled_from([1, 2]) | st.integers(2, 6), max_size=8) | st.lists(st.integers(2, 6), max_size=90),
    min_size=1,
    max_size=12,
)
texts = st.builds(text_of, documents, st.booleans())


@pytest.fixture(autouse=True)
def everything_in_small_pieces(monkeypatch):
    """Go through texts 16 characters at a time, and look back 3 at first."""
    monkeypatch.setattr(parts, "BLOCK", 16)
    monkeypatch.setattr(parts, "LOOK_BACK", 3)


# --- Which characters count ---


@given(texts, st.data())
def test_characters_behind_the_first_separator_of_their_document_count(text, data):
    expected = counting(text)
    n = len(text)
    assert text.counts(np.arange(n)).tolist() == expected and text.counted() == sum(expected)
    for place in range(n):
        assert text.counts(np.array([place])).tolist() == expected[place : place + 1]
    low, high = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    assert text.counts(np.arange(low, high)).tolist() == expected[low:high]
    everything = replace(text, loss_after=None)
    assert everything.counts(np.arange(n)[:, None]).all() and everything.counted() == n


@pytest.mark.parametrize("by_lines", [False, True])
def test_a_separator_far_behind_the_first_is_a_character_like_others(by_lines):
    text = text_of([[2] * 20 + [1] + [3] * 40 + [1] + [4] * 9, [2] * 20, [1] + [2] * 50 + [1]], by_lines)
    assert text.counts(np.arange(len(text))).tolist() == counting(text) and text.counted() == 51 + 52


@given(texts, st.data())
def test_in_a_cut_the_documents_begin_anew(text, data):
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    part = text.cut(low, high)
    assert part.loss_after == SEPARATOR
    assert part.counts(np.arange(len(part))).tolist() == counting(part)
    again = part.cut(len(part) // 3, len(part))
    assert again.counts(np.arange(len(again))).tolist() == counting(again)


@given(texts, st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_windows_weigh_what_counts(text, batch, seq, seed):
    n = len(text)
    if n < batch * seq:
        return
    expected = np.array(counting(text), np.float32)
    # What is read tells where.
    places = Streams(places_of(text), batch, seq, seed, start=n)
    streams = Streams(text, batch, seq, seed, start=9)
    wrapped = 0
    for step in range(3 * streams.steps_per_epoch):
        read, window = places.window(step).targets, streams.window(step)
        assert window.weights.dtype == np.float32 and (window.weights == expected[read]).all()
        wrapped += (np.diff(read, axis=0) < 0).any()
    assert Streams(replace(text, loss_after=None), batch, seq, seed, start=9).window(0).weights is None


def places_of(text: Part) -> Part:
    """Return a part with the documents of another, whose ids are places."""
    places = np.arange(len(text))
    return Part(places, starts=np.flatnonzero(text.begins(places)), resets=text.resets)


def test_windows_wrap_around():
    """Otherwise the test above would not see what stands behind the end of the ring, which its beginning forgets."""
    text = Part(np.array([2, 3, 1, 4, 5, 1, 2, 3, 4, 1], np.uint8), None, None, END, True, SEPARATOR)
    expected, inside = np.array(counting(text)), 0
    assert expected.tolist() == [False] * 3 + [True] * 7
    for step in range(40):
        read = Streams(places_of(text), 2, 5, 0, start=9).window(step).targets
        inside += (read[1:] == 0).any()
        assert (Streams(text, 2, 5, 0, start=9).window(step).weights == expected[read]).all()
    assert inside > 10


@given(documents, st.sampled_from(["tail", "documents", "char-rnn"]), st.integers(1, 3), st.integers(0, 9))
def test_parts_of_a_text_count_alike(documents, how, batch, seed):
    whole = text_of([[2, 1, 3], *documents, [1, 1], [2]], by_lines=True)
    if how == "char-rnn" and len(whole) // batch < 20:
        return
    found = split(whole, TrainConfig(split=how, batch=batch, seed=seed, val=0.3))
    for part in (found.train, *found.val):
        assert part.counts(np.arange(len(part))).tolist() == counting(part)


def test_looking_back_stays_small(monkeypatch):
    """In a line of a million characters a window asks for a few at a time, and for none beyond the nearest mark."""
    monkeypatch.setattr(parts, "BLOCK", 1 << 12)
    asked = []

    class Watched(np.ndarray):
        def __getitem__(self, places):
            asked.append(np.asarray(places))
            return np.asarray(super().__getitem__(places))

    codes = np.full(1_000_000, 2, np.uint8)
    codes[[500, 700_000]] = SEPARATOR, END
    text = Part(codes.view(Watched), None, None, END, True, SEPARATOR)
    places = np.array([600_000, 700_050]) + np.arange(8)[:, None]
    assert text.counts(places).tolist() == [[True, False]] * 8
    assert max(places.size for places in asked) <= 1 << 12
    assert sum(places.size for places in asked) < 700_000
    asked.clear()
    assert not text.counts(places[:, 1:]).any() and sum(places.size for places in asked) < 300


# --- Training ---

SMALL = ModelConfig("gru", 1, 8)
PLAIN = TrainConfig(optimizer="sgd", momentum=0.0, clip_norm=None)


WEIGHTS = random_weights(SMALL, 5, "float32")


def window_of(weights: np.ndarray, seed: int = 2) -> Window:
    rng = np.random.default_rng(seed)
    inputs, targets = (rng.integers(0, 5, weights.shape).astype(np.int32) for _ in range(2))
    return Window(inputs, targets, None, weights.astype(np.float32))


@cache
def step_of(shards: int, **settings) -> TrainStep:
    return TrainStep(CharRNN(SMALL, 5, WEIGHTS), make_optimizer(PLAIN), shards_of(7, shards), **settings)


def stepped(window: Window, shards: int = 1, **settings) -> tuple[float, dict[str, np.ndarray]]:
    """Return the loss of one step of rate 1 on seven streams, and by how much it moved the weights."""
    step = step_of(shards, **settings)
    step.net.load(WEIGHTS)
    loss, _ = step(window, fresh_states(step.net, step.shards), 0, 1.0)
    return float(loss), {name: WEIGHTS[name] - after for name, after in step.net.read().items()}


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


SOME = np.random.default_rng(0).random((6, 7)) < 0.4
# The shards count very different numbers of characters, one of them none.
SOME[:, :2] = False


@pytest.mark.backend
@pytest.mark.parametrize("summed", [case(False, on_jax=True), case(True)])
def test_loss_and_gradients_are_those_of_the_mean_over_what_counts(summed):
    window = window_of(SOME)
    weights = {name: ops.convert_to_tensor(weight) for name, weight in WEIGHTS.items()}
    net = CharRNN(SMALL, 5, WEIGHTS)
    states = initial_states(xp, SMALL, 7, "float32")

    def plain(values):
        logits, _ = net.call(window.inputs, states, values=values)
        rows, columns = np.nonzero(SOME)
        picked = ops.reshape(logits, (-1, 5))
        picked = ops.take(picked, rows * 7 + columns, axis=0)
        return cross_entropy(picked, window.targets[rows, columns]) / SOME.sum(), None

    expected, _, gradients = loss_and_gradients(plain, weights)
    loss, moved = stepped(window, 2, sum_gradients=summed)
    assert loss == pytest.approx(float(expected), abs=1e-6)
    # Summed over time, averaged over streams.
    scale = SOME.sum() / 7 if summed else 1
    expected = {name: scale * ops.convert_to_numpy(gradient) for name, gradient in gradients.items()}
    assert max(np.abs(gradient).max() for gradient in expected.values()) > 0.01
    assert apart(moved, expected) < 3e-6 * scale


def test_where_all_count_it_is_as_without():
    window = window_of(np.ones((6, 7)))
    for settings in ({}, {"sum_gradients": True}):
        (loss, moved), (plain, expected) = (stepped(w, 2, **settings) for w in (window, window._replace(weights=None)))
        assert loss == pytest.approx(plain, abs=1e-6) and apart(moved, expected) < 1e-5


@pytest.mark.backend
@pytest.mark.parametrize("shards", [case(2, on_jax=True), case(3, fast=False)])
def test_shards_agree(shards):
    loss, moved = stepped(window_of(SOME), dropout=0.3)
    other, others = stepped(window_of(SOME), shards, dropout=0.3)
    assert other == pytest.approx(loss, abs=1e-6) and apart(moved, others) < 2e-6


@pytest.mark.backend
def test_targets_that_do_not_count_change_nothing_and_their_inputs_do():
    window = window_of(SOME)
    loss, moved = stepped(window)
    changed = np.where(SOME, window.targets, (window.targets + 1) % 5)
    other, others = stepped(window._replace(targets=changed))
    assert other == loss and apart(moved, others) == 0
    # One target that counts makes a difference, and so does what is read before those that count.
    changed = window.targets.copy()
    changed[tuple(np.argwhere(SOME)[0])] += 1
    assert apart(moved, stepped(window._replace(targets=changed % 5))[1]) > 1e-3
    last = np.zeros((6, 7), bool)
    last[5] = True
    one, other = (stepped(window_of(last)._replace(inputs=read))[1] for read in (window.inputs, window.inputs * 0))
    assert apart(one, other) > 1e-3


@pytest.mark.backend
@pytest.mark.parametrize("summed", [False, True])
def test_a_window_in_which_nothing_counts_moves_nothing(summed):
    loss, moved = stepped(window_of(np.zeros((6, 7))), 2, sum_gradients=summed)
    assert loss == 0 and all((gradient == 0).all() for gradient in moved.values())


def trainer_of(path, text: Part, val: tuple[Part, ...] = (), **settings) -> Trainer:
    path.mkdir()
    config = TrainConfig(**{"batch": 2, "seq": 5, "steps": 40, "eval_every": 10, "dropout": 0.0, **settings})
    model, vocab = ModelConfig("rnn", 1, 4), Vocabulary.of("\n\tabcde")
    learner = KerasLearner(model, vocab, config, Split(text, val), 1)
    return Trainer(Run(path), learner, model, vocab, config, CorpusRecord((), "", len(text)), TABBED)


def test_windows_in_which_nothing_counts_are_no_part_of_the_training_loss(tmp_path):
    # Long sources: most windows have nothing that counts, for a while none has.
    text = text_of([[2, 1, 3, 4], *[[3] * 30, [4] * 40, [2, 1, 5, 5]] * 2, [5] * 30], by_lines=True)
    trainer = trainer_of(tmp_path / "run", text)
    watched, seen = [], []
    for event in trainer.events():
        if isinstance(event, Stepped):
            expected = trainer.learner.streams.window(event.step - 1).weights.any()
            assert (event.nats is not None) == expected
            seen.append(event.nats)
            watched.append(trainer.progress.stability.loss_mean)
        elif isinstance(event, Evaluated):
            counted = [nats for nats in seen[-10:] if nats is not None]
            assert event.train_nats == (pytest.approx(np.mean(counted)) if counted else None)
    assert 5 < seen.count(None) < 35
    before = next(nats for nats in seen if nats is not None)
    assert before > 1
    for mean, nats, after in zip(watched, seen[1:], watched[1:], strict=False):
        assert nats is not None or mean == after, "the guard hears of it only where something counts"
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 4


def test_without_any_that_counts_for_long_the_log_has_no_number(tmp_path):
    text = text_of([[2, 1, 3], *[[3] * 400] * 3], by_lines=True)
    events = list(trainer_of(tmp_path / "run", text, seed=1).events())
    found = [event.train_nats for event in events if isinstance(event, Evaluated)]
    assert found.count(None) >= 2


def test_few_characters_may_stray_further():
    def after(nats: float, share: float) -> str:
        known = Stability()
        for step in range(300):
            known = guard.watch(known, step, 2.0, 0.5)
        try:
            guard.watch(known, 300, nats, share)
        except guard.Diverged:
            return "diverged"
        return "went on"

    assert after(5.0, 0.5) == "diverged"
    assert after(5.0, 1 / 1024) == "went on"
    assert after(2000.0, 1 / 1024) == "diverged"


# --- Validation and evaluation ---


def alone(model: Model, part: Part) -> tuple[float, int]:
    """Return what the characters that count cost in nats, and how many they are, character by character."""
    cost, number, counts = 0.0, 0, counting(part)
    for low, high in pairwise([*np.flatnonzero(begins_of(part)), len(part)]):
        stream, before = Stream(model), model.vocab.start
        for place, target in enumerate(part.ids(low, high).tolist(), low):
            logits = stream.step(before).astype(np.float64)
            if counts[place]:
                cost += math.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target]
                number += 1
            before = target
    return cost, number


@slow_on_jax
@pytest.mark.backend
@pytest.mark.parametrize("by_lines", [False, True])
def test_estimate_and_exact_evaluation_count_what_counts(by_lines, monkeypatch):
    monkeypatch.setattr(parts, "BLOCK", 1 << 20)
    vocab, rng = Vocabulary.of("\n\tabcde"), np.random.default_rng(4)
    weights = random_weights(SMALL, vocab.size, "float32", scale=4.0)
    net, model = CharRNN(SMALL, vocab.size, weights), Model(SMALL, vocab, weights, TABBED)
    lengths = rng.integers(0, 110, 60)
    text = text_of([rng.choice(7, n, p=[0, 0.02, *[0.196] * 5]).tolist() for n in lengths], by_lines)
    cost, number = alone(model, text)
    assert len(text) > 2600 and 400 < number < len(text) - 400
    assert mean_nats(model, [text]) == pytest.approx(cost / number, abs=1e-5)
    assert Validation(net, [text], vocab.start, 2).estimate().nats == pytest.approx(cost / number, abs=1e-5)
    assert abs(mean_nats(model, [replace(text, loss_after=None)]) - cost / number) > 0.01
    several_parts = [text.cut(low, high) for low, high in ((0, 170), (170, 180), (180, 900))]
    cost, number = map(sum, zip(*(alone(model, part) for part in several_parts), strict=True))
    assert mean_nats(model, several_parts) == pytest.approx(cost / number, abs=1e-5)
    assert Validation(net, several_parts, vocab.start, 1).estimate().nats == pytest.approx(cost / number, abs=1e-5)
    for name, value in (("BLOCK", 16), ("SIDE_BY_SIDE", 3), ("SORTED", 5), ("CHUNK", 4)):
        monkeypatch.setattr(score, name, value)
        assert mean_nats(model, several_parts) == pytest.approx(cost / number, abs=1e-5), name


def test_a_validation_of_which_nothing_counts_is_told_before_training(tmp_path):
    with pytest.raises(CharRNNError, match="no character of the part for it counts"):
        trainer_of(tmp_path / "run", text_of([[2, 1, 3, 4]] * 9, True), (text_of([[2, 3, 4]] * 9, True),))


def test_the_report_tells_of_what_counts(monkeypatch, capsys):
    model = Model(SMALL, Vocabulary.of("\n\tabcde"), random_weights(SMALL, 7, "float32"), TABBED)
    text = text_of([[2, 1, 3, 4]] * 9 + [[2] * 50], True)

    def reported(part):
        event = held_out.measure(part, model, [text])
        report.measured(event)
        return event.evaluation.nats_per_char, capsys.readouterr().err

    nats, said = reported("validation")
    assert nats == pytest.approx(mean_nats(model, [text]))
    assert r", computed over 27 characters after '\t' in all 96 held-out characters." in said
    monkeypatch.setattr(held_out, "EXACT", 30)
    assert (
        r"over 18 characters after '\t' in the first 30 of 96 held-out characters, which were not used to choose"
        in reported("test")[1]
    )
    monkeypatch.setattr(held_out, "EXACT", 2)
    assert r"Test: not computed, because none of the first 2 characters follows '\t'" in reported("test")[1]
    assert held_out.counted_ids(text).tolist() == [3, 4, 0] * 9


# --- Settings and texts ---


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"loss_after": "\t"}, "`loss_after` needs documents"),
        ({"loss_after": "\t", "separator": "|"}, "`loss_after` needs documents"),
        ({"one_per_line": True, "loss_after": "ab"}, "`loss_after` is 'ab'; it must be one character"),
        ({"one_per_line": True, "loss_after": ""}, "`loss_after` is ''"),
        ({"one_per_line": True, "loss_after": "☞", "bytes": True}, "it must be one byte"),
        ({"one_per_line": True, "loss_after": "\n"}, "which ends every document"),
        ({"reset_at_documents": True, "separator": "|", "loss_after": "|"}, "which ends every document"),
    ],
)
def test_settings_that_leave_nothing_are_refused(values, expected):
    with pytest.raises(CharRNNError, match=re.escape(expected)) as caught:
        TextConfig(**values)
    assert caught.value.hint
    assert "`one_per_line=True`" in caught.value.hint or "needs" not in expected


def test_models_of_before_know_nothing_of_it():
    assert "loss_after" not in to_json(TextConfig(one_per_line=True))
    assert from_json(TextConfig, to_json(TABBED)) == TABBED and to_json(TABBED)["loss_after"] == "\t"


def test_texts_in_which_nothing_counts_are_refused(tmp_path):
    def of(text: str, validation: str | None = None, form: TextConfig = TABBED, **settings):
        texts = []
        for name, content in (("a.txt", text), ("b.txt", validation)):
            if content is not None:
                (tmp_path / name).write_text(content)
                texts.append(read_text([tmp_path / name], form))
        vocab = Vocabulary.of("abc\t\n")
        return dataset(texts[0], vocab, TrainConfig(**{"val": 0.0, **settings}), *texts[1:])

    for arguments, settings, expected in (
        (("abc\n",), {}, r"'\t' does not occur in the text (" + str(tmp_path / "a.txt")),
        (("a\tb\n", "abc\n"), {}, r"'\t' does not occur in the text (" + str(tmp_path / "b.txt")),
        (("a\tb\n" * 9 + "abc\n",), {"val": 0.1}, r"In the validation part nothing follows '\t'"),
        (("a\tb\n" * 9 + "abc\n",), {"test": 0.1}, r"In the test part nothing follows '\t'"),
        (("abc\n" * 9 + "a\tb\n",), {"val": 0.1}, r"In the training part nothing follows '\t'"),
    ):
        with pytest.raises(CharRNNError, match=re.escape(expected)):
            of(*arguments, **settings)
    with pytest.raises(CharRNNError, match="nothing follows"):
        of("abc\t", form=TextConfig(reset_at_documents=True, loss_after="\t"))
    with pytest.raises(CharRNNError, match=r"The vocabulary lacks '\\t', which `loss_after` names"):
        as_ids(read_text([tmp_path / "a.txt"], TextConfig(one_per_line=True, loss_after="\t")), Vocabulary.of("abc\n"))
    found = of("a\tb\n" * 9 + "abc\n", "c\tb\n")
    assert found.parts.train.counted() == 18 and found.parts.val[0].counted() == 2


def test_the_separator_is_kept_however_rare(tmp_path):
    (tmp_path / "a").write_text("aaa\n" * 20 + "a\ta\n")
    text = read_text([tmp_path / "a"], TABBED)
    vocab = vocabulary(Sources([], min_count=9), text, None, None)
    assert (vocab.symbols, vocab.has_unknown) == (("\t", "\n", "a"), True)


# --- The command ---

TINY = ("--cell", "gru", "--layers", 1, "--units", 4, "--batch", 2, "--seq", 8, "--quiet")
REFUSED = (
    (("pairs.txt", "--loss-after", r"\t"), "--loss-after needs documents"),
    (("plain.txt", "--one-per-line", "--loss-after", r"\t"), r"'\t' does not occur in the text (plain.txt)"),
    (("pairs.txt", "--one-per-line", "--loss-after", "ab"), "--loss-after is 'ab'"),
    (("pairs.txt", "--one-per-line", "--loss-after", r"\t", "--val-file", "plain.txt"), r"'\t' does not occur"),
    (("--resume", "pairs", "--loss-after", "d"), "--loss-after cannot be changed"),
    (("pairs.txt", "--init", "plain", "--loss-after", r"\t"), "--loss-after needs documents"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of texts and of runs, and what each training said."""
    folder = tmp_path_factory.mktemp("pairs")
    lines = [f"{n}\t{str(n)[::-1]}{'!' * (n % 3)}\n" for n in range(100, 400)]
    (folder / "pairs.txt").write_text("".join(lines))
    (folder / "plain.txt").write_text("12345678\n" * 200)
    for name in "ab":
        (folder / f"{name}.bin").write_bytes(b"\x00\xff" * 80 + b"\x1f" + bytes(range(100)))
    lined = ("pairs.txt", "--one-per-line", "--loss-after", r"\t")
    binary = ("--bytes", "--reset-at-documents", "--loss-after", r"\x1f")
    calls = [
        ("pairs", *lined, "--steps", 8, "--save-every", 4, "--keep", 9, "--val", 0.2, "--test", 0.1, "--split", "tail"),
        ("plain", "plain.txt", "--steps", 2),
        ("taken over", "pairs.txt", "--init", "pairs", "--steps", 2),
        ("bytes", "a.bin", "b.bin", *binary, "--split", "documents", "--steps", 2),
        *((" ".join(map(str, arguments)), *arguments) for arguments, _ in REFUSED),
    ]
    tiny = {name: () if "--resume" in rest else TINY for name, *rest in calls}
    tiny["taken over"] = ("--quiet",)
    return folder, several(
        folder, *((name, "", "train", *rest, *tiny[name], *_named(name, rest)) for name, *rest in calls)
    )


def _named(name, rest):
    return () if "--resume" in rest else ("--name", name.replace(" ", "-").replace("\\", ""))


def test_a_model_that_learns_only_what_follows(trained):
    folder, said = trained
    for name in ("pairs", "plain", "taken over", "bytes"):
        assert said[name][1] == 0, said[name]
    text = (folder / "pairs.txt").read_text()
    places = [0, *(match.end() for match in re.finditer("\n", text))]
    first, second = (next(p for p in places if p >= len(text) * share // 10) for share in (7, 9))
    for what, part in (("Validation", text[first:second]), ("Test", text[second:])):
        (folder / "part.txt").write_text(part)
        result = charrnn_in(folder, "eval", "pairs", "part.txt", "--json")
        assert result.returncode == 0, result.stderr
        facts = json.loads(result.stdout)
        counted = sum(len(line.split("\t")[1]) for line in part.splitlines(keepends=True))
        assert facts["characters"] == counted and facts["bits_per_byte"] is None
        assert f"{what}: {facts['bits_per_char']:.4f} bits per character" in said["pairs"][0]
        assert rf"over {counted:,} characters after '\t' in all " in said["pairs"][0]
    assert re.search(r"^bits per byte +-$", charrnn_in(folder, "eval", "pairs", "part.txt").stdout.decode(), re.M)
    # What stands before is read, and does not count.
    best = Model.load(folder / "checkpoints/pairs/best.safetensors")
    assert best.text == TABBED
    cost, number = alone_in(best, part)
    assert facts["nats_per_char"] == pytest.approx(cost / number, rel=1e-5)
    missing = charrnn_in(folder, "eval", "pairs", "plain.txt")
    assert missing.returncode == 1 and r"'\t' does not occur in the text (plain.txt)" in missing.stderr


def alone_in(model, text):
    codes = model.vocab.encode(text)
    symbols = "".join(model.vocab.symbols)
    assert (symbols.index("\t"), symbols.index("\n")) == (0, 1)
    # `counting` has its own codes for the two.
    part = Part(np.where(codes == 0, 1, np.where(codes == 1, 0, codes)), None, None, END, True, SEPARATOR)
    table = np.arange(model.vocab.size, dtype=np.int32)
    table[[0, 1]] = 1, 0
    return alone(model, replace(part, table=table))


def test_a_resumed_run_repeats_it_to_the_bit(trained):
    folder, _ = trained
    again = folder / "checkpoints" / "again"
    shutil.copytree(folder / "checkpoints" / "pairs", again)
    (again / "step-00000008.safetensors").unlink()
    result = charrnn_in(folder, "train", "--resume", "again", "--quiet")
    assert result.returncode == 0, result.stderr
    one, other = (
        read_checkpoint(folder / f"checkpoints/{run}/step-00000008.safetensors", training=True)
        for run in ("pairs", "again")
    )
    for arrays, others in ((one.weights, other.weights), (one.slots, other.slots), (one.state, other.state)):
        assert arrays and {name: array.tobytes() for name, array in arrays.items()} == {
            name: array.tobytes() for name, array in others.items()
        }
    assert other.text == TABBED


def test_a_models_setting_is_part_of_it(trained):
    folder, _ = trained
    texts = {
        run: read_checkpoint(folder / f"checkpoints/{run}/best.safetensors").text for run in ("taken-over", "bytes")
    }
    assert texts["taken-over"] == TABBED
    assert texts["bytes"] == TextConfig(bytes=True, reset_at_documents=True, loss_after="\x1f")
    facts = json.loads(charrnn_in(folder, "eval", "bytes", "a.bin", "b.bin", "--json").stdout)
    assert facts["characters"] == 200


def test_what_does_not_go_together_is_told(trained):
    _, said = trained
    for arguments, expected in REFUSED:
        text, code = said[" ".join(map(str, arguments))]
        assert code == 1 and text.startswith("charrnn: ") and expected in text and "Traceback" not in text, text
