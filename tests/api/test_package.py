"""What `import charrnn` offers, and what it imports for that."""

import subprocess
import sys

import pytest

import charrnn
from charrnn.config import ModelConfig, TrainConfig

HEAVY = {"keras", "tensorflow", "jax", "numpy", "typer", "rich"}


def loaded_after(script: str, cwd=None) -> set[str]:
    """Return which heavy packages a script has imported at its end."""
    script += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stdout.split())


def test_the_package_alone_imports_nothing():
    assert loaded_after("import charrnn; charrnn.__version__; dir(charrnn)") == set()


def test_a_model_is_used_on_numpy_alone(small):
    script = "import charrnn; m = charrnn.load('small'); m.sample(5, prime='a'); m.score(['bad']); m.complete(['a'])"
    assert loaded_after(script + "; m.evaluate('text.txt'); charrnn.list_runs()", small) == {"numpy"}


def test_every_public_name_is_there():
    assert set(charrnn.__all__) <= set(dir(charrnn))
    for name in charrnn.__all__:
        assert getattr(charrnn, name) is not None
    assert charrnn.events.Stepped.__doc__ and "Ended" in charrnn.events.__all__


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sample'"):
        charrnn.sample  # noqa: B018


def test_help_shows_every_setting_with_its_default():
    import inspect

    shown = inspect.signature(charrnn.train).parameters
    assert shown == inspect.signature(charrnn.train_events).parameters and "preset" in shown and "init" in shown
    assert inspect.signature(charrnn.train).return_annotation == charrnn.api.runs.Run
    assert shown["units"].default == ModelConfig.units and shown["dropout"].default == TrainConfig.dropout
    assert shown["one_per_line"].default is False and "settings" not in shown and shown["backend"].default is None
