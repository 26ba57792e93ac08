"""Forms of weights: a matrix as float32, as bfloat16, or as int8 with a scale for each column."""

import numpy as np

# The size of a number in each form.
BYTES = {"float32": 4, "bf16": 2, "int8": 1}


def rounded(matrix: np.ndarray, form: str) -> np.ndarray:
    """Return a float32 matrix as a form of weights stores it: bfloat16, or int8 with a scale for each column."""
    if form == "bf16":
        return (upper_halves(matrix).astype(np.uint32) << 16).view(np.float32)
    if form == "int8":
        integers, scales = integers_of(matrix)
        return integers * scales
    return matrix


def upper_halves(matrix: np.ndarray) -> np.ndarray:
    """Return the upper 16 bits of float32 numbers, rounded to the nearest, and to the even one of two."""
    bits = np.ascontiguousarray(matrix, np.float32).view(np.uint32)
    up = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    # Rounding could make a NaN infinite.
    return np.where(np.isnan(matrix), 0x7FC0, up).astype(np.uint16)


def integers_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return integers from -127 to 127 and the scale of each column; a column that is not finite has the scale NaN."""
    scales = (abs(matrix).max(axis=0) / np.float32(127)).astype(np.float32)
    scales[~np.isfinite(scales)] = np.nan
    divisors = np.where(scales > 0, scales, np.float32(1))
    return np.rint(np.where(np.isnan(scales), 0, matrix) / divisors).astype(np.int8), scales
