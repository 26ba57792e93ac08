"""Vectors of lines from Python: of joined models, the lines that are similar, and maps."""

import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import charrnn
from charrnn.api import mapping
from charrnn.api.model import load
from charrnn.api.vectors import Joined
from charrnn.errors import CharRNNError
from charrnn.text import cache
from charrnn.text.lines import PORTION
from support.embedded import LINES, MODELS, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("models"))
    return {name: load(folder / f"{name}.safetensors") for name in MODELS}


def alone(model, line, **how):
    return model.embed([line], **how)[0]


@pytest.mark.parametrize("how", [{}, {"pool": "max", "layer": 0}, {"pool": "first-last", "layer": None, "state": None}])
def test_each_line_is_embedded_as_if_alone(models, how):
    for model in models.values():
        found = model.embed(LINES, **how)
        assert found.dtype == np.float32
        assert np.abs(found - [alone(model, line, **how) for line in LINES]).max() < 1e-6
    assert models["forth"].embed([]).shape == (0, 16)


def test_a_reversed_model_reads_from_the_end(models):
    forth, back = models["forth"], models["back"]
    backwards = [line[::-1] for line in LINES]
    # The two files have the same weights.
    assert np.abs(back.embed(LINES, pool="last") - forth.embed(backwards, pool="last")).max() < 1e-6
    assert np.abs(back.embed(LINES, pool="last") - forth.embed(LINES, pool="last")).max() > 0.1


def test_bytes_are_read_as_utf8(models):
    model = models["bytes"]
    # Theirs is a character for each byte, and so what they read of the line.
    begun = model.embedder(pool="last").embed(["\xe2\x98\x9e"])
    assert np.abs(model.embed(["☞"], pool="last") - begun).max() < 1e-6


def test_joined_models_each_read_in_their_own_way(models):
    forth, back, lower = models["forth"], models["back"], models["lower"]
    joined = Joined([lower, back, forth], pool="last")
    line = "BAD cafe"
    found = joined.embed([line, "egg"])
    wanted = np.concatenate([model.embed([line, "egg"], pool="last") for model in (lower, back, forth)], axis=1)
    assert joined.width == found.shape[1] == 3 * 16 and np.abs(found - wanted).max() < 1e-6
    assert not joined.text.lower
    # Only the first one reads capitals; the others know none of them.
    assert np.abs(found[0, :16] - alone(forth, "bad cafe", pool="last")).max() < 1e-6
    assert np.abs(found[0, 32:] - alone(forth, " cafe", pool="last")).max() < 1e-6
    with pytest.raises(CharRNNError, match="of bytes and a model of characters"):
        Joined([forth, models["bytes"]])


@pytest.mark.parametrize("unknown, same", [(None, "ab"), ("skip", "ab"), ("replace", "a b")])
def test_characters_that_a_model_does_not_know(models, unknown, same):
    forth = models["forth"]
    assert np.abs(alone(forth, "azb", unknown=unknown) - alone(forth, same)).max() < 1e-6
    with pytest.raises(CharRNNError, match="Line 2 has"):
        forth.embed(["ab", "azb"], unknown="error")


def similar_by_hand(model, queries, lines, top, **how):
    vectors = np.array([alone(model, line, **how) for line in lines], np.float64)
    mean = vectors.mean(axis=0)
    found = []
    for query in queries:
        own = alone(model, query, **how) - mean
        cosines = [own @ (vector - mean) / np.linalg.norm(own) / np.linalg.norm(vector - mean) for vector in vectors]
        order = sorted(range(len(lines)), key=lambda place: (-round(cosines[place], 4), place))[:top]
        found.append([(cosines[place], place + 1, lines[place]) for place in order])
    return found


@pytest.mark.parametrize("how", [{}, {"pool": "last", "layer": None, "state": None}])
@pytest.mark.parametrize("name", MODELS)
def test_similar_lines_have_the_nearest_vectors(models, name, how):
    model, queries = models[name], ["egg", "bad face", ""]
    lines = LINES if name != "bytes" else [line.replace("☞", "") for line in LINES]
    wanted = similar_by_hand(model, queries, lines, 4, **how)
    found = model.similar(queries, lines, top=4, **how)
    for own, row in zip(found, wanted, strict=True):
        assert [(one.line, one.text) for one in own] == [one[1:] for one in row]
        np.testing.assert_allclose([one.similarity for one in own], [one[0] for one in row], atol=1e-5)
    # The same line twice, in its order.
    assert [(one.similarity, one.line) for one in found[0][:2]] == [(1.0, 4), (1.0, 8)]
    assert isinstance(found[0][0], charrnn.Similar)
    with pytest.raises(FrozenInstanceError):
        found[0][0].line = 3


