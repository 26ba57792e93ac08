import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.network import parameter_shapes
from charrnn.vocab import Vocabulary

_NEEDS_KERAS = re.compile(r"^(import|from) (keras|tensorflow|charrnn\.training)\b", re.MULTILINE)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Start the backend before the first module that needs it is imported; the other modules never see keras."""
    if _NEEDS_KERAS.search(module_path.read_text()):
        from charrnn.training import backend

        backend.start(2)


@pytest.fixture
def vocab() -> Vocabulary:
    return Vocabulary.of("\n abcdefghijkl")


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of runs, the one that the commands use."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("CHARRNN_CHECKPOINTS", str(folder))
    return folder


def random_weights(
    model: ModelConfig, vocab_size: int, dtype: str = "float64", scale: float = 1.0, seed: int = 0
) -> Mapping[str, np.ndarray]:
    """Return weights without any symmetry, biases too; recurrent blocks have a spectral radius of about scale / 2."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in parameter_shapes(model, vocab_size).items():
        fan_in = 1 if name.endswith("/b") or len(shape) == 1 or name == "embedding" else shape[0]
        weights[name] = rng.normal(0, 0.5 * scale / np.sqrt(fan_in), shape).astype(dtype)
    return weights
