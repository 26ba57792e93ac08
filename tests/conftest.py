import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from charrnn.config import ModelConfig
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary

# Of charrnn.training these modules need none.
_PURE = r"budget|contract|divergence|events|schedules|trainer|backends\.(choice|contract|start|jax\.distributed)"
_NEEDS_KERAS = re.compile(rf"^(import|from) (keras|tensorflow|charrnn\.training(?!\.({_PURE})\b))\b", re.MULTILINE)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Start the backend before the first module that needs it is imported; the other modules never see keras."""
    if _NEEDS_KERAS.search(module_path.read_text()):
        from charrnn.training.backends.choice import choose
        from charrnn.training.backends.start import start

        # Where shards must be equal: a row each, where it does not come out otherwise.
        start(2 if choose().shards(7, 2) == 2 else 8, float64=True, device="cpu")


def pytest_configure() -> None:
    """Let no test fill the user's cache; the commands that tests start inherit this."""
    pytest.register_assert_rewrite("support")
    # A shell that starts the tests in the background has SIGINT ignored, and so would the commands they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