def test_texts_of_similar_lines_are_returned_as_they_were(models):
    odd = ["☞\ud800", "a\tb\nc", "\r"]
    assert sorted(one.text for one in models["forth"].similar(["a"], odd)[0]) == sorted(odd)
    (found,) = models["bytes"].similar(["☞"], ["a", "☞"], top=1)
    assert found[0].text.encode("latin-1").decode() == "☞"


@pytest.mark.parametrize("in_memory", [1000, cache.IN_MEMORY])
def test_lines_of_several_portions_are_searched(models, in_memory, monkeypatch):
    monkeypatch.setattr(cache, "IN_MEMORY", in_memory)
    lines = [*(f"{'abcdefgh'[n % 8]}{'hgfedcba'[n // 8 % 8]} {'a' * (n % 11)}" for n in range(PORTION)), "dead cab"]
    (found,) = models["forth"].similar(["dead cab"], lines, top=1, whiten=True)
    assert (found[0].line, found[0].similarity, found[0].text) == (PORTION + 1, 1.0, "dead cab")


def test_similarity_of_what_is_all_the_same_is_zero(models):
    for lines in (["egg"], ["egg"] * 5):
        for whiten in (False, True):
            (found,) = models["forth"].similar(["egg"], lines, top=3, whiten=whiten)
            assert [(one.similarity, one.line) for one in found] == [(0.0, n + 1) for n in range(min(3, len(lines)))]
    assert models["forth"].similar(["egg", "a"], [], whiten=True) == [[], []]
    assert models["forth"].similar([], LINES) == []


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda model: model.similar("egg", LINES), "A list of lines was expected"),
        (lambda model: model.similar([1], LINES), "`queries` is"),
        (lambda model: model.similar(["a"], [1]), "`lines` is"),
        (lambda model: model.similar(["a"], LINES, top=0), "`top` is 0"),
        (lambda model: model.similar(["ab", "z"], LINES, unknown="error"), "Query 2 has"),
        (lambda model: model.similar(["a"], LINES, pool="sum"), "`pool` is 'sum'"),
        (lambda model: model.embed(LINES, layer=2), "`layer` is 2"),
        (lambda model: model.embed(LINES, state="c"), "`state` is 'c'; the state of rnn 2x16 has h"),
        (lambda model: model.map(["a", "b"]), "at least 3 lines; there are 2"),
        (lambda model: model.map(LINES, method="umap"), "`method` is 'umap'"),
        (lambda model: model.map(LINES, seed=1), "`seed` has no effect"),
        (lambda model: model.map(LINES, method="tsne", seed=-1), "`seed` is -1"),
    ],
)
def test_mistakes_are_told(models, call, message):
    with pytest.raises(CharRNNError, match=message):
        call(models["forth"])


def test_a_map_has_the_two_principal_components(models):
    vectors = models["forth"].embed(LINES, layer=None).astype(np.float64)
    standard = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    left, lengths, _ = np.linalg.svd(standard, full_matrices=False)
    wanted = left[:, :2] * lengths[:2]
    found = models["forth"].map(LINES, layer=None)
    assert found.shape == (len(LINES), 2)
    # Each of them may point the other way.
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found, wanted * signs, atol=1e-4)
    shares = mapping.mapped(models["forth"].embed(LINES, layer=None), "pca", 0).shares
    np.testing.assert_allclose(shares, (lengths**2 / (lengths**2).sum())[:2], atol=1e-5)


def test_a_map_of_equal_lines_is_one_place(models):
    for method in ("pca", "tsne"):
        assert not models["forth"].map(["egg"] * 4, method=method).any()
    vectors = np.zeros((5, 3), np.float32)
    vectors[:, 1] = [1, 2, 3, 4, 5]
    # One number varies.
    points = mapping.mapped(vectors, "pca", 0).points
    assert points[:, 0].std() > 0.9 and not points[:, 1].any()
    assert mapping.mapped(vectors, "tsne", 0).points.shape == (5, 2)


def test_the_map_of_tsne_depends_on_its_seed(models, monkeypatch):
    lines = [line * (1 + n % 3) for n in range(3) for line in LINES]
    maps = [models["forth"].map(lines, method="tsne", seed=seed) for seed in (0, 0, 5)]
    assert np.array_equal(maps[0], maps[1])
    vectors = models["forth"].embed(lines)
    assert not np.array_equal(*(mapping.mapped(vectors[:, :1], "tsne", seed).points for seed in (0, 5)))
    monkeypatch.setattr(mapping, "MOST", 20)
    with pytest.raises(CharRNNError, match="more than 20 lines"):
        models["forth"].map(lines, method="tsne")
    assert len(models["forth"].map(lines)) == 30


def test_without_scikit_learn_the_way_to_it_is_told(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(CharRNNError, match=r"pip install 'charrnn\[probe\]'"):
        models["forth"].map(LINES)
