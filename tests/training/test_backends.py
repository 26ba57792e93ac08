"""Both backends from the command line: either trains, either goes on with what the other has trained."""

import json
import shlex
import sys

import numpy as np
import pytest

from charrnn.runs.checkpoint import read_checkpoint
from support.commands import charrnn_in

pytestmark = pytest.mark.trains

OPTIONS = ("--units", 8, "--batch", 4, "--seq", 8, "--dropout", 0.2, "--seed", 3)
# As the command, but with what is imported, or not, told and chosen.
SCRIPT = """
import sys
{before}
from charrnn.cli.app import main
try: main()
finally: print("IMPORTED", *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Run charrnn with a backend in a folder with a text; return the process, and the packages it imported."""
    (tmp_path / "text.txt").write_text("She sells sea shells on the sea shore.\n" * 30)

    def run(backend, *arguments, before=""):
        monkeypatch.setenv("KERAS_BACKEND", backend)
        script = shlex.join([sys.executable, "-c", SCRIPT.format(before=before)])
        result = charrnn_in(tmp_path, *arguments, command=script)
        talk, _, imported = result.stderr.rpartition("IMPORTED")
        result.stderr = talk
        return result, set(imported.split())

    return run


@pytest.mark.parametrize(
    "first, second", [("jax", "tensorflow"), pytest.param("tensorflow", "jax", marks=pytest.mark.slow)]
)
def test_a_run_goes_on_with_the_other_backend(command, tmp_path, first, second):
    trained, imported = command(first, "train", "text.txt", *OPTIONS, "--steps", 4)
    assert trained.returncode == 0, trained.stderr
    # TensorFlow itself imports JAX where there is one.
    assert first in imported and (first == "tensorflow" or second not in imported)
    run = tmp_path / "checkpoints/text"
    four = read_checkpoint(run / "step-00000004.safetensors", training=True)
    assert four.progress.backend == first
    resumed, imported = command(second, "train", "--resume", "text", "--steps", 5)
    assert resumed.returncode == 0, resumed.stderr
    assert f"Until now it was trained with {first}: {second} rounds differently" in resumed.stderr
    assert second in imported and (second == "tensorflow" or first not in imported)
    nine = read_checkpoint(run / "step-00000009.safetensors", training=True)
    assert nine.progress.backend == second and set(nine.slots) == set(four.slots)
    assert any((nine.weights[name] != four.weights[name]).any() for name in four.weights)


def test_both_take_the_same_steps_but_for_rounding(command, tmp_path):
    runs = {}
    for backend in ("jax", "tensorflow"):
        options = (*OPTIONS, "--dropout", 0, "--steps", 20, "--name", backend)
        trained, _ = command(backend, "train", "text.txt", *options)
        assert trained.returncode == 0, trained.stderr
        runs[backend] = read_checkpoint(tmp_path / f"checkpoints/{backend}/step-00000020.safetensors", training=True)
    one, other = runs.values()
    for part in ("weights", "slots", "state"):
        arrays, others = getattr(one, part), getattr(other, part)
        assert arrays.keys() == others.keys()
        for name in arrays:
            np.testing.assert_allclose(arrays[name], others[name], rtol=0, atol=1e-4, err_msg=f"{part} {name}")
    assert not all((one.weights[name] == other.weights[name]).all() for name in one.weights)


# tests/training/test_gradcheck.py has the command too.
@pytest.mark.slow
def test_gradcheck_on_jax_computes_in_float64(command):
    checked, imported = command("jax", "gradcheck", "--cell", "mut1", "--units", 2, "--json")
    assert checked.returncode == 0, checked.stderr
    assert max(fact["error"] for fact in json.loads(checked.stdout)) < 1e-6
    assert "jax" in imported and "tensorflow" not in imported


def test_backends_that_are_not_there(command):
    other, _ = command("torch", "train", "text.txt", *OPTIONS, "--steps", 4)
    assert other.returncode == 1 and "charrnn trains with tensorflow or jax" in other.stderr
    missing, _ = command("jax", "train", "text.txt", *OPTIONS, "--steps", 4, before="sys.modules['jax'] = None")
    assert missing.returncode == 1 and "Traceback" not in missing.stderr
    assert "KERAS_BACKEND is 'jax', but jax is not installed.\n  pip install jax, or unset" in missing.stderr
