import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from charrnn.config import ModelConfig
from charrnn.lean import leave_out_unneeded
from charrnn.network.parameters import initial_weights
from charrnn.runs.checkpoint import Checkpoint, write_checkpoint
from charrnn.text.vocabulary import Vocabulary

pytest.register_assert_rewrite("support")

from support.compilation import compiled_once  # noqa: E402
from support.starting import Gate, is_left_out  # noqa: E402

GATE = Gate()
# How long an example takes is the machine's matter.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    if isinstance(collector, pytest.Module):
        GATE.module(collector.path)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module of which nothing is selected: what trains takes seconds to import."""
    if re.fullmatch(r"test_\w+\.py", collection_path.name):
        return is_left_out(collection_path.read_text(), config.option.markexpr) or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    GATE.test(item)


def pytest_configure() -> None:
    """Let no test fill the user's caches; the commands that tests start inherit this."""
    sys.meta_path.insert(0, GATE)
    leave_out_unneeded()
    # A shell that starts the tests in the background has SIGINT ignored, and so would the commands they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # With it no output would wait in a buffer, as it does for users.
    os.environ.pop("PYTHONUNBUFFERED", None)
    os.environ["CHARRNN_CACHE"] = tempfile.mkdtemp(prefix="charrnn-tests-")
    os.environ.update(compiled_once(tempfile.mkdtemp(prefix="charrnn-tests-jax-")))


def pytest_unconfigure() -> None:
    for folder in ("CHARRNN_CACHE", "JAX_COMPILATION_CACHE_DIR"):
        shutil.rmtree(os.environ[folder], ignore_errors=True)


@pytest.fixture(autouse=True)
def backend_of_the_environment() -> Iterator[None]:
    """Let a test that chooses a backend not choose it for the tests after it, and for the commands that they start."""
    before = os.environ.get("KERAS_BACKEND")
    yield
    if before is None:
        os.environ.pop("KERAS_BACKEND", None)
    else:
        os.environ["KERAS_BACKEND"] = before


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
