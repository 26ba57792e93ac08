"""The rules that keep the suite quick: what a marker says is so, and nothing is imported for nothing."""

import os
from types import SimpleNamespace

import pytest

from support.starting import Gate, is_left_out

TRAINS = "import keras\n\npytestmark = pytest.mark.trains\n"
SOME_TRAIN = "import numpy\n\n\n@pytest.mark.trains\ndef test_it(): ...\n"
ON_BOTH = "import keras\n\npytestmark = pytest.mark.backend\n"


def test_whoever_imports_a_backend_says_so(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    gate = Gate()
    unmarked = SimpleNamespace(nodeid="test_it", get_closest_marker=lambda name: None)
    gate.test(unmarked)
    for name in ("keras", "tensorflow", "jax"):
        with pytest.raises(ImportError, match=f"test_it imports {name}: mark it `trains`"):
            gate.find_spec(name)
    assert gate.find_spec("numpy") is None
    # Neither can a command train that it starts.
    assert "mark the test" in os.environ["JAX_PLATFORMS"]
    gate.test(SimpleNamespace(nodeid="test_it", get_closest_marker=lambda name: name == "trains"))
    assert gate.open and os.environ["JAX_PLATFORMS"] == "cpu"


@pytest.mark.parametrize(
    ("selected", "collected"),
    [
        ("not slow", {TRAINS, SOME_TRAIN, ON_BOTH}),
        ("not trains and not backend and not slow", {SOME_TRAIN}),
        ("(trains or backend) and not slow", {TRAINS, SOME_TRAIN, ON_BOTH}),
        ("backend and not slow", {ON_BOTH}),
    ],
)
def test_modules_of_which_nothing_is_selected_are_not_imported(selected, collected):
    assert {module for module in (TRAINS, SOME_TRAIN, ON_BOTH) if not is_left_out(module, selected)} == collected
    assert is_left_out("def test_it(): ...", selected) == ("trains or" in selected or selected.startswith("backend"))
