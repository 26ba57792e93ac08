"""What units do: planted units are found, and correlations and gates are those of recorded states."""

import numpy as np
import pytest

from charrnn.cells import CELLS
from charrnn.cells.gates import gates
from charrnn.cells.trace import Trace
from charrnn.config import ModelConfig, TextConfig
from charrnn.data.parts import Part
from charrnn.errors import CharRNNError
from charrnn.inference import activations as reading
from charrnn.inference.activations import activations
from charrnn.inference.model import Model
from charrnn.inference.neurons import FEWEST, Moments, neurons
from charrnn.inference.stream import Stream
from charrnn.network.parameters import parameter_shapes
from charrnn.network.stacks import layers_of
from charrnn.network.units import fields, unit, unit_names, values
from charrnn.text.features import FEATURES
from charrnn.text.vocabulary import Vocabulary
from support.models import random_weights

VOCAB = Vocabulary.of('\n "()ab1.«»')
RNG = np.random.default_rng(5)


def text_of(length: int) -> str:
    """Return a text with lines, words, brackets and quotations, each closed before the next line break but one."""
    pieces = []
    while sum(map(len, pieces)) < length:
        words = ["".join(RNG.choice(list("ab1"), RNG.integers(1, 6))) for _ in range(RNG.integers(2, 12))]
        words[RNG.integers(len(words))] = RNG.choice(['"a b" ', "«b a»", "(a (b) a)", "  (b1)", "a."])
        pieces.append(" " * RNG.integers(0, 5) + " ".join(words) + "\n")
    return "".join(pieces)[:length]


TEXT = text_of(900)


def zeros(config: ModelConfig) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(config, VOCAB.size).items()}


def part_of(model: Model, text: str) -> Part:
    ids = model.vocab.encode(text)
    line_end = model.vocab.symbols.index("\n") if model.text.one_per_line else None
    return Part(ids, line_end=line_end, resets=model.text.resets)


# Planted units


def test_units_that_count_are_found():
    config = ModelConfig("irnn", 1, 6)
    weights = zeros(config)
    # Each other unit knows the character that it has just read, and nothing else.
    weights["layer0/W"] = RNG.normal(0, 1, weights["layer0/W"].shape).astype(np.float32)
    column, depth, inside = weights["layer0/W"][:, [2, 4, 5]].T
    for place, planted in ((2, column), (4, depth), (5, inside)):
        planted[:] = 0
        weights["layer0/U"][place, place] = 1
    column[: VOCAB.size], column[VOCAB.symbols.index("\n")] = 1, -1e6
    depth[[VOCAB.symbols.index(c) for c in "()"]] = 1, -1
    inside[[VOCAB.symbols.index(c) for c in "«»"]] = 1, -1
    weights["layer0/W"][:, [2, 4, 5]] = np.stack([column, depth, inside], axis=1)
    text = text_of(5000).replace('"', "")
    found = neurons(Model(config, VOCAB, weights), part_of(Model(config, VOCAB, weights), text), FEATURES)
    for feature, place in (("column", 2), ("depth", 4), ("quotes", 5)):
        ((name, r),) = found.best(feature)
        assert name == f"layer0/h/{place}" and r > 0.999999, feature
    assert found.characters == len(text)
    assert abs(dict(found.best("brackets"))["layer0/h/4"]) > 0.9


def test_a_unit_that_toggles_at_quotes_is_found():
    config = ModelConfig("lstm", 1, 4)
    weights = zeros(config)
    weights["layer0/W"] = RNG.normal(0, 1, weights["layer0/W"].shape).astype(np.float32)
    quote, place, units = VOCAB.symbols.index('"'), 3, 4
    i, f, g, _ = (weights["layer0/W"][:, block * units + place] for block in range(4))
    i[:], f[:], g[:] = -50, 50, 50
    # Forget at a quote, and write 1 at one that begins a quotation: the h of the character before it is 0.
    i[quote], f[quote] = 50, -50
    weights["layer0/U"][place, place] = -5000
    model = Model(config, VOCAB, weights)
    found = neurons(model, part_of(model, TEXT.replace("«", "").replace("»", "")), FEATURES)
    ((name, r),) = found.best("quotes")
    assert name == "layer0/c/3" and r > 0.999
    assert abs(dict(found.best("quotes", 4))["layer0/h/3"]) < 0.99


