"""Fine-tuning across vocabularies: what a model knows of shared characters stays, new ones begin fresh."""

import json
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.inference.model import Model
from charrnn.inference.stream import Stream
from charrnn.network.parameters import initial_weights, parameter_shapes
from charrnn.runs.checkpoint import read_checkpoint
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.transfer import transfer
from support.commands import several
from support.models import random_weights

OLD, NEW = Vocabulary.of("\nabcx"), Vocabulary.of("\nabλμx☞")


@pytest.mark.parametrize("embedding", [None, 3])
def test_shared_characters_keep_what_the_model_knows(embedding):
    model = ModelConfig("lstm", 2, 5, embedding)
    old = {name: array for name, array in random_weights(model, OLD.size, "float32").items()}
    new = transfer(model, old, OLD, NEW, seed=3)
    assert {name: array.shape for name, array in new.items()} == parameter_shapes(model, NEW.size)
    text = "ab\nxab"
    before, after = Model(model, OLD, old), Model(model, NEW, new)
    logits = []
    for network in (before, after):
        ids = np.concatenate([[network.vocab.start], network.vocab.encode(text)])
        out = Stream(network).feed(ids[:, None])[:, 0]
        logits.append(out[:, network.vocab.encode("\nabx")])
    np.testing.assert_array_equal(logits[0], logits[1])
    fresh = initial_weights(model, NEW.size, 3)
    rows = "layer0/W" if embedding is None else "embedding"
    for symbol in "λμ☞":
        place = NEW.symbols.index(symbol)
        np.testing.assert_array_equal(new[rows][place], fresh[rows][place])
        np.testing.assert_array_equal(new["output/W"][:, place], fresh["output/W"][:, place])
        assert new["output/b"][place] == old["output/b"].mean()
    # Nothing of the trained model was written over.
    assert all(np.array_equal(old[name], array) for name, array in random_weights(model, OLD.size, "float32").items())


def test_nothing_shared_is_no_error():
    model = ModelConfig("rnn", 1, 3)
    old = random_weights(model, 2, "float32")
    new = transfer(model, old, Vocabulary.of("ab"), Vocabulary.of("λμν"), seed=0)
    np.testing.assert_array_equal(new["layer0/U"], old["layer0/U"])
    np.testing.assert_array_equal(new["layer0/W"][3], old["layer0/W"][2])


@pytest.mark.trains
def test_training_begins_with_a_trained_model(tmp_path: Path):
    (tmp_path / "old.txt").write_text("the cat sat on the mat\n" * 60)
    (tmp_path / "new.txt").write_text("the cat sat on the λαμ\n" * 60)
    small = ["--batch", "8", "--seq", "12"]
    size = [*small, "--eval-every", "1"]
    calls = [
        ["old", None, "train", "old.txt", "--units", "12", "--layers", "1", "--steps", "200", *small, "--quiet"],
        ["kept", None, "train", "new.txt", "--init", "old", "--steps", "1", *size, "--name", "kept", "--quiet"],
        [
            "dropped",
            None,
            "train",
            "new.txt",
            "--init",
            "old",
            "--drop-unused",
            "--steps",
            "1",
            *size,
            "--name",
            "dropped",
        ],
        [
            "scratch",
            None,
            "train",
            "new.txt",
            "--units",
            "12",
            "--layers",
            "1",
            "--steps",
            "1",
            *size,
            "--name",
            "scratch",
        ],
        ["resume", None, "train", "--resume", "kept", "--steps", "1"],
        ["other", None, "train", "new.txt", "--init", "old", "--units", "13"],
        ["none", None, "train", "new.txt", "--drop-unused"],
    ]
    results = several(tmp_path, *calls)
    assert [code == 0 for _, code in results.values()] == [True] * 5 + [False] * 2, results
    said = {name: text for name, (text, _) in results.items()}
    assert "Starting from a trained lstm, which knows 10 characters of this text." in said["kept"]
    assert "New to the model: αλμ (3)." in said["kept"] and "Not in this text, kept: m (1)." in said["kept"]
    assert "Forgotten: m (1)." in said["dropped"]
    assert "--units 13 does not fit" in said["other"] and "needs a model" in said["none"]
    losses = {
        name: json.loads((tmp_path / "checkpoints" / name / "metrics.jsonl").read_text().splitlines()[0])["val_nats"]
        for name in ("kept", "dropped", "scratch")
    }
    # After one step already.
    assert max(losses["kept"], losses["dropped"]) < losses["scratch"] - 0.3, losses
    best = {name: read_checkpoint(tmp_path / f"checkpoints/{name}/best.safetensors") for name in losses}
    assert "m" in best["kept"].vocab.symbols and "m" not in best["dropped"].vocab.symbols
    assert read_checkpoint(tmp_path / "checkpoints/kept/step-00000002.safetensors").step == 2
