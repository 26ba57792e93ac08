"""The arrays of a model, layer by layer: how many numbers they have, and how large the numbers are."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from charrnn.runs.checkpoint import Checkpoint


def layers(checkpoint: "Checkpoint") -> list[dict[str, Any]]:
    """Return the arrays of each layer in the order of the network; values that a mask removes are not counted."""
    from charrnn.network.parameters import parameters

    found: dict[str, list[dict[str, Any]]] = {}
    for parameter in parameters(checkpoint.model, checkpoint.vocab.size):
        values, mask = checkpoint.weights[parameter.name], parameter.mask
        if mask is not None:
            values = values[mask]
        facts = {"name": parameter.symbol, "shape": list(parameter.shape), **_magnitude(values)}
        found.setdefault(parameter.place, []).append(facts)
    return [{"name": layer, **together(arrays), "arrays": arrays} for layer, arrays in found.items()]


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the count, the root mean square and the largest magnitude of the values of all parts."""
    import numpy as np

    count = sum(part["parameters"] for part in parts)
    rms = math.sqrt(sum(part["rms"] ** 2 * part["parameters"] for part in parts) / count)
    # Python's max may ignore a NaN.
    return {"parameters": count, "rms": rms, "largest": float(np.max([part["largest"] for part in parts]))}


def _magnitude(values: "np.ndarray") -> dict[str, Any]:
    import numpy as np

    # In float64 the square of a float32 is never too large.
    rms = math.sqrt(np.mean(np.square(values, dtype=np.float64)))
    return {"parameters": values.size, "rms": rms, "largest": float(np.abs(values).max())}
