"""The engine of the cells: compiled code, or the operations of the framework (TensorFlow or JAX)."""

from charrnn.config import ModelConfig
from charrnn.engines import AUTO, COMPILED, FRAMEWORK, OF_TRAINING, cannot_compile
from charrnn.errors import CharRNNError
from charrnn.network.forward import emitted
from charrnn.network.stacks import layers_of
from charrnn.training.backends.choice import choose


def check_engine(engine: str) -> None:
    """Raise CharRNNError unless `engine` is an engine of training."""
    if engine not in OF_TRAINING:
        raise CharRNNError(f"`engine` is {engine!r}; it must be {', '.join(OF_TRAINING[:-1])} or {OF_TRAINING[-1]}.")


def choose_engine(
    wanted: str, recorded: str | None, model: ModelConfig, precision: str, on_gpu: bool, resets: bool
) -> tuple[str, str | None]:
    """Return the engine, COMPILED or FRAMEWORK, and a notice for the user if it is not the expected one.

    It is `wanted`; for AUTO the engine that trained the resumed run (`recorded`, None for a new run), else COMPILED.
    Where cells cannot be compiled it is FRAMEWORK. `resets`: whether documents begin inside windows.
    """
    expected = wanted if wanted != AUTO else recorded or COMPILED
    why_not, is_usual = None, False
    if expected == COMPILED:
        why_not, is_usual = _obstacle(model, precision, on_gpu, resets)
    engine = FRAMEWORK if why_not else expected
    notice = None
    if why_not and not (is_usual and wanted == AUTO and recorded is None):
        notice = f"The cells are not compiled: {why_not}. The framework computes them."
    elif recorded is not None and engine != recorded:
        before = "compiled" if recorded == COMPILED else "computed by the framework"
        notice = f"Until now the cells of this run were {before}. Now sums are rounded differently; dropout differs."
    return engine, notice


def _obstacle(model: ModelConfig, precision: str, on_gpu: bool, resets: bool) -> tuple[str | None, bool]:
    """Return why the cells cannot be compiled, None if they can, and whether that is how such a run is trained."""
    if on_gpu:
        return _obstacle_on_gpu(model, precision, resets)
    if precision != "float32":
        return f"the products are in {precision}", True
    if why := cannot_compile():
        return why, False
    from charrnn.training.backends.compiled import scan_of
    from charrnn.training.backends.engine import calls

    try:
        calls.prepare()
    except Exception as error:
        # Whoever built the backend may have left its C interface out.
        return f"{choose().title} cannot call them ({type(error).__name__}: {error})", False
    layers = layers_of(model)
    for place, cell in enumerate(layers):
        try:
            scan_of(cell, model.units, tuple(emitted(layers, place)), resets, "float32")
        except Exception as error:
            # The cell may be the user's, and LLVM or the system may refuse; the framework needs neither.
            return f"the cell {cell.name} could not be compiled ({type(error).__name__}: {error})", False
    return None, False


def _obstacle_on_gpu(model: ModelConfig, precision: str, resets: bool) -> tuple[str | None, bool]:
    """Return what `_obstacle` returns, for kernels on a GPU."""
    from charrnn.training.backends.engine import gpu_calls
    from charrnn.training.network import PRODUCTS

    calls = gpu_calls(PRODUCTS[precision])
    if calls is None:
        return "TensorFlow has no kernels of charrnn on a GPU", True
    layers = layers_of(model)
    for place, cell in enumerate(layers):
        why, is_usual = calls.why_not(cell, model.units, tuple(emitted(layers, place)), resets)
        if why:
            return why, is_usual
    return None, False
