"""Texts that compiled code reads and draws are those of NumPy, under all rules, and wherever it takes over."""

import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference.batch import generate
from charrnn.inference.compiled import Compiled, CompiledStream
from charrnn.inference.generation import Ending, Generation, generate_one
from charrnn.inference.model import Model
from charrnn.inference.sampling import Sampling
from charrnn.inference.scoring import Reader, score
from charrnn.inference.stream import Stream
from charrnn.inference.threads import Shards
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

ABC = Vocabulary.of("\nabc")
# With attention, so that all it remembers is copied and forgotten too.
CONFIG = ModelConfig("lstm", 2, 19, attention=7)


@cache
def networks() -> dict:
    """Return the compiled networks of all models of this file with float32: their weights are equal."""
    return {}


def model_of(engine: str, text: TextConfig = DEFAULT_TEXT, takes_over: int | None = None, form="float32") -> Model:
    """Return a model whose compiled code takes over after so many characters."""
    weights = dict(random_weights(CONFIG, ABC.size, "float32", scale=4.0))
    # Else it would write one letter most of the time.
    weights["output/b"] = weights["output/b"] * np.float32(0.1)
    model = Model(CONFIG, ABC, weights, text)
    model.engine = engine
    if form == "float32":
        model.compiled._networks = networks()
    else:
        model.store_as(form)
    model.compiled.chunk = 7
    if takes_over is not None:
        model.compiled.patience = lambda rows=1: takes_over  # type: ignore[method-assign]
    return model


def one(model: Model, how: Generation, prime: str = "ab", with_nats: bool = True):
    made = list(generate_one(model, model.before(ABC.encode(prime)), how, with_nats))
    return [character.id for character in made], np.array([character.nats for character in made])


