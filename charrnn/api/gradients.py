"""A check that the gradients of training are right, for one cell or all of them."""

from collections.abc import Iterator

from charrnn.cells import CELLS
from charrnn.config import ModelConfig
from charrnn.engines import AUTO
from charrnn.network.stacks import fits
from charrnn.training.backends.choice import choose
from charrnn.training.backends.engines import check_engine, choose_engine
from charrnn.training.backends.start import start

# A gradient is wrong if its relative error is this large or larger.
LIMIT = 1e-6


def check_gradients(
    cell: str | None,
    layers: int,
    units: int,
    embedding: int | None,
    stack: str,
    seed: int,
    backend: str | None = None,
    engine: str = AUTO,
    attention: int | None = None,
    labels: int | None = None,
) -> Iterator[tuple[str, str, tuple[int, ...], float]]:
    """Yield cell, parameter, its shape and the worst relative error of its gradient.

    cell: None for every cell that can be used with the other settings. engine: see `charrnn.train`. labels: predict so
    many labels instead of characters.
    """
    names = (
        [cell] if cell else [name for name in CELLS if fits(CELLS[name], stack) and layers > bool(CELLS[name].lowest)]
    )
    classes = None if labels is None else tuple(map(str, range(labels)))
    models = [ModelConfig(name, layers, units, embedding, stack, attention, classes) for name in names]
    check_engine(engine)
    choose(backend)
    start(1, float64=True, device="cpu")
    from charrnn.training.gradcheck import check

    for model in models:
        chosen, _ = choose_engine(engine, None, model, "float32", choose().engine().on_gpu(), resets=True)
        for name, shape, error in check(model, seed, chosen):
            yield model.cell, name, shape, error
