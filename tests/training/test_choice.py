"""Which backend is chosen and started, and what a second start in one process can still change."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from charrnn.errors import CharRNNError
from charrnn.training.backends.choice import BACKENDS, choose
from charrnn.training.backends.contract import NoSuchDevice
from charrnn.training.backends.start import start
from support.commands import HEAVY, loaded_by

# Trains twice, as a notebook may, on other batches; prints the shards that could be had and the losses.
TWICE = """
import json, numpy as np
from charrnn.config import ModelConfig, TrainConfig
from charrnn.data.parts import Part
from charrnn.data.splits import Split
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.backends.start import cut, start
vocab, model = Vocabulary.of("abc"), ModelConfig("rnn", 1, 4)
text = Part(np.random.default_rng(0).integers(0, 3, 2000).astype(np.uint8))
def train(batch, shards, **settings):
    count = cut(batch, start(shards, device="cpu", **settings), 1)
    from charrnn.training.learner import KerasLearner
    learner = KerasLearner(model, vocab, TrainConfig(batch=batch, seq=5), Split(text), count)
    return count, [learner.step(number, 0.1)[0] for number in range(3)]
print(json.dumps([train(6, 2), train(8, 4), train(9, 3), train(3, 1), train(6, 2)]))
"""


@pytest.fixture
def no_keras(monkeypatch):
    """Let a test choose as in a process in which nothing was chosen, nor imported."""
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    return monkeypatch


def test_what_is_named_comes_first_then_the_environment_then_the_run(no_keras):
    for named, environment, recorded, expected in (
        (None, "", None, "tensorflow"),
        (None, "", "jax", "jax"),
        (None, "", "theano", "tensorflow"),
        (None, "tensorflow", "jax", "tensorflow"),
        ("jax", "tensorflow", "tensorflow", "jax"),
        ("tensorflow", "torch", "jax", "tensorflow"),
    ):
        no_keras.setenv("KERAS_BACKEND", environment)
        assert choose(named, recorded) is BACKENDS[expected]
        # Keras, child processes and whoever asks later find the same.
        assert os.environ["KERAS_BACKEND"] == expected == choose().name


def test_what_is_not_a_backend_is_refused(no_keras):
    for name, hint in (
        ("Jax", "Did you mean jax?"),
        ("tensorflwo", "Did you mean tensorflow?"),
        ("x", "tensorflow or"),
    ):
        with pytest.raises(CharRNNError, match=f"no backend '{name}'; charrnn trains with tensorflow or jax") as caught:
            choose(name)
        assert hint in caught.value.hint and not os.environ["KERAS_BACKEND"]
    no_keras.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(CharRNNError, match="KERAS_BACKEND is 'torch'; charrnn trains with tensorflow or jax"):
        choose()


def test_a_keras_that_runs_on_another_backend_cannot_change(no_keras):
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
    no_keras.setitem(sys.modules, "keras", keras)
    with pytest.raises(CharRNNError, match=r"Keras already runs on jax in this Python process.* tensorflow") as caught:
        choose("tensorflow")
    assert "Restart Python" in caught.value.hint and not os.environ["KERAS_BACKEND"]
    assert choose("jax").title == "JAX"


def test_choosing_imports_no_backend():
    script = (
        "import sys, charrnn.training.backends.start as start\n"
        "start.choose('jax'), start.shard_count(64)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "charrnn" in found and not HEAVY & set(found)


@pytest.mark.trains
@pytest.mark.parametrize(
    "backend, needed, unneeded", [("tensorflow", "tensorflow.lite", "jax"), ("jax", "jax", "tensorflow")]
)
def test_a_command_imports_only_what_is_needed(backend, needed, unneeded, tmp_path):
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 60)
    settings = ("--units", "4", "--seq", "8", "--steps", "1", "--backend", backend)
    result, loaded = loaded_by(tmp_path, "train", "text.txt", *settings)
    assert result.returncode == 0, result.stderr
    assert {"keras", "keras.wrappers", needed} <= loaded and not {"sklearn", "matplotlib", unneeded} & loaded


def printed_by(folder: Path, script: str) -> str:
    """Return what a script prints that finds the packages of a folder before all others."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{script}", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_a_package_does_not_need_can_be_imported_before_and_after_it(tmp_path):
    keras = "try: import sklearn\nexcept ImportError: sklearn = None\nimport other, matplotlib"
    tensorflow = "try: from jax import jit\nexcept ImportError: jit = None\nimport sklearn"
    packages = {"keras": keras, "tensorflow": tensorflow, "jax": "jit = 1"}
    for name, text in {**packages, "sklearn": "", "matplotlib": "", "other": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
    script = (
        "import matplotlib, charrnn.lean as lean\n"
        "lean.leave_out_unneeded(); import keras; print(keras.sklearn, keras.matplotlib is matplotlib)\n"
        "import tensorflow; print(tensorflow.jit, tensorflow.sklearn.__name__)\n"
        "import jax, sklearn; print(jax.jit, sklearn.__name__)"
    )
    assert printed_by(tmp_path, script) == "None True\nNone sklearn\n1 sklearn\n"


# Python looks for garbage again afterwards; what was there is left alone only in a process that is charrnn's own.
@pytest.mark.parametrize("own, before", [(True, True), (False, True), (False, False)])
def test_no_garbage_is_looked_for_while_keras_is_imported(own, before, tmp_path):
    (tmp_path / "keras.py").write_text("import gc; print(gc.isenabled())\nraise ZeroDivisionError")
    script = (
        "import gc, charrnn.lean as lean\n"
        f"if {own}: lean.leave_out_unneeded()\n"
        f"if not {before}: gc.disable()\n"
        "try:\n    with lean.uncollected(): import keras\n"
        "except ZeroDivisionError: print(gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    assert printed_by(tmp_path, script) == f"False\n{before} {own}\n"


def test_what_is_there_is_left_alone_only_once(tmp_path):
    (tmp_path / "keras.py").write_text("")
    script = (
        "import gc, charrnn.lean as lean\n"
        "lean.leave_out_unneeded()\n"
        "with lean.uncollected(): import keras\n"
        "once = gc.get_freeze_count(); more = [[] for _ in range(1000)]\n"
        "with lean.uncollected(): import keras\n"
        "print(gc.get_freeze_count() - once < 1000)"
    )
    assert printed_by(tmp_path, script) == "True\n"


@pytest.mark.trains
@pytest.mark.parametrize("backend", BACKENDS)
def test_programs_for_a_process_of_their_own_are_programs(backend):
    for program in (BACKENDS[backend].probe, BACKENDS[backend].peak.format(n=8)):
        compile(program, backend, "exec")
    assert float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout) > 0


@pytest.mark.backend
def test_a_process_may_train_twice():
    import json

    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    runs = json.loads(ended.stdout)
    # JAX has the two devices of the first start; nine rows cannot be cut in two.
    assert [count for count, _ in runs] == {"tensorflow": [2, 4, 3, 1, 2], "jax": [2, 2, 1, 1, 2]}[name]
    assert runs[0] == runs[4] and all(0 < nats < 3 for _, losses in runs for nats in losses)


@pytest.mark.parametrize("error", [NoSuchDevice(), ModuleNotFoundError("no jax"), CharRNNError("two"), RuntimeError()])
def test_native_talk_is_shown_where_nothing_else_explains_a_failure(error, no_keras, capfd):
    """Such as that of TensorFlow, which says of a GPU that is not there what the error says in one line."""

    def fail(*arguments):
        os.write(2, b"I0000 00:00 Could not find cuda drivers\n")
        raise error

    no_keras.setattr(choose("tensorflow"), "start", fail)
    with pytest.raises((CharRNNError, RuntimeError)):
        start(2, device="gpu")
    assert ("cuda drivers" in capfd.readouterr().err) is isinstance(error, RuntimeError)


@pytest.mark.backend
def test_a_device_cannot_change():
    script = (
        "from charrnn.training.backends.start import start\n"
        "start(2, device='cpu'), start(2), start(1, device='cpu')\n"
        "from charrnn.training.backends import engine\n"
        "try: start(2, device='gpu')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("CharRNNError `device` is gpu, but ")