TEXTS = {
    "carrying": DEFAULT_TEXT,
    "separator": TextConfig(separator="c", reset_at_documents=True),
    "marker": TextConfig(documents_between="aba"),
    "overlapping": TextConfig(documents_between="aa"),
}
ENDING = Ending(200)
HOW = {
    "plain": Generation(ENDING),
    "greedy": Generation(ENDING, Sampling(0)),
    "filtered": Generation(ENDING, Sampling(1.3, 3, 0.9, 0.05), seed=5),
    "typical": Generation(ENDING, Sampling(typical=0.7)),
    "stops": Generation(Ending(300, ((1, 2, 1, 3), (3, 3, 2)), keep=True), Sampling(2.0), seed=2),
    "lines": Generation(Ending(300, lines=20, line_break=0), Sampling(1.5)),
    "finish": Generation(Ending(30, line_break=0, finish=40)),
    "no repeat": Generation(ENDING, Sampling(2.0), no_repeat=4),
    "without b": Generation(ENDING, banned=(2,), seed=9),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_text_is_that_of_numpy(how, text):
    ids, nats = one(model_of("numpy", text), how)
    assert len(ids) > 15
    for engine, takes_over in (("compiled", None), ("auto", 9)):
        model = model_of(engine, text, takes_over)
        own_ids, own_nats = one(model, how)
        assert own_ids == ids
        assert abs(own_nats - nats).max() < 1e-5
        assert one(model, how, with_nats=False)[0] == ids


def test_a_text_does_not_depend_on_the_chunk():
    model, how = model_of("compiled", TEXTS["marker"]), HOW["plain"]
    ids, _ = one(model, how)
    for chunk in (1, 64):
        model.compiled.chunk = chunk
        assert one(model, how)[0] == ids


def test_compiled_code_draws_what_it_can(monkeypatch):
    calls = []
    draw = CompiledStream.draw
    monkeypatch.setattr(CompiledStream, "draw", lambda self, *given: calls.append(given) or draw(self, *given))
    for name, how in HOW.items():
        calls.clear()
        ids, _ = one(model_of("auto", takes_over=9), how)
        expected = 0 if how.no_repeat or how.sampling.typical else -(-(len(ids) - 9) // 7)
        assert len(calls) >= expected and bool(calls) == bool(expected), name
        assert len(calls) <= expected + 1
        if name == "plain":
            # After the end nothing is drawn.
            assert sum(len(uniforms) for _, uniforms, *_ in calls) == len(ids) - 9


@pytest.mark.parametrize("form", ["bf16", "int8"])
def test_weights_of_fewer_bits_give_the_same_text_with_both_engines(form):
    how = Generation(Ending(1500))
    texts = [
        one(model_of(*given, form=form), how)[0] for given in (("numpy",), ("compiled",), ("auto", DEFAULT_TEXT, 9))
    ]
    assert texts[0] == texts[1] == texts[2] != one(model_of("numpy"), how)[0]


def test_weights_of_fewer_bits_take_less_memory():
    sizes = []
    for form in ("float32", "bf16", "int8"):
        network = model_of("compiled", form=form).compiled.network(True)
        assert network is not None
        sizes.append(network.shared["packed layer1/U"].nbytes)
    assert sizes[0] > sizes[1] > sizes[2]


def test_zeros_of_a_mask_are_kept():
    config, ids = ModelConfig("clockwork", 1, 19), np.random.default_rng(0).integers(0, ABC.size, (20, 1))
    model = Model(config, ABC, random_weights(config, ABC.size, "float32", scale=4.0))
    model.engine = "compiled"
    np.testing.assert_allclose(
        model.compiled.faster(Stream(model)).feed(ids), Stream(model).feed(ids), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("rows", [3, 20])
def test_many_texts_are_those_of_numpy(rows, text):
    how = replace(HOW["stops"], ending=Ending(40, ((1, 2, 1, 3),)), seed=4)
    befores = [ABC.encode("abcacb"[: 1 + n % 5]).astype(np.int64) for n in range(rows + 4)]
    found = []
    for given in (("numpy",), ("compiled",), ("auto", text, 11)):
        model = model_of(given[0], text, *given[2:])
        found.append(list(generate(model, np.array([ABC.size]), befores, how, side_by_side=rows)))
    for samples in found[1:]:
        assert [sample.ids.tolist() for sample in samples] == [sample.ids.tolist() for sample in found[0]]
        pairs = zip(samples, found[0], strict=True)
        assert max(float(abs(one.nats - other.nats).max(initial=0)) for one, other in pairs) < 1e-5


@pytest.mark.parametrize("count", [1, 5, 40])
def test_scores_are_those_of_numpy(monkeypatch, count):
    steps, step = [], CompiledStream.step
    monkeypatch.setattr(CompiledStream, "step", lambda self, ids: steps.append(ids) or step(self, ids))
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, ABC.size, int(length)) for length in rng.integers(1, 60, count)]
    before = np.array([ABC.size, 1, 2])
    expected = score(model_of("numpy"), before, texts)
    for given in (("compiled",), ("auto", DEFAULT_TEXT, 9)):
        for own, nats in zip(score(model_of(*given), before, texts), expected, strict=True):
            np.testing.assert_allclose(own, nats, rtol=1e-5, atol=1e-5)
        assert bool(steps) == (count > 1)
        steps.clear()


def test_a_reader_goes_on_with_compiled_code(monkeypatch):
    ids = np.random.default_rng(0).integers(0, ABC.size, (300, 1))
    expected = Reader(model_of("numpy")).nats(ids)
    reader = Reader(model_of("auto", takes_over=50))
    reader.chunk = 32
    nats = np.concatenate([reader.nats(ids[:101]), reader.nats(ids[101:])])
    assert isinstance(reader.stream, CompiledStream)
    np.testing.assert_allclose(nats, expected, rtol=1e-5, atol=1e-5)


def test_each_shard_goes_on_with_compiled_code():
    model, drawn = model_of("auto", takes_over=3), np.full(40, 2)
    expected = Stream(model_of("numpy"), 40)
    with Shards(model, 40) as shards:
        for step in range(6):
            np.testing.assert_allclose(shards.go_on(drawn), expected.go_on(drawn), rtol=1e-5, atol=1e-5)
            assert all(isinstance(stream, CompiledStream) == (step >= 3) for stream in shards.streams)


def test_predictions_that_are_not_numbers_are_an_error():
    for takes_over in (0, 5):
        model = model_of("auto", takes_over=takes_over)
        model.compiled._networks = {}
        stream = model.compiled.faster(Stream(model))
        assert isinstance(stream, CompiledStream)
        stream.network.shared["w_output/b"][1] = np.nan
        with pytest.raises(CharRNNError, match="not numbers"):
            one(model, HOW["plain"])


def test_short_texts_are_made_by_numpy(monkeypatch):
    monkeypatch.setattr(Compiled, "network", lambda *given: pytest.fail("compiled"))
    model = model_of("auto")
    one(model, HOW["plain"])
    score(model, np.array([ABC.size]), [np.zeros(50, int)] * 20)


def test_the_first_characters_do_not_depend_on_the_length():
    model = model_of("auto")
    assert model.compiled.patience() == Compiled(model).patience() > 500
    assert model.compiled.patience(100) < model.compiled.patience()
    model.engine = "compiled"
    assert model.compiled.patience() == 0
    model.engine = "numpy"
    assert model.compiled.patience() is None


@pytest.mark.parametrize("lacking", ["llvmlite", "processor", "compiler"])
def test_what_cannot_be_compiled_is_computed_by_numpy_which_is_said_once(monkeypatch, lacking):
    reason = {"llvmlite": "ModuleNotFoundError", "processor": "vax", "compiler": "RuntimeError: LLVM says no"}[lacking]
    if lacking == "llvmlite":
        # As if it could not import llvmlite.
        monkeypatch.setitem(sys.modules, "charrnn.compiled.network", None)
    elif lacking == "processor":
        monkeypatch.setattr("platform.machine", lambda: "vax")
    else:

        def refuse(*given):
            raise RuntimeError("LLVM says no")

        monkeypatch.setattr("charrnn.compiled.network.forward_only", refuse)
    monkeypatch.setattr("charrnn.inference.compiled.PATIENCE", 0)
    told: list[str] = []
    model = model_of("auto")
    model.compiled._networks, model.notify = {}, told.append
    assert model.compiled.patience() == 1
    expected = one(model_of("numpy"), HOW["plain"])[0]
    for _ in range(2):
        assert one(model, HOW["plain"])[0] == expected
    assert len(told) == 1 and reason in told[0] and "NumPy" in told[0]
    model = model_of("compiled")
    model.compiled._networks = {}
    with pytest.raises(CharRNNError, match=reason):
        one(model, HOW["plain"])
