import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint import Checkpoint, write_checkpoint
from charrnn.config import DEFAULT_TEXT, ModelConfig, TextConfig
from charrnn.network import initial_weights, parameter_shapes
from charrnn.vocab import Vocabulary

COMMAND = str(Path(sysconfig.get_path("scripts"), "charrnn"))
_NEEDS_KERAS = re.compile(r"^(import|from) (keras|tensorflow|charrnn\.training)\b", re.MULTILINE)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Start the backend before the first module that needs it is imported; the other modules never see keras."""
    if _NEEDS_KERAS.search(module_path.read_text()):
        from charrnn.training import backend

        # JAX cuts a batch evenly: a row each, where it does not come out otherwise.
        backend.start(8 if backend.chosen() == "jax" else 2, float64=True, device="cpu")


def shards_of(batch: int, count: int):
    """Return a batch cut into so many shards or, where the backend cannot cut it so, into its rows."""
    from charrnn.training import backend
    from charrnn.training.engine import Shards

    return Shards(batch, batch if backend.chosen() == "jax" and batch % count else count)


def pytest_configure() -> None:
    """Let no test fill the user's cache; the commands that tests start inherit this."""
    os.environ["CHARRNN_CACHE"] = tempfile.mkdtemp(prefix="charrnn-tests-")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["CHARRNN_CACHE"], ignore_errors=True)


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


def write_model(path: Path, vocab: Vocabulary, text: TextConfig = DEFAULT_TEXT) -> None:
    """Write the checkpoint of an untrained model that is sure of itself, and never falls into one letter for ever."""
    model = ModelConfig("rnn", 2, 16)
    weights = dict(random_weights(model, vocab.size, "float32", scale=2.0, seed=3))
    for name in weights:
        weights[name] *= np.float32(4 if name == "output/W" else 0.2 if name.endswith("/b") else 1)
    write_checkpoint(path, Checkpoint(model, vocab, weights, text=text))


def charrnn_in(folder, *arguments, command=COMMAND, stdin=b""):
    """Run the command in a folder; return the finished process, stdout in bytes and stderr as text.

    What it trains is trained by JAX, which starts in half the time, unless the test asks for another backend.
    """
    environment = {
        key: value for key, value in os.environ.items() if key == "CHARRNN_CACHE" or not key.startswith("CHARRNN_")
    }
    environment.setdefault("KERAS_BACKEND", "jax")
    result = subprocess.run(
        [*shlex.split(command), *map(str, arguments)], cwd=folder, env=environment, input=stdin, capture_output=True
    )
    result.stderr = result.stderr.decode()
    return result


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A folder with a run `small` of an untrained model, and texts."""
    folder = tmp_path_factory.mktemp("small")
    model, vocab = ModelConfig("lstm", 2, 16), Vocabulary.of("abcdefgh \n☞é")
    (folder / "checkpoints/small").mkdir(parents=True)
    write_checkpoint(
        folder / "checkpoints/small/best.safetensors",
        Checkpoint(model, vocab, initial_weights(model, vocab.size, 1)),
    )
    (folder / "text.txt").write_text("bad cafe ☞\n" * 20, encoding="utf-8")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "undecodable.txt").write_bytes(b"abc\xff\xfedef")
    (folder / "binary").mkdir()
    (folder / "binary/blob").write_bytes(b"\0\1\2")
    damaged = bytearray((folder / "checkpoints/small/best.safetensors").read_bytes())
    damaged[-1000] ^= 1
    (folder / "damaged.safetensors").write_bytes(damaged)
    return folder
