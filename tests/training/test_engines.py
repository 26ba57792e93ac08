"""The choice of the engine, and what a user is told of it."""

import pytest

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.training.backends import compiled, engine, engines
from charrnn.training.backends.engines import check_engine, choose_engine

# The backend is asked whether it can call compiled code.
pytestmark = pytest.mark.trains
MODEL = ModelConfig("rnn", 1, 4)


def chosen(wanted="auto", recorded=None, precision="float32", on_gpu=False) -> tuple[str, str | None]:
    return choose_engine(wanted, recorded, MODEL, precision, on_gpu, resets=False)


def test_cells_are_compiled_where_nothing_prevents_it():
    assert chosen() == chosen("compiled") == ("compiled", None)
    assert chosen("framework") == ("framework", None)


def told_only_when_asked(**why) -> None:
    """Assert that the framework computes the cells, and that only who asked for compiled ones is told."""
    assert chosen(**why) == ("framework", None)
    for asked in ({"wanted": "compiled"}, {"recorded": "compiled"}):
        found, notice = chosen(**asked, **why)
        assert found == "framework" and "The cells are not compiled: " in notice


def test_bf16_on_a_processor_needs_the_framework():
    told_only_when_asked(precision="bf16")


def test_a_gpu_without_kernels_needs_the_framework(monkeypatch):
    # As with TensorFlow; tests/training/test_cuda_calls.py is about JAX.
    monkeypatch.setattr("charrnn.training.backends.engine.gpu_calls", lambda products: None)
    told_only_when_asked(on_gpu=True)


def test_a_missing_compiler_is_told(monkeypatch):
    monkeypatch.setattr(engines, "cannot_compile", lambda: "llvmlite is not installed")
    assert chosen() == (
        "framework",
        "The cells are not compiled: llvmlite is not installed. The framework computes them.",
    )
    assert chosen("framework") == ("framework", None)


def test_a_cell_that_cannot_be_compiled_is_trained_by_the_framework(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("no code for this")

    monkeypatch.setattr(compiled, "scan_of", refuse)
    found, notice = chosen()
    assert found == "framework" and "the cell rnn could not be compiled (RuntimeError: no code for this)" in notice


def test_a_backend_that_cannot_call_compiled_code_computes_the_cells_itself(monkeypatch):
    def refuse():
        raise AttributeError("undefined symbol: TF_NewKernelBuilder")

    monkeypatch.setattr(engine.calls, "prepare", refuse)
    found, notice = chosen()
    assert found == "framework" and "cannot call them (AttributeError: undefined symbol" in notice


def test_a_resumed_run_keeps_its_engine_and_a_change_is_told():
    for recorded in ("compiled", "framework"):
        assert chosen(recorded=recorded) == (recorded, None)
    found, notice = chosen("framework", "compiled")
    assert found == "framework" and "Until now the cells of this run were compiled" in notice
    found, notice = chosen("compiled", "framework")
    assert found == "compiled" and "rounded differently" in notice


def test_an_engine_that_there_is_not():
    with pytest.raises(CharRNNError, match="must be auto, compiled or framework"):
        check_engine("numpy")