# Against recorded states

MODELS = [
    (ModelConfig("lstm", 2, 5), TextConfig()),
    (ModelConfig("gru", 2, 5), TextConfig(one_per_line=True)),
    (ModelConfig("lstm", 2, 5, stack="gated-feedback"), TextConfig(reverse=True)),
    (ModelConfig("rnn", 1, 5, attention=4), TextConfig(one_per_line=True, reverse=True)),
]


def recorded(model: Model, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the states after each character and its features, read one by one, each document from its beginning."""
    of = fields(model.config)
    states = np.zeros((len(text), len(of) * model.config.units))
    features = np.zeros((len(text), len(FEATURES)))
    low = 0
    for document in text.splitlines(keepends=True) if model.text.one_per_line else [text]:
        order = list(range(len(document)))
        if model.text.reverse:
            kept = 1 if model.text.one_per_line and document.endswith("\n") else 0
            order = [*order[: len(order) - kept][::-1], *order[len(order) - kept :]]
        stream = Stream(model)
        stream.step(model.vocab.start)
        for place in order:
            stream.step(int(model.vocab.encode(document[place])[0]))
            states[low + place] = np.concatenate(values(stream.states, of))
        for number, feature in enumerate(FEATURES):
            if feature.ahead:
                features[low + np.array(order), number] = feature.of("".join(document[place] for place in order))
            else:
                features[low : low + len(document), number] = feature.of(document)
        low += len(document)
    return states, features


@pytest.mark.parametrize("config, how", MODELS, ids=lambda one: getattr(one, "title", None))
def test_correlations_are_those_of_recorded_states(config, how):
    model = Model(config, VOCAB, random_weights(config, VOCAB.size), how)
    states, features = recorded(model, TEXT)
    found = neurons(model, part_of(model, TEXT), FEATURES)
    with np.errstate(invalid="ignore"):
        expected = np.corrcoef(features, states, rowvar=False)[: len(FEATURES), len(FEATURES) :]
    told = 0
    for number, feature in enumerate(FEATURES):
        true = np.count_nonzero(features[:, number])
        assert found.means[number] == pytest.approx(features[:, number].mean())
        if true < FEWEST or (found.holds[number] and len(TEXT) - true < FEWEST):
            assert np.isnan(found.correlations[number]).all() and not found.best(feature.name)
            continue
        told += 1
        np.testing.assert_allclose(found.correlations[number], expected[number], atol=1e-5)
        best = int(np.abs(expected[number]).argmax())
        assert found.best(feature.name)[0][0] == found.names[best]
        assert len(found.best(feature.name, 3)) == 3
    assert told >= 12
    assert found.names == tuple(unit_names(config, fields(config)))
    names = [found.names[place] for place in (4, 0, 3)]
    some = activations(model, part_of(model, TEXT), [unit(config, name) for name in names])
    np.testing.assert_allclose(some, states[:, [4, 0, 3]], atol=1e-6)


def test_a_long_text_is_read_in_stretches(monkeypatch):
    monkeypatch.setattr(reading, "SHORTEST", 40)
    monkeypatch.setattr(reading, "WARM", 16)
    config = ModelConfig("lstm", 1, 4)
    model = Model(config, VOCAB, random_weights(config, VOCAB.size))
    text, of = TEXT[:350], [unit(config, "layer0/c/2")]
    found = activations(model, part_of(model, text), of, at_once=5)
    # 350 / 5 = 70 characters each.
    for low in range(0, 350, 70):
        begin = max(0, low - 16)
        alone = activations(model, part_of(model, text[begin : low + 70]), of)[low - begin :]
        np.testing.assert_allclose(found[low : low + 70], alone, atol=1e-6)
    whole = activations(model, part_of(model, text), of)
    assert 0 < np.abs(found - whole).max() < 0.5 and np.abs((found - whole)[:70]).max() < 1e-6


def test_moments_of_parts_are_those_of_the_whole_even_far_from_zero():
    data = RNG.normal(0, 1, (500, 7)) * [1, 1, 1, 1, 1e-3, 1, 0] + [0, 5, 1e6, 0, 1e2, -3, 4]
    data[:, 4] += 1e-3 * data[:, 0]
    sums = Moments(2, 5)
    for low, high in ((0, 3), (3, 3), (3, 200), (200, 500)):
        part = Moments(2, 5)
        if high > low:
            part.add(data[low:high])
        sums.merge(part)
    with np.errstate(invalid="ignore"):
        found = sums.correlations()
    np.testing.assert_allclose(found[:, :4], np.corrcoef(data[:, :6], rowvar=False)[:2, 2:], atol=1e-9)
    assert np.isnan(found[:, 4]).all()


# Gates


def test_gates_are_open_and_shut_as_the_equations_say():
    config = ModelConfig("lstm", 2, 6)
    weights = random_weights(config, VOCAB.size, scale=6.0)
    model = Model(config, VOCAB, weights)
    found = neurons(model, part_of(model, TEXT), FEATURES[:1]).gates
    assert sorted(map(str, found)) == [f"layer{layer}/{gate}" for layer in (0, 1) for gate in "fio"]
    above, below = {str(gate): 0 for gate in found}, {str(gate): 0 for gate in found}
    h, c = np.zeros((2, 2, 6))
    for count, id in enumerate([VOCAB.start, *VOCAB.encode(TEXT).tolist()]):
        x = np.eye(VOCAB.size + 1)[id]
        for layer in (0, 1):
            w, u, b = (weights[f"layer{layer}/{name}"] for name in "WUb")
            i, f, g, o = np.split(x @ w + h[layer] @ u + b, 4)
            i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
            c[layer] = f * c[layer] + i * np.tanh(g)
            h[layer] = x = o * np.tanh(c[layer])
            # The start symbol does not count.
            for name, value in zip("ifo", (i, f, o), strict=True) if count else ():
                above[f"layer{layer}/{name}"] += value > 0.9
                below[f"layer{layer}/{name}"] += value < 0.1
    for gate in found:
        np.testing.assert_allclose(gate.right, above[str(gate)] / len(TEXT), atol=1e-3)
        np.testing.assert_allclose(gate.left, below[str(gate)] / len(TEXT), atol=1e-3)
    for side in ("right", "left"):
        assert len({*np.concatenate([getattr(gate, side) for gate in found])}) > 5, side


@pytest.mark.parametrize(
    ("cell", "stack", "names"),
    [
        ("rnn", "plain", set()),
        ("lstm", "plain", {"i", "f", "o"}),
        ("lstm-peephole", "plain", {"i", "f", "o"}),
        ("lstm-layernorm", "plain", {"i", "f", "o"}),
        ("lstm-full-gates", "plain", {"i", "f", "o"}),
        ("lstm-mogrifier", "plain", {"i", "f", "o"}),
        ("lstm-coupled", "plain", {"f", "o"}),
        ("mlstm", "plain", {"i", "f", "o"}),
        ("slstm", "plain", {"o"}),
        ("gru", "plain", {"z", "r"}),
        ("mingru", "plain", {"z"}),
        ("gru", "grid", {"z", "r", "z_depth", "r_depth"}),
        ("lstm", "gated-feedback", {f"{gate}_{layer}" for gate in "ifo" for layer in (0, 1)}),
    ],
)
def test_gates_have_the_names_of_their_blocks(cell, stack, names):
    layer = layers_of(ModelConfig(cell, 2, 8, stack=stack))[0]
    found = gates(layer, Trace(layer, 8).nodes, 8)
    assert {gate.name for gate in found} == names and len(found) == len(names)


def test_no_cell_fails():
    for cell in CELLS.values():
        assert isinstance(gates(cell, Trace(cell, 8).nodes, 8), list)


def test_states_that_are_not_numbers_are_told():
    config = ModelConfig("irnn", 1, 3)
    weights = zeros(config)
    weights["layer0/W"][:] = weights["layer0/U"][:] = 1e30
    model = Model(config, VOCAB, weights)
    with pytest.raises(CharRNNError, match="not numbers"), np.errstate(all="ignore"):
        neurons(model, part_of(model, TEXT), FEATURES)
    with pytest.raises(CharRNNError, match="not numbers"), np.errstate(all="ignore"):
        activations(model, part_of(model, TEXT), [unit(config, "layer0/h/1")])
