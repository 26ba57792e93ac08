"""Single units from Python: what they do in a text, their values, and texts that are made while some are held."""

from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.errors import CharRNNError
from charrnn.inference import model as inference
from charrnn.inference.stream import Stream
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of("\n abcdefgh(.)")
TEXT = "bad cafe\na (bad) bag\n\n" * 12


def model_of(text: TextConfig = DEFAULT_TEXT, vocab: Vocabulary = VOCAB, engine: str = "numpy") -> charrnn.Model:
    config = ModelConfig("lstm", 2, 8)
    network = inference.Model(config, vocab, random_weights(config, vocab.size, "float32"), text)
    network.engine = engine
    return charrnn.Model(network, Path("toy.safetensors"))


def loop(model: charrnn.Model, documents: list[str]) -> np.ndarray:
    """Return the c of unit 3 of layer 1 after each character, each document read from its beginning."""
    found = []
    for document in documents:
        stream = Stream(model.network)
        stream.step(model.vocab.start)
        for id in model.encode(document).tolist():
            stream.step(id)
            found.append(float(stream.states[1].c[3]))
    return np.array(found)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        (TextConfig(), [TEXT]),
        (TextConfig(one_per_line=True), TEXT.splitlines(keepends=True)),
        (TextConfig(documents_between="\n\n"), [part + "\n\n" for part in TEXT.split("\n\n")[:-1]]),
    ],
    ids=["stream", "lines", "documents"],
)
def test_a_model_forgets_where_it_does_in_training(text, documents, tmp_path):
    model = model_of(text)
    expected = loop(model, documents)
    found = model.activations(TEXT, "layer1/c/3")
    assert found.shape == (len(TEXT), 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    (tmp_path / "text.txt").write_text(TEXT)
    part = model.part_of([str(tmp_path / "text.txt")], limit=100)
    assert len(part) == 100
    np.testing.assert_allclose(model.activations(part, ["layer1/c/3"])[:, 0], expected[:100], atol=1e-6)
    np.testing.assert_allclose(model.activations(part, "layer1/c/3", exact=False)[:, 0], expected[:100], atol=1e-6)


def test_the_best_units_of_chosen_features():
    model = model_of()
    found = model.neurons(TEXT, features=["column", "digit"])
    assert found.features == ("column", "digit") and found.holds == (False, True)
    assert found.correlations.shape == (2, 32) and found.best("digit") == []
    (first, r), (_, second) = found.best("column", 2)
    states = model.activations(TEXT, first)[:, 0]
    column = [len(TEXT[: place + 1].rpartition("\n")[2]) for place in range(len(TEXT))]
    assert r == pytest.approx(np.corrcoef(states, column)[0, 1], abs=1e-5) and abs(second) <= abs(r)
    facts = found.to_json(2)
    assert facts["features"][0]["mean"] == pytest.approx(np.mean(column)) and facts["features"][1]["share"] == 0
    assert next(one["unit"] for one in facts["features"][0]["units"]) == first
    assert len(model.neurons(TEXT, features="column").features) == 1
    assert len(model.neurons(TEXT).features) > 15


def test_mistakes_are_told():
    model = model_of()
    for call, message in (
        (lambda: model.neurons(""), "`text` is empty"),
        (lambda: model.neurons("xyz"), "does not know"),
        (lambda: model.neurons(7), "`text` is 7"),
        (lambda: model.neurons(TEXT, features="colum"), "Did you mean column"),
        (lambda: model.neurons(TEXT, features=7), "`features` is 7"),
        (lambda: model.activations(TEXT, "layer2/c/3"), "no unit 'layer2/c/3'"),
        (lambda: model.activations(TEXT, 3), "`units` is 3"),
        (lambda: model.part_of(["nowhere.txt"]), "nowhere.txt does not exist"),
        (lambda: model.sample(3, clamp={"layer0/h/9": 1}), "no unit 'layer0/h/9'"),
        (lambda: model.sample(3, clamp={"layer0/h/1": "1"}), "must be a finite number"),
        (lambda: model.sample(3, clamp={"layer0/h/1": 1e300}), "must be a finite number"),
        (lambda: model.sample(3, clamp=["layer0/h/1"]), "`clamp` is"),
        (lambda: model_of(engine="compiled").sample(3, clamp={"layer0/h/1": 1.0}), "`clamp` is computed by NumPy"),
    ):
        with pytest.raises(CharRNNError) as raised:
            call()
        assert message in f"{raised.value.message} {raised.value.hint}"


def test_all_samples_hold_units():
    model = model_of()
    # The output sees only one unit of the highest layer: it draws "a" if the unit is high, and "b" if it is low.
    weights = model.network.weights
    weights["output/W"][:], weights["output/b"][:] = 0, 0
    weights["output/W"][5, [VOCAB.symbols.index("a"), VOCAB.symbols.index("b")]] = 30, -30
    for value, only in ((3.0, "a"), (-3.0, "b")):
        clamp = {"layer1/h/5": value}
        assert model.sample(20, clamp=clamp) == only * 20
        assert "".join(model.stream(20, prime="cab", clamp=clamp)) == only * 20
        assert model.sample_many(3, 20, clamp=clamp) == [only * 20] * 3
        assert model.likeliest(2, 20, clamp=clamp).text == only * 20
        assert model.complete(["cab"], length=20, clamp=clamp) == [only * 20]
    assert len({*model.sample(60, seed=1)}) > 3
    assert model.sample(60, seed=1, clamp={}) == model.sample(60, seed=1) == model.sample(60, seed=1, clamp=None)
