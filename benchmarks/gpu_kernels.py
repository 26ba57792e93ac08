"""The kernels of a GPU, layer by layer: prints how far they are from JAX's scan, and how long a step of each takes.

    KERAS_BACKEND=jax python benchmarks/gpu_kernels.py

The first table has a row for each cell: the largest distance of the loss and of the gradients of a window from those of
the scan on the same GPU, relative to the largest number of the array, with operands in TF32 and in bfloat16. The second
has the microseconds of a time step of one layer, the best of three: forwards, and forwards and backwards together.
"""

import argparse
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import machine
import numpy as np

from charrnn.cells import CELLS
from charrnn.compiled.cuda.tiles import NoTiles
from charrnn.errors import CharRNNError
from charrnn.training.backends.start import start

PRODUCTS = {"float32": None, "bf16": "bfloat16"}
TIMES = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="*", choices=CELLS, default=list(CELLS), help="of the first table")
    parser.add_argument("--shapes", nargs="*", default=["512:64", "512:256", "1024:64", "1024:256"], help="units:batch")
    parser.add_argument("--of", nargs="+", choices=CELLS, default=["lstm", "gru"], help="cells of the second table")
    parser.add_argument("--seq", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=300.0, help="after which no row is begun")
    return parser.parse_args()


class Problem:
    """Random arguments of a scan, and its loss: a weighted sum of all outputs."""

    def __init__(self, name: str, units: int, batch: int, steps: int, resets: bool):
        import jax.numpy as jnp

        rng, self.cell = np.random.default_rng(0), CELLS[name]

        def normal(*shape: int, scale: float = 1.0) -> Any:
            return jnp.asarray((scale * rng.normal(size=shape)).astype(np.float32))

        matrices = {n: normal(*m.shape(units), scale=units**-0.5) for n, m in self.cell.matrices.items()}
        vectors = {n: normal(v.width(units)) for n, v in self.cell.vectors.items()}
        state = self.cell.state(*(normal(batch, units, scale=0.3) for _ in self.cell.state_fields))
        self.values = normal(steps, batch, self.cell.width(units)), state, matrices, vectors
        self.weights = normal(steps, batch, units)
        self.reset = jnp.asarray(rng.random((steps, batch)) < 0.1) if resets else None

    def loss(self, scan: Callable[..., Any], values: Any) -> Any:
        (h,), last = scan(self.cell, *values, reset=self.reset)
        return (h * self.weights).sum() + sum(field.sum() for field in last)


def distance(name: str, products: str | None, kernels: Any, scan: Any) -> float:
    """Return the largest relative distance of the loss and of the gradients."""
    import jax

    problem = Problem(name, 64, 20, 9, resets=True)
    one, other = (
        jax.tree.leaves(jax.jit(jax.value_and_grad(partial(problem.loss, run)))(problem.values))
        for run in (kernels(products), partial(scan, products=products))
    )
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(one, other, strict=True) if x.size]
    return float(max(np.abs(x - y).max() / max(np.abs(y).max(), 1e-6) for x, y in pairs))


def microseconds(problem: Problem, run: Any, backwards: bool) -> float:
    """Return the time of a time step."""
    import jax

    loss = partial(problem.loss, run if backwards else partial(run, gradient_wanted=False))
    function = jax.jit(jax.value_and_grad(loss) if backwards else loss)
    jax.block_until_ready(function(problem.values))
    best = float("inf")
    for _ in range(3):
        began = perf_counter()
        results = [function(problem.values) for _ in range(TIMES)]
        jax.block_until_ready(results)
        best = min(best, perf_counter() - began)
    return best / TIMES / len(problem.weights) * 1e6


def main() -> None:
    args, began = arguments(), perf_counter()
    start(1)
    from charrnn.training.backends import compiled
    from charrnn.training.backends.engine import gpu_calls, scan

    def kernels(products: str | None) -> Any:
        return partial(compiled.scan, gpu_calls(products))

    print(machine.describe("numpy", "jax"), "\n")
    print("| cell | float32 | bf16 |\n|---|---|---|", flush=True)
    for name in args.cells:
        if perf_counter() - began > args.seconds:
            break
        try:
            found = [f"{distance(name, products, kernels, scan):.1e}" for products in PRODUCTS.values()]
        except (NoTiles, CharRNNError) as why:
            found = [f"no kernel: {why}", ""]
        print(f"| {name} | " + " | ".join(found) + " |", flush=True)
    print("\n| layer | precision | kernels: forward, both | scan: forward, both |\n|---|---|---|---|", flush=True)
    for cell in args.of:
        for units, batch in (map(int, shape.split(":")) for shape in args.shapes):
            for precision, products in PRODUCTS.items():
                if perf_counter() - began > args.seconds:
                    return
                problem, told = Problem(cell, units, batch, args.seq, resets=False), []
                for run in (kernels(products), partial(scan, products=products)):
                    try:
                        told.append(", ".join(f"{microseconds(problem, run, both):.1f}" for both in (False, True)))
                    except (NoTiles, CharRNNError) as why:
                        told.append(f"no kernel: {why}")
                print(f"| {cell} {units}, batch {batch} | {precision} | " + " | ".join(told) + " |", flush=True)


if __name__ == "__main__":
    main()
